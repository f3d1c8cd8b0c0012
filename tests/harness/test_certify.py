"""From outcomes to a certificate: what certifies, and everything that must not."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import rooms
from harness.certify import certify, judge
from harness.contract import (
    Case,
    Certificate,
    Check,
    CheckResult,
    Criterion,
    Declared,
    Outcome,
    Plan,
    Ruling,
    Setting,
    SpecFile,
    Tally,
    Verdict,
    Word,
)
from harness.ledger import Begin, End, Record, Remark

PASS = Verdict(verdict="pass", reason="well", estimate=1.0, interval=(0.9, 1.0), method="m", n=2)
BEGIN = Begin(run="r", started="2026-01-01T00:00:00+00:00", plan="sha256:0", machine={"cores": 2})
END = End(finished="2026-01-01T01:00:00+00:00", seconds=3600.0)


class Room:
    """A stranger's evaluator, which says what it is told to."""

    def __init__(self, says: Any, *, gated: bool = False) -> None:
        self.says = says
        self.is_gated = gated

    def judge(self, check: Check, outcomes: Sequence[Outcome]) -> Any:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def gated(self, check: Check) -> bool:
        return self.is_gated


def _check(name: str = "c", n: int = 2, **more: Any) -> Check:
    cases = tuple(Case(id=f"{name}{i}", expect=1) for i in range(n))
    return Check(id=f"s.yaml::golden::{name}", name=name, kind="golden", at="s.yaml:3", cases=cases, **more)


def _found(check: Check, *words: Word, **more: Any) -> dict[str, Outcome]:
    pairs = zip(check.cases, words, strict=False)
    return {case.id: Outcome(case=case.id, outcome=word, check=check.id, **more) for case, word in pairs}


def _judged(monkeypatch: pytest.MonkeyPatch, says: Any, *words: Word, gated: bool = False) -> CheckResult:
    monkeypatch.setattr(rooms, "evaluator", lambda kind: Room(says, gated=gated))
    check = _check()
    return judge(check, _found(check, *words))


def _record(*lines: Any, torn: bytes = b"") -> Record:
    return Record(msgspec.json.Encoder().encode_lines(list(lines)) + torn)


def _certified(plan: Plan, *lines: Any, begin: bool = True, end: End | None = END) -> Certificate:
    return certify(
        plan, _record(*([BEGIN] if begin else []), *lines, *([end] if end else [])), {"plan.json": BEGIN.plan}
    )


def _plan(*checks: Check, **more: Any) -> Plan:
    return Plan(hallmark="0", checks=checks or (_check(),), **more)


def _all(plan: Plan, word: Word = "met") -> list[Outcome]:
    return [o for check in plan.checks for o in _found(check, *[word] * len(check.cases)).values()]


# -------------------------------------------------------------------------------------------- judge: guards


def test_a_room_that_passes_with_all_figures_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    result = _judged(monkeypatch, PASS, "met", "met")
    assert result.verdict == "pass"
    assert (result.estimate, result.interval, result.n, result.planned) == (1.0, (0.9, 1.0), 2, 2)
    assert result.outcomes == Tally(met=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"estimate": float("nan")},
        {"estimate": float("inf")},
        {"p": float("nan")},
        {"interval": (float("nan"), 1.0)},
        {"interval": (0.0, float("inf"))},
        {"estimate": None},
        {"interval": None},
        {"n": 0},
        {"n": -1},
    ],
)
@pytest.mark.parametrize("gated", [True, False])
def test_a_room_that_passes_without_sound_figures_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], gated: bool
) -> None:
    result = _judged(monkeypatch, msgspec.structs.replace(PASS, **wrong), "met", "met", gated=gated)
    assert result.verdict == "error"
    assert result.reason


@pytest.mark.parametrize(
    "error", [ValueError("no"), ZeroDivisionError(), KeyError("x"), RecursionError(), MemoryError()]
)
def test_a_room_whose_judge_fails_gives_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    result = _judged(monkeypatch, error, "met", "met")
    assert result.verdict == "error"
    assert type(error).__name__ in result.reason


@pytest.mark.parametrize("gated", [True, False])
def test_a_pass_on_part_of_the_cases_is_inconclusive(monkeypatch: pytest.MonkeyPatch, gated: bool) -> None:
    result = _judged(monkeypatch, PASS, "met", gated=gated)
    assert result.verdict == "inconclusive"
    assert "1 of 2" in result.reason
    assert (result.planned, result.outcomes.total()) == (2, 1)


def test_a_failure_on_part_of_the_cases_stands_where_every_case_must_be_met(monkeypatch: pytest.MonkeyPatch) -> None:
    fail = msgspec.structs.replace(PASS, verdict="fail")
    assert _judged(monkeypatch, fail, "missed").verdict == "fail"
    assert _judged(monkeypatch, fail, "missed", gated=True).verdict == "inconclusive"


@pytest.mark.parametrize("words", [(), ("skipped",), ("skipped", "skipped")])
def test_nothing_measured_or_all_skipped_never_reaches_the_room(
    monkeypatch: pytest.MonkeyPatch, words: tuple[Word, ...]
) -> None:
    assert _judged(monkeypatch, PASS, *words).verdict == "inconclusive"


def test_a_kind_that_no_package_offers_is_an_error() -> None:
    check = msgspec.structs.replace(_check(), kind="nobody")
    result = judge(check, _found(check, "met", "met"))
    assert result.verdict == "error"
    assert "nobody" in result.reason


def test_outcomes_of_cases_that_were_not_planned_do_not_count() -> None:
    check = _check()
    found = {"stranger": Outcome(case="stranger", outcome="met", check=check.id)}
    assert judge(check, found).verdict == "inconclusive"
    assert judge(check, found).outcomes.total() == 0


def test_the_first_outcome_of_a_case_stands() -> None:
    plan = _plan(_check(n=1))
    (met,) = _all(plan)
    (missed,) = _all(plan, "missed")
    assert _certified(plan, missed, met).status == "blocked"
    assert _certified(plan, met, missed).status == "certified"


# ------------------------------------------------------------------------------------------ certify: status


def test_everything_met_is_certified() -> None:
    plan = _plan(_check("a"), _check("b"))
    certificate = _certified(plan, *_all(plan))
    assert certificate.status == "certified"
    assert certificate.score == 100
    assert certificate.blockers == ()
    assert [criterion.verdict for criterion in certificate.criteria] == ["pass", "pass"]
    assert (certificate.run.planned, certificate.run.measured) == (4, 4)
    assert certificate.provenance["machine"] == {"cores": 2}


def test_one_missed_case_blocks_and_the_blocker_can_be_reproduced() -> None:
    plan = _plan(_check("a"), _check("it's"))
    lines = [*_all(_plan(plan.checks[0])), *_all(_plan(plan.checks[1]), "missed")]
    certificate = _certified(plan, *lines)
    assert certificate.status == "blocked"
    assert "it's" in certificate.reason
    (blocker,) = certificate.blockers
    assert blocker.check == "s.yaml::golden::it's"
    assert blocker.at == "s.yaml:3"
    assert blocker.reproduce == """hallmark run 's.yaml::golden::it'"'"'s'"""
    assert certificate.score == 50
    assert certificate.expires is None


def test_an_error_blocks() -> None:
    plan = _plan()
    assert _certified(plan, *_all(plan, "error")).status == "blocked"


def test_skipped_cases_are_inconclusive() -> None:
    plan = _plan()
    assert _certified(plan, *_all(plan, "skipped")).status == "inconclusive"


def test_an_undecided_sample_is_inconclusive_and_says_how_many_more_to_collect() -> None:
    gate = {"gate": {"pass_rate": 0.9, "population": "sample"}}
    check = _check(n=60, options=gate)
    certificate = _certified(_plan(check), *_found(check, *["met"] * 58, "missed", "missed").values())
    assert certificate.status == "inconclusive"
    (result,) = certificate.checks
    assert result.needed_n is not None
    (said,) = certificate.recommendations
    assert f"collect {result.needed_n - 60} more cases ({result.needed_n} in all)" in said


@pytest.mark.parametrize("plan", [Plan(hallmark="0"), Plan(hallmark="0", checks=(_check(n=0),))])
def test_nothing_to_measure_is_incomplete(plan: Plan) -> None:
    certificate = _certified(plan)
    assert certificate.status == "incomplete"
    assert certificate.score == 0


def test_a_run_without_its_end_is_incomplete_however_well_it_went() -> None:
    plan = _plan()
    assert _certified(plan, *_all(plan), end=None).status == "incomplete"


def test_a_record_torn_in_its_last_line_is_incomplete() -> None:
    plan = _plan()
    end = msgspec.json.encode(END)
    for cut in range(len(end)):
        record = _record(BEGIN, *_all(plan), torn=end[:cut])
        assert record.torn == (cut > 0)
        assert certify(plan, record, {}).status == "incomplete"


@pytest.mark.parametrize("word", ["met", "missed"])
def test_a_case_without_an_outcome_is_incomplete_even_where_others_missed(word: Word) -> None:
    plan = _plan()
    certificate = _certified(plan, _all(plan, word)[0])
    assert certificate.status == "incomplete"
    assert "1 of 2 cases" in certificate.reason


def test_a_run_that_was_stopped_is_incomplete_and_says_why() -> None:
    plan = _plan()
    stopped = msgspec.structs.replace(END, stopped="interrupted")
    assert _certified(plan, *_all(plan), end=stopped).status == "incomplete"
    assert "interrupted" in _certified(plan, *_all(plan), end=stopped).reason
    assert "interrupted" in _certified(plan, _all(plan)[0], end=stopped).reason


def test_a_remark_that_voids_makes_it_incomplete_and_another_is_only_told() -> None:
    plan = _plan(notes=("planned",))
    told = _certified(plan, *_all(plan), Remark(text="by the way"))
    assert told.status == "certified"
    assert told.notes == ("planned", "by the way")
    void = _certified(plan, *_all(plan), Remark(text="a golden file changed", voids=True))
    assert (void.status, void.reason) == ("incomplete", "a golden file changed")


def test_a_model_that_changed_during_the_run_makes_it_incomplete() -> None:
    plan = _plan(models={"m": Declared(name="m", how="echo", options={}, recipe="r", at="s.yaml:1")})
    same = [Setting(id=str(i), model="m", facts={"digest": "d", "worker": i}) for i in range(2)]
    other = Setting(id="3", model="m", facts={"digest": "e"})
    assert _certified(plan, *same, *_all(plan)).status == "certified"
    changed = _certified(plan, *same, other, *_all(plan))
    assert changed.status == "incomplete"
    assert "was not the same" in changed.reason
    assert changed.provenance["models"]["m"]["digests"] == ["d", "e"]


def test_settings_of_no_model_may_differ() -> None:
    plan = _plan()
    settings = [Setting(id=d, model="", facts={"digest": d}) for d in "ab"]
    assert _certified(plan, *settings, *_all(plan)).status == "certified"


# ---------------------------------------------------------------------------------------- certify: criteria


def _result(check: Check, ruling: Ruling) -> CheckResult:
    return CheckResult(
        id=check.id, name=check.name, kind="golden", model=None, verdict=ruling, estimate=1.0, interval=(1.0, 1.0), p=None,
        method="", n=2, planned=2, outcomes=Tally(met=2), needed_n=None, reason="", advice="", figures={}, at="", seconds=0.0,
    )  # fmt: skip


def _from_rulings(rulings: Mapping[str, Ruling], needs: tuple[str, ...]) -> Certificate:
    checks = tuple(_check(name) for name in rulings)
    criterion = Criterion(id="good", needs=tuple(f"s.yaml::golden::{need}" for need in needs), at="s.yaml:9", why="so")
    plan = _plan(*checks, criteria=(criterion,))
    results = [_result(check, ruling) for check, ruling in zip(checks, rulings.values(), strict=True)]
    return certify(plan, _record(BEGIN, END), {}, results)


@pytest.mark.parametrize(
    ("rulings", "worst", "status"),
    [
        ({"a": "pass", "b": "pass"}, "pass", "certified"),
        ({"a": "pass", "b": "unsupported"}, "unsupported", "inconclusive"),
        ({"a": "unsupported", "b": "inconclusive"}, "inconclusive", "inconclusive"),
        ({"a": "inconclusive", "b": "fail"}, "fail", "blocked"),
        ({"a": "fail", "b": "error"}, "error", "blocked"),
    ],
)
def test_a_criterion_is_as_good_as_the_worst_check_it_stands_on(
    rulings: dict[str, Ruling], worst: Ruling, status: str
) -> None:
    certificate = _from_rulings(rulings, ("a", "b"))
    assert certificate.criteria[0].verdict == worst
    assert certificate.status == status
    assert certificate.score == (100 if worst == "pass" else 0)


@pytest.mark.parametrize(
    ("ruling", "status"), [("fail", "blocked"), ("error", "blocked"), ("inconclusive", "inconclusive")]
)
def test_a_check_that_no_criterion_needs_still_blocks(ruling: Ruling, status: str) -> None:
    assert _from_rulings({"a": "pass", "b": ruling}, ("a",)).status == status


def test_the_score_is_the_share_of_criteria_that_pass() -> None:
    checks = [_check(name) for name in "abc"]
    plan = _plan(*checks)
    lines = [*_found(checks[0], "met", "met").values(), *_found(checks[1], "missed", "met").values()]
    lines += _found(checks[2], "met", "met").values()
    assert _certified(plan, *lines).score == 66.7


# ------------------------------------------------------------------------------------------ certify: expiry


def test_a_certificate_expires_when_the_first_of_its_specs_does() -> None:
    specs = (
        SpecFile(path="a", name="a", expires=7200.0),
        SpecFile(path="b", name="b", expires=60.0),
        SpecFile(path="c", name="c"),
    )
    plan = _plan(specs=specs)
    certificate = _certified(plan, *_all(plan))
    assert certificate.expires is not None
    assert datetime.fromisoformat(certificate.expires) == datetime.fromisoformat("2026-01-01T01:01:00+00:00")
    assert _certified(plan, *_all(plan, "missed")).expires is None


def test_a_certificate_without_a_date_has_none() -> None:
    plan = _plan(specs=(SpecFile(path="c", name="c"),))
    assert _certified(plan, *_all(plan)).expires is None


# ---------------------------------------------------------------------------------------------- properties

WORDS = st.sampled_from(["met", "missed", "error", "skipped"])
GATES = st.sampled_from([{}, {"gate": {"pass_rate": 0.5}}, {"gate": {"pass_rate": 0.3, "population": "sample"}}])


@st.composite
def _runs(draw: st.DrawFn) -> tuple[Plan, list[Any]]:
    checks: list[Check] = []
    lines: list[Any] = []
    for name in draw(st.sets(st.sampled_from("abc"), max_size=3)):
        check = _check(name, draw(st.integers(0, 4)), options=draw(GATES))
        checks.append(check)
        often_met = st.just("met") | WORDS
        told = [case for case in check.cases if draw(st.integers(0, 9))]
        lines += [Outcome(case=case.id, outcome=draw(often_met), check=check.id) for case in told]
    lines += draw(st.lists(st.builds(Remark, text=st.just("r"), voids=st.booleans()), max_size=1))
    if draw(st.integers(0, 9)):
        lines.append(msgspec.structs.replace(END, stopped=draw(st.sampled_from([None, None, None, "stopped"]))))
    return Plan(hallmark="0", checks=tuple(checks)), [BEGIN, *draw(st.permutations(lines))]


@given(_runs())
def test_only_a_complete_run_whose_every_verdict_passes_is_certified(run: tuple[Plan, list[Any]]) -> None:
    plan, lines = run
    certificate = certify(plan, _record(*lines), {})
    outcomes = {(line.check, line.case): line.outcome for line in lines if isinstance(line, Outcome)}
    planned = {(check.id, case.id) for check in plan.checks for case in check.cases}
    complete = bool(planned) and planned == set(outcomes)
    ended = any(isinstance(line, End) and not line.stopped for line in lines)
    void = any(isinstance(line, Remark) and line.voids for line in lines)
    passed = all(check.verdict == "pass" for check in certificate.checks)
    assert (certificate.status == "certified") == (complete and ended and not void and passed)
    if certificate.status == "certified":
        assert not {"error", "skipped"} & set(outcomes.values())
        assert certificate.score == 100
    if not complete:
        assert certificate.status == "incomplete"
    assert certificate.reason
    assert certify(plan, _record(*lines), {}) == certificate


@pytest.mark.parametrize(
    "verdict",
    [
        None,
        {"verdict": "pass"},
        Verdict(verdict="maybe", reason="", estimate=1.0, interval=(1.0, 1.0), n=1),  # type: ignore[arg-type]
        Verdict(verdict="pass", reason="", estimate=1.0, interval=(1.0, 0.9), n=1),
        Verdict(verdict="pass", reason="", estimate="1", interval=(1.0, 1.0), n=1),  # type: ignore[arg-type]
    ],
)
def test_a_verdict_that_is_none_is_an_error(verdict: object, monkeypatch: pytest.MonkeyPatch) -> None:
    room = types.SimpleNamespace(judge=lambda check, outcomes: verdict)
    monkeypatch.setattr("harness.certify.rooms.evaluator", lambda kind: room)
    check = Check(id="c", name="c", kind="k", at="a:1", cases=(Case(id="x"),))
    assert judge(check, {"x": Outcome(case="x", outcome="met")}).verdict == "error"


def test_a_room_that_passes_over_errors_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = Verdict(verdict="pass", reason="", estimate=1.0, interval=(1.0, 1.0), n=1)
    room = types.SimpleNamespace(judge=lambda check, outcomes: passed)
    monkeypatch.setattr("harness.certify.rooms.evaluator", lambda kind: room)
    check = Check(id="c", name="c", kind="k", at="a:1", cases=(Case(id="x"),))
    assert judge(check, {"x": Outcome(case="x", outcome="error")}).verdict == "error"


def test_a_record_of_another_plan_certifies_nothing() -> None:
    plan = _plan()
    certificate = certify(plan, _record(BEGIN, *_all(plan), END), {"plan.json": "sha256:another"})
    assert certificate.status == "incomplete"
    assert "another plan" in certificate.reason
