"""How sure one can be of a difference between two that were asked the same cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, comb, inf, sqrt
from statistics import NormalDist

_MOST = 10_000_000


def tango(gained: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """Tango's (1998) score bounds of the difference of two paired shares; each holds with about `confidence`.

    Of n pairs, `gained` were met by the second alone and `lost` by the first alone. Unlike a paired t interval it does
    not collapse where nothing differs.
    """
    _counts(gained, lost, n)
    z = NormalDist().inv_cdf(confidence)
    estimate = (gained - lost) / n
    low = -1.0 if lost == n else _root(lambda at: _score(gained, lost, n, at) - z, -1.0, estimate)
    high = 1.0 if gained == n else _root(lambda at: _score(gained, lost, n, at) + z, estimate, 1.0)
    return low, high


def p_above(gained: int, lost: int, n: int, bar: float) -> float:
    """The chance of a difference as good as this one, were the true one at the bar."""
    _counts(gained, lost, n)
    return 1 - NormalDist().cdf(_score(gained, lost, n, bar))


def p_gained(gained: int, lost: int) -> float:
    """McNemar's mid-p, one-sided: the chance of so many gained, were gaining and losing equally likely."""
    n = gained + lost
    above = sum(comb(n, k) for k in range(gained + 1, n + 1)) + comb(n, gained) / 2
    return above / 2**n if n < 1000 else 1 - NormalDist().cdf((gained - lost) / sqrt(n))


def least_pairs(margin: float, confidence: float) -> int:
    """The fewest pairs that can show that the second is not worse by the margin: none of them may differ."""
    if margin >= 1:
        return 1
    z = NormalDist().inv_cdf(confidence)
    n = max(1, ceil(z * z * (1 - margin) / margin - 1e-9))
    while tango(0, 0, n, confidence)[0] <= -margin:
        n += 1
    return n


def deciding_pairs(gained: int, lost: int, n: int, bar: float, confidence: float) -> int | None:
    """How many pairs would show on which side of the bar it lies, if things go on so; None where no number can."""
    if (gained - lost) / n == bar:
        return None
    above = (gained - lost) / n > bar

    def decided(many: int) -> bool:
        up = round(gained * many / n)
        low, high = tango(up, min(round(lost * many / n), many - up), many, confidence)
        return low > bar if above else high < bar

    many = n
    while not decided(many):
        many *= 2
        if many > _MOST:
            return None
    low = max(n, many // 2)
    while many - low > max(1, low // 100):
        middle = (low + many) // 2
        low, many = (low, middle) if decided(middle) else (middle, many)
    return many


def median_at_least(values: Sequence[float], confidence: float) -> float | None:
    """What the median of that which these were drawn from is above, by order statistics; None of too few."""
    n, tail, below = len(values), 0.0, -1
    for k in range(n):
        tail += comb(n, k) / 2**n
        if tail > 1 - confidence:
            break
        below = k
    return None if below < 0 else sorted(values)[below]


def _score(gained: int, lost: int, n: int, at: float) -> float:
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


def _root(falls: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls from `low` to `high` crosses zero."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falls(middle) > 0 else (low, middle)
    return (low + high) / 2


def _counts(gained: int, lost: int, n: int) -> None:
    if n < 1 or gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost of {n} pairs is no count")
