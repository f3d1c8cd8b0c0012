"""The findings of a run as SARIF 2.1.0, for code-scanning services and editors.

What a security check found points at the file and line where it is; whatever else did not go as it must points at the
line of the spec, or of the cases, that asked for it. A pure function of the run: no clock, no machine's paths.
"""

from __future__ import annotations

from typing import Any

from harness.codec import to_json
from harness.contract import EXIT, Pages
from reports.sarif.results import ROOT, Result, Rule, results_of
from reports.sarif.text import shortened

FILE = "report.sarif"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

# What code-scanning services take, as GitHub states it for uploads: whatever is above is rejected as a whole.
MOST_RESULTS = 25_000
MOST_RULES = 25_000
MOST_BYTES = 10_000_000
"""Theirs is for the compressed file, ours for the plain one: not everybody compresses."""
_HEAD = 100_000
"""Bytes kept for all that is no result and no rule."""


def tell(pages: Pages) -> bytes:
    found = sorted(results_of(pages), key=lambda result: -result.weight)
    kept, rules = _kept(found)
    return to_json(_log(pages, kept, rules, len(found) - len(kept))) + b"\n"


def _kept(found: list[Result]) -> tuple[list[dict[str, Any]], dict[str, Rule]]:
    """As many as the caps allow, the worst first."""
    kept: list[dict[str, Any]] = []
    rules: dict[str, Rule] = {}
    places: dict[str, int] = {}
    bytes_left = MOST_BYTES - _HEAD
    for result in found[:MOST_RESULTS]:
        rule, new = result.rule, result.rule.id not in rules
        told = result.told(places.setdefault(rule.id, len(places)))
        bytes_left -= len(to_json(told)) + 1 + (len(to_json(rule.told())) + 1 if new else 0)
        if bytes_left < 0 or (new and len(rules) == MOST_RULES):
            break
        # Results come the worst first, so that the first of a rule has the rule's level.
        rules.setdefault(rule.id, rule)
        kept.append(told)
    return kept, rules


def _log(pages: Pages, results: list[dict[str, Any]], rules: dict[str, Rule], left_out: int) -> dict[str, Any]:
    certificate = pages.certificate
    driver = {"name": "Hallmark", "version": pages.plan.hallmark, "rules": [rule.told() for rule in rules.values()]}
    names = "+".join(sorted({spec.name for spec in pages.plan.specs}))
    said = [_note("note", f"{certificate.status}: {certificate.reason}")]
    if left_out:
        many = f"{left_out} result{'s' * (left_out != 1)}"
        said.append(
            _note("warning", f"{many} of the least severe left out, within {MOST_RESULTS} and {MOST_BYTES} bytes")
        )
    invocation = {
        "executionSuccessful": certificate.status != "incomplete",
        "exitCode": EXIT[certificate.status],
        "toolExecutionNotifications": said,
    }
    run = {
        "tool": {"driver": driver},
        # A service replaces what it was told earlier under the same category: all before the last slash.
        "automationDetails": {"id": f"{shortened(f'hallmark/{names}', 200)}/{shortened(certificate.run.id, 50)}"},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the project."}}},
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _note(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": shortened(text)}}
