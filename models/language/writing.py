"""Answers as they are written, token by token: a whole batch by mlx-lm's BatchGenerator, or one prompt alone.

Where an answer is watched, each row of log-probabilities becomes a `Place` as soon as its token is chosen: what is
written does not depend on it, and no more than a row a prompt is ever held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx_lm.generate import BatchGenerator, generate_step, generation_stream, speculative_generate_step, wired_limit
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

from harness.contract import Place
from models.language.options import Way
from models.language.prefix import Prefix
from models.language.prompts import Asked
from models.traces import place

Sampler = Callable[[mx.array], mx.array]

_begin: Any = mx.async_eval


class Speech(NamedTuple):
    """What it takes to speak."""

    network: Any
    tokenizer: Any
    draft: Any
    """The network that drafts, or None."""
    prefix: Prefix | None
    way: Way

    def networks(self) -> list[Any]:
        return [self.network] if self.draft is None else [self.network, self.draft]


class Said(NamedTuple):
    answer: dict[str, Any]
    places: list[Place]
    """What its tokens, those dropped at its end too, were chosen from; empty where nobody watches."""


Write = Callable[[Speech, Sequence[Asked], bool], list[Said]]
"""Answers prompts, in their order, and is watched or not."""

Begun = tuple[list[int], list[Any] | None]
"""The tokens of a prompt that are left to ask, and the cache of those before, to be written to."""


class Manner(NamedTuple):
    """How the prompts that are asked at once are answered."""

    write: Write
    together: bool


class Answer:
    """An answer that is being written."""

    def __init__(self, speech: Speech) -> None:
        self.tokenizer = speech.tokenizer
        self.stop = speech.way.stop
        self.weighed = speech.way.logprobs
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.places: list[Place] = []
        self.finish = "length"
        self.seen = self.tokenizer.detokenizer if self.stop else None

    def watch(self, logprobs: mx.array, stream: Any) -> None:
        with mx.stream(stream):
            self.places.append(place(np.array(logprobs.astype(mx.float32))))

    def goes_on(self, token: int) -> bool:
        """Take a token; False where a stop text stands in what is written now."""
        self.tokens.append(token)
        if self.seen is None:
            return True
        self.seen.add_token(token)
        if _first(self.seen.text, self.stop) is not None:
            self.finish = "stop"
        return self.finish != "stop"

    def told(self) -> Said:
        text = self._spelled(self.tokens)
        if (at := _first(text, self.stop)) is not None:
            text, self.finish = text[:at], "stop"
            self._shorten(text)
        answer = {"text": text, "tokens": self.tokens, "finish": self.finish}
        weighed = {"logprobs": self.logprobs[: len(self.tokens)]} if self.weighed else {}
        return Said({**answer, **weighed}, self.places)

    def _spelled(self, tokens: Sequence[int]) -> str:
        """The text as mlx-lm spells it."""
        detokenizer = self.tokenizer.detokenizer
        for token in tokens:
            detokenizer.add_token(token)
        detokenizer.finalize()
        return str(detokenizer.text)

    def _shorten(self, text: str) -> None:
        """Drop the tokens that the text can do without, but for white space at its end: some stop texts begin in it."""
        while self.tokens and self._spelled(self.tokens[:-1]).startswith(text.rstrip()):
            self.tokens.pop()


def _first(text: str, stop: Sequence[str]) -> int | None:
    return min((at for word in stop if (at := text.find(word)) >= 0), default=None)


def sampler(way: Way, id: str) -> Sampler | None:
    """Draws from mlx-lm's own choice of tokens, by chance that the seed and the question decide alone."""
    if way.temperature == 0:
        return None
    seed = hashlib.sha256(f"{way.seed}\0{id}".encode()).digest()
    key = mx.random.key(int.from_bytes(seed[:8], "big"))

    def draw(logprobs: mx.array) -> mx.array:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(_likely(logprobs, way) * (1 / way.temperature), key=now)

    return draw


def _likely(logprobs: mx.array, way: Way) -> mx.array:
    """In the order of mlx-lm's make_sampler."""
    if way.top_p < 1:
        logprobs = apply_top_p(logprobs, way.top_p)
    if way.min_p > 0:
        logprobs = apply_min_p(logprobs, way.min_p)
    if 0 < way.top_k < logprobs.shape[-1]:
        logprobs = apply_top_k(logprobs, way.top_k)
    return logprobs


def together(speech: Speech, asked: Sequence[Asked], watched: bool) -> list[Said]:
    """The answers to a batch, which mlx-lm writes all at once."""
    ends = [[token] for token in sorted(speech.tokenizer.eos_token_ids)]
    many = len(asked)
    generator: Any = BatchGenerator(
        speech.network, stop_tokens=ends, completion_batch_size=many, prefill_batch_size=many
    )
    try:
        return _together(generator, speech, asked, watched)
    finally:
        generator.close()


def _together(generator: Any, speech: Speech, asked: Sequence[Asked], watched: bool) -> list[Said]:
    way = speech.way
    starts = [speech.prefix.start(one) if speech.prefix else (one.tokens, None) for one in asked]
    samplers = [sampler(way, one.id) for one in asked]
    uids = generator.insert(
        [tokens for tokens, _ in starts],
        max_tokens=[one.most for one in asked],
        caches=[cache for _, cache in starts] if speech.prefix else None,
        samplers=samplers if way.temperature else None,
    )
    answers = {uid: Answer(speech) for uid in uids}
    weighed: list[tuple[list[int], mx.array]] = []
    while responses := generator.next_generated():
        said = [response for response in responses if response.finish_reason != "stop"]
        for response in responses:
            if watched:
                answers[response.uid].watch(response.logprobs, generator.stream)
            if response.finish_reason == "stop":
                answers[response.uid].finish = "stop"
        if way.logprobs and said:
            with mx.stream(generator.stream):
                row = mx.stack([response.logprobs[response.token] for response in said]).astype(mx.float32)
                _begin(row)
            weighed.append(([response.uid for response in said], row))
        stopped = [r.uid for r in said if not answers[r.uid].goes_on(r.token) and r.finish_reason is None]
        if stopped:
            generator.remove(stopped)
    for whose, row in weighed:
        values: Any = row.tolist()
        for uid, value in zip(whose, values, strict=True):
            answers[uid].logprobs.append(value)
    return [answers[uid].told() for uid in uids]


def begun(speech: Speech, asked: Asked) -> Begun:
    """Where a prompt begins: at its first token, or behind what all prompts begin with."""
    return speech.prefix.copied(asked) if speech.prefix else (asked.tokens, None)


def apart(
    speech: Speech, asked: Sequence[Asked], watched: bool, begin: Callable[[Speech, Asked], Begun] = begun
) -> list[Said]:
    """The answers one after the other, for what mlx-lm does not do for a batch."""
    stream: Any = generation_stream
    with wired_limit(speech.network, [stream]):
        return [_alone(speech, one, begin(speech, one), watched) for one in asked]


def _alone(speech: Speech, asked: Asked, begin: Begun, watched: bool) -> Said:
    answer = Answer(speech)
    weighed = []
    for token, logprobs in _steps(speech, asked, *begin):
        if watched:
            answer.watch(logprobs, generation_stream)
        if token in speech.tokenizer.eos_token_ids:
            answer.finish = "stop"
            break
        if speech.way.logprobs:
            with mx.stream(generation_stream):
                value = logprobs[token].astype(mx.float32)
                _begin(value)
            weighed.append(value)
        if not answer.goes_on(token):
            break
    answer.logprobs = [value.item() for value in weighed]
    return answer.told()


def streamed(speech: Speech, asked: Asked) -> Iterator[int]:
    """The tokens of one answer as they come, those that end it but for the last among them."""
    answer = Answer(speech)
    stream: Any = generation_stream
    with wired_limit(speech.network, [stream]):
        for token, _ in _steps(speech, asked, *begun(speech, asked)):
            if token in speech.tokenizer.eos_token_ids:
                return
            yield token
            if not answer.goes_on(token):
                return


def _steps(speech: Speech, asked: Asked, tokens: list[int], cache: list[Any] | None) -> Iterator[tuple[int, mx.array]]:
    told = {**packing(speech.way), "sampler": sampler(speech.way, asked.id), "prompt_cache": cache}
    if speech.draft is None:
        yield from generate_step(mx.array(tokens), speech.network, max_tokens=asked.most, **told)
        return
    drafted = speculative_generate_step(
        mx.array(tokens),
        speech.network,
        speech.draft,
        num_draft_tokens=speech.way.draft_tokens,
        max_tokens=asked.most,
        **told,
    )
    for token, logprobs, _ in drafted:
        yield token, logprobs


def packing(way: Way) -> dict[str, Any]:
    """How mlx-lm is told to quantize its cache; nothing where it is not to."""
    if way.kv_bits is None:
        return {}
    # mlx-lm's own default leaves the first 5,000 tokens as they are: most prompts would not notice.
    return {"kv_bits": way.kv_bits, "kv_group_size": way.kv_group_size, "quantized_kv_start": 0}


TOGETHER = Manner(together, together=True)
APART = Manner(apart, together=False)
