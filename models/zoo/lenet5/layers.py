"""The network: two convolutions, three dense layers, 61,706 parameters."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn


class LeNet5(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.dense1 = nn.Linear(400, 120)
        self.dense2 = nn.Linear(120, 84)
        self.dense3 = nn.Linear(84, 10)
        self.pool = nn.MaxPool2d(2, 2)

    def __call__(self, images: mx.array) -> Any:
        """Logits of the ten digits, for images of shape (n, 28, 28) and levels 0 to 1."""
        x = images[..., None]
        x = self.pool(nn.relu(self.conv1(x)))
        x = self.pool(nn.relu(self.conv2(x)))
        x = x.reshape(x.shape[0], -1)
        return self.dense3(nn.relu(self.dense2(nn.relu(self.dense1(x)))))
