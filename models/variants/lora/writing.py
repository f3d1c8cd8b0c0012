"""Writes what an adapter learned: beside the weights, as mlx-lm does, or folded into them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx

from harness.codec import to_pretty_json
from models import weights
from models.quantized import put
from models.variants.lora.fusing import fuse, unpacked
from models.variants.lora.placing import learned
from models.variants.lora.plan import Recipe
from models.weights.files import ADAPTER, ADAPTER_CONFIG, CONFIG, INDEX, take_along


class Taught(NamedTuple):
    """A network, and the adapters that learned in it, by the path of their layer."""

    base: Path
    config: Mapping[str, Any]
    recipe: Recipe
    network: Any
    adapted: Mapping[str, Any]


def apart(taught: Taught, folder: Path) -> dict[str, Any]:
    """The base's own weights with the adapter beside them; the config that they have."""
    ours = taught.base.resolve().parent == folder.resolve().parent
    for file in sorted({tensor.file for tensor in weights.tensors(taught.base)}):
        _take(file, folder / file.name, ours=ours)
    if (taught.base / INDEX).is_file():
        shutil.copyfile(taught.base / INDEX, folder / INDEX)
    take_along(taught.base, folder)
    mx.save_safetensors(str(folder / ADAPTER), learned(taught.network), metadata={"format": "mlx"})
    recipe = taught.recipe
    about = {"rank": recipe.rank, "scale": recipe.scale, "dropout": recipe.dropout, "keys": sorted(taught.adapted)}
    written = {"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": about}
    (folder / ADAPTER_CONFIG).write_bytes(to_pretty_json(written))
    config = dict(taught.config)
    say(folder, config)
    return config


def _take(file: Path, to: Path, *, ours: bool) -> None:
    """A second name for a file that was built beside this one, which nobody writes to again; a copy of a user's own."""
    try:
        if ours:
            os.link(file, to)
    except OSError:  # a file system without such names
        ours = False
    if not ours:
        shutil.copyfile(file, to)


def fused(taught: Taught, folder: Path) -> dict[str, Any]:
    """Weights with the adapter in them; the config that they have."""
    paths = fuse(taught.network, taught.adapted)
    config = {**taught.config, **unpacked(taught.config, paths)}
    weights.save(taught.network, config, folder, taught.base)
    put(taught.network, taught.adapted)
    return config


def say(folder: Path, config: Mapping[str, Any]) -> None:
    (folder / CONFIG).write_bytes(to_pretty_json(dict(config)))


def untaught(taught: Taught) -> Callable[[mx.array], mx.array]:
    """The network without what its adapters say."""

    def said(inputs: mx.array) -> mx.array:
        for layer in taught.adapted.values():
            layer.scale = 0.0
        answer: mx.array = taught.network(inputs)
        for layer in taught.adapted.values():
            layer.scale = taught.recipe.scale
        return answer

    return said
