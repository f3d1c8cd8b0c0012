"""A reviewer at work on a certificate: filters, orders, follows a link, prints, goes without a mouse or a script."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.contract import Case, Check, Outcome, Plan, SpecFile
from harness.ledger import Begin, End
from harness.pages import Run
from reports import html
from tests.browser.certificates import STATUSES
from tests.browser.conftest import Open

if TYPE_CHECKING:
    from playwright.sync_api import Page

Report = Callable[[str], Path]
SHOWN = """
() => [...document.querySelectorAll("[data-case]")].filter((row) => row.checkVisibility()).map((row) => [
  row.closest("article").querySelector(".name").textContent, row.textContent.match(/(word|case)-\\d+/)?.[0], row.dataset.case,
])
"""
FOCUSED = "() => [document.activeElement.localName, document.activeElement.id, document.activeElement.className]"
CONTROLS = "input, select, button, output"


def _rows(report: Path, kind: str = "golden") -> list[dict[str, Any]]:
    """What came of every case of a kind, with its check's name and model and its tags."""
    plan = json.loads((report.parent / "plan.json").read_text())
    checks = {check["id"]: check for check in plan["checks"] if check["kind"] == kind}
    cases = {(check["id"], case["id"]): case for check in checks.values() for case in check["cases"]}
    lines = map(json.loads, (report.parent / "outcomes.jsonl").read_text().splitlines())
    return [
        {
            "check": checks[line["check"]]["name"],
            "id": line["case"],
            "outcome": line["outcome"],
            "model": checks[line["check"]]["model"].rpartition("::")[2],
            "tags": cases[line["check"], line["case"]]["tags"],
        }
        for line in lines
        if line["is"] == "outcome" and line["check"] in checks and not line.get("reason", "").startswith("stands on")
    ]


def _wanted(rows: list[dict[str, Any]], fits: Callable[[dict[str, Any]], bool]) -> list[list[str]]:
    return sorted([row["check"], row["id"], row["outcome"]] for row in rows if fits(row))


def _shown(page: Page, rows: list[dict[str, Any]]) -> list[list[str]]:
    names = {row["check"] for row in rows}
    return sorted(row for row in page.evaluate(SHOWN) if row[0] in names)


def _filter(page: Page, text: str = "", **choices: str) -> None:
    page.fill("#filter", text)
    for what, chosen in choices.items():
        page.select_option(f"#filter-{what}", label=chosen)
    page.locator("#shown", has_text=" of ").wait_for()


# -------------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"text": "WORD-07"}, lambda row: row["id"] == "word-07"),
        ({"tag": "fifth-3"}, lambda row: "fifth-3" in row["tags"]),
        ({"outcome": "missed"}, lambda row: row["outcome"] == "missed"),
        ({"tag": "odd", "outcome": "missed"}, lambda row: "odd" in row["tags"] and row["outcome"] == "missed"),
        ({"text": "word-1", "model": "shaky"}, lambda row: "word-1" in row["id"] and row["model"] == "shaky"),
        (
            {"text": "NAÏVE", "tag": "even", "model": "base"},  # which only what a case was asked says
            lambda row: int(row["id"][-2:]) % 5 == 2 and "even" in row["tags"] and row["model"] == "base",
        ),
        ({"text": "nobody said this"}, lambda row: False),
    ],
    ids=["text", "tag", "outcome", "tag and outcome", "text and model", "text, tag and model", "nothing"],
)
def test_a_filter_shows_the_cases_that_fit_and_no_others(
    look: Open, report: Report, asked: dict[str, str], fits: Callable[[dict[str, Any]], bool]
) -> None:
    path = report("blocked")
    opened, rows = look(path), _rows(path)
    every = int(opened.page.evaluate("document.querySelectorAll('[data-case]').length"))
    _filter(opened.page, **asked)
    opened.page.wait_for_timeout(150)
    assert bool(_wanted(rows, fits)) == (asked.get("text") != "nobody said this")
    assert _shown(opened.page, rows) == _wanted(rows, fits)
    said = opened.page.inner_text("#shown")
    shown = opened.page.evaluate(
        "[...document.querySelectorAll('[data-case]')].filter((row) => row.checkVisibility()).length"
    )
    assert re.match(rf"{shown} of {every} cases", said)
    opened.page.click("#reset")
    assert opened.page.inner_text("#shown") == ""
    assert opened.page.evaluate("document.querySelectorAll('article[hidden], [data-case][hidden]').length") == 0
    assert opened.is_quiet()


def test_what_is_shown_is_told_to_those_who_listen(look: Open, report: Report) -> None:
    page = look(report("blocked")).page
    assert page.get_attribute("#shown", "aria-live") == "polite"
    for control in page.query_selector_all(f".filter :is({CONTROLS})"):
        named = "(each) => each.labels?.length > 0 || each.textContent.trim() !== '' || each.localName === 'output'"
        assert control.evaluate(named)


# -------------------------------------------------------------------------------------------------- order, links


def test_checks_stand_in_the_order_that_is_chosen(look: Open, report: Report) -> None:
    page = look(report("blocked")).page
    names = "() => [...document.querySelectorAll('article .name')].map((each) => each.textContent)"
    first = page.evaluate(names)
    page.select_option("#sort", "name")
    assert page.evaluate(names) == sorted(first)
    page.select_option("#sort", "seconds")
    seconds = page.evaluate("[...document.querySelectorAll('article')].map((each) => Number(each.dataset.seconds))")
    assert seconds == sorted(seconds, reverse=True)
    page.select_option("#sort", "")
    assert page.evaluate(names) == first


def test_a_table_is_ordered_by_the_column_whose_head_is_pressed(look: Open, many: Path) -> None:
    page = look(many).page
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    table = page.locator("article table.cases").last
    ids = "(each) => [...each.tBodies[0].rows].map((row) => row.cells[0].textContent.match(/case-\\d+/)[0])"
    seconds = (
        "(each) => [...each.tBodies[0].rows].map((row) => { const said = row.cells[row.cells.length - 1].textContent;"
        " return parseFloat(said) * (said.includes('ms') ? 1 : 1000); })"
    )
    head, before = table.locator("thead button"), table.evaluate(ids)
    assert before == sorted(before)
    head.first.click()
    assert table.locator("thead th").first.get_attribute("aria-sort") == "ascending"
    head.first.click()
    assert table.locator("thead th").first.get_attribute("aria-sort") == "descending"
    assert table.evaluate(ids) == before[::-1]
    head.last.click()
    assert table.locator("thead th").first.get_attribute("aria-sort") is None
    assert table.evaluate(seconds) == sorted(table.evaluate(seconds))
    assert sorted(table.evaluate(ids)) == before


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which more cases miss than are laid out in full."""
    cases = tuple(
        Case(id=f"case-{n:04d}", input=f"asked {n}", expect=n, tags=(f"tenth-{n % 10}",), at=f"c.jsonl:{n + 1}")
        for n in range(300)
    )
    check = Check(id="s.yaml::golden::many", name="many", kind="golden", at="s.yaml:1", cases=cases)
    lines: list[Any] = [Begin(run="r", started="2026-01-01T00:00:00+00:00", plan="p", machine={})]
    lines += [
        Outcome(
            case=case.id, outcome="missed" if n % 3 == 0 else "met", check=check.id, answer=n, seconds=n * 37 % 100 / 30
        )
        for n, case in enumerate(cases)
    ]
    lines.append(End(finished="2026-01-01T00:00:09+00:00", seconds=9.0))
    plan = Plan(hallmark="0", specs=(SpecFile(path="s.yaml", name="s"),), checks=(check,))
    path = tmp_path_factory.mktemp("many") / "report.html"
    path.write_bytes(html.tell(Run(msgspec.json.encode(plan), msgspec.json.Encoder().encode_lines(lines))))
    return path


def test_a_link_to_a_case_that_is_folded_away_opens_it(look: Open, many: Path) -> None:
    page = look(many).page
    anchor = page.evaluate("[...document.querySelectorAll('details [data-case][id]')].at(-1).id")
    assert not page.locator(f"#{anchor}").is_visible()
    for visit in (f"location.hash = '{anchor}'", "location.reload()"):
        page.evaluate(visit)
        page.locator(f"#{anchor}").wait_for(state="visible")
        page.wait_for_function(
            "(id) => { const box = document.getElementById(id).getBoundingClientRect(); return box.top >= -1 && box.top < innerHeight; }",
            arg=anchor,
        )


def test_a_link_to_a_case_that_is_filtered_out_shows_it(look: Open, many: Path) -> None:
    page = look(many).page
    anchor = page.evaluate("[...document.querySelectorAll('details [data-case][id]')].at(-1).id")
    _filter(page, "case-0000")
    assert page.evaluate(SHOWN) == [["many", "case-0000", "missed"]]
    page.evaluate(f"location.hash = '{anchor}'")
    page.locator(f"#{anchor}").wait_for(state="visible")


@pytest.mark.parametrize("status", STATUSES)
def test_every_link_leads_to_a_place_on_the_page(look: Open, report: Report, status: str) -> None:
    page = look(report(status)).page
    links = page.evaluate("[...document.querySelectorAll('a')].map((each) => each.getAttribute('href'))")
    assert links
    assert [link for link in links if not link.startswith("#") or page.query_selector(link) is None] == []
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((each) => each.id)).size") == len(
        page.query_selector_all("[id]")
    )


def test_a_certificate_says_when_it_has_expired_by_the_readers_clock(look: Open, report: Report) -> None:
    path = report("certified")
    assert not look(path).page.locator("#expired").is_visible()
    opened = look(path)
    opened.page.clock.set_fixed_time("2999-12-31T00:00:00Z")
    opened.page.reload()
    assert "expired" in opened.page.inner_text("#expired")


# -------------------------------------------------------------------------------------------------- no mouse, no script


def test_a_keyboard_reaches_all_that_can_be_done(look: Open, report: Report) -> None:
    page = look(report("blocked")).page
    reached = []
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.append(tuple(page.evaluate(FOCUSED)))
        if reached[-1][0] == "body":
            break
        ring = page.evaluate(
            "() => { const style = getComputedStyle(document.activeElement); return [style.outlineStyle, parseFloat(style.outlineWidth)]; }"
        )
        assert ring[0] != "none", reached[-1]
        assert ring[1] >= 1, reached[-1]
    kinds, ids = {kind for kind, _, _ in reached}, [id for _, id, _ in reached]
    assert reached[0][:2] == ("a", "")
    assert "skip" in reached[0][2]
    assert {"filter", "filter-outcome", "filter-tag", "filter-model", "sort"} <= set(ids)
    assert {"a", "summary", "select", "input"} <= kinds


def test_enter_unfolds_and_folds(look: Open, report: Report) -> None:
    page = look(report("blocked")).page
    fold = page.locator("article details").first
    fold.locator("summary").focus()
    for state in (True, False):
        page.keyboard.press("Enter")
        assert fold.evaluate("(each) => each.open") is state


def test_the_first_link_skips_to_the_checks(look: Open, report: Report) -> None:
    page = look(report("certified")).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => Math.abs(document.getElementById('checks').getBoundingClientRect().top) < innerHeight / 2"
    )


@pytest.mark.parametrize("status", STATUSES)
def test_without_a_script_all_of_it_is_there_and_nothing_that_needs_one(
    look: Open, report: Report, status: str
) -> None:
    with_script = look(report(status)).page.locator("[data-case]").count()
    opened = look(report(status), java_script_enabled=False)
    page = opened.page
    assert page.locator("[data-case]").count() == with_script
    assert page.locator("h1").inner_text().endswith(status)
    for control in page.locator(CONTROLS).all():
        assert not control.is_visible()
    for fold in page.locator("details").all():
        if not fold.evaluate("(each) => each.open"):
            fold.locator("summary").first.click()
    assert len(page.evaluate(SHOWN)) == with_script
    assert opened.is_quiet()


# -------------------------------------------------------------------------------------------------- paper


@pytest.mark.parametrize("status", ["certified", "blocked"])
def test_on_paper_it_is_all_there_and_no_control_is(look: Open, report: Report, status: str) -> None:
    pypdf = pytest.importorskip("pypdf")
    page = look(report(status), color_scheme="dark").page
    folded = page.evaluate("document.querySelectorAll('details:not([open])').length")
    read = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4", print_background=True)))
    words = re.sub(r"\s+", " ", " ".join(leaf.extract_text() for leaf in read.pages))
    assert len(read.pages) > 1
    assert status in words
    for row in _rows(report(status)):
        assert row["check"] in words
        assert row["id"] in words
    for control in ("Cases that contain", "Checks in order of", "Show all", "Skip to"):
        assert control not in words
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == folded
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
