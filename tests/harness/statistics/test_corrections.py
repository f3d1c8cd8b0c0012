"""Adjusted p-values against statsmodels, which is checked against R, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from harness.statistics.corrections import benjamini_hochberg, holm, holm_decisions

PS = st.lists(st.floats(0, 1), max_size=30)
BH_1995 = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_r_s_own_figures_come_out() -> None:
    """p.adjust(c(.01, .02, .03, .04, .05))."""
    ps = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert holm(ps) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert benjamini_hochberg(ps) == pytest.approx([0.05] * 5)


def test_the_example_of_benjamini_and_hochberg_finds_four_where_holm_finds_three() -> None:
    assert sum(p <= 0.05 for p in benjamini_hochberg(BH_1995) if p is not None) == 4
    assert holm_decisions(BH_1995) == [True] * 3 + [False] * 12


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_both_are_as_statsmodels_has_them(n: int) -> None:
    ps = np.round(np.random.default_rng(n).random(n) ** 3, 2).tolist()
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])
    assert benjamini_hochberg(ps) == pytest.approx(multipletests(ps, method="fdr_bh")[1])
    assert holm([]) == benjamini_hochberg([]) == []


@given(PS, st.integers(0, 5))
def test_a_test_that_could_claim_nothing_counts_as_one_that_claims_nothing(ps: list[float], blank: int) -> None:
    with_blanks, with_ones = [*ps, *[None] * blank], [*ps, *[1.0] * blank]
    for method in (holm, benjamini_hochberg):
        assert method(with_blanks)[: len(ps)] == method(with_ones)[: len(ps)]
        assert method(with_blanks)[len(ps) :] == [None] * blank
    assert holm_decisions(with_blanks)[len(ps) :] == [None] * blank


def test_of_twenty_gates_at_five_percent_two_thirds_raise_a_false_alarm_and_corrected_five_percent() -> None:
    ps = np.random.default_rng(1).random((2000, 20))
    naive = np.mean((ps < 0.05).any(axis=1))
    corrected = np.mean([any(holm_decisions(row.tolist())) for row in ps])
    assert naive == pytest.approx(0.64, abs=0.03)
    assert corrected <= 0.06


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_is_refused(p: float) -> None:
    for method in (holm, benjamini_hochberg, holm_decisions):
        with pytest.raises(ValueError, match="is no p-value"):
            method([0.5, p])


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_what_is_no_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        holm_decisions([0.5], alpha)
