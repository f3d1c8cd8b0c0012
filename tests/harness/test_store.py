"""Files are whole or absent, and folders are built once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.shelf import Shelf
from harness.store import cache_folder, kept, point_at, write_whole


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))
    return Shelf(tmp_path, lambda text: None)


def test_a_file_is_written_whole_and_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_whole(file, b"old")
    write_whole(file, b"new and longer")
    assert file.read_bytes() == b"new and longer"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_file_that_is_written_may_be_read_by_others(tmp_path: Path) -> None:
    write_whole(tmp_path / "f", b"")
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_whole(file, b"old")
    wrong: Any = "text"
    with pytest.raises(TypeError):
        write_whole(file, wrong)
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_at_any_step_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "f"
    write_whole(file, b"old")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_reader_sees_one_whole_file_or_another(tmp_path: Path) -> None:
    file = tmp_path / "f"
    texts = [bytes([letter]) * 200_000 for letter in b"abc"]
    write_whole(file, texts[0])
    done = threading.Event()

    def write() -> None:
        for i in range(60):
            write_whole(file, texts[i % 3])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(file.read_bytes())
    writer.join()
    assert seen <= set(texts)


def test_a_link_is_made_and_turned_in_one_step(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        point_at(tmp_path / "latest", name)
        assert (tmp_path / "latest").resolve() == tmp_path / name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one", "two"]


def test_a_leftover_of_a_link_half_made_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / f".latest.{os.getpid()}").symlink_to("nowhere")
    point_at(tmp_path / "latest", "one")
    assert os.readlink(tmp_path / "latest") == "one"


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HALLMARK_CACHE", "there")
    assert cache_folder() == tmp_path / "there"
    monkeypatch.delenv("HALLMARK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / "xdg" / "hallmark"


# ------------------------------------------------------------------------------------------ built once


def test_a_folder_is_built_once_and_kept(shelf: Shelf) -> None:
    built = []

    def build(draft: Path) -> None:
        built.append(draft)
        (draft / "weights").write_text("w")

    assert shelf.kept("k") is None
    folder = shelf.build_once("k", build)
    assert shelf.build_once("k", build) == folder == shelf.kept("k")
    assert (folder / "weights").read_text() == "w"
    assert len(built) == 1


def test_a_build_that_fails_leaves_nothing_and_the_next_one_starts_afresh(shelf: Shelf) -> None:
    def fail(draft: Path) -> None:
        (draft / "half").write_text("h")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        shelf.build_once("k", fail)
    assert shelf.kept("k") is None
    assert [path for path in (cache_folder() / "models").iterdir() if path.is_dir()] == []
    folder = shelf.build_once("k", lambda draft: (draft / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_nobody_sees_a_folder_before_it_is_complete(shelf: Shelf) -> None:
    seen = []
    shelf.build_once("k", lambda draft: seen.append(shelf.kept("k")))
    assert seen == [None]


def test_threads_that_ask_at_once_build_once(shelf: Shelf) -> None:
    built = []
    ready = threading.Barrier(4)

    def build(draft: Path) -> None:
        built.append(draft)
        (draft / "weights").write_text("w")

    def ask() -> None:
        ready.wait()
        assert (shelf.build_once("k", build) / "weights").read_text() == "w"

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


ASK = """
import sys, time
from pathlib import Path
from harness.shelf import Shelf

def build(draft):
    with open(sys.argv[1], "a") as log:
        log.write("built\\n")
    (draft / "one").touch()
    time.sleep(0.3)
    (draft / "two").touch()

print(*sorted(path.name for path in Shelf(Path(), print).build_once("k", build).iterdir()))
"""


def test_processes_that_ask_at_once_build_once_and_all_get_it_whole(shelf: Shelf, tmp_path: Path) -> None:
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = [child.communicate(timeout=60)[0] for child in asking]
    assert told == ["one two\n"] * 4
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_kept_folder_that_was_damaged_is_built_anew(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import store

    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "weights").write_text("whole")

    folder = shelf.build_once("k", build)
    (folder / "weights").write_text("hole")
    monkeypatch.setattr(store, "_whole", set())  # as another process finds it
    assert (shelf.build_once("k", build) / "weights").read_text() == "whole"
    assert (shelf.build_once("k", build) / "weights").read_text() == "whole"
    assert len(built) == 2


def test_what_was_made_under_a_key_is_made_once_and_again_where_it_was_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path))
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"found"

    assert [kept("k", make), kept("k", make), len(made)] == [b"found", b"found", 1]
    assert kept("another", make) == b"found"
    assert len(made) == 2
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert kept("k", make) == b"found"
    assert len(made) == 3


def test_what_can_not_be_kept_is_made_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", "/dev/null/nowhere")
    assert kept("k", lambda: b"one") == b"one"
    assert kept("k", lambda: b"two") == b"two"
