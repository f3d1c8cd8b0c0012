"""What the page tells of a certificate: what decides, what changed, what travels in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.codec import digest
from harness.contract import (
    Before,
    Case,
    Certificate,
    Check,
    Criterion,
    Declared,
    Locked,
    Moved,
    Outcome,
    Pages,
    Plan,
    Previous,
    Setting,
    SpecFile,
    Waiver,
)
from harness.ledger import Begin, End
from harness.pages import Run
from reports import html
from reports.html.previous import changes
from reports.html.record import without

SPEC = "specs/lenet5.yaml"
MODEL = f"{SPEC}::lenet5"
WEIGHTS = "sha256:" + "4f2ab9" * 10 + "4f2a"
How = Literal["met", "missed", "skipped", "cut"]


class Words(HTMLParser):
    """The words that are read on a page, without its style, its script and its record."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.mute = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.mute = tag in ("style", "script")
        if tag in ("td", "th", "dt", "dd", "li", "p", "small", "br"):
            self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.mute = False

    def handle_data(self, data: str) -> None:
        if not self.mute:
            self.found.append(data)


def _words(page: str) -> str:
    return " ".join("".join(Words(page).found).split())


def _id(name: str) -> str:
    return f"{SPEC}::golden::{name}"


def _run(
    checks: dict[str, How],
    *,
    after: bool = False,
    end: bool = True,
    waivers: tuple[Waiver, ...] = (),
    criteria: tuple[Criterion, ...] = (),
    previous: Previous | None = None,
    expires: float | None = 86400.0,
    tags: tuple[str, ...] = (),
) -> Run:
    names = list(checks)
    planned = tuple(
        Check(
            id=_id(name), name=name, kind="golden", model=MODEL, at=f"{SPEC}:{at}",
            cases=tuple(Case(id=f"{name}-{n}", input=n, expect=n, tags=tags) for n in range(4)),
            after=(_id(names[0]),) if after and name != names[0] else (),
        )
        for at, name in enumerate(names, 7)
    )  # fmt: skip
    plan = msgspec.json.encode(
        Plan(
            hallmark="0",
            specs=(SpecFile(path=SPEC, name="lenet5", about="It reads digits", expires=expires),),
            models={MODEL: Declared(name="lenet5", how="zoo", options={}, recipe=WEIGHTS, at=f"{SPEC}:3")},
            checks=planned,
            criteria=criteria,
            waivers=waivers,
        )
    )
    lines: list[Any] = [
        Begin(run="r-1", started="2026-01-01T00:00:00+00:00", plan=digest(plan), machine={}, previous=previous),
        Setting(id="s", model=MODEL, facts={"digest": WEIGHTS}),
    ]
    for check in planned:
        how = checks[check.name]
        for n, case in enumerate(check.cases):
            if how == "cut" and n:
                break
            word = "skipped" if how == "skipped" else "missed" if how == "missed" and n == 0 else "met"
            reason = f"stands on {names[0]}" if how == "skipped" else ""
            lines.append(Outcome(case=case.id, check=check.id, outcome=word, answer=n, reason=reason, by="s"))  # type: ignore[arg-type]
    if end:
        lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0))
    return Run(plan, msgspec.json.Encoder().encode_lines(lines))


class Other:
    """A run whose certificate says something else."""

    def __init__(self, run: Run, **said: Any) -> None:
        self._run = run
        self.certificate: Certificate = replace(run.certificate, **said)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)


def _page(pages: Pages | Other) -> str:
    told: Any = pages
    return html.tell(told).decode()


def _first(page: str) -> str:
    """The words of what stands before the checks."""
    return _words(page[: page.index('id="checks"')])


# ----------------------------------------------------------------------------------------- what decides


@pytest.mark.parametrize(
    ("checks", "end", "status", "next_"),
    [
        ({"digits": "met"}, True, "certified", "Compute it again from its record, without the models hallmark verify"),
        ({"digits": "missed"}, True, "blocked", "Mend what blocks, and measure everything again hallmark run"),
        ({"digits": "cut"}, True, "incomplete", "Measure everything that was planned; nothing is certified before"),
        ({"digits": "met"}, False, "incomplete", "Measure everything that was planned; nothing is certified before"),
    ],
)
def test_the_first_screen_says_what_decides_and_what_to_do(
    checks: dict[str, How], end: bool, status: str, next_: str
) -> None:
    run = _run(checks, end=end)
    first = _first(_page(run))
    assert run.certificate.status == status
    assert first.index(status) < first.index(run.certificate.reason) < first.index(WEIGHTS) < first.index("Criteria ")
    assert next_ in first
    assert "not locked before the run" in first
    assert ("2026-01-02 00:00:01 UTC" in first) == (status == "certified")
    assert ("it is not certified" in first) == (status != "certified")


def test_a_blocker_has_its_place_and_its_command() -> None:
    page = _page(_run({"digits": "missed", "noise": "met"}))
    assert "1 blocker digits specs/lenet5.yaml:7" in _first(page)
    assert "hallmark run specs/lenet5.yaml::golden::digits" in _first(page)


def test_a_certificate_without_a_date_says_so() -> None:
    assert "Holds until no date was set" in _first(_page(_run({"digits": "met"}, expires=None)))


def test_criteria_tell_their_weight_their_reason_and_what_they_stand_on_the_unmet_first() -> None:
    criteria = (
        Criterion(id="reads", needs=(_id("digits"),), at=SPEC, why="It reads", weight=3, spec=SPEC),
        Criterion(id="robust", needs=(_id("digits"), _id("noise")), at=SPEC, weight=1, spec=SPEC),
    )
    first = _first(_page(_run({"digits": "met", "noise": "missed"}, criteria=criteria)))
    assert "✕ fail robust stands on digits, noise 25 %" in first
    assert "✓ pass reads It reads stands on digits 75 %" in first
    assert first.index("robust stands") < first.index("reads It")
    assert "75 of 100: the weight of the criteria that are met" in first


def test_many_criteria_are_folded_the_unmet_never() -> None:
    page = _page(_run({f"c{n}": "missed" if n == 30 else "met" for n in range(40)}))
    assert "29 more that are met" in _words(page)
    assert page.index(">c30</a>") < page.index(">c0</a>")


def test_many_models_are_folded_and_one_is_told_whole() -> None:
    assert "Model lenet5 " + WEIGHTS in _first(_page(_run({"digits": "met"})))


def test_a_waiver_is_never_silent_whether_it_is_used_or_not() -> None:
    waivers = (
        Waiver(checks=(_id("noise"),), who="Ada", why="collected anew", until="2026-03-01", at=f"{SPEC}:40"),
        Waiver(checks=(_id("digits"),), who="Bob", why="in case", until="2026-03-01", at=f"{SPEC}:44"),
        Waiver(checks=(_id("old"),), who="Cyd", why="was late", until="2025-03-01", at=f"{SPEC}:48"),
    )
    page = _page(_run({"digits": "met", "noise": "missed", "old": "missed"}, waivers=waivers))
    first = _first(page)
    assert "noise waived Ada, until 2026-03-01: collected anew specs/lenet5.yaml:40" in first
    assert "digits not used it passes Bob, until 2026-03-01: in case specs/lenet5.yaml:44" in first
    assert "old not used it ended before this run Cyd" in first
    assert "Waived by Ada until 2026-03-01: collected anew" in _words(page[page.index('id="checks"') :])
    assert "Waived by Bob" not in _words(page)


def test_what_stands_on_something_that_failed_is_shown_as_skipped() -> None:
    page = _page(_run({"digits": "missed", "noise": "skipped"}, after=True))
    words = _words(page)
    assert "? inconclusive noise skipped" in words
    assert "Stands on digits" in words
    assert "4 cases were not measured." in words


def test_a_bar_that_was_locked_says_so() -> None:
    lock = Locked(digest=WEIGHTS, at="2025-12-31T10:00:00+00:00", checks=1, reworded=(SPEC,))
    page = _page(Other(_run({"digits": "met"}), locked=lock))
    assert "✓ locked before the run 2025-12-31 10:00:00 UTC" in _first(page)
    assert 'id="moved"' not in page


def test_what_moved_since_the_lock_is_told_thing_by_thing() -> None:
    lock = Locked(
        digest=WEIGHTS, at="2025-12-31T10:00:00+00:00", checks=1, unlocked=(_id("noise"),), reworded=(SPEC,),
        moved=(
            Moved(check=_id("digits"), what="gate.pass_rate", was=0.95, now=0.9),
            Moved(check=SPEC, what="criteria", was=["a"], now=None),
        ),
    )  # fmt: skip
    first = _first(_page(Other(_run({"digits": "met", "noise": "met"}), locked=lock)))
    assert "! 2 things moved since it was locked; 1 check is not in the lock" in first
    assert "digits gate.pass_rate 0.95 0.9" in first
    assert 'specs/lenet5.yaml criteria ["a"] null' in first
    assert "The lock does not hold noise." in first
    assert "Written otherwise, and saying the same: specs/lenet5.yaml." in first


def test_checks_that_came_after_the_lock_moved_nothing() -> None:
    lock = Locked(digest=WEIGHTS, at="2025-12-31T10:00:00+00:00", checks=1, unlocked=(_id("digits"), _id("noise")))
    first = _first(_page(Other(_run({"digits": "met", "noise": "met"}), locked=lock)))
    assert "✓ locked before the run; 2 checks are not in the lock 2025-12-31 10:00:00 UTC" in first
    assert "The lock does not hold digits, noise." in first
    assert "moved since" not in first


# ---------------------------------------------------------------------------------------- what changed


def _previous(**checks: Before) -> Previous:
    return Previous(
        run="r-0",
        started="2025-12-01T00:00:00+00:00",
        status="blocked",
        score=50.0,
        checks={_id(name): before for name, before in checks.items()},
    )


def _before(verdict: Any = "pass", estimate: float | None = 1.0, n: int = 4) -> Before:
    return Before(verdict=verdict, estimate=estimate, interval=(1.0, 1.0) if estimate else None, n=n)


def test_verdicts_that_changed_come_first_the_worse_ones_before_the_better() -> None:
    previous = _previous(better=_before("fail", 0.5), worse=_before(), figures=_before(n=9), gone=_before())
    run = _run({"better": "met", "worse": "missed", "figures": "met", "new": "met"}, previous=previous)
    found = changes(previous, run.certificate.checks)
    assert [(each.name, each.worse) for each in found.verdicts] == [("worse", True), ("better", False)]
    assert [each.name for each in (*found.figures, *found.new, *found.gone)] == ["figures", "new", "gone"]
    page = _page(run)
    words = _words(page[page.index('id="changes"') : page.index('id="checks"')])
    assert "Beside run r-0 of 2025-12-01 00:00:00 UTC, which was blocked with a score of 50" in words
    assert "2 verdicts changed" in words
    assert "worse ✓ pass ✕ fail worse 1 n 4" in words
    assert "better ✕ fail ✓ pass better 0.5" in words
    assert "New: new (pass)" in words
    assert "No longer asked: gone (pass)" in words
    assert 'aria-label="worse: before 1, between 1 and 1; now 0.75, between' in page


def test_where_nothing_changed_one_line_says_so() -> None:
    run = _run({"digits": "met"}, previous=_previous(digits=_before()))
    page = _page(run)
    changed = page[page.index('id="changes"') : page.index('id="checks"')]
    assert "Nothing: the one check says the very same as in run r-0" in _words(changed)
    assert "<table" not in changed
    assert 'id="changes"' not in _page(_run({"digits": "met"}))


def test_an_estimate_that_was_never_made_is_no_trouble() -> None:
    run = _run({"digits": "met"}, previous=_previous(digits=_before("error", None, 0)))
    assert "digits ! error ✓ pass better" in _words(_page(run))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=6, max_size=6))
@settings(max_examples=60)
def test_both_intervals_are_drawn_within_their_picture(numbers: list[float]) -> None:
    from reports.html.page import _environment

    parts: Any = _environment().get_template("parts.html").module
    low, mark, high = sorted(numbers[:3])
    was = Before(verdict="pass", estimate=mark, interval=(low, high), n=1)
    low, mark, high = sorted(numbers[3:])
    drawn = parts.pair(was, Before(verdict="fail", estimate=mark, interval=(low, high), n=2), "x")
    across = re.findall(r'cx="([^"]*)"', drawn) + re.findall(r"[MH]([-\d.e]+)", drawn)
    assert len(across) == 10
    assert all(0 <= float(at) <= 172 for at in across)


# ------------------------------------------------------------------------------------ what it can be asked


def test_choices_are_offered_where_there_is_a_choice() -> None:
    assert 'id="filter-' not in _page(_run({"digits": "met"}))
    page = _page(_run({"digits": "missed"}, tags=("thin", "old <b>")))
    assert re.findall(r'<select id="([\w-]+)">', page) == ["filter-outcome", "filter-tag"]
    assert "<option>missed</option><option>met</option>" in page
    assert "<option>old &lt;b&gt;</option><option>thin</option>" in page
    assert 'id="sort"' in _page(_run({"digits": "met", "noise": "met"}))


def test_controls_are_hidden_until_a_script_shows_them() -> None:
    page = _page(_run({"digits": "missed", "noise": "met"}))
    assert re.findall(r'<div class="filter"[^>]*hidden>', page)
    before, _, rest = page.partition('<div class="filter"')
    outside = before + rest[rest.index("</div>") :]
    assert not re.findall(r"<(input|select|button)\b", outside)


def test_every_case_says_what_came_of_it_where_a_filter_reads_it() -> None:
    page = _page(_run({"digits": "missed", "noise": "met"}))
    assert sorted(re.findall(r'data-case="(\w*)"', page)) == ["met"] * 7 + ["missed"]


def test_headings_go_down_one_step_at_a_time() -> None:
    page = _page(_run({"digits": "missed", "noise": "met"}, previous=_previous(digits=_before())))
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_every_drawing_says_what_it_shows() -> None:
    page = _page(_run({"digits": "missed", "noise": "met"}, previous=_previous(digits=_before())))
    drawings = re.findall(r"<svg[^>]*>", page)
    assert drawings
    assert all(" aria-label=" in each or "aria-hidden" in each for each in drawings)
    assert page.count("<figure>") == page.count("<figcaption>")


# ------------------------------------------------------------------------------------- what travels in it


def test_the_record_travels_in_the_page() -> None:
    run = _run({"digits": "missed"})
    data = html.tell(run)
    assert html.record_of(data) == dict(run.data)
    assert html.same(run, data)
    held = html.record_of(data)
    assert Run(held["plan.json"], held["outcomes.jsonl"]).certificate == run.certificate


def test_a_page_of_another_run_is_not_the_same() -> None:
    run, other = _run({"digits": "missed"}), _run({"digits": "met"})
    assert not html.same(run, html.tell(other))
    assert without(html.tell(run)) != without(html.tell(other))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_flipped_bit_anywhere_is_not_the_same(data: st.DataObject) -> None:
    page = bytearray(PAGE)
    at = data.draw(st.integers(0, len(page) - 1))
    page[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not html.same(RUN, bytes(page))


RUN = _run({"digits": "missed", "noise": "met"})
PAGE = html.tell(RUN)


@pytest.mark.parametrize("cut", [0, 1, 100, 5000])
def test_a_page_that_is_cut_off_or_goes_on_is_not_the_same(cut: int) -> None:
    assert not html.same(RUN, PAGE[:cut])
    assert not html.same(RUN, PAGE[: len(PAGE) - cut - 1])
    assert not html.same(RUN, PAGE + b" ")


def test_what_a_model_says_is_never_taken_for_the_record() -> None:
    said = '<script type="application/octet-stream" data-file="plan.json" data-sha256="' + "0" * 64 + '"></script>'
    run = _run({said: "met"})
    assert html.record_of(html.tell(run)) == dict(run.data)
