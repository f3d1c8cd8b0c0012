"""The runs there were: a line each, whatever state they are in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.archive import Asked
from harness.cli import main
from harness.history import FILE, LINES
from harness.verbs.history import _spark
from tests.harness.recording import check, plan, record

MET, MISSED = ("met",) * 4, ("missed",) * 4


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def _named(day: int, tail: str = "ab12") -> tuple[str, str]:
    return f"202601{day:02}-100000-{tail}", f"2026-01-{day:02}T10:00:00+00:00"


def _recorded(runs: Path, day: int, *, words: Any = MET, name: str = "c", **more: Any) -> Path:
    folder, started = _named(day)
    return record(runs / folder, plan(check(name)), {name: words}, started=started, **more)


def _said(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> list[str]:
    capsys.readouterr()
    assert main(["runs", *argv]) == status
    return capsys.readouterr().out.splitlines()


def _json(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("\n".join(_said(capsys, "--json", *argv)))
    return found


# ---------------------------------------------------------------------------------------- a line a run


def test_runs_are_told_the_newest_first_with_what_became_of_them(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = _recorded(runs, 1), _recorded(runs, 2, words=MISSED)
    (runs / "latest").symlink_to(second.name)
    (runs / "certified").mkdir()
    (runs / "certified/specs--a.yaml").symlink_to(f"../{first.name}")
    head, *lines = _said(capsys)
    assert head.split() == ["run", "when", "status", "score", "checks", "cases", "seconds", "specs"]
    assert [line.split() for line in lines] == [
        [second.name, "2026-01-02", "10:00:00", "blocked", "0", "1", "fail", "4", "60.0", "specs/a.yaml", "latest"],
        [
            first.name,
            "2026-01-01",
            "10:00:00",
            "certified",
            "100",
            "1",
            "pass",
            "4",
            "60.0",
            "specs/a.yaml",
            "certified",
        ],
    ]


def test_as_many_as_are_asked_for_are_told_and_how_many_are_older(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in range(1, 8):
        _recorded(runs, day)
    _, *lines, rest = _said(capsys, "-n", "3")
    assert [line.split()[0] for line in lines] == [_named(day)[0] for day in (7, 6, 5)]
    assert rest == "and 4 older"
    for wrong in ("0", "-3", "x", "\x1b[2J"):
        with pytest.raises(SystemExit) as stop:
            main(["runs", "-n", wrong])
        assert stop.value.code == 4
        assert f"{wrong!a} is no number of runs; write 1 or more" in capsys.readouterr().err


def test_a_file_that_stood_over_specs_is_listed_among_them(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = dict.fromkeys(("specs/a.yaml", "specs/_models.yaml", "specs/certificate.yaml"), "sha256:1")
    folder, started = _named(1)
    record(runs / folder, plan(check(), files=files), {"c": MET}, started=started)
    assert _said(capsys)[1].endswith("specs/a.yaml, specs/certificate.yaml")
    assert _json(capsys)["runs"][0]["specs"] == ["specs/a.yaml", "specs/certificate.yaml"]


def test_as_json_it_is_the_same(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _recorded(runs, 3)
    (runs / "latest").symlink_to(folder.name)
    found = _json(capsys)
    assert found["schema"] == "hallmark/runs/1"
    (run,) = found["runs"]
    assert (run["run"], run["status"], run["score"], run["checks"]) == (folder.name, "certified", 100.0, {"pass": 1})
    assert (run["planned"], run["measured"], run["specs"], run["marks"]) == (4, 4, ["specs/a.yaml"], ["latest"])


def test_a_run_that_measured_less_than_it_planned_says_of_how_much(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _recorded(runs, 1, words=MET[:1])
    assert " 1/4 " in _said(capsys)[1]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"certificate.json": None}, "unfinished  "),
        ({"certificate.json": None, "outcomes.jsonl": None}, "damaged  "),
        ({"certificate.json": b""}, "damaged  "),
        ({"certificate.json": b"[" * 100_000}, "damaged  "),
        ({"certificate.json": b'{"status":"splendid"}'}, "damaged  "),
        ({"certificate.json": b"\xff"}, "damaged  "),
        ({"certificate.json": b'{"status":"certified","checks":[{}]}'}, "damaged  "),
    ],
)
def test_what_is_damaged_or_unfinished_is_told_as_such(
    runs: Path, capsys: pytest.CaptureFixture[str], damage: dict[str, bytes | None], said: str
) -> None:
    folder = _recorded(runs, 2)
    for file, data in damage.items():
        (folder / file).unlink()
        if data is not None:
            (folder / file).write_bytes(data)
    _recorded(runs, 1)
    _, line, other = _said(capsys)
    assert line.startswith(f"{folder.name}  2026-01-02 10:00:00  {said}")
    assert " certified " in other
    assert _json(capsys)["runs"][0]["status"] == said.strip()


def test_an_empty_folder_of_a_run_is_damaged_and_other_folders_are_none(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / _named(4)[0]).mkdir(parents=True)
    (runs / "notes").mkdir()
    (runs / "loop").symlink_to("loop")
    (runs / "latest").symlink_to("gone")
    (runs / FILE).write_text("{")
    (line,) = _said(capsys)[1:]
    assert line.split()[:4] == [_named(4)[0], "2026-01-04", "10:00:00", "damaged"]


def test_a_certificate_of_an_earlier_version_is_read_all_the_same(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _recorded(runs, 1)
    said = json.loads((folder / "certificate.json").read_bytes())
    for key in ("score", "score_meaning", "waivers", "locked", "previous", "provenance", "criteria"):
        del said[key]
    (folder / "certificate.json").write_text(json.dumps({**said, "more": 1}))
    assert " certified " in _said(capsys)[1]


def test_where_there_is_no_run_it_says_what_leaves_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 5
    assert capsys.readouterr().err == "hallmark: there is no run in runs; `hallmark run specs` leaves one\n"
    runs.mkdir()
    assert main(["runs"]) == 5


def test_runs_may_be_kept_elsewhere(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _recorded(runs.parent / "elsewhere", 1)
    assert len(_said(capsys, "--hallmark-runs", "elsewhere")) == 2


def test_nothing_that_a_run_says_reaches_a_terminal_as_it_is(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J\u202e\n::error::\x9b"
    _recorded(runs, 1, name=evil)
    (runs / "x\x1b[2J").mkdir()
    (runs / "x\x1b[2J" / "plan.json").write_text("")
    for argv in ([], ["--json"], ["--check", evil], ["--check", evil, "--json"]):
        said = "\n".join(_said(capsys, *argv))
        assert not {"\x1b", "\x9b", "\u202e"} & set(said)
        assert "\n::error::" not in said


# ------------------------------------------------------------------------------------------- of a check


def test_of_a_check_there_is_a_line_a_run_and_how_its_estimate_went(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day, met in ((1, 4), (2, 2), (3, 3)):
        _recorded(runs, day, words=("met",) * met + ("missed",) * (4 - met))
    _recorded(runs, 4, name="other")
    head, *lines, trend = _said(capsys, "--check", "c")
    assert head.split() == ["run", "when", "check", "verdict", "estimate", "interval", "n", "reason"]
    assert [(line.split()[0], line.split()[5]) for line in lines] == [
        (_named(3)[0], "0.75"), (_named(2)[0], "0.5"), (_named(1)[0], "1"),
    ]  # fmt: skip
    assert trend == "specs/a.yaml::golden::c: estimate  █▁▅  0.5 to 1, now 0.75, 3 runs"
    assert len(_said(capsys, "--check", "specs/a.yaml::golden::c", "-n", "1")) == 3
    assert _json(capsys, "--check", "c")["trends"] == [
        {"check": "specs/a.yaml::golden::c", "figure": "estimate", "values": [1.0, 0.5, 0.75]}
    ]


def test_figures_that_moved_on_this_machine_are_drawn_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _recorded(runs, 1)
    lines = [
        Asked(run=f"r{at}", check="specs/a.yaml::golden::c", asked="q", verdict=verdict, pledge={}, on=on,
              figures={"p95": p95, "still": 1.0})
        for at, (p95, on, verdict) in enumerate(
            [(9.0, "old", "pass"), (1.0, "here", "pass"), (5.0, "here", "error"), (3.0, "here", "fail"), (2.0, "here", "pass")]
        )
    ]  # fmt: skip
    (runs / LINES).write_bytes(b"{torn\n" + msgspec.json.Encoder().encode_lines(lines) + b'{"half')
    assert _json(capsys, "--check", "c")["trends"] == [
        {"check": "specs/a.yaml::golden::c", "figure": "p95", "values": [1.0, 3.0, 2.0]}
    ]
    assert {path.name for path in runs.iterdir()} == {_named(1)[0], LINES}


def test_a_check_that_no_run_has_is_told_with_what_was_meant(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _recorded(runs, 1, name="digits[int8]")
    assert main(["runs", "--check", "digit"]) == 5
    assert capsys.readouterr().err == "hallmark: no run has a check `digit`; did you mean `digits`?\n"
    assert len(_said(capsys, "--check", "digits")) == 2


def test_a_line_of_figures_is_as_high_as_they_are() -> None:
    assert _spark([0.0, 1.0]) == "▁█"
    assert _spark([2.0, 2.0, 2.0]) == "▄▄▄"
    assert _spark([1e-300, 1e300, 0.0]) == "▁█▁"
    assert len(set(_spark([float(at) for at in range(8)]))) == 8
