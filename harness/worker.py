"""A worker of pytest-xdist: measures units and sends each home as one piece of bytes."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.collecting import Collecting, Measuring
from harness.contract import Outcome, Plan
from harness.items import Desk, Packet, Reporter, Selection, UnitItem, pack
from harness.policy import waiver_of


class Worker(Collecting):
    def __init__(self, config: pytest.Config, given: dict[str, Any]) -> None:
        plan = msgspec.json.decode(Path(given["hallmark"]["plan"]).read_bytes(), type=Plan)
        selection = msgspec.json.decode(given["hallmark"]["selection"], type=Selection)
        super().__init__(config, Desk(plan, selection))
        gc.freeze()  # as in the controller
        self._day: str = given["hallmark"]["day"]
        self.measuring = Measuring(config, self.desk, Path(given["hallmark"]["boards"]), given["workerid"])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if not isinstance(item, UnitItem):
            return None
        outcomes: list[Outcome] = []
        started = self.measuring.measure(item, outcomes)
        packet = Packet(item.unit.check, outcomes, list(self.measuring.bench.settings.values()), started)
        report = self._carrier(item, outcomes)
        report.__dict__["hallmark"] = pack(packet)
        item.config.hook.pytest_runtest_logreport(report=report)
        return True

    def _carrier(self, item: UnitItem, outcomes: list[Outcome]) -> pytest.TestReport:
        """The one report that xdist takes of an item; of a single case it tells the outcome, so that `-x` stops."""
        report = pytest.TestReport(item.nodeid, item.location, {}, "passed", None, "call")
        if len(outcomes) == 1:
            waiver = waiver_of(self.desk.plan, item.check.id, self._day)
            case = Reporter(item.check, waiver).case(outcomes[0], 0.0)
            report.outcome, report.when = case.outcome, case.when
            report.longrepr = str(case.longrepr) if isinstance(case.longrepr, str) else case.longrepr
            if hasattr(case, "wasxfail"):
                report.wasxfail = case.wasxfail
        return report
