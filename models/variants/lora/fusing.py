"""Folding adapters into the weights that they were learned for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.quantized import QuantizedLinear
from mlx.utils import tree_flatten

from models.quantized import put


def fuse(network: Any, adapted: Mapping[str, Any]) -> list[str]:
    """Put one float layer in place of each adapter and its layer; the paths of those that were packed before.

    A packed layer stays float: rounded to its few bits again, it could come out as it was before it learned.
    """
    wide = dtype(network)
    put(network, {path: _fused(layer, wide) for path, layer in adapted.items()})
    return [path for path, layer in adapted.items() if isinstance(layer.linear, QuantizedLinear)]


def _fused(adapted: Any, wide: mx.Dtype) -> Any:
    """Summed in float32, rounded once."""
    held = adapted.linear
    weight, stored = _float(held, wide)
    made: Any = Linear(1, 1, bias="bias" in held)
    made.weight = (weight + adapted.scale * (adapted.lora_b.T @ adapted.lora_a.T)).astype(stored)
    if "bias" in held:
        made.bias = held.bias
    mx.eval(made.parameters())
    made.freeze()
    return made


def _float(layer: Any, wide: mx.Dtype) -> tuple[mx.array, mx.Dtype]:
    """A layer's weight in float32, and the type that it takes when it is float."""
    if not isinstance(layer, QuantizedLinear):
        return layer.weight.astype(mx.float32), layer.weight.dtype
    how: dict[str, Any] = {"group_size": layer.group_size, "bits": layer.bits, "mode": layer.mode}
    if layer.mode != "affine":
        return mx.dequantize(layer.weight, layer.scales, **how, dtype=mx.float32), wide
    scales, biases = layer["scales"], layer["biases"]
    weight = mx.dequantize(layer.weight, scales.astype(mx.float32), biases.astype(mx.float32), **how)
    return weight, scales.dtype


def dtype(network: Any) -> mx.Dtype:
    """The floating type of most of a network's arrays, its adapters aside."""
    arrays: dict[str, Any] = dict(tree_flatten(network.parameters()))
    kinds = Counter(
        value.dtype
        for name, value in arrays.items()
        if mx.issubdtype(value.dtype, mx.floating) and not name.endswith((".lora_a", ".lora_b"))
    )
    return kinds.most_common(1)[0][0] if kinds else mx.float32


def unpacked(config: Mapping[str, Any], paths: list[str]) -> dict[str, Any]:
    """The config's word on quantization, in mlx-lm's own form, where layers at `paths` are float now."""
    said = {key: config[key] for key in ("quantization", "quantization_config") if "bits" in (config.get(key) or {})}
    return {key: {**packing, **dict.fromkeys(paths, False)} for key, packing in said.items()}
