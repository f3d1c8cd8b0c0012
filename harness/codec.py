"""One codec for everything that crosses a process or reaches a file: plain JSON values, one spelling, one digest."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.contract import NotPlain

DEPTH = 64
_BIG = 2**63
_QUIET = frozenset({bool, type(None)})


def plain(value: Any) -> Any:
    """`value` as JSON values, or NotPlain with the path to what is not: an answer either crosses whole or errs."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value, "$")
    if kind in _QUIET:
        return value
    return _plain(value, "$", 0)


def _plain(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value, path)
    if kind in _QUIET:
        return value
    if kind is int:
        if not -_BIG <= value < _BIG:
            raise NotPlain(f"the whole number at {path} does not fit in 64 bits")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise NotPlain(f"{value} at {path}")
        return value
    if depth >= DEPTH:
        raise NotPlain(f"nested more than {DEPTH} deep at {path}")
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise NotPlain(f"a key at {path} is a {type(key).__name__}, not text")
        return {_text(key, path): _plain(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise NotPlain(f"a {type(value).__module__}.{type(value).__qualname__} at {path}")


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise NotPlain(f"a lone surrogate at {path}, character {error.start}") from None
    return value


_json = msgspec.json.Encoder(order="deterministic")


def to_json(value: Any) -> bytes:
    """Compact JSON; the same value always gives the same bytes."""
    return _json.encode(value)


def to_pretty_json(value: Any) -> bytes:
    return msgspec.json.format(_json.encode(value), indent=2) + b"\n"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    return digest(to_json(value))


def digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def plain_question(input: Any) -> Any:
    """One spelling for what asks the same: a prompt and a chat of one question are the text itself."""
    if not isinstance(input, dict):
        return input
    if input.keys() == {"prompt"}:
        return input["prompt"]
    messages = input.get("messages")
    if isinstance(messages, list) and input.keys() == {"messages"}:
        said = [message for message in messages if isinstance(message, dict) and message.get("role") != "system"]
        if len(said) == 1 and said[0].get("role") == "user":
            return said[0].get("content")
    return input


def posed(prompt: str, input: Any) -> Any:
    """An input put into a prompt: `{input}` stands for a text, `{name}` for a field of a mapping.

    Of a chat it is the last message that is put into it; NotPlain where a field is not there or is no text.
    """
    if isinstance(input, str):
        return _put(prompt, {"input": input})
    if not isinstance(input, dict):
        raise NotPlain("a prompt takes an input that is a text or a mapping")
    if isinstance(input.get("messages"), list) and input["messages"]:
        *before, last = input["messages"]
        if not isinstance(last, dict):
            raise NotPlain("the last message of a chat is {role: ..., content: ...}")
        return {**input, "messages": [*before, {**last, "content": _put(prompt, {"input": last.get("content")})}]}
    if "prompt" in input:
        return {**input, "prompt": _put(prompt, {**input, "input": input["prompt"]})}
    return _put(prompt, input)


FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""What a prompt has in place of what it is about."""


def _put(prompt: str, fields: Mapping[str, Any]) -> str:
    def field(match: re.Match[str]) -> str:
        value = fields.get(match[1])
        if not isinstance(value, str | int | float):
            raise NotPlain(f"the input has no text `{match[1]}` to put into the prompt")
        return str(value)

    return FIELD.sub(field, prompt)


def asked(input: Any) -> str:
    """The digest of what an input asks, whatever its blanks: for telling whether a model was taught it."""
    said = plain_question(input)
    return digest_of(" ".join(said.split()) if isinstance(said, str) else said)
