"""How sure one can be of a share, given how many of how many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

MOST = 10_000_000


def clopper_pearson(k: int, n: int, confidence: float) -> tuple[float, float]:
    """One-sided exact bounds, each of which holds with `confidence`; together they are the interval of 2c-1.

    Never too narrow, whatever the true share. Not for cases that come in clusters, or that carry weights.
    """
    from scipy.special import betaincinv

    _counts(k, n, confidence)
    alpha = 1 - confidence
    low = 0.0 if k == 0 else _low_of_all(n, confidence) if k == n else float(betaincinv(k, n - k + 1, alpha))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, confidence))
    return low, high


def _low_of_all(n: int, confidence: float) -> float:
    """The lower bound where all of n are met: `least_n` and the bound must agree to the last bit."""
    return float((1 - confidence) ** (1 / n))


def wilson(k: int, n: int, confidence: float) -> tuple[float, float]:
    """The two-sided score interval: near its nominal coverage on average, for display; not for certifying."""
    from statistics import NormalDist

    _counts(k, n, confidence)
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    p = k / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def p_at_least(k: int, n: int, threshold: float) -> float:
    """The chance of k or more of n if the true share were the threshold: small where the share is shown to be above."""
    from scipy.special import bdtrc

    _counts(k, n, 0.5)
    return 1.0 if k == 0 else float(bdtrc(k - 1, n, threshold))


def least_n(threshold: float, confidence: float) -> int | None:
    """The fewest cases that can show a share of at least `threshold`: all met. None where no number can."""
    from math import ceil, log

    if threshold >= 1:
        return None
    if threshold <= 0:
        return 1
    n = max(1, ceil(log(1 - confidence) / log(threshold) - 1e-9))
    while _low_of_all(n, confidence) < threshold:
        n += 1
    return n if n <= MOST else None


Decision = Literal["pass", "fail", "inconclusive"]


def decide(k: int, n: int, threshold: float, confidence: float) -> Decision:
    """Pass where the share is shown to reach the threshold, fail where it is shown not to, else neither."""
    low, high = clopper_pearson(k, n, confidence)
    if low >= threshold:
        return "pass"
    return "fail" if high < threshold else "inconclusive"


def deciding_n(k: int, n: int, threshold: float, confidence: float) -> int | None:
    """How many cases would decide, if the share stays what it was; None where no reasonable number would."""
    share = k / n
    if abs(share - threshold) < 1e-12:
        return None

    def decided(size: int) -> bool:
        # Rounded against the claim, so that the number given is enough.
        met = int(share * size) if share > threshold else -int(-share * size // 1)
        return decide(min(max(met, 0), size), size, threshold, confidence) != "inconclusive"

    return _first(decided, n + 1)


def _first(true: Callable[[int], bool], start: int) -> int | None:
    """The first number from `start` at which `true`, taken as monotone."""
    step = 1
    low, high = start - 1, start
    while not true(high):
        low, high, step = high, high + step, step * 2
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if true(middle) else (middle, high)
    return high


def _counts(k: int, n: int, confidence: float) -> None:
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} of {n} is not a share")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
