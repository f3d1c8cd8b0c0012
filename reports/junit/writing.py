"""JUnit's XML, written so that any parser reads it: every sign is one that XML allows, and each figure adds up."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from reports.junit.telling import Row
from reports.plain import cut, lines, plain

_NAME = 300
"""Characters of a name; a longer one ends with a digest of all of it."""


class Suite(NamedTuple):
    """A testsuite."""

    name: str
    rows: Sequence[Row]
    timestamp: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int = 0
    said: str = ""
    """What a reader of the whole file should know."""


def document(suites: Sequence[Suite], most: int) -> bytes:
    """The file, in which a testcase tells no more than this many characters."""
    told = [_suite(suite, most) for suite in suites]
    counts = _counts([row for suite in suites for row in suite.rows])
    del counts["skipped"]  # the schema that Jenkins knows has no such attribute here
    seconds = _seconds(sum(sum(_milliseconds(suite.rows)) for suite in suites))
    head = _tag("testsuites", {"name": "hallmark", **counts, "time": seconds})
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *told, "</testsuites>", ""]).encode()


def _suite(suite: Suite, most: int) -> str:
    times = _milliseconds(suite.rows)
    body = [testcase(suite, row, each, most) for row, each in zip(suite.rows, times, strict=True)]
    said = [f"<system-out>{_text(suite.said, most=1_000)}</system-out>"] if suite.said else []
    return "\n".join([head(suite, _seconds(sum(times))), *body, *said, "</testsuite>"])


def head(suite: Suite, seconds: str) -> str:
    """A testsuite up to its first testcase."""
    stamp = {"timestamp": suite.timestamp} if suite.timestamp else {}
    tag = _tag("testsuite", {"name": _name(suite.name), **_counts(suite.rows), "time": seconds, **stamp})
    told = [
        _tag("property", {"name": name, "value": cut(plain(value), 1_000)}, "/") for name, value in suite.properties
    ]
    return "\n".join([tag, "<properties>", *told, "</properties>"] if told else [tag])


def testcase(suite: Suite, row: Row, milliseconds: int, most: int) -> str:
    place = {"file": suite.file} if suite.file else {}
    if suite.file and suite.line:
        place["line"] = str(suite.line)
    known = {"classname": _name(row.classname), "name": _name(row.name), **place, "time": _seconds(milliseconds)}
    if row.word == "passed":
        return _tag("testcase", known, "/")
    word = _tag(row.word, {"type": row.type, "message": cut(plain(row.line), min(most, 1_000))})
    return f"{_tag('testcase', known)}{word}{_text(row.text, most)}</{row.word}></testcase>"


def _counts(rows: Sequence[Row]) -> dict[str, str]:
    words = Counter(row.word for row in rows)
    found = {"tests": len(rows), "failures": words["failure"], "errors": words["error"], "skipped": words["skipped"]}
    return {name: str(many) for name, many in found.items()}


def _milliseconds(rows: Sequence[Row]) -> list[int]:
    """Of each, so that they add up to what all took together, however little each of them took."""
    told: list[int] = []
    whole, before = 0.0, 0
    for row in rows:
        whole += min(max(row.seconds, 0.0), 1e9) if math.isfinite(row.seconds) else 0.0
        told.append(round(whole * 1000) - before)
        before += told[-1]
    return told


def _seconds(milliseconds: int) -> str:
    """Seconds with three digits, as the schema has them."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _name(text: str) -> str:
    text = plain(text)
    if len(text) <= _NAME:
        return text
    return f"{text[: _NAME - 10]}…{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _tag(name: str, attributes: dict[str, str], end: str = "") -> str:
    told = "".join(f' {key}="{escape(plain(value), _QUOTED)}"' for key, value in attributes.items())
    return f"<{name}{told}{end}>"


_QUOTED = {'"': "&quot;"}


def _text(text: str, most: int) -> str:
    return escape(cut(lines(text), most))
