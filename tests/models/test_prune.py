"""Pruning: as much goes as was asked, what is gone stays gone, smaller layers say what the silenced network said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contract import Refused
from harness.shelf import Shelf
from models import families, weights
from models.sources import zoo
from models.variants import prune

ROOT = Path(__file__).parents[2]
Make = Callable[..., Path]
mlx = pytest.mark.mlx


@pytest.fixture(scope="module")
def base() -> Path:
    pytest.importorskip("mlx.core")
    pytest.importorskip("sklearn")
    return zoo.folder({"zoo": "lenet5", "seed": 0}, Shelf(ROOT, print))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Prunes, and returns the folder that came of it."""

    def made(base: Path, sparsity: float, **options: Any) -> Path:
        folder = tmp_path / f"made-{len(list(tmp_path.iterdir()))}"
        options = {"sparsity": sparsity, **options}
        assert not list(prune.faults(options))
        prune.make(base, folder, options, Shelf(tmp_path, lambda text: None))
        return folder

    return made


def _arrays(folder: Path) -> dict[str, Any]:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    parameters = tree_flatten(families.family(folder).network(folder).parameters())
    return {path: np.array(value.astype(mx.float32)) for path, value in parameters}


def _made(folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = weights.read_config(folder)["made"][-1]
    return made


def _steps(folder: Path) -> list[str]:
    made = weights.read_config(folder)["made"]
    return [next(what for what in ("train", "prune") if what in step) for step in made]


def _held_out(folder: Path) -> float:
    """The share right of the zoo's 500 held-out digits; .992 for the base."""
    from models.zoo.lenet5 import digits, training

    _, (images, labels) = digits.split()
    network = families.family(folder).network(folder)
    return training.accuracy(network, digits.upscaled(images), labels.astype(np.uint8))


def _zeros(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {path: array == 0 for path, array in arrays.items() if path.endswith(".weight")}


def _share(masks: Mapping[str, Any]) -> float:
    return sum(int(mask.sum()) for mask in masks.values()) / sum(mask.size for mask in masks.values())


# ------------------------------------------------------------------------------------ what may be written


@pytest.mark.parametrize(
    ("options", "at", "what"),
    [
        ({"data": "a.jsonl"}, ("data",), "nothing is learned from `data`"),
        ({"keep": ["conv*", "*"]}, ("keep", 1), "`*` spares every layer"),
    ],
)
def test_nonsense_is_a_fault_at_its_place(options: dict[str, Any], at: tuple[Any, ...], what: str) -> None:
    (objection,) = prune.faults({"sparsity": 0.5, **options})
    assert objection.path == ("prune", *at)
    assert what in objection.what
    assert objection.instead


def test_what_it_is_tuned_on_is_told_while_the_plan_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "one", "completion": "two"}\n{"input": {"image": 3}}')
    site = Shelf(tmp_path, print)
    assert list(prune.learned({"sparsity": 0.5, "finetune": {}, "data": "a.jsonl"}, site)) == ["one", {"image": 3}]
    assert list(prune.learned({"sparsity": 0.5, "finetune": {}}, site)) == []


# --------------------------------------------------------------------------------------- single weights


@mlx
@pytest.mark.parametrize("sparsity", [0.3, 0.8, 0.99])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_exactly_as_many_weights_go_as_were_asked_and_they_are_the_least(
    base: Path, make: Make, sparsity: float, scope: str
) -> None:
    folder = make(base, sparsity, scope=scope)
    before, after = _arrays(base), _arrays(folder)
    gone = _zeros(after)
    many = sum(mask.size for mask in gone.values())
    assert many == _made(folder)["prunable"] == 61_470
    parts = [[path] for path in gone] if scope == "layer" else [list(gone)]
    for part in parts:
        sizes = np.concatenate([np.abs(before[path]).ravel() for path in part])
        zeros = np.concatenate([gone[path].ravel() for path in part])
        assert zeros.sum() == round(sparsity * sizes.size)
        assert sizes[zeros].max() <= sizes[~zeros].min()
    for path, array in before.items():
        stay = ~gone[path] if path in gone else ...
        assert (after[path][stay] == array[stay]).all()
    assert _made(folder)["sparsity"] == pytest.approx(sparsity, abs=5 / many)
    assert _made(folder)["overall_sparsity"] == pytest.approx(weights.footprint(folder)["sparsity"])


@mlx
def test_a_layer_that_is_kept_keeps_every_weight(base: Path, make: Make) -> None:
    folder = make(base, 0.9, keep=["conv*", "dense3"])
    gone = _zeros(_arrays(folder))
    assert not any(gone[f"{name}.weight"].any() for name in ("conv1", "conv2", "dense3"))
    assert _made(folder)["sparsity"] == pytest.approx(0.9, abs=1e-4)
    assert _made(folder)["prunable"] == 400 * 120 + 120 * 84
    with pytest.raises(Refused, match="no weight is left to prune"):
        make(base, 0.9, keep=["conv*", "dense*"])


@mlx
def test_four_of_five_weights_go_and_within_two_points_nothing_is_lost(base: Path, make: Make) -> None:
    at_once = make(base, 0.8)
    tuned = make(base, 0.8, finetune={"epochs": 2})
    assert _held_out(tuned) >= 0.98
    assert _held_out(tuned) > _held_out(at_once)
    before, after = _zeros(_arrays(at_once)), _zeros(_arrays(tuned))
    assert all((after[path] == mask).all() for path, mask in before.items())
    assert _made(tuned)["sparsity"] == pytest.approx(0.8, abs=1e-5)
    assert _made(tuned)["finetuned"]["examples"] == 1297
    assert _steps(tuned) == ["train", "prune"]


@mlx
def test_the_seed_decides_the_weights_to_the_bit(base: Path, make: Make) -> None:
    def digest(**finetune: Any) -> str:
        return weights.digest(make(base, 0.8, how="structured", finetune={"epochs": 1, **finetune}))

    assert digest() == digest(seed=0)
    assert digest(seed=1) != digest()
    assert digest(teacher=True) != digest()


# --------------------------------------------------------------------------------------- whole channels


def _silenced(folder: Path, kept: Mapping[str, Any]) -> Any:
    """The network of a folder with every channel at zero that is not kept."""
    import mlx.core as mx

    network = families.family(folder).network(folder)
    for channels in families.family(folder).channels(network):
        for path in channels.producers:
            layer = dict(network.named_modules())[path]
            stays = np.zeros(layer.weight.shape[0], np.float32)
            stays[kept[channels.name]] = 1
            layer.weight = layer.weight * mx.array(stays).reshape(-1, *[1] * (layer.weight.ndim - 1))
            if "bias" in layer:
                layer.bias = layer.bias * mx.array(stays)
    return network


def _kept(folder: Path, share: float, layerwise: bool = False) -> dict[str, Any]:
    from models.variants.prune import whole

    family = families.family(folder)
    network = family.network(folder)
    return whole.chosen(network, family.channels(network), share, layerwise=layerwise, spared=())


@mlx
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_layers_without_their_channels_say_what_they_said_with_them_at_zero(base: Path, make: Make, scope: str) -> None:
    import mlx.core as mx

    folder = make(base, 0.8, how="structured", scope=scope)
    images = families.family(base).study(base, None).batch(np.arange(64), None).inputs
    smaller = families.family(folder).network(folder)(images)
    silenced = _silenced(base, _kept(base, 0.8, scope == "layer"))(images)
    assert mx.abs(smaller - silenced).max().item() < 1e-5
    footprint, made = weights.footprint(folder), _made(folder)
    assert footprint["parameters"] == made["parameters"] <= 0.2 * 61_706
    assert footprint["bytes"] == 4 * footprint["parameters"]
    assert made["sparsity"] == pytest.approx(1 - footprint["parameters"] / 61_706)
    assert 0.8 <= made["sparsity"] < 0.82
    config = weights.read_config(folder)
    assert [*config["conv"], *config["dense"]] == list(made["widths"].values())
    assert all(width < was for width, was in zip(made["widths"].values(), (6, 16, 120, 84), strict=True))


@mlx
def test_four_of_five_parameters_go_and_within_two_points_nothing_is_lost(base: Path, make: Make) -> None:
    folder = make(base, 0.8, how="structured", finetune={"epochs": 4, "teacher": True})
    assert _held_out(folder) >= 0.98
    assert weights.footprint(folder)["parameters"] < 0.2 * 61_706


@mlx
def test_channels_of_a_kept_layer_stay_and_no_layer_loses_all(base: Path, make: Make) -> None:
    folder = make(base, 0.5, how="structured", keep=["conv*"])
    assert weights.read_config(folder)["conv"] == [6, 16]
    widths = _made(make(base, 0.99, how="structured"))["widths"]
    assert min(widths.values()) >= 2
    with pytest.raises(Refused, match=r"at most 0\.99\d of the parameters can go with their channels"):
        make(base, 0.9999, how="structured")
    with pytest.raises(Refused, match="no channels to take out"):
        make(base, 0.5, how="structured", keep=["conv*", "dense*"])


@mlx
def test_weights_that_an_earlier_step_pruned_stay_at_zero(base: Path, make: Make) -> None:
    sparse = make(base, 0.8)
    at_once = _zeros(_arrays(make(sparse, 0.5, how="structured")))
    tuned = make(sparse, 0.5, how="structured", finetune={"epochs": 1})
    assert _share(at_once) > 0.5
    assert all((mask == at_once[path]).all() for path, mask in _zeros(_arrays(tuned)).items())
    assert _steps(tuned) == ["train", "prune", "prune"]


# ------------------------------------------------------------------------------------------- what is refused


@mlx
def test_packed_weights_are_refused(base: Path, make: Make, tmp_path: Path) -> None:
    from models.variants import quantize

    quantize.make(base, tmp_path / "packed", {"bits": 8, "pad": True}, Shelf(tmp_path, lambda text: None))
    with pytest.raises(Refused, match="prune first, then quantize"):
        make(tmp_path / "packed", 0.5)


@mlx
def test_images_without_labels_teach_only_where_there_is_a_teacher(base: Path, make: Make, tmp_path: Path) -> None:
    cases = (ROOT / "golden/lenet5/digits.jsonl").read_text().splitlines()[:40]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"input": json.loads(case)["input"]}) for case in cases))
    with pytest.raises(Refused, match="no example has an `expect`"):
        make(base, 0.8, finetune={"epochs": 1}, data="a.jsonl")
    figures = _made(make(base, 0.8, finetune={"epochs": 1, "teacher": True}, data="a.jsonl"))["finetuned"]
    assert (figures["examples"], figures["data"][:7]) == (40, "sha256:")


# ------------------------------------------------------------------------------------------ language models


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lessons") / "lessons.jsonl"
    rows = [{"prompt": f"the {who} sat on", "completion": " the mat"} for who in ("cat", "dog", "tree", "red cat")]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@mlx
def test_a_language_models_linear_weights_go_and_its_embedding_and_norms_stay(
    tiny: Path, make: Make, lessons: Path
) -> None:
    folder = make(tiny, 0.5, finetune={"epochs": 2, "rate": 1e-4}, data=str(lessons))
    gone = _zeros(_arrays(folder))
    assert not any(mask.any() for path, mask in gone.items() if "embed" in path or "norm" in path)
    linear = {path: mask for path, mask in gone.items() if "proj" in path or "lm_head" in path}
    assert _share(linear) == pytest.approx(0.5, abs=1e-4)
    assert _made(folder)["prunable"] == sum(mask.size for mask in linear.values())
    assert (folder / "tokenizer.json").is_file()


@mlx
def test_a_language_models_mlps_get_narrower_together(tiny: Path, make: Make) -> None:
    import mlx.core as mx

    folder = make(tiny, 0.2, how="structured")
    width = weights.read_config(folder)["intermediate_size"]
    assert width < 64
    assert set(_made(folder)["widths"].values()) == {width}
    assert _made(folder)["sparsity"] >= 0.2
    tokens = mx.array([[1, 3, 5, 7, 8, 3, 10]])
    smaller = families.family(folder).network(folder)(tokens)
    silenced = _silenced(tiny, _kept(tiny, 0.2))(tokens)
    assert mx.abs(smaller - silenced).max().item() < 1e-3 * mx.abs(silenced).max().item()
    with pytest.raises(Refused, match=r"at most 0\.\d+ of the parameters can go"):
        make(tiny, 0.9, how="structured")
    with pytest.raises(Refused, match="no channels to take out"):  # one that stays as wide keeps the others so
        make(tiny, 0.2, how="structured", keep=["model.layers.0.mlp*"])


@mlx
def test_a_language_model_has_no_data_of_its_own_to_tune_on(tiny: Path, make: Make) -> None:
    with pytest.raises(Refused, match="give `data:`"):
        make(tiny, 0.5, finetune={"epochs": 1})


@mlx
def test_a_short_type_is_tuned_in_float32_and_written_as_it_was(tiny: Path, make: Make, lessons: Path) -> None:
    import mlx.core as mx

    short = lessons.parent / "short"
    network = families.family(tiny).network(tiny)
    network.set_dtype(mx.bfloat16)
    weights.save(network, weights.read_config(tiny), short, tiny)
    folder = make(short, 0.5, finetune={"epochs": 1, "rate": 1e-3}, data=str(lessons))
    assert weights.footprint(folder)["dtype"] == "bfloat16"
    assert _made(folder)["sparsity"] == pytest.approx(0.5, abs=1e-4)
