"""The terminal, JUnit, JSON, HTML, the exit status and `verify` say the same of a run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from harness.contract import EXIT
from tests.conftest import Project

CHECKS = {
    "certified": ("{m: {echo: {}}}", ""),
    "blocked": ("{m: {echo: {wrong: [c1]}}}", ""),
    "inconclusive": ("{m: {echo: {wrong: [c1, c2, c3]}}}", ", gate: {pass_rate: 0.95, population: sample}"),
    "gated": ("{m: {echo: {wrong: [c1, c2]}}}", ", gate: {pass_rate: 0.9}"),
    "gate-failed": ("{m: {echo: {wrong: [c1, c2]}}}", ", gate: {pass_rate: 0.99}"),
    "error": ("{m: {echo: {fail: [c1]}}}", ", gate: {pass_rate: 0.5}"),
}
STATUS = {"gated": "certified", "gate-failed": "blocked", "error": "blocked"}
VERDICT = {"certified": "pass", "gated": "pass", "gate-failed": "fail", "blocked": "fail"}


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("what", CHECKS)
def test_every_voice_says_the_same(project: Project, what: str, workers: str) -> None:
    models, gate = CHECKS[what]
    project.cases("c.jsonl", 80)
    project.spec(f"  - {{name: g, kind: golden, model: m, cases: ../c.jsonl{gate}}}\n", models=models)
    ran = project.pytest("specs", "--junitxml=j.xml", "-n", workers)

    status, verdict = STATUS.get(what, what), VERDICT.get(what, what)
    certificate = ran.certificate
    assert certificate.status == status
    assert ran.status == EXIT[certificate.status]
    assert [check.verdict for check in certificate.checks] == [verdict]
    assert re.search(rf"^{status} +", ran.out, re.MULTILINE)
    assert re.search(rf"^{verdict} +specs/a.yaml::golden::g ", ran.out, re.MULTILINE)
    html = (ran.run / "report.html").read_text("utf-8")
    assert f'<header class="top {status}">' in html
    assert f'<article class="check {verdict}"' in html
    suite = ET.parse(project.folder / "j.xml").find("testsuite")
    assert suite is not None
    red = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    assert (red == 0) == (status == "certified")
    assert suite.get("tests") == "81"
    verify = project.hallmark("verify")
    assert verify.status == EXIT[certificate.status]
    assert f"verified: {status}" in verify.out


def test_a_missed_case_inside_a_passing_gate_is_shown_and_fails_nothing(project: Project) -> None:
    project.cases("c.jsonl", 80)
    project.spec(
        "  - {name: g, kind: golden, model: m, cases: ../c.jsonl, gate: {pass_rate: 0.9}}\n",
        models="{m: {echo: {wrong: [c1]}}}",
    )
    ran = project.pytest("specs", "-rx", "-n", "2")
    assert "79 passed, 1 xfailed" in ran.out
    assert "XFAIL specs/a.yaml::golden::g::c1 - missed; the gate decides" in ran.out


def test_an_inconclusive_gate_says_how_many_cases_would_decide(project: Project) -> None:
    project.cases("c.jsonl", 80)
    project.spec(
        "  - {name: g, kind: golden, model: m, cases: ../c.jsonl, gate: {pass_rate: 0.95, population: sample}}\n",
        models="{m: {echo: {wrong: [c1, c2]}}}",
    )
    ran = project.pytest("specs")
    check = ran.certificate.checks[0]
    assert check.verdict == "inconclusive"
    assert check.needed_n is not None
    assert check.needed_n > 80
    assert f"collect {check.needed_n - 80} more cases" in ran.certificate.recommendations[0]
    assert "?" in ran.out


def test_hallmark_run_is_pytest(project: Project) -> None:
    project.cases("c.jsonl", 20)
    project.spec("  - {name: g, kind: golden, model: m, cases: ../c.jsonl}\n")
    by_pytest, by_command = project.pytest("specs", "-n", "2"), project.hallmark("run", "specs", "-n", "2")
    assert by_pytest.status == by_command.status == 0
    assert by_pytest.certificate.checks[0].id == by_command.certificate.checks[0].id
    assert "warning" not in by_command.out
    assert project.hallmark("run", "specs/a.yaml::golden::g::c3").status == 2
