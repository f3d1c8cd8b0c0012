"""What strangers wrote, for formats that show it as it stands: short, in one line, no places on a machine."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath

from reports.plain import cut, plain

MOST = 500
"""Signs of a text, unless told."""

_PLACE = re.compile(r"(?P<path>.+?)(?::\d{1,9}){0,2}", re.DOTALL)


def inert(text: object, most: int = MOST) -> str:
    return cut(plain(str(text)), most)


def file_of(at: str) -> str:
    """The file of a `file:line`, as the spec has it; only its name where that would be a place on a machine."""
    match = _PLACE.fullmatch(at)
    path = match["path"] if match else ""
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive:
        return PureWindowsPath(path).name
    return path
