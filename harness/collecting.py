"""Collection and measurement under pytest, the same in a worker and in a process without workers."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import rooms
from harness.bench import Bench
from harness.board import GROUND, IDLE, SHUT, Board, all_stand_still, is_decided, ruled
from harness.contract import DECIDED, Outcome
from harness.items import DESK, Desk, SpecNode, UnitItem, pytest_id
from harness.shelf import Shelf
from harness.stages import ranks, skipped, stands_on

_GLANCE = 0.02
"""Seconds between two looks whether a verdict is known."""


class Collecting:
    """Offers the plan's spec files to pytest's collection, and opens no model while at it."""

    def __init__(self, config: pytest.Config, desk: Desk) -> None:
        self.config = config
        self.desk = desk
        config.stash[DESK] = desk
        for kind in sorted({check.kind for check in desk.plan.checks}):
            config.addinivalue_line("markers", f"{kind}: a Hallmark check of this kind")
        self._take_up_failed_gates()
        self._nodes = {str(config.rootpath / spec): spec for spec in desk.by_spec}

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        spec = self._nodes.get(str(file_path))
        return None if spec is None else SpecNode.from_parent(parent, path=file_path, nodeid=spec)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """What must have the machine for itself comes last, and after what it stands on: by then nobody waits."""
        rank = ranks(self.desk.plan)
        items.sort(key=lambda item: rank[item.unit.check] if isinstance(item, UnitItem) else 0)

    def _take_up_failed_gates(self) -> None:
        """`--lf` measures a gated check that failed as a whole: its cases are no failures of their own."""
        plugin: Any = self.config.pluginmanager.get_plugin("lfplugin")
        if not getattr(plugin, "active", False):
            return
        failed = {str(nodeid) for nodeid in plugin.lastfailed}
        for unit in self.desk.units():
            check = self.desk.plan.checks[unit.check]
            if check.id in failed and rooms.gated(check):
                plugin.lastfailed[pytest_id(unit.nodeid)] = True


class Measuring:
    """A bench, opened when the first unit comes."""

    def __init__(self, config: pytest.Config, desk: Desk, boards: Path, worker: str = "") -> None:
        self.config = config
        self.desk = desk
        self._boards = boards
        self._board = boards / worker if worker else None
        self._bench: Bench | None = None
        self._selected: set[int] | None = None

    @property
    def bench(self) -> Bench:
        if self._bench is None:
            lent = shelf(self.config, speaker(self.config))
            self._bench = Bench(self.desk.plan, lent, Board(self._board), self._boards.parent)
        return self._bench

    def measure(self, item: UnitItem, into: list[Outcome]) -> float:
        """Add the outcomes of a unit to `into`; returns when it began."""
        started, unit = time.time(), item.unit
        shut = self._ground(item) if item.check.after else ""
        if shut is None:
            return started  # it is measured once the verdicts that it needs are known
        if shut:
            into += skipped(item.check, unit.positions, shut)
        elif hasattr(rooms.evaluator(item.check.kind), "decided") and is_decided(self._boards, unit.check):
            into += skipped(item.check, unit.positions, DECIDED)
        else:
            self.bench.measure(unit.check, unit.batch, unit.positions, into)
        return started

    def _ground(self, item: UnitItem) -> str | None:
        """Why a unit is not measured, given what its check stands on; None where that can't be known here and now.

        What was not selected is not waited for: then its check was asked for without it.
        """
        if self._selected is None:
            self._selected = {each.unit.check for each in item.session.items if isinstance(each, UnitItem)}
        grounds = [at for at in self.desk.grounds(item.unit.check) if at in self._selected]
        while waiting := [at for at in grounds if ruled(self._boards, at) is None]:
            if self._board is None:
                return None
            self.bench.board.show(item.unit.check, GROUND)
            while any(ruled(self._boards, at) is None for at in waiting):
                if all_stand_still(self._boards):
                    self.bench.board.show(-1, IDLE)
                    return None
                time.sleep(_GLANCE)
            self.bench.board.show(-1, IDLE)
        return stands_on(self.desk.plan, [at for at in grounds if ruled(self._boards, at) == SHUT])


def shelf(config: pytest.Config, say: Callable[[str], None] = lambda text: None) -> Shelf:
    trusted = config.option.allow_python or config.getini("hallmark_allow_python")
    hosts = [*(config.option.allow_host or ()), *config.getini("hallmark_allow_hosts")]
    return Shelf(config.rootpath, say, trusted=bool(trusted), hosts=hosts, runs=runs_of(config))


def runs_of(config: pytest.Config) -> Path:
    """Where run folders go."""
    named = config.option.hallmark_runs or config.getini("hallmark_runs")
    if not named:
        raise pytest.UsageError("hallmark_runs names no folder")
    return Path(os.path.abspath(config.rootpath / named))


def speaker(config: pytest.Config) -> Callable[[str], None]:
    """A voice that reaches the person at the terminal through pytest's capture."""

    def say(text: str) -> None:
        capture = config.pluginmanager.get_plugin("capturemanager")
        if capture is None:
            print(text, file=sys.stderr, flush=True)
            return
        with capture.global_and_fixture_disabled():
            print(text, file=sys.stderr, flush=True)

    return say
