"""How a language model is to answer: the keys under `generate:`, what they mean, and which don't go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from harness.contract import Objection, Refused

GENERATE: dict[str, Any] = {
    "type": "object",
    "description": "how it answers; greedily and at most 64 tokens unless told",
    "additionalProperties": False,
    "properties": {
        "max_tokens": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1_000_000,
            "description": "the most tokens an answer may have, 64 unless told",
        },
        "temperature": {
            "type": "number",
            "minimum": 0,
            "maximum": 100,
            "description": "0, the most likely token each time, unless told; above 0 tokens are drawn",
        },
        "top_p": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "description": "draw from the most likely tokens that together have this probability",
        },
        "top_k": {"type": "integer", "minimum": 1, "description": "draw from this many of the most likely tokens"},
        "min_p": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "draw from tokens at least this likely, as a share of the most likely one's probability",
        },
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**32 - 1,
            "description": "what is drawn follows from this whole number, 0 unless told, and the case's id alone",
        },
        "stop": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "maxItems": 16,
            "description": "texts before which an answer ends",
        },
        "chat": {
            "enum": [True, False, "auto"],
            "description": "apply the chat template: auto, to inputs that are messages; true, to plain prompts too",
        },
        "system": {"type": "string", "minLength": 1, "description": "the system message that every chat begins with"},
        "prompt_cache": {
            "type": "object",
            "additionalProperties": False,
            "description": "what prompts begin with, computed once and reused; it is not added to them",
            "properties": {
                "prefix": {
                    "type": "string",
                    "minLength": 1,
                    "description": "the text that every prompt begins with, for chats as the template writes it;"
                    " what all chats with this `system` begin with unless told",
                }
            },
        },
        "kv_bits": {"enum": [2, 4, 8], "description": "bits of the quantized key-value cache, from the first token on"},
        "kv_group_size": {"enum": [32, 64, 128], "description": "its group size, 64 unless told"},
        "draft": {
            "type": "string",
            "format": "model",
            "description": "a smaller model of the same tokenizer that drafts tokens, for speculative decoding",
        },
        "draft_tokens": {
            "type": "integer",
            "minimum": 1,
            "maximum": 64,
            "description": "how many tokens it drafts at a time, 3 unless told",
        },
        "logprobs": {
            "type": "boolean",
            "description": "say each token's natural-log probability, true unless told",
        },
    },
}
"""The schema of `generate:`."""

_NEEDS = {
    "top_p": "temperature",
    "top_k": "temperature",
    "min_p": "temperature",
    "kv_group_size": "kv_bits",
    "draft_tokens": "draft",
}


class Cached(Struct, frozen=True, omit_defaults=True):
    prefix: str | None = None


class Way(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How to answer, everything told."""

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    chat: bool | Literal["auto"] = "auto"
    system: str | None = None
    prompt_cache: Cached | None = None
    kv_bits: int | None = None
    kv_group_size: int = 64
    draft: dict[str, Any] | None = None
    draft_tokens: int = 3
    logprobs: bool = True

    def batched(self) -> bool:
        """Whether mlx-lm can answer a whole batch this way: it drafts and quantizes its cache for one prompt alone."""
        return self.draft is None and self.kv_bits is None

    def said(self) -> dict[str, Any]:
        """What belongs in the provenance: what was told, and the defaults that decide an answer."""
        told = msgspec.to_builtins(self)
        told.pop("draft", None)
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, **told}


def read(generate: Mapping[str, Any]) -> Way:
    for objection in faults(generate):
        raise Refused(f"{objection.what}; {objection.instead}")
    try:
        return msgspec.convert(dict(generate), Way)
    except msgspec.ValidationError as error:
        raise Refused(f"`generate` is not understood: {error}") from None


def faults(generate: Mapping[str, Any]) -> Iterator[Objection]:
    """What the schema can't tell: keys that do nothing without another."""
    for key, needed in _NEEDS.items():
        if key in generate and not generate.get(needed):
            instead = f"give `{needed}`" + (" above 0" if needed == "temperature" else "") + f", or drop `{key}`"
            yield Objection(("generate", key), "no-effect", f"`{key}` does nothing without `{needed}`", instead)
    if "system" in generate and generate.get("chat") is False:
        yield Objection(
            ("generate", "system"), "no-effect", "`system` does nothing where `chat` is false", "drop one of them"
        )
    if "prompt_cache" in generate and "prefix" not in generate["prompt_cache"] and "system" not in generate:
        yield Objection(
            ("generate", "prompt_cache"),
            "no-prefix",
            "nothing says what prompts begin with",
            "write `prefix:`, or give `system`",
        )
