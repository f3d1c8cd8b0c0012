"""A verdict that may be looked at after every case, and that stops where it is decided.

Cases count in the order of the plan, up to the first that has no score yet: whichever worker was quicker, the verdict
and the case at which it fell are the same. The bounds hold at all looks at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluators.ab.deciding import Ruled, Sample, agreed, bars_of
from evaluators.ab.language import Claim
from harness.contract import DECIDED, Check, Outcome
from harness.statistics import sequences
from harness.statistics.estimate import Decision, Estimate


def is_spared(check: Check, outcome: Outcome) -> bool:
    return bool(check.options.get("peek")) and outcome.outcome == "skipped" and outcome.reason == DECIDED


def reach(check: Check, done: Sequence[str]) -> int:
    """How many of the plan's first cases have scores, with none between that lacks them."""
    known = set(done)
    return next((at for at, case in enumerate(check.cases) if case.id not in known), len(check.cases))


def look(claim: Claim, sample: Sample, planned: int, alpha: float) -> tuple[int, Ruled]:
    """After how many cases it was decided, all of them where it was not, and what is said then."""
    if not sample.n:
        return 0, Ruled("inconclusive", Estimate(None, None, None, "", 0, 0, "the first case has no score"))
    level = alpha if claim.word == "different" else 2 * alpha  # a sequence spends half on each side
    decision, at = _stopped(claim, sample, planned, level)
    at = sample.n if decision == "inconclusive" else at
    found = sequences.confidence_sequence(sample.differences[:at], planned, level, sample.within)
    side = "two" if claim.word == "different" else "one"
    method = f"{found.method}, {side}-sided {1 - alpha:.4g}"
    p = alpha * (1 - 1e-9) if decision == "pass" else None  # it is no more, whenever one looks
    return at, Ruled(decision, found._replace(p=p, method=method, interval=agreed(claim, decision, found.interval)))


def _stopped(claim: Claim, sample: Sample, planned: int, level: float) -> tuple[Decision, int]:
    bars = bars_of(claim)
    stops = [sequences.stops_at(sample.differences, bar, planned, level, sample.within) for bar in bars]
    first = stops[0]
    if claim.word == "different":
        return ("pass", first.at) if first else ("inconclusive", 0)
    if first and first.side == "below":
        return "fail", first.at
    if claim.word != "equivalent":
        return ("pass", first.at) if first else ("inconclusive", 0)
    last = stops[1]
    if last and last.side == "above":
        return "fail", last.at
    return ("pass", max(first.at, last.at)) if first and last else ("inconclusive", 0)
