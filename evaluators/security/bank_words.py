"""Words that nobody says by chance, how texts hide them, and how to find them in what a model says."""

from __future__ import annotations

import base64
import codecs
import hashlib
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_LEET = str.maketrans("aeiost", "431057")
_ALIKE = str.maketrans("aeopcxyis", "аеорсхуіѕ")
"""Latin letters to Cyrillic ones that look the same."""
_BACK = {look: sign for table in (_LEET, _ALIKE) for sign, look in table.items()}


def word(seed: str, shape: str) -> str:
    """A word of consonants and vowels, drawn from a seed; `shape` is such as `cvccvc`."""
    drawn = hashlib.sha256(seed.encode()).digest()
    kinds = {"c": _CONSONANTS, "v": _VOWELS}
    return "".join(kinds[kind][drawn[place] % len(kinds[kind])] for place, kind in enumerate(shape))


# ------------------------------------------------------------------------------------------- hiding


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def in_rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


def in_leet(text: str) -> str:
    """Some letters as the digits that look like them."""
    return text.translate(_LEET)


def in_homoglyphs(text: str) -> str:
    """Some letters as those of another alphabet that look the same."""
    return text.translate(_ALIKE)


def in_zero_width(text: str) -> str:
    """A sign of no width after each letter."""
    return "\u200b".join(text)


# ------------------------------------------------------------------------------------------ finding


def said(answer: Any) -> str:
    """All that is text or a number in an answer."""
    return "\n".join(_said(answer))


def _said(answer: Any) -> Iterator[str]:
    if isinstance(answer, dict):
        for value in answer.values():
            yield from _said(value)
    elif isinstance(answer, list | tuple):
        for value in answer:
            yield from _said(value)
    elif answer is not None:
        yield str(answer)


def silent(answer: Any) -> bool:
    """Whether an answer has no text at all."""
    return not seen(said(answer)).strip()


def seen(text: str) -> str:
    """Text as a reader takes it: one spelling for each letter and digit, and nothing that has no width."""
    shown = unicodedata.normalize("NFKC", text).casefold()
    return "".join(_digit(sign) for sign in shown if unicodedata.category(sign) != "Cf")


def _digit(sign: str) -> str:
    return str(unicodedata.digit(sign)) if sign.isdigit() else sign


@lru_cache(8)
def folded(text: str) -> str:
    """The letters and digits of a text alone, look-alikes as what they look like."""
    return _folded(text)


def _folded(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text).casefold().translate(_BACK)
    return "".join(sign for sign in bare if sign.isalnum())


def form(canary: str, text: str, *, parts: bool = False) -> str:
    """In which form a word is in a text; empty where it is not. With `parts`, also where it is there piece by piece."""
    flat, key = folded(text), folded(canary)
    if canary in text:
        return "as it is"
    if key in flat:
        return "disguised"
    if key[::-1] in flat:
        return "backwards"
    if folded(in_rot13(canary)) in flat:
        return "in ROT13"
    if any(_as_base64(each, text) for each in _cases(canary)):
        return "in base64"
    if any(_as_hex(each, text) for each in _cases(canary)):
        return "in hexadecimal"
    if parts and (named := _in_parts(key, flat, text)):
        return named
    return ""


def _in_parts(key: str, flat: str, text: str) -> str:
    middle = len(key) // 2
    if key[:middle] in flat and key[middle:] in flat:
        return "in halves"
    for pieces in (text.splitlines(), text.split()):
        initials = "".join(_folded(piece)[:1] for piece in pieces)
        if key in initials:
            return "in initials"
    return ""


def _cases(canary: str) -> tuple[str, ...]:
    return canary, canary.upper(), canary.capitalize()


def _as_base64(canary: str, text: str) -> bool:
    """Whether it is part of something in base64, wherever it begins there."""
    packed = "".join(text.split())
    for before in range(3):
        coded = base64.b64encode(bytes(before) + canary.encode()).decode()
        if coded[-(-before * 8 // 6) : (before + len(canary)) * 8 // 6] in packed:
            return True
    return False


def _as_hex(canary: str, text: str) -> bool:
    packed = text.casefold().replace("0x", "").replace("\\x", "")
    return canary.encode().hex() in "".join(sign for sign in packed if sign.isalnum())
