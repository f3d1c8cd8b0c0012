"""Criteria and their score, waivers and expiry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import policy
from harness.contract import CheckResult, Criterion, CriterionResult, Plan, Ruling, SpecFile, Tally, Waiver

RULINGS: tuple[Ruling, ...] = ("pass", "fail", "inconclusive", "error", "unsupported")


def result(id: str, verdict: Ruling = "pass") -> CheckResult:
    return CheckResult(
        id=id,
        name=id.rpartition("::")[2],
        kind="golden",
        model=None,
        verdict=verdict,
        estimate=None,
        interval=None,
        p=None,
        method="",
        n=1,
        planned=1,
        outcomes=Tally(met=1),
        needed_n=None,
        reason="",
        advice="",
        figures={},
        at="s.yaml:1",
        seconds=0.0,
    )


def scored(plan: Plan, **verdicts: Ruling) -> tuple[float, str]:
    results = {name: result(name, verdict) for name, verdict in verdicts.items()}
    return policy.score(policy.criteria(plan, results))


def criterion(id: str, weight: float | None = None, spec: str = "s.yaml") -> Criterion:
    return Criterion(id=id, needs=(id,), at=f"{spec}:1", weight=weight, spec=spec)


def plan(*criteria: Criterion, over: str = "", **more: Any) -> Plan:
    paths = dict.fromkeys([each.spec for each in criteria])
    specs = tuple(SpecFile(path=path, name=path, over=path == over) for path in paths)
    return Plan(hallmark="0", specs=specs, criteria=criteria, **more)


def test_the_score_is_the_weight_of_what_is_met() -> None:
    met, meaning = scored(plan(criterion("a", 0.75), criterion("b", 0.25)), a="pass", b="fail")
    assert met == 75
    assert "a 75, b 25 (not met)" in meaning
    assert "decides nothing" in meaning


def test_without_weights_all_criteria_count_alike() -> None:
    assert scored(plan(criterion("a"), criterion("b")), a="pass", b="unsupported")[0] == 50


def test_without_criteria_every_check_is_one() -> None:
    assert scored(plan(), a="pass", b="pass", c="error", d="pass")[0] == 75


def test_files_share_the_score_and_one_that_stands_over_others_has_it_alone() -> None:
    apart = plan(criterion("a", 100, "x/a.yaml"), criterion("b", 0.5, "x/b.yaml"), criterion("c", 0.5, "x/b.yaml"))
    assert scored(apart, a="fail", b="pass", c="pass")[0] == 50
    ruled = plan(*apart.criteria, criterion("d", None, "x/certificate.yaml"), over="x/certificate.yaml")
    assert scored(ruled, a="fail", b="fail", c="fail", d="pass")[0] == 100
    elsewhere = plan(*ruled.criteria, criterion("e", None, "y/e.yaml"), over="x/certificate.yaml")
    assert scored(elsewhere, a="pass", b="pass", c="pass", d="pass", e="fail")[0] == 50


@given(st.lists(st.tuples(st.floats(0.01, 100), st.sampled_from(RULINGS), st.sampled_from("xyz")), min_size=1))
def test_a_score_lies_between_nothing_and_all_and_is_all_only_if_all_is_met(
    drawn: list[tuple[float, Ruling, str]],
) -> None:
    criteria = [criterion(f"c{at}", weight, f"{spec}.yaml") for at, (weight, _, spec) in enumerate(drawn)]
    results = {f"c{at}": result(f"c{at}", verdict) for at, (_, verdict, _) in enumerate(drawn)}
    found = policy.criteria(plan(*criteria), results)
    met, _ = policy.score(found)
    assert 0 <= met <= 100
    assert abs(sum(each.weight for each in found) - 1) < 1e-9
    if all(verdict == "pass" for _, verdict, _ in drawn):
        assert met == 100
    if all(verdict != "pass" for _, verdict, _ in drawn):
        assert met == 0


WAIVER = Waiver(checks=("a",), who="Ada", why="known", until="2026-11-20", at="s.yaml:9")


@pytest.mark.parametrize("verdict", RULINGS)
@pytest.mark.parametrize("day", ["2026-11-19", "2026-11-20", "2026-11-21", ""])
def test_a_waiver_holds_to_the_end_of_its_day_for_what_was_found_and_not_for_what_went_wrong(
    verdict: Ruling, day: str
) -> None:
    waived = policy.waived(plan(waivers=(WAIVER,)), [result("a", verdict), result("b", verdict)], day)
    may = verdict in ("fail", "inconclusive", "unsupported") and day in ("2026-11-19", "2026-11-20")
    assert [each.waived for each in waived] == [may, False]
    assert [each.verdict for each in waived] == [verdict, verdict]


def test_a_certificate_that_stands_on_a_waiver_does_not_outlive_it() -> None:
    asked = plan(waivers=(WAIVER,))
    (used,) = policy.waivers(asked, {"a": policy.waived(asked, [result("a", "fail")], "2026-11-20")[0]}, "2026-11-20")
    assert used.used
    assert policy.expiry(asked, [used], "2026-11-20T12:00:00+00:00") == "2026-11-21T00:00:00+00:00"
    (idle,) = policy.waivers(asked, {"a": result("a")}, "2026-11-20")
    assert not idle.used
    assert policy.expiry(asked, [idle], "2026-11-20T12:00:00+00:00") is None


def test_the_first_end_of_all_that_is_told_is_the_certificate_s() -> None:
    specs = (
        SpecFile(path="a", name="a", expires=90 * 86400.0),
        SpecFile(path="b", name="b", ends="2026-12-01"),
        SpecFile(path="c", name="c"),
    )
    asked = Plan(hallmark="0", specs=specs)
    assert policy.expiry(asked, [], "2026-11-20T12:00:00+00:00") == "2026-12-02T00:00:00+00:00"
    assert policy.expiry(asked, [], None) is None


def test_a_criterion_is_waived_only_where_all_that_it_lacks_is() -> None:
    asked = Plan(hallmark="0", criteria=(Criterion(id="c", needs=("a", "b"), at="s.yaml:1", spec="s.yaml"),))
    waived = policy.waived(plan(waivers=(WAIVER,)), [result("a", "fail")], "2026-11-20")[0]

    def found(other: Ruling) -> CriterionResult:
        return policy.criteria(asked, {"a": waived, "b": result("b", other)})[0]

    assert found("pass").waived
    assert found("pass").verdict == "fail"
    assert not found("inconclusive").waived
