"""The `hallmark` command, verb by verb; what `run` does is told by the session tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import __version__
from harness.cli import main
from tests.conftest import Project

CHECK = "  - {name: c, kind: golden, model: [m, n], cases: ../c.jsonl}\n"


@pytest.fixture
def here(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one spec, in which we stand."""
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(project.folder)
    project.cases("c.jsonl", 1200)
    project.spec(CHECK, models="{m: {echo: {}}, n: {echo: {}, batch: 7}}", more="about: what it is for\n")
    return project


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def status(*argv: str) -> int:
    """The exit status, whichever way it comes."""
    try:
        return main(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else -1


def test_validate_counts_what_it_read(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("validate") == 0
    assert capsys.readouterr().out == "1 spec, 2 checks, 2,400 cases: no fault\n"


def test_validate_takes_files_and_folders(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.spec("  - {name: d, kind: golden, model: m, cases: ../c.jsonl}\n", name="b")
    assert status("validate", "specs/b.yaml") == 0
    assert "1 spec, 1 check, 1,200 cases" in capsys.readouterr().out
    assert status("validate", "specs/b.yaml", "specs") == 0
    assert "2 specs, 3 checks, 3,600 cases" in capsys.readouterr().out


def test_validate_tells_all_faults_and_what_to_write(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.put("specs/b.yaml", "hallmark: 1\nchekcs: []\n")
    here.put("specs/d.yaml", "hallmark: 1\nmodels: {m: {ecko: {}}}\n")
    assert status("validate") == 4
    said = capsys.readouterr()
    assert (
        "specs/b.yaml:2:1: unknown-key: `chekcs` is not a key here; did you mean `checks`?\n     2 | chekcs: []\n"
        in said.err
    )
    assert "specs/d.yaml:2:14: source:" in said.err
    assert said.err.endswith("2 faults in the specs\n")
    assert said.out == ""


def test_validate_says_what_a_reviewer_should_know(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.put("specs/answers.jsonl", '{"id": "unasked", "answer": 1}\n')
    here.spec("  - {name: c, kind: golden, model: m, cases: ../c.jsonl}\n", models="{m: {replay: answers.jsonl}}")
    assert status("validate") == 0
    assert "note: specs/answers.jsonl has answers that no check asks for" in capsys.readouterr().out


def test_plan_shows_specs_models_and_checks(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("plan") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["specs/a.yaml", "a:", "what", "it", "is", "for"]
    assert lines[1][:3] == ["model", "m", "echo"]
    assert lines[3] == ["check", "c[m]", "golden", "1,200", "cases", "in", "5", "batches"]
    assert lines[4] == ["check", "c[n]", "golden", "1,200", "cases", "in", "172", "batches"]
    assert lines[5] == ["2", "checks,", "2,400", "cases"]


def test_models_are_listed_and_those_without_a_build_are_left_alone(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("models", "list") == 0
    listed = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert listed == [["specs/a.yaml::m", "echo"], ["specs/a.yaml::n", "echo"]]
    assert status("models", "build") == 0
    assert "nothing to build" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["spec", "case", "outcome", "certificate"])
def test_schema_prints_a_schema(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert status("schema", name) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_schema_is_of_specs_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("schema") == 0
    assert "golden" in json.loads(capsys.readouterr().out)["properties"]["defaults"]["properties"]


def test_doctor_says_what_is_here(project: Project) -> None:
    ran = project.hallmark("doctor")
    facts = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert ran.status == 0, ran.err
    assert "golden" in facts["kinds"]
    assert "echo" in facts["sources"]
    assert "html" in facts["reports"]


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--version") == 0
    assert capsys.readouterr().out == f"hallmark {__version__}\n"


# ------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "argv",
    [["frobnicate"], [], ["models"], ["models", "burn"], ["validate", "--frob"], ["schema", "nothing"], ["init"]],
)
def test_what_is_no_command_is_a_usage_fault(
    here: Project, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*argv) == 4
    said = capsys.readouterr()
    assert said.err.startswith("usage: hallmark")
    assert said.out == ""


@pytest.mark.parametrize("verb", [["validate"], ["plan"], ["models", "list"]])
def test_a_path_that_is_not_there_is_a_usage_fault(
    nowhere: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*verb, "missing.yaml") == 4
    assert status(*verb) == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "there is no `missing.yaml` here" in said[0]
    assert "there is no `specs` here" in said[1]


@pytest.mark.parametrize("verb", [["validate"], ["plan"], ["models", "list"]])
def test_a_folder_without_specs_selects_nothing(
    nowhere: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (nowhere / "specs").mkdir()
    (nowhere / "specs" / "readme.md").touch()
    (nowhere / "specs" / "_fragment.yaml").write_text("hallmark: 1\n")
    assert status(*verb, "specs") == 5
    (said,) = capsys.readouterr().err.splitlines()
    assert "there is no spec in specs" in said


@pytest.mark.parametrize("verb", ["report", "verify"])
def test_a_run_that_is_not_there_is_a_fault_and_no_traceback(
    nowhere: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(verb, "runs/none") in (1, 4)
    said = capsys.readouterr().err
    assert said
    assert "Traceback" not in said


def test_a_mistake_does_not_speak_to_the_terminal(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("validate", "\x1b[31mred") == 4
    assert "\x1b" not in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------- init


def test_init_writes_a_project_that_validates(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("init", "mine") == 0
    assert sorted(p.relative_to("mine").as_posix() for p in Path("mine").rglob("*") if p.is_file()) == [
        ".gitignore",
        "golden/cases.jsonl",
        "pytest.ini",
        "specs/mine.yaml",
        "specs/spec.schema.json",
    ]
    assert "cd mine && hallmark run specs" in capsys.readouterr().out
    monkeypatch.chdir("mine")
    assert status("validate") == 0
    assert "1 spec, 1 check, 2 cases: no fault" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["my-model", "Größe 1", "a.b", "...", "-x", "it's"])
def test_init_finds_a_name_in_any_folders(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (nowhere / name).mkdir()
    monkeypatch.chdir(nowhere / name)
    assert status("init", ".") == 0
    assert status("validate") == 0, capsys.readouterr().err


@pytest.mark.parametrize("taken", ["specs/mine.yaml", "golden/cases.jsonl", "specs/spec.schema.json"])
def test_init_never_overwrites(nowhere: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    file = nowhere / "mine" / taken
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    assert status("init", "mine") == 4
    assert "nothing was written" in capsys.readouterr().err
    assert [p for p in (nowhere / "mine").rglob("*") if p.is_file()] == [file]
    assert file.read_text() == "precious"


def test_init_where_a_file_stands_is_a_mistake(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (nowhere / "mine").write_text("a file")
    assert status("init", "mine") == 4
    assert "can't be written" in capsys.readouterr().err


def test_what_init_writes_is_certified(project: Project, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert project.hallmark("init", ".", HALLMARK_CACHE=cache).status == 0
    ran = project.hallmark("run", "-n", "0", HALLMARK_CACHE=cache)
    assert ran.status == 0, ran.out + ran.err
    assert ran.certificate.status == "certified"


def test_what_a_gate_can_show_is_told_before_it_runs(project: Project) -> None:
    project.cases("specs/c.jsonl", 100)
    gate = "gate: {pass_rate: 0.95, population: sample}"
    project.spec(
        f"  - {{name: sample, kind: golden, model: m, cases: c.jsonl, {gate}}}\n"
        "  - {name: suite, kind: golden, model: m, cases: c.jsonl}\n"
    )
    ran = project.hallmark("plan", "--oc")
    assert ran.status == 0
    bar = next(line for line in ran.out.splitlines() if line.endswith("<- the bar"))
    assert bar.split()[:4] == ["0.95", "0.0371", "0.0282", "0.9347"]
    assert "no table: it is decided by its cases alone" in ran.out
    assert "<- the bar" not in project.hallmark("plan").out
