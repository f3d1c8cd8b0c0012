"""A run that was cut short, taken up again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from harness.codec import digest
from harness.pages import Run
from tests.conftest import Project, Ran

SLOW = "import time\ndef answer(asked):\n    time.sleep(0.02)\n    return asked\n"
MODELS = '{m: {python: "slow:answer", batch: 4}}'
CHECKS = """\
  - {name: first, kind: golden, model: m, cases: first.jsonl}
  - {name: second, kind: golden, model: m, cases: second.jsonl, gate: {pass_rate: 0.5}}
"""


def prepared(project: Project, n: int = 40) -> None:
    project.put("slow.py", SLOW)
    project.spec(CHECKS, MODELS)
    project.cases("specs/first.jsonl", n)
    project.cases("specs/second.jsonl", n)


def killed(project: Project, *how: str, after: int = 10, by: signal.Signals = signal.SIGKILL) -> Path:
    """A run whose controller was killed once so many cases were recorded."""
    process = project.start("harness.cli", "run", "specs", "--allow-python", *how)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [
            path
            for path in project.folder.glob("runs/2*/outcomes.jsonl")
            if path.read_bytes().count(b'"is":"outcome"') > after
        ]
        if found:
            break
        time.sleep(0.01)
    os.kill(process.pid, by)
    process.communicate(timeout=60)
    (outcomes,) = project.folder.glob("runs/2*/outcomes.jsonl")
    return outcomes.parent


def bare(certificate: dict[str, Any]) -> dict[str, Any]:
    """A certificate without its times and ids."""
    text = json.dumps(
        {key: value for key, value in certificate.items() if key not in ("provenance", "run", "expires", "previous")}
    )
    return json.loads(re.sub(r'"seconds": [0-9.e-]+', '"seconds": 0', text))


def certificate_of(ran: Ran, folder: Path) -> dict[str, Any]:
    return json.loads((folder / "certificate.json").read_text("utf-8"))


@pytest.mark.parametrize("how", [["-n0"], ["-n2"]])
def test_a_killed_run_is_taken_up_where_it_stood_and_comes_to_the_same(project: Project, how: list[str]) -> None:
    prepared(project)
    whole = project.hallmark("run", "specs", "--allow-python", "-n0")
    expected = certificate_of(whole, whole.run)
    for folder in project.folder.glob("runs/2*"):
        folder.rename(project.folder / "kept")
    folder = killed(project, *how)
    before = [line for line in (folder / "outcomes.jsonl").read_text().splitlines() if '"is":"outcome"' in line]
    assert 10 < len(before) < 80
    ran = project.hallmark("run", "--resume", f"runs/{folder.name}", "--allow-python", *how)
    assert ran.status == 0, ran.out + ran.err
    lines = [json.loads(line) for line in (folder / "outcomes.jsonl").read_text().splitlines()]
    outcomes = [line for line in lines if line["is"] == "outcome"]
    assert [json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in outcomes[: len(before)]] == before
    assert len(outcomes) == 80
    assert len({(line["check"], line["case"]) for line in outcomes}) == 80
    assert bare(certificate_of(ran, folder)) == bare(expected)
    assert len(certificate_of(ran, folder)["run"]["resumed"]) == 1
    assert project.hallmark("verify", f"runs/{folder.name}").status == 0
    assert (project.folder / "runs/latest").resolve() == folder


def test_a_torn_last_line_is_cut_off_and_told(project: Project) -> None:
    prepared(project, 8)
    folder = killed(project, "-n0", after=4)
    path = folder / "outcomes.jsonl"
    with path.open("ab") as file:
        file.write(b'{"is":"outcome","case":"c')
    ran = project.hallmark("run", "--resume", f"runs/{folder.name}", "--allow-python", "-n0")
    assert ran.status == 0, ran.out + ran.err
    assert "the last line of outcomes.jsonl was torn: 25 bytes of it were cut off" in ran.out
    assert project.hallmark("verify").status == 0


def test_an_interrupted_run_and_one_of_a_selection_can_be_taken_up(project: Project) -> None:
    prepared(project, 8)
    assert project.hallmark("run", "specs/a.yaml::golden::first", "--allow-python", "-n0").status == 2
    (folder,) = project.folder.glob("runs/2*")
    ran = project.pytest("specs", "--resume", folder.name, "--allow-python")
    assert ran.status == 0, ran.out + ran.err
    assert len(ran.outcomes) == 16
    assert "8 passed" in ran.out
    again = project.hallmark("run", "--resume", "latest", "--allow-python", "-n2")
    assert again.status == 0, again.out + again.err
    assert len(again.outcomes) == 16


def test_what_changed_since_is_not_taken_up(project: Project) -> None:
    prepared(project, 8)
    folder = killed(project, "-n0", after=2)
    name = f"runs/{folder.name}"

    def refused(said: str, *more: str) -> None:
        before = (folder / "outcomes.jsonl").read_bytes()
        ran = project.hallmark("run", "--resume", name, "--allow-python", "-n0", *more)
        assert ran.status == 4, ran.out + ran.err
        assert said in ran.err
        assert "Traceback" not in ran.err
        assert (folder / "outcomes.jsonl").read_bytes() == before

    project.cases("specs/first.jsonl", 9)
    refused("specs/first.jsonl changed since it was begun: begin a new run")
    project.cases("specs/first.jsonl", 8)
    project.put(
        "other/b.yaml", "hallmark: 1\nmodels: {m: {echo: {}}}\nchecks: [{name: a, kind: golden, model: m, cases: []}]\n"
    )
    data = (folder / "plan.json").read_bytes()
    (folder / "plan.json").write_bytes(data.replace(b'"pass_rate":0.5', b'"pass_rate":0.1'))
    refused("it did not begin with the plan that is in it")
    (folder / "plan.json").write_bytes(data)
    (folder / "signature.json").write_text("{}")
    refused("it is signed")
    (folder / "signature.json").unlink()
    assert project.hallmark("run", "--resume", "runs/nothing", "-n0").status in (1, 4)
    assert project.pytest("specs", "--resume", "runs/nothing").status == 4
    assert project.pytest("specs", "--retry-errors").status == 4


def test_two_do_not_take_up_one_run(project: Project) -> None:
    prepared(project, 60)
    folder = killed(project, "-n0", after=2)
    first = project.start("harness.cli", "run", "--resume", f"runs/{folder.name}", "--allow-python", "-n0")
    try:
        deadline = time.monotonic() + 30
        while '"resumed"' not in (folder / "outcomes.jsonl").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        second = project.hallmark("run", "--resume", f"runs/{folder.name}", "--allow-python", "-n0")
        assert second.status == 4
        assert "another process writes this run" in second.err
    finally:
        out, err = first.communicate(timeout=60)
    assert first.returncode == 0, out + err


FLAKY = """\
import os, pathlib
def answer(asked):
    mark = pathlib.Path("died")
    if asked == "hello 2" and not mark.exists():
        mark.touch()
        os._exit(9)
    if asked == "hello 3":
        raise ValueError("this model can't")
    return asked
"""


def test_only_errors_of_the_carrier_are_tried_again_and_are_marked(project: Project) -> None:
    project.put("flaky.py", FLAKY)
    project.cases("specs/cases.jsonl", 6)
    missed = "  - {name: missed, kind: golden, model: e, cases: [{id: x, input: a, expect: b}]}\n"
    project.spec(
        "  - {name: first, kind: golden, model: m, cases: cases.jsonl}\n" + missed,
        '{m: {python: "flaky:answer", batch: 1}, e: {echo: {}}}',
    )
    first = project.hallmark("run", "specs", "--allow-python", "-n1")
    assert first.status == 1
    errors = {key.rpartition("::")[2]: each for key, each in first.outcomes.items() if each["outcome"] == "error"}
    assert errors["c2"]["carrier"] is True
    assert "carrier" not in errors["c3"]
    plain = project.hallmark("run", "--resume", "latest", "--allow-python", "-n0")
    assert plain.outcomes["specs/a.yaml::golden::first::c2"]["outcome"] == "error"
    again = project.hallmark("run", "--resume", "latest", "--retry-errors", "--allow-python", "-n0")
    outcomes = again.outcomes
    assert outcomes["specs/a.yaml::golden::first::c2"] == {
        **outcomes["specs/a.yaml::golden::first::c2"],
        "outcome": "met",
        "tries": 2,
    }
    assert "tries" not in outcomes["specs/a.yaml::golden::first::c3"]
    assert "tries" not in outcomes["specs/a.yaml::golden::missed::x"]
    assert "first: flaky: 1 case measured again after an error of the carrier, c2 first" in again.certificate.notes
    assert again.certificate.checks[0].outcomes.met == 5
    assert "verified: blocked" in project.hallmark("verify").out


def test_what_was_left_out_for_a_check_that_is_tried_again_is_measured_then(project: Project) -> None:
    project.put("flaky.py", FLAKY)
    project.cases("specs/cases.jsonl", 3)
    project.spec(
        "  - {name: first, kind: golden, model: m, cases: cases.jsonl}\n"
        "  - {name: late, kind: golden, model: e, after: [first], cases: cases.jsonl}\n",
        '{m: {python: "flaky:answer", batch: 1}, e: {echo: {}}}',
    )
    first = project.hallmark("run", "specs", "--allow-python", "-n1")
    assert [check.verdict for check in first.certificate.checks] == ["error", "inconclusive"]
    again = project.hallmark("run", "--resume", "latest", "--retry-errors", "--allow-python", "-n0")
    assert again.status == 0, again.out + again.err
    notes = [note for note in again.certificate.notes if "flaky" in note]
    assert notes == ["first: flaky: 1 case measured again after an error of the carrier, c2 first"]
    assert project.hallmark("verify").status == 0


def test_a_plan_that_was_edited_with_its_digest_is_not_taken_up(project: Project) -> None:
    project.cases("specs/cases.jsonl", 4)
    project.spec("  - {name: a, kind: golden, model: m, cases: cases.jsonl, gate: {pass_rate: 0.9}}\n")
    ran = project.hallmark("run", "specs/a.yaml::golden::a::c1", "-n0")
    folder = ran.run
    data = (folder / "plan.json").read_bytes()
    plan = json.loads(data)
    plan["checks"][0]["cases"] = plan["checks"][0]["cases"][1:]
    edited = json.dumps(plan, separators=(",", ":")).encode()
    (folder / "plan.json").write_bytes(edited)
    record = (folder / "outcomes.jsonl").read_text()
    (folder / "outcomes.jsonl").write_text(record.replace(digest(data), digest(edited)))
    again = project.hallmark("run", "--resume", "latest", "-n0")
    assert again.status == 4
    assert "the check `a` would be another now: begin a new run" in again.err


def test_latest_is_the_run_that_began_last_and_is_taken_up_by_that_name(project: Project) -> None:
    prepared(project, 8)
    assert project.hallmark("run", "specs", "--allow-python", "-n0").status == 0
    before = (project.folder / "runs/latest").resolve()
    process = project.start("harness.cli", "run", "specs", "--allow-python", "-n0")
    deadline = time.monotonic() + 60
    while (project.folder / "runs/latest").resolve() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    assert project.hallmark("verify").status != 0
    ran = project.hallmark("run", "--resume", "latest", "--allow-python", "-n0")
    assert ran.status == 0, ran.out + ran.err
    assert ran.run != before
    more = project.hallmark("run", "--resume", "latest", "--allow-python", "-n0")
    assert "nothing was left to measure" in more.out


def test_a_folder_in_the_place_of_latest_is_moved_aside(project: Project) -> None:
    project.spec("  - {name: a, kind: golden, model: m, cases: [{id: a, input: x, expect: x}]}\n")
    project.hallmark("run", "specs", "-n0")
    latest = project.folder / "runs/latest"
    kept = latest.resolve()
    latest.unlink()
    shutil.copytree(kept, latest)
    ran = project.hallmark("run", "specs", "-n0")
    assert ran.status == 0
    assert latest.is_symlink()
    assert ran.run != kept


def test_a_run_that_ends_after_its_own_last_day_certifies_nothing(project: Project) -> None:
    project.spec(
        "  - {name: a, kind: golden, model: m, cases: [{id: a, input: x, expect: x}]}\n",
        more='certificate: {expires: "2099-01-01"}\n',
    )
    ran = project.hallmark("run", "specs", "-n0")
    plan, record = (ran.run / "plan.json").read_bytes(), (ran.run / "outcomes.jsonl").read_text()
    late = re.sub(r'"finished":"[^"]*"', '"finished":"2099-01-02T00:00:00+00:00"', record).encode()
    assert Run(plan, late).certificate.status == "incomplete"
    in_time = re.sub(r'"finished":"[^"]*"', '"finished":"2099-01-01T23:59:59+00:00"', record).encode()
    assert Run(plan, in_time).certificate.status == "certified"
