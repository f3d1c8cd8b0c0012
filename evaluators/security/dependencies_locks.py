"""What a lock or requirements file pins: requirements, `uv.lock`, `poetry.lock` and `pylock.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from evaluators.security import files as walking

_HASH = re.compile(r"\s--hash[=\s]\S+")
_COMMENT = re.compile(r"(^|\s)#.*")
_OPTIONS = re.compile(r"--?(c|constraint|i|index|extra|find|trusted|no|only|prefer|require|use|pre|f)\b")
_CREDENTIALS = re.compile(r"//[^/\s]*@")
_OWN = ("editable", "virtual", "directory")
"""How a package of the project itself is marked."""
_INCLUDES = 50


class Pinned(NamedTuple):
    """One line of it."""

    name: str
    version: str
    """Empty where it says none."""
    at: str
    """The file and line."""
    said: str = ""


def files_of(lock: Path, root: Path) -> list[Path]:
    """The file, and those that it takes in; Unreadable where one is not there or leads out of the project."""
    found, waiting = [], [lock]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.append(file)
        if len(found) > _INCLUDES:
            raise walking.Unreadable(f"`{lock.name}` takes in more than {_INCLUDES} files")
        if file.suffix not in (".lock", ".toml") or not _is_toml(file):
            names = [name for line, _ in _lines(file) if (name := _included(line))]
            if outside := [name for name in names if "://" in name]:
                raise walking.Unreadable(f"`{_shown(outside[0])}` is not in the project")
            waiting += [path for name in names for path in walking.walk(root, [_beside(file, name, root)])]
    return sorted(found)


def _beside(file: Path, name: str, root: Path) -> str:
    return (file.parent / name).relative_to(root).as_posix() if (file.parent / name).is_relative_to(root) else name


def read(files: list[Path], root: Path) -> list[Pinned]:
    """Everything that is named in them; ValueError where one can't be read."""
    return [pinned for file in files for pinned in (_toml(file, root) if _is_toml(file) else _plain(file, root))]


def _is_toml(file: Path) -> bool:
    return file.name in ("uv.lock", "poetry.lock") or (file.name.startswith("pylock.") and file.suffix == ".toml")


def _toml(file: Path, root: Path) -> Iterator[Pinned]:
    shown = walking.shown(file, root)
    said: dict[str, Any] = tomllib.loads(walking.read(file).decode("utf-8"))
    listed = said.get("package", said.get("packages"))
    if not isinstance(listed, list):
        raise ValueError(f"`{shown}` has no list of packages")
    for each in listed:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise ValueError(f"`{shown}` has a package without a name")
        source = each.get("source", {})
        own = isinstance(source, dict) and (source.get("type") or next(iter(source), "")) in _OWN
        if not own and "directory" not in each:
            yield Pinned(each["name"], _shown(str(each.get("version", ""))), shown)


def _plain(file: Path, root: Path) -> Iterator[Pinned]:
    shown = walking.shown(file, root)
    for line, number in _lines(file):
        at = f"{shown}:{number}"
        if _included(line) or _OPTIONS.match(line):
            continue
        told = _shown(line)
        if line.startswith("-") or "://" in line.partition(";")[0].partition("@")[0]:
            yield Pinned(told, "", at, told)
            continue
        try:
            needed = Requirement(line)
        except InvalidRequirement:
            yield Pinned(told, "", at, told)
            continue
        pins = [each.version for each in needed.specifier if each.operator in ("==", "===")]
        exact = [version for version in pins if "*" not in version]
        yield Pinned(needed.name, _shown(exact[0]) if len(exact) == 1 and not needed.url else "", at, told)


def _shown(line: str) -> str:
    """The beginning of a line, without the name and the password that an address may have."""
    return _CREDENTIALS.sub("//", line)[:80]


def _lines(file: Path) -> Iterator[tuple[str, int]]:
    """What it says, without comments and hashes, each with the line on which it begins."""
    said, begin = "", 0
    for number, line in enumerate(walking.read(file).decode("utf-8-sig").splitlines(), 1):
        begin = begin or number
        said += _COMMENT.sub("", line)
        if said.endswith("\\"):
            said = said[:-1] + " "
            continue
        if text := _HASH.sub("", said).strip():
            yield text, begin
        said, begin = "", 0
    if text := _HASH.sub("", said).strip():
        yield text, begin


def _included(line: str) -> str:
    match = re.match(r"(?:-r|--requirement)[=\s]\s*(\S+)", line)
    return match.group(1) if match else ""
