"""Means: R's figures, statsmodels' and scipy's, and how often what is claimed of them is false."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.regression.linear_model import OLS

from harness.statistics import bounded, means
from harness.statistics.means import (
    aggregate,
    different_mean,
    equivalent_mean,
    noninferior_mean,
    paired_means,
    ruling,
    superior_mean,
    unpaired_means,
)
from tests.harness.statistics.drawn import ALPHAS, ALTERNATIVES, LEVELS, NUMBERS, ORDINARY, SOME, UNIT, sound

Rows = NDArray[np.float64]

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
"""Hours of sleep won by two drugs (R's `sleep`; Student 1908)."""
REPLICATIONS = 2000


# Against published figures and other code.


def test_paired_differences_give_what_r_gives() -> None:
    """R: t.test(extra ~ group, data = sleep, paired = TRUE)."""
    found = paired_means([first - second for first, second in zip(*SLEEP, strict=True)])
    assert found.estimate == pytest.approx(-1.58)
    assert found.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert (found.n, found.effective_n) == (10, 10)


def test_unpaired_values_give_what_r_gives() -> None:
    """R: t.test(extra ~ group, data = sleep)."""
    found = unpaired_means(SLEEP[1], SLEEP[0])
    assert found.interval == pytest.approx((-3.3654832, 0.2054832), abs=1e-7)
    assert found.p == pytest.approx(0.07939, abs=5e-6)


@given(st.lists(ORDINARY, min_size=2, max_size=30).filter(lambda values: np.ptp(values) > 0.01), LEVELS)
def test_paired_differences_give_what_scipy_gives(values: list[float], confidence: float) -> None:
    for alternative in ("two-sided", "greater", "less"):
        theirs = stats.ttest_1samp(values, 0, alternative=alternative)
        found = paired_means(values, confidence, alternative=alternative)  # type: ignore[arg-type]
        assert found.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert paired_means(values, confidence).interval == pytest.approx(tuple(theirs), rel=1e-6, abs=1e-6)


def test_clusters_of_one_size_give_what_their_means_and_what_statsmodels_give() -> None:
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(12), 5)
    values = rng.normal(size=60) + rng.normal(size=12)[clusters]
    found = paired_means(values.tolist(), clusters=clusters.tolist())
    by_mean = paired_means(list(aggregate(values.tolist(), clusters.tolist()).values()))
    assert found.interval is not None
    assert found.interval == pytest.approx(by_mean.interval)
    assert found.p == pytest.approx(by_mean.p)
    fit = OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    assert (found.interval[1] - found.interval[0]) / 2 == pytest.approx(fit.bse[0] * stats.t.ppf(0.975, 11))
    assert found.effective_n == pytest.approx(60 * (values.std(ddof=1) / np.sqrt(60) / fit.bse[0]) ** 2)


def test_clusters_of_many_sizes_vary_as_the_mean_does_without_each() -> None:
    rng = np.random.default_rng(2)
    clusters = rng.integers(0, 9, 40)
    values = rng.normal(size=40)
    left = np.asarray([values[clusters != cluster].mean() for cluster in range(9)])
    error = np.sqrt(8 / 9 * ((left - values.mean()) ** 2).sum())
    counting = 40**2 / (np.bincount(clusters) ** 2).sum()
    found = paired_means(values.tolist(), clusters=clusters.tolist())
    assert found.interval is not None
    assert (found.interval[1] - found.interval[0]) / 2 == pytest.approx(error * stats.t.ppf(0.975, counting - 1))


def test_repeats_are_gathered_by_prompt() -> None:
    assert aggregate([1, 2, 6, 1e308, 1e308], ["b", "a", "b", "c", "c"]) == {"b": 3.5, "a": 2.0, "c": 1e308}


# Bounds that hold whatever the distribution.


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.3))
def test_of_yes_and_no_the_bounds_are_clopper_and_pearson_s(count: tuple[int, int], alpha: float) -> None:
    k, n = count
    values = np.asarray([1.0] * k + [0.0] * (n - k))
    low = 0.0 if k == 0 else stats.beta.ppf(alpha, k, n - k + 1)
    high = 1.0 if k == n else stats.beta.ppf(1 - alpha, k + 1, n - k)
    assert bounded.lower(values, 0.0, alpha) == pytest.approx(low, abs=1e-9)
    assert bounded.upper(values, 1.0, alpha) == pytest.approx(high, abs=1e-9)
    assert bounded.shown_above(values, 0.0, 0.4) == pytest.approx(stats.binom.sf(k - 1, n, 0.4), rel=1e-6)


def test_the_bounds_are_the_quantiles_of_means_weighted_by_chance() -> None:
    rng = np.random.default_rng(3)
    values = rng.random(15)
    weights = rng.dirichlet(np.ones(16), 200_000)
    drawn = weights @ np.append(values, 0.0)
    assert bounded.lower(values, 0.0, 0.05) == pytest.approx(np.quantile(drawn, 0.05), abs=0.002)
    assert bounded.shown_above(values, 0.0, 0.4) == pytest.approx((drawn <= 0.4).mean(), abs=0.004)


@pytest.mark.parametrize("n", [5, 12, 20])
@pytest.mark.parametrize("support", [(-1, 0, 1), (-1, -0.5, 0), (-1, -0.05, 0.3), (-1, 0.2, 1), (-0.3, 0, 0.02)])
def test_no_distribution_on_three_points_is_passed_too_often(n: int, support: tuple[float, ...]) -> None:
    """By exact enumeration: the bound's claim is a conjecture, and this would contradict it."""
    results = [(a, b, n - a - b) for a in range(n + 1) for b in range(n - a + 1)]
    ways = np.asarray([comb(n, a) * comb(n - a, b) for a, b, _ in results], dtype=float)
    counts = np.asarray(results)
    for mean in (-0.2, -0.05):
        ps = np.asarray([bounded.shown_above(np.repeat(support, result), -1.0, mean) for result in results])
        for alpha in (0.025, 0.05, 0.1):
            for first in np.linspace(0.001, 0.999, 60):
                second = (mean - first * support[0] - (1 - first) * support[2]) / (support[1] - support[2])
                shares = np.asarray([first, second, 1 - first - second])
                if shares.min() >= 0:
                    assert (ways * (shares**counts).prod(axis=1))[ps < alpha].sum() <= alpha


def test_many_distinct_values_are_bounded_a_little_further_out() -> None:
    values = np.random.default_rng(4).random(12_000)
    found = paired_means(values.tolist(), within=(0, 1))
    plain = paired_means(values.tolist())
    assert found.interval is not None
    assert plain.interval is not None
    assert found.interval[0] == pytest.approx(plain.interval[0], abs=4e-4)
    assert found.interval[0] < plain.interval[0] < plain.interval[1] < found.interval[1]


# What does not vary.


def test_differences_that_do_not_vary_show_nothing() -> None:
    for values in ([0.0] * 20, [0.1] * 20, [0.3 - 0.2, 0.4 - 0.3, 0.5 - 0.4] * 7, [1.0]):
        found = paired_means(values)
        assert (found.interval, found.p) == (None, None)
        assert found.reason
        assert noninferior_mean(values, 0.05)[0] == "inconclusive"


def test_on_a_known_scale_149_pairs_that_do_not_differ_show_two_points_and_148_do_not() -> None:
    assert noninferior_mean([0.0] * 149, 0.02, within=(-1, 1))[0] == "pass"
    assert noninferior_mean([0.0] * 148, 0.02, within=(-1, 1))[0] == "inconclusive"
    assert equivalent_mean([0.0] * 149, 0.02, within=(-1, 1))[0] == "pass"


def test_what_is_worse_by_the_margin_passes_at_20_pairs_never_where_a_t_interval_passes_it_two_times_in_three() -> None:
    """2 % of pairs lost: with none seen, the t interval is [0, 0]. The chance of that is .98^20 = .67."""
    for lost in range(21):
        values = [-1.0] * lost + [0.0] * (20 - lost)
        assert noninferior_mean(values, 0.02, within=(-1, 1))[0] != "pass"
        assert noninferior_mean(values, 0.02)[0] != "pass"


def test_an_arm_that_does_not_vary_bounds_nothing_unless_the_scale_is_known() -> None:
    assert unpaired_means([1.0] * 20, [0.2, 0.4, 0.6]).interval is None
    found = unpaired_means([1.0] * 20, [0.5] * 20, within=(0, 1))
    assert found.interval is not None
    assert found.interval[0] < -0.5 < found.interval[1] < 0


def test_few_differences_that_tell_something_are_not_enough_for_a_claim() -> None:
    decision, found = noninferior_mean([0.0] * 90 + [0.01 * i for i in range(1, 10)], 0.5)
    assert decision == "inconclusive"
    assert "9 of 99" in found.reason
    assert noninferior_mean([0.0] * 90 + [0.01 * i for i in range(1, 11)], 0.5)[0] == "pass"


def test_a_trace_of_noise_does_not_make_differences_tell() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0, 1e-9, 50)
    values[:3] = -0.2
    assert noninferior_mean(values.tolist(), 0.05)[0] == "inconclusive"


def test_one_cluster_that_outweighs_all_others_shows_nothing() -> None:
    found = paired_means([0.1, 0.2, 0.3, 0.5, 0.2, 0.9], clusters=["a"] * 5 + ["b"])
    assert found.interval is None
    assert "outweighs" in found.reason


# How often claims are false.


def _zeros(share: float, lost: Callable[[Any, tuple[int, int]], Rows]) -> Callable[[Any, int], Rows]:
    """Differences that are mostly 0, worse by just .05 in the mean."""

    def draw(rng: Any, n: int) -> Rows:
        shape = (REPLICATIONS, n)
        return np.where(rng.random(shape) < share, lost(rng, shape) * 0.05 / share, 0.0)

    return draw


WORSE: dict[str, Callable[[Any, int], Rows]] = {
    "normal": lambda rng, n: rng.normal(-0.05, 0.1, (REPLICATIONS, n)),
    "one in 20 loses 1": _zeros(0.05, lambda _, shape: np.full(shape, -1.0)),
    "one in 5 loses": _zeros(0.2, lambda _, shape: np.full(shape, -1.0)),
    "one in 10 loses much or little": _zeros(0.1, lambda rng, shape: -rng.exponential(size=shape)),
    "one in 5 loses much or little": _zeros(0.2, lambda rng, shape: -rng.exponential(size=shape)),
    "one in 5 loses or gains": _zeros(0.2, lambda rng, shape: rng.normal(-1, 1, shape)),
}


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("kind", WORSE)
def test_what_is_worse_by_the_margin_seldom_passes(kind: str, n: int) -> None:
    """A t test passes up to .38 of these at 20 pairs, .14 at 50 and .13 at 200; measured here at most .06."""
    rows = WORSE[kind](np.random.default_rng(6), n)
    passed = sum(noninferior_mean(row, 0.05)[0] == "pass" for row in rows)  # type: ignore[arg-type]
    assert passed / REPLICATIONS <= 0.06


def test_a_t_test_passes_too_many_of_them() -> None:
    rows = WORSE["one in 20 loses 1"](np.random.default_rng(6), 20)
    lows = rows.mean(1) - stats.t.ppf(0.95, 19) * rows.std(1, ddof=1) / np.sqrt(20)
    assert (lows > -0.05).mean() > 0.3


@pytest.mark.parametrize("kind", ["one in 20 loses 1", "one in 5 loses", "one in 5 loses or gains"])
def test_on_a_known_scale_what_is_worse_by_the_margin_passes_at_most_as_often_as_said(kind: str) -> None:
    """`shown_above` is what the decision rests on."""
    rows = WORSE[kind](np.random.default_rng(7), 100)[:500].clip(-1, 1)
    mean = -0.05 if "gains" not in kind else float(rows.mean())
    assert np.mean([bounded.shown_above(row, -1.0, mean) < 0.05 for row in rows]) <= 0.05


def test_what_is_not_worse_passes_nearly_as_often_as_by_a_t_test() -> None:
    rng = np.random.default_rng(8)
    rows = np.where(rng.random((REPLICATIONS, 100)) < 0.3, rng.normal(0, 0.3, (REPLICATIONS, 100)), 0.0)
    lows = rows.mean(1) - stats.t.ppf(0.95, 99) * rows.std(1, ddof=1) / 10
    passed = sum(noninferior_mean(row, 0.05)[0] == "pass" for row in rows)  # type: ignore[arg-type]
    assert passed / REPLICATIONS > (lows > -0.05).mean() - 0.03
    assert passed / REPLICATIONS > 0.87


def test_repeats_of_a_prompt_do_not_make_differences_that_are_not_there() -> None:
    """50 prompts, 20 repeats: pooled, one in three is false; by cluster, one in 20."""
    rng = np.random.default_rng(9)
    clusters = np.repeat(np.arange(50), 20).tolist()
    pooled = clustered = 0
    for _ in range(400):
        values = (np.repeat(rng.normal(0, 0.4, 50), 20) + rng.normal(size=1000)).tolist()
        pooled += (paired_means(values).p or 0) < 0.05
        clustered += (paired_means(values, clusters=clusters).p or 0) < 0.05
    assert pooled / 400 > 0.19
    assert clustered / 400 <= 0.075


def test_clusters_of_very_different_sizes_do_not_either() -> None:
    """Statsmodels' errors and one degree of freedom a cluster: .35 here."""
    rng = np.random.default_rng(10)
    clusters = np.repeat(np.arange(22), [100, 100, *[2] * 20])
    found = [
        paired_means((rng.normal(size=22)[clusters]).tolist(), clusters=clusters.tolist()).p or 0.0 for _ in range(500)
    ]
    assert np.mean(np.asarray(found) < 0.05) <= 0.07


def test_welch_s_interval_and_that_of_a_known_scale_cover_unequal_arms() -> None:
    rng = np.random.default_rng(11)
    covered = []
    for _ in range(100):
        a, b = rng.random(15).tolist(), (0.4 + 0.2 * rng.random(40)).tolist()
        for found in (unpaired_means(a, b), unpaired_means(a, b, within=(0, 1))):
            assert found.interval is not None
            covered.append(found.interval[0] <= 0 <= found.interval[1])
    assert np.mean(covered[::2]) >= 0.9
    assert np.mean(covered[1::2]) >= 0.95


# Whatever the data.


@settings(max_examples=60)
@given(SOME, LEVELS, ALTERNATIVES, st.randoms())
def test_no_values_bring_a_nan_or_a_warning(
    values: list[float], confidence: float, alternative: Any, dice: Any
) -> None:
    clusters = [dice.randint(0, 5) for _ in values]
    ends = (min(values) - 1, max(values) + 1)
    assert sound(paired_means(values, confidence, None, alternative))
    assert sound(paired_means(values, confidence, clusters, alternative))
    if ends[0] < ends[1]:
        assert sound(paired_means(values, confidence, clusters, alternative, ends))
        assert sound(unpaired_means(values, values[::-1], confidence, (clusters, clusters), ends))


@given(SOME, SOME, LEVELS)
def test_no_two_samples_bring_a_nan_or_a_warning(a: list[float], b: list[float], confidence: float) -> None:
    assert sound(unpaired_means(a, b, confidence))
    assert sound(unpaired_means(a, b, confidence, (list(range(len(a))), [0] * len(b))))


@given(SOME, st.floats(1e-300, 1e308), ALPHAS, st.booleans())
def test_no_claim_brings_a_nan_or_a_warning(values: list[float], margin: float, alpha: float, cluster: bool) -> None:
    clusters = [i // 2 for i in range(len(values))] if cluster else None
    for claim in (noninferior_mean, equivalent_mean, superior_mean):
        assert sound(claim(values, margin, alpha, clusters))
    assert sound(different_mean(values, alpha, clusters, margin=margin))


@settings(max_examples=40)
@given(UNIT, st.floats(1e-6, 3), ALPHAS)
def test_p_and_decision_agree(values: list[float], margin: float, alpha: float) -> None:
    for within in (None, (-1.0, 1.0)):
        for claim in (noninferior_mean, equivalent_mean, superior_mean):
            decision, found = claim(values, margin, alpha, None, within)
            assert sound(found)
            if found.p is not None and abs(found.p - alpha) > 1e-9:
                assert (decision == "pass") == (found.p < alpha)
        decision, found = different_mean(values, alpha, None, within)
        if found.p is not None and abs(found.p - alpha) > 1e-9:
            assert (decision == "pass") == (found.p < alpha)


@settings(max_examples=30)
@given(st.lists(NUMBERS, min_size=2, max_size=30), st.integers(-200, 200))
def test_a_scale_of_its_own_changes_no_answer(values: list[float], power: int) -> None:
    values = [value for value in values if value == 0 or 1e-90 < abs(value) < 1e90] or [1.0]
    there = paired_means([value * 2.0**power for value in values])
    here = paired_means(values)
    assert there.p == here.p
    assert (there.interval is None) == (here.interval is None)


def test_a_claim_is_the_contrary_of_its_contrary() -> None:
    assert ruling("noninferior", (-0.01, 0.3), 0.02) == "pass"
    assert ruling("noninferior", (-0.3, -0.03), 0.02) == "fail"
    assert ruling("equivalent", (-0.01, 0.03), 0.02) == "inconclusive"
    assert ruling("equivalent", (0.03, 0.04), 0.02) == "fail"
    assert ruling("superior", (0.01, 0.04)) == "pass"
    assert ruling("superior", (-0.04, -0.01)) == "fail"
    assert ruling("different", (-0.04, -0.01)) == "pass"
    assert ruling("different", (-0.04, 0.01)) == "inconclusive"
    assert ruling("different", (-0.01, 0.01), 0.02) == "fail"
    assert ruling("superior", None) == "inconclusive"


@pytest.mark.parametrize("values", [[], [nan], [1.0, inf]])
def test_what_is_no_data_is_refused(values: list[float]) -> None:
    for method in (
        paired_means,
        lambda given: unpaired_means([1.0], given),
        lambda given: noninferior_mean(given, 0.1),
    ):
        with pytest.raises(ValueError, match="values"):
            method(values)  # type: ignore[operator]


@pytest.mark.parametrize("confidence", [0.0, 1.0, nan])
def test_what_is_no_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="not between"):
        paired_means([1.0, 2.0], confidence)
    with pytest.raises(ValueError, match="not between"):
        noninferior_mean([1.0, 2.0], 0.1, confidence)


def test_what_is_no_margin_no_scale_and_no_cluster_is_refused() -> None:
    for margin in (0.0, -1.0, inf, nan):
        with pytest.raises(ValueError, match="margin"):
            noninferior_mean([1.0, 2.0], margin)
    for within in ((0.0, 1.0), (3.0, 0.0), (nan, 3.0)):
        with pytest.raises(ValueError, match=r"within|scale"):
            paired_means([1.0, 2.0], within=within)
    with pytest.raises(ValueError, match="clusters are named"):
        paired_means([1.0, 2.0], clusters=["a"])
    assert means.TELLING == 10
