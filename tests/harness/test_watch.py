"""Who is ended, and who is not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from harness import board
from harness.contract import Case, Check, Plan
from harness.watch import Watch

PLAN = Plan(hallmark="0", checks=(Check(id="c", name="c", kind="k", at="a:1", cases=(Case(id="x"),), timeout=0.1),))


def shown(path: Path, pid: int, check: int, position: int, since: float) -> None:
    path.write_bytes(board._FORM.pack(pid, check, position, since))


def looks(watch: Watch, path: Path, times: int) -> None:
    for _ in range(times):
        watch._look(path)


def test_a_process_that_stands_too_long_is_ended_after_two_looks(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    watch = Watch(PLAN, tmp_path / "none")
    try:
        shown(tmp_path / "gw0", child.pid, 0, 0, time.monotonic() - 60)
        looks(watch, tmp_path / "gw0", 1)
        assert child.poll() is None
        looks(watch, tmp_path / "gw0", 1)
        assert child.wait(10) == -9
        assert "it took longer than its 0.1 s, and had to be killed" in watch.killed["gw0"]
    finally:
        watch.stop()
        child.kill()


def test_what_a_half_written_board_says_ends_nobody(tmp_path: Path) -> None:
    watch = Watch(PLAN, tmp_path / "none")
    try:
        for pid, check, since in ((0, 0, 0.0), (-1, 0, 0.0), (1, 99, 0.0), (1, -1, 0.0)):
            shown(tmp_path / "gw0", pid, check, 0, since)
            looks(watch, tmp_path / "gw0", 3)
        (tmp_path / "gw0").write_bytes(b"short")
        looks(watch, tmp_path / "gw0", 3)
        assert watch.killed == {}
    finally:
        watch.stop()
