"""Digits to learn from: the zoo's own, or a user's examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from harness.contract import Refused
from models.training import Batch
from models.zoo.lenet5.image import read

NO_LABEL = -1


class Digits:
    """28x28 images of levels 0 to 255 and their labels, NO_LABEL where one has none."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.generic]) -> None:
        self.images = images
        self.labels = labels.astype(np.int32)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, chosen: NDArray[np.intp], random: np.random.Generator | None) -> Batch:
        """Images at levels from 0 to 1, moved about a little by `random`: the only augmentation."""
        images = self.images[chosen]
        levels = images.astype(np.float32) / 255 if random is None else shifted(images, random)
        labels = self.labels[chosen]
        known = labels != NO_LABEL
        return Batch(
            inputs=mx.array(levels),
            targets=mx.array(np.where(known, labels, 0)),
            mask=mx.array(known.astype(np.float32)),
            heard=mx.ones(len(images)),
        )


def own() -> Digits:
    """What the zoo trains on where it is given nothing else."""
    from models.zoo.lenet5 import digits

    (images, labels), _ = digits.split()
    return Digits(digits.upscaled(images), labels)


def read_study(path: Path) -> Digits:
    """A user's examples: an image each, and a label where one is expected."""
    from models.data import read_examples

    examples = read_examples(path)
    if not examples:
        raise Refused(f"{path.name} has no example to learn from")
    images = [_image(example.input, f"{path.name}, example {at}") for at, example in enumerate(examples, 1)]
    labels = [_label(example.expect, f"{path.name}, example {at}") for at, example in enumerate(examples, 1)]
    return Digits(np.stack(images), np.array(labels))


def _image(input: Any, at: str) -> NDArray[np.uint8]:
    image = read(input)
    if isinstance(image, Refused):
        raise Refused(f"{at}: {image}")
    return image


def _label(expect: Any, at: str) -> int:
    if expect is UNSET:
        return NO_LABEL
    label = expect.get("label") if isinstance(expect, dict) else expect
    if type(label) is not int or not 0 <= label <= 9:
        raise Refused(f"{at}: `expect` is no digit; write {{label: 7}}, or leave `expect` out where none is known")
    return label


def shifted(images: NDArray[np.uint8], random: np.random.Generator, most: int = 2) -> NDArray[np.float32]:
    """Each image moved by up to `most` pixels, levels from 0 to 1."""
    padded = np.pad(images, ((0, 0), (most, most), (most, most)))
    moves = random.integers(0, 2 * most + 1, (len(images), 2))
    size = images.shape[1]
    moved: Sequence[NDArray[np.uint8]] = [
        image[y : y + size, x : x + size] for image, (y, x) in zip(padded, moves, strict=True)
    ]
    return np.stack(moved).astype(np.float32) / 255
