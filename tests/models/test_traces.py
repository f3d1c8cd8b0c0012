"""Rows of numbers told of in a few words: their digest, and the likeliest of them in their order."""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.traces import FEW, TOLD, place


def _ordered(row: np.ndarray) -> list[int]:
    """The slow way."""
    odd = np.isnan(row).tolist()
    return sorted(range(len(row)), key=lambda at: (odd[at], 0.0 if odd[at] else -float(row[at]), at))


FLOATS = st.floats(width=32)
COARSE = st.sampled_from([-math.inf, -1.5, -0.0, 0.0, 2.0, math.inf, math.nan])


@given(arrays(np.float32, st.integers(0, 40), elements=FLOATS | COARSE))
def test_a_short_row_is_told_whole_the_likeliest_first_and_what_is_no_number_last(row: np.ndarray) -> None:
    found = place(row)
    assert found.choices == tuple(_ordered(row))
    np.testing.assert_array_equal(np.array(found.values, np.float32), row[list(found.choices)])
    assert found.bits == blake2b(row.tobytes(), digest_size=8).hexdigest()


@settings(max_examples=50)
@given(
    st.integers(FEW - 2, FEW + 400),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 50, 10_000]),
    st.sampled_from([0, 5, FEW - 30, FEW]),
)
def test_of_a_long_row_the_largest_are_told_and_equal_ones_in_their_order(
    many: int, seed: int, levels: int, missing: int
) -> None:
    random = np.random.default_rng(seed)
    row = random.integers(0, levels, many).astype(np.float32)
    row[random.permutation(many)[: min(missing, many)]] = np.nan
    found = place(row)
    assert found.choices == tuple(_ordered(row)[: many if many <= FEW else TOLD])
    np.testing.assert_array_equal(np.array(found.values, np.float32), row[list(found.choices)])


def test_the_digest_tells_rows_apart_that_differ_in_one_bit() -> None:
    row = np.linspace(-3, 3, 5000, dtype=np.float32)
    other = row.copy()
    other[4321] = np.nextafter(other[4321], np.float32(9))
    assert place(row) == place(row.copy())
    assert place(row).bits != place(other).bits
    assert place(np.array([0.0], np.float32)).bits != place(np.array([-0.0], np.float32)).bits


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int64])
def test_numbers_of_another_type_are_told_as_float32(kind: type) -> None:
    row = np.array([1, 5, 3], kind)
    assert place(row) == place(row.astype(np.float32))
    assert place(np.array([1e300, 0.5])).values == (math.inf, 0.5)


def test_a_row_need_not_lie_in_one_piece() -> None:
    square = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert place(square[:, 1]) == place(square[:, 1].copy())
