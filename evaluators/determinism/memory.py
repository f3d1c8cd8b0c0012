"""Hashes of answers, kept in a run or committed by backend, for a later run to be held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal

import msgspec

from evaluators.determinism.cells import Cell, Record, record_of
from evaluators.determinism.comparing import part
from evaluators.determinism.requiring import AGAINST, REPEATED
from harness.codec import to_pretty_json
from harness.contract import Check, Outcome, Refused

FORM = "hallmark/determinism/1"
RUN = "outcomes.jsonl"
"""What a run's folder is read by."""
ANY = "any"
"""The backend of a run: it may be held against another's."""
Kept = dict[str, dict[str, dict[str, list[Any]]]]
"""By check, by backend, by case: the digests of what was said and of its bits, and of a run's also the answer."""


class File(msgspec.Struct, forbid_unknown_fields=True):
    """What `hallmark golden update` writes."""

    schema: Literal["hallmark/determinism/1"]
    checks: dict[str, dict[str, dict[str, tuple[str, str]]]]


def recall(key: str, name: str, data: bytes | None) -> dict[str, Any]:
    """What a file of hashes says, or a run's outcomes; Refused where it is neither."""
    if data is None:
        if not name.endswith(".json"):
            raise Refused(f"there is no `{name}`; name a run's folder, or a .json file for `hallmark golden update`")
        return {"file": name, "checks": {}}
    try:
        checks = read_file(data) if _is_file(data) else _of_run(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        said = f"`{name}` is neither a run's outcomes nor a file of hashes: {error}"
        raise Refused(f"{said}; `hallmark golden update` writes one") from None
    if not checks and not _is_file(data):
        raise Refused(f"`{name}` has no outcome of a determinism check")
    return {"file": name, "checks": checks}


def read_file(data: bytes) -> Kept:
    """What a file of hashes holds; a MsgspecError where it is none."""
    file = msgspec.json.decode(data, type=File)
    return {
        id: {key: {c: list(h) for c, h in cases.items()} for key, cases in by.items()} for id, by in file.checks.items()
    }


def _is_file(data: bytes) -> bool:
    """Whether it is no run's outcomes, whose every line says what it is."""
    return not data.startswith(b'{"is":')


class Line(msgspec.Struct):
    """As much of a line of a run's outcomes as we need."""

    is_: str = msgspec.field(name="is", default="")
    check: str = ""
    case: str = ""
    answer: Any = None


def _of_run(data: bytes) -> Kept:
    kept: Kept = {}
    for text in data.splitlines():
        line = msgspec.json.decode(text, type=Line)
        if line.is_ != "outcome" or "::determinism::" not in line.check:
            continue
        with suppress(ValueError):
            record = record_of(line.answer)
            kept.setdefault(line.check, {}).setdefault(ANY, {})[line.case] = [record.tokens, record.bits, record.answer]
    return kept


def against(check: Check, case: str, row: Record) -> Cell:
    """A case held against what was kept of it."""
    kept = check.options["against"]
    found = _find(check, kept, row.backend)
    if isinstance(found, str):
        return Cell(state="unsupported", why=found)
    known = found.get(case)
    if known is None:
        return Cell(
            state="unsupported", why=f"{kept['file']} has nothing of this case; `hallmark golden update` adds it"
        )
    tokens, bits, *answer = known
    if bits == row.bits:
        return Cell(state="bits", runs=1)
    cell = Cell(state="tokens" if tokens == row.tokens else "different", runs=1, differ=1, run=kept["file"])
    cell.within = False  # the numbers themselves were not kept
    if cell.state == "different":
        cell.at = "the answer"
        if answer and (parted := part(row.answer, answer[0])) is not None:
            cell.at, cell.here, cell.there, cell.place = parted.at, parted.here, parted.there, parted.place
            cell.answer = answer[0]
    return cell


def _find(check: Check, kept: Mapping[str, Any], backend: str) -> Mapping[str, list[Any]] | str:
    """What was kept of this check on this backend, or why there is nothing."""
    checks: Kept = kept["checks"]
    if not checks:
        return f"{kept['file']} has nothing yet; `hallmark golden update` writes it"
    named = [id for id in checks if id.endswith(f"::{check.name}")]
    id = check.id if check.id in checks else named[0] if len(named) == 1 else None
    if id is None:
        return f"{kept['file']} has nothing of `{check.name}`; it has {', '.join(f'`{id}`' for id in list(checks)[:5])}"
    mine = checks[id]
    if ANY in mine:
        return mine[ANY]
    return (
        mine.get(backend)
        or f"{kept['file']} has no hashes of this backend, {backend}; `hallmark golden update` adds them"
    )


def commit(check: Check, outcomes: Iterable[Outcome], read: Callable[[str], bytes | None]) -> tuple[str, bytes] | None:
    """The file of hashes with those of a run; a case that does not agree with itself is left out."""
    name = check.options.get("against", {}).get("file", RUN)
    if name.rpartition("/")[2] == RUN:
        return None
    before = read(name)
    kept = read_file(before) if before is not None else {}
    for outcome in outcomes:
        if outcome.outcome not in ("met", "missed", "skipped") or not isinstance(outcome.answer, dict):
            continue
        record = record_of(outcome.answer)
        kept.get(check.id, {}).get(record.backend, {}).pop(outcome.case, None)
        if _steady(record):
            mine = kept.setdefault(check.id, {}).setdefault(record.backend, {})
            mine[outcome.case] = [record.tokens, record.bits]
    return name, to_pretty_json({"schema": FORM, "checks": kept})


def _steady(record: Record) -> bool:
    """Whether it was repeated, and agreed with itself on all that was varied but the arithmetic."""
    cells = {axis: cell for axis, cell in record.cells.items() if axis != AGAINST}
    repeated = any(cells[axis].state == "bits" for axis in REPEATED if axis in cells)
    strays = any(cell.state in ("different", "error") for cell in cells.values())
    return repeated and not strays and all(cells[a].state in ("bits", "unsupported") for a in REPEATED if a in cells)
