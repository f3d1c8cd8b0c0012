"""Times a model in the process that has it: nothing else of ours runs there meanwhile."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import msgspec

from harness.codec import plain
from harness.contract import Model, Question, Refused, Timed

MOST = 5_000
"""Lots of one go whose times are kept, however quick they are."""


NO_STREAM = "it does not tell when its first token comes"


class Task(msgspec.Struct, frozen=True, tag_field="is", tag="time"):
    """Lots of questions to be timed, again and again until so many seconds are over."""

    lots: list[list[Question]]
    least: float
    stream: bool
    limit: float
    """Seconds that a question may take."""


class Stopwatch:
    def __init__(self, model: Model, facts: Mapping[str, Any], born: float) -> None:
        from harness import machine

        self._model = model
        self._born = born
        self._machine = machine
        self._meter = machine.Meter(served_at(facts))
        self._joules = machine.Joules()

    def time(self, task: Task, prepare: Callable[..., None]) -> Timed:
        """The times of a task; `prepare` is called with a lot's ids before it is asked, and is not timed."""
        seconds: list[float] = []
        firsts: list[float | None] = []
        tokens: list[int | None] = []
        ask: Any = getattr(self._model, "stream", None) if task.stream else self._model.answer
        error = "" if ask is not None else NO_STREAM
        gc.collect()
        self._joules.read()
        self._meter.read()
        begin = time.perf_counter()
        while not error:
            for lot in task.lots:
                prepare(*(question.id for question in lot))
                try:
                    with _within(task.limit * len(lot)):
                        spent, first, said = (
                            _stream(ask, lot) if task.stream else _answer(ask, self._model.together, lot)
                        )
                except Late:
                    error = f"it took longer than its {task.limit * len(lot):g} s"
                    break
                except (Exception, SystemExit) as wrong:
                    error = _told(wrong)
                    break
                if len(seconds) < MOST:
                    seconds.append(spent)
                    firsts.append(first)
                    tokens.append(said)
            if error or time.perf_counter() - begin >= task.least:
                break
        noise, joules = self._meter.read(), self._joules.read()
        return Timed(
            seconds=tuple(seconds),
            firsts=tuple(firsts) if task.stream else (),
            tokens=tuple(tokens),
            at=time.perf_counter() - self._born,
            resident=self._machine.resident(),
            peak_resident=self._machine.peak_resident(),
            peak_mlx=_peak_mlx(),
            joules=joules,
            noise=noise,
            error=error,
            streams=error != NO_STREAM,
        )


class Late(BaseException):
    """Raised inside an answer that outlasts its time; no `except Exception` of a model's can swallow it."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Ends what runs Python; a hang in native code is ended with the process, from outside."""

    def ring(number: int, frame: object) -> NoReturn:
        raise Late

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _told(wrong: BaseException) -> str:
    said = str(wrong).strip().split("\n")[0][:500]
    return said if isinstance(wrong, Refused) else f"{type(wrong).__name__}: {said}"


def _answer(ask: Any, together: bool, lot: Sequence[Question]) -> tuple[float, None, int | None]:
    """The time until all answers are there as plain data: what was put off is not answered yet."""
    begin = time.perf_counter()
    given = ask(lot) if together else (answer for question in lot for answer in ask([question]))
    answers = [answer if isinstance(answer, BaseException) else plain(answer) for answer in given]
    spent = time.perf_counter() - begin
    if len(answers) != len(lot):
        raise Refused(f"the model gave {len(answers)} answers to {len(lot)} questions")
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    said = [answer.get("tokens") if isinstance(answer, dict) else None for answer in answers]
    return spent, None, sum(map(len, said)) if all(isinstance(each, list) for each in said) else None  # type: ignore[arg-type]


def _stream(ask: Any, lot: Sequence[Question]) -> tuple[float, float | None, int]:
    """Of one question; where not a token came there is no first one."""
    first, said = None, 0
    begin = time.perf_counter()
    for _ in ask(lot[0]):
        said += 1
        if first is None:
            first = time.perf_counter() - begin
    return time.perf_counter() - begin, first, said


def _peak_mlx() -> int | None:
    mlx = sys.modules.get("mlx.core")
    return None if mlx is None else int(mlx.get_peak_memory())


def served_at(facts: Mapping[str, Any]) -> list[int]:
    """The port of this machine at which a model's server listens, where it is one of this machine."""
    at = urlsplit(str(facts.get("url", "")))
    here = at.hostname in ("localhost", "::1") or (at.hostname or "").startswith("127.")
    return [at.port or (443 if at.scheme == "https" else 80)] if here else []
