"""A program as a model."""

from __future__ import annotations

import shlex
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.codec import digest_of
from harness.contract import Question, Refused, Unreached
from models.sources.command.child import Child
from models.sources.command.talk import Broken, Gone, talk
from models.sources.command.words import program, sources

TIMEOUT = 60.0
STARTS = 5
"""How often a program is started that has never answered anything."""


class Agent:
    anew = True

    def __init__(self, words: Sequence[str], root: Path, options: Mapping[str, Any]) -> None:
        self.words = words
        self.root = root
        self.timeout = options.get("timeout", TIMEOUT)
        self.together = options.get("batched", False)
        self._program = program(words, root)
        self.sources = sources(words, root)
        self.digest = digest_of([words, self.sources])
        self._running: list[Child] = []
        """The one that runs, if one does."""
        self._answered = False
        self._starts = 0
        self._fault = ""
        self._wrong = False
        """Whether the last fault was an answer, and not the want of one."""
        weakref.finalize(self, _end, self._running)
        self._start()

    def answer(self, questions: Sequence[Question]) -> Iterable[Any]:
        return self._talk(questions) if self.together else self._in_turn(questions)

    def facts(self) -> Mapping[str, Any]:
        return {"command": list(self.words), "sources": dict(self.sources)}

    def _in_turn(self, questions: Sequence[Question]) -> Iterator[Any]:
        for question in questions:
            yield from self._talk([question])

    def _talk(self, questions: Sequence[Question]) -> list[Any]:
        child = self._running[0] if self._running else self._start()
        try:
            answers = talk(child, questions, self.timeout)
        except Broken as error:
            complaint = child.complaint()
            self._fault = f"`{self._shown()}` {error}" + (f": {complaint}" if complaint else "")
            self._wrong = not isinstance(error, Gone)
            self._stop()
            raise self._told(self._fault) from None
        except BaseException:  # its time is over: what it says from now on answers nothing
            self._stop()
            raise
        self._answered = True
        return answers

    def _start(self) -> Child:
        if not self._answered and self._starts >= STARTS:
            said = (
                f" the last time it {self._fault.partition('` ')[2]}" if self._fault else " it was too slow each time"
            )
            raise self._told(f"`{self._shown()}` was started {STARTS} times and never answered;{said}")
        self._starts += 1
        child = Child(self._program, self.words, self.root)
        self._running.append(child)
        return child

    def _stop(self) -> None:
        while self._running:
            self._running.pop().end()

    def _told(self, fault: str) -> Refused:
        """One that ended or was silent may answer when it is asked again; one that answered wrongly has answered."""
        return Refused(fault) if self._wrong else Unreached(fault)

    def _shown(self) -> str:
        said = shlex.join(self.words)
        return said if len(said) <= 80 else f"{said[:80]}..."


def _end(running: list[Child]) -> None:
    while running:
        running.pop().end(patiently=True)
