"""What the matrix says of one case and one axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

State = Literal["bits", "tokens", "different", "unsupported", "error"]
"""Bit-identical; the same tokens or class, from other numbers; another answer; not to be varied; not answered."""

WORST: Mapping[State, int] = {"error": 0, "different": 1, "tokens": 2, "bits": 3, "unsupported": 4}


class Cell(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One case on one axis: of all its runs, the one that was farthest from the reference."""

    state: State
    runs: int = 0
    """Runs that were held against the reference."""
    differ: int = 0
    """How many of them were not the same to the bit."""
    run: str = ""
    """Which it was that differed most."""
    gap: float | None = None
    """The largest distance between numbers of the two, or at the place where they part; None where it can't be told."""
    within: bool = True
    """Whether all numbers are as close as the spec asks."""
    at: str = ""
    """Where they part: `token 3`, or a field of the answer."""
    place: int | None = None
    """The same, as a place among the tokens."""
    here: Any = None
    there: Any = None
    """What the reference has there, and what the run has; of texts, what stands around the place."""
    margin: float | None = None
    """By how much the reference preferred its own choice there to the other's."""
    answer: Any = msgspec.UNSET
    """The other answer, where it is another."""
    moved: bool | None = None
    """Whether another seed gave another answer, where that was asked."""
    samples: bool | None = None
    """Whether the model says that it draws by chance."""
    why: str = ""


class Record(msgspec.Struct, kw_only=True):
    """What is recorded of a case."""

    answer: Any
    """The reference: what the model answers in every other check."""
    tokens: str
    """Digest of what it says, apart from the numbers."""
    bits: str
    """Digest of all of it, and of the numbers that it was chosen from."""
    backend: str
    cells: dict[str, Cell]


def record_of(answer: Any) -> Record:
    """What an outcome has recorded; ValueError where that is none of ours."""
    try:
        return msgspec.convert(answer, Record)
    except msgspec.ValidationError as error:
        raise ValueError(f"it is no record of a matrix: {error}") from None


def holds(cell: Cell, require: str) -> bool | None:
    """Whether a cell is what was required; None where it says nothing."""
    if cell.state in ("unsupported", "error"):
        return None
    if require == "bits":
        return cell.state == "bits"
    return cell.state in ("bits", "tokens") and (require == "tokens" or cell.within)
