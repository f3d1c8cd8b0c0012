"""Programs that a load test starts: whatever ends whoever started them, nothing of them is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from evaluators.load import keeping
from evaluators.load.keeping import Kept
from harness.contract import Refused

WAITS = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
)
FAMILY = """
import subprocess, sys, time
for own in (False, True):
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=own)
print("here", flush=True)
time.sleep(60)
"""
DAEMON = """
import os, time
if os.fork():
    print("here", flush=True)
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
time.sleep(60)
"""


def words(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "shared" / "own"
    found.mkdir(parents=True)
    return found


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[psutil.Process]]]:
    """The processes of this test: they carry a mark in their environment."""
    mark = f"LOAD_TEST_{os.getpid()}_{time.monotonic_ns()}"
    monkeypatch.setenv("LOAD_TEST", mark)

    def found() -> list[psutil.Process]:
        there = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("LOAD_TEST") == mark:
                    there.append(process)
            except psutil.Error:
                continue
        return [process for process in there if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    yield found
    left = found()
    for process in left:
        process.kill()
    assert not left


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def here(kept: Kept) -> None:
    until(lambda: "here" in kept.said(), "it never said that it is here")


def test_a_program_runs_until_it_is_closed_and_its_folder_goes_with_it(folder: Path) -> None:
    kept = Kept(words(WAITS), folder, env=os.environ)
    here(kept)
    assert not kept.ended()
    assert psutil.Process(kept.pid).is_running()
    kept.close()
    assert not psutil.pid_exists(kept.pid)
    assert not folder.exists()
    assert not folder.parent.exists()


def test_what_is_beside_its_folder_stays(folder: Path) -> None:
    (folder.parent / "another").mkdir()
    Kept(words(WAITS), folder, env=os.environ).close()
    assert not folder.exists()
    assert (folder.parent / "another").exists()


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("raise SystemExit(3)", "ended with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
        ("pass", "ended with status 0"),
    ],
)
def test_how_a_program_ended_is_told_and_its_folder_waits_for_us(code: str, how: str, folder: Path) -> None:
    kept = Kept(words("print('one'); print(); print('last  words', flush=True);" + code), folder, env=os.environ)
    assert kept.ended(20)
    assert kept.how() == how
    assert kept.said() == "one | last words"
    assert folder.exists()
    kept.close()
    assert not folder.exists()


def test_a_program_that_is_not_there_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(Refused, match="`/no/such/program -x` can't be started: No such file"):
        Kept(["/no/such/program", "-x"], folder, env=os.environ)
    until(lambda: not folder.exists(), "its folder stayed")


def test_one_that_is_deaf_to_a_gentle_end_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "GRACE", 0.05)
    kept = Kept(words(STUBBORN), folder, env=os.environ)
    here(kept)
    kept.close()
    assert not psutil.pid_exists(kept.pid)


@pytest.mark.parametrize("code", [FAMILY, DAEMON])
def test_what_a_program_started_ends_with_it_even_what_left_its_group(
    code: str, folder: Path, marked: Callable[[], list[psutil.Process]]
) -> None:
    kept = Kept(words(code), folder, env=os.environ)
    here(kept)
    kept.close()
    assert not marked()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_whoever_started_it_is_killed(
    number: signal.Signals, folder: Path, marked: Callable[[], list[psutil.Process]]
) -> None:
    script = (
        "import json, os, sys, time\n"
        "from pathlib import Path\n"
        "from evaluators.load.keeping import Kept\n"
        "words, folder = json.loads(sys.argv[1])\n"
        "kept = Kept(words, Path(folder), env=os.environ)\n"
        "while 'here' not in kept.said(): time.sleep(0.01)\n"
        "print('here', flush=True)\n"
        "time.sleep(60)\n"
    )
    asked = json.dumps([words(FAMILY), str(folder)])
    with subprocess.Popen([sys.executable, "-c", script, asked], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "here\n"
        assert len(marked()) >= 5  # the holder, the guard, the program and its two children
        holder.send_signal(number)
    until(lambda: not marked(), "something was left")
    until(lambda: not folder.parent.exists(), "its folder was left")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a process to its parent")
def test_a_program_ends_although_its_guard_is_killed(folder: Path) -> None:
    kept = Kept(words(WAITS), folder, env=os.environ)
    here(kept)
    psutil.Process(kept.pid).parent().kill()
    assert kept.ended(20)
    until(lambda: not psutil.pid_exists(kept.pid), "it outlived its guard")
    kept.close()
