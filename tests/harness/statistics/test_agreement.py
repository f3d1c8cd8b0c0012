"""Agreement of raters, against published figures and by simulation."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from harness.statistics.agreement import kappa, krippendorff

PATHOLOGISTS = [[22, 2, 2, 0], [5, 7, 14, 0], [0, 2, 36, 0], [0, 1, 17, 10]]
"""Landis and Koch (1977), as in Agresti, Categorical Data Analysis: kappa .493, standard error .057."""


def apart(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """The ratings that a table counts."""
    cells = [(i, j) for i, row in enumerate(table) for j, many in enumerate(row) for _ in range(many)]
    return [i for i, _ in cells], [j for _, j in cells]


def by_unit(*raters: str) -> list[list[int | None]]:
    return [[None if one == "." else int(one) for one in unit] for unit in zip(*raters, strict=True)]


FOUR = by_unit("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
"""Krippendorff (2011), example C: four observers, twelve units."""
THREE = by_unit(".....34121133.3", "1.213343.......", "..21344.21133.4")
"""The example of Wikipedia's page: three observers, fifteen units."""


def test_the_pathologists_come_out() -> None:
    found = kappa(*apart(PATHOLOGISTS))
    assert found.estimate == pytest.approx(0.493, abs=5e-4)
    assert found.interval is not None
    low, high = found.interval
    assert low < 0.493 - 1.96 * 0.057 < high
    assert high - low == pytest.approx(2 * 1.96 * 0.057, rel=0.06)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_is_as_statsmodels_has_it(weights: Any) -> None:
    for seed in range(5):
        table = np.random.default_rng(seed).integers(1, 30, (4, 4))
        found, theirs = kappa(*apart(table.tolist()), weights), cohens_kappa(table, wt=weights)
        assert found.estimate == pytest.approx(theirs.kappa)
        assert found.interval is not None
        width = float(theirs.kappa_upp - theirs.kappa_low)
        assert 0.9 < (found.interval[1] - found.interval[0]) / width < 1.5


@pytest.mark.parametrize(
    ("units", "level", "alpha"),
    [
        (FOUR, "nominal", 0.743),
        (FOUR, "ordinal", 0.815),
        (FOUR, "interval", 0.849),
        (by_unit("0100000010", "1110010000"), "nominal", 0.095),
        (list(zip("aabbdcccedda", "babbbccceddd", strict=True)), "nominal", 0.692),
        (THREE, "nominal", 0.691),
        (THREE, "interval", 0.811),
    ],
)
def test_krippendorff_s_examples_come_out(units: list[Any], level: Any, alpha: float) -> None:
    found = krippendorff(units, level)
    assert found.estimate == pytest.approx(alpha, abs=5e-4)
    assert found.n == len(units)
    assert found.effective_n == sum(sum(one is not None for one in unit) > 1 for unit in units)


def test_two_raters_without_gaps_agree_by_alpha_about_as_by_kappa() -> None:
    a, b = apart(PATHOLOGISTS)
    one, other = krippendorff(list(zip(a, b, strict=True))), kappa(a, b)
    assert one.estimate == pytest.approx(other.estimate, abs=0.02)
    assert one.interval == pytest.approx(other.interval, abs=0.05)


def test_ratings_as_far_apart_as_numbers_are_those_of_quadratic_weights() -> None:
    a, b = apart(PATHOLOGISTS)
    found = krippendorff(list(zip(a, b, strict=True)), "interval").estimate
    assert found == pytest.approx(kappa(a, b, "quadratic").estimate, abs=0.02)


def test_numbers_of_any_size_and_place_tell_the_same() -> None:
    usual = krippendorff(FOUR, "interval")
    for scale, shift in ((1e300, 0.0), (1e-300, 0.0), (-2.0, 1e6), (3.4e307, -8.5e307)):
        moved = [[None if one is None else one * scale + shift for one in unit] for unit in FOUR]
        found = krippendorff(moved, "interval")
        assert found.estimate == pytest.approx(usual.estimate, abs=1e-6)
        assert found.interval == pytest.approx(usual.interval, abs=1e-6)


def test_raters_who_never_differ_are_bounded_by_how_often_they_were_asked() -> None:
    few, many = kappa([1, 2] * 10, [1, 2] * 10), kappa([1, 2] * 100, [1, 2] * 100)
    assert few.estimate == many.estimate == 1
    assert few.interval == pytest.approx((1 - 2 * (1 - 0.025 ** (1 / 20)), 1))
    assert many.interval == pytest.approx((1 - 2 * (1 - 0.025 ** (1 / 200)), 1))
    alpha = krippendorff([(1, 1), (2, 2)] * 100).interval
    assert alpha == pytest.approx(many.interval, abs=0.001)


def test_order_counts_the_categories_that_nobody_chose() -> None:
    a, b = [1, 2, 5, 5, 1, 2], [1, 5, 5, 2, 1, 2]
    assert kappa(a, b, "linear").estimate != kappa(a, b, "linear", order=[1, 2, 3, 4, 5]).estimate
    assert kappa(a, b).estimate == pytest.approx(kappa(a, b, order=[5, 4, 3, 2, 1]).estimate)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_exchanging_the_raters_changes_nothing(pairs: list[tuple[int, int]]) -> None:
    a, b = [one for one, _ in pairs], [other for _, other in pairs]
    for weights in (None, "linear", "quadratic"):
        one, other = kappa(a, b, weights), kappa(b, a, weights)
        assert one.reason == other.reason
        if one.interval is not None:
            assert one.estimate == pytest.approx(other.estimate)
            assert one.interval == pytest.approx(other.interval)


def test_where_nothing_can_be_told_it_is_said() -> None:
    assert kappa([1, 1, 1], [1, 1, 1])[:2] == (None, None)
    assert krippendorff([(1, 1), (1, 1)])[:2] == (None, None)
    assert krippendorff([(1, None), (2, None)])[:2] == (None, None)
    for blank in (kappa([1, 1], [1, 1]), kappa([1] * 9 + [2], [1] * 10), kappa([1], [2]), krippendorff([(1, 2)])):
        assert blank.interval is None
        assert blank.reason


@pytest.mark.parametrize(
    ("base", "agree"), [((0.5, 0.5), 0.0), ((0.5, 0.5), 0.8), ((0.9, 0.1), 0.4), ((0.97, 0.03), 0.0), ((0.4, 0.3, 0.2, 0.1), 0.95)]
)  # fmt: skip
@pytest.mark.parametrize("weights", [None, "quadratic"])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(
    base: tuple[float, ...], agree: float, weights: Any
) -> None:
    """The usual interval of 100 ratings misses up to 22 % of the time, or 75 % where a category is rare."""
    share = np.array(base)
    chances = agree * np.diag(share) + (1 - agree) * np.outer(share, share)
    tables = np.random.default_rng(2).multinomial(100, chances.ravel(), size=200).reshape(-1, len(base), len(base))
    missed = [0, 0]
    for table in tables:
        interval = kappa(*apart(table.tolist()), weights).interval
        if interval is not None:
            missed[0] += interval[0] > agree
            missed[1] += interval[1] < agree
    assert missed[0] <= 0.045 * len(tables)
    assert missed[1] <= 0.075 * len(tables)


@pytest.mark.parametrize("agree", [0.0, 0.9])
def test_so_does_that_of_three_raters_with_gaps(agree: float) -> None:
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(100):
        truth, guess = rng.integers(0, 2, (40, 1)), rng.integers(0, 2, (40, 3))
        said = np.where(rng.random((40, 3)) < agree, truth, guess)
        units = [[None if gap else int(one) for one, gap in zip(*unit, strict=True)] for unit in zip(said, rng.random((40, 3)) < 0.1, strict=True)]  # fmt: skip
        interval = krippendorff(units).interval
        assert interval is not None
        missed += not interval[0] <= agree**2 <= interval[1]
    assert missed <= 10


@pytest.mark.parametrize(
    "refused",
    [
        lambda: kappa([], []),
        lambda: kappa([1], [1, 2]),
        lambda: kappa([1, nan], [1, 2]),
        lambda: kappa([1, None], [1, 2]),
        lambda: kappa([1, "a"], [1, 2], "linear"),
        lambda: kappa([1, 3], [1, 2], order=[1, 2]),
        lambda: kappa([1, 2], [1, 2], confidence=1.0),
        lambda: kappa(range(1001), range(1001)),
        lambda: krippendorff([]),
        lambda: krippendorff([(None, None)]),
        lambda: krippendorff([(1.0, nan)]),
        lambda: krippendorff([(1.0, float("inf"))], "interval"),
        lambda: krippendorff([(1, 10**400)], "interval"),
        lambda: krippendorff([("a", "b")], "interval"),
        lambda: krippendorff([("a", 1)], "ordinal"),
        lambda: krippendorff([(1, 2)], confidence=nan),
    ],
)
def test_what_is_no_rating_is_refused(refused: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        refused()
