"""Many strange specs tried one after the other, what came of them counted, and what broke made small."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.ground import Ground, Tried, peak
from tests.fuzz.inputs import Input, inputs

_NEAR = 1
_TRIES = 400


class Broken(NamedTuple):
    """An input that did what none may do."""

    number: int
    how: str
    why: str
    spec: bytes
    file: str
    data: bytes
    """The least that still does it: of the spec, or of the file beside it."""

    def __str__(self) -> str:
        return f"input {self.number} ({self.how}): {self.why}\n{self.file}, at its smallest:\n{self.data!r}"


class Tally:
    """What came of a number of inputs."""

    def __init__(self) -> None:
        self.tried = self.fine = 0
        self.near = self.far = 0
        self.slowest: tuple[float, int] = (0.0, -1)
        self.grown = 0
        self.ways: Counter[str] = Counter()
        self.distant: list[str] = []
        self.broken: list[Broken] = []

    @property
    def share(self) -> float:
        """The faults told within a line of the one thing that was changed, or of its other end."""
        return self.near / max(1, self.near + self.far)

    def add(self, other: Tally) -> None:
        self.tried, self.fine = self.tried + other.tried, self.fine + other.fine
        self.near, self.far = self.near + other.near, self.far + other.far
        self.slowest, self.grown = max(self.slowest, other.slowest), max(self.grown, other.grown)
        self.ways += other.ways
        self.distant += other.distant
        self.broken += other.broken


def run(ground: Ground, seed: int, first: int, last: int) -> Tally:
    """Try the inputs number `first` to `last` of a seed."""
    tally = Tally()
    before = peak()
    for number, given in inputs(ground, seed, first, last):
        with ground.with_files(given.files):
            tried = ground.try_specs(given.planned, trusted=given.trusted)
        tally.tried += 1
        tally.ways[given.how] += 1
        tally.fine += not tried.faults and not tried.broke
        tally.slowest = max(tally.slowest, (tried.seconds, number))
        _locate(tally, number, given, tried)
        if tried.broke:
            tally.broken.append(_smallest(ground, number, given, tried.broke))
    tally.grown = peak() - before
    return tally


def _locate(tally: Tally, number: int, given: Input, tried: Tried) -> None:
    for fault in tried.faults if given.place is not None else ():
        page, line, _ = fault.spot
        if any(page.name == name and abs(line - place) <= _NEAR for name, place in given.place or ()):
            tally.near += 1
        else:
            tally.far += 1
            lines = sorted({line for _, line in given.place or ()})
            tally.distant.append(f"input {number} ({given.how}), changed at {lines}: {fault.spot}: {fault.what[:120]}")


def _smallest(ground: Ground, number: int, given: Input, why: str) -> Broken:
    """The input with all taken out that does not matter; of several files the one that was changed last."""
    name = list(given.files)[-1]
    wanted = _sort(why)

    def still(data: bytes) -> bool:
        with ground.with_files({**given.files, name: data}):
            return _sort(ground.try_specs(given.planned, trusted=given.trusted).broke) == wanted

    return Broken(number, given.how, why, given.files[given.spec], name, shrunk(given.files[name], still))


def _sort(why: str) -> str:
    """What kind of breaking it is, wherever it shows."""
    return re.sub(r"[^\s:]+:\d+:\d+|\d+|`[^`]*`", "", why.partition("\n")[0])[:60]


def shrunk(data: bytes, still: Callable[[bytes], bool], tries: int = _TRIES) -> bytes:
    """The least of some data of which something still holds, line by line and then byte by byte."""
    for split in (lambda b: b.split(b"\n"), lambda b: [b[i : i + 1] for i in range(len(b))]):
        glue = b"\n" if split(b"a\nb") == [b"a", b"b"] else b""
        parts = split(data)
        size = max(1, len(parts) // 2)
        while size and tries > 0:
            at = 0
            while at < len(parts) and tries > 0:
                fewer = parts[:at] + parts[at + size :]
                tries -= 1
                if still(glue.join(fewer)):
                    parts = fewer
                else:
                    at += size
            size //= 2
        data = glue.join(parts)
    return data


def laid_out(folder: Path) -> Ground:
    """A ground below a folder that is there."""
    folder.mkdir(exist_ok=True)
    return Ground(folder)
