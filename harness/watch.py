"""Ends workers that outlast a case's time and don't notice: a hang in native code ignores every signal but one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from harness.board import read_board, time_for
from harness.contract import Plan


class Watch(threading.Thread):
    """Looks at the boards of all workers, from the controller."""

    def __init__(self, plan: Plan, boards: Path) -> None:
        super().__init__(name="hallmark-watch", daemon=True)
        self.plan = plan
        self.boards = boards
        self.killed: dict[str, str] = {}
        self._over = threading.Event()
        self.start()

    def stop(self) -> None:
        self._over.set()

    def run(self) -> None:
        while not self._over.wait(0.5):
            for path in self.boards.glob("*"):
                self._look(path)

    def _look(self, path: Path) -> None:
        doing = read_board(path)
        if doing is None or doing.check < 0 or path.name in self.killed:
            return
        check = self.plan.checks[doing.check]
        if time.monotonic() - doing.since > time_for(doing.position, check.timeout, check.batch):
            self.killed[path.name] = f"it took longer than its {check.timeout:g} s and had to be killed"
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(doing.pid, signal.SIGKILL)
