"""Weights in fewer bits: packed in groups, each with a scale of its own.

models:
  int8:  {from: base, quantize: {bits: 8, group_size: 32, pad: true}}
  mixed: {from: base, quantize: {bits: 4, layers: {lm_head: {bits: 8}, "*.v_proj": false}}}
  tuned: {from: base, quantize: {bits: 4, method: gptq, data: ./calibration.jsonl}}

`method: round` packs each weight by itself; gptq, awq and dwq, which are mlx-lm's, choose them by what a language
model makes of examples. `activations:` also rounds what the packed layers take in. That is simulated: it certifies
accuracy, never speed. Of two `layers` patterns that match a layer, the longer one counts; a path counts before both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.contract import Site
from models.data import learned
from models.variants.quantize.plan import SCHEMA, faults

__all__ = ["SCHEMA", "VERSION", "faults", "learned", "make"]

VERSION = 1


def make(base: Path, folder: Path, options: Mapping[str, Any], site: Site) -> None:
    from models.variants.quantize.making import quantize

    quantize(base, folder, options, site)
