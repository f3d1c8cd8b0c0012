"""How sure one can be of a share, given how many of how many."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, isfinite, log
from statistics import NormalDist
from typing import Any, Literal

from harness.statistics.estimate import Decision as Decision
from harness.statistics.estimate import Estimate

MOST = 10_000_000


def share(
    k: int, n: int, confidence: float = 0.95, method: Literal["clopper-pearson", "wilson"] = "clopper-pearson"
) -> Estimate:
    """The share k of n with its two-sided interval: Clopper-Pearson's, never too narrow, or Wilson's, for display.

    Not for cases that come in clusters, or that carry weights; and not to certify, which asks for one bound: `decide`.
    """
    if method == "wilson":
        return Estimate(k / max(n, 1), wilson(k, n, confidence), None, f"Wilson, two-sided {confidence:.4g}", n, n)
    interval = clopper_pearson(k, n, 0.5 + _level(confidence) / 2)
    return Estimate(k / n, interval, None, f"Clopper-Pearson, two-sided {confidence:.4g}", n, n)


def newcombe(k1: int, n1: int, k2: int, n2: int, confidence: float = 0.95) -> Estimate:
    """How much larger the second of two independent shares is: Newcombe's hybrid score interval (1998, method 10).

    The p is two-sided, Fisher's mid-p: near its level, where Fisher's own is too cautious. It comes of another method
    than the interval: near the edge one may hold 0 where the other does not. Not for two that were asked the same cases
    (`paired`), nor for cases in clusters.
    """
    (low1, high1), (low2, high2) = wilson(k1, n1, confidence), wilson(k2, n2, confidence)
    first, second = k1 / n1, k2 / n2
    low = second - first - ((second - low2) ** 2 + (high1 - first) ** 2) ** 0.5
    high = second - first + ((high2 - second) ** 2 + (first - low1) ** 2) ** 0.5
    method = f"Newcombe's hybrid score, two-sided {confidence:.4g}; Fisher's mid-p"
    p = _fisher_mid_p(k1, n1, k2, n2)
    reason = "" if 0 < k1 + k2 < n1 + n2 else "all are alike: nothing differs"
    return Estimate(second - first, (max(-1.0, low), min(1.0, high)), p, method, n1 + n2, n1 + n2, reason)


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
    threshold = min(1.0, max(0.0, _bar(threshold)))
    return 1.0 if k == 0 else float(bdtrc(k - 1, n, threshold))


def least_n(threshold: float, confidence: float) -> int | None:
    """The fewest cases that can show a share of at least `threshold`: all met. None where no number can."""
    _level(confidence)
    if _bar(threshold) >= 1:
        return None
    if threshold <= 0:
        return 1
    n = max(1, ceil(log(1 - confidence) / log(threshold) - 1e-9))
    while n <= MOST and _low_of_all(n, confidence) < threshold:
        n += 1
    return n if n <= MOST else None


def decide(k: int, n: int, threshold: float, confidence: float) -> Decision:
    """Pass where the share is shown to reach the threshold, fail where it is shown not to, else neither."""
    low, high = clopper_pearson(k, n, confidence)
    _bar(threshold)
    if low >= threshold:
        return "pass"
    return "fail" if high < threshold else "inconclusive"


def deciding_n(k: int, n: int, threshold: float, confidence: float) -> int | None:
    """How many cases would decide, if the share stays what it was; None where no reasonable number would."""
    _counts(k, n, confidence)
    share = k / n
    if abs(share - _bar(threshold)) < 1e-12:
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


def _fisher_mid_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """Twice the smaller one-sided mid-p of as many met among the second, given how many were met at all."""
    import numpy as np
    from scipy.special import betaln

    met, n = k1 + k2, n1 + n2
    if met in (0, n):
        return 1.0
    if k2 * n < met * n2:  # the tail away from the mean is short: summed of the other group where that lies above
        k1, n1, k2, n2 = k2, n2, k1, n1

    def ways(of: int, taken: Any) -> Any:
        return -np.log(of + 1) - betaln(of - taken + 1, taken + 1)

    far = 40 * (met / n * (1 - met / n) * n1 / n * n2) ** 0.5 + 50
    counts = np.arange(k2, min(met, n2, int(k2 + far)) + 1)
    chances = np.exp(ways(met, counts) + ways(n - met, n2 - counts) - ways(n, n2))
    middle = float(np.sum(chances) - chances[0] / 2)
    return max(0.0, min(1.0, 2 * min(middle, 1 - middle)))


def _counts(k: int, n: int, confidence: float) -> None:
    if not (0 <= k <= n and n >= 1 and isfinite(n)):
        raise ValueError(f"{k} of {n} is not a share")
    _level(confidence)


def _level(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
    return confidence


def _bar(threshold: float) -> float:
    if threshold != threshold:
        raise ValueError("a threshold that is no number bounds nothing")
    return threshold
