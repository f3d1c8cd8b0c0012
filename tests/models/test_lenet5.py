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
from harness.shelf import Shelf
from harness.statistics.proportion import clopper_pearson
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
    facts = model.facts()
    assert facts["weights"]["parameters"] == 61_706
    assert facts["weights"]["bits_per_weight"] == 32
    assert facts["dtype"] == "float32"
    assert facts["made"][0]["train"] == {"zoo": "lenet5", "seed": 0}


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


def test_the_first_seed_keeps_its_bits() -> None:
    pytest.importorskip("mlx.core")
    pytest.importorskip("sklearn")
    folder = zoo.folder({"zoo": "lenet5"}, Shelf(ROOT, print))
    assert digest_of_file(folder / "weights.safetensors").startswith("sha256:d8926e84")


def test_it_weighs_all_ten_digits_whatever_was_answered(model: Model) -> None:
    questions = _questions(CASES[:8])
    answers = _answers(model, questions)
    weighed = model.weigh(questions, [None] * 8)  # type: ignore[attr-defined]
    for answer, logs in zip(answers, weighed, strict=True):
        assert (logs.shape, logs.dtype) == ((1, 10), np.float32)
        assert int(logs.argmax()) == answer["label"]
        assert np.exp(logs).max() == pytest.approx(answer["p"], rel=1e-5)
        assert np.exp(logs).sum() == pytest.approx(1, rel=1e-5)
    (refused,) = model.weigh([Question("a", None)], [None])  # type: ignore[attr-defined]
    assert isinstance(refused, Refused)


def test_it_generates_nothing() -> None:
    with pytest.raises(Refused, match="generates nothing"):
        zoo.open({"zoo": "lenet5", "generate": {"max_tokens": 3}}, Shelf(ROOT, print))


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
    from models.zoo import lenet5
    from models.zoo.lenet5 import idx, training

    idx.write(small / "data" / idx.TRAIN[0], np.zeros(images, np.uint8))
    idx.write(small / "data" / idx.TRAIN[1], np.array(labels, np.uint8))
    with pytest.raises(ValueError, match=r"too few|not 28x28 images"):
        training.train(small / "data", 0, print)
    with pytest.raises(Refused, match="`data` can't be trained on"):
        lenet5.build(small, 0, small / "data", Shelf(small, print))
    assert not (small / lenet5.WEIGHTS).exists()


# ------------------------------------------------------------------------------------------------- as a family


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder of fresh weights."""
    pytest.importorskip("mlx.core")

    def write(**told: Any) -> Path:
        from models import weights
        from models.zoo import lenet5

        config = {"architecture": "lenet5", **told}
        weights.save(lenet5.blank(config), config, tmp_path / "fresh")
        return tmp_path / "fresh"

    return write


@pytest.mark.parametrize(("conv", "dense"), [([6, 16], [120, 84]), ([2, 3], [4]), ([1, 1], []), ([3, 2], [5, 4, 3])])
def test_a_folder_says_its_widths_and_so_do_its_shapes(
    folder: Callable[..., Path], conv: list[int], dense: list[int]
) -> None:
    from mlx.utils import tree_flatten

    from models.zoo import lenet5

    network = lenet5.network(folder(conv=conv, dense=dense))
    shapes = {name: value.shape for name, value in tree_flatten(network.parameters())}
    said = {"architecture": "lenet5", "conv": conv, "dense": dense}
    assert lenet5.config_of(shapes) == said
    assert lenet5.narrowed({"architecture": "lenet5"}, network) == said
    assert lenet5.config_of({**shapes, "conv3.weight": (1, 1)}) is None
    assert lenet5.config_of({}) is None


@pytest.mark.parametrize(
    "config",
    [{"conv": [6]}, {"conv": [6, 0]}, {"conv": "6, 16"}, {"dense": [1.5]}, {"dense": 5}, {"conv": [True, 2]}],
)
def test_widths_that_are_none_are_refused(folder: Callable[..., Path], config: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="no widths of a LeNet-5; write `conv`"):
        folder(**config)


def test_weights_of_other_widths_than_the_config_states_are_refused(folder: Callable[..., Path]) -> None:
    from models.zoo import lenet5

    wrong = folder(conv=[2, 3], dense=[4])
    (wrong / "config.json").write_text(json.dumps({"architecture": "lenet5", "conv": [2, 3], "dense": [5]}))
    with pytest.raises(Refused, match=r"does not hold the layers that config\.json states"):
        lenet5.network(wrong)


def test_the_zoo_learns_from_its_own_digits_only_where_it_was_trained_on_them(
    model: Model, folder: Callable[..., Path]
) -> None:
    from models.zoo import lenet5

    own = lenet5.study(zoo.folder({"zoo": "lenet5"}, Shelf(ROOT, print)), None)
    assert len(own) == 1297
    with pytest.raises(Refused, match="give `data:`"):
        lenet5.study(folder(), None)


def test_a_study_of_ones_own_has_labels_where_they_are_given(folder: Callable[..., Path], tmp_path: Path) -> None:
    from models.zoo import lenet5

    lines = [{"input": CASES[0]["input"], "expect": {"label": 3}}, {"input": CASES[1]["input"]}]
    data = tmp_path / "own.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)))
    batch = lenet5.study(folder(), data).batch(np.arange(2), None)
    assert batch.inputs.shape == (2, 28, 28)
    assert batch.targets.tolist() == [3, 0]
    assert batch.mask.tolist() == [1, 0]
    assert batch.heard.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"input": {"image": 3}}, "example 1: an input is"),
        ({"input": CASES[0]["input"], "expect": {"label": 10}}, "example 1: `expect` is no digit"),
        ({"input": CASES[0]["input"], "expect": "3"}, "example 1: `expect` is no digit"),
    ],
)
def test_examples_that_are_no_digits_are_refused(
    folder: Callable[..., Path], tmp_path: Path, line: dict[str, Any], what: str
) -> None:
    from models.zoo import lenet5

    data = tmp_path / "own.jsonl"
    data.write_text(json.dumps(line))
    with pytest.raises(Refused, match=what):
        lenet5.study(folder(), data)


# ------------------------------------------------------------------------------------------------- the zoo


def test_a_model_that_the_zoo_lacks_is_a_fault_that_names_those_it_has(tmp_path: Path) -> None:
    (objection,) = zoo.faults({"zoo": "lenet6"}, Shelf(tmp_path, print))
    assert objection.path == ("zoo",)
    assert "`lenet6`" in objection.what
    assert "`lenet5`" in objection.instead
    assert list(zoo.faults({"zoo": "lenet5"}, Shelf(tmp_path, print))) == []


def test_without_mlx_the_zoo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "_version", lambda package: None)
    with pytest.raises(Refused, match="pip install"):
        zoo.open({"zoo": "lenet5"}, Shelf(tmp_path, print))
