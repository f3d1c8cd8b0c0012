"""Accepted changes are written: into the file of cases, and beside it who accepted them and why.

The history is written first. Whoever dies in between leaves a file in the state that the history's last lines start
from, so that the next one sees it; nothing is accepted on top of that before it is finished or taken back.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness import rooms
from harness.codec import digest
from harness.contract import Check, Plan
from harness.pages import Run
from harness.patches import history
from harness.patches.changes import Change, alike, put
from harness.patches.editing import Unreadable, edit
from harness.patches.history import Entry
from harness.spec.faults import Page, SpecFaults, Spot
from harness.spec.places import ENDINGS, resolve
from harness.store import only_one, write_whole

_LEFT_ALONE = frozenset({"node_modules", "venv", "build", "dist", "runs", "__pycache__"})


class Word(NamedTuple):
    """Somebody's word for what is accepted."""

    who: str
    why: str
    when: str


class Done(NamedTuple):
    """What came of accepting."""

    written: dict[str, int]
    """Changes by file."""
    there: list[Change]
    """What was accepted before."""
    refused: list[str]
    """What was not written, and why, a line each."""


class _No(Exception):
    """Why a file is left as it is."""


def lock_of(root: Path) -> str:
    return f"golden {root}"


def accept(run: Run, root: Path, changes: Sequence[Change], word: Word) -> Done:
    """Write these changes of a run, file by file, one process at a time; what a run did not see is not written over."""
    done = Done({}, [], [])
    with only_one(lock_of(root)):
        for file, mine in itertools.groupby(sorted(changes, key=lambda each: each.file), key=lambda each: each.file):
            try:
                _accept(run, root, file, list(mine), word, done)
            except (_No, Unreadable, history.Torn) as why:
                done.refused.append(str(why) if isinstance(why, history.Torn) else f"{file}: {why}")
            except OSError as error:
                done.refused.append(f"{file}: it can't be written: {error.strerror}")
    return done


def _accept(run: Run, root: Path, file: str, changes: list[Change], word: Word, done: Done) -> None:
    path, data = _read(root, file)
    kept, entries = history_of(root, file)
    before = digest(data)
    if left := history.unfinished(entries, before):
        raise _No(
            f"{history.beside(file)} ends with {len(left)} accepted on {left[0].when} that it does not hold; "
            "`hallmark golden update --finish` writes that, or take those lines out"
        )
    for name in sorted({file, *_told_by(run.plan, changes)}):
        _unchanged(run, root, name, file)
    edited = edit(data, file, changes)
    done.there.extend(edited.there)
    done.refused.extend(f"{change.at}: edit `{change.case}` by hand: {why}" for change, why in edited.refused)
    if not edited.done:
        return
    if not os.access(path, os.W_OK):
        raise _No("it may not be written")
    _fits(run.plan, edited.done)
    begin, after = run.record.begin, digest(edited.data)
    made = [_entry(change, word, begin.run if begin else "", before, after) for change in edited.done]
    beside = _within(root, history.beside(file), there=False)
    write_whole(beside, history.added(kept, made))
    try:
        _write(path, edited.data)
    except OSError:
        _taken_back(beside, kept)
        raise
    done.written[file] = len(made)


def _taken_back(beside: Path, kept: bytes) -> None:
    """The history as it was, as far as the disk lets us: else it tells of something unfinished."""
    with contextlib.suppress(OSError):
        if kept:
            write_whole(beside, kept)
        else:
            beside.unlink()


def _entry(change: Change, word: Word, run: str, before: str, after: str) -> Entry:
    return Entry(
        file=change.file,
        line=change.line,
        case=change.case,
        path=change.path,
        kind=change.kind,
        was=change.was,
        now=change.now,
        who=word.who,
        why=word.why,
        when=word.when,
        run=run,
        checks=change.checks,
        before=before,
        after=after,
    )


def finish(root: Path, names: Sequence[str]) -> Done:
    """Write what was accepted, and cut short before it was written, of these histories."""
    done = Done({}, [], [])
    with only_one(lock_of(root)):
        for name in names:
            try:
                entries = history.read_history((root / name).read_bytes(), name)
                for file in dict.fromkeys(entry.file for entry in entries):
                    _finish(root, file, history.of_file(entries, file), done)
            except (_No, Unreadable, history.Torn) as why:
                done.refused.append(str(why))
            except OSError as error:
                done.refused.append(f"{name}: {error.strerror}")
    return done


def _finish(root: Path, file: str, entries: Sequence[Entry], done: Done) -> None:
    path, data = _read(root, file)
    left = history.unfinished(entries, digest(data))
    if not left:
        return
    edited = edit(data, file, [entry.change() for entry in left])
    if digest(edited.data) != left[-1].after:
        raise _No(f"{history.beside(file)} ends with what can't be written into {file} any more; take those lines out")
    _write(path, edited.data)
    done.written[file] = len(left)


def state(run: Run, root: Path, file: str) -> str:
    """Why nothing of a file can be accepted from this run; empty where it can."""
    try:
        _, data = _read(root, file)
        if history.unfinished(history_of(root, file)[1], digest(data)):
            return (
                f"{history.beside(file)} ends with what it does not hold; `hallmark golden update --finish` writes it"
            )
        _unchanged(run, root, file, file)
    except _No as why:
        return str(why)
    except history.Torn as torn:
        return str(torn)
    return ""


def is_there(root: Path, file: str, changes: Sequence[Change]) -> set[bytes]:
    """Which changes a file has already, as they are spelled."""
    try:
        return {change.same() for change in edit(_read(root, file)[1], file, changes).there}
    except (_No, Unreadable):
        return set()


def _told_by(plan: Plan, changes: Sequence[Change]) -> Iterator[str]:
    """The files that say how these changes' checks judge: their specs, and fragments, which may have defaults."""
    checks = {check for change in changes for check in change.checks}
    for check in plan.checks:
        if check.id in checks:
            yield check.id.partition("::")[0]
            yield check.at.rpartition(":")[0]
    yield from (name for name in plan.files if Path(name).name.startswith("_") and name.endswith(ENDINGS))


def _unchanged(run: Run, root: Path, name: str, file: str) -> None:
    """Refuse a file that was changed since the run read it otherwise than by what was accepted."""
    planned = run.plan.files.get(name)
    if planned is None:
        raise _No(f"{name} is no file that the run read" if name else "nobody knows where the check is written")
    now = digest(_read(root, name)[1])
    if now != planned and not history.follows(history_of(root, name)[1], planned, now):
        raise _No(f"{'it' if name == file else name} was changed since the run; run again, and accept from that run")


def _fits(plan: Plan, changes: Sequence[Change]) -> None:
    """Refuse what would make a fault of a spec that has none."""
    by: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        by.setdefault((change.file, change.case), []).append(change)
    for check in plan.checks:
        cases = tuple(_with(case, by.get((case.at.rpartition(":")[0], case.id), ())) for case in check.cases)
        if cases == check.cases:
            continue
        changed: Check = msgspec.structs.replace(check, cases=cases)
        if said := next(iter(rooms.objections(changed)), None):
            raise _No(f"with that, {check.name} would be at fault: {said.what}")


def _with(case: Any, changes: Sequence[Change]) -> Any:
    expect = case.expect
    for change in changes:
        expect = put(expect, change.path, change.now)
    return case if alike(expect, case.expect) else msgspec.structs.replace(case, expect=expect)


def history_of(root: Path, file: str) -> tuple[bytes, list[Entry]]:
    """The bytes of the history beside a file, and what it says of that file."""
    name = history.beside(file)
    path = _within(root, name, there=False)
    data = path.read_bytes() if path.exists() else b""
    return data, history.of_file(history.read_history(data, name), file)


def _read(root: Path, file: str) -> tuple[Path, bytes]:
    path = _within(root, file)
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise _No(f"it can't be read: {error.strerror}") from None


def _within(root: Path, name: str, *, there: bool = True) -> Path:
    """Where a file of the project lies; a run folder may come from anybody, and no name in it may lead out."""
    try:
        return Path(os.path.realpath(resolve(name, Spot(Page("", ""), 1, 1), root, there=there)))
    except SpecFaults as faults:
        raise _No(faults.faults[0].what) from None


def _write(path: Path, data: bytes) -> None:
    """Write whole, with the rights that the file had."""
    mode = path.stat().st_mode & 0o7777
    write_whole(path, data)
    path.chmod(mode)


def histories(root: Path) -> list[str]:
    """All histories of a project, by their names from its root."""
    found: list[Path] = []
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in _LEFT_ALONE)
        found += [Path(folder) / name for name in names if name.endswith(history.ENDING)]
    return sorted(path.relative_to(root).as_posix() for path in found if _ours(path))


def _ours(path: Path) -> bool:
    """Whether a file starts as a history does: others may be called so, too."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(64).replace(b" ", b"").startswith(b'{"is":"acc')
    except OSError:
        return False
