"""From the scores of both sides to a verdict. A pure function of what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log
from typing import Any, NamedTuple

from evaluators.ab import peeking
from evaluators.ab.deciding import (
    Ruled,
    Sample,
    decide,
    fails_anyway,
    holm_alphas,
    margin_of_ratio,
    needed_n,
    shown_as_time,
)
from evaluators.ab.language import (
    Arm,
    Claim,
    alpha_of,
    arms_of,
    claim_of,
    is_clustered,
    is_paired,
    method_of,
    metric_of,
    within_of,
)
from evaluators.ab.planning import strata_of
from evaluators.ab.scoring import record_of
from harness.contract import Case, Check, Outcome, Ruling, Verdict
from harness.statistics import means, paired
from harness.statistics.arms import cochran_q
from harness.statistics.corrections import holm

Row = tuple[Case, dict[str, dict[str, Any]], Outcome]


class Judged(NamedTuple):
    """What is said of one candidate."""

    arm: Arm
    sample: Sample
    ruled: Ruled
    alpha: float
    needed: int | None
    fails: bool
    """Whether the contrary stands however many candidates there are, and whatever is lacking."""


class Tallied(NamedTuple):
    """What became of the cases."""

    rows: list[Row]
    errors: int
    lacking: list[Case]
    """Those without scores that are needed: in error, or skipped before it was decided."""
    spared: int


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    told = tallied(check, outcomes)
    if not told.rows:
        ruling: Ruling = "error" if told.errors else "inconclusive"
        return Verdict(verdict=ruling, reason=f"no case was answered by all sides{_said_of_plan(check)}")
    arms = _peeked(check, told) if check.options.get("peek") else _judged(check, told)
    shown = all(each.ruled.decision == "pass" for each in arms)
    failed = [each for each in arms if each.fails]
    worst = _worst(failed or arms)
    word: Ruling = "fail" if failed else "pass" if shown else "inconclusive"
    over = bool(check.options.get("peek")) and word != "inconclusive"  # what lacks then was not needed any more
    if told.lacking and word != "fail" and not over:
        word = "error" if told.errors else "inconclusive"
    adjusted = holm([each.ruled.estimate.p for each in arms])
    needed = [each.needed for each in arms if each.ruled.decision == "inconclusive"]
    found = worst.ruled.estimate
    return Verdict(
        verdict=word,
        reason=_reason(check, told, arms, worst, word) + _said_of_plan(check),
        estimate=found.estimate,
        interval=found.interval,
        p=adjusted[arms.index(worst)],
        method=_method(check, worst, len(arms)),
        n=worst.sample.n if check.options.get("peek") else len(told.rows),
        needed_n=max(needed) if word == "inconclusive" and needed and None not in needed and not told.lacking else None,  # type: ignore[type-var]
        figures=_figures(check, told, arms, adjusted),
    )


def decided(check: Check, outcomes: Sequence[Outcome]) -> bool:
    """Whether a check that is looked at as cases come needs no more of them."""
    if not check.options.get("peek"):
        return False
    told = tallied(check, outcomes)
    if not told.rows:
        return False
    arms = _peeked(check, told)
    return any(each.fails for each in arms) or all(each.ruled.decision == "pass" for each in arms)


def tallied(check: Check, outcomes: Sequence[Outcome]) -> Tallied:
    """In the order of the plan, whatever the order in which they came."""
    cases = {case.id: case for case in check.cases}
    place = {case: at for at, case in enumerate(cases)}
    ordered = sorted((outcome for outcome in outcomes if outcome.case in place), key=lambda each: place[each.case])
    done = [each for each in ordered if each.outcome in ("met", "missed")]
    spared = [each for each in ordered if peeking.is_spared(check, each)]
    rows = [(cases[each.case], record_of(check, each), each) for each in done]
    errors = sum(each.outcome == "error" for each in ordered)
    known = {each.case for each in (*done, *spared)}
    lacking = [cases[each.case] for each in ordered if each.case not in known]
    return Tallied(rows, errors, lacking, len(spared))


# ---------------------------------------------------------------------------------------- candidates


def _judged(check: Check, told: Tallied) -> list[Judged]:
    """Each candidate against the baseline; of several each at its own level, by Holm."""
    _, candidates = arms_of(check.options)
    claim, alpha, method, timed = claim_of(check), alpha_of(check), method_of(check), _is_timed(check)
    scale = margin_of_ratio(claim) if timed else claim
    samples = [_sample(check, told.rows, arm) for arm in candidates]
    alone = [decide(scale, sample, alpha, method) for sample in samples]
    levels = holm_alphas([each.estimate.p for each in alone], alpha)
    judged: list[Judged] = []
    for arm, sample, level in zip(candidates, samples, levels, strict=True):
        ruled = decide(scale, sample, level, method)
        needed = _in_cases(needed_n(scale, sample, ruled, level, method), sample, told)
        fails = ruled.decision == "fail"
        if fails and level > alpha / len(candidates):
            fails = decide(scale, sample, alpha / len(candidates), method).decision == "fail"
        if told.lacking:
            clusters = [_cluster(case) for case in told.lacking]
            fails = fails and fails_anyway(scale, sample, clusters, alpha / len(candidates), method)
        if timed:
            ruled = ruled._replace(estimate=shown_as_time(ruled.estimate))
        judged.append(Judged(arm, sample, ruled, level, needed, fails))
    return judged


def _peeked(check: Check, told: Tallied) -> list[Judged]:
    """By sequences over the cases up to the first without a score, each candidate at its share of alpha."""
    _, candidates = arms_of(check.options)
    claim, alpha = claim_of(check), alpha_of(check) / len(candidates)
    rows = told.rows[: peeking.reach(check, [case.id for case, _, _ in told.rows])]
    judged: list[Judged] = []
    for arm in candidates:
        sample = _sample(check, rows, arm) if rows else Sample([], None, None)
        at, ruled = peeking.look(claim, sample, len(check.cases), alpha)
        seen = sample._replace(differences=sample.differences[:at])
        judged.append(Judged(arm, seen, ruled, alpha, None, ruled.decision == "fail"))
    return judged


def _sample(check: Check, rows: Sequence[Row], arm: Arm) -> Sample:
    if _is_timed(check):
        return Sample(_log_ratios(check, rows, arm))
    baseline, _ = arms_of(check.options)
    ends = within_of(check)
    within = None if ends is None else (ends[0] - ends[1], ends[1] - ends[0])
    clusters = [_cluster(case) for case, _, _ in rows] if is_clustered(check) else None
    differences = [float(said[arm.side]["score"]) - float(said[baseline.side]["score"]) for _, said, _ in rows]
    if within is not None:  # rounding may lead a difference out of the scale by a trace
        differences = [min(within[1], max(within[0], difference)) for difference in differences]
    return Sample(differences, clusters, within)


def _cluster(case: Case) -> str:
    """A case of no cluster is one of its own."""
    return f"in {case.cluster}" if case.cluster else f"alone {case.id}"


def _log_ratios(check: Check, rows: Sequence[Row], arm: Arm) -> list[float]:
    """Of each batch, whose cases share their time, how many times faster than the baseline: above 0 where it is."""
    place = {case.id: at for at, case in enumerate(check.cases)}
    times: dict[int, list[float]] = {}
    for case, _, outcome in rows:
        both = times.setdefault(place[case.id] // check.batch, [0.0, 0.0])
        both[0] += outcome.spent.get("baseline", 0.0)
        both[1] += outcome.spent.get(arm.role or "model", 0.0)
    # A clock that shows nothing gives no ratio.
    return [log(theirs) - log(mine) for theirs, mine in times.values() if theirs > 0 and mine > 0] or [0.0]


def _in_cases(needed: int | None, sample: Sample, told: Tallied) -> int | None:
    """Of batches, how many cases they hold."""
    return None if needed is None else ceil(needed * len(told.rows) / max(1, sample.n))


def _worst(arms: Sequence[Judged]) -> Judged:
    """The candidate of which least was shown."""

    def rank(each: Judged) -> tuple[bool, float, float]:
        p, estimate = each.ruled.estimate.p, each.ruled.estimate.estimate
        return (each.ruled.decision == "pass", -(1.0 if p is None else p), 0.0 if estimate is None else estimate)

    return min(arms, key=rank)


def _is_timed(check: Check) -> bool:
    return metric_of(check).word == "latency"


# -------------------------------------------------------------------------------------- what is said


def _reason(check: Check, told: Tallied, arms: Sequence[Judged], worst: Judged, word: Ruling) -> str:
    said = _said(check, told, worst, word)
    if len(arms) > 1:
        shown = [each.arm.name for each in arms if each.ruled.decision == "pass"]
        which = f" ({_listed(shown)})" if 0 < len(shown) < len(arms) else ""
        said = f"shown for {len(shown)} of {len(arms)} candidates{which}; least for {worst.arm.name}: {said}"
    if told.lacking:
        lacking = f"{told.errors} in error" if told.errors else f"{len(told.lacking)} not answered"
        said = f"{said}; {lacking}" if word == "fail" else f"{lacking}; {said}"
    return said


def _said(check: Check, told: Tallied, judged: Judged, word: Ruling) -> str:
    baseline, _ = arms_of(check.options)
    found, sample = judged.ruled.estimate, judged.sample
    name, other = judged.arm.name, baseline.name
    rows = told.rows[: sample.n] if check.options.get("peek") else told.rows
    if _is_timed(check):
        ratio = 1 - (found.estimate or 0.0)
        said = f"{name} takes {ratio:.4g} times as long as {other}"
    elif is_paired(check):
        met = sum(record[judged.arm.side]["score"] for _, record, _ in rows)
        theirs = sum(record[baseline.side]["score"] for _, record, _ in rows)
        flips = f"{sample.lost} lost, {sample.gained} gained"
        said = f"{name} meets {met:g} of {sample.n} cases, {other} {theirs:g} ({flips})"
    else:
        mine, theirs = _mean(rows, judged.arm), _mean(rows, baseline)
        said = f"{name} scores {mine:.4g} on the mean of {len(rows)} cases, {other} {theirs:.4g}"
    if found.interval is not None:
        low, high = found.interval
        said += f": the difference is between {low:+.4f} and {high:+.4f}" if not _is_timed(check) else ""
        said += f": between {1 - high:.4g} and {1 - low:.4g} times" if _is_timed(check) else ""
    said += f"; {_asked(claim_of(check), timed=_is_timed(check))}"
    why = found.reason if word == "inconclusive" else ""
    if check.options.get("peek"):
        many = len(check.cases)
        when = (
            f"decided after {sample.n} of {many} cases" if word in ("pass", "fail") else f"after {sample.n} of {many}"
        )
        why = f"{when}; {why}" if why else when
    return f"{said}; {why}" if why else said


def _asked(claim: Claim, *, timed: bool) -> str:
    if claim.word == "superior":
        return "faster is claimed" if timed else "better is claimed"
    if claim.word == "different":
        return "a difference is claimed"
    if timed:
        return f"{1 + claim.margin:g} times is allowed{', either way' * (claim.word == 'equivalent')}"
    return f"{claim.margin:g} {'either way' if claim.word == 'equivalent' else 'worse'} is allowed"


def _said_of_plan(check: Check) -> str:
    kept = check.options.get("experiment")
    return "" if kept is None else f'; planned as "{kept["said"]["hypothesis"]}", locked {kept["said"]["locked"]}'


def _method(check: Check, judged: Judged, arms: int) -> str:
    said = judged.ruled.estimate.method
    if check.options.get("peek"):
        return said + (f", each candidate at {judged.alpha:.4g}" if arms > 1 else "")
    if "one-sided" not in said and "two-sided" not in said and judged.ruled.estimate.interval is not None:
        side = "two" if claim_of(check).word == "different" else "one"
        said += f", {side}-sided {1 - judged.alpha:.4g}"
    if _is_timed(check):
        said += ", of the logarithm of the ratio of each batch's times"
    return said + (f", Holm across {arms} candidates" if arms > 1 else "")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")


def _mean(rows: Sequence[Row], arm: Arm) -> float:
    return sum(float(said[arm.side]["score"]) for _, said, _ in rows) / max(1, len(rows))


# ------------------------------------------------------------------------------------------- figures


def _figures(check: Check, told: Tallied, arms: Sequence[Judged], adjusted: Sequence[float | None]) -> dict[str, float]:
    """By candidate, as `name.what`; what is told by tag as `name@tag.what`. Nothing here decides."""
    baseline, _ = arms_of(check.options)
    figures: dict[str, float] = {"measured": len(told.rows)}
    if told.spared:
        figures["spared"] = told.spared
    if not _is_timed(check):
        figures[f"{baseline.name}.score"] = _mean(told.rows, baseline)
    for judged, p in zip(arms, adjusted, strict=True):
        figures |= _of_arm(check, told.rows, judged, p, len(arms))
    if len(arms) > 1 and is_paired(check):
        sides = [baseline, *(each.arm for each in arms)]
        found = cochran_q([[int(said[arm.side]["score"]) for arm in sides] for _, said, _ in told.rows])
        figures["cochran_q.p"] = 1.0 if found.p is None else found.p
    return figures


def _of_arm(check: Check, rows: Sequence[Row], judged: Judged, adjusted: float | None, arms: int) -> dict[str, float]:
    name, found = judged.arm.name, judged.ruled.estimate
    told: Mapping[str, float | None] = {
        "shown": {"pass": 1.0, "fail": -1.0, "inconclusive": 0.0}[judged.ruled.decision],
        "difference": found.estimate,
        "low": found.interval[0] if found.interval else None,
        "high": found.interval[1] if found.interval else None,
        "p": found.p,
        "adjusted_p": adjusted if arms > 1 else None,
        "n": judged.sample.n,
        "effective_n": found.effective_n,
        "needed_n": judged.needed,
    }
    figures = {f"{name}.{key}": float(value) for key, value in told.items() if value is not None}
    if _is_timed(check):
        return figures
    everything = _sample(check, rows, judged.arm)
    figures |= {f"{name}.score": _mean(rows, judged.arm)}
    figures |= {f"{name}.lost": everything.lost, f"{name}.gained": everything.gained}
    for tag in strata_of(check):
        some = [row for row in rows if tag in row[0].tags]
        if some:
            figures |= {f"{name}@{tag}.{key}": value for key, value in _of_stratum(check, some, judged.arm).items()}
    return figures


def _of_stratum(check: Check, rows: Sequence[Row], arm: Arm) -> dict[str, float]:
    sample = _sample(check, rows, arm)
    confidence = 1 - alpha_of(check)
    told = {
        "n": float(sample.n),
        "difference": sum(sample.differences) / sample.n,
        "lost": float(sample.lost),
        "gained": float(sample.gained),
    }
    if is_paired(check):
        interval = paired.tango_interval(sample.gained, sample.lost, sample.n, confidence).interval
    else:
        interval = means.paired_means(sample.differences, confidence, sample.clusters, within=sample.within).interval
    return told if interval is None else {**told, "low": interval[0], "high": interval[1]}
