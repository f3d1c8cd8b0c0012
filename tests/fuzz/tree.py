"""A spec as a tree that may be wrong, and its writing as YAML with the lines that each part came to stand on.

A mapping is a list of pairs, so that a key may stand twice; `Raw` is text that is written as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

Path = tuple[int, ...]


class Raw(str):
    """A scalar written without quotes, whatever it holds."""


class Pairs(list[list[Any]]):
    """A mapping: [key, value] by [key, value]."""

    def get(self, key: str) -> Any:
        return next((value for known, value in self if known == key), None)

    def put(self, key: str, value: Any) -> None:
        self[:] = [pair for pair in self if pair[0] != key] + [[key, value]]


class Span(NamedTuple):
    """The lines of a part: where its key stands, and where its value starts and ends; counted from 1."""

    key: int
    first: int
    last: int

    @property
    def lines(self) -> range:
        return range(self.key, self.last + 1)


def grown(value: Any) -> Any:
    """A tree of plain values."""
    if isinstance(value, dict):
        return Pairs([[key, grown(item)] for key, item in value.items()])
    if isinstance(value, list):
        return [grown(item) for item in value]
    return value


def copied(node: Any) -> Any:
    if isinstance(node, Pairs):
        return Pairs([[key, copied(value)] for key, value in node])
    return [copied(item) for item in node] if isinstance(node, list) else node


def at(node: Any, path: Path) -> Any:
    for index in path:
        node = node[index][1] if isinstance(node, Pairs) else node[index]
    return node


def put(tree: Any, path: Path, value: Any) -> None:
    holder = at(tree, path[:-1])
    if isinstance(holder, Pairs):
        holder[path[-1]][1] = value
    else:
        holder[path[-1]] = value


def key_of(tree: Any, path: Path) -> str:
    """The nearest key above a part, its own first."""
    for end in range(len(path), 0, -1):
        holder = at(tree, path[: end - 1])
        if isinstance(holder, Pairs):
            return str(holder[path[end - 1]][0])
    return ""


def walk(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every part below, the part itself first."""
    yield path, node
    if isinstance(node, Pairs):
        for index, (_, value) in enumerate(node):
            yield from walk(value, (*path, index))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from walk(item, (*path, index))


_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./*@+-]*(?: [A-Za-z0-9_./*-]+)*\Z")
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"}


def scalar(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        if _PLAIN.match(value) and value.lower() not in _NOT_PLAIN and not value.startswith("."):
            return value
        return json.dumps(value, ensure_ascii=not value.isprintable())
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        mantissa, e, power = repr(value).partition("e")
        return repr(value) if not e else f"{mantissa}{'' if '.' in mantissa else '.0'}e{power}"
    return str(value)


class Writer:
    """Writes a tree; the same dice write it the same way."""

    def __init__(self, tree: Any, dice: Random) -> None:
        self.dice = dice
        self.out: list[str] = []
        self.line = 1
        self.spans: dict[Path, Span] = {}
        if isinstance(tree, (Pairs, list)) and tree:
            self.block(tree, "", ())
        else:
            self.flow(tree, (), "")
            self.say("\n")
        self.spans[()] = Span(1, 1, self.line)

    @property
    def text(self) -> str:
        return "".join(self.out)

    def say(self, text: str) -> None:
        self.out.append(text)
        self.line += text.count("\n")

    def block(self, node: Any, indent: str, path: Path, *, begun: bool = False) -> None:
        for index, item in enumerate(node):
            if not begun:
                self.say(indent)
            begun = False
            here, key = (*path, index), self.line
            if isinstance(node, Pairs):
                self.say(f"{scalar(item[0])}:")
                self.value(item[1], indent, here, key)
            else:
                self.say("-")
                self.item(item, indent, here, key)

    def value(self, value: Any, indent: str, path: Path, key: int) -> None:
        if self.stacked(value):
            self.say("\n")
            first = self.line
            self.block(value, f"{indent}  ", path)
            self.spans[path] = Span(key, first, self.line - 1)
            return
        self.say(" ")
        self.flow(value, path, f"{indent}  ", key)
        self.say("\n")

    def item(self, item: Any, indent: str, path: Path, key: int) -> None:
        self.say(" ")
        if self.stacked(item):
            self.block(item, f"{indent}  ", path, begun=True)
            self.spans[path] = Span(key, key, self.line - 1)
            return
        self.flow(item, path, f"{indent}  ", key)
        self.say("\n")

    def stacked(self, value: Any) -> bool:
        if not isinstance(value, list) or not value:
            return False
        deep = any(isinstance(part, list) and part for part in (p[1] if isinstance(value, Pairs) else p for p in value))
        return self.dice.random() < (0.8 if deep else 0.3)

    def flow(self, value: Any, path: Path, indent: str, key: int | None = None) -> None:
        first = self.line
        if not isinstance(value, list):
            self.say(scalar(value))
        else:
            opening, closing = "{}" if isinstance(value, Pairs) else "[]"
            broken = len(value) > 2 and self.dice.random() < 0.1
            self.say(opening)
            for index, item in enumerate(value):
                if index:
                    self.say(f",\n{indent}" if broken else ", ")
                at_key = self.line
                if isinstance(value, Pairs):
                    self.say(f"{scalar(item[0])}: ")
                self.flow(item[1] if isinstance(value, Pairs) else item, (*path, index), indent, at_key)
            self.say(closing)
        self.spans[path] = Span(key or first, first, self.line)
