"""What a model's weights are made of, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = ("layer", "type", "shape", "parameters", "bytes", "bits a weight", "not zero")


def table(title: str, layers: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `{name, type, shape, parameters, bytes, nonzero}`, a layer each, and their sum."""
    rows = [_row(layer) for layer in layers]
    total = {key: sum(layer[key] for layer in layers) for key in ("parameters", "bytes")}
    kept = sum(layer["parameters"] * layer["nonzero"] for layer in layers)
    share = kept / total["parameters"] if total["parameters"] else 1.0
    rows.append(_row({"name": "in all", "type": "", "shape": (), **total, "nonzero": share}))
    widths = [max(len(row[at]) for row in (_HEAD, *rows)) for at in range(len(_HEAD))]
    return "\n".join([title, *(_line(row, widths) for row in (_HEAD, *rows))])


def _row(layer: Mapping[str, Any]) -> tuple[str, ...]:
    bits = 8 * layer["bytes"] / layer["parameters"] if layer["parameters"] else 0.0
    shape = " x ".join(map(str, layer["shape"]))
    counts = (f"{layer['parameters']:,}", f"{layer['bytes']:,}", f"{bits:.4g}", f"{layer['nonzero']:.1%}")
    return (layer["name"], layer["type"], shape, *counts)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    words = [
        word.ljust(width) if at < 3 else word.rjust(width)
        for at, (word, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(words).rstrip()
