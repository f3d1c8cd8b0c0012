"""The cases of a check, known before anything is scanned: one a class of findings, whatever lies in a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from evaluators.security import language
from evaluators.security.finding import at_least
from harness.contract import Case, Characteristics, Check, Objection

OTHER = "other"
"""The class of what a scanner finds by a rule that it did not name."""


def cases(check: Check) -> Iterator[Case]:
    for name in language.scanners_of(check):
        yield Case(
            id=name, input="the scan itself: it ran, and could read all that it was to read", at=check.at, asks=False
        )
        for rule, what in classes(name).items():
            yield Case(id=f"{name}/{rule}", input=what, at=check.at, asks=False)
    for name in language.asking_of(check):
        yield from language.module(name).cases(language.options_of(check, name), check)


def classes(name: str) -> dict[str, str]:
    """What a scanner's findings are told apart by, each with what it is."""
    rules = {rule: what for rule, what in language.scanner(name).rules().items() if rule != OTHER}
    return {**rules, OTHER: f"whatever else {name} finds"}


def characteristics(check: Check) -> Characteristics | None:
    """What a check that only asks its model can tell on so many questions; one that scans is decided by its cases."""
    names = language.asking_of(check)
    if len(names) != 1 or language.scanners_of(check):
        return None
    tell = getattr(language.module(names[0]), "characteristics", None)
    asked = {case.id.rpartition("/")[0] for case in check.cases}
    found: Characteristics | None = tell(language.options_of(check, names[0]), len(asked)) if tell else None
    return found


def scanner_of(case: str) -> str:
    return case.partition("/")[0]


def class_of(case: str) -> str:
    """The class that a case is of; nothing where it is the scan itself."""
    return case.partition("/")[2]


def faults(check: Check) -> Iterator[Objection]:
    """Said before anything runs, at the user's own line."""
    scan: Mapping[str, Any] = check.options["scan"]
    for name in language.asking_of(check):
        if not check.model:
            what = f"`{name}` asks a model, and the check names none"
            yield Objection(("scan", name), "missing-key", what, "write `model:` beside `scan:`")
    if check.cases:
        yield Objection(("cases",), "no-effect", "a security check has its own cases", "take `cases:` out")
    for name in scan:
        objects = getattr(language.module(name), "faults", None)
        for said in objects(language.options_of(check, name)) if objects else ():
            yield Objection(("scan", name, *said.path), said.code, said.what, said.instead)
    bars = {language.fail_on(check, name) for name in language.scanners_of(check)}
    for severity in check.options.get("at_most", {}):
        if all(at_least(severity, bar) for bar in bars):
            what = f"a single {severity} finding fails already"
            yield Objection(("at_most", severity), "no-effect", what, "raise `fail_on`, or take this out")
    yield from _allowances(check)


def _allowances(check: Check) -> Iterator[Objection]:
    names = set(language.scanners_of(check))
    for index, allowance in enumerate(check.options.get("allow", ())):
        if not allowance["reason"].strip():
            yield Objection(("allow", index, "reason"), "empty", "no reason is given", "say why that may be")
        scanner, slash, _ = allowance["rule"].partition("/")
        if slash and scanner not in names:
            what = f"this check has no scanner `{scanner}`"
            yield Objection(("allow", index, "rule"), "unknown-scanner", what, f"it has {', '.join(sorted(names))}")
        try:
            date.fromisoformat(allowance.get("until", "2000-01-01"))
        except ValueError:
            what = f"`{allowance['until']}` is not a day"
            yield Objection(("allow", index, "until"), "wrong-value", what, 'write a day as "2027-06-30"')
