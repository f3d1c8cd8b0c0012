"""The bounds that gates stand on, against their definition by enumeration."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom
from statsmodels.stats.proportion import confint_proportions_2indep

from harness.statistics.proportion import (
    clopper_pearson,
    decide,
    deciding_n,
    least_n,
    newcombe,
    p_at_least,
    share,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.floats(0.5, 0.999)


def _chance(k: int, n: int, p: float) -> float:
    """That of exactly k of n."""
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def _coverage(n: int, p: float, method: str) -> float:
    """How often the two-sided 95 % interval holds the true share."""
    total = 0.0
    for k in range(n + 1):
        low, high = clopper_pearson(k, n, 0.975) if method == "exact" else wilson(k, n, 0.95)
        total += _chance(k, n, p) * (low <= p <= high)
    return total


@pytest.mark.parametrize(
    ("method", "n", "stated"),
    [("wilson", 20, 0.925), ("wilson", 100, 0.966), ("exact", 20, 0.984), ("exact", 100, 0.983)],
)
def test_coverage_is_what_statistics_md_states(method: str, n: int, stated: float) -> None:
    assert _coverage(n, 0.95, method) == pytest.approx(stated, abs=0.0006)


@pytest.mark.parametrize("p", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("n", [1, 5, 20, 100])
def test_the_exact_interval_never_covers_less_than_it_says(n: int, p: float) -> None:
    assert _coverage(n, p, "exact") >= 0.95


@given(COUNTS, LEVELS)
def test_each_exact_bound_is_the_share_at_which_the_count_would_be_just_too_surprising(
    count: tuple[int, int], confidence: float
) -> None:
    k, n = count
    low, high = clopper_pearson(k, n, confidence)
    assert 0 <= low <= k / n <= high <= 1
    if k:
        assert p_at_least(k, n, low) == pytest.approx(1 - confidence, rel=1e-6)
    else:
        assert low == 0
    if k < n:
        assert 1 - p_at_least(k + 1, n, high) == pytest.approx(1 - confidence, rel=1e-5)
    else:
        assert high == 1


@given(COUNTS, LEVELS)
def test_the_shown_interval_holds_the_estimate_and_stays_within_0_and_1(
    count: tuple[int, int], confidence: float
) -> None:
    k, n = count
    low, high = wilson(k, n, confidence)
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1
    assert low < high


@pytest.mark.parametrize(("k", "n", "confidence"), [(1, 0, 0.9), (-1, 5, 0.9), (6, 5, 0.9), (1, 5, 0.0), (1, 5, 1.0)])
def test_what_is_no_share_or_no_confidence_is_refused(k: int, n: int, confidence: float) -> None:
    for method in (clopper_pearson, wilson):
        with pytest.raises(ValueError, match="is not"):
            method(k, n, confidence)


def test_the_chance_of_at_least_none_is_certain_and_of_all_is_a_power() -> None:
    assert p_at_least(0, 10, 0.9) == 1
    assert p_at_least(10, 10, 0.9) == pytest.approx(0.9**10)


@pytest.mark.parametrize(
    ("threshold", "confidence", "n"),
    [
        (0.95, 0.95, 59),
        (0.98, 0.95, 149),
        (0.99, 0.95, 299),
        (0.9, 0.9, 22),
        (0.5, 0.5, 1),
        (0.5, 0.75, 2),
        (0.0, 0.99, 1),
    ],
)
def test_the_fewest_cases_that_can_show_a_share_are_known(threshold: float, confidence: float, n: int) -> None:
    assert least_n(threshold, confidence) == n


def test_no_number_of_cases_shows_a_share_of_one() -> None:
    assert least_n(1.0, 0.95) is None
    assert least_n(1 - 1e-12, 0.95) is None


@settings(max_examples=400)
@given(st.integers(1, 999).map(lambda i: i / 1000), st.sampled_from([0.5, 0.75, 0.8, 0.9, 0.95, 0.99, 0.9999]))
def test_the_fewest_cases_pass_when_all_are_met_and_one_fewer_do_not(threshold: float, confidence: float) -> None:
    n = least_n(threshold, confidence)
    assert n is not None
    assert decide(n, n, threshold, confidence) == "pass"
    assert n == 1 or decide(n - 1, n - 1, threshold, confidence) != "pass"


@given(COUNTS, st.floats(0.01, 0.999), LEVELS)
def test_nothing_both_passes_and_fails_and_more_met_is_never_worse(
    count: tuple[int, int], threshold: float, confidence: float
) -> None:
    k, n = count
    order = ("fail", "inconclusive", "pass")
    ruling = decide(k, n, threshold, confidence)
    if k < n:
        assert order.index(decide(k + 1, n, threshold, confidence)) >= order.index(ruling)
    if ruling == "pass":
        assert k / n >= threshold
    if ruling == "fail":
        assert k / n < threshold


@given(COUNTS, st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.98]), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_number_said_to_decide_does_if_things_go_on_as_they_went(
    count: tuple[int, int], threshold: float, confidence: float
) -> None:
    k, n = count
    if decide(k, n, threshold, confidence) != "inconclusive":
        return
    needed = deciding_n(k, n, threshold, confidence)
    if needed is None:
        assert abs(k / n - threshold) < 0.01
        return
    assert needed > n
    above = k / n > threshold
    met = math.floor(k * needed / n + 1e-9) if above else math.ceil(k * needed / n - 1e-9)
    assert decide(met, needed, threshold, confidence) == ("pass" if above else "fail")


@pytest.mark.parametrize(
    ("k", "n", "threshold", "needed"), [(97, 100, 0.95, None), (19, 20, 0.9, None), (5, 5, 0.95, 59)]
)
def test_the_number_said_to_decide_is_not_much_more_than_enough(
    k: int, n: int, threshold: float, needed: int | None
) -> None:
    said = deciding_n(k, n, threshold, 0.95)
    assert said is not None
    if needed is not None:
        assert said == needed
    fewer = int(said * 0.8)
    assert decide(k * fewer // n, fewer, threshold, 0.95) == "inconclusive"


def test_a_share_that_sits_on_the_threshold_is_never_decided() -> None:
    assert deciding_n(95, 100, 0.95, 0.95) is None


def test_a_share_carries_its_two_sided_interval() -> None:
    """R's binom.test(8, 10): .444 to .975; Wilson's, of Newcombe (1998), for 81 of 263: .2553 to .3662."""
    exact = share(8, 10)
    assert exact.estimate == 0.8
    assert exact.interval == pytest.approx((0.4439045, 0.9747893), abs=1e-7)
    assert (exact.p, exact.n, exact.effective_n, exact.reason) == (None, 10, 10, "")
    assert share(81, 263, 0.95, "wilson").interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert share(81, 263).interval == pytest.approx((0.2527, 0.3676), abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "interval"),
    [
        ((48, 80), (56, 70), (0.0524, 0.3339)),
        ((3, 10), (9, 10), (0.1705, 0.8090)),
        ((2, 7), (6, 7), (0.0582, 0.8062)),
        ((0, 29), (5, 56), (-0.0381, 0.1926)),
        ((0, 20), (0, 10), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((0, 20), (10, 10), (0.6791, 1.0)),
        ((0, 10), (10, 10), (0.6075, 1.0)),
    ],
)
def test_newcombe_s_own_examples_come_out(
    first: tuple[int, int], second: tuple[int, int], interval: tuple[float, float]
) -> None:
    """Of Newcombe (1998), table II, method 10."""
    assert newcombe(*first, *second).interval == pytest.approx(interval, abs=5e-5)


@given(COUNTS, COUNTS)
def test_two_shares_compare_as_statsmodels_has_it_and_the_p_is_fisher_s_less_half(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    found = newcombe(*first, *second)
    theirs = confint_proportions_2indep(*second, *first, method="newcomb", compare="diff")
    assert found.interval == pytest.approx(theirs, abs=1e-9)
    (k1, n1), (k2, n2) = first, second
    if 0 < k1 + k2 < n1 + n2:
        drawn = hypergeom(n1 + n2, k1 + k2, n2)
        above = drawn.sf(k2) + drawn.pmf(k2) / 2
        assert found.p == pytest.approx(min(1, 2 * min(above, 1 - above)), abs=1e-9)
    else:
        assert found.p == 1
        assert found.reason


@given(COUNTS, COUNTS)
def test_exchanging_two_shares_turns_the_difference_round(first: tuple[int, int], second: tuple[int, int]) -> None:
    one, other = newcombe(*first, *second), newcombe(*second, *first)
    assert one.interval is not None
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=1e-12)
    assert one.p == pytest.approx(other.p, abs=1e-9)


def test_a_threshold_that_is_no_number_is_refused() -> None:
    bar = math.nan
    for ask in (
        lambda: decide(9, 10, bar, 0.95),
        lambda: deciding_n(9, 10, bar, 0.95),
        lambda: p_at_least(9, 10, bar),
        lambda: least_n(bar, 0.95),
    ):
        with pytest.raises(ValueError, match="no number"):
            ask()
