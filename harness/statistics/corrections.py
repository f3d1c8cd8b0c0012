"""What p-values are worth when many questions are asked at once.

Where every gate must pass nothing needs correcting: passing them all by chance is rarer than passing one. Where any one
finding counts, 20 tests at .05 of what is not there find something in 64 % of all runs.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) adjusted p-values: claim those below alpha, and any of it is wrong in at most alpha of all runs.

    However the tests depend on each other. A None, of a test that could claim nothing, stays None and is counted among
    the tests: leave out what was never a test. For exploring among many take `benjamini_hochberg`.
    """
    adjusted, least = list(ps), 0.0
    for rank, (p, at) in enumerate(_ranked(ps)):
        adjusted[at] = least = max(least, min(1.0, p * (len(ps) - rank)))
    return adjusted


def benjamini_hochberg(ps: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's (1995) adjusted p-values: of those below alpha about alpha is expected to be wrong.

    For exploring, not to certify. Asks that the tests be independent, or lean the same way. A None is as in `holm`.
    """
    adjusted, most = list(ps), 1.0
    for rank, (p, at) in reversed(list(enumerate(_ranked(ps), start=1))):
        adjusted[at] = most = min(most, p * len(ps) / rank)
    return adjusted


def holm_decisions(ps: Sequence[float | None], alpha: float = 0.05) -> list[bool | None]:
    """Which of the tests may be claimed together, with an error of alpha for all of them."""
    if not 0 < alpha < 1:
        raise ValueError(f"an alpha of {alpha} is not between 0 and 1")
    return [None if p is None else p < alpha for p in holm(ps)]


def _ranked(ps: Sequence[float | None]) -> list[tuple[float, int]]:
    """The p-values there are, the smallest first, and where each stood."""
    found = [(p, at) for at, p in enumerate(ps) if p is not None]
    for p, _ in found:
        if not 0 <= p <= 1:
            raise ValueError(f"{p} is no p-value")
    return sorted(found)
