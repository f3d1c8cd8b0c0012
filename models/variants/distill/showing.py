"""How much of a study's labels a student is shown."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from harness.contract import Refused
from models.training import Batch, Study, known


class Shown:
    """Some of a study's examples, some of those without their labels, on which only a teacher has a say."""

    def __init__(self, study: Study, chosen: NDArray[np.intp], labelled: NDArray[np.bool_]) -> None:
        self.study = study
        self.chosen = chosen
        self.labelled = labelled

    def __len__(self) -> int:
        return len(self.chosen)

    def labels(self) -> int:
        return int(self.labelled[self.chosen].sum())

    def batch(self, chosen: NDArray[np.intp], random: np.random.Generator | None) -> Batch:
        at = self.chosen[chosen]
        batch = self.study.batch(at, random)
        shows = mx.array(self.labelled[at].astype(np.float32)).reshape(-1, *[1] * (batch.mask.ndim - 1))
        heard = batch.mask if batch.heard is None else batch.heard
        return batch._replace(mask=batch.mask * shows, heard=heard)


def shown(study: Study, labels: int | None, *, rest: bool, seed: int) -> Shown:
    """The study with `labels` of its labels, drawn by the seed, all if None; the rest of it only where asked for."""
    having = np.flatnonzero(known(study))
    if labels is not None and labels > len(having):
        raise Refused(f"`labels: {labels}` are more than the {len(having)} that the data has")
    drawn = having if labels is None else np.random.default_rng(seed).permutation(having)[:labels]
    labelled = np.zeros(len(study), bool)
    labelled[drawn] = True
    chosen = np.arange(len(study)) if rest else np.flatnonzero(labelled)
    if not len(chosen):
        raise Refused("no example has an `expect` to learn from: add some, or let the teacher tell with `share`")
    return Shown(study, chosen, labelled)
