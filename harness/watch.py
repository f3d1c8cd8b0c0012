"""Ends workers that outlast a case's time and don't notice: a hang in native code ignores every signal but one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from harness.board import Doing, overtime, read_board, time_for
from harness.contract import Plan


class Watch(threading.Thread):
    """Looks at the boards of all workers, from the controller."""

    def __init__(self, plan: Plan, boards: Path) -> None:
        super().__init__(name="hallmark-watch", daemon=True)
        self.plan = plan
        self.boards = boards
        self.killed: dict[str, str] = {}
        self._seen: dict[str, Doing] = {}
        self._over = threading.Event()
        self.start()

    def stop(self) -> None:
        self._over.set()

    def run(self) -> None:
        while not self._over.wait(0.5):
            for path in self.boards.glob("*"):
                self._look(path)

    def _look(self, path: Path) -> None:
        """End a worker that at two looks stands where it should not: a single look may come amid its writing."""
        doing, before = read_board(path), self._seen.get(path.name)
        if doing is None:
            return
        self._seen[path.name] = doing
        known = 0 <= doing.check < len(self.plan.checks) and doing.pid > 0
        if doing != before or not known or path.name in self.killed:
            return
        check = self.plan.checks[doing.check]
        if time.monotonic() - doing.since > time_for(doing.position, check.timeout, check.batch):
            said = overtime(doing.position, check.timeout, check.batch)
            self.killed[path.name] = f"{said}, and had to be killed"
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(doing.pid, signal.SIGKILL)
