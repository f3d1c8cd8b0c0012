"""What was answered to each case while many asked, held against what is expected of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET

from evaluators.comparison import Comparison, comparison_of, read_comparison
from evaluators.load.record import Answers, Given, plain_of
from harness.codec import to_json
from harness.contract import Case, Check, Difference, Outcome

_KEPT = 8
"""How many answers of a kind are kept of a case."""


class Tally:
    """What came of all requests for one case."""

    def __init__(self) -> None:
        self.asked = 0
        self.given: Counter[bytes] = Counter()
        self.answers: dict[bytes, Any] = {}
        self.failed: Counter[str] = Counter()

    def add(self, answer: Any) -> None:
        key = to_json(answer)
        self.asked += 1
        self.given[key] += 1
        self.answers.setdefault(key, answer)

    def fail(self, why: str) -> None:
        self.asked += 1
        self.failed[why] += 1


class Compared(NamedTuple):
    """How answers are compared, with what is expected and with what was answered alone."""

    expected: Comparison
    alone: Comparison

    def differences(self, case: Case, alone: Any, answer: Any) -> list[Difference]:
        if case.expect is UNSET:
            return self.alone.differences(alone, answer)
        return self.expected.differences(case.expect, answer)


def compared(check: Check) -> Compared:
    """As `compare` says; unless told the whole answer is what is expected, and its text what was answered alone."""
    return Compared(comparison_of(check), _read(check.options.get("compare", {"text": "exact"})))


def _read(written: Any) -> Comparison:
    comparison, objections = read_comparison(written)
    if comparison is None:
        raise ValueError(objections[0].what)
    return comparison


def recorded(case: Case, tally: Tally, alone: Any, comparison: Compared) -> Answers:
    """What is kept of it: the answers that were given most, the wrong ones first."""
    known = case.expect is not UNSET or alone is not UNSET
    right: list[Given] = []
    wrong: list[Given] = []
    for key, times in tally.given.most_common():
        given = Given(tally.answers[key], times)
        bad = known and comparison.differences(case, alone, given.answer)
        (wrong if bad else right).append(given)
    return Answers(
        asked=tally.asked,
        answered=tally.given.total(),
        wrong=_times(wrong),
        answers=wrong[:_KEPT] + right[:_KEPT],
        more_right=_times(right[_KEPT:]),
        more_wrong=_times(wrong[_KEPT:]),
        failed=dict(tally.failed.most_common()),
        alone=alone if case.expect is UNSET else UNSET,
    )


def graded(case: Case, answers: Answers, comparison: Compared) -> Outcome:
    """Met where every answer is; ValueError where a record says otherwise than its answers do."""
    answer = plain_of(answers)
    if not answers.asked:
        return Outcome(case=case.id, outcome="skipped", reason="the load was over before it was asked", answer=answer)
    if not answers.answered:
        return Outcome(case=case.id, outcome="error", reason=f"it was never answered: {_said(answers)}", answer=answer)
    if case.expect is UNSET and answers.alone is UNSET:
        reason = "it was not answered before the load, so that nobody knows what is right"
        return Outcome(case=case.id, outcome="error", reason=reason, answer=answer)
    found = [(given, comparison.differences(case, answers.alone, given.answer)) for given in answers.answers]
    bad = [(given, differences) for given, differences in found if differences]
    if _times([given for given, _ in bad]) + answers.more_wrong != answers.wrong or bool(bad) != bool(answers.wrong):
        raise ValueError("not as many of its answers are wrong as it says")
    reason = f"{answers.asked - answers.answered} of {answers.asked} requests failed: {_said(answers)}"
    told = reason if answers.failed else ""
    if not bad:
        return Outcome(case=case.id, outcome="met", answer=answer, reason=told)
    differences = [_under_load(each, answers, case) for each in bad[0][1]]
    return Outcome(case=case.id, outcome="missed", answer=answer, differences=differences, reason=told)


def _under_load(found: Difference, answers: Answers, case: Case) -> Difference:
    than = "" if case.expect is not UNSET else ", other than what it answered alone"
    why = f"{answers.wrong} of {answers.answered} answers under load are wrong{than}; one of them: {found.why}"
    return Difference(at=found.at, mode=found.mode, why=why, expected=found.expected, got=found.got)


def _said(answers: Answers) -> str:
    return ", ".join(f"{why} ({times})" for why, times in answers.failed.items())


def _times(given: Sequence[Given]) -> int:
    return sum(each.times for each in given)
