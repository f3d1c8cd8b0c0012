"""One conversation: questions out and answers in, a line each, without either side ever waiting to be read."""

from __future__ import annotations

import json
import os
import selectors
import time
from collections.abc import Sequence
from typing import Any

from harness.contract import Question, Refused
from models.sources.command.child import Child

LONGEST = 16_000_000
"""Bytes that a line may have."""
_CHUNK = 65536
_HOW = 'write one {"id": ..., "answer": ...} a line to stdout, and anything else to stderr'


class Broken(Exception):
    """What the program did that no conversation survives."""


class Gone(Broken):
    """That it ended, or went silent, before it answered."""


def talk(child: Child, questions: Sequence[Question], seconds: float) -> list[Any]:
    """The answers, in the order of the questions; a Refused in the place of one that it can't answer."""
    talking = _Talking(child, questions)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdin, selectors.EVENT_WRITE, talking.tell)
        selector.register(child.stdout, selectors.EVENT_READ, talking.listen)
        selector.register(child.stderr, selectors.EVENT_READ, child.hear)
        deadline = time.monotonic() + seconds
        while talking.waiting:
            before, left = len(talking.waiting), deadline - time.monotonic()
            if left <= 0:
                raise Gone(f"gave no answer to `{talking.next}` within {seconds:g} s")
            for key, _ in selector.select(left):
                if not key.data():
                    selector.unregister(key.fileobj)
            if len(talking.waiting) < before:
                deadline = time.monotonic() + seconds
    return [talking.answers[question.id] for question in questions]


class _Talking:
    """What has been said. Each step returns False when its pipe has nothing more to give or to take."""

    def __init__(self, child: Child, questions: Sequence[Question]) -> None:
        self.child = child
        self.waiting = dict.fromkeys(question.id for question in questions)
        self.answers: dict[str, Any] = {}
        lines = (json.dumps({"id": question.id, "input": question.input}) for question in questions)
        self._unsaid = memoryview("".join(f"{line}\n" for line in lines).encode())
        self._heard = bytearray()

    @property
    def next(self) -> str:
        return next(iter(self.waiting))

    def tell(self) -> bool:
        try:
            self._unsaid = self._unsaid[os.write(self.child.stdin.fileno(), self._unsaid[:_CHUNK]) :]
        except BlockingIOError:
            return True
        except OSError:  # it reads no more, and may still have answered
            return False
        return bool(self._unsaid)

    def listen(self) -> bool:
        data = os.read(self.child.stdout.fileno(), _CHUNK)
        if not data:
            how = self.child.status() or "closed its output"
            raise Gone(f"{how} before it answered `{self.next}`")
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._take(bytes(self._heard) + line)
            self._heard.clear()
        self._heard += rest
        if len(self._heard) > LONGEST:
            raise Broken(f"wrote a line of more than {LONGEST:,} bytes")
        return True

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or said.keys() not in ({"id", "answer"}, {"id", "error"}):
            raise Broken(f"wrote a line that is no answer: {_in_short(line)}; {_HOW}")
        id_ = said["id"]
        if not isinstance(id_, str) or id_ not in self.waiting:
            again = isinstance(id_, str) and id_ in self.answers
            raise Broken(f"answered `{str(id_)[:80]}`, which it " + ("had answered" if again else "was not asked"))
        del self.waiting[id_]
        self.answers[id_] = Refused(f"it says: {_line(said['error'])}") if "error" in said else said["answer"]


def _line(said: Any) -> str:
    return " ".join(str(said).split())[:300]


def _in_short(line: bytes) -> str:
    text = _line(line[:400].decode("utf-8", "replace"))
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
