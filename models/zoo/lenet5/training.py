"""Trains the network from a seed: the same seed gives the same weights, to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx import optimizers
from mlx.utils import tree_flatten
from numpy.typing import NDArray

from models.zoo.lenet5 import idx
from models.zoo.lenet5.network import LeNet5

EPOCHS = 12
BATCH = 32
RATE = 2e-3


def train(data: Path, weights: Path, seed: int, say: Callable[[str], None]) -> None:
    images, labels = _digits(data, idx.TRAIN)
    if len(images) < BATCH:
        raise ValueError(f"{len(images)} images are too few to train on: it takes {BATCH}")
    mx.random.seed(seed)
    model = LeNet5()
    mx.eval(model.parameters())
    steps = EPOCHS * (len(images) // BATCH)
    optimizer = optimizers.Adam(learning_rate=optimizers.cosine_decay(RATE, steps))
    step = nn.value_and_grad(model, _loss)
    random = np.random.default_rng(seed)
    for epoch in range(EPOCHS):
        order = random.permutation(len(images))
        total = 0.0
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            loss, gradients = step(
                model, mx.array(shifted(images[chosen], random)), mx.array(labels[chosen].astype(np.int32))
            )
            optimizer.update(model, gradients)
            mx.eval(model.parameters(), optimizer.state)
            total += loss.item()
        say(f"  epoch {epoch + 1} of {EPOCHS}: loss {total / (len(order) // BATCH):.4f}")
    held = accuracy(model, data)
    say(f"  held-out accuracy {held:.4f}")
    mx.save_safetensors(str(weights), dict(tree_flatten(model.parameters())), metadata={"format": "mlx"})
    weights.with_name("training.json").write_text(
        json.dumps({"seed": seed, "epochs": EPOCHS, "held_out_accuracy": held})
    )


def _digits(data: Path, names: tuple[str, str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = idx.read_pair(data, names)
    if not len(images) or images.shape[1:] != (28, 28) or labels.max() > 9:
        raise ValueError(f"{names[0]} and {names[1]} are not 28x28 images of the digits 0 to 9")
    return images, labels


def _loss(model: LeNet5, images: mx.array, labels: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(images), labels, reduction="mean")


def shifted(images: NDArray[np.uint8], random: np.random.Generator, most: int = 2) -> NDArray[np.float32]:
    """Each image moved by up to `most` pixels, levels from 0 to 1: the training's only augmentation."""
    padded = np.pad(images, ((0, 0), (most, most), (most, most)))
    moves = random.integers(0, 2 * most + 1, (len(images), 2))
    size = images.shape[1]
    moved = [image[y : y + size, x : x + size] for image, (y, x) in zip(padded, moves, strict=True)]
    return np.stack(moved).astype(np.float32) / 255


def accuracy(model: LeNet5, data: Path) -> float:
    images, labels = _digits(data, idx.TEST)
    right = 0
    for start in range(0, len(images), 256):
        scores = model(mx.array(images[start : start + 256].astype(np.float32) / 255))
        right += int((np.array(mx.argmax(scores, axis=1)) == labels[start : start + 256]).sum())
    return right / len(images)
