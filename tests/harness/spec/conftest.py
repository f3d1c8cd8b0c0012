"""A project of spec files, planned in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.contract import Case, Check
from harness.shelf import Shelf
from harness.spec.faults import Fault, SpecFaults
from harness.spec.part import Part
from harness.spec.planner import plan_spec

HEAD = "hallmark: 1\nmodels: {m: {echo: {}}}\n"
ONE = "[{id: a, input: 1, expect: 1}]"


class Folder:
    """A project's root, and what planning in it comes to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shelf = Shelf(root, lambda text: None)

    def put(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def plan(self, text: str | bytes | None = None, name: str = "a.yaml") -> Part:
        if text is not None:
            self.put(name, text)
        return plan_spec(self.root / name, self.shelf)

    def checks(self, text: str) -> dict[str, Check]:
        return {check.name: check for check in self.plan(text).checks}

    def cases(self, name: str, text: str | bytes) -> tuple[Case, ...]:
        """The cases that a check reads from a file."""
        self.put(name, text)
        (check,) = self.plan(f"{HEAD}checks: [{{name: c, kind: golden, model: m, cases: {name}}}]\n").checks
        return check.cases

    def faults(self, text: str | bytes | None = None, name: str = "a.yaml") -> list[Fault]:
        try:
            self.plan(text, name)
        except SpecFaults as stop:
            return stop.faults
        return []

    def said(self, text: str | bytes | None = None, name: str = "a.yaml") -> list[str]:
        """Each fault as `file:line:column: code`."""
        return [f"{fault.spot}: {fault.code}" for fault in self.faults(text, name)]

    def case_faults(self, name: str, text: str | bytes) -> list[str]:
        self.put(name, text)
        return self.said(f"{HEAD}checks: [{{name: c, kind: golden, model: m, cases: {name}}}]\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    return Folder(root)
