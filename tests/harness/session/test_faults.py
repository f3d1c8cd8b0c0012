"""Cases that fail, hang and kill; workers that are killed; folders that can't be written; runs that are cut short."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from harness.board import read_board
from tests.conftest import Project, Ran


def one_check(project: Project, n: int, echo: str, more: str = "") -> None:
    project.cases("c.jsonl", n)
    project.spec(
        f"  - {{name: g, kind: golden, model: m, cases: ../c.jsonl{more}}}\n", models=f"{{m: {{echo: {echo}}}}}"
    )


def words(ran: Ran) -> dict[str, str]:
    return {key.rpartition("::")[2]: line["outcome"] for key, line in ran.outcomes.items()}


def test_a_case_that_fails_errs_alone(project: Project) -> None:
    one_check(project, 50, "{fail: [c3]}")
    ran = project.pytest("specs")
    assert [case for case, word in words(ran).items() if word != "met"] == ["c3"]
    assert "RuntimeError: asked to fail" in ran.outcomes["specs/a.yaml::golden::g::c3"]["reason"]
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_case_that_hangs_is_ended_after_its_time(project: Project, workers: str) -> None:
    one_check(project, 50, "{hang: [c3]}", ", timeout: 0.3")
    ran = project.pytest("specs", "-n", workers)
    assert words(ran) == {f"c{i}": "error" if i == 3 else "met" for i in range(50)}
    assert "it took longer than its 0.3 s" in ran.out


def test_cases_that_kill_their_workers_err_and_all_others_are_measured(project: Project) -> None:
    killers = {"c0", "c1", "c260", "c599", "c999"}
    one_check(project, 1000, f"{{crash: [{', '.join(sorted(killers))}]}}")
    ran = project.pytest("specs", "-n", "2")
    assert words(ran) == {f"c{i}": "error" if f"c{i}" in killers else "met" for i in range(1000)}
    assert ran.certificate.status == "blocked"
    assert ran.status == 1
    assert project.hallmark("verify").status == 1


@pytest.mark.parametrize("selection", [("-k", "c1 or c2"), ("-x",)])
def test_a_killer_is_survived_when_cases_are_run_singly(project: Project, selection: tuple[str, ...]) -> None:
    one_check(project, 12, "{crash: [c2]}")
    ran = project.pytest("specs", "-n", "1", *selection)
    assert words(ran)["c1"] == "met"
    assert words(ran)["c2"] == "error"


def test_workers_killed_at_random_lose_nothing(project: Project) -> None:
    one_check(project, 1000, "{seconds: 0.003}")
    child = project.start("pytest", "specs", "-n", "2")
    chance = random.Random(7)
    kills = 0
    deadline = time.monotonic() + 60
    while child.poll() is None and kills < 5 and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.15, 0.4))
        busy = [
            doing
            for path in project.folder.glob("runs/*/.boards/*")
            if (doing := read_board(path)) and doing.position >= 0
        ]
        if busy:
            os.kill(chance.choice(busy).pid, signal.SIGKILL)
            kills += 1
    out, err = child.communicate(timeout=60)
    ran = Ran(child.returncode, out, err, project.folder)
    found = words(ran)
    errors = [case for case, word in found.items() if word == "error"]
    assert len(found) == 1000
    assert kills == 5
    assert len(errors) <= kills
    assert all(word in ("met", "error") for word in found.values())
    assert ran.certificate.status == ("blocked" if errors else "certified")


def test_an_interrupted_run_is_incomplete_and_keeps_what_was_measured(project: Project) -> None:
    one_check(project, 2000, "{seconds: 0.01}")
    child = project.start("pytest", "specs", "-n", "2")
    wait_for(lambda: any(path.stat().st_size > 3000 for path in project.folder.glob("runs/*/outcomes.jsonl")))
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    ran = Ran(child.returncode, out, err, project.folder)
    assert ran.status == 2
    assert ran.certificate.status == "incomplete"
    assert 0 < len(ran.outcomes) < 2000


def test_a_run_whose_controller_was_killed_is_readable_and_certifies_nothing(project: Project) -> None:
    one_check(project, 2000, "{seconds: 0.01}")
    child = project.start("pytest", "specs", "-n", "2")
    wait_for(lambda: any(path.stat().st_size > 3000 for path in project.folder.glob("runs/*/outcomes.jsonl")))
    child.kill()
    child.communicate(timeout=60)
    (folder,) = (path for path in (project.folder / "runs").iterdir() if path.name != "latest")
    verify = project.hallmark("verify", str(folder))
    assert verify.status == 1
    assert "certificate.json: it is not there: the run is unfinished, and `hallmark run --resume " in verify.err
    assert project.hallmark("report", str(folder)).status == 0
    assert "incomplete" in (folder / "report.html").read_text("utf-8")


def wait_for(true: object, seconds: float = 30) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_a_case_file_edited_during_the_run_voids_it(project: Project) -> None:
    one_check(project, 300, "{seconds: 0.004}")
    child = project.start("pytest", "specs", "-n", "2")
    wait_for(lambda: list(project.folder.glob("runs/*/outcomes.jsonl")))
    project.cases("c.jsonl", 299)
    out, err = child.communicate(timeout=60)
    ran = Ran(child.returncode, out, err, project.folder)
    assert ran.certificate.status == "incomplete"
    assert "c.jsonl changed during the run" in ran.certificate.reason
    assert ran.status == 2


def test_a_run_folder_that_cannot_be_written_is_told_before_anything_is_measured(project: Project) -> None:
    one_check(project, 3, "{}")
    project.put("runs", "a file where the folder should be")
    ran = project.pytest("specs")
    assert ran.status == 4
    assert "can't be written" in ran.err
    assert "Traceback" not in ran.err


def test_a_model_that_cannot_be_opened_errs_its_cases_and_no_others(project: Project) -> None:
    answers = project.put("answers.jsonl", '{"id": "a", "answer": 1}\n')
    project.spec(
        "  - {name: bad, kind: golden, model: gone, cases: [{id: a, input: 1, expect: 1}]}\n"
        "  - {name: good, kind: golden, model: m, cases: [{id: a, input: 1, expect: 1}]}\n",
        models="{m: {echo: {}}, gone: {replay: ../answers.jsonl}}",
    )
    project.put(
        "conftest.py", f"import pathlib\ndef pytest_collection_finish():\n    pathlib.Path({str(answers)!r}).unlink()\n"
    )
    ran = project.pytest("specs")
    assert ran.outcomes["specs/a.yaml::golden::good::a"]["outcome"] == "met"
    bad = ran.outcomes["specs/a.yaml::golden::bad::a"]
    assert bad["outcome"] == "error"
    assert "can't be opened" in bad["reason"]


def test_a_report_that_fails_is_said_and_the_certificate_stands(project: Project) -> None:
    one_check(project, 3, "{}")
    project.put(
        "conftest.py",
        "import reports.html\ndef broken(pages):\n    raise ValueError('no ink')\nreports.html.tell = broken\n",
    )
    ran = project.pytest("specs")
    assert ran.status == 3
    assert "the html report could not be written: ValueError: no ink" in ran.out
    assert ran.certificate.status == "certified"


@pytest.mark.parametrize("said", ["\x1b[31mred\x1b[0m\x07", "::error file=x::y\n::set-output", "a\x00b"])
def test_control_characters_of_an_answer_reach_no_terminal(project: Project, said: str, tmp_path: Path) -> None:
    import json

    project.put("c.jsonl", json.dumps({"id": "a", "input": said, "expect": "other"}) + "\n")
    project.spec("  - {name: g, kind: golden, model: m, cases: ../c.jsonl}\n")
    ran = project.pytest("specs", "--junitxml=j.xml", "--color=no")
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out
    assert "\x00" not in ran.out
    assert not any(line.startswith("::") for line in ran.out.splitlines())
    assert ran.outcomes["specs/a.yaml::golden::g::a"]["answer"] == said


@pytest.mark.parametrize("dist", ["load", "worksteal"])
def test_dying_workers_are_survived_however_work_is_shared_out(project: Project, dist: str) -> None:
    one_check(project, 1000, "{crash: [c5, c900], seconds: 0.0005}")
    ran = project.pytest("specs", "-n", "2", "--dist", dist)
    assert [case for case, word in words(ran).items() if word != "met"] == ["c5", "c900"]
    assert len(ran.outcomes) == 1000


@pytest.mark.parametrize("dist", ["loadscope", "loadfile", "loadgroup", "each"])
def test_ways_of_sharing_out_that_lose_tests_are_refused(project: Project, dist: str) -> None:
    one_check(project, 3, "{}")
    ran = project.pytest("specs", "-n", "2", "--dist", dist)
    assert ran.status == 4
    assert "use --dist load or --dist worksteal" in ran.err
    project.put("pytest.ini", f"[pytest]\naddopts = --dist {dist}\n")
    assert project.hallmark("run", "specs").status == 0


BRITTLE = """
import os, signal, time
SCHEMA = {"properties": {"brittle": {"type": "string"}}}
BATCH = 8

class Model:
    digest, together = "brittle", True

    def __init__(self, mood):
        if mood == "unopenable":
            os.kill(os.getpid(), signal.SIGKILL)
        self.mood = mood

    def answer(self, questions):
        for question in questions:
            if question.id == "c11" and self.mood == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if question.id == "c11" and self.mood == "raises":
                raise ValueError("this one spoils the batch")
            if question.id == "c11" and self.mood == "numb":
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
                time.sleep(3600)
        return [question.input for question in questions]

    def facts(self):
        return {}

def open(options, site):
    return Model(options["brittle"])
"""


@pytest.mark.parametrize("mood", ["killed", "raises", "numb"])
def test_in_a_model_that_answers_whole_batches_one_bad_case_is_found_out(project: Project, mood: str) -> None:
    path = project.stranger("hallmark.sources", "brittle", BRITTLE)
    project.cases("c.jsonl", 24)
    project.spec(
        "  - {name: g, kind: golden, model: m, cases: ../c.jsonl, timeout: 0.2}\n", models=f"{{m: {{brittle: {mood}}}}}"
    )
    ran = project.pytest("specs", "-n", "2", PYTHONPATH=path)
    assert words(ran) == {f"c{i}": "error" if i == 11 else "met" for i in range(24)}


def test_a_model_that_kills_whoever_opens_it_errs_its_cases_and_no_others(project: Project) -> None:
    path = project.stranger("hallmark.sources", "brittle", BRITTLE)
    one = "cases: [{id: a, input: 1, expect: 1}, {id: b, input: 1, expect: 1}]"
    project.spec(
        f"  - {{name: bad, kind: golden, model: gone, {one}}}\n  - {{name: good, kind: golden, model: m, {one}}}\n",
        models="{gone: {brittle: unopenable}, m: {echo: {}}}",
    )
    ran = project.pytest("specs", "-n", "2", PYTHONPATH=path)
    assert {key.partition("golden::")[2]: line["outcome"] for key, line in ran.outcomes.items()} == {
        "bad::a": "error",
        "bad::b": "error",
        "good::a": "met",
        "good::b": "met",
    }
    assert "while the model was being opened" in ran.out
