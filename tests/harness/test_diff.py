"""Two runs side by side: what is worse, what is otherwise, and what only looks so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness import diffing
from harness.cli import main
from harness.contract import Criterion, Plan, Ruling, SpecFile
from harness.diffing import Facts, Found, Side, Told
from tests.harness.recording import SPEC, check, plan, record

MET, MISSED = ("met",) * 4, ("missed",) * 4


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def _json(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["diff", "--json", *argv]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# ---------------------------------------------------------------------------------------- what is told


def test_a_run_is_as_itself(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    found = _json(capsys, "a", "a")
    assert not found["worse"]
    assert all(found[key] == [] for key in ("verdicts", "new", "gone", "cases", "differs"))
    assert main(["diff", "a", "a"]) == 0
    assert capsys.readouterr().out == "`a` twice is one run, a: nothing differs from itself\n"


def test_names_of_one_run_are_told_to_be_one_in_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    (runs / "latest").symlink_to("a")
    (runs / "certified").mkdir()
    (runs / "certified/specs--a.yaml").symlink_to("../a")
    for names in (("certified", "latest"), ("latest", "certified"), ("latest", "a")):
        assert main(["diff", *names]) == 0
        said = f"`{names[0]}` and `{names[1]}` are one run, a: nothing differs from itself\n"
        assert capsys.readouterr().out == said
    record(runs / "b", plan(check()), {"c": MET})
    assert main(["diff", "a", "b"]) == 0
    assert capsys.readouterr().out.endswith("the verdicts are the same\n")


def test_verdicts_that_fell_come_first_and_make_it_worse(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = plan(check("up"), check("down"), check("same"))
    record(runs / "a", asked, {"up": MISSED, "down": MET, "same": MET})
    record(runs / "b", asked, {"up": MET, "down": ("met", "met", "missed", "missed"), "same": MET})
    record(runs / "c", asked, {"up": MET, "down": ("met", "error", "met", "met"), "same": MET})
    found = _json(capsys, "a", "c", status=1)
    assert [
        (each["check"].rpartition("::")[2], each["was"], each["now"], each["worse"]) for each in found["verdicts"]
    ] == [
        ("down", "pass", "error", True),
        ("up", "fail", "pass", False),
    ]
    assert main(["diff", "a", "b"]) == 0, "half of them meet the gate still"
    assert main(["diff", "c", "b"]) == 0
    assert "better  specs/a.yaml::golden::down: error -> pass" in capsys.readouterr().out


def test_estimates_stand_side_by_side_with_whether_their_intervals_overlap() -> None:
    def side(*intervals: tuple[float, float] | None) -> Side:
        checks = [
            Found(id=f"s::k::{at}", name=str(at), verdict="pass", estimate=i and i[0], interval=i, n=3, reason="")
            for at, i in enumerate(intervals)
        ]
        return _side(*checks)

    found = diffing.diff(side((0.0, 0.5), (0.0, 0.4), None), side((0.5, 1.0), (0.5, 1.0), (0.1, 0.2)))
    assert [each.overlap for each in found.estimates] == [True, False, None]
    assert found.estimates[1].was.interval == (0.0, 0.4)
    assert found.estimates[1].now.estimate == 0.5


def test_cases_that_flipped_are_listed_each_way_and_other_answers_are_counted(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(runs / "a", plan(check()), {"c": ("met", "missed", "missed", "error")})
    record(runs / "b", plan(check()), {"c": ("missed", "met", "missed", "skipped")}, answers={"c2": "other"})
    (cases,) = _json(capsys, "a", "b", status=0)["cases"]
    assert list(cases["flipped"].items()) == [
        ("met -> missed", ["c0"]),
        ("error -> skipped", ["c3"]),
        ("missed -> met", ["c1"]),
    ]
    assert cases["answered"] == 1


def test_a_case_without_an_outcome_is_told_as_not_measured(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    record(runs / "b", plan(check()), {"c": MET[:3]})
    found = _json(capsys, "a", "b", status=1)
    assert found["cases"][0]["flipped"] == {"met -> not measured": ["c3"]}
    assert found["now"]["status"] == "incomplete"


def test_what_was_asked_otherwise_is_told_threshold_by_threshold(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = SpecFile(path=SPEC, name="a", expires=86400.0)
    one = Criterion(id="k", needs=(check().id,), at=f"{SPEC}:9", spec=SPEC)
    was = plan(check(), specs=(spec,), criteria=(one,))
    now = plan(check(options={"gate": {"pass_rate": 0.25}}, timeout=5.0), specs=(replace(spec, expires=172800.0),),
               criteria=(replace(one, weight=1.0),), numerics="fast", recipe="sha256:" + "2" * 64)  # fmt: skip
    record(runs / "a", was, {"c": MET})
    record(runs / "b", now, {"c": MET}, facts={"digest": "sha256:e", "mlx": "2"}, machine={"cores": 8, "hallmark": "0"})
    found = {(each["of"], each["what"]): (each["was"], each["now"]) for each in _json(capsys, "a", "b")["differs"]}
    assert found == {
        ("the run", "numerics"): ("strict", "fast"),
        ("the machine", "cores"): (2, 8),
        (SPEC, "criteria.k.weight"): (None, 1.0),
        (SPEC, "expires"): (86400.0, 172800.0),
        (check().id, "gate.pass_rate"): (0.5, 0.25),
        (check().id, "timeout"): (300.0, 5.0),
        (check().id, "the model"): ("1" * 12, "2" * 12),
        (f"{SPEC}::m", "digest"): ("d", "e"),
        (f"{SPEC}::m", "mlx"): (None, "2"),
    }
    assert main(["diff", "a", "b"]) == 0
    said = capsys.readouterr().out
    assert f"{check().id}: gate.pass_rate: 0.5 -> 0.25" in said
    assert f"{SPEC}: expires: 1 days -> 2 days" in said


def test_what_is_otherwise_of_many_models_alike_is_told_once(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = plan(check("a"), check("b", spec="specs/b.yaml"))
    record(runs / "a", asked, {"a": MET, "b": MET}, facts={"mlx": "1"})
    record(runs / "b", asked, {"a": MET, "b": MET}, facts={"mlx": "2"})
    (found,) = _json(capsys, "a", "b")["differs"]
    assert found == {"of": "specs/a.yaml::m and 1 more", "what": "mlx", "was": "1", "now": "2"}


def test_cases_that_are_new_gone_or_asked_otherwise_are_listed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = check().cases
    now = (replace(cases[1], input="another"), *cases[2:], replace(cases[0], id="late"))
    record(runs / "a", plan(check()), {"c": MET})
    record(runs / "b", plan(check(cases=now)), {"c": MET})
    (found,) = _json(capsys, "a", "b")["cases"]
    assert (found["asked"], found["new"], found["gone"]) == (["c1"], ["late"], ["c0"])


def test_a_check_that_passed_and_is_gone_is_worse_unless_its_whole_spec_was_not_asked(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = check("a"), check("b")
    other = check("x", spec="specs/b.yaml")
    record(runs / "both", plan(a, b, other), {"a": MET, "b": MET, "x": MET})
    record(runs / "fewer", plan(a, other), {"a": MET, "x": MET})
    record(runs / "one", plan(a, b), {"a": MET, "b": MET})
    assert _json(capsys, "both", "fewer", status=1)["gone"] == [b.id]
    assert _json(capsys, "both", "one")["gone"] == [other.id]
    assert _json(capsys, "one", "both")["new"] == [other.id]
    assert main(["diff", "both", "one"]) == 0
    assert "gone  specs/b.yaml: 1 check\n" in capsys.readouterr().out


def test_what_was_certified_and_is_not_is_worse_whatever_the_verdicts_say(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    record(runs / "b", plan(check()), {"c": MET}, finished=False)
    found = _json(capsys, "a", "b", status=1)
    assert (found["verdicts"], found["now"]["status"]) == ([], "incomplete")


# ------------------------------------------------------------------------------------ which runs are meant


def test_a_run_is_named_by_its_id_its_folder_its_certificate_or_as_latest(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    (runs / "latest").symlink_to("a")
    below = runs.parent / "below"
    below.mkdir()
    for name in ("a", "latest", "runs/a", str(runs / "a"), "runs/a/certificate.json"):
        assert main(["diff", "a", name]) == 0, name
    monkeypatch.chdir(below)
    for name in ("a", "latest", "runs/latest"):
        assert main(["diff", "a", name]) == 0, name


def test_certified_is_the_last_certified_run_of_the_specs_of_the_other(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, spec in (("a", SPEC), ("b", "specs/b.yaml"), ("new", SPEC)):
        record(runs / name, plan(check(spec=spec)), {"c": MET if name != "new" else MISSED})
    record(runs / "both", plan(check(), check("d", spec="specs/b.yaml")), {"c": MET, "d": MET})
    (runs / "certified").mkdir()
    (runs / "certified/specs--a.yaml").symlink_to("../a")
    (runs / "certified/specs--b.yaml").symlink_to("../b")
    assert _json(capsys, "certified", "new", status=1)["was"]["run"]["id"] == "a"
    assert _json(capsys, "new", "certified")["now"]["run"]["id"] == "a"
    assert _json(capsys, "certified/specs/b.yaml", "new")["was"]["run"]["id"] == "b"
    assert main(["diff", "certified", "both"]) == 4
    assert "name one of `certified/specs/a.yaml`, `certified/specs/b.yaml`" in capsys.readouterr().err
    assert main(["diff", "certified", "certified"]) == 4
    shutil.rmtree(runs / "certified")
    assert main(["diff", "certified", "new"]) == 4
    assert "nothing of specs/a.yaml is certified yet" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nope", "", "a/../..", "x" * 5000, "runs\x1b[2J"])
def test_what_is_no_run_is_a_usage_error_in_one_line(runs: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    assert main(["diff", "a", name]) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said


@pytest.mark.parametrize("data", [b"{}\n", b"\xff\xfe\n", b'{"is":"outcome"}\n', b"[" * 50_000 + b"\n"], ids=range(4))
@pytest.mark.parametrize("file", ["plan.json", "outcomes.jsonl"])
def test_a_damaged_run_is_a_usage_error_in_one_line(
    runs: Path, capsys: pytest.CaptureFixture[str], file: str, data: bytes
) -> None:
    for name in ("a", "b"):
        record(runs / name, plan(check()), {"c": MET})
    (runs / "b" / file).write_bytes(data)
    assert main(["diff", "a", "b"]) == 4
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("kept", [0, 10, -1])
def test_a_record_that_was_cut_short_is_doubtful(runs: Path, capsys: pytest.CaptureFixture[str], kept: int) -> None:
    for name in ("a", "b"):
        record(runs / name, plan(check()), {"c": MET})
    whole = (runs / "b/outcomes.jsonl").read_bytes()
    (runs / "b/outcomes.jsonl").write_bytes(whole[:kept])
    main(["diff", "a", "b"])
    assert "doubtful: b: its certificate is of another record" in capsys.readouterr().err


def test_a_run_without_a_certificate_is_told_from_its_record(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    record(runs / "b", plan(check()), {"c": MET}, certified=False)
    capsys.readouterr()
    assert main(["diff", "a", "b", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == "b is unfinished: it left no certificate; it is told from its record\n"
    assert json.loads(said.out)["now"]["status"] == "certified"


def test_a_certificate_of_another_record_is_doubtful(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(runs / "a", plan(check()), {"c": MET})
    record(runs / "b", plan(check()), {"c": MISSED})
    shutil.copy(runs / "a/certificate.json", runs / "b/certificate.json")
    assert main(["diff", "a", "b"]) == 0
    assert "doubtful: b: its certificate is of another record" in capsys.readouterr().err


def test_nothing_that_a_run_says_reaches_a_terminal_as_it_is(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J\u202e\n::error::\x9b"
    for name, words in (("a", MET), ("b", MISSED)):
        asked = plan(check(evil), specs=(SpecFile(path=SPEC, name=evil),), criteria=())
        record(runs / name, asked, {evil: words}, facts={evil: name})
    for more in ([], ["--json"]):
        assert main(["diff", "a", "b", *more]) == 1
        said = capsys.readouterr().out
        assert not {"\x1b", "\x9b", "\u202e"} & set(said)
        assert "\n::error::" not in said


# --------------------------------------------------------------------------------------------- what holds

_VERDICTS = st.sampled_from(["pass", "fail", "inconclusive", "error", "unsupported"])


def _side(*checks: Found) -> Side:
    run = Facts(id="r", started="", seconds=1.0, hallmark="0", planned=1, measured=1)
    told = Told(status="blocked", reason="", run=run, checks=checks)
    return Side(told, Plan(hallmark="0", specs=(SpecFile(path="s", name="s"),)), {}, [], {})


def _found(name: str, verdict: Ruling) -> Found:
    return Found(id=f"s::k::{name}", name=name, verdict=verdict, estimate=None, interval=None, n=0, reason="")


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(_VERDICTS, _VERDICTS), min_size=1))
def test_a_change_is_worse_one_way_and_better_the_other(pairs: dict[str, tuple[Ruling, Ruling]]) -> None:
    was = _side(*(_found(name, pair[0]) for name, pair in pairs.items()))
    now = _side(*(_found(name, pair[1]) for name, pair in pairs.items()))
    there, back = diffing.diff(was, now), diffing.diff(now, was)
    assert {each.check: each.worse for each in there.verdicts} == {each.check: not each.worse for each in back.verdicts}
    assert there.worse == any(each.worse for each in there.verdicts)
    assert len(there.verdicts) == sum(was != now for was, now in pairs.values())
    flags = [each.worse for each in there.verdicts]
    assert flags == sorted(flags, reverse=True)
