"""YAML with some values changed that stand on one line each, and every other byte left as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from msgspec import UNSET

from harness.spec.text import Surprise, read_plain

_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9_. -]*[A-Za-z0-9_])?")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotSafe(Exception):
    """Why a value can't be changed here without touching something else."""


class Node:
    """A value, and where it stands."""

    __slots__ = ("end", "flow", "items", "kind", "line", "named", "path", "start", "style", "value")

    def __init__(self, kind: str, event: Any, start: int, path: tuple[str | int, ...]) -> None:
        self.kind = kind
        self.start = start
        self.end = start
        self.line = event.start_mark.line + 1
        self.named = bool(getattr(event, "anchor", None))
        self.flow = bool(getattr(event, "flow_style", False))
        self.style = getattr(event, "style", None)
        self.value = getattr(event, "value", None)
        self.path = path
        self.items: dict[str | int, Node] = {}


def nodes(text: str) -> Iterator[Node]:
    """Every mapping, list, value and alias of a document that the strict reader has read."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def offset(mark: Any) -> int:
        return int(starts[mark.line] + mark.column)

    stack: list[tuple[Node, list[Any]]] = []
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()[0].end = offset(event.end_mark)
            continue
        kinds = {yaml.MappingStartEvent: "map", yaml.SequenceStartEvent: "list", yaml.ScalarEvent: "value"}
        kind = "alias" if isinstance(event, yaml.AliasEvent) else kinds.get(type(event), "")
        if not kind:
            continue
        above, key = stack[-1] if stack else (None, [])
        if above is not None and above.kind == "map" and not key:
            key.append(getattr(event, "value", ""))
            continue
        step = [key.pop()] if key else [len(above.items)] if above is not None else []
        node = Node(kind, event, offset(event.start_mark), (*(above.path if above is not None else ()), *step))
        node.end = offset(event.end_mark)
        if above is not None:
            above.items[step[0]] = node
        if kind in ("map", "list"):
            stack.append((node, []))
        yield node


def case_nodes(text: str) -> dict[str, list[Node]]:
    """The mappings that may be cases, by their ids."""
    found: dict[str, list[Node]] = {}
    for node in list(nodes(text)):
        if node.kind == "map" and node.path and isinstance(node.path[-1], int) and "id" in node.items:
            found.setdefault(str(node.items["id"].value), []).append(node)
    return found


def case_node(known: Mapping[str, list[Node]], case: str, line: int) -> Node:
    """The mapping of a case: of several with its id, the one on that line."""
    found = known.get(case, [])
    found = found if len(found) == 1 else [node for node in found if node.line == line]
    if len(found) != 1:
        raise NotSafe("it can't be told apart from others")
    return found[0]


def put_values(
    text: str, case: Node, changes: Sequence[tuple[tuple[str | int, ...], Any]]
) -> list[tuple[int, int, str]]:
    """What to write where, so that a case's `expect` has other values at these places."""
    return [_put(text, case, ("expect", *path), now) for path, now in changes]


def _put(text: str, node: Node, path: tuple[str | int, ...], now: Any) -> tuple[int, int, str]:
    if now is UNSET:
        raise NotSafe("a key has to be taken out")
    for step in path:
        if node.named:
            raise NotSafe("it has an anchor")
        if node.kind == "alias":
            raise NotSafe("it is an alias")
        if step not in node.items:
            raise NotSafe("a key has to be added")
        node = node.items[step]
    if node.named or node.kind == "alias":
        raise NotSafe("it is an alias" if node.kind == "alias" else "it has an anchor")
    old = text[node.start : node.end]
    if node.kind == "value" and (node.style in ("|", ">") or "\n" in old):
        raise NotSafe("the text there has several lines")
    if node.kind != "value" and (not node.flow or "#" in old):
        raise NotSafe("what is there has lines of its own")
    lead = " " if node.start == node.end else ""
    return node.start, node.end, lead + spell(now, node.style if node.kind == "value" else '"')


def spell(value: Any, style: str | None = '"') -> str:
    """A value as the strict reader reads it, quoted as what stood there was."""
    if isinstance(value, str):
        return _text(value, style)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key, chr(34))}: {spell(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spell, value)) + "]"
    if isinstance(value, float):
        spelled = repr(value)
        return spelled if "e" not in spelled or "." in spelled else spelled.replace("e", ".0e")
    return json.dumps(value)


def _text(text: str, style: str | None) -> str:
    if style == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if not style and _PLAIN.fullmatch(text):
        try:
            if read_plain(text) == text:
                return text
        except Surprise:
            pass
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(short.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
