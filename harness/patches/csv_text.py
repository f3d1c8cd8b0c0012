"""A row of CSV with some of its cells changed, and every other byte left as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET

from harness.patches.json_text import Elsewhere, put_text


class Cell(NamedTuple):
    start: int
    end: int
    text: str
    quoted: bool


def rows(text: str) -> list[list[Cell]]:
    """The cells of each row that is not empty."""
    found: list[list[Cell]] = []
    row: list[Cell] = []
    offset, size = 0, len(text)
    while offset < size:
        if not row and text[offset] in "\r\n":
            offset += 1
            continue
        cell, offset = _cell(text, offset)
        row.append(cell)
        if offset < size and text[offset] == ",":
            offset += 1
            if offset < size:
                continue
            row.append(Cell(offset, offset, "", False))
        elif offset < size and text[offset] == "\r":
            offset += 1
        found.append(row)
        row = []
        offset += text[offset : offset + 1] == "\n"
    return found


def _cell(text: str, start: int) -> tuple[Cell, int]:
    offset = start
    if text[start : start + 1] != '"':
        while offset < len(text) and text[offset] not in ",\r\n":
            offset += 1
        return Cell(start, offset, text[start:offset], False), offset
    parts = []
    while True:
        close = text.find('"', offset + 1)
        if close < 0:
            raise Elsewhere
        parts.append(text[offset + 1 : close])
        offset = close + 1
        if text[offset : offset + 1] != '"':
            return Cell(start, offset, '"'.join(parts), True), offset


def put_cells(
    header: Sequence[str], row: Sequence[Cell], changes: Sequence[tuple[tuple[str | int, ...], Any]]
) -> list[tuple[int, int, str]]:
    """What to write where, so that a row's `expect` has other values at these places."""
    texts = {index: cell.text for index, cell in enumerate(row)}
    for path, now in changes:
        index, rest = _column(header, texts, path)
        texts[index] = _changed(texts[index], rest, now)
    return [
        (cell.start, cell.end, _quoted(texts[index], cell.quoted))
        for index, cell in enumerate(row)
        if texts[index] != cell.text
    ]


def _column(
    header: Sequence[str], texts: dict[int, str], path: tuple[str | int, ...]
) -> tuple[int, tuple[str | int, ...]]:
    """The column that holds a place, and the way from there within its cell."""
    for length in range(len(path), -1, -1):
        name = ["expect", *path[:length]]
        for index, column in enumerate(header):
            if column.split(".") == name and (texts[index] != "" or length == len(path)):
                return index, path[length:]
    raise Elsewhere


def _changed(text: str, rest: tuple[str | int, ...], now: Any) -> str:
    if rest:
        try:
            return put_text(text, rest, now)
        except (ValueError, IndexError, RecursionError):
            raise Elsewhere from None
    if now is UNSET:
        return ""
    if isinstance(now, str) and now and not _is_json(now):
        return now
    return json.dumps(now, ensure_ascii=False, allow_nan=False)


def _is_json(text: str) -> bool:
    """Whether a cell with this text may be read as JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def _quoted(text: str, quoted: bool) -> str:
    if quoted or any(c in text for c in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
