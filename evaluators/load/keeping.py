"""A program that runs for us in a folder of its own, and that ends when we do, whatever ends us."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.contract import Refused

GRACE = 2.0
"""Seconds that a program gets to end by itself when it is told to."""
_STARTING = 30.0
_DYING = 15.0
_TAIL = 65536
_LINES = 6
_ACCESS = re.compile(r'"(GET|POST|HEAD) /[^"]*HTTP/')


class Kept:
    """A program, its guard, and the file with what it says. The folder goes when it does."""

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        name: str = "",
    ) -> None:
        self.name = name or " ".join(words)
        self.log = folder / "log"
        self.pid = 0
        self._status: int | None = None
        self._heard = b""
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        asked = {
            "words": list(words),
            "cwd": str(cwd or folder),
            "env": dict(env),
            "folder": str(folder),
            "log": str(self.log),
            "grace": GRACE,
        }
        try:
            self._ask(asked)
        except BaseException:  # the time may be over at any line
            self.close()
            raise

    def _ask(self, asked: Mapping[str, Any]) -> None:
        assert self._guard.stdin is not None
        data = json.dumps(asked).encode() + b"\n"
        try:
            while data:
                data = data[self._guard.stdin.write(data) or 0 :]
            told = self._hear(_STARTING)
        except BrokenPipeError:
            told = None
        if told is None:
            raise Refused(f"`{self.shown()}` can't be watched: its guard did not start")
        if "failed" in told:
            raise Refused(f"`{self.shown()}` can't be started: {told['failed']}")
        self.pid = told["pid"]

    def ended(self, within: float = 0.0) -> bool:
        """Whether it has ended, waiting for that so many seconds at most."""
        if self._status is None and (told := self._hear(within)) is not None:
            self._status = told["status"]
        return self._status is not None

    def how(self) -> str:
        """How it ended."""
        code = self._status
        if code is None:
            return "runs on"
        if code >= 0:
            return f"ended with status {code}"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    def status(self) -> int | None:
        return self._status

    def said(self, lines: int = _LINES) -> str:
        """The last lines that it wrote, apart from who asked it for what."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
                told = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        cleaned = (" ".join(line.split())[:200] for line in told.splitlines())
        return " | ".join([line for line in cleaned if line and not _ACCESS.search(line)][-lines:])

    def shown(self) -> str:
        return self.name if len(self.name) <= 80 else f"{self.name[:80]}..."

    def close(self) -> None:
        """End it, and all that it started."""
        guard = self._guard
        assert guard.stdin is not None
        assert guard.stdout is not None
        with suppress(OSError):
            guard.stdin.close()
        try:
            guard.wait(GRACE + _DYING)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
        if guard.returncode and self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        guard.stdout.close()

    def _hear(self, within: float) -> dict[str, Any] | None:
        """The next line of the guard; None where there is none in time, an end where the guard is gone."""
        assert self._guard.stdout is not None
        until = time.monotonic() + within
        while b"\n" not in self._heard:
            if not select.select([self._guard.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            more = self._guard.stdout.read(4096)
            if not more:
                return {"status": -int(signal.SIGKILL)} if self.pid else None
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told
