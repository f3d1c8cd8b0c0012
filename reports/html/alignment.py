"""Two outputs side by side, from shortly before the first place where they say different things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Literal, NamedTuple

import msgspec

Unit = Literal["token", "character", "line"]

_BEFORE: dict[Unit, int] = {"token": 8, "character": 80, "line": 3}
_AFTER: dict[Unit, int] = {"token": 24, "character": 400, "line": 14}
_LONG = 60
"""Characters from which a text within an answer is laid out as a text, not on its line of JSON."""
_WIDE = 200
_FRACTION = re.compile(r'(\s*(?:"(?:[^"\\]|\\.)*": )?)-?\d+(?:\.\d+(?:[eE][-+]?\d+)?|[eE][-+]?\d+)')
_END = object()


class Side(NamedTuple):
    shared: Sequence[str]
    """The last pieces in which both say the same."""
    mark: str
    """The first piece that differs; empty where this side has ended."""
    rest: Sequence[str]
    more: int
    """Pieces that follow and are not shown."""


class Aligned(NamedTuple):
    unit: Unit
    field: str
    """The part of the answers that is shown, empty for the whole."""
    before: int
    """Pieces that both begin with and that are not shown."""
    sides: tuple[Side, Side]


def aligned(here: Any, there: Any) -> list[Aligned]:
    """What to show of two answers: their tokens and texts where those differ, or else one text, or lines of JSON."""
    mine, other = _field("tokens", list, here, there)
    if mine == other:
        return [_one(here, there)]
    found = [_from(_first(mine, other), list(map(_token, mine)), list(map(_token, other)), "token", "tokens")]
    mine, other = _field("text", str, here, there)
    return found if mine == other else [*found, _from(_first(mine, other), mine, other, "character", "text")]


def _field(name: str, kind: type, here: Any, there: Any) -> tuple[Any, Any]:
    """A field of two answers; nothing twice where one has none of that kind."""
    found = [answer.get(name) for answer in (here, there) if isinstance(answer, dict)]
    return (found[0], found[1]) if sum(isinstance(one, kind) for one in found) == 2 else (None, None)


def _one(here: Any, there: Any) -> Aligned:
    path, mine, other = next(_parted(here, there, ""), ("", None, None))
    if isinstance(mine, str) and isinstance(other, str) and (not path or _is_long(mine) or _is_long(other)):
        return _from(_first(mine, other), mine, other, "character", path)
    lines, others = _lines(here), _lines(there)
    at = _first(list(map(_told, lines)), list(map(_told, others)))
    if at == len(lines) == len(others):
        at = _first(lines, others)
    near = _first(*(side[at] if at < len(side) else "" for side in (lines, others)))
    mine, other = (
        [_cut(line, near if place == at else 0) for place, line in enumerate(side)] for side in (lines, others)
    )
    return _from(at, mine, other, "line", "")


def _from(at: int, here: Sequence[str], there: Sequence[str], unit: Unit, field: str) -> Aligned:
    start, end = max(0, at - _BEFORE[unit]), at + 1 + _AFTER[unit]
    mine, other = (
        Side(side[start:at], side[at] if at < len(side) else "", side[at + 1 : end], max(0, len(side) - end))
        for side in (here, there)
    )
    return Aligned(unit, field, start, (mine, other))


def _first(here: Sequence[Any], there: Sequence[Any]) -> int:
    """The first place at which two differ; where the shorter one ends, if it is the beginning of the other."""
    both = zip(here, there, strict=False)
    return next((at for at, (a, b) in enumerate(both) if a != b), min(len(here), len(there)))


def _parted(here: Any, there: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Where two answers say different things; their numbers with a fraction say nothing."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in dict.fromkeys([*here, *there]):
            yield from _parted(here.get(key, _END), there.get(key, _END), f"{path}.{key}" if path else key)
    elif isinstance(here, list) and isinstance(there, list):
        for at, (a, b) in enumerate(zip_longest(here, there, fillvalue=_END)):
            yield from _parted(a, b, f"{path}[{at}]")
    elif (type(here) is not type(there) or here != there) and float not in (type(here), type(there)):
        yield path, here, there


def _is_long(text: str) -> bool:
    return len(text) > _LONG or "\n" in text


def _token(token: Any) -> str:
    return token.replace("\n", "⏎") if isinstance(token, str) and token else msgspec.json.encode(token).decode()


def _lines(answer: Any) -> list[str]:
    pretty: bytes = msgspec.json.format(msgspec.json.encode(answer), indent=2)
    return pretty.decode().split("\n")


def _told(line: str) -> str:
    """A line of JSON as far as it says something."""
    line = line.removesuffix(",")
    number = _FRACTION.fullmatch(line)
    return number[1] if number else line


def _cut(line: str, near: int) -> str:
    """A line that is not too long, so that a place on it is still seen."""
    start = max(0, min(near - _WIDE // 3, len(line) - _WIDE))
    return "…" * (start > 0) + line[start : start + _WIDE] + "…" * (start + _WIDE < len(line))
