"""From what a load left behind to a verdict. A pure function of what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from evaluators.load import auditing
from evaluators.load.language import LOOK, audited, budget_of, confidence_of, give_up_of, same_of, stages_of
from evaluators.load.record import Answers, Audit, Load, StageTold, answers_of, load_of
from evaluators.timing.budgets import (
    CONTAMINATED,
    Ruled,
    least_median,
    quantiles_within,
    share_at_most,
    under_noise,
    verdict_of,
)
from harness.contract import Check, Outcome, Ruling, Verdict
from harness.statistics.quantiles import between

STRETCHES = 10, 20
"""Of time: the fewest and the most that a stage is cut into. Requests of one depend on each other."""
_A_STRETCH = 20
"""Requests that one has, unless there would be too few or too many of them."""
_SHOWN = ("p50", 0.5), ("p95", 0.95), ("p99", 0.99)
_COUNTED = "exact: every answer under load was compared"
_WAITED = 0.98
"""Of the time that a user waits: who took as long was given up, and took longer than is known."""


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    look = next((each for each in outcomes if each.case == LOOK), None)
    if look is None or look.outcome == "skipped":
        return Verdict(verdict="inconclusive", reason="nothing was measured")
    if look.outcome != "met":
        return Verdict(verdict="error", reason="there was no load to judge")
    load = load_of(look.answer)
    if [stage.users for stage in load.stages] != [stage.users for stage in stages_of(check)]:
        return Verdict(verdict="error", reason="its stages are not those that were planned")
    ruled = list(ruled_of(check, load, outcomes))
    if any(each.ruling == "fail" for each in ruled):  # a server that fails its users has failed, answered or not
        ruled = [each for each in ruled if each.ruling != "error"]
    ruled = _told_once(ruled)
    ruled_on = {each.of for each in ruled}
    figures = {name: value for name, value in _figures(load).items() if name not in ruled_on}
    return verdict_of(ruled, figures=figures)


def _told_once(ruled: Sequence[Ruled]) -> list[Ruled]:
    """Why the machine was not quiet concerns all that was measured meanwhile, and is said of the first of it."""
    found, known = [], set()
    for each in ruled:
        mark, rest = each.of.partition("@")[2], each.said.partition("; ")[2]
        if not each.said.startswith(CONTAMINATED) or not rest:
            found.append(each)
        elif (why := (mark, each.said.partition("; ")[0])) in known:
            found.append(each._replace(said=rest))
        else:
            known.add(why)
            found.append(each)
    return found


def ruled_of(check: Check, load: Load, outcomes: Sequence[Outcome]) -> Iterator[Ruled]:
    """What is said of all that was asked: of the answers, of the cache, and of each stage."""
    may_pass = check.options.get("contaminated") == "may-pass"
    yield from _right(check, outcomes, sum(stage.asked for stage in load.stages))
    yield from _audited(check, load.audit, may_pass=may_pass)
    for stage in load.stages:
        yield from stage_ruled(check, stage, mark_of(load, stage))


def mark_of(load: Load, stage: StageTold) -> str:
    """What follows the names of a stage's figures."""
    return f"@{stage.users}" if len(load.stages) > 1 else ""


def stage_ruled(check: Check, stage: StageTold, mark: str) -> Iterator[Ruled]:
    may_pass = check.options.get("contaminated") == "may-pass"
    for each in _of_stage(check, stage):
        named = each._replace(of=each.of + mark, said=each.said.replace(each.of, each.of + mark, 1))
        yield under_noise(named, stage.disturbed, may_pass=may_pass)


def _right(check: Check, outcomes: Sequence[Outcome], sent: int) -> Iterator[Ruled]:
    """Whether what was answered under load is right, as often as is asked: that is counted, and owes no interval."""
    words = [each.outcome for each in outcomes if each.case != LOOK]
    told: list[Answers] = [
        answers_of(each.answer) for each in outcomes if each.outcome in ("met", "missed") and each.case != LOOK
    ]
    many, wrong = sum(each.answered for each in told), sum(each.wrong for each in told)
    asked = same_of(check)
    if many:
        share = (many - wrong) / many
        said = f"answers.same {share:.4g} of {asked:g} asked: {wrong:,} of {many:,} answers under load were wrong"
        ruling: Ruling = "pass" if share >= asked else "fail"
        yield Ruled(
            "answers.same", ruling, said, share, (share, share), None, many, bar=asked, least=True, method=_COUNTED
        )
    else:
        yield Ruled("answers.same", "inconclusive", "answers.same: nothing was answered", bar=asked, least=True)
    if not {"error", "skipped"} & set(words) and many + sum(sum(each.failed.values()) for each in told) < sent:
        yield Ruled("cases", "error", "fewer answers are recorded than requests were sent")
    if erred := words.count("error"):
        yield Ruled("cases", "error", f"{erred} of {len(words)} cases were never answered")
    if lacking := words.count("skipped"):
        what = f"{lacking} of {len(words)} cases were never asked: take fewer, or a longer duration"
        yield Ruled("cases", "inconclusive", what)


def _audited(check: Check, audit: Audit | None, *, may_pass: bool) -> Iterator[Ruled]:
    if audit is None:
        if audited(check):
            yield Ruled("caching", "error", "caching: it was not looked at")
        return
    ratios = [again / max(first, 1e-6) for first, again in zip(audit.first_ms, audit.again_ms, strict=True)]
    ruled = least_median("caching", "", [ratios], auditing.FASTER, confidence_of(check))
    if ruled.ruling == "fail":
        said = (
            f"{ruled.said}: a question that was asked before is answered faster, which `caching: allowed` would allow"
        )
        ruled = ruled._replace(said=said)
    yield under_noise(ruled, audit.disturbed, may_pass=may_pass)


def _of_stage(check: Check, stage: StageTold) -> Iterator[Ruled]:
    budget, confidence = budget_of(check), confidence_of(check)
    many = len(stage.requests.at)
    if not many:
        why = "all users were there" if stage.spawned_s >= 0 else "not all users were there before it was over"
        yield Ruled("requests", "inconclusive", f"requests: none was sent while {why}")
        return
    if stage.why and stage.why != "gone":
        what = f"requests: {stage.why}; write `requests: {many}` or less if that is meant"
        yield Ruled("requests", "inconclusive", what)
    times = latencies(check, stage)
    yield from quantiles_within("latency_ms", " ms", times, budget.get("latency_ms", {}), confidence, in_order=True)
    bad = [(group.count(0), len(group)) for group in _cut(stage, stage.requests.ok)]
    most = budget.get("failures", {}).get("max", 0.0)
    yield share_at_most("failures", bad, most, confidence, in_order=True) if most else _none_failed(bad)
    if "requests_per_s" in budget:
        least = budget["requests_per_s"]["min"]
        yield least_median(
            "requests_per_s", " a second", [[rate] for rate in rates(stage)], least, confidence, in_order=True
        )


def _none_failed(bad: Sequence[tuple[int, int]]) -> Ruled:
    """Where none may: that is counted, and owes no interval."""
    few, many = sum(few for few, _ in bad), sum(of for _, of in bad)
    said = f"failures: {few:,} of {many:,} requests failed, and none may"
    return Ruled("failures", "fail" if few else "pass", said, few / many, (few / many,) * 2, None, many, None, 0.0)


# ------------------------------------------------------------------------------------ what was recorded


def latencies(check: Check, stage: StageTold) -> list[list[float]]:
    """The milliseconds by stretch of time: of what was answered, and of what a user waited for in vain."""
    given_up = give_up_of(check) * 1000 * _WAITED
    each = stage.requests
    counted = [ms if ok or ms >= given_up else None for ms, ok in zip(each.ms, each.ok, strict=True)]
    return [[ms for ms in group if ms is not None] for group in _cut(stage, counted)]


def rates(stage: StageTold) -> list[float]:
    """Answers a second, by stretches of time in which they were asked for: who waits for one asks for no other."""
    groups = _cut(stage, stage.requests.ok)
    return [sum(group) * len(groups) / stage.lasted_s for group in groups]


def _cut(stage: StageTold, values: Sequence[Any]) -> list[list[Any]]:
    """Values of requests, by the stretch of time in which those were sent."""
    many = _stretches(stage)
    groups: list[list[Any]] = [[] for _ in range(many)]
    for at, value in zip(stage.requests.at, values, strict=True):
        groups[min(many - 1, int(at / stage.lasted_s * many))].append(value)
    return groups


def _stretches(stage: StageTold) -> int:
    fewest, most = STRETCHES
    return max(fewest, min(most, len(stage.requests.at) // _A_STRETCH))


def _figures(load: Load) -> dict[str, float]:
    """What else a reviewer wants to see; nothing here decides."""
    figures: dict[str, float] = {}
    for stage in load.stages:
        mark = mark_of(load, stage)
        each = stage.requests
        figures[f"samples{mark}"] = len(each.at)
        times = sorted(ms for ms, ok in zip(each.ms, each.ok, strict=True) if ok)
        if times:
            figures |= {f"latency_ms.{word}{mark}": between(times, share) for word, share in _SHOWN}
        if each.at:
            figures[f"failures{mark}"] = each.ok.count(0) / len(each.at)
            figures[f"requests_per_s{mark}"] = sum(rates(stage)) / len(rates(stage))
    if load.audit is not None and load.audit.first_ms:
        ratios = sorted(b / max(a, 1e-6) for a, b in zip(load.audit.first_ms, load.audit.again_ms, strict=True))
        figures["caching"] = between(ratios, 0.5)
    return figures
