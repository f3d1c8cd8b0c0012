"""Asks the questions of a batch at once, patiently, and lets go of all of them when the time is over."""

from __future__ import annotations

import queue
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from harness.contract import Question, Refused, Unreached
from models.sources.http.wire import Line

_T = TypeVar("_T")


class Passing(Exception):
    """Trouble that may have passed when the question is asked again, after `wait` seconds at the earliest."""

    def __init__(self, said: str, wait: float = 0.0) -> None:
        super().__init__(said)
        self.wait = wait


class Round:
    """The questions that are out together."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.lines: set[Line] = set()
        """Connections that somebody waits on."""

    def end(self) -> None:
        self.over.set()
        for line in tuple(self.lines):
            line.hang_up()


def ask_all(questions: Sequence[Question], ask: Callable[[Question, Round], Any], many: int) -> list[Any]:
    """Their answers, in order, an exception in the place of a question that has none.

    Only this thread hears the alarm that ends a case, and it may ring at any line of this function: the threads that
    ask are then cut off from what they wait for, and hold up nobody, not even the end of the process.
    """
    waiting = deque(enumerate(questions))
    answered: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    out = Round()

    def work() -> None:
        while not out.over.is_set():
            try:
                index, question = waiting.popleft()
            except IndexError:
                return
            try:
                answered.put((index, ask(question, out)))
            except Exception as error:
                answered.put((index, error))

    answers: list[Any] = [None] * len(questions)
    try:
        for number in range(min(many, len(questions))):
            threading.Thread(target=work, name=f"hallmark-http-{number}", daemon=True).start()
        for _ in questions:
            index, given = answered.get()
            answers[index] = given
    finally:
        out.end()
    return answers


def insist(
    once: Callable[[float], _T], *, name: str, seconds: float, retries: int, backoff: float, over: threading.Event
) -> _T:
    """What `once(deadline)` returns, tried again where its trouble may pass and there is time left for it."""
    deadline = time.monotonic() + seconds
    for attempt in range(retries + 1):
        try:
            return once(deadline)
        except Passing as trouble:
            said, tries = str(trouble), f"{attempt + 1} {'tries' if attempt else 'try'}"
            pause = max(trouble.wait, backoff * 2**attempt * (1 + _chance(name, attempt)) / 2)
        if attempt == retries:
            raise Unreached(f"{said} (after {tries})" if attempt else said)
        if time.monotonic() + pause >= deadline:
            raise Unreached(f"{said} (after {tries}; the next would be in {pause:.3g} s, too late for {seconds:g} s)")
        if over.wait(pause):
            break
    raise Refused("nobody waits for this answer any more")


def _chance(name: str, attempt: int) -> float:
    """From 0 to 1, the same for the same question: those of a batch don't all come back at once."""
    return zlib.crc32(f"{name}\0{attempt}".encode()) / 2**32
