"""The kind that CONTRIBUTING.md teaches, built from that page as a stranger's package, and run."""

from __future__ import annotations

import re
import textwrap

from tests.conftest import REPOSITORY, Project


def blocks(language: str) -> list[str]:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def outside_package(project: Project) -> str:
    (python,), (html,) = blocks("python"), blocks("html")
    project.put("site/strangers_length/panel.html", html)
    return project.stranger("hallmark.evaluators", "length", python)


def test_the_kind_taught_there_works_from_an_outside_package(project: Project) -> None:
    path = outside_package(project)
    cases = '[{id: a, input: short}, {id: b, input: "long, too long by far"}]'
    project.spec(f"  - {{name: brief, kind: length, model: m, cases: {cases}, most: 10}}\n")
    for workers in ("0", "2"):
        ran = project.pytest("specs", "-m", "length", "-n", workers, PYTHONPATH=path)
        assert ran.status == 1
        assert [check.verdict for check in ran.certificate.checks] == ["fail"]
        assert "21 characters, 10 allowed" in ran.out
        assert "At most 10 characters." in (ran.run / "report.html").read_text("utf-8")
    assert project.hallmark("verify", PYTHONPATH=path).status == 1
    assert "blocked" in project.hallmark("verify", PYTHONPATH=path).out
    assert '"check_length"' in project.hallmark("schema", PYTHONPATH=path).out


def test_its_faults_are_told_at_the_users_line(project: Project) -> None:
    path = outside_package(project)
    project.put(
        "specs/a.yaml",
        textwrap.dedent("""\
            hallmark: 1
            models: {m: {echo: {}}}
            checks:
              - name: brief
                kind: length
                model: m
                cases: [{id: a, input: x}]
                most: 2000000
            """),
    )
    ran = project.hallmark("validate", PYTHONPATH=path)
    assert ran.status == 4
    assert "specs/a.yaml:8:11: length: nobody reads that; write at most 1000000" in ran.err
