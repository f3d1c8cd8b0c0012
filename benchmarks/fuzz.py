"""Strange specs by the million: `python benchmarks/fuzz.py --many 1000000`.

Ends with 1 where one did anything but be planned or refused, took more than a second or 256 MB, or where under 99 % of
the faults of single changes were told within a line of the change.
`--seed S --only N` tries one input again, and shows it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz.ground import MEMORY, SECONDS, Ground
from tests.fuzz.inputs import LOT, inputs
from tests.fuzz.running import Tally, run

LEAST = 0.99
SHOWN = 20


def work(seed: int, many: int, taken: Any, at: Any, place: int, told: Any) -> None:
    """Lot after lot, until none is left; `at` says which one, should this process not live to."""
    with tempfile.TemporaryDirectory(prefix="hallmark-fuzz-") as top:
        ground = Ground(Path(top))
        while True:
            with taken.get_lock():
                lot = taken.value
                taken.value += 1
            if lot * LOT >= many:
                return
            at[place] = lot
            told.put(run(ground, seed, lot * LOT, min(many, (lot + 1) * LOT)))


def run_all(seed: int, many: int, processes: int) -> tuple[Tally, list[str]]:
    """What came of all inputs, and which lots a process died in."""
    several = multiprocessing.get_context("spawn")
    taken, at, told = several.Value("q", 0), several.Array("q", processes), several.Queue()
    workers = [several.Process(target=work, args=(seed, many, taken, at, n, told)) for n in range(processes)]
    for worker in workers:
        worker.start()
    whole, shown = Tally(), time.monotonic()
    while any(worker.is_alive() for worker in workers) or not told.empty():
        while not told.empty():
            lot = told.get()
            whole.add(lot)
            for broken in lot.broken:
                print(broken, flush=True)
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"{whole.tried:,} tried, {len(whole.broken)} broke", file=sys.stderr, flush=True)
        time.sleep(0.05)
    died = [
        f"a process died with status {worker.exitcode} among the inputs {at[n] * LOT} to {at[n] * LOT + LOT - 1}"
        for n, worker in enumerate(workers)
        if worker.exitcode
    ]
    return whole, died


def show(seed: int, number: int) -> int:
    with tempfile.TemporaryDirectory(prefix="hallmark-fuzz-") as top:
        ground = Ground(Path(top))
        ((_, given),) = inputs(ground, seed, number, number + 1)
        with ground.with_files(given.files):
            tried = ground.try_specs(given.planned, trusted=given.trusted)
    for name, data in given.files.items():
        print(f"--- {name}\n{data.decode('utf-8', 'backslashreplace')}")
    print(f"--- {given.how}, changed at {sorted(line for _, line in given.place or ())}; {tried.seconds:.3f} s")
    print("\n".join(map(str, tried.faults)) or "no fault")
    print(tried.broke)
    return bool(tried.broke)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int, metavar="N")
    given = parser.parse_args()
    if given.only is not None:
        return show(given.seed, given.only)
    began = time.monotonic()
    tally, died = run_all(given.seed, given.many, given.processes)
    took = time.monotonic() - began
    for said in [*died, *(tally.distant[:SHOWN] if tally.share < LEAST else ())]:
        print(said)
    print(f"{tally.tried:,} specs of seed {given.seed} in {took:.0f} s, {tally.tried / took:.0f} a second")
    print(
        f"{tally.fine:,} planned, {tally.tried - tally.fine - len(tally.broken):,} refused, {len(tally.broken)} broke"
    )
    print(f"slowest {tally.slowest[0] * 1000:.0f} ms of {SECONDS * 1000:.0f} (input {tally.slowest[1]})")
    print(f"memory grew by at most {tally.grown >> 20} MB of {MEMORY >> 20} over {LOT} inputs")
    print(f"{tally.share:.2%} of {tally.near + tally.far:,} faults within a line of the change, {LEAST:.0%} wanted")
    fell_short = tally.tried < given.many or tally.share < LEAST
    return int(bool(died or tally.broken) or fell_short)


if __name__ == "__main__":
    sys.exit(main())
