"""A matrix to a verdict: every cell has to be what its axis requires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from evaluators.determinism.cells import Cell, Record, holds, record_of
from evaluators.determinism.requiring import AGAINST, REPEATED, axes_of, bound, required, runs_of
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
    return Difference(at=axis, mode=require, why=said_of(axis, cell), expected=cell.here, got=cell.there)


def said_of(axis: str, cell: Cell) -> str:
    """What a cell that does not hold has seen, in a sentence."""
    where = f"{cell.run}: " if cell.run else ""
    if axis == AGAINST:
        return where + _since(cell)
    gap = "" if cell.gap is None else f"{cell.gap:.3g}"
    if cell.state == "tokens":
        return f"{where}the same answer from other numbers" + (f", apart by up to {gap}" if gap else "")
    told = f"{where}it parts at {cell.at}"
    if cell.here is not None or cell.there is not None:
        told += f": {_short(cell.there)} instead of {_short(cell.here)}"
    if cell.margin is not None:
        told += f"; the reference preferred its own by {cell.margin:.3g}"
    return told + (f"; the numbers there are {gap} apart" if gap else "")


def _since(cell: Cell) -> str:
    """How an answer differs from one that was kept."""
    if cell.state == "tokens":
        return "it was the same answer, from other numbers"
    known = cell.here is not None or cell.there is not None
    return f"it parts at {cell.at}" + (f": it was {_short(cell.there)} and is {_short(cell.here)}" if known else "")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    counts: Counter[str] = Counter(outcome.outcome for outcome in outcomes)
    rows = {outcome.case: record_of(outcome.answer).cells for outcome in outcomes if isinstance(outcome.answer, dict)}
    held = {axis: _holding(check, axis, rows) for axis in axes_of(check)}
    good, bad = (sum(by[word] for by in held.values()) for word in (True, False))
    strayed = sum(cell.state == "error" for cells in rows.values() for cell in cells.values())
    cells = good + bad + strayed
    score = good / cells if cells else 0.0
    figures = {"score": score, "cells": float(cells), "held": float(good), "runs": float(runs_of(check))}
    seen = _seen(check, rows)
    if seen:
        figures["bound"] = bound(runs_of(check))
    ruling, reason = _ruling(check, counts, rows, held)
    if ruling == "pass":
        reason = f"all {cells:,} cells of {len(rows):,} cases hold" + (seen or _UNSEEN)
    return Verdict(
        verdict=ruling,
        reason=reason,
        estimate=score if cells else None,
        interval=(score, score) if cells else None,
        method=f"cells that hold{seen}",
        n=len(rows),
        figures=figures,
    )


_UNSEEN = "; nothing was repeated, so that nothing is said of how often a run may diverge"


def _seen(check: Check, rows: Mapping[str, Mapping[str, Cell]]) -> str:
    """What so many runs that agree can show; nothing where none were repeated, or some did not agree."""
    repeated = [cells[axis] for cells in rows.values() for axis in REPEATED if axis in cells]
    agreed = all(cell.state in ("bits", "tokens", "unsupported") for cell in repeated)
    if not agreed or not any(cell.runs for cell in repeated):
        return ""
    runs = runs_of(check)
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
    if failed:
        return "fail", "; ".join(failed)
    if counts.get("error"):
        return "error", f"{counts['error']:,} of {sum(counts.values()):,} cases in error"
    mute = {axis: cell.why for cells in rows.values() for axis, cell in cells.items() if cell.state == "unsupported"}
    if mute:
        return "unsupported", "; ".join(f"{axis}: {why}" for axis, why in mute.items())
    if deaf := _deaf(rows):
        return "inconclusive", deaf
    if counts.get("skipped") or not rows:
        return "inconclusive", f"{counts.get('skipped', 0)} of {sum(counts.values())} cases skipped"
    return "pass", ""


def _first(check: Check, axis: str, rows: Mapping[str, Mapping[str, Cell]], many: int) -> str:
    """How many cells of an axis do not hold, and the first of them."""
    require, _ = required(check, axis)
    id, cell = next((id, cells[axis]) for id, cells in rows.items() if holds(cells[axis], require) is False)
    return f"{many:,} of {len(rows):,} cases don't hold; of {id}, {said_of(axis, cell)}"


def _deaf(rows: Mapping[str, Mapping[str, Cell]]) -> str:
    """Of a model that draws by chance, and gives the same answers whatever the seed."""
    seeds = [cells["seed"] for cells in rows.values() if "seed" in cells]
    if any(cell.samples and cell.moved is not None for cell in seeds) and not any(cell.moved for cell in seeds):
        told = f"another seed changed none of {len(seeds):,} answers"
        return f"seed: {told}: either the seed goes unheard, or what is drawn is as good as certain"
    return ""
