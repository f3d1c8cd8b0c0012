"""The bar that a run has to reach: locked in a file before the run, and held against what the run was then asked."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import entry_points
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from harness import __version__, rooms, statistics
from harness.codec import digest, digest_of, to_json, to_pretty_json
from harness.contract import Check, Criterion, Locked, Moved, Plan, SpecFile, Waiver
from harness.ledger import Begin

FILE = "hallmark.lock"
SCHEMA = "hallmark/lock/1"
GONE = "gone"
MOST = 100
"""Options of a check that are told one by one where they moved; of more, the keys they stand under."""
_LONG = 300
_ANEW = "lock anew: `hallmark plan --lock`"


class NotALock(Exception):
    """The file that should hold the lock does not: said in one line."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a spec says beside its checks."""

    text: dict[str, str]
    """Digest of its text, and of every fragment's that it includes, by path."""
    numerics: str
    certificate: dict[str, Any]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """What a check asks."""

    options: dict[str, Any]
    prompts: dict[str, str]
    timeout: float
    after: list[str]
    n: int
    data: str
    """Digest of its cases, in their order."""
    models: dict[str, str]
    """The recipe of each model, by role."""


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """The file's contents."""

    schema: str
    locked: str
    hallmark: str
    specs: dict[str, Said]
    judges: dict[str, str]
    checks: dict[str, Bar]
    digest: str
    gone: list[str] = []
    """Its specs whose files were not there as it was read for a run: in the run's record, and never in the file."""


# --------------------------------------------------------------------------------------------- the file


def read(root: Path) -> dict[str, Any] | None:
    """The lock of a project, where there is one, and which of its specs are gone; NotALock where it can't be read."""
    path = root / FILE
    try:
        if path.is_symlink() and not _leads_inside(path, root):
            raise NotALock(f"{FILE} is a link that leads out of the project, or nowhere; {_ANEW}")
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotALock(f"{FILE} is not a regular file; {_ANEW}")
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotALock(f"{FILE} can't be read: {error.strerror}; {_ANEW}") from None
    try:
        found: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
        known = msgspec.convert(found, Lock)
        told = known.schema == SCHEMA and datetime.fromisoformat(known.locked).tzinfo is not None
    except (ValueError, RecursionError):
        told = False
    if not told:
        raise NotALock(f"{FILE} is no lock that can be read; {_ANEW}")
    if known.digest != _sealed(found) or GONE in found:
        raise NotALock(f"{FILE} was edited by hand: its digest does not fit; {_ANEW}")
    gone = [path for path in sorted(known.specs) if not _is_there(path, root)]
    return {**found, GONE: gone} if gone else found


def _leads_inside(link: Path, root: Path) -> bool:
    real = os.path.realpath(link)
    return os.path.exists(real) and Path(real).is_relative_to(os.path.realpath(root))


def _is_there(spec: str, root: Path) -> bool:
    return os.path.isfile(root / spec)


def locked(plan: Plan, root: Path, kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A lock of the plan's specs, with what an earlier one holds of others; NotALock where both can't stand together.

    What is kept of a spec that is not there any more would hold nothing, and is dropped.
    """
    asked = _json(_asked(plan, judges(check.kind for check in plan.checks)))
    for path, names in texts(plan, root).items():
        asked["specs"][path]["text"] = {name: plan.files[name] for name in names}
    if kept is not None:
        for path in kept["specs"]:
            if path not in asked["specs"] and _is_there(path, root):
                _keep(path, kept, asked)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = {"schema": SCHEMA, "locked": now, "hallmark": __version__, **asked}
    return {**made, "digest": _sealed(made)}


def _keep(path: str, kept: Mapping[str, Any], asked: Mapping[str, dict[str, Any]]) -> None:
    asked["specs"][path] = kept["specs"][path]
    for id, bar in _of(path, kept["checks"]).items():
        kind, asked["checks"][id] = _kind(id), bar
        if asked["judges"].setdefault(kind, kept["judges"].get(kind)) != kept["judges"].get(kind):
            what = f"{path} was locked when other code judged {kind} checks"
            raise NotALock(f"{what}; lock it too: `hallmark plan --lock` with all specs")


def spelled(lock: Mapping[str, Any]) -> bytes:
    """The file of a lock: the same lock always gives the same bytes, a line each thing, so that changes read well."""
    return to_pretty_json(lock)


def texts(plan: Plan, root: Path) -> dict[str, list[str]]:
    """The files that each spec is written in: its own, and its fragments."""
    from harness.spec.document import Document

    return {spec.path: sorted(Document(root / spec.path, root).files) for spec in plan.specs}


def _sealed(lock: Mapping[str, Any]) -> str:
    return digest_of({key: value for key, value in lock.items() if key != "digest"})


def judges(kinds: Iterable[str]) -> dict[str, str]:
    """The digest of what judges checks of each kind: its room's code, what that shares with others, and our version."""
    return {kind: _judge(kind) for kind in sorted(set(kinds))}


def _judge(kind: str) -> str:
    room = rooms.evaluator(kind)
    code = {**_code(room), **_files(Path(str(statistics.__file__)).parent, "statistics/")}
    return digest_of([__version__, code])


def _code(room: Any) -> dict[str, str]:
    """Digests of the Python files of a room, and of its package's that are no other room's."""
    file, name = getattr(room, "__file__", None), getattr(room, "__name__", "")
    if not file:
        return {}
    path = Path(file)
    own = _files(path.parent) if path.name == "__init__.py" else {path.name: digest(path.read_bytes())}
    package = name.rpartition(".")[0]
    if not package:
        return own
    top = path.parent.parent if path.name == "__init__.py" else path.parent
    others = {
        point.module.removeprefix(f"{package}.").partition(".")[0]
        for point in entry_points(group=rooms.EVALUATORS)
        if point.module.startswith(f"{package}.")
    }
    shared = {
        name: found for name, found in _files(top).items() if name.partition("/")[0].partition(".")[0] not in others
    }
    return {**own, **{f"../{name}": found for name, found in shared.items()}}


def _files(folder: Path, before: str = "") -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*.py") if path.is_file())
    return {before + path.relative_to(folder).as_posix(): digest(path.read_bytes()) for path in files}


# --------------------------------------------------------------------------------------- what is asked


def _asked(plan: Plan, judged_by: Mapping[str, str]) -> dict[str, Any]:
    """What a plan asks, in the lock's words."""
    return {
        "specs": {
            spec.path: Said(text={}, numerics=plan.numerics, certificate=terms(plan, spec)) for spec in plan.specs
        },
        "judges": dict(judged_by),
        "checks": {check.id: _bar(plan, check) for check in plan.checks},
    }


def terms(plan: Plan, spec: SpecFile) -> dict[str, Any]:
    """What a spec's `certificate:` asks for; why it does so is free to be said in other words."""
    waivers = [waiver for waiver in plan.waivers if _file(waiver) == spec.path]
    return {
        "criteria": {
            each.id: {"needs": sorted(each.needs), "weight": each.weight}
            for each in plan.criteria
            if (each.spec or _file(each)) == spec.path
        },
        "expires": spec.expires,
        "ends": spec.ends or None,
        "error_rate": spec.error_rate,
        "spends": spec.spends,
        "waivers": {check: _waiver(waiver) for waiver in waivers for check in waiver.checks},
    }


def _file(said: Criterion | Waiver) -> str:
    return said.at.rpartition(":")[0]


def _waiver(waiver: Waiver) -> str:
    return f"{waiver.who}, until {waiver.until}"


def _bar(plan: Plan, check: Check) -> Bar:
    models = {"": check.model, **check.others}
    return Bar(
        options=check.options,
        prompts=check.prompts,
        timeout=check.timeout,
        after=sorted(check.after),
        n=len(check.cases),
        data=digest_of(
            [
                [case.id, case.input, None if case.expect is UNSET else [case.expect], case.weight, case.cluster]
                for case in check.cases
            ]
        ),
        models={role: plan.models[key].recipe for role, key in models.items() if key},
    )


def _json(value: Any) -> Any:
    """As it reads in a file."""
    return msgspec.json.decode(to_json(value))


def _spec(id: str) -> str:
    return id.partition("::")[0]


def _kind(id: str) -> str:
    return id.partition("::")[2].partition("::")[0]


def _of(path: str, checks: Mapping[str, Any]) -> dict[str, Any]:
    return {id: bar for id, bar in checks.items() if _spec(id) == path}


# ------------------------------------------------------------------------------------------ what moved


def held(plan: Plan, begin: Begin) -> Locked | None:
    """What became of what was locked; None where nothing of this plan was."""
    if begin.lock is None:
        return None
    lock = msgspec.convert(begin.lock, Lock)
    mine = [spec.path for spec in plan.specs if spec.path in lock.specs]
    gone = _gone(plan, lock)
    if not mine and not gone:
        return None
    now = _json(_asked(plan, begin.judges))
    moved = [
        *_later(lock, begin, (mine or gone)[0]),
        *(Moved(check=path, what="the spec", was=_size(path, lock), now=None) for path in gone),
        *(each for path in mine for each in _spec_moved(path, begin.lock, now)),
        *_waived_elsewhere(plan, mine),
    ]
    return Locked(
        digest=lock.digest,
        at=lock.locked,
        checks=sum(check.id in lock.checks and _spec(check.id) in mine for check in plan.checks),
        moved=tuple(moved),
        unlocked=tuple(c.id for c in plan.checks if _spec(c.id) not in mine or c.id not in lock.checks),
        reworded=tuple(_reworded(plan, lock, mine, {_spec(each.check) for each in moved})),
    )


def _gone(plan: Plan, lock: Lock) -> list[str]:
    """Locked specs that the run did not ask, and could not: their files were not there when it began."""
    asked = {spec.path for spec in plan.specs}
    return [path for path in lock.gone if path in lock.specs and path not in asked]


def _size(path: str, lock: Lock) -> str:
    """How much a spec held; one that stood over others has no checks of its own."""
    n = len(_of(path, lock.checks))
    return f"{n:,} check{'' if n == 1 else 's'}" if n else "no check of its own"


def _later(lock: Lock, begin: Begin, path: str) -> Iterator[Moved]:
    """What can't be of a lock that was there before the run, and has been one since."""
    seal = _sealed({key: value for key, value in (begin.lock or {}).items() if key != GONE})
    if lock.digest != seal:
        yield Moved(check=path, what="the lock", was=lock.digest[7:19], now=seal[7:19])
    if datetime.fromisoformat(lock.locked) > datetime.fromisoformat(begin.started):
        yield Moved(check=path, what="the time of the lock", was=lock.locked, now=begin.started)


def _spec_moved(path: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Moved]:
    before, after = was["specs"][path], now["specs"][path]
    for key in ("numerics", "certificate"):
        for what, old, new in moves(before[key], after[key], "" if key == "certificate" else key):
            yield Moved(check=path, what=what, was=short(old), now=short(new))
    there = _of(path, now["checks"])
    for id, bar in _of(path, was["checks"]).items():
        if id not in there:
            yield Moved(check=id, what="the check", was=f"n {bar['n']}", now=None)
            continue
        judge = was["judges"].get(_kind(id)), now["judges"].get(_kind(id))
        yield from (Moved(check=id, what=what, was=short(a), now=short(b)) for what, a, b in _bar_moved(bar, there[id]))
        if judge[0] != judge[1]:
            yield Moved(check=id, what="the judge", was=_few(judge[0]), now=_few(judge[1]))


def _waived_elsewhere(plan: Plan, mine: Sequence[str]) -> Iterator[Moved]:
    """Waivers of checks that are locked, in files that are not."""
    for waiver in plan.waivers:
        for check in waiver.checks if _file(waiver) not in mine else ():
            if _spec(check) in mine:
                yield Moved(check=_spec(check), what=f"waivers.{check}", was=None, now=_waiver(waiver))


def asked_otherwise(was: Plan, before: Check, now: Plan, after: Check) -> list[tuple[str, Any, Any]]:
    """What one plan asks of a check, and another otherwise."""
    return [(what, short(a), short(b)) for what, a, b in _bar_moved(_json(_bar(was, before)), _json(_bar(now, after)))]


def _bar_moved(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    options = list(moves(was["options"], now["options"]))
    if len(options) > MOST:
        keys = sorted({*was["options"], *now["options"]})
        pairs = [(key, was["options"].get(key), now["options"].get(key)) for key in keys]
        options = [each for each in pairs if any(moves(each[1], each[2]))]
    yield from options
    yield from moves(was["prompts"], now["prompts"], "the prompt", of=" of ")
    yield from moves(was["timeout"], now["timeout"], "timeout")
    yield from moves(was["after"], now["after"], "after")
    yield from moves(was["n"], now["n"], "n")
    if was["n"] == now["n"] and was["data"] != now["data"]:
        yield "the cases", _few(was["data"]), _few(now["data"])
    for what, old, new in moves(was["models"], now["models"], "the model", of=" of "):
        yield what, _few(old), _few(new)


def moves(was: Any, now: Any, path: str = "", *, of: str = ".") -> Iterator[tuple[str, Any, Any]]:
    """What differs between two values, each number or text by its dotted path; None where there is none."""
    if _fields(was, now):
        before, after = was or {}, now or {}
        if not before and not after and was != now:
            yield path, was, now
        for key in sorted({*before, *after}):
            inner = f"{path}{of}{key}" if path and key else path or key
            yield from moves(before.get(key), after.get(key), inner)
    elif _rows(was, now):
        for at, (old, new) in enumerate(zip_longest(was or (), now or ())):
            yield from moves(old, new, f"{path}[{at}]")
    elif was != now or isinstance(was, bool) != isinstance(now, bool):
        yield path, was, now


def _fields(was: Any, now: Any) -> bool:
    """Whether these are mappings, or one and nothing."""
    return (isinstance(was, dict) or isinstance(now, dict)) and all(
        each is None or isinstance(each, dict) for each in (was, now)
    )


def _rows(was: Any, now: Any) -> bool:
    """Whether these are lists of more than numbers and texts, or one and nothing."""
    found = [each for each in (was, now) if each is not None]
    return all(isinstance(each, list) for each in found) and any(
        isinstance(item, dict | list) for each in found for item in each
    )


def _few(found: str | None) -> str | None:
    """The first digits of a digest."""
    return found and found.removeprefix("sha256:")[:12]


def short(value: Any) -> Any:
    """A value as it is told; of a long one its digest."""
    said = to_json(value)
    return value if len(said) <= _LONG else _few(digest(said))


def _reworded(plan: Plan, lock: Lock, mine: Sequence[str], moved: set[str]) -> Iterator[str]:
    """Files with another text, where nothing that is locked says anything else."""
    said = {name for path in mine if path in moved for name in lock.specs[path].text}
    for name, known in sorted({pair for path in mine for pair in lock.specs[path].text.items()}):
        if name not in said and plan.files.get(name) != known:
            yield name


def told(moved: Moved) -> str:
    """What moved, in a few words."""
    if moved.what == "the check":
        return "it was locked, and is not there any more"
    if moved.what == "the spec":
        return f"it was locked, with {moved.was}, and its file is not there any more"
    if moved.what == "the time of the lock":
        return f"it was locked at {moved.was}, after the run began at {moved.now}"
    if moved.what == "the lock":
        return f"the lock was edited: its digest is {moved.now} and not {moved.was}"
    name = moved.what.replace("\n", "\\n")
    what = name if name.startswith("the ") else f"`{name}`"
    was, now = said(moved.what, moved.was), said(moved.what, moved.now)
    if moved.what == "the cases":
        return f"{what} were {was} when they were locked, and are {now}"
    return f"{what} was {was} when it was locked, and is {now}"


def said(what: str, value: Any) -> str:
    """A value of something that moved, for people."""
    if value is None:
        return "nothing"
    if what == "expires" and isinstance(value, int | float):
        return f"{value / 86400:g} days"
    if what.startswith(("the cases", "the judge", "the model")):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
