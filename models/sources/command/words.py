"""The words of a command: which program they start, and which files of the project decide what it answers."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.codec import digest_of_file
from harness.contract import Refused

_PYTHONS = ("python", "python3")


def mistake(words: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with a command as it is written, and what to write instead."""
    program = words[0]
    if not program.strip() or any("\0" in word for word in words):
        return "the command names no program", "write a program and its arguments: [python, agent.py]"
    if os.path.isabs(program):
        return f"`{program}` is an absolute path", "write the program's name, or its path from the project's root"
    if "/" in program and os.path.normpath(program).split("/")[0] == "..":
        return f"`{program}` leaves the project", "keep the program inside it, or write its name"
    if "/" not in program and len(words) == 1 and " " in program:
        return f"`{program}` is one word, and no shell splits it", f"write [{', '.join(program.split())}]"
    return None


def program(words: Sequence[str], root: Path) -> str:
    """The file to start: below the root where it is written with a slash, else as the environment finds it."""
    if (wrong := mistake(words)) is not None:
        raise Refused("; ".join(wrong))
    name = words[0]
    if "/" in name:
        path = root / name
        if not path.is_file():
            raise Refused(f"there is no program `{name}` in the project; paths are relative to its root")
        if not os.access(path, os.X_OK):
            raise Refused(f"`{name}` may not be executed; run chmod +x {shlex.quote(name)}")
        return str(path)
    found = shutil.which(name) or (sys.executable if name in _PYTHONS else None)
    if found is None:
        raise Refused(f"there is no program `{name}` on the PATH; install it, or write its path with a slash")
    return found


def sources(words: Sequence[str], root: Path) -> Mapping[str, str]:
    """Digests of the files of the project that the words name."""
    real = root.resolve()
    files = {word: Path(os.path.realpath(root / word)) for word in sorted(words)}
    ours = {word: file for word, file in files.items() if file.is_relative_to(real) and os.path.isfile(file)}
    return {word: digest_of_file(file) for word, file in ours.items()}
