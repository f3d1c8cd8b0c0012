"""Plans are kept by content: read again only when something that they were read from has changed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.contract import Plan
from harness.spec import planner
from harness.spec.faults import SpecFaults
from harness.spec.memory import read_plan
from harness.store import cache_folder
from tests.harness.spec.conftest import Folder

SPEC = """\
hallmark: 1
about: "in ${env:HT_MOOD:-no} mood"
include: [_m.yaml]
models: {saved: {replay: answers.jsonl}}
checks:
  - {name: c, kind: golden, model: m, cases: c.jsonl, matrix: {x: [1, 2]}, gate: {pass_rate: 0.5}, timeout: 7}
  - {name: d, kind: golden, model: saved, cases: [{id: a, input: {é: [1, 2.5, null]}, expect: null, tags: [t]}]}
certificate: {criteria: [{id: k, needs: [c]}], expires: 8w}
"""


@pytest.fixture
def read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Plan, int]]:
    """Reads the plan, and says how often the planner was asked."""
    monkeypatch.delenv("HT_MOOD", raising=False)
    folder.put("a.yaml", SPEC)
    folder.put("_m.yaml", "hallmark: 1\nmodels: {m: {echo: {}}}\n")
    folder.put("c.jsonl", '{"id": "a", "input": 1, "expect": 1}\n')
    folder.put("answers.jsonl", '{"id": "a", "answer": 1}\n{"id": "z", "answer": 1}\n')
    asked = 0
    real = planner.plan_spec

    def counting(*args: object) -> object:
        nonlocal asked
        asked += 1
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(planner, "plan_spec", counting)

    def read() -> tuple[Plan, int]:
        before = asked
        return read_plan([folder.root / "a.yaml"], folder.shelf), asked - before

    return read


def kept(folder: Folder) -> list[Path]:
    return list((cache_folder() / "plans").iterdir())


def test_the_second_reading_is_remembered_and_the_same(read: Callable[[], tuple[Plan, int]]) -> None:
    first, asked = read()
    assert asked == 1
    second, asked = read()
    assert asked == 0
    assert second == first
    assert second.cases() == 3


CHANGES: dict[str, Callable[[Folder, pytest.MonkeyPatch], object]] = {
    "the spec": lambda folder, patch: folder.put("a.yaml", SPEC.replace("timeout: 7", "timeout: 8")),
    "a fragment": lambda folder, patch: folder.put("_m.yaml", "hallmark: 1\nmodels: {m: {echo: {seconds: 1}}}\n"),
    "a case file": lambda folder, patch: folder.put("c.jsonl", '{"id": "b", "input": 1, "expect": 1}\n'),
    "a model's file": lambda folder, patch: folder.put("answers.jsonl", '{"id": "a", "answer": 2}\n'),
    "the environment": lambda folder, patch: patch.setenv("HT_MOOD", "good"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, read: Callable[[], tuple[Plan, int]], what: str
) -> None:
    first, _ = read()
    CHANGES[what](folder, monkeypatch)
    second, asked = read()
    assert asked == 1
    assert second != first
    assert read() == (second, 0)


def test_a_change_back_is_noticed_too(folder: Folder, read: Callable[[], tuple[Plan, int]]) -> None:
    first, _ = read()
    folder.put("a.yaml", SPEC.replace("timeout: 7", "timeout: 8"))
    read()
    folder.put("a.yaml", SPEC)
    assert read()[0] == first


def test_an_edit_of_the_same_length_and_time_is_noticed(folder: Folder, read: Callable[[], tuple[Plan, int]]) -> None:
    file = folder.root / "c.jsonl"
    read()
    before = file.stat()
    file.write_text(file.read_text().replace('"a"', '"b"'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    plan, _ = read()
    assert plan.checks[0].cases[0].id == "b"


@pytest.mark.parametrize("name", ["a.yaml", "_m.yaml", "c.jsonl"])
def test_a_file_that_is_gone_is_noticed(folder: Folder, read: Callable[[], tuple[Plan, int]], name: str) -> None:
    read()
    (folder.root / name).unlink()
    with pytest.raises(SpecFaults):
        read()


def test_a_file_that_became_a_fifo_is_refused_without_waiting(
    folder: Folder, read: Callable[[], tuple[Plan, int]]
) -> None:
    read()
    (folder.root / "c.jsonl").unlink()
    os.mkfifo(folder.root / "c.jsonl")
    with pytest.raises(SpecFaults, match="is not a file"):
        read()


def test_an_environment_that_is_no_text_is_refused_and_not_remembered_as_another(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], tuple[Plan, int]]
) -> None:
    read()
    monkeypatch.setenv("HT_MOOD", "\udcff")
    with pytest.raises(SpecFaults, match="not UTF-8"):
        read()


def test_a_faulty_spec_is_read_anew_each_time(folder: Folder, read: Callable[[], tuple[Plan, int]]) -> None:
    folder.put("c.jsonl", "nope\n")
    for _ in range(2):
        with pytest.raises(SpecFaults):
            read()
    folder.put("c.jsonl", '{"id": "a", "input": 1, "expect": 1}\n')
    assert read()[1] == 1


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x80", b"\xff" * 100, b"\x93" * 5000])
def test_a_corrupt_memory_is_ignored(folder: Folder, read: Callable[[], tuple[Plan, int]], data: bytes) -> None:
    first, _ = read()
    (file,) = kept(folder)
    file.write_bytes(data)
    assert read() == (first, 1)
    assert read() == (first, 0)


def test_a_memory_with_a_byte_changed_or_its_end_lost_never_changes_the_plan(
    folder: Folder, read: Callable[[], tuple[Plan, int]]
) -> None:
    first, _ = read()
    (file,) = kept(folder)
    good = file.read_bytes()
    dice = random.Random(1)
    for _ in range(150):
        bad = bytearray(good)
        at = dice.randrange(len(bad))
        bad[at] ^= 1 << dice.randrange(8)
        file.write_bytes(bad if dice.random() < 0.8 else good[:at])
        assert read()[0] == first


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    folder: Folder, read: Callable[[], tuple[Plan, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALLMARK_CACHE", str(folder.put("file", "in the way")))
    first, asked = read()
    assert asked == 1
    assert read() == (first, 1)


def test_another_project_with_the_same_text_has_a_memory_of_its_own(
    folder: Folder, read: Callable[[], tuple[Plan, int]]
) -> None:
    read()
    other = Folder(folder.root.parent / "other")
    for name in ("a.yaml", "_m.yaml", "c.jsonl", "answers.jsonl"):
        other.put(name, (folder.root / name).read_bytes())
    read_plan([other.root / "a.yaml"], other.shelf)
    assert len(kept(folder)) == 2


def test_faults_of_several_specs_are_told_together(folder: Folder) -> None:
    for name in ("b.yaml", "a.yaml"):
        folder.put(name, "hallmark: 1\n")
    with pytest.raises(SpecFaults) as told:
        read_plan([folder.root / "a.yaml", folder.root / "b.yaml"], folder.shelf)
    assert [str(fault.spot) for fault in told.value.faults] == ["a.yaml:1:1", "b.yaml:1:1"]
    assert str(told.value.args[0]) == "2 faults in the specs"
