"""Weights in a safetensors file, for an architecture of the zoo whose widths their shapes tell.

models:
  mine: {safetensors: ./weights.safetensors, architecture: lenet5}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.contract import Model, Objection, Refused, Site
from models.weights import inspect

__all__ = [
    "BATCH",
    "SCHEMA",
    "SERVING",
    "faults",
    "folder",
    "inspect",
    "kept",
    "open",
    "open_folder",
    "recipe",
    "remarks",
]

SCHEMA: Mapping[str, Any] = {
    "properties": {
        "safetensors": {"type": "string", "format": "file", "description": "a .safetensors file of weights"},
        "architecture": {"type": "string", "description": "the network of the zoo that they are the weights of"},
    },
    "required": ["architecture"],
}
BATCH = 32
VERSION = 1
SERVING: tuple[str, ...] = ()


def faults(options: Mapping[str, Any], site: Site) -> Iterator[Objection]:
    from models import families

    try:
        families.architecture(options["architecture"])
    except Refused as error:
        yield Objection(("architecture",), "unknown-model", str(error), "name one of those")


def remarks(options: Mapping[str, Any], site: Site, ids: set[str]) -> Iterator[str]:
    """What is wrong with the file, as far as its header tells: it will err its own cases, and no others."""
    from models.weights.headers import read_header

    try:
        read_header(site.root / options["safetensors"])
    except Refused as error:
        yield f"a model can't be opened as it is: {error}"


def open(options: Mapping[str, Any], site: Site) -> Model:
    return open_folder(folder(options, site), options, site)


def open_folder(folder: Path, options: Mapping[str, Any], site: Site) -> Model:
    from models import families

    return families.family(folder).open(folder, options, site)


def recipe(options: Mapping[str, Any], site: Site) -> list[Any]:
    """The file's bytes are digested by the planner, as every file of a spec is."""
    return [VERSION, options["architecture"]]


def kept(options: Mapping[str, Any], site: Site) -> bool:
    return site.kept(_key(options, site)) is not None


def folder(options: Mapping[str, Any], site: Site) -> Path:
    """The file as a folder of weights, made once from its bytes."""
    return site.build_once(
        _key(options, site), lambda folder: _build(site.root / options["safetensors"], options, folder)
    )


def _key(options: Mapping[str, Any], site: Site) -> str:
    import hashlib

    try:
        with (site.root / options["safetensors"]).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Refused(f"{options['safetensors']} can't be read: {error.strerror}") from None
    return f"safetensors-{options['architecture']}-{VERSION}-{digest[:16]}"


def _build(file: Path, options: Mapping[str, Any], folder: Path) -> None:
    import shutil

    from harness.codec import to_pretty_json
    from models.sources.safetensors.shapes import config_of
    from models.weights.files import CONFIG, ZOO

    config = config_of(file, options["architecture"])
    shutil.copyfile(file, folder / ZOO)
    (folder / CONFIG).write_bytes(to_pretty_json(config))
