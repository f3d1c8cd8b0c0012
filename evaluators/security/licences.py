"""The licences of what is installed here, by its metadata, against a list of what is allowed.

licences: {allow: [MIT, Apache-2.0], except: {some-package: "used in tests only"}, of: ["mlx-hallmark[lm]"]}

Of a choice (`OR`) one has to be allowed, of several at once (`AND`) all.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from evaluators.security import dependencies_environment as environment
from evaluators.security import licences_expressions as expressions
from evaluators.security import licences_names as names
from evaluators.security.dependencies_environment import Installed
from evaluators.security.finding import Finding, Look, Scanned, identify
from harness.contract import Objection

SCHEMA: dict[str, Any] = {
    "properties": {
        "allow": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "description": "a list of licences as SPDX names them: MIT, Apache-2.0",
        },
        "except": {
            "type": "object",
            "additionalProperties": {"type": "string", "minLength": 1},
            "description": "a mapping of packages that may have any licence, each with the reason",
        },
        "of": environment.OF,
    },
    "required": ["allow"],
}
VERSION = 1
"""Raised whenever the same metadata may get other findings."""
_RULES = {
    "not-allowed": ("high", "a package under a licence that is not allowed"),
    "unknown": ("medium", "a package whose metadata does not tell its licence"),
    "unused-exception": ("low", "an exception for a package that is not there, or needs none"),
}
_LONG = 200
"""Characters from which on words are the text of a licence and not its name."""
_FAMILY = re.compile(r"(bsd|apache|mpl|[al]?gpl)([ -]?style)?( licen[sc]e)?", re.IGNORECASE)
"""Words that name a family of licences, of which the text tells the one."""
_LICENCE_FILES = ("LICENSE", "LICENCE", "COPYING", "UNLICENSE")


class Licence(NamedTuple):
    """What a package says of its licence."""

    expression: expressions.Expression | None
    said: str
    """Where it says so."""


def rules() -> Mapping[str, str]:
    return {rule: what for rule, (_, what) in _RULES.items()}


def version() -> str:
    return f"licences {VERSION}"


def faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    """Said before anything runs."""
    for index, each in enumerate(options["allow"]):
        try:
            one = isinstance(expressions.parse(each), expressions.One)
        except ValueError:
            one = False
        if not one:
            yield Objection(
                ("allow", index), "licence", f"`{each}` is not one licence", "write its SPDX id, such as MIT"
            )
    for index, each in enumerate(options.get("of", ())):
        try:
            Requirement(each)
        except InvalidRequirement:
            yield Objection(("of", index), "wrong-value", f"`{each}` is no distribution", "write a name, as `numpy`")


def subjects(options: Mapping[str, Any], root: Path, look: Look) -> list[Path]:
    """The metadata, and the licences beside it."""
    found = environment.metadata_files()
    beside = [file for each in found if each.parent.is_dir() for file in _licence_files(each)]
    return sorted({*found, *beside}, key=os.fspath)


def besides(options: Mapping[str, Any], look: Look) -> str:
    """What packages need can depend on it."""
    return platform.python_version()


def scan(options: Mapping[str, Any], root: Path, files: Sequence[Path], look: Look) -> Scanned:
    installed, unread = environment.read(file for file in files if file.name in ("METADATA", "PKG-INFO"))
    if "of" in options:
        installed, missing = environment.chosen(installed, options["of"])
        unread += missing
    allowed = {_plain(each) for each in options["allow"]}
    findings, used = [], set()
    for one in installed:
        found = _finding(one, allowed)
        if found is not None and one.name in environment.excepted(options):
            used.add(one.name)
        elif found is not None:
            findings.append(found)
    findings += [_unused(name) for name in environment.excepted(options) if name not in used]
    return Scanned(findings, unread, excused=len(used))


def _plain(allowed: str) -> str:
    return " ".join(allowed.lower().split())


def _finding(one: Installed, allowed: set[str]) -> Finding | None:
    licence = licence_of(one)
    if licence.expression is None:
        what = f"{one.shown} {licence.said}"
        return _told("unknown", one.path, one.name, what, "Read its licence, and add it to `except` with a reason.")
    lacking = expressions.lacking(licence.expression, allowed)
    if not lacking:
        return None
    what = f"{one.shown} is under {expressions.spelled(licence.expression)} ({licence.said})"
    fix = f"Allow {', '.join(lacking)}, do without it, or add it to `except` with a reason."
    return _told("not-allowed", one.path, f"{one.name} {expressions.spelled(licence.expression)}", what, fix)


def _unused(name: str) -> Finding:
    fix = "Take it out of `except`."
    return _told("unused-exception", name, name, f"{name} is not there, or needs no exception", fix)


def _told(rule: str, path: str, mark: str, what: str, fix: str) -> Finding:
    """A finding whose id outlasts a new version of the package."""
    severity, _ = _RULES[rule]
    id = identify(rule, "", mark)
    return Finding(rule=rule, severity=severity, path=path, what=what, fix=fix, id=id)  # type: ignore[arg-type]


def licence_of(one: Installed) -> Licence:
    """An expression where there is one, else what its other words come to; all of them, where they differ."""
    stated = one.all("License-Expression")
    found: dict[str, expressions.Expression] = {}
    for text in stated:
        try:
            parsed = expressions.parse(text)
        except ValueError:
            return Licence(None, f"has the License-Expression {text[:80]!a}, which is none")
        found[expressions.spelled(parsed)] = parsed
    words = [text for text in one.all("License") if text.strip() and text.strip().upper() != "UNKNOWN"]
    classifiers = [text for text in one.all("Classifier") if text.startswith("License ::") and not stated]
    open_ = [text for text in classifiers if not names.classified(text)]
    for text in words:
        worded = _worded(text)
        if worded:
            found[expressions.spelled(worded)] = worded
        elif _FAMILY.fullmatch(text.strip()):
            open_.append(text)
        elif len(text) <= _LONG:
            return Licence(None, f"does not tell its licence: {text[:80]!a}")
    found |= {id: expressions.One(id) for text in classifiers if (id := names.classified(text))}
    for text in open_:
        if not any(_settles(id, text) for id in found):
            ids = [id for id in _texts(one, words) if _settles(id, text)]
            if not ids:
                return Licence(None, f"leaves open which licence `{text.rpartition('::')[2].strip()[:80]}` is")
            found |= {id: expressions.One(id) for id in ids}
    if found:
        by = "by its License-Expression" if len(stated) == len(found) else "by its metadata"
        return Licence(_all(list(found.values())), by)
    ids = _texts(one, words)
    if ids:
        return Licence(_all([expressions.One(id) for id in ids]), "by the text of its licence")
    return Licence(None, "does not tell its licence" + (f": {words[0][:80]!a}" if words else ""))


def _all(parts: Sequence[expressions.Expression]) -> expressions.Expression:
    return parts[0] if len(parts) == 1 else expressions.Both(tuple(parts))


def _worded(text: str) -> expressions.Expression | None:
    """A name, or an expression of names."""
    id = names.named(text)
    if id:
        return expressions.One(id)
    try:
        parsed = expressions.parse(text)
    except ValueError:
        return None
    return parsed if all(names.named(each) for each in expressions.lacking(parsed, set())) else None


def _settles(id: str, classifier: str) -> bool:
    """Whether a licence is of the family that a classifier such as `BSD License` names."""
    return id.split("-")[0].lower() in classifier.lower()


def _texts(one: Installed, words: Sequence[str]) -> list[str]:
    """The licences whose texts are in the metadata or beside it, where each of them is known."""
    found = [names.recognised(text) for text in words if len(text) > _LONG]
    for file in _licence_files(one.file):
        with file.open("rb") as opened:
            found.append(names.recognised(opened.read(environment.LARGEST).decode("utf-8", "replace")))
    return [] if "" in found else sorted(set(found))


def _licence_files(metadata: Path) -> list[Path]:
    """The licences of the package itself, not those of what it brings along."""
    if metadata.name not in ("METADATA", "PKG-INFO"):
        return []
    folders = [metadata.parent, metadata.parent / "licenses"]
    files = [file for folder in folders if folder.is_dir() for file in folder.iterdir()]
    return sorted(file for file in files if file.name.upper().startswith(_LICENCE_FILES) and file.is_file())
