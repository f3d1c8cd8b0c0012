"""A language model in the mlx-lm layout: a folder of the project, or a model of the local Hugging Face cache.

models:
  four-bit: {mlx_lm: ./models/my-llama-4bit, generate: {max_tokens: 32}}      # relative to the spec
  hub: {mlx_lm: mlx-community/Llama-3.2-1B-Instruct-4bit}                      # downloaded before, never by a test

A word that is a folder of the project is that folder; any other is an id of the hub. Nothing here asks the network.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.codec import digest_of_file
from harness.contract import Objection, Refused, Site
from models import language
from models.language import folder as folders
from models.weights import inspect

if TYPE_CHECKING:
    from models.language.speaker import Speaker

__all__ = ["BATCH", "SCHEMA", "SERVING", "faults", "folder", "inspect", "open", "open_folder", "recipe", "remarks"]

SCHEMA = {
    "properties": {
        "mlx_lm": {
            "type": "string",
            "format": "folder-or-id",
            "minLength": 1,
            "description": "a folder in the mlx-lm layout, or the hub id org/name of a model in the local cache",
        },
        "revision": {
            "type": "string",
            "minLength": 1,
            "description": "the branch, tag or commit of a hub id, main unless told",
        },
        "generate": language.GENERATE,
    }
}
BATCH = 16
SERVING = ("generate",)

_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_LARGE = 16 << 20
"""Files above this size are read once for their digest, which is then kept."""


def _local(options: Mapping[str, Any], site: Site) -> Path | None:
    """The folder that is meant, or None where a hub id is."""
    named = options["mlx_lm"]
    path = site.root / named
    if not named.startswith((".", "/", "~")) and _ID.fullmatch(named):  # the planner writes a folder as ./folder
        return None
    if not path.resolve().is_relative_to(site.root.resolve()):
        raise Refused(f"`{named}` is outside the project; put the model in it, or name one of the hub: org/name")
    if not os.path.isdir(path):
        raise Refused(f"there is no folder `{named}`; name one of the project, or a model of the hub: org/name")
    return path


def _cached(options: Mapping[str, Any]) -> Path | None:
    """The folder of a hub id in the local cache."""
    try:
        from huggingface_hub import constants, try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(
        options["mlx_lm"], "config.json", constants.HF_HUB_CACHE, revision=options.get("revision")
    )
    return Path(found).parent if isinstance(found, str) else None


def folder(options: Mapping[str, Any], site: Site) -> Path:
    """The folder of weights: of the project, or of the cache."""
    local = _local(options, site)
    if local is not None:
        return local
    folders.installed()
    found = _cached(options)
    if found is None:
        revision = f" --revision {options['revision']}" if "revision" in options else ""
        raise Refused(
            f"`{options['mlx_lm']}` is not in the local cache;"
            f" run `hf download {options['mlx_lm']}{revision}`, or name a folder"
        )
    return found


def open(options: Mapping[str, Any], site: Site) -> Speaker:
    return open_folder(folder(options, site), options, site)


def open_folder(folder: Path, options: Mapping[str, Any], site: Site) -> Speaker:
    return language.open(folder, options, site)


def faults(options: Mapping[str, Any], site: Site) -> Iterator[Objection]:
    yield from language.faults(options.get("generate", {}))
    if "revision" in options and options["mlx_lm"].startswith("."):
        what = f"`{options['mlx_lm']}` is a folder, and `revision` belongs to a hub id"
        yield Objection(("revision",), "weights", what, "drop it")


def remarks(options: Mapping[str, Any], site: Site, ids: set[str]) -> Iterator[str]:
    """What is wrong with a folder, as far as the headers of its files tell: it will err its own cases alone."""
    try:
        local = _local(options, site)
        if local is not None:
            folders.check(local, site.trusted)
    except Refused as refused:
        yield f"a model can't be opened as it is: {refused}"


def recipe(options: Mapping[str, Any], site: Site) -> list[Any]:
    """What decides the weights and how they are read: the bytes of a folder's files, or the commit of a hub id.

    It says nothing of `generate`: that decides how the model answers, not what it is.
    """
    try:
        local = _local(options, site)
    except Refused:
        return ["mlx_lm", options["mlx_lm"], None]
    if local is not None:
        return ["mlx_lm", [[file.name, _digest(file, site)] for file in folders.files(local)]]
    found = _cached(options)
    return ["mlx_lm", options["mlx_lm"], found.name if found else options.get("revision")]


def _digest(file: Path, site: Site) -> str:
    """A file's digest; a large one's is kept for as long as its place, size and time of change stay the same."""
    about = file.stat()
    if about.st_size < _LARGE:
        return digest_of_file(file)
    said = f"{file.resolve()}\0{about.st_size}\0{about.st_mtime_ns}\0{about.st_ctime_ns}\0{about.st_ino}"

    def build(into: Path) -> None:
        site.say(f"reading {file.name} for its digest, once")
        (into / "digest").write_text(digest_of_file(file))

    try:
        kept = site.build_once(f"digest-{hashlib.sha256(said.encode()).hexdigest()[:16]}", build)
        return (kept / "digest").read_text()
    except OSError:  # nothing can be kept here
        return digest_of_file(file)
