"""A language model under test: prompts in, texts out, with their tokens and how likely each was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from mlx_lm.models.cache import KVCache, RotatingKVCache, make_prompt_cache
from numpy.typing import NDArray

from harness.codec import digest_of, digest_of_file
from harness.contract import Place, Question, Refused
from models import weights
from models.language import folder as folders
from models.language import ways, weighing
from models.language.opening import Opened
from models.language.options import Way
from models.language.prefix import Prefix, filled
from models.language.prompts import Asked, Prompts
from models.language.writing import APART, TOGETHER, Manner, Said, Speech, apart, streamed


class Speaker:
    padded = True
    anew = True

    def __init__(self, opened: Opened, way: Way, manner: Manner | None = None) -> None:
        self.opened = opened
        self.way = way
        self.folder, self.digest = opened.folder, opened.digest
        self.samples = way.temperature > 0 and way.top_k != 1
        self.prompts = Prompts(opened.tokenizer, way, opened.choices)
        self.manner = manner or (TOGETHER if way.batched() and _can_be_padded(opened.network) else APART)
        self.together = self.manner.together
        drafting = opened.draft if way.draft is not None else None
        speech = Speech(opened.network, opened.tokenizer, drafting, None, way)
        found = self.prompts.prefix()
        self.speech = speech._replace(prefix=Prefix(*found, filled(speech.networks(), found[1]))) if found else speech
        if way.kv_bits is not None:
            _check_packing(speech)

    def other(self, *, opened: Opened | None = None, way: Way | None = None, manner: Manner | None = None) -> Speaker:
        """The same model, asked in another way; it shares all that is not told anew."""
        return Speaker(opened or self.opened, way or self.way, manner)

    def ways(self, axis: str, asked: Any = None) -> Mapping[str, Callable[[], Speaker]]:
        return ways.ways(self, axis, asked)

    def answer(self, questions: Sequence[Question]) -> list[Any]:
        """The answers, in order; a question that can't be read is refused and the others are answered."""
        said = self._said(questions, watched=False)
        return [one if isinstance(one, Refused) else one.answer for one in said]

    def reveal(self, questions: Sequence[Question]) -> list[tuple[Any, list[Place]]]:
        """The same answers, each with the log-probabilities that its tokens, and what ended it, were chosen from."""
        said = self._said(questions, watched=True)
        return [(one, []) if isinstance(one, Refused) else (one.answer, one.places) for one in said]

    def stream(self, question: Question) -> Iterator[int]:
        """The tokens of its answer, as they come."""
        asked = self._asked(question)
        if isinstance(asked, Refused):
            raise asked
        yield from streamed(self.speech, asked)

    def _said(self, questions: Sequence[Question], *, watched: bool) -> list[Said | Refused]:
        read = [self._asked(question) for question in questions]
        asked = [one for one in read if isinstance(one, Asked)]
        said = iter(self.manner.write(self.speech, asked, watched) if asked else ())
        return [next(said) if isinstance(one, Asked) else one for one in read]

    def _asked(self, question: Question) -> Asked | Refused:
        asked = self.prompts.read(question)
        if isinstance(asked, Asked) and self.speech.prefix:
            try:
                self.speech.prefix.check(asked)
            except Refused as refused:
                return refused
        return asked

    def weigh(self, questions: Sequence[Question], answers: Sequence[Any]) -> list[NDArray[Any]]:
        """Natural-log probabilities (places, choices) of each answer, every token given all that come before it."""
        rows = [self._row(question, answer) for question, answer in zip(questions, answers, strict=True)]
        return weighing.weigh(self.opened.network, self.opened.choices, rows)

    def likelihood(self, questions: Sequence[Question], expected: Sequence[Any]) -> list[float | Refused]:
        """The mean natural-log probability a token of what is expected; what can't be read is refused."""
        rows: list[weighing.Row | Refused] = []
        for question, said in zip(questions, expected, strict=True):
            asked = self.prompts.read(question)
            try:
                rows.append(asked if isinstance(asked, Refused) else self.prompts.expected(asked, said))
            except Refused as refused:
                rows.append(refused)
        whole = [row for row in rows if not isinstance(row, Refused)]
        found = iter(weighing.weigh(self.opened.network, self.opened.choices, whole))
        return [row if isinstance(row, Refused) else _mean(next(found), row[1]) for row in rows]

    def _row(self, question: Question, answer: Any) -> weighing.Row:
        asked = self.prompts.read(question)
        if isinstance(asked, Refused):
            raise asked
        return asked.tokens, self.prompts.answered(answer)

    def facts(self) -> Mapping[str, Any]:
        config, footprint = weights.read_config(self.folder), weights.footprint(self.folder)
        generate = self.way.said() | ({"draft": self.opened.drafter} if self.way.draft is not None else {})
        facts = {
            "weights": footprint,
            "dtype": footprint["dtype"],
            "type": config["model_type"],
            "generate": generate,
            "tokenizer": digest_of({file.name: digest_of_file(file) for file in folders.tokenizer_files(self.folder)}),
            "mlx_lm": version("mlx-lm"),
            "transformers": version("transformers"),
        }
        return facts | ({"made": config["made"]} if config.get("made") else {})


def _can_be_padded(network: Any) -> bool:
    """In a batch, prompts are padded. Some of mlx-lm's recurrent networks take the padding for text."""
    return all(isinstance(part, KVCache | RotatingKVCache) for part in make_prompt_cache(network))


def _check_packing(speech: Speech) -> None:
    """One token, so that a cache that can't be quantized is told of before any question is."""
    if not any(hasattr(part, "to_quantized") for part in make_prompt_cache(speech.network)):
        raise Refused("this model keeps no key-value cache, and `kv_bits` does nothing; drop it")
    try:
        apart(speech, [Asked("", [0, 0], None, 1)], False)
    except Exception as error:
        said = str(error).split("\n")[0][:200] or type(error).__name__
        raise Refused(f"the key-value cache of this model can't be quantized with `kv_bits`: {said}") from error


def _mean(weights: NDArray[Any], tokens: Sequence[int]) -> float:
    return float(weights[range(len(tokens)), list(tokens)].astype(np.float64).mean())
