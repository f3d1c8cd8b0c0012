"""LeNet-5 (LeCun 1998) in MLX, trained from a seed to read handwritten digits.

Without a folder of data it is trained on scikit-learn's bundled digits, upscaled to 28x28 and written as IDX files;
with `data:` on MNIST's own IDX files, or any of their format, by the same reader.
"""

from __future__ import annotations

from pathlib import Path

from harness.contract import Model, Site

VERSION = 1
WEIGHTS = "weights.safetensors"


def build(folder: Path, seed: int, data: Path | None, site: Site) -> None:
    from models.zoo.lenet5 import digits, training

    if data is None:
        data = folder / "data"
        digits.write_idx(data)
    training.train(data, folder / WEIGHTS, seed, site.say)


def open(folder: Path) -> Model:
    from models.zoo.lenet5.reader import Reader

    return Reader(folder / WEIGHTS)
