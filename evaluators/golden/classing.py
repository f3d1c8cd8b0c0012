"""How much two values differ: in how they are written, in their numbers, or in what they say.

`format` may be accepted unread, so it is said only where nothing but spelling can differ: case, space, quotes and
stops at the ends of words, the spelling of a number, the order of keys in a text that is JSON. Whatever is in doubt is
`semantic`.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

FORMAT, NUMERIC, SEMANTIC = "format", "numeric", "semantic"

_NUMBER = re.compile(
    r"(?<![\w.,/:+-])"
    r"([-+]?(?:(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:e[-+]?[0-9]{1,3})?)"
    r"(?![\w/:]|[.,+-]\w)"
)
"""A number by itself: no part of a date, a version, a fraction, a name, and none that starts with zeros."""
_AROUND = "\"'*`"
_AT_END = ".,;:!?…"
_QUOTES = {ord(mark): "'" for mark in "‘’‚‛"} | {ord(mark): '"' for mark in "“”„‟«»"}
_DEPTH = 64


class Class(NamedTuple):
    """What kind of difference it is, and how far numbers are apart, the farthest of them."""

    name: str
    off: float | None = None
    rel: float | None = None


def class_of(was: Any, now: Any) -> Class:
    """The class of a difference between two JSON values, the worst of its parts."""
    return _class(was, now, 0)


def _class(was: Any, now: Any, depth: int) -> Class:
    if _number(was) and _number(now):
        return _apart(Decimal(repr(was)), Decimal(repr(now)))
    if isinstance(was, str) or isinstance(now, str):
        return _texts(was, now, depth)
    pairs = _pairs(was, now)
    if pairs is None or depth > _DEPTH:
        return Class(FORMAT if type(was) is type(now) and was == now else SEMANTIC)
    return _worst(_class(a, b, depth + 1) for a, b in pairs)


def _pairs(was: Any, now: Any) -> list[tuple[Any, Any]] | None:
    """What stands against what in two values of one shape; None where they have none, or not the same."""
    if isinstance(was, dict) and isinstance(now, dict) and was.keys() == now.keys():
        return [(was[key], now[key]) for key in was]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return list(zip(was, now, strict=True))
    return None


def _texts(was: Any, now: Any, depth: int) -> Class:
    """Two texts, or a number and a text of one."""
    if not all(isinstance(value, str) or _number(value) for value in (was, now)):
        return Class(SEMANTIC)
    if isinstance(was, str) and isinstance(now, str):
        a, b = _json(was), _json(now)
        if a is not None and b is not None:
            return _class(a, b, depth + 1)
    said, says = _words(was), _words(now)
    if len(said) != len(says):
        return Class(SEMANTIC)
    return _worst(
        _apart(a, b) if isinstance(a, Decimal) and isinstance(b, Decimal) else Class(FORMAT if a == b else SEMANTIC)
        for a, b in zip(said, says, strict=True)
    )


def _words(value: Any) -> list[str | Decimal]:
    """The words of a text as they are compared, each number by itself."""
    if not isinstance(value, str):
        return [Decimal(repr(value))]
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).casefold()).translate(_QUOTES)
    text = "".join("-" if unicodedata.category(c) == "Pd" or c == "\u2212" else c for c in text)
    return [part for word in _unwrapped(text.strip()).split() for part in _parts(_unwrapped(word))]


def _unwrapped(text: str) -> str:
    """Without the stops at its end, and the quotes or stars around it: one alone may be inches, or any name."""
    bare = text.rstrip(_AT_END)
    if not bare or (bare[-1].isdigit() and text[len(bare) :].startswith("!")):
        return text
    while len(bare) > 2 and bare[0] == bare[-1] and bare[0] in _AROUND and bare.strip(bare[0]):
        bare = bare[1:-1].rstrip(_AT_END) or bare[1:-1]
    return bare


def _parts(word: str) -> Iterator[str | Decimal]:
    """A word, parted into its numbers and what stands around them."""
    last = 0
    for match in _NUMBER.finditer(word):
        if match.start() > last:
            yield word[last : match.start()]
        yield Decimal(match[1].replace(",", ""))
        last = match.end()
    if word[last:]:
        yield word[last:]


def _json(text: str) -> Any:
    """What a text that is a JSON object or list holds; None where it is neither, or not for sure."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no, parse_int=_int, parse_float=_float)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _no(word: str) -> Any:
    raise ValueError(word)


def _int(digits: str) -> int:
    if len(digits) > 300:
        raise ValueError("too long")
    return int(digits)


def _float(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError("infinite")
    return number


def _apart(a: Decimal, b: Decimal) -> Class:
    if a == b:
        return Class(FORMAT)
    off = abs(float(a) - float(b))
    rel = off / abs(float(a)) if float(a) else math.inf
    return Class(NUMERIC, off if math.isfinite(off) else None, rel if math.isfinite(rel) else None)


def _worst(classes: Iterator[Class]) -> Class:
    """Of several differences: semantic outweighs numeric, numeric format; the farthest of the numbers is told."""
    found = list(classes)
    if any(each.name == SEMANTIC for each in found):
        return Class(SEMANTIC)
    numeric = [each for each in found if each.name == NUMERIC]
    if not numeric:
        return Class(FORMAT)
    return Class(NUMERIC, _most(each.off for each in numeric), _most(each.rel for each in numeric))


def _most(values: Iterable[float | None]) -> float | None:
    """The most of them; None, which is more than can be told, where one is that."""
    found = list(values)
    return None if None in found else max(value for value in found if value is not None)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
