"""The determinism panel: a map of every cell, its bad ones a click from the case, and two outputs where they part."""

from __future__ import annotations

import html as entities
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.determinism.cells import Cell, Record
from evaluators.determinism.comparing import part
from evaluators.determinism.requiring import AGAINST, AXES, required
from evaluators.determinism.verdict import grade
from harness.contract import Case, Check, Numerics, Outcome, Plan, SpecFile
from harness.ledger import Begin, End
from harness.pages import Run
from reports import html
from reports.html.alignment import Side, aligned
from reports.html.writing import bins
from tests.conftest import Project
from tests.reports.test_html import CORPUS, Page

Cells = dict[str, Cell]
SAME = Cell(state="bits", runs=4)
NEAR = Cell(state="tokens", runs=4, differ=1, run="run 2", gap=0.25)
MUTE = Cell(state="unsupported", why="it can't be")
BROKEN = Cell(state="error", runs=1, differ=1, why="ValueError: no")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def _parted(here: Any, there: Any, run: str = "alone", **more: Any) -> Cell:
    found = part(here, there)
    assert found is not None
    place = {"at": found.at, "here": found.here, "there": found.there, "place": found.place}
    return Cell(state="different", runs=5, differ=1, run=run, within=False, answer=there, **place | more)


def _run(
    rows: dict[str, Cells | str | None],
    answer: Any = "yes",
    *,
    numerics: Numerics = "strict",
    declared: bool = False,
    **options: Any,
) -> Run:
    """A run of one check; of each case its cells, or why there is no answer, or nothing where it was not measured."""
    first = next((cells for cells in rows.values() if isinstance(cells, dict)), {})
    options = {"vary": [axis for axis in first if axis != AGAINST] or ["repeat"]} | options
    cases = tuple(Case(id=id, input=f"asked {id}", at="c.jsonl:1") for id in rows)
    check = Check(
        id="s.yaml::determinism::d",
        name="d",
        kind="determinism",
        at="s.yaml:1",
        options=options,
        cases=cases,
        batch=256,
    )
    lines: list[Any] = [Begin(run="r", started="2026-01-01T00:00:00+00:00", plan="p", machine={})]
    for case, cells in zip(cases, rows.values(), strict=True):
        if isinstance(cells, dict):
            said = answer(case.id) if callable(answer) else answer
            record = Record(answer=said, tokens="t", bits="b", backend="x", cells=cells)
            lines.append(msgspec.structs.replace(grade(check, case, record), check=check.id))
        elif cells is not None:
            lines.append(Outcome(case=case.id, outcome="error", check=check.id, reason=cells))
    lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0))
    specs = (SpecFile(path="s.yaml", name="s", numerics="fast" if declared else None),)
    plan = Plan(hallmark="0", checks=(check,), specs=specs, numerics=numerics)
    return Run(msgspec.json.encode(plan), msgspec.json.Encoder().encode_lines(lines))


def _raw(rows: dict[str, Cells | str | None], answer: Any = "yes", **options: Any) -> str:
    return html.tell(_run(rows, answer, **options)).decode()


def _words(raw: str) -> str:
    return " ".join(Page(raw).words.split())


def _leads(raw: str) -> list[str]:
    """Where the cells of the map lead to."""
    return re.findall(r'href="#(check-1-case-\d+)"', raw)


def _table(raw: str) -> dict[str, list[str]]:
    """The words of each axis in the table, by axis."""
    (table,) = re.findall(r'<table class="sizes axes">.*?</table>', raw, re.DOTALL)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("<tr>")[2:]]
    return {row[0]: [entities.unescape(cell) for cell in row[1:]] for row in rows}


# ----------------------------------------------------------------------------------------------- the map


def test_every_cell_that_does_not_hold_leads_to_its_case_and_no_other_leads_anywhere() -> None:
    other = _parted("yes", "no")
    raw = _raw(
        {
            "a": {"repeat": SAME, "batch": SAME},
            "b": {"repeat": SAME, "batch": other},
            "c": {"repeat": NEAR, "batch": other},
        }
    )
    assert _leads(raw) == ["check-1-case-3", "check-1-case-2", "check-1-case-3"]
    assert {f'id="check-1-case-{n}"' in raw for n in (2, 3)} == {True}
    assert 'id="check-1-case-1"' not in raw


@pytest.mark.parametrize(
    ("cell", "sign", "word", "leads"),
    [
        (SAME, "=", "bit-identical", False),
        (NEAR, "≈", "same answer from other numbers, which is less than is required", True),
        (_parted("yes", "no"), "≠", "different", True),
        (MUTE, "–", "can't be varied", False),
        (BROKEN, "!", "error", True),
    ],
)
def test_a_state_has_a_sign_and_a_word_and_not_only_a_colour(cell: Cell, sign: str, word: str, leads: bool) -> None:
    raw = _raw({"a": {"batch": cell, "repeat": SAME}})
    (drawn,) = re.findall(r'<th scope="row">batch</th>\s*<td class="[a-z ]+">(.*?)</td>', raw, re.DOTALL)
    assert re.sub(r"<[^>]*>", "", drawn) == sign
    assert (f'aria-label="batch, a: {word}"' in drawn) == leads
    (legend,) = re.findall(r'<ul class="legend">.*?</ul>', raw, re.DOTALL)
    assert f"{sign} {word}" in _words(legend)


def test_other_numbers_hold_where_the_same_answer_is_enough() -> None:
    raw = _raw({"a": {"batch": NEAR}, "b": {"batch": SAME}}, require="tokens")
    assert _leads(raw) == []
    assert _table(raw)["batch"][:5] == ["the same answer", "2 of 2", "1", "1", ""]
    assert "as far as is allowed" in raw


def test_a_case_without_an_answer_is_an_error_on_every_axis() -> None:
    raw = _raw({"a": {"repeat": SAME, "batch": SAME}, "b": "ValueError: <no>"})
    assert _leads(raw) == ["check-1-case-2"] * 2
    assert "ValueError: <no>" in _words(raw)
    assert [row[1] for row in _table(raw).values()] == ["1 of 2", "1 of 2"]


def test_a_run_without_any_answer_still_makes_a_page() -> None:
    raw = _raw({"a": "ValueError: no", "b": None})
    assert "ValueError: no" in raw
    assert "1 of its cases have no outcome, b among them" in raw
    assert '<table class="sizes axes">' not in raw


@pytest.mark.parametrize("n", [1, 2, 32, 33, 120, 240, 241, 1000])
def test_maps_of_any_width_lead_to_the_worst_of_the_cases_that_share_a_place(n: int) -> None:
    rows: dict[str, Cells | str | None] = {f"q{i}": {"batch": SAME} for i in range(n)}
    rows[f"q{n // 2}"] = {"batch": NEAR}
    rows[f"q{n - 1}"] = {"batch": _parted("yes", "no")}
    raw = _raw(rows)
    found = {f"check-1-case-{n // 2 + 1}", f"check-1-case-{n}"}
    assert set(_leads(raw)) == found
    assert found <= set(re.findall(r'id="(check-1-case-\d+)"', raw))


def test_ten_thousand_cases_on_six_axes_make_a_small_page_that_tells_of_every_one() -> None:
    axes = ("repeat", "process", "batch", "order", "threads", "reload")
    here = {"text": "a b c d " * 20, "tokens": list(range(80))}
    other = _parted(here, {"text": "a b e d " * 20, "tokens": [*range(40), 7, *range(41, 80)]})
    good: Cells = dict.fromkeys(axes, SAME)
    bad: Cells = {**good, "batch": other, "threads": NEAR}
    raw = _raw({f"case-{i:05d}": bad if i % 2 else good for i in range(10_000)}, here)
    assert len(raw) < 4_000_000
    assert len(_leads(raw)) == 2 * 240
    assert re.findall(r'id="check-1-case-(\d+)"', raw) == [str(i) for i in range(2, 10_001, 2)]
    assert "4,950 more" in raw
    assert "5,000 cases held" in raw


@given(st.text("abc", min_size=1, max_size=400), st.integers(1, 50))
def test_bins_show_the_first_state_in_order_of_those_that_they_stand_for(codes: str, most: int) -> None:
    found = bins(codes, "cab", most)
    assert sum(bin.size for bin in found) == len(codes)
    assert len(found) == min(len(codes), most)
    start = 0
    for bin in found:
        held = codes[start : start + bin.size]
        assert bin.code == next(code for code in "cab" if code in held)
        assert bin.first == start + held.index(bin.code)
        assert bin.many == held.count(bin.code)
        start += bin.size


def test_no_cases_make_no_bins() -> None:
    assert bins("", "ab") == []


# --------------------------------------------------------------------------------------------- the table


SAID = {"bits": "every bit", "tokens": "the same answer"}


@pytest.mark.parametrize("options", [{}, {"require": "tokens"}, {"require": {"batch": "tokens", "blas": "bits"}}])
def test_the_table_says_of_each_axis_what_is_required_of_it(options: dict[str, Any]) -> None:
    run = _run({"a": dict.fromkeys([*AXES, AGAINST], SAME)}, **options)
    (check,) = run.plan.checks
    told = {axis: row[0] for axis, row in _table(html.tell(run).decode()).items()}
    assert told == {axis: SAID[required(check, axis)[0]] for axis in (*AXES, AGAINST)}


def test_the_table_says_how_close_numbers_have_to_be() -> None:
    close = {"batch": {"close": {"abs": 1e-5, "rel": 0.001}}}
    assert _table(_raw({"a": {"batch": SAME}}, require=close))["batch"][0] == (
        "the same answer, numbers within 1e-05 and 0.001 relative"
    )
    assert _table(_raw({"a": {"batch": SAME}}, require={"close": {"abs": 2}}))["batch"][0].endswith("within 2")


def test_the_table_counts_states_and_tells_the_largest_gap_and_why_something_was_not_varied() -> None:
    far = Cell(state="tokens", runs=4, differ=1, gap=7.0)
    raw = _raw(
        {"a": {"batch": NEAR, "cache": MUTE}, "b": {"batch": far, "cache": MUTE}, "c": {"batch": BROKEN, "cache": MUTE}}
    )
    assert _table(raw) == {
        "batch": ["every bit", "0 of 3", "", "2", "", "", "1", "7", "ValueError: no"],
        "cache": ["every bit", "", "", "", "", "3", "", "", "it can't be"],
    }


def test_what_another_seed_changed_is_told() -> None:
    moved = Cell(state="bits", runs=2, moved=True, samples=True)
    raw = _raw({"a": {"seed": moved}, "b": {"seed": Cell(state="bits", runs=2, moved=False, samples=True)}})
    assert _table(raw)["seed"][-1] == "another seed changed 1 of 2 answers"


@pytest.mark.parametrize(
    ("cell", "claimed"), [(SAME, True), (NEAR, False), (_parted("yes", "no"), False), (BROKEN, False), (MUTE, False)]
)
def test_a_bound_on_diverging_runs_is_claimed_only_where_runs_were_repeated_and_none_diverged(
    cell: Cell, claimed: bool
) -> None:
    raw = _raw({"a": {"repeat": cell, "batch": NEAR}}, runs=59)
    assert ("<dd>fewer than 4.95 % of runs diverge</dd>" in raw) == claimed


# --------------------------------------------------------------------------------------------- the cases


@pytest.mark.parametrize("id", ["plain", "two words", "it's", 'a "b" $(c) `d` \\', "ünï;&|<>", "-n 3"])
def test_each_case_has_one_command_that_a_shell_reads_as_its_id(id: str) -> None:
    raw = _raw({id: {"batch": NEAR}})
    commands = re.findall(r'<code class="command">(.*?)</code>', raw[raw.index('<li class="case"') :])
    assert shlex.split(entities.unescape(commands[0])) == ["hallmark", "run", f"s.yaml::determinism::d::{id}"]


@pytest.mark.parametrize(
    ("numerics", "declared", "asked"), [("fast", False, True), ("fast", True, False), ("strict", False, False)]
)
def test_the_command_asks_for_fast_numerics_where_no_spec_does(numerics: Numerics, declared: bool, asked: bool) -> None:
    raw = _raw({"a": {"batch": NEAR}}, numerics=numerics, declared=declared)
    assert ("hallmark run s.yaml::determinism::d::a --numerics fast<" in raw) == asked
    assert ("hallmark run s.yaml::determinism::d::a<" in raw) == (not asked)


def test_cases_that_parted_come_before_those_that_only_differ_in_numbers() -> None:
    rows: dict[str, Cells | str | None] = {f"q{i}": {"batch": NEAR} for i in range(60)}
    raw = _raw(rows | {"last": {"batch": _parted("yes", "no")}})
    laid_out = re.findall(r'<li class="case" id="check-1-case-(\d+)"', raw)
    assert laid_out == ["61", *map(str, range(1, 50))]
    assert "11 more" in raw


def test_two_outputs_are_laid_out_beside_each_other_with_the_first_token_that_differs_marked() -> None:
    here = {"text": "one two three", "tokens": [1, 2, 3]}
    there = {"text": "one two four", "tokens": [1, 2, 4]}
    raw = _raw({"a": {"batch": _parted(here, there, "in a batch of 7", gap=0.002, margin=0.001)}}, here)
    assert re.findall(r"<mark>(.*?)</mark>", raw) == ["3", "4", "t", "f"]
    assert re.findall(r'<i class="same">(.*?)</i>', raw) == ["1", "2"] * 2
    assert re.findall(r'<span class="same">(.*?)</span>', raw) == ["one two "] * 2
    words = _words(raw)
    assert "in a batch of 7, it parts at token 3, where the reference preferred its own choice by 0.001" in words
    assert "the numbers there are 0.002 apart (1 of 5 runs not bit-identical)" in words
    assert re.findall(r"<dt>(Reference|in a batch of 7)</dt>", raw) == ["Reference", "in a batch of 7"] * 2


def test_the_same_other_answer_is_laid_out_once() -> None:
    raw = _raw(
        {"a": {"batch": _parted("yes", "no"), "order": _parted("yes", "no"), "padding": _parted("yes", "maybe")}}
    )
    assert raw.count('class="sides aligned"') == 2
    assert "It answers as it does with batch, above." in raw


def test_a_cell_whose_other_answer_was_not_kept_is_told_of_in_a_sentence() -> None:
    raw = _raw(
        {"a": {"against": Cell(state="different", runs=1, differ=1, run="hashes.json", within=False, at="the answer")}},
        against={},
    )
    assert "hashes.json: it parts at the answer" in _words(raw)
    assert 'class="sides aligned"' not in raw


def test_what_was_kept_stands_beside_what_is_answered_now() -> None:
    raw = _raw({"a": {"against": _parted("yes", "no", "runs/before")}}, against={})
    assert re.findall(r"<dt>(Now|Reference|runs/before)</dt>", raw) == ["Now", "runs/before"]


def _saying(said: list[str]) -> Page:
    """A page on which everything that a spec or a model may write says one of these."""
    heres = {f"{i} {said}": {"tokens": [said, "x"], "text": f"x{said}"} for i, said in enumerate(said)}
    rows: dict[str, Cells | str | None] = {"z": said[0]}
    for (id, here), each in zip(heres.items(), said, strict=True):
        rows[id] = {
            "batch": _parted(here, {"tokens": [each, "y"], "text": f"y{each}"}, each),
            "order": _parted(here, here | {"more": each, each: each}, each),
            "cache": Cell(state="unsupported", why=each),
            "padding": Cell(state="error", why=each),
        }
    return Page(_raw(rows, heres.__getitem__))


@pytest.mark.parametrize("part", [CORPUS, CORPUS[:30], CORPUS[30:]], ids=["all", "one half", "the other"])
def test_what_a_model_says_adds_no_tag_no_attribute_and_no_place_on_the_page(part: list[str]) -> None:
    found, benign = _saying(part), _saying(["benign"] * len(part))
    assert found.tags == benign.tags
    assert found.asides == benign.asides
    for name in ("href", "id", "class", "d", "role"):
        assert found.all(name) == benign.all(name)


@pytest.mark.parametrize("odd", ["\x1b", "\x00", "\u202e", "\u2028"])
def test_control_characters_are_spelled_out_in_outputs_and_in_names(odd: str) -> None:
    cell = _parted(f"a{odd}b" * 40, f"a{odd}b" * 39 + "c", f"run{odd}")
    raw = _raw({f"id{odd}": {"batch": cell}}, f"a{odd}b" * 40)
    assert odd not in raw
    assert f"a\\u{ord(odd):04x}b" in raw


# --------------------------------------------------------------------------------------------- alignment


def _marks(here: Any, there: Any) -> list[tuple[str, str]]:
    return [(found.sides[0].mark, found.sides[1].mark) for found in aligned(here, there)]


@given(st.text(), st.text(), st.text())
def test_texts_are_aligned_at_the_first_character_that_differs(shared: str, here: str, there: str) -> None:
    mine, other = shared + here, shared + there
    if mine == other:
        return
    (found,) = aligned(mine, other)
    at = found.before + len(found.sides[0].shared)
    assert mine[:at] == other[:at]
    assert found.sides[0].mark == mine[at : at + 1] != other[at : at + 1] == found.sides[1].mark
    for side, whole in zip(found.sides, (mine, other), strict=True):
        assert side.shared == whole[found.before : at]
        assert whole[at + 1 :].startswith(side.rest)
        assert side.more == len(whole) - at - len(side.mark) - len(side.rest)


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_tokens_are_aligned_at_the_first_that_differs(here: list[int], there: list[int]) -> None:
    found = part({"tokens": here}, {"tokens": there})
    if found is None or found.place is None:
        return
    (told,) = aligned({"tokens": here}, {"tokens": there})
    assert told.unit == "token"
    assert told.before + len(told.sides[0].shared) == found.place
    assert [side.mark for side in told.sides] == ["".join(map(str, side[found.place :][:1])) for side in (here, there)]


@given(PLAIN, PLAIN)
def test_wherever_two_answers_part_different_pieces_are_marked(here: Any, there: Any) -> None:
    found = aligned(here, there)
    if part(here, there) is not None:
        assert all(one.sides[0].mark != one.sides[1].mark for one in found)
    assert found == aligned(*json.loads(json.dumps([here, there])))


@pytest.mark.parametrize(
    ("here", "there", "marks"),
    [
        ({"p": 0.5, "label": 3}, {"p": 0.7, "label": 4}, [('  "label": 3', '  "label": 4')]),
        ({"p": 1e-7, "label": 3, "x": 1}, {"p": 0.7, "label": 4}, [('  "label": 3,', '  "label": 4')]),
        ({"label": 3}, {"label": 3, "more": 1}, [("}", '  "more": 1')]),
        ([1, 2], [1], [("  2", "]")]),
        ({"label": "cat"}, {"label": "dog"}, [('  "label": "cat"', '  "label": "dog"')]),
        (1, "1", [("1", '"1"')]),
        ("same", "same and more", [("", " ")]),
        ({"tokens": [1, 2]}, {"tokens": [1]}, [("2", "")]),
        ({"tokens": ["a", "\n"]}, {"tokens": ["a", ""]}, [("⏎", '""')]),
        ({"tokens": [1], "text": "a"}, {"tokens": [2], "text": "a"}, [("1", "2")]),
        ({"tokens": [1], "text": "a"}, {"tokens": [1], "text": "b"}, [('  "text": "a"', '  "text": "b"')]),
        ({"tokens": [1]}, {"text": "b"}, [('  "tokens": [', '  "text": "b"')]),
    ],
)  # fmt: skip
def test_the_first_thing_that_says_something_else_is_marked(
    here: Any, there: Any, marks: list[tuple[str, str]]
) -> None:
    assert _marks(here, there) == marks


def test_a_long_text_within_an_answer_is_laid_out_as_a_text_and_named() -> None:
    here, there = ({"p": 0.5, "said": [{"text": "x" * 300 + end}]} for end in "ab")
    (found,) = aligned(here, there)
    assert (found.unit, found.field, found.before) == ("character", "said[0].text", 220)
    assert [side.mark for side in found.sides] == ["a", "b"]


def test_each_side_shows_its_own_numbers_before_the_place_where_they_part() -> None:
    (found,) = aligned({"p": 0.5, "label": 3}, {"p": 0.7, "label": 4})
    assert [side.shared for side in found.sides] == [["{", '  "p": 0.5,'], ["{", '  "p": 0.7,']]


def test_a_long_line_is_cut_around_the_place_where_it_differs() -> None:
    here, there = ({"k" * 500 + end: 1} for end in "ab")
    ((mine, other),) = _marks(here, there)
    assert len(mine) < 210
    assert mine != other
    assert mine.endswith('a": 1')


def test_a_side_that_has_ended_says_so() -> None:
    assert aligned("ab", "a")[0].sides == (Side("a", "b", "", 0), Side("a", "", "", 0))
    assert "ends here" in _raw({"a": {"batch": _parted("yes", "yes, no")}})


# ---------------------------------------------------------------------------------------- from end to end


def test_a_bad_cell_of_a_real_run_leads_to_a_command_that_shows_it_again(project: Project) -> None:
    project.put("pytest.ini", "[pytest]\nhallmark_allow_python = true\n")
    project.put("m.py", "def answer(xs):\n    return [{'label': x + (i == 2)} for i, x in enumerate(xs)]\n")
    project.put("c.jsonl", "\n".join(json.dumps({"id": f"it's {i}", "input": i}) for i in range(4)))
    project.spec(
        "  - {name: d, kind: determinism, model: m, cases: ../c.jsonl, vary: [batch]}\n",
        "{m: {python: 'm:answer', batched: true}}",
    )
    first = project.hallmark("run", "specs", "-n", "0")
    raw = (first.run / "report.html").read_text()
    place = _leads(raw)[0]
    (case,) = re.findall(rf'<li class="case" id="{place}".*?</li>', raw, re.DOTALL)
    assert "<mark>" in case
    (command,) = re.findall(r'<code class="command">(.*?)</code>', case)
    again = project.hallmark(*shlex.split(entities.unescape(command))[1:], "-n", "0")
    (told,) = again.outcomes.items()
    assert told[1]["outcome"] == "missed"
    assert told[1]["answer"] == first.outcomes[told[0]]["answer"]


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium here")
def test_a_link_into_a_folded_table_opens_it(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(_raw({f"q{i}": {"batch": NEAR} for i in range(60)}))
    done = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--dump-dom", f"{(tmp_path / 'report.html').as_uri()}#check-1-case-55"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert re.search(r'<details open="">(?:(?!</details>).)*id="check-1-case-55"', done.stdout, re.DOTALL)
