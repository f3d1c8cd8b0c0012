"""How far those who judged the same things agree, beyond what chance would have them agree.

An interval is a jackknife of the logarithm of the disagreement, widened where the data are thin: by what was not seen
among so many things but may still be there. Not for things that come in clusters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import exp
from numbers import Real
from sys import float_info
from typing import Any, Literal, NamedTuple

from harness.statistics.estimate import Estimate

Level = Literal["nominal", "ordinal", "interval"]
_GROUPS = 1000
_MOST_KINDS = 1000


def kappa(
    a: Sequence[Hashable],
    b: Sequence[Hashable],
    weights: Literal["linear", "quadratic"] | None = None,
    confidence: float = 0.95,
    order: Sequence[Hashable] | None = None,
) -> Estimate:
    """Cohen's kappa of two raters of the same things; 1 is agreement and 0 is chance.

    Weighted, it counts how many places two categories are apart in `order`, by default sorted: name those too that
    nobody chose. It falls where a category is rare, however good the raters. With more raters, missing ratings or
    numbers take `krippendorff`.
    """
    import numpy as np

    _check(confidence, len(a))
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} ratings are not of the same things")
    n, method = len(a), f"Cohen's kappa{f', {weights} weights' if weights else ''}, jackknife {confidence:.4g}"
    kinds = _kinds([*a, *b], sort=weights is not None, order=order)
    if len(kinds) > _MOST_KINDS:
        raise ValueError(f"{len(kinds)} categories are numbers rather: take krippendorff")
    table = np.zeros((len(kinds), len(kinds)))
    np.add.at(table, ([kinds[one] for one in a], [kinds[one] for one in b]), 1)
    apart = np.abs(np.subtract.outer(np.arange(len(kinds)), np.arange(len(kinds)))) / max(1, len(kinds) - 1)
    distance = {None: np.ceil(apart), "linear": apart, "quadratic": apart**2}[weights]
    by_row, by_column = distance @ table.sum(axis=0), table.sum(axis=1) @ distance
    observed, expected = float(np.sum(table * distance)), float(table.sum(axis=1) @ by_row)
    if expected <= 0:
        return Estimate(None, None, None, method, n, n, "both gave one and the same rating throughout")
    cells = table > 0
    left = (expected - by_row[:, None] - by_column[None, :] + distance)[cells]
    parts = _Parts((n - 1) * (observed - distance[cells]), left, table[cells])
    steps = np.unique(distance[distance > 0])
    beyond = np.array([table[distance >= step].sum() for step in steps])
    most = observed + float(np.max(steps * (n * _at_most(beyond, n, confidence) - beyond)))
    more = _unseen(np.diag(table), n, confidence)
    least = (n + more) * observed / (expected + more * (by_row + by_column))
    ends = n * most / expected, float(np.min(least))
    return _estimate(n * observed / expected, parts, ends, confidence, Estimate(None, None, None, method, n, n))


def krippendorff(units: Sequence[Sequence[Any]], level: Level = "nominal", confidence: float = 0.95) -> Estimate:
    """Krippendorff's alpha of any number of raters: of each unit its ratings, None where one is missing.

    Ratings are names (`nominal`), places in an order (`ordinal`) or numbers (`interval`); 1 is agreement and 0 is
    chance. Raters are taken to be exchangeable, and ratings to be missing by chance. A unit rated once tells nothing.
    """
    import numpy as np

    given = [[one for one in unit if one is not None] for unit in units]
    _check(confidence, sum(map(len, given)))
    pairable = [unit for unit in given if len(unit) > 1]
    n, method = len(pairable), f"Krippendorff's alpha, {level}, jackknife {confidence:.4g}"
    blank = Estimate(None, None, None, method, len(units), n)
    if not n:
        return blank._replace(reason="no unit was rated twice")
    kinds = _kinds([one for unit in pairable for one in unit], sort=level != "nominal")
    if len(kinds) == 1:
        return blank._replace(reason="all ratings are one and the same")
    ratings = _Ratings(
        np.array([kinds[one] for unit in pairable for one in unit]),
        np.repeat(np.arange(n), [len(unit) for unit in pairable]),
        _numbers(kinds) if level == "interval" else None,
        level == "nominal",
    )
    counts = np.bincount(ratings.kinds).astype(float)
    expected = ratings.expected(counts)
    ratio = float(ratings.observed(counts).sum()) / expected
    ends = _most_apart(ratings, counts, confidence) / expected, _least_ratio(ratings, counts, confidence)
    return _estimate(ratio, _parts(ratings, counts, n), ends, confidence, blank)


class _Ratings(NamedTuple):
    """All ratings, unit after unit: which kind each is, and of which unit."""

    kinds: Any
    units: Any
    numbers: Any
    nominal: bool

    def observed(self, counts: Any) -> Any:
        """How far apart each unit's own ratings are: the mean squared distance of its pairs, times its ratings."""
        import numpy as np

        sizes = np.bincount(self.units)
        if self.nominal:
            cells, many = np.unique(self.units * len(counts) + self.kinds, return_counts=True)
            return (sizes**2 - np.bincount(cells // len(counts), weights=many.astype(float) ** 2)) / (sizes - 1)
        places = self._places(counts)[self.kinds]
        means = np.bincount(self.units, weights=places) / sizes
        squares = np.bincount(self.units, weights=(places - means[self.units]) ** 2)
        starts = np.cumsum(sizes) - sizes
        alike = np.maximum.reduceat(self.kinds, starts) == np.minimum.reduceat(self.kinds, starts)
        return np.where(alike, 0.0, 2 * sizes * squares / (sizes - 1))

    def expected(self, counts: Any) -> float:
        """The same of all ratings, as if of one unit."""
        import numpy as np

        total = float(counts.sum())
        if total < 2:
            return 0.0
        if self.nominal:
            return (total**2 - float(np.sum(counts**2))) / (total - 1)
        places = self._places(counts)
        return float(2 * total * np.sum(counts * (places - counts @ places / total) ** 2) / (total - 1))

    def farthest(self, counts: Any) -> float:
        if self.nominal:
            return 1.0
        places = self._places(counts)
        return float((places[-1] - places[0]) ** 2)

    def _places(self, counts: Any) -> Any:
        """Where on a line each kind stands: at its number, or in the middle of its ranks."""
        import numpy as np

        return np.cumsum(counts) - counts / 2 if self.numbers is None else self.numbers


def _parts(ratings: _Ratings, counts: Any, n: int) -> _Parts:
    import numpy as np

    groups = min(n, _GROUPS)
    group = np.arange(n) % groups
    gone = [np.bincount(ratings.kinds[group[ratings.units] == g], minlength=len(counts)) for g in range(groups)]
    observed = [ratings.observed(counts - those)[group != g].sum() for g, those in enumerate(gone)]
    return _Parts(np.array(observed), np.array([ratings.expected(counts - those) for those in gone]), np.ones(groups))


def _most_apart(ratings: _Ratings, counts: Any, confidence: float) -> float:
    """What may be observed at most, if units as far apart as some, or as can be, were missed by chance.

    Where half of the units agree wholly, those that don't are rare, and worse ones may be: 15 % of bounds for 2.5 %
    were too high without. Of numbers that hardly ever agree the observed ones tell enough.
    """
    import numpy as np

    apart, sizes = ratings.observed(counts), np.bincount(ratings.units)
    farthest, n = ratings.farthest(counts), len(sizes)
    share = apart / (sizes * farthest)
    steps = np.unique(np.append(share[share > 0], [1.0] * bool(np.mean(share == 0) >= 0.5)))
    beyond = n - np.searchsorted(np.sort(share), steps)
    missed = float(np.max(steps * (n * _at_most(beyond, n, confidence) - beyond)))
    return float(apart.sum()) + float(sizes.mean()) * farthest * missed


def _least_ratio(ratings: _Ratings, counts: Any, confidence: float) -> float:
    """The ratio at best, if units that agree on a rare rating were missed by chance."""
    import numpy as np

    sizes = np.bincount(ratings.units)
    agreed = ratings.kinds[np.cumsum(sizes) - 1][ratings.observed(counts) == 0]
    alike = np.bincount(agreed, minlength=len(counts))
    rare = range(len(counts)) if ratings.numbers is None else (0, len(counts) - 1)
    found = []
    for kind in rare:
        more = counts.copy()
        more[kind] += float(sizes.mean()) * float(_unseen(alike[kind], len(sizes), confidence))
        found.append(float(ratings.observed(more).sum()) / ratings.expected(more))
    return min(found)


class _Parts(NamedTuple):
    """What was observed and what expected without each part in turn, and how many things are such a part."""

    observed: Any
    expected: Any
    many: Any


def _estimate(ratio: float, parts: _Parts, ends: tuple[float, float], confidence: float, blank: Estimate) -> Estimate:
    """One less the ratio of what was observed to what chance would give; `ends` is what it may be at most and least."""
    import numpy as np
    from scipy.special import stdtrit

    n = float(parts.many.sum())
    scale = float(np.max(parts.expected))
    found = blank._replace(estimate=1 - ratio)
    if n < 2 or np.any(parts.expected <= 1e-9 * scale):
        return found._replace(reason="too few: without one of them nothing could be told")
    high, low = ratio, ratio
    if ratio > 0:
        ratios = parts.observed / parts.expected
        middle = np.sum(parts.many * ratios) / n
        error = float(np.sqrt((n - 1) / n * np.sum(parts.many * (ratios - middle) ** 2)))
        factor = exp(min(700.0, float(stdtrit(n - 1, 0.5 + confidence / 2)) * error / ratio))
        high, low = ratio * factor, ratio / factor
    least, most = 1 - max(high, ends[0]), 1 - min(low, ends[1])
    return found._replace(interval=(float(max(least, min(-1.0, 1 - ratio))), float(most)))


def _at_most(counts: Any, n: int, confidence: float) -> Any:
    """The largest share of things such as so many of n that the data leave possible."""
    import numpy as np
    from scipy.special import betaincinv

    found = betaincinv(np.minimum(counts + 1, n), np.maximum(n - counts, 1), 0.5 + confidence / 2)
    return np.where(counts >= n, 1.0, found)


def _unseen(counts: Any, n: int, confidence: float) -> Any:
    """How many more there may be of such things."""
    import numpy as np

    share = np.minimum(_at_most(counts, n, confidence), 1 - 1e-12)
    return np.where(counts >= n, 0.0, np.maximum(0.0, (share * n - counts) / (1 - share)))


def _kinds(ratings: Iterable[Hashable], *, sort: bool, order: Sequence[Hashable] | None = None) -> dict[Hashable, int]:
    """The place of each category."""
    found: Any = dict.fromkeys(ratings)
    if any(one is None or one != one for one in found):
        raise ValueError("None and NaN are no ratings")
    if order is not None:
        if lacking := [one for one in found if one not in order]:
            raise ValueError(f"{lacking[0]!r} has no place in the order")
        found = dict.fromkeys(order)
    elif sort:
        try:
            found = sorted(found)
        except TypeError as error:
            raise ValueError("these ratings have no order: name it") from error
    return {one: place for place, one in enumerate(found)}


def _numbers(kinds: Iterable[Any]) -> Any:
    """Numbers of any size, brought to lie from 0 to 1."""
    import numpy as np

    numbers = list(kinds)
    if not all(isinstance(one, Real) for one in numbers) or not all(abs(one) <= float_info.max for one in numbers):
        raise ValueError("ratings of level `interval` are finite numbers")
    scaled = np.array(numbers, dtype=float)
    scaled /= np.max(np.abs(scaled))
    return (scaled - scaled.min()) / (scaled.max() - scaled.min())


def _check(confidence: float, n: int) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
    if not n:
        raise ValueError("no rating is nothing to compare")
