"""Prints the table as Markdown; leaves with 1 where a rate is out of its band."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # what is measured is what lies beside this

from benchmarks.validity import counts, scores, times
from benchmarks.validity.row import Effort, Row, faults, markdown

GROUPS: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "coverage": counts.coverage,
    "gates": counts.gates,
    "refusals": counts.refusals,
    "determinism": counts.determinism,
    "mcnemar": counts.mcnemar,
    "superior": counts.superior,
    "noninferiority": counts.noninferiority,
    "compression": counts.compression,
    "equivalence": counts.equivalence,
    "itself": counts.itself,
    "regression": counts.regression,
    "looks": scores.looks,
    "clusters": scores.clusters,
    "zeros": scores.zeros,
    "budget": scores.budget,
    "ratios": times.ratios,
    "budgets": times.budgets,
    "contaminated": times.contaminated,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/validity", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer draws, and only the edges of verdicts")
    parser.add_argument("--replications", type=int, help="how often what can't be counted is drawn; 2000, quick 100")
    parser.add_argument("--only", choices=GROUPS, nargs="+", default=list(GROUPS), help="these rows alone")
    given = parser.parse_args(argv)
    effort = Effort(given.replications or (100 if given.quick else 2000), given.quick)
    rows: list[Row] = []
    for name in given.only:
        start = time.perf_counter()
        rows += GROUPS[name](effort)
        print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    print(markdown(rows), end="")
    wrong = [fault for row in rows for fault in faults(row)]
    print("".join(f"\nout of its band: {fault}" for fault in wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
