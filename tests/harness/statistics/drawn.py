"""Data of every sort that a method must bear, and what it owes whatever they are."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from hypothesis import strategies as st

from harness.statistics.estimate import Estimate

NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-3, 3).map(float)
    | st.floats(-1, 1)
    | st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 1.7e308, -1.7e308, 0.1, 1 + 2**-52])
)
ORDINARY = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))
FEW = st.lists(NUMBERS, min_size=1, max_size=8)
SOME = FEW | st.lists(NUMBERS, min_size=1, max_size=40) | st.lists(st.sampled_from([0.0, 0.0, 1.0]), min_size=1)
UNIT = st.lists(st.floats(-1, 1) | st.sampled_from([-1.0, 0.0, 1.0, 5e-324]), min_size=1, max_size=40)
LEVELS = st.floats(1e-9, 1 - 1e-9) | st.sampled_from([0.5, 0.9, 0.95])
ALPHAS = st.floats(1e-9, 0.49) | st.just(0.05)
ALTERNATIVES = st.sampled_from(["two-sided", "greater", "less"])


def sound(answer: object) -> bool:
    """No NaN and no infinity; a bound on each side of the estimate, or a reason for none. Warnings are errors anyway."""
    for number in _numbers(answer):
        assert isfinite(number)
    for found in _estimates(answer):
        assert found.method
        assert found.n >= 1
        assert 0 <= found.effective_n <= found.n
        assert found.p is None or 0 <= found.p <= 1
        assert found.estimate is not None or found.reason
        if found.interval is not None:
            assert found.estimate is not None
            assert found.interval[0] <= found.estimate <= found.interval[1]
            assert all(type(bound) is float for bound in found.interval)
        elif found.p is None or found.p == 1:
            assert found.reason
    return True


def _numbers(answer: object) -> Iterator[float]:
    if isinstance(answer, int | float):
        yield answer
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from _numbers(part)


def _estimates(answer: object) -> Iterator[Estimate]:
    if isinstance(answer, Estimate):
        yield answer
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from _estimates(part)
