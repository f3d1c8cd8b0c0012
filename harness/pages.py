"""A run folder, read back: everything that a report may tell, recomputed from plan.json and outcomes.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from harness import rooms
from harness.certify import PLAN, certify
from harness.codec import digest, to_pretty_json
from harness.contract import Certificate, Check, CheckResult, Outcome, Plan, Setting
from harness.ledger import FILE as OUTCOMES
from harness.ledger import Damaged, Record
from harness.store import write_whole

CERTIFICATE = "certificate.json"


class NotARun(Exception):
    """A folder that holds no run, or one that can't be read."""


class Run:
    """A recorded run."""

    def __init__(self, plan_data: bytes, outcomes_data: bytes, results: Sequence[CheckResult] | None = None) -> None:
        self.plan = _plan(plan_data)
        self.data: Mapping[str, bytes] = {PLAN: plan_data, OUTCOMES: outcomes_data}
        try:
            self.record = Record(outcomes_data)
        except Damaged as error:
            raise NotARun(f"{OUTCOMES}: {error}") from None
        self.digests = {name: digest(data) for name, data in self.data.items()}
        self._results = results

    @cached_property
    def certificate(self) -> Certificate:
        return certify(self.plan, self.record, self.digests, self._results)

    @property
    def certificate_data(self) -> bytes:
        return to_pretty_json(self.certificate)

    @property
    def settings(self) -> Sequence[Setting]:
        return list(self.record.settings.values())

    def outcomes(self, check: str) -> Mapping[str, Outcome]:
        return self.record.checks.get(check, {})

    def gated(self, check: Check) -> bool:
        return rooms.gated(check)

    def panel(self, kind: str) -> str:
        return rooms.panel(kind)

    def drawing(self, check: Check, result: CheckResult) -> Mapping[str, Any]:
        found = self.outcomes(check.id)
        outcomes = [found[case.id] for case in check.cases if case.id in found]
        drawn: Mapping[str, Any] = rooms.optional(
            rooms.evaluator(check.kind), "drawing", check, outcomes, result, default={}
        )
        return drawn

    def overview(self, kind: str) -> str | None:
        return rooms.overview(kind)


def read_run(folder: Path) -> Run:
    try:
        return Run((folder / PLAN).read_bytes(), (folder / OUTCOMES).read_bytes())
    except OSError as error:
        raise NotARun(f"{folder} is not a run folder: {error.strerror}: {Path(error.filename).name}") from None


def _plan(data: bytes) -> Plan:
    try:
        return msgspec.json.decode(data, type=Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotARun(f"{PLAN}: {error}") from None


def tell(run: Run, folder: Path) -> list[Path]:
    """Write every report that an installed room can tell, each whole or not at all."""
    return [tell_one(run, folder, name) for name in rooms.reports()]


def tell_one(run: Run, folder: Path, name: str) -> Path:
    room = rooms.report(name)
    path = folder / room.FILE
    write_whole(path, room.tell(run))
    return path
