"""What speaks against a record itself, whatever certificate was made of it: every recorded answer is graded again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from harness import policy, rooms
from harness.certify import PLAN, judge
from harness.codec import to_json
from harness.contract import DECIDED, STANDS_ON, Case, Check, Outcome, Setting, by_case
from harness.ledger import FILE as OUTCOMES
from harness.ledger import Begin, End, Line, Resumed
from harness.opening import setting_of
from harness.pages import Run
from harness.stages import grounds

_line = msgspec.json.Decoder(Line)
_spell = msgspec.json.Encoder().encode


class Problem(NamedTuple):
    """Why a file is not to be believed."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def speaks_against(run: Run) -> Iterator[Problem]:
    if run.record.torn:
        yield Problem(OUTCOMES, "the last line is torn")
    if run.record.begin is None:
        yield Problem(OUTCOMES, "it does not say how the run began")
    elif run.record.begin.plan != run.digests[PLAN]:
        yield Problem(PLAN, "it is not the plan that the run began with")
    yield from _planned(run)
    yield from _written(run)
    yield from _regraded(run)


def ungraded(run: Run) -> list[str]:
    """The kinds whose rooms can't grade a recorded answer again: what is said of them stands on the record alone."""
    kinds = sorted({check.kind for check in run.plan.checks})
    return [kind for kind in kinds if not hasattr(rooms.evaluator(kind), "regrade")]


def nameless(run: Run) -> list[str]:
    """The checks with answers of which the record does not say what gave them."""
    return [
        check.name
        for check in run.plan.checks
        if check.model and not rooms.quiet(check)
        if any(not each.by and each.outcome in ("met", "missed") for each in _asked(run, check))
    ]


def _asked(run: Run, check: Check) -> list[Outcome]:
    found = run.outcomes(check.id)
    return [found[case.id] for case in check.cases if case.asks and case.id in found]


def _planned(run: Run) -> Iterator[Problem]:
    """What no planner would have left in a plan."""
    if _spell(run.plan) != run.data[PLAN]:
        yield Problem(PLAN, "it is not written as Hallmark writes a plan: a key stands there twice, or means nothing")
    if twice := _twice(check.id for check in run.plan.checks):
        yield Problem(PLAN, f"two checks are called {twice}")
    for check in run.plan.checks:
        if twice := _twice(case.id for case in check.cases):
            yield Problem(PLAN, f"{check.id} has two cases that are called `{twice}`")
        if check.model and check.model not in run.plan.models:
            yield Problem(PLAN, f"{check.id} is asked of a model that is not there")


def _twice(names: Iterable[str]) -> str:
    return next((name for name, many in Counter(names).items() if many > 1), "")


def _written(run: Run) -> Iterator[Problem]:
    """Lines that no writer of ours would have left in a record, since another reader might take them otherwise."""
    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    settings: dict[str, Setting] = {}
    begun = ended = False
    for number, text in enumerate(run.data[OUTCOMES].split(b"\n")[:-1], 1):
        line = _line.decode(text)
        if _spell(line) != text:
            yield Problem(OUTCOMES, f"line {number} is not written as Hallmark writes it")
        if isinstance(line, Begin):
            if number > 1 or begun:
                yield Problem(OUTCOMES, f"line {number}: the run begins in it again")
            begun = True
        elif isinstance(line, Outcome):
            before = outcomes.setdefault((line.check, line.case), [])
            before.append(line)
            if len(before) > 1 and by_case(before)[line.case] is not line:
                yield Problem(OUTCOMES, f"line {number}: {line.check}::{line.case} has another outcome before it")
        elif isinstance(line, Setting) and setting_of(line.model, line.facts).id != line.id:
            yield Problem(OUTCOMES, f"line {number}: the setting {line.id} is not what its id was made of")
        elif isinstance(line, Setting) and settings.setdefault(line.id, line) != line:
            yield Problem(OUTCOMES, f"line {number}: the setting {line.id} was told otherwise before")
        if ended and not isinstance(line, Resumed):
            yield Problem(OUTCOMES, f"line {number}: it comes after the run's end")
        ended = isinstance(line, End)


def _regraded(run: Run) -> Iterator[Problem]:
    """Grade each recorded answer again, where its kind can."""
    stages = _Stages(run)
    for index, check in enumerate(run.plan.checks):
        regrade = getattr(rooms.evaluator(check.kind), "regrade", None)
        planned = {case.id for case in check.cases}
        for case, outcome in run.outcomes(check.id).items():
            if case not in planned:
                yield Problem(OUTCOMES, f"{check.id} has an outcome for `{case}`, which was not planned")
            if outcome.by and outcome.by not in run.record.settings:
                yield Problem(OUTCOMES, f"{check.id}::{case} was measured in a setting that is not recorded")
            elif outcome.by and run.record.settings[outcome.by].model != check.model:
                yield Problem(OUTCOMES, f"{check.id}::{case} was answered by another model than it was asked of")
        yield from _spared(run, check)
        yield from stages.unfounded(index)
        if regrade is None:
            continue
        for case_ in check.cases:
            found = run.outcomes(check.id).get(case_.id)
            if found is None or not (found.outcome in ("met", "missed") or _told_skipped(found)):
                continue
            if found.answer is UNSET or not _stands(run, check, case_, found, regrade):
                what = f"{check.id}::{case_.id} is recorded as {found.outcome}, but its answer is not"
                yield Problem(OUTCOMES, what)
    known = {check.id for check in run.plan.checks}
    for stray in run.record.checks.keys() - known:
        yield Problem(OUTCOMES, f"it has outcomes for {stray}, which was not planned")


def _told_skipped(found: Outcome) -> bool:
    """Whether a case was skipped for what came of it, and not because it was not asked."""
    return found.outcome == "skipped" and found.answer is not UNSET


def _stands(run: Run, check: Check, case: Case, found: Outcome, regrade: Any) -> bool:
    """Whether a recorded outcome is what its answer amounts to, and tells of the models what their settings tell.

    Nobody can look again at what a machine did while it was measured: that is graded as answers are.
    """
    room = rooms.evaluator(check.kind)
    if not case.asks and not (getattr(room, "QUIET", False) or getattr(room, "SEEN_ONCE", False)):
        bench: Any = _Recalled(run, check, found.by)
        seen = room.measure(check, case, bench)
        return seen.outcome == found.outcome and _same(
            [seen.answer, seen.differences], [found.answer, found.differences]
        )
    try:
        again = regrade(check, case, found)
    except ValueError:
        return False
    said = again.answer if again.answer is not UNSET else found.answer
    return bool(again.outcome == found.outcome and _same([said, again.differences], [found.answer, found.differences]))


def _same(one: Any, other: Any) -> bool:
    """To the byte, too: to Python, 1, 1.0 and True are equal."""
    return bool(one == other) and (UNSET in (one[0], other[0]) or to_json(one) == to_json(other))


class _Recalled:
    """A bench at which nobody can be asked, and that knows of each model what the record says."""

    def __init__(self, run: Run, check: Check, by: str) -> None:
        self._facts = {setting.model: setting.facts for setting in run.settings}
        self._facts |= {setting.model: setting.facts for setting in run.settings if setting.id == by}
        self._check = check

    def facts(self, role: str = "") -> Mapping[str, Any]:
        return self._facts[self._check.others[role] if role else self._check.model]

    def keep(self, build: Any, check: Check) -> Any:
        return build(check)


def _spared(run: Run, check: Check) -> Iterator[Problem]:
    """Cases that are said to have been needed no more, where that can't be."""
    found = run.outcomes(check.id).values()
    spared = [each for each in found if each.outcome == "skipped" and each.reason == DECIDED]
    if not spared:
        return
    rest = [each for each in found if not (each.outcome == "skipped" and each.reason == DECIDED)]
    if not rooms.optional(rooms.evaluator(check.kind), "decided", check, rest, default=False):
        yield Problem(OUTCOMES, f"{check.id}::{spared[0].case} was not measured, and nothing was decided without it")


class _Stages:
    """Cases that are said to stand on a check which did not pass, where it did, or where they don't."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._under = grounds(run.plan)
        self._day = policy.day_of(run.record.begin.started) if run.record.begin else ""

    def unfounded(self, index: int) -> Iterator[Problem]:
        check = self._run.plan.checks[index]
        found = self._run.outcomes(check.id).values()
        said = {each.reason: each for each in found if each.outcome == "skipped" and each.reason.startswith(STANDS_ON)}
        if not said:
            return
        shut = {self._run.plan.checks[at].name for at in self._under.get(index, ()) if not self._opens(at)}
        for reason, outcome in said.items():
            if not _named(reason.removeprefix(STANDS_ON), shut):
                what = f"{check.id}::{outcome.case} was not measured, and what it stands on passed"
                yield Problem(OUTCOMES, what)

    def _opens(self, at: int) -> bool:
        check = self._run.plan.checks[at]
        return policy.opens(self._run.plan, judge(check, self._run.outcomes(check.id)), self._day)


def _named(names: str, of: Iterable[str]) -> bool:
    """Whether a list of names, which may have commas in them, has one of these."""
    return any(f", {name}, " in f", {names}, " for name in of)
