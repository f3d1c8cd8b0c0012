"""The history's file under damage: whatever befalls it, what the run folders tell is known, and nothing fails."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import archive, history
from harness.archive import FILE, LOCK
from harness.contract import Plan
from harness.history import LINES, past, remember
from tests.conftest import REPOSITORY, Project
from tests.harness.recording import check, plan, record

OPTIONS = {"gate": {"pass_rate": 0.5, "population": "sample"}}
PLAN: Plan = plan(check("c", 12, options=OPTIONS))
(CHECK,) = PLAN.checks


def _recorded(runs: Path, *names: str) -> list[Path]:
    return [record(runs / f"20260101-{name}-000ab", PLAN, {"c": ("met",) * 12}) for name in names]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs that are remembered."""
    for folder in _recorded(tmp_path, "000001", "000002"):
        assert remember(folder, PLAN) == []
    return tmp_path


def _known(runs: Path, looks: int = 2) -> tuple[str, ...]:
    """What is told of a history that knows so many looks, and the newest run."""
    found = past(runs, PLAN)
    assert found.looks == {CHECK.id: looks}
    assert found.previous is not None
    assert found.previous.run == "20260101-000002-000ab"
    return found.remarks


def _rows(path: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as rows:
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        runs = rows.execute("SELECT * FROM runs ORDER BY folder").fetchall()
        return [runs, rows.execute('SELECT run, "check", asked, line FROM asked ORDER BY run, "check"').fetchall()]


def test_a_history_that_is_as_it_was_written_is_read_and_left_alone(runs: Path) -> None:
    before = (runs / FILE).read_bytes()
    assert _known(runs) == ()
    assert (runs / FILE).read_bytes() == before
    assert sorted(path.name for path in runs.iterdir() if path.is_file()) == [LOCK, FILE]


# ----------------------------------------------------------------------------------------------- damage


def _overwritten(path: Path, seed: int) -> None:
    chance, data = random.Random(seed), bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    data[at : at + 200] = chance.randbytes(len(data[at : at + 200]))
    path.write_bytes(data)


@pytest.mark.parametrize("seed", range(40))
def test_bytes_that_were_overwritten_are_never_believed(runs: Path, seed: int) -> None:
    whole = _rows(runs / FILE)
    _overwritten(runs / FILE, seed)
    if _known(runs):
        assert (runs / f"{FILE}.damaged").exists()
        assert _rows(runs / FILE) == whole
    assert _known(runs) == ()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("whole")
    for folder in _recorded(runs, "000001", "000002"):
        remember(folder, PLAN)
    return runs


@given(st.data())
def test_a_byte_that_was_flipped_changes_nothing_that_is_told(whole: Path, data: st.DataObject) -> None:
    sound = (whole / FILE).read_bytes()
    at = data.draw(st.integers(0, len(sound) - 1))
    bit = data.draw(st.integers(0, 7))
    broken = sound[:at] + bytes([sound[at] ^ 1 << bit]) + sound[at + 1 :]
    try:
        (whole / FILE).write_bytes(broken)
        _known(whole)
    finally:
        (whole / FILE).write_bytes(sound)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_history_that_was_cut_is_built_anew_and_told(runs: Path, part: float) -> None:
    whole = _rows(runs / FILE)
    size = (runs / FILE).stat().st_size
    os.truncate(runs / FILE, int(size * part))
    remarks = _known(runs)
    if part >= 0.9:  # there was nothing yet on the last page
        assert remarks == ()
    elif part:
        (said,) = remarks
        assert said.startswith(f"{FILE} was put aside as {FILE}.damaged: it is damaged: ")
        assert said.endswith("and what only it knew, of runs whose folders are gone, is lost")
        assert (runs / f"{FILE}.damaged").stat().st_size == int(size * part)
    else:
        assert remarks == (f"{FILE} was not there, and was built from the run folders",)
    assert _rows(runs / FILE) == whole
    assert _known(runs) == ()


def test_a_single_byte_that_is_left_is_put_aside_and_told(runs: Path) -> None:
    whole = _rows(runs / FILE)
    os.truncate(runs / FILE, 1)
    (said,) = _known(runs)
    assert said.startswith(f"{FILE} was put aside as {FILE}.damaged: it is damaged: ")
    assert (runs / f"{FILE}.damaged").stat().st_size == 1
    assert _rows(runs / FILE) == whole
    assert _known(runs) == ()


def test_a_history_that_was_deleted_is_built_anew_and_told(runs: Path) -> None:
    whole = _rows(runs / FILE)
    (runs / FILE).unlink()
    assert _known(runs) == (f"{FILE} was not there, and was built from the run folders",)
    assert _rows(runs / FILE) == whole


def test_damage_is_also_found_by_the_run_that_ends(runs: Path) -> None:
    (third,) = _recorded(runs, "000000")
    (runs / FILE).write_bytes(b"no database" * 1000)
    (said,) = remember(third, PLAN)
    assert said.startswith(f"{FILE} was put aside as {FILE}.damaged: it is damaged: file is not a database")
    assert _known(runs, 3) == ()


def _folder(path: Path) -> None:
    path.unlink()
    (path / "more").mkdir(parents=True)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("swap", [_folder, _pipe, _link, _dangling])
def test_what_is_no_plain_file_is_left_alone_and_the_folders_are_asked(
    runs: Path, swap: Callable[[Path], None]
) -> None:
    swap(runs / FILE)
    for _ in range(2):
        (said,) = _known(runs)
        assert said == (
            f"{FILE} can't be read, so what was asked before is known from the run folders alone: it is no plain file"
        )
    (third,) = _recorded(runs, "000000")
    assert remember(third, PLAN) == [
        f"{FILE} can't be written, and the next run takes this one in: it is no plain file"
    ]
    assert len(_known(runs, 3)) == 1
    assert not (runs / "nowhere").exists()


def test_the_history_of_something_else_is_put_aside(runs: Path) -> None:
    (runs / FILE).unlink()
    with contextlib.closing(sqlite3.connect(runs / FILE)) as rows:
        rows.executescript("CREATE TABLE recipes (cake); INSERT INTO recipes VALUES ('sponge')")
    (said,) = _known(runs)
    assert said.startswith(f"{FILE} was put aside as {FILE}.damaged: it is none of ours; ")
    with contextlib.closing(sqlite3.connect(runs / f"{FILE}.damaged")) as rows:
        assert rows.execute("SELECT cake FROM recipes").fetchall() == [("sponge",)]


def test_tables_of_our_version_that_are_none_of_ours_are_put_aside(runs: Path) -> None:
    with contextlib.closing(sqlite3.connect(runs / FILE)) as rows:
        rows.execute("ALTER TABLE runs DROP COLUMN stamp")
        rows.commit()
    (said,) = _known(runs)
    assert "no such column: stamp" in said
    assert _known(runs) == ()


def test_a_history_that_another_tool_put_into_write_ahead_mode_is_used(runs: Path) -> None:
    with contextlib.closing(sqlite3.connect(runs / FILE)) as rows:
        assert rows.execute("PRAGMA journal_mode=WAL").fetchall() == [("wal",)]
    assert _known(runs) == ()
    (third,) = _recorded(runs, "000000")
    assert remember(third, PLAN) == []
    assert _known(runs, 3) == ()
    assert not [path for path in runs.iterdir() if path.name.endswith(("-wal", "-shm", "-journal"))]


# ------------------------------------------------------------------------------------------------- leave


CHILD = """
import os, resource, sqlite3, sys
from pathlib import Path
from harness import rooms
from tests.harness.test_archive import PLAN, past, remember
rooms.evaluator("golden")
runs = Path(sys.argv[1])
{more}
print(past(runs, PLAN).looks)
print(*past(runs, PLAN).remarks, sep="\\n")
folder = runs / "20260101-000000-000ab"
print(*remember(folder, PLAN), sep="\\n")
"""


def _child(runs: Path, more: str, **options: Any) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", CHILD.format(more=more), runs],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that any user can reach."""
    made = Path(tempfile.mkdtemp(prefix="hallmark-test-"))
    made.chmod(0o777)
    for folder in _recorded(made, "000001", "000002"):
        remember(folder, PLAN)
    _recorded(made, "000000")
    yield made
    for path in made.rglob("*"):
        path.chmod(0o777)
    shutil.rmtree(made)


NOBODY = "os.setgid(65534); os.setuid(65534)" if os.geteuid() == 0 else ""


def test_a_history_that_may_not_be_written_is_read_and_told(outside: Path) -> None:
    (outside / FILE).chmod(0o444)
    (outside / LOCK).chmod(0o666)
    looks, said, written = _child(outside, NOBODY)
    assert looks == str({CHECK.id: 3})
    assert said.startswith(f"{FILE} can't be written, so what it lacked was looked up in the run folders: ")
    assert "readonly" in said
    assert written.startswith(f"{FILE} can't be written, and the next run takes this one in: ")
    shutil.rmtree(outside / "20260101-000001-000ab")
    assert _child(outside, NOBODY)[0] == str({CHECK.id: 3}), "what only the file knows is known where it can be read"


def test_a_history_that_may_not_be_read_is_told_and_the_folders_are_asked(outside: Path) -> None:
    (outside / FILE).chmod(0)
    (outside / LOCK).chmod(0o666)
    looks, said, written = _child(outside, NOBODY)
    assert looks == str({CHECK.id: 3})
    assert said.endswith("unable to open database file")
    assert written.endswith("unable to open database file")


def test_a_folder_that_may_not_be_written_is_told(outside: Path) -> None:
    (outside / FILE).unlink()
    (outside / LOCK).unlink()
    outside.chmod(0o555)
    looks, said, written = _child(outside, NOBODY)
    assert looks == str({CHECK.id: 3})
    assert said.endswith("Permission denied")
    assert written.endswith("Permission denied")


@pytest.mark.parametrize("limit", [0, 1, 4096, 20_000])
def test_a_full_disk_is_told_and_leaves_the_history_as_it_was(outside: Path, limit: int) -> None:
    before = (outside / FILE).read_bytes()
    looks, said, written = _child(outside, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    assert looks == str({CHECK.id: 3})
    assert said.startswith(f"{FILE} can't be written, so what it lacked was looked up in the run folders: ")
    assert written.startswith(f"{FILE} can't be written, and the next run takes this one in: ")
    assert (outside / FILE).read_bytes() == before
    assert _rows(outside / FILE)
    assert _known(outside, 3) == ()


def test_a_python_without_sqlite_runs_and_says_what_it_does_not_know(outside: Path) -> None:
    looks, said, written = _child(outside, 'sys.modules["sqlite3"] = None')
    assert looks == "{}"
    assert said == f"{FILE} can't be used, and nothing is known of earlier runs: this Python has no sqlite3"
    assert written.endswith("this Python has no sqlite3")


# ------------------------------------------------------------------------------------ others, and deaths


HOLD = """
import sqlite3, sys, time
rows = sqlite3.connect(sys.argv[1], isolation_level=None)
rows.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextlib.contextmanager
def _held(path: Path, seconds: float) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", HOLD, path, str(seconds)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            yield
        finally:
            other.kill()


def test_a_history_that_another_process_holds_for_a_while_is_waited_for(runs: Path) -> None:
    (third,) = _recorded(runs, "000000")
    with _held(runs / FILE, 0.5):
        assert remember(third, PLAN) == []
    with _held(runs / FILE, 0.5):
        assert _known(runs, 3) == ()


def test_a_history_that_another_process_does_not_let_go_of_is_not_waited_for_forever(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "WAIT", 0.1)
    (third,) = _recorded(runs, "000000")
    with _held(runs / FILE, 600):
        (said,) = _known(runs, 3)
        assert said.endswith("database is locked")
        (said,) = remember(third, PLAN)
        assert said == f"{FILE} can't be written, and the next run takes this one in: database is locked"
    with (runs / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (said,) = remember(third, PLAN)
        assert said.endswith("another process writes it")
    assert _known(runs, 3) == ()


ENDS = """
import sys
from pathlib import Path
from tests.harness.test_archive import PLAN, remember
print("ready", flush=True)
for line in sys.stdin:
    print(remember(Path(line.strip()), PLAN), flush=True)
"""


def _ends() -> subprocess.Popen[str]:
    """A process that remembers the runs whose folders it is told."""
    child = subprocess.Popen(
        [sys.executable, "-c", ENDS], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_runs_that_end_at_once_are_all_in(tmp_path: Path) -> None:
    folders = _recorded(tmp_path, *(f"{at:06}" for at in range(12)))
    others = [_ends() for _ in range(4)]
    for at, folder in enumerate(folders):
        pipe = others[at % 4].stdin
        assert pipe is not None
        pipe.write(f"{folder}\n")
        pipe.flush()
    assert [other.communicate(timeout=60)[0].splitlines() for other in others] == [["[]"] * 3] * 4
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as rows:
        assert rows.execute("SELECT count(*) FROM asked").fetchall() == [(12,)]
    assert past(tmp_path, PLAN).looks == {CHECK.id: 12}
    assert past(tmp_path, PLAN).remarks == ()


def test_who_is_killed_while_remembering_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    folders = _recorded(runs, *(f"{at:06}" for at in range(40)))
    chance = random.Random(0)
    for _ in range(8):
        child = _ends()
        assert child.stdin is not None
        child.stdin.write("".join(f"{folder}\n" for folder in folders))
        child.stdin.flush()
        time.sleep(chance.random() * 0.1)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        if (runs / FILE).exists():
            with contextlib.closing(sqlite3.connect(runs / FILE)) as rows:
                assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                if rows.execute("PRAGMA user_version").fetchall() == [(1,)]:
                    found = [rows.execute(f"SELECT count(*) FROM {name}").fetchall() for name in ("runs", "asked")]
                    assert found[0] == found[1]
    found = past(runs, PLAN)
    assert found.looks == {CHECK.id: 40}
    assert not any("put aside" in said for said in found.remarks)


# -------------------------------------------------------------------------------------------- versions


@pytest.fixture
def older(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of a version before this one, which has one column more."""
    monkeypatch.setattr(archive, "STEPS", (*archive.STEPS, ("ALTER TABLE runs ADD COLUMN more TEXT DEFAULT 'x'",)))
    return runs


def _version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as rows:
        found: int = rows.execute("PRAGMA user_version").fetchone()[0]
        return found


def test_an_older_history_is_made_into_one_of_this_version_with_a_copy_beside(older: Path) -> None:
    before = _rows(older / FILE)
    assert _known(older) == ()
    assert _version(older / FILE) == 2
    assert [row[-1] for row in _rows(older / FILE)[0]] == ["x", "x"]
    assert _version(older / f"{FILE}.v1.bak") == 1
    assert _rows(older / f"{FILE}.v1.bak") == before
    assert not [path for path in older.iterdir() if path.name.startswith(f".{FILE}")]


def test_who_only_reads_makes_nothing_of_it(older: Path) -> None:
    assert history.figures(older, CHECK.id) == []
    assert _version(older / FILE) == 1
    assert not (older / f"{FILE}.v1.bak").exists()


def test_without_room_for_a_copy_an_older_history_stays_as_it_is_and_is_read(older: Path) -> None:
    before = (older / FILE).read_bytes()
    (older / f"{FILE}.v1.bak").mkdir()
    (said,) = _known(older)
    assert said.startswith(f"{FILE} can't be written")
    assert (older / FILE).read_bytes() == before
    assert not [path for path in older.iterdir() if path.name.startswith(f".{FILE}")]


def test_a_step_that_fails_leaves_the_old_version(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _rows(runs / FILE)
    steps = ("ALTER TABLE runs ADD COLUMN more TEXT", "INSERT INTO nothing VALUES (1)")
    monkeypatch.setattr(archive, "STEPS", (*archive.STEPS, steps))
    with pytest.raises(archive.Unfit), archive.opened(runs / FILE) as found, found.transaction():
        found.migrate()
    assert _version(runs / FILE) == 1
    assert _rows(runs / FILE) == before


def test_a_history_of_a_newer_version_is_put_aside_whole(runs: Path) -> None:
    with contextlib.closing(sqlite3.connect(runs / FILE)) as rows:
        rows.execute("PRAGMA user_version=7")
    newer = (runs / FILE).read_bytes()
    (said,) = _known(runs)
    assert said.startswith(f"{FILE} was put aside as {FILE}.v7: a newer Hallmark wrote it, in version 7; it was built")
    assert (runs / f"{FILE}.v7").read_bytes() == newer
    assert _known(runs) == ()


# ------------------------------------------------------------------------------------------ in real runs


def test_a_run_over_a_damaged_history_is_as_any_other_and_says_so(project: Project) -> None:
    project.cases("specs/c.jsonl", 40)
    gate = "gate: {pass_rate: 0.5, population: sample}"
    project.spec(f"  - {{name: c, kind: golden, model: m, cases: c.jsonl, {gate}}}\n")
    assert project.hallmark("run", "-n0").status == 0
    project.put(f"runs/{FILE}", b"\x00\xff" * 5000)
    ran = project.hallmark("run", "-n0")
    assert ran.status == 0, ran.out + ran.err
    assert ran.certificate.checks[0].look == 2
    assert f"{FILE} was put aside as {FILE}.damaged: it is damaged: file is not a database" in ran.out
    assert ran.certificate.notes == ("c: the second look at the same question",)
    shutil.rmtree(project.folder / "runs" / LINES, ignore_errors=True)
    (project.folder / "runs" / FILE).unlink()
    (project.folder / "runs" / FILE).mkdir()
    ran = project.hallmark("run", "-n2")
    assert ran.status == 0, ran.out + ran.err
    assert ran.certificate.checks[0].look == 3
    assert f"{FILE} can't be read, so what was asked before is known from the run folders alone" in ran.out
    assert f"{FILE} can't be written, and the next run takes this one in: it is no plain file" in ran.out
