"""What the machine does beside what is measured: who is busy, and with how much memory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from harness import machine
from harness.contract import Noise

_BUSY = "while True: pass"


def noise(**told: float) -> Noise:
    said = {"seconds": 1.0, "cores": 2, "own": 1.0, "foreign": 0.0, **told}
    return Noise(**said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, ""),
        ({"foreign": 0.19}, ""),
        ({"foreign": 0.97}, "others kept 0.97 of 2 cores busy"),
        ({"foreign": 0.7, "cores": 16}, ""),
        ({"foreign": 0.9, "cores": 16}, "others kept 0.90 of 16 cores busy"),
        ({"stolen": 0.3}, "a hypervisor took 0.30 of 2 cores"),
        ({"throttled": 0.1}, "a limit on CPU time held it up for 10% of the time"),
        ({"waited": 0.5}, "for 50% of the time something waited for a core"),
        ({"waited": 0.5, "own": 1.9}, ""),
    ],
)
def test_a_machine_is_quiet_or_it_is_told_why_not(told: dict[str, float], said: str) -> None:
    assert noise(**told).disturbs() == said


def _until(true: object) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if true():  # type: ignore[operator]
            return True
    return False


def test_what_descendants_do_is_ones_own() -> None:
    with subprocess.Popen([sys.executable, "-c", _BUSY]) as child:
        meter = machine.Meter()
        assert _until(lambda: meter.read().own > 0 and machine._Own([os.getpid()]).seconds() > 0)
        own = machine._Own([os.getpid()])
        before = own.seconds()
        time.sleep(0.3)  # in which this process does nothing
        used = own.seconds() - before
        child.kill()
        child.wait()
        assert used > 0.02
        assert own.seconds() >= before + used  # what is gone is not given back


def test_what_others_do_is_not() -> None:
    quietly = "stdout=subprocess.DEVNULL"
    start = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {_BUSY!r}], {quietly}).pid)"
    orphan = int(subprocess.run([sys.executable, "-c", start], stdout=subprocess.PIPE, check=True).stdout)
    try:
        meter = machine.Meter()

        def disturbed() -> bool:
            time.sleep(0.3)
            return bool(meter.read().disturbs())

        assert _until(disturbed)
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_server_that_is_part_of_what_is_measured_is_found_by_its_port() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert machine.listening([server.getsockname()[1]]) == [os.getpid()]
    assert machine.listening([]) == []


def test_the_memory_of_the_process_that_started_this_one_is_not_its_own() -> None:
    code = "from harness import machine; print(machine.peak_resident(), machine.resident())"
    large = f"import subprocess, sys; kept = bytearray(300 << 20); subprocess.run([sys.executable, '-c', {code!r}])"
    said = subprocess.run([sys.executable, "-c", large], stdout=subprocess.PIPE, check=True).stdout.split()
    peak, now = map(int, said)
    assert 0 < now < 150 << 20
    assert 0 < peak < 150 << 20


def test_energy_is_told_only_where_the_machine_tells_it() -> None:
    told = machine.Joules().read()
    assert told is None or told >= 0
