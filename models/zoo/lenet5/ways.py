"""Other ways to ask a LeNet-5: compiled, or saved and loaded again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import mlx.core as mx

from harness.contract import Refused
from models import weights
from models.backend import check_compiles, check_tf32

if TYPE_CHECKING:
    from models.zoo.lenet5.reader import Reader

Ways = Mapping[str, "Callable[[], Reader]"]

_REFUSED = {
    "cache": "it reads each image whole, and keeps no cache",
    "fused": "it has no adapter apart: a LeNet-5's is fused when it is made",
    "kv_bits": "it has no key-value cache; vary that of a language model",
    "padding": "images are all of one size: nothing is padded",
    "speculative": "it says one label, and there is nothing to draft",
}


def ways(reader: Reader, axis: str) -> Ways:
    """What the model has to offer under an axis, nothing where it knows none; Refused where it can't be varied."""
    if axis in _REFUSED:
        raise Refused(_REFUSED[axis])
    if axis == "tf32":
        check_tf32()
    if axis == "compile":
        check_compiles()
        return {"mx.compile": lambda: reader.running(mx.compile(reader.network.__call__))}
    return {"saved and loaded again": partial(_reloaded, reader)} if axis == "reload" else {}


def _reloaded(reader: Reader) -> Reader:
    with TemporaryDirectory(prefix="hallmark-") as name:
        weights.save(reader.network, weights.read_config(reader.folder), Path(name), reader.folder)
        again = type(reader)(Path(name))
    again.folder = reader.folder
    return again
