"""A language model under test: prompts in, texts out, with their tokens and how likely each was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import KVCache, RotatingKVCache, can_trim_prompt_cache, make_prompt_cache
from numpy.typing import NDArray

from harness.codec import digest_of, digest_of_file
from harness.contract import Question, Refused
from models import weights
from models.language import folder as folders
from models.language import weighing
from models.language.options import Way
from models.language.prefix import Prefix, filled
from models.language.prompts import Asked, Prompts
from models.language.writing import Speech, alone, together


class Speaker:
    padded = True

    def __init__(self, folder: Path, way: Way, draft: Path | None, trusted: bool) -> None:
        self.folder = folder
        self.way = way
        self.digest = weights.digest(folder)
        network, tokenizer = folders.load(folder, trusted)
        self.choices = _choices(network)
        self.prompts = Prompts(tokenizer, way, self.choices)
        self.drafter = weights.digest(draft) if draft else None
        drafting = _drafting(network, tokenizer, self.choices, folders.load(draft, trusted)) if draft else None
        cache = make_prompt_cache(network)
        # In a batch, prompts are padded. Some of mlx-lm's recurrent networks take the padding for text.
        self.together = way.batched() and all(isinstance(part, KVCache | RotatingKVCache) for part in cache)
        found = self.prompts.prefix()
        prefix = Prefix(*found, filled([network, drafting] if drafting else [network], found[1])) if found else None
        self.speech = Speech(network, tokenizer, drafting, prefix)
        if way.kv_bits is not None:
            self._try()

    def _try(self) -> None:
        """One token, so that a cache that can't be quantized is told of before any question is."""
        if not any(hasattr(part, "to_quantized") for part in make_prompt_cache(self.speech.network)):
            raise Refused("this model keeps no key-value cache, and `kv_bits` does nothing; drop it")
        try:
            alone(self.speech._replace(prefix=None), self.way, Asked("", [0, 0], None, 1))
        except Exception as error:
            said = str(error).split("\n")[0][:200] or type(error).__name__
            raise Refused(f"the key-value cache of this model can't be quantized with `kv_bits`: {said}") from error

    def answer(self, questions: Sequence[Question]) -> list[Any]:
        """The answers, in order; a question that can't be read is refused and the others are answered."""
        read = [self._asked(question) for question in questions]
        asked = [one for one in read if isinstance(one, Asked)]
        said = iter(self._written(asked))
        return [next(said) if isinstance(one, Asked) else one for one in read]

    def _asked(self, question: Question) -> Asked | Refused:
        asked = self.prompts.read(question)
        if isinstance(asked, Asked) and self.speech.prefix:
            try:
                self.speech.prefix.check(asked)
            except Refused as refused:
                return refused
        return asked

    def _written(self, asked: Sequence[Asked]) -> list[dict[str, Any]]:
        if self.together and asked:
            return together(self.speech, self.way, asked)
        return [alone(self.speech, self.way, one) for one in asked]

    def weigh(self, questions: Sequence[Question], answers: Sequence[Any]) -> list[NDArray[Any]]:
        """Natural-log probabilities (places, choices) of each answer, every token given all that come before it."""
        rows = [self._row(question, answer) for question, answer in zip(questions, answers, strict=True)]
        return weighing.weigh(self.speech.network, self.choices, rows)

    def _row(self, question: Question, answer: Any) -> weighing.Row:
        asked = self.prompts.read(question)
        if isinstance(asked, Refused):
            raise asked
        return asked.tokens, self.prompts.answered(answer)

    def facts(self) -> Mapping[str, Any]:
        config, footprint = weights.read_config(self.folder), weights.footprint(self.folder)
        generate = self.way.said() | ({"draft": self.drafter} if self.drafter else {})
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


def _choices(network: Any) -> int:
    """How many tokens the network knows: the shape of what it would say, which costs no computing."""
    return int(network(mx.array([[0]])).shape[-1])


def _drafting(network: Any, tokenizer: Any, choices: int, draft: folders.Loaded) -> Any:
    """The network that drafts, if it can draft for this one."""
    if draft.tokenizer.get_vocab() != tokenizer.get_vocab() or _choices(draft.network) > choices:
        raise Refused("the draft model has another tokenizer than the model it drafts for")
    for which, whose in ((network, "the model"), (draft.network, "the draft model")):
        if not can_trim_prompt_cache(make_prompt_cache(which)):
            raise Refused(f"speculative decoding takes back what was drafted in vain, and {whose}'s cache can't")
    return draft.network
