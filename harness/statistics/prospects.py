"""What a gate would say, and how often, were the truth this or that: by exact enumeration, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple

from harness.statistics import paired, proportion
from harness.statistics.score import check

Claim = Literal["noninferior", "superior", "equivalent", "different"]


class Prospects(NamedTuple):
    """The chance of each decision."""

    passes: float
    fails: float
    inconclusive: float


def of_share(n: int, share: float, threshold: float, confidence: float) -> Prospects:
    """How often `proportion.decide` says what of n cases, were the true share of those met `share`."""
    from scipy.special import bdtr, bdtrc

    proportion.decide(0, n, threshold, confidence)
    _share(share)

    def said(k: int) -> proportion.Decision:
        return proportion.decide(k, n, threshold, confidence)

    failing = _least(lambda k: said(k) != "fail", n)
    passing = _least(lambda k: said(k) == "pass", n)
    fails = 0.0 if failing == 0 else float(bdtr(failing - 1, n, share))
    passes = 1.0 if passing == 0 else 0.0 if passing > n else float(bdtrc(passing - 1, n, share))
    return Prospects(passes, fails, max(0.0, 1 - passes - fails))


EXACT = 120
"""Up to so many pairs each result is decided exactly as `paired` does; beyond, by Tango's score, in a hundredth of the
time: the exact test is the more cautious one, by a few points of power where hardly anything differs."""


@cache
def of_pairs(claim: Claim, n: int, gained: float, lost: float, margin: float = 0.0, alpha: float = 0.05) -> Prospects:
    """How often the claim is said to hold of n pairs, were these the true shares gained and lost.

    As `paired` decides: a margin is what may be lost, or must be gained, or what counts as no difference.
    """
    return _of_pairs(claim, n, (gained, lost), _Bar(margin, alpha, "exact" if n <= EXACT else "score"))


class _Bar(NamedTuple):
    margin: float
    alpha: float
    method: paired.Method


def _of_pairs(claim: Claim, n: int, shares: tuple[float, float], bar: _Bar) -> Prospects:
    (gained, lost), (margin, alpha, method) = shares, bar
    check(0, 0, n)
    for share in (gained, lost, gained + lost, margin, 2 * alpha):
        _share(share)
    grid = _Grid(n, _window(n, gained), _window(n, lost), 1 - alpha)
    if claim == "noninferior":
        passes, fails = grid.above(-margin, method), grid.below(-margin, method)
    elif claim == "superior":
        passes, fails = grid.above(margin, method), grid.below(margin, method)
        passes &= grid.discordant() >= (
            0 if margin else paired.least_discordant(alpha, exact=True, alternative="greater")
        )
    elif claim == "equivalent":
        passes = grid.above(-margin, method) & grid.below(margin, method)
        fails = grid.above(margin, method) | grid.below(-margin, method)
    else:
        both = grid._replace(confidence=1 - alpha / 2)
        passes = both.above(0.0, "mid-p") | both.below(0.0, "mid-p")
        fails = both.above(-margin, "score") & both.below(margin, "score") & ~passes
    weights = grid.weights(gained, lost)
    passed, failed = min(1.0, float(weights[passes].sum())), float(weights[fails].sum())
    return Prospects(passed, failed, max(0.0, 1 - passed - failed))


def false_passes(n: int, discordant: float, margin: float, alpha: float = 0.05) -> float:
    """How often `paired.noninferior_share` passes what is worse by just the margin, where so many pairs differ."""
    shares = (discordant - margin) / 2, (discordant + margin) / 2
    return _of_pairs("noninferior", n, shares, _Bar(margin, alpha, "exact")).passes


class _Grid(NamedTuple):
    """All results that have a chance: rows by number gained, columns by number lost."""

    n: int
    gained: range
    lost: range
    confidence: float

    def above(self, bar: float, method: paired.Method) -> Any:
        """Which results show a difference above the bar: the more gained the more, the more lost the less."""
        import numpy as np

        def shown(gained: int, lost: int) -> bool:
            return paired.shown(method, gained, lost, self.n, bar, self.confidence)

        edge = _edge(shown, self.lost, self.gained, self.n)
        return np.array(self.gained)[:, None] >= np.array(edge)[None, :]

    def below(self, bar: float, method: paired.Method) -> Any:
        turned = _Grid(self.n, self.lost, self.gained, self.confidence)
        return turned.above(-bar, method).T

    def discordant(self) -> Any:
        import numpy as np

        return np.array(self.gained)[:, None] + np.array(self.lost)[None, :]

    def weights(self, gained: float, lost: float) -> Any:
        import numpy as np
        from scipy.special import gammaln, xlogy

        up, down = np.array(self.gained)[:, None], np.array(self.lost)[None, :]
        same = self.n - up - down
        ways = gammaln(self.n + 1) - gammaln(up + 1) - gammaln(down + 1) - gammaln(np.maximum(same, 0) + 1)
        logs = ways + xlogy(up, gained) + xlogy(down, lost) + xlogy(np.maximum(same, 0), max(0.0, 1 - gained - lost))
        return np.where(same >= 0, np.exp(logs), 0.0)


def _edge(shown: Callable[[int, int], bool], lost: range, gained: range, n: int) -> list[int]:
    """For each number lost the fewest gained that show it: a stair that only rises."""
    edge: list[int] = []
    least = gained.start
    for down in lost:
        most = min(gained.stop - 1, n - down)
        if not edge:
            least = gained.start + _least(lambda more: shown(gained.start + more, lost.start), most - gained.start)
        while least <= most and not shown(least, down):
            least += 1
        edge.append(least if least <= most else gained.stop)
    return edge


def _window(n: int, share: float) -> range:
    """The counts that have a chance."""
    spread = 9 * (n * share * (1 - share)) ** 0.5 + 30
    return range(max(0, int(n * share - spread)), min(n, int(n * share + spread)) + 1)


def _least(true: Callable[[int], bool], most: int) -> int:
    """The least number up to `most` at which `true`, taken as monotone; one more where none is."""
    low, high = 0, most + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if true(middle) else (middle + 1, high)
    return low


def _share(value: float) -> None:
    if not 0 <= value <= 1 + 1e-12:
        raise ValueError(f"{value} is no share")
