"""What the compression certificates must show on the zoo's own models, and what must not pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.contract import CheckResult
from tests.conftest import REPOSITORY, Project

pytestmark = pytest.mark.mlx
LESSONS = "data: ../golden/lessons.jsonl"
CHECK = "  - {name: small, kind: compression, model: [%s], baseline: base, cases: ../golden/sums.jsonl, compare: {text: exact}, claim: %s}\n"


def llama(project: Project, models: dict[str, str], claim: str) -> dict[str, CheckResult]:
    """The zoo's llama beside what was made of it, on every fourth of its golden cases."""
    pytest.importorskip("mlx_lm")
    golden = REPOSITORY / "golden" / "llama"
    project.put("golden/sums.jsonl", "".join((golden / "sums.jsonl").read_text("utf-8").splitlines(keepends=True)[::3]))
    shutil.copy(golden / "lessons.jsonl", project.folder / "golden" / "lessons.jsonl")
    base = "base: {zoo: llama, seed: 0, generate: {max_tokens: 16}, batch: 64}"
    listed = "".join(
        f"  {line}\n" for line in (base, *(f"{name}: {{from: base, {step}}}" for name, step in models.items()))
    )
    checks = CHECK % (", ".join(models), claim)
    project.put("specs/a.yaml", f"hallmark: 1\nname: a\nmodels:\n{listed}checks:\n{checks}")
    ran = project.pytest("specs", "-n0")
    return {(result.model or "").partition("::")[2]: result for result in ran.certificate.checks}


def test_two_bits_fail_the_gate_that_four_pass_and_the_fit_of_gptq_strays_less_than_rounding(project: Project) -> None:
    found = llama(
        project,
        {
            "int4": "quantize: {bits: 4, group_size: 64}",
            "gptq4": f"quantize: {{bits: 4, group_size: 64, method: gptq, {LESSONS}}}",
            "int2": "quantize: {bits: 2, group_size: 64}",
        },
        "{margin: 0.02}",
    )
    assert {name: result.verdict for name, result in found.items()} == {"int4": "pass", "gptq4": "pass", "int2": "fail"}
    assert found["int2"].figures["met"] < 0.75
    assert found["gptq4"].figures["kl"] < found["int4"].figures["kl"] < found["int2"].figures["kl"]
    assert found["gptq4"].figures["bytes"] == found["int4"].figures["bytes"]


def test_speed_is_claimed_on_no_cpu(project: Project) -> None:
    import mlx.core as mx

    if mx.default_device() != mx.Device(mx.cpu, 0):
        pytest.skip("there is a GPU here")
    (result,) = llama(project, {"int8": "quantize: {bits: 8, group_size: 64}"}, "{faster: 1.1}").values()
    assert result.verdict == "unsupported"
    assert result.figures["latency_ms"] > 0


def test_our_own_specs_put_every_variant_beside_its_base() -> None:
    from harness.shelf import Shelf
    from harness.spec.memory import read_plan
    from harness.spec.places import find_specs

    root = Path(REPOSITORY)
    plan = read_plan(find_specs([root / "specs"]), Shelf(root, lambda text: None))
    compared = {check.model for check in plan.checks if check.kind in ("ab", "compression")}
    assert {key for key, model in plan.models.items() if model.steps} <= compared | {
        key for check in plan.checks for key in check.others.values()
    }
    steps = {step.what for model in plan.models.values() for step in model.steps}
    assert steps == {"cast", "distill", "lora", "prune", "quantize"}


def lenet(project: Project, checks: str) -> dict[str, CheckResult]:
    """LeNet-5, four bits of it, and a copy that was damaged, on its golden digits."""
    pytest.importorskip("sklearn")
    shutil.copy(REPOSITORY / "golden" / "lenet5" / "digits.jsonl", project.put("golden/digits.jsonl", ""))
    project.put(
        "specs/a.yaml",
        "hallmark: 1\nmodels:\n  base: {zoo: lenet5, seed: 0}\n"
        "  int4: {from: base, quantize: {bits: 4, group_size: 32, pad: true}}\n"
        "  damaged: {from: base, prune: {sparsity: 0.95}}\n"
        f"defaults: {{ab: {{baseline: base, cases: ../golden/digits.jsonl, compare: {{label: exact}}}}}}\nchecks:\n{checks}",
    )
    return {result.name: result for result in project.hallmark("run", "-n0").certificate.checks}


def test_four_bits_are_no_worse_a_damaged_copy_is_and_nothing_is_better_than_itself(project: Project) -> None:
    found = lenet(
        project,
        "  - {name: int4, kind: ab, candidate: int4, claim: {noninferior: {margin: 0.02}}}\n"
        "  - {name: damaged, kind: ab, candidate: damaged, claim: {noninferior: {margin: 0.02}}}\n"
        "  - {name: itself, kind: ab, candidate: base, claim: {equivalent: {margin: 0.02}}}\n"
        "  - {name: better, kind: ab, candidate: base, claim: superior}\n"
        "  - {name: other, kind: ab, candidate: base, claim: different}\n",
    )
    assert {name: result.verdict for name, result in found.items()} == {
        "int4": "pass",
        "damaged": "fail",
        "itself": "pass",
        "better": "inconclusive",
        "other": "inconclusive",
    }
    assert found["better"].p is None or found["better"].p >= 0.5
