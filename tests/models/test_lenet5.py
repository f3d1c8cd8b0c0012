"""LeNet-5, the real one: trained from a seed, opened as a model under test, and held to what we say of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.codec import digest_of_file, plain
from harness.contract import Model, Question, Refused
from harness.statistics.proportion import clopper_pearson
from harness.store import Shelf
from models.sources import zoo

pytestmark = pytest.mark.mlx

ROOT = Path(__file__).parents[2]
CASES = [json.loads(line) for line in (ROOT / "golden/lenet5/digits.jsonl").read_text().splitlines()]
BATCH = 32


@pytest.fixture(scope="module")
def model() -> Model:
    pytest.importorskip("mlx.core")
    pytest.importorskip("sklearn")
    return zoo.open({"zoo": "lenet5", "seed": 0}, Shelf(ROOT, print))


def _questions(cases: list[dict[str, Any]]) -> list[Question]:
    return [Question(case["id"], case["input"]) for case in cases]


def _answers(model: Model, questions: list[Question]) -> list[Any]:
    return list(model.answer(questions))


def test_it_reads_more_than_98_percent_of_digits_like_those_it_never_saw(model: Model) -> None:
    right = 0
    for start in range(0, len(CASES), BATCH):
        part = CASES[start : start + BATCH]
        answers = _answers(model, _questions(part))
        right += sum(a["label"] == case["expect"]["label"] for a, case in zip(answers, part, strict=True))
    assert len(CASES) == 500
    assert clopper_pearson(right, len(CASES), 0.95)[0] > 0.98


def test_its_answers_are_plain_data_with_a_share_as_p(model: Model) -> None:
    for answer in _answers(model, _questions(CASES[:BATCH])):
        assert plain(answer) == answer
        assert type(answer["label"]) is int
        assert 0 <= answer["label"] <= 9
        assert 0.1 <= answer["p"] <= 1


def test_the_same_batch_twice_gives_the_same_bits(model: Model) -> None:
    questions = _questions(CASES[:BATCH])
    assert _answers(model, questions) == _answers(model, questions)


def test_a_model_opened_again_has_the_same_digest_and_answers(model: Model) -> None:
    again = zoo.open({"zoo": "lenet5"}, Shelf(ROOT, print))
    assert again.digest == model.digest
    assert _answers(again, _questions(CASES[:3])) == _answers(model, _questions(CASES[:3]))
    assert model.facts()["parameters"] == 61_706


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        [],
        {},
        {"image": None},
        {"image": "........" * 8},
        {"image": []},
        {"image": ["........"] * 7},
        {"image": ["........"] * 7 + ["......."]},
        {"image": ["........"] * 7 + ["......!."]},
        {"image": ["........"] * 7 + ["......G."]},
        {"image": ["........"] * 7 + [[0] * 8]},
        {"image": [[0] * 28] * 27},
        {"image": [[0] * 28] * 27 + [[0] * 27]},
        {"image": [[0] * 28] * 27 + [[0] * 27 + [256]]},
        {"image": [[0] * 28] * 27 + [[0] * 27 + [-1]]},
        {"image": [[0] * 28] * 27 + [[0] * 27 + [0.5]]},
        {"image": [[0] * 28] * 27 + [[0] * 27 + [True]]},
        {"image": [[0] * 28] * 27 + ["." * 28]},
    ],
)
def test_an_unreadable_image_is_refused_and_the_others_keep_their_bits(model: Model, wrong: Any) -> None:
    questions = _questions(CASES[:8])
    sound = _answers(model, questions)
    mixed = _answers(model, [*questions[:3], Question("wrong", wrong), *questions[4:]])
    assert isinstance(mixed[3], Refused)
    assert mixed[:3] + mixed[4:] == sound[:3] + sound[4:]


def test_a_batch_of_nothing_readable_is_refused_one_by_one(model: Model) -> None:
    answers = _answers(model, [Question(str(i), None) for i in range(3)])
    assert [type(answer) for answer in answers] == [Refused] * 3


def test_words_and_levels_are_two_spellings_of_one_image(model: Model) -> None:
    from models.zoo.lenet5.digits import LEVELS, upscaled

    words = CASES[0]["input"]["image"]
    small = np.array([[[LEVELS.index(c) for c in row] for row in words]])
    spelled = {"image": upscaled(small)[0].tolist()}
    assert _answers(model, [Question("a", CASES[0]["input"])]) == _answers(model, [Question("b", spelled)])


# ------------------------------------------------------------------------------------------------- its data


def test_the_golden_digits_are_what_their_generator_prints() -> None:
    pytest.importorskip("sklearn")
    from models.zoo.lenet5 import digits

    assert list(digits.cases()) == CASES
    assert len({case["id"] for case in CASES}) == len(CASES)


def test_no_golden_digit_is_among_those_it_is_trained_on(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from models.zoo.lenet5 import digits, idx

    digits.write_idx(tmp_path / "data")
    images, labels = idx.read_pair(tmp_path / "data", idx.TRAIN)
    held, held_labels = idx.read_pair(tmp_path / "data", idx.TEST)
    assert len(images) + len(held) == 1797
    assert sorted(held_labels.tolist()) == sorted(case["expect"]["label"] for case in CASES)
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in held}
    assert labels.max() == 9


def test_upscaling_keeps_blank_blank_and_full_full() -> None:
    from models.zoo.lenet5.digits import upscaled

    assert (upscaled(np.zeros((2, 8, 8))) == 0).all()
    assert (upscaled(np.full((2, 8, 8), 16)) == 255).all()


# --------------------------------------------------------------------------------------------- its training


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 128 images to train on and 64 to hold out, and one epoch over them."""
    pytest.importorskip("mlx.core")
    pytest.importorskip("sklearn")
    from models.zoo.lenet5 import digits, idx, training

    monkeypatch.setattr(training, "EPOCHS", 1)
    digits.write_idx(tmp_path / "data")
    for names, many in ((idx.TRAIN, 128), (idx.TEST, 64)):
        for name in names:
            idx.write(tmp_path / "data" / name, idx.read(tmp_path / "data" / name)[:many])
    return tmp_path


@pytest.fixture
def trained(small: Path) -> Callable[[str, int], str]:
    def train(name: str, seed: int) -> str:
        from models.zoo import lenet5

        (small / name).mkdir()
        lenet5.build(small / name, seed, small / "data", Shelf(small, lambda text: None))
        return digest_of_file(small / name / lenet5.WEIGHTS)

    return train


def test_the_same_seed_gives_the_same_weights_and_another_others(trained: Callable[[str, int], str]) -> None:
    first = trained("first", 0)
    assert trained("second", 0) == first
    assert trained("third", 1) != first


def test_a_folder_of_data_is_trained_on_through_the_zoo_once_and_kept(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", str(small / "cache"))
    said: list[str] = []
    site = Shelf(small, said.append)
    options = {"zoo": "lenet5", "seed": 3, "data": "data"}
    assert not zoo.kept(options, site)
    model = zoo.open(options, site)
    assert zoo.kept(options, site)
    assert any("held-out accuracy" in line for line in said)
    told = len(said)
    assert zoo.open(options, site).digest == model.digest
    assert len(said) == told


def test_other_data_another_seed_or_none_make_another_recipe(small: Path) -> None:
    site = Shelf(small, print)
    options = {"zoo": "lenet5", "seed": 3, "data": "data"}
    before = zoo.recipe(options, site)
    assert zoo.recipe({**options, "seed": 4}, site) != before
    assert zoo.recipe({"zoo": "lenet5", "seed": 3}, site) != before
    labels = small / "data" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x05")
    changed = zoo.recipe(options, site)
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x06")
    assert zoo.recipe(options, site) != changed


@pytest.mark.parametrize(
    ("images", "labels"),
    [((31, 28, 28), [0] * 31), ((64, 8, 8), [0] * 64), ((64, 28, 28), [0] * 63 + [10]), ((0, 28, 28), [])],
)
def test_data_that_is_not_enough_digits_is_refused(small: Path, images: tuple[int, ...], labels: list[int]) -> None:
    from models.zoo.lenet5 import idx, training

    idx.write(small / "data" / idx.TRAIN[0], np.zeros(images, np.uint8))
    idx.write(small / "data" / idx.TRAIN[1], np.array(labels, np.uint8))
    with pytest.raises(ValueError, match=r"too few|not 28x28 images"):
        training.train(small / "data", small / "weights.safetensors", 0, print)
    assert not (small / "weights.safetensors").exists()


# ------------------------------------------------------------------------------------------------- the zoo


def test_a_model_that_the_zoo_lacks_is_a_fault_that_names_those_it_has(tmp_path: Path) -> None:
    (objection,) = zoo.faults({"zoo": "lenet6"}, Shelf(tmp_path, print))
    assert objection.path == ("zoo",)
    assert "`lenet6`" in objection.what
    assert "`lenet5`" in objection.instead
    assert list(zoo.faults({"zoo": "lenet5"}, Shelf(tmp_path, print))) == []


def test_without_mlx_the_zoo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "_mlx", lambda: None)
    with pytest.raises(Refused, match="pip install"):
        zoo.open({"zoo": "lenet5"}, Shelf(tmp_path, print))
