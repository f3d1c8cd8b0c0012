"""What verbs are given: paths, specs, runs; and how a user's mistake is told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.contract import Plan
    from harness.shelf import Shelf

USAGE = 4
NOTHING = 5

BUILT = {True: "built", False: "to be built", None: "nothing to build"}
"""What is said of a model, by whether it is built."""

Verb = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""Adds a verb: its name, what it does, and what it is about."""


class Mistake(Exception):
    """The user's, told in one line."""

    def __init__(self, said: str, status: int = USAGE) -> None:
        super().__init__(said)
        self.status = status


def add_paths(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "paths",
        nargs="*",
        default=["specs"],
        metavar="PATH",
        help="spec files, or folders of them (default: specs)",
    )
    made.add_argument("--numerics", choices=["strict", "fast"], help=argparse.SUPPRESS)
    made.add_argument("--allow-python", action="store_true", help="let code run that a spec or a model's folder names")


def add_run(made: argparse.ArgumentParser, *, name: str = "run") -> None:
    made.add_argument(name, nargs="?", default="runs/latest", metavar="RUN", help="a run folder (default: runs/latest)")


def specs_at(paths: list[str]) -> list[Path]:
    """The specs at these paths; a mistake where there are none."""
    from harness.spec.places import find_specs

    for path in paths:
        if not Path(path).exists():
            raise Mistake(f"there is no `{path}` here; name a spec file or a folder of specs")
    found = find_specs([Path(path) for path in paths], strict=True)
    if paths and not found:
        raise Mistake(
            f"there is no spec in {', '.join(paths)}: a spec is a .yaml file that starts with `hallmark: 1`", NOTHING
        )
    return found


def read(given: argparse.Namespace) -> tuple[Plan, Shelf]:
    from harness.shelf import Shelf
    from harness.spec.memory import read_plan
    from harness.spec.places import find_root

    root = find_root(Path.cwd())
    trusted = given.allow_python or allowed(root)
    shelf = Shelf(root, lambda text: print(text, file=sys.stderr, flush=True), trusted=trusted)
    return read_plan(specs_at(given.paths), shelf, given.numerics), shelf


def allowed(root: Path) -> bool:
    """Whether the project's pytest configuration says `hallmark_allow_python`."""
    from harness.spec.places import ROOT_MARKS

    files = [root / name for name in ROOT_MARKS if (root / name).is_file()]
    if not any(b"hallmark_allow_python" in file.read_bytes() for file in files):
        return False
    from _pytest.config.findpaths import load_config_dict_from_file

    found = next((read for file in files if (read := load_config_dict_from_file(file)) is not None), {})
    value = found.get("hallmark_allow_python", False)
    return str(getattr(value, "value", value)).lower() in ("1", "yes", "true", "on")


def run_folder(name: str) -> Path:
    from harness.spec.places import find_root

    folder = Path(name)
    if not folder.is_dir():
        root = find_root(Path.cwd())  # as a run leaves it, wherever in the project one stands
        folder = next((each for each in (root / name, root / "runs" / name) if each.is_dir()), folder)
    if not folder.is_dir():
        raise Mistake(f"there is no run in {name}; `hallmark run specs` leaves one")
    return folder


def count(n: int, word: str, words: str | None = None) -> str:
    return f"{n:,} {word if n == 1 else words or word + 's'}"
