"""How sure one can be of a difference between two that were asked the same cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil, comb, inf, nextafter
from statistics import NormalDist
from typing import Literal

from harness.statistics import unconditional
from harness.statistics.estimate import Decision, Estimate
from harness.statistics.score import beyond, check, score
from harness.statistics.score import tango as tango

Alternative = Literal["two-sided", "greater", "less"]
Method = Literal["score", "exact", "mid-p"]
_MOST = 10_000_000


def tango_interval(gained: int, lost: int, n: int, confidence: float = 0.95) -> Estimate:
    """The difference of two paired shares with Tango's two-sided interval: near its nominal coverage, for display.

    To certify take `noninferior_share` or another of those below. Not for cases in clusters, nor with weights.
    """
    check(gained, lost, n, confidence)
    interval = tango(gained, lost, n, 0.5 + confidence / 2)
    return Estimate((gained - lost) / n, interval, None, f"Tango, two-sided {confidence:.4g}", n, n)


def mcnemar(
    gained: int,
    lost: int,
    n: int,
    *,
    exact: bool = False,
    alternative: Alternative = "two-sided",
    confidence: float = 0.95,
) -> Estimate:
    """McNemar's test that gaining and losing are equally likely: mid-p, or the exact binomial one; Tango's interval.

    The two come of different methods, and near the edge one may hold 0 where the other does not: for a verdict take
    `different_share`. A large p is no evidence that the two are equal: that takes `equivalent_share`.
    """
    check(gained, lost, n, confidence)
    interval = tango(gained, lost, n, 0.5 + confidence / 2)
    method = f"McNemar {'exact' if exact else 'mid-p'}, {alternative}; Tango, two-sided {confidence:.4g}"
    estimate, discordant = (gained - lost) / n, gained + lost
    if not discordant:
        return Estimate(estimate, interval, 1.0, method, n, 0, "no pair differs")
    above, below = (_p_exact if exact else p_gained)(gained, lost), (_p_exact if exact else p_gained)(lost, gained)
    p = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]
    return Estimate(estimate, interval, p, method, n, discordant)


@lru_cache(1000)
def noninferior_share(gained: int, lost: int, n: int, margin: float, alpha: float = 0.05) -> tuple[Decision, Estimate]:
    """Pass where the second is shown to be less than the margin worse, fail where it is shown to be more.

    By exact one-sided bounds at 1 - alpha: it passes a model that is worse by the margin in at most alpha of all runs,
    whatever share of the pairs differs. Not for cases in clusters, nor with weights, nor for a look at unfinished data;
    so the three below.
    """
    return _against(gained, lost, n, -_margin(margin), alpha)


@lru_cache(1000)
def superior_share(gained: int, lost: int, n: int, alpha: float = 0.05, by: float = 0.0) -> tuple[Decision, Estimate]:
    """Pass where the second is shown to be better by more than `by`, fail where it is shown to be less than that.

    By the same bounds as `noninferior_share`: p, bound and decision are of one test. At `by` 0 as many pairs have to
    differ as the exact conditional test takes, since three or four prove little; and it has the power of
    McNemar's mid-p while at most one in five pairs differs. Where most do it has less, but there the mid-p errs more
    often than it says.
    """
    decision, found = _against(gained, lost, n, _margin(by), alpha)
    least = least_discordant(alpha, exact=True, alternative="greater")
    if by or decision != "pass" or gained + lost >= least:
        return decision, found
    assert found.interval is not None
    said = f"{gained + lost} of the pairs differ, and {least} have to before any result shows a difference"
    low, p = min(found.interval[0], 0.0), max(found.p or 0.0, 0.5 ** (gained + lost))
    return "inconclusive", found._replace(interval=(low, found.interval[1]), p=p, reason=said)


@lru_cache(1000)
def equivalent_share(gained: int, lost: int, n: int, margin: float, alpha: float = 0.05) -> tuple[Decision, Estimate]:
    """Pass where the difference is shown to be less than the margin, either way; fail where it is shown to be more.

    Two one-sided tests, each at alpha; the interval is that of confidence 1 - 2 alpha.
    """
    _margin(margin)
    low, high = unconditional.bounds(gained, lost, n, _confidence(alpha))
    above, below = _over(gained, lost, n, -margin, alpha), _over(lost, gained, n, -margin, alpha)
    higher, lower = _over(gained, lost, n, margin, alpha), _over(lost, gained, n, margin, alpha)
    low = _agreed(_agreed(low, -margin, above < alpha), margin, higher < alpha)
    high = -_agreed(_agreed(-high, -margin, below < alpha), margin, lower < alpha)
    p = max(above, below)
    decision: Decision = "pass" if p < alpha else "fail" if min(higher, lower) < alpha else "inconclusive"
    method = f"two exact unconditional tests, each one-sided {1 - alpha:.4g}"
    return decision, Estimate((gained - lost) / n, (low, high), p, method, n, n)


def different_share(
    gained: int,
    lost: int,
    n: int,
    alpha: float = 0.05,
    margin: float | None = None,
    *,
    method: Literal["mid-p", "exact"] = "mid-p",
) -> tuple[Decision, Estimate]:
    """Pass where the two are shown to differ: no number of cases shows that nothing does, so that it never fails,
    unless a margin is given and the difference is shown to be within it.

    By McNemar's mid-p with Tango's interval, made to agree: where the mid-p does not reject, the interval is widened to
    hold 0; where only the mid-p would reject, p is the score's. By `exact`, both come of the exact unconditional test.
    """
    check(gained, lost, n)
    _confidence(alpha)
    if method == "exact":
        low, high = unconditional.bounds(gained, lost, n, 1 - alpha / 2)
        p = min(1.0, 2 * min(_over(gained, lost, n, 0.0, alpha / 2), _over(lost, gained, n, 0.0, alpha / 2)))
    else:
        low, high = tango(gained, lost, n, 1 - alpha / 2)
        p = _p_different(gained, lost, n, alpha)
    if p >= alpha:
        low, high = min(low, 0.0), max(high, 0.0)
    elif gained > lost:
        low = max(low, nextafter(0.0, 1.0))
    else:
        high = min(high, nextafter(0.0, -1.0))
    within = margin is not None and -_margin(margin) < low and high < margin
    decision: Decision = "pass" if p < alpha else "fail" if within else "inconclusive"
    called = "exact unconditional test" if method == "exact" else "McNemar mid-p; Tango"
    discordant, least = gained + lost, least_discordant(alpha)
    reason = ""
    if decision == "inconclusive" and method == "mid-p" and discordant < least:
        reason = f"{discordant} of the pairs differ, and {least} have to before any result shows a difference"
    estimate = Estimate((gained - lost) / n, (low, high), p, f"{called}, two-sided {1 - alpha:.4g}", n, n, reason)
    return decision, estimate


def p_above(gained: int, lost: int, n: int, bar: float) -> float:
    """By Tango's score, the chance of a difference as good as this one, were the true one at the bar."""
    check(gained, lost, n, bar=bar)
    return beyond(score(gained, lost, n, bar))


def p_gained(gained: int, lost: int) -> float:
    """McNemar's mid-p, one-sided: the chance of so many gained, were gaining and losing equally likely."""
    n = gained + lost
    return (_at_least(gained, n) + _at_least(gained + 1, n)) / 2


def shown(method: Method, gained: int, lost: int, n: int, bar: float, confidence: float) -> bool:
    """Whether the difference is shown to be above the bar: what the bounds and the decisions below rest on, alone."""
    if method == "exact":
        return (gained - lost) / n > bar and unconditional.p_over(gained, lost, n, bar, confidence) < 1 - confidence
    if method == "score":
        return score(gained, lost, n, bar) > NormalDist().inv_cdf(confidence)
    if bar != 0:
        raise ValueError("McNemar's test asks whether the difference is 0")
    return gained > lost and _p_different(gained, lost, n, 2 * (1 - confidence)) < 2 * (1 - confidence)


def least_pairs(margin: float, confidence: float, method: Literal["score", "exact"] = "score") -> int:
    """The fewest pairs that can show that the second is not worse by the margin: none of them may differ.

    By Tango's bound (`score`), or as `noninferior_share` decides (`exact`).
    """
    check(0, 0, 1, confidence)
    if not margin >= 1e-12:
        raise ValueError(f"no number of pairs can show a margin of {margin}")
    if margin >= 1:
        return 1
    z = NormalDist().inv_cdf(confidence)
    n = max(1, ceil(z * z * (1 - margin) / margin - 1e-9))
    return _first(lambda many: shown(method, 0, 0, many, -margin, confidence), n if method == "score" else 1)


def least_discordant(alpha: float, *, exact: bool = False, alternative: Alternative = "two-sided") -> int:
    """The fewest pairs that must differ before McNemar's test can reach alpha: all of them one way."""
    if not 0 < alpha < 1:
        raise ValueError(f"an alpha of {alpha} is not between 0 and 1")
    n, sides = 1, 2 if alternative == "two-sided" else 1
    while sides * 0.5 ** (n if exact else n + 1) >= alpha:
        n += 1
    return n


def deciding_pairs(
    gained: int, lost: int, n: int, bar: float, confidence: float, method: Method = "score"
) -> int | None:
    """How many pairs would show on which side of the bar it lies, if things go on so; None where no number can.

    By Tango's bound (`score`), as `noninferior_share` and `superior_share` decide (`exact`), or as `different_share`
    does (`mid-p`, of which the bar is 0 and the confidence 1 - alpha / 2).
    """
    check(gained, lost, n, confidence, bar)
    if (gained - lost) / n == bar:
        return None
    if (gained - lost) / n < bar:
        gained, lost, bar = lost, gained, -bar

    def decided(many: int) -> bool:
        up = round(gained * many / n)
        return shown(method, up, min(round(lost * many / n), many - up), many, bar, confidence)

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
    check(0, 0, 1, confidence)
    if any(value != value for value in values):
        raise ValueError("what is no number has no median")
    n, tail, below = len(values), 0.0, -1
    for k in range(n):
        tail += comb(n, k) / 2**n
        if tail > 1 - confidence:
            break
        below = k
    return None if below < 0 else sorted(values)[below]


def _against(gained: int, lost: int, n: int, bar: float, alpha: float) -> tuple[Decision, Estimate]:
    """On which side of the bar the difference is shown to be, by one exact test for p, bound and verdict."""
    low, high = unconditional.bounds(gained, lost, n, _confidence(alpha))
    p, contrary = _over(gained, lost, n, bar, alpha), _over(lost, gained, n, -bar, alpha)
    low, high = _agreed(low, bar, p < alpha), -_agreed(-high, -bar, contrary < alpha)
    decision: Decision = "pass" if p < alpha else "fail" if contrary < alpha else "inconclusive"
    method = f"exact unconditional test, one-sided {1 - alpha:.4g}"
    return decision, Estimate((gained - lost) / n, (low, high), p, method, n, n)


def _p_different(gained: int, lost: int, n: int, alpha: float) -> float:
    """McNemar's two-sided mid-p; where it alone would reject, that of the score, which Tango's interval goes by."""
    if gained + lost == 0:
        return 1.0
    more, fewer = max(gained, lost), min(gained, lost)
    middle, scored = min(1.0, 2 * p_gained(more, fewer)), 2 * p_above(more, fewer, n, 0.0)
    return scored if middle < alpha <= scored else middle


def _over(gained: int, lost: int, n: int, bar: float, alpha: float) -> float:
    return unconditional.p_over(gained, lost, n, bar, 1 - alpha)


def _agreed(low: float, bar: float, above: bool) -> float:
    """A lower bound on the side of the bar on which its p is: the two are computed apart, and round apart."""
    return max(low, nextafter(bar, inf)) if above else min(low, bar)


def _p_exact(gained: int, lost: int) -> float:
    return _at_least(gained, gained + lost)


def _at_least(k: int, n: int) -> float:
    """The chance of k or more heads of n."""
    from scipy.special import betainc

    if not 0 <= k <= n + 1:
        raise ValueError(f"{k} of {n} is no count")
    return 1.0 if k == 0 else 0.0 if k > n else float(betainc(k, n - k + 1, 0.5))


def _first(true: Callable[[int], bool], start: int) -> int:
    """The first number from `start` at which `true`."""
    step, high = 1, start
    while not true(high):
        start, high, step = high + 1, high + step, step * 2
    while start < high:
        middle = (start + high) // 2
        start, high = (start, middle) if true(middle) else (middle + 1, high)
    return high


def _margin(margin: float) -> float:
    if not 0 <= margin <= 1:
        raise ValueError(f"a margin of {margin} is not from 0 to 1")
    return margin


def _confidence(alpha: float) -> float:
    if not 0 < alpha <= 0.5:
        raise ValueError(f"an alpha of {alpha} is not above 0 and up to .5")
    return 1 - alpha
