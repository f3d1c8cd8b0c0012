"""One spec file's part of a plan: what is kept between runs."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness import __version__
from harness.codec import digest
from harness.contract import Check, Criterion, Declared, Plan, SpecFile


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One spec file, planned."""

    spec: SpecFile
    files: dict[str, str]
    env: dict[str, str]
    """Digests of the environment's values that it was planned with."""
    models: dict[str, Declared]
    checks: tuple[Check, ...]
    criteria: tuple[Criterion, ...]
    notes: tuple[str, ...]


def join(parts: Iterable[Part]) -> Plan:
    files: dict[str, str] = {}
    models: dict[str, Declared] = {}
    every = list({part.spec.path: part for part in parts}.values())
    for part in every:
        files |= part.files
        models |= part.models
    return Plan(
        hallmark=__version__,
        specs=tuple(part.spec for part in every),
        files=files,
        models=models,
        checks=tuple(check for part in every for check in part.checks),
        criteria=tuple(criterion for part in every for criterion in part.criteria),
        notes=tuple(note for part in every for note in part.notes),
    )


def digest_of_env(value: str) -> str:
    """The digest of an environment's value, which may be any bytes."""
    return digest(value.encode(errors="surrogateescape"))
