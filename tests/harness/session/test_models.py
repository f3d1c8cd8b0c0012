"""Models as users declare them: built once, looked into, compared, and no worse for their neighbours' mistakes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from tests.conftest import Project

BARE = "bare: {safetensors: ../w.safetensors, architecture: lenet5}"


def blank(path: Path, seed: int = 0) -> None:
    """A LeNet-5 that has not learned anything."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from models.zoo import lenet5

    mx.random.seed(seed)
    network = lenet5.blank({"architecture": "lenet5", "conv": [6, 16], "dense": [120, 84]})
    mx.save_safetensors(str(path), dict(tree_flatten(network.parameters())))


def digits(project: Project, n: int) -> None:
    """Images that differ, each to be read as nothing at all."""
    rows = ["........"] * 8
    cases = [
        {"id": f"c{i}", "input": {"image": [f"{i % 10:08d}".replace("0", "."), *rows[1:]]}, "expect": {"label": -1}}
        for i in range(n)
    ]
    project.put("golden/c.jsonl", "".join(json.dumps(case) + "\n" for case in cases))


def small(project: Project, *models: str, checks: str = "") -> None:
    pytest.importorskip("mlx.core")
    blank(project.folder / "w.safetensors")
    digits(project, 6)
    listed = "".join(f"  {model}\n" for model in (BARE, *models))
    first = "  - {name: c, kind: golden, model: bare, cases: ../golden/c.jsonl, compare: {label: exact}, gate: {pass_rate: 0.5}}\n"
    project.put("specs/a.yaml", f"hallmark: 1\nname: a\nmodels:\n{listed}checks:\n{checks or first}")


@pytest.mark.mlx
def test_two_processes_at_once_build_a_variant_once(project: Project, tmp_path: Path) -> None:
    small(
        project,
        "half: {from: bare, cast: float16}",
        "both: {from: half, quantize: {bits: 8, group_size: 32, pad: true}}",
    )
    command = ("harness.cli", "models", "build", "specs")
    two = [project.start(*command, HALLMARK_CACHE=str(tmp_path / "cache")) for _ in range(2)]
    said = [child.communicate(timeout=120) for child in two]
    assert [child.returncode for child in two] == [0, 0]
    told = "".join(err for _, err in said)
    assert told.count("building half: cast") == 1
    assert told.count("building both: quantize") == 1
    again = project.hallmark("models", "build", "specs", HALLMARK_CACHE=str(tmp_path / "cache"))
    assert again.out.count("built before") == 3


@pytest.mark.mlx
def test_a_model_can_be_looked_into(project: Project) -> None:
    small(project, "int8: {from: bare, quantize: {bits: 8, group_size: 32, pad: true}}")
    ran = project.hallmark("models", "inspect", "specs", "--model", "int8", "--json")
    (layers,) = json.loads(ran.out).values()
    assert [layer["name"] for layer in layers] == ["conv1", "conv2", "dense1", "dense2", "dense3"]
    assert sum(layer["parameters"] for layer in layers) == 61_706
    table = project.hallmark("models", "inspect", "int8").out
    assert "PaddedQuantizedLinear  120 x 400" in table
    assert project.hallmark("models", "inspect", "specs", "--model", "int9").err.endswith("did you mean `int8`?\n")


@pytest.mark.mlx
def test_a_smaller_model_is_certified_beside_its_base_with_what_it_weighs(project: Project) -> None:
    check = "  - {name: s, kind: compression, model: half, baseline: bare, cases: ../golden/c.jsonl, compare: {label: exact},"
    claim = " claim: {margin: 0.1, population: suite, bytes: 0.5, kl: 0.001}}\n"
    small(project, "half: {from: bare, cast: float16}", checks=check + claim)
    ran = project.pytest("specs", "-n", "2")
    assert ran.status == 0, ran.out
    (result,) = ran.certificate.checks
    assert result.figures["bytes"] == 123_412
    assert result.figures["baseline_bytes"] == 246_824
    assert (result.figures["lost"], result.figures["gained"]) == (0, 0)
    assert 0 < result.figures["kl"] < 0.001
    assert {model["how"] for model in ran.certificate.provenance["models"].values()} == {
        "safetensors",
        "safetensors + cast",
    }
    assert project.hallmark("verify").status == 0
    html = (ran.run / "report.html").read_text("utf-8")
    assert "Held against bare" in html


@pytest.mark.mlx
@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("bad: {from: bare, quantize: {bits: 4, group_size: 64}}", "which groups of 64 do not divide"),
        ("bad: {from: bare, quantize: {bits: 4, group_size: 32, pad: true, layers: {dens9: {bits: 8}}}}", "dens9"),
        ("bad: {mlx_lm: ../nowhere}", "there is no folder"),
        ("bad: {mlx_lm: org/nowhere}", "is not in the local cache"),
        ("bad: {safetensors: ../torn.safetensors, architecture: lenet5}", "torn.safetensors"),
        ("bad: {safetensors: ../pickled.safetensors, architecture: lenet5}", "pickle"),
        ("bad: {http: {url: 'http://127.0.0.1:9/v1', model: m, timeout: 2, retries: 0}}", "127.0.0.1:9"),
        ("bad: {command: [no-such-program]}", "no-such-program"),
    ],
)
def test_a_model_that_can_not_be_opened_costs_its_own_cases_alone(project: Project, model: str, why: str) -> None:
    checks = "".join(
        f"  - {{name: {name}, kind: golden, model: {name}, cases: ../golden/c.jsonl, compare: {{label: exact}}, gate: {{pass_rate: 0.5}}}}\n"
        for name in ("bare", "bad")
    )
    small(project, model, checks=checks)
    project.put("torn.safetensors", (project.folder / "w.safetensors").read_bytes()[:1000])
    project.put("pickled.safetensors", pickle.dumps({"a": [1]}))
    ran = project.pytest("specs", "-n0", "--tb=short")
    assert ran.status == 1, ran.out + ran.err
    good = [outcome for key, outcome in ran.outcomes.items() if "::bare::" in key]
    bad = [outcome for key, outcome in ran.outcomes.items() if "::bad::" in key]
    assert {outcome["outcome"] for outcome in good} == {"missed"}
    assert {outcome["outcome"] for outcome in bad} == {"error"}
    assert all(why in outcome["reason"] and "\n" not in outcome["reason"] for outcome in bad), bad[0]["reason"]
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.mlx
def test_what_learns_from_a_file_that_has_changed_since_is_kept_under_no_recipe(project: Project) -> None:
    from harness.contract import Refused
    from harness.shelf import Shelf, folder_of, is_built
    from harness.spec.memory import read_plan

    project.put("lessons.jsonl", json.dumps({"input": {"image": ["1......."] * 8}, "expect": {"label": 1}}) + "\n")
    small(project, "tuned: {from: bare, prune: {sparsity: 0.1, finetune: {epochs: 1}, data: ../lessons.jsonl}}")
    site = Shelf(project.folder, print)
    tuned = read_plan([project.folder / "specs/a.yaml"], site).models["specs/a.yaml::tuned"]
    project.put("lessons.jsonl", "")
    with pytest.raises(Refused, match=r"lessons\.jsonl has changed since it was planned"):
        folder_of(tuned, site)
    assert is_built(tuned, site) is False


@pytest.mark.mlx
def test_a_forged_footprint_is_refused(project: Project) -> None:
    check = "  - {name: s, kind: compression, model: half, baseline: bare, cases: ../golden/c.jsonl, compare: {label: exact},"
    small(project, "half: {from: bare, cast: float16}", checks=check + " claim: {bytes: 0.5}}\n")
    ran = project.pytest("specs", "-n0")
    record = ran.run / "outcomes.jsonl"
    lines = record.read_text("utf-8").splitlines(keepends=True)
    forged = [line.replace("123412", "12341") if '"case":"footprint"' in line else line for line in lines]
    assert forged != lines
    record.write_text("".join(forged), "utf-8")
    assert project.hallmark("report", str(ran.run)).status == 0
    verified = project.hallmark("verify", str(ran.run))
    assert verified.status == 1
    assert "footprint is recorded as met, but its answer is not" in verified.err


@pytest.mark.mlx
def test_fast_numerics_are_told_on_the_certificate(project: Project) -> None:
    from harness import numerics

    if not numerics.lanes():
        pytest.skip("no fast BLAS here")
    small(project)
    ran = project.pytest("specs", "-n0", "--numerics", "fast")
    (setting,) = ran.certificate.provenance["settings"]
    assert setting["numerics"] == "fast"
    assert setting["blas_threads"] == "1"
    assert "openblas" in setting["blas_library"]
    assert any("numerics are fast" in note for note in ran.certificate.notes)
    (blocker,) = ran.certificate.blockers
    assert blocker.reproduce.endswith("--numerics fast")


@pytest.mark.mlx
def test_what_a_fast_run_has_to_build_has_the_bits_of_a_strict_build(project: Project, tmp_path: Path) -> None:
    from harness import numerics

    if not numerics.lanes():
        pytest.skip("no fast BLAS here")
    tuned = "tuned: {from: bare, prune: {sparsity: 0.5, finetune: {epochs: 1}, data: ../lessons.jsonl}}"
    check = "  - {name: c, kind: golden, model: tuned, cases: ../golden/c.jsonl, compare: {label: exact}, gate: {pass_rate: 0.5}}\n"
    small(project, tuned, checks=check)
    lessons = [
        {"input": {"image": ["........"] * 7 + [f"{i:08d}".replace("0", ".")]}, "expect": {"label": i % 10}}
        for i in range(1, 65)
    ]
    project.put("lessons.jsonl", "".join(json.dumps(lesson) + "\n" for lesson in lessons))
    digests = []
    for mode in ("fast", "strict"):
        ran = project.pytest("specs", "-n0", "--numerics", mode, HALLMARK_CACHE=str(tmp_path / mode))
        (setting,) = ran.certificate.provenance["settings"]
        assert setting["numerics"] == mode
        digests.append(setting["digest"])
    assert digests[0] == digests[1]


def test_errors_that_are_alike_are_told_three_times_and_counted_all(project: Project) -> None:
    digits(project, 30)
    project.put(
        "specs/a.yaml",
        "hallmark: 1\nmodels: {bad: {command: [no-such-program]}}\nchecks:\n"
        "  - {name: c, kind: golden, model: bad, cases: ../golden/c.jsonl, compare: {label: exact}}\n",
    )
    ran = project.pytest("specs", "-n0")
    assert ran.out.count("ERROR specs/a.yaml::golden::c::") == 3
    assert "31 errors" in ran.out.splitlines()[-1]
    (result,) = ran.certificate.checks
    assert "all 30 errors: " in result.reason
    assert "no-such-program" in result.reason


@pytest.mark.mlx
def test_a_baseline_that_has_no_weights_here_is_told_as_such(project: Project) -> None:
    small(
        project,
        "saved: {replay: ../answers.jsonl}",
        checks="  - {name: s, kind: compression, model: bare, baseline: saved, cases: ../golden/c.jsonl,"
        " compare: {label: exact}, claim: {margin: 0.5, population: suite}}\n",
    )
    answers = [json.dumps({"id": f"c{i}", "answer": {"label": 1}}) for i in range(6)]
    project.put("answers.jsonl", "\n".join(answers))
    ran = project.pytest("specs", "-n0")
    assert ran.status == 0, ran.out
    assert "Held against saved" in (ran.run / "report.html").read_text("utf-8")
