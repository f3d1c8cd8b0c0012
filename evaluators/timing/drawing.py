"""What the panels of kinds that measure times draw: budgets in rows, curves of few points, trends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evaluators.timing.budgets import QUANTILES, Ruled
from harness.contract import Noise, Trend

TAIL = 40
"""So many of the points of a curve tell of its last fifth, where budgets are."""
_RATE = "a second"
_UNITS = {"_ms": "ms", "_mb": "MB", "_j": "J", "_per_s": _RATE, "throughput": _RATE}


def ecdf(values: Iterable[float], most: int = 160) -> list[list[float]]:
    """For some of the values the share that is at most so large: of many those that a curve needs, with both ends."""
    ordered = sorted(values)
    n = len(ordered)
    found: dict[float, float] = {}
    for place in _places(n, most):
        found[float(f"{ordered[place]:.6g}")] = round((place + 1) / n, 6)
    return [[value, share] for value, share in found.items()]


def _places(n: int, most: int) -> list[int]:
    """Places of sorted values, evenly, and towards the end more densely the nearer it is."""
    if n <= most:
        return list(range(n))
    tail = min(TAIL, most // 4)
    evenly = {round(at * (n - 1) / (most - tail - 1)) for at in range(most - tail)}
    nearing = {n - round((n / 5) ** (at / tail)) for at in range(tail)}
    return sorted(evenly | nearing)


def unit_of(name: str) -> str:
    """The unit of a figure, by its name."""
    word = name.partition("@")[0].partition(".")[0]
    return next((unit for end, unit in _UNITS.items() if word.endswith(end)), "")


def row_of(ruled: Ruled, word: str) -> dict[str, Any]:
    """A budget, what was found, and what that says; what speaks of what was seen, or of all that is alike, is exact."""
    exact = ruled.interval is not None and ruled.interval[0] == ruled.interval[1]
    unit = unit_of(ruled.of)
    return {
        "word": word,
        "unit": unit,
        "bar": ruled.bar,
        "estimate": ruled.estimate,
        "interval": None if exact else ruled.interval,
        "ruling": ruled.ruling,
        "exact": exact,
        "least": ruled.least,
    }


def bars(ruled: Iterable[Ruled]) -> list[dict[str, Any]]:
    """Budgets of quantiles as lines of a curve, each at its share."""
    found = []
    for each in ruled:
        word = each.of.partition("@")[0].rpartition(".")[2]
        low, high = each.interval if each.interval and each.interval[0] < each.interval[1] else (None, None)
        share = QUANTILES.get(word, 1.0)
        found.append(
            {"name": word, "x": each.bar, "share": share, "low": low, "high": high, "estimate": each.estimate,
             "ruling": each.ruling}
        )  # fmt: skip
    return found


def noisiest(noise: Iterable[Noise]) -> Noise | None:
    """Of several stretches of time that in which others kept the machine busiest."""
    return max(noise, key=lambda each: each.foreign + each.stolen, default=None)


def trends(told: Iterable[Trend]) -> list[dict[str, Any]]:
    """Trends in rows, those that changed last first."""
    rows = [
        {
            "figure": trend.figure,
            "unit": unit_of(trend.figure),
            "series": trend.values,
            "changes": trend.changes,
            "change": trend.changes[-1] if trend.changes else None,
            "runs": len(trend.values) - trend.changes[-1].at if trend.changes else 0,
        }
        for trend in told
    ]
    return sorted(rows, key=lambda row: (row["change"] is None, row["runs"]))
