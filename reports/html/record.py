"""The run's own record, packed into the page, so that whoever has the page alone can compute it again."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from binascii import Error
from collections.abc import Mapping
from typing import NamedTuple

FILES = ("plan.json", "outcomes.jsonl")
_MOST = 1 << 30
"""Bytes that a part may unpack to: a page is small, and what a stranger packed into it may not be."""
_OPENS = b'<script type="application/octet-stream"'
_PART = re.compile(
    rb'<script type="application/octet-stream" data-file="([a-z.]{1,40})" data-sha256="([0-9a-f]{64})">([^<]*)</script>'
)


class Part(NamedTuple):
    file: str
    sha256: str
    """Of the text."""
    text: str
    """The file's bytes, compressed, in base64."""


def pack(data: Mapping[str, bytes]) -> list[Part]:
    """The files as text that stands in a page and means nothing to a browser."""
    packed = [(file, base64.b64encode(zlib.compress(data[file], 9))) for file in FILES]
    return [Part(file, hashlib.sha256(text).hexdigest(), text.decode()) for file, text in packed]


def record_of(page: bytes) -> dict[str, bytes]:
    """The files that travel in a page; a ValueError says why it can't be believed that they do."""
    parts = _PART.findall(page)
    if page.count(_OPENS) != len(parts) or [name.decode() for name, _, _ in parts] != list(FILES):
        raise ValueError(f"it does not hold the record of a run: {' and '.join(FILES)}, once each")
    return {name.decode(): _unpacked(name.decode(), digest.decode(), text) for name, digest, text in parts}


def _unpacked(file: str, digest: str, text: bytes) -> bytes:
    if hashlib.sha256(text).hexdigest() != digest:
        raise ValueError(f"{file} in it does not fit its digest")
    try:
        packed = base64.b64decode(text, validate=True)
    except Error:
        raise ValueError(f"{file} in it is not base64") from None
    if base64.b64encode(packed) != text:
        raise ValueError(f"{file} in it is not written as base64 writes it")
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, _MOST)
    except zlib.error:
        raise ValueError(f"{file} in it can't be unpacked") from None
    if stream.unconsumed_tail:
        raise ValueError(f"{file} in it unpacks to more than {_MOST:,} bytes")
    if not stream.eof or stream.unused_data:
        raise ValueError(f"{file} in it {'goes on after its end' if stream.eof else 'is cut off'}")
    return data


def without(page: bytes) -> bytes:
    """The page less its packed files, which another zlib may pack into other bytes."""
    return _PART.sub(rb'<script type="application/octet-stream" data-file="\1"></script>', page)
