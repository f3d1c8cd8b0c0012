"""Low-rank adapters: a language model learns from examples, and its own weights stay as they are.

models:
  tuned: {from: base, lora: {data: ./lessons.jsonl, rank: 8, epochs: 10, rate: 1.0e-3}}
  fused: {from: base, lora: {data: ./lessons.jsonl, rank: 8, epochs: 10, rate: 1.0e-3, fuse: true}}

Kept apart, the adapter lies beside the weights as mlx-lm writes it, and `mlx_lm.load(base, adapter_path=folder)` reads
it. Fused, it is folded into the weights. A quantized layer it is folded into becomes float: packed again in as many
bits it could round a small adapter away. A network of the zoo learns the same way, and is fused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.contract import Site
from models.data import learned
from models.variants.lora.plan import SCHEMA, faults

__all__ = ["SCHEMA", "VERSION", "faults", "learned", "make"]

VERSION = 1


def make(base: Path, folder: Path, options: Mapping[str, Any], site: Site) -> None:
    from models.variants.lora.making import adapt

    adapt(base, folder, options, site)
