"""Weights in a file of their own, for an architecture of the zoo."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract import Question, Refused
from models import families, weights
from models.sources import safetensors

pytestmark = pytest.mark.mlx


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """A root, and a place where folders are built once."""

    def build_once(key: str, build: Callable[[Path], None]) -> Path:
        folder = tmp_path / "built" / key
        if not folder.is_dir():
            folder.mkdir(parents=True)
            build(folder)
        return folder

    def kept(key: str) -> Path | None:
        return tmp_path / "built" / key if (tmp_path / "built" / key).is_dir() else None

    return SimpleNamespace(root=tmp_path, say=print, trusted=False, build_once=build_once, kept=kept)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A file of a LeNet-5's weights, some of them changed; returns its declaration."""

    def save(change: Callable[[dict[str, Any]], Any] = lambda tensors: None, **widths: Any) -> dict[str, Any]:
        mx = pytest.importorskip("mlx.core")
        from mlx.utils import tree_flatten

        mx.random.seed(2)
        network = families.architecture("lenet5").blank({"architecture": "lenet5", **widths})
        tensors: dict[str, Any] = dict(tree_flatten(network.parameters()))
        change(tensors)
        mx.save_safetensors(str(tmp_path / "mine.safetensors"), tensors)
        return {"safetensors": "mine.safetensors", "architecture": "lenet5"}

    return save


@pytest.mark.parametrize("widths", [{}, {"conv": [3, 5], "dense": [20]}, {"conv": [2, 2], "dense": [9, 8, 7]}])
def test_a_file_is_a_model_whose_widths_its_shapes_tell(site: Any, save: Any, widths: dict[str, Any]) -> None:
    options = save(**widths)
    assert list(safetensors.faults(options, site)) == []
    assert not safetensors.kept(options, site)
    folder = safetensors.folder(options, site)
    assert safetensors.kept(options, site)
    config = weights.read_config(folder)
    assert config == {"architecture": "lenet5", "conv": [6, 16], "dense": [120, 84], **widths}
    assert (folder / "weights.safetensors").read_bytes() == (site.root / "mine.safetensors").read_bytes()
    model = safetensors.open(options, site)
    assert model.digest == weights.digest(folder)
    (answer,) = model.answer([Question("a", {"image": [[0] * 28] * 28})])
    assert 0 <= answer["label"] <= 9
    assert [row["name"] for row in safetensors.inspect(folder)] == sorted(
        row["name"] for row in safetensors.inspect(folder)
    )


def test_another_file_under_the_same_name_is_another_folder(site: Any, save: Any) -> None:
    first = safetensors.folder(save(), site)
    assert safetensors.folder(save(), site) == first
    assert safetensors.folder(save(conv=[3, 5]), site) != first


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tensors: tensors.pop("conv2.bias"), r"it lacks conv2\.bias$"),
        (lambda tensors: tensors.update(extra=tensors["conv1.bias"]), "it has extra besides"),
        (
            lambda tensors: tensors.update({"fc1.weight": tensors.pop("dense1.weight")}),
            r"it lacks dense1\.weight, and has fc1\.weight",
        ),
        (
            lambda tensors: tensors.update({"dense2.weight": tensors["dense2.weight"].T}),
            r"has the shape \[.*\], and \[.*\] is what goes with the others",
        ),
        (
            lambda tensors: tensors.update({"conv1.weight": tensors["conv1.weight"].transpose(0, 3, 1, 2)}),
            r"conv1\.weight has the shape \[6, 1, 5, 5\], and \[6, 5, 5, 1\] is what goes with the others",
        ),
        (
            lambda tensors: tensors.update({"dense1.bias": tensors["dense1.bias"].sum()}),
            r"dense1\.bias has the shape \[\]",
        ),
    ],
)
def test_tensors_that_are_none_of_its_own_are_named(site: Any, save: Any, change: Any, why: str) -> None:
    with pytest.raises(Refused, match=rf"^mine\.safetensors is no lenet5: .*{why}"):
        safetensors.folder(save(change), site)


def test_what_a_header_tells_is_told_before_anything_runs(site: Any, save: Any) -> None:
    (objection,) = safetensors.faults({**save(), "architecture": "lenet6"}, site)
    assert objection.path == ("architecture",)
    assert "`lenet5`" in objection.what
    (site.root / "mine.safetensors").write_bytes(pickle.dumps({"a": [1]}))
    options = {"safetensors": "mine.safetensors", "architecture": "lenet5"}
    assert not list(safetensors.faults(options, site))
    (remark,) = safetensors.remarks(options, site, set())
    assert "pickle" in remark
    with pytest.raises(Refused, match="can't be read"):
        safetensors.folder({"safetensors": "none.safetensors", "architecture": "lenet5"}, site)
