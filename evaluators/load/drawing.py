"""What the panel of a load check draws, from what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from evaluators.load.language import LOOK
from evaluators.load.record import Answers, Audit, StageTold, answers_of, load_of
from evaluators.load.verdict import latencies, mark_of, rates, ruled_of, stage_ruled
from evaluators.timing import drawing as timing
from evaluators.timing.budgets import worst_of
from harness.contract import Check, CheckResult, Outcome
from harness.statistics.quantiles import between

_WRONG = 30
"""Cases answered wrong that are laid out."""
_WORDS = {
    "latency_ms": "Latency",
    "failures": "Share of requests that failed",
    "requests_per_s": "Answers a second",
    "answers.same": "Share of answers that were right",
    "caching": "Asked again, of the first time",
}
_SHOWN = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def drawing(check: Check, outcomes: Sequence[Outcome], result: CheckResult) -> dict[str, Any]:
    """Plain data for the panel; of what can't be read, nothing."""
    try:
        load = load_of(next(each.answer for each in outcomes if each.case == LOOK and each.outcome == "met"))
        ruled = list(ruled_of(check, load, outcomes))
    except (StopIteration, ValueError):
        return {"stages": [], "why": _why(outcomes)}
    stages = [_stage(check, stage, mark_of(load, stage)) for stage in load.stages]
    return {
        "stages": stages,
        "why": "",
        "budgets": [timing.row_of(each, _word(each.of)) for each in ruled if each.bar is not None],
        "besides": [each.said for each in ruled if each.bar is None],
        "latency": _against(stages, result),
        "rate": _rate(stages, result),
        "audit": _audit(load.audit),
        "server": {"ours": load.server.ours, "what": load.server.what, "came_up": load.server.came_up_s},
        "alone": load.alone,
        "wrong": list(_wrong(outcomes)),
        "trends": [{**row, "word": _word(row["figure"])} for row in timing.trends(result.trends)],
    }


def _why(outcomes: Sequence[Outcome]) -> str:
    """Why there was no load, where all cases say the same."""
    told = {each.reason for each in outcomes if each.outcome == "error"}
    return told.pop() if len(told) == 1 else ""


def _word(figure: str) -> str:
    """A figure's name, for people."""
    name, _, users = figure.partition("@")
    users = users.partition(".")[0]
    word = _WORDS.get(name)
    if word is None:
        first, _, quantile = name.partition(".")
        word = _WORDS.get(first, first) + (f", {quantile}" if quantile else "")
    return word + (f", {users} users" if users else "")


# --------------------------------------------------------------------------------------------- stages


def _stage(check: Check, stage: StageTold, mark: str) -> dict[str, Any]:
    ruled = list(stage_ruled(check, stage, mark))
    times = [ms for group in latencies(check, stage) for ms in group]
    return {
        "users": stage.users,
        "ruling": worst_of(ruled)[0].ruling if ruled else None,
        "curves": [{"name": f"{stage.users} users", "points": timing.ecdf(times)}] if times else [],
        "bars": timing.bars(each for each in ruled if each.of.startswith("latency_ms.")),
        "ours": _figures(stage),
        "locust": _locust(stage),
        "counted": len(stage.requests.at),
        "asked": stage.asked,
        "spawned": stage.spawned_s,
        "lasted": stage.lasted_s,
        "failures": sorted(stage.failures.items(), key=lambda each: -each[1]),
        "noise": stage.noise,
        "generator": stage.generator,
        "disturbed": stage.disturbed,
        "repeated": stage.repeated,
        "ended": stage.why,
        "report": stage.report,
    }


def _figures(stage: StageTold) -> dict[str, float | None]:
    each = stage.requests
    times = sorted(ms for ms, ok in zip(each.ms, each.ok, strict=True) if ok)
    found: dict[str, float | None] = {
        "requests": float(len(each.at)),
        "failures": float(each.ok.count(0)),
        "rps": sum(rates(stage)) / len(rates(stage)) if each.at else None,
    }
    found |= {word: between(times, share) if times else None for word, share in _SHOWN.items()}
    return found | {"max": times[-1] if times else None}


def _locust(stage: StageTold) -> dict[str, float | None]:
    return {key: stage.locust.get(key) for key in ("requests", "failures", "rps", *_SHOWN, "max")}


def _against(stages: Sequence[dict[str, Any]], result: CheckResult) -> dict[str, Any] | None:
    """Latency against the number of users, where there are several; with an interval where a budget has one."""
    if len(stages) < 2:
        return None
    series = []
    for word in ("p50", "p95"):
        told = [(stage["users"], stage["ours"][word]) for stage in stages if stage["ours"][word] is not None]
        line: dict[str, Any] = {"name": word, "points": [list(point) for point in told]}
        names = [f"latency_ms.{word}@{users}" for users, _ in told]
        if all(f"{name}.low" in result.figures for name in names):
            line["low"] = [result.figures[f"{name}.low"] for name in names]
            line["high"] = [result.figures[f"{name}.high"] for name in names]
        series.append(line)
    return {"series": series} if any(line["points"] for line in series) else None


def _rate(stages: Sequence[dict[str, Any]], result: CheckResult) -> dict[str, Any] | None:
    told = [[stage["users"], stage["ours"]["rps"]] for stage in stages if stage["ours"]["rps"] is not None]
    return {"series": [{"name": "answers a second", "points": told}]} if len(told) > 1 else None


# ------------------------------------------------------------------------------------ audit and answers


def _audit(audit: Audit | None) -> dict[str, Any] | None:
    if audit is None or not audit.cases:
        return None
    return {
        "pairs": len(audit.cases),
        "fresh": audit.fresh,
        "first": between(sorted(audit.first_ms), 0.5),
        "again": between(sorted(audit.again_ms), 0.5),
        "curves": [
            {"name": "asked first", "points": timing.ecdf(audit.first_ms)},
            {"name": "asked again", "points": timing.ecdf(audit.again_ms)},
        ],
        "disturbed": audit.disturbed,
    }


def _wrong(outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    """Cases that were answered wrong, those with the most wrong answers first."""
    missed = [(outcome, answers) for outcome in outcomes if (answers := _missed(outcome)) is not None]
    for outcome, answers in sorted(missed, key=lambda each: -each[1].wrong / max(each[1].answered, 1))[:_WRONG]:
        yield {
            "case": outcome.case,
            "wrong": answers.wrong,
            "answered": answers.answered,
            "answers": [{"answer": each.answer, "times": each.times} for each in answers.answers],
            "more": answers.more_right + answers.more_wrong,
            "expected": outcome.differences[0].expected if outcome.differences else None,
        }


def _missed(outcome: Outcome) -> Answers | None:
    if outcome.outcome != "missed":
        return None
    try:
        return answers_of(outcome.answer)
    except ValueError:
        return None
