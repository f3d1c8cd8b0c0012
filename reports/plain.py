"""What models and specs wrote, as plain text that neither speaks to a terminal nor hides anything from a reader."""

from __future__ import annotations

import re
from typing import Any

from harness.codec import to_json
from harness.contract import Outcome

# Told by their numbers and not by a table of signs, which grows with Python: a report reads alike under each.
_UNSEEN = re.compile(
    "[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)
_BLANKS = re.compile(r"[ \t\r\n]+")
_UNSEEN_IN_LINES = re.compile(_UNSEEN.pattern.replace("\0-\x1f", "\0-\x09\x0b-\x1f"))


def plain(text: str) -> str:
    """One line of what was written: blanks as one blank, and every sign that is not seen spelled out."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _UNSEEN.sub(_spelled, _BLANKS.sub(" ", text).strip(" "))


def lines(text: str) -> str:
    """The same, but lines stay lines, and blanks are as they were."""
    return _UNSEEN_IN_LINES.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"


def brief(value: Any, most: int = 400) -> str:
    """A plain value in one line."""
    try:
        text = to_json(value).decode()
    except ValueError:
        return "no plain value"
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def why(outcome: Outcome) -> str:
    """What is wrong with an outcome, in one line."""
    told = "; ".join(f"{'' if each.at == '.' else f'{each.at}: '}{each.why}" for each in outcome.differences)
    return plain(outcome.reason or told) or "no reason was told"
