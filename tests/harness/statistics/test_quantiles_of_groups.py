"""Quantiles and shares of values in groups: what they are where groups agree, and how often bounds hold where not."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from harness.statistics.clustered import (
    OPEN,
    median_of_groups_at_least,
    quantile_of_groups,
    quantile_of_groups_at_most,
    share_of_groups_at_most,
)
from harness.statistics.proportion import share
from harness.statistics.quantiles import quantile, quantile_at_most
from tests.harness.statistics.drawn import LEVELS, NUMBERS, SOME, sound

GROUPS = st.lists(st.lists(NUMBERS, max_size=12), max_size=6).filter(any) | st.lists(
    st.lists(st.floats(0.1, 10), max_size=60), max_size=6
).filter(any)
QUANTILES = st.floats(0.01, 0.99) | st.sampled_from([0.5, 0.95])
COUNTS = st.lists(st.integers(0, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), max_size=12)


def times(chance: Any, groups: int, each: int, between: float, slower: float = 1.0) -> list[list[float]]:
    drawn = chance.standard_normal((groups, 1)) * between + chance.standard_normal((groups, each)) * 0.3
    return (slower * np.exp(drawn)).tolist()  # type: ignore[no-any-return]


def true(q: float, between: float) -> float:
    return float(np.exp(ndtri(q) * np.hypot(between, 0.3)))


# Where groups agree.


@given(SOME, QUANTILES, LEVELS)
def test_one_group_has_the_interval_of_its_order_statistics_and_speaks_of_itself(
    values: list[float], q: float, confidence: float
) -> None:
    found, alone = quantile_of_groups([values], q, confidence), quantile(values, q, confidence)
    assert (found.estimate, found.interval, found.reason) == (alone.estimate, alone.interval, alone.reason)
    assert "one group" in found.method
    assert quantile_of_groups([[], values, []], q, confidence) == found


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=60), st.integers(2, 6), QUANTILES)
def test_groups_that_are_the_same_have_the_interval_of_all_their_values(
    values: list[float], many: int, q: float
) -> None:
    assert quantile_of_groups([values] * many, q).interval == quantile(values * many, q).interval


@given(SOME, QUANTILES)
def test_groups_of_one_value_are_independent_values(values: list[float], q: float) -> None:
    found, alone = quantile_of_groups([[value] for value in values], q), quantile(values, q)
    assert (found.estimate, found.interval, found.reason) == (alone.estimate, alone.interval, alone.reason)


@settings(max_examples=50)
@given(GROUPS, QUANTILES, LEVELS)
def test_no_groups_have_a_narrower_interval_than_as_many_independent_values(
    groups: list[list[float]], q: float, confidence: float
) -> None:
    found, alone = quantile_of_groups(groups, q, confidence), quantile(sum(groups, []), q, confidence)  # noqa: RUF017
    ordered = quantile_of_groups(groups, q, confidence, in_order=True)
    for narrow, wide in ((alone, found), (found, ordered)):
        assert narrow.interval is not None or wide.interval is None
        if wide.interval is not None and narrow.interval is not None:
            assert wide.interval[0] <= narrow.interval[0]
            assert narrow.interval[1] <= wide.interval[1]
            assert wide.effective_n <= narrow.effective_n


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.95, 72), (0.99, 368)])
def test_as_many_values_are_needed_as_of_independent_ones(q: float, n: int) -> None:
    values = np.linspace(1, 2, n)
    assert quantile_of_groups([values[::2], values[1::2]], q).interval is not None
    short = quantile_of_groups([values[:-1:2], values[1:-1:2]], q)
    assert short.interval is None
    assert f"{n} can" in short.reason


def test_intervals_of_groups_that_agree_are_not_much_wider() -> None:
    """Of 400: 1.22 times as wide with 5 groups, 1.06 times with 20."""
    chance = np.random.RandomState(1)
    for many, each, most in ((5, 80, 1.35), (20, 20, 1.15)):
        wider = []
        for _ in range(60):
            groups = times(chance, many, each, 0)
            found, alone = quantile_of_groups(groups, 0.95), quantile(np.ravel(groups), 0.95)
            assert found.interval is not None
            assert alone.interval is not None
            wider.append((found.interval[1] - found.interval[0]) / (alone.interval[1] - alone.interval[0]))
        assert np.mean(wider) < most


# Where they don't.


@pytest.mark.parametrize(("groups", "each", "between"), [(3, 100, 0.1), (5, 80, 0.3), (10, 40, 0.1), (20, 20, 0.3)])
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_intervals_hold_where_groups_differ(groups: int, each: int, between: float, q: float) -> None:
    """Of 3,000: .948 to .98; by order statistics alone .3 to .8."""
    chance, held = np.random.RandomState(2), []
    for _ in range(250):
        found = quantile_of_groups(times(chance, groups, each, between), q)
        held.append(found.interval is not None and found.interval[0] <= true(q, between) <= found.interval[1])
    assert np.mean(held) >= 0.91


def test_what_was_the_same_for_all_cases_of_a_process_is_not_counted_once_a_case() -> None:
    """20 cases of many sizes, measured in 5 processes that differ by a tenth: pooled, 3 of 5 medians would be missed."""
    chance, held, pooled = np.random.RandomState(3), [], []
    cases = np.repeat([1.0] * 12 + [100.0] * 8, 4)
    truth = np.quantile(np.outer(cases, np.exp(0.1 * ndtri((np.arange(4000) + 0.5) / 4000))), 0.5)
    for _ in range(150):
        process = np.exp(0.1 * chance.standard_normal((5, 1)) + 0.01 * chance.standard_normal((5, 80)))
        groups = (cases * process).tolist()
        for found, which in ((quantile_of_groups(groups, 0.5), held), (quantile(np.ravel(groups), 0.5), pooled)):
            assert found.interval is not None
            which.append(found.interval[0] <= truth <= found.interval[1])
    assert np.mean(held) >= 0.9
    assert np.mean(held) > np.mean(pooled)


def test_stretches_of_time_that_resemble_the_one_before_are_joined() -> None:
    """Of 600 of 20 stretches, with a correlation of .6 from one to the next: missed .31 of the time, joined .06."""
    chance, missed, joined = np.random.RandomState(4), [], []
    for _ in range(150):
        level = [chance.standard_normal()]
        for _ in range(19):
            level.append(0.6 * level[-1] + 0.8 * chance.standard_normal())
        groups = np.exp(0.1 * np.asarray(level)[:, None] + 0.3 * chance.standard_normal((20, 50))).tolist()
        for in_order, which in ((False, missed), (True, joined)):
            found = quantile_of_groups(groups, 0.5, in_order=in_order)
            assert found.interval is not None
            which.append(not found.interval[0] <= 1 <= found.interval[1])
    assert np.mean(missed) > 0.2
    assert np.mean(joined) < 0.12


def test_one_slow_process_of_five_leaves_it_open() -> None:
    chance = np.random.RandomState(5)
    groups = times(chance, 5, 80, 0)
    assert quantile_of_groups_at_most(groups, 0.95, 2.0)[0] == "pass"
    groups[2] = [3 * value for value in groups[2]]
    assert quantile_of_groups_at_most(groups, 0.95, 2.0)[0] == "inconclusive"


def test_slow_values_that_only_one_process_has_are_not_taken_for_as_many_pieces_of_news() -> None:
    """Few values are slow, so that they move no process as a whole: 30 of 500, but all of one process."""
    chance = np.random.RandomState(6)
    groups = times(chance, 5, 100, 0)
    groups[1] = [20 * value if at < 30 else value for at, value in enumerate(groups[1])]
    alone = quantile(np.ravel(groups), 0.9)
    found = quantile_of_groups(groups, 0.9)
    assert alone.interval is not None
    assert alone.interval[1] < 3
    assert found.interval is None or found.interval[1] > 10


# Budgets.


def test_a_budget_is_kept_broken_or_neither() -> None:
    chance = np.random.RandomState(7)
    groups = times(chance, 5, 80, 0.02)
    for most, expected in ((2.0, "pass"), (1.6, "inconclusive"), (1.3, "fail")):
        decision, found = quantile_of_groups_at_most(groups, 0.95, most)
        assert decision == expected
        assert found.interval == quantile_of_groups(groups, 0.95).interval


def test_what_is_over_its_budget_for_certain_fails_with_too_few_values_for_an_upper_bound() -> None:
    decision, found = quantile_of_groups_at_most([[9.0, 8.0, 7.0]] * 4, 0.99, 2.0)
    assert decision == "fail"
    assert found.interval == (9.0, OPEN)
    decision, found = quantile_of_groups_at_most([[9.0, 8.0, 7.0]] * 4, 0.99, 10.0)
    assert decision == "inconclusive"
    assert "368 can" in found.reason


@settings(max_examples=60)
@given(GROUPS, QUANTILES, NUMBERS, LEVELS, st.booleans())
def test_a_budget_is_kept_just_where_the_interval_is_within_it_and_p_is_small(
    groups: list[list[float]], q: float, most: float, confidence: float, in_order: bool
) -> None:
    decision, found = quantile_of_groups_at_most(groups, q, most, confidence, in_order=in_order)
    assert sound(found)
    assert found.p is not None
    if found.interval is not None:
        low, high = found.interval
        assert decision == ("pass" if high <= most else "fail" if low > most else "inconclusive")
    tail = (1 - confidence) / 2
    if tail < 0.49 and abs(found.p - tail) > 1e-5 * tail:
        assert (decision == "pass") == (found.p < tail)


@settings(max_examples=60)
@given(GROUPS, NUMBERS, LEVELS, st.booleans())
def test_a_median_is_at_least_so_much_just_where_that_of_what_is_turned_about_is_at_most(
    groups: list[list[float]], least: float, confidence: float, in_order: bool
) -> None:
    """Where values are not all above 0, both speak of sums."""
    groups = [*groups, [-1.0, 0.0, 1.0]]
    turned = [[-value for value in group] for group in groups]
    decision, found = median_of_groups_at_least(groups, least, confidence, in_order=in_order)
    other, against = quantile_of_groups_at_most(turned, 0.5, -least, confidence, in_order=in_order)
    assert sound(found)
    assert (found.interval is None) == (against.interval is None)
    if found.interval is not None and against.interval is not None:
        size = max(abs(value) for group in groups for value in group)
        assert found.interval == pytest.approx((-against.interval[1], -against.interval[0]), abs=1e-6 * size)
        if min(abs(bound - least) for bound in found.interval) > 1e-5 * size:
            assert decision == other


def test_a_throughput_is_reached_or_not() -> None:
    chance = np.random.RandomState(8)
    groups = (100 * np.exp(0.02 * chance.standard_normal((5, 12)))).tolist()
    for least, expected in ((95, "pass"), (100, "inconclusive"), (105, "fail")):
        decision, found = median_of_groups_at_least(groups, least)
        assert decision == expected
        assert found.p is not None
        assert (found.p < 0.025) == (decision == "pass")
    assert median_of_groups_at_least([[200.0]] * 5, 100)[0] == "inconclusive"


def test_what_is_at_its_budget_seldom_passes_or_fails() -> None:
    """Each at most 1 time in 40."""
    chance = np.random.RandomState(9)
    said = [quantile_of_groups_at_most(times(chance, 5, 80, 0.1), 0.95, true(0.95, 0.1))[0] for _ in range(200)]
    assert said.count("pass") <= 12
    assert said.count("fail") <= 12


# Shares.


@given(st.integers(1, 500), st.data())
def test_the_share_of_one_group_has_clopper_and_pearson_s_interval(of: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, of))
    expected = share(bad, of).interval
    assert expected is not None
    assert share_of_groups_at_most([(bad, of)], 0.5)[1].interval == pytest.approx(expected)
    assert share_of_groups_at_most([(bad, of)] * 3 + [(0, 0)], 0.5)[1].interval == pytest.approx(
        share(3 * bad, 3 * of).interval
    )


def test_failures_in_bursts_count_for_fewer() -> None:
    evenly, found = share_of_groups_at_most([(5, 500)] * 10, 0.02)
    assert evenly == "pass"
    assert found.method == "Clopper-Pearson"
    bursts, found = share_of_groups_at_most([(0, 500)] * 9 + [(50, 500)], 0.02)
    assert bursts == "inconclusive"
    assert "10 groups differ" in found.method
    assert found.effective_n < 100
    assert share_of_groups_at_most([(0, 500)] * 10, 0.001)[0] == "pass"
    assert share_of_groups_at_most([(40, 50)] * 10, 0.5)[0] == "fail"


def test_bursts_that_last_longer_than_a_group_are_seen_in_longer_ones() -> None:
    groups = [(2, 50)] * 5 + [(0, 50)] * 10 + [(2, 50)] * 5
    alone = share_of_groups_at_most(groups, 0.1)[1]
    joined = share_of_groups_at_most(groups, 0.1, in_order=True)[1]
    assert joined.effective_n < alone.effective_n


@pytest.mark.parametrize("like", [0.0, 0.01, 0.05])
def test_intervals_of_shares_hold(like: float) -> None:
    """Of 20,000: .94 to .98."""
    chance, missed = np.random.RandomState(10), 0
    for _ in range(300):
        shares = chance.beta(0.1 * (1 / like - 1), 0.9 * (1 / like - 1), 10) if like else np.full(10, 0.1)
        found = share_of_groups_at_most([(int(bad), 50) for bad in chance.binomial(50, shares)], 0.5)[1]
        assert found.interval is not None
        missed += not found.interval[0] <= 0.1 <= found.interval[1]
    assert missed / 300 <= 0.085


# Whatever the data.


@settings(max_examples=60)
@given(GROUPS, QUANTILES | st.floats(1e-9, 1 - 1e-9), LEVELS, st.booleans())
def test_no_groups_bring_a_nan_or_a_warning(groups: Any, q: float, confidence: float, in_order: bool) -> None:
    assert sound(quantile_of_groups(groups, q, confidence, in_order=in_order))


@settings(max_examples=60)
@given(COUNTS.filter(lambda groups: any(of for _, of in groups)), st.floats(0, 1), LEVELS, st.booleans())
def test_no_counts_bring_a_nan_or_a_warning(groups: Any, most: float, confidence: float, in_order: bool) -> None:
    decision, found = share_of_groups_at_most(groups, most, confidence, in_order=in_order)
    assert sound(found)
    assert found.interval is not None
    assert (decision == "pass") == (found.interval[1] <= most)


@pytest.mark.parametrize("groups", [[], [[]], [[1.0], [nan]], [[inf]]])
def test_what_is_no_data_is_refused(groups: Any) -> None:
    for call in (
        lambda: quantile_of_groups(groups, 0.5),
        lambda: quantile_of_groups_at_most(groups, 0.5, 1.0),
        lambda: median_of_groups_at_least(groups, 1.0),
    ):
        with pytest.raises(ValueError, match=r"there are no|are no data"):
            call()


def test_what_is_no_budget_quantile_or_share_is_refused() -> None:
    for bad in (nan, inf):
        with pytest.raises(ValueError, match="budget"):
            quantile_of_groups_at_most([[1.0]], 0.5, bad)
    with pytest.raises(ValueError, match="not between"):
        quantile_of_groups([[1.0]], 1.0)
    with pytest.raises(ValueError, match="not between"):
        share_of_groups_at_most([(0, 1)], 0.5, 1.0)
    for groups in ([], [(0, 0)]):
        with pytest.raises(ValueError, match="nothing"):
            share_of_groups_at_most(groups, 0.5)
    for groups in ([(2, 1)], [(-1, 1)], [(1, 0)]):
        with pytest.raises(ValueError, match="bad"):
            share_of_groups_at_most(groups, 0.5)
    with pytest.raises(ValueError, match="no share"):
        share_of_groups_at_most([(0, 1)], nan)


@given(GROUPS, QUANTILES)
def test_the_order_of_groups_matters_only_where_it_is_said_to(groups: list[list[float]], q: float) -> None:
    found, other = quantile_of_groups(groups, q), quantile_of_groups(groups[::-1], q)
    assert (found.interval is None) == (other.interval is None)
    if found.interval is not None:
        assert found.interval == pytest.approx(other.interval, rel=1e-6, abs=1e-300)


@given(SOME, QUANTILES, NUMBERS)
def test_one_group_passes_no_more_easily_than_its_values_alone(values: list[float], q: float, most: float) -> None:
    """Half of what confidence leaves is on each side."""
    ours = quantile_of_groups_at_most([values], q, most)[0]
    theirs = quantile_at_most(values, q, most, 0.025)[0]
    assert ours == theirs
