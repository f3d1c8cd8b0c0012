"""Distillation: a student learns from its teacher what few labels can't tell it, and nothing it could read off all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.codec import digest_of, digest_of_file
from harness.contract import Refused
from harness.shelf import Shelf
from models import families, weights
from models.sources import zoo
from models.variants import distill

ROOT = Path(__file__).parents[2]
Make = Callable[..., Path]
mlx = pytest.mark.mlx

TINY = {"conv": [2, 2], "dense": []}
SMALL = {"student": {"conv": [5, 3], "dense": []}, "rate": 0.005}
"""1,268 parameters, where their teacher has 61,706."""
TAUGHT = {**SMALL, "epochs": 10}
ALONE = {**SMALL, "share": 0, "labels": 120, "epochs": 120}


@pytest.fixture(scope="module")
def base() -> Path:
    pytest.importorskip("mlx.core")
    pytest.importorskip("sklearn")
    return zoo.folder({"zoo": "lenet5", "seed": 0}, Shelf(ROOT, print))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Distills, and returns the folder that came of it."""

    def made(base: Path, student: Mapping[str, Any], **options: Any) -> Path:
        folder = tmp_path / f"made-{len(list(tmp_path.iterdir()))}"
        options = {"student": dict(student), "epochs": 1, **options}
        assert not list(distill.faults(options))
        distill.make(base, folder, options, Shelf(tmp_path, lambda text: None))
        return folder

    return made


def _kept(base: Path, options: dict[str, Any]) -> Path:
    """A student that takes seconds to teach, kept in the user's cache for as long as what makes it stays the same."""
    code = [*sorted((ROOT / "models/variants/distill").glob("*.py")), ROOT / "models/training.py"]
    key = digest_of([weights.digest(base), options, [digest_of_file(path) for path in code]])
    site = Shelf(ROOT, print)
    return site.build_once(f"test-{key[7:27]}", lambda draft: distill.make(base, draft, options, site))


def _made(folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = weights.read_config(folder)["made"][-1]
    return made


def _right(folder: Path) -> Any:
    """Which of the zoo's 500 held-out digits are read right."""
    import mlx.core as mx

    from models.zoo.lenet5 import digits

    _, (images, labels) = digits.split()
    levels = mx.array(digits.upscaled(images).astype(np.float32) / 255)
    return np.array(mx.argmax(families.family(folder).network(folder)(levels), axis=1)) == labels


# ------------------------------------------------------------------------------------ what may be written


@pytest.mark.parametrize(
    ("options", "at", "what"),
    [
        ({"student": {"vocab_size": 3}}, ("student", "vocab_size"), "is its teacher's"),
        ({"student": {"architecture": "x"}}, ("student", "architecture"), "is its teacher's"),
        ({"share": 0, "unlabelled": True}, ("unlabelled",), "says nothing of the examples without labels"),
        ({"share": 0, "labels": 0}, ("labels",), "there is nothing to learn"),
        ({"labels": 0, "unlabelled": False}, ("labels",), "there is nothing to learn"),
    ],
)
def test_nonsense_is_a_fault_at_its_place(options: dict[str, Any], at: tuple[str, ...], what: str) -> None:
    (objection,) = distill.faults({"student": {}, **options})
    assert objection.path == ("distill", *at)
    assert what in objection.what
    assert objection.instead


def test_what_it_is_taught_on_is_told_while_the_plan_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "one", "completion": "two"}')
    assert list(distill.learned({"student": {}, "data": "a.jsonl"}, Shelf(tmp_path, print))) == ["one"]
    assert list(distill.learned({"student": {}}, Shelf(tmp_path, print))) == []


@mlx
@pytest.mark.parametrize(
    ("student", "what"),
    [
        ({"widths": [2]}, "`widths`, which the config of its teacher lacks; it has `conv`, `dense`"),
        ({"conv": [2]}, "no widths of a LeNet-5"),
    ],
)
def test_a_student_that_can_not_be_built_is_refused(base: Path, make: Make, student: Any, what: str) -> None:
    with pytest.raises(Refused, match=what):
        make(base, student)


@mlx
def test_more_labels_than_there_are_are_refused(base: Path, make: Make) -> None:
    with pytest.raises(Refused, match="`labels: 1298` are more than the 1297"):
        make(base, TINY, share=0.5, labels=1298)


# ------------------------------------------------------------------------------------------- what it learns


@mlx
def test_a_teacher_tells_a_small_student_what_few_labels_do_not(base: Path) -> None:
    taught, alone = _kept(base, TAUGHT), _kept(base, ALONE)
    assert weights.footprint(taught)["parameters"] == weights.footprint(alone)["parameters"] == 1268
    assert {k: _made(taught)[k] for k in ("labels", "unlabelled", "parameters")} == {
        "labels": 0,
        "unlabelled": 1297,
        "parameters": 1268,
    }
    assert _made(taught)["teacher"] == {"digest": weights.digest(base), "parameters": 61_706}
    assert {k: _made(alone)[k] for k in ("labels", "unlabelled")} == {"labels": 120, "unlabelled": 0}
    better, worse = _right(taught), _right(alone)
    assert better.mean() > 0.95
    assert (better & ~worse).sum() > 2 * (worse & ~better).sum() + 10


@mlx
def test_the_seed_decides_the_weights_to_the_bit(base: Path, make: Make) -> None:
    def digest(**told: Any) -> str:
        return weights.digest(make(base, TINY, share=0.5, labels=64, unlabelled=False, **told))

    assert digest() == digest(seed=0)
    assert digest(seed=1) != digest()


@mlx
def test_a_student_is_shown_as_many_labels_as_were_asked_and_the_rest_without(base: Path) -> None:
    from models.variants.distill.showing import shown

    study = families.family(base).study(base, None)
    everything = np.arange(len(study))
    part = shown(study, 100, rest=True, seed=0)
    batch = part.batch(everything, None)
    assert (len(part), part.labels(), batch.mask.sum().item(), batch.heard.sum().item()) == (1297, 100, 100, 1297)
    few = shown(study, 100, rest=False, seed=0)
    assert (len(few), few.labels()) == (100, 100)
    assert few.batch(np.arange(100), None).mask.tolist() == [1] * 100
    assert (few.chosen != shown(study, 100, rest=False, seed=1).chosen).any()
    assert len(shown(study, None, rest=False, seed=0)) == 1297


@mlx
def test_a_student_of_a_narrowed_packed_teacher_is_a_float_one(base: Path, make: Make, tmp_path: Path) -> None:
    from models.variants import quantize

    packed = tmp_path / "packed"
    quantize.make(base, packed, {"bits": 8, "pad": True}, Shelf(tmp_path, lambda text: None))
    folder = make(packed, TINY, labels=32, unlabelled=False, share=0.5)
    config = weights.read_config(folder)
    assert {"quantization", "padded"}.isdisjoint(config)
    assert (config["conv"], config["dense"]) == ([2, 2], [])
    assert weights.footprint(folder)["bits_per_weight"] == 32
    assert len(config["made"]) == 3


# ------------------------------------------------------------------------------------------ language models


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lessons") / "lessons.jsonl"
    rows = [{"prompt": f"the {who} sat on", "completion": " the mat"} for who in ("cat", "dog", "tree", "red cat")]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@mlx
def test_a_language_model_teaches_a_smaller_one(tiny: Path, make: Make, lessons: Path) -> None:
    student = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 16}
    first, later = (
        make(tiny, student, data=str(lessons), epochs=epochs, rate=0.01, temperature=1) for epochs in (1, 60)
    )
    assert _made(later)["loss"] < 0.3 * _made(first)["loss"]
    assert weights.footprint(later)["parameters"] < 0.2 * weights.footprint(tiny)["parameters"]
    assert weights.read_config(later)["hidden_size"] == 32
    assert (later / "tokenizer.json").is_file()
    assert _made(later)["data"].startswith("sha256:")
    assert (
        families.family(later).network(later)(_tokens()).shape == families.family(tiny).network(tiny)(_tokens()).shape
    )


def _tokens() -> Any:
    import mlx.core as mx

    return mx.array([[1, 3, 5, 7]])


@mlx
def test_sizes_that_do_not_fit_each_other_are_refused(tiny: Path, make: Make, lessons: Path) -> None:
    with pytest.raises(Refused, match="`student` gives no network that works"):
        make(tiny, {"num_attention_heads": 3, "num_key_value_heads": 2, "hidden_size": 30}, data=str(lessons))
    with pytest.raises(Refused, match="give `data:`"):
        make(tiny, {"hidden_size": 32})
