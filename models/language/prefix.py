"""What all prompts begin with, computed once: the keys and values that it leaves behind, lent to each prompt."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

from harness.contract import Refused
from models.language.prompts import Asked


def filled(networks: Sequence[Any], tokens: list[int], more: int = 0, **told: Any) -> list[Any]:
    """The caches of the networks, one after the other, after these tokens and so many more of their own choice."""
    caches = []
    for network in networks:
        cache = make_prompt_cache(network)
        for _ in generate_step(mx.array(tokens), network, max_tokens=more, prompt_cache=cache, **told):
            pass
        mx.eval([part.state for part in cache])
        caches += cache
    return caches


class Prefix(NamedTuple):
    text: str
    tokens: list[int]
    cache: list[Any]

    def fits(self, asked: Asked) -> bool:
        """Whether a prompt begins with it, so that something of it can be reused."""
        if asked.text is None:
            return asked.tokens[: len(self.tokens)] == self.tokens
        return asked.text.startswith(self.text)

    def check(self, asked: Asked) -> None:
        if not self.fits(asked):
            raise Refused("the prompt does not begin with the prefix of `prompt_cache`")
        shared = self._shared(asked)
        if not shared or (shared < len(self.tokens) and not can_trim_prompt_cache(self.cache)):
            raise Refused("the prefix of `prompt_cache` becomes other tokens in this prompt; end it where a word ends")

    def _shared(self, asked: Asked) -> int:
        """How many tokens can be reused: a tokenizer may join the last of them with what follows, and one is to ask."""
        most = min(len(self.tokens), len(asked.tokens) - 1)
        return next((at for at in range(most) if self.tokens[at] != asked.tokens[at]), most)

    def start(self, asked: Asked) -> tuple[list[int], list[Any]]:
        """The tokens that are left to ask, and the cache of those before, to be read and not written."""
        shared = self._shared(asked)
        rest = asked.tokens[shared:]
        if shared == len(self.tokens):
            return rest, self.cache
        cache = copy.deepcopy(self.cache)
        trim_prompt_cache(cache, len(self.tokens) - shared)
        return rest, cache

    def copied(self, asked: Asked) -> tuple[list[int], list[Any]]:
        """The same, to be written to."""
        rest, cache = self.start(asked)
        return rest, copy.deepcopy(cache) if cache is self.cache else cache
