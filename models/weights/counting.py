"""What weights weigh: parameters, bytes and bits, layer by layer and together.

A parameter is a weight as the network means it, however it is packed and padded: so a packed layer's bits a weight
include its scales, its biases and its padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from harness.contract import Refused
from models.weights.files import packing, read_config, tensors
from models.weights.headers import BITS, FLOATS, Tensor

PACKED = {"weight", "scales", "biases"}
_EPSILON = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-22}


class Layer(NamedTuple):
    """A layer, as its tensors tell it."""

    name: str
    type: str
    shape: tuple[int, ...]
    """Of its weight: rows by inputs, however it is packed."""
    parameters: int
    bytes: int
    bits: int
    """Of the stored weight."""
    group_size: int | None
    mode: str | None
    nonzero: float
    """The share of its parameters that are not 0."""


class Packing(NamedTuple):
    """How a layer's weight is packed."""

    bits: int
    group_size: int
    mode: str
    width: int
    """Inputs that it takes; the packed ones may be more."""
    padded: int
    """Inputs that it is packed for."""


def layers(folder: Path) -> list[Layer]:
    config, arrays = read_config(folder), _arrays(folder)
    return [_layer(path, parts, config, arrays) for path, parts in _parts(tensors(folder))]


def inspect(folder: Path) -> list[dict[str, Any]]:
    """The layers as plain data, for people: what a source of weights offers as its `inspect`."""
    return [layer._asdict() for layer in layers(folder)]


def footprint(folder: Path) -> dict[str, Any]:
    """The weights in figures, as plain data: what a model says of itself.

    Of weights packed alike, `elements` are those that are meant, `padded` those that are packed.
    """
    config, found = read_config(folder), layers(folder)
    total, parameters = sum(layer.bytes for layer in found), sum(layer.parameters for layer in found)
    nonzero = sum(layer.nonzero * layer.parameters for layer in found)
    return {
        "parameters": parameters,
        "bytes": total,
        "bits_per_weight": 8 * total / max(parameters, 1),
        "sparsity": 1 - nonzero / max(parameters, 1),
        "dtype": _dtype(tensors(folder)),
        "quantized": _grouped(_parts(tensors(folder)), config),
    }


def _parts(found: Iterable[Tensor]) -> list[tuple[str, dict[str, Tensor]]]:
    """Tensors by their layer's path and their own last name."""
    parts: dict[str, dict[str, Tensor]] = {}
    for tensor in found:
        path, _, last = tensor.name.rpartition(".")
        parts.setdefault(path, {})[last] = tensor
    return list(parts.items())


def packed(path: str, parts: Mapping[str, Tensor], config: Mapping[str, Any]) -> Packing | None:
    """How a layer is packed: by what the config says of it, else by its shapes, as mlx-lm reads it."""
    if "scales" not in parts or "weight" not in parts:
        return None
    said = packing(config)["quantization"] or {}
    own = said.get(path)
    own = {**said, **own} if isinstance(own, dict) else said
    bits, mode = own.get("bits", 4), own.get("mode", "affine")
    if type(bits) is not int or not 2 <= bits <= 8 or not isinstance(mode, str) or not parts["scales"].shape[-1:]:
        raise Refused(f"config.json does not say how {path} is quantized: {{bits: {bits}, mode: {mode}}}")
    padded = parts["weight"].shape[-1] * 32 // bits
    groups = max(parts["scales"].shape[-1], 1)
    return Packing(bits, padded // groups, mode, padding(config).get(path, (padded, padded))[0], padded)


def padding(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The inputs that each padded layer takes, and those that it is packed for: `padded: {dense1: [400, 448]}`."""
    said = config.get("padded", {})
    try:
        widths = {path: (width, padded) for path, (width, padded) in said.items() if 0 < width <= padded}
    except (AttributeError, TypeError, ValueError):
        widths = {}
    if len(widths) != len(said):
        raise Refused("the `padded` of config.json is not [width, padded width] by layer")
    return widths


def _layer(path: str, parts: Mapping[str, Tensor], config: Mapping[str, Any], arrays: Mapping[str, Any]) -> Layer:
    held, how = _main(parts), packed(path, parts, config)
    shape = held.shape if how is None else (*held.shape[:-1], how.width)
    others = [part for last, part in parts.items() if part is not held and (how is None or last not in PACKED)]
    size = _product(shape) + sum(part.size for part in others)
    nonzero = _alive(path, parts, how, arrays) if how else _nonzero(arrays[held.name])
    nonzero += sum(_nonzero(arrays[part.name]) for part in others)
    return Layer(
        name=path,
        type=("LoRA" if "lora_a" in parts else "") + _type(path, parts, how),
        shape=shape,
        parameters=size,
        bytes=sum(part.nbytes for part in parts.values()),
        bits=how.bits if how else BITS[held.dtype],
        group_size=how.group_size if how else None,
        mode=how.mode if how else None,
        nonzero=nonzero / max(size, 1),
    )


def _main(parts: Mapping[str, Tensor]) -> Tensor:
    return parts["weight"] if "weight" in parts else max(parts.values(), key=lambda part: part.size)


def _type(path: str, parts: Mapping[str, Tensor], how: Packing | None) -> str:
    """The kind of layer that has such tensors: a file names none."""
    if how is not None:
        kind = "QuantizedEmbedding" if "embed" in path else "QuantizedLinear"
        return f"Padded{kind}" if how.padded > how.width else kind
    if "weight" not in parts:
        return "parameters"
    matrix = "Embedding" if "embed" in path else "Linear"
    kinds = {1: "LayerNorm" if "bias" in parts else "RMSNorm", 2: matrix, 3: "Conv1d", 4: "Conv2d"}
    return kinds.get(len(parts["weight"].shape), "parameters")


def _grouped(parts: Iterable[tuple[str, Mapping[str, Tensor]]], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The packed weights, those that are packed alike together."""
    groups: dict[tuple[str, int, int, int], dict[str, Any]] = {}
    for path, held in parts:
        how = packed(path, held, config)
        if how is None:
            continue
        scale_bits = BITS[held["scales"].dtype]
        key = (how.mode, how.bits, how.group_size, scale_bits)
        empty = {"mode": how.mode, "bits": how.bits, "group_size": how.group_size, "scale_bits": scale_bits}
        group = groups.setdefault(key, {**empty, "elements": 0, "padded": 0, "bytes": 0})
        rows = _product(held["weight"].shape[:-1])
        group["elements"] += rows * how.width
        group["padded"] += rows * how.padded
        group["bytes"] += sum(part.nbytes for last, part in held.items() if last in PACKED)
    return [groups[key] for key in sorted(groups)]


def _dtype(found: Iterable[Tensor]) -> str:
    """The type that most of its unpacked numbers have."""
    bytes_by_type: dict[str, int] = {}
    for tensor in found:
        if tensor.dtype in FLOATS and not tensor.name.endswith((".lora_a", ".lora_b")):
            bytes_by_type[tensor.dtype] = bytes_by_type.get(tensor.dtype, 0) + tensor.nbytes
    return FLOATS[max(bytes_by_type, key=lambda dtype: bytes_by_type[dtype])] if bytes_by_type else "none"


def _product(shape: Iterable[int]) -> int:
    product = 1
    for many in shape:
        product *= many
    return product


def _arrays(folder: Path) -> dict[str, Any]:
    """The tensors themselves; MLX reads one when it is asked for."""
    import mlx.core as mx

    arrays: dict[str, Any] = {}
    for file in sorted({tensor.file for tensor in tensors(folder)}):
        arrays |= cast(dict[str, Any], mx.load(str(file)))
    return arrays


def _nonzero(array: Any) -> int:
    return _count(array != 0)


def _count(true: Any) -> int:
    import mlx.core as mx

    return cast(int, mx.sum(true.astype(mx.int64)).item())


def _alive(path: str, parts: Mapping[str, Tensor], how: Packing, arrays: Mapping[str, Any]) -> int:
    """Packed weights that don't stand for 0, up to the rounding of their own scale and bias."""
    import mlx.core as mx

    words, scales = arrays[f"{path}.weight"], arrays[f"{path}.scales"]
    biases = arrays[f"{path}.biases"] if "biases" in parts else None
    if biases is None:
        meant = mx.dequantize(words, scales, None, how.group_size, how.bits, mode=how.mode)
        return _count(meant[..., : how.width] != 0)
    epsilon = _EPSILON.get(FLOATS.get(parts["scales"].dtype, ""), 0.0)
    scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
    meant = mx.dequantize(words, scales, biases, how.group_size, how.bits)
    slack = mx.minimum(mx.abs(scales) / 2, mx.abs(biases) * epsilon)
    alive = mx.abs(meant) > mx.repeat(slack, how.group_size, axis=-1)
    return _count(alive[..., : how.width])
