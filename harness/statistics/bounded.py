"""Bounds on the mean of what is drawn from a scale with known ends: they need nothing else to be true of it.

Gaffke's (2005) bound: the mean of the values and of the scale's lower end, each weighted by chance (Dirichlet, all
alike); its alpha-quantile is the lower bound. Of values that are all 0 or 1 that is Clopper-Pearson's. That it holds
for every distribution is conjectured, and no enumeration contradicts it (Learned-Miller and Thomas 2019; ours is in the
tests). Not for values that come in clusters, whose scale is a guess, or that may lie beyond its ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.statistics.samples import Numbers

_STEP = 1 / 15
_TOGETHER = 32
_NOTHING = 39.0
_NIL = 1e-15
_MANY = 10_000


def shown_above(values: Numbers, low: float, bar: float) -> float:
    """The p of a mean that is at most the bar: small where it is shown to be above it."""
    distinct, counts = _counted(values, low)
    return _not_above_zero(distinct - bar, counts)


def lower(values: Numbers, low: float, alpha: float) -> float:
    """What the mean is above but for a chance of alpha. The values lie at or above `low`."""
    from scipy.optimize import brentq

    distinct, counts = _counted(values, low)
    span = float(distinct[-1]) - low
    if span == 0:
        return low
    above = (distinct - low) / span
    found = brentq(lambda bar: _not_above_zero(above - bar, counts) - alpha, 0.0, 1.0, xtol=1e-12)
    return low + span * float(found)


def upper(values: Numbers, high: float, alpha: float) -> float:
    """What the mean is below but for a chance of alpha. The values lie at or below `high`."""
    return -lower(-values, -high, alpha)


def shown_below(values: Numbers, high: float, bar: float) -> float:
    """The p of a mean that is at least the bar."""
    return shown_above(-values, -high, -bar)


def _counted(values: Numbers, low: float) -> tuple[Numbers, Numbers]:
    """What is weighted by chance: each distinct value and how often it is there, the end of the scale once more."""
    import numpy as np

    values = np.append(values, low)
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > _MANY:
        # Rounded down, which can only lower the bound, and by no more than it costs to be quick.
        step = (distinct[-1] - low) / _MANY
        distinct, counts = np.unique(low + np.floor((values - low) / step) * step, return_counts=True)
    return distinct, counts.astype(np.float64)


def _not_above_zero(weights: Numbers, counts: Numbers) -> float:
    """The chance that a sum of independent exponentials with these weights is not above 0."""
    if weights.max() <= 0:
        return 1.0
    if weights.min() >= 0:
        return 0.0
    weights = weights / max(weights.max(), -weights.min())
    if counts @ weights.clip(max=0) > -_NIL:
        return 0.0
    if counts @ weights.clip(min=0) < _NIL:
        return 1.0
    if counts @ weights < 0:
        return 1 - _tail(-weights, counts)
    return _tail(weights, counts)


def _tail(weights: Numbers, counts: Numbers) -> float:
    """That chance where it is small, by inverting the transform along the line through its saddle point.

    There the integrand neither turns nor cancels, so that few equal steps of a stretched scale are exact but for
    rounding, however small the chance.
    """
    import numpy as np
    from scipy.optimize import brentq

    def slope(at: float) -> float:
        return -float(counts @ (weights / (1 + at * weights))) - 1 / at

    end = -1 / float(weights.min())
    saddle = brentq(slope, 1e-9 * end / float(counts.sum()), end * (1 - 1e-12), xtol=1e-9 * end)
    peak = -float(counts @ np.log1p(saddle * weights)) - math.log(saddle)
    bent = weights / (1 + saddle * weights)
    width = 1 / math.sqrt(float(counts @ (bent * bent)) + (1 / saddle) * (1 / saddle))
    total, at = 0.5, _STEP * np.arange(1, _TOGETHER + 1)
    while True:
        turned = width * np.sinh(at)
        each, last = turned[:, None] * bent, turned / saddle
        fall = np.log1p(each * each) @ counts + np.log1p(last * last)
        angle = np.arctan(each) @ counts + np.arctan(last)
        total += float((np.exp(-fall / 2) * np.cos(angle) * np.cosh(at)).sum())
        if float(fall[-1] / 2 - at[-1]) > _NOTHING:
            break
        at = at + _STEP * _TOGETHER
    return min(1.0, max(0.0, math.exp(peak) * width * _STEP * total / math.pi))
