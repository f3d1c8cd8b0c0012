"""What a run would change in expectations, as its kinds propose it, and which of its checks would not agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from harness import rooms
from harness.codec import to_json
from harness.contract import Case, Check, Outcome
from harness.pages import Run

CLASSES = ("semantic", "numeric", "format")
"""The worst first."""
Path = tuple[str | int, ...]
_BLOT = b"[redacted: "


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place in the `expect` of one case, and what would stand there."""

    file: str
    line: int
    """Of its case, when the run was planned."""
    case: str
    checks: tuple[str, ...]
    """Ids of the checks whose answers propose it."""
    path: Path
    """The keys that lead from `expect` to the place; none where that is all of it."""
    kind: str = field(name="class")
    was: Any | UnsetType = UNSET
    """Absent where nothing was there."""
    now: Any | UnsetType = UNSET
    """Absent where nothing is to be there."""
    off: float | None = None
    """How far numbers are apart, and how far beside the old one."""
    rel: float | None = None
    contested: str = ""
    """Which other check would not agree."""

    @property
    def at(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def place(self) -> tuple[str, str, Path]:
        return self.file, self.case, self.path

    def same(self) -> bytes:
        """One spelling of what it changes, whoever proposes it."""
        return to_json([self.file, self.line, self.case, self.path, held(self.was), held(self.now)])


class ByHand(Struct, frozen=True, kw_only=True):
    """A place that missed, of which nobody but a person can tell what should stand there."""

    at: str
    case: str
    check: str
    path: Path
    why: str


class Found(NamedTuple):
    changes: list[Change]
    """The worst first."""
    by_hand: list[ByHand]
    proposing: bool
    """Whether a kind of the run proposes anything at all."""


class Unfit(Exception):
    """A room proposes what can't be understood."""


class _Proposed(Struct, frozen=True, kw_only=True):
    case: str
    path: Path
    by_hand: str = ""
    kind: str = field(name="class", default="")
    was: Any | UnsetType = UNSET
    now: Any | UnsetType = UNSET
    off: float | None = None
    rel: float | None = None


def _secret(each: _Proposed) -> str:
    """What was blotted out of an answer depends on the machine that asked: nobody may expect that unread."""
    return "a secret was taken out of the answer" if _BLOT in to_json(held(each.now)) else ""


class _Spot(NamedTuple):
    file: str
    line: int
    case: str


def gather(run: Run, wanted: Callable[[Check], bool] = lambda check: True) -> Found:
    """What the kinds of a run's wanted checks propose; what several agree on is one change."""
    checks = [check for check in run.plan.checks if wanted(check)]
    proposed: dict[_Spot, dict[str, list[_Proposed]]] = {}
    by_hand: list[ByHand] = []
    proposing = False
    for check in checks:
        room = rooms.evaluator(check.kind)
        proposing = proposing or hasattr(room, "proposals")
        cases = {case.id: case for case in check.cases}
        recorded = run.outcomes(check.id)
        outcomes = [recorded[case.id] for case in check.cases if case.id in recorded]
        for each in _read(check, room, outcomes):
            if (case := cases.get(each.case)) is None:
                raise Unfit(f"the kind {check.kind} proposes something for `{each.case}`, which is no case")
            spot = _spot(case)
            why = each.by_hand or _secret(each) or ("" if spot else "nobody knows where it is written")
            if why or spot is None:
                by_hand.append(ByHand(at=case.at, case=case.id, check=check.id, path=each.path, why=why))
            else:
                proposed.setdefault(spot, {}).setdefault(check.id, []).append(each)
    holders = _holders(checks)
    changes = [change for spot, by in proposed.items() for change in _of_spot(run, spot, by, holders[spot])]
    return Found(sorted(changes, key=_worst_first), by_hand, proposing)


def _read(check: Check, room: object, outcomes: Sequence[Outcome]) -> list[_Proposed]:
    try:
        raw = rooms.optional(room, "proposals", check, outcomes, default=())
        found = [msgspec.convert(each, _Proposed) for each in raw]
    except (msgspec.ValidationError, ValueError, LookupError, TypeError) as error:
        raise Unfit(f"what the kind {check.kind} proposes for {check.name} can't be read: {error}") from None
    for each in found:
        if not each.by_hand and (each.kind not in CLASSES or (each.was is UNSET and each.now is UNSET)):
            raise Unfit(f"what the kind {check.kind} proposes for {check.name}::{each.case} is no change")
    return found


def _spot(case: Case) -> _Spot | None:
    file, _, line = case.at.rpartition(":")
    return _Spot(file, int(line), case.id) if file and line.isdecimal() else None


def _holders(checks: Sequence[Check]) -> dict[_Spot, list[tuple[Check, Case]]]:
    """The checks that hold each case, by where it is written: a file of cases may serve several."""
    found: dict[_Spot, list[tuple[Check, Case]]] = {}
    for check in checks:
        for case in check.cases:
            if (spot := _spot(case)) is not None:
                found.setdefault(spot, []).append((check, case))
    return found


def _of_spot(
    run: Run, spot: _Spot, by: Mapping[str, list[_Proposed]], holders: Sequence[tuple[Check, Case]]
) -> list[Change]:
    """The changes of one case, those of several checks that are the same as one."""
    merged: dict[bytes, Change] = {}
    for check, proposals in by.items():
        contested = _contested(run, check, proposals, holders, by)
        for each in proposals:
            change = Change(
                file=spot.file,
                line=spot.line,
                case=spot.case,
                checks=(check,),
                path=each.path,
                kind=each.kind,
                was=each.was,
                now=each.now,
                off=each.off,
                rel=each.rel,
                contested=contested,
            )
            known = merged.get(change.same())
            merged[change.same()] = change if known is None else _joined(known, change)
    return list(merged.values())


def _joined(one: Change, other: Change) -> Change:
    return msgspec.structs.replace(one, checks=(*one.checks, *other.checks), contested=one.contested or other.contested)


def _contested(
    run: Run,
    proposer: str,
    proposals: Sequence[_Proposed],
    holders: Sequence[tuple[Check, Case]],
    by: Mapping[str, list[_Proposed]],
) -> str:
    """Which check over the same case answers otherwise, or meets what is there and would not then."""
    wanted = {each.path: to_json(held(each.now)) for each in proposals}
    for check, case in holders:
        if check.id == proposer:
            continue
        if any(wanted.get(each.path, said) != said for each in by.get(check.id, ()) for said in [_said(each)]):
            return f"{check.name} answers otherwise"
        outcome = run.outcomes(check.id).get(case.id)
        if outcome is not None and outcome.outcome == "met" and not _still_met(check, case, outcome, proposals):
            return f"{check.name} meets what is there, and would not then"
    return ""


def _said(each: _Proposed) -> bytes:
    return to_json(held(each.now))


def _still_met(check: Check, case: Case, outcome: Outcome, proposals: Sequence[_Proposed]) -> bool:
    expect: Any = case.expect
    for each in proposals:
        expect = put(expect, each.path, each.now)
    changed = msgspec.structs.replace(case, expect=expect)
    try:
        again = rooms.optional(rooms.evaluator(check.kind), "regrade", check, changed, outcome)
    except ValueError:
        return False
    return again is not None and again.outcome == "met"


def put(value: Any, path: Path, now: Any) -> Any:
    """A value with another at a place in it; UNSET takes out what is there; LookupError where there is none."""
    if not path:
        return now
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(step, str):
        if not rest and now is UNSET:
            return {key: item for key, item in value.items() if key != step}
        return {**value, step: put(value[step] if rest else None, rest, now)}
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return [put(item, rest, now) if index == step else item for index, item in enumerate(value)]
    raise LookupError(step)


def look(value: Any, path: Path) -> Any:
    """What is at a place in a value; UNSET where nothing is."""
    for step in path:
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
        ):
            value = value[step]  # type: ignore[index]
        else:
            return UNSET
    return value


def alike(a: Any, b: Any) -> bool:
    """The same value, spelled alike: 1 is not 1.0 here."""
    return to_json(held(a)) == to_json(held(b))


def held(value: Any) -> Any:
    """Nothing and null are different things."""
    return [] if value is UNSET else [value]


def _worst_first(change: Change) -> tuple[Any, ...]:
    number = change.kind == "numeric"
    rel = float("inf") if change.rel is None else change.rel
    off = float("inf") if change.off is None else change.off
    return CLASSES.index(change.kind), -rel if number else 0.0, -off if number else 0.0, change.file, change.line
