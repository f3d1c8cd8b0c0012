"""The plan as pytest sees it: units of work that are pytest items, and reports that speak of cases and checks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import UNSET

from harness import rooms
from harness.contract import Case, Certificate, Check, CheckResult, Outcome, Plan, Setting, Waiver
from harness.spec.faults import meant, visible
from harness.stages import grounds

try:
    from _pytest.nodeid import NodeId
except ImportError:  # a pytest without the class
    NodeId = None  # type: ignore[assignment, misc]

GATED = "missed; the gate decides"


class Unit(NamedTuple):
    """What is measured in one go: some cases of one batch."""

    nodeid: str
    check: int
    batch: int
    positions: Sequence[int]


class Selection(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    ids: tuple[str, ...] = ()
    """Checks and cases named outright; none means all of their files."""
    files: tuple[str, ...] = ()
    """Spec files that are wanted whole, though ids of others are named."""
    singly: bool = False
    """An item a case, where pytest itself is to choose among cases; what is measured alone is not taken apart."""
    done: dict[int, list[int]] = {}
    """By check, the places of cases that have an outcome already."""

    def wants(self, check: Check, case: Case) -> bool:
        return f"{check.id}::{case.id}" in self.ids

    def all_of(self, check: Check) -> bool:
        return (
            not self.ids
            or check.id in self.ids
            or check.id.partition("::")[0] in self.files
            or _loose(check.id) in self.ids
        )

    def unknown(self, plan: Plan) -> list[str]:
        """What is named and not there, each with the nearest name there is."""
        left = dict.fromkeys(self.ids)
        known: list[str] = []
        for check in plan.checks if left else ():
            left.pop(check.id, None)
            left.pop(_loose(check.id), None)
            known.append(check.id)
            for case in check.cases:
                left.pop(f"{check.id}::{case.id}", None)
        return [f"not found: {name}; {_nearest(name, known, plan)}" for name in left]


def _nearest(name: str, checks: list[str], plan: Plan) -> str:
    for check in plan.checks:
        if name.startswith(f"{check.id}::"):
            return meant(name, [f"{check.id}::{case.id}" for case in check.cases[:1000]])
    return meant(name, checks)


def _loose(check_id: str) -> str:
    """The id without its label: `digits` stands for each of `digits[int8]`, `digits[sparse]`."""
    above, mark, name = check_id.rpartition("::")
    return above + mark + name.partition("[")[0]


def units(plan: Plan, selection: Selection) -> Iterator[Unit]:
    """The same units, in the same order, in every process."""
    finished = {index: frozenset(places) for index, places in selection.done.items()}
    for index, check in enumerate(plan.checks):
        whole, quiet = selection.all_of(check), rooms.quiet(check)
        for batch in range(check.batches()):
            positions = range(batch * check.batch, min((batch + 1) * check.batch, len(check.cases)))
            wanted: Sequence[int] = (
                positions if whole else [p for p in positions if selection.wants(check, check.cases[p])]
            )
            if done := finished.get(index):
                wanted = [p for p in wanted if p not in done]
            if not wanted:
                continue
            if selection.singly and not quiet:
                for position in wanted:
                    yield Unit(f"{check.id}::{check.cases[position].id}", index, batch, (position,))
            else:
                yield Unit(f"{check.id}::(batch {batch})", index, batch, wanted)


class SpecNode(pytest.File):
    """A spec file."""

    def collect(self) -> Iterable[pytest.Item]:
        desk = self.config.stash[DESK]
        for unit in desk.by_spec.get(self.nodeid, ()):
            yield UnitItem.from_parent(
                self,
                name=unit.nodeid[len(self.nodeid) + 2 :],
                nodeid=unit.nodeid,
                unit=unit,
                check=desk.plan.checks[unit.check],
            )


class UnitItem(pytest.Item):
    """One unit of work. It reports its cases itself, so that pytest speaks of cases however they were measured."""

    def __init__(self, *, unit: Unit, check: Check, **rest: Any) -> None:
        super().__init__(**rest)
        self.unit = unit
        self.check = check
        self.add_marker(check.kind)
        for position in unit.positions if len(unit.positions) == 1 else ():
            self.extra_keyword_matches.update(check.cases[position].tags)

    def runtest(self) -> None:
        raise NotImplementedError("Hallmark's items are run by its own protocol")

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, line_of(self.check.at, self.check.id.partition("::")[0]), self.name


class Desk:
    """What a process that collects knows of the plan."""

    def __init__(self, plan: Plan, selection: Selection) -> None:
        self.plan = plan
        self.selection = selection
        self.by_spec: dict[str, list[Unit]] = {spec.path: [] for spec in plan.specs}
        self._grounds = grounds(plan)
        for unit in units(plan, selection):
            self.by_spec[plan.checks[unit.check].id.partition("::")[0]].append(unit)

    def units(self) -> Iterator[Unit]:
        for found in self.by_spec.values():
            yield from found

    def grounds(self, check: int) -> Sequence[int]:
        """The checks that one stands on."""
        return self._grounds.get(check, ())


DESK = pytest.StashKey[Desk]()


# ------------------------------------------------------------------------------------------- the wire


class Packet(msgspec.Struct, array_like=True):
    """What a worker sends of a unit: everything of all its cases in one piece of plain bytes."""

    check: int
    outcomes: list[Outcome]
    settings: list[Setting]
    started: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packet).decode


def pack(packet: Packet) -> bytes:
    return _encode(packet)


def unpack(data: bytes) -> Packet:
    return _decode(data)


# -------------------------------------------------------------------------------------------- reports


class Told(str):
    """Text that pytest can also give as one line."""

    reprcrash: SimpleNamespace

    def __new__(cls, line: str, text: str) -> Told:
        made = super().__new__(cls, visible(text))
        made.reprcrash = SimpleNamespace(message=visible(line))
        return made


if NodeId is not None:

    class WholeId(NodeId):
        """An id as pytest compares it, but shown as it is.

        pytest takes what follows a first bracket for parameters, and closes it again when it shows the id; our brackets
        come in the middle. Equality and hash stay pytest's, for `--lf` finds by them.
        """

        __slots__ = ()

        @property
        def rest(self) -> str | None:
            return str(self).partition("::")[2] or None

        def __eq__(self, other: object) -> bool:
            return isinstance(other, NodeId) and (self.path, self.names, self.params) == (
                other.path,
                other.names,
                other.params,
            )

        __hash__ = NodeId.__hash__


def pytest_id(nodeid: str) -> Any:
    """An id in the form that this pytest keeps ids in: text, where it has no class for them."""
    return nodeid if NodeId is None else WholeId.parse(nodeid)


class Reporter:
    """Makes the reports of one check."""

    def __init__(self, check: Check, waiver: Waiver | None = None) -> None:
        self.check = check
        self.cases = {case.id: case for case in check.cases}
        self.gated = rooms.gated(check)
        self.excuse = GATED if self.gated else f"missed; waived by {waiver.who} until {waiver.until}" if waiver else ""
        self.keywords: dict[str, Any] = {check.kind: 1}
        spec, _, self.tail = check.id.partition("::")
        self.spec, self.line = spec, line_of(check.at, spec)
        self.dotted = check.id.replace("/", ".").replace("::", ".")

    def case(self, outcome: Outcome, start: float) -> pytest.TestReport:
        word = outcome.outcome
        report = self._report(
            f"{self.check.id}::{outcome.case}", f"{self.tail}::{outcome.case}", outcome.seconds, start
        )
        report.__dict__["hallmark_names"] = (self.dotted, outcome.case)
        if word == "met":
            return report
        if word == "skipped":
            report.outcome = "skipped"
            report.longrepr = (self.spec, self.line + 1, visible(outcome.reason))
            return report
        if word == "missed" and self.excuse:
            report.outcome = "skipped"
            report.wasxfail = visible(self.excuse)
            report.longrepr = self._told(outcome)
            return report
        report.outcome = "failed"
        report.longrepr = self._told(outcome)
        if word == "error":
            report.__dict__["when"] = "measurement"
            report.__dict__["hallmark_alike"] = (self.check.id, outcome.reason)
        return report

    def _report(self, nodeid: str, domain: str, seconds: float, start: float) -> pytest.TestReport:
        return pytest.TestReport(
            pytest_id(nodeid),
            (self.spec, self.line, domain),
            self.keywords,
            "passed",
            None,
            "call",
            (),
            seconds,
            start,
            start + seconds,
        )

    def _told(self, outcome: Outcome) -> Told:
        case = self.cases[outcome.case]
        line = _why(outcome)
        text = [f"{outcome.outcome}: {line}", f"  input     {brief(case.input)}"]
        if case.expect is not UNSET:
            text.append(f"  expected  {brief(case.expect)}")
        if outcome.answer is not UNSET:
            text.append(f"  got       {brief(outcome.answer)}")
        text.append(f"  case      {case.at or self.check.at}, check {self.check.at}")
        return Told(line, "\n".join(text))

    def verdict(self, result: CheckResult, outcomes: Iterable[Outcome]) -> pytest.TestReport:
        report = self._report(self.check.id, self.tail, 0.0, time.time())
        incomplete = result.outcomes.total() < result.planned
        told = "incomplete" if incomplete else "waived" if result.waived else result.verdict
        report.__dict__["hallmark_verdict"] = told
        line = f"{result.verdict}: {result.reason}"
        if result.verdict == "pass":
            return report
        if result.verdict == "unsupported" or incomplete or result.waived:
            said = f"incomplete: {result.reason}" if incomplete else f"waived, {line}" if result.waived else line
            report.outcome, report.longrepr = "skipped", (self.spec, self.line + 1, visible(said))
            return report
        report.outcome = "failed"
        report.longrepr = Told(line, "\n".join([line, *self._some_missed(outcomes), f"  check     {result.at}"]))
        if result.verdict == "error":
            report.__dict__["when"] = "judgement"
        return report

    def _some_missed(self, outcomes: Iterable[Outcome], most: int = 5) -> Iterator[str]:
        """What a gate decided over is no failure of its own: the verdict names some of it."""
        missed = [outcome for outcome in outcomes if outcome.outcome == "missed"] if self.gated else []
        for outcome in missed[:most]:
            yield f"  missed    {outcome.case}: {_why(outcome)}"
        if len(missed) > most:
            yield f"            and {len(missed) - most} more: the report has them all"

    def run(self, certificate: Certificate) -> pytest.TestReport:
        """The report of a run that certifies nothing though no check is to blame."""
        report = self._report(f"{self.spec}::certificate", "certificate", 0.0, time.time())
        report.__dict__["hallmark_verdict"] = "fail"
        line = f"{certificate.status}: {certificate.reason}"
        report.outcome, report.longrepr = "failed", Told(line, line)
        return report


def _why(outcome: Outcome) -> str:
    return outcome.reason or "; ".join(f"{_field(d.at)}{d.why}" for d in outcome.differences)


def line_of(at: str, spec: str) -> int:
    """The line of `file:line`, counted from 0 as pytest does; 0 where it is another file's, a fragment's."""
    file, _, number = at.rpartition(":")
    return int(number) - 1 if file == spec else 0


def brief(value: Any, most: int = 400) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def _field(at: str) -> str:
    return "" if at == "." else f"{at}: "
