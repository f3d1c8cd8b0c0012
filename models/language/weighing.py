"""How likely a network finds given answers: every choice at each place, the answer before it taken as said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from models.training import logs

MOST = 1 << 28
"""Logits computed at a time; a larger batch is weighed in parts."""


Row = tuple[Sequence[int], Sequence[int]]
"""The tokens of a prompt and of its answer."""


def weigh(network: Any, choices: int, rows: Sequence[Row]) -> list[NDArray[np.float32]]:
    """Natural-log probabilities (places, choices) of each answer's places."""
    return [found for part in _parts(rows, choices) for found in _weighed(network, choices, part)]


def _parts(rows: Sequence[Row], choices: int) -> Iterator[Sequence[Row]]:
    if rows:
        longest = max(len(prompt) + len(answer) for prompt, answer in rows)
        many = max(1, MOST // (longest * choices))
        yield from (rows[start : start + many] for start in range(0, len(rows), many))


def _weighed(network: Any, choices: int, rows: Sequence[Row]) -> Iterator[NDArray[np.float32]]:
    """Padded on the right: what comes after a place can't reach it."""
    whole = [[*prompt, *answer][:-1] for prompt, answer in rows]
    width = max(1, *map(len, whole))
    weights = logs(network(mx.array([[*tokens, *[0] * (width - len(tokens))] for tokens in whole])))
    for row, (prompt, answer) in zip(weights, rows, strict=True):
        if answer:
            yield np.array(row[len(prompt) - 1 : len(prompt) - 1 + len(answer)])
        else:
            yield np.zeros((0, choices), np.float32)
