"""The exit status answers for everything in the session: what failed beside the specs, what stopped it, what was mistyped."""

from __future__ import annotations

import json
import signal
import time
import xml.etree.ElementTree as ET

import pytest

from harness.proof.verify import problems
from tests.conftest import Project, Ran

GOOD = "  - {name: ok, kind: golden, model: m, cases: ../c.jsonl}\n"
WORKERS = pytest.mark.parametrize("workers", ["0", "2"])


@pytest.fixture
def good(project: Project) -> Project:
    project.cases("c.jsonl", 6)
    project.spec(GOOD, models="{m: {echo: {}, batch: 2}}")
    return project


@WORKERS
def test_a_test_file_that_cannot_be_collected_is_not_forgotten(good: Project, workers: str) -> None:
    good.put("specs/test_o.py", "import nonexistent\n")
    ran = good.pytest("specs", "-n", workers, "--continue-on-collection-errors")
    assert ran.status == 1
    assert ran.certificate.status == "certified"
    assert "something beside the specs failed" in ran.out


def test_tests_that_workers_collect_differently_are_not_forgotten(good: Project) -> None:
    good.put("test_x.py", "import os, pytest\n@pytest.mark.parametrize('x', [os.getpid()])\ndef test_x(x): assert 0\n")
    assert good.pytest(".", "-n", "2").status == 1


def test_a_failure_that_another_plugin_counts_is_not_forgotten(good: Project) -> None:
    good.put(
        "conftest.py",
        "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtestloop(session):\n"
        "    result = yield\n    session.testsfailed += 1\n    return result\n",
    )
    assert good.pytest("specs", "-n", "0").status == 1


def test_a_session_that_was_told_to_exit_keeps_its_status(good: Project) -> None:
    good.put("a/test_x.py", "import pytest\ndef test_x(): pytest.exit('bye', returncode=7)\n")
    ran = good.pytest("a", "specs", "-n", "0")
    assert ran.status == 7
    assert ran.certificate.status == "incomplete"
    assert "exit status 7" in ran.certificate.reason


@WORKERS
def test_a_spec_named_twice_is_planned_once(good: Project, workers: str) -> None:
    ran = good.pytest("specs", "specs/../specs/a.yaml", str(good.folder / "specs"), "-n", workers)
    assert ran.certificate.run.planned == 6
    assert ran.status == 0
    assert problems(ran.run) == []


@pytest.mark.parametrize("arguments", [("-k", "("), ("-m", "("), ("specs/nothere.yaml",), ("nothere.py",)])
@WORKERS
def test_a_mistyped_argument_is_a_usage_error_that_leaves_nothing(
    good: Project, workers: str, arguments: tuple[str, ...]
) -> None:
    ran = good.pytest("specs", *arguments, "-n", workers)
    assert ran.status == 4
    assert "Traceback" not in ran.out + ran.err
    assert "INTERNALERROR" not in ran.out
    assert not (good.folder / "runs").exists()


def test_option_values_are_no_paths(good: Project) -> None:
    good.put("golden/x", "")
    assert good.hallmark("run", "-m", "golden", "-n0").certificate.status == "certified"
    assert good.hallmark("run", "-n", "0", "specs/a.yaml").certificate.status == "certified"
    assert good.hallmark("run", "-x", "specs", "-n0").certificate.status == "certified"


def test_hallmark_run_without_a_certificate_is_no_success(good: Project) -> None:
    good.put("specs/test_x.py", "def test_x(): pass\n")
    ran = good.hallmark("run", "specs", "-n0", PYTEST_ADDOPTS="-p no:hallmark")
    assert ran.status == 0
    assert ran.certificate.status == "certified"
    ran = good.hallmark("run", "specs", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert ran.status == 0
    assert ran.certificate.status == "certified"


def test_answers_that_changed_between_plan_and_measurement_certify_nothing(project: Project) -> None:
    answers = project.put("a.jsonl", '{"id": "a", "answer": "wrong"}\n')
    project.spec(
        "  - {name: g, kind: golden, model: m, cases: [{id: a, input: 1, expect: right}]}\n",
        models="{m: {replay: ../a.jsonl}}",
    )
    project.put(
        "conftest.py",
        f"import pathlib\nfile = pathlib.Path({str(answers)!r})\nwas = file.read_text()\n"
        "def pytest_collection_finish(): file.write_text(was.replace('wrong', 'right'))\n"
        "def pytest_runtest_logreport(): file.write_text(was)\n",
    )
    ran = project.pytest("specs", "-n", "0", "--junitxml=j.xml")
    assert ran.certificate.status == "incomplete"
    assert "was another when it was measured" in ran.certificate.reason
    assert ran.status == 2
    suite = ET.parse(project.folder / "j.xml").find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "1"


@WORKERS
def test_a_terminated_run_is_incomplete_and_told(project: Project, workers: str) -> None:
    project.cases("c.jsonl", 400)
    project.spec(GOOD, models="{m: {echo: {seconds: 0.05}, batch: 2}}")
    child = project.start("pytest", "specs", "-n", workers)
    deadline = time.monotonic() + 30
    while not any(b'"outcome"' in p.read_bytes() for p in project.folder.glob("runs/*/outcomes.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=60)
    ran = Ran(child.returncode, out, err, project.folder)
    assert ran.status == 2
    assert ran.certificate.status == "incomplete"
    assert (ran.run / "report.html").exists()


def test_workers_that_die_at_their_start_are_given_up_soon(good: Project) -> None:
    good.put("conftest.py", "import os\nif 'PYTEST_XDIST_WORKER' in os.environ: os._exit(3)\n")
    ran = good.pytest("specs", "-n", "2")
    assert ran.status != 0
    assert ran.out.count("replacing crashed worker") < 20
    assert ran.certificate.status == "incomplete"
    assert "no worker lived to collect" in ran.certificate.reason


def test_what_stands_in_the_current_folder_takes_nobodys_place(good: Project) -> None:
    """A process that measures apart imports what the controller does, and not a `harness` that lies about."""
    good.spec(GOOD, models="{m: {echo: {crash: [c2]}, batch: 6}}")
    good.put("harness/__init__.py", "raise SystemExit(1)\n")
    good.put("run.py", "import sys, pytest\nsys.path.pop(0)\nsys.exit(pytest.main(['specs', '-n', '2']))\n")
    ran = good.script("run.py")
    words = {key.rpartition("::")[2]: line["outcome"] for key, line in ran.outcomes.items()}
    assert words == {f"c{i}": "error" if i == 2 else "met" for i in range(6)}


def test_a_package_that_hides_ours_is_named(good: Project) -> None:
    good.put("models/__init__.py", "")
    good.put("conftest.py", "")
    ran = good.pytest("specs", "-n", "2")
    assert ran.status == 4
    assert "a package called `models`" in ran.err
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("outcomes.jsonl", '"finished":"20', '"finished":"2026-99-'),
        ("outcomes.jsonl", '+00:00","seconds"', '","seconds"'),
        ("plan.json", '"kind":"golden"', '"kind":"silver"'),
        ("plan.json", '"needs":["specs/a.yaml::golden::ok"]', '"needs":["nope"]'),
        ("plan.json", '"needs":["specs/a.yaml::golden::ok"]', '"needs":[]'),
    ],
)
def test_an_edited_run_is_refused_in_words(good: Project, file: str, before: str, after: str) -> None:
    good.spec(GOOD, more="certificate: {criteria: [{id: k, needs: [ok]}], expires: 90d}\n")
    run = good.pytest("specs").run
    text = (run / file).read_text()
    assert before in text
    (run / file).write_text(text.replace(before, after))
    for verb in ("verify", "report"):
        ran = good.hallmark(verb, str(run))
        assert "Traceback" not in ran.err
        assert verb == "report" or ran.status == 1


def test_a_full_disk_is_said_in_a_line_and_certifies_nothing(good: Project) -> None:
    good.put(
        "c.jsonl",
        "".join(json.dumps({"id": f"c{i}", "input": "x" * 3000, "expect": "y"}) + "\n" for i in range(60)),
    )
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))\n"
    ignore = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    good.put("conftest.py", limit + ignore)
    ran = good.pytest("specs", "-n", "0")
    assert ran.status in (2, 3)
    assert "Traceback" not in ran.out + ran.err
    assert "File too large" in ran.out
    assert ran.certificate.status == "incomplete"
    assert "can't be written" in ran.certificate.reason
    assert problems(ran.run) == []


def test_only_the_spec_that_is_named_runs(good: Project) -> None:
    good.spec(GOOD, name="b")
    for words in (
        ("-n0", "specs/b.yaml"),
        ("-vv", "-n0", "specs/b.yaml"),
        ("specs/b.yaml", "-n0"),
        ("-k", "ok", "specs/b.yaml", "-n0"),
    ):
        ran = good.hallmark("run", *words)
        assert [check.id for check in ran.certificate.checks] == ["specs/b.yaml::golden::ok"]


def test_a_room_that_raises_at_plan_time_is_a_fault_of_the_line(project: Project) -> None:
    code = "SCHEMA = {'properties': {'odd': {}}}\nBATCH = 1\ndef faults(options, site): raise KeyError('inside')\n"
    path = project.stranger("hallmark.sources", "odd", code)
    project.spec(GOOD, models="{m: {odd: 1}}")
    project.cases("c.jsonl", 1)
    ran = project.hallmark("validate", PYTHONPATH=path)
    assert ran.status == 4
    assert "specs/a.yaml:3:10: room: `odd` can't make sense of this: KeyError: 'inside'" in ran.err


def test_a_matrix_without_bounds_is_refused(project: Project) -> None:
    rows = ", ".join(f"m{i}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for i in range(8))
    project.spec(
        f"  - {{name: g, kind: golden, model: m, matrix: {{{rows}}}, cases: [{{id: a, input: 1, expect: 1}}]}}\n"
    )
    ran = project.hallmark("validate")
    assert ran.status == 4
    assert "the matrix makes 100,000,000 checks" in ran.err


@WORKERS
def test_a_stop_when_all_was_measured_is_no_stop(good: Project, workers: str) -> None:
    good.spec(GOOD, models="{m: {echo: {wrong: [c5]}, batch: 6}}")
    ran = good.pytest("specs", "-x", "-n", workers)
    assert len(ran.outcomes) == 6
    assert ran.certificate.status == "blocked"
    assert ran.status == 1
