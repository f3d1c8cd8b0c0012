"""Lays a run out as a page. What models and specs wrote is escaped, and its control characters are made visible."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from msgspec import UNSET

from harness.contract import Check, CheckResult, Pages, Plan
from reports.html import writing
from reports.html.advice import advice
from reports.html.alignment import aligned
from reports.html.previous import changes
from reports.html.record import pack
from reports.html.rows import Row, in_table, tagged
from reports.html.scale import amount, scale

_HERE = Path(__file__).parent
OUTCOMES = ("missed", "error", "skipped", "met")
"""The worst first."""
_WHOLE = 50
"""How many cases that did not meet are laid out in full; the rest stand in a table."""

_CHOICES = 400
"""How many tags can be chosen among."""

_POLICY = "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"
MEANINGS = {
    "certified": "Every check passed, on every case that was planned.",
    "blocked": "At least one check did not pass. The blockers say which, why, and how to see it again.",
    "inconclusive": "Nothing failed, but at least one check could not be decided on these cases.",
    "incomplete": "Not everything that was planned was measured, so nothing is certified.",
}
SIGNS = {"certified": "✓", "blocked": "✕", "inconclusive": "?", "incomplete": "⋯"}
SIGNS |= {"pass": "✓", "fail": "✕", "error": "!", "unsupported": "–"}


def render(pages: Pages) -> str:
    style, script = _read("style.css"), _read("filter.js")
    page = _environment().get_template("page.html")
    panels = {check.kind: _environment().from_string(pages.panel(check.kind)) for check in pages.plan.checks}
    checks = list(_checks(pages, panels))
    kinds = {kind: source for kind in panels if (source := pages.overview(kind)) is not None}
    overviews = [
        _overview(source, [item for item in checks if item["check"].kind == kind]) for kind, source in kinds.items()
    ]
    certificate = pages.certificate
    return page.render(
        anchors={item["check"].id: item["anchor"] for item in checks},
        names={item["check"].id: item["check"].name for item in checks},
        results={result.id: result for result in certificate.checks},
        plan=pages.plan,
        certificate=certificate,
        settings=pages.settings,
        checks=checks,
        choices=_choices(pages),
        overviews=overviews,
        advice=advice(pages),
        changes=changes(certificate.previous, certificate.checks) if certificate.previous else None,
        packed=pack(pages.data),
        parts=_environment().get_template("parts.html").module,
        style=Markup(style),
        script=Markup(script),
        policy=_POLICY.format(style=_hash(style), script=_hash(script)),
        meaning=_meaning(pages),
    )


def _meaning(pages: Pages) -> str:
    """What the status means, as far as that is true of this run."""
    certificate = pages.certificate
    if certificate.status == "certified" and any(result.verdict != "pass" for result in certificate.checks):
        return "Every check passed that its criteria need and that is not waived, on every case that was planned."
    return MEANINGS[certificate.status]


def _choices(pages: Pages) -> dict[str, list[str]]:
    """What cases can be chosen by; nothing where there is no choice."""
    checks = pages.plan.checks
    tags = {tag for check in checks for case in check.cases for tag in case.tags}
    models = {_model(key) for check in checks for key in (check.model, *check.others.values()) if key}
    words = {word for result in pages.certificate.checks for word in OUTCOMES if getattr(result.outcomes, word)}
    found = {
        "outcome": [word for word in OUTCOMES if word in words],
        "tag": sorted(tags)[:_CHOICES],
        "model": sorted(models),
    }
    return {what: among for what, among in found.items() if len(among) > (what != "tag")}


def _model(key: str) -> str:
    """What a model is called where it was declared."""
    return key.rpartition("::")[2]


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(_HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    environment.filters |= {
        "value": writing.value,
        "line": writing.line,
        "plain": writing.inert,
        "number": writing.number,
        "short": writing.short,
        "big": writing.big,
        "time": writing.time_,
        "moment": writing.moment,
        "share": writing.share,
        "amount": amount,
        "model": _model,
        "tagged": tagged,
        "in_table": in_table,
    }
    environment.globals |= {"sign": SIGNS.__getitem__, "UNSET": UNSET}
    environment.globals |= {"log10": math.log10, "ticks": writing.ticks, "steps": writing.steps, "bins": writing.bins}
    environment.globals |= {"thin": writing.thin, "at_share": writing.at_share}
    environment.globals |= {"aligned": aligned, "scale": scale}
    return environment


def _checks(pages: Pages, panels: dict[str, jinja2.Template]) -> Iterator[dict[str, Any]]:
    order = ("fail", "error", "inconclusive", "unsupported", "pass")
    pairs = list(zip(pages.plan.checks, pages.certificate.checks, strict=True))
    pairs.sort(key=lambda pair: (not pair[1].outcomes.total(), order.index(pair[1].verdict)))
    order_of = {check.id: at for at, check in enumerate(pages.plan.checks)}
    where = {setting.id: _where(setting.facts) for setting in pages.settings}
    for number, (check, result) in enumerate(pairs, 1):
        yield {
            "order": order_of[check.id],
            "versus": _versus(check, result),
            "skipped": _skipped(check, result),
            "where": next((where[each.by] for each in pages.outcomes(check.id).values() if each.by in where), ""),
            **_check(pages, check, result, panels[check.kind], f"check-{number}"),
        }


def _where(facts: Mapping[str, Any]) -> str:
    """What something was computed with, in a few words."""
    named = facts.get("blas_library") or ", ".join(facts.get("blas") or ())
    words = [facts.get("device"), f"MLX {facts['mlx']}" if facts.get("mlx") else "", named, facts.get("processor")]
    return ", ".join([*map(str, filter(None, words)), f"{facts.get('numerics', 'strict')} numerics"])


def _skipped(check: Check, result: CheckResult) -> bool:
    """Whether nothing of it was measured, since what it stands on did not pass."""
    return bool(check.after) and 0 < result.outcomes.skipped == result.outcomes.total()


def _versus(check: Check, result: CheckResult) -> Any:
    """What checks have in common that hold models against the same one, on the same cases, by the same measure."""
    return (*check.others.values(), tuple(case.id for case in check.cases), result.figures.get("baseline_met"))


def _check(pages: Pages, check: Check, result: CheckResult, panel: jinja2.Template, anchor: str) -> dict[str, Any]:
    outcomes = pages.outcomes(check.id)
    rows = [
        Row(case, outcomes[case.id], f"{anchor}-case-{number}")
        for number, case in enumerate(check.cases, 1)
        if case.id in outcomes
    ]
    bad = [row for row in rows if row.outcome.outcome != "met"]
    bad.sort(key=lambda row: OUTCOMES.index(row.outcome.outcome))
    parts = {
        "anchor": anchor,
        "check": check,
        "result": result,
        "reproduce": _reproduce(pages.plan, check),
        "rows": rows,
        "bad": bad[:_WHOLE],
        "more": bad[_WHOLE:],
        "met": [row for row in rows if row.outcome.outcome == "met"],
        "unmeasured": [case for case in check.cases if case.id not in outcomes],
        "drawn": pages.drawing(check, result),
    }
    module: Any = _environment().get_template("parts.html").module
    shows = module.shows(result.characteristics) if result.characteristics else ""
    return {**parts, "shows": shows, "panel": Markup(panel.render(**parts, parts=module))}


def _reproduce(plan: Plan, check: Check) -> Callable[[str], str]:
    """The command that measures one case of a check again."""
    return lambda case: plan.command(f"{check.id}::{case}")


def _overview(source: str, items: list[dict[str, Any]]) -> Markup:
    """What a kind tells of all its checks together, those side by side that hold models against the same one."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for item in sorted(items, key=lambda item: item["order"]):
        groups.setdefault(item["versus"], []).append(item)
    parts = _environment().get_template("parts.html").module
    return Markup(_environment().from_string(source).render(groups=list(groups.values()), parts=parts))
