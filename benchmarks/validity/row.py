"""A row of the table: what was asked of a gate, what peers would have said, what ours said, and what it had to say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.validity.gates import Ruled

HEAD = ("check", "as peers do it", "target", "right", "false pass", "false fail", "inconclusive", "error", "counted")
_ROUNDING = 0.0005
_DOUBT = 0.9995
"""A rate that was drawn leaves its band where this confident a bound does."""


class Effort(NamedTuple):
    """How much is spent on it."""

    replications: int = 2000
    quick: bool = False


class Band(NamedTuple):
    """What a share has to be: `passes`, `fails`, `inconclusive` or, of an interval, `covers`."""

    what: str
    low: float
    high: float


class Row(NamedTuple):
    check: str
    naive: str
    target: str
    ruled: Ruled | None = None
    holds: bool | None = None
    """Whether what is claimed is true; None where it is on the edge, and neither verdict is right."""
    bands: tuple[Band, ...] = ()
    covers: float | None = None
    said: str = ""
    """In place of figures."""
    wrong: str = ""
    """What else is not as it has to be."""
    missed: bool = False
    """Whether it is known that the target is not kept: said in the table, until it is."""


def at_most(what: str, high: float) -> Band:
    return Band(what, 0.0, high)


def at_least(what: str, low: float) -> Band:
    return Band(what, low, 1.0)


def about(what: str, value: float) -> Band:
    """To the last of three digits."""
    return Band(what, value - _ROUNDING, value + _ROUNDING)


def shown(value: float) -> str:
    """`.050`, `1`, `0`."""
    return f"{value:.3f}".lstrip("0") if 0.0005 <= value < 0.9995 else f"{value:.0f}"


def faults(row: Row) -> list[str]:
    """Which of its rates have left their bands; of one that is known to, that it has not."""
    found = [row.wrong] if row.wrong else []
    errors = Row("", "", "", row.ruled, bands=(at_most("errors", 0.0),))
    found += _strays(errors)
    strays = _strays(row)
    if row.missed and not strays:
        found.append("it keeps its target now: say so")
    found += [] if row.missed else strays
    return [f"{row.check}: {fault}" for fault in found]


def _strays(row: Row) -> list[str]:
    found: list[str] = []
    for band in row.bands:
        value = row.covers if band.what == "covers" else getattr(row.ruled, band.what, None)
        if value is None:
            continue
        low, high = _doubted(value, row.ruled or Ruled())
        if high < band.low or low > band.high:
            found.append(f"{band.what} {value:.4f}, and it has to be between {band.low:g} and {band.high:g}")
    return found


def _doubted(value: float, ruled: Ruled) -> tuple[float, float]:
    """What the true rate may be."""
    if ruled.replications is None:
        return value, value + ruled.left_out + 1e-9
    from harness.statistics.proportion import clopper_pearson

    return clopper_pearson(round(value * ruled.replications), ruled.replications, _DOUBT)


def cells(row: Row) -> list[str]:
    """As the table shows them."""
    figures = ["–"] * 6
    if row.ruled is not None:
        ruled, false = row.ruled, row.holds is not True
        figures[0] = "–" if row.holds is None else shown(ruled.passes if row.holds else ruled.fails)
        figures[1] = shown(ruled.passes) if false else "–"
        figures[2] = "–" if row.holds is False else shown(ruled.fails)
        figures[3:5] = shown(ruled.inconclusive), shown(ruled.errors)
        figures[5] = _counted(ruled)
    if row.covers is not None:
        figures[0], figures[5] = f"covers {shown(row.covers)}", "all"
    if row.said:
        figures[0] = row.said
    target = f"{row.target}, **missed**" if row.missed else row.target
    return [row.check, row.naive or "–", target or "–", *figures]


def _counted(ruled: Ruled) -> str:
    if ruled.replications is not None:
        return f"{ruled.replications:,} draws"
    return f"all but {shown(ruled.left_out)}" if ruled.left_out > _ROUNDING else "all"


def markdown(rows: Iterable[Row]) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *map(cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
