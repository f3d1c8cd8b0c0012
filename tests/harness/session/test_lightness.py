"""What is imported where: nothing without specs, no model at collection, no MLX on the controller of a parallel run."""

from __future__ import annotations

import pytest

from tests.conftest import REPOSITORY, Project

HEAVY = ("mlx", "scipy", "statsmodels", "jinja2", "jsonschema", "yaml", "msgspec", "re2", "sklearn", "numpy")
SPY = f"""
import sys
def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        print("IMPORTED", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def _from_the_very_start(project: Project) -> None:
    project.fresh = True


def imported(err: str) -> set[str]:
    (line,) = (line for line in err.splitlines() if line.startswith("IMPORTED"))
    return set(line.split()[1:])


def test_without_specs_nothing_heavy_is_imported_and_nothing_is_left(project: Project) -> None:
    project.put("conftest.py", SPY)
    project.put("test_x.py", "def test_a(): pass\n")
    project.put("deploy/values.yaml", "image: nginx\n")
    project.put("deploy/broken.yaml", "a: [\n")
    for workers in ("0", "2"):
        ran = project.pytest("-n", workers)
        assert ran.status == 0
        assert imported(ran.err) == set()
        assert "hallmark" not in ran.out.partition("test session starts")[2].partition("collected")[2]
        assert not (project.folder / "runs").exists()


def lenet(project: Project) -> None:
    project.put("conftest.py", SPY)
    project.put("golden/digits.jsonl", (REPOSITORY / "golden/lenet5/digits.jsonl").read_bytes())
    project.spec(
        "  - {name: d, kind: golden, model: base, cases: ../golden/digits.jsonl, compare: {label: exact}, gate: {pass_rate: 0.9}}\n",
        models="{base: {zoo: lenet5, seed: 0}}",
    )


def test_collection_opens_no_model(project: Project) -> None:
    lenet(project)
    ran = project.pytest("specs", "--co", "-q")
    assert ran.status == 0
    assert not imported(ran.err) & {"mlx", "scipy", "statsmodels", "jinja2", "sklearn", "numpy"}


@pytest.mark.mlx
def test_the_controller_of_a_parallel_run_imports_no_mlx(project: Project) -> None:
    lenet(project)
    ran = project.pytest("specs", "-n", "2")
    assert ran.certificate.status == "certified"
    assert not imported(ran.err) & {"mlx", "sklearn", "numpy"}


def test_a_spec_fault_starts_no_worker(project: Project) -> None:
    project.spec("  - {name: g, kind: goldn}\n")
    for workers in ("0", "2"):
        ran = project.pytest("specs", "-n", workers)
        assert ran.status == 4
        assert "specs/a.yaml:5:21: unknown-kind" in ran.err
        assert "did you mean `golden`?" in ran.err
        assert "Traceback" not in ran.err + ran.out
        assert "worker" not in ran.out
        assert not (project.folder / "runs").exists()


def test_what_pytest_ignores_is_ignored(project: Project) -> None:
    bad = "hallmark: 1\nname: [\n"
    good = "  - {name: g, kind: golden, model: m, cases: [{id: a, input: 1, expect: 1}]}\n"
    for folder in ("by_option", "by_ini", "by_conftest"):
        project.put(f"specs/{folder}/bad.yaml", bad)
    project.spec(good)
    project.put("pytest.ini", "[pytest]\nnorecursedirs = by_ini\n")
    project.put("specs/conftest.py", "collect_ignore = ['by_conftest']\n")
    for workers in ("0", "2"):
        ran = project.pytest("specs", "--ignore=specs/by_option", "-n", workers)
        assert ran.status == 0, ran.err
        assert ran.certificate.run.planned == 1
    assert project.pytest("specs").status == 4
