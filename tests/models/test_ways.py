"""Models that are watched and asked in other ways: what each way does, that it does it, and where it is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contract import Question, Refused
from harness.shelf import Shelf
from models import families, language, weights

from .conftest import WORDS, Write

pytestmark = pytest.mark.mlx

PROMPTS = [
    "the cat sat on",
    "dog",
    "one two three plus four",
    "it was a big red cat and then the dog ran under the tree and it was so",
    "a small blue mat",
]
MANY = 8


def _questions(inputs: Sequence[Any] = PROMPTS) -> list[Question]:
    return [Question(f"q{at}", input) for at, input in enumerate(inputs)]


def _open(folder: Path, **generate: Any) -> Any:
    class Site(Shelf):
        def weights(self, declared: dict[str, Any]) -> Path:
            return folder.parent / str(declared["mlx_lm"])

    return language.open(folder, {"generate": {"max_tokens": MANY, **generate}}, Site(folder, print))


def _way(model: Any, axis: str, label: str, asked: Any = None) -> Any:
    return model.ways(axis, asked)[label]()


def _tokens(model: Any, inputs: Sequence[Any] = PROMPTS) -> list[list[int]]:
    return [answer["tokens"] for answer in model.answer(_questions(inputs))]


def _exact() -> bool:
    """Whether MLX computes a row alike, to the bit, in whatever company: the wheel's own BLAS on Linux does."""
    import mlx.core as mx

    return sys.platform == "linux" and mx.default_device() == mx.Device(mx.cpu)


def _assert_same(model: Any, other: Any, inputs: Sequence[Any] = PROMPTS) -> None:
    """The same tokens, chosen from the same numbers: to the bit where MLX is exact."""
    for (said, places), (told, others) in zip(
        model.reveal(_questions(inputs)), other.reveal(_questions(inputs)), strict=True
    ):
        assert said["tokens"] == told["tokens"]
        assert len(places) == len(others)
        for one, another in zip(places, others, strict=True):
            if _exact():
                assert one == another
            np.testing.assert_allclose(sorted(one.values), sorted(another.values), atol=1e-4)


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    return _open(tiny)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what any llama is called with, from now on."""
    from mlx_lm.models import llama

    seen: list[tuple[int, ...]] = []
    called = llama.Model.__call__

    def spy(self: Any, inputs: Any, *others: Any, **named: Any) -> Any:
        seen.append(tuple(inputs.shape))
        return called(self, inputs, *others, **named)

    monkeypatch.setattr(llama.Model, "__call__", spy)
    return seen


@pytest.fixture
def asked(shapes: list[tuple[int, ...]]) -> Callable[..., list[tuple[int, ...]]]:
    """What the network is called with while a model answers."""

    def asked(model: Any, inputs: Sequence[Any] = PROMPTS) -> list[tuple[int, ...]]:
        shapes.clear()
        model.answer(_questions(inputs))
        return list(shapes)

    return asked


@pytest.fixture
def compiler() -> None:
    from models.backend import check_compiles

    try:
        check_compiles()
    except Refused as refused:
        pytest.skip(str(refused))


# -------------------------------------------------------------------------------------------------- watched

WATCHED: list[dict[str, Any]] = [
    {},
    {"temperature": 1.0, "top_k": 9},
    {"stop": ["cat"]},
    {"logprobs": False},
    {"prompt_cache": {"prefix": "the"}},
    {"kv_bits": 8, "kv_group_size": 32},
    {"draft": {"mlx_lm": "tiny"}},
    {"draft": {"mlx_lm": "tiny"}, "stop": ["cat", "so"], "temperature": 0.5},
]


@pytest.mark.parametrize("way", WATCHED, ids=str)
def test_being_watched_changes_no_answer(tiny: Path, way: dict[str, Any]) -> None:
    model = _open(tiny, **way)
    inputs = [f"the {prompt}" for prompt in PROMPTS]
    answers = model.answer(_questions(inputs))
    shown = model.reveal(_questions(inputs))
    assert [answer for answer, _ in shown] == answers
    for answer, places in shown:
        assert len(answer["tokens"]) <= len(places) <= MANY
        assert all(place.choices and len(place.choices) == len(WORDS) for place in places)
        for at, value in enumerate(answer.get("logprobs", ())):
            values = dict(zip(places[at].choices, places[at].values, strict=True))
            assert values[answer["tokens"][at]] == value
        if model.samples is False:
            assert answer["tokens"] == [place.choices[0] for place in places[: len(answer["tokens"])]]


@pytest.mark.parametrize("way", [{}, {"kv_bits": 8, "kv_group_size": 32}], ids=["together", "alone"])
def test_what_ended_an_answer_has_a_place_too(written: Write, tmp_path: Path, model: Any, way: dict[str, Any]) -> None:
    end = next(tokens[3] for tokens in _tokens(model) if len(tokens) > 3 and tokens[3] not in tokens[:3])
    ending = _open(written(tmp_path / "ending", eos_token_id=end), **way)
    shown = ending.reveal(_questions())
    assert {answer["finish"] for answer, _ in shown} >= {"stop"}
    for answer, places in shown:
        assert len(places) == len(answer["tokens"]) + (answer["finish"] == "stop")
        assert (places[-1].choices[0] in (2, end)) == (answer["finish"] == "stop")
    assert end in {places[-1].choices[0] for _, places in shown}


def test_a_question_that_cannot_be_read_has_no_places_and_the_others_keep_theirs(model: Any) -> None:
    (first, (odd, places), last) = model.reveal(_questions([PROMPTS[0], "", PROMPTS[1]]))
    assert isinstance(odd, Refused)
    assert places == []
    assert [first, last] == model.reveal(_questions(PROMPTS[:2]))
    assert model.reveal([]) == []


def test_a_place_is_told_before_the_next_but_one_token_is_computed(
    model: Any, shapes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no more than a row a prompt is ever kept."""
    from models.language import writing

    at: list[int] = []
    told = writing.place

    def spy(row: Any) -> Any:
        at.append(len(shapes))
        return told(row)

    monkeypatch.setattr(writing, "place", spy)
    for watched in (model, _way(model, "batch", "alone, token by token")):
        shapes.clear()
        at.clear()
        watched.reveal(_questions([PROMPTS[0]]))
        assert [step - at[0] for step in at] == list(range(len(at)))


def test_of_many_words_the_likeliest_are_told(written: Write, tmp_path: Path) -> None:
    words = [*WORDS, *(f"word{at}" for at in range(2000))]
    wide = _open(written(tmp_path / "wide", words=words, vocab_size=len(words)))
    for answer, places in wide.reveal(_questions()):
        assert [place.choices[0] for place in places[: len(answer["tokens"])]] == answer["tokens"]
        assert {len(place.choices) for place in places} == {64}


def test_a_model_says_whether_it_draws_by_chance(tiny: Path, model: Any) -> None:
    assert model.samples is False
    assert _open(tiny, temperature=0.1).samples is True


# ---------------------------------------------------------------------------------------- what all have in common


@pytest.mark.parametrize("way", [{}, {"draft": {"mlx_lm": "tiny"}}, {"temperature": 1.0}], ids=str)
def test_a_sibling_is_a_model_and_leaves_the_first_as_it_was(tiny: Path, way: dict[str, Any]) -> None:
    model = _open(tiny, **way)
    before = model.reveal(_questions())
    for axis in ("cache", "batch", "padding", "reload", "seed", "kv_bits", "speculative"):
        try:
            offered = model.ways(axis)
        except Refused:
            continue
        for make in offered.values():
            other = make()
            assert [answer for answer, _ in other.reveal(_questions())] == other.answer(_questions())
            assert (other.padded, other.digest) == (True, model.digest)
            assert other.facts()["weights"] == model.facts()["weights"]
            assert other.folder == model.folder
            if axis != "reload":
                assert other.speech.network is model.speech.network
    assert model.reveal(_questions()) == before


@pytest.mark.parametrize("axis", ["repeat", "process", "order", "threads", "blas", "never heard of"])
def test_of_most_axes_it_has_nothing_to_add(model: Any, axis: str) -> None:
    assert model.ways(axis) == {}


def test_tf32_is_refused_where_there_is_none(model: Any) -> None:
    import mlx.core as mx

    if mx.cuda.is_available():
        assert model.ways("tf32") == {}
        return
    with pytest.raises(Refused, match="TF32 is a matter of NVIDIA GPUs; here it changes nothing"):
        model.ways("tf32")


# ---------------------------------------------------------------------------------------------------- cache


@pytest.mark.parametrize("way", [{}, {"draft": {"mlx_lm": "tiny"}}], ids=["plain", "drafted"])
@pytest.mark.parametrize("label", ["warm", "trimmed"])
def test_a_cache_that_was_computed_before_changes_no_answer(tiny: Path, way: dict[str, Any], label: str) -> None:
    model = _open(tiny, **way)
    _assert_same(model, _way(model, "cache", label), [*PROMPTS, {"tokens": [3]}, {"tokens": [3, 4]}])


def test_a_warm_cache_is_really_reused(model: Any, asked: Any) -> None:
    """A prompt of `many` tokens is read once, and what is asked after that is one token at a time."""
    many = len(PROMPTS[3].split()) + 1
    cold, warm, trimmed = (
        asked(_way(model, axis, label), [PROMPTS[3]])
        for axis, label in (("batch", "alone, token by token"), ("cache", "warm"), ("cache", "trimmed"))
    )
    read = [[shape for shape in found if shape != (1, 1)] for found in (cold, warm, trimmed)]
    assert read == [[(1, many - 1)], [(1, many - 2)], [(1, many - 1)]]
    assert len(warm) == len(cold) + 1
    assert len(trimmed) == len(cold) + 1 + 4


def test_nothing_of_a_prompt_of_one_token_is_reused(model: Any, asked: Any) -> None:
    plainly = asked(_way(model, "batch", "alone, token by token"), [{"tokens": [3]}])
    for label in ("warm", "trimmed"):
        assert asked(_way(model, "cache", label), [{"tokens": [3]}]) == plainly


def test_a_cold_cache_is_what_a_prefix_is_held_against(tiny: Path, asked: Any) -> None:
    model = _open(tiny, prompt_cache={"prefix": "it was a"})
    assert list(model.ways("cache")) == ["cold"]
    cold = _way(model, "cache", "cold")
    assert asked(model, [PROMPTS[3]])[0] == (1, len(PROMPTS[3].split()) - 4)
    assert asked(cold, [PROMPTS[3]])[0] == (1, len(PROMPTS[3].split()))
    _assert_same(model, cold, [PROMPTS[3]])
    assert "prompt_cache" not in cold.facts()["generate"]


def test_a_cache_that_cannot_be_trimmed_is_only_warmed(written: Write, tmp_path: Path) -> None:
    shape = {"state_size": 8, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True, "time_step_rank": 4}
    model = _open(written(tmp_path / "mamba", model_type="mamba", **shape))
    assert list(model.ways("cache")) == ["warm"]
    assert _tokens(_way(model, "cache", "warm")) == _tokens(model)
    with pytest.raises(Refused, match="it answers one prompt at a time: nothing is padded"):
        model.ways("padding")
    with pytest.raises(Refused, match="this model keeps no key-value cache"):
        model.ways("kv_bits")


def test_a_window_that_was_left_behind_is_read_anew(written: Write, tmp_path: Path) -> None:
    window = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 6}
    model = _open(written(tmp_path / "sliding", **window))
    for label in ("warm", "trimmed"):
        assert _tokens(_way(model, "cache", label)) == _tokens(model)
    with pytest.raises(Refused, match="the key-value cache of this model can't be quantized with `kv_bits`"):
        model.ways("kv_bits")


# ------------------------------------------------------------------------------------- speculative, kv_bits, seed


def test_without_its_draft_it_says_the_same(tiny: Path, written: Write) -> None:
    written(tiny.parent / "sketcher", seed=5, num_hidden_layers=1)
    model = _open(tiny, draft={"mlx_lm": "sketcher"}, draft_tokens=2)
    plain = _way(model, "speculative", "without the draft")
    assert plain.speech.draft is None
    assert plain.together
    assert plain.facts()["generate"] == {"max_tokens": MANY, "temperature": 0.0}
    _assert_same(model, plain)
    with pytest.raises(Refused, match=r"it has no draft model; declare `generate: \{draft: \.\.\.\}`"):
        plain.ways("speculative")


def test_a_quantized_cache_is_asked_in_as_many_bits_as_told(model: Any) -> None:
    assert list(model.ways("kv_bits")) == ["8 bits"]
    offered = model.ways("kv_bits", [4, 8])
    assert list(offered) == ["4 bits", "8 bits"]
    eight = offered["8 bits"]()
    assert (eight.way.kv_bits, eight.way.kv_group_size, eight.together) == (8, 32, False)
    (_, places), (_, packed) = model.reveal(_questions([PROMPTS[3]]))[0], eight.reveal(_questions([PROMPTS[3]]))[0]
    assert places[0].bits != packed[0].bits
    np.testing.assert_allclose(sorted(places[0].values), sorted(packed[0].values), atol=0.3)
    unquantized = _way(eight, "kv_bits", "unquantized", [4])
    assert unquantized.way == model.way
    _assert_same(model, unquantized)


def test_a_cache_is_quantized_in_the_largest_groups_that_fit(written: Write, tmp_path: Path) -> None:
    large = _open(written(tmp_path / "large", hidden_size=128))
    assert _way(large, "kv_bits", "2 bits", [2]).way.kv_group_size == 64
    small = _open(written(tmp_path / "small", hidden_size=32))
    with pytest.raises(Refused, match="the key-value cache of this model can't be quantized with `kv_bits`"):
        small.ways("kv_bits")


def test_another_seed_draws_otherwise_and_changes_nothing_that_is_not_drawn(tiny: Path, model: Any) -> None:
    drawn = _open(tiny, temperature=1.0, seed=2**32 - 1)
    other = _way(drawn, "seed", "another seed")
    assert _tokens(other) != _tokens(drawn)
    assert other.answer(_questions()) == _open(tiny, temperature=1.0, seed=0).answer(_questions())
    _assert_same(model, _way(model, "seed", "another seed"))


# --------------------------------------------------------------------------------------------- padding, batch


def test_beside_a_longer_prompt_all_others_are_padded(model: Any, asked: Any) -> None:
    longest = len(PROMPTS[3].split()) + 1
    beside = _way(model, "padding", "beside a longer prompt")
    assert beside.together
    assert asked(model)[0] == (len(PROMPTS), longest - 1)
    found = asked(beside)
    assert found[0] == (len(PROMPTS) + 1, 2 * longest + 8 - 1)
    assert found[-1][0] <= len(PROMPTS)
    _assert_same(model, beside)
    assert beside.answer([]) == []


@pytest.mark.parametrize("nested", [False, True])
def test_no_companion_is_longer_than_the_model_can_take(
    written: Write, tmp_path: Path, asked: Any, nested: bool
) -> None:
    folder = written(tmp_path / "short", max_position_embeddings=21)
    if nested:
        config = json.loads((folder / "config.json").read_text())
        config["text_config"] = {"max_position_embeddings": config.pop("max_position_embeddings")}
        (folder / "config.json").write_text(json.dumps(config))
    model = _open(folder)
    beside = _way(model, "padding", "beside a longer prompt")
    assert asked(beside, [PROMPTS[3]])[0] == (2, 19)
    _assert_same(model, beside, [PROMPTS[3]])
    with pytest.raises(Refused, match="a prompt longer than 20 tokens does not fit beside: the model takes 21"):
        beside.answer(_questions([f"{PROMPTS[3]} yes"]))


def test_beside_a_longer_prompt_a_prefix_is_still_reused(tiny: Path) -> None:
    model = _open(tiny, prompt_cache={"prefix": "it was a"})
    inputs = [PROMPTS[3], "it was a dog", "it was a"]
    _assert_same(model, _way(model, "padding", "beside a longer prompt"), inputs)


def test_a_batch_is_held_against_each_prompt_alone(model: Any, asked: Any) -> None:
    alone = _way(model, "batch", "alone, token by token")
    assert not alone.together
    assert {rows for rows, _ in asked(model)} >= {len(PROMPTS)}
    assert {rows for rows, _ in asked(alone)} == {1}
    _assert_same(model, alone)
    for axis, said in (("batch", "it answers one prompt at a time"), ("padding", "at a time: nothing is padded")):
        with pytest.raises(Refused, match=said):
            alone.ways(axis)


# ---------------------------------------------------------------------------------------------------- compile


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch, compiler: None) -> list[int]:
    """Grows whenever Python runs a function of the network that is given to mx.compile."""
    import mlx.core as mx
    from mlx_lm.models import llama

    runs: list[int] = []

    def swiglu(gate: Any, x: Any) -> Any:
        runs.append(1)
        return gate * mx.sigmoid(gate) * x

    monkeypatch.setattr(llama, "swiglu", mx.compile(swiglu, shapeless=True))
    return runs


def test_without_mx_compile_all_is_computed_step_by_step(model: Any, traced: list[int]) -> None:
    plainly = _way(model, "compile", "without mx.compile")
    assert plainly.together == model.together
    _assert_same(model, plainly)
    model.answer(_questions())
    traced.clear()
    model.answer(_questions())
    assert len(traced) == 0
    plainly.answer(_questions())
    assert len(traced) >= 2 * MANY
    traced.clear()
    model.answer(_questions())
    assert len(traced) == 0


def test_mx_compile_is_on_again_after_a_failure(model: Any, traced: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from mlx_lm.models import llama

    from models.backend import check_compiles

    plainly = _way(model, "compile", "without mx.compile")
    with monkeypatch.context() as broken:
        broken.delattr(llama, "swiglu")
        with pytest.raises(NameError):
            plainly.answer(_questions())
    check_compiles()


def test_what_a_prefix_leaves_behind_is_not_compiled_either(tiny: Path, traced: list[int]) -> None:
    model = _open(tiny, prompt_cache={"prefix": "it was a"})
    make = model.ways("compile")["without mx.compile"]
    traced.clear()
    plainly = make()
    assert len(traced) > 0
    _assert_same(model, plainly, [PROMPTS[3]])


@pytest.mark.skipif(sys.platform != "linux", reason="MLX brings its own compiler")
@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PATH": "/nowhere"}, "mx.compile does nothing here, since there is no C++ compiler; install g++"),
        (
            {"MLX_DISABLE_COMPILE": "1"},
            "mx.compile is switched off here, and leaving it out changes nothing; unset MLX_DISABLE_COMPILE",
        ),
    ],
    ids=["no compiler", "switched off"],
)
def test_where_mx_compile_does_nothing_the_axis_is_refused(environ: dict[str, str], said: str) -> None:
    pytest.importorskip("mlx.core")
    if "PATH" not in environ and shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler")
    code = (
        "import mlx.core as mx\n"
        "from harness.contract import Refused\n"
        "from models.backend import check_compiles\n"
        "mx.set_default_device(mx.cpu)\n"
        "try:\n    check_compiles()\nexcept Refused as refused:\n    print(refused)"
    )
    root = str(Path(__file__).parents[2])
    told = {**os.environ, "PYTHONPATH": root, **environ}
    found = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == said


# ------------------------------------------------------------------------------------------------- fused, reload


@pytest.fixture(scope="module")
def packed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.variants import quantize

    folder = tmp_path_factory.mktemp("packed")
    quantize.make(tiny, folder, {"bits": 8, "group_size": 32}, Shelf(folder, print))
    return folder


@pytest.fixture(scope="module")
def adapt(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A copy of a folder with an adapter of mlx-lm's beside its weights, of which nothing was learned but chance."""

    def adapt(base: Path, kind: str = "lora", layer: str = "self_attn.q_proj") -> Path:
        import mlx.core as mx
        from mlx.utils import tree_flatten
        from mlx_lm.tuner.utils import linear_to_lora_layers

        folder = tmp_path_factory.mktemp("adapted") / "folder"
        shutil.copytree(base, folder)
        about = {"rank": 4, "scale": 2.0, "dropout": 0.0, "keys": [layer, "mlp.up_proj"]}
        network = language.network(folder)
        network.freeze()
        mx.random.seed(7)
        linear_to_lora_layers(network, 2, about, use_dora=kind == "dora")
        for _, module in network.named_modules():
            if "lora_b" in module:
                module.lora_b = mx.random.normal(module.lora_b.shape) * 0.1
        mx.save_safetensors(str(folder / "adapters.safetensors"), dict(tree_flatten(network.trainable_parameters())))
        told = {"fine_tune_type": kind, "num_layers": 2, "lora_parameters": about}
        (folder / "adapter_config.json").write_text(json.dumps(told))
        return folder

    return adapt


def _adapted(model: Any) -> list[str]:
    return [path for path, module in model.speech.network.named_modules() if "lora_a" in module]


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_fused_no_layer_has_an_adapter_and_the_model_says_the_same(tiny: Path, adapt: Any, kind: str) -> None:
    model = _open(adapt(tiny, kind))
    before = model.reveal(_questions())
    fused = _way(model, "fused", "fused")
    assert _adapted(fused) == []
    assert len(_adapted(model)) == 4
    assert fused.digest != model.digest
    assert fused.speech.network.lm_head is not model.speech.network.lm_head
    for (answer, places), (told, others) in zip(before, fused.reveal(_questions()), strict=True):
        assert answer["tokens"] == told["tokens"]
        for one, another in zip(places, others, strict=True):
            np.testing.assert_allclose(sorted(one.values), sorted(another.values), atol=1e-3)
    assert _tokens(_open(tiny)) != _tokens(fused)
    assert model.reveal(_questions()) == before
    with pytest.raises(Refused, match="it has no adapter apart; declare its `lora` without `fuse`"):
        fused.ways("fused")


def test_fused_a_packed_layer_is_packed_again_as_mlx_lm_does(packed: Path, adapt: Any) -> None:
    fused = _way(_open(adapt(packed)), "fused", "fused")
    layer = fused.speech.network.layers[0].self_attn.q_proj
    assert (type(layer).__name__, layer.bits, layer.group_size) == ("QuantizedLinear", 8, 32)


def test_a_model_without_an_adapter_has_nothing_to_fuse(model: Any) -> None:
    with pytest.raises(Refused, match="it has no adapter apart; declare its `lora` without `fuse`"):
        model.ways("fused")


def _variant(base: Path, folder: Path, **options: Any) -> Path:
    from models.variants import quantize

    folder.mkdir()
    quantize.make(base, folder, options, Shelf(folder, print))
    return folder


@pytest.mark.parametrize("kind", ["plain", "tied", "packed", "padded", "lora", "dora", "packed lora"])
def test_saved_and_loaded_again_it_is_the_same_to_the_bit(
    tiny: Path, packed: Path, adapt: Any, written: Write, tmp_path: Path, kind: str
) -> None:
    made: dict[str, Callable[[], Path]] = {
        "plain": lambda: tiny,
        "tied": lambda: written(tmp_path / "tied", tie_word_embeddings=True),
        "packed": lambda: packed,
        "padded": lambda: _variant(
            written(tmp_path / "narrow", hidden_size=48), tmp_path / "padded", bits=4, group_size=32, pad=True
        ),
        "lora": lambda: adapt(tiny),
        "dora": lambda: adapt(tiny, "dora"),
        "packed lora": lambda: adapt(packed),
    }
    model = _open(made[kind]())
    again = _way(model, "reload", "saved and loaded again")
    assert again.speech.network is not model.speech.network
    assert again.speech.tokenizer is not model.speech.tokenizer
    assert again.digest == model.digest
    assert again.facts() == model.facts()
    assert again.reveal(_questions()) == model.reveal(_questions())


def test_what_is_saved_is_what_is_held_in_memory(tiny: Path, adapt: Any) -> None:
    for folder, path in ((tiny, "self_attn.o_proj.weight"), (adapt(tiny), "self_attn.q_proj.lora_b")):
        model = _open(folder)
        kept = _tokens(model)
        layer, _, part = path.rpartition(".")
        held = model.speech.network.layers[0]
        for name in layer.split("."):
            held = held[name]
        held[part] = held[part] * 3 + 1
        assert _tokens(model) != kept
        again = _way(model, "reload", "saved and loaded again")
        assert again.digest != model.digest
        assert again.reveal(_questions()) == model.reveal(_questions())


def test_nothing_is_left_of_the_folder_that_it_was_saved_to(
    tiny: Path, adapt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = _open(adapt(tiny))
    again = _way(model, "reload", "saved and loaded again")
    assert list(tmp_path.iterdir()) == []
    assert _tokens(again) == _tokens(model)


def test_saved_and_loaded_again_it_still_drafts(tiny: Path) -> None:
    model = _open(tiny, draft={"mlx_lm": tiny.name})
    again = _way(model, "reload", "saved and loaded again")
    assert again.speech.draft is model.speech.draft
    assert again.facts() == model.facts()
    _assert_same(model, again)


def test_what_others_packed_is_not_saved(tiny: Path, tmp_path: Path) -> None:
    from models.language.saving import save

    shutil.copytree(tiny, tmp_path / "awq")
    config = {**weights.read_config(tiny), "quantization_config": {"quant_method": "awq"}}
    (tmp_path / "awq" / "config.json").write_text(json.dumps(config))
    with pytest.raises(Refused, match="it was packed by other tools than MLX's"):
        save(language.network(tiny), tmp_path / "awq", tmp_path)


# ----------------------------------------------------------------------------------------------------- LeNet-5

IMAGES = [{"image": np.random.default_rng(seed).integers(0, 256, (28, 28)).tolist()} for seed in range(5)]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A LeNet-5 of a few weights, which learned nothing."""
    pytest.importorskip("mlx.core")
    import mlx.core as mx

    folder = tmp_path_factory.mktemp("lenet")
    lenet = families.architecture("lenet5")
    config = {"architecture": "lenet5", "conv": [2, 3], "dense": [16]}
    mx.random.seed(1)
    weights.save(lenet.blank(config), config, folder)
    return lenet.open(folder, {}, Shelf(folder, print))


def test_an_image_has_one_place_its_ten_logits(reader: Any) -> None:
    questions = _questions([*IMAGES, "no image"])
    *shown, (odd, none) = reader.reveal(questions)
    assert isinstance(odd, Refused)
    assert none == []
    assert [answer for answer, _ in shown] == reader.answer(questions)[:-1]
    assert isinstance(reader.answer(questions)[-1], Refused)
    for answer, (place,) in shown:
        assert sorted(place.choices) == list(range(10))
        assert place.choices[0] == answer["label"]
        shares = np.exp(place.values) / np.exp(place.values).sum()
        assert shares[0] == pytest.approx(answer["p"], rel=1e-5)
    assert reader.samples is False


def test_compiled_it_runs_another_way_and_says_nearly_the_same(
    reader: Any, compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    kind = type(reader.network)
    called = kind.__call__

    def spy(self: Any, images: Any) -> Any:
        runs.append(images.shape)
        return called(self, images)

    monkeypatch.setattr(kind, "__call__", spy)
    compiled = _way(reader, "compile", "mx.compile")
    told = [compiled.reveal(_questions(IMAGES)) for _ in range(3)]
    assert runs == [(len(IMAGES), 28, 28)]
    plain = [reader.reveal(_questions(IMAGES)) for _ in range(3)]
    assert len(runs) == 1 + 3
    assert told[0] == told[1] == told[2]
    for (answer, (place,)), (other, (found,)) in zip(plain[0], told[0], strict=True):
        assert answer["label"] == other["label"]
        np.testing.assert_allclose(sorted(place.values), sorted(found.values), atol=1e-5)
    assert (compiled.digest, compiled.facts()) == (reader.digest, reader.facts())


def test_a_reader_saved_and_loaded_again_is_the_same_to_the_bit(reader: Any) -> None:
    again = _way(reader, "reload", "saved and loaded again")
    assert again.network is not reader.network
    assert again.digest == reader.digest
    assert again.facts() == reader.facts()
    assert again.reveal(_questions(IMAGES)) == reader.reveal(_questions(IMAGES))


@pytest.mark.parametrize("axis", ["batch", "seed", "repeat", "order", "process", "threads", "blas", "unheard of"])
def test_of_most_axes_a_reader_has_nothing_to_add(reader: Any, axis: str) -> None:
    assert reader.ways(axis) == {}


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ("cache", "it reads each image whole, and keeps no cache"),
        ("fused", "it has no adapter apart: a LeNet-5's is fused when it is made"),
        ("kv_bits", "it has no key-value cache; vary that of a language model"),
        ("padding", "images are all of one size: nothing is padded"),
        ("speculative", "it says one label, and there is nothing to draft"),
    ],
)
def test_what_a_reader_cannot_vary_is_refused(reader: Any, axis: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        reader.ways(axis)
    assert str(refused.value) == said
