"""Where a history of runs changed level: the runs of a performance measure, one value a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from harness.statistics.samples import ROUNDING, back, blocks, chances, level, numbers, scaled

if TYPE_CHECKING:
    import numpy as np

    from harness.statistics.samples import Numbers, Places

LEAST = 3
"""A level is of at least so many runs: one run that is out of line is no change."""
DRAWS = 1_999
_LENGTHS = 40


class Change(NamedTuple):
    """From the run at this place on, counted from 0; with the means of the level before and of the one that begins."""

    at: int
    before: float
    after: float
    p: float


def change_points(series: Iterable[float], alpha: float = 0.05, seed: int = 0) -> list[Change]:
    """The places where the level changes, in order; where it never does, one is told with a chance of at most alpha.

    A series is cut around the stretch whose mean differs most, for its length, from that of the rest (Olshen and others
    2004), if that is more than in all but alpha of seeded shufflings; then each part likewise, with half of alpha. p is
    that of the cut when it was made. Fewer than 7 runs are never cut at .05.

    Not for series that drift or repeat a rhythm, nor where each run depends on the one before: shuffling takes those
    for changes. A ramp is told as steps.
    """
    level(alpha, "an alpha")
    (array,), power = scaled(numbers(series, "runs"))
    cuts = sorted(_cuts(array, 0, len(array), alpha, chances(seed)))
    ends = [0, *(at for at, _ in cuts), len(array)]
    for i in range(1, len(ends) - 1):
        ends[i] = ends[i - 1] + _single(array[ends[i - 1] : ends[i + 1]])
    levels = [back(math.fsum(array[i:j]) / (j - i), power) for i, j in pairwise(ends)]
    return [Change(ends[i + 1], levels[i], levels[i + 1], p) for i, (_, p) in enumerate(cuts)]


def _cuts(array: Numbers, start: int, end: int, alpha: float, chance: np.random.RandomState) -> list[tuple[int, float]]:
    """The places of the cuts between start and end, with their p."""
    import numpy as np

    part = array[start:end] - array[start:end].mean()
    n = len(part)
    if n < 2 * LEAST or float(abs(part).max()) <= ROUNDING:
        return []
    begins, finishes = _stretches(n)
    told = _apart(part[None, :], begins, finishes)[0]
    where = int(told.argmax())
    p = _exceeded(part, begins, finishes, float(told[where]), chance)
    if p > alpha:
        return []
    inner = [at for at in (int(begins[where]), int(finishes[where])) if 0 < at < n]
    if len(inner) == 2:
        # A stretch may begin or end where chance would have it: what tells nothing from its neighbour is no cut.
        sides = ((inner[0], part[: inner[1]], inner[0]), (inner[1], part[inner[0] :], inner[1] - inner[0]))
        stand = [at for at, both, cut in sides if _tells(both, cut, alpha, chance)]
        inner = stand or inner
    ends = np.asarray([0, *inner, n]) + start
    deeper = [cut for a, b in pairwise(ends.tolist()) for cut in _cuts(array, a, b, alpha / 2, chance)]
    return [*((start + at, p) for at in inner), *deeper]


def _stretches(n: int) -> tuple[Places, Places]:
    """Where the stretches begin and end that are tried: all that begin with the series, and others of some lengths."""
    import numpy as np

    longest = n - 2 * LEAST
    lengths = list(range(LEAST, longest + 1))
    if len(lengths) > _LENGTHS:
        lengths = sorted({round(length) for length in np.geomspace(LEAST, longest, _LENGTHS)})
    first = np.arange(LEAST, n - LEAST + 1)
    begins = [np.zeros_like(first), *(np.arange(LEAST, n - LEAST - length + 1) for length in lengths)]
    finishes = [first, *(begin + length for begin, length in zip(begins[1:], lengths, strict=True))]
    return np.concatenate(begins), np.concatenate(finishes)


def _apart(rows: Numbers, begins: Places, finishes: Places) -> Numbers:
    """How far each stretch's mean is from that of the rest of its row, in standard errors but for a factor."""
    import numpy as np

    n = rows.shape[1]
    sums = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)
    lengths = finishes - begins
    told: Numbers = abs(sums[:, finishes] - sums[:, begins]) / np.sqrt(lengths * (n - lengths))
    return told


def _exceeded(
    centred: Numbers, begins: Places, finishes: Places, height: float, chance: np.random.RandomState
) -> float:
    """How often a stretch of the shuffled series is as far from the rest."""
    reached = 1
    for rows in blocks(len(begins) + len(centred), DRAWS):
        shuffled = centred[chance.random_sample((rows, len(centred))).argsort(axis=1)]
        reached += int((_apart(shuffled, begins, finishes).max(axis=1) >= height * (1 - 1e-9)).sum())
    return reached / (DRAWS + 1)


def _tells(values: Numbers, cut: int, alpha: float, chance: np.random.RandomState) -> bool:
    """Whether the means on both sides of a cut differ more than in all but alpha of shufflings."""
    import numpy as np

    centred, begins, finishes = values - values.mean(), np.zeros(1, dtype=np.int64), np.asarray([cut])
    height = float(_apart(centred[None, :], begins, finishes)[0, 0])
    return _exceeded(centred, begins, finishes, height, chance) <= alpha


def _single(values: Numbers) -> int:
    """Where one cut sets the two sides furthest apart."""
    import numpy as np

    cuts = np.arange(LEAST, len(values) - LEAST + 1)
    return int(cuts[_apart((values - values.mean())[None, :], np.zeros_like(cuts), cuts)[0].argmax()])
