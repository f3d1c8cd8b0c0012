"""The lane in which everything is measured: shared by all processes of a user, or had alone by one of them.

Whoever wants in queues at the turn first and lets go of it inside: so one who waits to be alone is not overtaken by
those who come after, and they wait for nobody who came later. Both locks end with their holder's process.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.board import PATIENCE
from harness.store import cache_folder

_INSIDE = "HALLMARK_MEASURES"
"""In the environment of whatever is started inside."""
_PAUSES = (0.0, 0.001, 0.005, 0.02)


class Occupied(Exception):
    """The lane was not to be had in time."""


@contextmanager
def taken(*, alone: bool, waits: Callable[[], None], patience: float = PATIENCE) -> Iterator[None]:
    """In the lane, alone or among others; `waits` is called where it can't be had at once.

    Who is started by somebody inside is inside already, and can't be alone. Where there is no place for locks, there
    is no lane: then nobody can be alone, and the others need not wait.
    """
    inside = os.environ.get(_INSIDE, "")
    if inside and inside != str(os.getpid()):
        if alone:
            raise Occupied(f"it was started by what is measured itself (process {inside}), and so can't be alone")
        yield
        return
    try:
        files = _files()
    except OSError as error:
        if alone:
            raise Occupied(f"it can't be alone: there is no place for locks: {error.strerror}") from None
        yield
        return
    turn, room = files
    deadline = time.monotonic() + patience
    try:
        _lock(turn, fcntl.LOCK_EX, deadline, waits)
        _lock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, deadline, waits)
        fcntl.flock(turn, fcntl.LOCK_UN)
        os.environ[_INSIDE] = str(os.getpid())
        yield
    finally:
        os.environ.pop(_INSIDE, None)
        for file in files:
            fcntl.flock(file, fcntl.LOCK_UN)  # a process that was forked meanwhile has it open, too
            os.close(file)


def _files() -> tuple[int, int]:
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    turn, room = (os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666) for name in ("lane.turn", "lane"))
    try:
        fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)  # some file systems know no locks
        fcntl.flock(turn, fcntl.LOCK_UN)
    except BlockingIOError:
        pass
    except OSError:
        os.close(turn)
        os.close(room)
        raise
    return turn, room


def _lock(file: int, how: int, deadline: float, waits: Callable[[], None]) -> None:
    tries = 0
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if tries == 0:
                waits()
            if time.monotonic() >= deadline:
                raise Occupied("others measured for so long that its turn never came") from None
            time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1
        else:
            return
