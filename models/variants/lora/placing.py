"""Which layers of a network get an adapter, and giving it to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import mlx.core as mx
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.quantized import QuantizedLinear
from mlx.utils import tree_flatten

from harness.contract import Refused
from models.quantized import leaves, put
from models.variants.lora.plan import Recipe

_SHOWN = 24


def place(network: Any, recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """Give the chosen layers an adapter each, which alone may learn; these by their path."""
    from mlx_lm.tuner.lora import LoRALinear

    network.freeze()
    mx.random.seed(recipe.seed)
    adapted = {
        path: LoRALinear.from_base(layer, r=recipe.rank, dropout=recipe.dropout, scale=recipe.scale)
        for path, layer in choose(network, recipe.layers, config).items()
    }
    put(network, adapted)
    network.eval()
    return adapted


def choose(network: Any, layers: int | list[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """The linear layers that are meant, by path; Refused where one of the words means none."""
    linear = {path: layer for path, layer in leaves(network).items() if isinstance(layer, Linear | QuantizedLinear)}
    if not linear:
        raise Refused("this network has no linear layer, and LoRA adapts only those")
    chosen = _of_blocks(network, linear, layers) if isinstance(layers, int) else _matched(linear, layers)
    for path in chosen:
        if path in config.get("padded", {}):
            raise Refused(
                f"{path} is packed wider than it is, and can't be adapted;"
                " leave it out of `layers`, or learn before you quantize"
            )
    return dict(sorted(chosen.items()))


def _of_blocks(network: Any, linear: Mapping[str, Any], many: int) -> dict[str, Any]:
    blocks = getattr(network, "layers", None)
    if blocks is None and many == -1:
        return dict(linear)
    if blocks is None:
        raise Refused(f"this network has no blocks to adapt the last {many} of; write `layers:` {_kinds(linear)}")
    if many > len(blocks):
        raise Refused(f"`layers: {many}` asks for more blocks than the {len(blocks)} there are; write -1 for all")
    inside = {id(module) for block in blocks[-many if many > 0 else 0 :] for module in block.modules()}
    chosen = {path: layer for path, layer in linear.items() if id(layer) in inside}
    if not chosen:
        raise Refused(f"no linear layer is in those blocks; write `layers:` {_kinds(linear)}")
    return chosen


def _matched(linear: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in linear):
            raise Refused(
                f"`layers: [{pattern}]` matches no linear layer; this network has {_listed(_patterns(linear))}"
            )
    return {path: one for path, one in linear.items() if any(fnmatchcase(path, pattern) for pattern in patterns)}


def _kinds(linear: Iterable[str]) -> str:
    return f"[{_listed(_patterns(linear))}]"


def _patterns(paths: Iterable[str]) -> list[str]:
    """Paths with a star where blocks are numbered: few lines say it all, and each is a pattern."""
    return list(dict.fromkeys(re.sub(r"\.\d+\.", ".*.", path) for path in paths))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def learned(network: Any) -> dict[str, Any]:
    """The adapters' own parameters, by path."""
    parameters: dict[str, Any] = dict(tree_flatten(network.trainable_parameters()))
    return dict(sorted(parameters.items()))
