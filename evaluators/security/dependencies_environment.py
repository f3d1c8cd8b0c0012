"""What is installed in this environment, read from its metadata: nothing of it is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

LARGEST = 4 << 20
_PATTERNS = ("*.dist-info", "*.egg-info")

OF = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "description": "a list of distributions, as `mlx-hallmark[lm]`: only they and what they need are looked at",
}


class Installed(NamedTuple):
    """A distribution."""

    name: str
    """As it is compared."""
    shown: str
    version: str
    file: Path
    said: Message

    @property
    def path(self) -> str:
        return f"{self.shown}=={self.version}"

    def all(self, key: str) -> list[str]:
        return [str(value) for value in self.said.get_all(key) or []]


def metadata_files(places: Iterable[str] | None = None) -> list[Path]:
    """The metadata of each distribution: the first of several places is imported, and any of several in one place."""
    found: dict[str, list[Path]] = {}
    for place in dict.fromkeys(sys.path if places is None else places):
        here: dict[str, list[Path]] = {}
        folder = Path(place or ".")
        infos = [info for pattern in _PATTERNS for info in folder.glob(pattern)] if folder.is_dir() else []
        for info in infos:
            here.setdefault(canonicalize_name(info.stem.split("-")[0]), []).append(_file(info).absolute())
        found = here | found
    return sorted((file for files in found.values() for file in files), key=os.fspath)


def _file(info: Path) -> Path:
    if info.suffix == ".dist-info":
        return info / "METADATA"
    return info / "PKG-INFO" if info.is_dir() else info


def read(files: Iterable[Path]) -> tuple[list[Installed], list[tuple[str, str]]]:
    """The distributions that these files tell of, and the files that tell of none."""
    found, unread = [], []
    for file in files:
        try:
            with file.open("rb") as opened:
                said = BytesHeaderParser().parsebytes(opened.read(LARGEST))
            name, version = str(said["Name"] or ""), str(said["Version"] or "")
        except (OSError, ValueError, LookupError) as error:
            unread.append((_told(file), str(getattr(error, "strerror", None) or error)[:200]))
            continue
        if not name or not version:
            unread.append((_told(file), "it has no name or no version"))
            continue
        found.append(Installed(canonicalize_name(name), name, version, file, said))
    return sorted(found, key=lambda each: (each.name, each.version)), unread


def _told(file: Path) -> str:
    """A file of the environment, wherever that is."""
    return f"{file.parent.name}/{file.name}"


def chosen(installed: Sequence[Installed], of: Sequence[str]) -> tuple[list[Installed], list[tuple[str, str]]]:
    """Those that are needed for some, and what is needed and not there."""
    by: dict[str, list[Installed]] = {}
    for each in installed:
        by.setdefault(each.name, []).append(each)
    missing: list[tuple[str, str]] = []
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(Requirement(text), "the spec") for text in of]
    while waiting:
        needed, whose = waiting.pop()
        name, extras = canonicalize_name(needed.name), frozenset(needed.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name not in by:
            missing.append((needed.name, f"{whose} needs it, and it is not installed"))
            continue
        for one in by[name]:
            try:
                waiting += [(more, one.shown) for more in _needs(one, extras)]
            except InvalidRequirement as error:
                missing.append((one.path, f"what it needs can't be read: {str(error)[:100]}"))
    names = {name for name, _ in seen}
    return [each for each in installed if each.name in names], sorted(missing)


def _needs(one: Installed, extras: frozenset[str]) -> Iterator[Requirement]:
    for line in one.all("Requires-Dist"):
        needed = Requirement(line)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *sorted(extras))):
            yield needed


def excepted(options: Mapping[str, object]) -> dict[str, str]:
    """Why some packages are not looked at, by name."""
    given = options.get("except", {})
    assert isinstance(given, Mapping)
    return {canonicalize_name(str(name)): str(why) for name, why in given.items()}
