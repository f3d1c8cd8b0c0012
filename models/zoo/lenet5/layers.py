"""The network: two convolutions, then dense layers; 61,706 parameters at LeCun's widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from harness.contract import Refused

SIDE = 5
"""A feature map's height and width where it is flattened."""
WIDTHS = {"conv": (6, 16), "dense": (120, 84)}


class LeNet5(nn.Module):
    def __init__(self, conv: Sequence[int] = WIDTHS["conv"], dense: Sequence[int] = WIDTHS["dense"]) -> None:
        super().__init__()
        first, second = conv
        self.conv1 = nn.Conv2d(1, first, 5, padding=2)
        self.conv2 = nn.Conv2d(first, second, 5)
        for at, (wide, narrow) in enumerate(pairwise([SIDE * SIDE * second, *dense, 10]), 1):
            self[f"dense{at}"] = nn.Linear(wide, narrow)
        self.pool = nn.MaxPool2d(2, 2)

    def __call__(self, images: mx.array) -> Any:
        """Logits of the ten digits, for images of shape (n, 28, 28) and levels 0 to 1."""
        x = images[..., None].astype(self.conv1.weight.dtype)
        x = self.pool(nn.relu(self.conv1(x)))
        x = self.pool(nn.relu(self.conv2(x)))
        x = x.reshape(x.shape[0], -1)
        *hidden, last = self.dense()
        for layer in hidden:
            x = nn.relu(layer(x))
        return last(x)

    def dense(self) -> list[Any]:
        return [self[name] for name in self.names()]

    def names(self) -> list[str]:
        """The dense layers' names, in order."""
        return [f"dense{at}" for at in range(1, len(self)) if f"dense{at}" in self]


def of(config: Mapping[str, Any]) -> LeNet5:
    """A fresh network of the widths that a config states, LeCun's where it states none."""
    conv, dense = (config.get(part, widths) for part, widths in WIDTHS.items())
    if not _are_widths(conv) or not _are_widths(dense) or len(conv) != 2:
        raise Refused(
            f"{conv} and {dense} are no widths of a LeNet-5; write `conv` with two whole numbers from 1 on and `dense`"
            " with any number of them, such as conv: [6, 16], dense: [120, 84]"
        )
    return LeNet5(conv, dense)


def _are_widths(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(type(width) is int and 1 <= width <= 4096 for width in value)
