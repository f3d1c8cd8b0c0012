"""How often an A/B check says what, were the truth this or that: for pairs that are counted, by exact enumeration."""

from __future__ import annotations

from functools import cache
from typing import Literal, cast

from evaluators.ab.language import Claim, alpha_of, arms_of, claim_of, is_paired, method_of
from harness.contract import Characteristics, Check, Prospect
from harness.statistics.prospects import EXACT, of_pairs
from harness.statistics.searching import enough, nearest

DIFFERING = 0.1
"""The share of pairs supposed to differ, one way or the other: without one, nothing can be told."""
POWER = 0.8
_Claim = Literal["noninferior", "superior", "equivalent", "different"]


def characteristics(check: Check) -> Characteristics | None:
    """Of one candidate, at the level that is safe for all; None where no enumeration tells."""
    claim, method = claim_of(check), method_of(check)
    counted = is_paired(check) and not check.options.get("peek") and check.cases
    if not counted or method != ("mcnemar" if claim.word == "different" else "exact"):
        return None
    return _of(claim, len(check.cases), alpha_of(check) / len(arms_of(check.options)[1]))


@cache
def _of(claim: Claim, n: int, alpha: float) -> Characteristics:
    differing = min(1.0, max(DIFFERING, 2 * claim.margin))
    if claim.margin:
        truths, bar = [-2 * claim.margin, -claim.margin, -claim.margin / 2, 0.0], -claim.margin
        truths = [truth for truth in truths if -truth <= differing]
    else:
        truths, bar = [0.0, differing / 2, differing], 0.0
    half, best = (-claim.margin / 2, 0.0) if claim.margin else (differing / 2, differing)
    exact = n <= EXACT or claim.word == "different"

    def passes(truth: float, many: int) -> bool:
        return _row(claim, many, alpha, truth, differing).passes >= POWER

    rows = [_row(claim, n, alpha, truth, differing) for truth in truths]
    if claim.margin:
        rows.append(_row(claim, n, alpha, 0.0, 0.0))
    return Characteristics(
        of=f"the true difference, where {differing:.4g} differ",
        bar=bar,
        rows=tuple(rows),
        method=f"{'exact enumeration' if exact else 'enumeration by the score'}, {n} pairs",
        detectable=nearest(lambda truth: passes(truth, n), bar, best, steps=12) if n > EXACT else None,
        needed_n=enough(lambda many: passes(half, many), n) if n > EXACT else None,
    )


def _row(claim: Claim, n: int, alpha: float, truth: float, share: float) -> Prospect:
    gained, lost = max(0.0, (share + truth) / 2), max(0.0, (share - truth) / 2)
    given = of_pairs(cast(_Claim, claim.word), n, gained, lost, claim.margin, alpha)
    said = f"{truth:+.4g}" if share else "+0, and no pair differs"
    return Prospect(truth=said, value=truth, passes=given.passes, fails=given.fails, inconclusive=given.inconclusive)
