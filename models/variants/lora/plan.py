"""What may be written under `lora:`, what it is unless told, and what makes no sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from harness.contract import Objection

SCHEMA: Mapping[str, Any] = {
    "properties": {
        "lora": {
            "type": "object",
            "description": "a low-rank adapter that it learns, its own weights staying as they are",
            "additionalProperties": False,
            "required": ["data"],
            "properties": {
                "data": {
                    "type": "string",
                    "format": "file",
                    "description": "a .jsonl file of examples to learn from, none of which a check asks",
                },
                "rank": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 4096,
                    "description": "the width of the adapter, 8 unless told",
                },
                "scale": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 10_000,
                    "description": "what the adapter's word is multiplied by, 20 unless told; elsewhere alpha / rank",
                },
                "dropout": {
                    "type": "number",
                    "minimum": 0,
                    "exclusiveMaximum": 1,
                    "description": "the share of its inputs that the adapter does without as it learns, 0 unless told",
                },
                "layers": {
                    "description": 'a list of patterns of linear layers, such as ["*.q_proj"], or a number of blocks,'
                    " the last ones: -1, all, unless told",
                    "anyOf": [
                        {"type": "integer", "description": "so many of the last blocks, -1 for all"},
                        {
                            "type": "array",
                            "items": {"type": "string", "minLength": 1},
                            "description": "patterns of linear layers",
                        },
                    ],
                },
                "epochs": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100_000,
                    "description": "how often it goes over the examples, 10 unless told",
                },
                "batch": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 65_536,
                    "description": "examples a step, 8 unless told",
                },
                "rate": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 1,
                    "description": "Adam's learning rate at the start, 0.0001 unless told; it falls along a cosine",
                },
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 2**32 - 1,
                    "description": "decides the adapter's first weights, the order and the dropout, 0 unless told",
                },
                "mask_prompt": {
                    "type": "boolean",
                    "description": "learn what follows a prompt, not the prompt; true unless told",
                },
                "fuse": {
                    "type": "boolean",
                    "description": "fold the adapter into the weights; false, kept beside them, unless told",
                },
            },
        }
    }
}


class Recipe(NamedTuple):
    """The options, everything told."""

    data: str
    rank: int = 8
    scale: float = 20.0
    dropout: float = 0.0
    layers: int | list[str] = -1
    epochs: int = 10
    batch: int = 8
    rate: float = 1e-4
    seed: int = 0
    mask_prompt: bool = True
    fuse: bool = False


def faults(options: Mapping[str, Any]) -> Iterator[Objection]:
    """What can't be meant, told before anything is made."""
    layers, at = options.get("layers", -1), ("lora", "layers")
    instead = "write -1 for all blocks, so many of the last ones, or a list of patterns"
    if isinstance(layers, int):
        if layers < -1 or not layers:
            yield Objection(at, "lora", f"{layers} blocks can't be adapted", instead)
    elif not layers:
        yield Objection(at, "lora", "no layer is to be adapted", instead)
    elif twice := sorted({pattern for pattern in layers if layers.count(pattern) > 1}):
        yield Objection(at, "lora", f"`{twice[0]}` stands twice under `layers`", "write it once")
