"""An image as a question spells it: eight words of eight characters, or 28 lists of 28 levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contract import Refused
from models.zoo.lenet5.digits import LEVELS, upscaled


def read(input: Any) -> NDArray[np.uint8] | Refused:
    """28x28 levels from 0 to 255, or why there are none."""
    image: Any = input["image"] if isinstance(input, dict) and input.keys() == {"image"} else None
    if _is_square(image, 8) and all(isinstance(row, str) for row in image):
        if not all(c in LEVELS for row in image for c in row):
            return Refused(f"the image has characters other than {LEVELS}")
        return upscaled(np.array([[[LEVELS.index(c) for c in row] for row in image]]))[0]
    if _is_square(image, 28) and all(type(level) is int and 0 <= level <= 255 for row in image for level in row):
        return np.array(image, np.uint8)
    return Refused("an input is {image: [...]}: 8 words of 8 characters, or 28 lists of 28 levels from 0 to 255")


def _is_square(image: Any, size: int) -> bool:
    rows = image if isinstance(image, list) and len(image) == size else [None]
    return all(isinstance(row, str | list) and len(row) == size for row in rows)
