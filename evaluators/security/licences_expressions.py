"""Licence expressions as SPDX writes them: `MIT OR (Apache-2.0 WITH LLVM-exception AND BSD-3-Clause)`."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import NamedTuple, NoReturn

_WORD = re.compile(r"\s*([()]|[A-Za-z0-9.+:_-]+)")
_DEEP = 50


class One(NamedTuple):
    """A single licence, with what is excepted from it."""

    id: str
    exception: str = ""


class Both(NamedTuple):
    """All of these hold."""

    parts: tuple[Expression, ...]


class Either(NamedTuple):
    """One of these may be chosen."""

    parts: tuple[Expression, ...]


Expression = One | Both | Either


class _Words:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.word = ""
        self.next()

    def next(self) -> str:
        """The word that was next; the one after it comes up."""
        before = self.word
        match = _WORD.match(self.text, self.at)
        if match is None and self.text[self.at :].strip():
            _refuse(self.text)
        self.word = match.group(1) if match else ""
        self.at = match.end() if match else len(self.text)
        return before

    def took(self, word: str) -> bool:
        if self.word.upper() != word:
            return False
        self.next()
        return True


def parse(text: str) -> Expression:
    """ValueError where it is no expression."""
    words = _Words(text)
    found = _either(words, 0)
    if words.word:
        _refuse(text)
    return found


def _either(words: _Words, depth: int) -> Expression:
    parts = [_both(words, depth)]
    while words.took("OR"):
        parts.append(_both(words, depth))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _both(words: _Words, depth: int) -> Expression:
    parts = [_one(words, depth)]
    while words.took("AND"):
        parts.append(_one(words, depth))
    return parts[0] if len(parts) == 1 else Both(tuple(parts))


def _one(words: _Words, depth: int) -> Expression:
    if depth > _DEEP:
        _refuse(words.text)
    if words.took("("):
        found = _either(words, depth + 1)
        if not words.took(")"):
            _refuse(words.text)
        return found
    id = _id(words)
    return One(id, _id(words)) if words.took("WITH") else One(id)


def _id(words: _Words) -> str:
    if words.word.upper() in ("", "(", ")", "AND", "OR", "WITH"):
        _refuse(words.text)
    return words.next()


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:80]!a} is no licence expression")


def lacking(expression: Expression, allowed: AbstractSet[str]) -> list[str]:
    """The licences that would have to be allowed too; of a choice, the fewest. Allowed ones are in lower case."""
    if isinstance(expression, Both):
        return list(dict.fromkeys(each for part in expression.parts for each in lacking(part, allowed)))
    if isinstance(expression, Either):
        return min((lacking(part, allowed) for part in expression.parts), key=len)
    return [] if _allowed(expression, allowed) else [spelled(expression)]


def _allowed(one: One, allowed: AbstractSet[str]) -> bool:
    """An exception only adds to what a licence permits; a later version may be chosen where one may."""
    id = one.id.lower()
    if one.exception and f"{id} with {one.exception.lower()}" in allowed:
        return True
    if id in allowed:
        return True
    for ending in ("+", "-or-later"):
        if id.endswith(ending):
            bare = id.removesuffix(ending)
            return not allowed.isdisjoint({bare, f"{bare}-only", f"{bare}-or-later", f"{bare}+"})
    return False


def spelled(expression: Expression) -> str:
    if isinstance(expression, One):
        return f"{expression.id} WITH {expression.exception}" if expression.exception else expression.id
    word = " AND " if isinstance(expression, Both) else " OR "
    return word.join(spelled(part) if isinstance(part, One) else f"({spelled(part)})" for part in expression.parts)
