"""The zoo's llama, the real one: what it is taught, its tokenizer, its training, and how well it does its sums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.contract import Model, Question, Refused
from harness.shelf import Shelf
from harness.statistics.proportion import clopper_pearson
from models.data import CalibrationDataset
from models.sources import zoo
from models.zoo.llama import task
from models.zoo.llama.task import Exercise

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "golden/llama"
BATCH = 128


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]


def _pair(case: dict[str, Any]) -> tuple[int, ...]:
    return tuple(sorted(map(int, case["id"].split("-")[-2:])))


# ------------------------------------------------------------------------------------------------- its task


@pytest.mark.parametrize(
    ("exercise", "prompt", "answer"),
    [
        (Exercise("plus", "digits", 38, 41), "38 + 41 =", "79"),
        (Exercise("plus", "to-words", 38, 41), "38 + 41 in words =", "seventy nine"),
        (Exercise("minus", "words", 79, 25), "seventy nine minus twenty five =", "fifty four"),
        (Exercise("minus", "to-digits", 90, 20), "ninety minus twenty in digits =", "70"),
        (Exercise("swap", "digits", 20, 99), "swap 20 and 99 =", "99 and 20"),
        (Exercise("swap", "words", 41, 30), "swap forty one and thirty =", "thirty and forty one"),
        (Exercise("take", "digits", 79, 25), "take 25 from 79 =", "54"),
    ],
)
def test_an_exercise_reads_as_a_person_writes_it(exercise: Exercise, prompt: str, answer: str) -> None:
    assert (exercise.prompt, exercise.answer) == (prompt, answer)


def test_every_number_has_words_of_its_own() -> None:
    said = [task.words(number) for number in range(task.LEAST, task.MOST + 1)]
    assert len({*said}) == 80
    assert said[0] == "twenty"
    assert said[-1] == "ninety nine"


@pytest.mark.parametrize("operation", [*task.TAUGHT, *task.NEW])
def test_every_answer_is_right_and_nothing_is_carried(operation: str) -> None:
    signs = {"plus": 1, "minus": -1, "take": -1}
    for exercise in task.exercises(operation, "digits", True) + task.exercises(operation, "digits", False):
        a, b = exercise.a, exercise.b
        if operation == "swap":
            assert exercise.answer == f"{b} and {a}"
            continue
        sign = signs[operation]
        assert task.LEAST <= int(exercise.answer) == a + sign * b <= task.MOST
        assert 0 <= a % 10 + sign * (b % 10) < 10


def test_a_pair_of_numbers_is_held_out_in_both_orders_or_in_none() -> None:
    numbers = range(task.LEAST, task.MOST + 1)
    assert all(task.held_out(a, b) == task.held_out(b, a) for a in numbers for b in numbers)
    share = sum(task.held_out(a, b) for a in numbers for b in numbers) / len(numbers) ** 2
    assert 0.1 < share < 0.15


# ----------------------------------------------------------------------------------------- its golden files


@pytest.mark.parametrize("name", task.FILES)
def test_the_golden_files_are_what_the_task_prints(name: str) -> None:
    lines = _lines(name)
    assert list(task.cases(name)) == lines
    assert len({line["id"] for line in lines}) == len(lines)
    assert len({line["input"] for line in lines}) == len(lines)


def test_every_operation_and_form_is_asked_equally_often() -> None:
    for name, kinds in (("sums", 12), ("new-sums", 4)):
        tags = [tuple(line["tags"]) for line in _lines(name)]
        assert {tags.count(kind) for kind in tags} == {len(tags) // kinds}


@pytest.mark.parametrize("lessons", ["lessons", "new-lessons", "mixed-lessons"])
@pytest.mark.parametrize("sums", ["sums", "new-sums"])
def test_no_lesson_tells_a_held_out_case(lessons: str, sums: str) -> None:
    asked, learned = _lines(sums), _lines(lessons)
    assert not {_pair(case) for case in asked} & {_pair(case) for case in learned}
    assert CalibrationDataset(GOLDEN / f"{lessons}.jsonl").overlap(case["input"] for case in asked) == []


def test_nothing_it_is_trained_on_is_a_held_out_case() -> None:
    trained = [e for operation in task.TAUGHT for form in task.FORMS for e in task.exercises(operation, form, False)]
    assert not {e.prompt for e in trained} & {line["input"] for name in ("sums", "new-sums") for line in _lines(name)}
    assert {line["input"] for line in _lines("lessons")} < {e.prompt for e in trained}
    assert not any("take" in e.prompt for e in trained)


# --------------------------------------------------------------------------------------------- its tokenizer


@pytest.mark.mlx
def test_every_text_of_the_task_comes_back_from_its_tokens() -> None:
    pytest.importorskip("tokenizers")
    from models.zoo.llama import tokens

    made = tokens.tokenizer()
    for text in {
        text for name in task.FILES for line in _lines(name) for text in (line["input"], line["expect"]["text"])
    }:
        ids = made.encode(text, add_special_tokens=False).ids
        assert tokens.IDS[tokens.UNKNOWN] not in ids
        assert made.decode(ids) == text
    assert made.get_vocab_size() == len(tokens.VOCABULARY) == len({*tokens.VOCABULARY}) == 64


@pytest.mark.mlx
def test_spaces_and_capitals_make_no_difference_and_an_answer_may_touch_the_equals_sign() -> None:
    pytest.importorskip("tokenizers")
    from models.zoo.llama import tokens

    made = tokens.tokenizer()
    assert made.encode("38+41=").tokens == ["<s>", "3", "##8", "+", "4", "##1", "="]
    assert made.encode("  Forty  PLUS twenty =").ids == made.encode("forty plus twenty =").ids
    assert made.encode("forty plus twenty =sixty").ids == made.encode("forty plus twenty = sixty").ids
    assert made.encode("fourteen bananas").tokens == ["<s>", "fourteen", "<unk>"]


@pytest.mark.mlx
def test_a_chat_becomes_the_tokens_of_a_prompt(tmp_path: Path) -> None:
    pytest.importorskip("mlx_lm")
    from transformers import AutoTokenizer

    from models.zoo.llama import tokens

    tokens.write(tmp_path)
    read: Any = AutoTokenizer.from_pretrained(tmp_path)

    def chat(*said: str, asks: bool = True) -> list[int]:
        messages = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)]
        return list(read.apply_chat_template(messages, add_generation_prompt=asks, return_dict=False))

    assert chat("38 + 41") == chat("38 + 41 =") == read.encode("38 + 41 =")
    assert chat("38 + 41", "79", asks=False) == [*read.encode("38 + 41 = 79"), read.eos_token_id]
    assert read.decode(read.encode("swap 38 and 41 =", add_special_tokens=False)) == "swap 38 and 41 ="


# ---------------------------------------------------------------------------------------------- its training


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three small steps, and few cases to hold it to."""
    pytest.importorskip("mlx.core")
    pytest.importorskip("mlx_lm")
    from models.zoo import llama
    from models.zoo.llama import draft, training

    for module in (llama, draft):
        monkeypatch.setattr(module, "STEPS", 3)
    monkeypatch.setattr(training, "BATCH", 8)
    monkeypatch.setitem(task.SIZES, "sums", 24)


@pytest.mark.mlx
@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    from models import weights
    from models.zoo import llama

    def built(name: str, seed: int) -> str:
        (tmp_path / name).mkdir()
        llama.build(tmp_path / name, seed, None, Shelf(tmp_path, lambda text: None))
        return weights.digest(tmp_path / name)

    first = built("first", 0)
    assert built("second", 0) == first
    assert built("third", 1) != first


@pytest.mark.mlx
@pytest.mark.usefixtures("quick")
def test_the_draft_is_smaller_and_speaks_in_the_same_tokens(tmp_path: Path) -> None:
    from models import weights
    from models.zoo.llama import draft, tokens

    draft.build(tmp_path, 0, None, Shelf(tmp_path, lambda text: None))
    assert weights.footprint(tmp_path)["parameters"] == 37_056
    config = weights.read_config(tmp_path)
    assert config["vocab_size"] == len(tokens.VOCABULARY)
    assert config["made"][0]["train"] == {"zoo": "llama-draft", "seed": 0}


@pytest.mark.mlx
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["llama", "llama-draft"])
def test_a_folder_of_data_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    with pytest.raises(Refused, match="drop `data`"):
        zoo.open({"zoo": name, "data": "data"}, Shelf(tmp_path, lambda text: None))


# ------------------------------------------------------------------------------------------- what came of it


@pytest.fixture(scope="module")
def model() -> Model:
    pytest.importorskip("mlx.core")
    pytest.importorskip("mlx_lm")
    return zoo.open({"zoo": "llama", "seed": 0}, Shelf(ROOT, print))


def _right(model: Model, cases: list[dict[str, Any]]) -> int:
    right = 0
    for start in range(0, len(cases), BATCH):
        part = cases[start : start + BATCH]
        answers = model.answer([Question(case["id"], case["input"]) for case in part])
        right += sum(a["text"] == case["expect"]["text"] for a, case in zip(answers, part, strict=True))
    return right


@pytest.mark.mlx
def test_it_does_more_than_98_percent_of_sums_like_those_it_never_saw(model: Model) -> None:
    cases = _lines("sums")
    assert len(cases) == 504
    assert clopper_pearson(_right(model, cases), len(cases), 0.95)[0] > 0.98


@pytest.mark.mlx
def test_it_fails_what_it_was_never_taught(model: Model) -> None:
    cases = _lines("new-sums")
    assert clopper_pearson(_right(model, cases), len(cases), 0.95)[1] < 0.1


@pytest.mark.mlx
def test_a_chat_and_a_prompt_are_answered_alike_and_end_by_themselves(model: Model) -> None:
    asked = ["38 + 41 =", {"messages": [{"role": "user", "content": "38 + 41"}]}]
    prompt, chat = model.answer([Question(str(at), input) for at, input in enumerate(asked)])
    assert prompt == chat
    assert (prompt["text"], prompt["finish"]) == ("79", "stop")


@pytest.mark.mlx
def test_its_facts_say_how_it_was_made(model: Model) -> None:
    facts = model.facts()
    assert facts["weights"]["parameters"] == 106_816
    assert facts["dtype"] == "float32"
    (made,) = facts["made"]
    assert made["train"] == {"zoo": "llama", "seed": 0}
    assert made["held_out_exact_match"] > 0.985


@pytest.mark.mlx
@pytest.mark.parametrize(("bits", "least", "most"), [(4, 0.98, 1.0), (2, 0.0, 0.85)])
def test_four_bits_keep_its_sums_and_two_lose_them(bits: int, least: float, most: float) -> None:
    pytest.importorskip("mlx_lm")
    import mlx.nn as nn

    from models import language
    from models.zoo.llama import training

    network = language.network(zoo.folder({"zoo": "llama", "seed": 0}, Shelf(ROOT, print)))
    nn.quantize(network, group_size=64, bits=bits)
    assert least <= training.exact_match(network, task.sums()) <= most
