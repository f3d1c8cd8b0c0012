"""The engine's overhead against plain parametrised pytest, both in one interleaved run: ratios, not times.

    python benchmarks/overhead.py [--runs 5] [--cases 1 1000 10000]

A case is trivial (echo, exact match), so that what is timed is everything around it: reading, scheduling, reporting,
the ledger, the verdict, certificate.json and report.html.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
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
    command: Callable[[int], list[str]]
    before: Callable[[Path, int], None] = lambda folder, n: None


def forget(folder: Path, n: int) -> None:
    """Change the case file in nothing but its bytes, so that no plan kept from before fits."""
    path = folder / f"golden/c{n}.jsonl"
    path.write_text(path.read_text() + "\n")


CONTENDERS = [
    Contender("pytest, one parametrised test", lambda n: [*PYTEST, "-p", "no:hallmark", "-n0", f"test_floor_{n}.py"]),
    Contender("Hallmark -n0, plan read anew", lambda n: [*PYTEST, "-n0", f"specs/s{n}.yaml"], forget),
    Contender("Hallmark -n0, plan kept", lambda n: [*PYTEST, "-n0", f"specs/s{n}.yaml"]),
    Contender("Hallmark -n2, plan kept", lambda n: [*PYTEST, "-n2", f"specs/s{n}.yaml"]),
]
MISSES = [
    Contender("pytest, all fail", lambda n: [*PYTEST, "-p", "no:hallmark", "-n0", "--tb=short", f"test_misses_{n}.py"]),
    Contender("Hallmark -n0, all miss", lambda n: [*PYTEST, "-n0", f"specs/m{n}.yaml"]),
]
EMPTY = [
    Contender("pytest, one test, no plugin", lambda n: [*PYTEST, "-p", "no:hallmark", "-n0", "test_floor_1.py"]),
    Contender("the same, plugin unused", lambda n: [*PYTEST, "-n0", "test_floor_1.py"]),
]


def prepare(folder: Path, n: int) -> None:
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "golden").mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    cases = ({"id": f"c{i}", "input": f"hello {i}", "expect": f"hello {i}"} for i in range(n))
    (folder / f"golden/c{n}.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    wrong = ({"id": f"c{i}", "input": f"hello {i}", "expect": "never"} for i in range(n))
    (folder / f"golden/m{n}.jsonl").write_text("".join(json.dumps(case) + "\n" for case in wrong))
    for name in ("s", "m"):
        cases_at = f"../golden/{'c' if name == 's' else 'm'}{n}.jsonl"
        check = f"checks: [{{name: all, kind: golden, model: m, cases: {cases_at}}}]\n"
        (folder / f"specs/{name}{n}.yaml").write_text(f"hallmark: 1\nmodels: {{m: {{echo: {{}}}}}}\n{check}")
    test = (
        "import pytest\n@pytest.mark.parametrize('i', range({n}))\ndef test_case(i): assert f'hello {{i}}' == {want}\n"
    )
    (folder / f"test_floor_{n}.py").write_text(test.format(n=n, want="f'hello {i}'"))
    (folder / f"test_misses_{n}.py").write_text(test.format(n=n, want="'never'"))


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


def race(contenders: list[Contender], folder: Path, n: int, runs: int) -> None:
    """Each in turn, again and again; the first round only warms up."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    for turn in range(runs + 1):
        for contender in contenders:
            contender.before(folder, n)
            found = cost(contender.command(n), folder)
            if turn:
                costs[contender.name].append(found)
    floor = costs[contenders[0].name]
    print(f"\n{n:,} case{'s' * (n != 1)}\n\n| | wall s | ratio | CPU s | MiB |\n| --- | --- | --- | --- | --- |")
    for name, found in costs.items():
        wall, cpu, memory = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = statistics.median(mine.wall / theirs.wall for mine, theirs in zip(found, floor, strict=True))
        print(f"| {name} | {wall:.2f} | {ratio:.2f} | {cpu:.2f} | {memory:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", type=int, nargs="+", default=[1, 1000, 10000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in {1, *given.cases}:
            prepare(folder, n)
        for n in given.cases:
            race(CONTENDERS, folder, n, given.runs)
        race(EMPTY, folder, 1, given.runs)
        if 1000 in given.cases:
            race(MISSES, folder, 1000, given.runs)


if __name__ == "__main__":
    main()
