"""A small llama in the mlx-lm layout, with a tokenizer of its own, trained from a seed to do sums in digits and words.

Two layers, 106,816 parameters; `task` says what it is taught. The golden cases are of pairs of numbers that it never
saw. `models.zoo.llama.draft` is a smaller one with the same tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.contract import Model, Refused, Site

VERSION = 1
STEPS = 280


def build(folder: Path, seed: int, data: Path | None, site: Site) -> None:
    check(data)
    from models.zoo.llama import training

    training.build(folder, training.Course("llama", STEPS), seed, site.say)


def open(folder: Path, options: Mapping[str, Any], site: Site) -> Model:
    from models import language

    return language.open(folder, options, site)


def check(data: Path | None) -> None:
    """That it can be built as it was asked to."""
    from models.language.folder import installed

    if data is not None:
        raise Refused("the zoo's llama makes up its own lessons: drop `data`, and tune it with a variant instead")
    installed()
