"""From a model's declaration to a folder of weights and an opened model: its source, then each step from there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness import child, rooms
from harness.codec import digest_of, digest_of_file
from harness.contract import Declared, Model, Refused, Site
from harness.store import build_once, built_folder


class Shelf:
    """What a source or a variant is lent: the project's root, a voice, and a cache of built folders by content."""

    def __init__(
        self,
        root: Path,
        say: Callable[[str], None],
        *,
        trusted: bool = False,
        hosts: Sequence[str] = (),
        runs: Path | None = None,
    ) -> None:
        self.root = root
        self.runs = runs or root / "runs"
        self.say = say
        self.trusted = trusted
        self.hosts = tuple(hosts)

    def kept(self, key: str) -> Path | None:
        folder = built_folder(key)
        return folder if folder.is_dir() else None

    def build_once(self, key: str, build: Callable[[Path], None]) -> Path:
        return build_once(key, build)

    def weights(self, declared: Mapping[str, Any]) -> Path:
        return folder_of(msgspec.convert(declared, Declared), self)


def open_model(declared: Declared, site: Site) -> Model:
    """The model, opened; what is not built yet is built."""
    _build_strictly(declared, site)
    room: Any = rooms.source(declared.how)
    _unchanged(declared, site)
    if not declared.steps:
        model: Model = room.open(declared.options, site)
    else:
        model = room.open_folder(folder_of(declared, site), declared.options, site)
    _unchanged(declared, site)
    return model


def open_ad_hoc(how: str, options: Mapping[str, Any], site: Site) -> Model:
    """A model that no spec declares, as a source opens it."""
    room: Any = rooms.source(how)
    model: Model = room.open(options, site)
    return model


def folder_of(declared: Declared, site: Site) -> Path:
    """The folder of weights that a declaration leads to; a step whose result is kept asks for nothing before it."""
    os.environ.setdefault("MLX_ENABLE_TF32", "0")  # before anything imports MLX
    _build_strictly(declared, site)
    if not declared.steps:
        room: Any = rooms.source(declared.how)
        if not hasattr(room, "folder"):
            raise Refused(f"`{declared.name}` has no weights of its own: `{declared.how}` only asks")
        return room.folder(declared.options, site)  # type: ignore[no-any-return]
    *before, step = declared.steps

    def build(draft: Path) -> None:
        _unchanged(declared, site)
        base = folder_of(
            msgspec.structs.replace(declared, name=declared.base or declared.name, steps=tuple(before)), site
        )
        site.say(f"building {declared.name}: {step.what} {_options(step.options)}, once")
        rooms.variant(step.what).make(base, draft, step.options, site)
        _unchanged(declared, site)  # what is kept under a recipe must be what the recipe speaks of

    return site.build_once(_key(declared), build)


def _build_strictly(declared: Declared, site: Site) -> None:
    """A fast process has what is lacking built by a strict one: what is kept must not depend on who asked for it."""
    numerics = sys.modules.get("harness.numerics")
    if numerics is None or numerics.active() != "fast" or is_built(declared, site) is not False:
        return
    request = msgspec.json.encode([declared, str(site.root), site.trusted])
    ran = subprocess.run(child.command("harness.shelf"), input=request, stdout=subprocess.PIPE, check=False)
    if ran.returncode:
        raise Refused(ran.stdout.decode("utf-8", "replace").strip() or f"its build ended with status {ran.returncode}")


def main() -> None:
    """Build the model that standard input declares; on standard output, why it can't be built."""
    declared, root, trusted = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[Declared, str, bool])
    out = child.own_output()
    shelf = Shelf(Path(root), lambda text: print(text, file=sys.stderr, flush=True), trusted=trusted)
    try:
        folder_of(declared, shelf)
    except Exception as error:
        out.write(explain(error).encode("utf-8", "replace"))
        out.flush()
        sys.exit(1)


def _unchanged(declared: Declared, site: Site) -> None:
    """Refused where a file that a step learns from, or what its source opens, is another than when it was planned."""
    for step in declared.steps:
        for name, known in step.files.items():
            if digest_of_file(site.root / name) != known:
                raise Refused(f"{name} has changed since it was planned; run again")
    serving = getattr(rooms.source(declared.how), "SERVING", ())
    options = {key: value for key, value in declared.options.items() if key not in serving}
    if declared.said and digest_of(rooms.recipe(declared.how, options, site)) != declared.said:
        raise Refused(f"what `{declared.how}` opens has changed since it was planned; run again")


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


def explain(error: BaseException) -> str:
    """An exception in one line, with the place it was raised."""
    said = str(error).encode("utf-8", "replace").decode().strip().split("\n")[0][:500]
    if isinstance(error, Refused):
        return said
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {said}{where}" if said else f"{type(error).__name__}{where}"
