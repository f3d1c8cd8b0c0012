"""Hashes of answers, kept in a run or committed by backend, for a later run to be held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from evaluators.determinism.cells import Cell, Record, record_of
from evaluators.determinism.comparing import part
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

    schema: str
    checks: Kept


def recall(key: str, name: str, data: bytes | None) -> dict[str, Any]:
    """What a file of hashes says, or a run's outcomes; Refused where it is neither."""
    if data is None:
        if not name.endswith(".json"):
            raise Refused(f"there is no `{name}`; name a run's folder, or a .json file for `hallmark golden update`")
        return {"file": name, "checks": {}}
    try:
        checks = msgspec.json.decode(data, type=File).checks if _is_file(data) else _of_run(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        said = f"`{name}` is neither a run's outcomes nor a file of hashes: {error}"
        raise Refused(f"{said}; `hallmark golden update` writes one") from None
    if not checks and not _is_file(data):
        raise Refused(f"`{name}` has no outcome of a determinism check")
    return {"file": name, "checks": checks}


def _is_file(data: bytes) -> bool:
    return FORM.encode() in data[:200]


def _of_run(data: bytes) -> Kept:
    kept: Kept = {}
    for line in data.splitlines():
        said = msgspec.json.decode(line)
        if said.get("is") != "outcome" or "::determinism::" not in said.get("check", ""):
            continue
        answer = said.get("answer")
        if isinstance(answer, dict) and {"tokens", "bits", "answer"} <= answer.keys():
            check = kept.setdefault(said["check"], {}).setdefault(ANY, {})
            check[said["case"]] = [answer["tokens"], answer["bits"], answer["answer"]]
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
        if answer and (parted := part(answer[0], row.answer)) is not None:
            cell.at, cell.here, cell.there, cell.place = parted.at, parted.there, parted.here, parted.place
            cell.answer = answer[0]
    return cell


def _find(check: Check, kept: Mapping[str, Any], backend: str) -> Mapping[str, list[Any]] | str:
    """What was kept of this check on this backend, or why there is nothing."""
    checks: Kept = kept["checks"]
    if not checks:
        return f"{kept['file']} has nothing yet; `hallmark golden update` writes it"
    named = [id for id in checks if id.endswith(f"::{check.name}")]
    id = check.id if check.id in checks else next(iter(named if len(named) == 1 else checks))
    if id != check.id and len(named) != 1 and len(checks) != 1:
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
    kept = msgspec.json.decode(before, type=File).checks if before is not None else {}
    for outcome in outcomes:
        if outcome.outcome not in ("met", "missed", "skipped") or not isinstance(outcome.answer, dict):
            continue
        record = record_of(outcome.answer)
        if all(record.cells[axis].state == "bits" for axis in ("repeat", "process") if axis in record.cells):
            mine = kept.setdefault(check.id, {}).setdefault(record.backend, {})
            mine[outcome.case] = [record.tokens, record.bits]
    return name, to_pretty_json(File(FORM, kept))
