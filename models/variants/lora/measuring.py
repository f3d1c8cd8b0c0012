"""How well a network says what it was taught, and how far what it says is from what another does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from models.training import Batch, Study, labelled, logs

MOST = 128
"""Examples that are measured on."""


class Whole:
    """A study of which prompts are learned, too: every place up to the last that counts does."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def __len__(self) -> int:
        return len(self.study)

    def batch(self, chosen: NDArray[np.intp], random: np.random.Generator | None) -> Batch:
        batch = self.study.batch(chosen, random)
        return batch if batch.mask.ndim < 2 else batch._replace(mask=mx.cummax(batch.mask, axis=1, reverse=True))


class Sample:
    """Some of a study's examples, spread evenly over it, in batches: what is said of them is the same each time."""

    def __init__(self, study: Study, batch: int) -> None:
        chosen = np.unique(np.linspace(0, len(study) - 1, min(len(study), MOST)).astype(np.intp))
        self.study = study
        self.parts = [chosen[at : at + batch] for at in range(0, len(chosen), batch)]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def batches(self, study: Study | None = None) -> Iterator[Batch]:
        for part in self.parts:
            yield (study or self.study).batch(part, None)

    def loss(self, network: Any) -> float:
        """Cross entropy, the mean over the places that count."""
        total = places = 0.0
        for batch in self.batches():
            many = _number(batch.mask.sum())
            total += _number(labelled(network, batch)) * many
            places += many
        return total / max(places, 1)

    def divergence(self, meant: Any, said: Any) -> Apart:
        """The Kullback-Leibler divergence of one network's word from another's, at every place of the examples."""
        total, places, worst = 0.0, 0.0, 0.0
        for batch in self.batches(Whole(self.study)):
            expected, got = (logs(network(batch.inputs)) for network in (meant, said))
            apart = mx.maximum((mx.exp(expected) * (expected - got)).sum(axis=-1), 0) * batch.mask
            total += _number(apart.sum())
            worst = max(worst, _number(apart.max()))
            places += _number(batch.mask.sum())
        return Apart(total / max(places, 1), worst)


class Apart(NamedTuple):
    """How far two networks are from each other, in nats."""

    mean: float
    worst: float


def _number(value: mx.array) -> float:
    return cast(float, value.item())
