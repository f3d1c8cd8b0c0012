"""Whether several arms differ, against published figures and against every exchange of answers."""

from __future__ import annotations

from itertools import permutations, product
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import cochrans_q

from harness.statistics import arms
from harness.statistics.arms import cochran_q
from harness.statistics.paired import mcnemar

DRUGS = {"110": 16, "111": 6, "101": 2, "100": 4, "011": 2, "010": 4, "001": 6, "000": 6}
"""Of three drugs given to 46 people, whom each helped."""
ROWS = [[int(cell) for cell in key] for key, many in DRUGS.items() for _ in range(many)]


def test_the_published_example_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """SAS's documentation of PROC FREQ: Q is 8.4706, p .0145."""
    exact = cochran_q(ROWS)
    assert exact.estimate == pytest.approx(12 / 46)
    assert (exact.n, exact.effective_n) == (46, 34)
    monkeypatch.setattr(arms, "_MOST_STEPS", 0)
    asymptotic = cochran_q(ROWS)
    assert asymptotic.p == pytest.approx(0.0145, abs=5e-5)
    assert "chi-square with 2" in asymptotic.method
    assert exact.p == pytest.approx(asymptotic.p, abs=0.004)


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_exact_p_is_the_share_of_all_exchanges_that_are_as_uneven(rows: list[list[int]]) -> None:
    def uneven(table: tuple[tuple[int, ...], ...] | list[list[int]]) -> int:
        return sum(sum(column) ** 2 for column in zip(*table, strict=True))

    ways = [uneven(table) for table in product(*(list(permutations(row)) for row in rows))]
    assert cochran_q(rows).p == pytest.approx(sum(way >= uneven(rows) for way in ways) / len(ways))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_of_two_arms_it_is_mcnemar_s_exact_test(rows: list[tuple[int, int]]) -> None:
    gained, lost = sum(b > a for a, b in rows), sum(a > b for a, b in rows)
    assert cochran_q(rows).p == pytest.approx(mcnemar(gained, lost, len(rows), exact=True).p)


def test_of_many_rows_it_is_as_statsmodels_has_it() -> None:
    rows = np.random.default_rng(5).integers(0, 2, (2000, 6))
    found = cochran_q(rows.tolist())
    assert found.p == pytest.approx(cochrans_q(rows).pvalue)
    assert "chi-square" in found.method


def test_rows_that_are_alike_show_nothing() -> None:
    found = cochran_q([[1, 1, 1], [0, 0, 0]])
    assert (found.estimate, found.p, found.effective_n) == (0, 1, 0)
    assert found.reason


@pytest.mark.parametrize("rows", [[], [[1]], [[1, 0], [1]], [[1, 2]], [[nan, 1.0]], [["1", "0"]]])
def test_what_is_no_table_of_yes_and_no_is_refused(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"arms|cell"):
        cochran_q(rows)
