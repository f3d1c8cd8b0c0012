"""LeNet-5 as a model under test: an image in, a label and its probability out.

An input is `{"image": [...]}`: eight words of eight characters, `.` for a blank pixel and 1 to 9, a to g for the levels
1 to 16; or 28 lists of 28 levels from 0 to 255. An answer is `{"label": 7, "p": 0.99}`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from harness.contract import Question, Refused
from models.zoo.lenet5.digits import LEVELS, upscaled
from models.zoo.lenet5.network import LeNet5


class Reader:
    together = True

    def __init__(self, weights: Path) -> None:
        self.digest = "sha256:" + hashlib.sha256(weights.read_bytes()).hexdigest()
        self.model = LeNet5()
        self.model.load_weights(str(weights))
        self.model.eval()
        mx.eval(self.model.parameters())

    def answer(self, questions: Sequence[Question]) -> list[Any]:
        """The questions' answers, all images in one array; an unreadable one is blank there, and refused."""
        images = [_read(question.input) for question in questions]
        levels = np.stack([np.zeros((28, 28), np.uint8) if isinstance(image, Refused) else image for image in images])
        shares = mx.softmax(self.model(mx.array(levels.astype(np.float32) / 255)), axis=1)
        mx.eval(shares)
        return [
            image if isinstance(image, Refused) else _answer(row)
            for image, row in zip(images, np.array(shares), strict=True)
        ]

    def facts(self) -> Mapping[str, Any]:
        return {"dtype": "float32", "parameters": sum(int(value.size) for value in _leaves(self.model.parameters()))}


def _leaves(tree: Any) -> list[Any]:
    return [leaf for part in tree.values() for leaf in _leaves(part)] if isinstance(tree, dict) else [tree]


def _answer(row: NDArray[np.float32]) -> dict[str, Any]:
    label = int(row.argmax())
    return {"label": label, "p": float(row[label])}


def _read(input: Any) -> NDArray[np.uint8] | Refused:
    image: Any = input.get("image") if isinstance(input, dict) else None
    if _is_square(image, 8) and all(isinstance(row, str) for row in image):
        if not all(c in LEVELS for row in image for c in row):
            return Refused(f"the image has characters other than {LEVELS}")
        return upscaled(np.array([[[LEVELS.index(c) for c in row] for row in image]]))[0]
    if _is_square(image, 28) and all(type(level) is int and 0 <= level <= 255 for row in image for level in row):
        return np.array(image, np.uint8)
    return Refused("an input is {image: [...]}: 8 words of 8 characters, or 28 lists of 28 levels from 0 to 255")


def _is_square(image: Any, size: int) -> bool:
    rows = image if isinstance(image, list) and len(image) == size else [None]
    return all(isinstance(row, str | list) and len(row) == size for row in rows)
