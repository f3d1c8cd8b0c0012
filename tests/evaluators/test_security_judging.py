"""Findings to outcomes to a verdict, on plain data: what fails, what may be, and that nothing but a whole scan passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from evaluators import security
from evaluators.security import allowing, judging
from evaluators.security.finding import SEVERITIES, Finding, Scanned, identify
from evaluators.security.judging import Ran
from harness.contract import Check, Outcome, Refused, Verdict

TODAY = "2026-11-20"


def check(scan: dict[str, Any] | None = None, **options: Any) -> Check:
    draft = Check(
        id="s.yaml::security::clean",
        name="clean",
        kind="security",
        at="s.yaml:3",
        options={"scan": scan or {"bandit": {"paths": ["src"]}}, **options},
    )
    return msgspec.structs.replace(draft, cases=tuple(security.expand(draft)))


def finding(rule: str = "B602", severity: str = "high", path: str = "a.py", line: int = 1, **more: Any) -> Finding:
    id = more.pop("id", identify(rule, path, f"text {line}"))
    return Finding(rule=rule, severity=severity, path=path, line=line, what="it is bad", fix="mend it", id=id, **more)  # type: ignore[arg-type]


def outcomes(asked: Check, *findings: Finding, **ran: Any) -> list[Outcome]:
    whole: dict[str, Any] = {"scanner": "bandit 1", "on": TODAY, "files": 3, "tree": "t", **ran}
    whole.setdefault("scanned", Scanned(findings=list(findings)))
    return [judging.outcome(asked, case, Ran(**whole)) for case in asked.cases]


def words(found: Sequence[Outcome]) -> dict[str, str]:
    return {each.case: each.outcome for each in found if each.outcome != "met"}


# ------------------------------------------------------------------------------------------------ outcomes


def test_every_class_is_a_case_before_anything_is_scanned() -> None:
    ids = [case.id for case in check().cases]
    assert ids[0] == "bandit"
    assert "bandit/B602" in ids
    assert ids[-1] == "bandit/other"
    assert not any(case.asks for case in check().cases)


def test_a_finding_misses_its_own_class_and_says_where_and_what_to_do() -> None:
    asked = check()
    found = outcomes(asked, finding(line=7))
    assert words(found) == {"bandit/B602": "missed"}
    (difference,) = next(each for each in found if each.outcome == "missed").differences
    assert (difference.at, difference.mode, difference.why) == ("a.py:7", "B602", "it is bad; mend it")


def test_a_rule_that_nobody_named_is_a_class_of_its_own() -> None:
    assert words(outcomes(check(), finding("B999"))) == {"bandit/other": "missed"}


@pytest.mark.parametrize("bar", SEVERITIES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_finding_fails_from_the_bar_on(bar: str, severity: str) -> None:
    asked = check(fail_on=bar)
    found = outcomes(asked, finding(severity=severity))
    fails = SEVERITIES.index(severity) >= SEVERITIES.index(bar)  # type: ignore[arg-type]
    assert bool(words(found)) == fails
    assert security.judge(asked, found).verdict == ("fail" if fails else "pass")


def test_a_scanner_may_have_a_bar_of_its_own() -> None:
    asked = check({"bandit": {"paths": ["src"], "fail_on": "critical"}}, fail_on="low")
    assert not words(outcomes(asked, finding()))


def test_a_finding_of_less_confidence_than_asked_is_told_and_does_not_fail() -> None:
    asked = check({"bandit": {"paths": ["src"], "confidence": "medium"}})
    found = outcomes(asked, finding(confidence="low"))
    assert not words(found)
    assert security.judge(asked, found).figures["high findings"] == 1


def test_findings_that_do_not_fail_may_be_counted() -> None:
    asked = check(fail_on="high", at_most={"low": 1})
    low = [finding(severity="low", line=line) for line in (1, 2)]
    assert security.judge(asked, outcomes(asked, *low[:1])).verdict == "pass"
    over = security.judge(asked, outcomes(asked, *low))
    assert (over.verdict, over.reason) == ("fail", "2 low findings, 1 may be there")


# --------------------------------------------------------------------------------------------- allowances


def allowance(**more: Any) -> dict[str, Any]:
    return {"rule": "B602", "path": "a.py", "reason": "it is ours", **more}


@pytest.mark.parametrize("rule", ["B602", "bandit/B602"])
@pytest.mark.parametrize("path", ["a.py", "*.py", "**"])
def test_an_allowance_lets_its_rule_be_in_its_path(rule: str, path: str) -> None:
    asked = check(allow=[allowance(rule=rule, path=path)])
    found = outcomes(asked, finding())
    assert not words(found)
    verdict = security.judge(asked, found)
    assert (verdict.verdict, verdict.figures["allowed"], verdict.advice) == ("pass", 1, "")


@pytest.mark.parametrize("other", [{"rule": "B601"}, {"path": "b.py"}, {"path": "b/*.py"}, {"rule": "secrets/B602"}])
def test_an_allowance_lets_nothing_else_be(other: dict[str, str]) -> None:
    asked = check(allow=[allowance(**other)])
    verdict = security.judge(asked, outcomes(asked, finding()))
    assert verdict.verdict == "fail"
    assert "is not used; take it out" in verdict.advice


@pytest.mark.parametrize(("until", "fails"), [("2026-11-19", True), (TODAY, False), ("2027-01-01", False)])
def test_an_allowance_holds_up_to_its_last_day(until: str, fails: bool) -> None:
    asked = check(allow=[allowance(until=until)])
    verdict = security.judge(asked, outcomes(asked, finding()))
    assert (verdict.verdict == "fail") == fails
    assert ("ran out on 2026-11-19, and is needed" in verdict.advice) == fails


# ----------------------------------------------------------------------------------------------- baseline


def committed(asked: Check, found: Sequence[Outcome], before: bytes | None = None) -> bytes:
    made = security.commit(asked, found, lambda name: before)
    assert made is not None
    return made[1]


def with_baseline(data: bytes | None, **options: Any) -> Check:
    return check(baseline=security.recall("baseline", "base.json", data), **options)


def test_what_was_known_before_does_not_fail_and_what_is_new_does() -> None:
    before = with_baseline(None)
    data = committed(before, outcomes(before, finding(line=1)))
    after = with_baseline(data)
    moved = finding(line=9, id=finding(line=1).id)
    assert not words(outcomes(after, moved))
    assert words(outcomes(after, moved, finding(line=2))) == {"bandit/B602": "missed"}


def test_of_several_that_are_the_same_as_many_are_known_as_there_were() -> None:
    before = with_baseline(None)
    data = committed(before, outcomes(before, finding(line=1, id="x")))
    after = with_baseline(data)
    found = outcomes(after, finding(line=1, id="x"), finding(line=2, id="x"))
    assert words(found) == {"bandit/B602": "missed"}
    assert security.judge(after, found).figures["known"] == 1


@pytest.mark.parametrize(
    ("was", "now", "known"),
    [
        ({"severity": "medium"}, {"severity": "critical"}, False),
        ({"severity": "critical"}, {"severity": "medium"}, True),
        ({"confidence": "low"}, {"confidence": "high"}, False),
        ({"severity": "high", "confidence": "low"}, {"severity": "low", "confidence": "high"}, False),
    ],
)
def test_what_became_worse_is_no_longer_known(was: dict[str, str], now: dict[str, str], known: bool) -> None:
    before = with_baseline(None, fail_on="low")
    data = committed(before, outcomes(before, finding(**was)))
    assert words(outcomes(with_baseline(data, fail_on="low"), finding(**now))) == (
        {} if known else {"bandit/B602": "missed"}
    )


def test_what_another_spec_knew_is_new_here() -> None:
    before = with_baseline(None)
    data = committed(before, outcomes(before, finding()))
    other = msgspec.structs.replace(with_baseline(data), id="other.yaml::security::clean")
    assert words(outcomes(other, finding())) == {"bandit/B602": "missed"}


@pytest.mark.parametrize("on", ["", "0", "20261120", "2026-11-31", "1"])
def test_a_record_of_no_day_does_not_stand(on: str) -> None:
    asked = check()
    for case, found in zip(asked.cases[:2], outcomes(asked)[:2], strict=True):
        assert isinstance(found.answer, dict)
        with pytest.raises(ValueError, match=r"."):
            security.regrade(asked, case, msgspec.structs.replace(found, answer={**found.answer, "on": on}))


def test_what_is_known_and_gone_is_told_and_taken_out() -> None:
    before = with_baseline(None)
    after = with_baseline(committed(before, outcomes(before, finding())))
    found = outcomes(after)
    assert "1 finding of the baseline is gone" in security.judge(after, found).advice
    assert b"B602" not in committed(after, found)


def test_the_baseline_of_a_scan_that_did_not_get_through_stays() -> None:
    before = with_baseline(None)
    data = committed(before, outcomes(before, finding()))
    after = with_baseline(data)
    assert committed(after, outcomes(after, scanned=None, error="bandit: it crashed"), data) == data


def test_what_is_allowed_does_not_enter_the_baseline() -> None:
    asked = with_baseline(None, allow=[allowance()])
    assert b"B602" not in committed(asked, outcomes(asked, finding()))


def test_a_check_without_a_baseline_writes_none() -> None:
    assert security.commit(check(), outcomes(check()), lambda name: None) is None


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"schema":"hallmark/security/2","checks":{}}', b"\xff", b"[" * 9999]
)
def test_a_file_that_is_no_baseline_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="golden update"):
        security.recall("baseline", "base.json", data)


def test_a_baseline_that_is_not_there_yet_must_be_a_file_that_can_be_written() -> None:
    with pytest.raises(Refused):
        security.recall("baseline", "base", None)


# ------------------------------------------------------------------------------------------------ verdict


@pytest.mark.parametrize(
    ("ran", "ruling"),
    [
        ({"scanned": None, "error": "bandit: it crashed"}, "error"),
        ({"scanned": None, "unavailable": "there are no advisories"}, "unsupported"),
        ({"scanned": Scanned(findings=[], unread=[("a.py", "it can't be parsed")])}, "error"),
    ],
)
def test_a_scan_that_did_not_get_through_is_never_a_pass(ran: dict[str, Any], ruling: str) -> None:
    asked = check()
    assert security.judge(asked, outcomes(asked, **ran)).verdict == ruling


def test_a_finding_fails_even_where_another_file_could_not_be_read() -> None:
    asked = check()
    scanned = Scanned(findings=[finding()], unread=[("b.py", "it can't be parsed")])
    found = outcomes(asked, scanned=scanned)
    assert words(found) == {"bandit": "error", "bandit/B602": "missed"}
    assert security.judge(asked, found).verdict == "fail"


def test_what_changed_between_two_looks_is_an_error() -> None:
    asked = check()
    mixed = [*outcomes(asked)[:9], *outcomes(asked, tree="other")[9:]]
    verdict = security.judge(asked, mixed)
    assert (verdict.verdict, verdict.reason) == ("error", "what bandit looks at was changed meanwhile")


@given(st.integers(0, 999))
def test_a_case_without_an_outcome_is_never_a_pass(at: int) -> None:
    asked = check()
    found = outcomes(asked)
    assert security.judge(asked, found).verdict == "pass"
    at %= len(found)
    assert security.judge(asked, found[:at] + found[at + 1 :]).verdict != "pass"


def test_nothing_measured_is_never_a_pass() -> None:
    assert security.judge(check(), []).verdict == "error"


FINDINGS = st.lists(
    st.builds(
        finding,
        st.sampled_from(["B602", "B101", "B999"]),
        st.sampled_from(SEVERITIES),
        st.sampled_from(["a.py", "b/c.py"]),
        st.integers(0, 4),
        id=st.sampled_from("xyz"),
        confidence=st.sampled_from(["low", "high"]),
    ),
    max_size=8,
)
ALLOWANCES = st.lists(
    st.builds(
        allowance,
        rule=st.sampled_from(["B602", "bandit/B101", "B999"]),
        path=st.sampled_from(["a.py", "**"]),
        until=st.sampled_from(["2020-01-01", "2030-01-01"]),
    ),
    max_size=3,
)


@given(FINDINGS, FINDINGS, ALLOWANCES)
def test_a_record_stands_on_its_own(before: list[Finding], now: list[Finding], allow: list[dict[str, Any]]) -> None:
    first = with_baseline(None)
    asked = with_baseline(committed(first, outcomes(first, *before)), allow=allow)
    found = outcomes(asked, *now)
    for case, each in zip(asked.cases, found, strict=True):
        again = security.regrade(asked, case, each)
        assert (again.outcome, again.differences, again.answer) == (each.outcome, each.differences, each.answer)
    told = judging.tree_of(asked, found)
    kinds = [sum(map(len, told.every(word).values())) for word in ("findings", "allowed", "known")]
    assert sum(kinds) == len(now)
    assert kinds[2] <= len(before)
    failing = any(each.outcome == "missed" for each in found)
    assert (security.judge(asked, found).verdict == "fail") == failing


def test_a_record_that_was_altered_does_not_stand() -> None:
    asked = check(allow=[allowance(until="2026-11-20")])
    (case,) = [case for case in asked.cases if case.id == "bandit/B602"]
    found = next(each for each in outcomes(asked, finding("B602", path="b.py")) if each.case == case.id)
    honest = found.answer
    assert isinstance(honest, dict)
    as_allowed = {**honest, "findings": [], "allowed": honest["findings"]}
    for answer in (as_allowed, {**as_allowed, "allowed": [], "known": honest["findings"]}):
        again = security.regrade(asked, case, msgspec.structs.replace(found, answer=answer, outcome="met"))
        assert (again.outcome, again.answer) == ("missed", honest)
    for answer in (None, {}, {**honest, "findings": [{"rule": "B1"}]}, {**honest, "more": 1}):
        with pytest.raises(ValueError, match=r"."):
            security.regrade(asked, case, msgspec.structs.replace(found, answer=answer))
    strange = {**honest, "findings": [{**honest["findings"][0], "rule": "B101"}]}
    with pytest.raises(ValueError, match="another class"):
        security.regrade(asked, case, msgspec.structs.replace(found, answer=strange))


def test_the_panel_has_the_gravest_first_and_every_finding_once() -> None:
    asked = check(allow=[allowance(path="b.py")], fail_on="high")
    found = outcomes(asked, finding(severity="low"), finding(line=2), finding(path="b.py"))
    drawn = judging.drawing(asked, found)
    assert [(g["severity"], len(g["failing"]), len(g["passing"])) for g in drawn["groups"]] == [
        ("critical", 0, 0),
        ("high", 1, 0),
        ("medium", 0, 0),
        ("low", 0, 1),
    ]
    assert [each["reason"] for each in drawn["allowed"]] == ["it is ours"]
    assert judging.drawing(asked, [Outcome(case="bandit", outcome="error", answer=UNSET)])["scans"] == []


def test_an_id_does_not_move_with_its_line() -> None:
    assert identify("r", "a.py", "  x = 1 ") == identify("r", "a.py", "x = 1")
    assert len({identify("r", "a.py", "x"), identify("q", "a.py", "x"), identify("r", "b.py", "x")}) == 3


def test_a_known_finding_of_one_check_is_new_to_another() -> None:
    before = with_baseline(None)
    data = committed(before, outcomes(before, finding()))
    other = msgspec.structs.replace(with_baseline(data), id="s.yaml::security::other", name="other")
    assert words(outcomes(other, finding())) == {"bandit/B602": "missed"}
    assert allowing.known_of(with_baseline(data))


def test_of_several_rates_all_have_to_hold() -> None:
    held = Verdict(verdict="pass", reason="a holds", p=0.01, figures={"a": 1.0})
    broken = Verdict(verdict="fail", reason="b does not", p=0.9, figures={"b": 2.0})
    both = judging._worst_of([held, broken])
    assert (both.verdict, both.reason, both.p) == ("fail", "b does not", 0.9)
    assert both.figures == {"a": 1.0, "b": 2.0}
    assert judging._worst_of([held, held]).verdict == "pass"
