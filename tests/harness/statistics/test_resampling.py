"""Drawing again: Fisher's and scipy's figures, every sign and every deal, and how often a slower run is found and imagined."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from math import inf, nan
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.estimate import Estimate
from harness.statistics.means import unpaired_means
from harness.statistics.resampling import (
    LEAST,
    bootstrap,
    permutation,
    ratio,
    ratio_of_rounds,
    regressed,
    sign_flip,
)
from tests.harness.statistics.drawn import ALTERNATIVES, LEVELS, NUMBERS, SOME, sound

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Eighths of an inch by which crossed maize was taller than self-fertilized (Darwin 1876; Fisher 1935)."""
SMALL = st.lists(st.integers(-4, 4).map(float), min_size=2, max_size=6)
EVEN = Estimate(1.0, None, None, "", 1, 1)


def middle(values: Sequence[float]) -> float:
    """As the median, but it adds nothing up: the sum of the largest numbers is infinite."""
    return sorted(values)[len(values) // 2]


# Signs.


def test_darwin_s_maize_gives_fisher_s_p() -> None:
    """The Design of Experiments, section 21: 1,726 of 32,768 ways are as far, or 5.267 %."""
    found = sign_flip(DARWIN)
    assert found.p == 1726 / 32768
    assert found.estimate == pytest.approx(20.9333, abs=1e-4)
    assert found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]


@settings(max_examples=40)
@given(SMALL, ALTERNATIVES)
def test_the_p_of_signs_is_the_share_of_all_signs_that_are_as_far(values: list[float], alternative: Any) -> None:
    sums = [float(np.dot(values, signs)) for signs in product([-1, 1], repeat=len(values))]
    share = {
        "greater": np.mean([s >= sum(values) for s in sums]),
        "less": np.mean([s <= sum(values) for s in sums]),
        "two-sided": np.mean([abs(s) >= abs(sum(values)) for s in sums]),
    }[alternative]
    assert sign_flip(values, alternative=alternative).p == pytest.approx(share)


@given(st.lists(st.integers(-50, 50).map(float), min_size=7, max_size=12, unique=True))
def test_the_interval_of_signs_holds_just_the_means_that_are_not_refused(values: list[float]) -> None:
    found = sign_flip(values)
    assert found.interval is not None
    low, high = found.interval
    for mean, refused in ((low - 0.01, True), (low + 0.001, False), (high - 0.001, False), (high + 0.01, True)):
        p = sign_flip([value - mean for value in values]).p
        assert p is not None
        assert (p <= 0.05) == refused or low == high


def test_of_many_differences_seeded_draws_say_nearly_what_a_t_test_does() -> None:
    values = np.random.default_rng(1).normal(0.2, 1, 120).tolist()
    found = sign_flip(values, seed=3)
    assert found == sign_flip(values, seed=3)
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert found.interval == pytest.approx(tuple(stats.ttest_1samp(values, 0).confidence_interval()), abs=0.03)


def test_a_cluster_takes_one_sign() -> None:
    """Six prompts asked 20 times are six, not 120."""
    values = [1.0 + 0.1 * (i % 20) for i in range(120)]
    found = sign_flip(values, clusters=[i // 20 for i in range(120)])
    assert found.p == 2 / 64
    assert (found.n, found.effective_n) == (120, 6)


def test_five_differences_cannot_decide_and_say_how_many_could() -> None:
    found = sign_flip([1, 2, 3, 4, 5])
    assert (found.p, found.interval) == (0.0625, None)
    assert "6 can" in found.reason
    assert "3 differences that are not 0" in sign_flip([0] * 30 + [1, 2, 3]).reason
    assert sign_flip([0] * 30).reason == "all differences are 0"


# Deals.


@settings(max_examples=40)
@given(SMALL, SMALL)
def test_the_p_of_deals_is_the_share_of_all_deals_with_as_large_a_t(a: list[float], b: list[float]) -> None:
    """Or Welch's own, where that is larger."""

    def welch(first: tuple[float, ...]) -> float:
        second = list(a + b)
        for value in first:
            second.remove(value)
        apart = fmean(second) - fmean(first)
        error = np.sqrt(np.var(first, ddof=1) / len(first) + np.var(second, ddof=1) / len(second))
        return float(apart / error if error else 0 if abs(apart) < 1e-12 else np.sign(apart) * inf)

    found = permutation(a, b, alternative="greater")
    if len(set(a + b)) > 1:
        observed = welch(tuple(a))
        deals = [welch(way) for way in combinations(a + b, len(a))]
        share = np.mean([t >= observed - 1e-9 for t in deals])
        welch = unpaired_means(a, b).p or 0.0
        assert found.p == pytest.approx(max(share, welch / 2 if fmean(b) > fmean(a) else 1 - welch / 2 if welch else 0))


def test_deals_of_many_give_nearly_what_welch_s_t_does() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 3, 30).tolist(), rng.normal(1, 1, 80).tolist()
    theirs = stats.ttest_ind(b, a, equal_var=False)
    found = permutation(a, b)
    assert found.p == pytest.approx(theirs.pvalue, abs=0.02)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval()), abs=0.15)


def test_deals_are_not_fooled_by_unequal_spreads() -> None:
    """By deals alone, .14 of these are false."""
    rng = np.random.default_rng(3)
    found = [permutation(rng.normal(0, 4, 6), rng.normal(0, 1, 20)).p or 0 for _ in range(150)]
    assert np.mean(np.asarray(found) < 0.05) <= 0.09


def test_sides_that_do_not_vary_have_a_p_and_no_interval() -> None:
    found = permutation([0] * 4, [1] * 4)
    assert found.p == pytest.approx(2 / 70)
    assert found.interval is None
    assert found.reason
    assert permutation([1, 1], [1, 1]).p == 1
    assert permutation([1], [2, 3]).p is None


# The bootstrap.


def test_the_bootstrap_gives_nearly_scipy_s_interval() -> None:
    values = np.random.default_rng(4).lognormal(0, 1, 40).tolist()
    for statistic, theirs in (("mean", np.mean), (0.5, np.median)):
        ours = bootstrap(values, statistic)  # type: ignore[arg-type]
        there = stats.bootstrap((values,), theirs, method="BCa", rng=np.random.default_rng(5)).confidence_interval
        assert ours.interval == pytest.approx(tuple(there), rel=0.05)
    assert bootstrap(values, median).estimate == pytest.approx(median(values))
    assert bootstrap(values, median).interval == pytest.approx(bootstrap(values, 0.5).interval, rel=0.1)


def test_clusters_are_drawn_whole() -> None:
    rng = np.random.default_rng(6)
    values = np.repeat(rng.normal(size=20), 10)
    pooled, whole = bootstrap(values), bootstrap(values, clusters=np.repeat(np.arange(20), 10).tolist())
    assert pooled.interval is not None
    assert whole.interval is not None
    assert whole.interval[1] - whole.interval[0] > 2.5 * (pooled.interval[1] - pooled.interval[0])
    assert whole.effective_n == 20


def test_what_does_not_vary_or_is_too_few_shows_nothing() -> None:
    """Of scipy's, NaN."""
    for values in ([1.0] * 30, [1.0, 2.0, 3.0], [0.1] * 29 + [0.1 + 1e-17]):
        found = bootstrap(values)
        assert found.interval is None
        assert found.reason
    assert bootstrap([0.0] * 30 + [1.0], 0.5).interval is None


def test_the_bootstrap_covers_what_is_normal() -> None:
    """Of 2,000: .926 at 20, .943 at 50; of lognormal values .880 and .893."""
    rng = np.random.default_rng(7)
    covered = []
    for i in range(250):
        found = bootstrap(rng.normal(size=50), seed=i)
        assert found.interval is not None
        covered.append(found.interval[0] <= 0 <= found.interval[1])
    assert np.mean(covered) >= 0.91


# Ratios.


def _times(rng: Any, processes: int, each: int, spread: float, slower: float = 1.0) -> list[list[float]]:
    return [list(slower * np.exp(rng.normal(0, spread) + rng.normal(0, 0.3, each))) for _ in range(processes)]


def test_of_a_hundred_times_a_side_that_are_alike_p95_seldom_seems_more_than_10_percent_slower() -> None:
    """Of 4,000: .029; by the bare ratio .143. With ten processes of ten, .048 and .078."""
    rng = np.random.default_rng(8)
    found = [ratio(_times(rng, 1, 100, 0), _times(rng, 1, 100, 0), 0.95, 0.9, seed=i) for i in range(500)]
    assert np.mean([regressed(one, 1.10) == "fail" for one in found]) <= 0.05
    assert np.mean([one.estimate is not None and one.estimate > 1.10 for one in found]) > 0.1


def test_of_300_times_a_side_a_p95_that_is_20_percent_slower_is_found() -> None:
    """Of 4,000: .968; with ten processes of thirty, .987."""
    rng = np.random.default_rng(9)
    found = [ratio(_times(rng, 1, 300, 0), _times(rng, 1, 300, 0, 1.2), 0.95, 0.9, seed=i) for i in range(500)]
    assert np.mean([regressed(one, 1.10) == "fail" for one in found]) >= 0.95
    assert not any(regressed(one, 1.10) == "pass" for one in found)


@pytest.mark.parametrize(("processes", "each"), [(10, 10), (5, 20), (3, 33)])
@pytest.mark.parametrize("statistic", ["mean", 0.95])
def test_processes_that_differ_seldom_seem_slower(processes: int, each: int, statistic: Any) -> None:
    """Of 1,000: .03 to .06."""
    rng = np.random.default_rng(10)
    found = [
        ratio(_times(rng, processes, each, 0.1), _times(rng, processes, each, 0.1), statistic, 0.9, seed=i)
        for i in range(250)
    ]
    assert np.mean([one.interval is not None and one.interval[0] > 1 for one in found]) <= 0.085


def test_values_pooled_over_processes_too_often_seem_to_differ() -> None:
    rng = np.random.default_rng(10)
    pooled = by_process = 0
    for i in range(40):
        a, b = _times(rng, 3, 300, 0.2), _times(rng, 3, 300, 0.2)
        loose = ratio([sum(a, [])], [sum(b, [])], 0.95, seed=i)  # noqa: RUF017
        right = ratio(a, b, 0.95, seed=i)
        assert loose.interval is not None
        assert right.interval is not None
        pooled += not loose.interval[0] <= 1 <= loose.interval[1]
        by_process += not right.interval[0] <= 1 <= right.interval[1]
    assert pooled > 20
    assert by_process <= 5


def test_what_is_not_slower_passes() -> None:
    rng = np.random.default_rng(11)
    sides = _times(rng, 10, 200, 0.02), _times(rng, 10, 200, 0.02)
    assert regressed(ratio(*sides, "mean", 0.9), 1.10) == "pass"
    assert regressed(EVEN, 1.10) == "inconclusive"


def test_too_few_processes_or_values_or_any_below_0_bound_no_ratio() -> None:
    two = [[1.0, 2.0], [1.5, 2.5]]
    assert "3 a side" in ratio(two, two).reason
    assert f"{LEAST} a side" in ratio([[1.0, 2.0]], [[1.5, 2.5]]).reason
    assert ratio([[0.0] * 20], [[1.0] * 20]).estimate is None
    found = ratio([[2.0] * 20], [[3.0] * 20])
    assert found.estimate == pytest.approx(1.5)
    assert (found.interval, found.reason) == (None, "the runs don't vary")


# Rounds.


def _rounds(rng: Any, rounds: int, each: int, spread: float, drift: float, slower: float) -> Any:
    machine = np.exp(drift * rng.normal(size=(rounds, 1)))
    return tuple(
        (by * machine * np.exp(spread * rng.normal(size=(rounds, 1)) + 0.3 * rng.normal(size=(rounds, each)))).tolist()
        for by in (1.0, slower)
    )


@pytest.mark.parametrize("drift", [0.0, 0.1])
@pytest.mark.parametrize("statistic", ["mean", 0.95])
@pytest.mark.parametrize(("rounds", "each"), [(5, 40), (10, 20)])
def test_sides_that_are_alike_seldom_seem_slower_whether_the_machine_drifts_or_not(
    rounds: int, each: int, statistic: Any, drift: float
) -> None:
    """Of 4,000: .02 to .054."""
    rng = np.random.default_rng(12)
    found = [ratio_of_rounds(*_rounds(rng, rounds, each, 0.05, drift, 1.0), statistic, 0.9) for _ in range(300)]
    assert np.mean([regressed(one, 1.10) == "fail" for one in found]) <= 0.09


@pytest.mark.parametrize("statistic", ["mean", 0.5, 0.95])
def test_what_is_20_percent_slower_is_found_in_ten_rounds_though_the_machine_drifts(statistic: Any) -> None:
    """Of 4,000: 1, 1 and .98; by sides that are taken for independent .99, .98 and .93."""
    rng = np.random.default_rng(13)
    found = [ratio_of_rounds(*_rounds(rng, 10, 40, 0.05, 0.1, 1.2), statistic, 0.9) for _ in range(300)]
    assert np.mean([regressed(one, 1.10) == "fail" for one in found]) >= 0.95
    assert not any(regressed(one, 1.10) == "pass" for one in found)


def test_a_drift_that_both_sides_share_widens_no_ratio_of_rounds() -> None:
    rng = np.random.default_rng(14)
    a, b = _rounds(rng, 10, 40, 0.02, 0.0, 1.0)
    machine = np.exp(0.5 * rng.normal(size=10))
    drifted = [[[value * by for value in one] for one, by in zip(side, machine, strict=True)] for side in (a, b)]
    still, moved = ratio_of_rounds(a, b), ratio_of_rounds(*drifted)
    assert moved.interval == pytest.approx(still.interval)
    apart = ratio(*drifted)
    assert apart.interval is not None
    assert still.interval is not None
    assert apart.interval[1] / apart.interval[0] > 1.5 * still.interval[1] / still.interval[0]


def test_the_ratio_of_rounds_is_that_of_student_s_t() -> None:
    a, b = [[1.0, 3.0], [2.0, 2.0], [4.0, 8.0], [5.0]], [[2.0, 4.0], [2.0, 4.0], [9.0], [5.0, 7.0]]
    logs = np.log(np.asarray([3.0, 3.0, 9.0, 6.0]) / np.asarray([2.0, 2.0, 6.0, 5.0]))
    theirs = stats.ttest_1samp(logs, np.log(2.0), alternative="less")
    found = ratio_of_rounds(a, b, "mean", 0.9, 2.0)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.interval == pytest.approx(tuple(np.exp(stats.ttest_1samp(logs, 0).confidence_interval(0.9))))
    assert found.estimate == pytest.approx(np.exp(logs.mean()))
    assert (found.n, found.effective_n) == (14, 4)


def test_too_few_rounds_or_any_that_do_not_vary_bound_no_ratio() -> None:
    two = [[1.0, 2.0], [1.5, 2.5]]
    assert "3 are needed" in ratio_of_rounds(two, two[::-1]).reason
    found = ratio_of_rounds([[2.0]] * 5, [[3.0]] * 5)
    assert found.estimate == pytest.approx(1.5)
    assert (found.interval, found.reason) == (None, "the runs don't vary")
    assert ratio_of_rounds([[0.0]] * 5, [[1.0]] * 5).estimate is None
    assert regressed(found, 1.10) == "inconclusive"


def test_a_round_that_lacks_a_side_says_nothing() -> None:
    a, b = [[1.0], [2.0], [], [3.0], [9.0]], [[1.1], [2.3], [9.0], [3.0], []]
    assert ratio_of_rounds(a, b) == ratio_of_rounds([[1.0], [2.0], [3.0]], [[1.1], [2.3], [3.0]])
    with pytest.raises(ValueError, match="no rounds"):
        ratio_of_rounds(a, b[:-1])
    for most in (0.0, -1.0, nan, inf):
        with pytest.raises(ValueError, match="no bar"):
            ratio_of_rounds(a, b, most=most)


# Whatever the data.


@settings(max_examples=40)
@given(SOME, SOME, LEVELS, ALTERNATIVES)
def test_no_test_brings_a_nan_or_a_warning(a: list[float], b: list[float], confidence: float, alternative: Any) -> None:
    assert sound(sign_flip(a, confidence, None, alternative))
    assert sound(sign_flip(a, confidence, [i // 3 for i in range(len(a))], alternative))
    assert sound(permutation(a, b, confidence, alternative))


@settings(max_examples=40)
@given(SOME, LEVELS, st.sampled_from(["mean", 0.5, 0.99, 1e-9, middle]))
def test_no_bootstrap_brings_a_nan_or_a_warning(values: list[float], confidence: float, statistic: Any) -> None:
    values = values * (1 if len(values) > 3 else 12)
    assert sound(bootstrap(values, "mean" if callable(statistic) and len(values) > 9 else statistic, confidence))
    assert sound(bootstrap(values, "mean", confidence, [i // 2 for i in range(len(values))]))


@settings(max_examples=40)
@given(
    st.lists(st.lists(NUMBERS.map(abs), min_size=1, max_size=15), min_size=1, max_size=5),
    st.lists(st.lists(NUMBERS.map(abs), min_size=1, max_size=15), min_size=1, max_size=5),
    st.sampled_from(["mean", 0.95]),
    LEVELS,
)
def test_no_ratio_brings_a_nan_or_a_warning(a: Any, b: Any, statistic: Any, confidence: float) -> None:
    assert sound(ratio(a, b, statistic, confidence))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(*[st.lists(NUMBERS.map(abs), min_size=1, max_size=9)] * 2), min_size=1, max_size=8),
    st.sampled_from(["mean", 0.95, middle]),
    LEVELS,
    st.none() | st.floats(1e-300, 1e300) | st.just(1.1),
)
def test_no_rounds_bring_a_nan_or_a_warning(rounds: Any, statistic: Any, confidence: float, most: float | None) -> None:
    a, b = (list(side) for side in zip(*rounds, strict=True))
    found = ratio_of_rounds(a, b, statistic, confidence, most)
    assert sound(found)
    if found.p is not None and found.interval is not None and most is not None:
        tail = (1 - confidence) / 2
        if abs(found.p - tail) > 1e-6 * tail and found.interval[1] != pytest.approx(most, rel=1e-9):
            assert (found.p < tail) == (found.interval[1] < most)


@pytest.mark.parametrize("values", [[], [nan], [1.0, inf]])
def test_what_is_no_data_is_refused(values: list[float]) -> None:
    for call in (
        lambda: sign_flip(values),
        lambda: permutation([1.0], values),
        lambda: bootstrap(values),
        lambda: ratio([[1.0]], [values]),
        lambda: ratio([], [[1.0]]),
        lambda: ratio_of_rounds([[1.0]], [values]),
    ):
        with pytest.raises(ValueError, match=r"there are no|are no data"):
            call()


def test_what_is_no_statistic_is_refused() -> None:
    for statistic in ("median", 0.0, 1.0, nan):
        with pytest.raises(ValueError, match="neither"):
            bootstrap([1.0] * 20, statistic)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no number"):
        bootstrap([1.0] * 20, lambda _: nan)
