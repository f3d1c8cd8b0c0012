"""A process that has imported what every session needs, and becomes the command anew for each test that asks.

Most of a small session's time goes into starting an interpreter and importing. Nothing is opened, planned or measured
here, no thread is started and MLX is not imported, so that a fork of this process is as good as a fresh one; tests of what
is imported, and of how processes end, start real ones.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_MODULES = (
    "pytest",
    "_pytest.junitxml",
    "_pytest.terminal",
    "xdist.plugin",
    "xdist.dsession",
    "hypothesis",
    "_hypothesis_pytestplugin",
    "yaml",
    "jsonschema",
    "jinja2",
    "msgspec",
    "harness.cli",
    "harness.controller",
    "harness.plugin",
    "harness.spec.planner",
    "harness.proof.verify",
)


class Forking:
    """The side of the tests."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self, argv: list[str], cwd: Path, env: dict[str, str], out: Path, seconds: float) -> int:
        """Run a module's main with these arguments, its output in two files beside `out`; its exit status."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                command = [sys.executable, "-c", "import sys; from tests.forking import serve; serve()"]
                root = Path(__file__).parents[1]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
            assert self._process.stdin
            assert self._process.stdout
            asked = {"argv": argv, "cwd": str(cwd), "env": env, "out": str(out), "seconds": seconds}
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
        if status == _LATE:
            raise subprocess.TimeoutExpired(argv, seconds)
        return status


_LATE = 1000


def serve() -> None:
    """The other side: one request a line."""
    for name in _MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    rewrite: Any = importlib.import_module("_pytest.assertion.rewrite")
    rewrite.AssertionRewritingHook._warn_already_imported = lambda hook, name: None  # as fresh ones don't warn, either
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
        sys.stdout.write(f"{_wait(pid, asked['seconds'])}\n")
        sys.stdout.flush()


def _wait(pid: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    pause = 0.001
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return _LATE


def _become(asked: dict[str, Any]) -> None:
    """In the child: be the command, and end as it does."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        for number, path in ((0, os.devnull), (1, f"{asked['out']}.out"), (2, f"{asked['out']}.err")):
            handle = os.open(path, os.O_RDONLY if number == 0 else os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666)
            os.dup2(handle, number)
            os.close(handle)
        sys.path[0:1] = ["", *filter(None, asked["env"].get("PYTHONPATH", "").split(os.pathsep))]
        xdist: Any = importlib.import_module("xdist.plugin")
        xdist._sys_path[:] = sys.path  # what it gives its workers is what it finds when it is imported
        module, *rest = asked["argv"]
        sys.argv = [module, *rest]
        status = _main(module)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status & 0xFF)


def _main(module: str) -> int:
    if module == "pytest":
        import pytest

        return int(pytest.console_main())
    from harness.cli import main

    return main(sys.argv[1:])
