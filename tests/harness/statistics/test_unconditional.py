"""The exact bounds of paired shares, against their definition by enumeration in plain arithmetic."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.score import tango
from harness.statistics.unconditional import MANY, bounds, p_over


def chance(gained: int, lost: int, n: int, up: float, down: float) -> float:
    same = n - gained - lost
    return comb(n, gained) * comb(n - gained, lost) * up**gained * down**lost * max(0.0, 1 - up - down) ** same


@pytest.mark.parametrize("n", [1, 2, 7, 15])
def test_neither_bound_misses_more_often_than_it_says(n: int) -> None:
    """Each of all tables, at true differences and shares that differ of all sizes."""
    found = {(g, lost): bounds(g, lost, n, 0.9) for g in range(n + 1) for lost in range(n + 1 - g)}
    for tenth in range(-9, 10):
        for share in range(max(1, abs(tenth)), 11):
            difference, discordant = tenth / 10, share / 10
            up, down = (discordant + difference) / 2, (discordant - difference) / 2
            above = sum(chance(*table, n, up, down) for table, (low, _) in found.items() if low > difference + 1e-9)
            below = sum(chance(*table, n, up, down) for table, (_, high) in found.items() if high < difference - 1e-9)
            assert max(above, below) <= 0.1 + 1e-9


def test_the_worst_case_of_tango_s_bound_is_mended() -> None:
    """Of 133 pairs none differs 6.8 % of the time, where 2 % are lost."""
    assert tango(0, 0, 133, 0.95)[0] > -0.02
    assert 0.98**133 > 0.068
    assert bounds(0, 0, 133, 0.95)[0] < -0.02
    assert p_over(0, 0, 133, -0.02, 0.95) == pytest.approx(0.98**133, abs=2e-6)


@settings(max_examples=25)
@given(
    st.integers(1, 300).flatmap(
        lambda n: st.integers(0, n).flatmap(lambda g: st.tuples(st.just(g), st.integers(0, n - g), st.just(n)))
    ),
    st.sampled_from([0.5, 0.8, 0.95, 0.999]),
)
def test_the_bounds_hold_the_estimate_and_turn_round(counts: tuple[int, int, int], confidence: float) -> None:
    gained, lost, n = counts
    low, high = bounds(*counts, confidence)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert bounds(lost, gained, n, confidence) == pytest.approx((-high, -low), abs=1e-8)
    if low > -1:
        assert p_over(*counts, low, confidence) == pytest.approx(1 - confidence, rel=1e-5)


def test_tango_s_bounds_take_over_where_they_are_as_good() -> None:
    before, after = bounds(MANY // 2, MANY // 2, 10**6, 0.95), bounds(MANY // 2, MANY // 2 + 1, 10**6, 0.95)
    assert before == pytest.approx(after, abs=2e-6)


@pytest.mark.parametrize("confidence", [0.4, 1.0, float("nan")])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        bounds(1, 2, 10, confidence)
