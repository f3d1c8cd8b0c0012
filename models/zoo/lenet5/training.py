"""Trains the network from a seed: the same seed gives the same weights, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from models.training import fit, labelled
from models.zoo.lenet5 import idx
from models.zoo.lenet5.layers import LeNet5
from models.zoo.lenet5.lessons import Digits

EPOCHS = 12
BATCH = 32
RATE = 2e-3


def train(data: Path, seed: int, say: Callable[[str], None]) -> tuple[LeNet5, dict[str, Any]]:
    """A network trained on a folder of IDX files, and what a reviewer wants to know of it."""
    images, labels = _digits(data, idx.TRAIN)
    held, held_labels = _digits(data, idx.TEST)
    if len(images) < BATCH:
        raise ValueError(f"{len(images)} images are too few to train on: it takes {BATCH}")
    mx.random.seed(seed)
    model = LeNet5()
    mx.eval(model.parameters())
    study = Digits(images, labels)
    figures = fit(model, study, epochs=EPOCHS, batch=BATCH, rate=RATE, seed=seed, loss=labelled, say=say)
    right = accuracy(model, held, held_labels)
    say(f"  held-out accuracy {right:.4f}")
    return model, {**figures, "held_out": len(held), "held_out_accuracy": right}


def _digits(data: Path, names: tuple[str, str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = idx.read_pair(data, names)
    if not len(images) or images.shape[1:] != (28, 28) or labels.max() > 9:
        raise ValueError(f"{names[0]} and {names[1]} are not 28x28 images of the digits 0 to 9")
    return images, labels


def accuracy(model: LeNet5, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    right = 0
    for start in range(0, len(images), 256):
        scores = model(mx.array(images[start : start + 256].astype(np.float32) / 255))
        right += int((np.array(mx.argmax(scores, axis=1)) == labels[start : start + 256]).sum())
    return right / len(images)
