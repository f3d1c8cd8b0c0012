"""pytest's own ways to choose among tests, over cases that are measured in batches."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.conftest import Project

TWO = """\
  - {name: first, kind: golden, model: [m], cases: ../c.jsonl, tags: [x]}
  - {name: gated, kind: golden, model: m, cases: ../c.jsonl, gate: {pass_rate: 0.5}}
"""


@pytest.fixture
def two(project: Project) -> Project:
    project.cases("c.jsonl", 600)
    project.spec(TWO.replace(", tags: [x]", ""), models="{m: {echo: {wrong: [c7, c300]}}}")
    return project


def ids(out: str) -> list[str]:
    return [line for line in out.splitlines() if "::" in line and " " not in line]


def test_collection_lists_cases_by_their_ids(two: Project) -> None:
    ran = two.pytest("specs", "--co", "-q")
    assert ran.status == 0
    assert len(ids(ran.out)) == 1200
    assert "specs/a.yaml::golden::first[m]::c0" in ran.out
    assert not (two.folder / "runs").exists()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_k_selects_cases(two: Project, workers: str) -> None:
    ran = two.pytest("specs", "-k", "c30 and first", "-n", workers)
    assert sorted(ran.outcomes) == sorted(f"specs/a.yaml::golden::first[m]::c{n}" for n in (30, *range(300, 310)))
    assert ran.status == 2
    assert ran.certificate.status == "incomplete"
    assert "were not selected" in ran.certificate.reason


@pytest.mark.parametrize("workers", ["0", "2"])
def test_ids_select_a_case_a_check_or_all_of_a_name(two: Project, workers: str) -> None:
    check = "specs/a.yaml::golden::first[m]"
    assert list(two.pytest(f"{check}::c9", "-n", workers).outcomes) == [f"{check}::c9"]
    assert len(two.pytest(check, "-n", workers).outcomes) == 600
    assert len(two.pytest("specs/a.yaml::golden::first", "-n", workers).outcomes) == 600
    assert len(two.pytest(f"{check}::c1", "specs/a.yaml::golden::gated::c2", "-n", workers).outcomes) == 2
    assert len(two.pytest(f"{check}::c1", "specs/a.yaml", "-n", workers).outcomes) == 1200


def test_an_id_that_is_not_there_is_a_usage_error_with_the_nearest_one(two: Project) -> None:
    ran = two.pytest("specs/a.yaml::golden::frist[m]")
    assert ran.status == 4
    assert "did you mean `specs/a.yaml::golden::first[m]`" in ran.err
    assert "Traceback" not in ran.err + ran.out


def test_markers_are_kinds(two: Project) -> None:
    assert len(two.pytest("specs", "-m", "golden", "--strict-markers").outcomes) == 1200
    assert two.pytest("specs", "-m", "not golden").status == 5


@pytest.mark.parametrize("workers", ["0", "2"])
def test_last_failed_measures_what_missed(two: Project, workers: str) -> None:
    assert two.pytest("specs", "-n", workers).status == 1
    ran = two.pytest("specs", "--lf", "-n", workers)
    assert sorted(ran.outcomes) == [f"specs/a.yaml::golden::first[m]::{case}" for case in ("c300", "c7")]
    two.spec(TWO.replace(", tags: [x]", ""))
    two.pytest("specs", "-n", workers)
    assert len(two.pytest("specs", "--lf", "-n", workers).outcomes) == 1200


def test_last_failed_measures_a_failed_gate_as_a_whole(project: Project) -> None:
    project.cases("c.jsonl", 10)
    checks = "  - {name: g, kind: golden, model: m, cases: ../c.jsonl, gate: {pass_rate: 1}}\n"
    more = "  - {name: other, kind: golden, model: m, cases: [{id: a, input: x, expect: x}]}\n"
    project.spec(checks + more, models="{m: {echo: {wrong: [c7]}}}")
    assert project.pytest("specs").status == 1
    assert len(project.pytest("specs", "--lf").outcomes) == 10


@pytest.mark.parametrize("workers", ["0", "2"])
def test_x_stops_at_the_first_miss_and_certifies_nothing(two: Project, workers: str) -> None:
    ran = two.pytest("specs", "-x", "-n", workers)
    assert ran.status == 2
    assert ran.certificate.status == "incomplete"
    assert 7 < len(ran.outcomes) < 1200
    assert ran.outcomes["specs/a.yaml::golden::first[m]::c7"]["outcome"] == "missed"


def test_nothing_selected_is_exit_status_5_and_no_certificate(two: Project) -> None:
    for workers in ("0", "2"):
        ran = two.pytest("specs", "-k", "nowhere", "-n", workers)
        assert ran.status == 5
        assert "no case was selected" in ran.out
        assert not (two.folder / "runs").exists()


def test_junit_names_cases_whatever_brackets_are_in_their_ids(project: Project) -> None:
    project.spec('  - {name: b, kind: golden, model: [m], cases: [{id: "x[1]::y", input: 1, expect: 2}]}\n')
    for workers in ("0", "2"):
        project.pytest("specs", "--junitxml=j.xml", "-n", workers)
        found = [(e.get("classname"), e.get("name")) for e in ET.parse(project.folder / "j.xml").iter("testcase")]
        assert found == [("specs.a.yaml.golden.b[m]", "x[1]::y"), ("specs.a.yaml.golden", "b[m]")]


def test_durations_speak_of_cases(project: Project) -> None:
    project.spec(
        "  - {name: s, kind: golden, model: m, cases: [{id: slow, input: 1, expect: 1}]}\n",
        models="{m: {echo: {seconds: 0.05}}}",
    )
    ran = project.pytest("specs", "--durations=3")
    assert "specs/a.yaml::golden::s::slow" in ran.out.partition("slowest")[2]


def test_progress_ends_at_100_percent(two: Project) -> None:
    for workers in ("0", "2"):
        ran = two.pytest("specs", "-n", workers)
        assert "[100%]" in ran.out
        assert "[101%]" not in ran.out
    assert "collected 1200 items" in two.pytest("specs").out


def test_ordinary_tests_and_specs_run_side_by_side(two: Project) -> None:
    two.put("test_x.py", "def test_a(): pass\ndef test_b(): assert 0\n")
    two.spec("  - {name: g, kind: golden, model: m, cases: ../c.jsonl}\n")
    for workers in ("0", "2"):
        ran = two.pytest(".", "-n", workers)
        assert ran.certificate.status == "certified"
        assert ran.status == 1
        assert "1 failed, 601 passed" in ran.out
