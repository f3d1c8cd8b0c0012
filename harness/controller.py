"""The controller of a session that has specs: it records, judges and certifies, and tells pytest of each case."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from typing import Any

import msgspec
import pytest
from _pytest.junitxml import xml_key

from harness import rooms
from harness.annotations import tell_github
from harness.board import read_board
from harness.collecting import Collecting, Measuring, runs_of, shelf
from harness.conductor import CannotBegin, Conductor
from harness.contract import EXIT, Certificate, Outcome, Plan, lost
from harness.items import Desk, Packet, Reporter, Selection, Unit, UnitItem, pack, unpack
from harness.pages import NotARun
from harness.resuming import Again
from harness.stages import ranks, skipped
from harness.summary import Brief, summarise
from harness.watch import Watch

_LETTERS = {
    "pass": ("", "", ""),
    "fail": ("failed", "F", "FAILED"),
    "error": ("error", "E", "ERROR"),
    "inconclusive": ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
    "unsupported": ("unsupported", "u", ("UNSUPPORTED", {"yellow": True})),
    "waived": ("waived", "w", ("WAIVED", {"yellow": True})),
    "incomplete": ("incomplete", "", ""),
}
NOTHING = pytest.ExitCode.NO_TESTS_COLLECTED
_SAFE = ("load", "worksteal")
"""What pytest-xdist calls the ways of scheduling under which every unit is heard of, though workers die."""
_SAFE_WORDS = " or ".join(f"--dist {dist}" for dist in _SAFE)


def start(session: pytest.Session, plan: Plan, selection: Selection, again: Again | None = None) -> None:
    """Take charge of the session's specs."""
    config = session.config
    desk = Desk(plan, selection)
    if config.option.collectonly:
        config.pluginmanager.register(Collecting(config, desk), "hallmark-collecting")
        return
    dist = config.getoption("dist", "no")
    if config.pluginmanager.has_plugin("dsession") and dist not in _SAFE:
        raise pytest.UsageError(f"--dist {dist} loses tests or hangs when a worker dies; with specs, use {_SAFE_WORDS}")
    try:
        rooms.load_all({check.kind for check in plan.checks}, plan.models.values())
        conductor = Conductor(plan, config.rootpath, runs_of(config), again)
    except (CannotBegin, rooms.NoSuchRoom) as error:
        raise pytest.UsageError(str(error)) from None
    gc.freeze()  # the plan lives as long as the session: collecting garbage need not walk it again and again
    config.pluginmanager.register(Controller(session, desk, conductor), "hallmark-controller")
    config.pluginmanager.register(Brief(), "hallmark-brief")


class Controller(Collecting):
    def __init__(self, session: pytest.Session, desk: Desk, conductor: Conductor) -> None:
        super().__init__(session.config, desk)
        self.session = session
        self.conductor = conductor
        self.measuring = Measuring(session.config, desk, conductor.boards)
        self.certificate: Certificate | None = None
        self.selected: set[str] | None = None
        self.said: list[tuple[str, str]] = [("note", remark) for remark in conductor.remarks]
        self.expected = 0
        self._reporters: dict[int, Reporter] = {}
        self._ruled: set[int] = set()
        """Checks whose verdicts were told."""
        self._units: dict[str, Unit] = {}
        self._seen = 0
        self._failed = 0
        """How many of the failures that pytest counts are ours."""
        self._junit = self.config.stash.get(xml_key, None)
        self._watch: Watch | None = None
        if (distributed := self.config.pluginmanager.get_plugin("dsession")) is not None:
            self._watch = Watch(desk.plan, conductor.boards)
        self._distributed: Any = distributed
        self._sigterm: Any = None
        if threading.current_thread() is threading.main_thread():
            self._sigterm = signal.signal(signal.SIGTERM, signal.default_int_handler)

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
            self._tell(reports, loud=self.config.get_verbosity() > 0)
        return True

    # ------------------------------------------------------------------------------------ with workers

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["hallmark"] = {
            "plan": str(self.conductor.folder / "plan.json"),
            "boards": str(self.conductor.boards),
            "selection": msgspec.json.encode(self.desk.selection),
            "day": self.conductor.day,
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A worker's report carries a whole unit: tell its cases, and let the carrier be the last of them."""
        data = report.__dict__.pop("hallmark", None)
        if data is None:
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
        if self.config.option.maxworkerrestart is None and self._distributed._max_worker_restart is not None:
            self._distributed._max_worker_restart += 1  # it died on a case, and is replaced for that
        node: Any = getattr(report, "node", None)
        worker = node.gateway.id if node is not None else ""
        board = self.conductor.boards / worker
        doing = read_board(board)
        board.unlink(missing_ok=True)  # its process is gone, and its number may be another's soon
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
        lent = shelf(self.config)
        request = Request(str(lent.root), lent.trusted, lent.hosts, plan, unit.check, unit.batch, left)
        measured = measure_apart(request, check, deaths)
        return Packet(unit.check, [*outcomes, *measured.outcomes], list(measured.settings.values()), started)

    # --------------------------------------------------------------------------------------- reporting

    def _reporter(self, index: int) -> Reporter:
        known = self._reporters.get(index)
        if known is None:
            check = self.desk.plan.checks[index]
            known = self._reporters[index] = Reporter(check, self.conductor.waiver(index))
        return known

    def _recorded(self, packet: Packet) -> list[pytest.TestReport]:
        """Write a unit down; the reports that tell of it, the check's verdict last where it is complete."""
        index = packet.check
        try:
            fresh = self.conductor.record(index, packet.outcomes, packet.settings)
        except OSError as error:
            self._stop(f"the record can't be written: {error.strerror}")
            return []
        reporter = self._reporter(index)
        reports = []
        clock = packet.started
        for outcome in fresh:
            reports.append(reporter.case(outcome, clock))
            clock += outcome.seconds
        if fresh and self.conductor.complete(index):
            for at in self.conductor.settled(index):
                reports.append(self._reporter(at).verdict(self.conductor.final(at), self.conductor.found[at].values()))
                self._ruled.add(at)
        return reports

    def _stop(self, why: str) -> None:
        self.session.shouldstop = why
        if self._distributed is not None:
            self._distributed.shouldstop = why

    def _tell(self, reports: list[pytest.TestReport], *, loud: bool = False) -> None:
        hook = self.config.hook
        self._count(reports)
        for number, report in enumerate(reports):
            if loud or number == 0:
                hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
            self._name(report)
            hook.pytest_runtest_logreport(report=report)
            if loud or number == len(reports) - 1:
                hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)

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
        self._failed += sum(report.failed for report in reports)
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
        try:
            self._finish(session, exitstatus)
        finally:
            if self._sigterm is not None:
                signal.signal(signal.SIGTERM, self._sigterm)

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        done = bool(self.desk.selection.done)
        if exitstatus == pytest.ExitCode.USAGE_ERROR or (exitstatus == NOTHING and self.selected == set() and not done):
            self.conductor.discard()
            if exitstatus == NOTHING:
                self.said.append(("nothing", "no case was selected, so nothing was measured and no run is left"))
            return
        told_to_stop = self._told_to_stop(session)
        stopped = told_to_stop or _ended(exitstatus)
        if stopped is None:
            try:
                self._measure_what_was_lost()
            except KeyboardInterrupt:
                stopped = "interrupted"
        lacking = [i for i in range(len(self.desk.plan.checks)) if not self.conductor.complete(i)]
        waiting = [i for i in range(len(self.desk.plan.checks)) if i not in self._ruled]
        self._tell([self._reporter(i).verdict(self.conductor.final(i), ()) for i in waiting])
        if not lacking and stopped == told_to_stop:
            stopped = None  # `-x`, say, came when there was nothing left to stop
        elif stopped is None:
            missing = self.desk.plan.cases() - sum(map(len, self.conductor.found))
            stopped = f"{missing} were not selected" if self.selected is not None else "no worker lived to collect"
        try:
            self.certificate = self.conductor.finish(stopped)
        except (OSError, NotARun) as error:
            why = getattr(error, "strerror", None) or error
            self.said.append(("error", f"the run can't be completed: {why}; its folder is {self.conductor.folder}"))
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            return
        self._tell_of_the_run(self.certificate)
        self.said += [("note", text) for text in self.conductor.remarks if ("note", text) not in self.said]
        self.said += [("error", text) for text in self.conductor.untold]
        session.exitstatus = self._exit(self.certificate, exitstatus, foreign=session.testsfailed > self._failed)

    def _told_to_stop(self, session: pytest.Session) -> str | None:
        """What asked the session to stop early: `-x`, a full disk, another plugin."""
        distributed = self.config.pluginmanager.get_plugin("dsession")
        said = session.shouldfail or session.shouldstop or getattr(distributed, "shouldstop", False)
        return str(said) if said else None

    def _measure_what_was_lost(self) -> None:
        """Nothing that was selected stays without an outcome, whatever became of the workers."""
        rank = ranks(self.desk.plan)
        for unit in sorted(self.desk.units(), key=lambda unit: rank[unit.check]):
            check = self.desk.plan.checks[unit.check]
            found = self.conductor.found[unit.check]
            left = [p for p in unit.positions if check.cases[p].id not in found]
            if unit.nodeid in (self.selected or ()) and left:
                shut = self.conductor.shut(unit.check)
                spared = Packet(unit.check, skipped(check, left, shut), [], time.time()) if shut else None
                self._tell(self._recorded(spared or self._apart(unit, [])))

    def _tell_of_the_run(self, certificate: Certificate) -> None:
        """Where nothing failed and the run certifies nothing, JUnit and the terminal must not be green."""
        green = all(result.verdict == "pass" for result in certificate.checks)
        unsaid = certificate.status in ("blocked", "inconclusive") and not self.session.testsfailed
        if unsaid or (green and certificate.status != "certified"):
            self._tell([self._reporter(0).run(certificate)])

    def _exit(self, certificate: Certificate, exitstatus: int, *, foreign: bool) -> int:
        """The certificate's exit status, unless pytest has something to say that our reports don't explain."""
        status = EXIT[certificate.status]
        explained = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, NOTHING)
        if not explained and not (certificate.run.stopped is None and exitstatus == pytest.ExitCode.INTERRUPTED):
            return int(exitstatus)
        if self.conductor.untold and status == 0:
            return int(pytest.ExitCode.INTERNAL_ERROR)
        if foreign and status in (0, 6):
            self.said.append(("note", "something beside the specs failed: the exit status tells of it"))
            return int(pytest.ExitCode.TESTS_FAILED)
        return status

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        summarise(terminalreporter, self.certificate, self.conductor, self.said)
        if self.certificate is not None:
            folder, root, write = self.conductor.folder, self.config.rootpath, terminalreporter.write_line
            for remark in tell_github(self.certificate, folder, os.environ, write, root):
                write(f"{'note':<13}{remark}")


def _ended(exitstatus: int) -> str | None:
    """Why pytest ended otherwise than by coming to its end."""
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, NOTHING):
        return None
    names = {int(pytest.ExitCode.INTERRUPTED): "interrupted", int(pytest.ExitCode.INTERNAL_ERROR): "internal error"}
    return names.get(int(exitstatus), f"pytest ended with exit status {int(exitstatus)}")


def _become(report: pytest.TestReport, other: pytest.TestReport) -> None:
    report.__dict__.clear()
    report.__dict__.update(other.__dict__)
