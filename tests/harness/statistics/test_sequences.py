"""Looking while it comes: how often 100 looks are wrong, and when one may stop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf, log, nan, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.statistics import sequences
from harness.statistics.bounded import lower, upper
from harness.statistics.sequences import confidence_sequence, sequence_for_pairs, stops_at
from tests.harness.statistics.drawn import ALPHAS, NUMBERS, SOME, UNIT, sound

Rows = NDArray[np.float64]

REPLICATIONS = 2000


def test_the_boundary_is_the_published_one() -> None:
    """Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), theorem 2.2, at a rho of their own."""
    values = np.random.default_rng(1).normal(size=200)
    rho2 = sequences._tuned(500, 0.05)
    found = confidence_sequence(values, 500, 0.05)
    n = 200
    room = values.std(ddof=1) * sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * log(sqrt(n * rho2 + 1) / 0.05))
    assert found.interval == pytest.approx((values.mean() - room, values.mean() + room))


def test_it_is_narrowest_where_it_is_planned_to_be() -> None:
    def room(planned: int) -> float:
        tuned = 1000 * sequences._tuned(planned, 0.05)
        return sqrt(2 * (tuned + 1) / tuned * log(sqrt(tuned + 1) / 0.05))

    assert room(1000) < min(room(900), room(1100), room(100))
    # Near the paper's own approximation of rho.
    assert sequences._tuned(1000, 0.05) == pytest.approx((-2 * log(0.05) + log(-2 * log(0.05) + 1)) / 1000, rel=0.05)


def _naive(rows: Rows) -> float:
    """The share of rows in which a 95 % interval leaves 0 out at one of 100 looks."""
    n = np.arange(1, rows.shape[1] + 1)
    at = slice(rows.shape[1] // 100 - 1, None, rows.shape[1] // 100)
    return float((abs(rows.cumsum(axis=1))[:, at] > 1.96 * np.sqrt(n[at])).any(axis=1).mean())


def test_a_hundred_looks_at_a_usual_interval_are_wrong_three_times_in_eight() -> None:
    assert _naive(np.random.default_rng(2).normal(size=(REPLICATIONS, 1000))) == pytest.approx(0.379, abs=0.03)


@pytest.mark.parametrize("planned", [50, 300, 1000])
def test_at_all_looks_at_once_normal_values_are_seldom_left(planned: int) -> None:
    """Of 2,000: .013, .024, .019; every value is a look, so that 100 looks are among them."""
    rows = np.random.default_rng(3).normal(size=(REPLICATIONS if planned < 1000 else 1000, planned))
    assert np.mean([stops_at(row, 0.0, planned) is not None for row in rows]) <= 0.05


@pytest.mark.parametrize("planned", [100, 1000])
def test_skewed_values_and_those_that_are_mostly_0_are_left_about_as_seldom(planned: int) -> None:
    """Of 2,000 exponential ones: .054 and .035; where only one in 20 is not 0: 0 and .013."""
    rng = np.random.default_rng(4)
    skewed = rng.exponential(size=(500, planned)) - 1
    assert np.mean([stops_at(row, 0.0, planned) is not None for row in skewed]) <= 0.075
    rare = np.where(rng.random((500, planned)) < 0.05, rng.normal(-0.5, 0.5, (500, planned)), 0.0)
    assert np.mean([stops_at(row, -0.025, planned) is not None for row in rare]) <= 0.05


BOUNDED: dict[str, tuple[Callable[[Any, int], Rows], float, tuple[float, float]]] = {
    "pairs, one in 10 differs": (lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n, p=[0.05, 0.9, 0.05]), 0.0, (-1, 1)),
    "pairs, worse": (lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n, p=[0.3, 0.6, 0.1]), -0.2, (-1, 1)),
    "one in 20": (lambda rng, n: (rng.random(n) < 0.05).astype(float), 0.05, (0, 1)),
    "even": (lambda rng, n: rng.random(n), 0.5, (0, 1)),
}


@pytest.mark.parametrize("planned", [40, 200])
@pytest.mark.parametrize("kind", BOUNDED)
def test_on_a_known_scale_the_truth_is_left_at_most_as_often_as_said(kind: str, planned: int) -> None:
    """Of 2,000, at every look: .002 to .034, for whatever n."""
    draw, mean, within = BOUNDED[kind]
    rng = np.random.default_rng(5)
    rows = [draw(rng, planned) for _ in range(REPLICATIONS)]
    assert np.mean([stops_at(row, mean, planned, 0.05, within) is not None for row in rows]) <= 0.05


def test_it_stops_well_before_the_planned_n_where_nothing_is_worse() -> None:
    """Not worse by 5 points, one in 10 differs, 800 planned: .96 stop, on average at 308."""
    rng = np.random.default_rng(6)
    rows = rng.choice([-1.0, 0.0, 1.0], (200, 800), p=[0.05, 0.9, 0.05])
    stops = [stops_at(row, -0.05, 800, 0.1, (-1, 1)) for row in rows]
    above = [stop.at for stop in stops if stop is not None and stop.side == "above"]
    assert len(above) > 180
    assert np.mean(above) < 360


def test_pairs_that_do_not_differ_show_two_points_after_some_250() -> None:
    """149 would do if looked at once."""
    stop = stops_at([0.0] * 400, -0.02, 400, 0.1, (-1, 1))
    assert stop is not None
    assert stop.side == "above"
    assert 149 < stop.at < 270


@settings(max_examples=30)
@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60), st.integers(1, 300))
def test_it_stops_where_the_interval_first_leaves_the_bar(pairs: list[int], planned: int) -> None:
    bar = -0.3
    stop = stops_at(pairs, bar, planned, 0.2, (-1, 1))
    for look in range(1, len(pairs) + 1):
        found = sequence_for_pairs(pairs[:look], planned, 0.2)
        if found.interval is None:
            return
        assert (found.interval[0] > bar or found.interval[1] < bar) == (stop is not None and stop.at <= look)


def test_the_interval_only_narrows() -> None:
    rng = np.random.default_rng(7)
    values = rng.random(120)
    found = [confidence_sequence(values[:n], 120, 0.05, (0, 1)).interval for n in range(1, 121, 7)]
    for one, after in pairwise(found):
        assert one is not None
        assert after is not None
        assert one[0] <= after[0] + 1e-9
        assert after[1] <= one[1] + 1e-9


def test_it_costs_about_a_third_of_the_width_of_one_look() -> None:
    rng = np.random.default_rng(8)
    wide, once = 0.0, 0.0
    for _ in range(10):
        values = rng.choice([-1.0, 0.0, 1.0], 300, p=[0.05, 0.9, 0.05])
        low, high = sequence_for_pairs(values.astype(int).tolist(), 300).interval or (-1, 1)
        wide, once = wide + high - low, once + upper(values, 1.0, 0.025) - lower(values, -1.0, 0.025)
    assert 1.25 < wide / once < 1.5


def test_few_values_and_those_that_do_not_vary_show_nothing_unless_the_scale_is_known() -> None:
    assert "don't vary" in confidence_sequence([0.0] * 50, 50).reason
    assert "30 values" in confidence_sequence(list(range(20)), 50).reason
    assert confidence_sequence(list(range(40)), 50).interval is not None
    assert confidence_sequence([0.0] * 5, 50, within=(-1, 1)).interval is not None
    assert stops_at([0.0] * 50, -1.0, 50) is None


def test_values_that_drift_have_no_one_mean() -> None:
    found = confidence_sequence([1.0] * 100 + [-1.0] * 200, 300, 0.05, (-1, 1))
    assert found.interval is None
    assert "drift" in found.reason


def test_a_bar_beyond_the_scale_is_left_at_once() -> None:
    assert stops_at([0.5], -1.0, 10, within=(0, 1)) == (1, "above")
    assert stops_at([0.5], 2.0, 10, within=(0, 1)) == (1, "below")


@settings(max_examples=50)
@given(SOME, st.integers(1, 10**9), ALPHAS, NUMBERS)
def test_no_data_bring_a_nan_or_a_warning(values: list[float], planned: int, alpha: float, bar: float) -> None:
    assert sound(confidence_sequence(values * 5, planned, alpha))
    stops_at(values * 5, bar, planned, alpha)
    ends = (min(values) - 1, max(values) + 1)
    if ends[0] < ends[1]:
        assert sound(confidence_sequence(values, planned, alpha, ends))
        stops_at(values, bar, planned, alpha, ends)


@settings(max_examples=50)
@given(UNIT, st.integers(1, 1000), ALPHAS, st.floats(-2, 2))
def test_no_data_on_a_scale_bring_a_nan_or_a_warning(
    values: list[float], planned: int, alpha: float, bar: float
) -> None:
    assert sound(confidence_sequence(values, planned, alpha, (-1, 1)))
    stop = stops_at(values, bar, planned, alpha, (-1, 1))
    assert stop is None or 1 <= stop.at <= len(values)


def test_what_is_no_data_no_plan_and_no_pair_is_refused() -> None:
    for values in ([], [nan], [inf]):
        with pytest.raises(ValueError, match="values"):
            confidence_sequence(values, 10)
    for call in (
        lambda: confidence_sequence([1.0], 0),
        lambda: confidence_sequence([1.0], 10, 1.0),
        lambda: confidence_sequence([2.0], 10, within=(0, 1)),
        lambda: confidence_sequence([2.0], 10, within=(1, 1)),
        lambda: sequence_for_pairs([2], 10),
        lambda: stops_at([1.0], nan, 10),
    ):
        with pytest.raises(ValueError, match=r"plan|alpha|within|scale|pair|bar"):
            call()
