"""Ranks: R's figures, scipy's, every way in which few values could have fallen, and what few values can show at best."""

from __future__ import annotations

from itertools import combinations, product
from math import comb, inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.ranks import (
    brunner_munzel,
    least_p_apart,
    least_p_of_pairs,
    mann_whitney,
    needed_apart,
    needed_pairs,
    wilcoxon,
)
from tests.harness.statistics.drawn import ALTERNATIVES, LEVELS, ORDINARY, SOME, sound

DEPRESSION = (
    [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30],
    [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29],
)
"""Of nine patients at two visits (Hollander and Wolfe 1973, in R's documentation of wilcox.test)."""
PERMEABILITY = (
    [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
    [1.15, 0.88, 0.90, 0.74, 1.21],
)
"""Of membranes at term and earlier (likewise)."""
PAIN = [1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1], [3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4]
"""Shoulder pain of two groups (Lumley 1996, in R's documentation of brunnermunzel)."""
SMALL = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=5)


def test_signed_ranks_give_what_r_gives() -> None:
    """R: wilcox.test(x, y, paired = TRUE, alternative = "greater"): V = 40, p-value = 0.01953; conf.int 0.010, 0.786."""
    differences = [x - y for x, y in zip(*DEPRESSION, strict=True)]
    assert wilcoxon(differences, alternative="greater").p == pytest.approx(0.01953, abs=5e-6)
    found = wilcoxon(differences)
    assert found.estimate == pytest.approx(0.46)
    assert found.interval == pytest.approx((0.010, 0.786))


def test_rank_sums_give_what_r_gives() -> None:
    """R: wilcox.test(x, y, alternative = "greater"): W = 35, p-value = 0.1272."""
    found = mann_whitney(PERMEABILITY[1], PERMEABILITY[0], alternative="greater")
    assert found.p == pytest.approx(0.1272, abs=5e-5)
    assert found.estimate == pytest.approx(35 / 50)


def test_brunner_and_munzel_s_own_data_give_their_effect() -> None:
    """R's brunnermunzel: the effect is .788961, the permutation p over all 4,457,400 ways .008038."""
    found = brunner_munzel(*PAIN)
    assert found.estimate == pytest.approx(0.788961, abs=5e-7)
    assert found.p == pytest.approx(0.008038, abs=0.002)
    assert found == brunner_munzel(*PAIN)
    # Sixfold the data, beyond which the t takes over.
    many = brunner_munzel(PAIN[0] * 6, PAIN[1] * 6)
    assert many.p == pytest.approx(stats.brunnermunzel(PAIN[0] * 6, PAIN[1] * 6).pvalue)


@settings(max_examples=40)
@given(SMALL)
def test_the_p_of_signed_ranks_is_the_share_of_all_signs_that_are_as_far(values: list[float]) -> None:
    ranks = stats.rankdata(np.abs(values)) * (np.asarray(values) != 0)
    sums = [float(np.dot(ranks, signs)) for signs in product([-1, 1], repeat=len(values))]
    observed = float(ranks @ np.sign(values))
    assert wilcoxon(values, alternative="greater").p == pytest.approx(np.mean([total >= observed for total in sums]))
    assert wilcoxon(values).p == pytest.approx(np.mean([abs(total) >= abs(observed) for total in sums]))


@settings(max_examples=40)
@given(SMALL, SMALL)
def test_the_p_of_rank_sums_is_the_share_of_all_deals_that_are_as_far(a: list[float], b: list[float]) -> None:
    ranks = stats.rankdata(a + b)
    sums = [float(sum(way)) for way in combinations(ranks, len(b))]
    observed = float(ranks[len(a) :].sum())
    assert mann_whitney(a, b, alternative="greater").p == pytest.approx(np.mean([s >= observed for s in sums]))
    assert mann_whitney(a, b, alternative="less").p == pytest.approx(np.mean([s <= observed for s in sums]))


@given(st.lists(ORDINARY, min_size=3, max_size=30, unique=True))
def test_without_ties_scipy_says_the_same(values: list[float]) -> None:
    if len({abs(value) for value in values}) == len(values) and 0 not in values:
        assert wilcoxon(values).p == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)
    a, b = values[: len(values) // 2], values[len(values) // 2 :]
    assert mann_whitney(a, b).p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)


def test_of_many_values_scipy_says_nearly_the_same() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.1, 1, 2500).tolist()
    assert wilcoxon(values).p == pytest.approx(stats.wilcoxon(values).pvalue, rel=1e-3)
    a, b = rng.integers(0, 9, 150).tolist(), rng.integers(0, 9, 90).tolist()
    assert mann_whitney(a, b).p == pytest.approx(stats.mannwhitneyu(a, b).pvalue)


def test_the_median_of_means_of_two_is_found_among_few_and_among_many() -> None:
    values = np.random.default_rng(2).normal(size=2001)
    i, j = np.triu_indices(2001)
    assert wilcoxon(values.tolist()).estimate == pytest.approx(float(np.median((values[i] + values[j]) / 2)))
    assert wilcoxon([1.0, 2.0, 4.0]).estimate == 2.25


def test_five_pairs_and_three_against_three_cannot_decide_and_say_how_many_could() -> None:
    five = wilcoxon([1, 2, 3, 4, 5])
    assert five.p == 0.0625
    assert five.interval is None
    assert "6 can" in five.reason
    assert wilcoxon([1, 2, 3, 4, 5, 6]).p == 0.03125
    assert wilcoxon([1, 2, 3, 4, 5, 6]).reason == ""
    for method in (mann_whitney, brunner_munzel):
        three = method([1, 2, 3], [4, 5, 6])
        assert three.p == pytest.approx(0.1)
        assert "4 each can" in three.reason
        assert method([1, 2, 3, 4], [5, 6, 7, 8]).p == pytest.approx(2 / 70)


def test_zeros_leave_fewer_that_can_decide() -> None:
    found = wilcoxon([0.0] * 30 + [1.0] * 5)
    assert (found.n, found.effective_n) == (35, 5)
    assert found.p == 0.0625
    assert "5 differences that are not 0" in found.reason


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_the_fewest_that_can_decide_are_just_enough(alpha: float, alternative: Any) -> None:
    pairs, each = needed_pairs(alpha, alternative), needed_apart(alpha, alternative)
    assert least_p_of_pairs(pairs, alternative) <= alpha < least_p_of_pairs(pairs - 1, alternative)
    assert least_p_apart(each, each, alternative) <= alpha < least_p_apart(each - 1, each - 1, alternative)


@given(st.integers(1, 30), st.integers(1, 30))
def test_no_p_is_below_the_least(a: int, b: int) -> None:
    assert wilcoxon(list(range(1, a + 1))).p == pytest.approx(least_p_of_pairs(a))
    assert mann_whitney(range(a), range(a, a + b)).p == pytest.approx(least_p_apart(a, b))
    assert least_p_apart(a, b, "less") == 1 / comb(a + b, a)


def test_where_the_two_do_not_overlap_the_interval_does_not_collapse() -> None:
    for method in (mann_whitney, brunner_munzel):
        found = method(range(5), range(5, 25))
        assert found.estimate == 1
        assert found.interval == pytest.approx((0.025**0.2, 1))


def test_the_interval_covers_the_effect() -> None:
    rng = np.random.default_rng(3)
    effect = float(stats.norm.cdf(1 / np.sqrt(1 + 9)))
    covered = []
    for _ in range(400):
        found = mann_whitney(rng.normal(0, 1, 15), rng.normal(1, 3, 25))
        assert found.interval is not None
        covered.append(found.interval[0] <= effect <= found.interval[1])
    assert np.mean(covered) >= 0.93


def test_unequal_spreads_fool_mann_whitney_and_not_brunner_munzel() -> None:
    """Of 1,000: .156 and .073; with 8 against 40 values, .151 and .055."""
    rng = np.random.default_rng(4)
    fooled, not_fooled = [], []
    for _ in range(120):
        a, b = rng.normal(0, 4, 6), rng.normal(0, 1, 20)
        fooled.append((mann_whitney(a, b).p or 0) < 0.05)
        not_fooled.append((brunner_munzel(a, b).p or 0) < 0.05)
    assert np.mean(fooled) > 0.12
    assert np.mean(not_fooled) <= 0.075


def test_values_that_are_all_alike_show_nothing() -> None:
    for found in (wilcoxon([0, 0, 0]), mann_whitney([1, 1], [1, 1]), brunner_munzel([1, 1], [1, 1])):
        assert (found.p, found.interval) == (1, None)
        assert found.reason
    assert brunner_munzel([1], [2, 3]).p is None


@settings(max_examples=60)
@given(SOME, SOME, LEVELS, ALTERNATIVES)
def test_no_data_bring_a_nan_or_a_warning(a: list[float], b: list[float], confidence: float, alternative: Any) -> None:
    assert sound(wilcoxon(a, confidence, alternative))
    assert sound(mann_whitney(a, b, confidence, alternative))
    assert sound(brunner_munzel(a, b, confidence, alternative))


@pytest.mark.parametrize("values", [[], [nan], [1.0, -inf]])
def test_what_is_no_data_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="differences"):
        wilcoxon(values)
    for method in (mann_whitney, brunner_munzel):
        with pytest.raises(ValueError, match="values of the second"):
            method([1.0], values)
    with pytest.raises(ValueError, match="not between"):
        wilcoxon([1.0], 1.0)
