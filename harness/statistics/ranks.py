"""How sure one can be that one tends to be above the other, from ranks alone: for ordinal scores, and against outliers.

Where few values leave few ways in which they could have fallen, p is exact, and never below what `least_p_of_pairs` and
`least_p_apart` say: five pairs cannot reach .05, nor can three against three.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from harness.statistics.estimate import Estimate
from harness.statistics.samples import back, deals, dealt_ways, level, numbers, scaled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.statistics.samples import Numbers

Alternative = Literal["two-sided", "greater", "less"]

EXACT_PAIRS = 300
"""Up to so many differences the signed-rank test is exact."""
EXACT_APART = 100
"""Up to so many values in all Mann-Whitney's test is exact."""
_WALSH = 2_000
_ALONE = "one value does not say how they vary: 2 of each are needed"


def wilcoxon(
    differences: Iterable[float], confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> Estimate:
    """Wilcoxon's signed-rank test; the estimate is Hodges and Lehmann's, the median of all means of two differences.

    Differences of 0 keep their ranks and lose their say (Pratt 1959). p is exact up to 300 differences, ties or not.
    Not for a claim about the mean, and the interval supposes that differences lie evenly about their middle.
    """
    level(confidence)
    array = numbers(differences, "differences")
    n, nonzero = len(array), int((array != 0).sum())
    method = "Wilcoxon signed-rank, zeros by Pratt"
    if not nonzero:
        return Estimate(0.0, None, 1.0, method, n, 0, "all differences are 0")
    (small,), power = scaled(array)
    middle, interval = _hodges_lehmann(small, confidence)
    told = None if interval is None else (back(interval[0], power), back(interval[1], power))
    ranks = _doubled_ranks(abs(array))[array != 0]
    signs = array[array != 0] > 0
    p, least = _signed(ranks, int(ranks[signs].sum()), alternative)
    reason = ""
    if least > 1 - confidence:
        reason = _too_few(f"{nonzero} differences that are not 0", least, needed_pairs(1 - confidence, alternative))
    elif told is None:
        reason = f"{n} differences are too few for an interval"
    return Estimate(back(middle, power), told, p, method, n, nonzero, reason)


def mann_whitney(
    a: Iterable[float], b: Iterable[float], confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> Estimate:
    """Mann-Whitney's test; the estimate is the chance that one of b is above one of a, ties halved.

    p is exact up to 100 values in all, ties or not; "greater" means that b is. Not for samples whose spread may differ:
    it then finds differences that are not there (up to 15 % of the time at .05), which `brunner_munzel` does not.
    """
    level(confidence)
    first, second, pooled = _two(a, b)
    effect, interval, _, _ = _effect(first, second, confidence)
    method, n = "Mann-Whitney", len(pooled)
    ranks = _doubled_ranks(pooled)
    if ranks.min() == ranks.max():
        return Estimate(0.5, None, 1.0, method, n, 1, "all values are equal")
    observed = int(ranks[len(first) :].sum())
    p, least = _summed(ranks, len(second), observed, alternative)
    reason = "" if interval is not None else _ALONE
    if least > 1 - confidence:
        counts = f"{len(first)} values against {len(second)}"
        reason = _too_few(counts, least, needed_apart(1 - confidence, alternative), "each")
    return Estimate(effect, interval, p, method, n, n, reason)


def brunner_munzel(
    a: Iterable[float],
    b: Iterable[float],
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    seed: int = 0,
) -> Estimate:
    """Brunner and Munzel's test of the chance that one of b is above one of a, ties halved, being one half.

    Spreads may differ. p is by permutation (Neubert and Brunner 2007), exact where the values can be dealt out in at
    most 20,000 ways and seeded up to 100 values, by their t beyond. The interval is theirs on the scale of log odds;
    where the two don't overlap, which leaves that nothing to go by, it is Clopper and Pearson's for the smaller sample.
    p may be below .05 where the interval just holds one half: the p decides. Not for pairs.
    """
    level(confidence)
    first, second, pooled = _two(a, b)
    effect, interval, ratio, df = _effect(first, second, confidence)
    method, n = "Brunner-Munzel", len(pooled)
    if pooled.min() == pooled.max():
        return Estimate(0.5, None, 1.0, method, n, 1, "all values are equal")
    if min(len(first), len(second)) < 2:
        return Estimate(effect, interval, None, method, n, n, _ALONE)
    if n > EXACT_APART:
        from scipy.special import stdtr

        below = float(stdtr(df, ratio)) if math.isfinite(ratio) else float(ratio > 0)
        return Estimate(effect, interval, _sided(1 - below, below, alternative), method, n, n)
    p, least = _permuted(pooled, len(first), ratio, alternative, seed)
    reason = ""
    if least > 1 - confidence:
        counts = f"{len(first)} values against {len(second)}"
        reason = _too_few(counts, least, needed_apart(1 - confidence, alternative), "each")
    return Estimate(effect, interval, p, f"{method}, by permutation", n, n, reason)


def least_p_of_pairs(n: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p that n pairs can give to a test of signs or of signed ranks: all differ the same way."""
    return min(1.0, _sides(alternative) * 0.5**n)


def least_p_apart(a: int, b: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p that two samples of these sizes can give to a test of ranks: they don't overlap."""
    return min(1.0, _sides(alternative) / math.comb(a + b, a))


def needed_pairs(alpha: float = 0.05, alternative: Alternative = "two-sided") -> int:
    """The fewest pairs that can reach alpha."""
    level(alpha, "an alpha")
    return next(n for n in range(1, 2000) if least_p_of_pairs(n, alternative) <= alpha)


def needed_apart(alpha: float = 0.05, alternative: Alternative = "two-sided") -> int:
    """The fewest values in each of two samples of one size that can reach alpha."""
    level(alpha, "an alpha")
    return next(n for n in range(1, 2000) if least_p_apart(n, n, alternative) <= alpha)


def _sides(alternative: Alternative) -> int:
    return 2 if alternative == "two-sided" else 1


def _sided(greater: float, less: float, alternative: Alternative) -> float:
    return {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]


def _too_few(what: str, least: float, needed: int, each: str = "") -> str:
    return f"{what} can give no p below {least:.3g}: {needed} {f'{each} ' if each else ''}can"


def _two(a: Iterable[float], b: Iterable[float]) -> tuple[Numbers, Numbers, Numbers]:
    import numpy as np

    first, second = numbers(a, "values of the first"), numbers(b, "values of the second")
    return first, second, np.concatenate([first, second])


def _doubled_ranks(values: Numbers) -> NDArray[np.int64]:
    """Twice the middle ranks, which are whole numbers, ties or not."""
    import numpy as np

    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.int64] = (2 * ends - counts + 1)[inverse]
    return ranks


def _signed(ranks: NDArray[np.int64], observed: int, alternative: Alternative) -> tuple[float, float]:
    """The p of this sum of ranks where each has its sign by chance, and the least p there could be."""
    import numpy as np

    least = least_p_of_pairs(len(ranks), alternative)
    if len(ranks) > EXACT_PAIRS:
        middle, spread = ranks.sum() / 2, math.sqrt(float((ranks.astype(float) ** 2).sum())) / 2
        return _sided(*_normal(observed, middle, spread), alternative), least
    chance = np.ones(1)
    for rank in ranks:
        grown = np.zeros(len(chance) + rank)
        grown[: len(chance)] += chance / 2
        grown[rank:] += chance / 2
        chance = grown
    return _sided(_tail(chance[observed:]), _tail(chance[: observed + 1]), alternative), least


def _summed(ranks: NDArray[np.int64], size: int, observed: int, alternative: Alternative) -> tuple[float, float]:
    """The p of this sum of `size` ranks drawn by chance, and the least p there could be with these ties."""
    import numpy as np

    n, total = len(ranks), int(ranks.sum())
    if n > EXACT_APART:
        other = n - size
        centred = ranks - (n + 1)
        spread = math.sqrt(size * other / (n * (n - 1)) * float((centred.astype(float) ** 2).sum()))
        return _sided(*_normal(observed, size * (n + 1), spread), alternative), 0.0
    small = min(size, n - size)
    ways = np.zeros((small + 1, total + 1))
    ways[0, 0] = 1
    for rank in ranks:
        for taken in range(small, 0, -1):
            ways[taken, rank:] += ways[taken - 1, : total + 1 - rank]
    chance = ways[small] / math.comb(n, small)
    if small != size:
        chance = chance[::-1]
    some = np.flatnonzero(chance)
    least = _sided(float(chance[some[-1]]), float(chance[some[0]]), alternative)
    return _sided(_tail(chance[observed:]), _tail(chance[: observed + 1]), alternative), least


def _tail(chance: Numbers) -> float:
    return min(1.0, float(chance.sum()))


def _normal(observed: float, middle: float, spread: float) -> tuple[float, float]:
    """The chances of as much and of as little as observed, by the normal curve, corrected for whole steps."""
    from scipy.special import ndtr

    return float(ndtr((middle - observed + 1) / spread)), float(ndtr((observed - middle + 1) / spread))


def _hodges_lehmann(values: Numbers, confidence: float) -> tuple[float, tuple[float, float] | None]:
    import numpy as np
    from scipy.special import ndtri

    n = len(values)
    many = n * (n + 1) // 2
    if n <= EXACT_PAIRS:
        chance = np.ones(1)
        for rank in range(1, n + 1):
            chance = (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0))) / 2
        skip = int(np.searchsorted(np.cumsum(chance), (1 - confidence) / 2, side="right"))
    else:
        spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        skip = max(0, math.floor(many / 2 + float(ndtri((1 - confidence) / 2)) * spread))
    ordered = np.sort(values)
    low_middle, high_middle = _walsh(ordered, (many - 1) // 2), _walsh(ordered, many // 2)
    middle = (low_middle + high_middle) / 2
    return middle, (_walsh(ordered, skip - 1), _walsh(ordered, many - skip)) if skip else None


def _walsh(ordered: Numbers, k: int) -> float:
    """The k-th smallest, from 0, of the means of two."""
    import numpy as np

    n = len(ordered)
    if n <= _WALSH:
        i, j = np.triu_indices(n)
        return float(np.partition((ordered[i] + ordered[j]) / 2, k)[k])
    low, high = float(ordered[0]), float(ordered[-1])
    for _ in range(60):
        at = (low + high) / 2
        pairs = int(np.searchsorted(ordered, 2 * at - ordered, side="right").sum())
        alone = int(np.searchsorted(ordered, at, side="right"))
        low, high = (low, at) if (pairs + alone) // 2 > k else (at, high)
    return high


def _effect(a: Numbers, b: Numbers, confidence: float) -> tuple[float, tuple[float, float] | None, float, float]:
    """The chance that b is above a, its interval, and Brunner and Munzel's ratio with its degrees of freedom."""
    import numpy as np

    above, below = _placed(a, b)
    effect = float(above.mean())
    smaller = min(len(a), len(b))
    if smaller < 2 or (not above.var() and not below.var()):
        ratio = 0.0 if effect == 0.5 else math.copysign(math.inf, effect - 0.5)
        return effect, _apart(effect, smaller, confidence), ratio, 1.0
    from scipy.special import stdtrit

    first, second = float(np.var(above, ddof=1)) / len(a), float(np.var(below, ddof=1)) / len(b)
    error = math.sqrt(first + second)
    share = first / (first + second)
    df = 1 / (share * share / (len(a) - 1) + (1 - share) * (1 - share) / (len(b) - 1))
    half = -float(stdtrit(df, (1 - confidence) / 2)) * error / (effect * (1 - effect))
    odds = math.log(effect / (1 - effect))
    low, high = 1 / (1 + math.exp(min(700.0, half - odds))), 1 / (1 + math.exp(max(-700.0, -half - odds)))
    return effect, (min(low, effect), max(high, effect)), (effect - 0.5) / error, df


def _placed(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """For each of a the share of b that is above it, for each of b the share of a that is below it, ties halved."""
    import numpy as np

    sorted_a, sorted_b = np.sort(a), np.sort(b)
    above = 1 - (np.searchsorted(sorted_b, a) + np.searchsorted(sorted_b, a, side="right")) / (2 * len(b))
    below = (np.searchsorted(sorted_a, b) + np.searchsorted(sorted_a, b, side="right")) / (2 * len(a))
    return above, below


def _apart(effect: float, smaller: int, confidence: float) -> tuple[float, float] | None:
    """The interval of samples that don't overlap: as if each of the smaller one were met or missed."""
    bound = float(((1 - confidence) / 2) ** (1 / smaller))
    return {0.0: (0.0, 1 - bound), 1.0: (bound, 1.0)}.get(effect)


def _permuted(pooled: Numbers, size: int, ratio: float, alternative: Alternative, seed: int) -> tuple[float, float]:
    """The p of Brunner and Munzel's ratio where values are dealt out by chance, and the least there could be."""
    import numpy as np

    n = len(pooled)
    drawn, total = dealt_ways(n, size)
    ratios = np.concatenate([_ratios(pooled, first, size) for first in deals(n, size, seed)])
    turned = {"greater": (ratios, ratio), "less": (-ratios, -ratio), "two-sided": (abs(ratios), abs(ratio))}
    dealt, observed = turned[alternative]
    trace = 1e-9 * max(1.0, abs(ratio)) if math.isfinite(ratio) else 0.0
    p = (drawn + int((dealt >= observed - trace).sum())) / total
    return p, max(least_p_apart(size, n - size, alternative), 1 / total)


def _ratios(pooled: Numbers, first: Numbers, size: int) -> Numbers:
    """Brunner and Munzel's ratio of each way of dealing out; infinite where the two don't overlap."""
    import numpy as np

    rest = len(pooled) - size
    above = (pooled[:, None] < pooled[None, :]) + (pooled[:, None] == pooled[None, :]) / 2
    second = 1 - first
    # Of each value, how many of the other sample it is on the wrong side of; whole and half numbers, so exact.
    over, under = (second @ above.T) * first, (first @ above) * second
    effect = over.sum(axis=1) / (size * rest)
    spread_a = ((over - (effect * rest)[:, None] * first) ** 2).sum(axis=1) / (size - 1) / (size * rest * rest)
    spread_b = ((under - (effect * size)[:, None] * second) ** 2).sum(axis=1) / (rest - 1) / (rest * size * size)
    error = np.sqrt(spread_a + spread_b)
    none = error < 1e-12
    infinite = np.where(np.abs(effect - 0.5) < 1e-12, 0.0, np.copysign(np.inf, effect - 0.5))
    return np.where(none, infinite, (effect - 0.5) / np.where(none, 1.0, error))
