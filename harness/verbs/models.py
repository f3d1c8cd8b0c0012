"""`hallmark models`: listed, built, looked into."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.verbs.given import BUILT, Mistake, Verb, add_paths, read

if TYPE_CHECKING:
    from harness.contract import Declared
    from harness.shelf import Shelf


def offer(verb: Verb) -> None:
    made = verb("models", _models, "List the models that specs declare, build them, or look into them.")
    made.add_argument("what", choices=["list", "build", "inspect"])
    add_paths(made)
    made.add_argument(
        "--model", metavar="NAME", action="append", default=[], help="this model alone; so does a bare name"
    )
    made.add_argument("--json", action="store_true", help="inspect: as JSON")


def _models(given: argparse.Namespace) -> int:
    from harness.shelf import is_built

    # A word that is no path is a model's name, as `models inspect int8` has it.
    named = [word for word in given.paths if not Path(word).exists() and not word.endswith((".yaml", ".yml"))]
    given.paths = [path for path in given.paths if path not in named] or ["specs"]
    plan, shelf = read(given)
    names = {*given.model, *named}
    known = {model.name for model in plan.models.values()}
    for unknown in sorted(names - known):
        from harness.spec.faults import meant

        raise Mistake(f"there is no model `{unknown}`; {meant(unknown, known)}")
    chosen = {key: model for key, model in plan.models.items() if not names or model.name in names}
    if given.what == "inspect":
        return _inspect(chosen, shelf, as_json=given.json)
    done: set[str] = set()
    failed = 0
    for key, model in chosen.items():
        if given.what == "list":
            print(f"{key:<40} {model.made():<24} {BUILT[is_built(model, shelf)]:<18} recipe {model.recipe[7:19]}")
        elif model.recipe not in done:
            done.add(model.recipe)
            failed += not _build(key, model, shelf)
    return int(failed > 0)


def _build(key: str, model: Declared, shelf: Shelf) -> bool:
    """Build what is not built yet of a model; whether that went well."""
    from harness.shelf import explain, folder_of, is_built

    kept = is_built(model, shelf)
    if kept is None:
        print(f"{key}: nothing to build")
        return True
    try:
        folder_of(model, shelf)
    except Exception as error:
        print(f"hallmark: {key} can't be built: {explain(error)}", file=sys.stderr)
        return False
    print(f"{key}: {'built before' if kept else 'built'}")
    return True


def _inspect(models: Mapping[str, Declared], shelf: Shelf, *, as_json: bool) -> int:
    """The layers of each model's weights: parameters, bytes, bits a weight, sparsity."""
    from harness import inspection, rooms
    from harness.codec import to_pretty_json
    from harness.shelf import explain, folder_of

    found: dict[str, Any] = {}
    folders: dict[str, Path] = {}
    failed = False
    for key, model in models.items():
        inspect = getattr(rooms.source(model.how), "inspect", None)
        if inspect is None:
            print(f"{key}: `{model.how}` has no weights here to look into", file=sys.stderr)
            continue
        try:
            folders[key] = folder_of(model, shelf)
            found[key] = inspect(folders[key])
        except Exception as error:
            failed = True
            print(f"hallmark: {key} can't be looked into: {explain(error)}", file=sys.stderr)
    if as_json:
        sys.stdout.write(to_pretty_json(found).decode())
    else:
        print(
            "\n\n".join(
                inspection.table(f"{key} ({models[key].made()}), {folders[key]}", layers)
                for key, layers in found.items()
            )
        )
    return int(failed)
