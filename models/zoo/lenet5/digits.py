"""Scikit-learn's 1,797 handwritten digits of 8x8 pixels and 17 grey levels, as 28x28 IDX files and as golden cases.

`python -m models.zoo.lenet5.digits` prints the cases: golden/lenet5/digits.jsonl is what it printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contract import Refused
from models.zoo.lenet5 import idx

LEVELS = ".123456789abcdefg"
"""How a pixel's level, 0 to 16, is written in a case."""
HELD_OUT = 500
_SPLIT = 20_260_101
"""The split is fixed, whatever the seed of the training: the golden cases are of the held-out part."""


def upscaled(images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """8x8 images of levels 0 to 16 as 28x28 images of levels 0 to 255, by bilinear interpolation."""
    size = images.shape[-1]
    at = np.clip((np.arange(28) + 0.5) * size / 28 - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    part = at - low
    values = images.astype(np.float64)
    rows = values[:, low, :] * (1 - part)[None, :, None] + values[:, high, :] * part[None, :, None]
    both = rows[:, :, low] * (1 - part) + rows[:, :, high] * part
    return np.rint(both * 255 / 16).astype(np.uint8)


def split() -> tuple[tuple[NDArray[np.generic], NDArray[np.generic]], tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """The digits as they come, in two parts: to train on, and held out."""
    images, labels = _all()
    train, test = _parts(len(images))
    return (images[train], labels[train]), (images[test], labels[test])


def _all() -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise Refused("scikit-learn, which has the digits, is not installed: pip install 'mlx-hallmark[zoo]'") from None
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8), labels


def _parts(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    order = np.random.default_rng(_SPLIT).permutation(n)
    return order[:-HELD_OUT], order[-HELD_OUT:]


def write_idx(folder: Path) -> None:
    folder.mkdir()
    for (images, labels), names in zip(split(), (idx.TRAIN, idx.TEST), strict=True):
        idx.write(folder / names[0], upscaled(images))
        idx.write(folder / names[1], labels.astype(np.uint8))


def cases() -> Iterator[dict[str, Any]]:
    """The held-out digits as golden cases, named by their place in the whole set."""
    images, labels = _all()
    for index in sorted(_parts(len(images))[1].tolist()):
        rows = ["".join(LEVELS[int(level)] for level in row) for row in images[index]]
        label = int(labels[index])
        yield {
            "id": f"digit-{index:04d}",
            "input": {"image": rows},
            "expect": {"label": label},
            "tags": [f"label-{label}"],
        }


if __name__ == "__main__":
    import json

    for case in cases():
        print(json.dumps(case))
