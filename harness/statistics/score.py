"""Tango's score for the difference of two paired shares, and the bounds that it gives."""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, inf, isfinite, sqrt
from statistics import NormalDist


def tango(gained: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """Tango's (1998) score bounds of the difference of two paired shares; each holds with about `confidence`.

    Of n pairs, `gained` were met by the second alone and `lost` by the first alone. Unlike a paired t interval it does
    not collapse where nothing differs. Where few pairs differ a bound may miss more often than it says: 6.8 % of the
    time for 5 % where nothing is gained and 133 pairs are to bound a loss of 2 %. `unconditional.bounds` never does.
    """
    check(gained, lost, n, confidence)
    z = NormalDist().inv_cdf(confidence)
    estimate = (gained - lost) / n
    low = -1.0 if lost == n else _root(lambda at: score(gained, lost, n, at) - z, -1.0, estimate)
    high = 1.0 if gained == n else _root(lambda at: score(gained, lost, n, at) + z, estimate, 1.0)
    return low, high


def score(gained: int, lost: int, n: int, at: float) -> float:
    """Tango's statistic: how many standard errors, as they are at `at`, the observed difference lies above it."""
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * at
    c = -lost * at * (1 - at)
    share = (sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * share + at * (1 - at))
    distance = gained - lost - n * at
    if variance <= 0:
        return 0.0 if distance == 0 else inf if distance > 0 else -inf
    return distance / sqrt(variance)


def beyond(z: float) -> float:
    """The chance of a normal score above z."""
    return erfc(z / sqrt(2)) / 2


def check(gained: int, lost: int, n: int, confidence: float = 0.5, bar: float = 0.0) -> None:
    """Refuses what is no count of pairs, no confidence and no difference of shares."""
    if not (n >= 1 and gained >= 0 and lost >= 0 and gained + lost <= n and isfinite(n)):
        raise ValueError(f"{gained} gained and {lost} lost of {n} pairs is no count")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
    if not -1 <= bar <= 1:
        raise ValueError(f"{bar} is no difference of two shares")


def _root(falls: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls from `low` to `high` crosses zero."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falls(middle) > 0 else (low, middle)
    return (low + high) / 2
