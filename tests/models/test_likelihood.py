"""How likely a model finds what is expected of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.contract import Question, Refused
from tests.models.conftest import write

pytestmark = pytest.mark.mlx


def speaker(folder: Path):  # type: ignore[no-untyped-def]
    from models import language

    return language.open(write(folder), {"generate": {"max_tokens": 4}})


def test_the_answer_that_a_model_gives_is_as_likely_as_it_says(tmp_path: Path) -> None:
    model = speaker(tmp_path / "m")
    asked = [Question(str(i), f"the cat {word}") for i, word in enumerate(["sat", "ran", "on", "and", "red"])]
    answers = model.answer(asked)
    found = model.likelihood(asked, [{"tokens": answer["tokens"]} for answer in answers])
    assert any(answer["tokens"] for answer in answers)
    for answer, mean in zip(answers, found, strict=True):
        if not answer["tokens"]:
            assert isinstance(mean, Refused)
            continue
        assert mean == pytest.approx(sum(answer["logprobs"]) / len(answer["logprobs"]), abs=1e-4)


def test_a_text_and_its_tokens_are_as_likely(tmp_path: Path) -> None:
    model = speaker(tmp_path / "m")
    asked = Question("a", "the cat sat on")
    tokens = model.prompts.encoded("the mat", chat=True)
    by_text, by_dict, by_tokens = model.likelihood([asked] * 3, [" the mat", {"text": " the mat"}, {"tokens": tokens}])
    assert by_text == by_dict == pytest.approx(by_tokens, abs=1e-5)


def test_what_has_no_tokens_is_refused_alone(tmp_path: Path) -> None:
    model = speaker(tmp_path / "m")
    good, bad = model.likelihood([Question("a", "the cat"), Question("b", "the cat")], [" sat", 7])
    assert isinstance(good, float)
    assert isinstance(bad, Refused)
