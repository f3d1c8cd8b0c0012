"""How a network learns: examples in batches, a loss, and steps that the seed alone decides.

The same seed gives the same weights, to the bit, wherever the BLAS is strict (the MLX wheel's own on CPU).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx import optimizers
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from harness.contract import Refused


class Batch(NamedTuple):
    """The examples of one step: images (n, 28, 28) and labels (n,), or tokens (n, t) and the next ones (n, t)."""

    inputs: mx.array
    targets: mx.array
    mask: mx.array
    """1 where a target counts, 0 at padding and where there is no label."""
    heard: mx.array | None = None
    """1 where a teacher's word counts; None where it counts just where a target does."""


class Study(Protocol):
    """Examples to learn or to calibrate from."""

    def __len__(self) -> int: ...

    def batch(self, chosen: NDArray[np.intp], random: np.random.Generator | None) -> Batch:
        """The chosen examples, varied by `random` where the family augments its data, as they are if None."""


class Channels(NamedTuple):
    """Channels that can be dropped from a network, which then computes what it would with those at zero."""

    name: str
    producers: tuple[str, ...]
    """Paths of the layers whose output rows go: all their parameters lose the same rows of axis 0."""
    consumer: str
    """Path of the layer whose input columns go, on the last axis of its weight."""
    repeat: int = 1
    """Columns a channel has there, the channel running fastest: 25 behind a convolution flattened as (5, 5, c)."""
    together: str = ""
    """Channels with the same key keep the same width, as the layers of a language model do; empty: none."""


Loss = Callable[[nn.Module, Batch], mx.array]


def fit(  # noqa: PLR0913 the settings of a training are these, and all are named
    network: nn.Module,
    study: Study,
    *,
    epochs: int,
    batch: int,
    rate: float,
    seed: int,
    loss: Loss,
    say: Callable[[str], None],
    keep: Callable[[nn.Module], None] | None = None,
) -> dict[str, Any]:
    """Adam with a rate that falls along a cosine; what is left of an epoch and fills no batch waits for the next.

    Only the trainable parameters move. `keep(network)` comes after each step, to hold what may not.
    """
    if not len(study):
        raise Refused("there is nothing to learn from: the data has no example")
    batch = min(batch, len(study))
    many = len(study) // batch
    optimizer = optimizers.Adam(learning_rate=optimizers.cosine_decay(rate, epochs * many))
    step = nn.value_and_grad(network, lambda part: loss(network, part))
    mx.random.seed(seed)
    random = np.random.default_rng(seed)
    network.train()
    mean = 0.0
    for epoch in range(1, epochs + 1):
        order = random.permutation(len(study))
        total = 0.0
        for start in range(0, many * batch, batch):
            value, gradients = step(study.batch(order[start : start + batch], random))
            optimizer.update(network, gradients)
            if keep is not None:
                keep(network)
            mx.eval(network.parameters(), optimizer.state)
            total += value.item()
        mean = total / many
        if not math.isfinite(mean):
            raise Refused(f"training diverged in epoch {epoch} of {epochs}; write a lower `rate` than {rate}")
        if epoch == epochs or epoch % -(-epochs // 12) == 0:
            say(f"  epoch {epoch} of {epochs}: loss {mean:.4f}")
    network.eval()
    return {"epochs": epochs, "batch": batch, "rate": rate, "seed": seed, "examples": len(study), "loss": mean}


def known(study: Study) -> NDArray[np.bool_]:
    """Which of the examples have anything that a label says."""
    found = np.zeros(len(study), bool)
    for start in range(0, len(study), 256):
        chosen = np.arange(start, min(start + 256, len(study)))
        mask = np.array(study.batch(chosen, None).mask)
        found[chosen] = mask.reshape(len(mask), -1).any(axis=1)
    return found


@contextmanager
def in_float32(network: nn.Module) -> Iterator[None]:
    """Learning takes small steps, which shorter types round away: the parameters have their own types back after it."""
    types = {path: value.dtype for path, value in _leaves(network).items()}
    network.set_dtype(mx.float32)
    yield
    network.update(tree_unflatten([(path, value.astype(types[path])) for path, value in _leaves(network).items()]))
    mx.eval(network.parameters())


def _leaves(network: nn.Module) -> dict[str, Any]:
    return dict(tree_flatten(network.parameters()))


def labelled(network: nn.Module, batch: Batch) -> mx.array:
    """Cross entropy, the mean over the places that count."""
    return _mean(nn.losses.cross_entropy(network(batch.inputs), batch.targets, reduction="none"), batch.mask)


def softened(teacher: nn.Module, temperature: float, share: float) -> Loss:
    """share · T² · KL(teacher ‖ student), both softened by T, and for the rest cross entropy with the labels."""

    def loss(network: nn.Module, batch: Batch) -> mx.array:
        taught = mx.stop_gradient(_softened(teacher(batch.inputs), temperature))
        said = network(batch.inputs)
        apart = (mx.exp(taught) * (taught - _softened(said, temperature))).sum(axis=-1)
        total = share * temperature**2 * _mean(apart, batch.mask if batch.heard is None else batch.heard)
        if share < 1:
            wrong = nn.losses.cross_entropy(said, batch.targets, reduction="none")
            total = total + (1 - share) * _mean(wrong, batch.mask)
        return total

    return loss


def _softened(logits: mx.array, temperature: float) -> mx.array:
    return nn.log_softmax(logits.astype(mx.float32) / temperature, axis=-1)


def _mean(values: mx.array, mask: mx.array) -> mx.array:
    return (values * mask).sum() / mx.maximum(mask.sum(), 1)


def logs(logits: mx.array) -> mx.array:
    """The natural logarithm of each choice's probability, in float32 whatever the logits are in."""
    logits = logits.astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)
