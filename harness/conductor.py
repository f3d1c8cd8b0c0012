"""One run, as its controller sees it: a folder, a ledger, verdicts as checks complete, a certificate at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness import bar, policy, provenance, rooms
from harness.board import OPEN, SHUT, decide, rule
from harness.budget import shared, within
from harness.certify import PLAN, judge
from harness.codec import digest, digest_of_file
from harness.contract import Certificate, CheckResult, Outcome, Plan, Setting, Waiver
from harness.history import past, remember
from harness.ledger import CERTIFIED, Begin, End, Ledger, Remark, Resumed, certified_as
from harness.ledger import FILE as OUTCOMES
from harness.pages import CERTIFICATE, Run, tell_one
from harness.resuming import Again
from harness.stages import grounds, stands_on
from harness.store import point_at, write_whole


def _target(link: Path) -> str | None:
    """Where a link leads; None where there is none."""
    try:
        return str(link.readlink())
    except OSError:
        return None


class CannotBegin(Exception):
    """The run folder can't be written, or what it refers to can't be read: said before any model is opened."""


class Conductor:
    """A new run of a plan, in a folder of its own; or one that was cut short, taken up again where it lies."""

    def __init__(self, plan: Plan, root: Path, runs: Path, again: Again | None = None) -> None:
        self.plan = plan
        self.root = root
        self._clock = time.monotonic()
        self._spent = 0.0
        self._under = grounds(plan)
        self._grounds = {low for lows in self._under.values() for low in lows}
        self.found: list[dict[str, Outcome]] = [{} for _ in plan.checks]
        self.results: dict[int, CheckResult] = {}
        self._decided: set[int] = set()
        self._settings: set[str] = set()
        self.told: list[Path] = []
        self.untold: list[str] = []
        """Reports that failed: the record and the certificate stand without them."""
        self.remarks: list[str] = []
        """What the person at the terminal should know, and no reviewer."""
        self._again = again
        begin = self._begin(runs) if again is None else self._take_up(again)
        self.id = begin.run
        self._looks = begin.looks
        self.day = policy.day_of(begin.started)
        for index in range(len(plan.checks)) if again else ():
            self._look_whether_decided(index)
            self._rule(index)

    def _begin(self, runs: Path) -> Begin:
        now = datetime.now(UTC)
        self.folder = runs / f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03x}{secrets.token_hex(1)}"
        self.boards = self.folder / ".boards"
        data = msgspec.json.encode(self.plan)
        try:
            self.boards.mkdir(parents=True)
            write_whole(self.folder / PLAN, data)
            self.ledger = Ledger(self.folder / OUTCOMES)
            behind = past(runs, self.plan)
            self.remarks += behind.remarks
            lock = bar.read(self.root)
            begin = Begin(
                run=self.folder.name,
                started=now.isoformat(timespec="seconds"),
                plan=digest(data),
                machine=provenance.machine(),
                looks=behind.looks,
                broken=behind.broken,
                earlier=behind.earlier,
                previous=behind.previous,
                lock=lock,
                judges=bar.judges(check.kind for check in self.plan.checks) if lock else {},
            )
            self.ledger.append([begin])
            self._latest = _target(runs / "latest")
            with contextlib.suppress(OSError):
                point_at(runs / "latest", self.folder.name)
        except bar.NotALock as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise CannotBegin(str(error)) from None
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise CannotBegin(f"the run folder {self.folder} can't be written: {error.strerror}") from None
        return begin

    def _take_up(self, again: Again) -> Begin:
        self.folder = again.folder
        self.boards = self.folder / ".boards"
        begin = again.record.begin
        assert begin is not None
        try:
            self.ledger = Ledger(self.folder / OUTCOMES, again=True)
            shutil.rmtree(self.boards, ignore_errors=True)
            self.boards.mkdir()
            self.ledger.append([Resumed(at=datetime.now(UTC).isoformat(timespec="seconds"))])
        except OSError as error:
            raise CannotBegin(f"the run in {self.folder} can't be taken up: {error.strerror}") from None
        whole = all(len(again.record.checks.get(check.id, ())) == len(check.cases) for check in self.plan.checks)
        if whole and not again.retried:
            self.remarks.append(f"nothing was left to measure of the run {begin.run}")
        if self.ledger.torn:
            self.remarks.append(f"the last line of {OUTCOMES} was torn: {self.ledger.torn} bytes of it were cut off")
        self._spent = again.record.end.seconds if again.record.end else again.record.spent
        self._settings.update(again.record.settings)
        for index, check in enumerate(self.plan.checks):
            known = again.record.checks.get(check.id, {})
            self.found[index] = {id: each for id, each in known.items() if id not in again.retried.get(index, ())}
        return begin

    def record(self, index: int, outcomes: Iterable[Outcome], settings: Iterable[Setting]) -> list[Outcome]:
        """Write down what was measured of a check; returns what had not been known."""
        found = self.found[index]
        fresh = [self._counted(index, outcome) for outcome in outcomes if outcome.case not in found]
        unknown = [setting for setting in settings if setting.id not in self._settings]
        self.ledger.append([*unknown, *fresh])
        self._settings.update(setting.id for setting in unknown)
        found.update((outcome.case, outcome) for outcome in fresh)
        self._look_whether_decided(index)
        if fresh:
            self._rule(index)
        return fresh

    def _counted(self, index: int, outcome: Outcome) -> Outcome:
        """An outcome with how often it took to have it."""
        before = self._again.retried.get(index, {}).get(outcome.case) if self._again else None
        return outcome if before is None else msgspec.structs.replace(outcome, tries=before.tries + 1)

    def _rule(self, index: int) -> None:
        """Tell the workers what a check that others stand on allows."""
        if index in self._grounds and self.complete(index):
            opens = policy.opens(self.plan, self.judged(index), self.day)
            rule(self.boards, index, OPEN if opens else SHUT)

    def shut(self, index: int) -> str:
        """Why a check is not measured, given the verdicts of what it stands on; empty where nothing speaks against."""
        lows = [at for at in self._under.get(index, ()) if self.complete(at)]
        return stands_on(self.plan, [at for at in lows if not policy.opens(self.plan, self.judged(at), self.day)])

    def _look_whether_decided(self, index: int) -> None:
        check = self.plan.checks[index]
        asks = getattr(rooms.evaluator(check.kind), "decided", None)
        if asks is None or index in self._decided or self.complete(index):
            return
        outcomes = [found for case in check.cases if (found := self.found[index].get(case.id)) is not None]
        if asks(check, outcomes):
            self._decided.add(index)
            with contextlib.suppress(OSError):
                decide(self.boards, index)

    def complete(self, index: int) -> bool:
        return len(self.found[index]) == len(self.plan.checks[index].cases)

    def settled(self, index: int) -> list[int]:
        """The checks whose verdicts are final now that this one is complete: those that share an error rate wait for
        each other."""
        spec = shared(self.plan, self.plan.checks[index].id)
        if spec is None:
            return [index]
        mine = [at for at, check in enumerate(self.plan.checks) if check.id.partition("::")[0] == spec.path]
        return mine if all(map(self.complete, mine)) else []

    def judged(self, index: int) -> CheckResult:
        """The verdict of a check by itself, on what is known of it now; final once it is complete."""
        known = self.results.get(index)
        if known is None:
            known = judge(self.plan.checks[index], self.found[index])
            if self.complete(index):
                self.results[index] = known
        return known

    def final(self, index: int) -> CheckResult:
        """The verdict of a check among those that it shares an error rate with."""
        own = self.judged(index)
        if shared(self.plan, own.id) is None:
            found = within(self.plan, [own], self._looks)[0]
        else:
            results = [self.judged(at) for at in range(len(self.plan.checks))]
            found = within(self.plan, results, self._looks)[index]
        return policy.waived(self.plan, [found], self.day)[0]

    def waiver(self, index: int) -> Waiver | None:
        """What a check is waived by, should it not pass."""
        return policy.waiver_of(self.plan, self.plan.checks[index].id, self.day)

    def finish(self, stopped: str | None) -> Certificate:
        """Close the record, certify it and tell it in every format; `runs/latest` then points here."""
        self._look_for_edits()
        seconds = round(self._spent + time.monotonic() - self._clock, 3)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        self.ledger.append([End(finished=finished, seconds=seconds, stopped=stopped)])
        self.ledger.close()
        shutil.rmtree(self.boards, ignore_errors=True)
        run = Run(
            (self.folder / PLAN).read_bytes(),
            (self.folder / OUTCOMES).read_bytes(),
            [self.judged(i) for i in range(len(self.plan.checks))],
        )
        write_whole(self.folder / CERTIFICATE, run.certificate_data)
        self.remarks += remember(self.folder, self.plan)
        for name in rooms.reports():
            try:
                self.told.append(tell_one(run, self.folder, name))
            except Exception as error:
                self.untold.append(f"the {name} report could not be written: {type(error).__name__}: {error}")
        with contextlib.suppress(OSError):
            point_at(self.folder.parent / "latest", self.id)
            ours = not (self.folder.parent / CERTIFIED).is_symlink()
            for spec in self.plan.specs if ours and run.certificate.status == "certified" else ():
                link = self.folder.parent / certified_as(spec.path)
                link.parent.mkdir(exist_ok=True)
                point_at(link, f"../{self.id}")
        return run.certificate

    def discard(self) -> None:
        """Leave nothing: nothing was asked for. Of a run that was begun before, leave what was there."""
        self.ledger.close()
        if self._again is not None:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            link = self.folder.parent / "latest"
            link.unlink() if self._latest is None else point_at(link, self._latest)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _look_for_edits(self) -> None:
        for name, known in self.plan.files.items():
            try:
                same = digest_of_file(self.root / name) == known
            except OSError:
                same = not known  # it was not there when it was planned
            if not same:
                self.ledger.append([Remark(text=f"{name} changed during the run", voids=True)])

    def shown(self) -> str:
        """Where to look: the first report, or the folder where there is none."""
        path = next((path for path in self.told if path.name != CERTIFICATE), self.folder)
        return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
