"""The same weights in another floating type. Whole numbers, and so packed weights, stay as they are.

models:
  half: {from: base, cast: float16}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.contract import Refused, Site

SCHEMA: Mapping[str, Any] = {
    "properties": {
        "cast": {
            "enum": ["float16", "bfloat16", "float32"],
            "description": "the floating type that its weights, scales and biases take",
        }
    }
}
VERSION = 1


def make(base: Path, folder: Path, options: str, site: Site) -> None:
    import mlx.core as mx

    from models import families, weights

    network, config = families.family(base).network(base), weights.read_config(base)
    before = _floats(network)
    network.set_dtype(getattr(mx, options))
    after = _floats(network)
    for name, value in before.items():
        if mx.any(mx.isinf(after[name]) & ~mx.isinf(value)).item():
            raise Refused(f"{name} has values beyond what {options} holds; write `cast: bfloat16`")
    was = sorted({str(value.dtype).removeprefix("mlx.core.") for value in before.values()})
    made = [*config.get("made", []), {"cast": options, "was": was}]
    weights.save(network, {**config, **_named(config, options), "made": made}, folder, base)


def _floats(network: Any) -> dict[str, Any]:
    """Its parameters in floating point, by name."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    parameters: dict[str, Any] = dict(tree_flatten(network.parameters()))
    return {name: value for name, value in parameters.items() if mx.issubdtype(value.dtype, mx.floating)}


def _named(config: Mapping[str, Any], dtype: str) -> dict[str, str]:
    """Where a config names the type of its weights, it names the new one."""
    return {key: dtype for key in ("torch_dtype", "dtype") if key in config}
