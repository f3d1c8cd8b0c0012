"""A program that runs for us, in a process group of its own, which ends when we do."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from harness.contract import Unreached

PATIENCE = 1.0
"""Seconds that it gets to end by itself when there is nothing more to ask."""
_DYING = 30.0
"""Seconds that a process may take to die of a signal that none survives."""
_TAIL = 4096
_READS = 64
"""However much it writes, no more is read to find its last line."""

_GUARD = "import os, signal, sys; sys.stdin.buffer.read(1); os.killpg(int(sys.argv[1]), signal.SIGKILL)"
"""Reads until our end of its pipe is closed, which the system does for us if we are killed."""


class Child:
    def __init__(self, program: str, words: Sequence[str], root: Path) -> None:
        self._tail = b""
        try:
            self._process = subprocess.Popen(
                [program, *words[1:]],
                bufsize=0,
                cwd=root,
                env={"PYTHONUNBUFFERED": "1", **os.environ},  # an answer that waits in a buffer is never read
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise Unreached(f"`{words[0]}` can't be started: {error.strerror}") from None
        self.stdin, self.stdout, self.stderr = _pipes(self._process)
        os.set_blocking(self.stdin.fileno(), False)
        os.set_blocking(self.stderr.fileno(), False)
        try:
            self._guard = _guard(self._process.pid)
        except BaseException:  # the time may be over at any line
            os.killpg(self._process.pid, signal.SIGKILL)
            raise

    def hear(self) -> bool:
        """Take in what it complains of; False when it has closed that pipe."""
        try:
            said = os.read(self.stderr.fileno(), 65536)
        except BlockingIOError:
            return True
        self._tail = (self._tail + said)[-_TAIL:]
        return bool(said)

    def complaint(self) -> str:
        """The last line that it wrote to stderr."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.stderr, selectors.EVENT_READ)
            for _ in range(_READS):
                if not selector.select(0) or not self.hear():
                    break
        lines = [" ".join(line.split()) for line in self._tail.decode("utf-8", "replace").splitlines()]
        return next((line[:200] for line in reversed(lines) if line), "")

    def status(self) -> str:
        """How it ended; empty while it runs on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        code = self._process.returncode
        if code is None:
            return ""
        if code >= 0:
            return f"exited with status {code}"
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    def end(self, *, patiently: bool = False) -> None:
        """End it and all that it started; `patiently`: it may first see that there is nothing more to read."""
        if patiently:
            self.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._guard.kill()
        for process in (self._process, self._guard):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_DYING)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _guard(group: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdin, process.stdout, process.stderr
