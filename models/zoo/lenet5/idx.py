"""IDX, the format of MNIST's files: a magic number, the sizes, then bytes."""

from __future__ import annotations

import gzip
import struct
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def write(path: Path, array: NDArray[np.uint8]) -> None:
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def read(path: Path) -> NDArray[np.uint8]:
    """An array of bytes from an IDX file, plain or gzipped."""
    zipped = path.with_name(path.name + ".gz")
    data = gzip.decompress(zipped.read_bytes()) if not path.exists() and zipped.exists() else path.read_bytes()
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path.name} is not an IDX file of bytes")
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise ValueError(f"{path.name} ends within its sizes")
    shape = struct.unpack(f">{rank}I", data[4:start])
    if len(data) - start != prod(shape):
        raise ValueError(f"{path.name} holds {len(data) - start} bytes, where its sizes {shape} ask for {prod(shape)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_pair(folder: Path, names: tuple[str, str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and their labels."""
    images, labels = read(folder / names[0]), read(folder / names[1])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(f"{names[0]} and {names[1]} do not belong together: {images.shape} and {labels.shape}")
    return images, labels
