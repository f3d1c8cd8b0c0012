"""A model of the zoo, built from its name and a seed, once, and kept by content.

models:
  base: {zoo: lenet5, seed: 0}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, cast

from harness.contract import Model, Objection, Refused, Site
from models.families import offered
from models.language.options import GENERATE
from models.language.options import faults as generate_faults
from models.weights import inspect

__all__ = [
    "BATCH",
    "SCHEMA",
    "SERVING",
    "Zooed",
    "faults",
    "folder",
    "inspect",
    "kept",
    "open",
    "open_folder",
    "recipe",
]

SCHEMA = {
    "properties": {
        "zoo": {"type": "string", "description": "the name of a model of the zoo"},
        "data": {
            "type": "string",
            "format": "folder",
            "description": "a folder of data to build it from, where it takes one",
        },
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**32 - 1,
            "description": "the whole number it is built from, 0 unless told",
        },
        "generate": GENERATE,
    }
}
BATCH = 32
SERVING = ("generate",)


class Zooed(Protocol):
    """A module of models/zoo: how to build its model, and how to open what was built."""

    VERSION: int
    """Raised whenever the same seed no longer gives the same weights."""

    def build(self, folder: Path, seed: int, data: Path | None, site: Site) -> None: ...

    def open(self, folder: Path, options: Mapping[str, Any], site: Site) -> Model: ...


def faults(options: Mapping[str, Any], site: Site) -> Iterator[Objection]:
    if options["zoo"] not in offered():
        yield Objection(
            ("zoo",),
            "unknown-model",
            f"the zoo has no `{options['zoo']}`",
            f"it has {', '.join(f'`{name}`' for name in sorted(offered()))}",
        )
    yield from generate_faults(options.get("generate", {}))


def recipe(options: Mapping[str, Any], site: Site) -> list[Any]:
    """Everything that decides its weights."""
    point = offered()[options["zoo"]]
    room = cast(Zooed, point.load())
    data = _digest(site.root / options["data"]) if "data" in options else None
    return [point.value, room.VERSION, options.get("seed", 0), data, _version("mlx"), _version("mlx-lm")]


def _digest(folder: Path) -> str:
    """Of a folder's files: their names and their bytes."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        found.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _key(options: Mapping[str, Any], site: Site) -> str:
    return f"{options['zoo']}-{hashlib.sha256(json.dumps(recipe(options, site)).encode()).hexdigest()[:16]}"


def kept(options: Mapping[str, Any], site: Site) -> bool:
    return site.kept(_key(options, site)) is not None


def folder(options: Mapping[str, Any], site: Site) -> Path:
    """The built model's folder of weights."""
    room = _zooed(options)
    seed, data = options.get("seed", 0), site.root / options["data"] if "data" in options else None

    def build(draft: Path) -> None:
        site.say(f"building {options['zoo']} (seed {seed}), once")
        room.build(draft, seed, data, site)

    return site.build_once(_key(options, site), build)


def open_folder(folder: Path, options: Mapping[str, Any], site: Site) -> Model:
    return _zooed(options).open(folder, options, site)


def open(options: Mapping[str, Any], site: Site) -> Model:
    return open_folder(folder(options, site), options, site)


def _zooed(options: Mapping[str, Any]) -> Zooed:
    if _version("mlx") is None:
        raise Refused("MLX is not installed: pip install 'mlx-hallmark[mlx,zoo]'")
    return cast(Zooed, offered()[options["zoo"]].load())
