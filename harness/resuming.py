"""A run that was cut short: what is left of it to measure, and whether it may be taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from harness import __version__, provenance
from harness.codec import digest_of_file, to_json
from harness.contract import Check, Outcome, Plan, Site, is_flaky, may_be_retried
from harness.ledger import PLAN, Record
from harness.pages import NotARun, read_run
from harness.proof.signing import SIGNATURES
from harness.spec.memory import read_plan
from harness.stages import ranks


class NotResumed(Exception):
    """Why a run can't be taken up again, in one line."""


class Again(NamedTuple):
    """A run to be taken up."""

    folder: Path
    plan: Plan
    record: Record
    retried: dict[int, dict[str, Outcome]]
    """By check, the errors that are tried again."""

    def done(self) -> dict[int, list[int]]:
        """By check, the places of the cases that have an outcome which stands."""
        found = {}
        for index, check in enumerate(self.plan.checks):
            known = self.record.checks.get(check.id, {}).keys() - self.retried.get(index, {}).keys()
            if known:
                found[index] = [at for at, case in enumerate(check.cases) if case.id in known]
        return found


def resume(folder: Path, site: Site, *, retry: bool) -> Again:
    """What is to be taken up of the run in a folder; `retry` measures again where what carries the model failed."""
    try:
        run = read_run(folder)
    except NotARun as error:
        raise NotResumed(f"the run in {folder} can't be taken up: {error}") from None
    if why := "; ".join(_speaks_against(run.plan, run.record, run.digests[PLAN], folder, site)):
        raise NotResumed(f"the run in {folder} can't be taken up: {why}")
    return Again(folder, run.plan, run.record, _retried(run.plan, run.record) if retry else {})


def _retried(plan: Plan, record: Record) -> dict[int, dict[str, Outcome]]:
    """By check, what is measured again: where the carrier failed, and what was left out because of such a check."""
    found: dict[int, dict[str, Outcome]] = {}
    again: set[str] = set()
    order = ranks(plan)
    for index in sorted(range(len(plan.checks)), key=order.__getitem__):
        check = plan.checks[index]
        known = record.checks.get(check.id, {})
        stood = not again.isdisjoint(check.after)
        mine = {id: each for id, each in known.items() if is_flaky(each) or (stood and may_be_retried(each))}
        if mine:
            found[index] = mine
            again.add(check.id)
    return found


def _speaks_against(plan: Plan, record: Record, digest: str, folder: Path, site: Site) -> Iterator[str]:
    if record.begin is None or record.begin.plan != digest:
        yield "it did not begin with the plan that is in it"
        return
    if plan.hallmark != __version__:
        yield f"Hallmark {plan.hallmark} began it, and this is {__version__}"
    elif record.begin.machine != provenance.machine():
        yield "it was begun on another machine, or with another Python"
    if any((folder / name).exists() for name in SIGNATURES):
        yield "it is signed, and nothing changes a row after that"
    changed = [name for name, known in plan.files.items() if not _same(site.root / name, known)]
    if changed:
        yield f"{changed[0]} changed since it was begun: begin a new run"
    elif other := _otherwise(plan, site):
        yield f"{other} would be another now: begin a new run"


def _same(path: Path, known: str) -> bool:
    try:
        return digest_of_file(path) == known
    except OSError:
        return not known  # it was not there when it was planned


def _otherwise(plan: Plan, site: Site) -> str:
    """What would be planned otherwise now than what is in the run's folder; empty where all is the same."""
    now = read_plan([site.root / spec.path for spec in plan.specs], site, plan.numerics)
    for key, model in plan.models.items():
        if not model.was and (key not in now.models or now.models[key].recipe != model.recipe):
            return f"the model `{model.name}`"
    checks = {check.id: _said(check, now) for check in now.checks}
    for check in plan.checks:
        if checks.pop(check.id, b"") != _said(check, plan):
            return f"the check `{check.name}`"
    if checks:
        return f"the check `{next(iter(checks))}`"
    terms = [to_json([each.specs, each.criteria, each.waivers]) for each in (plan, now)]
    return "what the certificate asks for" if terms[0] != terms[1] else ""


def _said(check: Check, plan: Plan) -> bytes:
    """What a check asks; which earlier run it is held against may have changed since, by this very run."""
    earlier = [role for role, key in check.others.items() if key in plan.models and plan.models[key].was]
    return to_json(replace(check, others={role: key for role, key in check.others.items() if role not in earlier}))
