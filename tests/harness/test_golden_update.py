"""`hallmark golden`: a run's proposal shown, accepted, reviewed and told, over real runs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.codec import digest
from tests.conftest import Project

LINES = r"""{"id": "c1", "input": 1, "expect": {"label": "Yes",   "p": 0.5, "pat": "x"}}
{"id":"c2","input":1,"expect":{"p":[1,2.0],"label":"no","pat":"x"}, "tags": ["a\/b"]}

  {"input": 1, "expect": {"pat": "zz", "label": "caf\u00e9", "p": 0}, "id": "c3"}
{"id": "c4", "input": 1, "expect": {"label": "same", "p": 1, "pat": "s"}}
"""
CSV = 'id,input,expect,expect.n,tags\r\ns1,"a, b",old,,x y\r\n"s2",q,"say ""hi""",,\r\ns3,q,,7,\r\ns4,q,fine,,\r\n'
JSON = """[
    {"id": "j1", "input": 0,
     "expect": {
        "a": [1, 2],
        "b": "two"
     }},
    {"id": "j2", "input": 0, "expect": 5}, {"id": "j3", "input": 0, "expect": {"k": 1}}
]
"""
YAML = """# cases
- id: y1
  input: q
  expect: 'old'   # quoted
- {id: y2, input: q, expect: {a: 1.5, b: plain}}
- id: y3
  input: q
  expect: |
    lines
- id: y4
  input: q
  expect: &known [1, 2]
- id: y5
  input: *known
  expect: true
"""
SPEC = """hallmark: 1
name: a
models: {m: {replay: answers.jsonl}}
checks:
  - {name: c, kind: golden, model: m, cases: ../golden/c.jsonl, compare: {label: exact, p: close, pat: contains}}
  - {name: s, kind: golden, model: m, cases: ../golden/s.csv}
  - {name: j, kind: golden, model: m, cases: ../golden/j.json}
  - {name: y, kind: golden, model: m, cases: ../golden/y.yaml}
  - name: inline
    kind: golden
    model: m
    cases:
      - {id: i1, input: q, expect: {label: 3, text: "old"}}   # stays
      - id: i2
        input: q
        expect: {label: 3}
"""
TWO = """hallmark: 1
name: two
models: {m: {replay: m.jsonl}, n: {replay: n.jsonl}}
checks:
  - {name: t, kind: golden, model: [m, n], cases: ../golden/t.jsonl}
"""
SECRET = """hallmark: 1
name: secret
models: {m: {replay: k.jsonl}}
checks:
  - {name: k, kind: golden, model: m, cases: [{id: k1, input: q, expect: plain}]}
"""
ANSWERS: dict[str, Any] = {
    "c1": {"label": "yes.", "p": 0.75, "pat": "xx"},
    "c2": {"label": "never\u202e", "p": [1, 2.5], "pat": "x"},
    "c3": {"label": "caf\u00e9", "p": 0, "pat": "q"},
    "c4": {"label": "same", "p": 1, "pat": "s"},
    "s1": "new",
    "s2": 'say "ho", twice',
    "s3": {"n": "8"},
    "s4": "fine",
    "j1": {"a": [1, 3], "b": "two", "c": {"d": None}},
    "j2": [5, "x"],
    "j3": {"k": 1},
    "y1": "it's new",
    "y2": {"a": 1e-7, "b": "no"},
    "y3": "other",
    "y4": [1, 3],
    "y5": False,
    "i1": {"label": 4, "text": "new\nline"},
    "i2": {"label": 3, "more": 1},
}


def replay(answers: dict[str, Any]) -> str:
    return "".join(json.dumps({"id": id, "answer": answer}) + "\n" for id, answer in answers.items())


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run, which each test has a copy of."""
    project = Project(tmp_path_factory.mktemp("measured"))
    for name, text in (("c.jsonl", LINES), ("s.csv", CSV), ("j.json", JSON), ("y.yaml", YAML)):
        project.put(f"golden/{name}", text)
    project.put("golden/t.jsonl", "".join(f'{{"id": "t{i}", "input": 1, "expect": {i}}}\n' for i in range(4)))
    project.put("specs/a.yaml", SPEC)
    project.put("specs/two.yaml", TWO)
    project.put("specs/secret.yaml", SECRET)
    project.put("specs/k.jsonl", replay({"k1": f"it is AKIA{'Q' * 16}"}))
    project.put("specs/answers.jsonl", replay(ANSWERS))
    project.put("specs/m.jsonl", replay({"t0": 9, "t1": 9, "t2": 9, "t3": 3}))
    project.put("specs/n.jsonl", replay({"t0": 9, "t1": 8, "t2": 2, "t3": 3}))
    assert project.hallmark("run", "specs").status == 1
    return project.folder


@pytest.fixture
def here(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    shutil.copytree(measured, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


WORD = ("--why", "new weights", "--who", "Ann <ann@x>")


def golden(*argv: str) -> int:
    try:
        return main(["golden", *argv])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else -1


def history(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for top in ("golden", "specs")
        for path in (folder / top).iterdir()
    }


# --------------------------------------------------------------------------------------------- shown


def test_a_proposal_is_shown_by_case_and_field_the_worst_first_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(here)
    assert golden("update", "--check", "c") == 0
    said = capsys.readouterr().out
    assert said.startswith("4 changes to 2 cases: 1 semantic, 2 numeric, 1 format\n")
    assert 'semantic  golden/c.jsonl:2: c2 at label\n  - "no"\n  + "never\\u202e"\n' in said
    assert "numeric   golden/c.jsonl:1: c1 at p, off by 0.25, 50.000%\n  - 0.5\n  + 0.75\n" in said
    assert 'format    golden/c.jsonl:1: c1 at label\n  - "Yes"\n  + "yes."\n' in said
    assert said.index("semantic  ") < said.index("numeric  ") < said.index("format  ")
    assert "golden/c.jsonl:4: c3 at pat: what `contains` expects is not a value as the answer is" in said
    assert "c4" not in said
    assert everything(here) == before


def test_what_a_secret_was_taken_out_of_is_for_a_person(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("update", "--check", "k") == 0
    said = capsys.readouterr().out
    assert said == "\nby hand: 1 place\n  specs/secret.yaml:5: k1: a secret was taken out of the answer\n"


def test_a_run_that_is_not_to_be_believed_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = here / "runs" / "latest"
    record = (run / "outcomes.jsonl").read_bytes()
    (run / "outcomes.jsonl").write_bytes(record.replace(b'"yes."', b'"yes!"'))
    before = everything(here)
    assert golden("update", "--accept", "format", *WORD) == 1
    assert "is not to be believed" in capsys.readouterr().err
    assert everything(here) == before


# ------------------------------------------------------------------------------------------- accepted


def test_a_case_is_accepted_and_no_other_byte_changes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("update", "--accept", "c1", *WORD) == 0
    assert capsys.readouterr().out == "golden/c.jsonl: 2 changes accepted\n"
    now = (here / "golden/c.jsonl").read_text("utf-8")
    assert now == LINES.replace('"Yes",   "p": 0.5', '"yes.",   "p": 0.75')
    label, p = history(here / "golden/c.history.jsonl")[::-1]
    assert (label["was"], label["now"], label["class"], label["path"]) == ("Yes", "yes.", "format", ["label"])
    assert (p["was"], p["now"], p["class"], p["case"]) == (0.5, 0.75, "numeric", "c1")
    assert (p["who"], p["why"], p["checks"]) == ("Ann <ann@x>", "new weights", ["specs/a.yaml::golden::c"])
    assert p["run"] == (here / "runs/latest").resolve().name
    assert (p["before"], p["after"]) == (digest(LINES.encode()), digest(now.encode()))


def test_what_a_case_has_besides_is_left_to_a_person(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = here / "specs/answers.jsonl"
    run.write_text(replay({**ANSWERS, "c1": {"label": "ja", "p": 0.5, "pat": "nothing"}}))
    project = Project.__new__(Project)
    project.folder = here
    assert project.hallmark("run", "specs/a.yaml").status == 1
    assert golden("update", "--accept", "c1", *WORD) == 0
    assert capsys.readouterr().out == (
        "golden/c.jsonl:1: more of `c1` is left to you: what `contains` expects is not a value as the answer is\n"
        "golden/c.jsonl: 1 change accepted\n"
    )


def test_one_run_may_be_accepted_from_bit_by_bit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("format", "numeric", "c::c2"):
        assert golden("update", "--check", "c", "--accept", what, *WORD) == 0
    rows = [json.loads(line) for line in (here / "golden/c.jsonl").read_text("utf-8").splitlines() if line]
    assert [row["expect"]["p"] for row in rows] == [0.75, [1, 2.5], 0, 1]
    assert [row["expect"]["label"] for row in rows] == ["yes.", "never\u202e", "caf\u00e9", "same"]
    assert "never\\u202e" in (here / "golden/c.jsonl").read_text("utf-8")
    capsys.readouterr()
    assert golden("update", "--accept", "c1", *WORD) == 0
    assert capsys.readouterr().out == "2 changes accepted already\n"
    assert len(history(here / "golden/c.history.jsonl")) == 4
    assert golden("update", "--check", "c") == 0
    assert "4 more are accepted already" in capsys.readouterr().out


def test_csv_keeps_its_line_ends_and_quotes(here: Path) -> None:
    assert golden("update", "--check", "s", "--accept", "semantic", "--accept", "numeric", "--accept", "s3", *WORD) == 0
    now = (here / "golden/s.csv").read_bytes().decode()
    changed = CSV.replace(",old,", ",new,").replace('"say ""hi"""', '"say ""ho"", twice"')
    assert now == changed.replace("s3,q,,7,", 's3,q,,"""8""",')


def test_a_json_file_keeps_its_shape(here: Path) -> None:
    assert golden("update", "--check", "j", "--accept", "numeric", "--accept", "semantic", *WORD) == 0
    now = (here / "golden/j.json").read_text("utf-8")
    assert now == JSON.replace("[1, 2]", "[1, 3]").replace('"two"', '"two",\n        "c": {"d": null}').replace(
        '"expect": 5', '"expect": [5, "x"]'
    )


def test_yaml_is_changed_where_that_touches_nothing_else(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = golden("update", "--check", "y", "--accept", "numeric", "--accept", "semantic", *WORD)
    now = (here / "golden/y.yaml").read_text("utf-8")
    changed = YAML.replace("'old'", "'it''s new'").replace("a: 1.5, b: plain", 'a: 1.0e-07, b: "no"')
    assert now == changed.replace("expect: true", "expect: false")
    assert status == 1
    said = capsys.readouterr().err
    assert "golden/y.yaml:6: edit `y3` by hand: the text there has several lines\n" in said
    assert "golden/y.yaml:10: edit `y4` by hand: it has an anchor\n" in said
    assert {entry["case"] for entry in history(here / "golden/y.history.jsonl")} == {"y1", "y2", "y5"}


def test_cases_in_a_spec_are_changed_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("update", "--check", "inline", "--accept", "i1", *WORD) == 0
    changed = SPEC.replace('{label: 3, text: "old"}', '{label: 4, text: "new\\nline"}')
    assert (here / "specs/a.yaml").read_text("utf-8") == changed
    capsys.readouterr()
    assert golden("update", "--check", "inline", "--accept", "i2", *WORD) == 1
    assert capsys.readouterr().err == "hallmark: specs/a.yaml:14: edit `i2` by hand: a key has to be added\n"
    assert golden("update", "--accept", "c1", *WORD) == 0  # the spec is as it was, but for what was accepted


def test_what_was_accepted_is_met_by_the_next_run(here: Path) -> None:
    assert golden("update", "--check", "j", "--accept", "numeric", "--accept", "semantic", *WORD) == 0
    project = Project.__new__(Project)
    project.folder = here
    assert project.hallmark("run", "specs/a.yaml").outcomes["specs/a.yaml::golden::j::j1"]["outcome"] == "met"


# -------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--accept", "c1", "--who", "Ann"], "write why, which is kept beside what is accepted: --why TEXT"),
        (["--accept", "c1", "--why", "two\nlines", "--who", "Ann"], "--why is one line of printable text"),
        (["--accept", "c1", "--why", "x", "--who", ""], "nobody knows who you are: write --who"),
        (["--accept", "c9", *WORD], "there is no case `c9`"),
        (["--accept", "c4", *WORD], "nothing is proposed for `c4`"),
        (["--accept", "c3", *WORD], "golden/c.jsonl:4: edit `c3` by hand: what `contains` expects"),
        (["--check", "d"], "the run has no check `d`"),
        (["--apply", "nowhere.json", *WORD], "nowhere.json can't be read"),
        (["--apply", "specs/a.yaml", *WORD], "specs/a.yaml: it is no patch"),
    ],
)
def test_mistakes_are_told_in_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    before = everything(here)
    assert golden("update", *argv) in (1, 4)
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert everything(here) == before


def test_who_it_was_is_asked_of_git(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(here / "gitconfig"))
    assert golden("update", "--accept", "c1", "--why", "x") == 4
    assert "nobody knows who you are" in capsys.readouterr().err
    if shutil.which("git"):
        (here / "gitconfig").write_text("[user]\nname = Bo\nemail = bo@x\n")
        assert golden("update", "--accept", "c1", "--why", "x") == 0
        assert history(here / "golden/c.history.jsonl")[0]["who"] == "Bo <bo@x>"


def test_a_file_that_changed_since_the_run_is_left_and_the_others_are_not(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "golden/c.jsonl").write_text(LINES + "\n", "utf-8")
    assert golden("update", "--accept", "numeric", *WORD) == 1
    said = capsys.readouterr()
    assert "hallmark: golden/c.jsonl: it was changed since the run; run again" in said.err
    assert "golden/j.json: 1 change accepted" in said.out
    assert (here / "golden/c.jsonl").read_text("utf-8") == LINES + "\n"
    assert not (here / "golden/c.history.jsonl").exists()


def test_a_spec_that_changed_since_the_run_may_compare_otherwise(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "specs/a.yaml").write_text(SPEC.replace("label: exact", "label: regex"))
    assert golden("update", "--accept", "c1", *WORD) == 1
    assert "specs/a.yaml was changed since the run" in capsys.readouterr().err


def test_a_place_that_another_run_changed_is_not_written_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "specs/m.jsonl").write_text(replay({"t0": 5, "t1": 5, "t2": 5, "t3": 3}))
    project = Project.__new__(Project)
    project.folder = here
    first = (here / "runs/latest").resolve().name
    assert project.hallmark("run", "specs/two.yaml").status == 1
    assert golden("update", "--check", "t[m]", "--accept", "t1", *WORD) == 0
    capsys.readouterr()
    assert golden("update", f"runs/{first}", "--check", "t[m]", "--accept", "t1", "--accept", "t0", *WORD) == 1
    said = capsys.readouterr()
    assert "golden/t.jsonl:2: edit `t1` by hand: something else stands there now" in said.err
    assert "golden/t.jsonl: 1 change accepted" in said.out
    rows = [json.loads(line)["expect"] for line in (here / "golden/t.jsonl").read_text().splitlines()]
    assert rows == [9, 5, 2, 3]


def test_checks_over_the_same_cases_that_do_not_agree_are_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("update", "--check", "t") == 0
    said = capsys.readouterr().out
    assert "  of t[m], t[n]\n" in said
    assert "! t[n] answers otherwise; --check says whose answer is meant" in said
    assert "! t[n] meets what is there, and would not then" in said
    assert golden("update", "--accept", "numeric", "--check", "t", *WORD) == 1
    said = capsys.readouterr().err
    assert "golden/t.jsonl:2: `t1` is left: t[n] answers otherwise" in said
    rows = [json.loads(line)["expect"] for line in (here / "golden/t.jsonl").read_text().splitlines()]
    assert rows == [9, 1, 2, 3]
    assert golden("update", "--accept", "numeric", "--check", "t[m]", *WORD) == 0
    rows = [json.loads(line)["expect"] for line in (here / "golden/t.jsonl").read_text().splitlines()]
    assert rows == [9, 9, 9, 3]


def test_no_name_in_a_run_folder_leads_out_of_the_project(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.pages import read_run
    from harness.patches.accepting import Word, accept
    from harness.patches.changes import Change

    outside = here.parent / "outside.jsonl"
    outside.write_text('{"id": "x", "input": 1, "expect": 1}\n')
    run = read_run(here / "runs/latest")
    (here / "golden/link.jsonl").symlink_to(outside)
    for file in ("../outside.jsonl", str(outside), "golden/link.jsonl"):
        change = Change(file=file, line=1, case="x", checks=(), path=(), kind="numeric", was=1, now=2)
        done = accept(run, here, [change], Word("a", "b", "c"))
        assert not done.written
        assert len(done.refused) == 1
    assert json.loads(outside.read_text())["expect"] == 1


# ------------------------------------------------------------------------------------------- reviewed


def test_a_patch_is_reviewed_cut_down_and_applied(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("update", "--check", "c", "--patch", "patch.json") == 0
    assert capsys.readouterr().out == "patch.json: 4 changes\n"
    assert (here / "golden/c.jsonl").read_text("utf-8") == LINES
    patch = json.loads((here / "patch.json").read_text("utf-8"))
    assert patch["files"] == {"golden/c.jsonl": digest(LINES.encode())}
    patch["changes"] = [change for change in patch["changes"] if change["class"] == "format"]
    (here / "patch.json").write_text(json.dumps(patch))
    assert golden("update", "--apply", "patch.json", *WORD) == 0
    assert (here / "golden/c.jsonl").read_text("utf-8") == LINES.replace('"Yes"', '"yes."')


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("outcomes", "sha256:0", "it was made of another run"),
        ("files", {"golden/c.jsonl": "sha256:0"}, "golden/c.jsonl is not as the run read it"),
        ("files", {}, "its change 1, of `c2`, is none that the run proposes"),
        ("schema", "hallmark/golden-patch/2", "it is no patch"),
        ("more", 1, "it is no patch"),
    ],
)
def test_a_patch_of_something_else_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], key: str, value: Any, said: str
) -> None:
    assert golden("update", "--check", "c", "--patch", "patch.json") == 0
    patch = json.loads((here / "patch.json").read_text("utf-8"))
    (here / "patch.json").write_text(json.dumps({**patch, key: value}))
    assert golden("update", "--apply", "patch.json", *WORD) == 1
    assert said in capsys.readouterr().err
    assert (here / "golden/c.jsonl").read_text("utf-8") == LINES


def test_a_value_that_somebody_wrote_into_a_patch_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("update", "--check", "c", "--patch", "patch.json") == 0
    text = (here / "patch.json").read_text("utf-8")
    (here / "patch.json").write_text(text.replace("0.75", "0.76"))
    assert golden("update", "--apply", "patch.json", *WORD) == 1
    assert "is none that the run proposes" in capsys.readouterr().err


# --------------------------------------------------------------------------------------- cut short


DIES = """import os, sys
from harness.patches import accepting
from harness.cli import main
accepting._write = lambda *given: os._exit(9)
main(["golden", "update", "--accept", "c1", "--why", "x", "--who", "Ann"])
"""


def test_what_was_cut_short_is_told_and_can_be_finished(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project.__new__(Project)
    project.folder = here
    project.put("dies.py", DIES)
    assert project.script("dies.py").status == 9
    assert (here / "golden/c.jsonl").read_text("utf-8") == LINES
    assert len(history(here / "golden/c.history.jsonl")) == 2
    assert golden("update", "--check", "c", "--accept", "semantic", *WORD) == 1
    said = capsys.readouterr().err
    assert "golden/c.history.jsonl ends with 2 accepted" in said
    assert "--finish" in said
    assert golden("update", "--finish") == 0
    assert capsys.readouterr().out == "golden/c.jsonl: 2 changes finished\n"
    now = (here / "golden/c.jsonl").read_text("utf-8")
    assert now == LINES.replace('"Yes",   "p": 0.5', '"yes.",   "p": 0.75')
    assert history(here / "golden/c.history.jsonl")[-1]["after"] == digest(now.encode())
    assert golden("update", "--finish") == 5
    assert golden("update", "--check", "c", "--accept", "semantic", *WORD) == 0


def test_where_the_disk_is_full_nothing_is_changed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.patches import accepting

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    assert golden("update", "--accept", "s1", *WORD) == 0
    before = everything(here)
    monkeypatch.setattr(accepting, "_write", full)
    assert golden("update", "--accept", "c1", "--accept", "s2", *WORD) == 1
    assert capsys.readouterr().err == (
        "hallmark: golden/c.jsonl: it can't be written: No space left on device\n"
        "hallmark: golden/s.csv: it can't be written: No space left on device\n"
    )
    assert everything(here) == before


def test_a_history_that_is_torn_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "golden/c.history.jsonl").write_text('{"is": "acc')
    assert golden("update", "--check", "c", "--accept", "c1", *WORD) == 1
    assert "golden/c.history.jsonl:1: this is no line of a history" in capsys.readouterr().err
    assert golden("log") == 1
    assert golden("update", "--check", "c") == 0


MANY = """import os, sys
from pathlib import Path
from harness.cli import main
import harness.patches.accepting, harness.patches.editing, harness.proof.verify, filelock, evaluators.golden
def one(run, case):
    out = os.open(f"said/{run}-{case}", os.O_CREAT | os.O_WRONLY)
    os.dup2(out, 1); os.dup2(out, 2)
    status = main(["golden", "update", f"runs/{run}", "--check", "w", "--accept", f"w{case}", "--why", "x", "--who", run])
    sys.stdout.flush(); sys.stderr.flush()
    os._exit(status)
os.mkdir("said")
for run in sys.argv[1:]:  # what all of them need is imported once
    assert not harness.proof.verify.problems(Path("runs", run))
children = {}
for case in range(16):
    for run in sys.argv[1:]:
        child = os.fork()
        if child == 0:
            one(run, case)
        children[child] = (run, case)
for _ in range(len(children)):
    child, status = os.wait()
    print(*children[child], os.waitstatus_to_exitcode(status))
"""


def test_of_thirty_two_updaters_at_once_one_a_place_wins_the_other_is_told_and_nothing_is_lost(
    project: Project, tmp_path: Path
) -> None:
    cache = {"HALLMARK_CACHE": str(tmp_path / "cache")}
    project.put("golden/w.jsonl", "".join(f'{{"id": "w{i}", "input": 1, "expect": "-"}}\n' for i in range(16)))
    project.spec("  - {name: w, kind: golden, model: m, cases: ../golden/w.jsonl}\n", models="{m: {replay: w.jsonl}}")
    runs = []
    for says in ("one", "two"):
        project.put("specs/w.jsonl", replay({f"w{i}": f"{says} {i}" for i in range(16)}))
        runs.append(project.hallmark("run", "specs", **cache).run.name)
    project.put("many.py", MANY)
    told = project.call("many.py", *runs, **cache)
    assert told.status == 0, told.err
    rows = [line.split() for line in told.out.splitlines()]
    assert len(rows) == 32
    kept = history(project.folder / "golden/w.history.jsonl")
    winners = {(entry["run"], int(entry["case"][1:])) for entry in kept}
    assert len(kept) == len(winners) == 16
    assert {case for _, case in winners} == set(range(16))
    for run, case, status in rows:
        won = (run, int(case)) in winners
        assert int(status) == (0 if won else 1)
        said = (project.folder / f"said/{run}-{case}").read_text()
        assert ("1 change accepted" if won else "something else stands there now") in said
    text = (project.folder / "golden/w.jsonl").read_text()
    expect = {row["id"]: row["expect"] for row in map(json.loads, text.splitlines())}
    assert expect == {entry["case"]: entry["now"] for entry in kept}
    assert [entry["before"] for entry in kept[1:]] == [entry["after"] for entry in kept[:-1]]
    assert kept[-1]["after"] == digest(text.encode())


# ------------------------------------------------------------------------------------------------ log


def test_the_log_tells_who_and_why_the_newest_first(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("log") == 5
    assert golden("update", "--accept", "c1", *WORD) == 0
    assert golden("update", "--accept", "s1", "--why", "another", "--who", "Bo") == 0
    run = (here / "runs/latest").resolve().name
    capsys.readouterr()
    assert golden("log") == 0
    said = capsys.readouterr().out
    assert said.index(f"Bo, of the run {run}: another") < said.index(f"Ann <ann@x>, of the run {run}: new weights")
    assert '  golden/s.csv: s1, semantic\n    - "old"\n    + "new"\n' in said
    for name in ("golden/c.jsonl", "golden/c.history.jsonl", "c1", "c::c1"):
        assert golden("log", name) == 0
        said = capsys.readouterr().out
        assert "new weights" in said
        assert "another" not in said
    assert golden("log", "c4") == 5
    assert capsys.readouterr().err == "hallmark: nothing of `c4` was ever accepted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
def test_a_file_keeps_its_rights_and_a_link_stays_one(here: Path) -> None:
    (here / "golden/c.jsonl").rename(here / "golden/real.jsonl")
    (here / "golden/real.jsonl").chmod(0o640)
    (here / "golden/c.jsonl").symlink_to("real.jsonl")
    assert golden("update", "--accept", "c1", *WORD) == 0
    assert (here / "golden/c.jsonl").is_symlink()
    assert (here / "golden/real.jsonl").stat().st_mode & 0o777 == 0o640
    assert len(history(here / "golden/c.history.jsonl")) == 2


def test_a_patch_that_is_not_there_is_a_fault_of_usage(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden("update", "--apply", "nosuch.json", *WORD) == 4
    assert "nosuch.json can't be read: No such file or directory" in capsys.readouterr().err
