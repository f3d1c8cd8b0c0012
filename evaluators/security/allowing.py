"""What may be: findings that somebody allowed and gave a reason for, and findings that were known before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from evaluators.security.files import matches
from evaluators.security.finding import CONFIDENCES, Finding, rank
from evaluators.security.planning import scanner_of
from harness.codec import to_pretty_json
from harness.contract import Check, Outcome, Refused

FORM = "hallmark/security/1"
Kept = dict[str, dict[str, list[Finding]]]
"""By check, by scanner: the findings that were there."""


class File(msgspec.Struct, forbid_unknown_fields=True):
    """What `hallmark golden update` writes."""

    schema: Literal["hallmark/security/1"]
    checks: Kept


class Sorted(msgspec.Struct):
    """The findings of a class by whether they may be."""

    findings: list[Finding]
    allowed: list[Finding]
    known: list[Finding]


def recall(name: str, data: bytes | None) -> dict[str, Any]:
    """What a baseline says; Refused where it is none. A file that is not there yet knows nothing."""
    if data is None:
        if not name.endswith(".json"):
            raise Refused(f"there is no `{name}`; name a .json file, which `hallmark golden update` writes")
        return {"file": name, "checks": {}}
    try:
        checks = _read(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"`{name}` is no baseline: {error}; `hallmark golden update` writes one") from None
    known = {check: {scanner: _graded(found) for scanner, found in by.items()} for check, by in checks.items()}
    return {"file": name, "checks": known}


def _read(data: bytes) -> Kept:
    return msgspec.json.decode(data, type=File).checks


def key_of(finding: Finding) -> str:
    """What a finding is known by again."""
    return f"{finding.id} {finding.rule} {finding.path}"


def _graded(found: Iterable[Finding]) -> dict[str, list[list[str]]]:
    """How grave and how sure each of them was, by what it is known by."""
    known: dict[str, list[list[str]]] = {}
    for each in found:
        known.setdefault(key_of(each), []).append([each.severity, each.confidence])
    return known


def _take(known: list[Sequence[str]], finding: Finding) -> bool:
    """Whether one of those is this finding, which has become no worse; it is taken out, the least that will do."""
    mine = _ranks((finding.severity, finding.confidence))
    will = [each for each in known if all(was >= now for was, now in zip(_ranks(each), mine, strict=True))]
    if will:
        known.remove(min(will, key=_ranks))
    return bool(will)


def _ranks(grade: Sequence[str]) -> tuple[int, int]:
    return rank(grade[0]), list[str](CONFIDENCES).index(grade[1])


def sort(check: Check, scanner: str, findings: Iterable[Finding], on: str) -> Sorted:
    """Findings by whether they may be on that day; of several that are the same, as many as were known, if no worse."""
    left = {key: list(known) for key, known in known_of(check).get(scanner, {}).items()}
    found = Sorted([], [], [])
    for finding in findings:
        if any(holds(each, on) and _covers(each, scanner, finding) for each in check.options.get("allow", ())):
            found.allowed.append(finding)
        elif _take(left.get(key_of(finding), []), finding):
            found.known.append(finding)
        else:
            found.findings.append(finding)
    return found


def holds(allowance: Mapping[str, Any], on: str) -> bool:
    """Whether an allowance has not run out; days are written so that they compare as text."""
    return on <= str(allowance.get("until", on))


def _covers(allowance: Mapping[str, Any], scanner: str, finding: Finding) -> bool:
    rule = allowance["rule"]
    return rule in (finding.rule, f"{scanner}/{finding.rule}") and matches(finding.path, allowance["path"])


def reason_for(check: Check, scanner: str, finding: Finding, on: str) -> str:
    """Why it may be."""
    for each in check.options.get("allow", ()):
        if holds(each, on) and _covers(each, scanner, finding):
            until = f", until {each['until']}" if "until" in each else ""
            return f"{each['reason']}{until}"
    return ""


def known_of(check: Check) -> Mapping[str, Mapping[str, Sequence[Sequence[str]]]]:
    """What the baseline has of this check, by scanner: each finding, as grave and as sure as it was each time."""
    checks: Mapping[str, Mapping[str, Mapping[str, Sequence[Sequence[str]]]]]
    checks = check.options.get("baseline", {}).get("checks", {})
    return checks.get(check.id, {})


def told(check: Check, found: Mapping[str, Sequence[Finding]], whole: bool, on: str) -> list[str]:
    """What a reviewer should know of allowances and of the baseline: what ran out, and what is of no use any more.

    `found` has everything that was found, by scanner. Where not all was scanned, nobody can say what is of no use.
    """
    said = []
    for each in check.options.get("allow", ()):
        used = any(_covers(each, scanner, finding) for scanner, every in found.items() for finding in every)
        what = f"the allowance of {each['rule']} in {each['path']}"
        if not holds(each, on):
            said.append(f"{what} ran out on {each['until']}" + (", and is needed" if used else "; take it out"))
        elif not used and whole:
            said.append(f"{what} is not used; take it out")
    if whole:
        there = Counter((scanner, key_of(finding)) for scanner, every in found.items() for finding in every)
        known = Counter({(name, key): len(were) for name, by in known_of(check).items() for key, were in by.items()})
        if gone := sum((known - there).values()):
            them = "finding of the baseline is" if gone == 1 else "findings of the baseline are"
            said.append(f"{gone:,} {them} gone; `hallmark golden update` takes that out")
    return said


def commit(check: Check, outcomes: Iterable[Outcome], read: Callable[[str], bytes | None]) -> tuple[str, bytes] | None:
    """The baseline with what a run found and nobody allowed; of a scanner that did not get through, it stays."""
    if "baseline" not in check.options:
        return None
    name = check.options["baseline"]["file"]
    before = read(name)
    kept = _read_or_say(name, before) if before is not None else {}
    mine = kept.setdefault(check.id, {})
    fresh: dict[str, list[Finding]] = {}
    broken = set()
    for outcome in outcomes:
        scanner = scanner_of(outcome.case)
        if scanner not in check.options["scan"] or not isinstance(outcome.answer, dict):
            broken.add(scanner)
            continue
        if {"findings", "known"} <= outcome.answer.keys():
            both = [*outcome.answer["findings"], *outcome.answer["known"]]
            fresh.setdefault(scanner, []).extend(msgspec.convert(both, list[Finding]))
    for scanner in fresh.keys() - broken:
        mine[scanner] = sorted(fresh[scanner], key=lambda each: (each.path, each.line, each.rule, each.id))
    return name, to_pretty_json({"schema": FORM, "checks": msgspec.to_builtins(kept)})


def _read_or_say(name: str, data: bytes) -> Kept:
    try:
        return _read(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{name}: {error}") from None
