"""Answers recorded elsewhere: read strictly, and never made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contract import Question, Refused
from harness.shelf import Shelf
from models.sources import replay

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def _open(folder: Path, data: bytes) -> replay.Replay:
    (folder / "answers.jsonl").write_bytes(data)
    return replay.open({"replay": "answers.jsonl"}, Shelf(folder, print))


def _faults(folder: Path, data: bytes) -> list[str]:
    (folder / "answers.jsonl").write_bytes(data)
    return [said.what for said in replay.faults({"replay": "answers.jsonl"}, Shelf(folder, print))]


def test_it_answers_by_case_id(tmp_path: Path) -> None:
    model = _open(tmp_path, b'{"id": "a", "answer": {"label": 1}}\n\n{"answer": null, "id": "b"}')
    assert list(model.answer([Question("b", "anything"), Question("a", None)])) == [None, {"label": 1}]
    assert model.facts()["answers"] == 2
    assert model.facts()["files"] == {"answers.jsonl": model.digest}


def test_a_case_without_a_recorded_answer_is_refused_by_name(tmp_path: Path) -> None:
    model = _open(tmp_path, b'{"id": "a", "answer": 1}\n')
    with pytest.raises(Refused, match="`b`"):
        list(model.answer([Question("b", None)]))


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    model = _open(tmp_path, b'\xef\xbb\xbf{"id": "a", "answer": "\xc3\xa9"}\r\n{"id": "b", "answer": 2}\r\n')
    assert list(model.answer([Question("a", None), Question("b", None)])) == ["\u00e9", 2]


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    one, other = b'{"id": "a", "answer": 1}\n', b'{"id": "a", "answer": 2}\n'
    assert _open(tmp_path, one).digest == _open(tmp_path, one).digest != _open(tmp_path, other).digest


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b'{"id": "b", "answer": 1',
        b'{"id": "b"}',
        b'{"answer": 1}',
        b'{"id": 1, "answer": 1}',
        b'{"id": null, "answer": 1}',
        b'{"id": "b", "answer": 1, "more": 2}',
        b'["b", 1]',
        b'"b"',
        b'{"id": "a", "answer": 1}',
        b'{"id": "a", "answer": 2}',
        b'{"id": "b", "answer": "\xff"}',
        b'{"id": "b", "answer": ' + b"9" * 5_000 + b"}",
        b'{"id": "b", "answer": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id": "b", "answer": 1} {"id": "c", "answer": 1}',
        b'{"id": "b", "answer": 1, "answer": 2}',
        b'{"id": "b", "answer": {"label": 1, "label": 2}}',
    ],
)
def test_a_line_that_holds_no_answer_is_a_fault_with_its_number(tmp_path: Path, line: bytes) -> None:
    data = b'{"id": "a", "answer": 1}\n\n' + line + b'\n{"id": "z", "answer": 1}\n'
    (said,) = _faults(tmp_path, data)
    assert said.startswith("answers.jsonl:3: ")
    with pytest.raises(ValueError, match=r"^3: "):
        _open(tmp_path, data)


def test_sound_answers_have_no_fault_and_many_faults_are_cut_short(tmp_path: Path) -> None:
    assert _faults(tmp_path, b'{"id": "a", "answer": 1}\n') == []
    assert _faults(tmp_path, b"") == []
    assert 0 < len(_faults(tmp_path, b"x\n" * 1_000)) <= 20


def test_answers_that_no_case_asks_for_are_remarked(tmp_path: Path) -> None:
    lines = [json.dumps({"id": f"c{i}", "answer": i}) for i in range(9)]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    shelf = Shelf(tmp_path, print)
    options = {"replay": "answers.jsonl"}
    unasked, lacking = replay.remarks(options, shelf, {"c0", "c1", "elsewhere"})
    assert "answers that no check asks for, 7 in all: c2, c3, c4, c5, c6 ..." in unasked
    assert "lacks answers that a check asks for, 1 in all: elsewhere" in lacking
    assert list(replay.remarks(options, shelf, {f"c{i}" for i in range(9)})) == []


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=5))
def test_what_was_recorded_is_what_is_read(answers: dict[str, Any]) -> None:
    lines = [json.dumps({"id": id_, "answer": answer}) for id_, answer in answers.items()]
    assert replay.read_answers("\n".join(lines).encode()) == (answers, [])


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    answers, wrong = replay.read_answers(data)
    assert isinstance(answers, dict)
    assert all(said.split(":")[0].isdecimal() for said in wrong)
