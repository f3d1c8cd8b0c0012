"""Whole channels of least magnitude, taken out: the layers get smaller, and faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from harness.contract import Refused
from models.training import Channels
from models.variants.prune.single import matches

LEAST = 2
"""Channels that stay in any layer: with fewer, what is left says nothing."""


class Group(NamedTuple):
    """Channels whose widths stay equal, and the order in which each gives up its own."""

    members: tuple[Channels, ...]
    orders: tuple[NDArray[np.intp], ...]
    scores: NDArray[np.float64]
    """How much the n-th channel to go matters, where its layer's mean is 1."""


def chosen(
    network: nn.Module, offered: Sequence[Channels], share: float, *, layerwise: bool, spared: Sequence[str]
) -> dict[str, NDArray[np.intp]]:
    """The channels to keep, by name, so that at least `share` of the network's parameters goes."""
    groups = _groups(network, offered, spared)
    if not groups:
        raise Refused("this network has no channels to take out; write `how: unstructured`, or spare fewer in `keep`")
    sizes = Sizes(network)
    all_parameters = sizes.total()
    gone = [0] * len(groups)
    while 1 - sizes.total() / all_parameters < share:
        at = _next(groups, gone, layerwise=layerwise)
        if at is None:
            most = 1 - sizes.total() / all_parameters
            raise Refused(f"at most {most:.3f} of the parameters can go with their channels; write a lower `sparsity`")
        gone[at] += 1
        for channels in groups[at].members:
            sizes.drop(channels)
    return {
        channels.name: np.sort(order[many:])
        for group, many in zip(groups, gone, strict=True)
        for channels, order in zip(group.members, group.orders, strict=True)
    }


def _next(groups: Sequence[Group], gone: Sequence[int], *, layerwise: bool) -> int | None:
    """The group that loses a channel now: the one that lost the least share, or whose next channel matters least."""
    left = [at for at, group in enumerate(groups) if len(group.scores) - gone[at] > LEAST]
    if not left:
        return None
    if layerwise:
        return min(left, key=lambda at: gone[at] / len(groups[at].scores))
    return min(left, key=lambda at: groups[at].scores[gone[at]])


def _groups(network: nn.Module, offered: Sequence[Channels], spared: Sequence[str]) -> list[Group]:
    """Channels whose widths stay equal go together, or not at all where `keep` spares a layer of one of them."""
    parts: dict[str, list[Channels]] = {}
    for channels in offered:
        parts.setdefault(channels.together or f"alone {channels.name}", []).append(channels)
    return [_group(network, members) for members in parts.values() if not any(_is_spared(m, spared) for m in members)]


def _is_spared(channels: Channels, spared: Sequence[str]) -> bool:
    return any(matches(path, spared) for path in (channels.name, *channels.producers, channels.consumer))


def _group(network: nn.Module, members: Sequence[Channels]) -> Group:
    scores = [_scores(network, channels) for channels in members]
    orders = [np.argsort(score, kind="stable") for score in scores]
    ranked = [score[order] for score, order in zip(scores, orders, strict=True)]
    return Group(tuple(members), tuple(orders), np.mean(ranked, axis=0))


def _scores(network: nn.Module, channels: Channels) -> NDArray[np.float64]:
    """A channel's magnitude: what is weighed into it times what it is weighed with, its layer's mean being 1."""
    leaves = dict(tree_flatten(network.parameters()))
    into = sum(np.square(_flat(leaves[f"{path}.weight"])).sum(axis=1) for path in channels.producers)
    columns = _columns(leaves[f"{channels.consumer}.weight"], channels.repeat)
    out = np.square(np.array(columns.astype(mx.float32), np.float64)).sum(axis=tuple(range(columns.ndim - 1)))
    both = np.sqrt(into * out)
    return both / (both.mean() or 1.0)


def _flat(weight: mx.array) -> NDArray[np.float64]:
    return np.array(weight.astype(mx.float32), np.float64).reshape(weight.shape[0], -1)


def _columns(weight: mx.array, repeat: int) -> mx.array:
    """A weight with its last axis parted: places, then channels."""
    return weight.reshape(*weight.shape[:-1], repeat, -1)


class Sizes:
    """The numbers of rows and columns of each layer, as channels go."""

    def __init__(self, network: nn.Module) -> None:
        leaves = dict(tree_flatten(network.parameters()))
        self.shapes = {path: list(value.shape) for path, value in leaves.items()}

    def total(self) -> int:
        return sum(prod(shape) for shape in self.shapes.values())

    def drop(self, channels: Channels) -> None:
        for path, shape in self.shapes.items():
            if path.rpartition(".")[0] in channels.producers:
                shape[0] -= 1
        self.shapes[f"{channels.consumer}.weight"][-1] -= channels.repeat


def cut(network: nn.Module, offered: Sequence[Channels], kept: Mapping[str, NDArray[np.intp]]) -> None:
    """Leave the kept channels alone in the network: smaller arrays, in the order they were in."""
    leaves: dict[str, Any] = dict(tree_flatten(network.parameters()))
    for channels in offered:
        if channels.name in kept:
            stay = mx.array(kept[channels.name])
            for path in leaves:
                if path.rpartition(".")[0] in channels.producers:
                    leaves[path] = leaves[path][stay]
            path = f"{channels.consumer}.weight"
            columns = _columns(leaves[path], channels.repeat)[..., stay]
            leaves[path] = columns.reshape(*columns.shape[:-2], -1)
    network.update(tree_unflatten(list(leaves.items())))


def size(network: nn.Module) -> int:
    """The number of its parameters."""
    return Sizes(network).total()
