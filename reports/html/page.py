"""Lays a run out as a page. What models and specs wrote is escaped, and its control characters are made visible."""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import msgspec
from markupsafe import Markup
from msgspec import UNSET

from harness.contract import Case, Check, CheckResult, Outcome, Pages, Plan
from reports.html.alignment import aligned
from reports.html.scale import amount, scale

_HERE = Path(__file__).parent
_WHOLE = 50
"""How many cases that did not meet are laid out in full; the rest stand in a table."""

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
    return page.render(
        anchors={item["check"].id: item["anchor"] for item in checks},
        names={item["check"].id: item["check"].name for item in checks},
        plan=pages.plan,
        certificate=pages.certificate,
        settings=pages.settings,
        checks=checks,
        overviews=overviews,
        style=Markup(style),
        script=Markup(script),
        policy=_POLICY.format(style=_hash(style), script=_hash(script)),
        meanings=MEANINGS,
    )


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
        "value": value,
        "line": line,
        "plain": inert,
        "number": number,
        "short": short,
        "big": big,
        "time": time_,
        "amount": amount,
    }
    environment.globals |= {"sign": SIGNS.__getitem__, "UNSET": UNSET}
    environment.globals |= {"log10": math.log10, "ticks": ticks, "steps": steps, "bins": bins}
    environment.globals |= {"aligned": aligned, "scale": scale}
    return environment


class Row:
    """A case and what came of it."""

    __slots__ = ("anchor", "case", "outcome")

    def __init__(self, case: Case, outcome: Outcome, anchor: str) -> None:
        self.case = case
        self.outcome = outcome
        self.anchor = anchor if outcome.outcome != "met" else ""
        """Where on the page it is told of; a case that met is only counted, in a table."""


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
            "where": next((where[each.by] for each in pages.outcomes(check.id).values() if each.by in where), ""),
            **_check(pages, check, result, panels[check.kind], f"check-{number}"),
        }


def _where(facts: Mapping[str, Any]) -> str:
    """What something was computed with, in a few words."""
    named = facts.get("blas_library") or ", ".join(facts.get("blas") or ())
    words = [facts.get("device"), f"MLX {facts['mlx']}" if facts.get("mlx") else "", named, facts.get("processor")]
    return ", ".join([*map(str, filter(None, words)), f"{facts.get('numerics', 'strict')} numerics"])


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
    worst = {"missed": 0, "error": 1, "skipped": 2}
    bad = sorted((row for row in rows if row.outcome.outcome != "met"), key=lambda row: worst[row.outcome.outcome])
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
    asked = plan.numerics == "fast" and not any(spec.numerics == "fast" for spec in plan.specs)
    return lambda case: f"hallmark run {shlex.quote(f'{check.id}::{case}')}{' --numerics fast' * asked}"


def _overview(source: str, items: list[dict[str, Any]]) -> Markup:
    """What a kind tells of all its checks together, those side by side that hold models against the same one."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for item in sorted(items, key=lambda item: item["order"]):
        groups.setdefault(item["versus"], []).append(item)
    parts = _environment().get_template("parts.html").module
    return Markup(_environment().from_string(source).render(groups=list(groups.values()), parts=parts))


def inert(text: Any) -> str:
    """Text whose control characters, those that turn writing around among them, are spelled out."""
    said = str(text)
    if said.isascii() and said.isprintable():
        return said
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in said)


def value(given: Any, most: int = 2000) -> str:
    """A JSON value over as many lines as help to read it."""
    text = given if isinstance(given, str) else _over_lines(given)
    return inert(text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)")


def _over_lines(given: Any) -> str:
    pretty: bytes = msgspec.json.format(msgspec.json.encode(given), indent=2)
    return pretty.decode()


def line(given: Any, most: int = 120) -> str:
    """A JSON value on one line."""
    text = msgspec.json.encode(given).decode()
    return inert(text if len(text) <= most else f"{text[:most]}…")


def number(given: float | None) -> str:
    if given is None:
        return "–"
    if abs(given) >= 1000:
        return f"{given:,.0f}" if abs(given) < 1e6 else f"{given:.4g}"
    return f"{given:.{2 if abs(given) >= 10 else 4}f}".rstrip("0").rstrip(".")


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, four to nine of them."""
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(n * power for n in (1, 2, 5, 10) if (high - low) / (n * power) < 9)
    return [round(at * step, 10) for at in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def steps(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic scale."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [n * 10.0**power for power in powers for n in (1, 2, 5)]
    within = [each for each in found if low <= each <= high]
    return within if len(within) <= 9 else [each for each in within if math.log10(each) % 1 < 1e-9]


class Bin(NamedTuple):
    """Neighbouring cases, told of as one."""

    code: str
    first: int
    """The place of the first of them that has this code."""
    many: int
    """How many of them do."""
    size: int


def bins(codes: str, order: str, most: int = 240) -> list[Bin]:
    """A code a case, put together until there are few enough to be drawn; each bin has the first code in `order`."""
    lots = min(len(codes), most)
    edges = [len(codes) * at // lots for at in range(lots + 1)] if lots else []
    found = []
    for start, end in pairwise(edges):
        part = codes[start:end]
        code = min(part, key=order.index)
        found.append(Bin(code, start + part.index(code), part.count(code), len(part)))
    return found


def big(given: float) -> str:
    """A size, in as few characters as tell it."""
    for unit, word in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if given >= unit:
            return f"{given / unit:.3g} {word}"
    return f"{given:.3g}"


def short(given: str) -> str:
    """A digest, as far as eyes compare it."""
    kind, _, rest = given.partition(":")
    return f"{kind}:{rest[:12]}…" if len(rest) > 16 else given


def time_(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return (
        f"{seconds * 1000:.3g} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.1f} min"
    )
