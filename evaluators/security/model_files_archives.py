"""What lies in archives and in compressed files, taken out a little at a time and only to look at it."""

from __future__ import annotations

import bz2
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import PureWindowsPath
from typing import IO, Any, NamedTuple

MEMBERS = 20_000
MOST = 512 << 20
"""Bytes that are taken out of an archive in all."""
PIECE = 64 << 20
"""Bytes that are taken out of one member."""
FIRST = 1 << 16
"""Bytes that are taken out of every member."""
_RATIO, _LARGE = 200, 1 << 30

_TROUBLE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, OverflowError,
    struct.error, UnicodeError,
)  # fmt: skip
_UNPACK: Mapping[str, Callable[[], Any]] = {
    "gzip": partial(zlib.decompressobj, 31),
    "zlib": zlib.decompressobj,
    "bz2": bz2.BZ2Decompressor,
    "xz": partial(lzma.LZMADecompressor, memlimit=MOST),
    "lzma": partial(lzma.LZMADecompressor, memlimit=MOST),
}
_STREAMS = 4000
"""Compressed streams in a row that are followed."""


Wanted = Callable[[str, bytes, int], bool]
"""Whether more than the first bytes are asked for, of something of this name and size that begins so."""


class Member(NamedTuple):
    """One thing in an archive."""

    name: str
    start: bytes
    """As much of it as was taken out."""
    whole: bool
    fault: str = ""
    """What is wrong with it, where something is."""
    rule: str = ""
    """The rule which that breaks; none where it just can't be read."""


def kind(start: bytes) -> str:
    """`zip`, `tar`, or how it is compressed; empty where it is none of these."""
    for sign, name in (
        (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "xz"),
    ):  # fmt: skip
        if start.startswith(sign):
            return name
    if start[257:262] == b"ustar" or _is_tar(start[:512]):
        return "tar"
    if start.startswith(b"\x5d\0\0") and (start[5:13] == b"\xff" * 8 or not any(start[10:13])):
        return "lzma"
    zlib_sign = len(start) > 1 and start[0] == 0x78 and start[1] in (0x01, 0x5E, 0x9C, 0xDA)
    return "zlib" if zlib_sign else ""


def _is_tar(header: bytes) -> bool:
    """Whether this is the header of a member by its checksum, which is all that the oldest form has."""
    try:
        tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except (*_TROUBLE, ValueError):
        return False
    return True


def ends_as_zip(opened: IO[bytes]) -> bool:
    """Whether readers of zip files, who begin at the end, find members in it whatever it begins with."""
    try:
        with zipfile.ZipFile(opened) as archive:
            return bool(archive.infolist())
    except (*_TROUBLE, ValueError, NotImplementedError):
        return False
    finally:
        opened.seek(0)


def unpacked(data: IO[bytes], how: str) -> tuple[bytes, bool]:
    """The beginning of a compressed file, and whether it is all of it; ValueError where it is broken.

    Streams that follow one another are one file, as their readers have it.
    """
    made = _UNPACK[how]()
    parts, size, streams = [], 0, 1
    try:
        while size < PIECE:
            piece = b"" if made.eof else data.read(1 << 16)
            if made.eof:
                piece = _after(made.unused_data, data)
                if how == "zlib" or kind(piece) != how:
                    break
                made, streams = _UNPACK[how](), streams + 1
            if not piece:
                break
            if streams > _STREAMS:
                raise ValueError(f"it is packed as more than {_STREAMS:,} pieces")
            part = made.decompress(piece, PIECE - size)
            parts.append(part)
            size += len(part)
    except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
        if not size:
            raise ValueError(f"it can't be unpacked: {str(error)[:80]}") from None
    return b"".join(parts), bool(made.eof)


def _after(left: bytes, data: IO[bytes]) -> bytes:
    """What comes after a stream and the zeros that may fill it up."""
    left = left.lstrip(b"\0")
    while len(left) < 16 and (piece := data.read(1 << 16)):
        left = (left + piece).lstrip(b"\0")
    return left


def members(opened: IO[bytes], how: str, wanted: Wanted) -> Iterator[Member]:
    """What is in a zip or tar archive: the first bytes of each, more where these are `wanted`.

    ValueError where it can't be read at all.
    """
    try:
        yield from _zipped(opened, wanted) if how == "zip" else _tarred(opened, wanted)
    except _TROUBLE as error:
        raise ValueError(f"its archive can't be read: {str(error)[:80]}") from None


def _zipped(opened: IO[bytes], wanted: Wanted) -> Iterator[Member]:
    with zipfile.ZipFile(opened) as archive:
        entries = archive.infolist()
        if len(entries) > MEMBERS:
            raise ValueError(f"it has {len(entries):,} members; {MEMBERS:,} are looked at")
        left, seen = MOST, set()
        for entry in entries:
            fault = _bad_name(entry.filename)
            if fault or entry.filename in seen:
                told = fault or "is in the archive twice: readers differ in which one they take"
                yield Member(entry.filename, b"", True, told, "archive-path")
            seen.add(entry.filename)
            if entry.external_attr >> 16 & 0o170000 == 0o120000:
                yield Member(entry.filename, b"", True, "is a link, which can lead anywhere", "archive-path")
                continue
            if entry.file_size > _LARGE and entry.file_size > _RATIO * max(entry.compress_size, 1):
                said = f"would grow from {entry.compress_size:,} to {entry.file_size:,} bytes"
                yield Member(entry.filename, b"", False, said, "archive-bomb")
            member = _member(entry.filename, partial(archive.open, entry), entry.file_size, wanted, left)
            left -= len(member.start)
            yield member


def _tarred(opened: IO[bytes], wanted: Wanted) -> Iterator[Member]:
    left = MOST
    with tarfile.open(fileobj=opened, mode="r:") as archive:
        for count, entry in enumerate(archive):
            if count >= MEMBERS:
                raise ValueError(f"it has more than {MEMBERS:,} members")
            fault = _bad_name(entry.name)
            if entry.isdev() or entry.isfifo():
                fault = fault or "is a device or a pipe"
            elif (entry.issym() or entry.islnk()) and _bad_name(entry.linkname):
                fault = fault or "is a link that leads out of the archive"
            if fault:
                yield Member(entry.name, b"", True, fault, "archive-path")
            if entry.isreg():
                member = _member(entry.name, partial(archive.extractfile, entry), entry.size, wanted, left)
                left -= len(member.start)
                yield member


def _member(name: str, opening: Callable[[], IO[bytes] | None], size: int, wanted: Wanted, left: int) -> Member:
    """What can be had of a member, even where it is damaged: others read on where Python's reader stops."""
    if left < FIRST:
        return Member(name, b"", False, f"was not looked at: {MOST:,} bytes were unpacked before it")
    parts: list[bytes] = []
    have, fault, most = 0, "", FIRST
    try:
        with opening() or BytesIO() as taken:
            while have < most:
                piece = taken.read(most - have)
                if not piece:
                    break
                if not parts and wanted(name, piece, size):
                    most = min(left, PIECE)
                parts.append(piece)
                have += len(piece)
    except _TROUBLE as error:
        fault = f"can't be read out of the archive: {str(error)[:80]}"
    return Member(name, b"".join(parts), have >= size, fault)


def _bad_name(name: str) -> str:
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or ".." in windows.parts or "\0" in name:
        return "would be unpacked outside of the folder"
    return ""
