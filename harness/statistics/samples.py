"""What every method here asks of the numbers it is given, and how it stays within what a float can hold."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[np.float64]
    Places: TypeAlias = NDArray[np.int64]

DRAWS = 10_000
"""How often chance is drawn where all ways are too many."""
WAYS = 20_000
"""Up to so many ways are all tried."""
CELLS = 4_000_000
"""How many numbers are held at once."""
ROUNDING = 1e-12
"""Values that differ by less than this share of their size differ by rounding alone."""


def numbers(values: Iterable[float], what: str = "values") -> Numbers:
    """The values as an array; refuses none at all, NaN and infinity, which are no data."""
    import numpy as np

    array = np.asarray(list(values), dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"there are no {what}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} that are NaN or infinite are no data")
    return array


def level(confidence: float, what: str = "a confidence") -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"{what} of {confidence} is not between 0 and 1")


def scaled(*arrays: Numbers) -> tuple[list[Numbers], int]:
    """The arrays by a common power of two, so that sums and squares neither overflow nor vanish; and the power."""
    import numpy as np

    _, power = math.frexp(max(float(np.abs(array).max()) for array in arrays))
    return [np.ldexp(array, -power) for array in arrays], power


def back(value: float, power: int) -> float:
    """A scaled value as it was; the largest float there is where it is beyond that."""
    most = sys.float_info.max
    try:
        return max(-most, min(most, math.ldexp(value, power)))
    except OverflowError:
        return math.copysign(most, value)


def down(value: float, power: int) -> float:
    """A number of the caller's on the scale of the scaled values."""
    return back(value, -power)


def steady(values: Numbers, size: float | None = None) -> bool:
    """Whether the values don't vary, rounding aside: that of numbers of their own size, or of those they came of."""
    high, low = float(values.max()), float(values.min())
    return high / 2 - low / 2 <= ROUNDING * (max(abs(high), abs(low)) if size is None else size) / 2


def grouped(groups: Sequence[Hashable], n: int) -> Places:
    """The number of each one's group, from 0, in the order in which groups first appear."""
    import numpy as np

    if len(groups) != n:
        raise ValueError(f"{len(groups)} clusters are named for {n} values")
    seen: dict[Hashable, int] = {}
    return np.asarray([seen.setdefault(group, len(seen)) for group in groups], dtype=np.int64)


def chances(seed: int) -> np.random.RandomState:
    """Seeded chance. The old generator: numpy promises that its numbers stay the same from version to version."""
    import numpy as np

    return np.random.RandomState(seed % 2**32)


def dealt_ways(n: int, size: int) -> tuple[int, int]:
    """1 where ways to deal n values out are drawn by chance, so that what was seen counts as one more; and how many."""
    ways = math.comb(n, size)
    return (0, ways) if ways <= WAYS else (1, DRAWS + 1)


def deals(n: int, size: int, seed: int) -> Iterator[Numbers]:
    """Ways to deal n values out, in blocks with a row a way: 1 for the `size` that are the first's, else 0."""
    import numpy as np

    if not dealt_ways(n, size)[0]:
        from itertools import combinations

        ways = math.comb(n, size)
        first = np.zeros((ways, n))
        chosen = np.fromiter((i for way in combinations(range(n), size) for i in way), dtype=np.int64)
        first[np.repeat(np.arange(ways), size), chosen] = 1
        yield first
        return
    chance = chances(seed)
    for rows in blocks(n):
        yield (chance.random_sample((rows, n)).argsort(axis=1) < size).astype(np.float64)


def blocks(width: int, total: int = DRAWS) -> Iterator[int]:
    """How many rows of this width to hold at once, until there were `total`."""
    rows = max(1, CELLS // max(1, width))
    for done in range(0, total, rows):
        yield min(rows, total - done)
