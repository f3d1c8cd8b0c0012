"""mlx-lm's ways to choose packed weights, each fitted to texts: GPTQ, AWQ and DWQ.

All change the network that they are given. They are steered as their own commands steer them, but for what is
narrower here: one packing for all layers unless told otherwise, and the examples of the user's own file.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import mlx.core as mx
import numpy as np
from mlx import optimizers

from harness.contract import Refused
from models.quantized import leaves, pack, put
from models.training import logs
from models.variants.quantize.calibrating import Watch
from models.variants.quantize.choosing import Choice

LONGEST = 2048
EPOCHS = 4
RATE = 3e-5


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """mlx-lm draws bars and prints as it goes; a run has its own lines."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class _Batches:
    """Batches as mlx-lm's GPTQ asks for them, by slices of one: each of texts of one length, so that none is padded."""

    def __init__(self, batches: Sequence[mx.array]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, part: slice) -> mx.array:
        return self._batches[part.start]


def gptq(network: Any, choice: Choice, batches: Sequence[mx.array]) -> None:
    """Columns are rounded one after the other, each making up for the errors of those before it.

    What it does not pack so, embeddings and layers of another packing, is hidden from it and rounded.
    """
    from mlx_lm.models.switch_layers import SwitchLinear
    from mlx_lm.quant import gptq as room
    from mlx_lm.quant.gptq import nn

    bits, group_size, _ = choice.whole
    own = {nn.Linear, SwitchLinear}
    aside = {
        path: layer
        for path, layer in leaves(network).items()
        if hasattr(layer, "to_quantized") and not (type(layer) in own and choice.layers.get(path) == choice.whole)
    }
    put(network, {path: Watch(layer) for path, layer in aside.items()})
    quantize: Any = room.gptq_quantize
    with _hushed():
        quantize(network, _Batches(batches), bits, group_size, bits, group_size, batch_size=1)
    put(
        network,
        {path: pack(layer, choice.layers[path]) if path in choice.layers else layer for path, layer in aside.items()},
    )


def awq(network: Any, model_type: str, choice: Choice, batches: Sequence[mx.array]) -> None:
    """Inputs that are large are scaled down, and their weights up, before all of a block is rounded."""
    from mlx_lm.quant import awq as room

    known = room.AWQ_MODEL_CONFIGS
    if model_type not in known:
        raise Refused(f"awq knows no `{model_type}`, only {', '.join(sorted(known))}; write `method: gptq` or `dwq`")
    bits, group_size, _ = choice.whole
    with _hushed():
        room.awq_quantize(
            network,
            _rectangle(batches),
            known[model_type],
            group_size=group_size,
            bits=bits,
            embed_group_size=group_size,
            embed_bits=bits,
        )


def _rectangle(batches: Sequence[mx.array]) -> mx.array:
    """Texts cut to one length, the one that keeps most tokens: what comes later changes nothing before it."""
    rows: list[Any] = [row for batch in batches for row in np.array(batch).tolist()]
    length = max({len(row) for row in rows}, key=lambda n: n * sum(len(row) >= n for row in rows))
    return mx.array([row[:length] for row in rows if len(row) >= length])


def dwq(network: Any, teacher: Any, texts: Sequence[list[int]], options: Mapping[str, Any]) -> None:
    """The scales and biases of a packed network learn to say what the float one says."""
    from mlx_lm.quant import dwq as room

    seed, together = options.get("seed", 0), min(4, len(texts))
    lessons = [(text, 0) for text in texts]
    epochs = options.get("epochs", EPOCHS)
    decay = optimizers.cosine_decay(options.get("rate", RATE), epochs * (len(texts) // together))
    optimizer = optimizers.Adam(learning_rate=decay, bias_correction=True)
    dtype = next(layer.scales.dtype for layer in leaves(network).values() if "scales" in layer)
    state = np.random.get_state()  # mlx-lm shuffles by numpy's own generator
    mx.random.seed(seed)
    try:
        for epoch in range(epochs):
            with _hushed():
                room.dwq_quantize(
                    network,
                    lambda batch, at, split: teacher(batch),
                    optimizer,
                    lessons,
                    lessons[:together],
                    batch_size=together,
                    max_seq_length=LONGEST,
                    seed=(seed + epoch) % 2**32,
                    dtype=dtype,
                )
    finally:
        np.random.set_state(state)
    network.eval()


def divergence(teacher: Any, network: Any, batches: Sequence[mx.array]) -> float:
    """The mean over all places of the Kullback-Leibler divergence of what a network says from what its teacher does."""
    total, places = mx.array(0.0), 0
    for batch in batches:
        meant, said = (logs(model(batch)) for model in (teacher, network))
        total += mx.sum(mx.exp(meant) * (meant - said))
        places += batch.size
        mx.eval(total)
    return cast(float, total.item()) / places
