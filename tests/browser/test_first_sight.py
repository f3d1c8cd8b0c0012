"""What a reviewer sees of a certificate: it fits, it asks for nothing, and what decides stands on the first screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.contract import Certificate
from reports import html
from tests.browser.certificates import STATUSES
from tests.browser.conftest import Open
from tests.reports import test_performance_panel as performance

AXE = {"resultTypes": ["violations"]}
CONTRAST = {**AXE, "runOnly": ["color-contrast"]}
"""All that a theme changes."""
STRUCTURE = ("document-title", "html-has-lang", "landmark-one-main", "page-has-heading-one", "heading-order", "region")
STICKS_OUT = """
() => [...document.body.querySelectorAll("*")].filter((each) => {
  const box = each.getBoundingClientRect();
  if (!box.width || box.right <= innerWidth + 1) return false;
  for (let part = each.parentElement; part && part !== document.body; part = part.parentElement)
    if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(part).overflowX)) return false;
  return true;
}).map((each) => each.outerHTML.slice(0, 200))
"""
FAINT = """
() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const part = (value) => value <= 10.31 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([red, green, blue]) => 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue) + 0.05;
  const ground = (each) => {
    const found = each ? numbers(getComputedStyle(each).backgroundColor) : [255, 255, 255];
    return found.length < 4 || found[3] === 1 ? found : ground(each.parentElement);
  };
  return [...document.querySelectorAll("svg text")].filter((each) => each.textContent.trim()).filter((each) => {
    const pair = [light(numbers(getComputedStyle(each).fill)), light(ground(each))];
    return Math.max(...pair) / Math.min(...pair) < 4.5;
  }).map((each) => each.outerHTML);
}
"""
NAMELESS = """
() => [...document.querySelectorAll("svg")].filter((each) =>
  !each.parentElement.closest("svg, [aria-hidden=true]") && each.getAttribute("aria-hidden") !== "true" &&
  !each.getAttribute("aria-label") && !each.getAttribute("aria-labelledby") && !each.querySelector(":scope > title")
).map((each) => each.outerHTML.slice(0, 200))
"""
ON_SCREEN = """
() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange(), said = [];
  while (walker.nextNode()) {
    range.selectNodeContents(walker.currentNode);
    const boxes = [...range.getClientRects()];
    if (boxes.some((box) => box.width) && boxes.every((box) => box.top >= 0 && box.bottom <= innerHeight))
      said.push(walker.currentNode.data);
  }
  return said.join(" ").replace(/\\s+/g, " ");
}
"""


def _certificate(report: Path) -> Certificate:
    return msgspec.json.decode((report.parent / "certificate.json").read_bytes(), type=Certificate)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_a_page_fits_and_asks_for_nothing(
    look: Open, report: Callable[[str], Path], status: str, scheme: str, width: int
) -> None:
    opened = look(report(status), width=width, color_scheme=scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate(STICKS_OUT) == []
    assert status in opened.page.evaluate(ON_SCREEN)
    light = opened.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((n) => n > 127)")
    assert light == (scheme == "light")
    assert len(opened.page.screenshot()) > 10_000
    opened.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate(STICKS_OUT) == []
    assert opened.is_quiet()


@pytest.mark.parametrize("status", STATUSES)
def test_the_first_screen_says_what_decides(look: Open, report: Callable[[str], Path], status: str) -> None:
    path = report(status)
    certificate, said = _certificate(path), look(path).page.evaluate(ON_SCREEN)
    assert certificate.status in said
    assert certificate.reason in said
    models = certificate.provenance["models"]
    if len(models) == 1:
        assert all(key.rpartition("::")[2] in said for key in models)
        assert all(digest[:18] in said for model in models.values() for digest in model["digests"])
    else:
        assert f"{len(models)} models" in said
    for criterion in certificate.criteria:
        assert criterion.id in said
        assert criterion.verdict in said
    for blocker in certificate.blockers:
        assert blocker.reason in said
        assert blocker.at in said
        assert blocker.reproduce in said
    for waiver in certificate.waivers:
        assert waiver.who in said
        assert waiver.until in said
    if certificate.expires:
        assert certificate.expires[:10] in said


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run that timed two models, with all that is drawn of that."""
    timed = performance._run(
        performance._times(held=11.0),
        earlier={"latency_ms.p95": performance.STEP},
        budget={"latency_ms": {"p50": 20, "p95": 14}, "throughput": {"min": 50, "batch": 8}},
        at_most=1.5,
    )
    path = tmp_path_factory.mktemp("measured") / "report.html"
    path.write_bytes(html.tell(timed))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("status", ["certified", "blocked", "measured"])
def test_drawings_have_names_and_words_that_can_be_read(
    look: Open, report: Callable[[str], Path], measured: Path, status: str, scheme: str
) -> None:
    page = look(measured if status == "measured" else report(status), width=400, color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.querySelectorAll('svg text').length") > 3
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.evaluate(STICKS_OUT) == []


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(look: Open, report: Callable[[str], Path], status: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = look(report(status), color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = axe.run(page, options=AXE if scheme == "light" else CONTRAST).response
    assert {"color-contrast", *(STRUCTURE if scheme == "light" else ())} <= {rule["id"] for rule in found["passes"]}
    assert [
        (rule["id"], rule["impact"], [node["html"][:200] for node in rule["nodes"][:5]])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ] == []
