"""The controller of a session that has specs: it records, judges and certifies, and tells pytest of each case."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from _pytest.junitxml import xml_key

from harness.board import read_board, time_for
from harness.collecting import Collecting, Measuring
from harness.conductor import CannotWrite, Conductor
from harness.contract import EXIT, Certificate, CheckResult, Outcome, Plan, lost
from harness.items import Desk, Packet, Reporter, Selection, Unit, UnitItem, pack, unpack
from harness.spec.faults import visible

_LETTERS = {
    "pass": ("", "", ""),
    "fail": ("failed", "F", "FAILED"),
    "error": ("error", "E", "ERROR"),
    "inconclusive": ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
    "unsupported": ("unsupported", "u", ("UNSUPPORTED", {"yellow": True})),
    "incomplete": ("incomplete", "", ""),
}
_SAFE = ("load", "worksteal")
"""What pytest-xdist calls the ways of scheduling under which every unit is heard of, though workers die."""
_SAFE_WORDS = " or ".join(f"--dist {dist}" for dist in _SAFE)
_COLOURS = {"pass": "green", "certified": "green", "fail": "red", "error": "red", "blocked": "red"}


def start(session: pytest.Session, plan: Plan, selection: Selection) -> None:
    """Take charge of the session's specs."""
    config = session.config
    desk = Desk(plan, selection)
    if config.option.collectonly:
        config.pluginmanager.register(Collecting(config, desk), "hallmark-collecting")
        return
    dist = config.getoption("dist", "no")
    if config.pluginmanager.has_plugin("dsession") and dist not in _SAFE:
        raise pytest.UsageError(f"--dist {dist} loses tests or hangs when a worker dies; with specs, use {_SAFE_WORDS}")
    runs = config.rootpath / (config.option.hallmark_runs or config.getini("hallmark_runs"))
    try:
        conductor = Conductor(plan, config.rootpath, Path(os.path.abspath(runs)))
    except CannotWrite as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(Controller(session, desk, conductor), "hallmark-controller")


class Controller(Collecting):
    def __init__(self, session: pytest.Session, desk: Desk, conductor: Conductor) -> None:
        super().__init__(session.config, desk)
        self.session = session
        self.conductor = conductor
        self.measuring = Measuring(session.config, desk, None)
        self.certificate: Certificate | None = None
        self.selected: set[str] | None = None
        self.others_failed = False
        self._reporters: dict[int, Reporter] = {}
        self._units: dict[str, Unit] = {}
        self._seen = 0
        self._telling = False
        self._junit = self.config.stash.get(xml_key, None)
        self._watch: _Watch | None = None
        if (distributed := self.config.pluginmanager.get_plugin("dsession")) is not None:
            self._watch = _Watch(desk.plan, conductor.boards)
            if self.config.option.maxworkerrestart is None:
                distributed._max_worker_restart = 100 + desk.plan.cases()

    # ------------------------------------------------------------------------------------- selection

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        mine = [item for item in session.items if isinstance(item, UnitItem)]
        self.selected = {item.nodeid for item in mine}
        terminal: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if hasattr(terminal, "_numcollected"):
            terminal._numcollected += sum(len(item.unit.positions) - 1 for item in mine)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.selected = set(ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        self._expect()

    def _expect(self) -> None:
        """Tell pytest how many reports to expect: its progress counts cases, not units."""
        units = [unit for unit in self.desk.units() if self.selected is None or unit.nodeid in self.selected]
        others = len((self.selected or set()) - {unit.nodeid for unit in units})
        self.expected = others + sum(len(unit.positions) for unit in units)
        if self._watch is None and self.expected:
            self.session.testscollected = self.expected

    # --------------------------------------------------------------------------------- without workers

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if not isinstance(item, UnitItem):
            return None
        outcomes: list[Outcome] = []
        started = time.time()
        try:
            self.measuring.measure(item, outcomes)
        finally:
            reports = self._recorded(
                Packet(item.unit.check, outcomes, list(self.measuring.bench.settings.values()), started)
            )
            self._tell(reports, loud=self.config.option.verbose > 0)
        return True

    # ------------------------------------------------------------------------------------ with workers

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["hallmark"] = {
            "plan": str(self.conductor.folder / "plan.json"),
            "boards": str(self.conductor.boards),
            "selection": msgspec.json.encode(self.desk.selection),
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A worker's report carries a whole unit: tell its cases, and let the carrier be the last of them."""
        data = report.__dict__.pop("hallmark", None)
        if data is None:
            self.others_failed |= report.failed and not self._telling
            return
        reports = self._recorded(unpack(data))
        node = getattr(report, "node", None)
        if not reports:
            _become(report, self._silent(report.nodeid))
            return
        if node is not None:
            for told in reports:
                told.__dict__["node"] = node
        self._tell(reports[:-1])
        if "hallmark_verdict" in reports[-1].__dict__:
            reports[-1].__dict__.pop("node", None)
        _become(report, reports[-1])
        self._count([reports[-1]])
        self._name(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died: the case it died on is an error, and the rest of its unit is measured apart."""
        if not self._units:
            self._units = {unit.nodeid: unit for unit in self.desk.units()}
        unit = self._units.get(crashitem)
        if unit is None:
            return
        node: Any = getattr(report, "node", None)
        worker = node.gateway.id if node is not None else ""
        doing = read_board(self.conductor.boards / worker)
        why = self._watch.killed.pop(worker, "its worker died") if self._watch else "its worker died"
        check = self.desk.plan.checks[unit.check]
        outcomes: list[Outcome] = []
        if doing and doing.check == unit.check and doing.position in unit.positions:
            outcomes.append(lost(check, doing.position, why))
        packet = self._apart(unit, outcomes, deaths=1)
        report.__dict__["hallmark"] = pack(packet)

    def _apart(self, unit: Unit, outcomes: list[Outcome], deaths: int = 0) -> Packet:
        from harness.apart import Request, measure_apart

        check = self.desk.plan.checks[unit.check]
        known = self.conductor.found[unit.check].keys() | {outcome.case for outcome in outcomes}
        left = [p for p in unit.positions if check.cases[p].id not in known]
        started = time.time()
        plan = str(self.conductor.folder / "plan.json")
        request = Request(str(self.config.rootpath), plan, unit.check, unit.batch, left)
        measured = measure_apart(request, check, deaths)
        return Packet(unit.check, [*outcomes, *measured.outcomes], list(measured.settings.values()), started)

    # --------------------------------------------------------------------------------------- reporting

    def _reporter(self, index: int) -> Reporter:
        known = self._reporters.get(index)
        if known is None:
            known = self._reporters[index] = Reporter(self.desk.plan.checks[index])
        return known

    def _recorded(self, packet: Packet) -> list[pytest.TestReport]:
        """Write a unit down; the reports that tell of it, the check's verdict last where it is complete."""
        index = packet.check
        fresh = self.conductor.record(index, packet.outcomes, packet.settings)
        reporter = self._reporter(index)
        reports = []
        clock = packet.started
        for outcome in fresh:
            reports.append(reporter.case(outcome, clock))
            clock += outcome.seconds
        if fresh and self.conductor.complete(index):
            reports.append(reporter.verdict(self.conductor.judged(index)))
        return reports

    def _tell(self, reports: list[pytest.TestReport], *, loud: bool = False) -> None:
        hook = self.config.hook
        before, self._telling = self._telling, True
        self._count(reports)
        for number, report in enumerate(reports):
            if loud or number == 0:
                hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
            self._name(report)
            hook.pytest_runtest_logreport(report=report)
            if loud or number == len(reports) - 1:
                hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
        self._telling = before

    def _name(self, report: pytest.TestReport) -> None:
        """Tell JUnit's writer the name of a case: by itself it would take the id apart at a bracket."""
        if self._junit is not None and (named := report.__dict__.get("hallmark_names")):
            written = self._junit.node_reporter(report)
            written.add_attribute("classname", named[0])
            written.add_attribute("name", named[1])

    def _count(self, reports: list[pytest.TestReport]) -> None:
        """A verdict that shows is one report more than there are cases."""
        shown = (report.__dict__.get("hallmark_verdict", "pass") for report in reports)
        self._seen += sum(verdict not in ("pass", "incomplete") for verdict in shown)
        self.session.testscollected = self.expected + self._seen

    def _silent(self, unit: str) -> pytest.TestReport:
        """A report that shows nowhere and counts as part of its check."""
        check = unit.rpartition("::")[0]
        return pytest.TestReport(check, (check.partition("::")[0], None, check), {}, "passed", None, "setup")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        verdict = report.__dict__.get("hallmark_verdict")
        if verdict is None:
            return _LETTERS["error"] if str(report.when) == "measurement" else None
        return _LETTERS[verdict]

    # --------------------------------------------------------------------------------------- the end

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._watch is not None:
            self._watch.stop()
        stopped = self._stopped(session, exitstatus)
        if stopped is None and self.selected is not None:
            self._measure_what_was_lost()
        self._tell(
            [
                self._reporter(i).verdict(self.conductor.judged(i))
                for i in range(len(self.desk.plan.checks))
                if not self.conductor.complete(i)
            ]
        )
        if stopped is None:
            unselected = self.desk.plan.cases() - sum(map(len, self.conductor.found))
            stopped = f"{unselected} were not selected" if unselected else None
        self.certificate = self.conductor.finish(stopped)
        session.exitstatus = self._exit(exitstatus)

    def _stopped(self, session: pytest.Session, exitstatus: int) -> str | None:
        distributed = self.config.pluginmanager.get_plugin("dsession")
        said = session.shouldfail or session.shouldstop or getattr(distributed, "shouldstop", False)
        if said:
            return str(said)
        names = {int(pytest.ExitCode.INTERRUPTED): "interrupted", int(pytest.ExitCode.INTERNAL_ERROR): "internal error"}
        return names.get(int(exitstatus))

    def _measure_what_was_lost(self) -> None:
        """Nothing that was selected stays without an outcome, whatever became of the workers."""
        assert self.selected is not None
        for unit in self.desk.units():
            check = self.desk.plan.checks[unit.check]
            found = self.conductor.found[unit.check]
            if unit.nodeid in self.selected and any(check.cases[p].id not in found for p in unit.positions):
                self._tell(self._recorded(self._apart(unit, [])))

    def _exit(self, exitstatus: int) -> int:
        """The certificate's exit status, unless pytest has a worse thing to say."""
        assert self.certificate is not None
        if exitstatus in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED):
            return int(exitstatus)
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not self.selected:
            return int(exitstatus)
        status = EXIT[self.certificate.status]
        if self.conductor.untold and status == 0:
            return int(pytest.ExitCode.INTERNAL_ERROR)
        return int(pytest.ExitCode.TESTS_FAILED) if self.others_failed and status in (0, 6) else status

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        certificate = self.certificate
        if certificate is None:
            return
        terminalreporter.write_sep("=", "hallmark")
        begun = [result for result in certificate.checks if result.outcomes.total()]
        width = max((len(result.id) for result in begun), default=0)
        for result in _worst_first(begun):
            self._line(terminalreporter, result.verdict, f"{result.id:<{min(width, 60)}}  {result.reason}")
        if len(begun) < len(certificate.checks):
            self._line(
                terminalreporter,
                "note",
                f"checks of which nothing was measured: {len(certificate.checks) - len(begun)}",
            )
        for note in certificate.notes:
            self._line(terminalreporter, "note", note)
        for advice in certificate.recommendations:
            self._line(terminalreporter, "advice", advice)
        for said in self.conductor.untold:
            self._line(terminalreporter, "error", said)
        self._line(terminalreporter, certificate.status, certificate.reason)
        self._line(terminalreporter, "report", self.conductor.report)

    def _line(self, terminal: pytest.TerminalReporter, word: str, text: str) -> None:
        colour = _COLOURS.get(word, "yellow" if word in ("inconclusive", "incomplete", "unsupported") else "cyan")
        terminal.write(f"{word:<13}", bold=True, **{colour: True})
        terminal.write_line(visible(text))


def _worst_first(results: Iterable[CheckResult]) -> list[CheckResult]:
    order = ("fail", "error", "inconclusive", "unsupported", "pass")
    return sorted(results, key=lambda result: order.index(result.verdict))


def _become(report: pytest.TestReport, other: pytest.TestReport) -> None:
    report.__dict__.clear()
    report.__dict__.update(other.__dict__)


class _Watch(threading.Thread):
    """Ends workers that outlast a case's time and don't notice: a hang in native code ignores every signal but one."""

    def __init__(self, plan: Plan, boards: Path) -> None:
        super().__init__(name="hallmark-watch", daemon=True)
        self.plan = plan
        self.boards = boards
        self.killed: dict[str, str] = {}
        self._over = threading.Event()
        self.start()

    def stop(self) -> None:
        self._over.set()

    def run(self) -> None:
        while not self._over.wait(0.5):
            for path in self.boards.glob("*"):
                self._look(path)

    def _look(self, path: Path) -> None:
        doing = read_board(path)
        if doing is None or doing.check < 0 or path.name in self.killed:
            return
        check = self.plan.checks[doing.check]
        if time.monotonic() - doing.since > time_for(doing.position, check.timeout, check.batch):
            self.killed[path.name] = f"it took longer than its {check.timeout:g} s and had to be killed"
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(doing.pid, signal.SIGKILL)
