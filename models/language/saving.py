"""A network as it is in memory, written to a folder that opens as the one that it came from does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from harness.contract import Refused
from models import weights
from models.weights.files import ADAPTER, ADAPTER_CONFIG, CONFIG, LANGUAGE, take_along

_LEARNED = ("lora_a", "lora_b", "m")
"""What an adapter's layer has of its own; its scale is in the adapter's config."""
_HELD = ("linear", "embedding")
"""What it calls the layer that it stands before."""


def save(network: Any, base: Path, folder: Path) -> None:
    """The live network's arrays, its adapter's beside them, and all else as it is in the base."""
    config = weights.read_config(base)
    if "quantization" not in config and "quant_method" in (config.get("quantization_config") or {}):
        raise Refused("it was packed by other tools than MLX's, and can't be saved as it was; convert it first")
    own, beside = _parted(network)
    mx.save_safetensors(str(folder / LANGUAGE), own, metadata={"format": "mlx"})
    if beside:
        mx.save_safetensors(str(folder / ADAPTER), beside, metadata={"format": "mlx"})
        shutil.copyfile(base / ADAPTER_CONFIG, folder / ADAPTER_CONFIG)
    shutil.copyfile(base / CONFIG, folder / CONFIG)
    take_along(base, folder)


def adapted(network: Any) -> dict[str, Any]:
    """The layers that an adapter stands before, by their path."""
    return {path: module for path, module in network.named_modules() if "lora_a" in module}


def _parted(network: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network's own arrays, named as without its adapter, and the adapter's."""
    own, beside = {}, {}
    paths = adapted(network)
    for name, array in dict(tree_flatten(network.parameters())).items():
        layer, _, part = name.rpartition(".")
        path, _, held = layer.rpartition(".")
        if layer in paths and part in _LEARNED:
            beside[name] = array
        else:
            own[f"{path}.{part}" if path in paths and held in _HELD else name] = array
    return own, beside
