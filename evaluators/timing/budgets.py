"""Budgets, and whether what was measured is shown to be within them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.contract import Ruling, Verdict
from harness.statistics import clustered
from harness.statistics.estimate import Estimate
from harness.statistics.quantiles import least_n

CONFIDENCE = 0.95
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
CONTAMINATED = "contaminated"
_TOLD = 3
"""Budgets that were kept of which a verdict tells."""
_WORST: Sequence[Ruling] = ("error", "fail", "inconclusive", "unsupported", "pass")

CONFIDENCE_SCHEMA = {
    "type": "number",
    "minimum": 0.5,
    "exclusiveMaximum": 1,
    "description": "a number from 0.5 and below 1, such as 0.95",
}
NOISE_SCHEMA = {
    "enum": ["inconclusive", "may-pass"],
    "description": "`inconclusive` (what was measured while others used the machine decides nothing) or `may-pass` (it "
    "may pass, since noise makes nothing faster, but not fail)",
}
PATIENCE = 60.0
PATIENCE_SCHEMA = {
    "type": "number",
    "minimum": 0,
    "maximum": 3600,
    "description": f"seconds, from 0 to 3600, to wait in all for the machine to be quiet; {PATIENCE:g} unless told",
}


def quantile_schema(unit: str) -> dict[str, Any]:
    """The part of a schema for a budget of quantiles."""
    number = {"type": "number", "exclusiveMinimum": 0, "description": f"a number of {unit} above 0"}
    return {
        "type": "object",
        "properties": dict.fromkeys((*QUANTILES, "max"), number),
        "minProperties": 1,
        "additionalProperties": False,
        "description": f"a mapping of {', '.join(QUANTILES)} or max to {unit}, such as {{p95: 50}}",
    }


class Ruled(NamedTuple):
    """What is said of one budget."""

    of: str
    ruling: Ruling
    said: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    n: int = 0
    needed_n: int | None = None
    bar: float | None = None
    least: bool = False
    """Whether at least so much is asked."""
    method: str = ""
    despite: str = ""
    """The noise in spite of which it was kept."""


def least_samples(budget: Mapping[str, float], confidence: float = CONFIDENCE) -> int:
    """The fewest values that bound every quantile of a budget."""
    return max((least_n(QUANTILES[key], confidence) or 0 for key in budget if key in QUANTILES), default=1)


def quantiles_within(
    of: str,
    unit: str,
    groups: Sequence[Sequence[float]],
    budget: Mapping[str, float],
    confidence: float = CONFIDENCE,
    *,
    in_order: bool = False,
) -> list[Ruled]:
    """One for each quantile; values of one group depend on each other, and `in_order` those of neighbours, too.

    `max` is of what was seen, and owes nothing.
    """
    values = [value for group in groups for value in group]
    found = []
    for key, bar in budget.items():
        name = f"{of}.{key}"
        if not values:
            found.append(Ruled(name, "inconclusive", f"{name}: nothing was measured", bar=bar))
        elif key == "max":
            found.append(most_seen(name, unit, values, bar))
        else:
            told = clustered.quantile_of_groups_at_most(groups, QUANTILES[key], bar, confidence, in_order=in_order)
            asked = f"{unit} of {_number(bar)} allowed"
            found.append(_claimed(Ruled(name, told[0], asked, bar=bar), told[1], least_n(QUANTILES[key], confidence)))
    return found


def least_median(
    of: str,
    unit: str,
    groups: Sequence[Sequence[float]],
    least: float,
    confidence: float = CONFIDENCE,
    *,
    in_order: bool = False,
) -> Ruled:
    """Whether the median is at least so much."""
    if not any(groups):
        return Ruled(of, "inconclusive", f"{of}: nothing was measured", bar=least, least=True)
    decision, found = clustered.median_of_groups_at_least(groups, least, confidence, in_order=in_order)
    asked = Ruled(of, decision, f"{unit} of {_number(least)} asked", bar=least, least=True)
    return _claimed(asked, found, least_n(0.5, confidence))


def share_at_most(
    of: str,
    groups: Sequence[tuple[int, int]],
    most: float,
    confidence: float = CONFIDENCE,
    *,
    in_order: bool = False,
) -> Ruled:
    """Whether a share, of so many in each group, is at most so large."""
    if not sum(many for _, many in groups):
        return Ruled(of, "inconclusive", f"{of}: nothing was measured", bar=most)
    decision, found = clustered.share_of_groups_at_most(groups, most, confidence, in_order=in_order)
    return _claimed(Ruled(of, decision, f" of {_number(most)} allowed", bar=most), found, None)


def most_seen(of: str, unit: str, values: Sequence[float], most: float) -> Ruled:
    """Whether the worst that was seen is at most so much: it tells of what was seen."""
    if not values:
        return Ruled(of, "inconclusive", f"{of}: nothing was measured", bar=most)
    worst = max(values)
    ruling: Ruling = "pass" if worst <= most else "fail"
    said = f"{of} {_number(worst)}{unit} seen of {_number(most)} allowed"
    method = "exact: the worst that was seen"
    return Ruled(of, ruling, said, worst, (worst, worst), None, len(values), None, most, method=method)


def _claimed(ruled: Ruled, found: Estimate, needed: int | None) -> Ruled:
    """A ruling, whose `said` is what was asked, with what was found."""
    estimate = "unknown" if found.estimate is None else _number(found.estimate)
    ruled = ruled._replace(estimate=found.estimate, interval=found.interval, p=found.p, n=found.n, method=found.method)
    if found.interval is None:
        said = f"{ruled.of} {estimate}{ruled.said}: {found.reason or 'too few values'}"
        return ruled._replace(ruling="inconclusive", said=said, needed_n=needed)
    low, high = found.interval
    between = f"between {_number(low)} and {_number(high)}"
    if max(-low, high) >= clustered.OPEN:
        between = f"at least {_number(low)}" if high >= clustered.OPEN else f"at most {_number(high)}"
    return ruled._replace(said=f"{ruled.of} {estimate}, {between}{ruled.said}")


def figures_of(ruled: Iterable[Ruled]) -> dict[str, float]:
    """What was found of each, by name."""
    figures: dict[str, float] = {}
    for each in ruled:
        if each.estimate is not None:
            figures[each.of] = each.estimate
        if each.interval is not None and each.interval[0] < each.interval[1]:
            figures[f"{each.of}.low"], figures[f"{each.of}.high"] = each.interval
    return figures


def worst_of(ruled: Iterable[Ruled]) -> list[Ruled]:
    """The worst first; among equals as they were asked."""
    return sorted(ruled, key=lambda each: _WORST.index(each.ruling))


def under_noise(ruled: Ruled, disturbed: str, *, may_pass: bool) -> Ruled:
    """What is left of a ruling on times that were taken while the machine was not quiet.

    Noise makes nothing faster: where that is enough for who asks, a budget that was kept under noise is kept.
    """
    if not disturbed or ruled.ruling in ("error", "unsupported") or ruled.said.startswith(CONTAMINATED):
        return ruled
    if may_pass and ruled.ruling == "pass":
        return ruled._replace(despite=disturbed)
    return ruled._replace(ruling="inconclusive", said=f"{CONTAMINATED}: {disturbed}; {ruled.said}", needed_n=None)


def verdict_of(ruled: Sequence[Ruled], *, figures: Mapping[str, float], where: str = "") -> Verdict:
    """The worst of what is said of each budget: all of them have to hold."""
    ordered = worst_of(ruled)
    if not ordered:
        return Verdict(verdict="inconclusive", reason="nothing was measured that a budget speaks of")
    first = ordered[0]
    claims = [each.p for each in ruled if each.p is not None]
    told = [each for each in ordered if each.ruling != "pass"] or ordered[:_TOLD]
    rest = len(ordered) - len(told)
    kept = f"; and {rest} more budget{'s' * (rest != 1)} kept" if rest else ""
    despite = next((f"; kept while {each.despite}, which makes nothing faster" for each in ruled if each.despite), "")
    return Verdict(
        verdict=first.ruling,
        reason="; ".join(each.said for each in told) + kept + despite + (f"; on {where}" if where else ""),
        estimate=first.estimate,
        interval=first.interval,
        p=max(claims) if claims else None,
        method=first.method,
        n=first.n,
        advice=_advice(first),
        figures={**figures_of(ruled), **figures},
    )


def _advice(ruled: Ruled) -> str:
    if ruled.said.startswith(CONTAMINATED):
        return "measure again while the machine does nothing else"
    if ruled.ruling == "inconclusive" and (ruled.needed_n or 0) > ruled.n:
        return f"it takes {ruled.needed_n} samples or more to bound {ruled.of}, and there are {ruled.n}"
    return ""


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
