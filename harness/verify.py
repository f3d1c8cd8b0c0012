"""Recomputes a certificate from its run folder, without the models, and names every file that disagrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import UNSET

from harness import __version__, rooms
from harness.certify import PLAN
from harness.contract import DECIDED, Case, Check, Outcome
from harness.ledger import FILE as OUTCOMES
from harness.pages import CERTIFICATE, NotARun, Run, read_run
from harness.store import ATTACHED, attached_at


def problems(folder: Path, now: datetime | None = None) -> list[str]:
    """Why the run in `folder` is not to be believed; empty where it is."""
    try:
        run = read_run(folder)
    except NotARun as error:
        return [str(error)]
    try:
        return list(_problems(run, folder, now or datetime.now(UTC)))
    except Exception as error:
        # What was written by a run can be recomputed: what can't be was written by somebody else.
        return [f"{PLAN} and {OUTCOMES}: they can't be recomputed: {type(error).__name__}: {error}"]


def doubts(run: Run) -> Iterator[str]:
    """What speaks against the record itself, whatever certificate was made of it."""
    if run.record.torn:
        yield f"{OUTCOMES}: the last line is torn"
    if run.record.begin is None:
        yield f"{OUTCOMES}: it does not say how the run began"
    elif run.record.begin.plan != run.digests[PLAN]:
        yield f"{PLAN}: it is not the plan that the run began with"
    yield from _regraded(run)


def _problems(run: Run, folder: Path, now: datetime) -> Iterator[str]:
    yield from doubts(run)
    try:
        said = (folder / CERTIFICATE).read_bytes()
    except OSError as error:
        yield f"{CERTIFICATE}: {error.strerror}"
        return
    if run.plan.hallmark != __version__:
        yield f"{CERTIFICATE}: Hallmark {run.plan.hallmark} wrote it and this is {__version__}: verify it with that"
    elif said != run.certificate_data:
        yield f"{CERTIFICATE}: it is not what {PLAN} and {OUTCOMES} amount to"
    else:
        yield from _told(run, folder)
    certificate = run.certificate
    if certificate.expires and now >= datetime.fromisoformat(certificate.expires):
        yield f"{CERTIFICATE}: it expired on {certificate.expires}"
    if certificate.run.finished and now < datetime.fromisoformat(certificate.run.finished):
        yield f"{CERTIFICATE}: it is from the future, {certificate.run.finished}"


def _told(run: Run, folder: Path) -> Iterator[str]:
    for name in rooms.names(rooms.REPORTS):
        room = rooms.report(name)
        path = folder / room.FILE
        if room.FILE != CERTIFICATE and path.exists() and path.read_bytes() != room.tell(run):
            yield f"{room.FILE}: it is not the report of this run; `hallmark report` writes it anew"
    for path in sorted(path for path in (folder / ATTACHED).rglob("*") if path.is_file()):
        stem, _, rest = path.name.partition(".")
        plain = stem + rest[rest.find(".") :] if "." in rest else stem
        if attached_at(path.parent, plain, path.read_bytes()) != path:
            yield f"{path.relative_to(folder).as_posix()}: it is not the file that was attached"


def _stands(run: Run, check: Check, case: Case, found: Outcome, regrade: Any) -> bool:
    """Whether a recorded outcome is what its answer amounts to, and tells of the models what their settings tell.

    Nobody can look again at what a machine did while it was measured: that is graded as answers are.
    """
    room = rooms.evaluator(check.kind)
    if not case.asks and not (getattr(room, "QUIET", False) or getattr(room, "SEEN_ONCE", False)):
        bench: Any = _Recalled(run, check, found.by)
        seen = rooms.evaluator(check.kind).measure(check, case, bench)
        return (seen.outcome, seen.answer, seen.differences) == (found.outcome, found.answer, found.differences)
    try:
        again = regrade(check, case, found)
    except ValueError:
        return False
    said = again.answer if again.answer is not UNSET else found.answer
    return bool((again.outcome, again.differences) == (found.outcome, found.differences) and said == found.answer)


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


def _spared(run: Run, check: Check) -> Iterator[str]:
    """Cases that are said to have been needed no more, where that can't be."""
    found = run.outcomes(check.id).values()
    spared = [each for each in found if each.outcome == "skipped" and each.reason == DECIDED]
    if not spared:
        return
    rest = [each for each in found if not (each.outcome == "skipped" and each.reason == DECIDED)]
    if not rooms.optional(rooms.evaluator(check.kind), "decided", check, rest, default=False):
        yield f"{OUTCOMES}: {check.id}::{spared[0].case} was not measured, and nothing was decided without it"


def _regraded(run: Run) -> Iterator[str]:
    """Grade each recorded answer again, where its kind can."""
    for check in run.plan.checks:
        regrade = getattr(rooms.evaluator(check.kind), "regrade", None)
        planned = {case.id for case in check.cases}
        for case, outcome in run.outcomes(check.id).items():
            if case not in planned:
                yield f"{OUTCOMES}: {check.id} has an outcome for `{case}`, which was not planned"
            if outcome.by and outcome.by not in run.record.settings:
                yield f"{OUTCOMES}: {check.id}::{case} was measured in a setting that is not recorded"
        yield from _spared(run, check)
        if regrade is None:
            continue
        for case_ in check.cases:
            found = run.outcomes(check.id).get(case_.id)
            if found is None or found.outcome not in ("met", "missed"):
                continue
            if found.answer is UNSET or not _stands(run, check, case_, found, regrade):
                yield f"{OUTCOMES}: {check.id}::{case_.id} is recorded as {found.outcome}, but its answer is not"
    known = {check.id for check in run.plan.checks}
    for stray in run.record.checks.keys() - known:
        yield f"{OUTCOMES}: it has outcomes for {stray}, which was not planned"
