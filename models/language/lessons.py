"""Texts as lessons: the tokens of prompts and completions, and which of them are to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from harness.contract import Refused
from models.data import Example, read_examples
from models.language.options import Way
from models.language.prompts import Prompts
from models.training import Batch

LONGEST = 2048
"""Tokens of an example that are learned from; what follows is cut off, as mlx-lm does."""


class Lesson(NamedTuple):
    tokens: list[int]
    given: int
    """How many of the first tokens are the prompt, and not to be learned."""


class Lessons:
    """The examples of a file, as a Study."""

    def __init__(self, data: Path, tokenizer: Any, choices: int) -> None:
        prompts = Prompts(tokenizer, Way(), choices)
        self.lessons = []
        for number, example in enumerate(read_examples(data), 1):
            try:
                self.lessons.append(_lesson(prompts, example))
            except Refused as refused:
                raise Refused(f"example {number} of `{data.name}` can't be learned from: {refused}") from None

    def __len__(self) -> int:
        return len(self.lessons)

    def batch(self, chosen: NDArray[np.intp], random: np.random.Generator | None) -> Batch:
        """The chosen lessons, padded on the right to the longest; nothing is varied."""
        return _padded([self.lessons[at] for at in chosen])


def _padded(lessons: Sequence[Lesson]) -> Batch:
    width = max(len(lesson.tokens) for lesson in lessons)
    tokens = np.zeros((len(lessons), width), np.int32)
    mask = np.zeros((len(lessons), width - 1), np.float32)
    for row, (said, given) in enumerate(lessons):
        tokens[row, : len(said)] = said
        mask[row, max(given, 1) - 1 : len(said) - 1] = 1
    return Batch(mx.array(tokens[:, :-1]), mx.array(tokens[:, 1:]), mx.array(mask))


def _lesson(prompts: Prompts, example: Example) -> Lesson:
    before, whole = _tokens(prompts, example)
    given = next((at for at, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b), len(before))
    if max(given, 1) >= min(len(whole), LONGEST):
        raise Refused(f"it has nothing to learn in its first {LONGEST} tokens, {given} of them the prompt's")
    return Lesson(whole[:LONGEST], given)


def _tokens(prompts: Prompts, example: Example) -> tuple[list[int], list[int]]:
    """The tokens of what is given, and of the whole: tokenised as one text, as it will be read."""
    input: Any = {"prompt": example.input} if isinstance(example.input, str) else example.input
    said = example.expect.get("text") if isinstance(example.expect, dict) else example.expect
    if said is not UNSET and not isinstance(said, str):
        raise Refused("what a language model is to say is a text, or {text: ...}")
    if isinstance(input, dict) and input.keys() == {"messages"}:
        messages = input["messages"]
        if said is UNSET:
            return [], prompts.encoded(prompts.written(messages, asks=False), chat=True)
        whole = prompts.written([*messages, {"role": "assistant", "content": said}], asks=False)
        return prompts.encoded(prompts.written(messages), chat=True), prompts.encoded(whole, chat=True)
    if not isinstance(input, dict) or input.keys() != {"prompt"} or not isinstance(input["prompt"], str):
        raise Refused("its input is not a text, {prompt: ...} or {messages: [...]}")
    prompt = input["prompt"]
    if said is UNSET:
        return [], _ended(prompts, prompts.encoded(prompt, chat=False))
    return prompts.encoded(prompt, chat=False), _ended(prompts, prompts.encoded(prompt + said, chat=False))


def _ended(prompts: Prompts, tokens: list[int]) -> list[int]:
    """With the token that ends a text, so that ending is learned, too."""
    end = prompts.tokenizer.eos_token_id
    return tokens if end is None or tokens[-1:] == [end] else [*tokens, end]
