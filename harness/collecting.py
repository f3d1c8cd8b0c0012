"""Collection and measurement under pytest, the same in a worker and in a process without workers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.bench import Bench
from harness.board import Board
from harness.contract import Outcome
from harness.items import DESK, Desk, SpecNode, UnitItem
from harness.store import Shelf


class Collecting:
    """Offers the plan's spec files to pytest's collection, and opens no model while at it."""

    def __init__(self, config: pytest.Config, desk: Desk) -> None:
        self.config = config
        self.desk = desk
        config.stash[DESK] = desk
        for kind in sorted({check.kind for check in desk.plan.checks}):
            config.addinivalue_line("markers", f"{kind}: a Hallmark check of this kind")
        self._nodes = {str(config.rootpath / spec): spec for spec in desk.by_spec}

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        spec = self._nodes.get(str(file_path))
        return None if spec is None else SpecNode.from_parent(parent, path=file_path, nodeid=spec)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """A check that failed last time stands for its cases: `--lf` measures them again."""
        plugin = self.config.pluginmanager.get_plugin("lfplugin")
        failed = getattr(plugin, "lastfailed", None)
        if not failed or not getattr(plugin, "active", False):
            return
        known = {str(nodeid) for nodeid in failed}
        for item in items:
            if isinstance(item, UnitItem) and item.check.id in known:
                failed[getattr(item, "id", item.nodeid)] = True


class Measuring:
    """A bench, opened when the first unit comes."""

    def __init__(self, config: pytest.Config, desk: Desk, board: Path | None) -> None:
        self.config = config
        self.desk = desk
        self._board = board
        self._bench: Bench | None = None

    @property
    def bench(self) -> Bench:
        if self._bench is None:
            self._bench = Bench(self.desk.plan, Shelf(self.config.rootpath, speaker(self.config)), Board(self._board))
        return self._bench

    def measure(self, item: UnitItem, into: list[Outcome]) -> float:
        """Add the outcomes of a unit to `into`; returns when it began."""
        started = time.time()
        self.bench.measure(item.unit.check, item.unit.batch, item.unit.positions, into)
        return started


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
