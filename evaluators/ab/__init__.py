"""A/B: two models, or two prompts, asked the same cases, and a claim about the difference.

- name: int4-is-no-worse
  kind: ab
  baseline: base
  candidate: int4
  cases: ../golden/lenet5/digits.jsonl
  compare: {label: exact}
  claim: {noninferior: {margin: 0.02}}

Each case is a pair. By `metric` it is right or wrong (`correct`), a number of the answer, how likely the answer that is
expected was, or time; the method follows from the claim and from what is measured, and the verdict names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from evaluators.ab import planning, scoring
from evaluators.ab.experiment import pledge, recall
from evaluators.ab.language import SCHEMA, alpha_of, cast, method_of, metric_of, repeats_of
from harness.contract import Case, Characteristics, Check, Measuring, Objection, Outcome, Verdict

__all__ = [
    "PANEL", "QUIET", "SCHEMA", "asks", "cast", "characteristics", "decided", "expand", "faults", "gated", "judge",
    "least_p", "measure", "pledge", "quiet", "recall", "regrade",
]  # fmt: skip

PANEL = "panel.html"
QUIET = False


def quiet(check: Check) -> bool:
    return metric_of(check).word == "latency"


def expand(check: Check) -> Iterable[Case]:
    return check.cases


def faults(check: Check) -> Iterator[Objection]:
    yield from planning.faults(check)


def asks(check: Check) -> dict[str, Any]:
    """The question, apart from names, from what is only shown, and from how defaults are spelt."""
    left = {"strata", "experiment", "baseline", "candidate", "prompts", "method", "confidence", "repeats", "metric"}
    kept = {key: value for key, value in check.options.items() if key not in left}
    return {
        **kept,
        "method": method_of(check),
        "alpha": alpha_of(check),
        "repeats": repeats_of(check),
        "metric": metric_of(check),
    }


def least_p(check: Check) -> float:
    """A check that stops as soon as it is sure has no more to show."""
    return alpha_of(check) * (1 - 1e-9) if check.options.get("peek") else 0.0


def gated(check: Check) -> bool:
    return True


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    return scoring.measure(check, case, bench)


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    return scoring.regrade(check, case, outcome)


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    from evaluators.ab import verdict

    return verdict.judge(check, outcomes)


def characteristics(check: Check) -> Characteristics | None:
    """What it can show on so many cases, before anything runs."""
    from evaluators.ab import prospects

    return prospects.characteristics(check)


def decided(check: Check, outcomes: Sequence[Outcome]) -> bool:
    """Whether a check that is looked at as its cases come (`peek`) needs no more of them."""
    from evaluators.ab import verdict

    return verdict.decided(check, outcomes)
