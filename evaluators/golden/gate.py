"""When a check passes though some cases miss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from harness.contract import Characteristics, Check, Objection, Outcome, Prospect, Verdict, Word
from harness.statistics import proportion
from harness.statistics.prospects import Prospects, of_share
from harness.statistics.searching import enough, nearest

SCHEMA = {
    "type": "object",
    "properties": {
        "pass_rate": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "description": "a share above 0 and up to 1, such as 0.95",
        },
        "population": {
            "enum": ["suite", "sample"],
            "description": "`suite` (these very cases) or `sample` (cases drawn from a wider world)",
        },
        "confidence": {
            "type": "number",
            "minimum": 0.5,
            "exclusiveMaximum": 1,
            "description": "a number from 0.5 and below 1, such as 0.95",
        },
    },
    "required": ["pass_rate"],
    "additionalProperties": False,
    "description": "a mapping such as {pass_rate: 0.95}",
}
CONFIDENCE = 0.95
POWER = 0.8


def gate_faults(check: Check) -> Iterator[Objection]:
    """A gate that no outcome could pass, or whose method does not fit the cases, is refused before anything runs."""
    gate = check.options.get("gate")
    if not gate:
        return
    if gate.get("population", "suite") == "suite":
        if "confidence" in gate:
            yield Objection(
                ("gate", "confidence"),
                "gate",
                "a suite is all there is: nothing is estimated, and no confidence is owed",
                "remove it, or write `population: sample`",
            )
        return
    threshold, confidence = gate["pass_rate"], gate.get("confidence", CONFIDENCE)
    least = proportion.least_n(threshold, confidence)
    if least is None:
        yield Objection(
            ("gate", "pass_rate"),
            "gate",
            "no number of cases can show a rate of 1",
            "write a rate below 1, or `population: suite`",
        )
    elif check.cases and len(check.cases) < least:
        many = f"{len(check.cases)} case{'s' * (len(check.cases) != 1)}"
        what = f"{many} can never show a rate of {threshold:g} with a confidence of {confidence:g}, even if all are met"
        yield Objection(("gate", "pass_rate"), "gate", what, f"collect at least {least}")
    if any(case.weight != 1 for case in check.cases):
        yield Objection(
            ("gate", "population"),
            "gate",
            "cases with weights are not a sample of equals",
            "remove the weights, or write `population: suite`",
        )
    if any(case.cluster for case in check.cases):
        yield Objection(
            ("gate", "population"),
            "gate",
            "cases in clusters tell less than as many independent ones: this bound would be too narrow",
            "remove the clusters, or write `population: suite`",
        )


def gate_characteristics(check: Check) -> Characteristics | None:
    """How often a gate over a sample says what, were the true rate this or that."""
    gate = check.options.get("gate")
    if not gate or gate.get("population") != "sample" or not check.cases:
        return None
    bar, confidence, n = gate["pass_rate"], gate.get("confidence", CONFIDENCE), len(check.cases)

    def given(rate: float, many: int = n) -> Prospects:
        return of_share(many, rate, bar, confidence)

    truths = sorted({max(0.0, bar - 2 * (1 - bar)), max(0.0, 1.5 * bar - 0.5), bar, (1 + bar) / 2, (4 + bar) / 5, 1.0})
    rows = [(rate, given(rate)) for rate in truths]
    return Characteristics(
        of="the true share of cases met",
        bar=bar,
        rows=tuple(
            Prospect(truth=f"{rate:.4g}", value=rate, passes=p.passes, fails=p.fails, inconclusive=p.inconclusive)
            for rate, p in rows
        ),
        method=f"exact binomial, {n} cases",
        detectable=nearest(lambda rate: given(rate).passes >= POWER, bar, 1.0),
        needed_n=enough(lambda many: given((1 + bar) / 2, many).passes >= POWER, n),
    )


def judge_suite(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    """Without a gate every case must be met."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    rate, n = _rate(check, outcomes), len(outcomes)
    said = _said(counts, n)
    if counts["missed"]:
        return _suite("fail", rate, n, said)
    if counts["error"] or counts["skipped"]:
        return _suite("error" if counts["error"] else "inconclusive", rate, n, said)
    return _suite("pass", rate, n, said)


def judge_gate(check: Check, outcomes: Sequence[Outcome], gate: Mapping[str, Any]) -> Verdict:
    if gate.get("population", "suite") == "sample":
        return _judge_sample(outcomes, gate)
    counts = Counter(outcome.outcome for outcome in outcomes)
    threshold, rate, n = gate["pass_rate"], _rate(check, outcomes), len(outcomes)
    at_best = _rate(check, outcomes, ("met", "error", "skipped"))
    said = f"{_said(counts, n)}; the gate asks for {threshold:g}"
    if rate >= threshold and not counts["error"] and not counts["skipped"]:
        return _suite("pass", rate, n, said)
    if at_best < threshold:
        return _suite("fail", rate, n, said)
    return _suite("error" if counts["error"] else "inconclusive", rate, n, said)


def _judge_sample(outcomes: Sequence[Outcome], gate: Mapping[str, Any]) -> Verdict:
    """Pass where the exact lower bound reaches the rate, fail where the upper one stays below, else inconclusive."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    threshold, confidence = gate["pass_rate"], gate.get("confidence", CONFIDENCE)
    k, n = counts["met"], counts["met"] + counts["missed"]
    lacking = counts["error"] + counts["skipped"]
    method = f"Clopper-Pearson, one-sided {confidence:.4g}"
    if not n:
        return Verdict(
            verdict="error" if counts["error"] else "inconclusive", reason=_said(counts, len(outcomes)), method=method
        )
    low, high = proportion.clopper_pearson(k, n, confidence)
    decision = proportion.decide(k, n, threshold, confidence)
    said = f"{_said(counts, len(outcomes))}: between {low:.4f} and {high:.4f}; the gate asks for {threshold:g}"
    if lacking:
        # Even were all that is lacking met, it must still be shown to fail.
        failed = proportion.decide(k + lacking, n + lacking, threshold, confidence) == "fail"
        ruling: Any = "fail" if failed else "error" if counts["error"] else "inconclusive"
        return Verdict(verdict=ruling, reason=said, estimate=k / n, interval=(low, high), method=method, n=n)
    return Verdict(
        verdict=decision,
        reason=said,
        estimate=k / n,
        interval=(low, high),
        p=proportion.p_at_least(k, n, threshold),
        method=method,
        n=n,
        needed_n=proportion.deciding_n(k, n, threshold, confidence) if decision == "inconclusive" else None,
    )


def _suite(ruling: Any, rate: float, n: int, reason: str) -> Verdict:
    return Verdict(
        verdict=ruling,
        reason=reason,
        estimate=rate,
        interval=(rate, rate),
        method="exact: the suite is the population",
        n=n,
    )


def _rate(check: Check, outcomes: Sequence[Outcome], words: Sequence[str] = ("met",)) -> float:
    """The weighted share of outcomes that are one of these words, rounded once: 3 of 4 is 0.75 whatever they weigh."""
    weights = {case.id: case.weight for case in check.cases}
    if all(weight == 1 for weight in weights.values()):
        return sum(outcome.outcome in words for outcome in outcomes) / len(outcomes)
    chosen = _sum(weights[outcome.case] for outcome in outcomes if outcome.outcome in words)
    return float(chosen / _sum(weights[outcome.case] for outcome in outcomes))


def _sum(weights: Iterable[float]) -> Fraction:
    """The sum of weights as they are written, in tenths if need be: no sum of floats may tip a gate."""
    return sum((Fraction(repr(weight)) * times for weight, times in Counter(weights).items()), Fraction(0))


def _said(counts: Counter[Word], n: int) -> str:
    parts = [f"{counts['met']} of {n} cases met"]
    if counts["error"]:
        parts.append(f"{counts['error']} in error")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} skipped")
    return ", ".join(parts)
