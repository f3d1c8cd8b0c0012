"""A run folder is believed only whole and unchanged."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from harness.proof.verify import problems
from harness.store import ATTACHED, attached_at
from tests.conftest import Project


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    project.cases("c.jsonl", 40)
    project.spec(
        "  - {name: g, kind: golden, model: m, cases: ../c.jsonl, gate: {pass_rate: 0.9}}\n",
        models="{m: {echo: {wrong: [c1]}}}",
        more="certificate: {expires: 1d}\n",
    )
    return project.pytest("specs").run


def test_an_untouched_run_is_verified_and_told_again_byte_for_byte(run: Path, project: Project) -> None:
    assert problems(run) == []
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert project.hallmark("report", str(run)).status == 0
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_any_byte_flipped_in_any_file_is_refused_and_named(run: Path, tmp_path: Path) -> None:
    chance = random.Random(11)
    for file in ("plan.json", "outcomes.jsonl", "certificate.json", "report.html"):
        data = (run / file).read_bytes()
        for _ in range(15):
            at = chance.randrange(len(data))
            broken = bytearray(data)
            broken[at] ^= 1 << chance.randrange(8)
            folder = tmp_path / "copy"
            shutil.copytree(run, folder, dirs_exist_ok=True)
            (folder / file).write_bytes(bytes(broken))
            found = problems(folder)
            assert found, f"byte {at} of {file}"
    (folder / "report.html").write_bytes(b"<p>certified</p>")
    assert any("report.html" in problem for problem in problems(folder))


def test_an_outcome_rewritten_with_its_certificate_is_refused_by_grading_the_answer_again(run: Path) -> None:
    """Someone who recomputes every digest still can't turn a miss into a hit: the answer is in the record."""
    from harness.pages import read_run

    lines = (run / "outcomes.jsonl").read_text().splitlines()
    forged = []
    for line in lines:
        said = json.loads(line)
        if said.get("outcome") == "missed":
            said = {**said, "outcome": "met", "differences": []}
        forged.append(json.dumps(said, separators=(",", ":")))
    (run / "outcomes.jsonl").write_text("\n".join(forged) + "\n")
    (run / "certificate.json").write_bytes(read_run(run).certificate_data)
    (run / "report.html").unlink()
    assert any("c1 is recorded as met, but its answer is not" in problem for problem in problems(run))


def test_an_expired_certificate_and_one_from_the_future_are_refused(run: Path) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    assert any("expired" in problem for problem in problems(run, now + timedelta(days=2)))
    assert any("future" in problem for problem in problems(run, now - timedelta(days=2)))


def test_a_torn_last_line_is_refused(run: Path) -> None:
    data = (run / "outcomes.jsonl").read_bytes()
    for cut in (1, 5, 40, 200):
        (run / "outcomes.jsonl").write_bytes(data[:-cut])
        assert problems(run)


def test_an_outcome_that_nobody_planned_is_refused(run: Path) -> None:
    with (run / "outcomes.jsonl").open("a") as file:
        file.write('{"is":"outcome","case":"extra","check":"specs/a.yaml::golden::g","outcome":"met"}\n')
    assert any("was not planned" in problem for problem in problems(run))


def test_a_folder_that_is_no_run_is_said_to_be_none(project: Project) -> None:
    ran = project.hallmark("verify", ".")
    assert ran.status == 1
    assert "is not a run folder" in ran.err
    assert project.hallmark("report", ".").status == 4


def test_a_file_that_was_attached_is_held_against_its_name(project: Project) -> None:
    project.cases("c.jsonl", 3)
    project.spec("  - {name: g, kind: golden, model: m, cases: ../c.jsonl}\n")
    ran = project.hallmark("run", "-n0")
    path = attached_at(ran.run / ATTACHED / "x", "log.txt", b"as it was")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"as it was")
    assert project.hallmark("verify").status == 0
    path.write_bytes(b"as it wasn't")
    doubted = project.hallmark("verify")
    assert doubted.status == 1
    assert "it is not the file that was attached" in doubted.out + doubted.err
