"""Sections that are made to fit: what comes first is kept, and what is left out is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_RESERVE = 200
"""Bytes for the words that tell what is left out."""


class Section(NamedTuple):
    """A part of the page, of which the first rows matter most."""

    title: str
    rows: Sequence[str]
    head: str = ""
    """What stands above the rows and is no row, such as a table's first two lines."""
    foot: str = ""
    apart: str = "\n"
    """What stands between rows."""


def fitted(sections: Sequence[Section], most: int) -> str:
    """The sections in their order, in no more bytes than these. No section takes more than half of what is left."""
    told: list[str] = []
    left = most
    for number, section in enumerate(sections):
        last = number == len(sections) - 1
        text = _within(section, left if last else max(left // 2, left - _whole(sections[number + 1 :])))
        if text:
            told.append(text)
            left -= len(text.encode()) + 2
    return "\n\n".join(told) + "\n"


def _whole(sections: Sequence[Section]) -> int:
    """Bytes that these take where nothing is left out."""
    return sum(len(_text(section, section.rows).encode()) + 2 for section in sections)


def _within(section: Section, most: int) -> str:
    whole = _text(section, section.rows)
    if len(whole.encode()) <= most:
        return whole
    room = most - len(_text(section, ()).encode()) - _RESERVE
    kept: list[str] = []
    for row in section.rows:
        room -= len((row + section.apart).encode())
        if room < 0:
            break
        kept.append(row)
    missing = len(section.rows) - len(kept)
    more = f"\n\n*{missing} more {'is' if missing == 1 else 'are'} left out here; `report.html` has them all.*"
    told = _text(section, kept, more)
    return told if len(told.encode()) <= most else ""


def _text(section: Section, rows: Sequence[str], more: str = "") -> str:
    title = [section.title] if section.title else []
    body = "\n".join([*([section.head] if section.head else []), *([section.apart.join(rows)] if rows else [])]) + more
    foot = [section.foot] if section.foot else []
    return "\n\n".join([*title, *([body] if body else []), *foot])
