"""Outcomes to verdicts, verdicts to a certificate: pure functions of plan.json and outcomes.jsonl."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from harness import bar, policy, rooms
from harness.advice import recommendations
from harness.budget import within
from harness.contract import (
    STANDS_ON,
    Blocker,
    Certificate,
    Characteristics,
    Check,
    CheckResult,
    CriterionResult,
    Locked,
    Moved,
    Outcome,
    Plan,
    Ruling,
    RunFacts,
    Status,
    Tally,
    Verdict,
    WaiverResult,
)
from harness.ledger import PLAN as PLAN
from harness.ledger import Record
from harness.trends import trends

_WORST: Sequence[Ruling] = ("error", "fail", "inconclusive", "unsupported", "pass")


def judge(check: Check, found: Mapping[str, Outcome]) -> CheckResult:
    """The verdict of a check on what was measured of it. Nothing passes here by accident or by omission."""
    outcomes = [found[case.id] for case in check.cases if case.id in found]
    counts: Counter[str] = Counter(outcome.outcome for outcome in outcomes)
    verdict = _guarded(check, outcomes)
    return CheckResult(
        id=check.id,
        name=check.name,
        kind=check.kind,
        model=check.model or None,
        planned=len(check.cases),
        outcomes=Tally(**{word: counts.get(word, 0) for word in Tally.__struct_fields__}),
        at=check.at,
        seconds=round(sum(outcome.seconds for outcome in outcomes), 6),
        characteristics=characteristics(check),
        **msgspec.structs.asdict(verdict),
    )


def characteristics(check: Check) -> Characteristics | None:
    """What the check's gate can tell on its cases, where its room knows."""
    try:
        found: Characteristics | None = rooms.optional(rooms.evaluator(check.kind), "characteristics", check)
    except (ValueError, ArithmeticError, LookupError):
        return None
    return found


def _guarded(check: Check, outcomes: list[Outcome]) -> Verdict:
    missing = len(check.cases) - len(outcomes)
    if not outcomes:
        return Verdict(verdict="inconclusive", reason="no case was measured")
    if stood := _stood_on(check, outcomes):
        advice = f"mend {stood.removeprefix(STANDS_ON)} first"
        return Verdict(verdict="inconclusive", reason=f"skipped: {stood}, which did not pass", advice=advice)
    try:
        verdict = rooms.evaluator(check.kind).judge(check, outcomes)
        flaw = _flaw(verdict, _needed(check, outcomes))
        gated = rooms.gated(check)
    except Exception as error:
        return Verdict(verdict="error", reason=f"the judge failed: {type(error).__name__}: {error}")
    if flaw:
        return Verdict(verdict="error", reason=f"the judge's verdict can't stand: {flaw}")
    if all(outcome.outcome == "skipped" for outcome in outcomes) and verdict.verdict != "unsupported":
        return Verdict(verdict="inconclusive", reason="every case was skipped")
    if verdict.verdict == "error" and (cause := _cause(outcomes)):
        verdict = msgspec.structs.replace(verdict, reason=f"{verdict.reason}; {cause}")
    if missing and (verdict.verdict == "pass" or gated):
        reason = f"{missing} of {len(check.cases)} cases have no outcome"
        advice = "measure every case"
        return msgspec.structs.replace(verdict, verdict="inconclusive", reason=reason, needed_n=None, advice=advice)
    return verdict


def _stood_on(check: Check, outcomes: Sequence[Outcome]) -> str:
    """What a check stands on that was not measured because of it."""
    whys = {each.reason for each in outcomes if each.outcome == "skipped" and each.reason.startswith(STANDS_ON)}
    return min(whys) if check.after and whys else ""


def _needed(check: Check, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """The outcomes that a verdict stands on: of a check that may stop early, those before anything was spared."""
    decided = rooms.optional(rooms.evaluator(check.kind), "decided", check, outcomes, default=False)
    return [outcome for outcome in outcomes if outcome.outcome != "error"] if decided else outcomes


def _cause(outcomes: Sequence[Outcome]) -> str:
    """What most of the cases in error say."""
    whys = Counter(outcome.reason for outcome in outcomes if outcome.outcome == "error")
    if not whys:
        return ""
    why, many = whys.most_common(1)[0]
    of = f"{many} of {whys.total()} errors" if len(whys) > 1 else f"all {many} errors" if many > 1 else "the error"
    return f"{of}: {why}"


def _flaw(verdict: Verdict, outcomes: Sequence[Outcome]) -> str | None:
    """Why a room's verdict is not to be believed, whatever the room."""
    if not isinstance(verdict, Verdict) or verdict.verdict not in _WORST:
        return "it is none"
    numbers = [verdict.estimate, verdict.p, *(verdict.interval or ()), *verdict.figures.values()]
    if any(number is not None and not math.isfinite(number) for number in numbers):
        return "its figures are not finite"
    if verdict.interval is not None and verdict.interval[0] > verdict.interval[1]:
        return "its interval is upside down"
    if verdict.verdict != "pass":
        return None
    if verdict.estimate is None or verdict.interval is None or verdict.n < 1:
        return "it passes without an estimate, an interval and an n"
    if any(outcome.outcome == "error" for outcome in outcomes):
        return "it passes over cases in error"
    return None


def certify(
    plan: Plan, record: Record, digests: Mapping[str, str], results: Sequence[CheckResult] | None = None
) -> Certificate:
    """The certificate of a run; `results` may carry verdicts that were computed already."""
    if results is None:
        results = [judge(check, record.checks.get(check.id, {})) for check in plan.checks]
    results = within(plan, results, record.begin.looks if record.begin else {})
    day = policy.day_of(record.begin.started) if record.begin else ""
    locked = bar.held(plan, record.begin) if record.begin else None
    results = policy.waived(plan, [_followed(result, record) for result in results], day)
    by_id = {result.id: result for result in results}
    criteria = policy.criteria(plan, by_id)
    score, meaning = policy.score(criteria)
    waivers = policy.waivers(plan, by_id, day)
    void = [remark.text for remark in record.remarks if remark.voids]
    if record.begin is not None and digests.get(PLAN, record.begin.plan) != record.begin.plan:
        void.insert(0, "the record was begun with another plan")
    void += _other_files(plan, record)
    blockers = [_blocker(plan, result) for result in results if _blocks(result)]
    blockers += [_moved(plan, moved) for moved in locked.moved] if locked else []
    status, reason = _status(plan, record, results, criteria, void)
    finished = record.end.finished if record.end else None
    expires = policy.expiry(plan, waivers, finished) if status == "certified" else None
    if expires and finished and datetime.fromisoformat(expires) <= datetime.fromisoformat(finished):
        status, reason, expires = "incomplete", f"what it stands on ended on {expires}, before the run did", None
    if locked and locked.moved and status in ("certified", "inconclusive"):
        status, reason = "blocked", f"the bar moved after it was locked: {_told(locked.moved)}"
    return Certificate(
        schema=Certificate.SCHEMA,
        status=status,
        reason=reason,
        run=_run(plan, record, results),
        checks=tuple(results),
        criteria=criteria,
        blockers=tuple(blockers),
        recommendations=recommendations(plan, record.checks, results, locked),
        score=score,
        score_meaning=meaning,
        expires=expires if status == "certified" else None,
        waivers=waivers,
        locked=locked,
        previous=record.begin.previous if record.begin else None,
        notes=(
            *plan.notes,
            *_numerics(plan, record),
            *_looks(record, results),
            *_retried(record, results),
            *_waivers(waivers, results),
            *_lock(locked),
            *(remark.text for remark in record.remarks),
        ),
        provenance=_provenance(plan, record, digests),
    )


def _followed(result: CheckResult, record: Record) -> CheckResult:
    """With how its figures went, where earlier runs told them."""
    earlier = record.begin.earlier.get(result.id) if record.begin else None
    return msgspec.structs.replace(result, trends=trends(result, earlier)) if earlier else result


def _waivers(waivers: Sequence[WaiverResult], results: Sequence[CheckResult]) -> list[str]:
    """Waivers that nothing stands on."""
    erred = {result.id for result in results if result.verdict == "error"}
    return [
        f"{each.check.rpartition('::')[2]}: the waiver at {each.at} "
        + ("does not hold: what went wrong can't be waived" if each.check in erred else "is not needed: take it out")
        for each in waivers
        if not each.used
    ]


def _retried(record: Record, results: Sequence[CheckResult]) -> list[str]:
    """Cases that were measured again, since what carries the model had failed."""
    said = []
    for result in results:
        flaky = list(dict.fromkeys(record.flaky.get(result.id, ())))
        if flaky:
            many = _count(len(flaky), "case")
            said.append(f"{result.name}: flaky: {many} measured again after an error of the carrier, {flaky[0]} first")
    return said


def _lock(locked: Locked | None) -> list[str]:
    """What a reviewer must know of a bar that was locked, where it did not move."""
    if locked is None:
        return []
    said = [f"{name}: its text is another than when the bar was locked, and says the same" for name in locked.reworded]
    many = len(locked.unlocked)
    return said + (
        [f"{_count(many, 'check')} came after the bar was locked, {locked.unlocked[0]} first"] if many else []
    )


def _told(moved: Sequence[Moved]) -> str:
    """The first of what moved, and how much more did."""
    more = f", and {len(moved) - 1} more" if len(moved) > 1 else ""
    return f"{moved[0].check.rpartition('::')[2]}: {bar.told(moved[0])}{more}"


def _moved(plan: Plan, moved: Moved) -> Blocker:
    at = next((check.at for check in plan.checks if check.id == moved.check), moved.check.partition("::")[0])
    spec = moved.check.partition("::")[0]
    there = any(each.path == spec for each in plan.specs)
    return Blocker(
        check=moved.check,
        reason=f"the bar moved after it was locked: {bar.told(moved)}",
        at=at if ":" in at else f"{at}:1" if there else "hallmark.lock:1",
        reproduce=f"hallmark plan {shlex.quote(spec)}" if there else "hallmark plan",
    )


def _looks(record: Record, results: Sequence[CheckResult]) -> list[str]:
    """What a reviewer must know of what was asked before, and of promises that were changed since."""
    names = {result.id: result.name for result in results}
    said = [
        f"{result.name}: the {_nth(result.look)} look at the same question" for result in results if result.look > 1
    ]
    broken = record.begin.broken if record.begin else {}
    return said + [f"{names.get(id, id)}: {change}" for id, changes in broken.items() for change in changes]


def _nth(number: int) -> str:
    words = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return words.get(number, f"{number}{ending}")


def _status(
    plan: Plan,
    record: Record,
    results: Sequence[CheckResult],
    criteria: Sequence[CriterionResult],
    void: Sequence[str],
) -> tuple[Status, str]:
    """Incomplete outranks everything: what was not measured can't be vouched for, nor fully blamed."""
    lacking = _lacking(plan, record, results, void)
    if lacking is not None:
        return "incomplete", lacking
    bad = [result for result in results if _blocks(result)]
    if bad:
        return (
            "blocked",
            f"{_count(len(bad), 'check')} of {len(results)} did not pass: {_names(bad)}",
        )
    open_ = [result for result in results if result.verdict == "inconclusive" and not result.waived]
    if open_:
        return (
            "inconclusive",
            f"{_count(len(open_), 'check')} of {len(results)} could not be decided: {_names(open_)}",
        )
    unheard = [criterion for criterion in criteria if criterion.verdict != "pass" and not criterion.waived]
    if unheard:
        return "inconclusive", f"{unheard[0].id} stands on a check that can't be measured here"
    if not any(result.verdict == "pass" for result in results):
        return "inconclusive", "no check passed: all are waived"
    return "certified", _passed(results, plan.cases())


def _lacking(plan: Plan, record: Record, results: Sequence[CheckResult], void: Sequence[str]) -> str | None:
    """Why not everything that was planned was measured as it was planned."""
    planned, measured = plan.cases(), sum(result.outcomes.total() for result in results)
    if not results or not planned:
        return "there was nothing to measure"
    if record.end is None:
        return f"the run did not finish: {measured} of {planned} cases have an outcome"
    if measured < planned:
        why = f" ({record.end.stopped})" if record.end.stopped else ""
        return f"{planned - measured} of {planned} cases have no outcome{why}"
    if record.end.stopped:
        return record.end.stopped
    if void:
        return void[0]
    unsteady = [key for key, digests in _digests(record).items() if key and len(digests) > 1]
    return f"the model {unsteady[0]} was not the same throughout the run" if unsteady else None


def _passed(results: Sequence[CheckResult], planned: int) -> str:
    """What passed of a run that is certified, and what did not have to."""
    excused = [result for result in results if result.waived]
    mute = [result for result in results if result.verdict == "unsupported" and not result.waived]
    passed = len(results) - len(mute) - len(excused)
    whole = passed > 1 and not mute and not excused
    said = f"{'all ' * whole}{_count(passed, 'check')} passed on {_count(planned, 'case')}"
    said += f"; {_names(excused)} did not, and {'is' if len(excused) == 1 else 'are'} waived" if excused else ""
    return said + (f"; {_names(mute)} can't be measured here, and no criterion needs it" if mute else "")


def _blocks(result: CheckResult) -> bool:
    return result.verdict in ("fail", "error") and not result.waived


def _names(results: Sequence[CheckResult]) -> str:
    return ", ".join(result.name for result in results[:5]) + (" ..." if len(results) > 5 else "")


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _run(plan: Plan, record: Record, results: Sequence[CheckResult]) -> RunFacts:
    begin, end = record.begin, record.end
    return RunFacts(
        id=begin.run if begin else "",
        started=begin.started if begin else "",
        finished=end.finished if end else None,
        seconds=end.seconds if end else None,
        hallmark=plan.hallmark,
        planned=plan.cases(),
        measured=sum(result.outcomes.total() for result in results),
        stopped=end.stopped if end else None,
        resumed=tuple(record.resumed),
    )


def _blocker(plan: Plan, result: CheckResult) -> Blocker:
    return Blocker(check=result.id, reason=result.reason, at=result.at, reproduce=plan.command(result.id))


def _other_files(plan: Plan, record: Record) -> list[str]:
    """Files that a model read and that were not, then, what the plan had read."""
    read = [(name, found) for s in record.settings.values() for name, found in s.facts.get("files", {}).items()]
    return [f"{name} was another when it was measured" for name, found in read if plan.files.get(name) != found]


def _numerics(plan: Plan, record: Record) -> list[str]:
    """What a reviewer must know of numerics: the fast ones are told, and so is where they were asked for in vain."""
    if plan.numerics == "strict":
        return []
    whys = sorted({str(s.facts["numerics_why"]) for s in record.settings.values() if "numerics_why" in s.facts})
    return whys or ["numerics are fast: answers may differ from the installed backend's in their last digits"]


def _digests(record: Record) -> dict[str, list[str]]:
    """The digests that each model answered under: one, unless it changed."""
    found: dict[str, set[str]] = {}
    for setting in record.settings.values():
        found.setdefault(setting.model, set()).add(setting.facts.get("digest", ""))
    return {key: sorted(digests) for key, digests in found.items()}


def _provenance(plan: Plan, record: Record, digests: Mapping[str, str]) -> dict[str, Any]:
    found = _digests(record)
    return {
        "record": dict(digests),
        "files": plan.files,
        "models": {
            key: {"how": model.made(), "recipe": model.recipe, "digests": found.get(key, [])}
            for key, model in plan.models.items()
        },
        "settings": [
            {"id": setting.id, "model": setting.model, **setting.facts} for setting in record.settings.values()
        ],
        "machine": record.begin.machine if record.begin else {},
    }
