"""What gates say, and how often: the figures that are promised, by enumeration."""

from __future__ import annotations

from math import comb

import pytest

from harness.statistics.paired import different_share, equivalent_share, noninferior_share, superior_share
from harness.statistics.proportion import decide
from harness.statistics.prospects import Claim, false_passes, of_pairs, of_share


@pytest.mark.parametrize("discordant", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("n", [20, 50, 100, 133, 200])
def test_what_is_worse_by_the_margin_passes_in_at_most_five_percent(n: int, discordant: float) -> None:
    assert false_passes(n, discordant, 0.05) <= 0.05


@pytest.mark.parametrize(
    ("n", "discordant", "margin"), [(133, 0.02, 0.02), (133, 0.05, 0.02), (200, 0.2, 0.02), (500, 0.1, 0.05)]
)
def test_so_it_does_at_small_margins_and_of_many(n: int, discordant: float, margin: float) -> None:
    assert false_passes(n, discordant, margin) <= 0.05


def test_exactness_costs_no_power_where_it_was_asked_for() -> None:
    """200 pairs, margin .05, one in ten differs: Tango's bound has .6948."""
    assert of_pairs("noninferior", 200, 0.05, 0.05, 0.05).passes == pytest.approx(0.6948, abs=5e-5)


def test_the_mid_p_of_a_hundred_pairs_has_the_power_that_is_promised() -> None:
    """One in ten differs, 3 to 1: .328; where neither is better it errs in less than 5 %. So does the exact test, which wants six pairs that differ."""
    assert of_pairs("different", 100, 0.075, 0.025).passes == pytest.approx(0.328, abs=5e-4)
    assert of_pairs("different", 100, 0.05, 0.05).passes <= 0.05
    assert of_pairs("superior", 100, 0.075, 0.025, alpha=0.025).passes == pytest.approx(0.3197, abs=5e-4)
    assert of_pairs("superior", 100, 0.05, 0.05, alpha=0.025).passes <= 0.025


def test_the_share_gate_errs_and_passes_as_often_as_promised() -> None:
    assert of_share(100, 0.93, 0.95, 0.95).passes <= 0.05
    assert of_share(100, 0.95, 0.95, 0.95).passes <= 0.05
    assert of_share(200, 0.99, 0.95, 0.95).passes >= 0.94
    assert of_share(50, 1.0, 0.95, 0.95) == (0, 0, 1)


@pytest.mark.parametrize("n", [1, 12])
@pytest.mark.parametrize("claim", ["noninferior", "superior", "equivalent", "different"])
def test_pairs_are_counted_as_they_are_decided(claim: Claim, n: int) -> None:
    up, down, margin, alpha = 0.5, 0.2, 0.3, 0.1
    decides = {
        "noninferior": lambda g, lost: noninferior_share(g, lost, n, margin, alpha),
        "superior": lambda g, lost: superior_share(g, lost, n, alpha, margin),
        "equivalent": lambda g, lost: equivalent_share(g, lost, n, margin, alpha),
        "different": lambda g, lost: different_share(g, lost, n, alpha, margin),
    }
    totals = {"pass": 0.0, "fail": 0.0, "inconclusive": 0.0}
    for g in range(n + 1):
        for lost in range(n + 1 - g):
            ways = comb(n, g) * comb(n - g, lost)
            totals[decides[claim](g, lost)[0]] += ways * up**g * down**lost * (1 - up - down) ** (n - g - lost)
    assert of_pairs(claim, n, up, down, margin, alpha) == pytest.approx(tuple(totals.values()), abs=1e-12)


def test_shares_are_counted_as_they_are_decided() -> None:
    n, share = 30, 0.8
    totals = {"pass": 0.0, "fail": 0.0, "inconclusive": 0.0}
    for k in range(n + 1):
        totals[decide(k, n, 0.7, 0.9)] += comb(n, k) * share**k * (1 - share) ** (n - k)
    assert of_share(n, share, 0.7, 0.9) == pytest.approx(tuple(totals.values()), abs=1e-12)


@pytest.mark.parametrize("given", [(0, 0.1, 0.1), (5, -0.1, 0.1), (5, 0.6, 0.6), (5, float("nan"), 0.1)])
def test_what_is_no_truth_is_refused(given: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        of_pairs("noninferior", *given, 0.05)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="is no share"):
        of_share(5, share, 0.9, 0.95)
