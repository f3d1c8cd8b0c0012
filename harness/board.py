"""What a worker is doing right now, in 32 bytes of shared memory that outlive it.

The worker writes where it stands before it takes up a case; if it dies, the controller reads which case it died on.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

_FORM = struct.Struct("<qqqd")
IDLE, OPENING, TOGETHER, LASTING, WAITING, GROUND = -1, -2, -3, -4, -5, -6
"""Positions that are no case: doing nothing, opening a model, answering a whole batch in one go, doing what was given
a time of its own, waiting for others, waiting for the verdict of a check that what it has to measure stands on."""


OPEN, SHUT = "open", "shut"
"""Whether a check lets be measured what stands on it."""
OPENING_TIME = 3600.0
"""Seconds that opening a model may take: building one, or waiting for another process to, is not answering."""
STARTING_TIME = 60.0
"""Seconds that a process may take to start, before it takes up its first case."""
PATIENCE = 6 * 3600.0
"""Seconds that anybody waits for others: what is measured alone takes minutes, and others may be before it."""
_MOST = 256
"""Of a batch whose cases are measured in one go, so many may take all of their time."""
GRACE = 2.0
"""Seconds a process gets, beyond its time, to notice by itself that the time is over."""


class Doing(NamedTuple):
    pid: int
    check: int
    position: int
    since: float
    """On the monotonic clock."""


def time_for(position: int, timeout: float, batch: int) -> float:
    """How long a process may stand at a position before it is ended from outside."""
    if position == OPENING:
        return OPENING_TIME
    if position in (WAITING, GROUND):
        return 2 * PATIENCE
    if position == LASTING:
        return GRACE  # it stands there since its time is over
    batch = min(batch, _MOST)
    if position == IDLE:
        return max(STARTING_TIME, timeout * batch) + GRACE
    return timeout * (batch if position == TOGETHER else 1) + GRACE


def overtime(position: int, timeout: float, batch: int) -> str:
    """What is said of a process that stood there for longer than that."""
    if position == OPENING:
        return f"opening its model took longer than {OPENING_TIME:g} s"
    if position == LASTING:
        return "it took longer than what it does may take"
    if position == TOGETHER:
        return f"its batch of {batch} took longer than {timeout * batch:g} s"
    return f"it took longer than its {timeout:g} s"


def decide(boards: Path, check: int) -> None:
    """Tell all workers that a check needs no more of its cases."""
    (boards / f"decided {check}").touch()


def is_decided(boards: Path, check: int) -> bool:
    return (boards / f"decided {check}").exists()


def rule(boards: Path, check: int, opens: str) -> None:
    """Tell all workers whether a check that others stand on lets them be measured: OPEN or SHUT."""
    path = boards / f"ruled {check}"
    draft = boards / f".ruled {check}"
    draft.write_text(opens)
    draft.replace(path)


def ruled(boards: Path, check: int) -> str | None:
    """OPEN or SHUT; None where its verdict is not known yet."""
    try:
        return (boards / f"ruled {check}").read_text()
    except OSError:
        return None


_STILL = 2.0


def all_stand_still(boards: Path) -> bool:
    """Whether no worker does anything but wait for verdicts: what those need stands behind what waits for them."""
    now = time.monotonic()
    for path in boards.iterdir():
        doing = read_board(path) if path.name.startswith("gw") else None
        if doing is not None and (doing.position not in (GROUND, IDLE) or now - doing.since < _STILL):
            return False
    return True


class Board:
    """A worker's side."""

    def __init__(self, path: Path | None = None) -> None:
        self._pid = os.getpid()
        if path is None:
            self._memory: bytearray | mmap.mmap = bytearray(_FORM.size)
            return
        with path.open("w+b") as file:
            file.write(_FORM.pack(self._pid, -1, IDLE, time.monotonic()))
            file.flush()
            self._memory = mmap.mmap(file.fileno(), _FORM.size)

    def show(self, check: int, position: int, lasting: float = 0.0) -> None:
        """Where it stands from now on; of what has a time of its own, how long that is."""
        self._memory[:] = _FORM.pack(self._pid, check, position, time.monotonic() + lasting)


def read_board(path: Path) -> Doing | None:
    try:
        return Doing(*_FORM.unpack(path.read_bytes()))
    except (OSError, struct.error):
        return None
