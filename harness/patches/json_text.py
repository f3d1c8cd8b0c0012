"""JSON text with one place in it changed, and every other byte left as it is."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from msgspec import UNSET

_BLANK = re.compile(r"[ \t\r\n]*")
_COMPACT = re.compile(r'[{,]"(?:[^"\\]|\\.)*":[^ \t\r\n]')
_decoder = json.JSONDecoder()


class Elsewhere(Exception):
    """The text does not have the place."""


class _Member(NamedTuple):
    key: str | int
    begin: int
    """Where its key starts, or its value in a list."""
    start: int
    end: int


def value_end(text: str, start: int) -> int:
    """Where the value that starts here ends."""
    return _decoder.raw_decode(text, start)[1]


def skip(text: str, offset: int) -> int:
    """The first place from here that is no blank."""
    match = _BLANK.match(text, offset)
    assert match is not None
    return match.end()


def members(text: str, start: int) -> list[_Member]:
    """The members of an object or a list that starts here."""
    found: list[_Member] = []
    offset = skip(text, start + 1)
    while text[offset] not in "]}":
        key: str | int = len(found)
        begin = offset
        if text[start] == "{":
            key, offset = _decoder.raw_decode(text, offset)
            offset = skip(text, skip(text, offset) + 1)
        end = value_end(text, offset)
        found.append(_Member(key, begin, offset, end))
        offset = skip(text, end)
        if text[offset] == ",":
            offset = skip(text, offset + 1)
    return found


def put_text(text: str, path: tuple[str | int, ...], now: Any) -> str:
    """The text of a JSON value with another value at a place in it; UNSET takes out the key that is there."""
    start, end = skip(text, 0), 0
    end = value_end(text, start)
    for n, step in enumerate(path):
        if text[start] not in "{[":
            raise Elsewhere
        here = members(text, start)
        index = next((i for i, each in enumerate(here) if each.key == step), None)
        last = n == len(path) - 1
        if index is None:
            if not last or now is UNSET or text[start] != "{":
                raise Elsewhere
            return _added(text, start, here, f"{spell(step, text)}{_colon(text)}{spell(now, text)}")
        if last and now is UNSET:
            return _without(text, here, index)
        start, end = here[index].start, here[index].end
    return text[:start] + spell(now, text) + text[end:]


def _added(text: str, start: int, here: list[_Member], member: str) -> str:
    if not here:
        return text[: start + 1] + member + text[start + 1 :]
    lead = text[start + 1 : here[0].begin] or ("" if _COMPACT.search(text) else " ")
    return f"{text[: here[-1].end]},{lead}{member}{text[here[-1].end :]}"


def _without(text: str, here: list[_Member], index: int) -> str:
    if index + 1 < len(here):
        return text[: here[index].begin] + text[here[index + 1].begin :]
    begin = here[index - 1].end if index else here[index].begin
    return text[:begin] + text[here[index].end :]


def _colon(text: str) -> str:
    return ":" if _COMPACT.search(text) else ": "


def spell(value: Any, like: str) -> str:
    """A value as the text around it spells: compact or not, letters as they are or escaped; nothing unseen in it."""
    comma = "," if _COMPACT.search(like) else ", "
    escaped = "\\u" in like
    spelled = json.dumps(value, ensure_ascii=escaped, separators=(comma, _colon(like)), allow_nan=False)
    return spelled if escaped else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in spelled)
