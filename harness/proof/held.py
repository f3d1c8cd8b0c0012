"""The files of a folder that somebody else may have written: read once each, and nothing that is no plain file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from harness.proof.regrading import Problem
from harness.proof.signing import SIGNATURES, sha256

_MOST = 1 << 32
"""Bytes of a file that is read: what a stranger left may be no file of ours."""


class Unreadable(Exception):
    def __init__(self, file: str, what: str) -> None:
        super().__init__(file, what)
        self.problem = Problem(file, what)


class Held:
    """The files of a folder, each read once, so that what is checked is what was looked at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: dict[str, bytes] = {}
        self.files: set[str] = set()
        self.odd: dict[str, str] = {}
        """What is neither a file nor a folder, and what it is."""
        for folder, folders, files in os.walk(path, onerror=_refuse):
            for each in [*folders, *files]:
                whole = Path(folder) / each
                mode, name = whole.lstat().st_mode, whole.relative_to(path).as_posix()
                if name != (told := name.encode("utf-8", "backslashreplace").decode()):
                    self.odd[told] = "called by a name that is not text"
                elif stat.S_ISREG(mode):
                    self.files.add(name)
                elif not stat.S_ISDIR(mode):
                    self.odd[name] = "a link" if stat.S_ISLNK(mode) else "no plain file"

    def read(self, name: str) -> bytes:
        if name not in self._read:
            self._read[name] = read_plain(self.path / name, name)
        return self._read[name]

    def digests(self) -> dict[str, str]:
        return {name: sha256(self.read(name)) for name in sorted(self.files - set(SIGNATURES))}


def _refuse(error: OSError) -> None:
    raise Unreadable(Path(error.filename).name, f"it can't be read: {error.strerror}")


def read_plain(path: Path, name: str, *, links: bool = False) -> bytes:
    """A plain file's bytes; a pipe would keep us waiting for ever."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW))
        with os.fdopen(handle, "rb") as file:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise Unreadable(name, "it is no plain file")
            if facts.st_size > _MOST:
                raise Unreadable(name, f"it has more than {_MOST:,} bytes")
            return file.read()
    except OSError as error:
        raise Unreadable(name, f"it can't be read: {error.strerror}") from None
