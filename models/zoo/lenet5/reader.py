"""LeNet-5 as a model under test: an image in, a label and its probability out.

An input is `{"image": [...]}`: eight words of eight characters, `.` for a blank pixel and 1 to 9, a to g for the levels
1 to 16; or 28 lists of 28 levels from 0 to 255. An answer is `{"label": 7, "p": 0.99}`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import NDArray

from harness.contract import Place, Question, Refused
from models import weights
from models.traces import place
from models.zoo import lenet5
from models.zoo.lenet5.image import read
from models.zoo.lenet5.ways import ways


class Reader:
    together = True
    padded = True
    anew = True
    samples = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digest = weights.digest(folder)
        self.network = lenet5.network(folder)
        self.run: Callable[[mx.array], Any] = self.network

    def running(self, run: Callable[[mx.array], Any]) -> Reader:
        """The same model, its network run otherwise."""
        made = copy.copy(self)
        made.run = run
        return made

    def ways(self, axis: str, asked: Any = None) -> Mapping[str, Callable[[], Reader]]:
        return ways(self, axis)

    def answer(self, questions: Sequence[Question]) -> list[Any]:
        """The questions' answers, all images in one array; an unreadable one is blank there, and refused."""
        images = [read(question.input) for question in questions]
        return _said(images, self._logits(images))

    def reveal(self, questions: Sequence[Question]) -> list[tuple[Any, list[Place]]]:
        """The same answers, each with the one place where it was chosen from: the ten logits."""
        images = [read(question.input) for question in questions]
        logits = self._logits(images)
        rows = np.array(logits)
        said = _said(images, logits)
        return [(one, [] if isinstance(one, Refused) else [place(row)]) for one, row in zip(said, rows, strict=True)]

    def weigh(self, questions: Sequence[Question], answers: Sequence[Any]) -> list[NDArray[np.float32] | Refused]:
        """Natural-log probabilities of the ten digits, whatever was answered; an unreadable image is refused."""
        images = [read(question.input) for question in questions]
        logs = np.array(nn.log_softmax(self._logits(images), axis=1))
        return [image if isinstance(image, Refused) else row[None] for image, row in zip(images, logs, strict=True)]

    def likelihood(self, questions: Sequence[Question], expected: Sequence[Any]) -> list[float | Refused]:
        """The natural-log probability of the digit that is expected."""
        found: list[float | Refused] = []
        for logs, said in zip(self.weigh(questions, expected), expected, strict=True):
            label = said.get("label") if isinstance(said, dict) else said
            if isinstance(logs, Refused):
                found.append(logs)
            elif type(label) is not int or not 0 <= label < logs.shape[-1]:
                found.append(Refused("how likely a digit is takes an `expect` that is one, or {label: ...}"))
            else:
                found.append(float(logs[0, label]))
        return found

    def _logits(self, images: Sequence[NDArray[np.uint8] | Refused]) -> mx.array:
        levels = np.stack([np.zeros((28, 28), np.uint8) if isinstance(image, Refused) else image for image in images])
        return self.run(mx.array(levels.astype(np.float32) / 255)).astype(mx.float32)

    def facts(self) -> Mapping[str, Any]:
        footprint, made = weights.footprint(self.folder), weights.read_config(self.folder).get("made", [])
        return {"weights": footprint, "dtype": footprint["dtype"], **({"made": made} if made else {})}


def _said(images: Sequence[NDArray[np.uint8] | Refused], logits: mx.array) -> list[Any]:
    shares = np.array(mx.softmax(logits, axis=1))
    return [image if isinstance(image, Refused) else _answer(row) for image, row in zip(images, shares, strict=True)]


def _answer(row: NDArray[np.float32]) -> dict[str, Any]:
    label = int(row.argmax())
    return {"label": label, "p": float(row[label])}
