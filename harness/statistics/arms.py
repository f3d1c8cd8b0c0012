"""Whether several that were asked the same cases differ in how many they meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from math import comb

from harness.statistics.estimate import Estimate

_MOST_STEPS = 100_000
_Columns = tuple[int, ...]


def cochran_q(rows: Sequence[Sequence[int | bool]]) -> Estimate:
    """Cochran's Q over rows of 0 and 1: a row a case, a column an arm. Of two arms it is McNemar's exact test.

    The estimate is the share met by the best arm less that of the worst. The p is exact (every exchange of answers
    within a row counted) where that takes few steps, else chi-square's. It says that some arm differs, not which: for
    that, compare pairs and correct by `corrections.holm`. Not for rows that come in clusters, nor for more than yes/no.
    """
    arms, sums = _table(rows)
    columns = [sum(column) for column in zip(*rows, strict=True)]
    spread = (max(columns) - min(columns)) / len(rows)
    mixed = {met: many for met, many in sums.items() if 0 < met < arms}
    discordant = sum(mixed.values())
    if not discordant:
        return Estimate(spread, None, 1.0, "Cochran's Q", len(rows), 0, "no row tells the arms apart")
    squares = sum(met * met for met in columns)
    fixed = sums.get(arms, 0)
    p = _exact(arms, mixed, sum((met - fixed) ** 2 for met in columns))
    if p is not None:
        return Estimate(spread, None, p, "Cochran's Q, exact", len(rows), discordant)
    from scipy.special import chdtrc

    total = sum(columns)
    q = (arms - 1) * (arms * squares - total**2) / sum(many * met * (arms - met) for met, many in mixed.items())
    p = float(chdtrc(arms - 1, q))
    return Estimate(spread, None, p, f"Cochran's Q, chi-square with {arms - 1} degrees", len(rows), discordant)


def _table(rows: Sequence[Sequence[int | bool]]) -> tuple[int, Counter[int]]:
    """The number of arms, and how many rows there are of each number met."""
    arms = len(rows[0]) if len(rows) else 0
    if arms < 2 or any(len(row) != arms for row in rows):
        raise ValueError("it takes rows of the same two arms or more")
    if any(cell not in (0, 1) for row in rows for cell in row):
        raise ValueError("a cell is 0 or 1")
    return arms, Counter(int(sum(row)) for row in rows)


def _exact(arms: int, mixed: Mapping[int, int], observed: int) -> float | None:
    """The chance of columns so uneven if each row met as many as it did, in any arms; None where it takes too long.

    Arms are exchangeable, so that columns are kept sorted: there are few distinct ones.
    """
    ways: dict[_Columns, int] = {(0,) * arms: 1}
    left = _MOST_STEPS
    for met, many in sorted(mixed.items()):
        chosen = [frozenset(arm) for arm in combinations(range(arms), met)] if comb(arms, met) <= left else []
        for _ in range(many):
            left -= len(ways) * len(chosen)
            if left < 0 or not chosen:
                return None
            after: dict[_Columns, int] = {}
            for columns, count in ways.items():
                for here in chosen:
                    key = tuple(sorted(column + (arm in here) for arm, column in enumerate(columns)))
                    after[key] = after.get(key, 0) + count
            ways = after
    extreme = sum(count for columns, count in ways.items() if sum(column**2 for column in columns) >= observed)
    return float(Fraction(extreme, sum(ways.values())))
