"""What a scanner is given to read, from trees that somebody may have laid out to hurt us."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.security.files import Unreadable, matches, read, shown, walk

WORDS = st.text("abö", min_size=1, max_size=3)
PARTS = st.lists(WORDS, min_size=1, max_size=5)


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(root: Path, *paths: str, exclude: tuple[str, ...] = (), endings: tuple[str, ...] = ()) -> list[str]:
    return [shown(path, root) for path in walk(root, paths, exclude, endings)]


def test_files_come_sorted_and_once_however_paths_overlap(tmp_path: Path) -> None:
    put(tmp_path, "b/x.py", "a/y.py", "b/c/z.py")
    assert found(tmp_path, "b", ".", "b/x.py") == ["a/y.py", "b/c/z.py", "b/x.py"]


def test_what_belongs_to_tools_is_passed_over_unless_it_is_named(tmp_path: Path) -> None:
    put(tmp_path, ".git/config", "node_modules/x.js", "a/__pycache__/x.pyc", "runs/r.json", "a/x.py")
    assert found(tmp_path, ".") == ["a/x.py"]
    assert found(tmp_path, "runs") == ["runs/r.json"]
    assert walk(tmp_path, ["."]).skipped == 4


def test_patterns_exclude_and_endings_choose(tmp_path: Path) -> None:
    put(tmp_path, "a/x.py", "a/x.txt", "a/deep/y.py", "b/x.py")
    assert found(tmp_path, ".", exclude=("a/**",), endings=(".py",)) == ["b/x.py"]
    assert found(tmp_path, ".", exclude=("**/x.*",)) == ["a/deep/y.py"]


def test_links_and_pipes_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    put(root, "a.py")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    (root / "twin.py").symlink_to(root / "a.py")
    os.mkfifo(root / "pipe.py")
    walked = walk(root, ["."])
    assert [path.name for path in walked] == ["a.py"]
    assert walked.skipped == 4


def test_a_path_that_is_not_there_or_leads_out_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root, "a.py")
    (root / "out").symlink_to(tmp_path)
    for path in ("none", "..", "out", "../root/../x"):
        with pytest.raises(Unreadable):
            walk(root, [path])


def test_names_of_any_bytes_are_told_in_characters_that_a_file_can_hold(tmp_path: Path) -> None:
    for name in (b"line\nbreak.py", b"\xff\xfe.py", "ü.py".encode()):
        (tmp_path / os.fsdecode(name)).write_text("")
    names = found(tmp_path, ".")
    assert sorted(names) == ["\\xff\\xfe.py", "line\\nbreak.py", "ü.py"]
    assert all(name.encode() for name in names)


@given(st.text(min_size=1))
def test_no_name_of_a_file_speaks_to_a_terminal(name: str) -> None:
    assert shown(Path("/r") / name.replace("/", "-"), Path("/r")).isprintable()


def test_a_file_that_is_named_is_meant_whatever_its_ending(tmp_path: Path) -> None:
    put(tmp_path, "bin/tool", "bin/other", "a.py")
    assert found(tmp_path, "bin/tool", "bin", "./a.py", endings=(".py",)) == ["a.py", "bin/tool"]


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    put(tmp_path, "a.py")
    assert read(tmp_path / "a.py", 4) == b"a.py"
    with pytest.raises(Unreadable, match="larger than 3 bytes"):
        read(tmp_path / "a.py", 3)


def test_what_became_a_link_or_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "a.py")
    for name in ("pipe", "link", "none"):
        with pytest.raises(Unreadable):
            read(tmp_path / name)


@given(PARTS)
def test_a_path_is_what_it_says_itself(parts: list[str]) -> None:
    name = "/".join(parts)
    assert matches(name, name)
    assert matches(name, "**")
    assert matches(name, f"**/{parts[-1]}")
    assert matches(f"x/{name}", f"**/{name}")


@given(PARTS, st.text("abö*", min_size=1, max_size=4))
def test_one_star_stays_within_a_part(parts: list[str], pattern: str) -> None:
    if pattern != "**":
        assert matches("/".join(parts), pattern) == (len(parts) == 1 and fnmatchcase(parts[0], pattern))


def test_many_stars_cost_no_more_than_few() -> None:
    assert not matches("/".join("a" * 60), "/".join(["**", "a"] * 30 + ["b"]))
