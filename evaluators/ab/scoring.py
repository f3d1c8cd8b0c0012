"""Asks both sides of a case, and scores what they said."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from math import isfinite
from typing import Any

from evaluators.ab.language import (
    CANDIDATE,
    Arm,
    Metric,
    arms_of,
    metric_of,
    repeats_of,
    within_of,
)
from evaluators.comparison import Comparison, comparison_of
from harness.contract import Case, Check, Measuring, Outcome, Refused

_LARGEST = 1e100
"""Scores beyond this could not be summed."""


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    metric = metric_of(check)
    comparison = bench.keep(comparison_of, check) if metric.word == "correct" else None
    record = {arm.side: _side(check, case, bench, arm, comparison) for arm in _order(check, case, bench)}
    baseline, candidates = arms_of(check.options)
    return grade(check, case, {arm.side: record[arm.side] for arm in (baseline, *candidates)}, comparison)


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    """From the answers that were kept; ValueError where the scores beside them are not theirs."""
    metric, repeats = metric_of(check), repeats_of(check)
    comparison = comparison_of(check) if metric.word == "correct" else None
    record = record_of(check, outcome)
    for side, said in record.items():
        if metric.word == "latency":
            if "answer" not in said or not outcome.spent.get(_spent_as(side), 0) > 0:
                raise ValueError(f"`{side}` has no time that it took")
            continue
        scores = said.get("scores", [said.get("score")])
        if not isinstance(scores, list) or len(scores) != repeats or not all(map(_is_number, scores)):
            raise ValueError(f"`{side}` has not the scores that were planned")
        if not all(_is_possible(check, metric, score) for score in scores):
            raise ValueError(f"`{side}` has a score that can't be")
        if said.get("score") != _mean(scores):
            raise ValueError(f"the score of `{side}` is not the mean of its scores")
        try:
            again = (
                scores[0] if metric.word == "likelihood" else _score(check, metric, case, said["answer"], comparison)
            )
        except (KeyError, Refused):
            raise ValueError(f"what `{side}` answered has no score") from None
        if again != scores[0]:
            raise ValueError(f"the score of `{side}` is not its answer's")
    return grade(check, case, record, comparison)


def _is_possible(check: Check, metric: Metric, score: float) -> bool:
    if metric.word == "correct":
        return score in (0, 1)
    if metric.word == "likelihood" and score > 0:
        return False
    within = within_of(check)
    return within is None or within[0] <= score <= within[1]


def _spent_as(side: str) -> str:
    return "model" if side == CANDIDATE else side


def grade(check: Check, case: Case, record: dict[str, Any], comparison: Comparison | None) -> Outcome:
    """Missed where the first candidate scores below the baseline."""
    baseline, (first, *_) = arms_of(check.options)
    mine, theirs = record[first.side], record[baseline.side]
    differences = comparison.differences(case.expect, mine["answer"]) if comparison else []
    ahead = 0.0 if metric_of(check).word == "latency" else mine["score"] - theirs["score"]
    return Outcome(
        case=case.id,
        outcome="missed" if ahead < 0 else "met",
        answer=record,
        differences=differences,
        reason="lost" if ahead < 0 else "gained" if ahead > 0 else "",
    )


def record_of(check: Check, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """What was recorded of each side; ValueError where that is not what was planned."""
    baseline, candidates = arms_of(check.options)
    sides = [arm.side for arm in (baseline, *candidates)]
    record: Any = outcome.answer
    planned = isinstance(record, dict) and record.keys() == set(sides)
    if not planned or not all(isinstance(said, dict) for said in record.values()):
        raise ValueError(f"`{outcome.case}` has no record of {', '.join(sides)}")
    return dict(record)


def position_of(check: Check) -> dict[str, int]:
    return {case.id: position for position, case in enumerate(check.cases)}


def _order(check: Check, case: Case, bench: Measuring) -> list[Arm]:
    """Who is asked first: by turns from batch to batch, so that being first favours nobody's times."""
    baseline, candidates = arms_of(check.options)
    arms = [baseline, *candidates]
    turn = bench.keep(position_of, check)[case.id] // check.batch % len(arms)
    return arms[turn:] + arms[:turn]


def _side(check: Check, case: Case, bench: Measuring, arm: Arm, comparison: Comparison | None) -> dict[str, Any]:
    metric = metric_of(check)
    if metric.word == "likelihood":
        told = bench.likelihood(case, arm.role)
        if told is None:
            raise Refused(f"`{arm.name}` does not tell how likely an answer is")
        return {"score": _on_scale(check, told)}
    if metric.word == "latency":
        return {"answer": bench.answer(case, arm.role, _own_turn(check))}
    answers = [bench.answer(case, arm.role, turn) for turn in range(repeats_of(check))]
    scores = [_score(check, metric, case, answer, comparison) for answer in answers]
    said = {"answer": answers[0], "score": _mean(scores)}
    return {**said, "scores": scores} if len(scores) > 1 else said


def _own_turn(check: Check) -> int:
    """A turn of this check's own: what was said, and timed, in another check would be another hour's time."""
    return zlib.crc32(check.id.encode()) or 1


def _score(check: Check, metric: Metric, case: Case, answer: Any, comparison: Comparison | None) -> float:
    if comparison is not None:
        return int(not comparison.differences(case.expect, answer))
    found = _at(answer, metric.path)
    if not _is_number(found):
        raise Refused(f"the answer has no number at `{metric.path}`")
    return _on_scale(check, found)


def _on_scale(check: Check, score: float) -> float:
    within = within_of(check)
    if not abs(score) < _LARGEST:
        raise Refused(f"a score of {score:g} is none that can be averaged")
    if within is not None and not within[0] <= score <= within[1]:
        raise Refused(f"a score of {score:g} is not within {within[0]:g} to {within[1]:g}")
    return score


def _at(answer: Any, path: str) -> Any:
    """What stands in an answer at a dotted path; None where nothing does."""
    if path == ".":
        return answer
    for step in path.split("."):
        if isinstance(answer, Mapping) and step in answer:
            answer = answer[step]
        elif isinstance(answer, list) and step.isdecimal() and int(step) < len(answer):
            answer = answer[int(step)]
        else:
            return None
    return answer


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _mean(scores: list[float]) -> float:
    """As they come where they are one, so that 1 stays 1."""
    return scores[0] if len(scores) == 1 else sum(scores) / len(scores)
