"""One spec file's part of a plan: what is kept between runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from harness import __version__
from harness.codec import digest
from harness.contract import Check, Criterion, Declared, Numerics, Plan, SpecFile, Waiver
from harness.spec.faults import Page, Spot, refusal


def today() -> str:
    """The day, in the one time zone that all dates of specs are read in."""
    return datetime.now(UTC).date().isoformat()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One spec file, planned."""

    spec: SpecFile
    files: dict[str, str]
    env: dict[str, str]
    """Digests of the environment's values that it was planned with."""
    models: dict[str, Declared]
    recipes: list[tuple[str, dict[str, Any], str]]
    """Sources asked for what decides a model: the source, its options, the digest of what it said."""
    checks: tuple[Check, ...]
    criteria: tuple[Criterion, ...]
    waivers: tuple[Waiver, ...]
    notes: tuple[str, ...]
    runs: dict[str, str] = {}
    """The runs that names beside them stood for: what was planned against one holds while they do."""


def join(parts: Iterable[Part], numerics: Numerics | None = None) -> Plan:
    files: dict[str, str] = {}
    models: dict[str, Declared] = {}
    every = list({part.spec.path: part for part in parts}.values())
    for part in every:
        files |= part.files
        models |= part.models
    return Plan(
        hallmark=__version__,
        numerics=numerics or _agreed(every),
        specs=tuple(part.spec for part in every),
        files=files,
        models=models,
        checks=tuple(check for part in every for check in part.checks),
        criteria=tuple(criterion for part in every for criterion in part.criteria),
        waivers=tuple(waiver for part in every for waiver in part.waivers),
        notes=tuple(note for part in every for note in part.notes),
    )


def _agreed(parts: Iterable[Part]) -> Numerics:
    """What the specs say of numerics, which has to be one thing: a process holds one BLAS."""
    said = {part.spec.numerics or "strict": part.spec for part in parts}
    if len(said) > 1:
        fast, strict = said["fast"], said["strict"]
        what = f"the spec asks for fast numerics, and {strict.path} for strict ones: one process can't hold both"
        instead = "run them apart, or say which with --numerics"
        raise refusal(Spot(Page(fast.path, ""), 1, 1), "numerics", what, instead)
    return next(iter(said), "strict")


def digest_of_env(value: str) -> str:
    """The digest of an environment's value, which may be any bytes."""
    return digest(value.encode(errors="surrogateescape"))
