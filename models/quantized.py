"""Quantized layers beyond MLX's own, and how a float network is rebuilt to hold quantized weights.

MLX packs a weight in groups that must divide its width. A padded layer is packed for a wider input than it takes, the
rest of which is zeros. A simulated layer rounds its inputs to a few levels before it uses them, as hardware that
computes in whole numbers would: the arithmetic stays in floating point, so its speed says nothing.

A family's `network()` calls `rebuild(network, config, weights)` before it loads the weights; it does nothing to a
network that is not quantized.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.quantized import QuantizedEmbedding, QuantizedLinear
from mlx.utils import tree_flatten, tree_unflatten

from harness.contract import Refused
from models.weights.counting import padding

FIXED = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
"""Modes that have one width in bits and one group size."""


class Packing(NamedTuple):
    """How a layer is to be packed."""

    bits: int
    group_size: int
    mode: str

    def written(self) -> dict[str, Any]:
        return {"group_size": self.group_size, "bits": self.bits, "mode": self.mode}


class Range(NamedTuple):
    """The inputs of a layer as a calibration saw them, and how many bits they are rounded to."""

    low: float
    high: float
    bits: int


class PaddedQuantizedLinear(QuantizedLinear):
    """A quantized layer that takes fewer inputs than it is packed for."""

    def __call__(self, x: mx.array) -> mx.array:
        return cast(mx.array, cast(Any, super()).__call__(_padded(x, self.weight.shape[-1] * 32 // self.bits)))


class SimulatedQuantizedLinear(PaddedQuantizedLinear):
    """A quantized layer whose inputs are rounded, too."""

    inputs: Range

    def __call__(self, x: mx.array) -> mx.array:
        return super().__call__(rounded(x, self.inputs))


class PaddedQuantizedEmbedding(QuantizedEmbedding):
    """A quantized table whose rows are packed wider than they are."""

    def __call__(self, x: mx.array) -> mx.array:
        return cast(mx.array, cast(Any, super()).__call__(x)[..., : self.dims])

    def as_linear(self, x: mx.array) -> mx.array:
        return cast(mx.array, cast(Any, super()).as_linear(_padded(x, self.weight.shape[-1] * 32 // self.bits)))


def _padded(x: mx.array, width: int) -> mx.array:
    missing = width - x.shape[-1]
    return mx.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, missing)]) if missing else x


def rounded(x: mx.array, inputs: Range) -> mx.array:
    """`x` on the evenly spaced levels of a range, 0 being one of them; what lies beyond is the nearest end."""
    low, high, most = min(inputs.low, 0.0), max(inputs.high, 0.0), 2**inputs.bits - 1
    if high == low:
        return mx.zeros_like(x)
    step = (high - low) / most
    zero = round(-low / step)
    levels = mx.clip(mx.round(x.astype(mx.float32) / step) + zero, 0, most)
    return ((levels - zero) * step).astype(x.dtype)


def pack(layer: Any, how: Packing) -> Any:
    """The quantized layer made of a float one: MLX's own where its groups divide the layer, else padded."""
    width = int(layer.weight.shape[-1])
    missing = -width % how.group_size
    if not missing:
        return layer.to_quantized(group_size=how.group_size, bits=how.bits, mode=how.mode)
    wide = _widened(layer, missing)
    if isinstance(layer, Embedding):
        packed = PaddedQuantizedEmbedding.from_embedding(wide, how.group_size, how.bits, mode=how.mode)
        packed.dims = width
        return packed
    return PaddedQuantizedLinear.from_linear(wide, how.group_size, how.bits, mode=how.mode)


def simulated(layer: QuantizedLinear, inputs: Range) -> SimulatedQuantizedLinear:
    """The same layer, which rounds its inputs."""
    made = SimulatedQuantizedLinear(layer.group_size, 1, False, layer.group_size, layer.bits, mode=layer.mode)
    for part in ("weight", "scales", "biases", "bias"):
        if layer.get(part) is not None:
            setattr(made, part, layer[part])
    made.inputs = inputs
    made.freeze()
    return made


def _widened(layer: Any, missing: int) -> Any:
    """A float layer whose weight has columns of zeros added."""
    if not isinstance(layer, Linear | Embedding):
        raise TypeError(f"a {type(layer).__name__} can't be padded")
    wide = Embedding(1, 1) if isinstance(layer, Embedding) else Linear(1, 1, bias="bias" in layer)
    wide.weight = _padded(layer.weight, layer.weight.shape[-1] + missing)
    if "bias" in layer:
        wide.bias = layer.bias
    return wide


def leaves(network: Any) -> dict[str, Any]:
    """A network's layers by their path."""
    return dict(tree_flatten(network.leaf_modules(), is_leaf=Module.is_module))


def put(network: Any, layers: Mapping[str, Any]) -> None:
    """Put layers into a network in place of those at their paths."""
    network.update_modules(tree_unflatten(list(layers.items())))


def ranges(config: Mapping[str, Any]) -> dict[str, Range]:
    """The ranges of the inputs that are rounded, by layer."""
    said = config.get("activations") or {}
    try:
        bits = int(said.get("bits", 8))
        return {path: Range(float(low), float(high), bits) for path, (low, high) in said.get("layers", {}).items()}
    except (AttributeError, TypeError, ValueError):
        raise Refused("the `activations` of config.json are not {bits, layers: {path: [low, high]}}") from None


def rebuild(network: Any, config: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Give a float network the layers that `weights`, named as the network names them, are packed for."""
    said = config.get("quantization")
    if not said:
        return
    widths, inputs, made = padding(config), ranges(config), {}
    for path, layer in leaves(network).items():
        if said.get(path) is False or f"{path}.scales" not in weights or not hasattr(layer, "to_quantized"):
            continue
        width, padded = widths.get(path, (layer.weight.shape[-1],) * 2)
        how = _how(path, said.get(path), padded, weights)
        if width != layer.weight.shape[-1] or padded % how.group_size:
            raise Refused(f"{path} takes {layer.weight.shape[-1]} inputs; its weights are packed for others")
        try:
            packed = pack(layer, how)
        except ValueError:
            raise Refused(f"{path} is packed as MLX packs nothing: {how.written()}") from None
        made[path] = simulated(packed, inputs[path]) if path in inputs else packed
    put(network, made)


def _how(path: str, own: Any, width: int, weights: Mapping[str, Any]) -> Packing:
    """As the shapes tell, which the config must agree with where it speaks of this very layer: so does mlx-lm."""
    words, scales = weights[f"{path}.weight"], weights[f"{path}.scales"]
    bits, group_size = words.shape[-1] * 32 // width, width // max(scales.shape[-1], 1)
    modes = [mode for mode, fixed in FIXED.items() if fixed == (bits, group_size)] if scales.dtype == mx.uint8 else []
    how = Packing(bits, group_size, "affine" if scales.dtype != mx.uint8 else modes[0] if modes else "")
    said = {"mode": "affine", **own} if isinstance(own, dict) else {}
    if (
        not how.mode
        or not bits * group_size
        or any(said.get(key, value) != value for key, value in how.written().items())
    ):
        raise Refused(f"{path} is not packed as config.json says of it: {said or how.written()}")
    return how
