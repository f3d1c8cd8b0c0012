"""What a check's figures were in one run after another, and where they came to another level. Nothing here decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.contract import Change, CheckResult, Ruling, Trend

MOST = 12
"""Figures of a check that are followed."""
NEWS = 10
"""For so many runs a change is told as news; later it is only drawn."""
ALPHA = 0.05
"""The chance that any figure of a check is said to have changed where none did."""
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def counts(verdict: Ruling) -> bool:
    """Whether a run's figures are worth following: where it was disturbed, or erred, they tell of something else."""
    return verdict in ("pass", "fail")


def followed(figures: Mapping[str, float]) -> dict[str, float]:
    """What is kept of a check's figures: all but the bounds of intervals, to six digits."""
    bounds = (".low", ".high")
    return {name: float(f"{value:.6g}") for name, value in figures.items() if not name.endswith(bounds)}


def trends(result: CheckResult, earlier: Mapping[str, Sequence[float]]) -> tuple[Trend, ...]:
    """The figures that moved, earlier runs first; of a verdict that was lost to a correction, too."""
    now = followed(result.figures) if counts(result.verdict) or result.flipped else {}
    series = [(name, [*earlier.get(name, ()), *([now[name]] if now else ())]) for name in now or earlier]
    moved = [(name, values) for name, values in series if len(set(values)) > 1][:MOST]
    return tuple(
        Trend(figure=name, values=tuple(values), changes=_changes(values, len(moved))) for name, values in moved
    )


def _changes(values: Sequence[float], among: int) -> tuple[Change, ...]:
    from harness.statistics.changes import change_points

    found = change_points(values, ALPHA / among)
    return tuple(Change(at=each.at, before=each.before, after=each.after, p=each.p) for each in found)


def news(result: CheckResult) -> str:
    """Which figures came to another level not long ago; empty where none did."""
    included = counts(result.verdict) or result.flipped
    said = []
    for trend in result.trends:
        since = len(trend.values) - trend.changes[-1].at if trend.changes else 0
        if 0 < since <= NEWS:
            before, after = _apart(trend.changes[-1].before, trend.changes[-1].after)
            ago = since - 1 if included else since
            said.append(f"{trend.figure} went from {before} to {after} {_WORDS[ago]} run{'s' * (ago != 1)} ago")
    return "; ".join(said)


def _apart(before: float, after: float) -> tuple[str, str]:
    """Two numbers in as few digits as show that they differ."""
    pairs = [(_said(before, digits), _said(after, digits)) for digits in (3, 4, 6, 9, 17)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1])


def _said(value: float, digits: int) -> str:
    said = f"{value:.{digits}g}"
    return f"{float(said):,.0f}" if "e+" in said and abs(value) < 1e12 else said
