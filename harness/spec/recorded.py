"""Models as an earlier run had them: `base@certified` is the `base` of the last run that certified this spec."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.codec import digest
from harness.contract import Declared, Plan, Setting, Site
from harness.ledger import CERTIFIED, FILE, PLAN, Damaged, Record, certified_as
from harness.spec.document import Document
from harness.spec.faults import Spot, meant, refusal
from harness.spec.places import resolve, shown

_GONE = "-"


class Recorded(NamedTuple):
    """A model of an earlier run."""

    name: str
    """Such as `base@20261120-101500-4f2a`."""
    declared: Declared


def run_named(name: str, site: Site) -> str:
    """What a name beside the runs stands for now: empty where it never was given, a dash where that is no run."""
    path = Path(os.path.realpath(site.runs / name))
    there = (path / PLAN).is_file() and path.parent == Path(os.path.realpath(site.runs))
    return path.name if there else _GONE if os.path.lexists(site.runs / name) else ""


def recorded(run: str, model: str, at: Spot, document: Document, site: Site, named: dict[str, str]) -> Recorded | None:
    """That model of that run; None where nothing was certified yet. What a name stood for is noted in `named`."""
    folder = _folder(run, at, document, site, named)
    if folder is None:
        return None
    where = shown(folder, site.root)
    data = document.load(folder / PLAN, f"{where}/{PLAN}")
    try:
        plan = msgspec.json.decode(data, type=Plan)
        record = Record((folder / FILE).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, Damaged):
        raise refusal(at, "run", f"`{where}` is no run that can be read", "name a run's folder") from None
    if record.begin is None or record.begin.plan != digest(data):
        raise refusal(at, "run", f"{where}/{PLAN} is not the plan that the run began with", "name another run")
    key, declared = _of(plan.models, model, document.name)
    if declared is None:
        names = sorted({each.name for each in plan.models.values()})
        raise refusal(at, "run", f"the run {folder.name} has no model `{model}`", meant(model, names))
    was = next((said for setting in record.settings.values() if (said := _digest(setting, key))), "")
    if not was:
        raise refusal(at, "run", f"the run {folder.name} never opened `{model}`", "name a run that measured it")
    return Recorded(f"{model}@{folder.name}", msgspec.structs.replace(declared, was=was))


def _digest(setting: Setting, key: str) -> str:
    return str(setting.facts.get("digest", "")) if setting.model == key else ""


def _folder(run: str, at: Spot, document: Document, site: Site, named: dict[str, str]) -> Path | None:
    if "/" in run:
        folder = resolve(run, at, site.root, folder=True)
        if not (folder / PLAN).is_file():
            raise refusal(at, "run", f"`{run}` is not a run's folder: it has no {PLAN}", "name a run's folder")
        return folder
    name = certified_as(document.name) if run == CERTIFIED else run
    named[name] = run_named(name, site)
    if named[name] and named[name] != _GONE:
        folder = site.runs / named[name]
        if not folder.is_relative_to(site.root):
            raise refusal(at, "run", "runs are kept out of the project", "name a folder inside it")
        return folder
    link = site.runs / name
    if named[name]:
        what = f"the run that `{run}` stands for, {os.path.basename(os.path.realpath(link))}, is not there any more"
        raise refusal(at, "run", what, f"put it back, or remove {shown(link, site.root)} to begin anew")
    if run == CERTIFIED:
        return None
    raise refusal(at, "run", f"there is no run `{run}`", "write `certified`, `latest`, or a run's id or folder")


def _of(models: Mapping[str, Declared], name: str, spec: str) -> tuple[str, Declared | None]:
    """The model of that name, and its key: this spec's, or the only one there is."""
    own = f"{spec}::{name}"
    found = [own] if own in models else [key for key in models if key.rpartition("::")[2] == name]
    return (found[0], models[found[0]]) if len(found) == 1 else ("", None)
