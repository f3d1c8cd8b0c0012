"""What workers tell each other through the folder of boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import board
from harness.board import GROUND, IDLE, OPEN, SHUT, Board, all_stand_still, rule, ruled


def test_a_ruling_is_known_once_it_is_told(tmp_path: Path) -> None:
    assert ruled(tmp_path, 3) is None
    rule(tmp_path, 3, OPEN)
    rule(tmp_path, 4, SHUT)
    assert (ruled(tmp_path, 3), ruled(tmp_path, 4), ruled(tmp_path, 5)) == (OPEN, SHUT, None)


def test_all_stand_still_only_while_no_worker_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "_STILL", -1.0)
    first, second = Board(tmp_path / "gw0"), Board(tmp_path / "gw1")
    rule(tmp_path, 0, OPEN)
    first.show(1, GROUND)
    second.show(0, 5)
    assert not all_stand_still(tmp_path)
    second.show(-1, IDLE)
    assert all_stand_still(tmp_path)


def test_who_came_to_stand_still_a_moment_ago_may_just_be_between_two_units(tmp_path: Path) -> None:
    Board(tmp_path / "gw0").show(1, GROUND)
    assert not all_stand_still(tmp_path)
