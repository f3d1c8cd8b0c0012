"""What a method says: an estimate, how sure one can be of it, and of how much it speaks."""

from __future__ import annotations

from typing import Literal, NamedTuple

Decision = Literal["pass", "fail", "inconclusive"]
"""Whether what is asked was shown, or its contrary, or neither."""


class Estimate(NamedTuple):
    """What came of a method. Nothing in it is ever NaN."""

    estimate: float | None
    interval: tuple[float, float] | None
    """Both bounds, None where the data bound nothing."""
    p: float | None
    method: str
    n: int
    """How many observations it was made from."""
    effective_n: float
    """How many independent ones tell as much: fewer where they come in clusters, repeats or ties."""
    reason: str = ""
    """Where it can claim nothing: why."""
