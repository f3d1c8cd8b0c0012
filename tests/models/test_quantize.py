"""Quantization: what is refused, what a folder then holds, that it says what the network said, and by which method."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract import Refused
from models import families, weights
from models.variants import quantize

Make = Callable[..., Path]
LENET = {"architecture": "lenet5", "conv": [6, 16], "dense": [120, 84]}


# ------------------------------------------------------------------------------------ what may be written


@pytest.mark.parametrize(
    ("options", "at", "what"),
    [
        ({"bits": 7}, ("bits",), "affine has no 7 bits"),
        ({"group_size": 16}, ("group_size",), "affine has no groups of 16"),
        ({"mode": "mxfp4", "bits": 8}, ("bits",), "mxfp4 has `bits: 4` only"),
        ({"mode": "nvfp4", "group_size": 32}, ("group_size",), "nvfp4 has `group_size: 16` only"),
        ({"mode": "mxfp8", "layers": {"a": {"bits": 4}}}, ("layers", "a", "bits"), "mxfp8 has `bits: 8` only"),
        ({"layers": {"a": {"bits": 7}}}, ("layers", "a", "bits"), "affine has no 7 bits"),
        ({"method": "gptq"}, ("method",), "`method: gptq` needs examples"),
        ({"activations": {"bits": 8}}, ("activations",), "`activations` needs examples"),
        ({"data": "a.jsonl"}, ("data",), "rounding looks at no example"),
        ({"samples": 4}, ("samples",), "rounding looks at no example"),
        ({"method": "gptq", "data": "a", "bits": 3}, ("method",), "gptq has no 3 bits"),
        ({"method": "awq", "data": "a", "mode": "mxfp4"}, ("method",), "awq packs in mode affine only"),
        ({"method": "dwq", "data": "a", "bits": 8}, ("method",), "dwq learns scales below 8 bits only"),
        ({"method": "gptq", "data": "a", "pad": True}, ("pad",), "gptq does not pad"),
        ({"method": "awq", "data": "a", "layers": {"a": False}}, ("layers",), "awq scales the layers of a block"),
        (
            {"method": "awq", "data": "a", "activations": {"bits": 8}},
            ("activations",),
            "awq changes what layers take in",
        ),
        ({"rate": 0.1}, ("rate",), "`rate` is of dwq's learning"),
    ],
)
def test_what_does_not_go_together_is_a_fault_at_its_place(options: Any, at: tuple[str, ...], what: str) -> None:
    (objection,) = quantize.faults(options)
    assert objection.path == ("quantize", *at)
    assert what in objection.what
    assert objection.instead


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bits": 3, "group_size": 128, "pad": True},
        {"mode": "mxfp4", "layers": {"a": {"mode": "affine"}, "b": {"mode": "affine", "bits": 8}, "c*": False}},
        {"layers": {"a": {"mode": "nvfp4"}}},
        {"method": "gptq", "data": "a", "layers": {"a": {"bits": 8}}, "activations": {"bits": 8}, "samples": 4},
        {"method": "dwq", "data": "a", "pad": True, "rate": 0.1, "epochs": 2, "seed": 7},
        {"data": "a", "activations": {"bits": 8, "percentile": 99.9}},
    ],
)
def test_what_goes_together_is_no_fault_and_fits_the_schema(options: Any) -> None:
    import jsonschema

    jsonschema.validate({"quantize": options}, {**quantize.SCHEMA, "additionalProperties": False})
    assert list(quantize.faults(options)) == []


def test_every_part_of_the_schema_is_described() -> None:
    def walk(part: Mapping[str, Any]) -> None:
        for inner in part.get("properties", {}).values():
            assert inner["description"]
            walk(inner)

    walk(quantize.SCHEMA)


# --------------------------------------------------------------------------------------------- folders


@pytest.fixture(scope="session")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LeNet-5 of random weights."""
    mx = pytest.importorskip("mlx.core")
    mx.random.seed(1)
    folder = tmp_path_factory.mktemp("lenet")
    weights.save(families.architecture("lenet5").blank(LENET), LENET, folder)
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A root with examples: texts of several lengths, and images."""
    root = tmp_path_factory.mktemp("site")
    draw = random.Random(3)
    words = ["cat", "dog", "sat", "ran", "red", "blue", "one", "two", "three"]
    texts = [{"text": "the " + " ".join(draw.choices(words, k=draw.choice([5, 9, 9])))} for _ in range(40)]
    digits = [[[draw.randrange(256) for _ in range(28)] for _ in range(28)] for _ in range(20)]
    for name, rows in (("texts", texts), ("digits", [{"input": {"image": image}} for image in digits])):
        (root / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return SimpleNamespace(root=root, say=lambda text: None, trusted=False)


@pytest.fixture
def make(tmp_path: Path, site: Any) -> Make:
    def make(base: Path, /, **options: Any) -> Path:
        assert list(quantize.faults(options)) == []
        folder = tmp_path / f"made{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        quantize.make(base, folder, options, site)
        weights.check_files(folder)
        return folder

    return make


def network(folder: Path) -> Any:
    return families.family(folder).network(folder)


def answers(folder: Path) -> Any:
    """What the folder's network says to something."""
    import mlx.core as mx

    if "architecture" in weights.read_config(folder):
        return network(folder)(mx.random.uniform(shape=(4, 28, 28), key=mx.random.key(5)))
    return network(folder)(something())


def something() -> Any:
    """Tokens to read."""
    import mlx.core as mx

    return mx.random.randint(0, 40, (4, 12), key=mx.random.key(5))


def distance(one: Any, other: Any) -> float:
    """How far one is from the other, as a share of how large that is."""
    return float((abs(one - other).mean() / abs(other).mean()).item())


def made(folder: Path) -> dict[str, Any]:
    step: dict[str, Any] = weights.read_config(folder)["made"][-1]
    return step


# ---------------------------------------------------------------------------------------------- LeNet-5


@pytest.mark.mlx
def test_a_lenet_is_packed_padded_and_reopened_with_its_convolutions_in_float(lenet: Path, make: Make) -> None:
    folder = make(lenet, bits=8, group_size=32, pad=True)
    config = weights.read_config(folder)
    assert config["quantization"] == {"group_size": 32, "bits": 8, "mode": "affine"}
    assert config["padded"] == {"dense1": [400, 416], "dense2": [120, 128], "dense3": [84, 96]}
    assert made(folder)["left_in_float"] == ["conv1", "conv2"]
    assert distance(answers(folder), answers(lenet)) < 0.005
    found = {layer.name: layer for layer in weights.layers(folder)}
    assert found["dense1"].type == "PaddedQuantizedLinear"
    assert found["dense1"].shape == (120, 400)
    assert sum(layer.parameters for layer in found.values()) == 61_706
    (packed,) = weights.footprint(folder)["quantized"]
    assert packed["elements"] == 120 * 400 + 84 * 120 + 10 * 84
    assert packed["padded"] == 120 * 416 + 84 * 128 + 10 * 96
    assert 8 * packed["bytes"] == packed["padded"] * (8 + 2 * 32 / 32)


@pytest.mark.mlx
def test_layers_that_groups_do_not_divide_are_refused_with_what_to_write(lenet: Path, make: Make) -> None:
    why = (
        r"dense1 takes 400 inputs, dense2 120, dense3 84, which groups of 64 do not divide: write `pad: true`, "
        r"a group_size that divides, or leave it out with `layers: \{dense1: false\}`"
    )
    with pytest.raises(Refused, match=why):
        make(lenet, bits=4)


@pytest.mark.mlx
def test_layers_may_be_left_out_or_packed_otherwise_paths_before_patterns_and_the_longer_first(
    lenet: Path, make: Make
) -> None:
    layers = {"dense*": {"bits": 2}, "*": False, "dense1": {"bits": 8, "group_size": 64}}
    folder = make(lenet, bits=4, group_size=32, pad=True, layers=layers)
    packed = weights.read_config(folder)["quantization"]
    assert packed["dense1"] == {"group_size": 64, "bits": 8, "mode": "affine"}
    assert packed["dense2"] == packed["dense3"] == {"group_size": 32, "bits": 2, "mode": "affine"}
    assert {layer.name: layer.bits for layer in weights.layers(folder)}["dense1"] == 8
    answers(folder)
    folder = make(lenet, bits=8, mode="mxfp8", pad=True, layers={"dense3": False})
    assert weights.read_config(folder)["quantization"]["dense3"] is False
    assert made(folder)["left_in_float"] == ["conv1", "conv2", "dense3"]
    assert distance(answers(folder), answers(lenet)) < 0.03


@pytest.mark.mlx
@pytest.mark.parametrize(
    ("layers", "why"),
    [
        (
            {"conv1": False},
            r"`layers: \{conv1: ...\}` matches no layer that can be packed; those are dense1, dense2, dense3",
        ),
        ({"dens?1": False, "dense?": {"bits": 8}}, "`dens.1` and `dense.` under `layers` both mean dense1; write"),
        ({"*": False}, "no layer is left to pack"),
    ],
)
def test_patterns_that_mean_nothing_or_two_things_are_refused(
    lenet: Path, make: Make, layers: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        make(lenet, bits=4, pad=True, layers=layers)


@pytest.mark.mlx
def test_a_quantized_model_is_not_quantized_again(lenet: Path, make: Make) -> None:
    with pytest.raises(Refused, match="it is quantized already"):
        make(make(lenet, bits=8, pad=True), bits=4, pad=True)


@pytest.mark.mlx
@pytest.mark.parametrize("method", ["gptq", "awq", "dwq"])
def test_methods_of_language_models_are_refused_elsewhere(lenet: Path, make: Make, method: str) -> None:
    with pytest.raises(Refused, match=f"{method} is for language models, and this is a lenet5"):
        make(lenet, bits=4, method=method, data="digits.jsonl")


@pytest.mark.mlx
def test_activations_are_rounded_to_ranges_seen_in_calibration(lenet: Path, make: Make) -> None:
    def far(bits: int, **how: Any) -> float:
        options = {"data": "digits.jsonl", "activations": {"bits": bits, **how}}
        return distance(answers(make(lenet, bits=8, pad=True, **options)), answers(plain))

    plain = make(lenet, bits=8, pad=True)
    folder = make(lenet, bits=8, pad=True, data="digits.jsonl", activations={"bits": 8})
    config = weights.read_config(folder)
    low, high = config["activations"]["layers"]["dense2"]
    assert config["activations"]["bits"] == 8
    assert low == 0 < high  # what a relu lets through
    assert made(folder)["activations"] == {"simulated": True, "layers": 3}
    assert made(folder)["calibration"]["examples"] == 20
    assert 0 < far(8) < 0.01 < far(2)
    assert far(8, percentile=60) > far(8)
    assert weights.digest(folder) != weights.digest(plain)


@pytest.mark.mlx
def test_rounding_of_inputs_keeps_0_and_clips_what_lies_beyond() -> None:
    mx = pytest.importorskip("mlx.core")
    from models.quantized import Range, rounded

    found = rounded(mx.array([-9.0, -1.0, 0.0, 0.3, 3.0, 9.0]), Range(-1.0, 3.0, 8)).tolist()
    assert found[2] == 0
    assert found[0] == found[1] == pytest.approx(-1, abs=4 / 255)
    assert found[4] == found[5] == pytest.approx(3, abs=4 / 255)
    assert found[3] == pytest.approx(0.3, abs=2 / 255)
    assert rounded(mx.array([1.0]), Range(0.0, 0.0, 8)).tolist() == [0]


@pytest.mark.mlx
def test_a_folder_whose_config_and_weights_disagree_is_refused(lenet: Path, make: Make) -> None:
    folder = make(lenet, bits=8, group_size=32, pad=True)
    sound = weights.read_config(folder)
    for change in (
        {"padded": {}},
        {"padded": {**sound["padded"], "dense1": [390, 416]}},
        {"quantization": {**sound["quantization"], "dense1": {"bits": 4, "group_size": 32}}},
        {"activations": {"bits": 8, "layers": {"dense1": 7}}},
    ):
        (folder / "config.json").write_text(json.dumps({**sound, **change}))
        with pytest.raises(Refused):
            network(folder)


# -------------------------------------------------------------------------------------- language models


@pytest.mark.mlx
@pytest.mark.parametrize(
    ("options", "near"),
    [
        ({"bits": 8}, 0.05),
        ({"bits": 4, "group_size": 32, "layers": {"lm_head": {"bits": 8}, "*.v_proj": False}}, 0.5),
        ({"mode": "mxfp8"}, 0.2),
    ],
)
def test_mlx_lm_opens_what_is_made_unchanged(tiny: Path, make: Make, options: Any, near: float) -> None:
    from mlx_lm import load

    folder = make(tiny, **options)
    model, tokenizer = load(str(folder))[:2]
    said = model(something())
    assert distance(said, answers(folder)) == 0
    assert distance(said, answers(tiny)) < near
    assert tokenizer.encode("the cat") == [1, 3, 5]


@pytest.mark.mlx
def test_tables_tied_and_not_are_packed_and_padded(written: Callable[..., Path], make: Make, tmp_path: Path) -> None:
    base = written(tmp_path / "tied", hidden_size=48, tie_word_embeddings=True)
    folder = make(base, bits=8, pad=True)
    assert weights.read_config(folder)["padded"]["model.embed_tokens"] == [48, 64]
    assert made(folder)["left_in_float"] == []
    assert distance(answers(folder), answers(base)) < 0.05
    table = weights.layers(folder)[0]
    assert (table.name, table.type, table.shape[1]) == ("model.embed_tokens", "PaddedQuantizedEmbedding", 48)


@pytest.mark.mlx
@pytest.mark.parametrize("method", ["gptq", "dwq"])
def test_a_method_says_what_the_float_model_says_more_nearly_than_rounding(tiny: Path, make: Make, method: str) -> None:
    options = {"rate": 3e-4} if method == "dwq" else {}
    folder = make(tiny, bits=4, group_size=32, method=method, data="texts.jsonl", **options)
    kl = made(folder)["kl"]
    assert kl["held_out"] == 5
    assert kl[method] < kl["round"]
    rounded = make(tiny, bits=4, group_size=32)
    assert weights.footprint(folder)["bytes"] == weights.footprint(rounded)["bytes"]
    assert distance(answers(folder), answers(rounded)) > 0


@pytest.mark.mlx
@pytest.mark.parametrize("method", ["gptq", "awq", "dwq"])
def test_the_same_examples_and_seed_give_the_same_bits_and_others_others(tiny: Path, make: Make, method: str) -> None:
    def digest(**options: Any) -> str:
        more = {"epochs": 1, "rate": 1e-3} if method == "dwq" else {}
        return weights.digest(make(tiny, bits=4, method=method, data="texts.jsonl", samples=12, **more, **options))

    assert digest() == digest(seed=0)
    assert digest() != digest(seed=1)


@pytest.mark.mlx
def test_gptq_leaves_layers_out_packs_some_otherwise_and_rounds_inputs(tiny: Path, make: Make) -> None:
    layers = {"lm_head": False, "*.down_proj": {"bits": 8}, "model.embed_tokens": {"mode": "mxfp4"}}
    more = {"data": "texts.jsonl", "activations": {"bits": 8}}
    folder = make(tiny, bits=4, method="gptq", layers=layers, **more)
    found = {layer.name: layer for layer in weights.layers(folder)}
    assert (found["lm_head"].bits, found["lm_head"].mode) == (32, None)
    assert found["model.layers.0.mlp.down_proj"].bits == 8
    assert found["model.embed_tokens"].mode == "mxfp4"
    assert found["model.layers.1.self_attn.q_proj"].bits == 4
    ranges = weights.read_config(folder)["activations"]["layers"]
    assert len(ranges) == 2 * 7
    answers(folder)


@pytest.mark.mlx
def test_awq_knows_its_models(written: Callable[..., Path], make: Make, tmp_path: Path) -> None:
    base = written(tmp_path / "phi", model_type="olmo2")
    with pytest.raises(Refused, match=r"awq knows no `olmo2`, only .*llama.*; write `method: gptq` or `dwq`"):
        make(base, bits=4, method="awq", data="texts.jsonl")


# ------------------------------------------------------------------------------------------- calibration


@pytest.mark.mlx
def test_examples_of_one_length_go_together_and_none_is_padded() -> None:
    mx = pytest.importorskip("mlx.core")
    from models.variants.quantize.calibrating import alike
    from models.variants.quantize.methods import _rectangle

    batches = alike([mx.zeros((1, length)) for length in (3, 5, 3, 3, 5)], together=2)
    assert [batch.shape for batch in batches] == [(2, 3), (1, 3), (2, 5)]
    assert [batch.shape for batch in alike([mx.zeros((1, 1500))] * 2)] == [(1, 1500)] * 2
    assert _rectangle(batches).shape == (5, 3)
    assert _rectangle(alike([mx.zeros((1, length)) for length in (3, 9, 9)])).shape == (2, 9)


def test_what_it_is_fitted_on_is_told(site: Any) -> None:
    told = list(quantize.learned({"data": "texts.jsonl", "method": "gptq"}, site))
    assert len(told) == 40
    assert str(told[0]).startswith("the ")
    assert list(quantize.learned({"bits": 4}, site)) == []
