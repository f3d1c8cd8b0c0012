"""What can happen, with its chance: all of it where that can be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import exp, lgamma, log

NIL = 1e-7
"""What is rarer than this is left out: all of that together is far below the last digit shown."""


@cache
def shares(n: int, share: float) -> tuple[float, ...]:
    """The chance of 0, 1, ... n of n."""
    return tuple(_multinomial(n, k, 0, share, 0.0) for k in range(n + 1))


def of_shares(n: int, share: float, true: Callable[[int], bool]) -> float:
    """The chance that so many of n make it true."""
    return sum(chance for k, chance in enumerate(shares(n, share)) if true(k))


def tables(n: int, gained: float, lost: float, nil: float = NIL) -> Iterator[tuple[float, int, int]]:
    """The chance of each number of pairs gained and lost, were these the true shares."""
    for g in range(n + 1):
        for b in range(n + 1 - g):
            chance = _multinomial(n, g, b, gained, lost)
            if chance > nil:
                yield chance, g, b


def of_tables(n: int, gained: float, lost: float, true: Callable[[int, int], bool]) -> float:
    """The chance that so many gained and lost make it true."""
    return sum(chance for chance, g, b in tables(n, gained, lost) if true(g, b))


def _multinomial(n: int, g: int, b: int, gained: float, lost: float) -> float:
    same = max(0.0, 1 - gained - lost)
    if (g and not gained) or (b and not lost) or (n - g - b and not same):
        return 0.0
    ways = lgamma(n + 1) - lgamma(g + 1) - lgamma(b + 1) - lgamma(n - g - b + 1)
    return exp(ways + _power(g, gained) + _power(b, lost) + _power(n - g - b, same))


def _power(k: int, share: float) -> float:
    return k * log(share) if k else 0.0
