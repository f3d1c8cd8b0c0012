"""Scales that drawings are laid out on: places in hundredths of the way, whatever the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

_MOST = 1e200
_LEAST = 1e-200
_FEW = 7
FACTOR = 30
"""Numbers that span more than this factor are laid out logarithmically, unless told."""


class Tick(NamedTuple):
    at: float
    word: str


class Scale(NamedTuple):
    low: float
    high: float
    log: bool
    ticks: tuple[Tick, ...]

    def at(self, value: float) -> float:
        """How far along a value is, of 100; what is beyond an end is at that end."""
        place = (_bent(value, log=self.log) - self.low) / (self.high - self.low)
        return round(100 * min(max(place, 0.0), 1.0), 2)


def scale(
    values: Iterable[float], *, log: bool | None = None, zero: bool = False, named: Iterable[float] = ()
) -> Scale:
    """A scale on which these numbers lie, with some room; with zero, from there where that is not far.

    Where few numbers are `named`, those are its ticks.
    """
    own = tuple(Tick(value, amount(value)) for value in sorted(set(named)))
    found = _scale(values, log=log, zero=zero)
    return found._replace(ticks=own) if 1 < len(own) <= _FEW else found


def _scale(values: Iterable[float], *, log: bool | None, zero: bool) -> Scale:
    known = [min(max(value, -_MOST), _MOST) for value in values] or [0.0]
    positive = [value for value in known if value >= _LEAST]
    if log is None:
        log = len(positive) == len(known) and max(known) / min(known) > FACTOR
    if log and positive:
        ends = [math.log10(min(positive)), math.log10(max(positive))]
        low, high = _roomy(ends[0], ends[1], least=0.1)
        return Scale(low, high, True, _powers(low, high))
    least = max(abs(value) for value in known) * 0.1 or 1.0
    if zero and min(known) >= 0 and min(known) <= 0.6 * max(known):
        low, high = 0.0, max(known) * 1.06 or 1.0
    else:
        low, high = _roomy(min(known), max(known), least=least)
        low = max(low, 0.0) if min(known) >= 0 else low
    return Scale(low, high, False, _round(low, high))


def _roomy(low: float, high: float, least: float) -> tuple[float, float]:
    """Both ends a little further out, and at least so far apart."""
    room = max(0.04 * (high - low), (max(least, _LEAST) - (high - low)) / 2)
    return low - room, high + room


def _bent(value: float, *, log: bool) -> float:
    return math.log10(max(value, _LEAST)) if log else min(max(value, -_MOST), _MOST)


def _round(low: float, high: float) -> tuple[Tick, ...]:
    """Round numbers from low to high."""
    power = math.floor(math.log10((high - low) / _FEW))
    exponent, factor = next(
        (power + by, n)
        for by, n in ((0, 1), (0, 2), (0, 5), (1, 1), (1, 2))
        if (high - low) / (n * 10.0 ** (power + by)) < _FEW + 0.5
    )
    step = factor * 10.0**exponent
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return tuple(Tick(at * step, _word(at * step, max(0, -exponent))) for at in places)


def _powers(low: float, high: float) -> tuple[Tick, ...]:
    """Round numbers on a logarithmic scale, whose ends are powers of ten."""
    for factors in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        powers = range(math.floor(low), math.ceil(high) + 1)
        found = [(power, n) for power in powers for n in factors if low <= power + math.log10(n) <= high]
        if len(found) <= _FEW:
            break
    found = found[:: -(-len(found) // _FEW)] if found else []
    if len(found) < 2:
        values = [_back(low + (high - low) * part) for part in (0.1, 0.5, 0.9)]
        return tuple(Tick(value, amount(value)) for value in values)
    return tuple(Tick(n * 10.0**power, _word(n * 10.0**power, max(0, -power))) for power, n in found)


def _back(power: float) -> float:
    return float(10.0**power)


def _word(value: float, decimals: int) -> str:
    """A tick's number, as exact as the ticks are."""
    if not value:
        return "0"
    return _powered(value, 3) if abs(value) >= 1e5 or decimals > 4 else f"{value:,.{decimals}f}"


def _powered(value: float, digits: int) -> str:
    return f"{value:.{digits}g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def amount(value: float | None, digits: int = 3) -> str:
    """A number of any size, in as few characters as tell it."""
    if value is None:
        return "–"
    if value and not 1e-4 <= abs(value) < 1e7:
        return _powered(value, digits)
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"
