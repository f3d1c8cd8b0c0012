"""Histories of runs: how often a change is imagined, and which are found."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.changes import LEAST, Change, change_points
from tests.harness.statistics.drawn import NUMBERS, sound

STEADY: dict[str, Callable[[Any, int], Any]] = {
    "normal": lambda rng, n: rng.normal(1, 0.05, n),
    "lognormal": lambda rng, n: rng.lognormal(0, 0.5, n),
    "heavy tails": lambda rng, n: rng.standard_t(2, n),
}


def _level(rng: Any, *levels: tuple[float, int]) -> list[float]:
    """Runs of these levels, with noise of 5 %."""
    return [value for mean, n in levels for value in rng.normal(mean, 0.05, n)]


@pytest.mark.parametrize("kind", STEADY)
@pytest.mark.parametrize("n", [10, 30])
def test_where_the_level_never_changes_a_change_is_seldom_told(kind: str, n: int) -> None:
    """Of 500: .04 to .06."""
    rng = np.random.default_rng(1)
    assert np.mean([bool(change_points(STEADY[kind](rng, n), seed=i)) for i in range(200)]) <= 0.08


def test_the_best_of_all_cuts_taken_for_one_tells_a_change_too_often() -> None:
    n = 100
    rows = np.random.default_rng(2).normal(size=(300, n))
    cuts = np.arange(LEAST, n - LEAST + 1)
    sums = rows.cumsum(axis=1)[:, cuts - 1]
    apart = (rows.sum(axis=1)[:, None] - sums) / (n - cuts) - sums / cuts
    far = abs(apart) / np.sqrt(1 / cuts + 1 / (n - cuts))
    assert np.mean(far.max(axis=1) > 1.96) > 0.43


@pytest.mark.parametrize("at", [15, 26, 5])
def test_a_step_of_20_percent_in_noise_of_5_is_found_where_it_is(at: int) -> None:
    """Of 300 at 15: all but one within a run, .957 with no other beside it."""
    rng = np.random.default_rng(3)
    found = [change_points(_level(rng, (1.0, at), (1.2, 30 - at)), seed=i) for i in range(50)]
    assert np.mean([any(abs(change.at - at) <= 1 for change in changes) for changes in found]) >= 0.96
    assert np.mean([len(changes) == 1 for changes in found]) >= 0.88


def test_the_step_is_told_by_the_levels_on_both_sides() -> None:
    (change,) = change_points([1.0] * 10 + [1.5] * 10)
    assert change == Change(10, 1.0, 1.5, change.p)
    assert change.p < 0.01


def test_what_went_up_and_came_down_again_is_found() -> None:
    """A search for one cut at a time finds .42 of these: each one alone hides the other. Of 300, .963."""
    rng = np.random.default_rng(4)
    found = [change_points(_level(rng, (1.0, 10), (1.2, 10), (1.0, 10)), seed=i) for i in range(50)]
    assert np.mean([len(changes) == 2 for changes in found]) >= 0.9
    assert np.mean([[round(change.at, -1) for change in changes] == [10, 20] for changes in found]) >= 0.9


def test_three_levels_are_told_in_order() -> None:
    rng = np.random.default_rng(5)
    found = change_points(_level(rng, (1.0, 20), (1.2, 20), (1.5, 20)))
    assert [round(change.at / 5) * 5 for change in found] == [20, 40]
    assert found[0].after == found[1].before == pytest.approx(1.2, abs=0.03)


def test_one_run_out_of_line_is_no_change() -> None:
    """Of 400: .048."""
    rng = np.random.default_rng(6)
    found = [change_points([*_level(rng, (1.0, 15)), 3.0, *_level(rng, (1.0, 14))], seed=i) for i in range(100)]
    assert np.mean([bool(changes) for changes in found]) <= 0.09


def test_few_runs_are_never_cut() -> None:
    assert change_points([1.0, 1.0, 1.0, 9.0, 9.0, 9.0]) == []
    assert [change.at for change in change_points([1.0] * 4 + [9.0] * 4)] == [4]
    assert change_points([1.0]) == []
    assert change_points([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.1 + 0.2, 0.1 + 0.2] * 4) == []


def test_a_long_history_is_cut_as_well() -> None:
    rng = np.random.default_rng(7)
    found = change_points(_level(rng, (1.0, 200), (1.1, 100)))
    assert any(abs(change.at - 200) <= 3 for change in found)


@settings(max_examples=25)
@given(st.lists(NUMBERS, min_size=1, max_size=25), st.integers(-(2**40), 2**40))
def test_no_series_brings_a_nan_or_a_warning(series: list[float], seed: int) -> None:
    found = change_points(series, 0.3, seed)
    assert sound(found)
    assert found == change_points(series, 0.3, seed)
    ends = [0, *(change.at for change in found), len(series)]
    assert all(after - before >= LEAST for before, after in pairwise(ends)) or not found


@pytest.mark.parametrize("series", [[], [nan], [1.0, inf]])
def test_what_is_no_series_is_refused(series: list[float]) -> None:
    with pytest.raises(ValueError, match="runs"):
        change_points(series)
    with pytest.raises(ValueError, match="not between"):
        change_points([1.0], 0.0)
