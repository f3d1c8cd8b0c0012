"""Folders that must not be opened as language models, and what is said of each; the ways that make no sense."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from harness.contract import Question, Refused
from harness.shelf import Shelf
from models import language
from models.language import folder as folders

from .conftest import Write

pytestmark = pytest.mark.mlx


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A copy, to be spoiled."""
    return Path(shutil.copytree(tiny, tmp_path / "llama"))


def _config(folder: Path, **told: Any) -> None:
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **told}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def _python(folder: Path, name: str = "code.py") -> Path:
    """Python that leaves a trace where it runs."""
    trace = folder / "ran"
    (folder / name).write_text(f"open({str(trace)!r}, 'w').close()\nraise ImportError('it ran')\n")
    return trace


def _own_tokenizer(folder: Path, where: str) -> None:
    file = folder / "tokenizer_config.json"
    told = {**json.loads(file.read_text()), "tokenizer_class": "OurTokenizer"}
    file.write_text(json.dumps({**told, "auto_map": {"AutoTokenizer": [None, f"{where}code.OurTokenizer"]}}))


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"model.norm.weight": [1.0]}))


def _bin(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _shorten(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def _drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _put(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (shutil.rmtree, "is not a folder"),
    "no config": (_drop("config.json"), "has no config.json"),
    "broken config": (_put("config.json", '{"model_type": '), "config.json is not JSON"),
    "no type": (
        lambda folder: _config(folder, model_type=None),
        "the config.json of `llama` has no `model_type`; mlx-lm needs it to build the network",
    ),
    "python": (
        lambda folder: _config(folder, model_file="code.py"),
        "the config.json of `llama` names Python to run, `model_file: code.py`; give --allow-python if you trust it",
    ),
    "pickle": (_pickle, "model.safetensors is no safetensors file but a pickle"),
    "bin": (_bin, "only pytorch_model.bin: a pickle can run any code"),
    "short": (_shorten, "model.safetensors is cut short"),
    "no tokenizer": (_drop("tokenizer.json"), "`llama` has no tokenizer; put its tokenizer.json beside the weights"),
}
"""What the headers tell."""

BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "unknown type": (lambda folder: _config(folder, model_type="lama"), r"mlx-lm \S+ has no model of the type `lama`"),
    "no model": (lambda folder: _config(folder, model_type="cache"), r"mlx-lm \S+ has no model of the type `cache`"),
    "a width missing": (
        lambda folder: _config(folder, hidden_size=None),
        "mlx-lm can't build the network of `llama`: .*'hidden_size'",
    ),
    "another width": (
        lambda folder: _config(folder, intermediate_size=65),
        r"mlx-lm can't build the network of `llama`: Expected shape \(65, 64\)",
    ),
    "a layer missing": (
        lambda folder: _config(folder, num_hidden_layers=3),
        "mlx-lm can't build the network of `llama`: Missing 9 parameters",
    ),
    "broken tokenizer": (_put("tokenizer.json", "{"), "the tokenizer of `llama` can't be opened: "),
    "tokenizer of its own": (
        lambda folder: _own_tokenizer(folder, ""),
        "the tokenizer of `llama` needs Python of its own; give --allow-python if you trust it",
    ),
    "tokenizer from elsewhere": (
        lambda folder: _own_tokenizer(folder, "somebody/else--"),
        "the tokenizer of `llama` needs Python of its own; give --allow-python if you trust it",
    ),
}
"""What mlx-lm finds when it opens the folder."""


@pytest.mark.parametrize("spoil", SPOILT)
def test_what_the_headers_tell_is_refused_before_anything_is_opened(folder: Path, spoil: str) -> None:
    do, said = SPOILT[spoil]
    trace = _python(folder)
    do(folder)
    for attempt in (folders.check, lambda path: language.open(path, {}), language.network):
        with pytest.raises(Refused, match=re.escape(said)):
            attempt(folder)
    assert not trace.exists()


@pytest.mark.parametrize("spoil", BROKEN)
def test_what_mlx_lm_can_not_open_is_refused_in_a_line(folder: Path, spoil: str) -> None:
    do, said = BROKEN[spoil]
    trace = _python(folder)
    do(folder)
    with pytest.raises(Refused, match=said) as refused:
        language.open(folder, {})
    assert "\n" not in str(refused.value)
    assert not trace.exists()


def test_python_in_a_folder_runs_where_the_user_trusts_it(folder: Path, tiny: Path) -> None:
    (folder / "code.py").write_text("from mlx_lm.models.llama import Model, ModelArgs\n")
    _config(folder, model_file="code.py", model_type="ours")
    trusting = language.open(folder, {}, Shelf(folder, print, trusted=True))
    question = [Question("q", "the cat sat on")]
    assert trusting.answer(question) == language.open(tiny, {}).answer(question)


# --------------------------------------------------------------------------------------------- the way


@pytest.mark.parametrize(
    ("generate", "at", "said"),
    [
        ({"top_p": 0.9}, "top_p", "`top_p` does nothing without `temperature`; give `temperature` above 0, or drop"),
        ({"top_k": 9, "temperature": 0}, "top_k", "`top_k` does nothing without `temperature`; give `temperature`"),
        ({"min_p": 0.1}, "min_p", "`min_p` does nothing without `temperature`"),
        ({"kv_group_size": 32}, "kv_group_size", "`kv_group_size` does nothing without `kv_bits`; give `kv_bits`, or"),
        ({"draft_tokens": 2}, "draft_tokens", "`draft_tokens` does nothing without `draft`; give `draft`, or drop"),
        ({"system": "a", "chat": False}, "system", "`system` does nothing where `chat` is false; drop one of them"),
        ({"prompt_cache": {}}, "prompt_cache", "nothing says what prompts begin with; write `prefix:`, or give `sys"),
    ],
)
def test_keys_that_do_nothing_are_objected_to(tiny: Path, generate: dict[str, Any], at: str, said: str) -> None:
    (objection,) = language.faults(generate)
    assert objection.path == ("generate", at)
    assert f"{objection.what}; {objection.instead}".startswith(said)
    with pytest.raises(Refused, match=re.escape(said)):
        language.open(tiny, {"generate": generate})


@pytest.mark.parametrize(
    "generate",
    [
        {"max_tokens": 0},
        {"temperature": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"stop": "x"},
        {"stop": [""]},
        {"chat": "yes"},
        {"kv_bits": 3},
        {"prompt_cache": {"prefix": ""}},
        {"logprobs": 3},
        {"max_token": 3},
    ],
)
def test_a_way_that_is_none_does_not_fit_the_schema(generate: dict[str, Any]) -> None:
    schema = Draft202012Validator(language.GENERATE)
    schema.validate({"max_tokens": 8, "chat": "auto", "stop": ["x"], "prompt_cache": {"prefix": "x"}, "kv_bits": 4})
    with pytest.raises(ValidationError):
        schema.validate(generate)


def test_every_part_of_the_schema_says_what_it_is() -> None:
    def parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
        return [schema, *(part for inner in schema.get("properties", {}).values() for part in parts(inner))]

    assert all(part["description"] for part in parts(language.GENERATE))
    Draft202012Validator.check_schema(language.GENERATE)


# ------------------------------------------------------------------------------------------ the family


def test_a_blank_network_has_the_shape_of_its_config_and_weights_of_its_own(tiny: Path) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    config = json.loads((tiny / "config.json").read_text())
    mx.random.seed(1)
    fresh, held = (dict(tree_flatten(each.parameters())) for each in (language.blank(config), language.network(tiny)))
    assert {path: value.shape for path, value in fresh.items()} == {path: value.shape for path, value in held.items()}
    assert not mx.array_equal(fresh["lm_head.weight"], held["lm_head.weight"])
    with pytest.raises(Refused, match=r"has no model of the type `lama`"):
        language.blank({**config, "model_type": "lama"})
    with pytest.raises(Refused, match=r"mlx-lm can't build a `llama` of this config: .*hidden_size"):
        language.blank({"model_type": "llama"})


def test_a_network_is_narrowed_where_all_its_layers_are(tiny: Path) -> None:
    import mlx.core as mx

    config = json.loads((tiny / "config.json").read_text())
    network = language.network(tiny)
    found = language.channels(network)
    assert [channels.name for channels in found] == ["model.layers.0.mlp", "model.layers.1.mlp"]
    assert len({channels.together for channels in found}) == 1
    assert language.narrowed(config, network) == config
    leaves = dict(network.named_modules())
    for at, channels in enumerate(found):
        for path in channels.producers:
            leaves[path].weight = leaves[path].weight[:40]
        leaves[channels.consumer].weight = leaves[channels.consumer].weight[:, :40]
        if at == 0:
            with pytest.raises(Refused, match="a `llama` can't be narrowed"):
                language.narrowed(config, network)
    narrow = language.narrowed(config, network)
    assert narrow == {**config, "intermediate_size": 40}
    network.apply(lambda value: value.astype(mx.float32))
    assert network(mx.array([[1, 2, 3]])).shape == (1, 3, config["vocab_size"])
    assert language.blank(narrow).layers[0].mlp.up_proj.weight.shape == (40, 64)


def test_a_quantized_folder_answers_as_mlx_lm_has_it(tiny: Path, tmp_path: Path) -> None:
    from mlx_lm import convert, generate, load

    convert(str(tiny), str(tmp_path / "four"), quantize=True, q_bits=4, q_group_size=32)
    model = language.open(tmp_path / "four", {"generate": {"max_tokens": 8}})
    (answer,) = model.answer([Question("q", "the cat sat on")])
    network, tokenizer = load(str(tmp_path / "four"))[:2]
    assert answer["text"] == generate(network, tokenizer, "the cat sat on", max_tokens=8)
    assert language.channels(network) == []
    assert model.facts()["weights"]["quantized"][0]["bits"] == 4


def test_layers_that_only_our_quantizer_packs_are_rebuilt(tmp_path: Path, written: Write) -> None:
    from models.variants import quantize

    base, folder = written(tmp_path / "base", intermediate_size=72), tmp_path / "packed"
    quantize.make(base, folder, {"bits": 8, "group_size": 32, "pad": True}, Shelf(tmp_path, lambda text: None))
    assert "padded" in json.loads((folder / "config.json").read_text())
    before, after = (language.open(path, {"generate": {"max_tokens": 8}}) for path in (base, folder))
    question = [Question("q", "the cat sat on")]
    (one,), (other,) = before.answer(question), after.answer(question)
    assert other["logprobs"][0] == pytest.approx(one["logprobs"][0], abs=0.05)
    assert after.digest != before.digest


# --------------------------------------------------------------------------------------------- lessons


def test_lessons_hide_the_prompt_and_pad_what_is_short(tiny: Path, tmp_path: Path, words: list[str]) -> None:
    import numpy as np

    rows: list[dict[str, Any]] = [
        {"prompt": "one plus one", "completion": " is two"},
        {"text": "the cat"},
        {"input": "a", "expect": {"text": " dog"}},
        {"messages": [{"role": "user", "content": "so"}, {"role": "assistant", "content": "yes"}]},
        {"messages": [{"role": "user", "content": "so"}]},
    ]
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    study = language.study(tiny, file)
    assert len(study) == 5
    batch = study.batch(np.arange(5), None)
    texts = [
        "<s> one plus one [ is two </s> ]",
        "<s> [ the cat </s> ]",
        "<s> a [ dog </s> ]",
        "user : so . assistant : [ yes . ]",
        "user [ : so . ]",
    ]
    for at, text in enumerate(texts):
        given, learned = (part.split() for part in text.removesuffix(" ]").split("["))
        tokens = [words.index(word) for word in [*given, *learned]]
        row = np.array(batch.inputs[at]), np.array(batch.targets[at]), np.array(batch.mask[at])
        assert row[0][: len(tokens) - 1].tolist() == tokens[:-1]
        assert row[1][: len(tokens) - 1].tolist() == tokens[1:]
        assert row[2].sum() == len(learned)
        assert row[2][len(given) - 1 : len(tokens) - 1].tolist() == [1] * len(learned)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"input": {"image": []}, "expect": "x"}, "its input is not a text, {prompt: ...} or {messages: [...]}"),
        ({"input": "a", "expect": 3}, "what a language model is to say is a text, or {text: ...}"),
        ({"prompt": "the " * 3000, "completion": "cat"}, "it has nothing to learn in its first 2048 tokens, 3001 of"),
        ({"text": ""}, None),
    ],
)
def test_what_can_not_be_learned_from_is_refused_by_its_number(
    tiny: Path, tmp_path: Path, row: dict[str, Any], said: str | None
) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps({"text": "a"}) + "\n" + json.dumps(row))
    if said is None:
        assert len(language.study(tiny, file)) == 2
        return
    with pytest.raises(Refused, match=re.escape(f"example 2 of `data.jsonl` can't be learned from: {said}")):
        language.study(tiny, file)


def test_a_language_model_has_no_data_of_its_own(tiny: Path) -> None:
    with pytest.raises(Refused, match="a language model has no data of its own to learn from; give `data:`"):
        language.study(tiny, None)


def test_a_network_learns_its_lessons(tiny: Path, tmp_path: Path, written: Write) -> None:
    from models import training

    file = tmp_path / "data.jsonl"
    file.write_text('{"prompt": "one plus one", "completion": " is two"}\n{"prompt": "the", "completion": " mat"}\n')
    network = language.network(tiny)
    told = training.fit(
        network,
        language.study(tiny, file),
        epochs=30,
        batch=2,
        rate=5e-3,
        seed=0,
        loss=training.labelled,
        say=lambda line: None,
    )
    assert told["loss"] < 0.5
