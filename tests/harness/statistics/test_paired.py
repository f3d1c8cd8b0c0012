"""Differences between two that were asked the same cases: Tango's bounds, and what they need."""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar as theirs

from harness.statistics.estimate import Decision, Estimate
from harness.statistics.paired import (
    deciding_pairs,
    different_share,
    equivalent_share,
    least_discordant,
    least_pairs,
    mcnemar,
    median_at_least,
    noninferior_share,
    p_above,
    p_gained,
    superior_share,
    tango,
    tango_interval,
)

FEW = settings(max_examples=25)


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


@pytest.mark.parametrize(
    ("counts", "interval", "mid_p"),
    [((1, 7, 21), (-0.5172, -0.0260), 0.0390625), ((6, 16, 161), (-0.1240, -0.0054), 0.034690)],
)
def test_the_published_examples_of_paired_shares_come_out(
    counts: tuple[int, int, int], interval: tuple[float, float], mid_p: float
) -> None:
    """Bentur 2009 and Cavo 2012, as worked in Fagerland, Lydersen and Laake's book and R's contingencytables."""
    found = mcnemar(*counts)
    assert found.interval == pytest.approx(interval, abs=5e-5)
    assert found.p == pytest.approx(mid_p, abs=5e-7)
    assert found.effective_n == counts[0] + counts[1]
    assert tango_interval(*counts).interval == found.interval


def test_the_exact_test_of_the_first_is_seven_in_a_hundred() -> None:
    assert mcnemar(1, 7, 21, exact=True).p == pytest.approx(0.0703125)


@given(pairs())
def test_mcnemar_is_as_statsmodels_has_it_and_mid_p_is_half_an_outcome_less(given: tuple[int, int, int]) -> None:
    gained, lost, n = given
    exact, middle = mcnemar(*given, exact=True), mcnemar(*given)
    same = n - gained - lost
    if not gained + lost:
        assert exact.p == middle.p == 1
        assert exact.reason
        return
    assert exact.p == pytest.approx(theirs([[same, gained], [lost, 0]], exact=True).pvalue, abs=1e-9)
    less = exact.p - binom.pmf(min(gained, lost), gained + lost, 0.5) if gained != lost else 1.0
    assert middle.p == pytest.approx(less, abs=1e-9)
    sides = mcnemar(*given, alternative="greater").p, mcnemar(*given, alternative="less").p
    assert None not in sides
    assert sum(p for p in sides if p is not None) == pytest.approx(1)


@pytest.mark.parametrize("n", [998, 999, 1000, 1001, 5000, 10**6])
def test_the_mid_p_of_many_pairs_is_the_binomial_one_without_a_jump(n: int) -> None:
    gained = n // 2 + int(n**0.5)
    assert p_gained(gained, n - gained) == pytest.approx(
        binom.sf(gained, n, 0.5) + binom.pmf(gained, n, 0.5) / 2, rel=1e-9
    )


def test_fewer_than_six_discordant_pairs_cannot_reach_five_percent_and_by_mid_p_fewer_than_five() -> None:
    assert least_discordant(0.05, exact=True) == 6
    assert least_discordant(0.05) == 5
    for discordant in range(1, 9):
        assert (mcnemar(discordant, 0, 50, exact=True).p < 0.05) == (discordant >= 6)  # type: ignore[operator]
        assert (mcnemar(discordant, 0, 50).p < 0.05) == (discordant >= 5)  # type: ignore[operator]
    decision, found = different_share(4, 0, 50)
    assert decision == "inconclusive"
    assert "5 have to" in found.reason


def sound(decision: Decision, found: Estimate, alpha: float, bar: float) -> None:
    """The decision, the p and the bounds say the same."""
    assert found.interval is not None
    assert found.p is not None
    low, high = found.interval
    assert (decision == "pass") == (found.p < alpha) == (low > bar)
    assert (decision == "fail") == (high < bar)
    assert low <= (found.estimate or 0.0) <= high


@FEW
@given(pairs(), st.sampled_from([0.0, 0.02, 0.1, 1.0]), st.sampled_from([0.01, 0.05, 0.5]))
def test_p_bound_and_decision_never_disagree(given: tuple[int, int, int], margin: float, alpha: float) -> None:
    sound(*noninferior_share(*given, margin, alpha), alpha, -margin)
    sound(*superior_share(*given, alpha, margin), alpha, margin)
    decision, found = equivalent_share(*given, margin, alpha)
    assert found.interval is not None
    assert found.p is not None
    low, high = found.interval
    assert (decision == "pass") == (found.p < alpha) == (-margin < low and high < margin)
    assert (decision == "fail") == (low > margin or high < -margin)


@FEW
@given(pairs(), st.sampled_from([None, 0.05, 0.3]), st.sampled_from([0.001, 0.05, 0.2]))
def test_two_that_are_not_shown_to_differ_never_fail_but_within_a_margin(
    given: tuple[int, int, int], margin: float | None, alpha: float
) -> None:
    for method in ("mid-p", "exact"):
        decision, found = different_share(*given, alpha, margin, method=method)
        assert found.interval is not None
        assert found.p is not None
        low, high = found.interval
        assert (decision == "pass") == (found.p < alpha) == (not low <= 0 <= high)
        within = margin is not None and -margin < low and high < margin
        assert decision == ("pass" if found.p < alpha else "fail" if within else "inconclusive")
    if alpha == 0.05:
        assert different_share(*given, alpha)[1].p == mcnemar(*given).p


@FEW
@given(pairs(), st.sampled_from([0.02, 0.1]))
def test_one_more_gained_or_one_fewer_lost_is_never_worse(given: tuple[int, int, int], margin: float) -> None:
    gained, lost, n = given
    order = ("fail", "inconclusive", "pass")
    before = order.index(noninferior_share(gained, lost, n, margin)[0])
    if gained + lost < n:
        assert order.index(noninferior_share(gained + 1, lost, n, margin)[0]) >= before
    if lost:
        assert order.index(noninferior_share(gained, lost - 1, n, margin)[0]) >= before


@pytest.mark.parametrize(("margin", "confidence", "n"), [(0.02, 0.95, 149), (0.05, 0.95, 59), (0.1, 0.9, 22)])
def test_the_fewest_pairs_by_the_exact_bound_are_those_of_a_share_that_is_all_met(
    margin: float, confidence: float, n: int
) -> None:
    assert least_pairs(margin, confidence, "exact") == n
    alpha = 1 - confidence
    assert noninferior_share(0, 0, n, margin, alpha)[0] == "pass"
    assert noninferior_share(0, 0, n - 1, margin, alpha)[0] == "inconclusive"


def test_what_would_decide_does_decide_by_each_method() -> None:
    n = deciding_pairs(2, 10, 500, -0.02, 0.95, "exact")
    assert n is not None
    assert noninferior_share(round(2 * n / 500), round(10 * n / 500), n, 0.02)[0] == "pass"
    n = deciding_pairs(4, 9, 100, 0.0, 0.975, "mid-p")
    assert n is not None
    assert different_share(round(4 * n / 100), round(9 * n / 100), n)[0] == "pass"
    n = deciding_pairs(5, 6, 100, -0.02, 0.95, "exact")
    assert n is not None
    assert noninferior_share(round(5 * n / 100), round(6 * n / 100), n, 0.02)[0] == "pass"


def test_nothing_that_differs_in_a_million_pairs_is_decided_at_once() -> None:
    assert noninferior_share(0, 0, 10**6, 0.0001)[0] == "pass"
    assert noninferior_share(10**5, 10**5, 10**6, 0.01)[0] == "pass"


@pytest.mark.parametrize(
    "refused",
    [
        lambda: noninferior_share(0, 0, 0, 0.1),
        lambda: noninferior_share(1, 1, 5, float("nan")),
        lambda: noninferior_share(1, 1, 5, -0.1),
        lambda: noninferior_share(1, 1, 5, 0.1, 0.6),
        lambda: noninferior_share(1, 1, 5, 0.1, 0.0),
        lambda: superior_share(1, 1, 5, float("nan")),
        lambda: equivalent_share(1, 1, 5, 2.0),
        lambda: different_share(1, 1, 5, 0.05, -0.1),
        lambda: mcnemar(3, 3, 5),
        lambda: mcnemar(1, 1, 5, confidence=1.0),
        lambda: tango(1, 1, 5, float("nan")),
        lambda: p_above(1, 1, 5, float("nan")),
        lambda: p_gained(-1, 5),
        lambda: least_pairs(0.0, 0.95),
        lambda: least_discordant(0.0),
        lambda: deciding_pairs(1, 2, 5, 0.1, 0.95, "mid-p"),
        lambda: median_at_least([1.0, float("nan")], 0.95),
    ],
)
def test_what_is_no_question_is_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        refused()
