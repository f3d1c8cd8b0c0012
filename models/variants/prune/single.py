"""Single weights of least magnitude, set to zero: the shapes stay, and nothing gets faster in MLX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from harness.contract import Refused


def prunable(network: nn.Module, spared: Sequence[str] = ()) -> dict[str, mx.array]:
    """Weights by path, of the layers that multiply by them: no bias, no norm, no embedding, and none that is spared."""
    found = {f"{path}.weight": module["weight"] for path, module in _multiplying(network) if not matches(path, spared)}
    if not found:
        raise Refused("no weight is left to prune: `keep` spares every layer")
    return dict(sorted(found.items()))


def _multiplying(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for path, module in network.named_modules():
        if not isinstance(module, nn.Embedding) and getattr(module.get("weight"), "ndim", 0) >= 2:
            yield path, module


def refuse_unmet(network: nn.Module, patterns: Sequence[str]) -> None:
    """A pattern that names no layer would spare nothing."""
    paths = sorted(path for path, module in network.named_modules() if path and "weight" in module)
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in paths):
            listed = ", ".join(paths[:20]) + (", ..." if len(paths) > 20 else "")
            raise Refused(f"`keep` names {pattern}, which is no layer of this network; it has {listed}")


def matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def zero_smallest(network: nn.Module, sparsity: float, *, layerwise: bool, spared: Sequence[str]) -> None:
    """Set the share `sparsity` of the weights to zero, exactly: of all together, or of each layer."""
    weights = prunable(network, spared)
    sizes = {path: _sizes(weight) for path, weight in weights.items()}
    for part in [[path] for path in weights] if layerwise else [list(weights)]:
        gone = _smallest(np.concatenate([sizes[path] for path in part]), sparsity)
        at = 0
        for path in part:
            held = mx.array(~gone[at : at + sizes[path].size].reshape(weights[path].shape))
            network.update(tree_unflatten([(path, mx.where(held, weights[path], 0))]))
            at += sizes[path].size


def _sizes(weight: mx.array) -> NDArray[np.float32]:
    return np.abs(np.array(weight.astype(mx.float32))).reshape(-1)


def _smallest(sizes: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """Where the smallest are, exactly as many as asked: of equals, the first."""
    many = round(share * sizes.size)
    if not many:
        return np.zeros(sizes.size, bool)
    limit = np.partition(sizes, many - 1)[many - 1]
    gone = sizes < limit
    gone[np.flatnonzero(sizes == limit)[: many - int(gone.sum())]] = True
    return gone


def held_at_zero(network: nn.Module) -> Callable[[nn.Module], None]:
    """What keeps every pruned weight pruned, however the others move: those that are zero now."""
    masks = {path: weight != 0 for path, weight in prunable(network).items()}
    mx.eval(masks)

    def keep(network: nn.Module) -> None:
        now = dict(tree_flatten(network.parameters()))
        network.update(tree_unflatten([(path, mx.where(mask, now[path], 0)) for path, mask in masks.items()]))

    return keep


def counted(network: nn.Module, spared: Sequence[str]) -> dict[str, Any]:
    """The share of zeros among the weights that may be pruned, and among all parameters."""
    (zeros, many), (all_zeros, all_many) = _zeros(prunable(network, spared).values()), _zeros(_parameters(network))
    return {
        "sparsity": zeros / many,
        "prunable": many,
        "overall_sparsity": all_zeros / all_many,
        "parameters": all_many,
    }


def _parameters(network: nn.Module) -> list[mx.array]:
    return list(dict(tree_flatten(network.parameters())).values())


def _zeros(values: Iterable[Any]) -> tuple[int, int]:
    zeros = many = 0
    for value in values:
        zeros += int((value == 0).sum().item())
        many += value.size
    return zeros, many
