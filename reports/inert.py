"""Text of strangers made inert for formats that show it as it stands: one line, nothing that controls or hides."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

MOST = 500
"""Signs of a text, unless told."""

_PLACE = re.compile(r"(?P<path>.+?)(?::\d{1,9}){0,2}", re.DOTALL)


def inert(text: object, most: int = MOST) -> str:
    """One line, in which whatever controls a terminal, turns writing around or is seen by nobody is spelled out."""
    line = " ".join(str(text).split())
    shown = line if line.isascii() and line.isprintable() else "".join(map(_shown, line))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _shown(sign: str) -> str:
    if unicodedata.category(sign)[0] != "C" and sign not in "\u2028\u2029":
        return sign
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def file_of(at: str) -> str:
    """The file of a `file:line`, as the spec has it; only its name where that would be a place on a machine."""
    match = _PLACE.fullmatch(at)
    path = match["path"] if match else ""
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive:
        return PureWindowsPath(path).name
    return path
