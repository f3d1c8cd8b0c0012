"""How sure one can be of a mean while looking at it as it comes, as often as one likes.

A fixed-n interval looked at 100 times leaves the truth out 38 % of the time; these bounds hold at all looks at once.
Where the ends of the scale are known that is so whatever the distribution (betting, as Waudby-Smith and Ramdas 2024
do): a gambler who stakes fixed shares against a mean cannot have grown rich if it is true. Where they are not, it is so
in the limit (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024). Both are made to be narrow at the planned n.

Not for values that come in clusters or depend on those before them; and they cost: at the planned n they are
about two fifths wider than an interval looked at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.statistics.estimate import Estimate
from harness.statistics.samples import back, down, level, numbers, scaled, steady

if TYPE_CHECKING:
    from harness.statistics.samples import Numbers

Within = tuple[float, float]

TELLING = 30
"""How many values must tell something before bounds that hold in the limit say anything."""
_STAKES = 16


class Stop(NamedTuple):
    """After how many values it may stop, and on which side of the bar the mean then is."""

    at: int
    side: Literal["above", "below"]


def confidence_sequence(
    values: Iterable[float], planned_n: int, alpha: float = 0.05, within: Within | None = None
) -> Estimate:
    """The mean of the values so far, in the order in which they came, and bounds that hold at all looks with 1 - alpha.

    Each bound alone holds with about 1 - alpha / 2. `within` is the least and the greatest value there can be.
    """
    _plan(planned_n, alpha)
    array, low, high, power = _read(values, within)
    n, mean = len(array), math.fsum(array) / len(array)
    if within is None:
        method = "asymptotic confidence sequence"
        bounds, reason = _asymptotic(array, planned_n, alpha)
    else:
        method = "betting confidence sequence"
        bounds = (_bet(array, low, high, planned_n, alpha), -_bet(-array, -high, -low, planned_n, alpha))
        reason = ""
        if bounds[0] > bounds[1]:
            bounds, reason = None, "the values drift: no one mean fits all that came"
    interval = None if bounds is None else (back(min(bounds[0], mean), power), back(max(bounds[1], mean), power))
    return Estimate(back(mean, power), interval, None, method, n, n, reason)


def sequence_for_pairs(outcomes: Iterable[int], planned_n: int, alpha: float = 0.05) -> Estimate:
    """The difference of two paired shares so far: a pair is 1 where the second alone met it, -1 the first, else 0."""
    return confidence_sequence(_pairs(outcomes), planned_n, alpha, (-1.0, 1.0))


def stops_at(
    values: Iterable[float], bar: float, planned_n: int, alpha: float = 0.05, within: Within | None = None
) -> Stop | None:
    """The first look, of one after each value, at which the sequence leaves the bar on one side; None where none has.

    It may stop there and claim that: the claim is false with a chance of alpha / 2 a side, however often one looked.
    For "not worse by the margin" the bar is -margin, and side "above" shows it.
    """
    import numpy as np

    _plan(planned_n, alpha)
    array, low, high, power = _read(values, within)
    at = down(bar, power)
    if not math.isfinite(bar):
        raise ValueError(f"a bar of {bar} is no number")
    if within is None:
        far, room = _looks(array, planned_n, alpha)
        with np.errstate(invalid="ignore"):
            left = np.flatnonzero(abs(far - at) > room)
        for look in left:
            if _tells(array[: look + 1]):
                return Stop(int(look) + 1, "above" if far[look] > at else "below")
        return None
    threshold = math.log(2 / alpha)
    above = np.flatnonzero(_fortune(array, low, high, at, planned_n, alpha) >= threshold)
    below = np.flatnonzero(_fortune(-array, -high, -low, -at, planned_n, alpha) >= threshold)
    first = (int(above[0]) if above.size else len(array), int(below[0]) if below.size else len(array))
    if first[0] == first[1]:
        return None
    return Stop(first[0] + 1, "above") if first[0] < first[1] else Stop(first[1] + 1, "below")


def _plan(planned_n: int, alpha: float) -> None:
    level(alpha, "an alpha")
    if planned_n < 1:
        raise ValueError(f"a plan of {planned_n} values is none")


def _pairs(outcomes: Iterable[int]) -> list[float]:
    pairs = [float(outcome) for outcome in outcomes]
    if any(pair not in (-1, 0, 1) for pair in pairs):
        raise ValueError("of each pair give 1, 0 or -1")
    return pairs


def _read(values: Iterable[float], within: Within | None) -> tuple[Numbers, float, float, int]:
    array = numbers(values)
    if within is None:
        (array,), power = scaled(array)
        return array, -1.0, 1.0, power
    ends = numbers(within, "ends of the scale")
    if len(ends) != 2 or ends[0] >= ends[1]:
        raise ValueError(f"{within} are not the two ends of a scale")
    if array.min() < ends[0] or array.max() > ends[1]:
        raise ValueError(f"values from {array.min()} to {array.max()} are not all within {ends[0]} to {ends[1]}")
    (array, ends), power = scaled(array, ends)
    return array, float(ends[0]), float(ends[1]), power


def _asymptotic(array: Numbers, planned_n: int, alpha: float) -> tuple[tuple[float, float] | None, str]:
    if len(array) < 2 or steady(array):
        return None, "the values don't vary: nothing bounds their mean unless the ends of the scale do"
    if not _tells(array):
        return None, f"{TELLING} values must differ from the rest by more than a trace before this says anything"
    means, rooms = _looks(array, planned_n, alpha)
    return (float(means[-1] - rooms[-1]), float(means[-1] + rooms[-1])), ""


def _looks(array: Numbers, planned_n: int, alpha: float) -> tuple[Numbers, Numbers]:
    """At each look the mean, and how far from it the bounds are; infinitely far at the first."""
    import numpy as np

    n = np.arange(1, len(array) + 1)
    means = np.cumsum(array) / n
    # Welford's sums: each value's distance from the mean before it times that from the mean after it.
    before = np.concatenate([array[:1], means[:-1]])
    squares = np.cumsum((array - before) * (array - means))
    tuned = n * _tuned(planned_n, alpha)
    stretch = np.sqrt(2 * (tuned + 1) / (n * tuned) * np.log(np.sqrt(tuned + 1) / alpha))
    rooms = np.sqrt(np.maximum(squares, 0) / np.maximum(n - 1, 1)) * stretch
    rooms[0] = np.inf
    return means, rooms


def _tuned(planned_n: int, alpha: float) -> float:
    """The square of rho, for which the sequence is narrowest at the planned n."""
    from scipy.special import lambertw

    square = max(alpha * alpha, 1e-300)
    return float(-lambertw(-square / math.e, -1).real - 1) / planned_n


def _tells(array: Numbers) -> bool:
    """Whether enough values are further from the median than a hundredth of the furthest."""
    import numpy as np

    far = np.abs(array - np.median(array))
    return bool(far.max() > 0) and int((far > far.max() / 100).sum()) >= TELLING


def _bet(array: Numbers, low: float, high: float, planned_n: int, alpha: float) -> float:
    """The largest mean against which the gambler grew rich at some look: the true one is above it."""
    least, most = low, high
    for _ in range(50):
        middle = least / 2 + most / 2
        rich = middle > low and float(_fortune(array, low, high, middle, planned_n, alpha).max()) >= math.log(2 / alpha)
        least, most = (middle, most) if rich else (least, middle)
    return least


def _fortune(array: Numbers, low: float, high: float, mean: float, planned_n: int, alpha: float) -> Numbers:
    """The logarithm of what one who staked 1 against so low a mean has at each look.

    Each value pays (value - low) / (mean - low) for what is staked on it, which is 1 on average if the mean is no
    higher. The purse is split among fixed shares to stake, even steps of a logarithm down to what suits the plan.
    """
    import numpy as np

    if mean <= low:
        return np.where(np.cumsum(array > mean) > 0, np.inf, 0.0)
    least = min(0.5, math.sqrt(2 * math.log(2 / alpha) / planned_n) / 2)
    shares = np.geomspace(least, 1, _STAKES)[:, None]
    with np.errstate(divide="ignore", over="ignore"):
        pays = np.minimum((array - low) / (mean - low), 1e300)
        purses = np.cumsum(np.log(1 - shares + shares * pays), axis=1)
    richest = np.maximum(purses.max(axis=0), -700.0)
    told: Numbers = richest + np.log(np.exp(purses - richest).mean(axis=0))
    return told
