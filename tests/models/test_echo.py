"""The echo: it says what it is asked, and misbehaves where it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.contract import Question
from harness.shelf import Shelf
from models.sources import echo


def _open(**options: Any) -> echo.Echo:
    return echo.open({"echo": options}, Shelf(Path(), print))


def _questions(*ids: str) -> list[Question]:
    return [Question(id_, f"input of {id_}") for id_ in ids]


def test_it_answers_each_question_with_its_input() -> None:
    model = _open()
    assert list(model.answer(_questions("a", "b"))) == ["input of a", "input of b"]


def test_it_answers_null_where_it_is_to_be_wrong() -> None:
    assert list(_open(wrong=["b"]).answer(_questions("a", "b", "c"))) == ["input of a", None, "input of c"]


def test_it_raises_where_it_is_to_fail_and_answers_what_came_before() -> None:
    answers = _open(fail=["b"]).answer(_questions("a", "b", "c"))
    assert next(answers) == "input of a"
    with pytest.raises(RuntimeError, match="asked to fail"):
        next(answers)


def test_it_kills_its_process_where_it_is_to_crash() -> None:
    script = (
        "from harness.contract import Question; from models.sources.echo import Echo;"
        "print(list(Echo({'crash': ['b']}).answer([Question('a', 1)])), flush=True);"
        "list(Echo({'crash': ['b']}).answer([Question('b', 1)])); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "[1]\n"


def test_it_never_answers_where_it_is_to_hang() -> None:
    script = (
        "from harness.contract import Question; from models.sources.echo import Echo;"
        "print('asked', flush=True); list(Echo({'hang': ['a']}).answer([Question('a', 1)])); print('answered')"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "asked\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=0.2)
        child.kill()
        assert child.stdout.read() == ""
