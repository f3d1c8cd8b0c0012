"""Cases, from a file (JSONL, JSON, YAML, CSV) or inline, each with the line it was written on."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from msgspec import UNSET

from harness.codec import DEPTH, plain
from harness.contract import Case, NotPlain
from harness.spec.envelope import CASE
from harness.spec.faults import Fault, Page, SpecFaults, Spot, meant, refusal
from harness.spec.text import Map, Seq, bare, place, read_text, read_yaml

MOST = 100_000
BYTES = 512_000_000
_KEYS = frozenset(CASE["properties"])
FORMATS = (".jsonl", ".json", ".yaml", ".yml", ".csv")


class Found(NamedTuple):
    """A case and where it was written."""

    case: Case
    spot: Spot


def read_cases(data: bytes, name: str, faults: list[Fault]) -> list[Found]:
    """The cases of a file, in its order."""
    rows: Iterator[tuple[Any, Spot]]
    if name.endswith((".yaml", ".yml")):
        document = read_yaml(data, name, faults)
        if not isinstance(document, Seq):
            top = Spot(Page(name, ""), 1, 1)
            faults.append(
                Fault(top, "wrong-type", "a case file is a list of cases", "start each case with `- id:`")
                if document is not None
                else Fault(top, "empty", "the file is empty", "write a list of cases")
            )
            return []
        return inline_cases(document, faults)
    page = read_text(data, name, BYTES)
    if name.endswith(".jsonl"):
        rows = _jsonl(page, faults)
    elif name.endswith(".json"):
        rows = _json(page)
    elif name.endswith(".csv"):
        rows = _csv(page)
    else:
        raise refusal(
            Spot(page, 1, 1),
            "format",
            f"`{name}` has none of the endings of a case file",
            f"use one of {', '.join(FORMATS)}",
        )
    return _collect(rows, faults, Spot(page, 1, 1))


def inline_cases(cases: Seq, faults: list[Fault]) -> list[Found]:
    return _collect(zip(cases, cases.items_at, strict=True), faults, cases.spot)


def _collect(rows: Iterator[tuple[Any, Spot]] | Any, faults: list[Fault], top: Spot) -> list[Found]:
    found: list[Found] = []
    first: dict[str, int] = {}
    for number, (row, spot) in enumerate(rows):
        if number >= MOST:
            raise SpecFaults(
                [
                    *faults,
                    Fault(
                        spot, "too-many-cases", f"more than {MOST:,} cases in one file", "split it over several checks"
                    ),
                ]
            )
        case = _case(row, spot, faults)
        if case is None:
            continue
        if case.id in first:
            faults.append(
                Fault(
                    spot,
                    "duplicate-id",
                    f"the id `{case.id}` stands here and on line {first[case.id]}",
                    "give each case an id of its own",
                )
            )
            continue
        first[case.id] = spot.line
        found.append(Found(case, spot))
    if not found and not faults:
        faults.append(Fault(top, "no-cases", "there is no case here", "write at least one"))
    return found


def _case(row: Any, spot: Spot, faults: list[Fault]) -> Case | None:
    if not isinstance(row, dict):
        faults.append(Fault(spot, "wrong-type", "a case is a mapping", "write {id: ..., input: ..., expect: ...}"))
        return None
    bad = len(faults)
    at = row.values_at if isinstance(row, Map) else {}
    for key in sorted(row.keys() - _KEYS):
        where = row.keys_at[key] if isinstance(row, Map) else spot
        faults.append(Fault(where, "unknown-key", f"`{key}` is not a key of a case", meant(key, _KEYS)))
    lacking = [key for key in ("id", "input") if key not in row]
    faults += [Fault(spot, "missing-key", f"the case has no `{key}`", f"write `{key}:`") for key in lacking]
    name, tags, weight, cluster = row.get("id", "-"), row.get("tags", ()), row.get("weight", 1), row.get("cluster", "")
    if not isinstance(name, str):
        faults.append(
            Fault(
                at.get("id", spot), "wrong-type", f"the id {json.dumps(bare(name))} is not text", f'quote it: "{name}"'
            )
        )
    elif not (0 < len(name) <= 200 and name.isprintable() and name == name.strip()):
        faults.append(
            Fault(
                at.get("id", spot),
                "wrong-value",
                "an id is 1 to 200 printable characters without spaces at its ends",
                "shorten or clean it",
            )
        )
    if not (isinstance(tags, list | tuple) and all(isinstance(tag, str) for tag in tags)):
        faults.append(
            Fault(at.get("tags", spot), "wrong-type", "`tags` is not a list of words", "write tags: [one, two]")
        )
    if type(weight) not in (int, float) or not 0 < weight < float("inf"):
        faults.append(
            Fault(
                at.get("weight", spot),
                "wrong-value",
                "`weight` is not a finite number above 0",
                "write one, or leave it out",
            )
        )
    if not isinstance(cluster, str):
        faults.append(Fault(at.get("cluster", spot), "wrong-type", "`cluster` is not text", "quote it"))
    if len(faults) > bad:
        return None
    if isinstance(row, Map):
        row = bare(row)
    return Case(
        id=name,
        input=row["input"],
        expect=row.get("expect", UNSET),
        tags=tuple(tags),
        weight=float(weight),
        cluster=cluster,
        at=spot.short,
    )


class _Bad(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Bad(f"duplicate-key: `{key}` stands twice in one object; keep one")
            seen.add(key)
    return made


def _constant(word: str) -> NoReturn:
    raise _Bad(f"number: {word} is not a JSON number; write a finite one")


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise _Bad("number: the number does not fit in 64 bits; quote it")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Bad("number: the number is infinite; write a finite one")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_whole, parse_float=_real)


def _decode(page: Page, start: int, stop: int, line: int, column: int) -> tuple[Any, int]:
    """The JSON value that starts at `start` and should end by `stop`, and the offset where it ends."""
    spot = Spot(page, line, column)
    try:
        value, end = _decoder.raw_decode(page.text, start)
        if _doubtful(page.text, start, end):
            plain(value)
    except json.JSONDecodeError as error:
        raise refusal(
            Spot(page, *place(page.text, min(error.pos, stop))),
            "json",
            f"this is not JSON: {error.msg}",
            "mend it here",
        ) from None
    except _Bad as error:
        code, _, said = str(error).partition(": ")
        what, _, instead = said.partition("; ")
        raise refusal(spot, code, what, instead) from None
    except NotPlain as error:
        if str(error).startswith("nested"):
            raise refusal(spot, "too-deep", f"nested more than {DEPTH} deep", "flatten it") from None
        raise refusal(spot, "not-plain", f"the value holds {error}", "write plain JSON") from None
    except RecursionError:
        raise refusal(spot, "too-deep", "nested too deep", "flatten it") from None
    except ValueError as error:
        raise refusal(spot, "number", str(error).split(";")[0], "quote it") from None
    return value, end


def _doubtful(text: str, start: int, end: int) -> bool:
    """Whether what stands here may be JSON that is not plain: too deep, or with a lone surrogate in it."""
    opened = text.count("[", start, end) + text.count("{", start, end)
    return opened > DEPTH or text.find("\\u", start, end) >= 0


def _jsonl(page: Page, faults: list[Fault]) -> Iterator[tuple[Any, Spot]]:
    offset, text = 0, page.text
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.isspace():
            start = offset + len(line) - len(line.lstrip())
            try:
                value, end = _decode(page, start, offset + len(line.rstrip()), number, start - offset + 1)
            except SpecFaults as stop:
                faults.extend(stop.faults)
            else:
                rest = text[end : offset + len(line)]
                if end > offset + len(line) or (rest and not rest.isspace()):
                    faults.append(
                        Fault(
                            Spot(page, number, min(end - offset, len(line)) + 1),
                            "json",
                            "a line of JSONL holds one JSON object",
                            "put each case on one line of its own",
                        )
                    )
                else:
                    yield value, Spot(page, number, start - offset + 1)
        offset += len(line) + 1


def _json(page: Page) -> Iterator[tuple[Any, Spot]]:
    """The items of a JSON list, one after the other, so that each has its line."""
    text = page.text
    end = _blank(text, 0)
    line, last, begun = 1 + text.count("\n", 0, end), end, text.rfind("\n", 0, end) + 1
    if text[end : end + 1] != "[":
        raise refusal(
            Spot(page, *place(text, end)),
            "wrong-type" if text[end:] else "empty",
            "a JSON case file is a list of cases",
            "write [{...}, {...}]",
        )
    end = _blank(text, end + 1)
    while text[end : end + 1] != "]":
        line += text.count("\n", last, end)
        begun, last = max(begun, text.rfind("\n", last, end) + 1), end
        column = end - begun + 1
        value, end = _decode(page, end, len(text), line, column)
        yield value, Spot(page, line, column)
        end = _blank(text, end)
        if text[end : end + 1] == ",":
            comma, end = end, _blank(text, end + 1)
            if text[end : end + 1] == "]":
                raise refusal(Spot(page, *place(text, comma)), "json", "no case follows this `,`", "remove it")
        elif text[end : end + 1] != "]":
            raise refusal(Spot(page, *place(text, end)), "json", "a `,` or the closing `]` is missing", "mend it here")
    if text[end + 1 :].strip():
        raise refusal(
            Spot(page, *place(text, _blank(text, end + 1))), "json", "there is more after the list", "remove it"
        )


def _blank(text: str, offset: int) -> int:
    while text[offset : offset + 1] in (" ", "\t", "\n", "\r") and offset < len(text):
        offset += 1
    return offset


def _csv(page: Page) -> Iterator[tuple[Any, Spot]]:
    """Columns id, input, expect, ...; `expect.label` makes an object; a cell that is JSON is read so, else as text."""
    reader = csv.reader(io.StringIO(page.text), strict=True)
    narrower = csv.field_size_limit(BYTES)
    try:
        header = next(reader, [])
        top = Spot(page, 1, 1)
        if not header:
            raise refusal(top, "empty", "the file is empty", "start with a line of column names: id,input,expect")
        if len(set(header)) != len(header):
            raise refusal(top, "duplicate-key", "a column name stands twice", "keep one")
        before = reader.line_num
        for cells in reader:
            spot = Spot(page, before + 1, 1)
            before = reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                raise refusal(
                    spot,
                    "csv",
                    f"{len(cells)} cells under {len(header)} column names",
                    "quote a cell that holds a comma",
                )
            yield _row(header, cells, spot), spot
    except csv.Error as error:
        raise refusal(Spot(page, max(1, reader.line_num), 1), "csv", str(error), "mend the quotes") from None
    finally:
        csv.field_size_limit(narrower)


def _row(header: list[str], cells: list[str], spot: Spot) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column, cell in zip(header, cells, strict=True):
        if column in ("id", "cluster"):
            row[column] = cell
        elif column == "tags":
            row[column] = cell.split()
        elif cell != "":
            into: Any = row
            *path, last = column.split(".")
            for step in path:
                into = into.setdefault(step, {}) if isinstance(into, dict) else None
            if not isinstance(into, dict) or last in into:
                what = f"`{column}` and another column claim the same place"
                raise refusal(Spot(spot.page, 1, 1), "csv", what, "keep one")
            into[last] = _cell(cell)
    row.setdefault("input", "")
    try:
        plain(row)
    except NotPlain:
        raise refusal(spot, "too-deep", f"nested more than {DEPTH} deep", "flatten it") from None
    return row


def _cell(cell: str) -> Any:
    try:
        return plain(_decoder.decode(cell))
    except (ValueError, RecursionError):
        return cell
