"""How sure one can be of a mean, of a difference of means, and of what is claimed of one.

A t interval collapses where nothing differs, and where most differences are 0 and a few are large it is too sure of
itself: of 20 pairs, 1 in 20 of them lost by 1, what is worse by just the margin would pass 38 % of the time. So nothing
is claimed of differences that don't vary; claims need ten differences that tell something, and bounds that allow for
skewness; and where the ends of the scale are known (`within`), bounds that need nothing else take the place of t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.statistics.estimate import Decision, Estimate
from harness.statistics.samples import back, down, grouped, level, numbers, scaled, steady

if TYPE_CHECKING:
    from harness.statistics.samples import Numbers, Places

Alternative = Literal["two-sided", "greater", "less"]
Claim = Literal["noninferior", "equivalent", "superior", "different"]
Within = tuple[float, float]
Clusters = Sequence[Hashable]

TELLING = 10
"""How many differences must tell something before a claim about their mean can stand on them alone."""


class _Sample(NamedTuple):
    """Independent values, as large as a float bears, whose mean is the one asked for and which vary as it does."""

    values: Numbers
    power: int
    mean: float
    error: float
    n: int
    df: float
    effective: float
    how: str
    trouble: str


def aggregate(values: Sequence[float], groups: Sequence[Hashable]) -> dict[Hashable, float]:
    """Each group's mean, in the order in which groups appear: repeats of one prompt are one observation of it."""
    array = numbers(values)
    (array,), power = scaled(array)
    means = _group_means(array, grouped(groups, len(array)))
    return dict(zip(dict.fromkeys(groups), (back(float(mean), power) for mean in means), strict=True))


def paired_means(
    differences: Sequence[float],
    confidence: float = 0.95,
    clusters: Clusters | None = None,
    alternative: Alternative = "two-sided",
    within: Within | None = None,
) -> Estimate:
    """The mean of paired differences by Student's t; p is that of a mean of 0.

    With `clusters` (each difference's prompt, say) by cluster-robust standard errors, with as many degrees of freedom
    as there are clusters that count, less one. With `within`, the least and the greatest difference there can be, by
    bounds that hold whatever the distribution; clusters then count alike, whatever their size.

    Not for few differences most of which are 0, where t is too sure (the claims below are not), nor for ordinal scores.
    """
    level(confidence)
    alpha = (1 - confidence) / 2
    if within is not None:
        return _told(_bounded(differences, alpha, clusters, within), 0.0, alternative)
    return _told(_student(_sample(differences, clusters), alpha), 0.0, alternative)


def unpaired_means(
    a: Sequence[float],
    b: Sequence[float],
    confidence: float = 0.95,
    clusters: tuple[Clusters, Clusters] | None = None,
    within: Within | None = None,
) -> Estimate:
    """The second's mean less the first's, by Welch's t: their variances may differ.

    With `within`, the ends of the scale, from bounds on each mean that hold whatever the distribution, put together as
    Zou and Donner (2008) do; that has no p. Not for pairs: what both were asked tells more when compared case by case.
    """
    level(confidence)
    first, second = (clusters[0], clusters[1]) if clusters else (None, None)
    if within is not None:
        return _bounded_apart(a, b, (1 - confidence) / 2, (first, second), within)
    return _welch(_sample(a, first), _sample(b, second), (1 - confidence) / 2)


def noninferior_mean(
    differences: Sequence[float],
    margin: float,
    alpha: float = 0.05,
    clusters: Clusters | None = None,
    within: Within | None = None,
) -> tuple[Decision, Estimate]:
    """Whether the mean difference is above -margin: both bounds hold with 1 - alpha each."""
    _margin(margin)
    return _claimed("noninferior", differences, margin, alpha, clusters, within)


def equivalent_mean(
    differences: Sequence[float],
    margin: float,
    alpha: float = 0.05,
    clusters: Clusters | None = None,
    within: Within | None = None,
) -> tuple[Decision, Estimate]:
    """Whether the mean difference lies between -margin and margin: two one-sided tests, each at alpha."""
    _margin(margin)
    return _claimed("equivalent", differences, margin, alpha, clusters, within)


def superior_mean(
    differences: Sequence[float],
    margin: float = 0.0,
    alpha: float = 0.05,
    clusters: Clusters | None = None,
    within: Within | None = None,
) -> tuple[Decision, Estimate]:
    """Whether the mean difference is above the margin: both bounds hold with 1 - alpha each."""
    return _claimed("superior", differences, margin, alpha, clusters, within)


def different_mean(
    differences: Sequence[float],
    alpha: float = 0.05,
    clusters: Clusters | None = None,
    within: Within | None = None,
    margin: float | None = None,
) -> tuple[Decision, Estimate]:
    """Whether the mean difference is not 0, two-sided at alpha.

    No number of cases shows that it is 0, so that this never fails; but with a margin, where it is shown to be inside.
    """
    if margin is not None:
        _margin(margin)
    return _claimed("different", differences, margin or 0.0, alpha, clusters, within)


def ruling(claim: Claim, interval: tuple[float, float] | None, margin: float = 0.0) -> Decision:
    """Pass where the interval shows the claim, fail where it shows the contrary, else neither.

    For a one-sided claim at alpha give an interval with a confidence of 1 - 2 alpha.
    """
    if interval is None:
        return "inconclusive"
    low, high = interval
    passed, failed = {
        "noninferior": (low > -margin, high < -margin),
        "equivalent": (low > -margin and high < margin, high < -margin or low > margin),
        "superior": (low > margin, high < margin),
        "different": (low > 0 or high < 0, low > -margin and high < margin),
    }[claim]
    return "pass" if passed else "fail" if failed else "inconclusive"


class _Bounds(NamedTuple):
    """An estimate and its bounds, with the p of a mean at a bar or below it, and at a bar or above it."""

    estimate: Estimate
    above: Callable[[float], float] | None
    below: Callable[[float], float] | None


def _claimed(
    claim: Claim,
    differences: Sequence[float],
    margin: float,
    alpha: float,
    clusters: Clusters | None,
    within: Within | None,
) -> tuple[Decision, Estimate]:
    level(alpha, "an alpha")
    if not math.isfinite(margin):
        raise ValueError(f"a margin of {margin} is no number")
    side = alpha / 2 if claim == "different" else alpha
    if side >= 0.5:
        raise ValueError(f"an alpha of {alpha} is no claim at all")
    if within is not None:
        bounds = _bounded(differences, side, clusters, within)
    else:
        bounds = _skewed(_sample(differences, clusters), side)
    decision = ruling(claim, bounds.estimate.interval, margin)
    if bounds.above is None or bounds.below is None:
        return decision, bounds.estimate
    if claim == "different":
        return decision, _told(bounds, 0.0, "two-sided")
    p = bounds.above(margin if claim == "superior" else -margin)
    if claim == "equivalent":
        p = max(p, bounds.below(margin))
    return decision, bounds.estimate._replace(p=p)


def _told(bounds: _Bounds, bar: float, alternative: Alternative) -> Estimate:
    """The estimate with its p."""
    if bounds.above is None or bounds.below is None:
        return bounds.estimate
    above, below = bounds.above(bar), bounds.below(bar)
    p = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]
    return bounds.estimate._replace(p=p)


def _sample(values: Iterable[float], clusters: Clusters | None) -> _Sample:
    """Independent values: those given, or one of each cluster, with the mean of all and its cluster-robust variance.

    The cluster's is the jackknife's (CR3): how far the mean moves without it. With clusters of equal size that is what
    their means give. Degrees of freedom count clusters by size, (sum of sizes)^2 / sum of squares, less one: the usual
    count misses up to 35 % of the time where two clusters hold most of the cases.
    """
    array = numbers(values)
    (array,), power = scaled(array)
    n, mean = len(array), math.fsum(array) / len(array)
    alone = _error(array, mean)
    trouble = _trouble(array, "value")
    if clusters is None:
        return _Sample(array, power, mean, alone, n, n - 1, n, "", trouble)
    import numpy as np

    group = grouped(clusters, n)
    sizes = np.bincount(group)
    count, counting = len(sizes), n * n / float(sizes @ sizes)
    if counting < 2:
        trouble = trouble or "one cluster outweighs all others"
    moved = np.bincount(group, weights=array - mean) / np.maximum(n - sizes, 1)
    pulls: Numbers = np.asarray(mean + moved * (count - 1), dtype=np.float64)
    trouble = trouble or _trouble(pulls, "cluster", float(np.abs(array).max()))
    error = _error(pulls, mean)
    effective = count if trouble else max(1.0, min(n, n * (alone / error) ** 2))
    return _Sample(pulls, power, mean, error, n, counting - 1, effective, ", cluster-robust", trouble)


def _trouble(values: Numbers, what: str, size: float | None = None) -> str:
    if len(values) < 2:
        return f"one {what} does not say how they vary"
    return f"the {what}s don't vary" if steady(values, size) else ""


def _error(values: Numbers, mean: float) -> float:
    """That of the values' mean."""
    far = values - mean
    return math.sqrt(float(far @ far) / max(1, len(values) - 1) / len(values))


def _student(sample: _Sample, alpha: float) -> _Bounds:
    method = f"paired t{sample.how}"
    if sample.trouble:
        return _nothing(sample, method, f"{sample.trouble}: nothing bounds their mean unless the ends of the scale do")
    from scipy.special import stdtr, stdtrit

    error, power = sample.error, sample.power
    half = -float(stdtrit(sample.df, alpha)) * error

    def above(bar: float) -> float:
        return float(stdtr(sample.df, (down(bar, power) - sample.mean) / error))

    interval = (back(sample.mean - half, power), back(sample.mean + half, power))
    estimate = Estimate(back(sample.mean, power), interval, None, method, sample.n, sample.effective)
    return _Bounds(estimate, above, lambda bar: 1 - above(bar))


def _skewed(sample: _Sample, alpha: float) -> _Bounds:
    """The wider, on each side, of the t interval and of Hall's (1992), which allows for skewness."""
    method = f"t{sample.how}, allowing for skewness (Hall 1992)"
    if sample.trouble:
        return _nothing(sample, method, f"{sample.trouble}: nothing bounds their mean unless the ends of the scale do")
    telling = _telling(sample.values)
    if telling < TELLING:
        few = f"{telling} of {len(sample.values)} differ from the rest by more than a trace, and {TELLING} must"
        return _nothing(sample, method, f"{few} unless the ends of the scale are known")
    import numpy as np
    from scipy.special import stdtr, stdtrit

    values, power, df = sample.values, sample.power, sample.df
    n = len(values)
    spread = sample.error * math.sqrt(n)
    skewness = float(np.mean(((values - values.mean()) / spread) ** 3))
    quantile = -float(stdtrit(df, alpha)) / math.sqrt(n)
    low = sample.mean - spread * max(quantile, _unbent(quantile, skewness, n))
    high = sample.mean - spread * min(-quantile, _unbent(-quantile, skewness, n))

    def above(bar: float) -> float:
        far = max(-1e6, min(1e6, (sample.mean - down(bar, power)) / spread))
        return float(stdtr(df, -math.sqrt(n) * min(far, _bent(far, skewness, n))))

    def below(bar: float) -> float:
        far = max(-1e6, min(1e6, (sample.mean - down(bar, power)) / spread))
        return float(stdtr(df, math.sqrt(n) * max(far, _bent(far, skewness, n))))

    interval = (back(low, power), back(high, power))
    estimate = Estimate(back(sample.mean, power), interval, None, method, sample.n, sample.effective)
    return _Bounds(estimate, above, below)


def _bent(far: float, skewness: float, n: int) -> float:
    """Hall's transformation of a t ratio (over the root of n), after which it is nearly free of skewness."""
    return far + skewness * far * far / 3 + skewness * skewness * far * far * far / 27 + skewness / (6 * n)


def _unbent(bent: float, skewness: float, n: int) -> float:
    straight = bent - skewness / (6 * n)
    if abs(skewness * straight) < 1e-6:
        return straight - skewness * straight * straight / 3
    return 3 / skewness * (math.cbrt(1 + skewness * straight) - 1)


def _telling(values: Numbers) -> int:
    """How many are further from the median than a hundredth of the furthest."""
    import numpy as np

    far = np.abs(values - np.median(values))
    return int((far > far.max() / 100).sum())


def _nothing(sample: _Sample, method: str, reason: str) -> _Bounds:
    estimate = Estimate(back(sample.mean, sample.power), None, None, method, sample.n, sample.effective, reason)
    return _Bounds(estimate, None, None)


def _welch(a: _Sample, b: _Sample, alpha: float) -> Estimate:
    method, n = f"Welch's t{a.how or b.how}", a.n + b.n
    power = max(a.power, b.power)
    difference = back(b.mean, b.power - power) - back(a.mean, a.power - power)
    effective = a.effective + b.effective
    for sample, which in ((a, "first"), (b, "second")):
        if sample.trouble:
            reason = f"of the {which}, {sample.trouble}: nothing bounds its mean unless the ends of the scale do"
            return Estimate(back(difference, power), None, None, method, n, effective, reason)
    from scipy.special import stdtr, stdtrit

    first, second = (back(x.error, x.power - power) for x in (a, b))
    error = math.hypot(first, second)
    share = (first / error) ** 2
    df = 1 / (share * share / a.df + (1 - share) * (1 - share) / b.df)
    half = -float(stdtrit(df, alpha)) * error
    p = min(1.0, 2 * float(stdtr(df, -abs(difference) / error)))
    interval = (back(difference - half, power), back(difference + half, power))
    return Estimate(back(difference, power), interval, p, method, n, effective)


def _bounded(values: Sequence[float], alpha: float, clusters: Clusters | None, within: Within) -> _Bounds:
    """By Gaffke's bounds; clusters are taken by their means."""
    from harness.statistics.bounded import lower, shown_above, shown_below, upper

    array, low, high, power = _on_scale(values, within)
    n = len(array)
    array = _group_means(array, grouped(clusters, n)).clip(low, high) if clusters is not None else array
    mean = math.fsum(array) / len(array)
    bounds = min(mean, lower(array, low, alpha)), max(mean, upper(array, high, alpha))
    interval = (back(bounds[0], power), back(bounds[1], power))
    how = "Gaffke's bounds, by cluster" if clusters is not None else "Gaffke's bounds"
    estimate = Estimate(back(mean, power), interval, None, how, n, len(array))
    return _Bounds(
        estimate,
        lambda bar: shown_above(array, low, down(bar, power)),
        lambda bar: shown_below(array, high, down(bar, power)),
    )


def _bounded_apart(
    a: Sequence[float],
    b: Sequence[float],
    alpha: float,
    clusters: tuple[Clusters | None, Clusters | None],
    within: Within,
) -> Estimate:
    first = _bounded(a, alpha, clusters[0], within).estimate
    second = _bounded(b, alpha, clusters[1], within).estimate
    assert first.estimate is not None
    assert second.estimate is not None
    assert first.interval is not None
    assert second.interval is not None
    power = math.frexp(max(map(abs, within)))[1] + 2
    old, new, (old_low, old_high), (new_low, new_high) = (
        down(first.estimate, power),
        down(second.estimate, power),
        tuple(down(bound, power) for bound in first.interval),
        tuple(down(bound, power) for bound in second.interval),
    )
    low = new - old - math.hypot(new - new_low, old_high - old)
    high = new - old + math.hypot(new_high - new, old - old_low)
    return Estimate(
        back(new - old, power),
        (back(low, power), back(high, power)),
        None,
        first.method,
        first.n + second.n,
        first.effective_n + second.effective_n,
    )


def _on_scale(values: Iterable[float], within: Within) -> tuple[Numbers, float, float, int]:
    array, ends = numbers(values), numbers(within, "ends of the scale")
    if len(ends) != 2 or ends[0] >= ends[1]:
        raise ValueError(f"{within} are not the two ends of a scale")
    if array.min() < ends[0] or array.max() > ends[1]:
        raise ValueError(f"values from {array.min()} to {array.max()} are not all within {ends[0]} to {ends[1]}")
    (array, ends), power = scaled(array, ends)
    return array, float(ends[0]), float(ends[1]), power


def _group_means(values: Numbers, group: Places) -> Numbers:
    import numpy as np

    return np.bincount(group, weights=values) / np.bincount(group)


def _margin(margin: float) -> None:
    if not 0 < margin < math.inf:
        raise ValueError(f"a margin of {margin} is not above 0")
