"""What is asked again and again, and what was promised before: a reviewer sees it on the certificate."""

from __future__ import annotations

from tests.conftest import Project

CHECK = """  - name: c
    kind: golden
    model: m
    cases: c.jsonl
    gate: {pass_rate: 0.9, population: sample}
"""


def asked(project: Project, cases: int = 60, more: str = "") -> None:
    project.cases("specs/c.jsonl", cases)
    project.spec(CHECK, more=more)


def test_a_question_that_is_asked_again_is_counted_and_told(project: Project) -> None:
    asked(project)
    first = project.hallmark("run", "-n0").certificate
    assert (first.checks[0].look, first.notes) == (1, ())
    second = project.hallmark("run", "-n2").certificate
    assert second.checks[0].look == 2
    assert "c: the second look at the same question" in second.notes
    assert project.hallmark("run", "-n0").certificate.checks[0].look == 3


def test_another_question_is_a_first_look(project: Project) -> None:
    asked(project)
    project.hallmark("run", "-n0")
    asked(project, cases=61)
    assert project.hallmark("run", "-n0").certificate.checks[0].look == 1


def test_a_check_that_estimates_nothing_may_be_asked_as_often_as_one_likes(project: Project) -> None:
    project.cases("specs/c.jsonl", 3)
    project.spec("  - {name: c, kind: golden, model: m, cases: c.jsonl}\n")
    project.hallmark("run", "-n0")
    again = project.hallmark("run", "-n0").certificate
    assert (again.checks[0].look, again.notes) == (1, ())


def test_looks_spend_the_error_rate_where_the_spec_says_so(project: Project) -> None:
    asked(project, cases=32, more="certificate: {error_rate: 0.05, looks: spend}\n")
    first = project.hallmark("run", "-n0")
    assert first.certificate.checks[0].p is not None
    assert first.status == 6, first.out
    assert first.certificate.checks[0].flipped
    assert "flips under correction" in (first.run / "report.html").read_text()
    assert project.hallmark("verify").status == 6


def test_verdicts_that_share_an_error_rate_are_told_once_and_agree_everywhere(project: Project) -> None:
    project.cases("specs/c.jsonl", 30)
    checks = "".join(CHECK.replace("name: c", f"name: c{i}") for i in range(3))
    project.spec(checks, more="certificate: {error_rate: 0.05, across: holm}\n")
    for workers in ("-n0", "-n2"):
        ran = project.hallmark("run", workers)
        assert ran.status == 6, ran.out
        assert [check.verdict for check in ran.certificate.checks] == ["inconclusive"] * 3
        assert ran.out.count("it passes by itself, but not with an error rate of 0.05 among the 3 claims") == 3


def test_a_torn_history_harms_nobody(project: Project) -> None:
    asked(project)
    project.put("runs/history.jsonl", b'{"run": "x"\n\xff\xff\nnull\n')
    ran = project.hallmark("run", "-n0")
    assert ran.certificate.checks[0].look == 1
    assert "history.jsonl was taken into history.sqlite, and is kept as history.jsonl.taken-in" in ran.out


def test_a_run_that_was_interrupted_and_taken_up_again_is_one_look(project: Project) -> None:
    asked(project)
    stop = "import pytest\ndef pytest_runtest_logreport(report):\n    pytest.exit('enough')\n"
    project.put("conftest.py", stop)
    first = project.hallmark("run", "-n0")
    assert first.certificate.status == "incomplete"
    project.put("conftest.py", "")
    assert project.hallmark("run", "--resume", "latest", "-n0").certificate.checks[0].look == 1
    assert project.hallmark("run", "--resume", "latest", "-n0").certificate.checks[0].look == 1
    assert project.hallmark("run", "-n0").certificate.checks[0].look == 2


def test_whoever_deletes_the_history_deletes_no_look_of_a_run_that_is_there(project: Project) -> None:
    asked(project)
    project.hallmark("run", "-n0")
    (project.folder / "runs/history.sqlite").unlink()
    again = project.hallmark("run", "-n0")
    assert again.certificate.checks[0].look == 2
    assert "history.sqlite was not there, and was built from the run folders" in again.out


def test_how_an_error_rate_is_kept_wants_one_to_keep(project: Project) -> None:
    asked(project, more="certificate: {across: holm}\n")
    ran = project.hallmark("validate")
    assert ran.status == 4
    assert "no error rate is given" in ran.err


EXPERIMENT = """hypothesis: it is no worse
baseline: m
candidate: m
claim: noninferior
margin: {margin}
planned_n: 40
locked: 2026-11-20
"""


def experiment(project: Project, margin: str, *, kept: bool = True) -> None:
    project.cases("specs/c.jsonl", 40)
    project.put("specs/e.yaml.txt", EXPERIMENT.format(margin=margin))
    claim = f"claim: {{noninferior: {{margin: {margin}}}}}"
    named = "experiment: e.yaml.txt, " if kept else ""
    project.spec(f"  - {{name: c, kind: ab, baseline: m, candidate: m, cases: c.jsonl, {named}{claim}}}\n")


def test_what_was_promised_before_the_first_look_and_changed_since_is_told(project: Project) -> None:
    experiment(project, "0.1")
    first = project.hallmark("run", "-n0")
    assert first.status == 0, first.out
    assert first.certificate.notes == ()
    experiment(project, "0.2")
    changed = project.hallmark("run", "-n0").certificate
    assert [note for note in changed.notes if "`margin` was 0.1" in note and "and is 0.2" in note]
    assert changed.checks[0].look == 1
    experiment(project, "0.2", kept=False)
    dropped = project.hallmark("run", "-n0").certificate
    assert [note for note in dropped.notes if "`hypothesis` was" in note and "is nothing" in note]
    assert project.hallmark("verify").status == 0


def test_a_check_that_stops_early_must_be_able_to_stay_within_its_part_of_the_error_rate(project: Project) -> None:
    project.cases("specs/c.jsonl", 60)
    check = "  - {{name: c, kind: ab, baseline: m, candidate: m, cases: c.jsonl, peek: true, claim: different{more}}}\n"
    project.spec(check.format(more=""), more="certificate: {error_rate: 0.05, looks: spend}\n")
    refused = project.hallmark("validate")
    assert refused.status == 4
    assert "`c` stops at a p of 0.05, and its part of the error rate is 0.025" in refused.err
    assert "give it a `confidence` above 0.975" in refused.err
    project.spec(check.format(more=", confidence: 0.98"), more="certificate: {error_rate: 0.05, looks: spend}\n")
    assert project.hallmark("validate").status == 0
