"""`hallmark run`: pytest over the specs, on all cores."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.verbs.given import NOTHING, Mistake, Verb, allowed, run_folder, specs_at

if TYPE_CHECKING:
    import pytest


def offer(verb: Verb) -> None:
    made = verb("run", lambda given: run([]), "Measure, judge and certify: pytest over the specs, on all cores.")
    made.usage = "hallmark run [PATH ...] [-n N] [any option of pytest]"
    made.add_argument("paths", nargs="*", metavar="PATH", help="spec files, folders, or ids of checks and cases")
    made.add_argument("-n", metavar="N", help="workers: a number, auto (default), or 0 for none")


_VALUED = re.compile(
    r"-[nkmpcoWr]|--(?:numprocesses|dist|maxfail|tb|durations|deselect|ignore|ignore-glob|junitxml|junit-xml|rootdir"
    r"|allow-host|resume|basetemp|color|hallmark-runs|numerics|override-ini|config-file|confcutdir|log-level|max-worker-restart)"
)
"""Options of pytest after which a word is a value; after any other it is a path."""


def run(words: list[str]) -> int:
    """pytest, given the paths and whatever else the user wrote; all its cores, unless told."""
    import pytest

    from harness.shelf import Shelf
    from harness.spec.memory import read_plan
    from harness.spec.places import find_root, find_specs

    if (named := _resumed(words)) is not None and not any(_is_path(words, at) for at in range(len(words))):
        words += _specs_of(named)
    places = [at for at, word in enumerate(words) if _is_path(words, at)]
    paths = [words[at] for at in places] or ["specs"]
    rest = [word for at, word in enumerate(words) if at not in places]
    root = find_root(Path.cwd())
    files = [path.partition("::")[0] for path in paths]
    strange = sorted(set(specs_at(files)) - set(find_specs(map(Path, files))))
    trusted = "--allow-python" in words or allowed(root)
    read_plan(
        strange, Shelf(root, lambda text: None, trusted=trusted)
    )  # what does not start as a spec has its faults told
    if "no:xdist" not in words:
        rest += [] if any(word.startswith(("-n", "--numprocesses")) for word in rest) else ["-n", "auto"]
        rest += [] if any(word.startswith("--dist") for word in rest) else ["--dist", "load"]
        rest += ["-p", "xdist"]
    quiet = ["--no-header", "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
    seen = _Seen()
    status = int(pytest.main([*paths, *quiet, f"--rootdir={root}", *rest, "-p", "hallmark"], plugins=[seen]))
    if status == 0 and not seen.certified and not seen.only_listed:
        raise Mistake("no spec was run, so nothing is certified", NOTHING)
    return status


def _resumed(words: list[str]) -> str | None:
    """The run that is to be taken up, where one is named."""
    for at, word in enumerate(words):
        if word.startswith("--resume="):
            return word.partition("=")[2]
        if word == "--resume" and at + 1 < len(words):
            return words[at + 1]
    return None


def _specs_of(run: str) -> list[str]:
    """The specs that a run is of."""
    from harness.pages import NotARun, read_run

    try:
        plan = read_run(run_folder(run)).plan
    except NotARun as error:
        raise Mistake(str(error)) from None
    from harness.spec.places import find_root

    root = find_root(Path.cwd())
    return [os.path.relpath(root / spec.path) for spec in plan.specs]


def _is_path(words: list[str], at: int) -> bool:
    word, before = words[at], words[at - 1] if at else ""
    return not word.startswith("-") and not _VALUED.fullmatch(before)


class _Seen:
    """Whether a run of pytest came to certify, or was only to list."""

    certified = only_listed = False

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        self.certified |= config.pluginmanager.has_plugin("hallmark-controller")
        self.only_listed |= bool(config.option.collectonly or config.option.version or config.option.help)
