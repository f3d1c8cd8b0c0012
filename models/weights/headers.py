"""Reads the header of a safetensors file in plain Python, and trusts none of it.

Eight bytes say how long the header is, the header is JSON that says where each tensor lies, and the tensors fill the
rest of the file without a gap. Whatever doesn't is refused, and named for what it is where its first bytes tell.
"""

from __future__ import annotations

import json
import math
import pickletools
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from harness.contract import Refused

MOST = 100_000_000
"""Bytes that a header may have, as the format says."""

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "C64": 64,
}  # fmt: skip
"""The dtypes that MLX reads from a file, and how wide they are."""

FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}
"""Those that hold weights as they are computed with, by MLX's own names."""

_STRANGERS = {
    b"PK\x03\x04": "a zip archive, as PyTorch and NumPy write them",
    b"GGUF": "a GGUF file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run `git lfs pull`",
}


class Tensor(NamedTuple):
    """Where a tensor lies."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int
    """The first of its bytes in the file."""
    nbytes: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def read_header(file: Path) -> list[Tensor]:
    """The tensors of a safetensors file, or Refused with what is wrong with it."""
    try:
        if not file.is_file():  # a pipe or a device would never end
            _refuse(file, "is not a plain file")
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if size < 8 or not 2 <= length <= min(MOST, size - 8):
                _refuse_stranger(file, f"says that its header has {length} bytes, and has {max(size - 8, 0)} left")
            text = opened.read(length)
    except OSError as error:
        _refuse(file, f"can't be read: {error.strerror}")
    if text[:1] != b"{":
        _refuse_stranger(file, "has a header that does not start with {")
    return _laid_out(file, _parsed(file, text), 8 + length, size)


def _parsed(file: Path, text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key is there twice")
        return found

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        _refuse_stranger(file, f"has a header that is not JSON: {str(error)[:80]}")
    assert isinstance(header, dict)  # it starts with {
    meant = header.pop("__metadata__", None)
    if meant is None:  # what MLX writes of none
        return header
    if not isinstance(meant, dict) or not all(type(value) is str for value in meant.values()):
        _refuse(file, "has metadata that is not text by name")
    return header


def _laid_out(file: Path, header: dict[str, Any], begin: int, size: int) -> list[Tensor]:
    """The header's tensors, which must follow one another from its end to the end of the file."""
    found = sorted((_tensor(file, name, entry, begin) for name, entry in header.items()), key=lambda t: (t[4], t[5]))
    at = begin
    for tensor in found:
        if tensor.start != at:
            fault = "overlaps the one before it" if tensor.start < at else "leaves a gap before it"
            _refuse(file, f"is corrupt: {_shown(tensor.name)} {fault}")
        at += tensor.nbytes
    if at > size:
        _refuse(file, f"is cut short: its tensors need {at} bytes and it has {size}")
    if at < size:
        _refuse(file, f"is corrupt: {size - at} bytes after its last tensor")
    return found


def _tensor(file: Path, name: str, entry: Any, begin: int) -> Tensor:
    try:
        name.encode()
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if len(entry) > 3:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        _refuse(file, f"is corrupt: {_shown(name)} does not have just dtype, shape and data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        _refuse(file, f"holds {_shown(name)} as {_shown(dtype)}, which MLX does not read; save it as F32, F16 or BF16")
    numbers = [*shape, start, stop] if isinstance(shape, list) and len(shape) <= 32 else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        _refuse(file, f"is corrupt: {_shown(name)} has a shape or offsets that are not whole numbers")
    needed = math.prod(shape) * BITS[dtype] // 8
    if stop - start != needed:
        _refuse(file, f"is corrupt: {_shown(name)} has {stop - start} bytes, and its shape and dtype do not")
    return Tensor(name, dtype, tuple(shape), file, begin + start, needed)


def _shown(text: Any) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _refuse(file: Path, what: str) -> NoReturn:
    raise Refused(f"{file.name} {what}")


def _refuse_stranger(file: Path, what: str) -> NoReturn:
    """Say what a file is that is no safetensors file, where its first bytes tell, and `what` where they don't."""
    stranger = _stranger(file)
    if stranger:
        _refuse(file, f"is no safetensors file but {stranger}")
    _refuse(file, f"is no safetensors file, or a corrupt one: it {what}")


def _stranger(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            start = opened.read(4096)
    except OSError:
        return None
    for sign, name in _STRANGERS.items():
        if start.startswith(sign):
            return name
    return "a pickle, which can run any code when it is read" if _is_pickle(start) else None


def _is_pickle(start: bytes) -> bool:
    """By its first byte where it says its protocol, else by whether it reads as a pickle's instructions."""
    if start[:1] == b"\x80":
        return len(start) > 1 and start[1] <= 5
    if start[:1] not in {b"(", b"]", b"}", b"c"}:
        return False
    try:
        for count, _ in enumerate(pickletools.genops(start)):
            if count >= 8:
                return True
    except Exception:  # the reader of instructions has no one way to say that they are none
        return False
    return True
