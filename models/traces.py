"""What an answer was chosen from, in few words: a row of numbers as its digest and its likeliest choices."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contract import Place

FEW = 1024
"""Choices that are all told of."""
TOLD = 64
"""Choices that are told of where they are more."""


def place(row: NDArray[Any]) -> Place:
    """The numbers of one place, rounded to float32 if they are not; what is not a number comes last."""
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.ascontiguousarray(row, dtype="<f4")
        chosen = _likeliest(-numbers)
    bits = hashlib.blake2b(numbers.tobytes(), digest_size=8).hexdigest()
    return Place(bits, tuple(chosen.tolist()), tuple(numbers[chosen].tolist()))


def _likeliest(unlikely: NDArray[np.float32]) -> NDArray[np.intp]:
    """The places of the smallest numbers, in their order; of equal ones the first comes first."""
    if len(unlikely) <= FEW:
        return np.argsort(unlikely, kind="stable")
    last = np.partition(unlikely, TOLD - 1)[TOLD - 1]
    within = np.flatnonzero(~(unlikely > last))
    return within[np.argsort(unlikely[within], kind="stable")[:TOLD]]
