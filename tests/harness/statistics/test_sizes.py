"""Sizes and power, against R's, statsmodels' and what is simulated."""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower, TTestPower

from harness.statistics import paired
from harness.statistics.estimate import Decision, Estimate
from harness.statistics.means import noninferior_mean, paired_means
from harness.statistics.sizes import (
    deciding_n,
    detectable_share,
    least_n_means,
    least_n_within,
    minimum_detectable_effect,
    power_means,
    power_paired_shares,
)
from tests.harness.statistics.drawn import ALPHAS, ALTERNATIVES, NUMBERS, SOME

SIZES = st.integers(0, 10**7) | st.integers(2, 50)
POSITIVE = st.floats(1e-300, 1e300) | st.floats(0.01, 10)
POWERS = st.floats(0.01, 0.999)


def test_power_of_a_t_test_is_r_s() -> None:
    """R's documentation of power.t.test: .8689528 with n = 20; 22.02110 for .90; 17.84713 one-sided."""
    assert power_means(20, 1, 1, arms=2) == pytest.approx(0.8689528, abs=1e-6)
    assert least_n_means(1, 1, 0.90, arms=2) == 23
    assert least_n_means(1, 1, 0.90, alternative="greater", arms=2) == 18
    assert minimum_detectable_effect(23, 1, 0.90, arms=2) == pytest.approx(0.978, abs=1e-3)


@given(st.integers(2, 200), st.floats(0.05, 2), st.sampled_from([0.01, 0.05, 0.1]), st.sampled_from([1, 2]))
def test_power_of_a_t_test_is_statsmodels_s(n: int, effect: float, alpha: float, arms: int) -> None:
    theirs = TTestPower() if arms == 1 else TTestIndPower()
    both, larger = theirs.power(effect, n, alpha), theirs.power(effect, n, alpha, alternative="larger")
    assume(not np.isnan([both, larger]).any())
    assert power_means(n, effect, 1, alpha, arms=arms) == pytest.approx(both, abs=1e-7)
    assert power_means(n, effect, 1, alpha, "greater", arms) == pytest.approx(larger, abs=1e-7)
    assert power_means(n, -effect, 1, alpha, "less", arms) == pytest.approx(larger, abs=1e-7)


@given(st.floats(0.05, 3), POWERS, st.sampled_from([0.01, 0.05]), ALTERNATIVES, st.sampled_from([1, 2]))
def test_the_fewest_are_just_enough(effect: float, power: float, alpha: float, alternative: Any, arms: int) -> None:
    effect = -effect if alternative == "less" else effect
    n = least_n_means(effect, 1, power, alpha, alternative, arms)
    assert n is not None
    assert power_means(n, effect, 1, alpha, alternative, arms) >= power
    assert n == 2 or power_means(n - 1, effect, 1, alpha, alternative, arms) < power
    smallest = minimum_detectable_effect(n, 1, power, alpha, alternative, arms)
    assert smallest is not None
    assert abs(smallest) <= abs(effect) + 1e-9
    assert power_means(n, smallest, 1, alpha, alternative, arms) >= power


def test_where_the_library_gives_up_power_is_still_a_chance() -> None:
    """Of scipy, NaN. With one degree of freedom it is the chance that the spread seems small enough."""
    edge, away = 318_309_886, 71_738 * 2**0.5
    assert power_means(2, 71_738, 1, 1e-9, "greater") == pytest.approx(2 * 0.3989 * away / edge, abs=1e-3)


def test_no_number_shows_nothing() -> None:
    assert least_n_means(0, 1) is None
    assert minimum_detectable_effect(1, 1) is None
    assert power_means(1, 1, 1) == 0


def test_the_power_of_a_margin_is_that_of_the_claim_where_differences_are_normal() -> None:
    """Not worse by .05, were the two alike: how far inside the margin the truth is, is the effect."""
    rng = np.random.default_rng(1)
    passed = [noninferior_mean(row, 0.05)[0] == "pass" for row in rng.normal(0, 0.2, (1000, 100))]  # type: ignore[arg-type]
    assert np.mean(passed) == pytest.approx(power_means(100, 0.05, 0.2, 0.05, "greater"), abs=0.03)


def test_of_pairs_the_power_of_the_documented_gate_is_what_statistics_say() -> None:
    """n = 200, margin .05, one in 10 differs: .697 simulated, .695 enumerated, by Tango's bound and by the exact ones."""
    assert power_paired_shares(200, 0.05, 0.05, 0.05) == pytest.approx(0.695, abs=0.001)
    tango = power_paired_shares(200, 0.05, 0.05, 0.05, decides=_tango(0.05))
    assert tango == pytest.approx(0.695, abs=0.001)


def _tango(margin: float) -> Any:
    def decides(gained: int, lost: int, n: int) -> Decision:
        return "pass" if paired.p_above(gained, lost, n, -margin) < 0.05 else "inconclusive"

    return decides


def test_mcnemar_s_mid_p_has_the_power_it_has() -> None:
    """n = 100, one in 10 differs, 3 to 1, two-sided: .328; where neither is better, at most .05."""
    assert power_paired_shares(100, 0.075, 0.025, 0, decides="different") == pytest.approx(0.328, abs=0.001)
    assert power_paired_shares(100, 0.05, 0.05, 0, decides="different") <= 0.05


def test_the_smallest_difference_of_shares_is_just_shown() -> None:
    found = detectable_share(200, 0.1)
    assert found is not None
    up, down = (0.1 + found) / 2, (0.1 - found) / 2
    assert power_paired_shares(200, up, down, 0, decides="different") == pytest.approx(0.8, abs=0.005)
    assert detectable_share(20, 0.05) is None


@pytest.mark.parametrize(("margin", "low", "n"), [(0.02, -1, 149), (0.05, -1, 59), (0.5, -1, 5), (1, -1, 1)])
def test_on_a_known_scale_the_fewest_are_just_enough(margin: float, low: float, n: int) -> None:
    assert least_n_within(margin, low) == n
    assert noninferior_mean([0.0] * n, margin, within=(low, -low))[0] == "pass"
    if 1 < n < 100:
        assert noninferior_mean([0.0] * (n - 1), margin, within=(low, -low))[0] == "inconclusive"


def test_so_many_as_are_said_decide_if_things_go_on_so() -> None:
    values = [0.1, 0.3, -0.2, 0.4, 0.1, 0.2]
    n = deciding_n(paired_means(values), 0.0)
    assert n is not None
    longer = paired_means([values[i % 6] for i in range(n + 6)])
    assert longer.interval is not None
    assert longer.interval[0] > 0
    assert deciding_n(paired_means(values), 0.15) is None
    assert deciding_n(paired_means([1.0]), 0.0) is None
    assert deciding_n(Estimate(1.0, (0.5, 1.5), None, "", 10, 10), 0.0) == 10


@settings(max_examples=40)
@given(SIZES, NUMBERS, POSITIVE, ALPHAS, ALTERNATIVES, st.sampled_from([1, 2]))
def test_no_size_brings_a_nan_or_a_warning(
    n: int, effect: float, sd: float, alpha: float, alternative: Any, arms: int
) -> None:
    assert 0 <= power_means(n, effect, sd, alpha, alternative, arms) <= 1
    needed = least_n_means(effect, sd, 0.8, alpha, alternative, arms)
    assert needed is None or needed >= 2
    smallest = minimum_detectable_effect(n, sd, 0.8, alpha, alternative, arms)
    assert smallest is None or isfinite(smallest)
    within = least_n_within(sd, -abs(effect) - 1e-300, alpha)
    assert within is None or within >= 1


@given(SOME, NUMBERS)
def test_no_estimate_brings_a_nan_or_a_warning(values: list[float], bar: float) -> None:
    n = deciding_n(paired_means(values), bar)
    assert n is None or n >= len(values)


@settings(max_examples=20)
@given(st.integers(1, 30), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.01, 1))
def test_a_power_is_a_chance(n: int, gained: float, lost: float, margin: float) -> None:
    assert 0 <= power_paired_shares(n, gained, lost, margin) <= 1
    assert 0 <= power_paired_shares(n, gained, lost, margin, decides=_tango(margin)) <= 1


def test_what_is_no_question_is_refused() -> None:
    for call in (
        lambda: power_means(10, 1, 0),
        lambda: power_means(10, 1, inf),
        lambda: power_means(10, nan, 1),
        lambda: power_means(10, 1, 1, 1.0),
        lambda: power_means(10, 1, 1, arms=3),
        lambda: least_n_means(1, 1, 1.0),
        lambda: minimum_detectable_effect(10, -1),
        lambda: least_n_within(0, -1),
        lambda: least_n_within(0.1, 0),
        lambda: detectable_share(10, 0),
        lambda: power_paired_shares(10, 0.8, 0.8, 0, decides=_tango(0.1)),
    ):
        with pytest.raises(ValueError, match=r"is not|is no|are neither|asks nothing|are no"):
            call()
