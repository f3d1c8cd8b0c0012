"""Finds the rooms: evaluators, model sources, variants and report formats, ours and strangers', by entry point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any
from typing import cast as typed

from harness.contract import Check, Declared, Evaluator, Objection, Part, Report, Site, Source, Variant
from harness.provenance import installed

EVALUATORS = "hallmark.evaluators"
SOURCES = "hallmark.sources"
VARIANTS = "hallmark.variants"
REPORTS = "hallmark.reports"


class NoSuchRoom(LookupError):
    """A name that no installed package offers."""


@cache
def _offered(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def names(group: str) -> list[str]:
    return sorted(_offered(group))


@cache
def _room(group: str, name: str) -> ModuleType:
    offered = _offered(group)
    if name not in offered:
        raise NoSuchRoom(
            f"no installed package offers `{name}` in {group}; there are {', '.join(sorted(offered)) or 'none'}"
        )
    try:
        module = offered[name].load()
    except ImportError as error:
        raise NoSuchRoom(
            f"the room `{name}` can't be loaded: {error}; if this project has a package called "
            f"`{offered[name].module.partition('.')[0]}`, it stands in front of the one that is meant"
        ) from None
    if not isinstance(module, ModuleType):
        raise NoSuchRoom(f"`{name}` in {group} is not a module: a room is a module with a few expected names")
    return module


def evaluator(kind: str) -> Evaluator:
    return typed(Evaluator, _room(EVALUATORS, kind))


def source(how: str) -> Source:
    return typed(Source, _room(SOURCES, how))


def variant(what: str) -> Variant:
    return typed(Variant, _room(VARIANTS, what))


def report(format: str) -> Report:
    return typed(Report, _room(REPORTS, format))


def reports() -> list[str]:
    """The formats that every run is told in."""
    return [name for name in names(REPORTS) if not getattr(report(name), "ON_REQUEST", False)]


def load_all(kinds: Iterable[str], models: Iterable[Declared]) -> None:
    """Load what a run will need, so that what can't be loaded is told before anything is measured."""
    for kind in kinds:
        evaluator(kind)
    for model in models:
        source(model.how)
        for step in model.steps:
            variant(step.what)
    for name in names(REPORTS):
        report(name)


def optional(room: object, name: str, *args: Any, default: Any = None) -> Any:
    """Call one of a room's optional names, where the room has it."""
    call = getattr(room, name, None)
    return default if call is None else call(*args)


def objections(check: Check) -> list[Objection]:
    return list(optional(evaluator(check.kind), "faults", check, default=()))


def recipe(how: str, options: Mapping[str, Any], site: Site) -> Any:
    """What decides the model that a source opens: its options, unless it says otherwise."""
    return optional(source(how), "recipe", options, site, default=dict(options))


def gated(check: Check) -> bool:
    """Whether a missed case of this check leaves the say to the verdict."""
    return bool(optional(evaluator(check.kind), "gated", check, default=False))


def quiet(check: Check) -> bool:
    """Whether this check must have the machine for itself."""
    room = evaluator(check.kind)
    return bool(optional(room, "quiet", check, default=getattr(room, "QUIET", False)))


def batch(kind: str, asked: int) -> int:
    """How many cases of a check of this kind are measured in one go: what its model is asked, or several such lots."""
    most: int = getattr(evaluator(kind), "BATCH", asked)
    return max(1, most // asked) * asked


def cast(kind: str, options: Mapping[str, Any]) -> dict[str, Part]:
    """The models that a check of this kind names besides `model`, by their roles."""
    room = evaluator(kind)
    roles = {role: Part(options[role], (role,)) for role in getattr(room, "ROLES", ()) if role in options}
    return {**roles, **optional(room, "cast", options, default={})}


def panel(kind: str) -> str:
    """The source of a kind's fragment of the HTML report."""
    return _beside(kind, evaluator(kind).PANEL)


def overview(kind: str) -> str | None:
    """The source of the fragment that tells of all checks of a kind together, where it has one."""
    name = getattr(evaluator(kind), "OVERVIEW", None)
    return None if name is None else _beside(kind, name)


def _beside(kind: str, name: str) -> str:
    file = _room(EVALUATORS, kind).__file__
    assert file is not None
    return (Path(file).parent / name).read_text("utf-8")


@cache
def fingerprint() -> str:
    """Changes whenever an installed room or its version does: what was planned with other rooms is planned anew."""
    everything = entry_points()
    points = [p for group in everything.groups if group.startswith("hallmark.") for p in everything.select(group=group)]
    known = sorted(f"{p.group}:{p.name}={p.value}@{p.dist.version if p.dist else ''}" for p in points)
    return " ".join([*known, *(f"{package}@{installed(package)}" for package in ("mlx", "mlx-lm"))])
