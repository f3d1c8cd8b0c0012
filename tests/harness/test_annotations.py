"""What GitHub shows of a run: commands that its runner understands, and none that a model wrote."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.annotations import MOST, MOST_BYTES, annotations, tell_github
from harness.contract import Blocker, Certificate, CheckResult, Ruling, Tally, WaiverResult
from harness.inert import inert
from harness.pages import Run, read_run
from harness.spec.faults import visible
from reports import markdown
from tests.conftest import Project


def _heard(line: str) -> tuple[str, dict[str, str], str] | None:
    """A line as GitHub's runner takes it: the command, its properties and its message; None where it is none."""
    line = line.lstrip()
    if not line.startswith("::") or (end := line.find("::", 2)) < 0:
        return None
    command, _, rest = line[2:end].partition(" ")
    properties = dict(each.split("=", 1) for each in rest.strip().split(",") if "=" in each)
    for sign, code in ((":", "%3A"), (",", "%2C")):
        properties = {key: value.replace(code, sign) for key, value in properties.items()}
    return command, {key: _plain(value) for key, value in properties.items()}, _plain(line[end + 2 :])


def _plain(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _result(id: str, verdict: Ruling = "pass", **more: Any) -> CheckResult:
    known: dict[str, Any] = dict.fromkeys(("model", "p", "needed_n", "estimate", "interval"))
    known |= {"name": id, "reason": f"{id} is so", "advice": "", "at": "specs/a.yaml:4", **more}
    return CheckResult(
        id=id,
        kind="golden",
        verdict=verdict,
        method="",
        n=1,
        planned=1,
        outcomes=Tally(),
        figures={},
        seconds=0,
        **known,
    )


def _certificate(*results: CheckResult, **more: Any) -> Certificate:
    blockers = tuple(
        Blocker(check=each.id, reason=each.reason, at=each.at, reproduce=f"hallmark run {each.id}")
        for each in results
        if each.verdict in ("fail", "error") and not each.waived
    )
    known = {"status": "blocked" if blockers else "certified", "blockers": blockers, **more}
    return msgspec.structs.replace(Run(b'{"hallmark": "1"}', b"").certificate, checks=results, **known)


# --------------------------------------------------------------------------------------- annotations


def test_a_check_that_blocks_is_an_error_at_its_line_with_the_command_that_shows_it_again() -> None:
    (line,) = annotations(_certificate(_result("g", "fail", advice="look")))
    assert line == "::error file=specs/a.yaml,line=4,title=g%3A fail::g is so%0Alook%0Aagain: hallmark run g"


def test_the_worst_come_first_and_what_passes_is_not_told() -> None:
    results = [_result("u", "unsupported"), _result("i", "inconclusive"), _result("f", "fail"), _result("e", "error")]
    told = [_heard(line) for line in annotations(_certificate(*results, _result("p")))]
    assert [(each[0], each[1]["title"]) for each in told if each] == [
        ("error", "e: error"),
        ("error", "f: fail"),
        ("warning", "i: inconclusive"),
        ("warning", "u: unsupported"),
    ]
    assert annotations(_certificate(_result("p"))) == []


@pytest.mark.parametrize("status", ["incomplete", "inconclusive", "blocked"])
def test_a_run_that_is_not_certified_is_never_without_an_error(status: str) -> None:
    (line,) = annotations(_certificate(_result("p"), status=status, reason="so it is"))
    assert line == f"::error title=Hallmark%3A {status}::so it is"


def test_a_waived_check_is_a_notice_with_who_answers_for_it() -> None:
    waiver = WaiverResult(check="w", who="Ada", why="ticket 7", until="2099-12-31", at="specs/a.yaml:9", used=True)
    (line,) = annotations(_certificate(_result("w", "fail", waived=True), waivers=(waiver,)))
    assert line == "::notice file=specs/a.yaml,line=9,title=w%3A waived::by Ada until 2099-12-31: ticket 7"


def test_no_more_are_told_of_a_level_than_github_shows_and_the_last_counts_the_others() -> None:
    results = [_result(f"{word}{n}", word) for word in ("fail", "inconclusive") for n in range(25)]
    told = annotations(_certificate(*results))
    assert [len([line for line in told if line.startswith(f"::{level} ")]) for level in ("error", "warning")] == [
        MOST,
        MOST,
    ]
    assert "16 more do not pass" in told[MOST - 1]
    assert "16 more are not decided" in told[-1]


@pytest.mark.parametrize("at", ["", "/etc/passwd:1", "../a.yaml:1", "a/../../b:1", "."])
def test_a_place_out_of_the_root_is_never_told(at: str) -> None:
    heard = _heard(annotations(_certificate(_result("g", "fail", at=at)))[0])
    assert heard is not None
    assert "file" not in heard[1]


def test_a_project_in_a_folder_of_the_repository_is_found_there() -> None:
    (line,) = annotations(_certificate(_result("g", "fail")), "models/reader")
    assert line.startswith("::error file=models/reader/specs/a.yaml,line=4,")


TEXT = st.text(max_size=60) | st.sampled_from(
    ["a,b=c::d", "100%0A", "\r\n::error::x", "\x1b[1m", "##[error]x", "x" * 9_000]
)


@given(TEXT, TEXT, TEXT)
def test_whatever_was_written_stays_one_command_and_is_told_as_it_is(name: str, reason: str, at: str) -> None:
    lines = annotations(_certificate(_result("g", "fail", name=name, reason=reason, at=f"{at}:3")))
    assert len(lines) == 1
    assert lines[0].isprintable()
    heard = _heard(lines[0])
    assert heard is not None
    command, properties, message = heard
    assert command == "error"
    assert set(properties) <= {"file", "line", "title"}
    title = visible(f"{name}: fail".replace("\n", " "))
    assert properties["title"] == (title if len(title) <= 200 else f"{title[:199]}…")
    if len(visible(reason)) < 1_900:
        assert message == visible(f"{reason}\nagain: hallmark run g")
    assert len(message) <= 2_100


# ------------------------------------------------------------------------------------- a job's summary

GITHUB = {"GITHUB_ACTIONS": "true"}


def _tell(folder: Path, summary: Path | str, **more: str) -> tuple[list[str], list[str]]:
    said: list[str] = []
    environ = {**GITHUB, "GITHUB_STEP_SUMMARY": str(summary), **more}
    return said, tell_github(_certificate(_result("g", "fail")), folder, environ, said.append)


def test_the_summary_of_a_real_run_lands_in_the_jobs_summary(project: Project, tmp_path: Path) -> None:
    project.cases("c.jsonl", 5)
    project.spec(
        "  - {name: g, kind: golden, model: m, cases: ../c.jsonl}\n", models='{m: {echo: {wrong: ["c1", "c2"]}}}'
    )
    ran = project.pytest("specs", "-n0")
    run = read_run(ran.run)
    (ran.run / "summary.md").write_bytes(markdown.tell(run))
    summary, said = tmp_path / "step.md", list[str]()
    summary.write_text("what was there\n")
    environ = {**GITHUB, "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(tmp_path.parent)}
    assert tell_github(run.certificate, ran.run, environ, said.append, root=project.folder) == []
    assert summary.read_bytes() == b"what was there\n\n" + markdown.tell(run)
    (heard,) = map(_heard, said)
    assert heard is not None
    assert heard[1]["file"] == f"{project.folder.name}/specs/a.yaml"
    assert heard[1]["title"] == "g: fail"


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "false"}])
def test_nothing_is_told_where_github_does_not_run_it(tmp_path: Path, environ: dict[str, str]) -> None:
    said: list[str] = []
    environ = {**environ, "GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")}
    assert tell_github(_certificate(_result("g", "fail")), tmp_path, environ, said.append) == []
    assert said == []
    assert not (tmp_path / "s.md").exists()


def test_without_a_summary_of_the_job_there_are_annotations_still(tmp_path: Path) -> None:
    said, remarks = _tell(tmp_path, "")
    assert len(said) == 1
    assert remarks == []


def test_what_can_not_be_written_is_a_remark(tmp_path: Path) -> None:
    said, remarks = _tell(tmp_path, tmp_path / "s.md")
    assert len(said) == 1
    assert remarks == ["the job's summary could not be written: No such file or directory"]
    (tmp_path / "summary.md").write_text("# x\n")
    assert _tell(tmp_path, tmp_path)[1] == ["the job's summary could not be written: it is no file"]
    assert _tell(tmp_path, tmp_path / "no" / "s.md")[1] != []


@pytest.mark.parametrize("there", [0, 500_000, MOST_BYTES - 5_000, MOST_BYTES - 10, MOST_BYTES + 10])
def test_a_jobs_summary_never_grows_beyond_what_github_takes(tmp_path: Path, there: int) -> None:
    rows = "".join(f"| {n} | ä |\n" for n in range(70_000))
    (tmp_path / "summary.md").write_text(f"## x\n\n<details><summary>y</summary>\n\n{rows}\n</details>\n", "utf-8")
    summary = tmp_path / "s.md"
    summary.write_bytes(b"x" * there)
    _, remarks = _tell(tmp_path, summary)
    told = summary.read_bytes()
    assert len(told) <= max(MOST_BYTES, there)
    assert told.count(b"<details>") == told.count(b"</details>")
    told.decode()
    whole = told.endswith(b"| 69999 | \xc3\xa4 |\n\n</details>\n")
    assert (remarks == []) == whole


# ----------------------------------------------------------------------------------- lines of the log


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", "\\u003a:error::x"),
        ("a\n  ::stop-commands::x", "a\n  \\u003a:stop-commands::x"),
        ("a ##[error]x", "a \\u0023#[error]x"),
        ("##vso[task.complete]", "\\u0023#vso[task.complete]"),
        ("###[x]", "#\\u0023#[x]"),
        ("specs/a.yaml::golden::g", "specs/a.yaml::golden::g"),
        ("## heading [x]", "## heading [x]"),
    ],
)
def test_a_line_that_a_ci_service_would_take_for_a_command_is_none(text: str, shown: str) -> None:
    assert inert(text) == shown
    assert inert(shown) == shown


@given(st.text(alphabet=":#[a \n\t\r\u3000", max_size=30))
def test_no_line_of_any_text_is_a_command(text: str) -> None:
    shown = inert(visible(text))
    for line in re.split(r"[\r\n]", shown):
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    assert _unspelled(shown) == _unspelled(visible(text))


def _unspelled(text: str) -> str:
    return text.replace("\\u003a", ":").replace("\\u0023", "#")
