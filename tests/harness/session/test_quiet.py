"""Checks that must have the machine for themselves, in whole sessions; and models that are timed in their own processes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Project, Ran

LOGS = """
import os, time

def answer(input):
    begin = time.monotonic()
    time.sleep(0.01)
    with open(os.path.join(os.environ["HALLMARK_LOG"], str(os.getpid())), "a") as log:
        log.write(f"{input[0]} {begin} {time.monotonic()}\\n")
    return input
"""
QUICK = (
    "  - {{name: {name}, kind: performance, model: {model}, cases: ../c.jsonl, processes: {processes}, samples: 12, "
    "contaminated: may-pass, patience: 0, {more}}}\n"
)


def check(
    name: str = "quick", model: str = "m", processes: int = 2, more: str = "budget: {latency_ms: {max: 5000}}"
) -> str:
    return QUICK.format(name=name, model=model, processes=processes, more=more)


def run(project: Project, *argv: str, **env: str) -> Ran:
    """In a cache of its own, so that whoever else measures on this machine is not waited for."""
    return project.hallmark("run", *argv, HALLMARK_CACHE=str(project.folder / "cache"), **env)


def times(ran: Ran, name: str) -> dict[str, list[list[float]]]:
    """The latencies of each case by process."""
    told = {key.rpartition("::")[2]: line for key, line in ran.outcomes.items() if f"::{name}::" in key}
    return {case: line["answer"]["ms"] for case, line in told.items() if case != "session"}


def inputs(project: Project, path: str, word: str, n: int) -> None:
    lines = [json.dumps({"id": f"{word}{i}", "input": f"{word}{i}", "expect": f"{word}{i}"}) for i in range(n)]
    project.put(path, "\n".join(lines) + "\n")


def spans(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """When what was asked, by the first letter of the input."""
    found: dict[str, list[tuple[float, float]]] = {}
    for file in folder.iterdir():
        for line in file.read_text().splitlines():
            word, begin, end = line.split()
            found.setdefault(word, []).append((float(begin), float(end)))
    return found


def test_what_must_be_alone_overlaps_with_nothing_under_workers(project: Project) -> None:
    for word, n in (("a", 6), ("b", 6), ("c", 120)):
        inputs(project, f"{word}.jsonl", word, n)
    project.put("acme.py", LOGS)
    logs = project.folder / "log"
    logs.mkdir()
    busy = "  - {name: busy, kind: golden, model: m, cases: ../c.jsonl}\n"
    quiet = [check(name=word).replace("c.jsonl", f"{word}.jsonl") for word in "ab"]
    project.spec("".join(quiet) + busy, models='{m: {python: "acme:answer", batch: 4}}')
    ran = run(project, "specs", "-n3", "--allow-python", HALLMARK_LOG=str(logs), PYTHONPATH=str(project.folder))
    assert ran.certificate.status == "certified", ran.out + ran.err
    found = spans(logs)
    assert len(found["c"]) == 120
    alone = {word: (min(found[word])[0], max(end for _, end in found[word])) for word in "ab"}
    for word, (begin, end) in alone.items():
        others = [span for other, each in found.items() if other != word for span in each]
        assert all(b >= end or e <= begin for b, e in others), word


def test_a_case_that_can_not_be_answered_errs_alone(project: Project) -> None:
    project.cases("c.jsonl", 8)
    project.spec(check(), models="{m: {echo: {fail: [c3]}}}")
    ran = run(project, "-n0")
    words = {key.rpartition("::")[2]: line["outcome"] for key, line in ran.outcomes.items()}
    assert words == {**{f"c{i}": "met" for i in range(8)}, "c3": "error", "session": "met"}
    assert "asked to fail" in ran.certificate.checks[0].reason
    assert ran.certificate.checks[0].verdict == "error"


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.parametrize(
    ("echo", "said", "errors"),
    [("{hang: [c3]}", "took longer than its 0.2 s", 1), ("{crash: [c3]}", "a process of its own ended", 6)],
)
def test_a_model_that_hangs_or_dies_is_told_of_in_time(
    project: Project, echo: str, said: str, errors: int, workers: str
) -> None:
    project.cases("c.jsonl", 5)
    project.spec(check(more="timeout: 0.2, budget: {latency_ms: {max: 5000}}"), models=f"{{m: {{echo: {echo}}}}}")
    ran = run(project, workers)
    (result,) = ran.certificate.checks
    assert (result.verdict, result.outcomes.error) == ("error", errors)
    assert said in result.reason
    assert "Traceback" not in ran.out + ran.err


def test_a_model_is_timed_in_turns_with_what_it_was_when_it_was_last_certified(project: Project) -> None:
    project.cases("c.jsonl", 6)
    against = "against: m@certified, at_most: 100, budget: {latency_ms: {max: 5000}}"
    project.spec(check(processes=3, more=against), models="{m: {echo: {}}}")
    first = run(project, "-n0")
    assert first.certificate.status == "certified", first.out
    assert any("nothing of specs/a.yaml is certified yet" in note for note in first.certificate.notes)
    assert "ratio" not in first.certificate.checks[0].figures
    second = run(project, "-n0")
    (result,) = second.certificate.checks
    assert result.figures["ratio"] > 0
    session = second.outcomes["specs/a.yaml::performance::quick::session"]["answer"]
    assert sorted(process["of"] for process in session["processes"]) == ["baseline"] * 3 + ["model"] * 3
    for at in range(0, 6, 2):  # each round has both, in either order
        assert {process["of"] for process in session["processes"][at : at + 2]} == {"baseline", "model"}
    assert project.hallmark("verify").status in (0, 6)


def test_a_run_that_is_not_there_is_a_fault_of_the_spec(project: Project) -> None:
    project.cases("c.jsonl", 6)
    for against, said in (
        ("m@nope", "there is no run `nope`"),
        ("m@../specs", "is not a run's folder"),
        ("m@", "`@` names no run"),
    ):
        project.spec(check(processes=3, more=f"against: {against}, budget: {{latency_ms: {{max: 5000}}}}"))
        ran = project.hallmark("validate")
        assert ran.status == 4
        assert said in ran.err
        assert "specs/a.yaml:5:" in ran.err


def test_a_plan_that_is_kept_holds_no_longer_than_what_is_certified(project: Project) -> None:
    project.cases("c.jsonl", 6)
    more = "against: m@certified, at_most: 100, budget: {latency_ms: {max: 5000}}"
    project.spec(check(processes=3, more=more), models="{m: {echo: {}}}")
    held = []
    for _ in range(3):
        ran = run(project, "-n0")
        plan = json.loads((ran.run / "plan.json").read_bytes())
        held.append([key for key in plan["models"] if "@" in key])
        if len(held) == 2:
            (project.folder / "runs" / "certified" / "specs--a.yaml").unlink()
    assert list(map(len, held)) == [0, 1, 0]


def test_it_is_not_taken_apart_where_pytest_chooses_among_cases(project: Project) -> None:
    project.cases("c.jsonl", 4)
    project.spec(check() + "  - {name: g, kind: golden, model: m, cases: ../c.jsonl}\n")
    ran = run(project, "-n0", "-k", "quick or c2")
    measured = [key for key in ran.outcomes if "::quick::" in key]
    assert len(measured) == 5
    processes = ran.outcomes["specs/a.yaml::performance::quick::session"]["answer"]["processes"]
    assert len(processes) == 2


CERTIFIED = "against: m@certified, at_most: 100, budget: {latency_ms: {max: 5000}}"


def certified(project: Project, models: str = "{m: {echo: {}}}", **env: str) -> Path:
    """A project whose spec was certified once, and the run that did it."""
    project.cases("c.jsonl", 6)
    project.spec(check(processes=3, more=CERTIFIED), models=models)
    ran = run(project, "-n0", *(["--allow-python"] if "python" in models else []), **env)
    assert ran.certificate.status == "certified", ran.out + ran.err
    return ran.run


def test_a_run_that_is_gone_is_told_of_and_not_taken_for_none(project: Project) -> None:
    gone = certified(project)
    shutil.rmtree(gone)
    ran = run(project, "-n0")
    assert ran.status == 4
    assert f"the run that `certified` stands for, {gone.name}, is not there any more" in ran.err


def test_a_run_whose_plan_was_edited_is_no_measure(project: Project) -> None:
    plan = certified(project) / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"echo":{}', b'"echo":{"fail":["x"]}'))
    ran = run(project, "-n0")
    assert ran.status == 4
    assert "is not the plan that the run began with" in ran.err


def test_a_link_to_another_folder_is_no_run(project: Project) -> None:
    there = certified(project)
    elsewhere = project.folder / "elsewhere" / there.name
    shutil.copytree(there, elsewhere)
    (project.folder / "runs" / "foreign").symlink_to(elsewhere)
    project.spec(check(processes=3, more=CERTIFIED.replace("certified", "foreign")), models="{m: {echo: {}}}")
    ran = run(project, "-n0")
    assert ran.status == 4
    assert "runs/foreign" in ran.err or "`foreign`" in ran.err


def test_a_model_that_has_changed_since_is_not_timed_against_itself(project: Project) -> None:
    project.put("acme.py", "def answer(input):\n    return input\n")
    env = {"PYTHONPATH": str(project.folder)}
    certified(project, models='{m: {python: "acme:answer"}}', **env)
    project.put("acme.py", "def answer(input):\n    return str(input)\n")
    ran = run(project, "-n0", "--allow-python", **env)
    (result,) = ran.certificate.checks
    assert result.verdict == "error"
    assert "it is not what it was in that run" in result.reason + ran.out


def test_what_is_put_off_is_not_answered(project: Project) -> None:
    project.cases("c.jsonl", 6)
    project.put("acme.py", "def answer(input):\n    return (each for each in [input])\n")
    project.spec(check(), models='{m: {python: "acme:answer"}}')
    ran = run(project, "-n0", "--allow-python", PYTHONPATH=str(project.folder))
    assert ran.certificate.checks[0].verdict == "error"


def test_a_session_that_breaks_off_is_not_begun_again_for_every_case(project: Project) -> None:
    project.cases("c.jsonl", 30)
    code = (
        "import os\n\nwith open('opened', 'a') as log:\n    log.write('x')\n\n"
        "def answer_all(inputs):\n    if len(inputs) > 1:\n        raise ValueError('too many')\n    return inputs\n"
    )
    project.put("acme.py", code)
    more = "budget: {throughput: {min: 1, batch: 4}}"
    project.spec(check(more=more), models='{m: {python: "acme:answer_all", batched: true}}')
    ran = run(project, "-n0", "--allow-python", PYTHONPATH=str(project.folder))
    assert ran.certificate.checks[0].outcomes.error == 31
    assert "too many" in ran.out
    assert len((project.folder / "opened").read_text()) <= 3  # by the run itself, and by one process that is timed
