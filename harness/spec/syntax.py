"""libyaml's complaints, in the user's words and at the line that is to be mended."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from harness.spec.faults import Page


class Complaint(NamedTuple):
    line: int
    column: int
    what: str
    instead: str = ""


_NO_SPACE = re.compile(r"\s*(?:- )?([\w-]+):(\S.*)")


def complaint(error: yaml.MarkedYAMLError, page: Page) -> Complaint:
    """Where to look, counted from 1, what is wrong there, and what to write instead."""
    problem, context = error.problem or "", error.context or ""
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    here = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    there = (start.line + 1, start.column + 1) if start else here
    text = page.line(here[0])
    if "\t" in text[: len(text) - len(text.lstrip())]:
        return Complaint(*here, "a tab indents this line", "indent with spaces")
    if "mapping values are not allowed" in problem:
        return _second_colon(here, text, page)
    if "escape" in problem:
        return Complaint(*here, problem, "write `\\\\` for a backslash, or use single quotes")
    if "quoted scalar" in context and "unexpected" in problem:
        return Complaint(*there, "this quote is never closed", "close it")
    if "could not find expected ':'" in problem:
        return Complaint(*there, "this line is no `key: value`", "write a colon and a space after the key")
    if "flow" in context:
        sign = "[" if "sequence" in context else "{"
        what = f"this `{sign}` is not closed, or something in it needs quotes"
        return Complaint(*there, what, 'close it, or quote what holds {, }, [, ], a comma or a colon: "${matrix.x}"')
    if "block" in context:
        what = f"this line does not line up with the block that starts on line {there[0]}"
        return Complaint(*here, what, "indent it as its neighbours are")
    if "cannot start any token" in problem:
        return Complaint(*here, "this character can't start a value", "quote the value")
    return Complaint(*here, " ".join(filter(None, [context, problem])) or "this is not YAML")


def _second_colon(here: tuple[int, int], text: str, page: Page) -> Complaint:
    """A colon too many on a line, or a line too far in under one that is complete, or lacks a space after its colon."""
    above = here[0] - 1
    while above > 1 and not page.line(above).strip():
        above -= 1
    if text[: here[1] - 1].count(":"):
        return Complaint(*here, "a second `:` on this line", "quote the text that contains it")
    glued = _NO_SPACE.fullmatch(page.line(above))
    if glued:
        column = page.line(above).index(":") + 1
        return Complaint(above, column, "there is no space after this `:`", f"write `{glued[1]}: {glued[2]}`")
    what = f"this line is further in than line {above}, which is complete"
    return Complaint(here[0], len(text) - len(text.lstrip()) + 1, what, "indent it as its neighbours are")
