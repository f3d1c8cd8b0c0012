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

from msgspec import UNSET

from evaluators.golden.compare import SCHEMA as COMPARE
from evaluators.golden.compare import Comparison, read_comparison
from evaluators.golden.gate import SCHEMA as GATE
from evaluators.golden.gate import gate_faults, judge_gate, judge_suite
from harness.contract import Case, Check, Measuring, Objection, Outcome, Verdict

SCHEMA = {"properties": {"compare": COMPARE, "gate": GATE}, "required": ["model", "cases"]}
PANEL = "panel.html"
QUIET = False


def expand(check: Check) -> Iterable[Case]:
    return check.cases


def faults(check: Check) -> Iterator[Objection]:
    comparison, objections = read_comparison(check.options.get("compare", "exact"))
    yield from objections
    yield from gate_faults(check)
    if comparison is None:
        return
    expected = [case.expect for case in check.cases if case.expect is not UNSET]
    nowhere = list(comparison.nowhere(expected)) if expected else []
    yield from nowhere
    for index, case in enumerate(check.cases):
        if case.expect is UNSET:
            yield Objection(
                ("cases", index),
                "no-expectation",
                f"the case `{case.id}` has no `expect`",
                "write what must be answered",
            )
        elif not nowhere:
            for what, instead in comparison.objections(case.expect):
                yield Objection(("cases", index), "expectation", f"the case `{case.id}`: {what}", instead)


def gated(check: Check) -> bool:
    return "gate" in check.options


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    return _graded(bench.keep(_comparison, check), case, bench.answer(case))


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    return _graded(_comparison(check), case, outcome.answer)


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    gate = check.options.get("gate")
    return judge_gate(check, outcomes, gate) if gate else judge_suite(check, outcomes)


def _comparison(check: Check) -> Comparison:
    comparison, objections = read_comparison(check.options.get("compare", "exact"))
    if comparison is None:
        raise ValueError(objections[0].what)
    return comparison


def _graded(comparison: Comparison, case: Case, answer: object) -> Outcome:
    differences = comparison.differences(case.expect, answer)
    return Outcome(case=case.id, outcome="missed" if differences else "met", answer=answer, differences=differences)
