"""The short version of benchmarks/validity: no rate of a shipped gate leaves its band, and a broken gate is noticed."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.validity.__main__ import GROUPS, main
from benchmarks.validity.chance import of_shares, shares, tables
from benchmarks.validity.counts import AB, Truth, of_edges, of_pairs
from benchmarks.validity.gates import RIGHT, WRONG, Gate, Ruled, Said, counted
from benchmarks.validity.row import Effort, Row, about, at_most, cells, faults, markdown
from evaluators import ab, golden
from harness.certify import judge
from harness.contract import DECIDED, Check, CheckResult, Outcome, Verdict
from harness.statistics.quantiles import quantile_at_most
from tests.conftest import REPOSITORY

SHORT = Effort(replications=100, quick=True)


def out_of_band(group: str) -> list[str]:
    return [fault for row in GROUPS[group](SHORT) for fault in faults(row)]


@pytest.mark.parametrize("group", GROUPS)
def test_no_rate_of_a_shipped_gate_leaves_its_band(group: str) -> None:
    assert out_of_band(group) == []


# ---------------------------------------------------------------------------------- gates that are broken


def test_a_gate_that_goes_by_the_point_rule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_points(k: int, n: int, threshold: float, confidence: float) -> str:
        return "pass" if k / n >= threshold else "fail"

    monkeypatch.setattr("harness.statistics.proportion.decide", by_points)
    found = out_of_band("gates")
    assert any(fault.startswith("gate at .95, n=100, true rate 0.93: passes 0.29") for fault in found)


def test_a_budget_of_times_that_takes_no_heed_of_processes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def pooled(groups: Sequence[Sequence[float]], q: float, most: float, confidence: float, **rest: Any) -> Any:
        return quantile_at_most([value for group in groups for value in group], q, most, (1 - confidence) / 2)

    monkeypatch.setattr("harness.statistics.clustered.quantile_of_groups_at_most", pooled)
    found = out_of_band("budgets")
    assert any(fault.startswith("p99 at its budget, 5 processes × 80, which differ by 0.3: passes") for fault in found)


def test_a_judge_that_says_nan_warns_or_crashes_counts_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate("kind: golden, model: new", 3)

    def says_nan(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
        return Verdict(verdict="pass", reason="", estimate=math.nan, interval=(0, 1), n=3)

    def warns(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
        warnings.warn("divided by zero", RuntimeWarning, stacklevel=1)
        return Verdict(verdict="pass", reason="", estimate=1.0, interval=(0, 1), n=3)

    def crashes(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
        raise ZeroDivisionError

    for broken in (says_nan, warns, crashes):
        monkeypatch.setattr(golden, "judge", broken)
        ruled = counted([(1.0, gate.rule_share(3))])
        assert ruled.errors == 1
        assert faults(Row("a gate", "", "", ruled, True))


def test_an_answer_that_can_not_be_graded_is_an_error_of_its_case() -> None:
    gate = Gate(f"{AB}, metric: {{value: .}}, claim: different", 50)
    result = gate.rule([(1.0, 0.0)] * 49 + [("none", 0.0)])
    assert (result.verdict, result.outcomes.error) == ("error", 1)


def test_a_spec_that_can_decide_nothing_and_is_planned_all_the_same_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "gate_faults", lambda check: iter(()))
    assert "gate at .95, n=50: the spec was not refused" in out_of_band("refusals")


def test_the_command_prints_the_table_and_leaves_with_1_where_a_rate_is_out_of_its_band(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "--only", "determinism", "contaminated"]) == 0
    table = capsys.readouterr().out
    assert table.startswith("| check | as peers do it | target |")
    assert "| others load the machine" in table
    monkeypatch.setattr("evaluators.determinism.verdict.holds", lambda cell, require: True)
    assert main(["--quick", "--only", "determinism"]) == 1
    assert "out of its band: 59 runs" in capsys.readouterr().err


def test_it_runs_as_a_command_from_anywhere(tmp_path: Any) -> None:
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "validity"), "--quick", "--only", "determinism"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.count("\n") == 4


# ------------------------------------------------------------------------------------ that it counts rightly


@given(n=st.integers(0, 60), share=st.floats(0, 1))
def test_the_chances_of_all_that_can_happen_add_up_to_1(n: int, share: float) -> None:
    assert sum(shares(n, share)) == pytest.approx(1)
    assert of_shares(n, share, lambda k: k >= 0) == pytest.approx(1)


@cache
def passed() -> CheckResult:
    return Gate("kind: golden, model: new", 1).rule_share(1)


@settings(max_examples=25)
@given(n=st.integers(0, 40), gained=st.floats(0, 0.5), lost=st.floats(0, 0.5))
def test_the_chances_of_tables_add_up_to_1_but_for_what_is_left_out(n: int, gained: float, lost: float) -> None:
    assert sum(p for p, _, _ in tables(n, gained, lost, 0.0)) == pytest.approx(1)
    found = counted((p, passed()) for p, _, _ in tables(n, gained, lost, 1e-3))
    assert found.passes + found.left_out == pytest.approx(1)


@pytest.mark.parametrize("truth", [Truth(0.05, 0.05), Truth(0.02, 0.1), Truth(0.2, 0.2), Truth(0.0, 0.3)])
@pytest.mark.parametrize("claim", ["{noninferior: {margin: 0.08}}", "superior"])
def test_the_edges_between_verdicts_tell_all_tables(truth: Truth, claim: str) -> None:
    whole, edges = (Gate(f"{AB}, claim: {claim}, method: tango", 60) for _ in range(2))
    expected, got = of_pairs(whole, 60, truth), of_edges(edges, 60, truth)
    assert got == pytest.approx(expected)  # None stays None
    assert len(edges._tables) < len(whole._tables)


def test_a_rate_that_was_drawn_leaves_its_band_only_where_chance_does_not_explain_it() -> None:
    def row(passes: float, replications: int | None) -> Row:
        return Row("x", "", "", Ruled(passes, 0, 1 - passes, 0, replications), None, (at_most("passes", 0.05),))

    assert not faults(row(0.06, 200))
    assert faults(row(0.06, 20_000))
    assert faults(row(0.0501, None))
    assert not faults(row(0.05, None))


def test_what_was_left_out_is_not_held_against_a_rate() -> None:
    rows = [
        Row("x", "", "", Ruled(0.32, 0, 0.6, 0, None, left), True, (about("passes", 0.328),)) for left in (0, 0.008)
    ]
    assert [len(faults(row)) for row in rows] == [1, 0]


def test_a_target_that_is_known_to_be_missed_is_told_once_it_is_kept() -> None:
    bands = (at_most("passes", 0.05),)
    missing, keeping = (
        Row("x", "", "≤ .05", Ruled(rate, 0, 1 - rate, 0), None, bands, missed=True) for rate in (0.3, 0.04)
    )
    assert not faults(missing)
    assert "**missed**" in markdown([missing])
    assert faults(keeping) == ["x: it keeps its target now: say so"]


def test_of_what_is_true_no_pass_is_false_and_on_the_edge_either_verdict_is() -> None:
    ruled = Ruled(0.7, 0.1, 0.2, 0.0)
    assert cells(Row("x", "p", "t", ruled, True))[3:6] == [".700", "–", ".100"]
    assert cells(Row("x", "p", "t", ruled, False))[3:6] == [".100", ".700", "–"]
    assert cells(Row("x", "p", "t", ruled, None))[3:6] == ["–", ".700", ".100"]
    assert len(markdown([Row("x", "p", "t", ruled)]).splitlines()) == 3


# -------------------------------------------------------------------------------------------- looks


@pytest.mark.parametrize("gained", [0, 3, 8])
def test_looking_after_every_case_ends_where_the_judge_of_all_looks_says(gained: int) -> None:
    gate = Gate(f"{AB}, claim: superior, peek: true", 60)
    said: list[Said] = [(RIGHT, WRONG) if at % 10 < gained else (RIGHT, RIGHT) for at in range(60)]
    whole = gate.rule(said)
    found: dict[str, Outcome] = {}
    for at, case in enumerate(gate.check.cases):
        found[case.id] = gate._outcome(at, case, said[at])
        if ab.decided(gate.check, list(found.values())):
            break
    looked = len(found)
    spared = {c.id: Outcome(case=c.id, outcome="skipped", reason=DECIDED) for c in gate.check.cases[looked:]}
    stopped = judge(gate.check, {**found, **spared})
    assert (stopped.verdict, stopped.estimate, stopped.interval) == (whole.verdict, whole.estimate, whole.interval)
    assert (stopped.verdict == "pass") == (gained > 0)
    assert looked == (whole.n if gained else 60)
