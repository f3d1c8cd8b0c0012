"""What a run has to tell a code-scanning service, result by result."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from harness.contract import Case, Check, CheckResult, Outcome, Pages
from reports.sarif.text import Place, name_of, place_of, shortened

ROOT = "%SRCROOT%"
"""The name by which services know the folder that paths are relative to."""
Level = Literal["error", "warning", "note"]

_SEVERITIES: Mapping[str, tuple[Level, int, str]] = {
    "critical": ("error", 9, "9.5"),
    "high": ("error", 8, "8.0"),
    "medium": ("warning", 5, "5.5"),
    "low": ("note", 2, "2.5"),
}
"""The level of a finding, its weight among results, and the score that services read back as the same word."""
_LEVELS: Mapping[Level, int] = {"error": 7, "warning": 4, "note": 1}
_PRECISIONS = {"high": "high", "medium": "medium", "low": "low"}
_RULINGS: Mapping[str, Level] = {"fail": "error", "error": "error", "inconclusive": "warning", "unsupported": "warning"}
_OF_PACKAGES = ("dependencies", "licences")
"""The scanners that look at packages."""
_TOLD = 3
"""Differences that a message tells; the report has the others."""


class Rule(NamedTuple):
    """A kind of result."""

    id: str
    what: str
    help: str
    level: Level
    score: str = ""
    """Where it is about security: from 0.1 to 10."""
    precision: str = ""
    tags: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        properties: dict[str, Any] = {"tags": list(dict.fromkeys(self.tags))[:10]}
        if self.score:
            properties |= {"security-severity": self.score}
        if self.precision:
            properties |= {"precision": self.precision}
        return {
            "id": self.id,
            "name": self.id,
            "shortDescription": {"text": shortened(self.what)},
            "fullDescription": {"text": shortened(self.what)},
            "help": {"text": shortened(self.help)},
            "defaultConfiguration": {"level": self.level},
            "properties": properties,
        }


class Result(NamedTuple):
    """One thing that did not go as it must."""

    rule: Rule
    level: Level
    weight: int
    message: str
    place: Place
    asked: Place | None
    """The line of the spec that asked for it."""
    fingerprint: str
    properties: Mapping[str, Any]

    def told(self, index: int) -> dict[str, Any]:
        told: dict[str, Any] = {
            "ruleId": self.rule.id,
            "ruleIndex": index,
            "level": self.level,
            "message": {"text": shortened(self.message)},
            "locations": [_location(self.place)],
            "partialFingerprints": {"primaryLocationLineHash": self.fingerprint},
            "properties": dict(self.properties),
        }
        if self.asked and self.asked != self.place:
            # One; services take 1,000 of a result at most.
            asked = {"id": 1, "message": {"text": "the check that asks for it"}, **_location(self.asked)}
            told["relatedLocations"] = [asked]
        return told


def _location(place: Place) -> dict[str, Any]:
    where = {"artifactLocation": {"uri": place.uri, "uriBaseId": ROOT}, "region": {"startLine": place.line}}
    return {"physicalLocation": where}


def results_of(pages: Pages) -> list[Result]:
    """All results in the order of the plan, each once: two checks may find the same thing."""
    verdicts = {result.id: result for result in pages.certificate.checks}
    seen: Counter[str] = Counter()
    found: list[Result] = []
    told: set[tuple[str, Place, str, str]] = set()
    for check in pages.plan.checks:
        for result in _of_check(check, verdicts[check.id], pages.outcomes(check.id)):
            key = (result.rule.id, result.place, result.fingerprint, result.message)
            if key not in told:
                told.add(key)
                # The same text twice in a file has one fingerprint; a service tells them apart by their number.
                seen[result.fingerprint] += 1
                found.append(result._replace(fingerprint=f"{result.fingerprint}:{seen[result.fingerprint]}"))
    return found


def _of_check(check: Check, verdict: CheckResult, outcomes: Mapping[str, Outcome]) -> Iterator[Result]:
    erred: set[tuple[str, str]] = set()
    for case in check.cases:
        outcome = outcomes.get(case.id)
        if outcome is None or outcome.outcome == "skipped":
            continue
        findings = _findings(case, outcome)
        for finding in findings:
            yield _found(check, case, finding)
        if outcome.outcome == "error":
            # A scan that did not get through errs each of its cases, for one reason.
            cause = (case.id if case.asks else _scanner(case), outcome.reason)
            if cause not in erred:
                erred.add(cause)
                what = f"A case of a {check.kind} check could not be measured."
                yield _of_case(check, case, "error", what, "error", outcome.reason or "no reason was told")
        elif outcome.outcome == "missed" and not findings:
            yield _missed(check, case, outcome, verdict)
    if verdict.verdict != "pass":
        yield _ruled(check, verdict)


# ------------------------------------------------------------------------------------------ findings


def _findings(case: Case, outcome: Outcome) -> list[dict[str, Any]]:
    """What a room found when it looked itself. What a model answered is never taken for a finding."""
    if case.asks or not isinstance(outcome.answer, dict):
        return []
    found = outcome.answer.get("findings")
    if not isinstance(found, list):
        return []
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("rule"), str)]


def _found(check: Check, case: Case, finding: Mapping[str, Any]) -> Result:
    said = {key: str(value) for key, value in finding.items()}
    level, weight, score = _SEVERITIES.get(said.get("severity", ""), _SEVERITIES["medium"])
    what, fix = said.get("what", "") or said["rule"], said.get("fix", "")
    scanner = _scanner(case)
    known = isinstance(case.input, str) and case.id == f"{scanner}/{said['rule']}"
    rule = Rule(
        id=f"{name_of(check.kind)}/{name_of(scanner)}/{name_of(said['rule'].removeprefix(f'{scanner}/'))}",
        what=case.input if known else what,
        help=fix or what,
        level=level,
        score=score,
        precision=_PRECISIONS.get(said.get("confidence", "high"), "medium"),
        tags=("security", name_of(check.kind), name_of(scanner)),
    )
    path, asked = said.get("path", ""), place_of(check.at)
    place = None if _is_package(case, finding) else place_of(path, lines=False)
    if place is None:
        message = f"{path}: {what}" if path else what
    else:
        message, place = what, place._replace(line=_line(finding.get("line")))
    return Result(
        rule=rule,
        level=level,
        weight=weight,
        message=f"{message}; {fix}" if fix else message,
        place=place or asked or _nowhere(check),
        asked=asked,
        fingerprint=_digest(rule.id, path, said.get("id") or what),
        properties={
            "check": shortened(check.id),
            "severity": said.get("severity", "medium"),
            "confidence": said.get("confidence", "high"),
        },
    )


def _scanner(case: Case) -> str:
    return case.id.partition("/")[0]


def _is_package(case: Case, finding: Mapping[str, Any]) -> bool:
    """Whether it is of a package, which is no file: of a lock file these scanners tell the line."""
    return _scanner(case) in _OF_PACKAGES and not _is_line(finding.get("line"))


def _line(line: Any) -> int:
    return line if _is_line(line) else 1


def _is_line(line: Any) -> bool:
    return isinstance(line, int) and 0 < line < 2**31


# -------------------------------------------------------------------------------- cases and verdicts


def _missed(check: Check, case: Case, outcome: Outcome, verdict: CheckResult) -> Result:
    """A case that missed weighs what it did to its check: a gate may have allowed for it."""
    level: Level = "note" if verdict.verdict == "pass" else "warning" if verdict.verdict == "inconclusive" else "error"
    told = [difference.why for difference in outcome.differences[:_TOLD]]
    if len(outcome.differences) > _TOLD:
        told.append(f"and {len(outcome.differences) - _TOLD} more")
    mode = outcome.differences[0].mode if outcome.differences else "missed"
    what = f"A case missed what its {check.kind} check asks for: {mode}."
    return _of_case(check, case, mode or "missed", what, level, "; ".join(told) or outcome.reason or "it missed")


def _of_case(check: Check, case: Case, mode: str, what: str, level: Level, why: str) -> Result:
    asked = place_of(check.at)
    return Result(
        rule=_rule(check, mode, what),
        level=level,
        weight=_LEVELS[level],
        message=f"{check.name}, case {shortened(case.id, 200)}: {why}",
        place=(place_of(case.at) if case.at else None) or asked or _nowhere(check),
        asked=asked,
        fingerprint=_digest(check.id, case.id, mode),
        properties={"check": shortened(check.id), "case": shortened(case.id)},
    )


def _ruled(check: Check, verdict: CheckResult) -> Result:
    level = _RULINGS.get(verdict.verdict, "error")
    advice = f"; {verdict.advice}" if verdict.advice else ""
    return Result(
        rule=_rule(check, f"verdict/{verdict.verdict}", f"A check's verdict is {verdict.verdict}."),
        level=level,
        weight=_LEVELS[level] + 1,
        message=f"{check.name}: {verdict.verdict}: {verdict.reason}{advice}",
        place=place_of(check.at) or _nowhere(check),
        asked=None,
        fingerprint=_digest(check.id, "verdict"),
        properties={"check": shortened(check.id), "verdict": verdict.verdict},
    )


def _rule(check: Check, mode: str, what: str) -> Rule:
    id = "/".join(name_of(part) for part in (check.kind, *mode.split("/")[:3]))
    help = "The report of the run shows the case, and the command that shows it again."
    return Rule(id=id, what=what, help=help, level="error", tags=(name_of(check.kind),))


def _nowhere(check: Check) -> Place:
    """The spec itself, where nothing better is known."""
    return place_of(check.id.partition("::")[0], lines=False) or Place("hallmark", 1)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
