"""What is claimed of a compressed model, and whether it was shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from statistics import mean, median
from typing import Any, NamedTuple

from evaluators.compression.size import FOOTPRINT
from harness.contract import Characteristics, Check, Objection, Outcome, Prospect, Ruling, Verdict
from harness.statistics import paired
from harness.statistics.estimate import Decision, Estimate
from harness.statistics.prospects import Prospects, of_pairs

CONFIDENCE = 0.95
_SHARE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
SCHEMA = {
    "type": "object",
    "properties": {
        "margin": {
            "type": "number",
            "minimum": 0.0001,
            "exclusiveMaximum": 1,
            "description": "the share of cases, from 0.0001 and below 1, by which it may do worse than the baseline",
        },
        "gain": {
            "type": "number",
            "minimum": 0,
            "exclusiveMaximum": 1,
            "description": "the share of cases, from 0 and below 1, by which it does better than the baseline",
        },
        "population": {
            "enum": ["sample", "suite"],
            "description": "`sample` (cases drawn from a wider world) or `suite` (these very cases)",
        },
        "confidence": {
            "type": "number",
            "minimum": 0.5,
            "exclusiveMaximum": 1,
            "description": "a number from 0.5 and below 1, such as 0.95, for a sample",
        },
        "kl": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "the most, above 0, that its probabilities may stray on the mean of these cases, in nats",
        },
        "bytes": {**_SHARE, "description": "the most that it may weigh, as a share of the baseline's bytes"},
        "parameters": {**_SHARE, "description": "the most parameters, as a share of the baseline's"},
        "bits_per_weight": {"type": "number", "exclusiveMinimum": 0, "description": "the most bits a weight, above 0"},
        "sparsity": {**_SHARE, "description": "the least share of weights that are zero"},
        "faster": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "the least ratio of the baseline's time to its own; not decided on CPU",
        },
    },
    "minProperties": 1,
    "additionalProperties": False,
    "description": "a mapping such as {margin: 0.02, bytes: 0.3}",
}
_WORST: Sequence[Ruling] = ("error", "fail", "inconclusive", "unsupported", "pass")
_NEEDED = ("margin", "gain", "kl", "bytes", "parameters", "bits_per_weight", "sparsity", "faster")


class Ruled(NamedTuple):
    """What is said of one claim."""

    ruling: Ruling
    said: str


class Pairs(NamedTuple):
    """How two models fared on the same cases."""

    n: int
    met: int
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        return (self.gained - self.lost) / self.n

    @property
    def baseline_met(self) -> int:
        return self.met - self.gained + self.lost


def claim_faults(check: Check) -> Iterator[Objection]:
    """Claims that contradict each other, and those that no outcome of these cases could show."""
    claim = check.options["claim"]
    if not any(key in claim for key in _NEEDED):
        yield Objection(("claim",), "claim", "nothing is claimed", "write a margin, such as {margin: 0.02}")
    for key in ("population", "confidence"):
        if key in claim and not {"margin", "gain"} & claim.keys():
            what = f"`{key}` belongs to `margin` or `gain`, and neither is claimed"
            yield Objection(("claim", key), "claim", what, "remove it")
    if {"margin", "gain"} <= claim.keys():
        yield Objection(("claim", "margin"), "claim", "what does better does no worse", "remove `margin`, or `gain`")
    if claim.get("population") == "suite" and "confidence" in claim:
        what = "a suite is all there is: nothing is estimated, and no confidence is owed"
        yield Objection(("claim", "confidence"), "claim", what, "remove it, or write `population: sample`")
    if any(case.weight != 1 for case in check.cases):
        yield Objection(("cases",), "claim", "cases with weights are no pairs of equals", "remove the weights")
    bar = next((key for key in ("margin", "gain") if key in claim), None)
    if bar is None or claim.get("population") == "suite":
        return
    if any(case.cluster for case in check.cases):
        what = "cases in clusters tell less than as many independent ones: this bound would be too narrow"
        yield Objection(("claim", bar), "claim", what, "remove the clusters, or write `population: suite`")
    if bar == "gain":
        return
    confidence = _confidence(claim)
    least = paired.least_pairs(claim["margin"], confidence, "exact")
    if check.cases and len(check.cases) < least:
        many = f"{len(check.cases)} case{'s' * (len(check.cases) != 1)}"
        what = f"{many} can never show a margin of {claim['margin']:g} with a confidence of {confidence:g}"
        yield Objection(("claim", "margin"), "claim", f"{what}, even if nothing differs", f"collect at least {least}")


def claim_characteristics(check: Check) -> Characteristics | None:
    """How often the claim over a sample is said to hold, were the model worse or better by so much."""
    claim, n = check.options["claim"], len(check.cases)
    bar = _bar(claim)
    if bar is None or claim.get("population") == "suite" or not n:
        return None
    n -= any(not case.asks for case in check.cases)
    alpha, margin = 1 - _confidence(claim), abs(bar)
    discordant = min(1.0, max(0.1, 2 * margin))

    def given(truth: float) -> Prospects:
        gained, lost = (discordant + truth) / 2, (discordant - truth) / 2
        return of_pairs("noninferior" if "margin" in claim else "superior", n, gained, lost, margin, alpha)

    truths = sorted({2 * bar, bar, bar / 2, 0.0} if "margin" in claim else {0.0, bar, bar + 0.03, bar + 0.06})
    rows = [(truth, given(truth)) for truth in truths if abs(truth) <= discordant]
    return Characteristics(
        of=f"the true difference, of {discordant:.0%} pairs that differ",
        bar=bar,
        rows=tuple(
            Prospect(truth=f"{truth:+.4g}", value=truth, passes=p.passes, fails=p.fails, inconclusive=p.inconclusive)
            for truth, p in rows
        ),
        method=f"exact enumeration, {n} pairs",
    )


def judge_claims(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    """The worst of what is said of each claim; a case in error leaves undecided what it could still tip."""
    claim = check.options["claim"]
    asked = [outcome for outcome in outcomes if outcome.case != FOOTPRINT]
    done = [outcome for outcome in asked if outcome.outcome in ("met", "missed")]
    bad = sum(outcome.outcome == "error" for outcome in outcomes)
    if not done:
        return Verdict(verdict="error" if bad else "inconclusive", reason="no case was answered by both models")
    pairs = _pairs(done)
    footprint = next((o for o in outcomes if o.case == FOOTPRINT and o.outcome in ("met", "missed")), None)
    weighed = said_of(footprint) if footprint else {}
    figures = {**_figures(pairs, done), **_sizes(weighed)}
    ruled = [_rule(key, claim, pairs, done, weighed, figures) for key in _NEEDED if key in claim]
    if footprint is not None and footprint.outcome == "missed":
        ruled.insert(0, Ruled("error", "the bytes are not those that the formula makes"))
    lacking = len(asked) - len(done)
    if lacking or footprint is None:
        many = f"{bad} in error" if bad else f"{lacking} not answered"
        ruled.insert(0, Ruled("error" if bad else "inconclusive", many))
    ruling = min((each.ruling for each in ruled), key=_WORST.index)
    low, high, p, method = _bounds(claim, pairs)
    bar = _bar(claim)
    confidence = _confidence(claim)
    needed = None
    if ruling == "inconclusive" and bar is not None and not lacking:
        needed = paired.deciding_pairs(pairs.gained, pairs.lost, pairs.n, bar, confidence, "exact")
    return Verdict(
        verdict=ruling,
        reason="; ".join(each.said for each in sorted(ruled, key=lambda each: _WORST.index(each.ruling))),
        estimate=pairs.difference,
        interval=(low, high),
        p=p,
        method=method,
        n=pairs.n,
        needed_n=needed,
        figures=figures,
    )


def said_of(outcome: Outcome) -> dict[str, Any]:
    """What was recorded of both models."""
    if not isinstance(outcome.answer, dict):
        raise ValueError(f"`{outcome.case}` has no record of both models")
    return outcome.answer


def _pairs(done: Sequence[Outcome]) -> Pairs:
    met = [(outcome.outcome == "met", bool(said_of(outcome)["baseline_met"])) for outcome in done]
    return Pairs(
        n=len(met),
        met=sum(mine for mine, _ in met),
        gained=sum(mine and not theirs for mine, theirs in met),
        lost=sum(theirs and not mine for mine, theirs in met),
    )


def _bounds(claim: Mapping[str, Any], pairs: Pairs) -> tuple[float, float, float | None, str]:
    """The interval of the difference in shares met, and how it was come by."""
    if claim.get("population") == "suite":
        return pairs.difference, pairs.difference, None, "exact: the suite is the population"
    confidence = _confidence(claim)
    if _bar(claim) is None:
        low, high = paired.tango(pairs.gained, pairs.lost, pairs.n, confidence)
        return low, high, None, f"Tango, one-sided {confidence:.4g}"
    _, found = _decided(claim, pairs)
    assert found.interval is not None
    return *found.interval, found.p, found.method


def _decided(claim: Mapping[str, Any], pairs: Pairs) -> tuple[Decision, Estimate]:
    """What the pairs, as a sample, say of the bar."""
    alpha = 1 - _confidence(claim)
    if "margin" in claim:
        return paired.noninferior_share(pairs.gained, pairs.lost, pairs.n, claim["margin"], alpha)
    return paired.superior_share(pairs.gained, pairs.lost, pairs.n, alpha, claim["gain"])


def _bar(claim: Mapping[str, Any]) -> float | None:
    """The difference that has to be exceeded."""
    return -claim["margin"] if "margin" in claim else claim.get("gain")


def _rule(
    key: str,
    claim: Mapping[str, Any],
    pairs: Pairs,
    done: Sequence[Outcome],
    weighed: Mapping[str, Any],
    figures: Mapping[str, float],
) -> Ruled:
    asked = claim[key]
    if key in ("margin", "gain"):
        return _better(claim, pairs)
    if key == "faster":
        return _faster(asked, done, weighed)
    if key == "kl":
        if "kl" not in figures:
            return Ruled("unsupported", "one of the models does not tell its probabilities, or of other choices")
        return Ruled(_within(figures["kl"], asked), f"strays by {figures['kl']:.3g} nats of {asked:g} allowed")
    if "bytes" not in figures or "baseline_bytes" not in figures:
        return Ruled("unsupported", "one of the models has no weights here to weigh")
    if key == "sparsity":
        share = figures["sparsity"]
        return Ruled("pass" if share >= asked else "fail", f"{share:.4g} of its weights are zero, {asked:g} asked")
    if key == "bits_per_weight":
        bits = figures["bits_per_weight"]
        return Ruled(_within(bits, asked), f"{bits:.4g} bits a weight of {asked:g} allowed")
    share = figures[key] / figures[f"baseline_{key}"]
    return Ruled(_within(share, asked), f"{share:.4g} of the baseline's {key}, {asked:g} allowed")


def _within(value: float, most: float) -> Ruling:
    return "pass" if value <= most else "fail"


def _better(claim: Mapping[str, Any], pairs: Pairs) -> Ruled:
    """Whether the difference is shown to exceed its bar; on a suite, whether it does (or, no worse, reaches it)."""
    bar = _bar(claim)
    assert bar is not None
    low, high, _, _ = _bounds(claim, pairs)
    flips = f"{pairs.lost} lost, {pairs.gained} gained"
    said = f"meets {pairs.met} of {pairs.n} cases, the baseline {pairs.baseline_met} ({flips})"
    asked = f"{-bar:g} worse is allowed" if "margin" in claim else f"more than {bar:g} better is asked"
    if claim.get("population") == "suite":
        enough = low >= bar if "margin" in claim else low > bar
        return Ruled("pass" if enough else "fail", f"{said}; {asked}")
    return Ruled(_decided(claim, pairs)[0], f"{said}: between {low:+.4f} and {high:+.4f}; {asked}")


def _confidence(claim: Mapping[str, Any]) -> float:
    return float(claim.get("confidence", CONFIDENCE))


def _faster(least: float, done: Sequence[Outcome], weighed: Mapping[str, Any]) -> Ruled:
    """Times tell on a device that computes packed weights as fast as it reads them; on CPU they tell of the backend."""
    device = str(weighed.get("model", {}).get("device", ""))
    if "gpu" not in device:
        return Ruled("unsupported", f"speed can't be claimed on {device or 'an unknown device'}")
    times = {(outcome.spent.get("model", 0.0), outcome.spent.get("baseline", 0.0)) for outcome in done}
    ratios = [theirs / mine for mine, theirs in times if mine > 0]  # cases of a batch share one time
    low = paired.median_at_least(ratios, CONFIDENCE) if ratios else None
    if low is None:
        return Ruled("inconclusive", f"{len(ratios)} batches are too few to compare times")
    said = (
        f"{median(ratios):.3g} times as fast, more than {low:.3g} with a confidence of {CONFIDENCE:g}; {least:g} asked"
    )
    high = paired.median_at_least([-ratio for ratio in ratios], CONFIDENCE)
    fails = high is not None and -high < least
    return Ruled("pass" if low >= least else "fail" if fails else "inconclusive", said)


def _figures(pairs: Pairs, done: Sequence[Outcome]) -> dict[str, float]:
    figures = {
        "met": pairs.met / pairs.n,
        "baseline_met": pairs.baseline_met / pairs.n,
        "lost": pairs.lost,
        "gained": pairs.gained,
    }
    strays = [kl for outcome in done if (kl := said_of(outcome).get("kl")) is not None]
    if len(strays) == len(done) and all(map(isfinite, strays)):
        figures["kl"] = mean(strays)
    for side, name in (("model", "latency_ms"), ("baseline", "baseline_latency_ms")):
        if times := [outcome.spent[side] for outcome in done if side in outcome.spent]:
            figures[name] = round(1000 * median(times), 4)
    return figures


def _sizes(weighed: Mapping[str, Any]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for side, prefix in (("model", ""), ("baseline", "baseline_")):
        weights = weighed.get(side, {}).get("weights")
        if weights:
            for key in ("bytes", "parameters", "bits_per_weight", "sparsity"):
                figures[prefix + key] = weights[key]
    return figures
