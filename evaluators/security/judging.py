"""From what was found to outcomes, and from those to a verdict: pure, so that a record can be held against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from msgspec import UNSET

from evaluators.security import allowing, language
from evaluators.security.finding import CONFIDENCES, SEVERITIES, Finding, Scanned, at_least, rank
from evaluators.security.planning import OTHER, class_of, classes, scanner_of
from harness.contract import Case, Check, Difference, Outcome, Ruling, Verdict

UNREAD = 1_000
"""Files that could not be read, of those that are kept."""
_NAMED = 3


class Ran(msgspec.Struct, kw_only=True):
    """What came of one scanner: what it found, or why it found nothing."""

    scanner: str = ""
    """Its name and version."""
    on: str = ""
    """The day by which allowances are judged."""
    files: int = 0
    skipped: int = 0
    tree: str = ""
    """Digest of what it looked at, and of what looked."""
    scanned: Scanned | None = None
    error: str = ""
    unavailable: str = ""


class Scan(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is recorded of a scan itself."""

    scanner: str
    on: str
    scanned: int
    tree: str
    skipped: int = 0
    excused: int = 0
    unread: list[tuple[str, str]] = []


class Found(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is recorded of one class of findings."""

    scanner: str
    on: str
    scanned: int
    tree: str
    findings: list[Finding]
    allowed: list[Finding]
    known: list[Finding]


def outcome(check: Check, case: Case, ran: Ran) -> Outcome:
    if ran.unavailable:
        return Outcome(case=case.id, outcome="skipped", reason=ran.unavailable)
    if ran.scanned is None:
        return Outcome(case=case.id, outcome="error", reason=ran.error)
    told: dict[str, Any] = {"scanner": ran.scanner, "on": ran.on, "scanned": ran.files, "tree": ran.tree}
    name = scanner_of(case.id)
    if not class_of(case.id):
        unread = sorted(ran.scanned.unread)[:UNREAD]
        skipped = ran.skipped + ran.scanned.skipped
        return of_scan(case, Scan(**told, skipped=skipped, excused=ran.scanned.excused, unread=unread))
    rules = classes(name)
    mine = [each for each in ran.scanned.findings if (each.rule if each.rule in rules else OTHER) == class_of(case.id)]
    sorted_ = allowing.sort(check, name, _in_order(mine), ran.on)
    return of_class(check, case, Found(**told, **msgspec.structs.asdict(sorted_)))


def regrade(check: Check, case: Case, recorded: Outcome) -> Outcome:
    """From what is recorded; ValueError where that can't be what was found."""
    try:
        if not class_of(case.id):
            scan = msgspec.convert(recorded.answer, Scan)
            _refuse_no_day(scan.on)
            return of_scan(case, scan)
        found = msgspec.convert(recorded.answer, Found)
        _refuse_no_day(found.on)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    name, rules = scanner_of(case.id), classes(scanner_of(case.id))
    every = _in_order([*found.findings, *found.allowed, *found.known])
    if any((each.rule if each.rule in rules else OTHER) != class_of(case.id) for each in every):
        raise ValueError("a finding is of another class")
    again = msgspec.structs.asdict(allowing.sort(check, name, every, found.on))
    return of_class(check, case, msgspec.structs.replace(found, **again))


def _refuse_no_day(on: str) -> None:
    """Allowances are judged by it as text, so that it has to be a day as we write one."""
    if date.fromisoformat(on).isoformat() != on:
        raise ValueError(f"`{on}` is not a day")


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: (each.path, each.line, *msgspec.structs.astuple(each)))


def of_scan(case: Case, scan: Scan) -> Outcome:
    answer = msgspec.to_builtins(scan)
    if not scan.unread:
        return Outcome(case=case.id, outcome="met", answer=answer)
    first = "; ".join(f"{path}: {why}" for path, why in scan.unread[:_NAMED])
    many = f"{len(scan.unread):,} files" if len(scan.unread) > 1 else "a file"
    said = f"{many} could not be scanned: {first}; mend or `exclude` what is no concern of the scan"
    return Outcome(case=case.id, outcome="error", answer=answer, reason=said)


def of_class(check: Check, case: Case, found: Found) -> Outcome:
    name = scanner_of(case.id)
    differences = [
        Difference(at=each.at, mode=each.rule, why=f"{each.what}; {each.fix}" if each.fix else each.what)
        for each in found.findings
        if fails(check, name, each)
    ]
    answer = msgspec.to_builtins(found)
    return Outcome(case=case.id, outcome="missed" if differences else "met", answer=answer, differences=differences)


def fails(check: Check, name: str, finding: Finding) -> bool:
    sure = CONFIDENCES.index(finding.confidence) >= CONFIDENCES.index(language.confidence(check, name))
    return sure and at_least(finding.severity, language.fail_on(check, name))


# --------------------------------------------------------------------------------------------- verdict


class Tree(msgspec.Struct):
    """All that the scanners of a check found, as it is recorded."""

    scans: dict[str, Scan]
    found: dict[str, list[tuple[str, Found]]]
    """By scanner: each class that was told."""

    def every(self, *words: str) -> dict[str, list[Finding]]:
        """The findings by scanner, of those of `findings`, `allowed` and `known` that are named."""
        return {
            name: [each for _, found in told for word in words for each in getattr(found, word)]
            for name, told in self.found.items()
        }


def tree_of(check: Check, outcomes: Iterable[Outcome]) -> Tree:
    tree = Tree({}, {name: [] for name in language.scanners_of(check)})
    for each in outcomes:
        name = scanner_of(each.case)
        if each.answer is UNSET or name not in tree.found:
            continue
        if class_of(each.case):
            tree.found[name].append((class_of(each.case), msgspec.convert(each.answer, Found)))
        else:
            tree.scans[name] = msgspec.convert(each.answer, Scan)
    return tree


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    """Pass only where every scan got through and every class is as it should be."""
    asking = set(language.asking_of(check))
    rates = [_rate(check, name, outcomes) for name in language.asking_of(check)]
    if not language.scanners_of(check) and rates:
        return _worst_of(rates)
    mine = [each for each in outcomes if scanner_of(each.case) not in asking]
    planned = sum(scanner_of(case.id) not in asking for case in check.cases)
    tree = tree_of(check, mine)
    ruling, reason = _ruling(check, mine, planned, tree)
    worst = min([ruling, *(rate.verdict for rate in rates)], key=_WORST.index)
    if worst != ruling or (rates and ruling == "pass"):
        told = [rate.reason for rate in rates if rate.verdict == worst]
        reason = "; ".join([reason, *told] if worst == ruling else told)
    met = sum(each.outcome == "met" for each in mine)
    share = met / planned if planned else None
    return Verdict(
        verdict=worst,
        reason=reason,
        estimate=share,
        interval=None if share is None else (share, share),
        method="classes of findings without one that fails",
        n=len(mine),
        advice="; ".join(_advice(check, tree) + [rate.advice for rate in rates if rate.advice]),
        figures=_figures(check, tree) | {name: value for rate in rates for name, value in rate.figures.items()},
    )


_WORST: tuple[Ruling, ...] = ("fail", "error", "unsupported", "inconclusive", "pass")


def _worst_of(rates: Sequence[Verdict]) -> Verdict:
    """All of them have to hold: that which holds least speaks for all."""
    worst = min(rates, key=lambda rate: _WORST.index(rate.verdict))
    if len(rates) == 1:
        return worst
    claims = [rate.p for rate in rates if rate.p is not None]
    return msgspec.structs.replace(
        worst,
        reason="; ".join(rate.reason for rate in rates if rate.verdict == worst.verdict),
        p=max(claims) if len(claims) == len(rates) else None,
        figures={name: value for rate in rates for name, value in rate.figures.items()},
    )


def _rate(check: Check, name: str, outcomes: Sequence[Outcome]) -> Verdict:
    cases = [case for case in check.cases if scanner_of(case.id) == name]
    mine = [each for each in outcomes if scanner_of(each.case) == name]
    verdict: Verdict = language.module(name).judge_rate(language.options_of(check, name), cases, mine)
    return verdict


def _ruling(check: Check, outcomes: Sequence[Outcome], planned: int, tree: Tree) -> tuple[Ruling, str]:
    if bad := [
        (name, each) for name, found in tree.every("findings").items() for each in found if fails(check, name, each)
    ]:
        return "fail", _many(bad)
    if over := _over(check, tree):
        return "fail", over
    if changed := _changed(tree):
        return "error", changed
    for word, ruling in _OUTCOMES:
        if told := [each for each in outcomes if each.outcome == word]:
            return ruling, _not_met(word, told, planned)
    if len(outcomes) < planned or not planned:
        return "error", f"{len(outcomes):,} of {planned:,} cases have an outcome"
    return "pass", _passed(check, tree)


_OUTCOMES: tuple[tuple[str, Ruling], ...] = (("missed", "fail"), ("error", "error"), ("skipped", "unsupported"))


def _not_met(word: str, told: Sequence[Outcome], planned: int) -> str:
    scans = [each for each in told if not class_of(each.case)]
    if word == "error" and scans:
        return f"{' and '.join(each.case for each in scans)} did not get through"
    reasons = dict.fromkeys(each.reason for each in scans)
    return "; ".join(filter(None, reasons)) or f"{len(told):,} of {planned:,} cases {word}"


def _many(bad: Sequence[tuple[str, Finding]]) -> str:
    counts = Counter(each.severity for _, each in bad)
    told = ", ".join(f"{counts[severity]:,} {severity}" for severity in reversed(SEVERITIES) if counts[severity])
    _, first = max(bad, key=lambda pair: rank(pair[1].severity))
    said = "a finding that fails" if len(bad) == 1 else f"{len(bad):,} findings that fail"
    return f"{said} ({told}); {first.rule} at {first.at}: {first.what}"


def _over(check: Check, tree: Tree) -> str:
    """Which severity has more findings than may be there, of those that don't fail by themselves."""
    counts = _counts(tree)
    over = [
        f"{counts[severity]:,} {severity} findings, {most:,} may be there"
        for severity, most in check.options.get("at_most", {}).items()
        if counts[severity] > most
    ]
    return "; ".join(over)


def _counts(tree: Tree) -> Counter[str]:
    return Counter(each.severity for found in tree.every("findings").values() for each in found)


def _changed(tree: Tree) -> str:
    """Which scanner did not always look at the same files."""
    for name, told in tree.found.items():
        seen = {found.tree for _, found in told} | ({tree.scans[name].tree} if name in tree.scans else set())
        if len(seen) > 1:
            return f"what {name} looks at was changed meanwhile"
    return ""


def _passed(check: Check, tree: Tree) -> str:
    scans = ", ".join(f"{scan.scanner} over {_files(scan.scanned)}" for scan in tree.scans.values())
    counts = {word: sum(map(len, tree.every(word).values())) for word in ("findings", "allowed", "known")}
    below = {"findings": "below what fails", "allowed": "allowed", "known": "known before"}
    told = ", ".join(f"{n:,} {below[word]}" for word, n in counts.items() if n)
    return f"nothing that fails by {scans}" + (f"; {told}" if told else "")


def _files(n: int) -> str:
    return f"{n:,} file{'' if n == 1 else 's'}"


def _advice(check: Check, tree: Tree) -> list[str]:
    scanned = set(tree.scans) == set(tree.found)
    days = sorted(scan.on for scan in tree.scans.values())
    whole = scanned and not any(scan.unread for scan in tree.scans.values())
    return allowing.told(check, tree.every("findings", "allowed", "known"), whole, days[-1]) if days else []


def _figures(check: Check, tree: Tree) -> dict[str, float]:
    counts = _counts(tree)
    figures: dict[str, float] = {f"{severity} findings": float(counts[severity]) for severity in SEVERITIES}
    figures |= {word: float(sum(map(len, tree.every(word).values()))) for word in ("allowed", "known")}
    figures["files"] = float(sum(scan.scanned for scan in tree.scans.values()))
    figures["files that could not be scanned"] = float(sum(len(scan.unread) for scan in tree.scans.values()))
    return figures


_PARTS = (("failing", True), ("passing", False))


def drawing(check: Check, outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    """What the panel shows: findings by severity, and what may be."""
    tree = tree_of(check, outcomes)
    found = [(name, each) for name, every in tree.every("findings").items() for each in every]
    groups = []
    for severity in reversed(SEVERITIES):
        mine = [_row(check, name, each) for name, each in found if each.severity == severity]
        parted = {word: [row for row in mine if row["fails"] == fails] for word, fails in _PARTS}
        groups.append({"severity": severity, **parted})
    allowed = [
        _row(check, name, each) | {"reason": allowing.reason_for(check, name, each, told.on)}
        for name, every in tree.found.items()
        for _, told in every
        for each in told.allowed
    ]
    known = [_row(check, name, each) for name, every in tree.every("known").items() for each in every]
    return {
        "scans": [{"name": name, **msgspec.structs.asdict(scan)} for name, scan in tree.scans.items()],
        "groups": groups,
        "allowed": allowed,
        "known": known,
        "advice": _advice(check, tree),
    }


def _row(check: Check, name: str, finding: Finding) -> dict[str, Any]:
    plain = msgspec.structs.asdict(finding)
    return {**plain, "scanner": name, "at": finding.at, "fails": fails(check, name, finding)}
