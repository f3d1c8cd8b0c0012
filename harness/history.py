"""What was asked before: a row a check of every run, kept beside the runs, so that asking until it is green shows.

Of checks that measure the machine it keeps the figures, too, so that later runs can tell how they went. All of it
follows from the run folders, as far as they are still there: runs that it does not know are taken in from theirs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from harness import archive, provenance, rooms
from harness.archive import FILE, Archive, Asked, Kept, Missing, Unavailable, Unfit
from harness.budget import is_claim
from harness.codec import digest_of
from harness.contract import Before, Check, Plan, Previous, Ruling, Status, Tally
from harness.trends import followed

PLAN = "plan.json"
CERTIFICATE = "certificate.json"
LINES = "history.jsonl"
"""What was kept before there was a file of SQLite's: it is taken in once, and kept under another name."""
RUNS = 200
"""So many earlier runs are shown to a run."""
_LOOKED_AT = 50
"""Of so many of the newest runs it is looked whether they were taken up again."""
_T = TypeVar("_T")


class Past(msgspec.Struct, frozen=True):
    """What a run's checks have behind them."""

    looks: dict[str, int] = {}
    """How often the same question was asked before, by check; where it never was, nothing."""
    broken: dict[str, list[str]] = {}
    """What was changed, by check, of what had been promised before the first look."""
    earlier: dict[str, dict[str, list[float]]] = {}
    """What the last runs on this machine figured, by check and figure, the oldest first."""
    previous: Previous | None = None
    """The newest run that came to its end and asked any of these specs, as it tells of itself."""
    remarks: tuple[str, ...] = ()
    """What is wrong with the history, and what was done about it."""


def question_of(plan: Plan, check: Check) -> str:
    """Changes whenever the check asks something else, or of other models; names, places and order don't matter."""
    asks = rooms.optional(rooms.evaluator(check.kind), "asks", check, default=check.options)
    return digest_of([check.kind, asks, check.prompts, _cases(check), _models(plan, check), plan.numerics])


def _cases(check: Check) -> list[str]:
    return sorted(digest_of([case.input, _expected(case), case.weight, case.cluster]) for case in check.cases)


def _models(plan: Plan, check: Check) -> dict[str, str]:
    keys = {"": check.model, **check.others}
    return {role: plan.models[key].recipe for role, key in keys.items() if key}


def _expected(case: Any) -> Any:
    return None if case.expect is msgspec.UNSET else [case.expect]


# ---------------------------------------------------------------------------------------------- what was


def past(runs: Path, plan: Plan) -> Past:
    """What the runs in this folder asked before. Never fails: what can't be known is told."""
    found, remarks = _consult(runs, lambda archive: _past(archive, plan, runs), Past())
    return replace(found, remarks=tuple(remarks))


def _past(archive: Archive, plan: Plan, runs: Path) -> Past:
    looks: dict[str, int] = {}
    broken: dict[str, list[str]] = {}
    for check in plan.checks if archive.claims() else ():
        if before := archive.looks(question_of(plan, check)):
            looks[check.id] = before
        pledge = _pledge(plan, check)
        first = archive.first_promise(check.id, pledge.get("file"))
        if first is not None and (said := list(_broken(first, pledge))):
            broken[check.id] = said
    return Past(looks, broken, _earlier(archive, plan), _previous(archive, plan, runs))


def _previous(archive: Archive, plan: Plan, runs: Path) -> Previous | None:
    """As the newest run tells of itself whose folder is still there."""
    paths = {spec.path for spec in plan.specs if not spec.over}
    for folder, told in archive.told():
        checks = {id: each for id, each in told.checks.items() if id.partition("::")[0] in paths}
        if checks and _stamp(runs, folder):
            return replace(told, checks=checks)
    return None


def _earlier(archive: Archive, plan: Plan) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for check in plan.checks:
        if _measures(check.kind):
            for line in archive.figures(check.id, _ground(plan, check, provenance.machine()), RUNS):
                for name, value in line.figures.items():
                    found.setdefault(check.id, {}).setdefault(name, []).append(value)
    return found


def figures(runs: Path, check: str) -> list[dict[str, float]]:
    """What was figured of a check on the machine that figured it last, the oldest first. Writes nothing."""
    nothing: list[Asked] = []
    found, _ = _consult(runs, lambda archive: archive.figures(check, None), nothing, keep=False)
    return [line.figures for line in found]


def _measures(kind: str) -> bool:
    """Whether its figures depend on the machine and on the day, so that they are worth following."""
    return bool(getattr(rooms.evaluator(kind), "QUIET", False))


def _ground(plan: Plan, check: Check, machine: Mapping[str, Any]) -> str:
    """Figures of another machine, or of other cases, are no earlier ones; those of another model are."""
    ground = [machine.get("processor"), machine.get("cores"), machine.get("system"), plan.numerics]
    return digest_of([*ground, check.prompts, sorted(digest_of(case.input) for case in check.cases)])[7:19]


def _broken(first: Asked, now: Mapping[str, Any]) -> Iterable[str]:
    for key in dict.fromkeys([*first.pledge, *now]):
        was, is_ = first.pledge.get(key), now.get(key)
        if was != is_:
            yield f"`{key}` was {_said(was)} when it was first looked at, in {first.run}, and is {_said(is_)}"


def _said(value: Any) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()


def _pledge(plan: Plan, check: Check) -> dict[str, Any]:
    """What was promised; with a promise go the cases and the models that it was made of."""
    found: dict[str, Any] = rooms.optional(rooms.evaluator(check.kind), "pledge", check, default={})
    kept = {"the cases": digest_of(_cases(check))[7:19], "the models": digest_of(_models(plan, check))[7:19]}
    return {**found, **kept} if found else {}


# ------------------------------------------------------------------------------------------ the archive


def remember(folder: Path, plan: Plan) -> list[str]:
    """Note down what a run asked and judged, as its certificate says; what speaks against it is a remark, no more."""
    runs, kept = folder.parent, _kept(folder, plan)
    try:
        unfit = archive.write(runs / FILE, [kept] if kept else [], lambda: _everything(runs, but=folder.name))
    except (Unavailable, Unfit) as why:
        return [f"{FILE} can't be written, and the next run takes this one in: {why}"]
    return [_told_of(unfit)] if unfit else []


def _consult(runs: Path, ask: Callable[[Archive], _T], nothing: _T, *, keep: bool = True) -> tuple[_T, list[str]]:
    """What the history answers, brought up to date first; where it can't be, what can be known in memory."""
    path, old = runs / FILE, runs / LINES
    if not os.path.lexists(path) and not old.exists() and not any(_stamp(runs, name) for name in _folders(runs)):
        return nothing, []
    remarks: list[str] = []
    unfit: Unfit | None = None
    objection = ""
    try:
        for _ in range(3):
            lacking: Sequence[Kept] = ()
            missing = False
            try:
                with archive.opened(path) as found:
                    found.whole()
                    lacking = _lacking(runs, found)
                    if found.current and not lacking and not old.exists():
                        return ask(found), remarks
            except Missing:
                missing = True
            except Unfit as why:
                unfit = why
            if not keep:
                break
            gone = archive.write(path, lacking, lambda: _everything(runs), unfit)
            unfit = None
            remarks += [_told_of(gone)] if gone else _put_away(old) or (_BUILT if missing else [])
    except (Unavailable, Unfit) as reason:
        objection = str(reason)
    with contextlib.suppress(Unavailable, Unfit), _in_memory(runs, usable=unfit is None) as (found, was_read):
        if objection:
            remarks.append(f"{FILE} {_NOT_WRITTEN if was_read else _NOT_READ}: {objection}")
        return ask(found), remarks
    return nothing, [*remarks, f"{FILE} can't be used, and nothing is known of earlier runs: {objection}"]


_BUILT = [f"{FILE} was not there, and was built from the run folders"]
_NOT_WRITTEN = "can't be written, so what it lacked was looked up in the run folders"
_NOT_READ = "can't be read, so what was asked before is known from the run folders alone"


@contextlib.contextmanager
def _in_memory(runs: Path, *, usable: bool) -> Iterator[tuple[Archive, bool]]:
    """The history as it would be, kept nowhere: the run folders, and what the file says; whether that could be read."""
    found: Archive | None = None
    with contextlib.suppress(Missing, Unavailable, Unfit):
        if usable:
            with archive.opened(runs / FILE, wait=0) as file:
                lacking = _lacking(runs, file)
                found = file.copy()
    was_read = found is not None
    if found is None:
        found, lacking = archive.empty(), _everything(runs)
    with found:
        found.add(lacking)
        yield found, was_read


def _told_of(unfit: Unfit) -> str:
    return (
        f"{FILE} was put aside as {unfit.to}: {unfit}; it was built anew from the run folders, "
        "and what only it knew, of runs whose folders are gone, is lost"
    )


def _put_away(old: Path) -> list[str]:
    """Give the old history, which was taken in, the name that it is kept under."""
    to = old.with_name(f"{old.name}.taken-in")
    for number in count(2):
        if not os.path.lexists(to):
            break
        to = old.with_name(f"{old.name}.taken-in-{number}")
    try:
        old.rename(to)
    except OSError:
        return []
    return [f"{LINES} was taken into {FILE}, and is kept as {to.name}"]


# -------------------------------------------------------------------------------- what the folders tell


class _Run(msgspec.Struct, frozen=True):
    id: str
    started: str


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    verdict: Ruling
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    p: float | None = None
    planned: int = 0
    outcomes: Tally = Tally()
    figures: dict[str, float] = {}
    flipped: bool = False


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a certificate."""

    status: Status
    run: _Run
    checks: list[_Result]
    score: float | None = None


class _Begun(msgspec.Struct, frozen=True):
    machine: dict[str, Any]


class _Questions:
    """What the checks of a plan ask, worked out once for all runs of the same plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.checks = {check.id: check for check in plan.checks}
        self._known: dict[str, Asked] = {}

    def line(self, run: str, result: _Result, machine: Callable[[], Mapping[str, Any]]) -> Asked:
        """What is kept of a check's verdict, by itself: a correction that took it back says nothing of the check."""
        check = self.checks[result.id]
        asked = self._known.get(check.id) or self._ask(check)
        verdict: Ruling = "pass" if result.flipped else result.verdict
        line = replace(asked, run=run, verdict=verdict, claim=is_claim(result))
        if not _measures(check.kind):
            return line
        models = {role: recipe[7:19] for role, recipe in _models(self.plan, check).items()}
        on = _ground(self.plan, check, machine())
        return replace(line, figures=followed(result.figures), on=on, models=models)

    def _ask(self, check: Check) -> Asked:
        asked, pledge = question_of(self.plan, check), _pledge(self.plan, check)
        found = self._known[check.id] = Asked(run="", check=check.id, asked=asked, verdict="pass", pledge=pledge)
        return found


@lru_cache(maxsize=4)
def _questions(plan: bytes) -> _Questions:
    return _Questions(msgspec.json.decode(plan, type=Plan))


def _folders(runs: Path, but: str = "") -> list[str]:
    """What may be folders of runs, the oldest first."""
    try:
        with os.scandir(runs) as entries:
            return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False) and each.name != but)
    except OSError:
        return []


def _stamp(runs: Path, name: str) -> str:
    """Changes whenever a run's certificate is written again; empty where there is none."""
    try:
        found = os.stat(f"{runs}/{name}/{CERTIFICATE}")
        os.fsencode(name).decode()
    except (OSError, UnicodeDecodeError):
        return ""
    return f"{found.st_mtime_ns}-{found.st_size}"


def _lacking(runs: Path, found: Archive) -> list[Kept]:
    """What the runs left that the history doesn't know; of the newest, also what they wrote again since."""
    known, names = found.folders(), _folders(runs)
    again = {name for name in names[-_LOOKED_AT:] if name in known and known[name] != _stamp(runs, name)}
    old = _lines([runs / LINES])
    return [*old, *_taken_in(runs, [name for name in names if name not in known or name in again], old)]


def _everything(runs: Path, but: str = "") -> list[Kept]:
    old = _lines(sorted(runs.glob(f"{LINES}*")))
    return [*old, *_taken_in(runs, _folders(runs, but), old)]


def _taken_in(runs: Path, names: Iterable[str], old: Sequence[Kept]) -> Iterator[Kept]:
    lines = {line.run for each in old for line in each.lines}
    for name in names:
        if _stamp(runs, name) and (kept := _kept(runs / name, without=lines)):
            yield kept


def _lines(paths: Iterable[Path]) -> list[Kept]:
    """What the old history says, a line a check of a run; a line that can't be read is nobody's."""
    found: dict[tuple[str, str], Asked] = {}
    for path in paths:
        try:
            data = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
        for text in data.splitlines():
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                line = msgspec.json.decode(text, type=Asked)
                found[line.run, line.check] = line  # the last that a run said, when it was taken up again
    return [Kept("", "", None, list(found.values()))] if found else []


def _kept(folder: Path, plan: Plan | None = None, without: Collection[str] = ()) -> Kept | None:
    """What is kept of a run, by what lies in its folder; nothing where there is none that can be read."""
    stamp = _stamp(folder.parent, folder.name)
    try:
        told = msgspec.json.decode((folder / CERTIFICATE).read_bytes(), type=_Told)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    previous = None
    if told.status != "incomplete" and told.score is not None:
        checks = {each.id: _before(each) for each in told.checks}
        previous = Previous(
            run=told.run.id, started=told.run.started, status=told.status, score=told.score, checks=checks
        )
    lines = [] if told.run.id in without else list(_asked(folder, told, plan))
    return Kept(folder.name, stamp, previous, lines)


def _before(result: _Result) -> Before:
    return Before(verdict=result.verdict, estimate=result.estimate, interval=result.interval, n=result.n)


def _asked(folder: Path, told: _Told, plan: Plan | None) -> Iterator[Asked]:
    """What is kept of a run's checks that were measured whole; of a room that is gone, or that fails, nothing."""

    asking = None if plan is None else _Questions(plan)
    machine = provenance.machine if plan is not None else cache(lambda: _machine(folder))
    for result in told.checks:
        with contextlib.suppress(Exception):
            if result.outcomes.total() == result.planned and (is_claim(result) or _measures(result.kind)):
                asking = asking or _questions((folder / PLAN).read_bytes())
                yield asking.line(told.run.id, result, machine)


def _machine(folder: Path) -> Mapping[str, Any]:
    """The machine that a run began on."""
    with (folder / "outcomes.jsonl").open("rb") as file:
        return msgspec.json.decode(file.readline(), type=_Begun).machine
