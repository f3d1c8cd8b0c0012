"""What the tests of all packages share: a project on disk, and the command run over it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, settings

from harness.contract import Certificate
from tests.forking import Forking

REPOSITORY = Path(__file__).parents[1]
FORKING = Forking()

settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def run(self) -> Path:
        return (self.folder / "runs" / "latest").resolve()

    @property
    def certificate(self) -> Certificate:
        return msgspec.json.decode((self.run / "certificate.json").read_bytes(), type=Certificate)

    @property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        lines = map(json.loads, (self.run / "outcomes.jsonl").read_text("utf-8").splitlines())
        return {f"{line['check']}::{line['case']}": line for line in lines if line["is"] == "outcome"}


class Project:
    """A folder with specs, in which commands run as a user's would."""

    fresh = False
    """Whether each command has an interpreter of its own, from its very start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\n")

    def spec(self, checks: str, models: str = "{m: {echo: {}}}", name: str = "a", more: str = "") -> None:
        self.put(f"specs/{name}.yaml", f"hallmark: 1\nname: {name}\nmodels: {models}\nchecks:\n{checks}{more}")

    def put(self, path: str, text: str | bytes) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def cases(self, path: str, n: int) -> None:
        lines = [json.dumps({"id": f"c{i}", "input": f"hello {i}", "expect": f"hello {i}"}) for i in range(n)]
        self.put(path, "\n".join(lines) + "\n")

    def stranger(self, group: str, name: str, code: str) -> str:
        """A room of somebody else's package, offered by its entry point; returns the PYTHONPATH that has it."""
        site, package = self.folder / "site", f"strangers_{name}"
        self.put(f"site/{package}/__init__.py", code)
        self.put(f"site/{package}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        self.put(f"site/{package}-1.dist-info/entry_points.txt", f"[{group}]\n{name} = {package}\n")
        return str(site)

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *([] if argv[0].endswith(".py") else ["-m"]), *argv],
            cwd=self.folder,
            env={**_clean(), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_interruptible,  # noqa: PLW1509
        )

    def call(self, *argv: str, **env: str) -> Ran:
        if argv[0] in ("pytest", "harness.cli") and not self.fresh and hasattr(os, "fork"):
            with tempfile.TemporaryDirectory() as beside:
                out = Path(beside) / "said"
                status = FORKING.run(list(argv), self.folder, {**_clean(), **env}, out, 120)
                said = [Path(f"{out}.{name}").read_text("utf-8") for name in ("out", "err")]
            return Ran(status, *said, self.folder)
        child = self.start(*argv, **env)
        out_, err = child.communicate(timeout=120)
        return Ran(child.returncode, out_, err, self.folder)

    def script(self, name: str) -> Ran:
        return self.call(name)

    def pytest(self, *argv: str, **env: str) -> Ran:
        return self.call("pytest", *argv, **env)

    def hallmark(self, *argv: str, **env: str) -> Ran:
        return self.call("harness.cli", *argv, **env)


def _interruptible() -> None:
    """A process that is started in the background may be deaf to SIGINT, and would pass that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _clean() -> dict[str, str]:
    """The environment without what the pytest around us put there."""
    drop = ("PYTEST_", "COV_", "HALLMARK_TEST", "GITHUB_")
    return {key: value for key, value in os.environ.items() if not key.startswith(drop)}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
