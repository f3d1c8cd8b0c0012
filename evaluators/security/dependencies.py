"""What is installed, or pinned in a lock file, against advisories of what is vulnerable.

dependencies: {advisories: ../security/advisories.json, max_age: 90d, lock: ../requirements.lock}

Advisories come from a file in the project, or from pip-audit where the network may be used. Without either, or from
a file that is too old or does not cover what is installed, nothing is shown, and the check is unsupported.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from evaluators.security import dependencies_environment as environment
from evaluators.security import dependencies_locks as locks
from evaluators.security import files as walking
from evaluators.security.dependencies_advisories import Book, Known, Snapshot, load
from evaluators.security.finding import Finding, Look, Missing, Scanned, Unavailable, identify
from harness.contract import Objection

SCHEMA: dict[str, Any] = {
    "properties": {
        "advisories": {"type": "string", "format": "place", "description": "a .json file of advisories, with its date"},
        "max_age": {
            "type": "string",
            "pattern": r"^[1-9]\d{0,3}d$",
            "description": "the days for which the advisories hold, such as 30d; 90d unless told",
        },
        "source": {"enum": ["pip-audit"], "description": "pip-audit, which asks for advisories over the network"},
        "lock": {
            "type": "string",
            "format": "place",
            "description": "a lock or requirements file, instead of what is installed",
        },
        "of": environment.OF,
        "except": {
            "type": "object",
            "additionalProperties": {"type": "string", "minLength": 1},
            "description": "a mapping of packages that are not looked up, each with the reason",
        },
    },
}
VERSION = 1
"""Raised whenever the same versions may get other findings."""
_RULES = {
    "vulnerable": "a package in a version with a known vulnerability",
    "malicious": "a package that is known to be malicious",
    "unpinned": "a line of a lock file that leaves the version open",
    "unused-exception": "an exception for a package that is not there",
}
_DAYS = 90
_WAIT = 600.0
_NAMED = 5


class Thing(NamedTuple):
    """A package in a version."""

    name: str
    version: str
    at: str
    """Where it is pinned; empty where it is installed."""


def rules() -> Mapping[str, str]:
    return _RULES


def version() -> str:
    return f"dependencies {VERSION}"


def faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    """Said before anything runs."""
    if "source" in options and "advisories" in options:
        what = "advisories come from a file and from the network"
        yield Objection(("source",), "two-sources", what, "take one of the two out")
    if "max_age" in options and "advisories" not in options:
        yield Objection(("max_age",), "no-effect", "there is no file of advisories to be old", "take `max_age:` out")
    if "of" in options and "lock" in options:
        yield Objection(("of",), "no-effect", "a lock file is looked at as a whole", "take `of:` or `lock:` out")
    for index, each in enumerate(options.get("of", ())):
        try:
            Requirement(each)
        except InvalidRequirement:
            yield Objection(("of", index), "wrong-value", f"`{each}` is no distribution", "write a name, as `numpy`")


def besides(options: Mapping[str, Any], look: Look) -> str | None:
    """What the network says can be another thing the next time."""
    return platform.python_version() if "advisories" in options else None


def subjects(options: Mapping[str, Any], root: Path, look: Look) -> list[Path]:
    """The metadata or the lock, and the advisories, which must be young enough today."""
    found = locks.files_of(root / options["lock"], root) if "lock" in options else environment.metadata_files()
    if "advisories" not in options:
        if look.offline:
            raise Unavailable("there is no source of advisories: name a file as `advisories:`, or allow the network")
        return found
    path = root / options["advisories"]
    _young(load(path), options, path.name)
    return sorted({*found, path}, key=os.fspath)


def _young(snapshot: Snapshot, options: Mapping[str, Any], name: str) -> None:
    days = int(options.get("max_age", f"{_DAYS}d")[:-1])
    try:
        age = (datetime.now(UTC).date() - date.fromisoformat(snapshot.taken)).days
    except ValueError:
        raise walking.Unreadable(f"`{name}` was taken on {snapshot.taken[:40]!a}, which is no day") from None
    if age < -1:
        raise walking.Unreadable(f"`{name}` was taken on {snapshot.taken}, which is still to come")
    if age > days:
        raise Unavailable(f"the advisories of `{name}` are {age} days old, and hold for {days}: take them anew")


def scan(options: Mapping[str, Any], root: Path, files: Sequence[Path], look: Look) -> Scanned:
    things, scanned = _things(options, root, files)
    excepted = environment.excepted(options)
    there = {canonicalize_name(thing.name) for thing in things}
    scanned.findings += [_unused(name) for name in excepted if name not in there]
    asked = [thing for thing in things if canonicalize_name(thing.name) not in excepted]
    scanned.excused = len(things) - len(asked)
    if not asked:
        why = "there is no package in it to look up; a look at nothing shows nothing"
        scanned.unread.append((options.get("lock", "the environment"), why))
    elif "advisories" in options:
        _by_snapshot(asked, load(root / options["advisories"]), scanned)
    else:
        _by_pip_audit(asked, scanned)
    return scanned


def _things(options: Mapping[str, Any], root: Path, files: Sequence[Path]) -> tuple[list[Thing], Scanned]:
    if "lock" in options:
        pinned = locks.read(locks.files_of(root / options["lock"], root), root)
        return _pinned(pinned)
    installed, unread = environment.read(file for file in files if file.suffix != ".json")
    if "of" in options:
        installed, missing = environment.chosen(installed, options["of"])
        unread += missing
    return [Thing(one.shown, one.version, "") for one in installed], Scanned([], unread)


def _pinned(pinned: Iterable[locks.Pinned]) -> tuple[list[Thing], Scanned]:
    things, findings = [], []
    for each in pinned:
        if each.version:
            things.append(Thing(each.name, each.version, each.at))
            continue
        path, _, line = each.at.rpartition(":") if ":" in each.at else (each.at, "", "0")
        findings.append(
            Finding(
                rule="unpinned",
                severity="medium",
                path=path,
                line=int(line),
                what=f"{each.name} has no version, so nobody can tell whether it is vulnerable",
                fix="Pin it: `name==version`.",
                id=identify("unpinned", path, each.said or each.name),
            )
        )
    return things, Scanned(findings, [])


def _unused(name: str) -> Finding:
    rule, what, fix = "unused-exception", f"{name} is not there", "Take it out of `except`."
    return Finding(rule=rule, severity="low", path=name, what=what, fix=fix, id=identify(rule, "", name))


def _by_snapshot(things: Sequence[Thing], snapshot: Snapshot, scanned: Scanned) -> None:
    book, uncovered = Book(snapshot), []
    for thing in things:
        scanned.findings += [_finding(thing, known) for known in book.known(thing.name, thing.version)]
        if doubt := book.doubt(thing.name, thing.version):
            scanned.unread.append((f"{thing.name}=={thing.version}", doubt))
        if not book.covers(thing.name):
            uncovered.append(thing)
    if not uncovered:
        return
    many = f"{len(uncovered):,} of {len(things):,} packages, such as {', '.join(t.name for t in uncovered[:_NAMED])}"
    if not any(finding.rule in ("vulnerable", "malicious") for finding in scanned.findings):
        raise Unavailable(f"the advisories don't cover {many}: nothing known of them is not nothing that is wrong")
    scanned.unread += [(f"{thing.name}=={thing.version}", "the advisories don't cover it") for thing in uncovered]


def _finding(thing: Thing, known: Known) -> Finding:
    """The path has the advisory in it, so that one can be allowed without those that come after it."""
    rule = "malicious" if known.id.startswith("MAL-") else "vulnerable"
    others = f" ({', '.join(known.aliases[:4])})" if known.aliases else ""
    summary = f": {' '.join(known.summary.split())[:200]}" if known.summary else ""
    at = f", pinned at {thing.at}" if thing.at else ""
    later = f"Take {thing.name} {known.fixed} or later."
    mend = later if known.fixed else "No version is known to mend it: do without it."
    return Finding(
        rule=rule,
        severity="critical" if rule == "malicious" else known.severity,
        path=f"{thing.name}=={thing.version}/{known.id}",
        what=f"{thing.name} {thing.version} has {known.id}{others}{summary}{at}",
        fix="Remove it, and see what it has done." if rule == "malicious" else mend,
        id=identify(rule, "", f"{canonicalize_name(thing.name)} {known.id}"),
    )


# --------------------------------------------------------------------------------------------- pip-audit


def _by_pip_audit(things: Sequence[Thing], scanned: Scanned) -> None:
    if find_spec("pip_audit") is None:
        raise Missing("pip-audit is not installed; pip install 'mlx-hallmark[security]'")
    by = {canonicalize_name(thing.name): thing for thing in things}
    audited = _audited(things)
    skipped = [str(each["skip_reason"]) for each in audited if "skip_reason" in each]
    if skipped and len(skipped) == len(audited):
        raise Unavailable(f"pip-audit could look up none of {len(audited):,} packages: {skipped[0][:200]}")
    for each in audited:
        thing = by.get(canonicalize_name(each["name"]), Thing(each["name"], each.get("version", ""), ""))
        if "skip_reason" in each:
            scanned.unread.append((f"{thing.name}=={thing.version}", str(each["skip_reason"])[:200]))
        for said in each.get("vulns", ()):
            fixed = (said.get("fix_versions") or [""])[0]
            known = Known(said["id"], list(said.get("aliases", ())), "high", fixed, "")
            scanned.findings.append(_finding(thing, known))
        by.pop(canonicalize_name(each["name"]), None)
    scanned.unread += [(f"{thing.name}=={thing.version}", "pip-audit said nothing of it") for thing in by.values()]


def _audited(things: Sequence[Thing]) -> list[dict[str, Any]]:
    """What pip-audit says of each; it is told exact versions, and installs nothing."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "requirements.txt")
        asked.write_text("".join(f"{thing.name}=={thing.version}\n" for thing in things), "utf-8")
        program = [sys.executable, "-m", "pip_audit", "--requirement", str(asked), "--no-deps", "--disable-pip"]
        ran = subprocess.run(
            [*program, "--format", "json", "--progress-spinner", "off"], capture_output=True, timeout=_WAIT, check=False
        )
    try:
        said: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        lines = [line for line in ran.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        raise Unavailable(f"pip-audit could not get advisories: {(lines or ['it said nothing'])[-1][-200:]}") from None
    return said
