"""How sure one can be of a quantile or a share of values that come in groups: processes, or stretches of time.

Values of one group depend on each other: a process that is slow as a whole says so with each of its values, and a
thousand of them are one piece of news. So bounds are never tighter than those of as many independent values, and are
wider by as much as groups are seen to differ. What is bounded holds for groups to come, of which those seen are taken
to be a sample; of one group, for that group alone.

No few groups tell of a sort that is rarer than they are: that one process in ten is bad, none of five says.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from harness.statistics.estimate import Decision, Estimate
from harness.statistics.quantiles import between, least_n, places
from harness.statistics.samples import ROUNDING, back, level, numbers, scaled, steady

if TYPE_CHECKING:
    from harness.statistics.samples import Numbers

OPEN = sys.float_info.max
"""The other end of what is bounded on one side alone."""
_SHOWN = 0.05
"""Shares of groups are shown to differ where chance explains it less often than this."""
_THIN = 2_000
"""Of more values than this, so many stand for all where they are blurred."""
_HALVINGS = 26
_SURE, _EVEN = 1e-15, 0.499
"""Between these a p is looked for."""

_LEAST = 4
"""Groups are not joined to fewer than this."""

Bounds = tuple[float | None, float | None]
_Group = TypeVar("_Group")


def quantile_of_groups(
    groups: Sequence[Iterable[float]], q: float, confidence: float = 0.95, *, in_order: bool = False
) -> Estimate:
    """The q-quantile of all groups' values, with a two-sided interval; as many values are needed as `least_n` has it.

    Order statistics, as `quantiles.quantile` has them, where there is one group, or one value a group, or all groups
    are alike. Else they are widened by how far groups lie apart as wholes, which is taken to be lognormal (normal,
    where not all values are above 0), and by how much they differ in what share lies beyond the quantile. Groups
    without a value say nothing.

    `in_order`: groups follow each other in time, and each may resemble the one before. Neighbours are joined to longer
    groups, too, down to four, and the widest bounds stand.

    Of lognormal times (.3) in 3 to 20 groups that differ by up to .3 as wholes, intervals of .95 hold .94 to .997 of
    the time; those of groups that don't differ are 1.05 (20 groups) to 1.8 times (3) as wide as order statistics. Too
    sure where slow groups, or those with slow values, are rarer than one in as many as there are; and of groups in
    order where each resembles the one before by more than .3 (10 groups) to .6 (20).
    """
    return _told(_pooled(groups, q, confidence, in_order=in_order), confidence)


def quantile_of_groups_at_most(
    groups: Sequence[Iterable[float]], q: float, most: float, confidence: float = 0.95, *, in_order: bool = False
) -> tuple[Decision, Estimate]:
    """Whether the q-quantile is at most a budget: pass if the whole interval is, fail if all of it is above.

    p is one-sided, that of a quantile above the budget: a pass needs half of what confidence leaves. What is over the
    budget for certain fails even where the values are too few for an upper bound, which then is `OPEN`.
    """
    return _decided(_pooled(groups, q, confidence, in_order=in_order), most, confidence, upper=True)


def median_of_groups_at_least(
    groups: Sequence[Iterable[float]], least: float, confidence: float = 0.95, *, in_order: bool = False
) -> tuple[Decision, Estimate]:
    """Whether the median is at least so much: pass if the whole interval is, fail if all of it is below."""
    return _decided(_pooled(groups, 0.5, confidence, in_order=in_order), least, confidence, upper=False)


def share_of_groups_at_most(
    groups: Sequence[tuple[int, int]], most: float, confidence: float = 0.95, *, in_order: bool = False
) -> tuple[Decision, Estimate]:
    """Whether a share is at most so much: pass if the whole interval is, fail if all of it is above.

    A group is how many are bad, and of how many. Clopper-Pearson's interval where there is one group or all are alike;
    else that of fewer, by how much groups differ (Korn and Graubard 1998). p is one-sided. Groups of none say nothing.
    Too sure where what is bad is rare and comes in bursts: of 10 groups of 500, with 1 in 100 bad and a correlation of
    .05 within a group, the share is above the upper bound 1 time in 8.
    """
    import numpy as np

    level(confidence)
    if not 0 <= most <= 1:
        raise ValueError(f"a bar of {most} is no share")
    told = [(bad, of) for bad, of in groups if of or bad]
    if not told:
        raise ValueError("there is nothing in any group")
    if any(not 0 <= bad <= of for bad, of in told):
        raise ValueError("more are bad than there are, or fewer than none")
    n = sum(of for _, of in told)
    share = sum(bad for bad, _ in told) / n
    designs = []
    for joined in _joins(told, in_order=in_order):
        bad, sizes = np.asarray([[sum(part) for part in zip(*each, strict=True)] for each in joined], dtype=float).T
        designs.append((_design(bad, sizes, share), len(sizes)))

    def counting(tail: float) -> float:
        return n / max(1.0, *(design * _few(count, tail) for design, count in designs))

    def above(tail: float) -> float:
        return _share_bounds(share, counting(tail), tail)[1]

    tail = (1 - confidence) / 2
    low, high = _share_bounds(share, counting(tail), tail)
    how = f", of fewer for how {len(told)} groups differ" if counting(tail) < n else ""
    p = _p(lambda tail: above(tail) <= most)
    found = Estimate(share, (low, high), p, f"Clopper-Pearson{how}", n, counting(tail))
    return "pass" if high <= most else "fail" if low > most else "inconclusive", found


def _joins(groups: Sequence[_Group], *, in_order: bool) -> Iterator[list[Sequence[_Group]]]:
    """The groups; where they are in order, also with neighbours joined, two, three, ... at a time."""
    count = len(groups)
    most = count // _LEAST if in_order else 1
    for many in range(1, max(1, most) + 1):
        parts = count // many
        ends = [round(at * count / parts) for at in range(parts + 1)]
        yield [groups[start:end] for start, end in pairwise(ends)]


class _Pool(NamedTuple):
    """The values of all groups, and how groups differ."""

    values: Numbers
    """In order."""
    q: float
    estimate: float
    power: int | None
    """Groups lie apart by a factor, where this is None; else by a sum, of values scaled by this power of two."""
    groups: int
    counting: float
    """How many groups of one size tell as much of their mean."""
    spread: float
    """The standard deviation of the groups' centres."""
    within: float
    """The standard error of the mean of as many independent values as there are, were groups alike."""
    rest: Numbers
    """On that scale, the values with each group moved to the common centre."""
    design: float
    """How much more the groups' shares beyond the quantile vary than those of independent values."""


def _pooled(groups: Sequence[Iterable[float]], q: float, confidence: float, *, in_order: bool) -> list[_Pool]:
    """The groups; and, where they are in order, as longer groups."""
    import numpy as np

    level(confidence)
    level(q, "a quantile")
    arrays = [numbers(each) for each in map(list, groups) if each]
    if not arrays:
        raise ValueError("there are no values in any group")
    return [_pool([np.concatenate(each) for each in joined], q) for joined in _joins(arrays, in_order=in_order)]


def _pool(groups: Sequence[Numbers], q: float) -> _Pool:
    import numpy as np

    arrays = [np.sort(group) for group in groups]
    values = np.sort(np.concatenate(arrays))
    sizes = np.asarray([len(array) for array in arrays], dtype=np.float64)
    power: int | None = None
    if values[0] > 0:
        moved = [np.log(array) for array in arrays]
    else:
        moved, power = scaled(*arrays)
    centres = np.asarray([array.mean() for array in moved])
    own = [array - centre for array, centre in zip(moved, centres, strict=True)]
    estimate = between(values.tolist(), q)
    rest = np.sort(np.concatenate(own))
    # Where groups differ as wholes alone, the rest has no more to say; where a clock ticks, the values themselves do.
    design = min(_design_beyond(arrays, sizes, estimate, q), _design_beyond(own, sizes, between(rest.tolist(), q), q))
    size = max(float(np.abs(array).max()) for array in moved)
    spread = 0.0 if steady(centres, size) else float(centres.std(ddof=1))
    counting = float(sizes.sum() ** 2 / (sizes @ sizes))
    within = math.sqrt(float(rest @ rest) / max(1, len(rest) - len(arrays)) / len(rest))
    return _Pool(values, q, estimate, power, len(arrays), counting, spread, within, _thinned(rest), design)


def _thinned(rest: Numbers) -> Numbers:
    import numpy as np

    if len(rest) <= _THIN:
        return rest
    return np.interp((np.arange(_THIN) + 0.5) / _THIN, (np.arange(len(rest)) + 0.5) / len(rest), rest)


def _design_beyond(arrays: Sequence[Numbers], sizes: Numbers, at: float, q: float) -> float:
    """Of what lies at a place half is taken to be below it."""
    import numpy as np

    trace = ROUNDING * max(float(np.abs(array).max()) for array in arrays)
    below = [np.searchsorted(array, [at - trace, at + trace]).mean() for array in arrays]
    return _design(np.asarray(below, dtype=np.float64), sizes, q)


def _design(counts: Numbers, sizes: Numbers, share: float) -> float:
    """How much more the groups' shares vary than those of independent values."""
    if len(sizes) == 1 or not 0 < share < 1:
        return 0.0
    off = counts - sizes * (counts.sum() / sizes.sum())
    return float((off * off / sizes).sum()) / (share * (1 - share)) / (len(sizes) - 1)


def _few(groups: int, tail: float) -> float:
    """How much a variance that so few groups tell has to be inflated: as Student's t does it."""
    from scipy.special import ndtri, stdtrit

    return 1.0 if groups == 1 else (float(stdtrit(groups - 1, tail)) / float(ndtri(tail))) ** 2


def _bounds(pools: Sequence[_Pool], tail: float) -> Bounds:
    """The widest; each misses with a chance of `tail`. None where the values have none."""
    lows, highs = zip(*(_of_groups(pool, tail) for pool in pools), strict=True)
    return (None if None in lows else min(lows)), (None if None in highs else max(highs))


def _of_groups(pool: _Pool, tail: float) -> Bounds:
    n = len(pool.values)
    below, above = places(n, pool.q, tail)
    if pool.groups in (1, n):  # of one value a group, values are what is independent
        return _at(pool, below), _at(pool, above)
    from scipy.special import chdtrc

    shown = float(chdtrc(pool.groups - 1, pool.design * (pool.groups - 1))) < _SHOWN
    design = pool.design * (_few(pool.groups, tail) if shown else 1.0)
    if design > 1:
        low, high = (share * n for share in _share_bounds(pool.q, n / design, tail))
        # Of what is not shown to differ no more values are asked than of what does not.
        first, last = (-1, n) if shown else (0, n - 1)
        below = None if below is None else max(first, min(below, math.floor(low) - 1))
        above = None if above is None else min(last, max(above, math.ceil(high)))
    mean, (down, up) = _uncertain_mean(pool, tail), _spreads(pool, tail)
    return _beyond(pool, _at(pool, below), -1, mean, down, tail), _beyond(pool, _at(pool, above), 1, mean, up, tail)


def _at(pool: _Pool, place: int | None) -> float | None:
    return None if place is None or not 0 <= place < len(pool.values) else float(pool.values[place])


def _beyond(pool: _Pool, bound: float | None, side: int, mean: float, spread: float, tail: float) -> float | None:
    """The bound, further from the estimate by what groups as wholes add, as Zou and Donner (2008) put limits together.

    Values that vary within groups make the groups' centres vary, too: that much of it is in the bound already.
    """
    if bound is None or pool.spread == 0:
        return bound
    from scipy.special import ndtri

    middle = _scale(pool, pool.estimate)
    alone = (_scale(pool, bound) - middle) * side
    twice = min(abs(alone), -float(ndtri(tail)) * pool.within)
    added = max(0.0, mean * mean - twice * twice) + spread * spread
    far = _unscale(pool, middle + side * math.sqrt(max(0.0, alone) ** 2 + added))
    return max(bound, far) if side > 0 else min(bound, far)


def _scale(pool: _Pool, value: float) -> float:
    return math.log(value) if pool.power is None else back(value, -pool.power)


def _unscale(pool: _Pool, value: float) -> float:
    return math.exp(max(-745.0, min(709.0, value))) if pool.power is None else back(value, pool.power)


def _uncertain_mean(pool: _Pool, tail: float) -> float:
    """How far the mean of the groups' centres may be from that of all groups, as Student's t has it."""
    from scipy.special import stdtrit

    return -float(stdtrit(pool.groups - 1, tail)) * pool.spread / math.sqrt(pool.counting)


def _spreads(pool: _Pool, tail: float) -> tuple[float, float]:
    """How far below and above a quantile lies where groups differ more, or less, than these: as chi-square has it."""
    from scipy.special import gammainccinv, gammaincinv

    if pool.spread == 0:
        return 0.0, 0.0
    few = pool.groups - 1
    here = _blurred(pool, pool.spread)
    squares = (2 * float(inverse(few / 2, tail)) for inverse in (gammaincinv, gammainccinv))
    moved = [_blurred(pool, pool.spread * math.sqrt(few / square)) - here for square in squares]
    return -min(0.0, *moved), max(0.0, *moved)


def _blurred(pool: _Pool, spread: float) -> float:
    """The quantile of the rest, were each of it spread out as a normal."""
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    if not spread:
        return between(pool.rest.tolist(), pool.q)
    at = spread * float(ndtri(pool.q))
    low, high = float(pool.rest[0]) + at, float(pool.rest[-1]) + at
    if high - low <= 1e-9 * spread:
        return low

    def over(value: float) -> float:
        return float(ndtr((value - pool.rest) / spread).mean()) - pool.q

    if over(low) >= 0 or over(high) <= 0:  # but for rounding they are below and above
        return low if over(low) >= 0 else high
    return float(brentq(over, low, high, xtol=1e-7 * (high - low)))


def _share_bounds(share: float, n: float, tail: float) -> tuple[float, float]:
    """Clopper-Pearson's, of what may be no whole number."""
    from scipy.special import betainccinv, betaincinv

    k = share * n
    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(betainccinv(k + 1, n - k, tail)) if k < n else 1.0
    return low, high


def _decided(pools: Sequence[_Pool], bar: float, confidence: float, *, upper: bool) -> tuple[Decision, Estimate]:
    if not math.isfinite(bar):
        raise ValueError(f"a budget of {bar} is no number")

    def kept(tail: float) -> bool:
        low, high = _bounds(pools, tail)
        return (high is not None and high <= bar) if upper else (low is not None and low >= bar)

    low, high = _bounds(pools, (1 - confidence) / 2)
    found = _told(pools, confidence)._replace(p=_p(kept))
    passed = kept((1 - confidence) / 2)
    broken = (low is not None and low > bar) if upper else (high is not None and high < bar)
    if not passed and not broken:
        return "inconclusive", found
    if found.interval is None:
        lowest, highest = -OPEN if low is None else low, OPEN if high is None else high
        estimate = min(max(pools[0].estimate, lowest), highest)
        found = found._replace(estimate=estimate, interval=(lowest, highest), reason="")
    return "pass" if passed else "fail", found


def _told(pools: Sequence[_Pool], confidence: float) -> Estimate:
    pool, tail = pools[0], (1 - confidence) / 2
    low, high = _bounds(pools, tail)
    n = len(pool.values)
    method = "order statistics" if pool.groups > 1 else "order statistics, within one group"
    if low is None or high is None:
        needed = least_n(pool.q, confidence)
        reason = f"{n} values can't bound it: {'no number' if needed is None else needed} can"
        if needed is not None and n >= needed:
            reason = f"{pool.groups} groups that differ so much can't bound it"
        return Estimate(pool.estimate, None, None, method, n, n, reason)
    below, above = (_at(pool, place) for place in places(n, pool.q, tail))
    effective: float = n
    if below is not None and above is not None and (low, high) != (below, above):
        method += f", widened by how {pool.groups} groups differ"
        wide, narrow = _scale(pool, high) - _scale(pool, low), _scale(pool, above) - _scale(pool, below)
        effective = max(1.0, n * (narrow / wide) ** 2) if wide > narrow else n
    return Estimate(min(max(pool.estimate, low), high), (low, high), None, method, n, effective)


def _p(shown: Callable[[float], bool]) -> float:
    """The smallest chance of missing, on one side, at which it is shown."""
    if not shown(_EVEN):
        return 1.0
    low, high = math.log(_SURE), math.log(_EVEN)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if shown(math.exp(middle)) else (middle, high)
    return math.exp(high)
