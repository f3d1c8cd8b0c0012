"""How many cases a claim takes, and what a number of them can show, before anything runs.

Not for what has run: the power of an observed effect says no more than its p.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from harness.statistics.estimate import Decision, Estimate
from harness.statistics.samples import level

Alternative = Literal["two-sided", "greater", "less"]
ShareClaim = Literal["noninferior", "superior", "equivalent", "different"]

MOST = 10_000_000


def power_paired_shares(
    n: int,
    gained_rate: float,
    lost_rate: float,
    margin: float,
    alpha: float = 0.05,
    decides: ShareClaim | Callable[[int, int, int], Decision] = "noninferior",
) -> float:
    """The chance that n pairs pass, were these the true shares gained and lost, by exact enumeration.

    As `paired` decides the claim, or as a function of gained, lost and n does.
    """
    if not callable(decides):
        from harness.statistics.prospects import of_pairs

        return of_pairs(decides, n, gained_rate, lost_rate, margin, alpha).passes
    from scipy.special import gammaln, xlogy

    same_rate = 1 - gained_rate - lost_rate
    if n < 1 or min(gained_rate, lost_rate) < 0 or not same_rate >= -1e-12:
        raise ValueError(f"{gained_rate} gained and {lost_rate} lost of {n} pairs are no shares")
    total = 0.0
    for gained in range(n + 1):
        for lost in range(n - gained + 1):
            same = n - gained - lost
            ways = gammaln(n + 1) - gammaln(gained + 1) - gammaln(lost + 1) - gammaln(same + 1)
            log = ways + xlogy(gained, gained_rate) + xlogy(lost, lost_rate) + xlogy(same, max(0.0, same_rate))
            if log > -35 and decides(gained, lost, n) == "pass":
                total += math.exp(log)
    return min(1.0, total)


def detectable_share(n: int, differing: float, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest difference of two paired shares that n pairs show, two-sided, with this power; None where none is.

    Of the pairs, `differing` differ, one way or the other: without that there is no answer.
    """
    level(power, "a power")

    def shown(difference: float) -> float:
        gained, lost = (differing + difference) / 2, max(0.0, (differing - difference) / 2)
        return power_paired_shares(n, gained, lost, 0.0, alpha, "different")

    if not 0 < differing <= 1:
        raise ValueError(f"{differing} is no share of pairs that differ")
    if shown(differing) < power:
        return None
    low, high = 0.0, differing
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) >= power else (middle, high)
    return high


def power_means(
    n: int, effect: float, sd: float, alpha: float = 0.05, alternative: Alternative = "two-sided", arms: int = 1
) -> float:
    """The chance that a t test of n differences (with `arms=2`, n values an arm) shows a mean of `effect` not to be 0.

    For a claim within a margin, `effect` is how far the true difference is inside it, and `alternative` is "greater".
    Supposes that differences are nearly normal with the standard deviation `sd`: too hopeful where most are 0.
    """
    from scipy.special import stdtrit

    _asked(sd, alpha, arms)
    if not math.isfinite(effect):
        raise ValueError(f"an effect of {effect} is no number")
    if n < 2:
        return 0.0
    df = float(arms * (n - 1))
    away = max(-1e6, min(1e6, effect / sd * math.sqrt(n / arms)))
    if alternative == "two-sided":
        edge = -float(stdtrit(df, alpha / 2))
        return min(1.0, 1 - _below(edge, away, df) + _below(-edge, away, df))
    edge = -float(stdtrit(df, alpha))
    return 1 - _below(edge, away if alternative == "greater" else -away, df)


def least_n_means(
    effect: float,
    sd: float,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    arms: int = 1,
) -> int | None:
    """The fewest differences, or values an arm, that show an effect with this power; None where it takes too many."""
    level(power, "a power")

    def enough(n: int) -> bool:
        return power_means(n, effect, sd, alpha, alternative, arms) >= power

    low, high = 1, 2
    while not enough(high):
        low, high = high, high * 2
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def minimum_detectable_effect(
    n: int,
    sd: float,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    arms: int = 1,
) -> float | None:
    """The smallest effect that n differences, or n values an arm, show with this power; None of fewer than 2."""
    level(power, "a power")
    _asked(sd, alpha, arms)
    if n < 2:
        return None
    sign = -1.0 if alternative == "less" else 1.0
    low, high = 0.0, 1.0
    while power_means(n, sign * high, 1.0, alpha, alternative, arms) < power:
        low, high = high, high * 2
        if high > 1e6:
            return None
    for _ in range(60):
        middle = (low + high) / 2
        enough = power_means(n, sign * middle, 1.0, alpha, alternative, arms) >= power
        low, high = (low, middle) if enough else (middle, high)
    return sign * high * sd


def least_n_within(margin: float, low: float, alpha: float = 0.05) -> int | None:
    """The fewest differences that can show a mean above -margin where `low` is the least there can be: all of them 0.

    Of what has a known scale no fewer could: a loss of `low` in a share margin / -low of cases might have stayed away.
    """
    level(alpha, "an alpha")
    if not (0 < margin < math.inf and -math.inf < low < 0):
        raise ValueError(f"a margin of {margin} on a scale that begins at {low} asks nothing")
    if margin >= -low:
        return 1
    kept = math.log1p(margin / low)
    return math.ceil(math.log(alpha) / kept + 1e-9) if math.log(alpha) > MOST * kept else None


def deciding_n(found: Estimate, bar: float) -> int | None:
    """About how many cases would show on which side of the bar the estimate lies, if things go on so; None if none do.

    Intervals narrow as the root of n: rough for bounds that are not of a t.
    """
    if found.estimate is None or found.interval is None or found.estimate == bar:
        return None
    near = found.interval[0] if found.estimate > bar else found.interval[1]
    room, distance = abs(found.estimate - near), abs(found.estimate - bar)
    if not room < math.inf or distance * math.sqrt(MOST / found.n) < room:
        return None
    return max(found.n, math.ceil(found.n * (room / distance) ** 2 * (1 + 1e-9)))


def _below(edge: float, away: float, df: float) -> float:
    """The chance of a t below the edge where the truth is `away`, in standard errors."""
    from scipy.special import nctdtr

    chance = float(nctdtr(df, away, edge))
    if math.isfinite(chance):
        return min(1.0, max(0.0, chance))
    # Where that gives up: on average over what the spread is estimated to be.
    import numpy as np
    from scipy.special import chdtri, ndtr

    spreads = np.sqrt(chdtri(df, (np.arange(2000) + 0.5) / 2000) / df)
    return float(ndtr(edge * spreads - away).mean())


def _asked(sd: float, alpha: float, arms: int) -> None:
    level(alpha, "an alpha")
    if not 0 < sd < math.inf:
        raise ValueError(f"a standard deviation of {sd} is not above 0")
    if arms not in (1, 2):
        raise ValueError(f"{arms} arms are neither one of differences nor two of values")
