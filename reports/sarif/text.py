"""Text and places as SARIF has them: short, inert, relative to the root."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple
from urllib.parse import quote

MOST = 1_000
"""UTF-16 units of a message or a description; services take 1,024 and cut off the rest."""

_PLACE = re.compile(r"(?P<path>.+?)(?::(?P<line>[1-9]\d{0,8}))?(?::\d{1,9})?", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{(?=\d)")


class Place(NamedTuple):
    """A line of a file, from the project's root."""

    path: str
    line: int

    @property
    def uri(self) -> str:
        return quote(self.path)


def place_of(at: str, *, lines: bool = True) -> Place | None:
    """`path:line` as a place; None where that is no file within the root.

    Where no line is told it is the first: services show no result that has none. `lines` is False for a path that may
    itself end like a line.
    """
    match = _PLACE.fullmatch(at)
    if match is None:
        return None
    path, line = (match["path"], int(match["line"] or 1)) if lines else (at, 1)
    parts = path.split("/")
    if ".." in parts or path.startswith("/") or parts[-1] in ("", "."):
        return None
    return Place("/".join(part for part in parts if part != "."), line)


def shortened(text: str, most: int = MOST) -> str:
    """One line of plain text in which nothing controls a terminal, is a placeholder or makes a link.

    A SARIF viewer puts arguments for `{0}` and turns `[text](target)` into a link: what a model said, or what stands in
    a scanned file, must not have that happen.
    """
    shown = text if text.isascii() and text.isprintable() else "".join(map(_shown, text))
    shown = _PLACEHOLDER.sub("{ ", " ".join(shown.split())).replace("](", "] (")
    coded = shown.encode("utf-16-le")
    if len(coded) <= 2 * most:
        return shown
    return coded[: 2 * (most - 1)].decode("utf-16-le", "ignore") + "…"


def _shown(sign: str) -> str:
    """Marks that turn writing around, or that nobody sees, are dropped; what breaks a line becomes a blank."""
    category = unicodedata.category(sign)
    return "" if category == "Cf" else " " if category in ("Cc", "Cs", "Co", "Zl", "Zp") else sign


def name_of(text: str) -> str:
    """A part of a rule's id: a word that is the same wherever it is shown."""
    return re.sub(r"[^\w.+-]+", "-", text, flags=re.ASCII).strip("-")[:60] or "other"
