"""A run as JUnit XML: what the terminal says, in the words and within the limits of those who read it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any, get_args
from xml.parsers import expat

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.codec import digest
from harness.contract import EXIT, Case, Check, CheckResult, Difference, Outcome, Plan, Ruling, SpecFile, Tally, Word
from harness.ledger import Begin, End
from harness.pages import Run, read_run
from reports import junit
from reports.junit.writing import Suite, document
from tests.conftest import Project

ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time", "file", "line"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
}
"""What Jenkins' schema allows; `file` and `line` are not in it, and GitLab and the annotators of GitHub read them."""
INSIDE = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out"},
    "properties": {"property"},
    "testcase": {"failure", "error", "skipped"},
}
TIME = re.compile(r"\d+\.\d{3}")


def _read(data: bytes) -> ET.Element:
    """The file, of which everything holds that must hold of any."""
    parser = expat.ParserCreate()
    parser.Parse(data, True)
    root = ET.fromstring(data)
    for element in root.iter():
        assert set(element.keys()) <= ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= INSIDE.get(element.tag, set())
        assert not any("\n" in value or "\x1b" in value for value in element.attrib.values())
    names = Counter((case.get("classname"), case.get("name")) for case in root.iter("testcase"))
    assert all(many == 1 for many in names.values())
    for case in root.iter("testcase"):
        assert len(case) <= 1
        assert all(word.text for word in case), "GitLab shows the text of a word, and not its message"
    wholes = Counter[str]()
    for suite in root:
        counts = Counter(word.tag for case in suite.iter("testcase") for word in case)
        counts = Counter({"tests": len(suite.findall("testcase")), "failures": counts["failure"],
                          "errors": counts["error"], "skipped": counts["skipped"]})  # fmt: skip
        assert {key: int(suite.get(key, "")) for key in ("tests", "failures", "errors", "skipped")} == counts
        times = sum(_milliseconds(case) for case in suite.iter("testcase"))
        assert _milliseconds(suite) == times
        wholes += counts + Counter(time=times)
    assert {key: int(root.get(key, "")) for key in ("tests", "failures", "errors")} == {
        key: wholes[key] for key in ("tests", "failures", "errors")
    }
    assert _milliseconds(root) == wholes["time"]
    return root


def _milliseconds(element: ET.Element) -> int:
    told = element.get("time", "")
    assert TIME.fullmatch(told)
    return int(told.replace(".", ""))


def _words(root: ET.Element) -> dict[tuple[str, str], str]:
    """What became of each testcase, by its names."""
    return {
        (case.get("classname", ""), case.get("name", "")): case[0].tag if len(case) else "passed"
        for case in root.iter("testcase")
    }


def _red(root: ET.Element) -> int:
    return int(root.get("failures", "")) + int(root.get("errors", ""))


# --------------------------------------------------------------------------------- as the terminal does

CASES = "cases: ../c.jsonl"
MODELS = "{m: {echo: {}}, wrong: {echo: {wrong: [c1, c2, c3]}}, broken: {echo: {fail: [c1]}}}"
CHECKS = {
    "good": f"model: m, {CASES}",
    "bad": f"model: wrong, {CASES}",
    "open": f"model: wrong, {CASES}, gate: {{pass_rate: 0.95, population: sample}}",
    "gated": f"model: wrong, {CASES}, gate: {{pass_rate: 0.9}}",
    "gate-fails": f"model: wrong, {CASES}, gate: {{pass_rate: 0.99}}",
    "broken": f"model: broken, {CASES}",
    "later": f"model: m, {CASES}, after: [bad]",
}
WAIVER = 'certificate: {waivers: [{check: bad, who: Ada, why: "ticket 7", until: "2099-12-31"}]}\n'
RUNS = {
    "certified": (["good", "gated", "bad", "later"], WAIVER),
    "blocked": (["good", "bad", "gate-fails", "broken", "open", "later"], ""),
    "inconclusive": (["good", "gated", "open"], ""),
}


@pytest.mark.parametrize("status", RUNS)
def test_each_testcase_says_what_the_terminal_and_its_junit_say(project: Project, status: str) -> None:
    names, more = RUNS[status]
    project.cases("c.jsonl", 80)
    checks = "".join(f"  - {{name: {name}, kind: golden, {CHECKS[name]}}}\n" for name in names)
    project.spec(checks, models=MODELS, more=more)
    ran = project.pytest("specs", "-n0", "--junitxml=j.xml")
    assert ran.status == EXIT[status], ran.out + ran.err  # type: ignore[index]
    run = read_run(ran.run)
    root = _read(junit.tell(run))
    ours, theirs = _words(root), _words(ET.parse(project.folder / "j.xml").getroot())
    assert {key: theirs[key] for key in ours} == ours
    assert {word for key, word in theirs.items() if key not in ours} <= {"passed"}  # the verdicts that pass
    assert (_red(root) == 0) == (status == "certified")
    assert str(project.folder).encode() not in junit.tell(run)
    assert junit.tell(run) == junit.tell(run)


def test_a_testcase_has_the_place_that_gitlab_and_annotators_look_for(project: Project) -> None:
    project.cases("c.jsonl", 3)
    project.spec(f"  - {{name: g, kind: golden, model: m, {CASES}}}\n", models="{m: {echo: {wrong: [c1]}}}")
    ran = project.pytest("specs", "-n0")
    root = _read(junit.tell(read_run(ran.run)))
    case = root.findall(".//testcase")[1]
    assert (case.get("classname"), case.get("name")) == ("specs.a.yaml.golden.g", "c1")
    assert (case.get("file"), case.get("line")) == ("specs/a.yaml", "5")
    failure = case.find("failure")
    assert failure is not None
    assert (failure.text or "").startswith("missed: ")
    assert '  expected  "hello 1"' in (failure.text or "")
    assert "  case      c.jsonl:2, check specs/a.yaml:5" in (failure.text or "")
    verdict = root.findall(".//testcase")[-1]
    assert (verdict.get("classname"), verdict.get("name")) == ("specs.a.yaml.golden", "g")
    assert "  again     hallmark run specs/a.yaml::golden::g" in (verdict[0].text or "")
    facts = {each.get("name"): each.get("value") for each in root.iter("property")}
    assert facts["model"] == "m"
    assert facts["certificate"] == "blocked"
    assert facts["run"] == ran.certificate.run.id
    assert facts["digest"] == "echo"


def test_a_run_of_a_part_fails_by_its_certificate(project: Project) -> None:
    project.cases("c.jsonl", 5)
    project.spec(f"  - {{name: g, kind: golden, model: m, {CASES}}}\n")
    ran = project.pytest("specs/a.yaml::golden::g::c3", "-n0")
    assert ran.status == 2
    root = _read(junit.tell(read_run(ran.run)))
    words = _words(root)
    assert words["specs.a.yaml", "certificate"] == "failure"
    assert words["specs.a.yaml.golden.g", "c3"] == "passed"
    assert words["specs.a.yaml.golden.g", "c2"] == "skipped"
    assert words["specs.a.yaml.golden", "g"] == "skipped"
    assert _red(root) == 1


# ------------------------------------------------------------------------------------- made-up records


def _run(
    *measured: tuple[Case, Outcome | None],
    verdict: Ruling = "fail",
    reason: str = "something of it",
    gate: bool = False,
    at: str = "specs/a.yaml:4",
    id: str = "specs/a.yaml::golden::g",
) -> Run:
    options = {"gate": {"pass_rate": 0.5}} if gate else {}
    check = Check(id=id, name="g", kind="golden", at=at, options=options, cases=tuple(case for case, _ in measured))
    plan = msgspec.json.encode(
        Plan(hallmark="1.2.3", specs=(SpecFile(path="specs/a.yaml", name="a"),), checks=(check,))
    )
    lines: list[Any] = [Begin(run="r-1", started="2026-01-01T00:00:00+00:00", plan=digest(plan), machine={})]
    outcomes = [outcome for _, outcome in measured if outcome is not None]
    lines += [msgspec.structs.replace(outcome, check=check.id) for outcome in outcomes]
    lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0))
    words: Counter[str] = Counter(outcome.outcome for outcome in outcomes)
    nothing: dict[str, Any] = dict.fromkeys(("model", "p", "needed_n"))
    result = CheckResult(
        id=check.id,
        name=check.name,
        kind=check.kind,
        verdict=verdict,
        estimate=0.5,
        interval=(0.0, 1.0),
        method="",
        n=1,
        planned=len(check.cases),
        outcomes=Tally(**words),
        reason=reason,
        advice="",
        figures={},
        at=check.at,
        seconds=0.0,
        **nothing,
    )
    return Run(plan, msgspec.json.Encoder().encode_lines(lines), [result])


def _case(id: str = "c1", outcome: Word = "missed", why: str = "it is off", **more: Any) -> tuple[Case, Outcome]:
    differences = [Difference(at=".", mode="exact", why=why)] if outcome == "missed" else []
    reason = why if outcome in ("error", "skipped") else ""
    known = {"answer": why, "differences": differences, "reason": reason, **more}
    return Case(id=id, input=why, expect=1, at="c.jsonl:7"), Outcome(case=id, outcome=outcome, **known)


HOSTILE = st.text(max_size=40) | st.sampled_from(
    [
        "]]>",
        "<![CDATA[",
        "\x1b[31mred",
        "\x00\x08\ufffe\uffff",
        "&amp;&lt;",
        "\"'<>",
        "\r\n::error::x",
        "\u202eabc",
        "😀",
    ]
)


@given(
    st.lists(st.tuples(HOSTILE, st.sampled_from(get_args(Word)), HOSTILE), max_size=5, unique_by=lambda each: each[0]),
    st.sampled_from(get_args(Ruling)),
    st.booleans(),
    HOSTILE,
)
def test_whatever_was_recorded_the_file_is_read_by_any_parser_and_its_figures_add_up(
    cases: list[tuple[str, Word, str]], verdict: Ruling, gate: bool, text: str
) -> None:
    measured = [_case(f"{n}{id}", word, why, seconds=0.0004) for n, (id, word, why) in enumerate(cases)]
    run = _run(*measured, verdict=verdict, reason=text, gate=gate, at=text, id=f"specs/a.yaml::golden::{text}")
    root = _read(junit.tell(run))
    assert (_red(root) == 0) == (run.certificate.status == "certified")


def test_what_xml_has_no_word_for_is_spelled_out_and_the_rest_stays() -> None:
    root = _read(junit.tell(_run(_case(why="a]]>b\x1b[1m\x00<&>\"' ä😀\r\nnext"), reason="half \ud800")))
    case, verdict = root.findall(".//testcase")
    assert case[0].get("message") == "a]]>b\\u001b[1m\\u0000<&>\"' ä😀 next"
    assert "a]]>b\\u001b[1m" in (case[0].text or "")
    assert verdict[0].get("message") == "fail: half \\ud800"


def test_a_missed_case_in_a_gate_that_passes_is_skipped_with_the_reason() -> None:
    root = _read(junit.tell(_run(_case(), _case("c2", "met"), verdict="pass", gate=True)))
    assert [case[0].get("message") for case in root.iter("testcase") if len(case)] == ["missed; the gate decides"]


def test_a_gate_that_fails_is_one_failure_and_names_the_cases_it_decided_over() -> None:
    root = _read(junit.tell(_run(*(_case(f"c{n}") for n in range(8)), verdict="fail", gate=True)))
    assert Counter(_words(root).values()) == {"skipped": 8, "failure": 1}
    text = root.findall(".//testcase")[-1][0].text or ""
    assert "  missed    c0: it is off" in text
    assert "and 3 more" in text


def test_a_case_in_error_of_a_check_that_was_decided_without_it_fails_nothing() -> None:
    root = _read(junit.tell(_run(_case(outcome="error", why="it broke"), _case("c2", "met"), verdict="pass")))
    (skipped,) = root.findall(".//skipped")
    assert skipped.get("message") == "error; the check was decided without it"
    assert "it broke" in (skipped.text or "")


def test_a_type_is_none_that_turns_the_text_into_something_else_where_a_reader_casts() -> None:
    """GitLab's parser makes dates, numbers and symbols of text with such a `type`, and refuses some."""
    for verdict in get_args(Ruling):
        root = _read(junit.tell(_run(_case(), _case("c2", "error", "x"), _case("c3", "skipped", "x"), verdict=verdict)))
        types = {word.get("type") for case in root.iter("testcase") for word in case}
        assert types <= {"missed", "error", "skipped", "fail", "inconclusive", "unsupported", "blocked", "incomplete"}


def test_times_too_short_to_be_told_still_add_up() -> None:
    root = _read(junit.tell(_run(*(_case(f"c{n}", "met", seconds=0.0004) for n in range(1000)), verdict="pass")))
    assert root.get("time") == "0.400"


@pytest.mark.parametrize("seconds", [-1.0, 1e300])
def test_a_time_that_can_not_be_is_no_fault_of_the_file(seconds: float) -> None:
    _read(junit.tell(_run(_case(seconds=seconds))))


def test_a_long_name_is_cut_and_stays_another_than_its_like() -> None:
    root = _read(junit.tell(_run(_case("x" * 5000 + "1", "met"), _case("x" * 5000 + "2", "met"), verdict="pass")))
    assert all(len(case.get("name", "")) <= 300 for case in root.iter("testcase"))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.yaml", "a/../../x.yaml"])
def test_a_path_out_of_the_root_is_never_told(path: str) -> None:
    root = _read(junit.tell(_run(_case(), at=f"{path}:3", id=f"{path}::golden::g")))
    assert not any(case.get("file", "").startswith(("/", "..", "a/..")) for case in root.iter("testcase"))


# ---------------------------------------------------------------------------------------- giant runs


def test_a_giant_run_keeps_its_testcases_and_shortens_what_they_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(*(_case(f"c{n}", why="日" * 3_000) for n in range(50)))
    whole = junit.tell(run)
    monkeypatch.setattr(junit, "MOST_BYTES", len(whole) // 4)
    shorter = junit.tell(run)
    assert len(shorter) <= len(whole) // 4
    assert _words(_read(shorter)) == _words(_read(whole))


def test_where_not_even_names_have_room_the_worst_are_kept_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(junit, "MOST_BYTES", 20_000)
    cases = [_case(f"c{n}", "missed" if n % 40 == 0 else "met") for n in range(400)]
    told = junit.tell(_run(*cases))
    root = _read(told)
    assert len(told) <= 20_000
    assert Counter(_words(root).values())["failure"] == 11
    left_out = 401 - int(root.get("tests", ""))
    assert left_out > 0
    assert (root.findtext(".//system-out") or "").startswith(f"{left_out} of 401 testcases are left out")


def test_a_run_without_checks_is_told_as_one_that_certifies_nothing() -> None:
    plan = msgspec.json.encode(Plan(hallmark="1"))
    root = _read(junit.tell(Run(plan, b"")))
    assert _words(root) == {("hallmark", "certificate"): "failure"}
    _read(document([Suite("empty", [])], 10))


def test_the_file_is_named_as_everybody_looks_for_it() -> None:
    assert junit.FILE == "junit.xml"
    assert str(Path.cwd()).encode() not in junit.tell(_run(_case()))
