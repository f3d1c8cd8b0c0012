"""What is wrong with a spec, where, and what to write instead."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.inert import inert


class Page:
    """A file's text, kept so that an error can show the line it speaks of."""

    __slots__ = ("_lines", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._lines: list[str] | None = None

    def line(self, number: int) -> str:
        if self._lines is None:
            self._lines = self.text.split("\n")
        return self._lines[number - 1].rstrip("\r") if 0 < number <= len(self._lines) else ""


class Spot(NamedTuple):
    """A place in a file; line and column count from 1."""

    page: Page
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}:{self.column}"

    @property
    def short(self) -> str:
        return f"{self.page.name}:{self.line}"


class Fault(NamedTuple):
    spot: Spot
    code: str
    what: str
    instead: str = ""

    def __str__(self) -> str:
        """`file:line:column: code: what is wrong; what to write instead`, then the user's own line."""
        said = f"{self.spot}: {self.code}: {self.what}"
        if self.instead:
            said += f"; {self.instead}"
        said = _in_one_line(said)
        line = self.spot.page.line(self.spot.line)
        if not line.strip():
            return said
        shown, caret = _window(line, self.spot.column)
        return f"{said}\n  {self.spot.line:>4} | {shown}\n       | {caret}"


_LONG = 600
_LISTED = 50


def _in_one_line(said: str) -> str:
    """What is said may quote a text of many lines, or of many thousand characters."""
    shown = said if len(said) <= _LONG else f"{said[: _LONG // 2]} ... {said[-_LONG // 2 :]}"
    return visible(shown).replace("\n", "\\u000a")


def _window(line: str, column: int, width: int = 100) -> tuple[str, str]:
    """The part of a long line around a column, and the caret below it."""
    start = max(0, min(column - 1 - width // 2, len(line) - width)) if len(line) > width else 0
    part = visible(line[start : start + width])
    return part, " " * max(0, column - 1 - start) + "^"


def visible(text: str) -> str:
    """Control characters, ANSI escapes among them, made inert: no file may speak to a reader's terminal."""
    return inert("".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text))


class SpecFaults(Exception):
    """Everything that is wrong with the specs, at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = in_order(faults)
        super().__init__(f"{len(self.faults)} fault{'s' * (len(self.faults) != 1)} in the specs")

    def __str__(self) -> str:
        """Every file's faults, the first twenty of each: more than that has one cause."""
        lines: list[str] = []
        for name, found in itertools.groupby(self.faults, key=lambda fault: fault.spot.page.name):
            faults = list(found)
            lines += map(str, faults[:20])
            if len(faults) > 20:
                lines.append(f"{name}: and {len(faults) - 20} more")
        return "\n".join(lines)


def refusal(spot: Spot, code: str, what: str, instead: str = "") -> SpecFaults:
    """One fault after which there is no reading on."""
    return SpecFaults([Fault(spot, code, what, instead)])


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """By place; where several kinds of fault were found at one place, the first kind: the others follow from it."""
    first: dict[tuple[str, int, int], str] = {}
    kept: dict[tuple[str, str], Fault] = {}
    for fault in faults:
        spot = fault.spot
        if first.setdefault((spot.page.name, spot.line, spot.column), fault.code) == fault.code:
            kept.setdefault((str(spot), fault.what), fault)
    return sorted(kept.values(), key=lambda f: (f.spot.page.name, f.spot.line, f.spot.column))


_LIKELY = 100
"""The words that one is compared with: comparing takes long, and a spec may have thousands of names, and of slips."""


def meant(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?`, or the words there are."""
    words = sorted(known)
    likely = words
    if len(words) > _LIKELY:
        likely = sorted(words, key=lambda each: (each[:1] != word[:1], abs(len(each) - len(word)), each))[:_LIKELY]
    near = difflib.get_close_matches(word, likely, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known here: {listed(words)}" if words else ""


def listed(words: Sequence[str]) -> str:
    said = ", ".join(f"`{word}`" for word in words[:_LISTED])
    return f"{said} and {len(words) - _LISTED} more" if len(words) > _LISTED else said
