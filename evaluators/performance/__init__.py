"""Performance: times, throughput and memory, measured alone on the machine, within budgets and against another model.

- name: quick
  kind: performance
  model: int8
  cases: ../golden/digits.jsonl
  budget: {latency_ms: {p50: 5, p95: 50}, throughput: {min: 200, batch: 32}, resident_mb: {max: 500}}
  against: base                   # or base@certified, base@latest, base@../runs/<run>
  at_most: 1.10
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from evaluators.performance import planning
from evaluators.performance.drawing import drawing as drawing
from evaluators.performance.language import OPTIONS, REQUIRED, SESSION
from evaluators.performance.measuring import measure_session, outcome_of
from evaluators.performance.record import check_record
from evaluators.performance.verdict import judge as judge
from harness.contract import Case, Check, Measuring, Objection, Outcome, Part

SCHEMA = {"properties": OPTIONS, "required": REQUIRED}
PANEL = "panel.html"
QUIET = True
BATCH = 100_000


def cast(options: Any) -> dict[str, Part]:
    return planning.cast(options)


def faults(check: Check) -> Iterator[Objection]:
    yield from planning.faults(check)


def expand(check: Check) -> Iterable[Case]:
    return (*check.cases, Case(id=SESSION, at=check.at, asks=False))


def gated(check: Check) -> bool:
    return True


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    return outcome_of(bench.once(lambda: measure_session(check, bench)), case)


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    check_record(check, case, outcome.answer)
    return Outcome(case=case.id, outcome="met", answer=outcome.answer)
