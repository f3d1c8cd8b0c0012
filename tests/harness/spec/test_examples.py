"""The example specs: the good ones are read without a fault, each bad one with the faults that stand beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main

ROOT = Path(__file__).parents[3]
INVALID = ROOT / "tests" / "examples" / "invalid"
VALID = ROOT / "tests" / "examples" / "valid"
PREFIX = "tests/examples/invalid/"


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path))
    monkeypatch.delenv("HALLMARK_TEST_UNSET", raising=False)


@pytest.mark.parametrize("spec", sorted(INVALID.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_bad_spec_is_refused_with_exactly_its_stated_faults(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["validate", spec.relative_to(ROOT).as_posix()])

    said = capsys.readouterr()
    lines = [line.removeprefix(PREFIX) for line in said.err.splitlines() if line.startswith(PREFIX)]
    told = spec.with_name(f"{spec.name}.expected").read_text("utf-8")
    assert lines == told.splitlines()
    assert status == 4
    assert "Traceback" not in said.err + said.out


def test_every_bad_spec_states_its_faults_and_every_statement_has_its_spec() -> None:
    specs = {path.name for path in INVALID.glob("*.yaml")}
    stated = {path.name.removesuffix(".expected") for path in INVALID.glob("*.expected")}
    assert specs == stated
    assert len(specs) > 50


@pytest.mark.parametrize("spec", sorted(VALID.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_good_spec_is_read_without_a_fault(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", spec.relative_to(ROOT).as_posix()]) == 0
    assert "no fault" in capsys.readouterr().out


def test_all_bad_specs_at_once_are_refused_with_the_faults_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    specs = sorted(path.relative_to(ROOT).as_posix() for path in INVALID.glob("s*.yaml"))
    assert main(["validate", *specs]) == 4
    said = capsys.readouterr().err
    assert all(f"{spec}:" in said for spec in specs)
