"""The command, as installed from the built wheel, driven as a user drives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import filelock
import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.wheel


class Installed(NamedTuple):
    wheel: Path
    bin: Path

    def call(self, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "PYTHON"))}
        command = [str(self.bin / argv[0]), *argv[1:]]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel in it, which borrows nothing of ours but the packages that the wheel asks for."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wheel"
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            _install(folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    return Installed(wheel, folder / "env" / "bin")


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    source = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(source, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((REPOSITORY / name).read_bytes())
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder / "dist"), str(folder / "source")], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (folder / "done").touch()


def test_the_wheel_holds_the_rooms_with_their_templates_and_schemas(installed: Installed) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    wanted = (
        "evaluators/golden/panel.html",
        "reports/html/page.html",
        "reports/html/style.css",
        "reports/html/filter.js",
    )
    assert names >= {*wanted, "harness/schema/spec.json", "harness/schema/certificate.json"}
    assert not any(name.startswith(("tests/", "specs/", "benchmarks/")) for name in names)


def test_the_code_that_runs_is_the_wheels(installed: Installed, tmp_path: Path) -> None:
    ran = installed.call(
        "python", "-c", "import harness, evaluators; print(harness.__file__, evaluators.__file__)", cwd=tmp_path
    )
    assert ran.stdout.count(str(installed.bin.parent)) == 2


def test_a_first_project_from_nothing_to_a_verified_certificate(installed: Installed, tmp_path: Path) -> None:
    made = installed.call("hallmark", "init", "first", cwd=tmp_path)
    assert made.returncode == 0
    folder = tmp_path / "first"
    assert installed.call("hallmark", "validate", cwd=folder).returncode == 0
    ran = installed.call("hallmark", "run", "specs", cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "certified" in ran.stdout
    report = next(line for line in ran.stdout.splitlines() if line.startswith("report")).split()[-1]
    assert (folder / report).read_text("utf-8").startswith("<!doctype html>")
    assert json.loads((folder / "runs/latest/certificate.json").read_text())["status"] == "certified"
    assert installed.call("hallmark", "verify", cwd=folder).returncode == 0
    plain = installed.call("python", "-m", "pytest", "specs", "-n", "2", cwd=folder)
    assert plain.returncode == 0
    assert "certified" in plain.stdout


def test_a_first_mistake_gets_its_place_and_what_to_write(installed: Installed, tmp_path: Path) -> None:
    installed.call("hallmark", "init", "first", cwd=tmp_path)
    spec = tmp_path / "first" / "specs" / "first.yaml"
    spec.write_text(spec.read_text().replace("compare: normalised", "compar: normalised"))
    for command in (("hallmark", "run", "specs"), ("hallmark", "validate"), ("python", "-m", "pytest", "specs")):
        ran = installed.call(*command, cwd=tmp_path / "first")
        assert ran.returncode == 4
        line = spec.read_text().splitlines().index("    compar: normalised") + 1
        assert (
            f"specs/first.yaml:{line}:5: unknown-key: `compar` is not a key here; did you mean `compare`?" in ran.stderr
        )
        assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "specs/a.yaml:1:1: empty"),
        (
            "hallmark: 1\nmodels: {m: {echo: {}}}\nchecks: [{name: c, kind: golden, model: m, cases: ../no.jsonl}]\n",
            "there is no file",
        ),
        (
            "hallmark: 1\nmodels: {m: {echo: {}}}\nchecks: [{name: c, kind: golden, model: m, cases: [{id: a, input: 1}]}]\n",
            "no `expect`",
        ),
        (
            "hallmark: 1\nmodels: {m: {zoo: lenet7}}\nchecks: [{name: c, kind: golden, model: m, cases: [{id: a, input: 1, expect: 1}]}]\n",
            "the zoo has no",
        ),
        (
            "hallmark: 1\nmodels: {m: {echo: {}}}\nchecks: [{name: c, kind: golden, model: m, cases: ../../x.jsonl}]\n",
            "leaves the project",
        ),
    ],
)
def test_bad_input_is_an_error_and_never_a_certificate(
    installed: Installed, tmp_path: Path, spec: str, said: str
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.yaml").write_text(spec)
    ran = installed.call("hallmark", "run", "specs", cwd=tmp_path)
    assert ran.returncode == 4
    assert said in ran.stderr
    assert not (tmp_path / "runs").exists()
