"""Quantiles: the numbers that bounds need, published places, and how often bounds hold, exactly."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.quantiles import least_n, quantile, quantile_at_most
from tests.harness.statistics.drawn import ALPHAS, LEVELS, NUMBERS, SOME, sound

SHARES = st.floats(0.001, 0.999) | st.sampled_from([0.5, 0.95, 0.99])
SIDES = st.sampled_from(["two-sided", "upper", "lower"])


def test_a_two_sided_interval_needs_368_values_for_p99_and_72_for_p95_and_6_for_the_median() -> None:
    assert [least_n(q) for q in (0.99, 0.95, 0.5)] == [368, 72, 6]
    assert [least_n(q, side="upper") for q in (0.99, 0.95, 0.5)] == [299, 59, 5]
    assert least_n(0.95, side="lower") == 1
    assert least_n(1 - 1e-12) is None


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_one_fewer_is_not_enough(q: float) -> None:
    n = least_n(q)
    assert n is not None
    assert quantile(range(n), q).interval is not None
    short = quantile(range(n - 1), q)
    assert short.interval is None
    assert f"{n} can" in short.reason


def test_the_median_of_a_hundred_lies_between_the_40th_and_the_61st() -> None:
    """Conover, Practical Nonparametric Statistics; the 25th and the 75th value's places likewise by hand."""
    found = quantile(range(1, 101), 0.5)
    assert found.interval == (40, 61)
    assert found.estimate == 50.5


@given(st.integers(80, 600), st.sampled_from([0.1, 0.5, 0.95]))
def test_scipy_says_the_same(n: int, q: float) -> None:
    theirs = stats.quantile_test(np.arange(n), p=q).confidence_interval(0.95)
    assert quantile(range(n), q).interval == (theirs.low, theirs.high)
    assert quantile(range(n), q).estimate == pytest.approx(np.quantile(np.arange(n), q))


@given(st.integers(1, 400), SHARES, st.sampled_from([0.8, 0.95, 0.99]))
def test_each_bound_holds_as_often_as_it_says_and_the_next_value_would_not(n: int, q: float, confidence: float) -> None:
    """Of values without ties, the number below the quantile is binomial."""
    upper, lower = quantile(range(n), q, confidence, "upper"), quantile(range(n), q, confidence, "lower")
    if upper.interval is not None and upper.interval[1] == int(upper.interval[1]):
        place = int(upper.interval[1])
        assert stats.binom.cdf(place, n, q) >= confidence - 1e-12
        assert place == 0 or stats.binom.cdf(place - 1, n, q) < confidence
    if lower.interval is not None and lower.interval[0] == int(lower.interval[0]):
        place = int(lower.interval[0])
        assert stats.binom.sf(place, n, q) >= confidence - 1e-12
        assert place == n - 1 or stats.binom.sf(place + 1, n, q) < confidence


def test_a_budget_is_kept_broken_or_neither() -> None:
    assert quantile_at_most(range(100), 0.95, 98)[0] == "pass"
    assert quantile_at_most(range(100), 0.95, 97)[0] == "inconclusive"
    assert quantile_at_most(range(100), 0.95, 89)[0] == "fail"
    decision, found = quantile_at_most(range(50), 0.99, 1000)
    assert decision == "inconclusive"
    assert "299 can" in found.reason
    # Broken for certain, though nothing bounds it from above.
    assert quantile_at_most(range(50), 0.99, 10)[0] == "fail"


@settings(max_examples=200)
@given(SOME, SHARES, NUMBERS, ALPHAS)
def test_a_budget_is_kept_just_where_p_is_small(values: list[float], q: float, most: float, alpha: float) -> None:
    decision, found = quantile_at_most(values, q, most, alpha)
    assert sound(found)
    assert found.p is not None
    if abs(found.p - alpha) > 1e-9 * alpha:
        assert (decision == "pass") == (found.p < alpha)


def test_what_is_20_percent_over_a_budget_is_not_passed_and_is_found() -> None:
    """p95 of lognormal times (.3), 300 of them."""
    rng = np.random.default_rng(1)
    budget = float(np.exp(0.3 * stats.norm.ppf(0.95)))
    said = [quantile_at_most(rng.lognormal(np.log(1.2), 0.3, 300), 0.95, budget)[0] for _ in range(400)]
    assert said.count("pass") == 0
    assert said.count("fail") / 400 >= 0.95
    at_budget = [quantile_at_most(rng.lognormal(0, 0.3, 300), 0.95, budget)[0] for _ in range(1000)]
    assert at_budget.count("pass") / 1000 <= 0.06
    assert at_budget.count("fail") / 1000 <= 0.06


@given(SOME, SHARES | st.floats(1e-12, 1 - 1e-12), LEVELS, SIDES)
def test_no_data_bring_a_nan_or_a_warning(values: list[float], q: float, confidence: float, side: Any) -> None:
    assert sound(quantile(values, q, confidence, side))
    needed = least_n(q, confidence, side)
    assert needed is None or needed >= 1


@pytest.mark.parametrize("values", [[], [nan], [inf]])
def test_what_is_no_data_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="values"):
        quantile(values, 0.5)
    for q in (0.0, 1.0, nan):
        with pytest.raises(ValueError, match="not between"):
            quantile([1.0], q)
    with pytest.raises(ValueError, match="budget"):
        quantile_at_most([1.0], 0.5, nan)
