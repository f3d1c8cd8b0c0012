"""Runs a program, and leaves nothing of it when whoever asked for it is gone; run by `python -I`, imports none of ours.

Standard input: a line of JSON that says what to run. Its end, however it comes, ends the program, all that it started,
and the folder that it worked in. Standard output: a line of JSON when it has started, and one when it has ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_LINUX = sys.platform.startswith("linux")
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_DYING = 10.0
"""Seconds for what was killed to be gone."""


def main() -> None:
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return
    asked: dict[str, Any] = json.loads(line)
    woken = _woken_by(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if _LINUX:
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)  # whatever leaves its parent comes to us
    program: subprocess.Popen[bytes] | None = None
    try:
        program = _started(asked)
        if program is not None:
            _watch(program, woken)
    finally:
        if program is not None and program.returncode is None:
            _end(program.pid, asked["grace"])
        _end_adopted()
        shutil.rmtree(asked["folder"], ignore_errors=True)
        with suppress(OSError):
            Path(asked["folder"]).parent.rmdir()  # the last of several guards takes what they share


def _started(asked: dict[str, Any]) -> subprocess.Popen[bytes] | None:
    try:
        with open(asked["log"], "wb") as log:
            program = subprocess.Popen(
                asked["words"],
                cwd=asked["cwd"],
                env=asked["env"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_us if _LINUX else None,  # noqa: PLW1509 - there is one thread
            )
    except OSError as error:
        _tell({"failed": error.strerror or str(error)})
        select.select([0], [], [])
        return None
    _tell({"pid": program.pid})
    return program


def _end_with_us() -> None:
    """In the program, before it begins: even a guard that is killed takes it along."""
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)


def _watch(program: subprocess.Popen[bytes], woken: int) -> None:
    """Until nobody wants it any more."""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready or any(number != signal.SIGCHLD for number in os.read(woken, 1024)):
            return
        for pid, status in _reaped():
            if pid == program.pid and program.returncode is None:
                program.returncode = os.waitstatus_to_exitcode(status)
                _kill(program.pid, signal.SIGKILL)  # what it left of its group
                _tell({"status": program.returncode})


def _end(group: int, grace: float) -> None:
    """The whole group, gently and then not."""
    _kill(group, signal.SIGTERM)
    until = time.monotonic() + grace
    while _kill(group, 0) and time.monotonic() < until:
        _reaped()
        time.sleep(0.01)
    _kill(group, signal.SIGKILL)


def _end_adopted() -> None:
    """What had left its group, and whatever else is a child of ours still."""
    until = time.monotonic() + _DYING
    while time.monotonic() < until:
        for pid in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def _kill(group: int, number: int) -> bool:
    """Whether there was anybody to hear it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _reaped() -> list[tuple[int, int]]:
    found = []
    with suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(one)
    return found


def _children() -> list[int]:
    """Our children, those that were orphaned among them, where the system tells."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            if int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def _woken_by(*numbers: signal.Signals) -> int:
    """A pipe into which the numbers of signals are written as they come."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda number, frame: None)
    return woken


def _tell(what: dict[str, Any]) -> None:
    with suppress(OSError):
        os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
