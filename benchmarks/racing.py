"""Commands timed as whole processes, each in turn, again and again: what counts are ratios within one such run."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


class Cost(NamedTuple):
    wall: float
    cpu: float
    memory: float
    """MiB, of the largest process."""


class Contender(NamedTuple):
    name: str
    command: list[str]
    before: Callable[[Path], None] = lambda folder: None


def cost(command: list[str], folder: Path) -> Cost:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "PYTHONDONTWRITE"))}
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with exit status {child.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, used.ru_maxrss / 1024)


def race(title: str, contenders: list[Contender], folder: Path, runs: int) -> None:
    """The first is the floor that the others are ratios of; the first round only warms up."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    for turn in range(runs + 1):
        for contender in contenders:
            contender.before(folder)
            found = cost(contender.command, folder)
            if turn:
                costs[contender.name].append(found)
    floor = costs[contenders[0].name]
    print(f"\n{title}\n\n| | wall s | ratio | CPU s | MiB |\n| --- | --- | --- | --- | --- |")
    for name, found in costs.items():
        wall, cpu, memory = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = statistics.median(mine.wall / theirs.wall for mine, theirs in zip(found, floor, strict=True))
        print(f"| {name} | {wall:.2f} | {ratio:.2f} | {cpu:.2f} | {memory:.0f} |", flush=True)
