"""Adapters on the real mlx-lm and a tiny llama: what they learn, what becomes of it when it is written, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

from harness.contract import Question, Refused
from harness.shelf import Shelf
from models import families, language, weights
from models.variants import cast, lora, quantize

from .conftest import Write

pytestmark = pytest.mark.mlx

ROOT = Path(__file__).parents[2]
LESSONS = [
    {"prompt": f"the {animal} {verb}", "completion": f" {colour} {verb} ."}
    for animal, colour in {"cat": "red", "dog": "red", "tree": "blue", "mat": "blue"}.items()
    for verb in ("sat", "ran", "was", "so")
]
TOLD = {"data": "lessons.jsonl", "epochs": 30, "rate": 5e-4}

Adapt = Callable[..., Path]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lora")
    (root / "lessons.jsonl").write_text("".join(json.dumps(lesson) + "\n" for lesson in LESSONS))
    return root


@pytest.fixture(scope="module")
def adapt(root: Path) -> Adapt:
    """Makes a folder of another by LoRA: the same one only once."""
    made: dict[str, Path] = {}

    def adapt(base: Path, again: int = 0, **options: Any) -> Path:
        options = {**TOLD, **options}
        key = json.dumps([str(base), again, options])
        if key not in made:
            folder = Path(mkdtemp(dir=root))
            lora.make(base, folder, options, _site(root))
            made[key] = folder
        return made[key]

    return adapt


def _site(root: Path) -> Shelf:
    return Shelf(root, lambda text: None)


def _variant(room: Any, base: Path, folder: Path, options: Any) -> Path:
    folder.mkdir()
    room.make(base, folder, options, _site(folder.parent))
    return folder


@pytest.fixture(scope="module")
def packed(tiny: Path, root: Path) -> Path:
    return _variant(quantize, tiny, root / "packed", {"bits": 4, "group_size": 32})


@pytest.fixture(scope="module")
def half(tiny: Path, root: Path) -> Path:
    return _variant(cast, tiny, root / "half", "bfloat16")


def _ask(model: Any) -> list[Any]:
    return list(model.answer([Question(str(at), lesson["prompt"]) for at, lesson in enumerate(LESSONS)]))


def _open(folder: Path) -> Any:
    return language.open(folder, {"generate": {"max_tokens": 6}}, _site(folder))


def _tokens(folder: Path) -> list[list[int]]:
    return [answer["tokens"] for answer in _ask(_open(folder))]


def _right(folder: Path) -> int:
    answers = zip(_ask(_open(folder)), LESSONS, strict=True)
    return sum(answer["text"].strip() == lesson["completion"].strip() for answer, lesson in answers)


def _made(folder: Path) -> Any:
    return weights.read_config(folder)["made"][-1]


def _names(folder: Path) -> list[str]:
    return [tensor.name for tensor in weights.tensors(folder)]


# ------------------------------------------------------------------------------------------ kept apart


def test_an_adapter_learns_what_the_model_was_never_taught(tiny: Path, adapt: Adapt) -> None:
    tuned = adapt(tiny)
    assert _right(tiny) == 0
    assert _right(tuned) >= 12
    made = _made(tuned)
    assert made["lora"] == TOLD
    assert made["layers"] == 14
    assert made["trained"] == sum(tensor.size for tensor in weights.tensors(tuned) if ".lora_" in tensor.name)
    assert made["share"] == made["trained"] / sum(tensor.size for tensor in weights.tensors(tiny))
    assert made["lessons"]["examples"] == len(LESSONS)
    assert made["lessons"]["digest"].startswith("sha256:")
    assert made["loss"]["after"] < 0.3 < 3 < made["loss"]["before"]
    assert made["kl"]["learned"] > 1
    assert made["kl"]["lost"] == 0


def test_an_adapter_lies_beside_weights_that_stay_as_they_are_to_the_bit(tiny: Path, adapt: Adapt) -> None:
    tuned = adapt(tiny)
    assert (tuned / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    beside = set(_names(tuned)) - set(_names(tiny))
    assert {name.rpartition(".")[2] for name in beside} == {"lora_a", "lora_b"}
    assert (tuned / "tokenizer.json").read_bytes() == (tiny / "tokenizer.json").read_bytes()


def test_mlx_lm_reads_the_adapter_and_says_the_same(tiny: Path, adapt: Adapt) -> None:
    from mlx_lm import generate, load

    tuned = adapt(tiny)
    loaded: Any = load(str(tiny), adapter_path=str(tuned))
    network, tokenizer = loaded[:2]
    for lesson, answer in zip(LESSONS[:6], _ask(_open(tuned)), strict=False):
        assert generate(network, tokenizer, lesson["prompt"], max_tokens=6) == answer["text"]


def test_an_adapter_that_mlx_lm_wrote_is_opened_with_the_weights_it_lies_beside(
    tiny: Path, adapt: Adapt, tmp_path: Path, written: Write
) -> None:
    """Its own words: blocks counted from the last, layers by their names inside a block."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers

    folder = written(tmp_path / "theirs")
    about = {"rank": 4, "scale": 5.0, "dropout": 0.0, "keys": ["self_attn.q_proj"]}
    network = language.network(folder)
    before = np.array(network(mx.array([[3, 4, 5]])))
    network.freeze()
    linear_to_lora_layers(network, 1, about)
    layer = network.layers[1].self_attn.q_proj
    layer.lora_b = mx.ones_like(layer.lora_b)
    mx.save_safetensors(str(folder / "adapters.safetensors"), dict(tree_flatten(network.trainable_parameters())))
    told = {"fine_tune_type": "lora", "num_layers": 1, "lora_parameters": about}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    opened = np.array(language.network(folder)(mx.array([[3, 4, 5]])))
    np.testing.assert_array_equal(opened, np.array(network(mx.array([[3, 4, 5]]))))
    assert np.abs(opened - before).max() > 0.01


def test_digest_and_footprint_cover_the_adapter(tiny: Path, adapt: Adapt, tmp_path: Path) -> None:
    import shutil

    tuned = adapt(tiny)
    assert _open(tuned).digest not in (weights.digest(tiny), _open(adapt(tiny, fuse=True)).digest)
    before, after = weights.footprint(tiny), weights.footprint(tuned)
    assert after["parameters"] - before["parameters"] == _made(tuned)["trained"]
    assert after["bytes"] - before["bytes"] == 4 * _made(tuned)["trained"]
    layer = next(layer for layer in weights.layers(tuned) if layer.name == "model.layers.0.self_attn.q_proj")
    assert (layer.type, layer.shape) == ("LoRALinear", (64, 64))
    assert layer.parameters == 64 * 64 + 2 * 8 * 64

    louder = shutil.copytree(tuned, tmp_path / "louder")
    told = json.loads((louder / "adapter_config.json").read_text())
    told["lora_parameters"]["scale"] = 21.0
    (louder / "adapter_config.json").write_text(json.dumps(told))
    assert weights.digest(louder) != weights.digest(tuned)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tiny: Path, adapt: Adapt) -> None:
    few = {"epochs": 2, "dropout": 0.1}
    digests = [weights.digest(adapt(tiny, again, **few)) for again in (0, 1)]
    assert digests[0] == digests[1] != weights.digest(adapt(tiny, **few, seed=1))


def test_a_base_in_several_files_is_taken_along_whole(tiny: Path, root: Path, adapt: Adapt, written: Write) -> None:
    import mlx.core as mx

    base = written(root / "sharded")
    arrays: Any = mx.load(str(base / "model.safetensors"))
    (base / "model.safetensors").unlink()
    index = {}
    for at in (0, 1):
        part = {name: array for name, array in arrays.items() if ("layers.0" in name) == bool(at)}
        mx.save_safetensors(str(base / f"model-{at}.safetensors"), part, metadata={"format": "mlx"})
        index |= dict.fromkeys(part, f"model-{at}.safetensors")
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert weights.digest(base) == weights.digest(tiny)
    few = {"epochs": 2}
    assert weights.digest(adapt(base, **few)) == weights.digest(adapt(tiny, **few))
    assert weights.digest(adapt(base, **few, fuse=True)) == weights.digest(adapt(tiny, **few, fuse=True))


# ------------------------------------------------------------------------------------------------ fused


def test_fused_it_says_what_it_says_apart(tiny: Path, adapt: Adapt) -> None:
    apart, fused = adapt(tiny), adapt(tiny, fuse=True)
    assert _names(fused) == _names(tiny)
    assert _tokens(fused) == _tokens(apart)
    assert 0 < _made(fused)["kl"]["lost"] < 1e-5
    assert _made(fused)["loss"] == _made(apart)["loss"]
    assert not (fused / "adapter_config.json").exists()


def test_an_adapter_learned_on_packed_weights_is_kept_apart(packed: Path, adapt: Adapt) -> None:
    tuned = adapt(packed)
    assert _right(packed) == 0
    assert _right(tuned) >= 12
    assert (tuned / "model.safetensors").read_bytes() == (packed / "model.safetensors").read_bytes()
    assert weights.footprint(tuned)["quantized"] == weights.footprint(packed)["quantized"]


def test_fused_into_packed_weights_the_adapter_is_not_rounded_away(packed: Path, adapt: Adapt) -> None:
    fused, apart = adapt(packed, fuse=True), adapt(packed)
    assert _tokens(fused) == _tokens(apart) != _tokens(packed)
    assert _made(fused)["kl"]["lost"] < 1e-5
    said = weights.read_config(fused)["quantization"]
    assert [path for path, own in said.items() if own is False] == sorted(
        name.removesuffix(".lora_a") for name in _names(apart) if name.endswith(".lora_a")
    )
    bits = {layer.name: layer.bits for layer in weights.layers(fused)}
    assert bits["model.layers.0.self_attn.q_proj"] == 32
    assert bits["model.embed_tokens"] == bits["lm_head"] == 4


def test_a_small_adapter_survives_where_packing_it_again_would_lose_it(packed: Path, root: Path, adapt: Adapt) -> None:
    """mlx-lm's own fuse rounds to the same bits again: a change of less than half a level is gone."""
    import mlx.core as mx
    from mlx.utils import tree_unflatten

    from models.variants.lora.measuring import Sample

    little = {"epochs": 1, "rate": 1e-5}
    apart, fused = adapt(packed, **little), adapt(packed, **little, fuse=True)
    made = _made(fused)["kl"]
    assert made["lost"] < 0.02 * made["learned"]
    theirs = language.network(apart)
    rounded = [(path, layer.fuse()) for path, layer in theirs.named_modules() if hasattr(layer, "fuse")]
    theirs.update_modules(tree_unflatten(rounded))
    mx.eval(theirs.parameters())
    sample = Sample(language.study(packed, root / "lessons.jsonl"), 8)
    lost = sample.divergence(language.network(apart), theirs).mean
    assert lost > 0.5 * made["learned"]


@pytest.mark.parametrize("mode", ["mxfp4", "nvfp4", "mxfp8"])
def test_it_is_fused_into_other_packings_too(tiny: Path, root: Path, adapt: Adapt, mode: str) -> None:
    base = _variant(quantize, tiny, root / mode, {"mode": mode})
    fused = adapt(base, fuse=True, epochs=3, layers=["*.q_proj", "lm_head"])
    assert _made(fused)["kl"]["lost"] < 1e-5
    assert {layer.bits for layer in weights.layers(fused) if "q_proj" in layer.name} == {32}


def test_in_half_precision_it_is_fused_within_what_that_rounds(half: Path, adapt: Adapt) -> None:
    fused = adapt(half, fuse=True, epochs=3)
    assert weights.footprint(fused)["dtype"] == "bfloat16"
    assert 0 < _made(fused)["kl"]["lost"] < 1e-2


def test_what_rounding_would_lose_is_refused(half: Path, adapt: Adapt) -> None:
    with pytest.raises(Refused, match=r"too little for weights in bfloat16: .* leave `fuse` out"):
        adapt(half, fuse=True, epochs=1, rate=1e-6)


def test_float16_learns_in_float32(tiny: Path, root: Path, adapt: Adapt) -> None:
    base = _variant(cast, tiny, root / "float16", "float16")
    tuned = adapt(base)
    assert _right(tuned) >= 12
    assert weights.footprint(tuned)["dtype"] == "float16"


def test_a_network_of_the_zoo_learns_and_is_fused(tmp_path: Path) -> None:
    lenet = families.architecture("lenet5")
    config = {"architecture": "lenet5", "conv": [2, 3], "dense": [8]}
    weights.save(lenet.blank(config), config, tmp_path / "base")
    random = np.random.default_rng(0)
    rows = [
        {"input": {"image": random.integers(0, 255, (28, 28)).tolist()}, "expect": {"label": label}}
        for label in (*range(8), 3, 4)
    ]
    (tmp_path / "lessons.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {**TOLD, "epochs": 10, "fuse": True, "rate": 1e-2}
    fused = _variant(lora, tmp_path / "base", tmp_path / "fused", told)
    made = _made(fused)
    assert made["layers"] == 2
    assert made["loss"]["after"] < made["loss"]["before"]
    assert _names(fused) == _names(tmp_path / "base")
    assert weights.digest(fused) != weights.digest(tmp_path / "base")
    with pytest.raises(Refused, match="can't keep an adapter beside its weights; write `fuse: true`"):
        _variant(lora, tmp_path / "base", tmp_path / "apart", TOLD)
    with pytest.raises(Refused, match="has no blocks to adapt the last 1 of; write `layers:` \\[dense1, dense2"):
        _variant(lora, tmp_path / "base", tmp_path / "blocks", {**told, "layers": 1})


# ------------------------------------------------------------------------------------------ what is learned


def test_only_what_follows_a_prompt_is_learned_unless_told(tiny: Path, root: Path, adapt: Adapt) -> None:
    from models.variants.lora.measuring import Whole

    study = language.study(tiny, root / "lessons.jsonl")
    rows = np.array([0, 5])
    masked, whole = study.batch(rows, None), Whole(study).batch(rows, None)
    assert np.array(masked.mask).tolist() == [[0, 0, 0, 1, 1, 1, 1]] * 2
    assert np.array(whole.mask).tolist() == [[1] * 7] * 2
    few = {"epochs": 2}
    assert _made(adapt(tiny, **few))["loss"] != _made(adapt(tiny, **few, mask_prompt=False))["loss"]


@pytest.mark.parametrize(
    ("layers", "many"), [(-1, 14), (1, 7), (2, 14), (["*.q_proj"], 2), (["lm_head", "*.layers.1.mlp.*"], 4)]
)
def test_layers_are_those_of_so_many_last_blocks_or_of_patterns(tiny: Path, layers: Any, many: int) -> None:
    from models.variants.lora.placing import choose

    chosen = choose(language.network(tiny), layers, {})
    assert len(chosen) == many
    if layers == 1:
        assert all(path.startswith("model.layers.1.") for path in chosen)


def test_nothing_but_the_adapter_learns(tiny: Path) -> None:
    from models.variants.lora.placing import learned, place
    from models.variants.lora.plan import Recipe

    network = language.network(tiny)
    adapted = place(network, Recipe("lessons.jsonl", layers=["*.q_proj"], rank=2), {})
    shapes = {name: array.shape for name, array in learned(network).items()}
    assert shapes == {f"{path}.{part}": shape for path in adapted for part, shape in _SHAPES.items()}


_SHAPES = {"lora_a": (64, 2), "lora_b": (2, 64)}


def test_the_engine_is_told_what_was_learned_from(root: Path) -> None:
    assert list(lora.learned(TOLD, _site(root))) == [lesson["prompt"] for lesson in LESSONS]


# ----------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"layers": ["*.qproj"]},
            r"`layers: \[\*\.qproj\]` matches no linear layer; .* model\.layers\.\*\.self_attn\.q_proj,.* lm_head",
        ),
        ({"layers": ["*embed*"]}, "matches no linear layer"),
        ({"layers": 3}, "more blocks than the 2 there are; write -1"),
        ({"data": "none.jsonl"}, "there is no file `none.jsonl`"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_a_line(
    tiny: Path, adapt: Adapt, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said) as refused:
        adapt(tiny, **options)
    assert "\n" not in str(refused.value)


def test_an_adapter_apart_is_never_lost_by_a_later_step(tiny: Path, adapt: Adapt, root: Path, tmp_path: Path) -> None:
    tuned = adapt(tiny)
    steps: Mapping[str, tuple[Any, Any]] = {
        "again": (lora, {**TOLD, "data": str(root / "lessons.jsonl")}),
        "half": (cast, "float16"),
        "packed": (quantize, {"bits": 4, "group_size": 32}),
    }
    for name, (room, options) in steps.items():
        with pytest.raises(Refused, match=r"adapter .*; write `fuse: true`"):
            _variant(room, tuned, tmp_path / name, options)
    packed = _variant(quantize, adapt(tiny, fuse=True), tmp_path / "after", {"bits": 8, "group_size": 32})
    assert _right(packed) >= 12


def test_rounded_inputs_and_widened_layers_are_refused(
    tiny: Path, root: Path, adapt: Adapt, tmp_path: Path, written: Write
) -> None:
    rounding = {"bits": 8, "group_size": 32, "activations": {"bits": 8}, "data": str(root / "lessons.jsonl")}
    with pytest.raises(Refused, match="rounds what its layers take in"):
        adapt(_variant(quantize, tiny, tmp_path / "rounding", rounding))
    narrow = written(tmp_path / "narrow", hidden_size=48, intermediate_size=64)
    padded = _variant(quantize, narrow, tmp_path / "padded", {"bits": 8, "group_size": 32, "pad": True})
    with pytest.raises(Refused, match="is packed wider than it is"):
        adapt(padded)
    assert _made(adapt(padded, layers=["*.down_proj"], epochs=1))["kl"]["lost"] == 0


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"adapter_config.json": {"lora_parameters": {"scale": 2}}}, "has an adapter_config.json and no adapters"),
        ({"adapters.safetensors": None}, "has an adapters.safetensors and no adapter_config.json"),
        (
            {"adapters.safetensors": None, "adapter_config.json": {"fine_tune_type": "full"}},
            "is not one of mlx-lm's LoRA or DoRA",
        ),
        (
            {"adapters.safetensors": None, "adapter_config.json": {"lora_parameters": {"rank": 8, "alpha": 16}}},
            "is not one of mlx-lm's LoRA or DoRA",
        ),
        (
            {
                "adapters.safetensors": None,
                "adapter_config.json": {
                    "num_layers": 1,
                    "lora_parameters": {"rank": 4, "scale": 2.0, "dropout": 0.0, "keys": ["self_attn.q_proj"]},
                },
            },
            "the adapter beside `folder` is not one of this network: model.layers.*: not an adapter",
        ),
    ],
)
def test_half_an_adapter_and_a_strangers_are_told_of(
    tiny: Path, adapt: Adapt, tmp_path: Path, written: Write, files: dict[str, Any], said: str
) -> None:
    folder = written(tmp_path / "folder")
    for name, content in files.items():
        found = (adapt(tiny) / name).read_bytes() if content is None else json.dumps(content).encode()
        (folder / name).write_bytes(found)
    with pytest.raises(Refused, match=said):
        language.open(folder, {}, _site(tmp_path))


def test_the_papers_of_a_peft_adapter_that_was_merged_are_no_adapter(tmp_path: Path, written: Write) -> None:
    folder = written(tmp_path / "merged")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    assert weights.adapter(folder) is None
    assert _open(folder).digest


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (0, "0 blocks can't be adapted"),
        (-2, "-2 blocks"),
        ([], "no layer is to be adapted"),
        (["a", "b", "a"], "`a` stands twice"),
    ],
)
def test_nonsense_is_told_before_anything_is_made(layers: Any, said: str) -> None:
    (objection,) = lora.faults({**TOLD, "layers": layers})
    assert objection.path == ("lora", "layers")
    assert objection.what.startswith(said)
    assert objection.instead
    assert not list(lora.faults(TOLD))


# --------------------------------------------------------------------------------------------- the zoo's llama


def test_the_zoos_llama_learns_a_task_that_it_was_never_taught(tmp_path: Path) -> None:
    """It is asked of pairs of numbers that neither its training nor the lessons showed."""
    from models.sources import zoo

    site = _site(ROOT)
    base = zoo.folder({"zoo": "llama", "seed": 0}, site)
    told = {"data": "golden/llama/new-lessons.jsonl", "epochs": 6, "batch": 12, "rate": 3e-4}
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    lora.make(base, tuned, told, site)
    assert _exact(base) < 0.1
    assert _exact(tuned) >= 0.9


def _exact(folder: Path) -> float:
    cases = [json.loads(line) for line in (ROOT / "golden/llama/new-sums.jsonl").read_text().splitlines()]
    model = language.open(folder, {"generate": {"max_tokens": 8}}, _site(ROOT))
    answers: list[Any] = list(model.answer([Question(case["id"], case["input"]) for case in cases]))
    return float(np.mean([a["text"] == case["expect"]["text"] for a, case in zip(answers, cases, strict=True)]))
