"""`hallmark report --format`: one format, wherever it is asked for, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import rooms
from harness.cli import main
from harness.contract import Refused
from reports import bom
from tests.conftest import Project

Rooms = Callable[..., None]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a project, made once."""
    made = Project(tmp_path_factory.mktemp("project"))
    made.cases("cases.jsonl", 3)
    made.spec("  - {name: greets, kind: golden, model: m, cases: ../cases.jsonl}\n")
    ran = made.hallmark("run", "specs", "-p", "no:cacheprovider")
    assert ran.status == 0, ran.err + ran.out
    return ran.run


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "run"))


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """Formats that an installed package would offer."""
    known: dict[str, Any] = {}
    told = rooms.report

    def report(name: str) -> Any:
        return known[name] if name in known else told(name)

    monkeypatch.setattr(rooms, "report", report)

    def offer(**formats: Any) -> None:
        known.update(formats)

    return offer


def _format(file: str, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(FILE=file, ON_REQUEST=True, tell=lambda pages: pages.plan.hallmark.encode(), **more)


def _lacking(*_: Any) -> bytes:
    raise ModuleNotFoundError("No module named 'not_here'", name="not_here")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_without_a_format_every_report_that_a_run_has_is_told_anew(run: Path, capsys: Any) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_format_is_told_by_itself(run: Path, offered: Rooms, capsys: Any) -> None:
    offered(bom=bom)
    before = _names(run)
    assert main(["report", str(run), "--format", "bom"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(run / "bom.cdx.json")]
    assert _names(run) - before == {"bom.cdx.json"}


def test_several_formats_are_told_together(run: Path, offered: Rooms, capsys: Any) -> None:
    offered(a=_format("a.txt"), b=_format("b.txt"))
    assert main(["report", str(run), "--format", "a", "--format", "b", "--format", "a"]) == 0
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == ["a.txt", "b.txt"]


def test_a_file_goes_to_another_folder(run: Path, offered: Rooms, tmp_path: Path) -> None:
    offered(a=_format("a.txt"))
    (tmp_path / "there").mkdir()
    before = _names(run)
    assert main(["report", str(run), "--format", "a", "--to", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / "a.txt").exists()
    assert _names(run) == before


@pytest.mark.parametrize("to", ["plan.json", "https://example.org/out"])
def test_a_place_that_can_be_no_folder_is_said(run: Path, offered: Rooms, to: str, capsys: Any) -> None:
    offered(a=_format("a.txt"))
    to = to if "://" in to else str(run / to)
    assert main(["report", str(run), "--format", "a", "--to", to]) == 4
    assert f"{to} is no folder to write into" in capsys.readouterr().err


def test_what_is_not_installed_is_said_in_a_line_and_nothing_is_written(run: Path, offered: Rooms, capsys: Any) -> None:
    offered(a=_format("a.txt"), b=SimpleNamespace(FILE="b.txt", NEEDS="hub", tell=_lacking))
    before = _names(run)
    assert main(["report", str(run), "--format", "a", "--format", "b"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "hallmark: the format `b` needs not_here: pip install 'mlx-hallmark[hub]'\n"
    assert _names(run) == before


def test_what_cannot_run_here_is_said_to_be_unsupported(run: Path, offered: Rooms, capsys: Any) -> None:
    def tell(pages: Any) -> bytes:
        raise ImportError("a library of the system is not here")

    offered(b=SimpleNamespace(FILE="b.txt", NEEDS="pdf", tell=tell))
    assert main(["report", str(run), "--format", "b"]) == 4
    assert capsys.readouterr().err == (
        "hallmark: the format `b` is unsupported here: a library of the system is not here\n"
    )


def test_a_format_that_breaks_is_said_in_a_line(run: Path, offered: Rooms, capsys: Any) -> None:
    offered(b=SimpleNamespace(FILE="b.txt", tell=lambda pages: {}["digest"]))
    assert main(["report", str(run), "--format", "b"]) == 1
    assert "can't be told: KeyError" in capsys.readouterr().err


def test_a_service_is_told_where_it_is(run: Path, offered: Rooms, capsys: Any) -> None:
    told: list[tuple[str, str]] = []

    def send(pages: Any, folder: Path, to: str) -> str:
        told.append((folder.name, to))
        return "http://somewhere/run/1"

    offered(s=SimpleNamespace(ON_REQUEST=True, send=send))
    assert main(["report", str(run), "--format", "s", "--to", "http://somewhere"]) == 0
    assert main(["report", str(run), "--format", "s"]) == 0
    assert told == [("run", "http://somewhere"), ("run", "")]
    assert capsys.readouterr().out == "http://somewhere/run/1\n" * 2


def test_a_service_that_refuses_is_said_in_a_line(run: Path, offered: Rooms, capsys: Any) -> None:
    def send(pages: Any, folder: Path, to: str) -> str:
        raise Refused("it does not answer")

    offered(s=SimpleNamespace(ON_REQUEST=True, send=send))
    assert main(["report", str(run), "--format", "s"]) == 1
    assert capsys.readouterr().err == "hallmark: it does not answer\n"


def test_no_service_is_told_of_a_run_that_is_doubtful(run: Path, offered: Rooms, capsys: Any) -> None:
    with (run / "outcomes.jsonl").open("ab") as file:
        file.write(b'{"is":"outcome"')
    offered(s=SimpleNamespace(ON_REQUEST=True, send=lambda *_: pytest.fail("it was told")))
    assert main(["report", str(run), "--format", "s"]) == 1
    assert "torn" in capsys.readouterr().err


def test_one_place_is_not_for_a_service_and_a_file(run: Path, offered: Rooms, tmp_path: Path, capsys: Any) -> None:
    offered(a=_format("a.txt"), s=SimpleNamespace(ON_REQUEST=True, send=lambda *_: ""))
    assert main(["report", str(run), "--format", "a", "--format", "s", "--to", str(tmp_path)]) == 4
    assert "by itself" in capsys.readouterr().err


def test_a_place_without_a_format_is_a_mistake(run: Path, capsys: Any) -> None:
    assert main(["report", str(run), "--to", "x"]) == 4
    assert "--format" in capsys.readouterr().err


def test_an_unknown_format_is_told_with_those_that_there_are(run: Path, capsys: Any) -> None:
    assert main(["report", str(run), "--format", "papyrus"]) == 4
    said = capsys.readouterr().err
    assert "papyrus" in said
    assert "html" in said


def test_nothing_is_added_to_a_run_that_is_signed(run: Path, offered: Rooms, tmp_path: Path, capsys: Any) -> None:
    offered(a=_format("a.txt"))
    (run / "signature.json").write_text("{}")
    assert main(["report", str(run), "--format", "a"]) == 1
    assert "--to" in capsys.readouterr().err
    assert "a.txt" not in _names(run)
    assert main(["report", str(run), "--format", "html"]) == 0
    assert main(["report", str(run), "--format", "a", "--to", str(tmp_path)]) == 0


def test_a_folder_that_is_not_there_yet_is_made(run: Path, offered: Rooms, tmp_path: Path) -> None:
    offered(a=_format("a.txt"))
    assert main(["report", str(run), "--format", "a", "--to", str(tmp_path / "new" / "out")]) == 0
    assert _names(tmp_path / "new" / "out") == {"a.txt"}
