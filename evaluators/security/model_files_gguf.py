"""What is wrong with the header of a GGUF file: every count and length is held against the bytes that are left."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value, by its type."""
_BOOL, _STRING, _ARRAY, _UINT32 = 7, 8, 9, 4
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2),
    26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
"""Numbers in a block, and bytes of it, by the type of a tensor."""
_DEEP = 4
_NAME, _KEY = 64, 65_535
_TEMPLATE = 4_000_000
"""Bytes that a chat template may have for us to look at it."""

Fault = tuple[str, str]


class _Broken(Exception):
    """A header that can't be read any further."""


class Header(NamedTuple):
    """What was read of a file."""

    faults: list[Fault]
    templates: dict[str, str]
    """Its chat templates, by key."""


class _Reader:
    """Reads numbers and strings, and never beyond the end."""

    def __init__(self, opened: BinaryIO, size: int) -> None:
        self.opened, self.size, self.order = opened, size, "<"
        self.narrow = False
        """The first version counts in 32 bits."""

    @property
    def left(self) -> int:
        return self.size - self.opened.tell()

    def take(self, count: int, what: str) -> bytes:
        if count > self.left:
            raise _Broken(f"{what} needs {count} bytes, and {self.left} are left")
        return self.opened.read(count)

    def skip(self, count: int, what: str) -> None:
        if count > self.left:
            raise _Broken(f"{what} needs {count} bytes, and {self.left} are left")
        self.opened.seek(count, 1)

    def number(self, code: str, what: str) -> int:
        (value,) = struct.unpack(self.order + code, self.take(struct.calcsize(self.order + code), what))
        return int(value)

    def count(self, what: str) -> int:
        return self.number("I" if self.narrow else "Q", what)

    def text(self, most: int, what: str) -> str:
        length = self.count(what)
        if length > most:
            raise _Broken(f"{what} has {length} bytes; {most} would be many")
        try:
            return self.take(length, what).decode()
        except UnicodeDecodeError as error:
            raise _Broken(f"{what} is not UTF-8") from error


def read(file: Path) -> Header:
    """All that is wrong with a file that begins as GGUF, and the chat templates it carries."""
    header = Header([], {})
    size = file.stat().st_size
    with file.open("rb") as opened:
        try:
            _read(_Reader(opened, size), header)
        except _Broken as error:
            header.faults.append(("gguf-header", str(error)))
    return header


def _read(reader: _Reader, header: Header) -> None:
    if reader.take(4, "its first word") != b"GGUF":
        raise _Broken("it does not start with GGUF")
    version = reader.number("I", "its version")
    if version and not version & 0xFFFF:
        reader.order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in (1, 2, 3):
        raise _Broken(f"its version is {version}; 1 to 3 are known")
    reader.narrow = version == 1
    tensors, pairs = reader.count("the number of tensors"), reader.count("the number of values")
    if tensors * 24 + pairs * 9 > reader.left:
        raise _Broken(f"{tensors} tensors and {pairs} values don't fit in the {reader.left} bytes that are left")
    alignment = _values(reader, pairs, header)
    _tensors(reader, tensors, alignment, header)


def _values(reader: _Reader, pairs: int, header: Header) -> int:
    """Read over the values, and tell to what the tensors are aligned."""
    alignment, seen = 32, set()
    for index in range(pairs):
        key = reader.text(_KEY, f"the key of value {index}")
        if key in seen:
            header.faults.append(
                ("gguf-keys", f"{ascii(key)[:80]} is there twice: readers differ in which one they take")
            )
        seen.add(key)
        kind = reader.number("I", f"the type of {ascii(key)[:80]}")
        if key == "general.alignment" and kind == _UINT32:
            alignment = reader.number("I", "the alignment")
            if not 8 <= alignment <= 1 << 20 or alignment & (alignment - 1):
                raise _Broken(f"an alignment of {alignment}")
        elif kind == _STRING and key.split(".")[:2] == ["tokenizer", "chat_template"]:
            header.templates[key] = reader.text(_TEMPLATE, f"the value of {ascii(key)[:80]}")
        else:
            _value(reader, kind, f"the value of {ascii(key)[:80]}", 0)
    return alignment


def _value(reader: _Reader, kind: int, what: str, depth: int) -> None:
    if kind in _SIZES:
        if kind == _BOOL and reader.take(1, what) not in (b"\0", b"\1"):
            raise _Broken(f"{what} is neither true nor false")
        if kind != _BOOL:
            reader.skip(_SIZES[kind], what)
    elif kind == _STRING:
        reader.skip(reader.count(what), what)
    elif kind == _ARRAY and depth < _DEEP:
        inner, length = reader.number("I", what), reader.count(what)
        if inner in _SIZES:
            reader.skip(length * _SIZES[inner], what)
            return
        if (length * 8 > reader.left and not reader.narrow) or length * 4 > reader.left:
            raise _Broken(f"{what} is said to have {length} parts, and {reader.left} bytes are left")
        for _ in range(length):
            _value(reader, inner, what, depth + 1)
    else:
        raise _Broken(f"{what} is of the unknown type {kind}" if kind != _ARRAY else f"{what} is nested too deep")


def _tensors(reader: _Reader, count: int, alignment: int, header: Header) -> None:
    places: list[tuple[int, int, str]] = []
    seen: set[str] = set()
    for index in range(count):
        name = reader.text(_NAME, f"the name of tensor {index}")
        if name in seen:
            header.faults.append(("gguf-keys", f"there are two tensors {name!a}"))
        seen.add(name)
        dimensions = reader.number("I", f"the shape of {name!a}")
        if dimensions > 4:
            raise _Broken(f"{name!a} has {dimensions} dimensions; 4 are allowed")
        shape = [reader.count(f"the shape of {name!a}") for _ in range(dimensions)]
        kind, offset = reader.number("I", f"the type of {name!a}"), reader.number("Q", f"where {name!a} is")
        size = _size(name, shape, kind, header)
        if offset % alignment:
            header.faults.append(("gguf-layout", f"{name!a} is at {offset}, which is not aligned to {alignment}"))
        places.append((offset, offset + size, name))
    begin = -(-reader.opened.tell() // alignment) * alignment
    room, at = max(reader.size - begin, 0), 0
    for start, stop, name in sorted(places):
        if start < at:
            header.faults.append(("gguf-layout", f"{name!a} overlaps the tensor before it"))
        if stop > room:
            said = f"{name!a} ends at {stop}, beyond the {room} bytes that the file has"
            header.faults.append(("gguf-layout", said))
        at = max(at, stop)


def _size(name: str, shape: list[int], kind: int, header: Header) -> int:
    """Bytes of a tensor; 0 where that can't be told."""
    size = math.prod(shape)
    if size >= 1 << 63:
        raise _Broken(f"the numbers of {name!a} can't be counted in 64 bits")
    if kind not in _BLOCKS:
        header.faults.append(("gguf-header", f"{name!a} is of the unknown type {kind}"))
        return 0
    block, width = _BLOCKS[kind]
    if shape and shape[0] % block:
        header.faults.append(("gguf-layout", f"{name!a} has rows of {shape[0]}, which blocks of {block} don't fill"))
    return -(-size // block) * width
