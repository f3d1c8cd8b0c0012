"""A case file, or a spec with cases in it, with some expectations changed and every other byte left as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from harness.codec import to_json
from harness.contract import Case
from harness.patches import csv_text, json_text, yaml_text
from harness.patches.changes import Change, alike, held, look, put
from harness.spec.cases import FORMATS, read_cases
from harness.spec.faults import Fault, SpecFaults
from harness.spec.text import bare, read_yaml

_BOM = b"\xef\xbb\xbf"
_MORE = "it can't be changed without touching more"
Replacement = tuple[int, int, str]


class Unreadable(Exception):
    """The file is no file of cases any more."""


class Edited(NamedTuple):
    data: bytes
    done: list[Change]
    there: list[Change]
    """Of these the file says already what is asked."""
    refused: list[tuple[Change, str]]
    """What has to be done by hand, and why."""


class _Sheet(NamedTuple):
    expect: Callable[[str, int], Any]
    """What a case expects now; LookupError where it is not there."""
    rewrite: Callable[[str, int, list[Change]], list[Replacement]]
    holds: Callable[[bytes, Mapping[tuple[str, int], list[Change]]], bool]
    """Whether bytes say what this file says with these changes, and nothing else."""


def edit(data: bytes, name: str, changes: Sequence[Change]) -> Edited:
    """The file with as many of the changes as can be made safely; a place that is not as it was is not touched."""
    bom = _BOM if data.startswith(_BOM) else b""
    try:
        text = data[len(bom) :].decode()
        sheet = _sheet(data, text, name)
    except (SpecFaults, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise Unreadable(f"it can't be read: {first}") from None
    done: dict[tuple[str, int], list[Change]] = {}
    there: list[Change] = []
    refused: list[tuple[Change, str]] = []
    for change in changes:
        try:
            found = look(sheet.expect(change.case, change.line), change.path)
        except (LookupError, yaml_text.NotSafe):
            refused.append((change, "the case is not there any more"))
            continue
        if alike(found, change.was):
            done.setdefault((change.case, change.line), []).append(change)
        elif alike(found, change.now):
            there.append(change)
        else:
            refused.append((change, "something else stands there now than the run expected"))
    spans: list[Replacement] = []
    for (case, line), mine in list(done.items()):
        whys = {change.path: why for change in mine if (why := _why_not(sheet, change))}
        refused += [(change, whys[change.path]) for change in mine if change.path in whys]
        done[case, line] = [change for change in mine if change.path not in whys]
        if done[case, line]:
            spans += sheet.rewrite(case, line, done[case, line])
        else:
            del done[case, line]
    made = bom + _assembled(text, spans).encode()
    if done and not sheet.holds(made, done):
        refused += [(change, _MORE) for mine in done.values() for change in mine]
        return Edited(data, [], there, refused)
    return Edited(made, [change for mine in done.values() for change in mine], there, refused)


def _why_not(sheet: _Sheet, change: Change) -> str:
    """Why a change can't be made here; empty where it can."""
    try:
        sheet.rewrite(change.case, change.line, [change])
    except (json_text.Elsewhere, yaml_text.NotSafe) as error:
        return str(error) or _MORE
    return ""


def _assembled(text: str, spans: Sequence[Replacement]) -> str:
    parts, last = [], 0
    for start, end, new in sorted(spans):
        parts += [text[last:start], new]
        last = end
    return "".join([*parts, text[last:]])


def _sheet(data: bytes, text: str, name: str) -> _Sheet:
    if name.endswith((".yaml", ".yml")):
        return _yaml(data, text, name)
    if not name.endswith(FORMATS):
        raise Unreadable("it has none of the endings of a case file")
    cases = _cases(data, name)
    spanned = {".csv": _csv_rows, ".json": _json_rows}.get(name[name.rindex(".") :], _jsonl_rows)
    rewrite = spanned(text, cases)

    def expect(case: str, line: int) -> Any:
        return cases[case].expect

    def holds(made: bytes, changes: Mapping[tuple[str, int], list[Change]]) -> bool:
        wanted = dict(cases)
        for (case, _), mine in changes.items():
            wanted[case] = msgspec.structs.replace(cases[case], expect=_changed(cases[case].expect, mine))
        try:
            return _spelled(_cases(made, name)) == _spelled(wanted)
        except SpecFaults:
            return False

    return _Sheet(expect, rewrite, holds)


def _changed(value: Any, changes: Sequence[Change]) -> Any:
    for change in changes:
        value = put(value, change.path, change.now)
    return value


def _cases(data: bytes, name: str) -> dict[str, Case]:
    faults: list[Fault] = []
    found = read_cases(data, name, faults)
    if faults:
        raise SpecFaults(faults)
    return {case.id: case for case, _ in found}


def _spelled(cases: Mapping[str, Case]) -> list[bytes]:
    """All that is said of the cases, in their order; their lines may be others."""
    return [to_json([msgspec.structs.replace(case, at="", expect=None), held(case.expect)]) for case in cases.values()]


def _steps(changes: Sequence[Change]) -> list[tuple[tuple[str | int, ...], Any]]:
    return [(change.path, change.now) for change in changes]


# --------------------------------------------------------------------------------------------- formats

_Rewrite = Callable[[str, int, list[Change]], list[Replacement]]


def _jsonl_rows(text: str, cases: Mapping[str, Case]) -> _Rewrite:
    starts = [0]
    for row in text.split("\n"):
        starts.append(starts[-1] + len(row) + 1)

    def rewrite(case: str, line: int, changes: list[Change]) -> list[Replacement]:
        number = int(cases[case].at.rpartition(":")[2])
        start = json_text.skip(text, starts[number - 1])
        return [_json_case(text, start, changes)]

    return rewrite


def _json_rows(text: str, cases: Mapping[str, Case]) -> _Rewrite:
    rows = json_text.members(text, json_text.skip(text, 0))
    starts = dict(zip(cases, (row.start for row in rows), strict=True))

    def rewrite(case: str, line: int, changes: list[Change]) -> list[Replacement]:
        return [_json_case(text, starts[case], changes)]

    return rewrite


def _json_case(text: str, start: int, changes: list[Change]) -> Replacement:
    end = json_text.value_end(text, start)
    made = text[start:end]
    for path, now in _steps(changes):
        made = json_text.put_text(made, ("expect", *path), now)
    return start, end, made


def _csv_rows(text: str, cases: Mapping[str, Case]) -> _Rewrite:
    def rewrite(case: str, line: int, changes: list[Change]) -> list[Replacement]:
        if not rows:
            rows.extend(csv_text.rows(text))
        if len(rows) != len(cases) + 1:
            raise json_text.Elsewhere
        return csv_text.put_cells([cell.text for cell in rows[0]], rows[places[case]], _steps(changes))

    rows: list[list[csv_text.Cell]] = []
    places = {case: number for number, case in enumerate(cases, 1)}
    return rewrite


def _yaml(data: bytes, text: str, name: str) -> _Sheet:
    document = _document(data, name)
    cases = yaml_text.case_nodes(text)

    def node(case: str, line: int) -> yaml_text.Node:
        return yaml_text.case_node(cases, case, line)

    def expect(case: str, line: int) -> Any:
        return look(document, (*node(case, line).path, "expect"))

    def rewrite(case: str, line: int, changes: list[Change]) -> list[Replacement]:
        return yaml_text.put_values(text, node(case, line), _steps(changes))

    def holds(made: bytes, changes: Mapping[tuple[str, int], list[Change]]) -> bool:
        wanted = bare(document)  # a copy, in which each case is changed where it stands
        for (case, line), mine in changes.items():
            row = look(wanted, node(case, line).path)
            row["expect"] = _changed(row["expect"], mine)
        try:
            return to_json(_document(made, name)) == to_json(wanted)
        except SpecFaults:
            return False

    return _Sheet(expect, rewrite, holds)


def _document(data: bytes, name: str) -> Any:
    faults: list[Fault] = []
    document = bare(read_yaml(data, name, faults))
    if faults:
        raise SpecFaults(faults)
    return document
