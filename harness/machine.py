"""What the machine does beside what is measured, and what a process of ours takes of it."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil

from harness.contract import Noise

_LOOPBACK = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 - what listens everywhere listens here, too
_RAPL = Path("/sys/class/powercap")
_CGROUP = Path("/sys/fs/cgroup")


class _Look(NamedTuple):
    """Counters at one moment, in seconds."""

    clock: float
    own: float
    busy: float
    stolen: float
    waited: float
    throttled: float


class Meter:
    """Watches the cores that this process may use.

    Its own are this process, its descendants, and whoever listens at some ports of this machine with theirs.
    """

    def __init__(self, ports: Sequence[int] = ()) -> None:
        self._own = _Own([os.getpid(), *listening(ports)])
        self._before = self._look()

    def read(self) -> Noise:
        """What the machine did since it was looked at last."""
        before, now = self._before, self._look()
        self._before = now
        seconds = max(now.clock - before.clock, 1e-6)
        own = max(0.0, now.own - before.own) / seconds
        busy = max(0.0, now.busy - before.busy) / seconds
        return Noise(
            seconds=round(seconds, 4),
            cores=len(_cores()),
            own=round(own, 3),
            foreign=round(max(0.0, busy - own), 3),
            stolen=round(max(0.0, now.stolen - before.stolen) / seconds, 3),
            waited=round(min(1.0, max(0.0, now.waited - before.waited) / seconds), 3),
            throttled=round(max(0.0, now.throttled - before.throttled) / seconds, 3),
            mhz=_mhz(),
        )

    def _look(self) -> _Look:
        own = self._own.seconds()
        busy, stolen = _busy()
        return _Look(time.monotonic(), own, busy, stolen, _waited(), _throttled())


class _Own:
    """The CPU time of some processes and of all their descendants, those that ended among them."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in dict.fromkeys(roots) if psutil.pid_exists(pid)]
        self._most = 0.0

    def seconds(self) -> float:
        """Never less than before; what a process used that has ended is known of the one that waited for it."""
        found = 0.0
        for process in self._there():
            with suppress(psutil.Error):
                times = process.cpu_times()
                found += times.user + times.system
                found += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        self._most = max(self._most, found)
        return self._most

    def _there(self) -> Iterator[psutil.Process]:
        for root in self._roots:
            yield root
            with suppress(psutil.Error):
                yield from root.children(recursive=True)


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def _busy() -> tuple[float, float]:
    """Seconds that our cores were busy for anybody, and that a hypervisor took of them."""
    every = psutil.cpu_times(percpu=True)
    mine = [every[core] for core in _cores() if core < len(every)] or every
    # What guests used is part of what is told as user already.
    words = ("user", "system", "nice", "irq", "softirq")
    busy = sum(getattr(each, word, 0.0) for each in mine for word in words)
    return busy, sum(getattr(each, "steal", 0.0) for each in mine)


def _waited() -> float:
    """Seconds in which something was ready to run and had to wait, where the system tells."""
    with suppress(OSError, ValueError, IndexError):
        some = Path("/proc/pressure/cpu").read_text("ascii").splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6
    return 0.0


def _throttled() -> float:
    """Seconds for which the control groups that this process is in held it up, the one that did most."""
    found = 0.0
    for file in _groups():
        with suppress(OSError, ValueError, IndexError):
            for line in file.read_text("ascii").splitlines():
                if line.startswith(("throttled_usec", "throttled_time")):
                    found = max(found, int(line.split()[1]) / (1e6 if line.startswith("throttled_usec") else 1e9))
    return found


@cache
def _groups() -> tuple[Path, ...]:
    """Where those groups tell of their time: of version 2 and of version 1, and of all that they are part of."""
    found = [_CGROUP / "cpu.stat", _CGROUP / "cpu/cpu.stat"]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text("utf-8", "replace").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" or "cpu" in controllers.split(","):
                base = _CGROUP if number == "0" else _CGROUP / "cpu"
                below = Path(path.lstrip("/"))
                found += [base / each / "cpu.stat" for each in (below, *below.parents)]
    return tuple(dict.fromkeys(found))


def _mhz() -> float:
    """How fast the cores run, where the system lets them run slower and tells."""
    if not Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").exists():
        return 0.0
    with suppress(OSError, NotImplementedError, RuntimeError):
        told = psutil.cpu_freq()
        return round(told.current, 1) if told else 0.0
    return 0.0


def listening(ports: Sequence[int]) -> list[int]:
    """The processes of this machine that listen at these ports, as far as we may know."""
    found = []
    for process in psutil.process_iter() if ports else ():
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                at = connection.laddr
                if connection.status == psutil.CONN_LISTEN and at.port in ports and at.ip in _LOOPBACK:
                    found.append(process.pid)
    return found


# ------------------------------------------------------------------------------------- this process


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(psutil.Process().memory_info().rss)


def peak_resident() -> int:
    """The most it ever had. What `getrusage` tells on Linux is inherited from the process that started this one."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


class Joules:
    """What the processor's packages used, where the machine tells and we may ask."""

    def __init__(self) -> None:
        self._counters = [path for path in sorted(_RAPL.glob("intel-rapl:*")) if path.name.count(":") == 1]
        self._before = self._read()

    def read(self) -> float | None:
        """Since it was read last; None where nothing tells."""
        before, now = self._before, self._read()
        self._before = now
        if not before or not now:
            return None
        return sum((b - a) % most for (a, most), (b, _) in zip(before, now, strict=True)) / 1e6

    def _read(self) -> list[tuple[int, int]]:
        try:
            return [
                (int((path / "energy_uj").read_text()), int((path / "max_energy_range_uj").read_text()) or 1)
                for path in self._counters
            ]
        except (OSError, ValueError):
            return []
