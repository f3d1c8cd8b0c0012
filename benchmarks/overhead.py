"""The engine's overhead against plain parametrised pytest, both in one interleaved run: ratios, not times.

    python benchmarks/overhead.py [--runs 5] [--cases 1 1000 10000]

A case is trivial (echo, exact match), so that what is timed is everything around it: reading, scheduling, reporting,
the ledger, the verdict, certificate.json and report.html.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from racing import PYTEST, Contender, race


def contenders(n: int) -> list[Contender]:
    def forget(folder: Path) -> None:
        """Change the case file in nothing but its bytes, so that no plan kept from before fits."""
        path = folder / f"golden/c{n}.jsonl"
        path.write_text(path.read_text() + "\n")

    floor = [*PYTEST, "-p", "no:hallmark", "-n0", f"test_floor_{n}.py"]
    return [
        Contender("pytest, one parametrised test", floor),
        Contender("Hallmark -n0, plan read anew", [*PYTEST, "-n0", f"specs/s{n}.yaml"], forget),
        Contender("Hallmark -n0, plan kept", [*PYTEST, "-n0", f"specs/s{n}.yaml"]),
        Contender("Hallmark -n2, plan kept", [*PYTEST, "-n2", f"specs/s{n}.yaml"]),
    ]


def misses(n: int) -> list[Contender]:
    floor = [*PYTEST, "-p", "no:hallmark", "-n0", "--tb=short", f"test_misses_{n}.py"]
    return [
        Contender("pytest, all fail", floor),
        Contender("Hallmark -n0, all miss", [*PYTEST, "-n0", f"specs/m{n}.yaml"]),
    ]


EMPTY = [
    Contender("pytest, one test, no plugin", [*PYTEST, "-p", "no:hallmark", "-n0", "test_floor_1.py"]),
    Contender("the same, plugin unused", [*PYTEST, "-n0", "test_floor_1.py"]),
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
            race(f"{n:,} case{'s' * (n != 1)}", contenders(n), folder, given.runs)
        race("1 case", EMPTY, folder, given.runs)
        if 1000 in given.cases:
            race("1,000 cases", misses(1000), folder, given.runs)


if __name__ == "__main__":
    main()
