"""What is wrong with a safetensors file: its header is read in plain Python, and none of it is trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

MOST = 100_000_000
"""Bytes that a header may have, as the format says."""
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""How wide the dtypes are that the format knows."""

Fault = tuple[str, str]
"""A rule, and what is wrong."""


class _Broken(Exception):
    """A header that can't be read any further."""


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file begins as one: the length of a header that fits, and a JSON object."""
    return len(start) > 8 and start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= min(MOST, size - 8)


def faults(file: Path) -> Iterator[Fault]:
    """All that is wrong with the header and with what it says of the rest of the file."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or not 2 <= length <= size - 8:
            yield "safetensors-header", f"its header is said to have {length} bytes, and {max(size - 8, 0)} are left"
            return
        if length > MOST:
            yield "safetensors-header", f"its header has {length} bytes; the format allows {MOST}"
            return
        text = opened.read(length)
    try:
        header, twice = _parsed(text)
        if twice:
            yield "safetensors-keys", f"{_shown(twice)} is in its header twice: readers differ in which one they take"
            return
        yield from _described(header)
        yield from _laid_out(header, size - 8 - length)
    except _Broken as error:
        yield "safetensors-header", str(error)


def _parsed(text: bytes) -> tuple[dict[str, Any], str]:
    """The header, and a key that is in it twice."""
    twice = ""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found: dict[str, Any] = {}
        for key, value in pairs:
            twice = twice or (key if key in found else "")
            found[key] = value
        return found

    if text[:1] != b"{":
        _break("its header does not start with {")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        _break(f"its header is not JSON: {str(error)[:80]}")
    assert isinstance(header, dict)  # it starts with {
    return header, twice


def _described(header: dict[str, Any]) -> Iterator[Fault]:
    """What is wrong with the words beside the tensors; they are taken out."""
    meant = header.pop("__metadata__", None)
    if meant is not None and not (isinstance(meant, dict) and all(isinstance(value, str) for value in meant.values())):
        yield "safetensors-header", "its metadata is not text by name"


def _laid_out(header: dict[str, Any], room: int) -> Iterator[Fault]:
    """What is wrong with where the tensors lie: one after the other, to the very end of the file."""
    places: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        dtype, shape, start, stop = _entry(name, entry)
        if stop > room:
            yield "safetensors-layout", f"{_shown(name)} ends at {stop}, beyond the {room} bytes that the file has"
        bits = math.prod(shape) * BITS[dtype] if dtype in BITS else None
        if bits is None:
            yield "safetensors-shape", f"{_shown(name)} is of the unknown dtype {_shown(dtype)}"
        elif bits % 8 or bits // 8 != stop - start:
            yield "safetensors-shape", f"{_shown(name)} has {stop - start} bytes; its shape and dtype need {bits / 8:g}"
        places.append((start, stop, name))
    at = 0
    for start, stop, name in sorted(places):
        if start != at:
            fault = (
                "overlaps the tensor before it" if start < at else f"leaves {start - at} bytes before it to no tensor"
            )
            yield "safetensors-layout", f"{_shown(name)} {fault}"
        at = max(at, stop)
    if at < room:
        yield "safetensors-layout", f"{room - at} bytes after the last tensor belong to none"


def _entry(name: str, entry: Any) -> tuple[str, list[int], int, int]:
    shown = _shown(name)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _break(f"{shown} does not have just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or len(shape) > 64:
        _break(f"{shown} has no dtype or no shape")
    if not isinstance(offsets, list) or len(offsets) != 2:
        _break(f"{shown} has no two offsets")
    if (
        not all(type(number) is int and 0 <= number < 1 << 63 for number in [*shape, *offsets])
        or offsets[0] > offsets[1]
    ):
        _break(f"{shown} has a shape or offsets that can't be")
    return dtype, shape, offsets[0], offsets[1]


def _break(what: str) -> NoReturn:
    raise _Broken(what)


def _shown(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."
