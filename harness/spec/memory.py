"""Plans kept by content: a spec whose files and environment have not changed is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path

import msgspec

from harness import __version__, rooms
from harness.codec import digest, digest_of
from harness.contract import LANGUAGE, Numerics, Plan, Site
from harness.spec.faults import SpecFaults
from harness.spec.part import Part, digest_of_env, join, today
from harness.spec.places import OVER, read_file
from harness.spec.recorded import run_named
from harness.store import cache_folder, write_whole

_decoder = msgspec.msgpack.Decoder(Part)
_encoder = msgspec.msgpack.Encoder()
_SEAL = len(digest(b""))
"""A kept plan starts with its seal: a byte that was lost or changed on the disk never reaches a certificate."""


def read_plan(paths: list[Path], site: Site, numerics: Numerics | None = None) -> Plan:
    """The plan of these specs, or the faults of all of them at once; `numerics` outranks what they say of it."""
    parts: list[Part] = []
    faults = []
    over = [path for path in paths if path.name in OVER and _stands_over(path, site)]
    for path in paths:
        try:
            if path not in over:
                parts.append(_remembered(path, site) or _planned(path, site))
        except SpecFaults as stop:
            faults += stop.faults
    for path in over if not faults else ():
        from harness.spec.planner import plan_over

        try:
            parts.append(plan_over(path, site, parts))
        except SpecFaults as stop:
            faults += stop.faults
    if faults:
        raise SpecFaults(faults)
    return join(parts, numerics)


def _stands_over(path: Path, site: Site) -> bool:
    """Whether a file has no checks of its own; one that can't be read is told of as a spec."""
    from harness.spec.document import Document

    try:
        document = Document(path, site.root)
    except SpecFaults:
        return False
    return "checks" not in document.about and not document.checks and "certificate" in document.about


def _planned(path: Path, site: Site) -> Part:
    from harness.spec.planner import plan_spec

    part = plan_spec(path, site)
    with contextlib.suppress(OSError):
        kept = _kept_at(path, site)
        kept.parent.mkdir(parents=True, exist_ok=True)
        data = _encoder.encode(part)
        write_whole(kept, _seal(data, site) + data)
    return part


def _remembered(path: Path, site: Site) -> Part | None:
    try:
        data = _kept_at(path, site).read_bytes()
        if _seal(data[_SEAL:], site) != data[:_SEAL]:
            return None
        part = _decoder.decode(data[_SEAL:])
        fresh = all(digest(read_file(site.root / name, name)) == known for name, known in part.files.items())
    except (OSError, msgspec.MsgspecError, SpecFaults):
        return None
    days = [day for day in (part.spec.ends, *(waiver.until for waiver in part.waivers)) if day]
    if days and min(days) < today():
        return None  # the planner tells which is over
    same = all(digest_of_env(os.environ.get(name, "\0")) == known for name, known in part.env.items())
    same = same and all(run_named(name, site) == known for name, known in part.runs.items())
    return part if fresh and same and _same_models(part, site) else None


def _same_models(part: Part, site: Site) -> bool:
    """Whether every source still says the same of what decides its model: weights may change where no spec does."""
    try:
        return all(digest_of(rooms.recipe(how, options, site)) == known for how, options, known in part.recipes)
    except Exception:  # the planner asks again, and tells
        return False


def _kept_at(path: Path, site: Site) -> Path:
    """One file a spec, which a later plan of it replaces."""
    key = f"{site.root}\n{os.path.abspath(path)}"
    return cache_folder() / "plans" / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.msgpack"


def _seal(data: bytes, site: Site) -> bytes:
    """Of what was planned and of all that plans: another version's plan, or one with a byte changed, has another."""
    planner = "\n".join([__version__, str(LANGUAGE), _own_code(), rooms.fingerprint(), str(site.trusted)])
    return digest(planner.encode() + data).encode()


@cache
def _own_code() -> str:
    """Changes whenever the code that plans does, so that a developer of Hallmark never meets a stale plan."""
    top = Path(__file__).parents[2]
    files = sorted(file for folder in ("harness", "evaluators", "models") for file in (top / folder).rglob("*.py"))
    return " ".join(f"{file.stat().st_mtime_ns}" for file in files)
