"""How sure one can be of a quantile: by order statistics, exactly, whatever the distribution."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from harness.statistics.estimate import Decision, Estimate
from harness.statistics.samples import level, numbers

Side = Literal["two-sided", "upper", "lower"]

MOST = 10_000_000
_OPEN = sys.float_info.max


def quantile(values: Iterable[float], q: float, confidence: float = 0.95, side: Side = "two-sided") -> Estimate:
    """The q-quantile, between two of the values: the bounds hold at least as often as they say.

    A one-sided bound holds with all of `confidence`, and the other end is the largest number there is. Where there are
    too few values for a bound, as `least_n` has it, nothing is claimed. Not for values that come in clusters or depend
    on those before them (requests of one process do): they are fewer than they look.
    """
    import numpy as np

    level(confidence)
    level(q, "a quantile")
    array = np.sort(numbers(values))
    n = len(array)
    method = "order statistics" if side == "two-sided" else f"order statistics, {side} bound"
    estimate = between(array.tolist(), q)
    tail = (1 - confidence) / 2 if side == "two-sided" else 1 - confidence
    low, high = _below(n, q, tail), _above(n, q, tail)
    if (side != "upper" and low is None) or (side != "lower" and high is None):
        needed = least_n(q, confidence, side)
        would = "no number" if needed is None else str(needed)
        return Estimate(estimate, None, None, method, n, n, f"{n} values can't bound it: {would} can")
    lowest = -_OPEN if side == "upper" or low is None else float(array[low])
    highest = _OPEN if side == "lower" or high is None else float(array[high])
    # Between two of few values the estimate may lie beyond a bound that is one of them.
    return Estimate(min(max(estimate, lowest), highest), (lowest, highest), None, method, n, n)


def quantile_at_most(values: Iterable[float], q: float, most: float, alpha: float = 0.05) -> tuple[Decision, Estimate]:
    """Whether the q-quantile is at most a budget: each bound of the interval holds with 1 - alpha.

    p is exact: the chance of so many values within the budget, were only q of all.
    """
    import numpy as np
    from scipy.special import bdtrc

    array = numbers(values)
    level(alpha, "an alpha")
    if not math.isfinite(most):
        raise ValueError(f"a budget of {most} is no number")
    n, within = len(array), int((array <= most).sum())
    p = 1.0 if within == 0 else float(bdtrc(within - 1, n, q))
    upper, lower = quantile(array, q, 1 - alpha, "upper"), quantile(array, q, 1 - alpha, "lower")
    decision: Decision = "inconclusive"
    if upper.interval is not None and upper.interval[1] <= most:
        decision = "pass"
    elif lower.interval is not None and lower.interval[0] > most:
        decision = "fail"
    found = (upper if decision != "fail" else lower)._replace(p=p, method="order statistics")
    if upper.interval is not None and lower.interval is not None:
        low, high = lower.interval[0], upper.interval[1]
        found = found._replace(estimate=min(max(between(np.sort(array).tolist(), q), low), high), interval=(low, high))
    return decision, found


def least_n(q: float, confidence: float = 0.95, side: Side = "two-sided") -> int | None:
    """The fewest values that bound the q-quantile; None where no reasonable number does."""
    level(confidence)
    level(q, "a quantile")
    tail = (1 - confidence) / 2 if side == "two-sided" else 1 - confidence
    rarest = {"two-sided": max(q, 1 - q), "upper": q, "lower": 1 - q}[side]
    if rarest >= 1:
        return None
    n = max(1, math.ceil(math.log(tail) / math.log(rarest) - 1e-9))
    while not _reached(n, q, tail, side):
        n += 1
    return n if n <= MOST else None


def between(ordered: Sequence[float], q: float) -> float:
    """The quantile of the values themselves, on the line between the two nearest (Hyndman and Fan's seventh)."""
    at = (len(ordered) - 1) * q
    below = min(int(at), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] * (1 - (at - below)) + ordered[above] * (at - below)


def places(n: int, q: float, tail: float) -> tuple[int | None, int | None]:
    """The places, from 0 and in order, of the values that bound the quantile; each misses with a chance of `tail`."""
    return _below(n, q, tail), _above(n, q, tail)


def _reached(n: int, q: float, tail: float, side: Side) -> bool:
    low, high = (1 - q) ** n <= tail, q**n <= tail
    return {"two-sided": low and high, "upper": high, "lower": low}[side]


def _below(n: int, q: float, tail: float) -> int | None:
    """The place, from 0, of the largest value that is above the quantile with no more than this chance."""
    from scipy.special import bdtr

    if not _reached(n, q, tail, "lower"):
        return None
    # The k-th value, from 1, is above the quantile where fewer than k values are at or below it.
    return _last(lambda k: float(bdtr(k - 1, n, q)) <= tail, n) - 1


def _above(n: int, q: float, tail: float) -> int | None:
    """The place of the smallest value that is below the quantile with no more than this chance."""
    from scipy.special import bdtrc

    if not _reached(n, q, tail, "upper"):
        return None
    # Counted from the top: the k-th is below the quantile where more than n - k values are.
    return n - _last(lambda k: float(bdtrc(n - k, n, q)) <= tail, n)


def _last(true: Callable[[int], bool], most: int) -> int:
    """The last number from 1 at which `true`, which holds there first and then no more."""
    low, high = 1, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if true(middle) else (low, middle)
    return low
