"""Finds and reads what a scanner looks at: regular files inside the project, in an order that is always the same."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

IGNORED = frozenset(
    {
        ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "runs", "build", "dist", ".tox", ".nox",
        ".eggs", ".cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache",
        ".ipynb_checkpoints",
    }
)  # fmt: skip
"""Folders that are passed over wherever they lie below a path that is named."""
MOST = 100_000
"""Files that one scan may read."""
LARGEST = 10 << 20
"""Bytes of a file that is read whole."""
PATHS: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "string", "format": "place"},
    "minItems": 1,
    "description": "a list of files and folders, relative to this file",
}
EXCLUDE: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "a list of patterns, from the project's root, of what is not scanned: `tests/**`, `**/*.min.js`",
}


class Unreadable(Exception):
    """A file that can't be read; its words say why."""


class Walked(list[Path]):
    """The files below some paths."""

    skipped = 0
    """How many things beside them are no regular file, a link, or a folder that belongs to a tool."""


def walk(root: Path, paths: Iterable[str], exclude: Sequence[str] = (), endings: Sequence[str] = ()) -> Walked:
    """The regular files at and below these paths, sorted; no link is followed. Unreadable where a path is not there.

    Endings choose among what lies below a folder; a file that is named is meant.
    """
    found = Walked()
    seen: set[str] = set()
    for path in paths:
        itself = os.path.normpath(root / path)
        for file in _below(root, path, exclude, found):
            name = os.fspath(file)
            if name not in seen and (not endings or name == itself or name.endswith(tuple(endings))):
                seen.add(name)
                found.append(file)
            if len(found) > MOST:
                raise Unreadable(f"`{path}` has more than {MOST:,} files: name fewer, or exclude some")
    found.sort(key=os.fspath)
    return found


def _below(root: Path, path: str, exclude: Sequence[str], counted: Walked) -> Iterator[Path]:
    top = Path(os.path.normpath(root / path))
    try:
        inside = top.is_relative_to(root) and top.resolve(strict=True).is_relative_to(root.resolve())
        mode = top.stat().st_mode
    except (OSError, RuntimeError) as error:
        raise Unreadable(f"`{path}` can't be read: {getattr(error, 'strerror', None) or error}") from None
    if not inside:
        raise Unreadable(f"`{path}` leads out of the project")
    if not stat.S_ISDIR(mode):
        if not stat.S_ISREG(mode):
            raise Unreadable(f"`{path}` is no regular file")
        if not excluded(shown(top, root), exclude):
            yield top
        return
    waiting = [os.fspath(top)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if excluded(shown(Path(entry.path), root), exclude):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in IGNORED:
                            waiting.append(entry.path)
                        else:
                            counted.skipped += 1
                    elif entry.is_file(follow_symlinks=False):
                        yield Path(entry.path)
                    else:
                        counted.skipped += 1
        except OSError as error:
            raise Unreadable(f"`{shown(Path(folder), root)}` can't be read: {error.strerror}") from None


def excluded(name: str, patterns: Sequence[str]) -> bool:
    return any(matches(name, pattern) for pattern in patterns)


def matches(name: str, pattern: str) -> bool:
    """Whether a path is what a pattern says: `*` within one part of it, `**` over any number of parts."""
    return _matches(tuple(name.split("/")), tuple(pattern.removeprefix("./").rstrip("/").split("/")))


@cache
def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """One row of a table after the other, so that many `**` cost no more than few."""
    held = [True] + [False] * len(parts)
    for word in pattern:
        if word == "**":
            held = [any(held[: at + 1]) for at in range(len(held))]
        else:
            held = [False] + [held[at] and fnmatchcase(part, word) for at, part in enumerate(parts)]
    return held[-1]


def shown(path: Path, root: Path) -> str:
    """A path as findings tell it: from the root, with slashes, in characters that can be held and seen."""
    try:
        name = path.relative_to(root).as_posix()
    except ValueError:
        name = path.as_posix()
    if name.isprintable():
        return name
    held = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in held)


def read(path: Path, most: int = LARGEST) -> bytes:
    """All bytes of a regular file; Unreadable where it is none, or larger."""
    data = head(path, most + 1)
    if len(data) > most:
        raise Unreadable(f"it is larger than {most:,} bytes")
    return data


def head(path: Path, most: int) -> bytes:
    """The first bytes of a regular file."""
    with _opened(path) as file:
        data: bytes = file.read(most)
    return data


def digest(path: Path) -> str:
    """Of all bytes of a regular file, however large."""
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path) -> Any:
    """The file, unless it has become a link or something that one would wait for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(f"it can't be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unreadable("it is no regular file")
    return os.fdopen(handle, "rb")
