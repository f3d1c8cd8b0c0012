"""What the configuration of a model asks its reader to run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

MOST = 64 << 20
"""Bytes of a configuration that is read."""
_NAMES = ("config.json", "params.json", "model_index.json", "adapter_config.json", "modules.json")
_LAMBDAS = ("Lambda", "TFOpLambda")
_NOTHING: tuple[Any, ...] = (None, False, "", {}, [])
_KEYS = {
    "class_name": ("high", "is a Keras layer that is Python code"),
    "model_file": ("high", "names a Python file that is run when the model is opened"),
    "auto_map": ("high", "maps classes to Python files beside it, which are run where remote code is trusted"),
    "custom_pipelines": ("high", "names pipelines in Python files, which are run where remote code is trusted"),
    "trust_remote_code": ("high", "asks its reader to trust code that comes with the model"),
}


class Named(NamedTuple):
    """A key that names code."""

    line: int
    severity: str
    what: str


def is_config(name: str) -> bool:
    """Whether a reader takes it for one, on a disk for which large and small letters are the same, too."""
    return name.lower() in _NAMES or name.lower().endswith("_config.json")


def _spelt(word: str) -> str:
    """A pattern for a word of JSON, whose letters may be written as `\\u0061`, too."""
    return '"' + "".join(rf"(?:{letter}|\\u00(?i:{ord(letter):02x}))" for letter in word) + '"'


_LAYER = re.compile(rf"{_spelt('class_name')}\s*:\s*(?:{'|'.join(_spelt(name) for name in _LAMBDAS)})".encode())


def has_code(opened: IO[bytes]) -> bool:
    """Whether a file that has JSON somewhere inside names a Keras layer that is Python code."""
    opened.seek(0)
    before = b""
    while piece := opened.read(1 << 22):
        if _LAYER.search(before + piece):
            return True
        before = (before + piece)[-4096:]
    return False


def code(data: bytes) -> list[Named]:
    """The keys that have code run, at any depth; ValueError where it is not JSON."""
    found: dict[str, Any] = {}

    def each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, value in pairs:
            if key in _KEYS and (value in _LAMBDAS if key == "class_name" else value not in _NOTHING):
                found.setdefault(key, value)
        return dict(pairs)

    try:
        text = data.decode("utf-8-sig")
        json.loads(text, object_pairs_hook=each)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return list(_named(found, text))


def _named(found: dict[str, Any], text: str) -> Iterator[Named]:
    for key, value in found.items():
        severity, what = _KEYS[key]
        at = text.find(f'"{key}"')  # -1 where it is written with escapes
        line = text.count("\n", 0, at) + 1 if at >= 0 else 0
        shown = ascii(value)
        yield Named(line, severity, f"`{key}` {what}: {shown if len(shown) <= 80 else shown[:77] + '...'}")
