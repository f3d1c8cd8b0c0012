"""Differences between two that were asked the same cases: Tango's bounds, and what they need."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.paired import deciding_pairs, least_pairs, median_at_least, p_above, tango


@st.composite
def pairs(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 400))
    gained = draw(st.integers(0, n))
    return gained, draw(st.integers(0, n - gained)), n


@given(pairs(), st.floats(0.5, 0.999))
def test_the_bounds_hold_the_estimate_between_them_and_stay_possible(
    given: tuple[int, int, int], confidence: float
) -> None:
    gained, lost, n = given
    low, high = tango(gained, lost, n, confidence)
    assert -1 <= low <= (gained - lost) / n + 1e-9
    assert (gained - lost) / n - 1e-9 <= high <= 1


@given(pairs(), st.floats(0.5, 0.999))
def test_exchanging_the_two_turns_the_bounds_round(given: tuple[int, int, int], confidence: float) -> None:
    gained, lost, n = given
    low, high = tango(gained, lost, n, confidence)
    turned = tango(lost, gained, n, confidence)
    assert turned == pytest.approx((-high, -low), abs=1e-9)


@settings(deadline=None)
@given(pairs(), st.floats(0.01, 0.5), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_bound_and_the_p_say_the_same(given: tuple[int, int, int], margin: float, confidence: float) -> None:
    gained, lost, n = given
    low, _ = tango(gained, lost, n, confidence)
    if abs(low + margin) > 1e-9:
        assert (low > -margin) == (p_above(gained, lost, n, -margin) < 1 - confidence)


def test_where_nothing_differs_the_interval_does_not_collapse() -> None:
    low, high = tango(0, 0, 20, 0.95)
    assert low == pytest.approx(-0.1192, abs=5e-4)
    assert high == pytest.approx(-low)


def test_two_points_need_133_pairs_that_do_not_differ() -> None:
    assert least_pairs(0.02, 0.95) == 133
    assert tango(0, 0, 133, 0.95)[0] > -0.02 > tango(0, 0, 132, 0.95)[0]


@given(st.floats(0.005, 0.9), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_fewest_pairs_are_just_enough(margin: float, confidence: float) -> None:
    n = least_pairs(margin, confidence)
    assert tango(0, 0, n, confidence)[0] > -margin
    assert n == 1 or tango(0, 0, n - 1, confidence)[0] <= -margin + 1e-9


def test_coverage_of_the_one_sided_bound_by_enumeration() -> None:
    """n=50, one in ten lost, one in twenty gained: the lower bound is above the truth in at most some 5 % of samples."""
    n, up, down = 50, 0.05, 0.10
    missed = sum(
        comb(n, gained) * comb(n - gained, lost) * up**gained * down**lost * (1 - up - down) ** (n - gained - lost)
        for gained in range(n + 1)
        for lost in range(n + 1 - gained)
        if gained + lost < 30 and tango(gained, lost, n, 0.95)[0] > up - down
    )
    assert missed < 0.055


def test_what_would_decide_does_decide() -> None:
    n = deciding_pairs(2, 10, 500, -0.02, 0.95)
    assert n is not None
    assert tango(round(2 * n / 500), round(10 * n / 500), n, 0.95)[0] > -0.02


@given(pairs(), st.sampled_from([-0.1, 0.0, 0.2]))
def test_what_would_decide_is_asked_of_possible_counts_alone(given: tuple[int, int, int], bar: float) -> None:
    gained, lost, n = given
    needed = deciding_pairs(gained, lost, n, bar, 0.95)
    assert needed is None or needed >= n


def test_a_difference_at_the_margin_is_decided_by_no_number() -> None:
    assert deciding_pairs(0, 10, 500, -0.02, 0.95) is None


@pytest.mark.parametrize("counts", [(0, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_what_is_no_count_is_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="is no count"):
        tango(*counts, 0.95)


def test_the_median_of_five_is_above_the_least_of_them_and_of_four_nothing_is_known() -> None:
    assert median_at_least([5, 3, 1, 4, 2], 0.95) == 1
    assert median_at_least([4, 3, 2, 1], 0.95) is None
