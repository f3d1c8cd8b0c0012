"""Security: real scanners, and what they find as outcomes.

- name: clean
  kind: security
  scan:
    bandit: {paths: [../harness]}
    secrets: {paths: [..]}
  fail_on: medium
  allow: [{rule: B603, path: harness/child.py, reason: it starts our own programs, until: "2027-06-30"}]
  baseline: ../golden/security/baseline.json

Each scanner is a room of its own. It has a case for the scan itself, and one for each class of findings that it knows;
a scan that did not get through is an error, and one that can't be had here is unsupported: neither is a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from evaluators.security import allowing, judging, language, planning
from evaluators.security.planning import scanner_of
from harness.contract import Case, Characteristics, Check, CheckResult, Measuring, Objection, Outcome, Verdict

__all__ = [
    "PANEL", "QUIET", "SCHEMA", "SEEN_ONCE", "characteristics", "commit", "drawing", "expand", "faults", "gated",
    "judge", "measure", "recall", "regrade",
]  # fmt: skip

SCHEMA = language.schema()
PANEL = "panel.html"
QUIET = False
SEEN_ONCE = True
"""What was scanned may have changed since: a record is graded, and not scanned again."""


def expand(check: Check) -> Iterable[Case]:
    return list(planning.cases(check))


def faults(check: Check) -> Iterator[Objection]:
    yield from planning.faults(check)


def recall(key: str, name: str, data: bytes | None) -> dict[str, Any]:
    return allowing.recall(name, data)


def characteristics(check: Check) -> Characteristics | None:
    return planning.characteristics(check)


def gated(check: Check) -> bool:
    return bool(language.asking_of(check))


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    from evaluators.security.measuring import Session

    if case.asks:
        return _graded(case, bench.answer(case))
    return judging.outcome(check, case, bench.keep(Session, check).ran(check, scanner_of(case.id), bench))


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    return _graded(case, outcome.answer) if case.asks else judging.regrade(check, case, outcome)


def _graded(case: Case, answer: object) -> Outcome:
    graded: Outcome = language.module(scanner_of(case.id)).grade(case, answer)
    return graded


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    return judging.judge(check, list(outcomes))


def drawing(check: Check, outcomes: Sequence[Outcome], result: CheckResult) -> Any:
    return judging.drawing(check, outcomes)


def commit(check: Check, outcomes: Iterable[Outcome], read: Callable[[str], bytes | None]) -> tuple[str, bytes] | None:
    return allowing.commit(check, outcomes, read)
