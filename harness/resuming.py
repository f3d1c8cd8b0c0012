"""A run that was cut short: what is left of it to measure, and whether it may be taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness import __version__, provenance
from harness.codec import digest_of_file
from harness.contract import Outcome, Plan, Site, may_be_retried
from harness.ledger import PLAN, Record
from harness.pages import NotARun, read_run
from harness.proof.signing import SIGNATURES
from harness.spec.memory import read_plan


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
    retried = {}
    for index, check in enumerate(run.plan.checks) if retry else ():
        known = run.record.checks.get(check.id, {})
        if errors := {id: outcome for id, outcome in known.items() if may_be_retried(outcome)}:
            retried[index] = errors
    return Again(folder, run.plan, run.record, retried)


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
    elif other := _remade(plan, site):
        yield f"the model `{other}` would be another now: begin a new run"


def _same(path: Path, known: str) -> bool:
    try:
        return digest_of_file(path) == known
    except OSError:
        return not known  # it was not there when it was planned


def _remade(plan: Plan, site: Site) -> str:
    """A model that would be made otherwise now than when the run was begun; empty where all are the same."""
    now = read_plan([site.root / spec.path for spec in plan.specs], site, plan.numerics)
    for key, model in plan.models.items():
        if not model.was and (key not in now.models or now.models[key].recipe != model.recipe):
            return model.name
    return ""
