"""From a model's declaration to a folder of weights and an opened model: its source, then each step from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness import rooms
from harness.contract import Declared, Model, Refused, Site
from harness.store import build_once, built_folder


class Shelf:
    """What a source or a variant is lent: the project's root, a voice, and a cache of built folders by content."""

    def __init__(self, root: Path, say: Callable[[str], None], *, trusted: bool = False) -> None:
        self.root = root
        self.say = say
        self.trusted = trusted

    def kept(self, key: str) -> Path | None:
        folder = built_folder(key)
        return folder if folder.is_dir() else None

    def build_once(self, key: str, build: Callable[[Path], None]) -> Path:
        return build_once(key, build)

    def weights(self, declared: Mapping[str, Any]) -> Path:
        return folder_of(msgspec.convert(declared, Declared), self)


def open_model(declared: Declared, site: Site) -> Model:
    """The model, opened; what is not built yet is built."""
    room: Any = rooms.source(declared.how)
    if not declared.steps:
        return room.open(declared.options, site)  # type: ignore[no-any-return]
    return room.open_folder(folder_of(declared, site), declared.options, site)  # type: ignore[no-any-return]


def folder_of(declared: Declared, site: Site) -> Path:
    """The folder of weights that a declaration leads to; a step whose result is kept asks for nothing before it."""
    if not declared.steps:
        room: Any = rooms.source(declared.how)
        if not hasattr(room, "folder"):
            raise Refused(f"`{declared.name}` has no weights of its own: `{declared.how}` only asks")
        return room.folder(declared.options, site)  # type: ignore[no-any-return]
    *before, step = declared.steps

    def build(draft: Path) -> None:
        base = folder_of(
            msgspec.structs.replace(declared, name=declared.base or declared.name, steps=tuple(before)), site
        )
        site.say(f"building {declared.name}: {step.what} {_options(step.options)}, once")
        rooms.variant(step.what).make(base, draft, step.options, site)

    return site.build_once(_key(declared), build)


def is_built(declared: Declared, site: Site) -> bool | None:
    """Whether there is nothing left to build of it; None where there never is."""
    if declared.steps:
        return site.kept(_key(declared)) is not None
    answer: bool | None = rooms.optional(rooms.source(declared.how), "kept", declared.options, site)
    return answer


def _key(declared: Declared) -> str:
    step = declared.steps[-1]
    return f"{step.what}-{step.recipe.rpartition(':')[2][:20]}"


def _options(options: Any) -> str:
    return msgspec.json.encode(options).decode() if options else ""
