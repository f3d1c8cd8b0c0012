"""Bytes changed without regard to what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.fuzz.odd import rows

_BYTES = rows(
    """
\x00 ¦ \xff ¦ \xef\xbb\xbf ¦ \xff\xfe ¦ \xed\xa0\x80 ¦ \xc0\x80 ¦ \xf4\x90\x80\x80 ¦ \xc2\x85 ¦ \xe2\x80\xa8 ¦ \x1b]0;x\x07
&a  ¦ *a ¦ !! ¦ <<:  ¦ { ¦ [ ¦ } ¦ " ¦ ' ¦ # ¦ : ¦ - ¦ ? ¦ % ¦ @ ¦ ` ¦ , ¦ ${ ¦ e9 ¦ 999999999999999999999999999999 ¦ \\
"""
)
ODD = (
    *(word.encode("latin-1") for word in _BYTES),
    b"\r",
    b"\r\n",
    b"\t",
    b"\n\n",
    b"\n---\n",
    b"\n...\n",
    b"|\n",
    b">\n",
    b": ",
    b"- ",
)


def _at(dice: Random, data: bytes) -> int:
    return dice.randint(0, len(data))


def flipped(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    bad = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8)) if bad else 0):
        bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
    return bytes(bad)


def randomised(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    bad = bytearray(data)
    for _ in range(dice.choice((1, 2, 8, 30)) if bad else 0):
        bad[dice.randrange(len(bad))] = dice.randrange(256)
    return bytes(bad)


def deleted(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start = _at(dice, data)
    return data[:start] + data[start + dice.choice((1, 1, 2, 10, 100)) :]


def inserted(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start = _at(dice, data)
    return data[:start] + dice.choice(ODD) * dice.choice((1, 1, 1, 3, 100)) + data[start:]


def doubled(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, stop = sorted((_at(dice, data), _at(dice, data)))
    return data[:stop] + data[start:stop] * dice.choice((1, 1, 2, 20)) + data[stop:]


def spliced(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = dice.choice(others)
    start = _at(dice, other)
    return data[: _at(dice, data)] + other[start : start + dice.choice((5, 50, 5000))] + data[_at(dice, data) :]


def truncated(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: _at(dice, data)]


def recoded(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(
        dice.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp1252", "utf-7")), "replace"
    )


def returned(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data.replace(
        b"\n", dice.choice((b"\r\n", b"\r", b"\n\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\n\n", b"\0\n", b" "))
    )


WAYS = (
    flipped,
    flipped,
    randomised,
    deleted,
    deleted,
    inserted,
    inserted,
    doubled,
    spliced,
    truncated,
    recoded,
    returned,
)


def mangled(dice: Random, data: bytes, others: Sequence[bytes]) -> tuple[str, bytes]:
    """The way, and what came of it."""
    way = dice.choice(WAYS)
    data = way(dice, data, others)
    if dice.random() < 0.2:
        data = dice.choice(WAYS)(dice, data, others)
    return way.__name__, data[:1_000_000]
