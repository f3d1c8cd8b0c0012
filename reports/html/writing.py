"""How values are written on the page: text whose control characters are visible, numbers in few characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

_LINES = 80


def inert(text: Any) -> str:
    """Text whose control characters, those that turn writing around among them, are spelled out."""
    said = str(text)
    if said.isascii() and said.isprintable():
        return said
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in said)


def value(given: Any, most: int = 2000) -> str:
    """A JSON value over as many lines as help to read it."""
    text = given if isinstance(given, str) else _over_lines(given)
    if len(text) > most:
        return inert(f"{text[:most]}… ({len(text):,} characters)")
    lines = text.split("\n")
    return inert(text if len(lines) <= _LINES else "\n".join([*lines[:_LINES], f"… ({len(lines):,} lines)"]))


def _over_lines(given: Any) -> str:
    pretty: bytes = msgspec.json.format(msgspec.json.encode(given), indent=2)
    return pretty.decode()


def line(given: Any, most: int = 120) -> str:
    """A JSON value on one line."""
    text = msgspec.json.encode(given).decode()
    return inert(text if len(text) <= most else f"{text[:most]}…")


def number(given: float | None) -> str:
    if given is None:
        return "–"
    if abs(given) >= 1000:
        return f"{given:,.0f}" if abs(given) < 1e6 else f"{given:.4g}"
    return f"{given:.{2 if abs(given) >= 10 else 4}f}".rstrip("0").rstrip(".")


def share(part: float) -> str:
    """A part of a whole, in hundredths."""
    return f"{100 * part:.3g} %"


def moment(given: str) -> str:
    """A moment, as people write it."""
    return (
        inert(given.partition(".")[0].replace("T", " ").removesuffix("+00:00") + " UTC")
        if _utc(given)
        else inert(given)
    )


def _utc(given: str) -> bool:
    return "T" in given and given.endswith("+00:00")


def thin(rows: Sequence[Any], most: int = 100) -> Sequence[Any]:
    """At most so many of them, as evenly as can be, the last among them."""
    if len(rows) <= most:
        return rows
    return [rows[(len(rows) - 1) * at // (most - 1)] for at in range(most)]


def at_share(points: Sequence[Sequence[float]], wanted: float) -> float:
    """The least value that a share of measurements does not exceed, of a curve of values and shares."""
    return next((x for x, part in points if part >= wanted - 1e-9), points[-1][0])


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, four to nine of them."""
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(n * power for n in (1, 2, 5, 10) if (high - low) / (n * power) < 9)
    return [round(at * step, 10) for at in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def steps(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic scale."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [n * 10.0**power for power in powers for n in (1, 2, 5)]
    within = [each for each in found if low <= each <= high]
    return within if len(within) <= 9 else [each for each in within if math.log10(each) % 1 < 1e-9]


class Bin(NamedTuple):
    """Neighbouring cases, told of as one."""

    code: str
    first: int
    """The place of the first of them that has this code."""
    many: int
    """How many of them do."""
    size: int


def bins(codes: str, order: str, most: int = 240) -> list[Bin]:
    """A code a case, put together until there are few enough to be drawn; each bin has the first code in `order`."""
    lots = min(len(codes), most)
    edges = [len(codes) * at // lots for at in range(lots + 1)] if lots else []
    found = []
    for start, end in pairwise(edges):
        part = codes[start:end]
        code = min(part, key=order.index)
        found.append(Bin(code, start + part.index(code), part.count(code), len(part)))
    return found


def big(given: float) -> str:
    """A size, in as few characters as tell it."""
    for unit, word in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if given >= unit:
            return f"{given / unit:.3g} {word}"
    return f"{given:.3g}"


def short(given: str) -> str:
    """A digest, as far as eyes compare it."""
    kind, _, rest = given.partition(":")
    return f"{kind}:{rest[:12]}…" if len(rest) > 16 else given


def time_(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return (
        f"{seconds * 1000:.3g} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.1f} min"
    )
