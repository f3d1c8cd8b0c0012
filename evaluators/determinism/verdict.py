"""A matrix to a verdict: every cell has to be what its axis requires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from evaluators.determinism.cells import Cell, Record, holds, record_of
from evaluators.determinism.requiring import REPEATED, axes_of, bound, required, runs_of
from harness.contract import Case, Check, Difference, Outcome, Ruling, Verdict


def grade(check: Check, case: Case, record: Record) -> Outcome:
    """A case's outcome, by its cells alone."""
    answer = _plain(record)
    errors = [f"{axis}: {cell.why}" for axis, cell in record.cells.items() if cell.state == "error"]
    differences = [
        _difference(axis, cell, *required(check, axis)[:1])
        for axis, cell in record.cells.items()
        if holds(cell, required(check, axis)[0]) is False
    ]
    if differences:
        return Outcome(case=case.id, outcome="missed", answer=answer, differences=differences, reason="; ".join(errors))
    if errors:
        return Outcome(case=case.id, outcome="error", answer=answer, reason="; ".join(errors))
    whys = {cell.why for cell in record.cells.values() if cell.state == "unsupported"}
    if all(cell.state == "unsupported" for cell in record.cells.values()):
        return Outcome(case=case.id, outcome="skipped", answer=answer, reason="; ".join(sorted(whys)))
    return Outcome(case=case.id, outcome="met", answer=answer)


def _plain(record: Record) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(record)
    return plain


def _difference(axis: str, cell: Cell, require: str) -> Difference:
    return Difference(at=axis, mode=require, why=said_of(cell), expected=cell.here, got=cell.there)


def said_of(cell: Cell) -> str:
    """What a cell that does not hold has seen, in a sentence."""
    where = f"{cell.run}: " if cell.run else ""
    gap = "" if cell.gap is None else f"{cell.gap:.3g}"
    if cell.state == "tokens":
        return f"{where}the same answer from other numbers" + (f", apart by up to {gap}" if gap else "")
    told = f"{where}it parts at {cell.at}"
    if cell.here is not None or cell.there is not None:
        told += f": {_short(cell.there)} instead of {_short(cell.here)}"
    if cell.margin is not None:
        told += f", which it preferred by {cell.margin:.3g}"
    return told + (f"; the numbers there are {gap} apart" if gap else "")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    counts: Counter[str] = Counter(outcome.outcome for outcome in outcomes)
    rows = {outcome.case: record_of(outcome.answer).cells for outcome in outcomes if isinstance(outcome.answer, dict)}
    axes = axes_of(check)
    held = {axis: _holding(check, axis, rows) for axis in axes}
    told = Counter({word: sum(counts_[word] for counts_ in held.values()) for word in (True, False)})
    cells = told[True] + told[False]
    score = told[True] / cells if cells else 0.0
    figures = {"score": score, "cells": float(cells), "held": float(told[True]), "runs": float(runs_of(check))}
    seen = _seen(check, figures)
    ruling, reason = _ruling(check, counts, rows, held)
    if ruling == "pass":
        reason = f"all {cells:,} cells of {len(rows):,} cases hold{seen}"
    return Verdict(
        verdict=ruling,
        reason=reason,
        estimate=score if cells else None,
        interval=(score, score) if cells else None,
        method=f"cells that hold{seen}",
        n=len(rows),
        figures=figures,
    )


def _seen(check: Check, figures: dict[str, float]) -> str:
    """What so many runs can show."""
    if not any(axis in REPEATED for axis in axes_of(check)):
        return "; nothing was repeated, so that nothing is said of how often a run may diverge"
    runs = runs_of(check)
    figures["bound"] = bound(runs)
    return f"; {runs} runs show, with a confidence of 95 %, that less than {bound(runs):.1%} of runs diverge"


def _holding(check: Check, axis: str, rows: Mapping[str, Mapping[str, Cell]]) -> Counter[bool | None]:
    require, _ = required(check, axis)
    return Counter(holds(cells[axis], require) for cells in rows.values() if axis in cells)


def _ruling(
    check: Check,
    counts: Mapping[str, int],
    rows: Mapping[str, Mapping[str, Cell]],
    held: Mapping[str, Mapping[bool | None, int]],
) -> tuple[Ruling, str]:
    failed = [f"{axis}: {_first(check, axis, rows, by[False])}" for axis, by in held.items() if by.get(False)]
    failed += _deaf(rows)
    if failed:
        return "fail", "; ".join(failed)
    if counts.get("error"):
        return "error", f"{counts['error']} of {sum(counts.values())} cases in error"
    mute = {axis: cell.why for cells in rows.values() for axis, cell in cells.items() if cell.state == "unsupported"}
    if mute:
        return "unsupported", "; ".join(f"{axis}: {why}" for axis, why in mute.items())
    if counts.get("skipped") or not rows:
        return "inconclusive", f"{counts.get('skipped', 0)} of {sum(counts.values())} cases skipped"
    return "pass", ""


def _first(check: Check, axis: str, rows: Mapping[str, Mapping[str, Cell]], many: int) -> str:
    """How many cells of an axis do not hold, and the first of them."""
    require, _ = required(check, axis)
    id, cell = next((id, cells[axis]) for id, cells in rows.items() if holds(cells[axis], require) is False)
    return f"{many} of {len(rows)} cases don't hold; of {id}, {said_of(cell)}"


def _deaf(rows: Mapping[str, Mapping[str, Cell]]) -> list[str]:
    """A model that draws by chance, and gives the same answers whatever the seed."""
    seeds = [cells["seed"] for cells in rows.values() if "seed" in cells]
    if any(cell.samples and cell.moved is not None for cell in seeds) and not any(cell.moved for cell in seeds):
        return [f"seed: it says that it samples, and another seed changed none of {len(seeds)} answers"]
    return []
