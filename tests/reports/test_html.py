"""The report for people: whatever a spec or a model says, it stays text."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from harness.contract import Case, Check, Criterion, Declared, Difference, Outcome, Plan, Setting, SpecFile, Word
from harness.ledger import Begin, End, Remark
from harness.pages import Run
from reports import html

HIT = "document.documentElement.setAttribute('data-hit','1')"
CORPUS = [
    f"<script>{HIT}</script>",
    f"<SCRIPT>{HIT}</SCRIPT>",
    f"<script >{HIT}</script >",
    f"</script><script>{HIT}</script>",
    f"</style><script>{HIT}</script>",
    f"</title><script>{HIT}</script>",
    f"</pre><script>{HIT}</script>",
    f"</textarea><script>{HIT}</script>",
    f"</noscript><script>{HIT}</script>",
    f"--><script>{HIT}</script><!--",
    f"]]><script>{HIT}</script>",
    f"<!--><script>{HIT}</script>-->",
    f"<![CDATA[<script>{HIT}</script>]]>",
    f"<scr<script>ipt>{HIT}</scr</script>ipt>",
    f'"><script>{HIT}</script>',
    f"'><script>{HIT}</script>",
    f"`><script>{HIT}</script>",
    f"<img src=x onerror={HIT}>",
    f'<img src=x onerror="{HIT}">',
    f"<img/src=x/onerror={HIT}>",
    f"<IMG SRC=x OnErRoR={HIT}>",
    f"<img src=x:x onerror\n=\n{HIT}>",
    f'" onmouseover="{HIT}',
    f"' onmouseover='{HIT}",
    f'" autofocus onfocus="{HIT}" x="',
    f" onload={HIT} ",
    f"<svg onload={HIT}>",
    f"<svg/onload={HIT}//",
    f"<svg><script>{HIT}</script></svg>",
    f"<svg><animate onbegin={HIT} attributeName=x dur=1s>",
    f'<svg><a xlink:href="javascript:{HIT}"><text>x</text></a></svg>',
    f'<math><mi//xlink:href="data:x,<script>{HIT}</script>">',
    f"<body onload={HIT}>",
    f'<iframe src="javascript:{HIT}"></iframe>',
    f'<iframe srcdoc="<script>parent.{HIT}</script>"></iframe>',
    f'<object data="javascript:{HIT}"></object>',
    f'<embed src="javascript:{HIT}">',
    f'<a href="javascript:{HIT}">x</a>',
    f'<a href=" &#14; javascript:{HIT}">x</a>',
    f"javascript:{HIT}",
    f"data:text/html,<script>{HIT}</script>",
    f"<details open ontoggle={HIT}>",
    f"<video><source onerror={HIT}></video>",
    f"<audio src=x onerror={HIT}>",
    f"<input autofocus onfocus={HIT}>",
    f"<select autofocus onfocus={HIT}>",
    f"<marquee onstart={HIT}>x</marquee>",
    f'<form action="javascript:{HIT}"><button>x</button></form>',
    f'<isindex action="javascript:{HIT}" type=image>',
    f'<meta http-equiv=refresh content="0;url=javascript:{HIT}">',
    '<meta http-equiv=refresh content="0;url=http://127.0.0.1:9/">',
    '<base href="http://127.0.0.1:9/">',
    '<link rel=stylesheet href="http://127.0.0.1:9/x.css">',
    "<style>@import 'http://127.0.0.1:9/x.css';</style>",
    "<style>*{background:url(http://127.0.0.1:9/)}</style>",
    f'<div style="width:expression({HIT})">',
    f"<template><script>{HIT}</script></template>",
    f'<noscript><p title="</noscript><img src=x onerror={HIT}>">',
    f"<x onclick={HIT}>click",
    f"<<script>{HIT}//<</script>",
    f"&lt;script&gt;{HIT}&lt;/script&gt;",
    f"&#60;script&#62;{HIT}&#60;/script&#62;",
    f"\\u003cscript\\u003e{HIT}\\u003c/script\\u003e",
    f"%3Cscript%3E{HIT}%3C/script%3E",
    f"\uff1cscript\uff1e{HIT}\uff1c/script\uff1e",
    f"<script\x00>{HIT}</script>",
    f"<scr\x00ipt>{HIT}</scr\x00ipt>",
    f"\x1b]0;x\x07<script>{HIT}</script>",
    f"\u202e<script>{HIT}</script>",
    f"{{{{ self.__init__.__globals__ }}}}<script>{HIT}</script>",
    "{{ 7 * 191 }}",
    "{% for i in range(10) %}x{% endfor %}",
    "{% include 'page.html' %}",
    "{# gone #}",
    "${7*191}",
    "<%= 7 * 191 %>",
    "#{7*191}",
]
WORDS: tuple[Word, ...] = ("met", "missed", "error", "skipped")


def _bytes(plan: Plan, lines: list[Any]) -> tuple[bytes, bytes]:
    return msgspec.json.encode(plan), msgspec.json.Encoder().encode_lines(lines)


def _run(said: str, where: Literal["spec", "everywhere"] = "everywhere") -> Run:
    """A run in which everything that a spec or a model may write says this, and with `everywhere` names do too."""
    name = said if where == "everywhere" else "name"
    answer = {said: [said, {"deep": said}]}
    cases = tuple(
        Case(
            id=f"{i} {said}",
            input=said if i % 2 else answer,
            expect=answer if i % 2 else said,
            tags=(said, "t"),
            at=said,
        )
        for i in range(4)
    )
    check = Check(
        id=f"specs/{name}.yaml::golden::{name}", name=name, kind="golden", at=f"{said}:1", about=said, model=f"a::{name}",
        options={"compare": {said: "exact"}}, cases=cases,
    )  # fmt: skip
    passed = msgspec.structs.replace(check, id=f"{check.id}2", cases=cases[:1], options={})
    plan = Plan(
        hallmark=name,
        specs=(SpecFile(path=said, name=name, about=said),),
        files={said: name},
        models={f"a::{name}": Declared(name=name, how=name, options={said: said}, recipe=name * 9, at=said)},
        checks=(check, passed),
        criteria=(Criterion(id=name, needs=(check.id, passed.id), why=said, at=said),),
        notes=(said,),
    )
    lines: list[Any] = [
        Begin(
            run=name,
            started="2026-01-01T00:00:00+00:00",
            plan=name,
            machine={said: said},
        ),
        Setting(
            id=name, model=f"a::{name}", facts={"digest": name, said: said, "list": [said, said], "map": {said: said}}
        ),
        Remark(text=said),
    ]
    for case, word in zip(cases, WORDS, strict=True):
        differences = (
            [Difference(at=said, mode="exact", why=said, expected=said, got=answer)] if word == "missed" else []
        )
        lines.append(
            Outcome(case=case.id, outcome=word, check=check.id, answer=answer if word != "error" else said,
                    differences=differences, reason=said, by=name)
        )  # fmt: skip
    lines.append(Outcome(case=cases[0].id, outcome="met", check=passed.id, answer=said, reason=said, by=name))
    lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0))
    return Run(*_bytes(plan, lines))


class Page(HTMLParser):
    """What a browser would make of a page, as far as Python's parser tells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.asides: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag, tuple(sorted(name for name, _ in attrs))] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.asides.append(data)

    def handle_decl(self, decl: str) -> None:
        self.asides.append(decl)

    def handle_pi(self, data: str) -> None:
        self.asides.append(data)

    def unknown_decl(self, data: str) -> None:
        self.asides.append(data)

    def all(self, wanted: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == wanted]

    @property
    def words(self) -> str:
        return "".join(self.text)


def _page(run: Run) -> Page:
    return Page(html.tell(run).decode())


BENIGN = _page(_run("benign"))


# ------------------------------------------------------------------------------------------------ injection


@pytest.mark.parametrize("said", CORPUS)
@pytest.mark.parametrize("where", ["spec", "everywhere"])
def test_what_a_spec_or_a_model_says_adds_no_tag_and_no_attribute(
    said: str, where: Literal["spec", "everywhere"]
) -> None:
    page = _page(_run(said, where))
    assert page.tags == BENIGN.tags
    assert page.asides == BENIGN.asides
    told = ("title", "content", "data-sha256")
    for found, benign in zip(page.attributes, BENIGN.attributes, strict=True):
        assert found == benign or (found[:2] == benign[:2] and found[1] in told)
    if where == "spec":
        assert page.attributes.count(("meta", "content", "Hallmark name")) == 1


def test_the_corpus_is_told_not_swallowed() -> None:
    assert len(set(CORPUS)) >= 60
    for said in CORPUS:
        if said.isprintable():
            assert _page(_run(said, "spec")).words.count(said) > 15


def test_a_template_in_an_answer_is_not_rendered() -> None:
    assert "1337" not in _page(_run("{{ 7 * 191 }}")).words


def test_nothing_outside_the_file_is_loaded() -> None:
    for said in ("http://127.0.0.1:9/x", *CORPUS):
        page = _page(_run(said))
        assert not {"src", "srcset", "data", "action", "formaction", "poster", "background", "style", "srcdoc"} & {
            name for _, name, _ in page.attributes
        }
        assert not {"link", "base", "iframe", "object", "embed", "img", "image", "use"} & {tag for tag, _ in page.tags}
        assert all(re.fullmatch(r"#(check-\d+|checks|moved)", href) for href in page.all("href"))
        assert not any(name.startswith("on") for _, name, _ in page.attributes)
    style = (Path(html.__file__).parent / "style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_links_lead_to_a_place_on_the_page() -> None:
    assert BENIGN.all("href")
    assert {href.removeprefix("#") for href in BENIGN.all("href")} <= set(BENIGN.all("id"))
    assert len(BENIGN.all("id")) == len(set(BENIGN.all("id")))
    assert {name for names in BENIGN.all("aria-labelledby") for name in names.split()} <= set(BENIGN.all("id"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("said", ["benign", "</style><script>x</script>"])
def test_the_policy_allows_this_style_and_this_script_and_nothing_else(said: str) -> None:
    text = html.tell(_run(said)).decode()
    (policy,) = [
        dict(part.strip().split(" ", 1) for part in value.split(";"))
        for value in _page(_run(said)).all("content")
        if "default-src" in value
    ]
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy == {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert (
        text.index("Content-Security-Policy") < text.index("<title>") < text.index("<style>") < text.index("<script>")
    )


# ------------------------------------------------------------------------------------------------ odd text

ODD = [*map(chr, range(32)), "\x7f", "\x85", "\x9b", *"\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e"]
ODD += [*"\u2028\u2029\u2060\u2066\u2067\u2068\u2069\u061c\ufeff\ufff9\U000e0041"]


@pytest.mark.parametrize("odd", [c for c in ODD if c not in "\n\t"], ids=lambda c: f"{ord(c):04x}")
def test_control_and_turning_characters_are_spelled_out_wherever_they_stand(odd: str) -> None:
    raw = html.tell(_run(f"a{odd}b")).decode()
    assert odd not in raw
    assert f"a\\u{ord(odd):04x}b" in raw


def test_no_report_holds_a_control_character_and_every_line_is_utf8() -> None:
    raw = html.tell(_run("".join(ODD))).decode()
    assert {unicodedata.category(c) for c in raw if c != "\n" and c != "\t"} <= {
        "Ll", "Lu", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
        "Sk", "So", "Zs",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["caf\u00e9", "\u65e5\u672c\u8a9e", "\u05e9\u05dc\u05d5\u05dd", "\U0001f600", "e\u0301", "a < b && c > d"]
)
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert text in _page(_run(text)).words


def test_a_huge_answer_is_cut_and_says_how_long_it_was() -> None:
    raw = html.tell(_run("x" * 100_000, "spec")).decode()
    assert "(100,000 characters)" in raw


# --------------------------------------------------------------------------------------------- the big run


def _big(n: int) -> Run:
    words: list[Word] = ["met"] * n
    for i in range(5, n, 40):
        words[i] = "missed"
    words[3] = "skipped"
    words[4] = "error"
    cases = tuple(
        Case(id=f"case-{i:05d}", input={"text": f"input {i}"}, expect=i, at=f"c.jsonl:{i + 1}") for i in range(n)
    )
    bad = Check(id="s::golden::bad", name="bad", kind="golden", at="s:1", cases=cases)
    good = msgspec.structs.replace(bad, id="s::golden::good", name="good", cases=cases[:2])
    lines: list[Any] = [Begin(run="r", started="2026-01-01T00:00:00+00:00", plan="p", machine={})]
    lines += [Outcome(case=c.id, outcome="met", check=good.id, answer=0) for c in good.cases]
    lines += [Outcome(case=c.id, outcome=w, check=bad.id, answer=1) for c, w in zip(cases, words, strict=True)]
    lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0))
    return Run(*_bytes(Plan(hallmark="0", checks=(good, bad)), lines))


def test_ten_thousand_cases_are_all_told_misses_first() -> None:
    raw = html.tell(_big(10_000)).decode()
    shown = re.findall(r'data-case="\w+">.*?(case-\d{5})', raw, re.DOTALL)
    missed = [f"case-{i:05d}" for i in range(5, 10_000, 40)]
    assert shown[:250] == missed
    assert shown[250:252] == ["case-00004", "case-00003"]
    assert sorted(shown[:-2]) == [f"case-{i:05d}" for i in range(10_000)]
    assert shown[-2:] == ["case-00000", "case-00001"]
    assert raw.index("case-00005") < raw.index("case-00000")
    assert "9,748 cases met" in raw


def test_the_same_run_gives_the_same_bytes() -> None:
    assert html.tell(_run("a")) == html.tell(_run("a"))
    assert html.tell(_big(100)) == html.tell(_big(100))


def test_cases_without_an_outcome_are_named() -> None:
    check = Check(id="s::golden::c", name="c", kind="golden", at="s:1", cases=(Case(id="one"), Case(id="two")))
    lines = [
        Begin(run="r", started="2026-01-01T00:00:00+00:00", plan="p", machine={}),
        Outcome(case="one", outcome="met", check=check.id),
    ]
    words = _page(Run(*_bytes(Plan(hallmark="0", checks=(check,)), lines))).words
    assert "incomplete" in words
    assert "1 of its cases have no outcome, two among them" in words


def test_a_run_of_nothing_still_makes_a_page() -> None:
    assert "there was nothing to measure" in _page(Run(*_bytes(Plan(hallmark="0"), []))).words


@pytest.mark.parametrize(("rate", "population"), [(1.0, "suite"), (0.5, "suite"), (0.001, "sample")])
@pytest.mark.parametrize("met", [0, 1, 4])
def test_a_gate_is_drawn_within_its_picture(rate: float, population: str, met: int) -> None:
    gate = {"gate": {"pass_rate": rate, "population": population}}
    cases = tuple(Case(id=str(i), expect=1) for i in range(4))
    check = Check(id="s::golden::c", name="c", kind="golden", at="s:1", cases=cases, options=gate)
    lines: list[Any] = [Outcome(case=str(i), outcome="met" if i < met else "missed", check=check.id) for i in range(4)]
    page = _page(Run(*_bytes(Plan(hallmark="0", checks=(check,)), lines)))
    drawn = [float(value) for _, name, value in page.attributes if name in ("x", "x1", "x2", "cx")]
    assert drawn
    assert all(10 - 1e-6 <= x <= 390 + 1e-6 for x in drawn)


# ----------------------------------------------------------------------------------------- a real browser


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium here")
def test_a_real_browser_runs_our_script_and_none_of_theirs(tmp_path: Path) -> None:
    def dump(page: bytes, name: str) -> Page:
        (tmp_path / name).write_bytes(page)
        done = subprocess.run(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
             "--dump-dom", (tmp_path / name).as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return Page(done.stdout)

    unsafe = dump("<!doctype html>{}".format("\n".join(CORPUS[:30])).encode(), "unsafe.html")
    assert unsafe.all("data-hit") == ["1"]
    page = dump(html.tell(_run("\n".join(CORPUS))), "report.html")
    assert ("html", "lang", "en") in page.attributes
    assert page.all("data-hit") == []
    assert page.tags["script", ()] == 1
    # Our own script ran: it uncovers the filter.
    assert page.tags["div", ("aria-label", "class", "hidden", "role")] == 0
    assert BENIGN.tags["div", ("aria-label", "class", "hidden", "role")] == 1
