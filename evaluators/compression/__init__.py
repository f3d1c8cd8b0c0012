"""Compressed models beside the one they were made from: what was lost, and what was saved.

- name: small
  kind: compression
  model: [int8, int4, sparse]
  baseline: base
  cases: ../golden/lenet5/digits.jsonl
  compare: {label: exact}
  claim: {margin: 0.02, bytes: 0.3, kl: 0.05}

Both models are asked every case. `margin` claims that the compressed one meets its cases no less often, give or take;
the other claims speak of its size, and of how far its probabilities stray on the baseline's own answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from evaluators.comparison import SCHEMA as COMPARE
from evaluators.comparison import comparison_faults, comparison_of
from evaluators.compression.claims import SCHEMA as CLAIM
from evaluators.compression.claims import claim_characteristics, claim_faults, judge_claims, said_of
from evaluators.compression.size import FOOTPRINT, discrepancies
from harness.contract import Case, Characteristics, Check, Difference, Measuring, Objection, Outcome, Verdict

SCHEMA = {
    "properties": {
        "baseline": {"type": "string", "description": "the name of the model that the others are held against"},
        "compare": COMPARE,
        "claim": CLAIM,
    },
    "required": ["model", "baseline", "cases", "claim"],
}
ROLES = ("baseline",)
PANEL = "panel.html"
OVERVIEW = "overview.html"
QUIET = False


def quiet(check: Check) -> bool:
    return "faster" in check.options["claim"]


def faults(check: Check) -> Iterator[Objection]:
    yield from comparison_faults(check)
    yield from claim_faults(check)
    if check.model == check.others["baseline"]:
        yield Objection(
            ("baseline",),
            "baseline",
            "a model is no smaller than itself",
            "name the model that the other was made from",
        )
    for index, case in enumerate(check.cases):
        if case.id == FOOTPRINT:
            what = f"`{FOOTPRINT}` is what a compression check calls its look at the weights"
            yield Objection(("cases", index), "case-id", what, "rename the case")


def expand(check: Check) -> Iterable[Case]:
    return (*check.cases, Case(id=FOOTPRINT, at=check.at, asks=False))


def characteristics(check: Check) -> Characteristics | None:
    return claim_characteristics(check)


def gated(check: Check) -> bool:
    return True


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    if not case.asks:
        return _weighed(case, {"model": _size(bench.facts()), "baseline": _size(bench.facts("baseline"))})
    answer, baseline = bench.answer(case), bench.answer(case, "baseline")
    strays = _divergence(bench.weigh(case, "baseline", on="baseline"), bench.weigh(case, on="baseline"))
    return _graded(check, case, {"model": answer, "baseline": baseline, "kl": strays}, bench.keep(comparison_of, check))


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    if not case.asks:
        return _weighed(case, said_of(outcome))
    return _graded(check, case, said_of(outcome), comparison_of(check))


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    return judge_claims(check, outcomes)


def _graded(check: Check, case: Case, answer: dict[str, Any], comparison: Any) -> Outcome:
    differences = comparison.differences(case.expect, answer["model"])
    kl = answer.get("kl")
    if kl is not None and not kl >= 0:
        raise ValueError(f"probabilities can't stray by {kl}")
    was_met = not comparison.differences(case.expect, answer["baseline"])
    reason = ("" if was_met else "the baseline misses it too") if differences else "" if was_met else "gained"
    if differences and was_met:
        reason = "lost: the baseline meets it"
    word: Any = "missed" if differences else "met"
    answer = {**answer, "baseline_met": was_met}
    return Outcome(case=case.id, outcome=word, answer=answer, differences=differences, reason=reason)


def _weighed(case: Case, answer: dict[str, Any]) -> Outcome:
    """Met where the stored bytes are those that the bits and the groups make."""
    found = [
        Difference(at=side, mode="formula", why=why)
        for side in ("model", "baseline")
        for why in discrepancies(answer[side].get("weights"))
    ]
    return Outcome(case=case.id, outcome="missed" if found else "met", answer=answer, differences=found)


def _size(facts: Any) -> dict[str, Any]:
    return {key: facts[key] for key in ("weights", "device") if key in facts}


def _divergence(expected: Any, got: Any) -> float | None:
    """The mean over an answer's places of what Kullback and Leibler measure, in nats; None where it can't be told."""
    if expected is None or got is None:
        return None
    import numpy

    if expected.shape != got.shape:  # they choose among other things
        return None
    if not len(expected):  # nothing was said, and nothing strays
        return 0.0
    p, q = numpy.asarray(expected, numpy.float64), numpy.asarray(got, numpy.float64)
    if numpy.isnan(p).any() or numpy.isnan(q).any():
        raise ValueError("a model's probabilities are not numbers")
    likely = numpy.exp(p)
    with numpy.errstate(invalid="ignore"):  # what never happens strays by nothing
        terms = numpy.where(likely > 0, likely * (p - q), 0.0)
    strays = float(terms.sum(axis=-1).mean())
    if strays == numpy.inf:
        raise ValueError("a model rules out what the baseline may say")
    return max(0.0, strays)
