"""Whether tensors are the weights of an architecture, and which: their names and shapes have to be its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.contract import Refused
from models import families
from models.weights.headers import read_header

Shapes = Mapping[str, tuple[int, ...]]


def config_of(file: Path, architecture: str) -> dict[str, Any]:
    """The config of the network that the file holds; Refused, naming what does not fit, where it holds none such."""
    from mlx.utils import tree_flatten

    family: Any = families.architecture(architecture)
    shapes = {tensor.name: tensor.shape for tensor in read_header(file)}
    config = {**(_inferred(family, shapes) or {}), "architecture": architecture}
    parameters: dict[str, Any] = dict(tree_flatten(family.blank(config).parameters()))
    wanted = {name: tuple(value.shape) for name, value in parameters.items()}
    fault = _misfit(shapes, wanted)
    if fault:
        raise Refused(f"{file.name} is no {architecture}: {fault}")
    return config


def _inferred(family: Any, shapes: Shapes) -> dict[str, Any] | None:
    """What the family makes of the shapes; None where they make no sense to it, or it can't tell."""
    infer = getattr(family, "config_of", None)
    if infer is None or () in shapes.values():
        return None
    found: dict[str, Any] | None = infer(shapes)
    return found


def _misfit(shapes: Shapes, wanted: Shapes) -> str | None:
    if missing := sorted(wanted.keys() - shapes.keys()):
        strange = sorted(shapes.keys() - wanted.keys())
        return f"it lacks {_few(missing)}" + (f", and has {_few(strange)}" if strange else "")
    if strange := sorted(shapes.keys() - wanted.keys()):
        return f"it has {_few(strange)} besides"
    for name in sorted(wanted):
        if shapes[name] != wanted[name]:
            return f"{name} has the shape {list(shapes[name])}, and {list(wanted[name])} is what goes with the others"
    return None


def _few(names: list[str]) -> str:
    shown = ", ".join(name if name.isprintable() and len(name) < 60 else ascii(name)[:60] for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
