"""Models that answer otherwise when they should not, run as users run them: each has to be caught, and by what it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project, Ran

MODELS = '''
import os, random

def steady(x):
    return {"n": len(x["text"]), "p": len(x["text"]) / 7}

def noise(x):
    """Unseeded, from the system."""
    return {"p": int.from_bytes(os.urandom(2), "big") / 65536}

def drawn(x):
    """Unseeded, from Python's own generator."""
    return {"n": len(x["text"]), "p": random.random()}

_calls = [0]

def counts(x):
    _calls[0] += 1
    return {"n": len(x["text"]), "call": _calls[0]}

_last = [0]

def leans(x):
    """On what it was asked before."""
    before, _last[0] = _last[0], len(x["text"])
    return {"n": len(x["text"]), "p": before / 10}

def by_place(xs):
    return [{"n": len(x["text"]), "p": 1 / (3 + (i == len(xs) - 1))} for i, x in enumerate(xs)]

def by_number(xs):
    return [{"n": len(x["text"]), "p": 1 / len(xs)} for x in xs]

def unmasked(xs):
    """Takes the padding of shorter texts for text."""
    width = max(len(x["text"]) for x in xs)
    return [{"mean": sum(map(ord, x["text"].ljust(width, chr(0)))) / width} for x in xs]

def hashed(x):
    """By the order of a set, which another process may have otherwise."""
    return {"words": list(set(x["text"].split()) | {"a", "b", "c", "d", "e", "f"})}

def all_steady(xs):
    return [steady(x) for x in xs]

def breaks(xs):
    if any(x["text"] == "the end" for x in xs):
        raise ValueError("no")
    return all_steady(xs)

def cycles(x):
    """By a count of its calls, which comes round with the cases."""
    _calls[0] += 1
    return {"n": len(x["text"]), "turn": _calls[0] % 2}

def flaky(xs):
    _calls[0] += 1
    if _calls[0] == 1:
        raise ValueError("not yet")
    return all_steady(xs)

def dies_of_seven(xs):
    if len(xs) == 7:
        os.kill(os.getpid(), 9)
    return all_steady(xs)

def by_three(xs):
    return [{"n": len(x["text"]), "three": len(xs) == 3} for x in xs]

def at_place(xs):
    return [{"n": len(x["text"]), "place": i} for i, x in enumerate(xs)]

def random_number(x):
    return {"score": random.SystemRandom().random()}

def reads_its_input(x):
    import subprocess
    return {"n": int(subprocess.run(["wc", "-c"], capture_output=True).stdout) * 0 + len(x["text"])}

def leaves_a_child(x):
    import subprocess, sys, time
    if "pytest" not in sys.modules:
        open("child", "w").write(str(subprocess.Popen(["sleep", "600"]).pid))
        time.sleep(600)
    return x

def pids(x):
    with open("pids", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return steady(x)
'''
TEXTS = ["a", "bb cc", "ddd", "dddd e", "f", "gg", "hhhhhhhh i", "j"]


def project_of(project: Project, function: str, *options: str, texts: list[str] = TEXTS, model: str = "") -> Ran:
    project.put("pytest.ini", "[pytest]\nhallmark_allow_python = true\n")
    project.put("fixtures.py", MODELS)
    project.put(
        "specs/c.jsonl", "".join(json.dumps({"id": f"c{i}", "input": {"text": t}}) + "\n" for i, t in enumerate(texts))
    )
    how = f'python: "fixtures:{function}"'
    project.spec(
        f"  - {{name: d, kind: determinism, model: m, cases: c.jsonl, {', '.join(options)}}}\n",
        models=f"{{m: {{{how}{model}}}}}",
    )
    return project.hallmark("run", "-n0")


def cells(ran: Ran, case: str = "c1") -> dict[str, Any]:
    found: dict[str, Any] = ran.outcomes[f"specs/a.yaml::determinism::d::{case}"]["answer"]["cells"]
    return found


def test_a_steady_model_passes_every_axis_that_it_has(project: Project) -> None:
    ran = project_of(
        project, "all_steady", "vary: [repeat, process, batch, order, padding, threads, seed]", model=", batched: true"
    )
    assert ran.status == 0, ran.out
    (check,) = ran.certificate.checks
    assert (check.verdict, check.estimate, check.figures["cells"]) == ("pass", 1, 7 * len(TEXTS))
    assert check.figures["bound"] == pytest.approx(1 - 0.05 ** (1 / 5))
    assert "less than 45.1% of runs diverge" in check.reason


@pytest.mark.parametrize(
    ("function", "axes", "batched"),
    [
        ("noise", ["repeat", "process", "order"], False),
        ("drawn", ["repeat", "process"], False),
        ("counts", ["repeat"], False),
        ("leans", ["order"], False),
        ("by_place", ["batch"], True),
        ("by_number", ["batch"], True),
        ("unmasked", ["padding", "batch"], True),
        ("hashed", ["process"], False),
    ],
)  # fmt: skip
def test_what_is_not_deterministic_is_caught(project: Project, function: str, axes: list[str], batched: bool) -> None:
    model = ", batched: true" if batched else ""
    ran = project_of(project, function, f"vary: [{', '.join(axes)}]", "runs: 3", model=model)
    assert ran.status == 1, ran.out
    (check,) = ran.certificate.checks
    assert check.verdict == "fail"
    for axis in axes:
        assert any(cells(ran, f"c{i}")[axis]["state"] in ("tokens", "different") for i in range(len(TEXTS))), axis
        assert f"{axis}: " in check.reason


def test_padding_is_caught_where_every_lot_has_the_longest_in_it_already(project: Project) -> None:
    ran = project_of(project, "unmasked", "vary: [padding]", model=", batched: true, batch: 64")
    assert ran.status == 1
    assert cells(ran, "c0")["padding"]["run"] == "beside itself"


@pytest.mark.parametrize(
    "axis", ["cache", "speculative", "kv_bits", "compile", "fused", "reload", "tf32", "batch", "padding"]
)
def test_an_axis_that_a_model_does_not_have_is_unsupported_and_no_pass(project: Project, axis: str) -> None:
    ran = project_of(project, "steady", f"vary: [repeat, {axis}]", "runs: 2")
    (check,) = ran.certificate.checks
    assert check.verdict == "unsupported"
    assert check.reason.startswith(f"{axis}: ")
    assert cells(ran)[axis]["state"] == "unsupported"
    assert cells(ran)["repeat"]["state"] == "bits"


def test_only_axes_that_a_model_does_not_have_leave_nothing_certified(project: Project) -> None:
    ran = project_of(project, "steady", "vary: [cache]")
    assert ran.status != 0
    assert ran.certificate.status != "certified"


def test_inputs_of_one_length_have_nothing_to_pad(project: Project) -> None:
    ran = project_of(project, "unmasked", "vary: [padding]", texts=["aa", "bb"], model=", batched: true")
    assert ran.certificate.checks[0].verdict == "unsupported"
    assert "all of one length" in ran.certificate.checks[0].reason


def test_a_case_that_spoils_its_batch_is_found_and_the_others_are_measured(project: Project) -> None:
    ran = project_of(
        project, "breaks", "vary: [repeat, batch]", "runs: 2", texts=[*TEXTS, "the end"], model=", batched: true"
    )
    words = {id.rpartition("::")[2]: line["outcome"] for id, line in ran.outcomes.items()}
    assert words == {**{f"c{i}": "met" for i in range(len(TEXTS))}, f"c{len(TEXTS)}": "error"}
    assert ran.certificate.checks[0].verdict == "error"


def test_a_process_is_started_per_run_and_not_per_case(project: Project) -> None:
    ran = project_of(project, "pids", "vary: [process]", "runs: 3", texts=[f"{'x' * i}y" for i in range(60)])
    assert ran.status == 0, ran.out
    assert len(set((project.folder / "pids").read_text().split())) == 3


def test_what_was_selected_changes_no_cell(project: Project) -> None:
    whole = project_of(project, "unmasked", "vary: [batch, order, padding]", model=", batched: true, batch: 4")
    one = project.hallmark("run", "-n0", "specs/a.yaml::determinism::d::c5")
    assert cells(one, "c5") == cells(whole, "c5")
    assert list(one.outcomes) == ["specs/a.yaml::determinism::d::c5"]


def test_closeness_is_judged_by_what_was_asked(project: Project) -> None:
    near = project_of(project, "by_place", "vary: [batch]", "require: {close: {abs: 0.1}}", model=", batched: true")
    assert near.status == 0, near.out
    far = project_of(
        project, "by_place", "vary: [batch]", "require: {batch: {close: {abs: 0.01}}}", model=", batched: true"
    )
    assert far.status == 1
    loose = project_of(project, "by_place", "vary: [batch]", "require: tokens", model=", batched: true")
    assert loose.status == 0


def test_a_run_is_held_against_an_earlier_one(project: Project) -> None:
    first = project_of(project, "steady", "vary: [repeat]", "runs: 2")
    assert first.status == 0
    earlier = f"../runs/{first.run.name}"
    same = project_of(project, "steady", "vary: [repeat]", "runs: 2", f"against: {earlier}")
    assert same.status == 0, same.out
    assert cells(same)["against"]["state"] == "bits"
    other = project_of(project, "counts", "vary: [seed]", f"against: {earlier}")
    assert other.status == 1
    found = cells(other)["against"]
    assert (found["state"], found["at"]) == ("different", "call")


def test_committed_hashes_are_written_and_held_against(project: Project) -> None:
    asked = ("vary: [repeat]", "runs: 2", "against: ../golden/bits.json")
    first = project_of(project, "steady", *asked)
    assert first.certificate.checks[0].verdict == "unsupported"
    assert "hallmark golden update" in first.certificate.checks[0].reason
    told = project.hallmark("golden", "update")
    assert (told.status, told.out) == (0, "golden/bits.json\n")
    assert project_of(project, "steady", *asked).status == 0
    kept = json.loads((project.folder / "golden/bits.json").read_text())
    ((backend, hashes),) = kept["checks"]["specs/a.yaml::determinism::d"].items()
    hashes["c1"][1] = "0" * 16
    project.put("golden/bits.json", json.dumps(kept))
    bad = project_of(project, "steady", *asked)
    assert bad.status == 1
    assert cells(bad)["against"]["state"] == "tokens"
    kept["checks"]["specs/a.yaml::determinism::d"] = {"another machine": hashes}
    project.put("golden/bits.json", json.dumps(kept))
    strange = project_of(project, "steady", *asked)
    assert strange.certificate.checks[0].verdict == "unsupported"
    assert backend in strange.certificate.checks[0].reason


def test_hashes_of_a_model_that_does_not_agree_with_itself_are_not_committed(project: Project) -> None:
    project_of(project, "noise", "vary: [repeat]", "runs: 2", "against: ../golden/bits.json")
    project.hallmark("golden", "update")
    assert json.loads((project.folder / "golden/bits.json").read_text())["checks"] == {}


def test_a_forged_cell_is_refused(project: Project) -> None:
    ran = project_of(project, "by_place", "vary: [batch]", "require: tokens", model=", batched: true")
    path = ran.run / "outcomes.jsonl"
    path.write_text(path.read_text().replace('"n":5', '"n":6', 1))
    assert project.hallmark("verify").status == 1


def test_a_model_whose_process_dies_is_told(project: Project) -> None:
    project.put("fixtures.py", "")
    project.put("pytest.ini", "[pytest]\nhallmark_allow_python = true\n")
    dying = "import os, sys\n\ndef steady(x):\n    if 'pytest' not in sys.modules:\n        os._exit(3)\n    return x\n"
    project.put("dying.py", dying)
    project.spec(
        "  - {name: d, kind: determinism, model: m, cases: [{id: a, input: 1}], vary: [process], runs: 2}\n",
        models='{m: {python: "dying:steady"}}',
    )
    ran = project.hallmark("run", "-n0")
    assert ran.status != 0
    assert ran.certificate.checks[0].verdict in ("error", "unsupported")
    assert "exit status 3" in ran.certificate.checks[0].reason


@pytest.mark.mlx
def test_a_fast_blas_in_front_of_mlx_breaks_batch_invariance_and_is_caught(project: Project, tmp_path: Path) -> None:
    from harness import numerics
    from tests.harness.session.test_models import blank, digits

    if not numerics.lanes():
        pytest.skip("no fast BLAS here")
    blank(project.folder / "w.safetensors")
    digits(project, 10)
    project.spec(
        "  - {name: d, kind: determinism, model: m, cases: ../golden/c.jsonl, vary: [batch, blas], runs: 2}\n",
        models="{m: {safetensors: ../w.safetensors, architecture: lenet5}}",
    )
    strict = project.hallmark("run", "-n0")
    assert strict.status == 0, strict.out
    assert strict.certificate.checks[0].figures["held"] == 20
    fast = project.hallmark("run", "-n0", "--numerics", "fast")
    assert fast.status == 1
    assert "batch: " in fast.certificate.checks[0].reason


# ------------------------------------------------------------------------------- what an adversary came up with


def test_a_count_of_calls_that_comes_round_with_the_cases_is_caught_by_repeating(project: Project) -> None:
    assert project_of(project, "cycles", "vary: [repeat]").status == 1


def test_a_model_that_fails_its_first_call_is_no_pass(project: Project) -> None:
    ran = project_of(project, "flaky", "vary: [repeat, order]", model=", batched: true")
    assert ran.certificate.checks[0].verdict == "error"


def test_a_model_that_dies_of_a_batch_size_ends_as_an_error(project: Project) -> None:
    project_of(project, "all_steady", "vary: [repeat]", model=", batched: true")
    text = (project.folder / "specs/a.yaml").read_text()
    project.put("specs/a.yaml", text.replace("all_steady", "dies_of_seven").replace("[repeat]", "[batch]"))
    ran = project.hallmark("run", "-n1")
    assert ran.certificate.checks[0].verdict == "error"
    assert "while it answered cases together" in ran.certificate.checks[0].reason


def test_a_batch_of_one_is_held_against_what_a_full_one_is(project: Project) -> None:
    texts = [f"{i:05d}" for i in range(9)]
    whole = project_of(project, "by_three", "vary: [batch]", texts=texts, model=", batched: true, batch: 8")
    one = project.hallmark("run", "-n0", "specs/a.yaml::determinism::d::c8")
    assert cells(one, "c8") == cells(whole, "c8")
    assert cells(one, "c8")["batch"]["state"] == "different"


def test_the_order_of_a_lot_of_one_is_varied_too(project: Project) -> None:
    texts = [f"{i:05d}" for i in range(9)]
    ran = project_of(project, "at_place", "vary: [order]", "runs: 3", texts=texts, model=", batched: true, batch: 8")
    assert cells(ran, "c8")["order"]["state"] == "different"


def test_numbers_alone_have_no_token_to_be_the_same(project: Project) -> None:
    ran = project_of(project, "random_number", "vary: [repeat]", "require: tokens")
    assert ran.certificate.checks[0].verdict == "unsupported"
    assert "numbers alone" in ran.certificate.checks[0].reason
    assert project_of(project, "random_number", "vary: [repeat]", "require: bits").status == 1


def test_what_another_process_does_not_start_is_not_varied_by_one(project: Project) -> None:
    project.put("specs/said.jsonl", '{"id": "a", "answer": 1}\n')
    project.spec(
        "  - {name: d, kind: determinism, model: m, cases: [{id: a, input: 1}], vary: [process]}\n",
        models="{m: {replay: said.jsonl}}",
    )
    assert project.hallmark("run", "-n0").certificate.checks[0].verdict == "unsupported"


def test_a_program_that_a_model_starts_finds_no_questions_of_ours_in_its_input(project: Project) -> None:
    ran = project_of(project, "reads_its_input", "vary: [process]", "runs: 2", "timeout: 20", texts=TEXTS[:2])
    assert ran.certificate.checks[0].verdict == "pass", ran.out


def test_what_a_process_of_its_own_started_ends_with_it(project: Project) -> None:
    ran = project_of(project, "leaves_a_child", "vary: [process]", "runs: 2", "timeout: 1", texts=TEXTS[:1])
    assert ran.certificate.checks[0].verdict == "error"
    assert "took longer" in ran.certificate.checks[0].reason
    stat = Path(f"/proc/{(project.folder / 'child').read_text()}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_another_checks_run_is_not_held_against(project: Project) -> None:
    first = project_of(project, "steady", "vary: [repeat]", "runs: 2")
    text = (
        (project.folder / "specs/a.yaml")
        .read_text()
        .replace("name: d,", f"name: e, against: ../runs/{first.run.name},")
    )
    project.put("specs/a.yaml", text)
    found = project.hallmark("run", "-n0").certificate.checks[0]
    assert found.verdict == "unsupported"
    assert "has nothing of `e`" in found.reason


@pytest.mark.parametrize(
    "text", ["[]", '{"is":"outcome","check":null}', '{"is": 3}', "{", '{"schema": "x", "checks": {}}', "[" * 10_000]
)
def test_a_file_that_holds_no_hashes_is_refused_in_a_line(project: Project, text: str) -> None:
    project.put("golden/h.json", text)
    ran = project_of(project, "steady", "against: ../golden/h.json")
    assert ran.status == 4
    assert "golden/h.json" in ran.err
    assert "Traceback" not in ran.err


def test_an_edited_run_is_not_committed(project: Project) -> None:
    ran = project_of(project, "steady", "vary: [repeat]", "runs: 2", "against: ../golden/h.json")
    path = ran.run / "outcomes.jsonl"
    path.write_text(path.read_text().replace('"bits":"', '"bits":"0'))
    told = project.hallmark("golden", "update")
    assert told.status == 1
    assert "is not to be believed" in told.err
    assert not (project.folder / "golden/h.json").exists()


@pytest.mark.mlx
def test_a_process_with_another_blas_is_not_what_other_checks_are_said_to_be_measured_with(project: Project) -> None:
    from harness import numerics
    from tests.harness.session.test_models import blank, digits

    if not numerics.lanes():
        pytest.skip("no fast BLAS here")
    blank(project.folder / "w.safetensors")
    digits(project, 4)
    common = "model: half, cases: ../golden/c.jsonl"
    project.spec(
        f"  - {{name: small, kind: compression, {common}, baseline: m, compare: {{label: exact}}, claim: {{bytes: 0.6}}}}\n"
        f"  - {{name: d, kind: determinism, {common}, runs: 2, vary: [blas]}}\n",
        models="{m: {safetensors: ../w.safetensors, architecture: lenet5}, half: {from: m, cast: float16}}",
    )
    ran = project.hallmark("run", "-n0")
    assert ran.status == 0, ran.out
    page = (ran.run / "report.html").read_text("utf-8")
    told = page.partition("Times are information, measured with ")[2].partition("KL")[0]
    assert "strict numerics" in told
    assert "fast numerics" not in told
