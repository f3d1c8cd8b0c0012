"""Casting: floats change their type, packed weights don't, and the network still says nearly the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract import Refused
from models import families, weights
from models.variants import cast

pytestmark = pytest.mark.mlx

SITE: Any = SimpleNamespace(root=Path(), say=print, trusted=False)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Path, str], Path]:
    def made(base: Path, dtype: str) -> Path:
        folder = tmp_path / f"{dtype}{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        cast.make(base, folder, dtype, SITE)
        weights.check_files(folder)
        return folder

    return made


def said(folder: Path) -> Any:
    import mlx.core as mx

    return families.family(folder).network(folder)(mx.array([[1, 3, 5, 6, 9, 11]])).astype(mx.float32)


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 16), ("bfloat16", 16), ("float32", 32)])
def test_a_float_model_takes_another_type(tiny: Path, made: Callable[..., Path], dtype: str, bits: int) -> None:
    folder = made(tiny, dtype)
    found = weights.footprint(folder)
    assert (found["dtype"], found["bits_per_weight"]) == (dtype, bits)
    assert weights.read_config(folder)["made"] == [{"cast": dtype, "was": ["float32"]}]
    assert (weights.digest(folder) == weights.digest(tiny)) == (dtype == "float32")
    assert abs(said(folder) - said(tiny)).max().item() < 0.5
    assert (folder / "tokenizer.json").is_file()


def test_a_quantized_model_has_its_scales_and_biases_cast_and_nothing_packed(
    tiny: Path, made: Callable[..., Path]
) -> None:
    import mlx.core as mx

    from models.variants import quantize

    base = made(tiny, "float32")
    packed = base.with_name("packed")
    quantize.make(base, packed, {"bits": 4, "group_size": 64}, SITE)
    folder = made(packed, "bfloat16")
    before, after = (weights.footprint(each)["quantized"][0] for each in (packed, folder))
    assert 8 * before["bytes"] / before["elements"] == 5.0
    assert 8 * after["bytes"] / after["elements"] == 4.5
    one, two = (mx.load(str(each / "model.safetensors")) for each in (packed, folder))
    assert all((one[name] == two[name]).all() for name in one if one[name].dtype == mx.uint32)
    assert abs(said(folder) - said(packed)).max().item() < 0.5
    steps = [{"cast", "quantize"} & step.keys() for step in weights.read_config(folder)["made"]]
    assert steps == [{"cast"}, {"quantize"}, {"cast"}]


def test_a_lenet_keeps_its_shape_and_answers(tmp_path: Path, made: Callable[..., Path]) -> None:
    import mlx.core as mx

    config = {"architecture": "lenet5", "conv": [6, 16], "dense": [120, 84]}
    family = families.architecture("lenet5")
    weights.save(family.blank(config), config, tmp_path / "base")
    images = mx.random.uniform(shape=(2, 28, 28), key=mx.random.key(1))
    folder = made(tmp_path / "base", "bfloat16")
    network = family.network(folder)
    assert network.dense1.weight.dtype == mx.bfloat16
    assert abs(network(images) - family.network(tmp_path / "base")(images)).max().item() < 0.05


def test_where_a_config_names_its_type_it_names_the_new_one(
    written: Callable[..., Path], tmp_path: Path, made: Callable[..., Path]
) -> None:
    folder = made(written(tmp_path / "base", torch_dtype="float32"), "float16")
    assert weights.read_config(folder)["torch_dtype"] == "float16"


def test_what_a_type_can_not_hold_is_refused(tmp_path: Path, made: Callable[..., Path]) -> None:
    config = {"architecture": "lenet5"}
    network = families.architecture("lenet5").blank(config)
    network.dense2.weight = network.dense2.weight * 1e7
    weights.save(network, config, tmp_path / "base")
    with pytest.raises(Refused, match=r"dense2\.weight has values beyond what float16 holds; write `cast: bfloat16`"):
        made(tmp_path / "base", "float16")
    made(tmp_path / "base", "bfloat16")
