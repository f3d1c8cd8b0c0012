"""Measures cases in a process of their own: for a batch whose worker died, so that one case can't take others along.

`main` is the child: a request on standard input, a line on standard output for each step.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from harness import child
from harness.board import GRACE, IDLE, LASTING, OPENING, TOGETHER, Board, overtime, time_for
from harness.contract import Check, Outcome, Plan, Setting, lost

TRIES = 2
"""How often a batch may kill its process before anyone is blamed for it who may be innocent."""


_WHEN = {
    OPENING: "while the model was being opened",
    TOGETHER: "while it answered cases together",
    LASTING: "while it was measured",
}


class Request(msgspec.Struct, frozen=True):
    root: str
    trusted: bool
    hosts: tuple[str, ...]
    plan: str
    check: int
    batch: int
    positions: list[int]
    alone: bool = False


class Stands(msgspec.Struct, tag_field="is", tag="stands"):
    """The child's word of where it stands."""

    position: int
    lasting: float = 0.0


_Line = Stands | Outcome | Setting


class Measured:
    """What a process of its own made of some cases."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.settings: dict[str, Setting] = {}


def measure_apart(request: Request, check: Check, deaths: int = 0) -> Measured:
    """An outcome for each position, whatever the cases do to the process that measures them.

    `deaths` says how often measuring them has killed a process already.
    """
    measured = Measured()
    left = request.positions
    while left:
        where, why = _one_process(msgspec.structs.replace(request, positions=left), check, measured)
        done = {outcome.case for outcome in measured.outcomes}
        left = [p for p in left if check.cases[p].id not in done]
        if not left:
            break
        if where in left:
            measured.outcomes.append(lost(check, where, why))
            left.remove(where)
            continue
        deaths += 1
        if where == TOGETHER and deaths >= TRIES and not request.alone:
            request = msgspec.structs.replace(request, alone=True)
        elif deaths >= TRIES:
            what = _WHEN.get(where, "before it took up a case")
            measured.outcomes += [lost(check, p, f"{why} {what}, {deaths} times") for p in left]
            break
    return measured


def _one_process(request: Request, check: Check, measured: Measured) -> tuple[int, str]:
    """Run one child as far as it comes; where it stood at its end, and how it ended."""
    process = subprocess.Popen(
        child.command("harness.apart"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    stood, why = IDLE, ""
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode(request))
            process.stdin.close()
        decoder = msgspec.json.Decoder(_Line)
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            deadline = time.monotonic() + time_for(stood, check.timeout, check.batch)
            while True:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    why = f"{overtime(stood, check.timeout, check.batch)}, and had to be killed"
                    break
                data = os.read(process.stdout.fileno(), 1 << 16)
                if not data:
                    break
                *lines, pending = (pending + data).split(b"\n")
                lasting = 0.0
                for line in lines:
                    said = decoder.decode(line)
                    if isinstance(said, Stands):
                        stood, lasting = said.position, said.lasting
                    elif isinstance(said, Setting):
                        measured.settings[said.id] = said
                    else:
                        measured.outcomes.append(said)
                        stood = IDLE
                deadline = time.monotonic() + lasting + time_for(stood, check.timeout, check.batch)
    finally:
        if not why:  # it has said its last: let it end by itself, so that its status is its own
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        code = process.wait()
    return stood, why or died(code)


def died(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"its worker was killed by {signal.Signals(-code).name}"
    return "its worker died" if code is None else f"its worker ended with exit status {code}"


# ----------------------------------------------------------------------------------------- the child


class _Telling(Board):
    """A board that also says where the process stands."""

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self.tell = tell

    def show(self, check: int, position: int, lasting: float = 0.0) -> None:
        if position != IDLE:
            self.tell(Stands(position, lasting))


class _Settings(dict[str, Setting]):
    """Told as they come: the process may not live to tell them at its end."""

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self.tell = tell

    def __setitem__(self, id: str, setting: Setting) -> None:
        super().__setitem__(id, setting)
        self.tell(setting)


class _Sending(list[Outcome]):
    def __init__(self, tell: Any) -> None:
        super().__init__()
        self.tell = tell

    def append(self, outcome: Outcome) -> None:
        self.tell(outcome)


def main() -> None:
    out = child.own_output()

    def tell(said: _Line) -> None:
        out.write(msgspec.json.encode(said) + b"\n")
        out.flush()

    from harness.bench import Bench
    from harness.shelf import Shelf

    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    plan = msgspec.json.decode(Path(request.plan).read_bytes(), type=Plan)
    shelf = Shelf(Path(request.root), lambda text: None, trusted=request.trusted, hosts=request.hosts)
    bench = Bench(plan, shelf, _Telling(tell), Path(request.plan).parent)
    bench.settings = _Settings(tell)
    bench.measure(request.check, request.batch, request.positions, _Sending(tell), alone=request.alone)
