"""How sure one can be by drawing again from what was seen: of means, quantiles, and ratios between processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.statistics.estimate import Decision, Estimate
from harness.statistics.means import unpaired_means
from harness.statistics.samples import (
    DRAWS,
    ROUNDING,
    back,
    blocks,
    chances,
    deals,
    dealt_ways,
    grouped,
    level,
    numbers,
    scaled,
    steady,
)

if TYPE_CHECKING:
    import numpy as np

    from harness.statistics.samples import Numbers, Places

Alternative = Literal["two-sided", "greater", "less"]
Statistic = Literal["mean"] | float | Callable[[Sequence[float]], float]
"""The mean, a quantile by its share (.95), or what a function makes of the values."""

EXACT = 16
"""Up to so many differences, or clusters of them, every way to give them signs is tried."""
LEAST = 10
"""Fewer values than this don't show how they vary: drawn from again, they miss the truth twice as often as they say."""
PROCESSES = 3
"""Fewer processes than this don't show how processes vary."""
EACH = 2_000
"""Up to so many values each is left out once."""


def sign_flip(
    differences: Sequence[float],
    confidence: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
    alternative: Alternative = "two-sided",
    seed: int = 0,
) -> Estimate:
    """The mean of paired differences, and p: how often signs given by chance make it as far from 0.

    All of a cluster take one sign. Exact up to 16 of them, else 10,000 seeded draws. The interval is of the means that
    no such test refuses (Hartigan's typical values). It supposes that differences lie evenly about their middle: not
    for a claim that one is not much worse, where rare large losses would go unseen (`means.noninferior_mean`).
    """
    import numpy as np

    level(confidence)
    array = numbers(differences, "differences")
    (array,), power = scaled(array)
    n, mean = len(array), math.fsum(array) / len(array)
    group = grouped(clusters, n) if clusters is not None else np.arange(n)
    sums: Numbers = np.bincount(group, weights=array).astype(np.float64)
    sizes: Numbers = np.bincount(group).astype(np.float64)
    method = "sign-flip permutation"
    nonzero = int((sums != 0).sum())
    if not nonzero:
        return Estimate(back(mean, power), None, 1.0, method, n, 0, "all differences are 0")
    taken, sizes_taken, drawn = _flipped(sums, sizes, seed)
    total = len(taken) + drawn
    trace = 1e-12 * n
    greater = (drawn + int((taken <= trace).sum())) / total
    less = (drawn + int((taken >= -trace).sum())) / total
    p = {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]
    # What flips nothing bounds nothing, and counts as at least as far.
    some = sizes_taken > 0
    typical = np.sort(taken[some] / sizes_taken[some])
    skip = math.floor((1 - confidence) / 2 * total + 1e-9) - (total - len(typical))
    interval = _around(mean, float(typical[skip]), float(typical[-1 - skip]), power) if skip >= 0 else None
    least = min(1.0, (2 if alternative == "two-sided" else 1) * 0.5**nonzero)
    reason = ""
    if least > 1 - confidence or interval is None:
        what = "differences that are not 0" if clusters is None else "clusters whose differences don't cancel"
        needed = math.ceil(math.log2(2 / (1 - confidence)) - 1e-9)
        reason = f"{nonzero} {what} can give no p below {least:.3g}: {needed} can"
    return Estimate(back(mean, power), interval, p, method, n, nonzero, reason)


def permutation(
    a: Sequence[float],
    b: Sequence[float],
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    seed: int = 0,
) -> Estimate:
    """The second's mean less the first's, and p: how often values dealt out by chance give as large a Welch's t.

    Exact where the values can be dealt out in at most 20,000 ways, else seeded. Where spreads differ and samples are
    small, deals err (14 % of the time at .05 with 6 values against 20): where Welch's own test is less sure, its p and
    its bounds stand. Not for pairs, and not for values that come in clusters.
    """
    import numpy as np

    level(confidence)
    first, second = numbers(a, "values of the first"), numbers(b, "values of the second")
    (first, second), power = scaled(first, second)
    pooled, size = np.concatenate([first, second]), len(first)
    n, difference = len(pooled), math.fsum(second) / len(second) - math.fsum(first) / len(first)
    method = "permutation of Welch's t"
    if steady(pooled):
        return Estimate(back(difference, power), None, 1.0, method, n, 1, "all values are equal")
    if min(size, n - size) < 2:
        reason = "one value does not say how they vary: 2 of each are needed"
        return Estimate(back(difference, power), None, None, method, n, n, reason)
    pooled = pooled - pooled.mean()
    drawn, total = dealt_ways(n, size)
    ratios = np.sort(np.concatenate([_welch_ratios(pooled, dealt, size) for dealt in deals(n, size, seed)]))
    here = np.zeros((1, n))
    here[0, :size] = 1
    observed = float(_welch_ratios(pooled, here, size)[0])
    trace = 1e-9 * max(1.0, abs(observed)) if math.isfinite(observed) else 0.0
    greater = (drawn + int((ratios >= observed - trace).sum())) / total
    less = (drawn + int((ratios <= observed + trace).sum())) / total
    welch = unpaired_means(first.tolist(), second.tolist(), confidence)
    if welch.p is not None:
        above = welch.p / 2 if difference > 0 else 1 - welch.p / 2
        greater, less = max(greater, above), max(less, 1 - above)
    p = {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]
    skip = math.floor((1 - confidence) / 2 * total + 1e-9) - drawn
    if welch.interval is None or skip < 0 or not (math.isfinite(ratios[skip]) and math.isfinite(ratios[-1 - skip])):
        reason = f"{size} values against {n - size} that vary so little bound nothing"
        return Estimate(back(difference, power), None, p, method, n, n, reason)
    error = math.sqrt(float(np.var(first, ddof=1)) / size + float(np.var(second, ddof=1)) / (n - size))
    low = min(welch.interval[0], difference - error * float(ratios[-1 - skip]))
    high = max(welch.interval[1], difference - error * float(ratios[skip]))
    return Estimate(back(difference, power), _around(difference, low, high, power), p, method, n, n)


def bootstrap(
    values: Sequence[float],
    statistic: Statistic = "mean",
    confidence: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Estimate:
    """A statistic with its BCa interval (Efron 1987), from 10,000 seeded resamples, or 2,000 of whole clusters.

    Nothing is claimed of fewer than 10 values or clusters, nor where resamples all give the same. Too sure of heavy
    tails (of 20 lognormal values it covers their mean 88 % of the time for 95), of means of few differences most of
    which are 0, and of far quantiles: for those there are `means`, and `quantiles`, which is exact.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    level(confidence)
    array = numbers(values)
    (array,), power = scaled(array)
    n, of = len(array), _of_rows(statistic, power)
    group = np.arange(n) if clusters is None else grouped(clusters, n)
    units = int(group.max()) + 1
    method = "BCa bootstrap" if clusters is None else "BCa bootstrap of clusters"
    estimate, size = _one(of, array), float(np.abs(array).max())
    told = back(estimate, power)
    if units < LEAST:
        what = "values" if clusters is None else "clusters"
        reason = f"{units} {what} don't show how they vary: {LEAST} are needed"
        return Estimate(told, None, None, method, n, units, reason)
    chance = chances(seed)
    if clusters is None:
        draws = np.sort(_again(statistic, of, array, chance))
    else:
        draws = np.sort(_clusters_again(of, array, group, units, chance))
    if steady(draws, size):
        return Estimate(told, None, None, method, n, units, "all resamples give the same")
    trace = ROUNDING * size
    under = float((draws < estimate - trace).mean() + (draws <= estimate + trace).mean()) / 2
    shift = float(ndtri(min(max(under, 1 / (len(draws) + 1)), len(draws) / (len(draws) + 1))))
    # Of many, no one moves it enough to tell.
    lean = (
        _acceleration(np.asarray([_one(of, array[group != i]) for i in range(units)]), size) if units <= 2000 else 0.0
    )
    bounds = []
    for share in ((1 - confidence) / 2, (1 + confidence) / 2):
        moved = shift + float(ndtri(share))
        room = 1 - lean * moved
        at = float(ndtr(shift + moved / room)) if room > 0 else float(moved > 0)
        bounds.append(float(np.interp(at * (len(draws) + 1) - 1, np.arange(len(draws)), draws)))
    return Estimate(told, _around(estimate, bounds[0], bounds[1], power), None, method, n, units)


def ratio(
    a_groups: Sequence[Sequence[float]],
    b_groups: Sequence[Sequence[float]],
    statistic: Statistic = "mean",
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The second's statistic over the first's, with a bootstrap interval: for what ran in several processes a side.

    A group is a process: its statistic is one observation, and a side's is their mean. Processes are drawn again, not
    the values within them, whose noise is in the processes' statistics already. With few processes the interval is
    widened as Student's t widens the normal's. Of one process a side the values themselves are drawn again: that tells
    of these two processes, and of no other.

    Not with the values of several processes pooled into one, which finds differences that are not there more than half
    of the time; not where processes of the two sides differ in length (a far quantile of few values is another thing
    than one of many); not for what may be 0 or below.
    """
    import numpy as np

    level(confidence)
    first, second = _side(a_groups, statistic, "first"), _side(b_groups, statistic, "second")
    counts = len(first.units), len(second.units)
    alone = len(a_groups) == len(b_groups) == 1
    method = "bootstrap of the ratio, " + ("within one process" if alone else "by process")
    n, effective = first.n + second.n, sum(counts)
    if min(first.least, second.least) <= 0:
        return Estimate(None, None, None, method, n, effective, "a ratio needs values above 0")
    apart = math.log(second.centre) - math.log(first.centre)
    log = apart + (second.power - first.power) * math.log(2)
    needed, what = (LEAST, "values") if alone else (PROCESSES, "processes")
    if min(counts) < needed:
        reason = f"{counts[0]} against {counts[1]} {what} don't show how they vary: {needed} a side are needed"
        return Estimate(_exponential(log), None, None, method, n, effective, reason)
    chance = chances(seed)
    old, new = (np.log(_again(side.drawn, side.of, side.units, chance)) for side in (first, second))
    draws = new - old - apart
    if steady(draws, 1.0):
        return Estimate(_exponential(log), None, None, method, n, effective, "the runs don't vary")
    tail = (1 - confidence) / 2
    wider = 1.0 if alone and statistic != "mean" else _wider(float(old.var()), float(new.var()), counts, tail)
    low, high = (log + wider * float(np.quantile(draws, share)) for share in (tail, 1 - tail))
    interval = (_exponential(min(low, log)), _exponential(max(high, log)))
    return Estimate(_exponential(log), interval, None, method, n, effective)


def ratio_of_rounds(
    a_groups: Sequence[Sequence[float]],
    b_groups: Sequence[Sequence[float]],
    statistic: Statistic = "mean",
    confidence: float = 0.95,
    most: float | None = None,
) -> Estimate:
    """The second's statistic over the first's, for what ran in rounds, one process a side in each.

    The logarithms of the rounds' ratios are averaged and bounded by Student's t, which is as wide as few rounds need.
    What a round did to both sides is in no ratio: where the machine drifts by a tenth from round to round, `ratio`, for
    which the sides are independent, is 1.3 to 1.7 times as wide. With `most`, p is one-sided, that of a ratio of so
    much or more. A round that lacks a side says nothing.

    Simulated with lognormal times (.3) and processes that differ by .02 to .05, with drift or without, by the mean, p50
    and p95, against `regressed` at 1.10: sides that are alike fail 0 to 5 % of the time, in 5 to 20 rounds of 20 or 40
    values. What is 20 % slower fails at least 98 % of the time in 10 rounds of 40, by any of the three; in 5 rounds of
    40 at least 95 % by the mean, 91 % by p50, and 74 % by p95.
    """
    import numpy as np
    from scipy.special import stdtr, stdtrit

    level(confidence)
    if most is not None and not 0 < most < math.inf:
        raise ValueError(f"a ratio of {most} is no bar")
    if len(a_groups) != len(b_groups):
        raise ValueError(f"{len(a_groups)} processes of the first and {len(b_groups)} of the second are no rounds")
    rounds = [(a, b) for a, b in zip(a_groups, b_groups, strict=True) if len(a) and len(b)]
    sides = [
        _told_of_each([one[at] for one in rounds], statistic, which) for at, which in enumerate(("first", "second"))
    ]
    method, count, n = "Student's t of log ratios by round", len(rounds), sum(len(a) + len(b) for a, b in rounds)
    if min(side.least for side in sides) <= 0:
        return Estimate(None, None, None, method, n, count, "a ratio needs values above 0")
    first, second = (np.log(side.told) + side.power * math.log(2) for side in sides)
    logs = second - first
    log = math.fsum(logs) / count
    if count < PROCESSES:
        reason = f"{count} rounds don't show how they vary: {PROCESSES} are needed"
        return Estimate(_exponential(log), None, None, method, n, count, reason)
    if steady(logs, max(1.0, float(np.abs(first).max()))):
        return Estimate(_exponential(log), None, None, method, n, count, "the runs don't vary")
    error = float(logs.std(ddof=1)) / math.sqrt(count)
    half = -float(stdtrit(count - 1, (1 - confidence) / 2)) * error
    p = None if most is None else float(stdtr(count - 1, (log - math.log(most)) / error))
    return Estimate(_exponential(log), (_exponential(log - half), _exponential(log + half)), p, method, n, count)


def regressed(found: Estimate, most: float) -> Decision:
    """Pass where the ratio is shown to be below `most`; fail where it is not, but is shown to be above 1.

    Give a ratio with a confidence of .9. Simulated with lognormal times (.3) by their p95: of 100 a side, sides that
    are alike fail 3 to 5 % of the time, where the bare ratio is above 1.10 8 to 14 % of the time; of 300 a side, what
    is 20 % slower fails 97 % of the time. To fail only what is shown to be above `most` would find that half of it.
    """
    if found.interval is None:
        return "inconclusive"
    low, high = found.interval
    if high < most:
        return "pass"
    return "fail" if low > 1 else "inconclusive"


class _Side(NamedTuple):
    """What is drawn again of one side, what is made of it, and the side's own statistic."""

    units: Numbers
    drawn: Statistic
    of: Callable[[Numbers], Numbers]
    power: int
    centre: float
    least: float
    n: int


class _Told(NamedTuple):
    """The statistic of each process, scaled, and what it was made of."""

    told: Numbers
    arrays: list[Numbers]
    of: Callable[[Numbers], Numbers]
    power: int
    least: float


def _told_of_each(groups: Sequence[Sequence[float]], statistic: Statistic, which: str) -> _Told:
    import numpy as np

    if not len(groups):
        raise ValueError(f"there are no values of the {which}")
    arrays, power = scaled(*(numbers(group, f"values of a process of the {which}") for group in groups))
    of = _of_rows(statistic, power)
    told = np.asarray([_one(of, array) for array in arrays])
    least = min(float(told.min()), *(float(array.min()) for array in arrays))
    return _Told(told, arrays, of, power, least)


def _side(groups: Sequence[Sequence[float]], statistic: Statistic, which: str) -> _Side:
    told, arrays, of, power, least = _told_of_each(groups, statistic, which)
    n, centre = sum(map(len, arrays)), float(told.mean())
    if len(arrays) == 1:
        return _Side(arrays[0], statistic, of, power, centre, least, n)
    return _Side(told, "mean", _of_rows("mean", 0), power, centre, least, n)


def _around(estimate: float, low: float, high: float, power: int) -> tuple[float, float]:
    """The bounds as they were before scaling; at a low confidence they may leave out the estimate, and must not."""
    return back(min(low, estimate), power), back(max(high, estimate), power)


def _wider(old: float, new: float, counts: tuple[int, int], tail: float) -> float:
    """How much wider than a bootstrap's percentiles lie: it takes variances over n, not n - 1, and few for many."""
    from scipy.special import ndtri, stdtrit

    share = old / (old + new)
    few = tuple(count - 1 for count in counts)
    df = 1 / (share * share / few[0] + (1 - share) * (1 - share) / few[1])
    short = share * counts[0] / few[0] + (1 - share) * counts[1] / few[1]
    return math.sqrt(short) * float(stdtrit(df, tail)) / float(ndtri(tail))


def _exponential(log: float) -> float:
    return math.exp(max(-745.0, min(709.0, log)))


def _of_rows(statistic: Statistic, power: int) -> Callable[[Numbers], Numbers]:
    """What makes the statistic of each row of scaled values; a function of the caller's is given them as they were."""
    import numpy as np

    if callable(statistic):
        return lambda rows: np.asarray([_told(statistic, row, power) for row in rows])
    if statistic == "mean":
        return lambda rows: rows.mean(axis=1)
    if isinstance(statistic, str) or not 0 < statistic < 1:
        raise ValueError(f"{statistic!r} is neither the mean, nor a share of the values, nor a function of them")
    return lambda rows: np.asarray(np.quantile(rows, statistic, axis=1))


def _told(statistic: Callable[[Sequence[float]], float], row: Numbers, power: int) -> float:
    told = float(statistic([back(float(value), power) for value in row]))
    if not math.isfinite(told):
        raise ValueError(f"a statistic of {told} is no number")
    return back(told, -power)


def _one(of: Callable[[Numbers], Numbers], array: Numbers) -> float:
    return float(of(array[None, :])[0])


def _again(
    statistic: Statistic, of: Callable[[Numbers], Numbers], array: Numbers, chance: np.random.RandomState
) -> Numbers:
    """The statistic of each resample."""
    import numpy as np

    n = len(array)
    if isinstance(statistic, float):
        return _quantiles_again(np.sort(array), statistic, chance)
    draws = DRAWS // 5 if callable(statistic) else DRAWS
    return np.concatenate([of(array[chance.randint(0, n, (rows, n))]) for rows in blocks(n, draws)])


def _quantiles_again(ordered: Numbers, share: float, chance: np.random.RandomState) -> Numbers:
    """A quantile of each resample, without drawing all of it: its order statistics are those of uniform chance."""
    import numpy as np

    n = len(ordered)
    place = int((n - 1) * share)
    rest = (n - 1) * share - place
    lower = chance.beta(place + 1, n - place, DRAWS)
    upper = 1 - (1 - lower) * chance.beta(n - place - 1, 1, DRAWS) if place + 1 < n else lower
    below, above = (ordered[np.minimum((at * n).astype(np.int64), n - 1)] for at in (lower, upper))
    told: Numbers = below * (1 - rest) + above * rest
    return told


def _clusters_again(
    of: Callable[[Numbers], Numbers], array: Numbers, group: Places, units: int, chance: np.random.RandomState
) -> Numbers:
    import numpy as np

    members = [array[group == unit] for unit in range(units)]
    picked = chance.randint(0, units, (DRAWS // 5, units))
    return np.asarray([_one(of, np.concatenate([members[unit] for unit in row])) for row in picked])


def _acceleration(left: Numbers, size: float) -> float:
    """How much the statistic leans, from what it is with each value or cluster left out."""
    if not left.size:
        return 0.0
    far = left.mean() - left
    squares = float(far @ far)
    if squares <= (ROUNDING * size) ** 2 * len(left):
        return 0.0
    return float((far**3).sum()) / (6 * squares * math.sqrt(squares))


def _flipped(sums: Numbers, sizes: Numbers, seed: int) -> tuple[Numbers, Numbers, int]:
    """Of each way to give signs what is flipped, in sum and in number; and 1 where what was seen counts as one more."""
    import numpy as np

    n = len(sums)
    if n <= EXACT:
        flips = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
        return flips @ sums, flips @ sizes, 0
    chance = chances(seed)
    taken, counted = [], []
    for rows in blocks(n):
        flips = chance.randint(0, 2, (rows, n)).astype(np.float64)
        taken.append(flips @ sums)
        counted.append(flips @ sizes)
    return np.concatenate(taken), np.concatenate(counted), 1


def _welch_ratios(centred: Numbers, first: Numbers, size: int) -> Numbers:
    """Welch's t of each way to deal the values out; infinite where neither side varies and they differ."""
    import numpy as np

    rest = len(centred) - size
    second = 1 - first
    a, b = first @ centred / size, second @ centred / rest
    squares = centred * centred
    spread_a = np.maximum(first @ squares - size * a * a, 0) / (size - 1) / size
    spread_b = np.maximum(second @ squares - rest * b * b, 0) / (rest - 1) / rest
    error = np.sqrt(spread_a + spread_b)
    none = error <= 1e-7 * float(np.abs(centred).max())
    far = np.where(np.abs(b - a) <= 1e-12, 0.0, b - a)
    infinite = np.where(far == 0, 0.0, np.copysign(np.inf, far))
    return np.where(none, infinite, far / np.where(none, 1.0, error))
