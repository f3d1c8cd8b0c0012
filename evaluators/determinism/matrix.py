"""Runs every axis over the cases, and tells of each case and axis how it compares with the reference."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

from evaluators.determinism import axes
from evaluators.determinism.cells import WORST, Cell, Record
from evaluators.determinism.comparing import Close, compare, hashes, speaks
from evaluators.determinism.memory import against
from evaluators.determinism.requiring import AGAINST, axes_of, required
from harness.contract import Case, Check, Look, Measuring, Refused, Way

_NUMBERS = "its answer is numbers alone, and has no token to be the same; require bits, or {close: {abs: 1.0e-5}}"
Row = Record | str
"""A case's part of the matrix, or why it has none."""


def matrix(check: Check, bench: Measuring) -> dict[str, Row]:
    lots, reference = _reference(bench)
    backend = _backend(bench)
    rows: dict[str, Row] = {id: _row(look, backend) for id, look in reference.items()}
    records = {id: row for id, row in rows.items() if isinstance(row, Record)}
    for axis in axes_of(check) if records else ():
        if axis == AGAINST:
            cells = {id: against(check, id, record) for id, record in records.items()}
        else:
            cells = _vary(axis, check, lots, {id: reference[id] for id in records}, bench)
        for id, record in records.items():
            record.cells[axis] = cells[id]
    return rows


def _reference(bench: Measuring) -> tuple[list[Sequence[Case]], dict[str, Look]]:
    """What the model answers in every other check; a case that spoils its whole lot is found, and left out of it."""
    lots: list[Sequence[Case]] = []
    reference: dict[str, Look] = {}
    for lot in bench.wanted():
        looks = bench.look(lot, Way())
        if len(lot) > 1 and all(look.error for look in looks):
            alone = {case.id: bench.look([case], Way())[0] for case in lot}
            if not any(look.error for look in alone.values()):  # then it was not the cases' doing
                reference |= {case.id: look for case, look in zip(lot, looks, strict=True)}
                continue
            reference |= {id: look for id, look in alone.items() if look.error}
            lot = [case for case in lot if not alone[case.id].error]  # noqa: PLW2901
            looks = bench.look(lot, Way()) if lot else []
        reference |= {case.id: look for case, look in zip(lot, looks, strict=True)}
        lots += [lot] if lot else []
    return lots, reference


def _row(look: Look, backend: str) -> Row:
    if look.error:
        return look.error
    tokens, bits = hashes(look)
    return Record(answer=look.answer, tokens=tokens, bits=bits, backend=backend, cells={})


def _vary(axis: str, check: Check, lots: axes.Lots, reference: Mapping[str, Look], bench: Measuring) -> dict[str, Cell]:
    """A cell a case; those of an axis that the model can't be varied on say so."""
    _, close = required(check, axis)
    cells = {id: Cell(state="bits") for id in reference}
    try:
        for run in axes.runs(axis, check, lots, bench):
            _run(run, cells, reference, close, bench)
    except Refused as refused:
        return {id: Cell(state="unsupported", why=str(refused)) for id in cells}
    if not all(cell.runs for cell in cells.values()):
        return {id: Cell(state="unsupported", why="nothing was varied") for id in cells}
    if required(check, axis)[0] == "tokens":
        mute = Cell(state="unsupported", why=_NUMBERS)
        cells = {
            id: mute if cell.state == "tokens" and not speaks(reference[id]) else cell for id, cell in cells.items()
        }
    if axis == "seed":
        for cell in cells.values():
            cell.samples = bench.trait("samples")
    return cells


def _run(
    run: axes.Run, cells: dict[str, Cell], reference: Mapping[str, Look], close: Close | None, bench: Measuring
) -> None:
    for lot in run.lots:
        looks = bench.look(lot, run.way)
        for (case, label), look in zip(axes.placed(run, lot), looks, strict=True):
            if case.id not in cells or isinstance(case, axes.Company):
                continue
            found = compare(reference[case.id], look, close)
            cell = cells[case.id]
            if run.free and found.state != "error":
                cell.moved = cell.moved or found.state != "bits"
                cell.runs += 1
                continue
            found.run = label if found.state != "bits" else ""
            cells[case.id] = _worse(cell, found)


def _worse(cell: Cell, found: Cell) -> Cell:
    """The farther of two from the reference, with what both of them count."""
    worse = min(cell, found, key=lambda each: (WORST[each.state], each.within, -_gap(each)))
    other = found if worse is cell else cell
    worse.runs, worse.differ = worse.runs + other.runs, worse.differ + other.differ
    worse.moved = worse.moved if other.moved is None else other.moved
    return worse


def _gap(cell: Cell) -> float:
    return float("inf") if cell.gap is None else cell.gap


def _backend(bench: Measuring) -> str:
    """What decides bits, apart from versions: hashes of one backend are held against the same one's."""
    words = [platform.system(), platform.machine()]
    if not bench.trait("padded"):  # what it computes with is its own affair
        return " ".join(words)
    facts = bench.facts()
    words += ["gpu" if "gpu" in str(facts.get("device")) else "cpu", str(facts.get("numerics", "strict"))]
    words += [str(facts[key]) for key in ("blas_kernel",) if key in facts]
    return " ".join(words + ["another BLAS"] * ("another" in str(facts.get("blas_library"))))
