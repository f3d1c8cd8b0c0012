"""The lane: shared by all who measure, or had alone; nobody is overtaken, and nobody's death keeps it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.lane import Occupied, taken

_HOLDER = """
import sys, time
from harness.lane import taken
with taken(alone=sys.argv[1] == "alone", waits=lambda: print("waits", flush=True)):
    print("in", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))


class Taker(threading.Thread):
    """Somebody who wants the lane, and stays in it until told to leave."""

    def __init__(self, name: str, log: list[str], *, alone: bool) -> None:
        super().__init__(name=name, daemon=True)
        self.log, self.alone = log, alone
        self.waiting, self.inside, self.leave = threading.Event(), threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with taken(alone=self.alone, waits=self.waiting.set):
            self.log.append(f"{self.name} in")
            self.inside.set()
            self.leave.wait(30)
            self.log.append(f"{self.name} out")


def test_many_share_the_lane() -> None:
    log: list[str] = []
    takers = [Taker(f"t{i}", log, alone=False) for i in range(4)]
    assert all(taker.inside.wait(20) for taker in takers)
    for taker in takers:
        taker.leave.set()
        taker.join(20)
    assert log[:4] == sorted(log[:4], key=lambda line: line.endswith("out"))


def test_whoever_wants_it_alone_waits_for_those_inside_and_those_after_wait_for_him() -> None:
    log: list[str] = []
    first = Taker("first", log, alone=False)
    assert first.inside.wait(20)
    alone = Taker("alone", log, alone=True)
    assert alone.waiting.wait(20)
    after = Taker("after", log, alone=False)
    assert after.waiting.wait(20)
    assert not after.inside.wait(0.2)  # though the lane is only shared as yet
    for taker in (first, alone, after):
        taker.leave.set()
        taker.join(20)
    assert log == ["first in", "first out", "alone in", "alone out", "after in", "after out"]


@pytest.mark.parametrize("how", ["alone", "shared"])
def test_a_holder_that_is_killed_lets_go(how: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLDER, how], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(Occupied), taken(alone=True, waits=lambda: None, patience=0.05):
            raise AssertionError("it was taken twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with taken(alone=True, waits=lambda: None, patience=20):
        pass


def test_one_who_gives_up_keeps_nobody_waiting() -> None:
    log: list[str] = []
    first = Taker("first", log, alone=False)
    assert first.inside.wait(20)
    with pytest.raises(Occupied, match="its turn never came"), taken(alone=True, waits=lambda: None, patience=0.05):
        raise AssertionError("it was not alone")
    second = Taker("second", log, alone=False)
    assert second.inside.wait(20)
    for taker in (first, second):
        taker.leave.set()
        taker.join(20)


def test_a_process_that_was_forked_inside_keeps_nobody_waiting() -> None:
    forks = "import os, time\nfrom harness.lane import taken\nwith taken(alone=False, waits=lambda: None):\n    child = os.fork()\n    if not child:\n        time.sleep(30)\n        os._exit(0)\nwith taken(alone=True, waits=lambda: None, patience=10):\n    print('alone')\nos.kill(child, 9)\n"
    done = subprocess.run([sys.executable, "-c", forks], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "alone\n", done.stderr


def test_who_is_started_inside_waits_for_nobody_and_is_never_alone() -> None:
    code = "from harness.lane import Occupied, taken\nwith taken(alone=False, waits=lambda: None):\n    print('in')\ntry:\n    with taken(alone=True, waits=lambda: None):\n        print('alone')\nexcept Occupied as why:\n    print(why)\n"
    with taken(alone=True, waits=lambda: None):
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    assert said.startswith("in\nit was started by what is measured itself")


def test_where_no_lock_can_be_kept_nobody_is_alone_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", "/dev/null/nowhere")
    with taken(alone=False, waits=lambda: None):
        pass
    with pytest.raises(Occupied, match="no place for locks"), taken(alone=True, waits=lambda: None):
        raise AssertionError("it was not alone")


def test_what_is_measured_after_an_error_finds_the_lane_free() -> None:
    with pytest.raises(ZeroDivisionError), taken(alone=True, waits=lambda: None):
        _ = 1 / 0
    with taken(alone=True, waits=lambda: None, patience=5):
        pass


def test_nobody_is_inside_beside_one_who_is_alone() -> None:
    inside: list[int] = []
    seen: list[int] = []

    def take(alone: bool) -> Callable[[], None]:
        def run() -> None:
            for _ in range(20):
                with taken(alone=alone, waits=lambda: None, patience=30):
                    inside.append(1)
                    if alone:
                        seen.append(len(inside))
                        time.sleep(0.0005)
                        seen.append(len(inside))
                    inside.pop()

        return run

    threads = [threading.Thread(target=take(alone)) for alone in (True, False, False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [1] * 80
