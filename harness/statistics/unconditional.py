"""Exact bounds of the difference of two paired shares: they hold as often as they say, however many pairs differ."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.statistics.score import beyond, check, score, tango

MANY = 5_000
"""Discordant pairs beyond which Tango's bounds stand in: they err in less than 1 of 1,000 more there."""
_SPENT = 1e-6
_STEPS = (64, 17)


class _Order(NamedTuple):
    """Which results are at least as good as the one observed: those with a Tango bound at least as high."""

    n: int
    at: float
    score: float


def bounds(gained: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """One-sided bounds of the difference, each of which holds with at least `confidence`, from .5.

    Each is Buehler's: results are ordered by their Tango bounds, and the bound is where a result as extreme as this
    would be just too surprising at the worst of all shares of discordant pairs that the data leave possible (Berger
    and Boos, 1994). Not for pairs that come in clusters, or that carry weights.
    """
    alpha = _alpha(gained, lost, n, confidence)
    return _low(gained, lost, n, alpha), -_low(lost, gained, n, alpha)


def p_over(gained: int, lost: int, n: int, bar: float, confidence: float) -> float:
    """At most the chance of a result as good as this one, were the true difference at the bar or below.

    It is less than 1 - confidence just where the lower bound with that confidence is above the bar. It is never less
    than a millionth, or a hundredth of 1 - confidence: that is spent on what the data leave possible.
    """
    alpha = _alpha(gained, lost, n, confidence)
    check(gained, lost, n, bar=bar)
    if gained + lost > MANY:
        return beyond(score(gained, lost, n, bar))
    p = _surprise(_order(gained, lost, n, alpha), _possible(gained + lost, n, alpha), bar, alpha)
    return p if bar < (gained - lost) / n else max(p, 0.5)


def _low(gained: int, lost: int, n: int, alpha: float) -> float:
    from scipy.optimize import brentq

    if gained + lost > MANY:
        return tango(gained, lost, n, 1 - alpha)[0]
    order, possible = _order(gained, lost, n, alpha), _possible(gained + lost, n, alpha)
    estimate, least = (gained - lost) / n, -possible[1]

    def over(bar: float) -> float:
        return _surprise(order, possible, bar, alpha) - alpha

    if over(least) >= 0:
        return least
    return estimate if over(estimate) <= 0 else float(brentq(over, least, estimate, xtol=1e-10, rtol=1e-10))


def _surprise(order: _Order, possible: tuple[float, float], bar: float, alpha: float) -> float:
    """The chance of a result as good as the observed one at the worst possible share of discordant pairs."""
    import numpy as np

    least, most = max(possible[0], abs(bar)), possible[1]
    if least > most:
        return _spent(alpha) if bar < 0 else 1.0
    # Steps that are equal in the arc sine of the root are equal in standard errors.
    angles, best, chances = np.arcsin(np.sqrt([least, most])), 0, np.zeros(1)
    for steps in _STEPS:
        angles = np.linspace(angles[max(0, best - 1)], angles[min(len(angles) - 1, best + 1)], steps)
        chances = _chances(order, np.clip(np.sin(angles) ** 2, least, most), bar)
        best = int(np.argmax(chances))
    return float(min(1.0, chances[best] + _spent(alpha)))


def _chances(order: _Order, shares: Any, bar: float) -> Any:
    """The chance of a result as good as the observed one, for each share of discordant pairs."""
    import numpy as np
    from scipy.special import betainc, betaln, xlog1py, xlogy

    n = order.n
    up, down = np.maximum(0.0, (shares + bar) / 2), np.clip((shares - bar) / 2, 0.0, 1.0)
    spread = 9 * np.sqrt(n * down * (1 - down)) + 30
    first, last = max(0, int(np.min(n * down - spread))), min(n, int(np.max(n * down + spread)))
    lost = np.arange(first, last + 1)[:, None]
    least = _least_gained(order, lost)
    weight = np.exp(xlogy(lost, down) + xlog1py(n - lost, -down) - betaln(n - lost + 1, lost + 1) - np.log(n + 1))
    rate = np.clip(up / np.maximum(1 - down, 1e-300), 0.0, 1.0)
    reach = betainc(np.maximum(least, 1), np.maximum(n - lost - least + 1, 1), rate)
    return np.sum(weight * np.where(least <= 0, 1.0, np.where(least > n - lost, 0.0, reach)), axis=0)


def _least_gained(order: _Order, lost: Any) -> Any:
    """For each number lost the fewest gained that are as good as what was observed; one too many where none are."""
    import numpy as np

    low, high = np.zeros_like(lost), order.n - lost + 1
    enough = order.score - 1e-9 * max(1.0, abs(order.score))
    while np.any(low < high):
        middle = (low + high) // 2
        good = _scores(middle, lost, order) >= enough
        low, high = np.where(good | (low >= high), low, middle + 1), np.where(good & (low < high), middle, high)
    return low


def _scores(gained: Any, lost: Any, order: _Order) -> Any:
    """The score of many results at once."""
    import numpy as np

    n, at = order.n, order.at
    b = -gained - lost + (2 * n - gained + lost) * at
    share = (np.sqrt(np.maximum(0.0, b * b + 8.0 * n * lost * at * (1 - at))) - b) / (4 * n)
    variance = n * (2 * share + at * (1 - at))
    distance = gained - lost - n * at
    flat = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    return np.where(variance > 0, distance / np.sqrt(np.where(variance > 0, variance, 1.0)), flat)


def _order(gained: int, lost: int, n: int, alpha: float) -> _Order:
    at = tango(gained, lost, n, 1 - alpha)[0]
    return _Order(n, at, score(gained, lost, n, at))


def _possible(discordant: int, n: int, alpha: float) -> tuple[float, float]:
    """The shares of discordant pairs that the data leave possible, at the price of what is spent."""
    from scipy.special import betaincinv

    tail = _spent(alpha) / 2
    low = 0.0 if discordant == 0 else float(betaincinv(discordant, n - discordant + 1, tail))
    high = 1.0 if discordant == n else float(1 - betaincinv(n - discordant, discordant + 1, tail))
    return low, high


def _spent(alpha: float) -> float:
    return min(_SPENT, alpha / 100)


def _alpha(gained: int, lost: int, n: int, confidence: float) -> float:
    check(gained, lost, n)
    if not 0.5 <= confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not from .5 and below 1")
    return 1 - confidence
