"""Checks that stand on others: measured after them, and only if they passed."""

from __future__ import annotations

import pytest

from harness.contract import Case, Check, Plan
from harness.stages import ranks
from tests.conftest import Project


def check(name: str, after: str = "", expect: str = "a", n: int = 1, kind: str = "golden") -> str:
    cases = ", ".join(f"{{id: c{at}, input: a, expect: {expect}}}" for at in range(n))
    stage = f", after: [{after}]" if after else ""
    return f"  - {{name: {name}, kind: {kind}, model: m{stage}, cases: [{cases}]}}\n"


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_stage_whose_ground_failed_is_skipped_with_all_that_stands_on_it(project: Project, workers: str) -> None:
    project.spec(
        check("third", after="second") + check("second", after="first") + check("first", expect="b") + check("other")
    )
    ran = project.hallmark("run", "specs", workers)
    assert ran.status == 1
    by_name = {result.name: result for result in ran.certificate.checks}
    assert by_name["first"].verdict == "fail"
    assert by_name["second"].reason == "skipped: stands on first, which did not pass"
    assert by_name["third"].reason == "skipped: stands on second, which did not pass"
    assert {by_name[name].verdict for name in ("second", "third")} == {"inconclusive"}
    assert by_name["other"].verdict == "pass"
    assert ran.outcomes["specs/a.yaml::golden::second::c0"]["outcome"] == "skipped"
    assert ran.outcomes["specs/a.yaml::golden::second::c0"]["reason"] == "stands on first"
    assert [blocker.check for blocker in ran.certificate.blockers] == ["specs/a.yaml::golden::first"]
    assert project.hallmark("verify").status == 1  # as blocked: the skipped cases are believed


@pytest.mark.parametrize("how", [["-n0"], ["-n2"], ["-n2", "--dist", "worksteal"], ["-n3"]])
def test_a_stage_whose_ground_passed_is_measured(project: Project, how: list[str]) -> None:
    many = "".join(check(f"s{at}", after="ground") for at in range(12))
    project.put("slow.py", "import time\ndef answer(asked):\n    time.sleep(0.05)\n    return asked\n")
    ground = check("ground", n=8)
    project.spec(many + ground, models='{m: {python: "slow:answer", batch: 1}}')
    ran = project.hallmark("run", "specs", "--allow-python", *how)
    assert ran.status == 0, ran.out + ran.err
    assert {outcome["outcome"] for outcome in ran.outcomes.values()} == {"met"}
    order = [key.split("::")[2] for key in ran.outcomes]
    assert order[:8] == ["ground"] * 8


def test_a_stage_that_is_asked_for_by_itself_is_measured(project: Project) -> None:
    project.spec(check("first", expect="b") + check("second", after="first"))
    ran = project.hallmark("run", "specs/a.yaml::golden::second", "-n0")
    assert ran.outcomes["specs/a.yaml::golden::second::c0"]["outcome"] == "met"
    assert ran.certificate.status == "incomplete"


def test_a_waived_ground_carries_what_stands_on_it(project: Project) -> None:
    waiver = 'certificate: {waivers: [{check: first, who: Ada, why: "known, ticket 7", until: "2099-12-31"}]}\n'
    project.spec(check("first", expect="b") + check("second", after="first"), more=waiver)
    ran = project.hallmark("run", "specs", "-n0")
    assert ran.status == 0, ran.out + ran.err
    first, second = ran.certificate.checks
    assert (first.verdict, first.waived) == ("fail", True)
    assert (second.verdict, second.waived) == ("pass", False)


def test_a_ground_whose_worker_dies_leaves_nothing_undecided(project: Project) -> None:
    project.put(
        "dies.py", "import os\ndef answer(asked):\n    os._exit(9) if asked == 'die' else None\n    return asked\n"
    )
    ground = "  - {name: ground, kind: golden, model: m, cases: [{id: a, input: die, expect: die}, {id: b, input: x, expect: x}]}\n"
    project.spec(ground + check("late", after="ground"), models='{m: {python: "dies:answer", batch: 1}}')
    ran = project.hallmark("run", "specs", "--allow-python", "-n2")
    assert ran.status == 1
    ground_, late = ran.certificate.checks
    assert (ground_.verdict, late.reason) == ("error", "skipped: stands on ground, which did not pass")


def test_ranks_put_quiet_checks_last_and_never_before_their_ground() -> None:
    def made(name: str, kind: str, *after: str) -> Check:
        cases = (Case(id="a", input=1),)
        return Check(id=name, name=name, kind=kind, at="a:1", after=after, cases=cases)

    plan = Plan(
        hallmark="0",
        checks=(
            made("a", "performance"),
            made("b", "golden", "a"),
            made("c", "golden"),
            made("d", "golden", "c"),
            made("e", "performance", "b"),
        ),
    )
    a, b, c, d, e = ranks(plan)
    assert c < d < a < b < e
