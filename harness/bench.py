"""Where cases are measured: one bench a worker, each model opened once, answers computed in the plan's batches."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from harness import rooms
from harness.board import IDLE, OPENING, WAITING, Board, overtime
from harness.codec import to_json
from harness.contract import (
    Case,
    Check,
    Evaluator,
    Model,
    NotPlain,
    Outcome,
    Plan,
    Question,
    Refused,
    Setting,
    Site,
    Unreached,
)
from harness.desk import SMALL, Desk, Said, TimedOut
from harness.elsewhere import ANY
from harness.lane import Occupied, taken
from harness.opening import Opened, numerics_of, open_here
from harness.redaction import Redactor
from harness.shelf import explain

_T = TypeVar("_T")


class Bench:
    def __init__(self, plan: Plan, site: Site, board: Board | None = None, folder: Path | None = None) -> None:
        self.numerics = numerics_of(plan.numerics)
        self.plan = plan
        self.site = site
        self.folder = folder
        """Of the run, for files that are kept beside its record."""
        self.board = board or Board()
        self.settings: dict[str, Setting] = {}
        self._opened: dict[str, Opened | str] = {}
        self.said: dict[Any, Said] = {}
        """What models that stand beside others said to whole batches."""
        self.room_left = SMALL
        self._kept: dict[Any, Any] = {}

    def measure(
        self, index: int, batch: int, positions: Sequence[int], into: list[Outcome], *, alone: bool = False
    ) -> None:
        """Measure some cases of one batch, adding an outcome each to `into`.

        Whichever are wanted, a model that answers a batch in one go is asked the whole batch, so that its answers are
        the same to the bit. `alone` asks it one case at a time: for finding the case that spoils the others.
        """
        check = self.plan.checks[index]
        quiet = rooms.quiet(check)
        try:
            if quiet:
                with self._lane(index, alone=False):
                    self._open_all(check, index)
            with self._lane(index, alone=quiet):
                self._measure(Desk(self, index, check, batch, positions, alone=alone), into)
        except Occupied as why:
            into += [replace(_error(check.cases[p], str(why), carrier=True), check=check.id) for p in positions]
        self.board.show(-1, IDLE)

    def _lane(self, index: int, *, alone: bool) -> AbstractContextManager[None]:
        return taken(alone=alone, waits=lambda: self.board.show(index, WAITING))

    def _open_all(self, check: Check, index: int) -> None:
        """Before the machine is had alone: what is not built yet would keep all others waiting."""
        for key in filter(None, [check.model, *check.others.values()]):
            with suppress(Refused):
                self.opened(key, index)

    def _measure(self, desk: Desk, into: list[Outcome]) -> None:
        check, index = desk.check, desk.index
        room = rooms.evaluator(check.kind)
        with _alarm() as limit, closing(desk):
            desk.limit = limit
            for position in desk.positions:
                case = check.cases[position]
                self.board.show(index, position)
                desk.take_up(position)
                begin = time.perf_counter()
                outcome = _outcome(room, check, case, desk)
                own = time.perf_counter() - begin - desk.shared
                outcome.case = case.id
                outcome.check = check.id
                outcome.seconds = round(own + desk.share(), 6)
                if check.others:
                    outcome.spent = {role: round(seconds, 6) for role, seconds in desk.spent().items()}
                outcome.by = desk.setting()
                into.append(redacted(outcome, desk.redact))

    def opened(self, key: str, index: int) -> Opened:
        """The model, opened on first use and kept; one that can't be opened is asked for once."""
        known = self._opened.get(key)
        if known is None:
            self.board.show(index, OPENING)
            known = self._opened[key] = self._open(key)
        if isinstance(known, str):
            raise Unreached(known)
        return known

    def _open(self, key: str) -> Opened | str:
        declared = self.plan.models[key]
        try:
            opened = open_here(key, declared, self.site, self.numerics)
        except ANY as error:
            return f"the model `{declared.name}` can't be opened: {explain(error)}"
        self.settings[opened.setting.id] = opened.setting
        return opened

    def setting_id(self, key: str) -> str:
        opened = self._opened.get(key)
        return opened.setting.id if isinstance(opened, Opened) else ""

    def often(self, check: Check) -> bool:
        """Whether another check holds its models against the same ones, so that what those say is worth keeping.

        Not where times tell: those of another check were taken beside other work.
        """
        return not rooms.quiet(check) and sum(check.others == other.others for other in self.plan.checks) > 1

    def filled(self, model: Model, questions: list[Question], batch: int) -> list[Question]:
        """With a fast BLAS a batch's size tells in its answers: a short one is filled up with its last question."""
        fast = self.numerics["numerics"] == "fast" and getattr(model, "padded", False)
        short = batch - len(questions) if fast else 0
        return questions + questions[-1:] * short

    def redactor(self, check: Check) -> Redactor:
        """What takes secrets out of all that is said for a check."""
        return self.keep(_redactor, check)

    def keep(self, build: Callable[[Check], _T], check: Check) -> _T:
        made = self._kept.get((build, check.id), self)
        if made is self:
            made = self._kept[build, check.id] = build(check)
        return made  # type: ignore[no-any-return]


def _redactor(check: Check) -> Redactor:
    said = cache(lambda: to_json(check).decode())
    return Redactor(os.environ, said)


def redacted(outcome: Outcome, redact: Redactor) -> Outcome:
    """An outcome with nothing in it that nobody should read: what a model answered, and what an error says."""
    if outcome.reason:
        outcome.reason = redact(outcome.reason)
    if outcome.answer is not UNSET:
        outcome.answer = redact(outcome.answer)
    if outcome.differences:
        outcome.differences = [
            replace(each, why=redact(each.why), expected=redact(each.expected), got=redact(each.got))
            for each in outcome.differences
        ]
    return outcome


def _outcome(room: Evaluator, check: Check, case: Case, desk: Desk) -> Outcome:
    """What a room makes of a case, whatever the room or the model does."""
    try:
        try:
            desk.limit(check.timeout)
            outcome = room.measure(check, case, desk)
        finally:
            desk.limit(0)
        if not isinstance(outcome, Outcome):
            raise TypeError(f"{check.kind} measured no Outcome but a {type(outcome).__name__}")
    except TimedOut:
        return _error(case, overtime(0, check.timeout, 1), carrier=True)
    except NotPlain as error:
        return _error(case, f"the answer is not plain data: {error}")
    except Unreached as error:
        return _error(case, str(error), carrier=True)
    except Refused as error:
        return _error(case, str(error))
    except ANY as error:
        return _error(case, explain(error))
    return outcome


def _error(case: Case, reason: str, *, carrier: bool = False) -> Outcome:
    return Outcome(case=case.id, outcome="error", reason=reason, carrier=carrier)


@contextmanager
def _alarm() -> Iterator[Callable[[float], None]]:
    """A function that sets the time after which TimedOut is raised here; 0 takes it back.

    It stops what runs Python; a hang in native code is the controller's to end, with the whole worker.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield lambda seconds: None
        return

    def ring(number: int, frame: object) -> NoReturn:
        raise TimedOut

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield _set_timer
    finally:
        _set_timer(0)
        signal.signal(signal.SIGALRM, before)


def _set_timer(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)
