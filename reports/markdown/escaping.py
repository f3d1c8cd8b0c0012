"""What models and specs wrote, as GitHub and GitLab show it: as it is, never Markdown, HTML, a mention or a link."""

from __future__ import annotations

import re

from reports.plain import cut, plain

_MARKS = re.compile(r"[\\`*\[\]{}<>&|~$^]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_STARTS = re.compile(r"(?=[-+#=])|(?P<number>\d{1,9})(?=[.)])")
"""What would make a heading or a list of a line that it starts."""
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}
_IDS = re.compile(r"(?<!\S)([^\s`|]*::[^\s`|]*)(?!\S)")
# What services look for once the Markdown is shown, where no escape helps: people, issues, labels, emoji, addresses.
_CALLS = re.compile(
    r"""@|[#!%&~$](?=["\w+-])|:(?=//|(?!\d+:)[\w+-]+:|(?:100|1234):)|www(?=\.)|\bGH(?=-\d)""",
    re.IGNORECASE,
)
_APART, _TOLD_APART = "\u200b", "&#8203;"
"""A blank that takes no room; none is left in what was written."""


def prose(text: str, most: int = 500) -> str:
    """A part of a line: a sentence or some of it, a cell, an item. An id in it is code, so that it can be copied."""
    words = _IDS.split(cut(plain(text), most))
    shown = "".join(f"`{word}`" if number % 2 else _inert(word) for number, word in enumerate(words))
    start = _STARTS.match(shown)
    return f"{start[0]}\\{shown[start.end() :]}" if start else shown


def _inert(text: str) -> str:
    apart = _CALLS.sub(lambda found: found[0] + _APART, text)
    return _MARKS.sub(_escaped, apart).replace(_APART, _TOLD_APART)


def _escaped(match: re.Match[str]) -> str:
    return _ENTITIES.get(match[0]) or f"\\{match[0]}"


def code(text: str, most: int = 500) -> str:
    """The same as code, in which nothing means anything: ids, places, commands."""
    shown = cut(plain(text), most)
    if not shown:
        return ""
    if "|" in shown:
        return prose(text, most)  # a cell ends there, whether it is code or not
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    blank = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{blank}{shown}{blank}{fence}"
