"""What runs leave behind for those after them: looks, promises, and the figures of checks that measure the machine."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness import provenance, rooms
from harness.certify import certify
from harness.contract import (
    Before,
    Case,
    Check,
    CheckResult,
    Declared,
    Outcome,
    Plan,
    Ruling,
    SpecFile,
    Tally,
    Trend,
    Verdict,
)
from harness.history import FILE, LINES, RUNS, Past, past, question_of, remember
from harness.ledger import Begin, End, Record
from harness.trends import MOST, NEWS, followed, news, trends
from tests.conftest import Project

FIGURES = {"latency_ms.p95": 12.0, "latency_ms.p95.low": 11.0, "latency_ms.p95.high": 14.0, "samples": 400.0}
STEP = [10.0, 10.1, 9.9, 10.2, 9.8, 10.0, 10.1, 9.9, 10.2, 9.8, 10.0, 10.1]


class Quiet:
    QUIET = True

    def judge(self, check: Check, outcomes: Sequence[Outcome]) -> Verdict:
        (outcome,) = outcomes
        return Verdict(verdict="pass", reason="", estimate=1.0, interval=(1.0, 1.0), n=1, figures=outcome.answer)


class Busy(Quiet):
    QUIET = False


@pytest.fixture(autouse=True)
def _rooms(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = {"quiet": Quiet(), "busy": Busy()}
    monkeypatch.setattr(rooms, "evaluator", lambda kind: found[kind])
    yield
    monkeypatch.undo()


def _check(kind: str = "quiet", **more: Any) -> Check:
    given: dict[str, Any] = {"cases": (Case(id="a", input=1),), "model": "m", **more}
    return Check(id=f"s.yaml::{kind}::c", name="c", kind=kind, at="s.yaml:1", **given)


def _plan(*checks: Check, recipe: str = "sha256:0123456789abcdef", **more: Any) -> Plan:
    models = {"m": Declared(name="m", how="echo", options={}, recipe=recipe, at="s.yaml:1")}
    return Plan(hallmark="0", models=models, checks=checks or (_check(),), **more)


def _result(check: Check, verdict: Ruling = "pass", figures: dict[str, float] | None = None) -> CheckResult:
    return CheckResult(
        id=check.id, name=check.name, kind=check.kind, model="m", verdict=verdict, estimate=1.0, interval=(1.0, 1.0),
        p=None, method="", n=1, planned=1, outcomes=Tally(met=1), needed_n=None, reason="", advice="",
        figures=FIGURES if figures is None else figures, at="s.yaml:1", seconds=0.0,
    )  # fmt: skip


def _run(runs: Path, plan: Plan, *results: CheckResult, name: str = "", status: str = "certified") -> Path:
    """A run that came to its end, as far as its certificate tells, and is remembered."""
    folder = runs / (name or f"20260101-{len([*runs.glob('2*')]):06}-000ab")
    folder.mkdir(parents=True, exist_ok=True)
    begin = Begin(run=folder.name, started="2026-01-01T00:00:00+00:00", plan="p", machine=provenance.machine())
    told = {"status": status, "score": 50.0, "run": {"id": folder.name, "started": begin.started}, "checks": results}
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    (folder / "outcomes.jsonl").write_bytes(msgspec.json.Encoder().encode_lines([begin]))
    (folder / "certificate.json").write_bytes(msgspec.json.encode(told))
    assert remember(folder, plan) == []
    return folder


def _ran(
    runs: Path, plan: Plan, verdict: Ruling = "pass", figures: dict[str, float] | None = None, name: str = ""
) -> Path:
    return _run(runs, plan, *[_result(check, verdict, figures) for check in plan.checks], name=name)


def _claim(check: Check, **more: Any) -> CheckResult:
    return replace(_result(check), interval=(0.5, 1.0), **more)


def _told(runs: Path) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(runs / FILE)) as rows:
        return [json.loads(line) for (line,) in rows.execute("SELECT line FROM asked ORDER BY place")]


# ------------------------------------------------------------------------------------------- what is kept


def test_figures_are_kept_without_the_bounds_of_intervals(tmp_path: Path) -> None:
    _ran(tmp_path, _plan())
    (line,) = _told(tmp_path)
    assert line["figures"] == {"latency_ms.p95": 12.0, "samples": 400.0}
    assert line["models"] == {"": "0123456789ab"}
    assert len(line["on"]) == 12
    assert not line["claim"]


def test_of_other_kinds_only_claims_are_kept_and_no_figures(tmp_path: Path) -> None:
    plan = _plan(_check("busy"))
    _ran(tmp_path, plan)
    assert _told(tmp_path) == []
    _run(tmp_path, plan, replace(_result(plan.checks[0]), p=0.01))
    (line,) = _told(tmp_path)
    assert {"figures", "on", "models", "claim"}.isdisjoint(line)


def test_what_is_kept_for_its_figures_alone_is_no_look(tmp_path: Path) -> None:
    plan = _plan()
    _ran(tmp_path, plan)
    assert past(tmp_path, plan).looks == {}
    _run(tmp_path, plan, _claim(plan.checks[0]))
    assert past(tmp_path, plan).looks == {plan.checks[0].id: 1}


def test_a_check_that_was_not_measured_whole_was_not_asked(tmp_path: Path) -> None:
    plan = _plan()
    _run(tmp_path, plan, _claim(plan.checks[0], planned=2))
    assert past(tmp_path, plan).looks == {}


def test_a_verdict_that_was_lost_to_a_correction_is_kept_as_it_was_by_itself(tmp_path: Path) -> None:
    plan = _plan()
    _run(tmp_path, plan, _claim(plan.checks[0], verdict="inconclusive", flipped=True))
    (line,) = _told(tmp_path)
    assert line["verdict"] == "pass"
    assert past(tmp_path, plan).earlier


def test_a_run_that_was_taken_up_again_counts_once_and_as_it_ended(tmp_path: Path) -> None:
    plan = _plan()
    other = _ran(tmp_path, plan, figures={"ms": 1.0})
    _run(tmp_path, plan, _claim(plan.checks[0], figures={"ms": 2.0}), name=other.name, status="incomplete")
    _ran(tmp_path, plan, figures={"ms": 5.0})
    _run(tmp_path, plan, _claim(plan.checks[0], figures={"ms": 3.0}), name=other.name)
    found = past(tmp_path, plan)
    assert found.looks == {plan.checks[0].id: 1}
    assert found.earlier == {plan.checks[0].id: {"ms": [3.0, 5.0]}}


def test_a_run_is_remembered_as_its_folder_tells(tmp_path: Path) -> None:
    plan = _plan(_check(), _check("busy"))
    for value in (3.0, 1.0):
        _run(tmp_path, plan, _claim(plan.checks[0], figures={"ms": value}), _claim(plan.checks[1]))
    before, found = _told(tmp_path), past(tmp_path, plan)
    (tmp_path / FILE).unlink()
    again = past(tmp_path, plan)
    assert _told(tmp_path) == before
    assert again == replace(found, remarks=again.remarks)
    assert again.looks == {check.id: 2 for check in plan.checks}


# --------------------------------------------------------------------------- what was kept before, in lines


def _line(check: Check, run: str = "20250101-000000-000ab", **more: Any) -> str:
    asked = question_of(_plan(check), check)
    return json.dumps({"run": run, "check": check.id, "asked": asked, "verdict": "pass", "pledge": {}, **more}) + "\n"


def test_lines_from_before_are_taken_in_once_and_kept_under_another_name(tmp_path: Path) -> None:
    plan = _plan()
    lines = "".join(_line(plan.checks[0], run) for run in ("a", "b", "a"))
    (tmp_path / LINES).write_text(lines)
    for _ in range(2):
        found = past(tmp_path, plan)
        assert (found.looks, found.earlier) == ({plan.checks[0].id: 2}, {})
        assert not (tmp_path / LINES).exists()
        assert (tmp_path / f"{LINES}.taken-in").read_text() == lines
    assert found.remarks == ()
    _ran(tmp_path, plan)
    (tmp_path / LINES).write_text(_line(plan.checks[0], "c"))
    said = "history.jsonl was taken into history.sqlite, and is kept as history.jsonl.taken-in-2"
    assert past(tmp_path, plan).remarks == (said,)
    assert past(tmp_path, plan).looks == {plan.checks[0].id: 3}


def test_lines_that_were_taken_in_are_read_again_where_the_history_is_built_anew(tmp_path: Path) -> None:
    plan = _plan()
    (tmp_path / LINES).write_text(_line(plan.checks[0]))
    past(tmp_path, plan)
    (tmp_path / FILE).write_bytes(b"gone")
    assert past(tmp_path, plan).looks == {plan.checks[0].id: 1}


def test_what_a_line_and_a_folder_tell_of_the_same_run_counts_once(tmp_path: Path) -> None:
    plan = _plan()
    folder = _run(tmp_path, plan, _claim(plan.checks[0]))
    (tmp_path / LINES).write_text(_line(plan.checks[0], folder.name) + _line(plan.checks[0], "other"))
    assert past(tmp_path, plan).looks == {plan.checks[0].id: 2}
    (tmp_path / FILE).unlink()
    assert past(tmp_path, plan).looks == {plan.checks[0].id: 2}


# ---------------------------------------------------------------------------------- what earlier runs tell


def test_earlier_figures_come_in_the_order_of_the_runs(tmp_path: Path) -> None:
    plan = _plan()
    for value in (3.0, 1.0, 2.0):
        _ran(tmp_path, plan, figures={"ms": value})
    assert past(tmp_path, plan).earlier == {plan.checks[0].id: {"ms": [3.0, 1.0, 2.0]}}


@pytest.mark.parametrize("verdict", ["inconclusive", "error", "unsupported"])
def test_runs_that_were_disturbed_or_erred_are_left_out(tmp_path: Path, verdict: Ruling) -> None:
    plan = _plan()
    _ran(tmp_path, plan, "fail", {"ms": 1.0})
    _ran(tmp_path, plan, verdict, {"ms": 9.0})
    assert past(tmp_path, plan).earlier == {plan.checks[0].id: {"ms": [1.0]}}


def test_another_machine_other_numerics_or_other_cases_have_no_part_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan()
    _ran(tmp_path, plan)
    assert past(tmp_path, plan).earlier
    assert not past(tmp_path, replace(plan, numerics="fast")).earlier
    assert not past(tmp_path, _plan(_check(cases=(Case(id="a", input=2),)))).earlier
    monkeypatch.setattr(provenance, "machine", lambda: {"processor": "another", "cores": 1, "system": "Linux 1"})
    assert not past(tmp_path, plan).earlier


def test_another_model_and_another_budget_are_what_it_is_for(tmp_path: Path) -> None:
    _ran(tmp_path, _plan())
    changed = _plan(_check(options={"budget": {}}), recipe="sha256:another")
    assert past(tmp_path, changed).earlier
    named = _plan(_check(cases=(Case(id="renamed", input=1, expect=5),)), recipe="sha256:0123456789abcdef")
    assert past(tmp_path, named).earlier


def test_only_the_last_runs_are_told(tmp_path: Path) -> None:
    plan = _plan()
    on = _told(_ran(tmp_path / "one", plan).parent)[0]["on"]
    lines = [_line(plan.checks[0], f"r{at:03}", on=on, figures={"ms": float(at)}) for at in range(RUNS + 5)]
    (tmp_path / LINES).write_text("".join(lines))
    (found,) = past(tmp_path, plan).earlier.values()
    assert found["ms"] == [float(value) for value in range(5, RUNS + 5)]


@pytest.mark.parametrize("line", [b"null", b"{}", b"\xff", b'{"figures": {"ms": 1e999}}', b'{"figures": {"ms": null}}'])
def test_lines_that_cannot_be_read_harm_nobody(tmp_path: Path, line: bytes) -> None:
    plan = _plan()
    (tmp_path / LINES).write_bytes(line + b"\n" + _line(plan.checks[0]).encode() + line)
    assert past(tmp_path, plan).looks == {plan.checks[0].id: 1}


# ----------------------------------------------------------------------------------------- the run before


def test_the_run_before_is_the_newest_that_came_to_its_end_and_asked_the_same_specs(tmp_path: Path) -> None:
    plan = _plan(specs=(SpecFile(path="s.yaml", name="s"),))
    other = replace(_check(), id="other.yaml::quiet::c")
    _run(tmp_path, plan, _result(_check()), _result(other), name="20260101-000001-000ab")
    last = _run(tmp_path, plan, _result(_check()), _result(other), name="20260101-000002-000ab")
    _run(tmp_path, plan, _result(_check()), name="20260101-000003-000ab", status="incomplete")
    _run(tmp_path, plan, _result(other), name="20260101-000004-000ab")
    found = past(tmp_path, plan).previous
    assert found is not None
    assert (found.run, found.status, found.score) == (last.name, "certified", 50.0)
    assert found.checks == {_check().id: Before(verdict="pass", estimate=1.0, interval=(1.0, 1.0), n=1)}
    shutil.rmtree(last)
    found = past(tmp_path, plan).previous
    assert found is not None
    assert found.run == "20260101-000001-000ab"


def test_of_runs_whose_folders_are_gone_the_looks_are_still_known(tmp_path: Path) -> None:
    plan = _plan()
    shutil.rmtree(_run(tmp_path, plan, _claim(plan.checks[0])))
    found = past(tmp_path, plan)
    assert (found.looks, found.previous, found.remarks) == ({plan.checks[0].id: 1}, None, ())


def test_runs_that_came_otherwise_are_taken_in_and_those_that_were_written_again_too(tmp_path: Path) -> None:
    plan = _plan(specs=(SpecFile(path="s.yaml", name="s"),))
    _run(tmp_path / "there", plan, _claim(plan.checks[0]), name="20250101-000000-000ab")
    _run(tmp_path / "here", plan, _claim(plan.checks[0]), name="20260101-000000-000ab")
    shutil.copytree(tmp_path / "there/20250101-000000-000ab", tmp_path / "here/20250101-000000-000ab")
    assert past(tmp_path / "here", plan).looks == {plan.checks[0].id: 2}
    certificate = tmp_path / "here/20260101-000000-000ab/certificate.json"
    certificate.write_bytes(certificate.read_bytes().replace(b'"certified"', b'"blocked"'))
    found = past(tmp_path / "here", plan).previous
    assert found is not None
    assert found.status == "blocked"
    with contextlib.closing(sqlite3.connect(tmp_path / "here" / FILE)) as rows:
        assert rows.execute("SELECT count(*) FROM asked").fetchall() == [(2,)]


def test_where_nothing_ran_nothing_is_written_and_nothing_is_opened(tmp_path: Path) -> None:
    (tmp_path / "20260101-000000-000ab").mkdir()
    (tmp_path / "latest").symlink_to("20260101-000000-000ab")
    assert past(tmp_path, _plan()) == Past()
    assert past(tmp_path / "nowhere", _plan()) == Past()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20260101-000000-000ab", "latest"]


def test_folders_that_hold_no_run_or_one_that_cannot_be_read_harm_nobody(tmp_path: Path) -> None:
    plan = _plan()
    _run(tmp_path, plan, _claim(plan.checks[0]))
    for name, data in {
        "a": b"",
        "b": b"[" * 100_000,
        "c": b"\xff",
        "d": b'{"status":"splendid"}',
        "e\udcff": b"{}",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "certificate.json").write_bytes(data)
    (tmp_path / "f/certificate.json").mkdir(parents=True)
    odd = _run(tmp_path, plan, _claim(plan.checks[0]), replace(_claim(plan.checks[0]), id="gone", kind="gone"))
    (odd / "plan.json").write_text("{")
    for name in (FILE, f"{FILE}-not-there"):
        (tmp_path / name).unlink(missing_ok=True)
        assert past(tmp_path, plan).looks == {plan.checks[0].id: 1}


# ----------------------------------------------------------------------------------------------- trends


def _trended(earlier: dict[str, list[float]], verdict: Ruling = "pass", **figures: float) -> CheckResult:
    result = _result(_check(), verdict, figures)
    return replace(result, trends=trends(result, earlier))


def test_a_trend_is_what_was_and_what_is() -> None:
    assert _trended({"ms": [1.0, 2.0]}, ms=3.0).trends == (Trend(figure="ms", values=(1.0, 2.0, 3.0)),)


def test_a_figure_that_is_new_or_never_moved_has_no_trend() -> None:
    assert _trended({"size_mb": [3.0, 3.0]}, size_mb=3.0, ms=1.0).trends == ()


def test_a_figure_that_is_not_asked_for_any_more_has_no_trend() -> None:
    assert [trend.figure for trend in _trended({"old": [1.0, 2.0], "ms": [1.0]}, ms=2.0).trends] == ["ms"]


@pytest.mark.parametrize("verdict", ["inconclusive", "error"])
def test_a_run_that_does_not_count_is_not_among_the_values(verdict: Ruling) -> None:
    assert _trended({"ms": [1.0, 2.0]}, verdict, ms=99.0).trends == (Trend(figure="ms", values=(1.0, 2.0)),)


def test_at_most_a_dozen_figures_are_followed() -> None:
    names = [f"f{i}" for i in range(40)]
    found = _trended({name: [1.0] for name in names}, **dict.fromkeys(names, 2.0)).trends
    assert [trend.figure for trend in found] == names[:MOST]


def test_a_new_level_is_found_and_told_plainly() -> None:
    found = _trended({"latency_ms.p95": [*STEP, 15.1, 14.9, 15.0, 15.2]}, **{"latency_ms.p95": 15.1})
    (change,) = found.trends[0].changes
    assert change.at == len(STEP)
    assert news(found) == "latency_ms.p95 went from 10 to 15.1 four runs ago"


def test_a_change_is_news_for_some_runs_and_then_only_drawn() -> None:
    def said(runs: int) -> str:
        return news(_trended({"ms": [*STEP, *([15.0, 15.1] * 20)[: runs - 1]]}, ms=15.0))

    assert said(NEWS) == "ms went from 10 to 15 nine runs ago"
    assert said(NEWS + 1) == ""
    assert _trended({"ms": [*STEP, *[15.0, 15.1] * 20]}, ms=15.0).trends[0].changes


def test_a_run_that_does_not_count_tells_of_the_change_before_it() -> None:
    found = _trended({"ms": [*STEP, 15.1, 14.9, 15.0, 15.2]}, "inconclusive", ms=99.0)
    assert news(found) == "ms went from 10 to 15.1 four runs ago"


def test_levels_that_are_close_are_told_in_as_many_digits_as_it_takes() -> None:
    earlier = [1000.1, 1000.2] * 8 + [1000.4, 1000.3, 1000.4]
    assert news(_trended({"ms": earlier}, ms=1000.4)) == "ms went from 1000.15 to 1000.38 three runs ago"


def test_nothing_is_news_where_nothing_changed() -> None:
    assert news(_trended({"ms": STEP}, ms=10.1)) == ""
    assert news(_result(_check())) == ""


SOUND = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.sampled_from(["a", "b", "c.low"]), st.lists(SOUND, max_size=9)), SOUND, st.booleans())
def test_whatever_was_figured_trends_are_told_and_hold_nothing_else(
    earlier: dict[str, list[float]], now: float, counts: bool
) -> None:
    found = _trended(earlier, "pass" if counts else "inconclusive", a=now)
    for trend in found.trends:
        assert [*trend.values] == [*earlier.get(trend.figure, []), *([float(f"{now:.6g}")] if counts else [])]
    assert isinstance(news(found), str)
    assert set(followed(found.figures)) == {"a"}


# --------------------------------------------------------------------------------- on the certificate


def _certified(earlier: dict[str, list[float]], figures: dict[str, float]) -> Any:
    plan = _plan()
    (check,) = plan.checks
    begin = Begin(
        run="r",
        started="2026-01-01T00:00:00+00:00",
        plan="p",
        machine={},
        earlier={check.id: earlier} if earlier else {},
    )
    lines = [begin, Outcome(case="a", outcome="met", check=check.id, answer=figures)]
    end = End(finished="2026-01-01T00:00:01+00:00", seconds=1.0)
    return certify(plan, Record(msgspec.json.Encoder().encode_lines([*lines, end])), {"plan.json": "p"})


def test_a_certificate_carries_trends_and_recommends_a_look_at_what_changed() -> None:
    certificate = _certified({"ms": [*STEP, 15.1, 14.9, 15.0, 15.2]}, {"ms": 15.1})
    assert certificate.status == "certified"
    assert len(certificate.checks[0].trends[0].values) == 17
    assert certificate.recommendations == ("c: ms went from 10 to 15.1 four runs ago",)


def test_without_earlier_runs_a_certificate_has_no_trends() -> None:
    certificate = _certified({}, {"ms": 1.0})
    assert (certificate.checks[0].trends, certificate.recommendations) == ((), ())


def test_trends_decide_nothing() -> None:
    with_, without = (_certified(earlier, {"ms": 99.0}) for earlier in ({"ms": STEP}, {}))
    assert (with_.status, with_.reason, with_.score) == (without.status, without.reason, without.score)
    assert [replace(check, trends=()) for check in with_.checks] == list(without.checks)


# ------------------------------------------------------------------------------------------ in real runs

ROOM = """
from pathlib import Path
from harness.contract import Case, Outcome, Verdict

SCHEMA = {"properties": {}, "required": ["cases"]}
PANEL = "panel.html"
QUIET = True
BATCH = 100_000

def expand(check):
    return [*check.cases, Case(id="session", at=check.at, asks=False)]

def measure(check, case, bench):
    return Outcome(case=case.id, outcome="met", answer={"ms": float(Path("ms").read_text()) if not case.asks else 1})

def regrade(check, case, outcome):
    if not outcome.answer["ms"] > 0:
        raise ValueError("no time")
    return outcome

def judge(check, outcomes):
    ms = next(outcome.answer["ms"] for outcome in outcomes if outcome.case == "session")
    return Verdict(verdict="pass", reason="it was quick", estimate=ms, interval=(ms, ms), n=1, figures={"ms": ms})

def drawing(check, outcomes, result):
    return {"cases": [outcome.case for outcome in outcomes], "now": result.figures["ms"]}
"""
PANEL = "<p>drawn {{ drawn.cases | join('+') }} at {{ drawn.now }}, {{ result.trends | length }} trends</p>"


def test_runs_follow_their_figures_and_verify_needs_nothing_but_the_folder(project: Project) -> None:
    path = project.stranger("hallmark.evaluators", "timed", ROOM)
    project.put("site/strangers_timed/panel.html", PANEL)
    project.put("c.jsonl", '{"id": "a", "input": 1}\n')
    project.spec("  - {name: c, kind: timed, cases: ../c.jsonl}\n")
    for ms in ("3", "1", "2"):
        project.put("ms", ms)
        ran = project.hallmark("run", "-n0", PYTHONPATH=path)
        assert ran.status == 0, ran.out + ran.err
    (check,) = ran.certificate.checks
    assert check.trends == (Trend(figure="ms", values=(3.0, 1.0, 2.0)),)
    assert check.look == 1
    assert "drawn a+session at 2.0, 1 trends" in (ran.run / "report.html").read_text()
    (project.folder / "runs" / FILE).unlink()
    (project.folder / "ms").unlink()
    told = project.hallmark("verify", PYTHONPATH=path)
    assert told.status == 0, told.out + told.err


def test_what_a_room_saw_of_the_machine_is_graded_again_and_not_measured(project: Project) -> None:
    path = project.stranger("hallmark.evaluators", "timed", ROOM)
    project.put("site/strangers_timed/panel.html", PANEL)
    project.put("c.jsonl", '{"id": "a", "input": 1}\n')
    project.spec("  - {name: c, kind: timed, cases: ../c.jsonl}\n")
    project.put("ms", "-1")
    ran = project.hallmark("run", "-n0", PYTHONPATH=path)
    assert ran.status == 0, ran.out + ran.err
    told = project.hallmark("verify", PYTHONPATH=path)
    assert told.status == 1
    assert "::session is recorded as met, but its answer is not" in told.out + told.err
