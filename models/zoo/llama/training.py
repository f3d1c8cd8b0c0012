"""Trains a llama from a seed: the same seed gives the same weights, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx import optimizers
from mlx_lm.models.llama import Model
from numpy.typing import NDArray

from harness.codec import to_pretty_json
from models import language, weights
from models.zoo.llama import task, tokens

CONFIG: Mapping[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": len(tokens.VOCABULARY),
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "bos_token_id": tokens.IDS[tokens.BOS],
    "eos_token_id": tokens.IDS[tokens.EOS],
    "pad_token_id": tokens.IDS[tokens.PAD],
    "dtype": "float32",
}
"""Every width is a multiple of 64, so that every quantization fits, of the key-value cache's too; and no weight serves
twice, so that each layer is quantized, tuned and fused for itself."""
BATCH = 48
WARM = 10
RATE, EDGE_RATE = 0.02, 0.016
"""Of the matrices between the layers, and of all else: the embeddings, the head and the norms."""


class Course(NamedTuple):
    """What to train, and for how long."""

    zoo: str
    steps: int
    shape: Mapping[str, Any] = {}
    """How it differs from CONFIG."""


class Paper(NamedTuple):
    """Exercises as rows of tokens, padded on the right, and where in each row the answer is."""

    rows: NDArray[np.int32]
    answer: NDArray[np.float32]
    width: NDArray[np.intp]


def build(folder: Path, course: Course, seed: int, say: Callable[[str], None]) -> None:
    """A folder as mlx-lm has them: the config, the tokenizer and the weights."""
    config = {**CONFIG, **course.shape}
    mx.random.seed(seed)
    model = language.blank(config)
    mx.eval(model.parameters())
    train(model, course.steps, seed, say)
    held = task.sums()
    exact = exact_match(model, held)
    say(f"  held-out exact match {exact:.4f}")
    made = {
        "train": {"zoo": course.zoo, "seed": seed},
        "steps": course.steps,
        "held_out": len(held),
        "held_out_exact_match": exact,
    }
    weights.save(model, {**config, "made": [made]}, folder)
    ends = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    (folder / "generation_config.json").write_bytes(to_pretty_json({**ends, "do_sample": False}))
    tokens.write(folder)


def train(model: Model, steps: int, seed: int, say: Callable[[str], None]) -> None:
    random = np.random.default_rng(seed)
    kinds = [paper(task.exercises(operation, form, held=False)) for operation in task.TAUGHT for form in task.FORMS]
    width = max(kind.rows.shape[1] for kind in kinds)
    optimizer = _optimizer(steps)
    step = nn.value_and_grad(model, _loss)
    total = 0.0
    for number in range(1, steps + 1):
        rows, answer = _batch(kinds, width, random)
        loss, gradients = step(model, mx.array(rows), mx.array(answer))
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)
        total += loss.item()
        if number % 50 == 0:
            say(f"  step {number} of {steps}: loss {total / 50:.4f}")
            total = 0.0


def _optimizer(steps: int) -> optimizers.Optimizer:
    """Muon between the layers, which takes a third of the steps that Adam does; Adam where Muon is not meant for."""
    warm = min(WARM, steps - 1)

    def rate(top: float) -> Callable[[mx.array], mx.array]:
        parts = [optimizers.linear_schedule(0, top, warm), optimizers.cosine_decay(top, steps - warm, top / 50)]
        return optimizers.join_schedules(parts, [warm])

    muon = optimizers.Muon(rate(RATE), momentum=0.87, weight_decay=0, ns_steps=3)
    adam = optimizers.Adam(rate(EDGE_RATE), betas=[0.9, 0.98], bias_correction=True)
    return optimizers.MultiOptimizer([muon, adam], [_is_inner])


def _is_inner(name: str, weight: mx.array) -> bool:
    return weight.ndim == 2 and "embed_tokens" not in name and "lm_head" not in name


def _loss(model: Model, rows: mx.array, answer: mx.array) -> mx.array:
    """Of the answers' tokens alone: what is asked is not to be learned."""
    losses = nn.losses.cross_entropy(model(rows[:, :-1]), rows[:, 1:])
    return (losses * answer[:, 1:]).sum() / answer.sum()


def paper(exercises: Sequence[task.Exercise]) -> Paper:
    encode = tokens.tokenizer().encode_batch
    prompts = [found.ids for found in encode([exercise.prompt for exercise in exercises])]
    answers = [found.ids for found in encode([exercise.answer for exercise in exercises], add_special_tokens=False)]
    width = np.array([len(prompt) + len(said) + 1 for prompt, said in zip(prompts, answers, strict=True)])
    rows = np.full((len(width), width.max()), tokens.IDS[tokens.PAD], np.int32)
    answer = np.zeros(rows.shape, np.float32)
    for at, (prompt, said) in enumerate(zip(prompts, answers, strict=True)):
        rows[at, : width[at]] = [*prompt, *said, tokens.IDS[tokens.EOS]]
        answer[at, len(prompt) : width[at]] = 1
    return Paper(rows, answer, width)


def _batch(
    kinds: Sequence[Paper], width: int, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Exercises drawn so that every operation and form has the same chance."""
    rows = np.full((BATCH, width), tokens.IDS[tokens.PAD], np.int32)
    answer = np.zeros((BATCH, width), np.float32)
    longest = 0
    for at, kind in enumerate(random.integers(0, len(kinds), BATCH)):
        drawn = kinds[kind]
        one = random.integers(0, len(drawn.rows))
        longest = max(longest, drawn.width[one])
        rows[at, : drawn.rows.shape[1]] = drawn.rows[one]
        answer[at, : drawn.rows.shape[1]] = drawn.answer[one]
    return rows[:, :longest], answer[:, :longest]


def exact_match(model: Model, exercises: Sequence[task.Exercise]) -> float:
    """The share that is answered exactly: every token of the answer, and its end, is the likeliest there."""
    asked = paper(exercises)
    right = 0
    for start in range(0, len(asked.rows), 128):
        rows, answer = asked.rows[start : start + 128], asked.answer[start : start + 128]
        said = np.array(mx.argmax(model(mx.array(rows[:, :-1])), axis=-1))
        right += int(((said == rows[:, 1:]) | (answer[:, 1:] == 0)).all(axis=1).sum())
    return right / len(asked.rows)
