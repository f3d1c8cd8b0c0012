"""Load: many users ask a real server at once, and what it answers them has to be right, fast enough, and not to fail.

- name: under-load
  kind: load
  model: base
  serve: mlx_lm                   # or {command: [...]}; without it, the model is an `http` one that is there already
  users: [10, 50]
  duration: 10s
  cases: ../golden/llama/sums.jsonl
  compare: {text: exact}
  budget: {latency_ms: {p95: 800}, failures: {max: 0.01}, requests_per_s: {min: 20}}

Locust asks, in a process of its own; every answer is compared with what is expected, as in a golden test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from evaluators.load import planning, verdict
from evaluators.load.drawing import drawing
from evaluators.load.grading import compared, graded
from evaluators.load.language import LOOK, SCHEMA
from evaluators.load.record import answers_of, check_load, load_of
from harness.contract import Case, Check, Measuring, Objection, Outcome, Verdict

__all__ = ["BATCH", "PANEL", "QUIET", "SCHEMA", "drawing", "expand", "faults", "gated", "judge", "measure", "regrade"]

PANEL = "panel.html"
QUIET = True
BATCH = 100_000


def expand(check: Check) -> Iterable[Case]:
    return (*check.cases, Case(id=LOOK, at=check.at, asks=False))


def faults(check: Check) -> Iterator[Objection]:
    yield from planning.faults(check)


def gated(check: Check) -> bool:
    return True


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    from evaluators.load.measuring import Attempt

    return bench.once(Attempt).outcome(check, case, bench)


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    """From the answers as they were recorded; ValueError where a record contradicts itself."""
    if not case.asks:
        check_load(check, load_of(outcome.answer))
        return Outcome(case=case.id, outcome="met", answer=outcome.answer)
    return graded(case, answers_of(outcome.answer), compared(check))


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    return verdict.judge(check, outcomes)
