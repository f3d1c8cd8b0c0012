"""As peers do it: point rules, Wald's intervals, tests read as they come, and whatever NaN makes of a comparison."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

Z1 = 1.6448536269514722
"""What a standard normal is above with a chance of .05."""
Z2 = 1.959963984540054


def meets(k: int, n: int, rate: float) -> bool:
    """The point rule."""
    return k / n >= rate


def wald_covers(k: int, n: int, rate: float) -> bool:
    half = Z2 * math.sqrt(k / n * (1 - k / n) / n)
    return k / n - half <= rate <= k / n + half


@cache
def mcnemar_exact(gained: int, lost: int) -> float:
    n, least = gained + lost, max(gained, lost)
    both = 2 * sum(math.comb(n, k) for k in range(least, n + 1))
    return min(1.0, both / (1 << n))


def mcnemar_z(gained: int, lost: int) -> bool:
    """McNemar's chi-square without a correction."""
    return gained != lost and (gained - lost) ** 2 > Z2**2 * (gained + lost)


def wald_noninferior(gained: int, lost: int, n: int, margin: float) -> bool:
    difference = (gained - lost) / n
    error = math.sqrt(((gained + lost) / n - difference**2) / n)
    return difference - Z1 * error > -margin


def unpaired_z(first: int, second: int, n: int) -> bool:
    """An unpaired test of two shares, as if they were not of the same cases."""
    both = (first + second) / (2 * n)
    return abs(first - second) / n > Z2 * math.sqrt(2 * both * (1 - both) / n)


def p_of_itself() -> float:
    """A paired t test of a model against itself."""
    import numpy as np
    from scipy.stats import ttest_rel

    scores = np.arange(200) / 200
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return float(ttest_rel(scores, scores).pvalue)


def t_noninferior(gained: int, lost: int, n: int, margin: float) -> bool:
    """A paired t interval, of no width where nothing differs."""
    return t_above(_moments([(gained, 1.0), (lost, -1.0)], n), margin)


def t_above(moments: tuple[float, float, int], margin: float) -> bool:
    from scipy.special import stdtrit

    mean, error, n = moments
    return mean - float(stdtrit(n - 1, 0.95)) * error > -margin


def t_different(counts: Sequence[tuple[int, float]], n: int) -> bool:
    """A paired t test of differences, given how many are what; the rest are 0."""
    from scipy.special import stdtrit

    mean, error, _ = _moments(counts, n)
    return abs(mean) > float(stdtrit(n - 1, 0.975)) * error if error else bool(mean)


def t_rejects(values: Any) -> Any:
    """A t test of each row: whether its mean is not 0."""
    import numpy as np
    from scipy.special import stdtrit

    n = values.shape[-1]
    error = values.std(axis=-1, ddof=1) / math.sqrt(n)
    return np.abs(values.mean(axis=-1)) > stdtrit(n - 1, 0.975) * error


def t_differs(first: Any, second: Any) -> Any:
    """Student's t of each row of two samples: whether their means differ."""
    import numpy as np
    from scipy.special import stdtrit

    n = first.shape[-1]
    error = np.sqrt((first.var(axis=-1, ddof=1) + second.var(axis=-1, ddof=1)) / n)
    return np.abs(second.mean(axis=-1) - first.mean(axis=-1)) > stdtrit(2 * n - 2, 0.975) * error


def t_rejects_ever(values: Any) -> Any:
    """A t test of each row after every value from the second: whether any of them says that the mean is not 0."""
    import numpy as np
    from scipy.special import stdtrit

    n = np.arange(1, values.shape[-1] + 1)
    means = values.cumsum(axis=-1) / n
    squares = (values**2).cumsum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(np.maximum(squares - n * means**2, 0) / (n - 1) / n)
        said = np.abs(means) > stdtrit(n - 1, 0.975) * error
    return (said[..., 1:] & (error[..., 1:] > 0)).any(axis=-1)


def _moments(counts: Sequence[tuple[int, float]], n: int) -> tuple[float, float, int]:
    mean = sum(many * value for many, value in counts) / n
    rest = n - sum(many for many, _ in counts)
    squares = sum(many * (value - mean) ** 2 for many, value in counts) + rest * mean**2
    return mean, math.sqrt(squares / (n - 1) / n), n
