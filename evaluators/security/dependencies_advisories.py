"""Advisories as OSV writes them, kept in one file with where they are from and when they were taken.

{"form": "hallmark/advisories/1", "source": "...", "taken": "2026-11-20", "covers": "all", "advisories": [...]}

`covers` has the packages of which the file has every advisory that its source had, or is `all`: of other packages the
file can tell that something is known, and never that nothing is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from evaluators.security import files as walking
from evaluators.security.finding import SEVERITIES, Severity

FORM: Literal["hallmark/advisories/1"] = "hallmark/advisories/1"
LARGEST = 256 << 20
_LABELS: Mapping[str, Severity] = {
    "LOW": "low", "MODERATE": "medium", "MEDIUM": "medium", "HIGH": "high", "CRITICAL": "critical",
}  # fmt: skip


class Event(msgspec.Struct, omit_defaults=True):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None


class Range(msgspec.Struct, omit_defaults=True):
    type: str
    events: list[Event]


class Package(msgspec.Struct):
    ecosystem: str
    name: str


class Affected(msgspec.Struct, omit_defaults=True):
    package: Package
    ranges: list[Range] = []
    versions: list[str] = []


class Score(msgspec.Struct):
    type: str
    score: str


class Advisory(msgspec.Struct, omit_defaults=True):
    """The part of an OSV record that decides anything here."""

    id: str
    affected: list[Affected]
    aliases: list[str] = []
    summary: str = ""
    withdrawn: str = ""
    severity: list[Score] = []
    database_specific: dict[str, Any] = {}


class Snapshot(msgspec.Struct):
    form: Literal["hallmark/advisories/1"]
    source: str
    taken: str
    """The day."""
    covers: Literal["all"] | list[str]
    advisories: list[Advisory]
    licence: str = ""


class Known(msgspec.Struct):
    """What is known of a package in a version."""

    id: str
    aliases: list[str]
    severity: Severity
    fixed: str
    """The first later version that is not affected; empty where there is none."""
    summary: str


class Uncomparable(Exception):
    """A version of which nobody can tell whether it comes before another."""


def load(path: Path) -> Snapshot:
    """Unreadable where it is no snapshot."""
    try:
        return msgspec.json.decode(walking.read(path, LARGEST), type=Snapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise walking.Unreadable(f"`{path.name}` is no snapshot of advisories: {str(error)[:200]}") from None


class Book:
    """The advisories of a snapshot by package."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._by: dict[str, list[tuple[Advisory, Affected]]] = {}
        self._covers = None if snapshot.covers == "all" else {canonicalize_name(name) for name in snapshot.covers}
        for advisory in snapshot.advisories:
            for affected in advisory.affected:
                if affected.package.ecosystem == "PyPI" and not advisory.withdrawn:
                    self._by.setdefault(canonicalize_name(affected.package.name), []).append((advisory, affected))

    def covers(self, name: str) -> bool:
        return self._covers is None or canonicalize_name(name) in self._covers

    def known(self, name: str, version: str) -> list[Known]:
        """Each vulnerability once, however many databases have it; without those of which `doubt` tells."""
        groups: list[tuple[set[str], list[tuple[Advisory, str]]]] = []
        for advisory, affected in self._by.get(canonicalize_name(name), []):
            try:
                hit, fixed = _hit(affected, version)
            except Uncomparable:
                continue
            if hit:
                ids = {advisory.id, *advisory.aliases}
                mine = [group for group in groups if not ids.isdisjoint(group[0])]
                groups = [group for group in groups if group not in mine]
                told = [each for group in mine for each in group[1]]
                groups.append((ids.union(*(group[0] for group in mine)), [*told, (advisory, fixed)]))
        return sorted((_known(ids, told) for ids, told in groups), key=lambda known: known.id)

    def doubt(self, name: str, version: str) -> str:
        """Why nobody can tell of an advisory whether it affects a version; empty where that can be told of all."""
        for advisory, affected in self._by.get(canonicalize_name(name), []):
            try:
                _hit(affected, version)
            except Uncomparable as error:
                return f"{advisory.id}: {error}"
        return ""


def _known(ids: set[str], told: list[tuple[Advisory, str]]) -> Known:
    first = min((advisory.id for advisory, _ in told), key=_preferred)
    severities = [severity for advisory, _ in told if (severity := severity_of(advisory))]
    worst: Severity = max(severities, key=SEVERITIES.index) if severities else "high"
    fixes = sorted((fixed for _, fixed in told if fixed), key=Version)
    summary = next((advisory.summary for advisory, _ in told if advisory.summary), "")
    return Known(first, sorted(ids - {first}), worst, fixes[-1] if fixes else "", summary)


def _preferred(id: str) -> tuple[int, str]:
    """The Python database's own first: its ids are what other tools say."""
    order = ("MAL-", "PYSEC-", "GHSA-", "CVE-")
    return next((n for n, start in enumerate(order) if id.startswith(start)), len(order)), id


def _hit(affected: Affected, version: str) -> tuple[bool, str]:
    """Whether a version is affected, and from which later one on no more."""
    ranges = [each for each in affected.ranges if each.type in ("ECOSYSTEM", "SEMVER")]
    if not ranges and not affected.versions:
        raise Uncomparable("it names no versions, so whether one is affected can't be told")
    try:
        mine = Version(version)
    except InvalidVersion:
        if version in affected.versions:
            return True, ""
        raise Uncomparable(f"whether {version!a} is affected can't be told: it is no version") from None
    listed = any(_same(each, mine) for each in affected.versions)
    hit = any(_within(each.events, mine) for each in ranges)
    fixes = [at for each in ranges for at, what in _turns(each.events) if what == "fixed" and at > mine]
    return listed or hit, str(min(fixes)) if fixes else ""


def ranged(affected: Affected, version: str) -> bool:
    """Whether the ranges alone tell that a version is affected."""
    try:
        mine = Version(version)
        return any(_within(each.events, mine) for each in affected.ranges if each.type in ("ECOSYSTEM", "SEMVER"))
    except (InvalidVersion, Uncomparable):
        return False


def _same(text: str, version: Version) -> bool:
    try:
        return Version(text) in (version, _public(version))
    except InvalidVersion:
        return False


def _public(version: Version) -> Version:
    """What was published: `2.0.1` of `2.0.1+cu118`, a build of the same."""
    return Version(version.public)


_ORDER = ("fixed", "introduced", "last")
"""Of one version: what ends there comes before what begins there."""


def _within(events: Iterable[Event], version: Version) -> bool:
    """As OSV has it: the last event up to the version decides."""
    inside = False
    for at, what in sorted(_turns(events), key=lambda turn: (turn[0], _ORDER.index(turn[1]))):
        if what == "introduced" and at <= version:
            inside = True
        elif (what == "fixed" and at <= version) or (what == "last" and at < _public(version)):
            inside = False
    return inside


def _turns(events: Iterable[Event]) -> Iterator[tuple[Version, str]]:
    for event in events:
        for what, text in (("introduced", event.introduced), ("fixed", event.fixed), ("last", event.last_affected)):
            if text is not None:
                try:
                    yield Version(text), what
                except InvalidVersion:
                    raise Uncomparable(f"an advisory counts from {text!a}, which is no version") from None


# ---------------------------------------------------------------------------------------------- severity


def severity_of(advisory: Advisory) -> Severity | None:
    """As its database says, or by its CVSS 3 score; None where neither is there."""
    label = advisory.database_specific.get("severity")
    if isinstance(label, str) and label.upper() in _LABELS:
        return _LABELS[label.upper()]
    scores = [score for each in advisory.severity if (score := base_score(each.score)) is not None]
    if not scores:
        return None
    return SEVERITIES[sum(max(scores) >= bar for bar in (4.0, 7.0, 9.0))]


_METRICS: Mapping[str, Mapping[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}


def base_score(vector: str) -> float | None:
    """Of a CVSS 3 vector, as its specification computes it; None of any other."""
    if not re.match(r"CVSS:3\.[01]/", vector):
        return None
    said = dict(part.partition(":")[::2] for part in vector.split("/")[1:])
    try:
        value = {key: weights[said[key]] for key, weights in _METRICS.items()}
        privileges = _PRIVILEGES[said["S"]][said["PR"]]
    except KeyError:
        return None
    lost = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    changed = said["S"] == "C"
    impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15 if changed else 6.42 * lost
    if impact <= 0:
        return 0.0
    ease = 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    return _up(min((1.08 if changed else 1.0) * (impact + ease), 10.0))


def _up(score: float) -> float:
    """To the next tenth."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (math.floor(whole / 10_000) + 1) / 10
