"""Whatever a spec or a model says, a browser shows it as text: nothing runs, nothing is asked for, nothing is added."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from harness.contract import Word
from harness.pages import Run
from reports import html
from tests.browser.conftest import Open
from tests.browser.hostile import RUN, STRINGS
from tests.browser.spoken import respell, speak
from tests.reports.test_html import Page

BENIGN = [f"benign {n}" for n in range(len(STRINGS))]
SCRIPTS = "() => [...document.querySelectorAll('script')].map((each) => each.type)"
NEVER_OURS = "iframe, frame, img, image, picture, object, embed, link, form, base, template, video, audio, source, use, a:not([href^='#'])"
ELEMENTS = """
() => {
  const found = {};
  for (const each of document.querySelectorAll("*")) {
    const shape = [each.namespaceURI, each.localName, ...each.getAttributeNames().sort()].join(" ");
    found[shape] = (found[shape] || 0) + 1;
  }
  return found;
}
"""


@cache
def _plain(number: int) -> Page:
    return Page(html.tell(speak(BENIGN[:number])).decode())


def test_the_corpus_is_large_and_says_each_thing_once() -> None:
    assert len(set(STRINGS)) == len(STRINGS) >= 200


@pytest.mark.parametrize("said", STRINGS, ids=range(len(STRINGS)))
def test_a_string_adds_no_tag_no_attribute_and_no_aside_to_the_page(said: str) -> None:
    page, plain = Page(html.tell(speak([said])).decode()), _plain(1)
    assert page.tags == plain.tags
    assert page.asides == plain.asides
    changed = {
        (tag, name)
        for (tag, name, value), (_, _, was) in zip(page.attributes, plain.attributes, strict=True)
        if value != was
    }
    assert not {(tag, name) for tag, name in changed if name in ("href", "id", "class", "src", "style", "type")}


def test_what_can_be_shown_is_shown_as_it_was_said() -> None:
    words = Page(html.tell(speak(STRINGS)).decode()).words
    assert [said for said in STRINGS if said.isprintable() and words.count(said) < 20] == []


@pytest.fixture
def unsafe(tmp_path: Path) -> Callable[[str], Path]:
    def put(said: str) -> Path:
        path = tmp_path / "unsafe.html"
        path.write_text(f"<!doctype html><meta charset=utf-8><body>{said}", "utf-8", errors="replace")
        return path

    return put


@pytest.mark.parametrize(
    "said",
    [
        f"<script>{RUN}</script>",
        f"<img src=x onerror={RUN}>",
        f"</title><img src=x onerror={RUN}>",
        f"<svg onload={RUN}>",
    ],
)
def test_what_is_harmless_on_our_page_is_not_on_another(look: Open, unsafe: Callable[[str], Path], said: str) -> None:
    assert said in STRINGS
    page = look(unsafe(said)).page
    page.wait_for_function("() => window.__x === 1")


def test_a_page_that_says_all_of_it_runs_nothing_and_asks_for_nothing(look: Open, tmp_path: Path) -> None:
    words: tuple[Word, ...] = ("missed", "met")
    _inert(look, tmp_path, speak(STRINGS, words), speak(BENIGN, words))


@pytest.mark.parametrize("status", ["certified", "blocked"])
@pytest.mark.parametrize("start", [0, 180])
def test_models_and_scanned_files_say_all_of_it_in_every_panel(
    look: Open, report: Callable[[str], Path], tmp_path: Path, status: str, start: int
) -> None:
    data = [(report(status).parent / name).read_bytes() for name in ("plan.json", "outcomes.jsonl")]
    strings = STRINGS[start:] + STRINGS[:start]
    _inert(look, tmp_path, respell(*data, strings), respell(*data, BENIGN))


def _inert(look: Open, folder: Path, hostile: Run, plain: Run) -> None:
    found = []
    for name, run in (("plain", plain), ("hostile", hostile)):
        (folder / f"{name}.html").write_bytes(html.tell(run))
        opened = look(folder / f"{name}.html")
        page = opened.page
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        for script in ("scrollTo(0, document.body.scrollHeight)", "scrollTo(0, 0)"):
            page.evaluate(script)
        page.wait_for_timeout(200)
        assert page.evaluate("typeof window.__x") == "undefined"
        assert opened.is_quiet()
        found.append(page.evaluate(ELEMENTS))
        assert page.evaluate(SCRIPTS) == ["", "application/octet-stream", "application/octet-stream"]
        assert page.locator(NEVER_OURS).count() == 0
    assert found[0] == found[1]
