"""Examples that a quantization is fitted to, and what the layers of a network take in on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import mlx.core as mx
import numpy as np
from mlx.nn.layers.base import Module

from models.data import CalibrationDataset
from models.families import Family
from models.quantized import Range, leaves, put
from models.training import Study

TOGETHER = 8
"""Examples that go through a network at once, of long ones fewer."""
TOKENS = 2048


class Calibration(NamedTuple):
    """Some of a file's examples."""

    study: Study
    chosen: list[int]
    digest: str

    def made(self) -> dict[str, Any]:
        return {"digest": self.digest, "examples": len(self.chosen)}


def calibration(family: Family, base: Path, root: Path, options: Mapping[str, Any]) -> Calibration:
    """As many examples as asked for, drawn by the seed; all of them where none are asked for."""
    path = root / options["data"]
    study = family.study(base, path)
    order = np.random.default_rng(options.get("seed", 0)).permutation(len(study))
    chosen = sorted(order[: options.get("samples", len(study))].tolist())
    return Calibration(study, chosen, CalibrationDataset(path).digest)


def inputs(study: Study, chosen: Iterable[int]) -> Iterator[mx.array]:
    """What a network is shown, one example at a time: nothing is padded."""
    for index in chosen:
        yield study.batch(np.array([index]), None).inputs


def alike(examples: Iterable[mx.array], together: int = TOGETHER) -> list[mx.array]:
    """Examples of one shape side by side, so that none has to be padded: padding would count as if it were said."""
    shapes: dict[tuple[int, ...], list[mx.array]] = {}
    for example in examples:
        shapes.setdefault(example.shape, []).append(example)
    batches = []
    for shape, same in shapes.items():
        many = max(1, min(together, TOKENS // shape[1]))
        batches += [mx.concatenate(same[at : at + many]) for at in range(0, len(same), many)]
    return batches


def lessons(study: Study, chosen: Iterable[int]) -> list[list[int]]:
    """The whole texts of a language model's examples, as tokens."""
    found = []
    for index in chosen:
        batch = study.batch(np.array([index]), None)
        found.append([*np.array(batch.inputs)[0].tolist(), int(batch.targets[0, -1])])
    return found


class Watch(Module):
    """A layer that lets note what it takes in. It hides the layer from whoever walks through the network."""

    def __init__(self, layer: Any, note: Callable[[mx.array], None] | None = None) -> None:
        cast(Any, super()).__init__()
        self._watched = (layer,)
        self._note = note

    def __call__(self, x: mx.array, *others: Any, **named: Any) -> Any:
        if self._note is not None:
            self._note(x)
        return self._watched[0](x, *others, **named)

    def as_linear(self, x: mx.array) -> Any:
        return self._watched[0].as_linear(x)


def observed(
    network: Any, batches: Iterable[mx.array], paths: Iterable[str], how: Mapping[str, Any]
) -> dict[str, Range]:
    """The ranges of what these layers take in; a layer that nothing reached has none."""
    percentile = how.get("percentile", 100)
    layers = {path: leaves(network)[path] for path in paths}
    seen: dict[str, list[tuple[float, float]]] = {path: [] for path in layers}
    put(network, {path: Watch(layer, partial(_note, seen[path], percentile)) for path, layer in layers.items()})
    for batch in batches:
        mx.eval(network(batch))
    put(network, layers)
    return {path: _range(ends, percentile, how["bits"]) for path, ends in seen.items() if ends}


def _note(ends: list[tuple[float, float]], percentile: float, x: mx.array) -> None:
    values = np.array(x.astype(mx.float32))
    low, high = (
        np.percentile(values, (100 - percentile, percentile)) if percentile < 100 else (values.min(), values.max())
    )
    ends.append((float(low), float(high)))


def _range(ends: Sequence[tuple[float, float]], percentile: float, bits: int) -> Range:
    """All of what was seen; of percentiles the mean over batches, as what one batch alone has is to be left out."""
    lows, highs = zip(*ends, strict=True)
    if percentile < 100:
        return Range(float(np.mean(lows)), float(np.mean(highs)), bits)
    return Range(min(lows), max(highs), bits)
