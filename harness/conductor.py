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
from harness.history import past, previous, remember
from harness.ledger import FILE as OUTCOMES
from harness.ledger import Begin, End, Ledger, Remark, certified_as
from harness.pages import CERTIFICATE, Run, tell_one
from harness.stages import grounds, stands_on
from harness.store import point_at, write_whole


class CannotBegin(Exception):
    """The run folder can't be written, or what it refers to can't be read: said before any model is opened."""


class Conductor:
    def __init__(self, plan: Plan, root: Path, runs: Path) -> None:
        self.plan = plan
        self.root = root
        self.started = datetime.now(UTC)
        self._clock = time.monotonic()
        self.id = f"{self.started:%Y%m%d-%H%M%S}-{self.started.microsecond // 1000:03x}{secrets.token_hex(1)}"
        self.folder = runs / self.id
        self.boards = self.folder / ".boards"
        data = msgspec.json.encode(plan)
        try:
            self.boards.mkdir(parents=True)
            write_whole(self.folder / PLAN, data)
            self.ledger = Ledger(self.folder / OUTCOMES)
            started = self.started.isoformat(timespec="seconds")
            behind = past(runs, plan)
            lock = bar.read(root)
            begin = Begin(
                run=self.id,
                started=started,
                plan=digest(data),
                machine=provenance.machine(),
                looks=behind.looks,
                broken=behind.broken,
                earlier=behind.earlier,
                previous=previous(runs, plan),
                lock=lock,
                judges=bar.judges(check.kind for check in plan.checks) if lock else {},
            )
            self.ledger.append([begin])
        except bar.NotALock as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise CannotBegin(str(error)) from None
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise CannotBegin(f"the run folder {self.folder} can't be written: {error.strerror}") from None
        self._looks = behind.looks
        self.day = policy.day_of(started)
        self._under = grounds(plan)
        self._grounds = {low for lows in self._under.values() for low in lows}
        self.found: list[dict[str, Outcome]] = [{} for _ in plan.checks]
        self.results: dict[int, CheckResult] = {}
        self._decided: set[int] = set()
        self._settings: set[str] = set()
        self.told: list[Path] = []
        self.untold: list[str] = []
        """Reports that failed: the record and the certificate stand without them."""

    def record(self, index: int, outcomes: Iterable[Outcome], settings: Iterable[Setting]) -> list[Outcome]:
        """Write down what was measured of a check; returns what had not been known."""
        found = self.found[index]
        fresh = [outcome for outcome in outcomes if outcome.case not in found]
        unknown = [setting for setting in settings if setting.id not in self._settings]
        self.ledger.append([*unknown, *fresh])
        self._settings.update(setting.id for setting in unknown)
        found.update((outcome.case, outcome) for outcome in fresh)
        self._look_whether_decided(index)
        if fresh and index in self._grounds and self.complete(index):
            opens = policy.opens(self.plan, self.judged(index), self.day)
            rule(self.boards, index, OPEN if opens else SHUT)
        return fresh

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
        seconds = round(time.monotonic() - self._clock, 3)
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
        done = [self.judged(at) for at in range(len(self.plan.checks)) if self.complete(at)]
        with contextlib.suppress(OSError):
            remember(self.folder.parent, self.plan, self.id, done)
        for name in rooms.reports():
            try:
                self.told.append(tell_one(run, self.folder, name))
            except Exception as error:
                self.untold.append(f"the {name} report could not be written: {type(error).__name__}: {error}")
        with contextlib.suppress(OSError):
            point_at(self.folder.parent / "latest", self.id)
            for spec in self.plan.specs if run.certificate.status == "certified" else ():
                link = self.folder.parent / certified_as(spec.path)
                link.parent.mkdir(exist_ok=True)
                point_at(link, f"../{self.id}")
        return run.certificate

    def discard(self) -> None:
        """Leave nothing: nothing was asked for."""
        self.ledger.close()
        shutil.rmtree(self.folder, ignore_errors=True)
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
