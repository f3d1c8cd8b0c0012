"""A run as Markdown: the worst on top, within GitHub's limit, and nothing of it means more than it says."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.contract import (
    Before,
    Blocker,
    Certificate,
    CheckResult,
    CriterionResult,
    Locked,
    Moved,
    Previous,
    Ruling,
    Tally,
    WaiverResult,
)
from harness.pages import Run, read_run
from reports import markdown
from reports.markdown.escaping import code, prose
from reports.markdown.fitting import Section, fitted
from reports.plain import plain
from tests.conftest import Project

_APART = "\u200b"
GOOD = "  - {name: good, kind: golden, model: m, cases: [{id: a, input: x, expect: x}]}\n"


def _tokens(text: str) -> list[Token]:
    """The document as GitHub has its blocks, every inline piece among them."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [piece for token in tokens for piece in (token, *(token.children or ()))]


def _sections(text: str) -> list[str]:
    found = re.findall(r"^#+ (.*)$|<summary>(.*?)</summary>", text, re.MULTILINE)
    return [title or folded for title, folded in found]


# ----------------------------------------------------------------------------------------- real runs


def test_a_run_that_is_blocked_tells_the_worst_first_with_its_place_and_its_command(project: Project) -> None:
    project.cases("c.jsonl", 6)
    project.spec(
        f"{GOOD}  - {{name: g, kind: golden, model: m, cases: ../c.jsonl}}\n",
        models="{m: {echo: {wrong: [c1, c2, c3, c4]}}}",
    )
    ran = project.pytest("specs", "-n0")
    run = read_run(ran.run)
    told = markdown.tell(run).decode()
    assert told.startswith("## ❌ Hallmark: blocked\n\n**1 check of 2 did not pass: g**\n")
    titles = _sections(told)
    assert titles[:2] == ["❌ Hallmark: blocked", "What blocks it"]
    assert titles[-1] == "1 check passed"
    assert "- **`specs/a.yaml::golden::g`**, fail: " in told
    assert "  - at `specs/a.yaml:6`" in told
    assert "  - missed `c1` (`c.jsonl:2`): " in told
    assert "  - and 1 more case\n" in told
    assert "  - again: `hallmark run specs/a.yaml::golden::g`" in told
    assert "exit status 1" in told
    assert str(project.folder) not in told
    assert markdown.tell(run) == markdown.tell(read_run(ran.run))


def test_a_run_that_is_certified_says_so_and_folds_what_passed(project: Project) -> None:
    project.spec(GOOD, more="certificate: {expires: 90d, criteria: [{id: right, needs: [good], why: 'a | b'}]}\n")
    ran = project.pytest("specs", "-n0")
    told = markdown.tell(read_run(ran.run)).decode()
    assert told.startswith("## ✅ Hallmark: certified\n")
    assert "| `right` | pass | 100 | a &#124; b |" in told
    assert "- it holds until `20" in told
    assert told.endswith("</details>\n")
    assert "<details><summary>1 check passed</summary>\n\n| check |" in told
    tables = [token for token in _tokens(told) if token.type == "table_open"]
    assert len(tables) == 2


def test_a_waived_check_is_told_with_who_answers_for_it(project: Project) -> None:
    bad = "  - {name: bad, kind: golden, model: m, cases: [{id: a, input: x, expect: y}]}\n"
    waiver = 'certificate: {waivers: [{check: bad, who: "@ada", why: "see #7", until: "2099-12-31"}]}\n'
    project.spec(GOOD + bad, more=waiver)
    ran = project.pytest("specs", "-n0")
    told = markdown.tell(read_run(ran.run)).decode()
    assert "| `specs/a.yaml::golden::bad` | fail, waived | `specs/a.yaml:6` |" in told
    assert "| `specs/a.yaml::golden::bad` | @&#8203;ada | `2099-12-31` | yes | see #&#8203;7 |" in told
    assert "What blocks it" not in told


# ----------------------------------------------------------------------------------- made-up certificates


def _result(id: str, verdict: Ruling = "pass", reason: str = "fine", **more: Any) -> CheckResult:
    known: dict[str, Any] = {**dict.fromkeys(("model", "p", "needed_n")), "advice": "", "at": "specs/a.yaml:4", **more}
    known = {"estimate": 0.5, "interval": (0.25, 0.75), "n": 4, **known}
    return CheckResult(
        id=id,
        name=id,
        kind="golden",
        verdict=verdict,
        method="",
        planned=4,
        outcomes=Tally(met=4),
        reason=reason,
        figures={},
        seconds=0.0,
        **known,
    )


class _Pages:
    """A run whose certificate is another."""

    def __init__(self, run: Run, certificate: Certificate, criteria: bool = False) -> None:
        self.certificate = certificate
        self.plan = msgspec.structs.replace(run.plan, checks=(), criteria=("declared",) if criteria else ())

    def outcomes(self, check: str) -> dict[str, Any]:
        return {}


def _told(*results: CheckResult, criteria: bool = False, **more: Any) -> str:
    run = Run(b'{"hallmark": "1.2.3"}', b"")
    certificate = msgspec.structs.replace(run.certificate, checks=results, **more)
    return markdown.tell(_Pages(run, certificate, criteria)).decode()  # type: ignore[arg-type]


def test_sections_come_in_the_order_of_what_a_reviewer_must_know() -> None:
    before = {"a": Before(verdict="pass", estimate=0.9, interval=(0.8, 1.0), n=4)}
    told = _told(
        _result("a", "inconclusive"),
        _result("b"),
        criteria=True,
        blockers=(Blocker(check="specs/a.yaml", reason="the bar moved", at="specs/a.yaml:1", reproduce="hallmark x"),),
        previous=Previous(run="r-0", started="", status="certified", score=100.0, checks=before),
        locked=Locked(digest="sha256:1", at="2026-01-01", checks=2, moved=(Moved(check="a", what="n", was=1, now=2),)),
        waivers=(WaiverResult(check="b", who="w", why="y", until="2099-01-01", at="", used=False),),
        expires="2099-01-01T00:00:00+00:00",
        notes=("a note",),
        recommendations=("an advice",),
    )
    assert [re.sub(r"^\W+ ", "", title) for title in _sections(told)] == [
        "Hallmark: incomplete",
        "Criteria",
        "What blocks it",
        "What else does not pass",
        "Since the previous run",
        "The lock",
        "Waivers",
        "Score and expiry",
        "Notes",
        "1 check passed",
    ]
    assert "- moved: n of `a`, from `1` to `2`" in told
    assert "| `a` | pass, 0.9 (0.8 to 1) of 4 | inconclusive, 0.5 (0.25 to 0.75) of 4 |" in told
    assert "| `b` | not asked | pass, 0.5 (0.25 to 0.75) of 4 |" in told
    assert "- advice: an advice\n- a note\n" in told


def test_what_became_worse_stands_above_what_became_better() -> None:
    def before(verdict: Ruling) -> Before:
        return Before(verdict=verdict, estimate=0.5, interval=(0.25, 0.75), n=4)

    was = {"better": before("fail"), "same": before("pass"), "worse": before("pass"), "gone": before("pass")}
    told = _told(
        *(_result(id, verdict) for id, verdict in {"better": "pass", "same": "pass", "worse": "fail"}.items()),  # type: ignore[arg-type]
        previous=Previous(run="r-0", started="", status="blocked", score=50.0, checks=was),
    )
    changes = told.partition("### Since the previous run")[2].partition("###")[0]
    assert re.findall(r"^\| `(\w+)`", changes, re.MULTILINE) == ["worse", "gone", "better"]
    assert "That was `r-0`: blocked, score 50; now 0." in changes


def test_criteria_stand_with_the_worst_first() -> None:
    def criterion(id: str, verdict: Ruling, **more: Any) -> CriterionResult:
        return CriterionResult(id=id, why="", needs=(), verdict=verdict, at="", weight=0.25, **more)

    run = Run(b'{"hallmark": "1"}', b"")
    found = (criterion("x", "pass"), criterion("y", "fail", waived=True), criterion("z", "error"))
    certificate = msgspec.structs.replace(run.certificate, criteria=found)
    told = markdown.tell(_Pages(run, certificate, criteria=True)).decode()  # type: ignore[arg-type]
    assert re.findall(r"^\| `(\w)` \| ([\w, ]+) \|", told, re.MULTILINE) == [
        ("z", "error"),
        ("y", "fail, waived"),
        ("x", "pass"),
    ]


# -------------------------------------------------------------------------------------------- escaping

EVIL = [
    "| a | b |",
    "`x` ``y`` \\`z\\`",
    "<img src=x onerror=alert(1)><!-- <details> </details>",
    "@octocat and @org/team, a@b.example",
    "#1, org/repo#2, GH-3, !4, ~label, %5, $6, &7",
    "![i](https://evil.example/x.png) [l](javascript:x) <https://evil.example> https://evil.example www.evil.example",
    ":+1: :smile: specs/a.yaml::golden::g",
    "**bold** __bold__ *i* _i_ ~~gone~~ a_b_c 2*3*4",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "--- ",
    "=== ",
    "\n\n# heading\n\n```\ncode\n```\n::error::x",
    "$x^2$ [^1] [[wiki]] {+a+}",
    "\x1b[31mred\x00\u202eabc",
    "ends in a backslash \\",
]
INERT = {"text", "text_special", "softbreak", "code_inline", "inline"}


def _said(tokens: list[Token]) -> str:
    return "".join(token.content for token in tokens if token.type in ("text", "text_special", "code_inline"))


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("escape", [prose, code])
def test_what_was_written_is_shown_as_it_is_and_does_nothing(text: str, escape: Any) -> None:
    _check_inert(text, escape)


@given(
    st.text(max_size=60) | st.text(alphabet="`|\\*_[]<>!#@&~:-=+.1a \n", max_size=30), st.sampled_from([prose, code])
)
def test_any_text_is_shown_as_it_is_and_does_nothing(text: str, escape: Any) -> None:
    _check_inert(text, escape)


def _check_inert(text: str, escape: Any) -> None:
    shown = escape(text)
    assert "\n" not in shown
    item = _tokens(f"- {shown}\n- next\n")
    assert [token.type for token in item if token.type.endswith("_open")] == [
        "bullet_list_open", "list_item_open", "paragraph_open", "list_item_open", "paragraph_open",
    ] or not plain(text)  # fmt: skip
    row = _tokens(f"| a | b |\n| --- | --- |\n| {shown} | next |\n")
    cells = [row[at + 1] for at, token in enumerate(row) if token.type == "td_open"]
    assert [cell.content for cell in cells][1] == "next"
    assert len(cells) == 2
    for tokens in (item, row):
        inline = [piece for token in tokens if token.type == "inline" for piece in token.children or ()]
        assert {piece.type for piece in inline} <= INERT
    assert _said(list(cells[0].children or ())).replace(_APART, "") == plain(text).replace(_APART, "")


@pytest.mark.parametrize("call", ["@octocat", "#12", "!4", "a@b.example", "GH-3", "https://x", "www.x.example", ":+1:"])
def test_no_service_finds_a_person_an_issue_or_an_address_in_what_is_shown(call: str) -> None:
    shown = _said(_tokens(prose(f"see {call} now")))
    assert call not in shown
    assert call in shown.replace(_APART, "")


def test_a_path_and_a_number_are_left_as_they_are() -> None:
    assert prose("specs/a.yaml:4: 5% of 3,000 were off (0.05 < 0.1)") == (
        "specs/a.yaml:4: 5% of 3,000 were off (0.05 &lt; 0.1)"
    )


# --------------------------------------------------------------------------------------------- its size


def test_a_page_is_never_larger_than_github_takes_and_says_what_is_left_out() -> None:
    evil = "<|@x" * 200
    told = _told(
        *(_result(f"p{n}", "pass", evil) for n in range(1_500)),
        *(_result(f"i{n}", "inconclusive", evil, advice=evil) for n in range(1_500)),
        reason=evil,
        notes=tuple(f"{n} {evil}" for n in range(1_000)),
        blockers=tuple(
            Blocker(check=f"b{n}", reason=evil, at="specs/a.yaml:1", reproduce="hallmark x") for n in range(1_000)
        ),
    )
    assert markdown.FILE == "summary.md"
    assert len(told.encode()) <= markdown.MOST_BYTES <= 1024 * 1024
    for title in ("What blocks it", "What else does not pass", "### Score", "### Notes", "1,500 checks passed"):
        assert title in told
    assert told.count("are left out here") == 4
    assert told.count("<details>") == told.count("</details>\n") == 1
    kept = len(re.findall(r"^- \*\*`b\d+`\*\*", told, re.MULTILINE))
    assert f"*{1_000 - kept} more are left out here" in told


@given(
    st.lists(st.lists(st.text(alphabet="aé日", max_size=80), max_size=30), min_size=1, max_size=6),
    st.integers(400, 4_000),
)
def test_sections_fit_into_whatever_there_is(rows: list[list[str]], most: int) -> None:
    told = fitted([Section(f"## {n}", each, "head", "foot") for n, each in enumerate(rows)], most)
    assert len(told.encode()) <= most + 1
