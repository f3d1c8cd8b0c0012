"""Files of examples: what a line may be, what is refused, and what makes two files or two inputs the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from harness.contract import Refused
from models.data import CalibrationDataset, Example, read_examples


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.jsonl"


def _write(file: Path, *rows: Any) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_each_shape_of_line_is_an_example(file: Path) -> None:
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    rows = [
        {"id": "a", "input": {"image": ["x"]}, "expect": {"label": 7}, "tags": ["t"]},
        {"input": "unlabelled"},
        {"prompt": "1 + 1 =", "completion": " 2"},
        {"text": "all of it"},
        {"messages": chat},
        {"messages": chat[:1]},
        {"messages": chat[1:]},
    ]
    assert read_examples(_write(file, *rows)) == [
        Example({"image": ["x"]}, {"label": 7}),
        Example("unlabelled", UNSET),
        Example("1 + 1 =", " 2"),
        Example("all of it", UNSET),
        Example({"messages": chat[:1]}, "hello"),
        Example({"messages": chat[:1]}, UNSET),
        Example({"messages": chat[1:]}, UNSET),
    ]


def test_blank_lines_and_a_byte_order_mark_are_passed_over(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n\r\n  \n{"text": "b"}')
    assert [example.input for example in read_examples(file)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "data.jsonl:2: this is not JSON: "),
        ("[1]", "data.jsonl:2: an example has one of `input`, `prompt`, `text`, `messages`"),
        ('{"text": "a", "input": "b"}', "data.jsonl:2: an example has one of"),
        ('{"answer": "a"}', "data.jsonl:2: an example has one of"),
        ('{"text": "a", "text": "b"}', "data.jsonl:2: this is not JSON: a key stands twice"),
        ('{"text": "a", "completion": "b"}', "data.jsonl:2: `completion` does not go with `text`"),
        ('{"prompt": "a"}', "data.jsonl:2: `completion` is a text"),
        ('{"prompt": ["a"], "completion": "b"}', "data.jsonl:2: `prompt` is a text"),
        ('{"text": null}', "data.jsonl:2: `text` is a text"),
        ('{"input": NaN}', "data.jsonl:2: this is not JSON: NaN is not a number"),
        ('{"input": 1e999}', "data.jsonl:2: inf at $.input"),
        ('{"text": "\\ud800"}', "data.jsonl:2: a lone surrogate at $.text"),
        ('{"messages": []}', "data.jsonl:2: `messages` is a list of {role, content}, both texts"),
        ('{"messages": [{"role": "user"}]}', "data.jsonl:2: `messages` is a list"),
        ('{"input": ' + "[" * 100_000, "data.jsonl:2: this is not JSON"),
        ('{"text": "\xff"}', "data.jsonl:2: this is not JSON"),
    ],
)
def test_a_line_that_is_no_example_is_refused_with_its_place(file: Path, line: str, said: str) -> None:
    file.write_bytes(b'{"text": "fine"}\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(Refused) as refused:
        read_examples(file)
    assert str(refused.value).startswith(said)


def test_a_file_that_is_not_there_is_empty_or_of_another_kind_is_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(Refused, match=r"there is no file `data\.jsonl`"):
        read_examples(file)
    file.write_text("\n")
    with pytest.raises(Refused, match=r"`data\.jsonl` has no example; write at least one"):
        read_examples(file)
    with pytest.raises(Refused, match=r"`data\.csv` is not a \.jsonl file"):
        read_examples(tmp_path / "data.csv")


def test_the_digest_is_of_what_examples_say_and_of_their_order(tmp_path: Path) -> None:
    def digest(*rows: Any) -> str:
        return CalibrationDataset(_write(tmp_path / "d.jsonl", *rows)).digest

    one, two = {"prompt": "a", "completion": "b"}, {"text": "c"}
    first = digest(one, two)
    assert first.startswith("sha256:")
    assert digest({"expect": "b", "input": {"prompt": "a"}, "id": "x", "tags": ["t"]}, {"input": "c"}) == first
    others = [digest(two, one), digest(one), digest(one, {"text": "d"}), digest({"text": "a"}, two)]
    assert first not in others
    assert len(set(others)) == 4


def test_overlap_finds_what_is_asked_however_it_is_put(file: Path) -> None:
    def chat(*said: str) -> dict[str, Any]:
        return {"messages": [{"role": role, "content": said} for role, _, said in (s.partition(": ") for s in said)]}

    data = CalibrationDataset(
        _write(
            file,
            {"prompt": "1 + 1 =", "completion": "2"},
            {"input": {"image": [1, 2]}, "expect": {"label": 3}},
            chat("system: be brief", "user: who?", "assistant: me"),
            chat("user: a", "assistant: b", "user: c", "assistant: d"),
        )
    )
    asked = [
        "1 + 1 =",
        {"prompt": "1 + 1  =\n"},
        chat("user: 1 + 1 ="),
        {"image": [1, 2]},
        "who?",
        chat("user: a", "assistant: b", "user: c"),
    ]
    fresh = ["1 + 1", "2", {"image": [2, 1]}, chat("user: a", "assistant: x", "user: c"), {"tokens": [1]}, None]
    assert data.overlap([*asked, *fresh]) == asked
    assert data.path == file
    assert len(data.examples) == 4
