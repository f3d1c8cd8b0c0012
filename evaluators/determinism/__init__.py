"""Determinism: whether a model answers the same whenever, wherever and in whatever company it is asked.

- name: repeatable
  kind: determinism
  model: base
  cases: ../golden/lenet5/digits.jsonl
  runs: 5
  vary: [repeat, process, batch, order, threads, reload]
  require: {threads: tokens}

Every case is answered as in other checks, which is the reference, and again along every axis. Each case and axis is a
cell: the same to the bit; the same tokens or class from other numbers; or different, from a first place on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import UNSET

from evaluators.determinism import requiring, verdict
from evaluators.determinism.cells import Cell, record_of
from evaluators.determinism.comparing import part, said_hash
from evaluators.determinism.matrix import matrix
from evaluators.determinism.memory import commit, recall
from harness.contract import Case, Check, Measuring, Objection, Outcome, Refused, Verdict

__all__ = [
    "BATCH", "PANEL", "QUIET", "SCHEMA", "commit", "expand", "faults", "judge", "measure", "recall", "regrade",
]  # fmt: skip

SCHEMA = {"properties": requiring.SCHEMA, "required": ["model", "cases"]}
PANEL = "panel.html"
QUIET = False
BATCH = 256
"""Cases that share the processes that are started for them."""


def expand(check: Check) -> Iterable[Case]:
    return check.cases


def faults(check: Check) -> Iterator[Objection]:
    yield from requiring.faults(check)


def measure(check: Check, case: Case, bench: Measuring) -> Outcome:
    row = bench.once(lambda: matrix(check, bench))[case.id]
    if isinstance(row, str):
        raise Refused(row)
    return verdict.grade(check, case, row)


def regrade(check: Check, case: Case, outcome: Outcome) -> Outcome:
    """From the cells as they were recorded; ValueError where they contradict the answers beside them."""
    record = record_of(outcome.answer)
    if said_hash(record.answer) != record.tokens:
        raise ValueError("the recorded answer is not the one that was hashed")
    if list(record.cells) != requiring.axes_of(check):
        raise ValueError("these are not the axes that were planned")
    for axis, cell in record.cells.items():
        _check(check, axis, record.answer, cell)
    return verdict.grade(check, case, record)


def _check(check: Check, axis: str, answer: object, cell: Cell) -> None:
    """ValueError where a cell contradicts itself, or the answers beside it."""
    differs = cell.state in ("tokens", "different")
    if cell.state != "unsupported" and (cell.runs < 1 or (cell.state != "error" and differs != bool(cell.differ))):
        raise ValueError(f"the runs of {axis} are not those of its state")
    if cell.state == "bits" and (cell.gap is not None or not cell.within or cell.answer is not UNSET):
        raise ValueError(f"{axis} is said to be the same to the bit, and to differ")
    if axis in ("repeat", "process") and cell.state != "unsupported" and cell.runs != requiring.runs_of(check) - 1:
        raise ValueError(f"{axis} was not run as often as planned")
    if cell.answer is UNSET:
        return
    parted = part(answer, cell.answer)
    told = None if parted is None else (parted.at or "the answer", parted.here, parted.there, parted.place)
    if cell.state != "different" or told != (cell.at, cell.here, cell.there, cell.place):
        raise ValueError(f"the two answers of {axis} are not what the cell says of them")


def judge(check: Check, outcomes: Iterable[Outcome]) -> Verdict:
    return verdict.judge(check, list(outcomes))
