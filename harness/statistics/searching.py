"""Where something that grows begins to be true."""

from __future__ import annotations

from collections.abc import Callable

MOST = 1_000_000


def nearest(true: Callable[[float], bool], far: float, near: float, steps: int = 30) -> float | None:
    """The number farthest from `near` towards `far` at which it is true; None where it is not even at `near`."""
    if not true(near):
        return None
    for _ in range(steps):
        middle = (far + near) / 2
        far, near = (far, middle) if true(middle) else (middle, near)
    return near


def enough(true: Callable[[int], bool], start: int) -> int | None:
    """A number from which on it is true, as far as doubling and halving tell; None where a million is not."""
    many = max(1, start)
    if true(many):
        low = 0
    else:
        low = many
        while not true(many):
            low, many = many, many * 2
            if many > MOST:
                return None
    while many - low > max(1, many // 100):
        middle = (low + many) // 2
        low, many = (low, middle) if middle and true(middle) else (middle, many)
    return many
