"""What all drawings stand on: scales, and the fragments that draw on them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.html.page import _environment
from reports.html.scale import FACTOR, amount, scale

ANY = st.floats(allow_nan=False, allow_infinity=False)
PARTS: Any = _environment().get_template("parts.html").module


@given(st.lists(ANY, min_size=1, max_size=9), st.sampled_from([None, True, False]), st.booleans())
def test_every_number_has_a_place_and_larger_ones_are_further_along(
    values: list[float], log: bool | None, zero: bool
) -> None:
    found = scale(values, log=log, zero=zero)
    places = [found.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    if len(set(values)) > 1 and not found.log and max(values) - min(values) > 1e-9 * max(map(abs, values)) > 1e-190:
        assert max(values) > 1e190 or places[0] < places[-1]


@given(st.lists(ANY, max_size=9), st.sampled_from([None, True, False]), st.booleans())
def test_ticks_are_few_and_on_the_scale_in_order(values: list[float], log: bool | None, zero: bool) -> None:
    found = scale(values, log=log, zero=zero)
    assert 1 <= len(found.ticks) <= 8
    assert [tick.at for tick in found.ticks] == sorted({tick.at for tick in found.ticks})
    assert len({tick.word for tick in found.ticks}) == len(found.ticks)
    assert all(len(tick.word) <= 10 for tick in found.ticks)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 60], ["0", "10", "20", "30", "40", "50", "60"]),
        ([12.1, 13.4], ["12.2", "12.4", "12.6", "12.8", "13.0", "13.2", "13.4"]),
        ([1, 1000], ["1", "3", "10", "30", "100", "300", "1,000"]),
        ([0.02, 1.5], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
        ([3e8, 4e8], ["3e8", "3.2e8", "3.4e8", "3.6e8", "3.8e8", "4e8"]),
    ],
)
def test_ticks_are_round_numbers(values: list[float], words: list[str]) -> None:
    assert [tick.word for tick in scale(values).ticks] == words


def test_a_scale_is_logarithmic_where_numbers_span_more_than_a_factor() -> None:
    assert not scale([1, FACTOR]).log
    assert scale([1, FACTOR + 1]).log
    assert not scale([0, 1, 1000]).log
    assert not scale([-1, 1000]).log
    assert scale([1, 2], log=True).log


def test_named_numbers_are_the_ticks_where_they_are_few() -> None:
    assert [tick.word for tick in scale([1, 8, 32], log=True, named=[32, 1, 8, 8]).ticks] == ["1", "8", "32"]
    assert len(scale(range(1, 100), named=range(1, 100)).ticks) < 9


def test_what_is_beyond_an_end_is_drawn_at_the_end() -> None:
    found = scale([1, 2])
    assert (found.at(-9), found.at(9)) == (0, 100)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0, "0"),
        (12.34, "12.3"),
        (0.5, "0.5"),
        (1234.5, "1,234"),
        (2.5e9, "2.5e9"),
        (1e-7, "1e-7"),
        (-3e12, "-3e12"),
    ],
)
def test_amounts_are_told_in_few_characters(value: float | None, said: str) -> None:
    assert amount(value) == said


# ------------------------------------------------------------------------------------------ fragments


def _along(drawn: str) -> list[float]:
    return [float(each) for each in re.findall(r' (?:x|x1|x2|cx)="([-\d.e+]+)%"', drawn)]


def test_a_curve_goes_up_in_steps_and_ends_at_everything() -> None:
    drawn = PARTS.ecdf([{"name": "now", "points": [[1, 0.5], [3, 1.0]]}], [], "ms")
    (path,) = re.findall(r' d="([^"]*)"', drawn)
    assert re.fullmatch(r"M0 210H[\d.]+V105.0H[\d.]+V0.0H100", path)
    assert "now from 1 to 3, half of it at most 1" in drawn
    assert '<ul class="legend">' not in drawn


@pytest.mark.parametrize("ruling", ["pass", "fail", "inconclusive", None])
def test_a_budget_is_a_line_with_its_interval_and_its_sign(ruling: str | None) -> None:
    bar = {"name": "p95", "x": 50, "share": 0.95, "low": 13.0, "high": 16.0, "estimate": 14.0, "ruling": ruling}
    drawn = PARTS.ecdf([{"name": "now", "points": [[1, 1.0]]}, {"name": "base", "points": [[2, 1.0]]}], [bar], "ms")
    sign = {"pass": "✓ ", "fail": "✕ ", "inconclusive": "? ", None: ""}[ruling]
    assert f">{sign}p95 ≤ 50</text>" in drawn
    assert f'<g class="{ruling or "none"}">' in drawn
    assert 'class="between"' in drawn
    assert "p95 14, between 13 and 16, 50 allowed" in drawn
    assert drawn.count("<li>") == 2


def test_a_budget_needs_no_more_than_a_name_a_place_and_a_share() -> None:
    drawn = PARTS.ecdf([{"name": "now", "points": [[1, 1.0]]}], [{"name": "p50", "x": 9, "share": 0.5}], "ms")
    assert "p50 ≤ 9" in drawn
    assert 'class="between"' not in drawn


def test_nothing_is_drawn_of_nothing() -> None:
    assert PARTS.ecdf([], [{"name": "p50", "x": 9, "share": 0.5}], "ms").strip() == ""
    assert PARTS.ecdf([{"name": "now", "points": []}], [], "ms").strip() == ""
    assert PARTS.lines([], "across", "up", bar=3).strip() == ""


def test_lines_of_one_name_look_alike_and_have_one_entry() -> None:
    series = [{"name": name, "points": [[0, 1], [1, 2]]} for name in ("now", "base", "now")]
    drawn = PARTS.lines(series, "s", "MB", bar=5)
    assert re.findall(r'<path class="curve (s\d)" d="M[\d.]+ [\d.]+L', drawn) == ["s0", "s1", "s0"]
    assert drawn.count("<li>") == 2
    assert "bar 5" in drawn


@pytest.mark.parametrize(("n", "whiskers", "band"), [(3, 3, 0), (100, 0, 1)])
def test_intervals_are_whiskers_where_points_are_few_and_a_band_where_they_are_many(
    n: int, whiskers: int, band: int
) -> None:
    line = {
        "name": "now", "points": [[at, 10] for at in range(n)], "low": [9] * n, "high": [11] * n,
    }  # fmt: skip
    drawn = PARTS.lines([line], "s", "MB")
    assert (drawn.count('class="whisker'), drawn.count('class="band')) == (whiskers, band)
    assert all(0 <= at <= 100 for at in _along(drawn))


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1.0, 5.0, 2.0], [0.0, 1e300], [-1e308, 1e308]])
def test_a_spark_stays_within_the_space_of_a_word(values: list[float]) -> None:
    drawn = PARTS.spark(values, [], "how it went")
    numbers = [float(each) for each in re.findall(r'c[xy]="([^"]*)"', drawn)]
    numbers += [float(each) for path in re.findall(r' d="M([^"]*)"', drawn) for each in re.split("[L ]", path)]
    assert all(0 <= each <= 120 for each in numbers)
    assert 'aria-label="how it went"' in drawn


def test_changes_are_marked_between_two_runs_as_numbers_or_as_what_a_trend_holds() -> None:
    plain, told = (PARTS.spark([1, 1, 5, 5], changes, "x") for changes in ([2], [{"at": 2, "before": 1, "after": 5}]))
    assert plain == told
    assert 'x1="60.0"' in plain


@pytest.mark.parametrize(
    ("low", "high", "mark", "bar"), [(0.9, 1.2, 1.0, 1.1), (3.0, 900.0, 60.0, 1.1), (1, 1, 1, None)]
)
def test_a_ratio_lies_beside_as_fast_and_its_bar(low: float, high: float, mark: float, bar: float | None) -> None:
    drawn = PARTS.times(low, high, mark, bar)
    assert all(0 <= at <= 100 for at in _along(drawn))
    assert "as fast" in drawn
    assert ("at most 1.1 times" in drawn) == (bar is not None)


def test_what_is_drawn_is_escaped() -> None:
    said = '"><script>x</script>'
    points = [[1, 0.5], [2, 1.0]]
    for drawn in (
        PARTS.ecdf(
            [{"name": said, "points": points}, {"name": "b", "points": points}],
            [{"name": said, "x": 1, "share": 1}],
            said,
        ),
        PARTS.lines(
            [{"name": said, "points": points}, {"name": "b", "points": points}],
            said,
            said,
            marks=[{"x": 1, "y": 1, "word": said}],
        ),
        PARTS.spark([1, 2], [], said),
    ):
        assert "<script" not in drawn
        assert "&lt;script" in drawn
