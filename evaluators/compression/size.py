"""What weights weigh, and what they ought to weigh by their bits and groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FOOTPRINT = "footprint"
"""The case in which the models themselves are looked at."""


def discrepancies(weights: Mapping[str, Any] | None) -> Iterator[str]:
    """Groups of packed layers that take more or fewer bytes than the formula says."""
    for part in (weights or {}).get("quantized", ()):
        ought = formula_bits(part) * part["padded"] / 8
        if ought != part["bytes"]:
            what = f"{part['mode']} of {part['bits']} bits in groups of {part['group_size']}"
            yield f"{what} takes {part['bytes']} bytes for {part['padded']} weights, and not {ought:g}"


def formula_bits(part: Mapping[str, Any]) -> float:
    """Bits a weight: its own, and its share of what is stored for its group (a scale and, where affine, a bias)."""
    stored = 2 * part["scale_bits"] if part["mode"] == "affine" else 8
    return float(part["bits"] + stored / part["group_size"])
