"""The gates, through the way that a run takes: a check and its outcomes in, a verdict out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.golden import faults, gated, judge
from harness.contract import Case, Check, Outcome, Verdict, Word

WORDS: tuple[Word, ...] = ("met", "missed", "error", "skipped")


def _check(n: int, gate: dict[str, Any] | None = None, weights: Sequence[float] = (), **more: Any) -> Check:
    cases = tuple(Case(id=f"c{i}", expect=1, weight=weights[i] if weights else 1.0, **more) for i in range(n))
    options = {} if gate is None else {"gate": gate}
    return Check(id="s.yaml::golden::c", name="c", kind="golden", at="s.yaml:1", cases=cases, options=options)


def _outcomes(**counts: int) -> list[Outcome]:
    words = [word for word in WORDS for _ in range(counts.get(word, 0))]
    return [Outcome(case=f"c{i}", outcome=word) for i, word in enumerate(words)]


def _verdict(gate: dict[str, Any] | None = None, **counts: int) -> Verdict:
    outcomes = _outcomes(**counts)
    return judge(_check(len(outcomes), gate), outcomes)


def _sample(rate: float, confidence: float = 0.95) -> dict[str, Any]:
    return {"pass_rate": rate, "population": "sample", "confidence": confidence}


def _how_often(gate: dict[str, Any], n: int, p: float) -> dict[str, float]:
    """The chance of each ruling, over every count that can come of n cases of a model that is right with chance p."""
    found: dict[str, float] = {}
    check = _check(n, gate)
    for k in range(n + 1):
        verdict = judge(check, _outcomes(met=k, missed=n - k))
        found[verdict.verdict] = found.get(verdict.verdict, 0) + math.comb(n, k) * p**k * (1 - p) ** (n - k)
    assert sum(found.values()) == pytest.approx(1)
    return found


# -------------------------------------------------------------------------------- operating characteristics


def test_a_model_below_the_bar_seldom_passes_where_the_naive_rule_lets_three_in_ten_through() -> None:
    n, p = 100, 0.93
    naive = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(95, n + 1))
    assert naive == pytest.approx(0.29, abs=0.01)
    assert _how_often(_sample(0.95), n, p).get("pass", 0) <= 0.05


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("n", [60, 200])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_neither_error_is_more_frequent_than_the_confidence_allows(rate: float, n: int, confidence: float) -> None:
    just_below, at_the_bar = math.nextafter(rate, 0), rate
    assert _how_often(_sample(rate, confidence), n, just_below).get("pass", 0) <= 1 - confidence + 1e-9
    assert _how_often(_sample(rate, confidence), n, at_the_bar).get("fail", 0) <= 1 - confidence + 1e-9


def test_a_good_model_passes_nearly_always() -> None:
    assert _how_often(_sample(0.95), 200, 0.99)["pass"] >= 0.94


def test_a_bad_model_fails_nearly_always() -> None:
    assert _how_often(_sample(0.95), 200, 0.85)["fail"] >= 0.94


# ------------------------------------------------------------------------------------------------- samples


def test_a_verdict_on_a_sample_comes_with_its_estimate_interval_method_and_n() -> None:
    verdict = _verdict(_sample(0.95), met=100)
    assert verdict.verdict == "pass"
    assert verdict.estimate == 1
    assert verdict.interval is not None
    assert verdict.interval[0] >= 0.95
    assert verdict.interval[1] == 1
    assert verdict.n == 100
    assert verdict.p is not None
    assert verdict.p <= 0.05
    assert "Clopper-Pearson" in verdict.method
    assert verdict.needed_n is None


def test_the_confidence_is_95_percent_unless_told() -> None:
    gate = {"pass_rate": 0.95, "population": "sample"}
    assert _verdict(gate, met=59).verdict == "pass"
    assert _verdict(gate, met=58).verdict == "inconclusive"


def test_an_undecided_sample_says_how_many_cases_would_decide_it() -> None:
    verdict = _verdict(_sample(0.95), met=98, missed=2)
    assert verdict.verdict == "inconclusive"
    assert verdict.needed_n is not None
    more = verdict.needed_n
    assert more > 100
    met = more * 98 // 100
    assert _verdict(_sample(0.95), met=met, missed=more - met).verdict == "pass"


@given(
    st.integers(0, 80),
    st.integers(0, 10),
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from([None, {"pass_rate": 0.5}, {"pass_rate": 1.0}, _sample(0.5), _sample(0.9, 0.6)]),
)
def test_no_verdict_passes_unmeasured_cases_and_every_figure_is_finite(
    met: int, missed: int, error: int, skipped: int, gate: dict[str, Any] | None
) -> None:
    if not met + missed + error + skipped:
        return
    verdict = _verdict(gate, met=met, missed=missed, error=error, skipped=skipped)
    numbers = [verdict.estimate, verdict.p, *(verdict.interval or ())]
    assert all(math.isfinite(number) for number in numbers if number is not None)
    if error or skipped:
        assert verdict.verdict != "pass"
    if verdict.verdict == "pass":
        assert verdict.estimate is not None
        assert verdict.interval is not None
        assert verdict.n == met + missed > 0
    if verdict.verdict == "fail":
        assert missed
    assert verdict.reason


@pytest.mark.parametrize("gate", [None, {"pass_rate": 0.01}, _sample(0.01, 0.5)])
@pytest.mark.parametrize(("word", "ruling"), [("error", "error"), ("skipped", "inconclusive")])
def test_nothing_but_errors_or_skips_is_no_verdict(gate: dict[str, Any] | None, word: str, ruling: str) -> None:
    assert _verdict(gate, **{word: 100}).verdict == ruling


@pytest.mark.parametrize("gate", [None, {"pass_rate": 0.01}, _sample(0.01, 0.5)])
@pytest.mark.parametrize("word", ["error", "skipped"])
def test_one_unmeasured_case_among_many_met_does_not_pass(gate: dict[str, Any] | None, word: str) -> None:
    assert _verdict(gate, met=500, **{word: 1}).verdict in ("error", "inconclusive")


def test_a_sample_fails_although_cases_are_lacking_when_they_could_not_save_it() -> None:
    assert _verdict(_sample(0.95), met=50, missed=50, error=1).verdict == "fail"
    assert _verdict(_sample(0.95), met=90, missed=10, error=20).verdict == "error"
    assert _verdict(_sample(0.95), met=90, missed=10, skipped=20).verdict == "inconclusive"


# -------------------------------------------------------------------------------------------------- suites


@pytest.mark.parametrize(
    ("gate", "counts", "ruling"),
    [
        (None, {"met": 3}, "pass"),
        (None, {"met": 2, "missed": 1}, "fail"),
        (None, {"met": 2, "error": 1}, "error"),
        (None, {"met": 2, "skipped": 1}, "inconclusive"),
        (None, {"missed": 1, "error": 1}, "fail"),
        ({"pass_rate": 0.95}, {"met": 19, "missed": 1}, "pass"),
        ({"pass_rate": 0.95}, {"met": 18, "missed": 2}, "fail"),
        ({"pass_rate": 1}, {"met": 20}, "pass"),
        ({"pass_rate": 1}, {"met": 19, "missed": 1}, "fail"),
        ({"pass_rate": 0.8}, {"met": 7, "missed": 2, "error": 1}, "error"),
        ({"pass_rate": 0.8}, {"met": 7, "missed": 2, "skipped": 1}, "inconclusive"),
        ({"pass_rate": 0.8}, {"met": 6, "missed": 3, "error": 1}, "fail"),
        ({"pass_rate": 0.8}, {"met": 9, "error": 1}, "error"),
        ({"pass_rate": 0.95, "population": "suite"}, {"met": 95, "missed": 5}, "pass"),
    ],
)
def test_a_suite_is_its_own_population(gate: dict[str, Any] | None, counts: dict[str, int], ruling: str) -> None:
    verdict = _verdict(gate, **counts)
    assert verdict.verdict == ruling
    assert verdict.interval == (verdict.estimate, verdict.estimate)
    assert verdict.n == sum(counts.values())
    assert "exact" in verdict.method


def test_weights_decide_a_gate_of_a_suite() -> None:
    check = _check(2, {"pass_rate": 0.75}, weights=[3, 1])
    heavy = [Outcome(case="c0", outcome="met"), Outcome(case="c1", outcome="missed")]
    light = [Outcome(case="c0", outcome="missed"), Outcome(case="c1", outcome="met")]
    assert judge(check, heavy).verdict == "pass"
    assert judge(check, heavy).estimate == 0.75
    assert judge(check, light).verdict == "fail"
    assert judge(check, light).estimate == 0.25


def test_without_a_gate_no_weight_saves_a_missed_case() -> None:
    outcomes = [Outcome(case="c0", outcome="met"), Outcome(case="c1", outcome="missed")]
    assert judge(_check(2, weights=[1e9, 1e-9]), outcomes).verdict == "fail"


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.7, 2.1, 1e-9, 1e9])
@pytest.mark.parametrize(("k", "n"), [(3, 4), (1, 5), (7, 10), (9, 10), (19, 20), (29, 50)])
def test_a_share_that_is_exactly_the_bar_passes_whatever_the_cases_weigh(weight: float, k: int, n: int) -> None:
    check = _check(n, {"pass_rate": k / n}, weights=[weight] * n)
    assert judge(check, _outcomes(met=k, missed=n - k)).verdict == "pass"
    assert judge(check, _outcomes(met=k - 1, missed=n - k + 1)).verdict == "fail"


@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.booleans()), min_size=1, max_size=30))
def test_a_weighted_share_is_within_0_and_1_and_all_met_is_exactly_1(cases: list[tuple[float, bool]]) -> None:
    check = _check(len(cases), {"pass_rate": 1.0}, weights=[weight for weight, _ in cases])
    outcomes = [Outcome(case=f"c{i}", outcome="met" if met else "missed") for i, (_, met) in enumerate(cases)]
    verdict = judge(check, outcomes)
    assert verdict.estimate is not None
    assert 0 <= verdict.estimate <= 1
    assert (verdict.verdict == "pass") == all(met for _, met in cases)


def test_the_order_of_outcomes_does_not_matter() -> None:
    check = _check(4, {"pass_rate": 0.5}, weights=[0.1, 0.2, 0.3, 0.4])
    outcomes = [Outcome(case=f"c{i}", outcome=word) for i, word in enumerate(WORDS)]
    assert judge(check, outcomes) == judge(check, outcomes[::-1])


# ---------------------------------------------------------------------------------------- gates as written


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (_check(58, _sample(0.95)), "collect at least 59"),
        (_check(100, _sample(1.0)), "below 1"),
        (_check(100, _sample(0.5), weights=[2.0] * 100), "weights"),
        (_check(100, _sample(0.5), cluster="a"), "clusters"),
        (_check(1, {"pass_rate": 0.5, "confidence": 0.9}), "population: sample"),
    ],
)
def test_a_gate_that_could_not_pass_or_does_not_fit_is_refused_before_anything_runs(check: Check, said: str) -> None:
    (objection,) = faults(check)
    assert objection.path[0] == "gate"
    assert said in objection.instead


@pytest.mark.parametrize(
    "check",
    [
        _check(59, _sample(0.95)),
        _check(1, {"pass_rate": 1.0}),
        _check(2, {"pass_rate": 0.5}, weights=[1, 2], cluster="a"),
        _check(1),
    ],
)
def test_a_gate_that_can_pass_is_accepted(check: Check) -> None:
    assert list(faults(check)) == []


def test_a_case_without_an_expectation_is_refused() -> None:
    check = Check(id="c", name="c", kind="golden", at="s:1", cases=(Case(id="a"), Case(id="b", expect=None)))
    (objection,) = faults(check)
    assert objection.path == ("cases", 0)
    assert objection.code == "no-expectation"


def test_a_check_is_gated_where_it_declares_a_gate() -> None:
    assert gated(_check(1, {"pass_rate": 0.5}))
    assert not gated(_check(1))
