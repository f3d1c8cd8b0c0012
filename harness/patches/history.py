"""Who changed which expectation, when and why: lines beside the file of cases, only ever added to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from harness.patches.changes import Change

ENDING = ".history.jsonl"


class Entry(Struct, frozen=True, kw_only=True, tag_field="is", tag="accepted"):
    """One place that was changed. Those that were written together have `before` and `after` in common."""

    file: str
    line: int
    case: str
    path: tuple[str | int, ...]
    kind: str = field(name="class")
    was: Any | UnsetType = UNSET
    now: Any | UnsetType = UNSET
    who: str
    why: str
    when: str
    run: str
    """Whose answer it is."""
    checks: tuple[str, ...]
    before: str
    """Digest of the file that it was written into."""
    after: str

    def change(self) -> Change:
        return Change(
            file=self.file,
            line=self.line,
            case=self.case,
            checks=self.checks,
            path=self.path,
            kind=self.kind,
            was=self.was,
            now=self.now,
        )


class Torn(Exception):
    """A history that is not as it was written."""


_decoder = msgspec.json.Decoder(Entry)


def beside(name: str) -> str:
    """Where the history of a file is kept: `digits.jsonl` has `digits.history.jsonl`."""
    return Path(name).with_suffix(ENDING).as_posix()


def read_history(data: bytes, name: str) -> list[Entry]:
    entries = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                entries.append(_decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise Torn(f"{name}:{number}: this is no line of a history: {error}; mend it or take it out") from None
    return entries


def of_file(entries: Iterable[Entry], name: str) -> list[Entry]:
    return [entry for entry in entries if entry.file == name]


def added(data: bytes, entries: Iterable[Entry]) -> bytes:
    """A history with more lines at its end."""
    lead = b"\n" if data and not data.endswith(b"\n") else b""
    return data + lead + b"".join(_line(entry) for entry in entries)


def _line(entry: Entry) -> bytes:
    """A line in which nothing is unseen."""
    text = msgspec.json.encode(entry).decode()
    if text.isprintable():
        return text.encode() + b"\n"
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text).encode() + b"\n"


def follows(entries: Iterable[Entry], was: str, now: str) -> bool:
    """Whether nothing but what was accepted lies between two states of a file."""
    steps: dict[str, set[str]] = {}
    for entry in entries:
        steps.setdefault(entry.before, set()).add(entry.after)
    reached, waiting = {was}, [was]
    while waiting:
        fresh = steps.get(waiting.pop(), set()) - reached
        reached |= fresh
        waiting += fresh
    return now in reached


def unfinished(entries: Sequence[Entry], now: str) -> list[Entry]:
    """The entries of a file, in this state, that were accepted last and are not in it: it was cut short, or undone."""
    if not entries or entries[-1].before != now or entries[-1].after == now:
        return []
    last = entries[-1]
    return [
        entry for entry in entries if (entry.before, entry.after, entry.when) == (last.before, last.after, last.when)
    ]
