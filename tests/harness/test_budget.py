"""One error rate for all the claims of a spec, and what each look at the same question costs."""

from __future__ import annotations

import random

import msgspec
import pytest

from harness.budget import shared, within
from harness.contract import CheckResult, Plan, SpecFile, Tally


def result(name: str, p: float | None, verdict: str = "pass") -> CheckResult:
    return CheckResult(
        id=f"a.yaml::golden::{name}", name=name, kind="golden", model=None, verdict=verdict,  # type: ignore[arg-type]
        estimate=1.0, interval=(1.0 if p is None else 0.9, 1.0), p=p, method="", n=1, planned=1, outcomes=Tally(met=1), needed_n=None,
        reason="it does", advice="", figures={}, at="a.yaml:1", seconds=0.0,
    )  # fmt: skip


def plan(rate: float | None = 0.05, *, spends: bool = False) -> Plan:
    return Plan(hallmark="1", specs=(SpecFile(path="a.yaml", name="a", error_rate=rate, spends=spends),))


def verdicts(*ps: float | None, **told: object) -> list[str]:
    results = [result(f"c{i}", p) for i, p in enumerate(ps)]
    return [each.verdict for each in within(plan(), results, {})]


def test_without_an_error_rate_every_verdict_stands() -> None:
    results = [result("a", 0.049), result("b", 0.04)]
    found = within(plan(None), results, {})
    assert [(each.verdict, each.adjusted_p, each.flipped) for each in found] == [("pass", None, False)] * 2


def test_what_passes_by_itself_and_not_among_the_others_is_inconclusive_and_marked() -> None:
    found = within(plan(), [result("a", 0.001), result("b", 0.04), result("c", 0.02)], {})
    assert [each.verdict for each in found] == ["pass", "pass", "pass"]  # .003, .04 and .04 by Holm
    found = within(plan(), [result("a", 0.001), result("b", 0.04), result("c", 0.03)], {})
    assert [(each.verdict, each.flipped) for each in found] == [
        ("pass", False),
        ("inconclusive", True),
        ("inconclusive", True),
    ]
    assert found[1].adjusted_p == pytest.approx(0.06)
    assert "it passes by itself" in found[1].reason


def test_a_suite_that_estimates_nothing_has_no_part_in_it() -> None:
    found = within(plan(), [result("a", None), result("b", 0.04)], {})
    assert [(each.verdict, each.adjusted_p) for each in found] == [("pass", None), ("pass", 0.04)]


def test_a_claim_that_tells_no_p_passes_for_nothing_that_was_shown() -> None:
    open_ = msgspec.structs.replace(result("a", None), interval=(0.9, 1.0))
    found = within(plan(), [open_, result("b", 0.03)], {})
    assert [(each.verdict, each.flipped) for each in found] == [("inconclusive", True), ("inconclusive", True)]


def test_a_failure_is_not_made_a_pass_nor_anything_else() -> None:
    assert [each.verdict for each in within(plan(), [result("a", 0.5, "fail"), result("b", 0.01)], {})] == [
        "fail",
        "pass",
    ]


def test_looks_are_counted_and_spend_where_the_spec_says_so() -> None:
    id = "a.yaml::golden::a"
    assert within(plan(), [result("a", 0.01)], {id: 2})[0].look == 3
    assert within(plan(), [result("a", 0.01)], {id: 2})[0].verdict == "pass"
    assert within(plan(spends=True), [result("a", 0.01)], {id: 2})[0].verdict == "inconclusive"
    assert within(plan(spends=True), [result("a", 0.01)], {id: 1})[0].verdict == "pass"


def test_looks_at_what_claims_nothing_are_not_counted() -> None:
    assert within(plan(), [result("a", None)], {"a.yaml::golden::a": 2})[0].look == 1


def test_specs_have_rates_of_their_own() -> None:
    two = Plan(
        hallmark="1", specs=(SpecFile(path="a.yaml", name="a", error_rate=0.05), SpecFile(path="b.yaml", name="b"))
    )
    assert shared(two, "a.yaml::golden::x") is not None
    assert shared(two, "b.yaml::golden::x") is None


def test_any_false_claim_of_twenty_is_as_rare_as_was_asked() -> None:
    chance, false = random.Random(3), 0
    for _ in range(2000):
        ps = [chance.random() for _ in range(20)]
        found = within(
            plan(), [result(f"c{i}", p, "pass" if p < 0.05 else "inconclusive") for i, p in enumerate(ps)], {}
        )
        false += any(each.verdict == "pass" for each in found)
    assert false / 2000 <= 0.06


@pytest.mark.parametrize("looks", [5, 20])
def test_looking_again_and_again_with_fresh_data_is_within_the_rate_where_looks_spend(looks: int) -> None:
    chance, false = random.Random(5), 0
    id = "a.yaml::golden::a"
    for _ in range(2000):
        ps = [chance.random() for _ in range(looks)]
        false += any(
            within(plan(spends=True), [result("a", p)], {id: i})[0].verdict == "pass" for i, p in enumerate(ps)
        )
    assert false / 2000 <= 0.06
