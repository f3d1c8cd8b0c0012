"""Golden tests: an answer is compared with what was expected, and a gate may allow for some that miss.

- name: digits
  kind: golden
  model: base
  cases: ../golden/digits.jsonl
  compare: {label: exact, p: {close: {abs: 0.05}}}
  gate: {pass_rate: 0.98, population: sample}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from evaluators.comparison import SCHEMA as COMPARE
from evaluators.comparison import Comparison, comparison_faults, comparison_of
from evaluators.golden.gate import SCHEMA as GATE
from evaluators.golden.gate import gate_characteristics, gate_faults, judge_gate, judge_suite
from evaluators.golden.proposing import proposals
from harness.contract import Case, Characteristics, Check, Measuring, Objection, Outcome, Verdict

__all__ = ["proposals"]

SCHEMA = {"properties": {"compare": COMPARE, "gate": GATE}, "required": ["model", "cases"]}
PANEL = "panel.html"
QUIET = False


def expand(check: Check) -> Iterable[Case]:
    return check.cases


def faults(check: Check) -> Iterator[Objection]:
    yield from comparison_faults(check)
    yield from gate_faults(check)


def characteristics(check: Check) -> Characteristics | None:
    return gate_characteristics(check)


def gated(check: Check) -> bool:
    return "gate" in check.options


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    return _graded(bench.keep(comparison_of, check), case, bench.answer(case))


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    return _graded(comparison_of(check), case, outcome.answer)


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    gate = check.options.get("gate")
    return judge_gate(check, outcomes, gate) if gate else judge_suite(check, outcomes)


def _graded(comparison: Comparison, case: Case, answer: object) -> Outcome:
    differences = comparison.differences(case.expect, answer)
    return Outcome(case=case.id, outcome="missed" if differences else "met", answer=answer, differences=differences)
