"""Two answers to the same question: the same to the bit, the same but for their numbers, or where they part."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from math import inf, isfinite
from typing import Any, NamedTuple

from evaluators.determinism.cells import Cell
from harness.codec import digest_of
from harness.contract import Look, Place

_END = "the end"


class Close(NamedTuple):
    """How far apart numbers may be."""

    abs: float = 0.0
    rel: float = 0.0

    def holds(self, here: float, there: float) -> bool:
        return here == there or abs(here - there) <= self.abs + self.rel * abs(here)


class Parted(NamedTuple):
    """The first place where two answers say different things."""

    at: str
    here: Any
    there: Any
    place: int | None = None


def hashes(look: Look) -> tuple[str, str]:
    """Digests of what is said, and of every bit of it and of what it was chosen from."""
    said = digest_of(_said(look.answer))
    bits = digest_of([look.answer, [place.bits for place in look.places]])
    return _short(said), _short(bits)


def speaks(look: Look) -> bool:
    """Whether there is anything in an answer but numbers with a fraction: a token, a class, a word."""
    return _speaks(look.answer)


def _speaks(answer: Any) -> bool:
    if isinstance(answer, dict | list):
        return any(map(_speaks, answer.values() if isinstance(answer, dict) else answer))
    return not isinstance(answer, float)


def said_hash(answer: Any) -> str:
    return _short(digest_of(_said(answer)))


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:16]


def compare(here: Look, there: Look, close: Close | None) -> Cell:
    """One run held against the reference."""
    if there.error:
        return Cell(state="error", runs=1, differ=1, why=there.error)
    parted = part(here.answer, there.answer)
    if parted is None:
        return _numbers(here, there, close)
    cell = Cell(state="different", runs=1, differ=1, at=parted.at or "the answer", here=parted.here, there=parted.there)
    cell.answer, cell.place, cell.within = there.answer, parted.place, False
    index = parted.place if parted.place is not None else 0 if len(here.places) == len(there.places) == 1 else None
    if index is not None and index < min(len(here.places), len(there.places)):
        place = here.places[index]
        cell.gap = _finite(max(_gaps(place, there.places[index]), default=0.0))
        cell.margin = _margin(place, parted.here, parted.there)
    elif not here.places:
        cell.gap = _finite(max((abs(a - b) for a, b in _pairs(here.answer, there.answer)), default=0.0)) or None
    return cell


def _numbers(here: Look, there: Look, close: Close | None) -> Cell:
    """Of two that say the same: whether every bit is the same, and if not, by how much they differ."""
    pairs = list(_pairs(here.answer, there.answer))
    same = all(type(a) is type(b) and struct.pack("<d", a) == struct.pack("<d", b) for a, b in pairs)
    if same and [place.bits for place in here.places] == [place.bits for place in there.places]:
        return Cell(state="bits", runs=1)
    pairs += [pair for a, b in zip(here.places, there.places, strict=False) for pair in _values(a, b)]
    gap = _finite(max((_distance(a, b) for a, b in pairs), default=0.0))
    within = close is None or (bool(pairs) and gap is not None and all(close.holds(a, b) for a, b in pairs))
    return Cell(state="tokens", runs=1, differ=1, gap=gap, within=within)


# ------------------------------------------------------------------------------------------ what is said


def _said(answer: Any) -> Any:
    """An answer apart from its numbers with a fraction: what a reader would call the answer."""
    if isinstance(answer, float):
        return None
    if isinstance(answer, dict):
        return {key: _said(item) for key, item in answer.items()}
    if isinstance(answer, list):
        return [_said(item) for item in answer]
    return answer


def part(here: Any, there: Any) -> Parted | None:
    """Where two answers part; tokens come before all else, since the rest follows from them."""
    if isinstance(here, dict) and isinstance(there, dict):
        mine: Any = here.get("tokens")
        other: Any = there.get("tokens")
        if _are_tokens(mine) and _are_tokens(other) and mine != other:
            index = next((i for i, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b), None)
            index = min(len(mine), len(other)) if index is None else index
            return Parted(f"token {index + 1}", _at(mine, index), _at(other, index), index)
    return next(_parted(here, there, ""), None)


def _are_tokens(given: Any) -> bool:
    return isinstance(given, list) and not any(isinstance(each, float) for each in given)


def _at(tokens: Sequence[Any], index: int) -> Any:
    return tokens[index] if index < len(tokens) else _END


def _parted(here: Any, there: Any, path: str) -> Iterator[Parted]:
    if _is_number(here) and _is_number(there) and (isinstance(here, float) or isinstance(there, float)):
        return
    if isinstance(here, dict) and isinstance(there, dict):
        for key in sorted(here.keys() | there.keys()):
            if key in here and key in there:
                yield from _parted(here[key], there[key], f"{path}.{key}" if path else key)
            else:
                yield Parted(f"{path}.{key}" if path else key, here.get(key, _END), there.get(key, _END))
    elif isinstance(here, list) and isinstance(there, list):
        for index, (a, b) in enumerate(zip(here, there, strict=False)):
            yield from _parted(a, b, f"{path}[{index}]")
        if len(here) != len(there):
            index = min(len(here), len(there))
            yield Parted(f"{path}[{index}]", _at(here, index), _at(there, index))
    elif isinstance(here, str) and isinstance(there, str):
        if here != there:
            yield _in_text(path, here, there)
    elif type(here) is not type(there) or here != there:
        yield Parted(path or "the answer", here, there)


def _in_text(path: str, here: str, there: str) -> Parted:
    at = next((i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
    return Parted(f"{path or 'the answer'}, character {at + 1}", _around(here, at), _around(there, at))


def _around(text: str, at: int) -> str:
    """What stands around a place of a text."""
    start, end = max(0, at - 20), at + 30
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# ------------------------------------------------------------------------------------------ their numbers


def _pairs(here: Any, there: Any) -> Iterator[tuple[float, float]]:
    """The numbers of two answers that stand at the same place, where one has a fraction."""
    if isinstance(here, float) or isinstance(there, float):
        if _is_number(here) and _is_number(there):
            yield here, there
    elif isinstance(here, dict) and isinstance(there, dict):
        for key in here:
            if key in there:
                yield from _pairs(here[key], there[key])
    elif isinstance(here, list) and isinstance(there, list):
        for a, b in zip(here, there, strict=False):
            yield from _pairs(a, b)


def _values(here: Place, there: Place) -> Iterator[tuple[float, float]]:
    """Numbers of the same choices at one place; for what only one side lists, the most that it can be on the other."""
    if here.bits == there.bits:
        return
    mine, other = _by_choice(here), _by_choice(there)
    for choice in mine.keys() | other.keys():
        a, b = mine.get(choice), other.get(choice)
        if a is None and b is not None and here.values and b > here.values[-1]:
            yield here.values[-1], b
        elif b is None and a is not None and there.values and a > there.values[-1]:
            yield a, there.values[-1]
        elif a is not None and b is not None:
            yield a, b


def _by_choice(place: Place) -> Mapping[int, float]:
    return dict(zip(place.choices, place.values, strict=True))


def _gaps(here: Place, there: Place) -> Iterator[float]:
    return (_distance(a, b) for a, b in _values(here, there))


def _distance(a: float, b: float) -> float:
    if a == b:
        return 0.0
    return abs(a - b) if isfinite(a) and isfinite(b) else inf


def _finite(gap: float) -> float | None:
    return gap if isfinite(gap) else None


def _margin(place: Place, here: Any, there: Any) -> float | None:
    """By how much the one choice was preferred to the other."""
    values = _by_choice(place)
    if type(here) is not int or type(there) is not int or here not in values or there not in values:
        return None
    return _finite(values[here] - values[there])
