"""A run as SARIF 2.1.0: valid against the schema, within the caps of services, and a pure function of the run."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.codec import digest
from harness.contract import Case, Check, CheckResult, Difference, Outcome, Plan, Ruling, SpecFile, Tally
from harness.ledger import Begin, End
from harness.pages import Run
from reports import sarif
from reports.sarif.text import MOST, Place, name_of, place_of, shortened

SCHEMA = Path(__file__).with_name("sarif-2.1.0.json")


@cache
def _validator() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(json.loads(SCHEMA.read_text("utf-8")))


def _finding(rule: str = "B602", severity: str = "high", path: str = "src/a.py", line: int = 3, **more: Any) -> Any:
    told = {"rule": rule, "severity": severity, "path": path, "line": line, "what": "it starts a shell"}
    return {**told, "fix": "pass a list", "id": "0123456789abcdef", **more}


def _scan(*findings: Any, outcome: str = "missed", case: str = "bandit/B602") -> tuple[Case, Outcome]:
    answer = {"scanner": "bandit 1", "on": "2026-11-20", "scanned": 3, "findings": list(findings)}
    differences = [Difference(at="src/a.py:3", mode="B602", why="it starts a shell")] if outcome == "missed" else []
    return (
        Case(id=case, input="a shell is started", at="specs/a.yaml:4", asks=False),
        Outcome(case=case, outcome=outcome, answer=answer, differences=differences),  # type: ignore[arg-type]
    )


def _asked(id: str = "c1", at: str = "golden/a.jsonl:7", **more: Any) -> tuple[Case, Outcome]:
    outcome = {"outcome": "met", "answer": 1, **more}
    return Case(id=id, expect=1, at=at), Outcome(case=id, **outcome)  # type: ignore[arg-type]


def _run(
    *measured: tuple[Case, Outcome],
    verdict: Ruling = "fail",
    kind: str = "security",
    at: str = "specs/a.yaml:4",
    id: str = "specs/a.yaml::security::clean",
) -> Run:
    check = Check(id=id, name="clean", kind=kind, at=at, cases=tuple(case for case, _ in measured))
    spec = SpecFile(path="specs/a.yaml", name="a")
    plan = msgspec.json.encode(Plan(hallmark="1.2.3", specs=(spec,), checks=(check,)))
    lines: list[Any] = [Begin(run="r-1", started="2026-01-01T00:00:00+00:00", plan=digest(plan), machine={})]
    lines += [msgspec.structs.replace(outcome, check=check.id) for _, outcome in measured]
    lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0))
    return Run(plan, msgspec.json.Encoder().encode_lines(lines), [_result(check, verdict)])


def _result(check: Check, verdict: Ruling) -> CheckResult:
    nothing: dict[str, Any] = dict.fromkeys(("model", "estimate", "interval", "p", "needed_n"))
    return CheckResult(
        id=check.id,
        name=check.name,
        kind=check.kind,
        verdict=verdict,
        method="",
        n=1,
        planned=len(check.cases),
        outcomes=Tally(met=len(check.cases)),
        reason="something of it",
        advice="do this",
        figures={},
        at=check.at,
        seconds=0.0,
        **nothing,
    )


def _told(run: Run) -> dict[str, Any]:
    log = json.loads(sarif.tell(run))
    _validator().validate(log)
    (told,) = log["runs"]
    rules = told["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in told["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert len(result["locations"]) == 1
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert not uri.startswith(("/", "../"))
        assert uri.isascii()
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1
    found: dict[str, Any] = told
    return found


def _where(result: Any) -> str:
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    return f"{unquote(physical['artifactLocation']['uri'])}:{physical['region']['startLine']}"


# ------------------------------------------------------------------------------------------ findings


def test_a_finding_points_at_its_line_and_at_the_check_that_asked() -> None:
    first, verdict = _told(_run(_scan(_finding())))["results"]
    assert _where(first) == "src/a.py:3"
    assert (first["ruleId"], first["level"]) == ("security/bandit/B602", "error")
    assert first["message"]["text"] == "it starts a shell; pass a list"
    related = first["relatedLocations"][0]["physicalLocation"]
    assert (related["artifactLocation"]["uri"], related["region"]["startLine"]) == ("specs/a.yaml", 4)
    assert (verdict["ruleId"], _where(verdict)) == ("security/verdict/fail", "specs/a.yaml:4")


@pytest.mark.parametrize(
    ("severity", "level", "least", "most"),
    [
        ("critical", "error", 9.0, 10.0),
        ("high", "error", 7.0, 8.9),
        ("medium", "warning", 4.0, 6.9),
        ("low", "note", 0.1, 3.9),
    ],
)
def test_a_severity_has_a_level_and_the_score_that_services_read_as_it(
    severity: str, level: str, least: float, most: float
) -> None:
    told = _told(_run(_scan(_finding(severity=severity), outcome="met"), verdict="pass"))
    (result,) = told["results"]
    assert result["level"] == level
    rule = told["tool"]["driver"]["rules"][0]
    assert least <= float(rule["properties"]["security-severity"]) <= most
    assert "security" in rule["properties"]["tags"]
    assert rule["shortDescription"]["text"] == "a shell is started"


def test_what_is_allowed_or_known_is_no_result() -> None:
    case, outcome = _scan(outcome="met")
    outcome.answer |= {"allowed": [_finding()], "known": [_finding()]}  # type: ignore[operator]
    assert _told(_run((case, outcome), verdict="pass"))["results"] == []


def test_a_fingerprint_stays_when_the_line_moves_and_tells_two_of_the_same_apart() -> None:
    def fingerprints(*lines: int) -> list[str]:
        told = _told(_run(_scan(*(_finding(line=line) for line in lines))))
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in told["results"]]

    assert fingerprints(3, 9) == fingerprints(30, 90)
    assert len(set(fingerprints(3, 9))) == 3
    other = _told(_run(_scan(_finding(id="another"))))["results"][0]
    assert other["partialFingerprints"]["primaryLocationLineHash"] not in fingerprints(3)


def test_the_same_finding_told_twice_is_one_result() -> None:
    told = _told(_run(_scan(_finding()), _scan(_finding(), case="bandit/other")))
    assert len(told["results"]) == 2


@pytest.mark.parametrize("path", ["requests==2.0", "requests==2.0/PYSEC-2026-1", "requests"])
@pytest.mark.parametrize("case", ["dependencies/vulnerable", "licences/other"])
def test_a_finding_of_a_package_points_at_the_check(path: str, case: str) -> None:
    finding = _finding(path=path, rule="CVE-1")
    del finding["line"]
    result = _told(_run(_scan(finding, case=case)))["results"][0]
    assert _where(result) == "specs/a.yaml:4"
    assert result["message"]["text"].startswith(f"{path}: ")


def test_a_finding_of_a_lock_file_points_at_its_line_and_a_file_may_be_named_like_a_package() -> None:
    pinned = _finding(path="r==1.txt", line=3)
    for case, line in (("dependencies/unpinned", 3), ("secrets/other", 3)):
        assert _where(_told(_run(_scan(pinned, case=case)))["results"][0]) == f"r==1.txt:{line}"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a/..", "", ".", "a/"])
def test_a_path_out_of_the_root_is_never_told(path: str) -> None:
    assert _where(_told(_run(_scan(_finding(path=path))))["results"][0]) == "specs/a.yaml:4"


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("a b/c#d?.py", "a%20b/c%23d%3F.py"),
        ("ä/日.py", "%C3%A4/%E6%97%A5.py"),
        ("c:/x.py:7", "c%3A/x.py%3A7"),
        ("a\nb.py", "a%0Ab.py"),
        ("100%.py", "100%25.py"),
        ("./a.py", "a.py"),
    ],
)
def test_a_path_is_encoded_as_a_relative_reference(path: str, uri: str) -> None:
    result = _told(_run(_scan(_finding(path=path))))["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 3


def test_what_a_model_answers_is_never_taken_for_a_finding() -> None:
    run = _run(_asked(answer={"findings": [_finding(path="src/forged.py")]}), verdict="pass", kind="golden")
    assert _told(run)["results"] == []


def test_findings_that_are_none_are_passed_over() -> None:
    told = _told(_run(_scan("no", 3, {"rule": 4}, {"rule": "B602"}, {"rule": "B1", "line": "x", "severity": "huge"})))
    assert [result["ruleId"] for result in told["results"]][1:] == ["security/bandit/B602", "security/bandit/B1"]


# -------------------------------------------------------------------------------- cases and verdicts


def _missed(**more: Any) -> tuple[Case, Outcome]:
    why = [Difference(at=f"f{n}", mode="close", why=f"field {n} is off") for n in range(5)]
    return _asked(outcome="missed", differences=why, **more)


def test_a_missed_case_points_at_the_line_of_the_case_and_at_the_check() -> None:
    _, missed = _told(_run(_missed(), kind="golden"))["results"]
    assert (missed["ruleId"], missed["level"]) == ("golden/close", "error")
    assert _where(missed) == "golden/a.jsonl:7"
    assert missed["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "specs/a.yaml"
    assert missed["message"]["text"].endswith("field 2 is off; and 2 more")


@pytest.mark.parametrize(("verdict", "level"), [("pass", "note"), ("inconclusive", "warning"), ("fail", "error")])
def test_a_missed_case_weighs_what_it_did_to_its_check(verdict: Ruling, level: str) -> None:
    told = _told(_run(_missed(), kind="golden", verdict=verdict))["results"]
    assert [result["level"] for result in told if result["ruleId"] == "golden/close"] == [level]


def test_a_case_in_error_is_a_result_and_points_at_the_check_where_it_has_no_line() -> None:
    told = _told(_run(_asked(at="", outcome="error", reason="it broke"), verdict="error", kind="golden"))["results"]
    assert [result["ruleId"] for result in told] == ["golden/verdict/error", "golden/error"]
    assert _where(told[1]) == "specs/a.yaml:4"
    assert "it broke" in told[1]["message"]["text"]


def test_a_scan_that_did_not_get_through_is_told_once() -> None:
    cases = [Case(id=id, asks=False) for id in ("bandit", "bandit/B602", "bandit/B603", "secrets")]
    erred = [(case, Outcome(case=case.id, outcome="error", reason="it hung")) for case in cases]
    told = _told(_run(*erred, verdict="error"))["results"]
    assert [result["properties"].get("case") for result in told] == [None, "bandit", "secrets"]


@pytest.mark.parametrize("verdict", ["fail", "error", "inconclusive", "unsupported"])
def test_a_verdict_that_is_no_pass_points_at_the_line_of_the_check(verdict: Ruling) -> None:
    (result,) = _told(_run(_asked(outcome="skipped"), verdict=verdict, kind="golden"))["results"]
    assert result["ruleId"] == f"golden/verdict/{verdict}"
    assert result["message"]["text"] == f"clean: {verdict}: something of it; do this"
    assert _where(result) == "specs/a.yaml:4"


def test_a_run_that_passes_has_no_result_and_says_so() -> None:
    told = _told(_run(_asked(), verdict="pass", kind="golden"))
    assert told["results"] == []
    (invocation,) = told["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (True, 0)
    assert told["automationDetails"]["id"] == "hallmark/a/r-1"


def test_a_fingerprint_of_a_case_does_not_depend_on_where_it_is_written() -> None:
    def fingerprints(at: str) -> list[str]:
        told = _told(_run(_missed(at=f"golden/a.jsonl:{at}"), kind="golden", at=f"specs/a.yaml:{at}"))
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in told["results"]]

    assert fingerprints("7") == fingerprints("70")
    assert len(set(fingerprints("7"))) == 2


# ---------------------------------------------------------------------------------------------- file


def test_it_is_a_function_of_the_run_alone() -> None:
    measured = [_scan(_finding()), _missed()]
    assert sarif.tell(_run(*measured)) == sarif.tell(_run(*measured))
    assert str(Path.cwd()).encode() not in sarif.tell(_run(*measured))
    assert sarif.FILE == "report.sarif"


def test_more_results_than_services_take_are_cut_by_severity_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 5)
    many = [
        _finding(severity=severity, id=f"{severity}{n}") for n in range(4) for severity in ("low", "high", "medium")
    ]
    told = _told(_run(_scan(*many)))
    assert [result["level"] for result in told["results"]] == ["error"] * 5
    said = told["invocations"][0]["toolExecutionNotifications"]
    assert [note["level"] for note in said] == ["note", "warning"]
    assert said[1]["message"]["text"].startswith("8 results")


def test_a_file_is_never_larger_than_services_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_BYTES", 130_000)
    many = [_finding(id=str(n), rule=f"R{n}", path=f"{'d' * n}/a.py", what="日" * 5_000) for n in range(60)]
    run = _run(_scan(*many))
    assert len(sarif.tell(run)) <= 130_000
    assert 0 < len(_told(run)["results"]) < 61


def test_a_rule_more_than_services_take_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RULES", 2)
    told = _told(_run(_scan(*(_finding(rule=f"R{n}", id=str(n)) for n in range(5)))))
    assert len(told["tool"]["driver"]["rules"]) == 2


def test_a_message_is_short_and_inert() -> None:
    text = "a\u202eb\x1b[31m [x](javascript:1) {0} \u0085 " + "😀" * 2_000
    shown = shortened(text)
    assert shown.startswith("ab [31m [x] (javascript:1) { 0} ")
    assert len(shown.encode("utf-16-le")) <= 2 * MOST
    assert shown.endswith("…")


@given(st.text(max_size=2_000))
def test_any_text_is_shortened_to_one_line_of_signs_that_are_seen(text: str) -> None:
    shown = shortened(text)
    assert len(shown.encode("utf-16-le")) <= 2 * MOST
    assert shown.isprintable() or not shown.isascii()
    assert "](" not in shown
    assert "\n" not in shown
    assert shortened(shown) == shown


@given(st.text(max_size=100))
def test_any_name_of_a_rule_is_one_word(text: str) -> None:
    assert 0 < len(name_of(text)) <= 60
    assert "/" not in name_of(text)


@pytest.mark.parametrize(
    ("at", "place"),
    [
        ("specs/a.yaml:12", Place("specs/a.yaml", 12)),
        ("specs/a.yaml:12:3", Place("specs/a.yaml", 12)),
        ("specs/a.yaml", Place("specs/a.yaml", 1)),
        ("a:b.yaml:2", Place("a:b.yaml", 2)),
        ("", None),
        ("/etc/x:1", None),
        ("..:1", None),
    ],
)
def test_a_place_is_read_off_a_path_and_a_line(at: str, place: Place | None) -> None:
    assert place_of(at) == place


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["rule", "path", "line", "severity", "what", "fix", "id", "confidence"]),
            st.text(max_size=20) | st.integers() | st.none(),
        ),
        max_size=4,
    ),
    st.text(max_size=30),
)
def test_whatever_was_recorded_makes_a_valid_file(findings: list[Any], text: str) -> None:
    missed = _asked(id=f"i{text}", at=text, outcome="missed", differences=[Difference(at=".", mode=text, why=text)])
    _told(_run(_scan(*findings), missed, at=text or "x", id=f"{text}::security::x"))
