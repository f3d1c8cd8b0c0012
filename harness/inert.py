"""Text in the log of a CI job, where some lines are commands."""

from __future__ import annotations

import re

# GitHub's runner takes a command at the start of a line, blanks before it or not, and an older spelling of one anywhere
# in a line. Azure's and TeamCity's look alike.
_COMMAND = re.compile(r"(?P<start>^\s*):(?=:)|#(?=#\w*\[)", re.MULTILINE)


def inert(text: str) -> str:
    """The text with no line that a CI service takes for a command: its first sign is spelled out."""
    if "::" not in text and "##" not in text:
        return text
    return _COMMAND.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    return "\\u0023" if match["start"] is None else f"{match['start']}\\u003a"
