"""Calls a user's function for the questions of a batch: one after another, at once, or as a list."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.contract import Question, Refused
from models.sources.python.finding import Found, importable
from models.sources.python.loop import Loop

CONCURRENCY = 4


class Called:
    """A function as a model."""

    anew = True

    def __init__(self, found: Found, root: Path, options: Mapping[str, Any]) -> None:
        self.found = found
        self.root = root
        self.batched = options.get("batched", False)
        self.concurrency = options.get("concurrency", CONCURRENCY)
        self.digest = found.digest
        self.soon = _is_async(found.call)
        self.together = self.batched or self.soon
        self._loop = Loop()
        if "concurrency" in options and not self.soon:
            raise Refused(f"`{found.named}` is not `async def` and is called once at a time; leave `concurrency` out")

    def answer(self, questions: Sequence[Question]) -> Iterable[Any]:
        inputs = [question.input for question in questions]
        if self.batched:
            return self._as_a_list(inputs)
        if self.soon:
            with importable(self.root):
                return self._loop.run_all(self.found.call, inputs, self.concurrency)
        return self._in_turn(inputs)

    def facts(self) -> Mapping[str, Any]:
        called = "batched" if self.batched else "async" if self.soon else "one at a time"
        return {**self.found.facts, "called": called}

    def _in_turn(self, inputs: list[Any]) -> Iterator[Any]:
        for input in inputs:
            yield self._call(input)

    def _call(self, given: Any) -> Any:
        with importable(self.root):
            answer = self.found.call(given)
            return self._loop.run(answer) if inspect.isawaitable(answer) else answer

    def _as_a_list(self, inputs: list[Any]) -> list[Any]:
        """As many answers as inputs; where there are not, nobody can say whose is whose, and all are refused."""
        answers = self._call(inputs)
        if not isinstance(answers, list | tuple):
            said = f"`{self.found.named}` returned a {type(answers).__name__}; return a list of as many answers"
        elif len(answers) != len(inputs):
            said = f"`{self.found.named}` was given {len(inputs)} inputs and returned {len(answers)} answers"
        else:
            return list(answers)
        return [Refused(said)] * len(inputs)


def _is_async(call: Any) -> bool:
    call = call.func if isinstance(call, partial) else call
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
