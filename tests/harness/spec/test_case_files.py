"""Cases from JSONL, JSON, YAML and CSV files, and inline."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codec import DEPTH, to_json
from harness.contract import UNSET, Case
from harness.spec import cases as case_files
from harness.spec.cases import read_cases
from harness.spec.faults import Fault, SpecFaults
from tests.harness.spec.conftest import HEAD, Folder


def read(name: str, text: str | bytes) -> list[Case]:
    faults: list[Fault] = []
    found = read_cases(text if isinstance(text, bytes) else text.encode(), name, faults)
    assert not faults, faults
    return [case for case, _ in found]


def said(name: str, text: str | bytes) -> list[tuple[int, int, str]]:
    """The line, column and code of each fault."""
    faults: list[Fault] = []
    try:
        read_cases(text if isinstance(text, bytes) else text.encode(), name, faults)
    except SpecFaults as stop:
        faults += stop.faults
    return [(fault.spot.line, fault.spot.column, fault.code) for fault in SpecFaults(faults).faults]


# ------------------------------------------------------------------------------------------ the forms

SAME = {
    "c.jsonl": '{"id": "a", "input": {"x": 1}, "expect": [1.5, null], "tags": ["t", "u"]}\n{"id": "b", "input": ""}\n',
    "c.json": '[\n{"id": "a", "input": {"x": 1}, "expect": [1.5, null], "tags": ["t", "u"]},\n{"id": "b", "input": ""}]\n',
    "c.yaml": "- {id: a, input: {x: 1}, expect: [1.5, null], tags: [t, u]}\n- {id: b, input: ''}\n",
    "c.yml": "- id: a\n  input: {x: 1}\n  expect:\n    - 1.5\n    -\n  tags: [t, u]\n- id: b\n  input: ''\n",
    "c.csv": 'id,input.x,expect,tags\na,1,"[1.5, null]",t u\nb,,,\n',
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_same_cases_are_read_from_every_format(name: str, bom: bytes, end: bytes) -> None:
    first, second = read(name, bom + SAME[name].encode().replace(b"\n", end))
    assert (first.id, first.input, first.expect, first.tags) == ("a", {"x": 1}, [1.5, None], ("t", "u"))
    assert (second.id, second.input, second.expect, second.weight, second.cluster) == ("b", "", UNSET, 1.0, "")


def test_a_case_remembers_the_file_and_line_it_was_written_on() -> None:
    assert [case.at for case in read("d/c.jsonl", '\n\n{"id": "a", "input": 1}\n\n{"id": "b", "input": 1}')] == [
        "d/c.jsonl:3",
        "d/c.jsonl:5",
    ]
    assert [case.at for case in read("c.json", '\n[{"id": "a",\n"input": 1}\n,\n {"id": "b", "input": 1}\n]\n')] == [
        "c.json:2",
        "c.json:5",
    ]
    assert [case.at for case in read("c.csv", 'id,input\na,"two\nlines"\n\nb,1\n')] == ["c.csv:2", "c.csv:5"]
    assert [case.at for case in read("c.yaml", "\n- id: a\n  input: 1\n# why\n- {id: b, input: 1}\n")] == [
        "c.yaml:2",
        "c.yaml:5",
    ]


def test_weight_and_cluster_are_read() -> None:
    (case,) = read("c.jsonl", '{"id": "a", "input": 1, "weight": 3, "cluster": "k"}')
    assert (case.weight, type(case.weight), case.cluster) == (3.0, float, "k")


def test_null_is_an_expectation_and_nothing_is_none() -> None:
    first, second = read("c.jsonl", '{"id": "a", "input": null, "expect": null}\n{"id": "b", "input": null}')
    assert first.expect is None
    assert second.expect is UNSET


def test_cells_of_a_table_are_json_where_they_can_be_and_text_where_not() -> None:
    rows = 'id,input\na,007\nb,7\nc,true\nd,"[1, 2]"\ne,NaN\nf,"{""x"": 1"\ng,1e999\nh,\ni,"""q"""\n'
    values = {case.id: case.input for case in read("c.csv", rows)}
    wanted = {"a": "007", "b": 7, "c": True, "d": [1, 2], "e": "NaN", "f": '{"x": 1', "g": "1e999", "h": "", "i": "q"}
    assert values == wanted


def test_columns_with_dots_make_objects() -> None:
    (case,) = read("c.csv", "id,expect.a.b,expect.a.c,expect.d\na,1,x,\n")
    assert case.expect == {"a": {"b": 1, "c": "x"}}


# ---------------------------------------------------------------------------------------- the faults

OK = '{"id": "ok", "input": 1}'


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        ('{"id": "a", "input": }', 22, "json"),
        ('  {"id": "a", "input": nope}', 24, "json"),
        ('{"id": "a"', 11, "json"),
        ('{"id": "a", "input": 1}, ', 24, "json"),
        ('{"id": "a", "input": 1} {"id": "b", "input": 1}', 24, "json"),
        ("{'id': 'a'}", 2, "json"),
        ('   {"id": "a", "input": NaN}', 4, "number"),
        ('{"id": "a", "input": -Infinity}', 1, "number"),
        ('{"id": "a", "input": 1e999}', 1, "number"),
        ('{"id": "a", "input": -1e999}', 1, "number"),
        ('{"id": "a", "input": 9223372036854775808}', 1, "number"),
        ('{"id": "a", "input": [-9223372036854775809]}', 1, "number"),
        (f'{{"id": "a", "input": {"9" * 5000}}}', 1, "number"),
        (f'{{"id": "a", "input": 1, "weight": 1{"0" * 400}}}', 1, "number"),
        ('{"id": "a", "input": {"x": 1, "x": 2}}', 1, "duplicate-key"),
        ('{"id": "a", "id": "b", "input": 1}', 1, "duplicate-key"),
        ('{"id": "a", "input": "\\ud800"}', 1, "not-plain"),
        ('{"id": "a", "input": {"\\udfff": 1}}', 1, "not-plain"),
        (f'{{"id": "a", "input": {"[" * DEPTH}{"]" * DEPTH}}}', 1, "too-deep"),
        (f'{{"id": "a", "input": {"[" * 100_000}{"]" * 100_000}}}', 1, "too-deep"),
        (f'{{"id": "a", "input": {"[" * 500}{"]" * 500}}}', 1, "too-deep"),
        ("[1]", 1, "wrong-type"),
        ('"text"', 1, "wrong-type"),
        ("null", 1, "wrong-type"),
        ('{"input": 1}', 1, "missing-key"),
        ('{"id": "a"}', 1, "missing-key"),
        ('{"id": 7, "input": 1}', 1, "wrong-type"),
        ('{"id": null, "input": 1}', 1, "wrong-type"),
        ('{"id": "", "input": 1}', 1, "wrong-value"),
        ('{"id": " a", "input": 1}', 1, "wrong-value"),
        ('{"id": "a\\nb", "input": 1}', 1, "wrong-value"),
        ('{"id": "\\u001b[31m", "input": 1}', 1, "wrong-value"),
        (f'{{"id": "{"x" * 201}", "input": 1}}', 1, "wrong-value"),
        ('{"id": "a", "input": 1, "expected": 1}', 1, "unknown-key"),
        ('{"id": "a", "input": 1, "tags": "t"}', 1, "wrong-type"),
        ('{"id": "a", "input": 1, "tags": [1]}', 1, "wrong-type"),
        ('{"id": "a", "input": 1, "weight": 0}', 1, "wrong-value"),
        ('{"id": "a", "input": 1, "weight": -1}', 1, "wrong-value"),
        ('{"id": "a", "input": 1, "weight": "2"}', 1, "wrong-value"),
        ('{"id": "a", "input": 1, "weight": true}', 1, "wrong-value"),
        ('{"id": "a", "input": 1, "cluster": 3}', 1, "wrong-type"),
    ],
)
def test_a_bad_line_of_jsonl_is_a_fault_at_its_place_and_the_others_are_read_on(
    line: str, column: int, code: str
) -> None:
    text = f'{OK}\n\n{line}\n{{"id": "last"}}\n'
    assert said("c.jsonl", text) == [(3, column, code), (4, 1, "missing-key")]


def test_whatever_is_deep_but_not_too_deep_is_read() -> None:
    deep = "[" * (DEPTH - 1) + "]" * (DEPTH - 1)
    (case,) = read("c.jsonl", f'{{"id": "a", "input": {deep}}}')
    assert to_json(case.input).decode() == deep
    wide = f'{{"id": "a", "input": [{", ".join(["[1]"] * 200)}]}}'
    (case,) = read("c.jsonl", wide)
    assert len(case.input) == 200


def test_numbers_at_the_ends_of_64_bits_are_read() -> None:
    (case,) = read("c.jsonl", '{"id": "a", "input": [9223372036854775807, -9223372036854775808, 1.7e308, 1e-999]}')
    assert case.input == [2**63 - 1, -(2**63), 1.7e308, 0.0]


def test_a_repeated_id_names_the_line_of_the_first() -> None:
    faults: list[Fault] = []
    text = '{"id": "a", "input": 1}\n{"id": "b", "input": 1}\n {"id": "a", "input": 2}\n'
    read_cases(text.encode(), "c.jsonl", faults)
    (fault,) = faults
    assert (fault.spot.line, fault.spot.column, fault.code) == (3, 2, "duplicate-id")
    assert "line 1" in fault.what


def test_a_key_that_is_nearly_right_is_asked_about() -> None:
    faults: list[Fault] = []
    read_cases(b'{"id": "a", "input": 1, "expct": 1}\n', "c.jsonl", faults)
    assert faults[0].instead == "did you mean `expect`?"


def test_several_unknown_keys_of_a_case_are_told_in_one_order() -> None:
    faults: list[Fault] = []
    row = {"id": "a", "input": 1, **dict.fromkeys(["zz", "qq", "mm", "xx", "bb", "ww"], 1)}
    read_cases(json.dumps(row).encode(), "c.jsonl", faults)
    assert [fault.what[1:3] for fault in faults] == ["bb", "mm", "qq", "ww", "xx", "zz"]


@pytest.mark.parametrize(
    ("text", "line", "column", "code"),
    [
        ("", 1, 1, "empty"),
        ("  \n ", 2, 2, "empty"),
        ("\n {}", 2, 2, "wrong-type"),
        ("[]", 1, 1, "no-cases"),
        (f"[{OK},]", 1, 26, "json"),
        (f"[\n{OK},\n\n]", 2, 25, "json"),
        (f"[\n{OK}\n{OK}]", 3, 1, "json"),
        (f"[{OK}", 1, 26, "json"),
        (f"[{OK},", 1, 27, "json"),
        (f"[{OK}] x", 1, 28, "json"),
        (f"[{OK}]\n[]", 2, 1, "json"),
        (f"[\n {OK},\n 3]", 3, 2, "wrong-type"),
        (f'[\n {OK},\n {{"id": "b",\n "input": ?}}]', 4, 11, "json"),
        (f'[\n {OK},\n\n   {{"id": "b",\n "input": NaN}}]', 4, 4, "number"),
        (f"[\n{OK},\n{OK}]", 3, 1, "duplicate-id"),
        ("[" * 200_000, 1, 2, "too-deep"),
    ],
)
def test_a_bad_json_file_is_a_fault_at_its_place(text: str, line: int, column: int, code: str) -> None:
    assert said("c.json", text) == [(line, column, code)]


@pytest.mark.parametrize(
    ("text", "line", "column", "code"),
    [
        ("", 1, 1, "empty"),
        ("# nothing\n", 1, 1, "empty"),
        ("[]", 1, 1, "no-cases"),
        ("id: a\ninput: 1\n", 1, 1, "wrong-type"),
        ("- {id: a, input: 1}\n- 7\n", 2, 3, "wrong-type"),
        ("- {id: a, input: 1}\n- id: 7\n  input: 1\n", 2, 7, "wrong-type"),
        ("- id: a\n  input: 1\n  weight: .5\n", 3, 11, "surprise"),
        ("- id: a\n  input: 1\n  tags: t\n", 3, 9, "wrong-type"),
        ("- id: a\n  input: 1\n  cluster: 3\n", 3, 12, "wrong-type"),
        ("- id: a\n  input: 1\n  expct: 3\n", 3, 3, "unknown-key"),
        ("- id: a\n  input: no\n", 2, 10, "surprise"),
        ("- {id: a, input: 1}\n-\n  id: a\n  input: 1\n", 3, 3, "duplicate-id"),
    ],
)
def test_a_bad_yaml_file_of_cases_is_a_fault_at_its_place(text: str, line: int, column: int, code: str) -> None:
    assert said("c.yaml", text) == [(line, column, code)]


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("", 1, "empty"),
        ("id,input\n", 1, "no-cases"),
        ("id,input,id\na,1,b\n", 1, "duplicate-key"),
        ("id,input\na,1\n\nb\n", 4, "csv"),
        ("id,input\na,1,2\n", 2, "csv"),
        ('id,input\na,"1\n', 2, "csv"),
        ('id,input\na,"x"y\n', 2, "csv"),
        ("id,input,expect,expect.a\na,1,2,3\n", 1, "csv"),
        ("id,input,expect.a,expect\na,1,2,3\n", 1, "csv"),
        ("id,id.x,input\na,1,2\n", 1, "csv"),
        ('id,expect,expect.a\na,"{""a"": 1}",3\n', 1, "csv"),
        ("id,input,wat\na,1,x\n", 2, "unknown-key"),
        ("id,input\n,1\n", 2, "wrong-value"),
        ("input\n1\n", 2, "missing-key"),
        ("id,input,weight\na,1,heavy\n", 2, "wrong-value"),
        (f"id,input.{'.'.join('x' * 500)}\na,1\n", 2, "too-deep"),
        (f"id,input.x.y\na,{'[' * 63}{']' * 63}\n", 2, "too-deep"),
        ('id,input\na,"1\n2"\na,3\n', 4, "duplicate-id"),
    ],
)
def test_a_bad_table_is_a_fault_on_its_line(text: str, line: int, code: str) -> None:
    assert [(at, what) for at, _, what in said("c.csv", text)] == [(line, code)]


@pytest.mark.parametrize("name", ["c.jsonl", "c.json", "c.yaml", "c.csv"])
def test_text_that_is_no_text_is_refused_in_every_format(name: str) -> None:
    assert [code for *_, code in said(name, b"\xff\xfea\x00")] == ["encoding"]
    assert [code for *_, code in said(name, b"id\xe9")] == ["encoding"]
    assert [code for *_, code in said(name, b'{"id": "\x00"}')] == ["control-character"]


def test_a_file_without_a_known_ending_is_refused() -> None:
    assert said("c.txt", "[]") == [(1, 1, "format")]


@pytest.mark.parametrize("name", SAME)
def test_a_file_with_more_than_the_most_cases_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_files, "MOST", 2)
    assert len(read(name, SAME[name])) == 2
    monkeypatch.setattr(case_files, "MOST", 1)
    assert [code for *_, code in said(name, SAME[name])] == ["too-many-cases"]


def test_inline_cases_have_the_same_rules_and_places_of_their_own(folder: Folder) -> None:
    spec = f"{HEAD}checks:\n  - name: c\n    kind: golden\n    model: m\n    cases:\n"
    assert folder.said(f"{spec}      - {{id: 1, input: 1, expect: 1}}\n      - {{id: b, inptu: 1, expect: 1}}\n") == [
        "a.yaml:8:14: wrong-type",
        "a.yaml:9:9: missing-key",
        "a.yaml:9:17: unknown-key",
    ]


def test_a_faulty_case_file_is_told_of_once_however_many_checks_read_it(folder: Folder) -> None:
    folder.put("c.jsonl", '{"id": 5, "input": 1, "expect": 1}\n')
    gate = "gate: {pass_rate: 0.9, population: sample}"
    check = f"kind: golden, model: m, cases: c.jsonl, {gate}"
    assert folder.said(f"{HEAD}checks:\n  - {{name: a, {check}}}\n  - {{name: b, {check}}}\n") == [
        "c.jsonl:1:1: wrong-type"
    ]


# ------------------------------------------------------------------------------------------- fuzzing

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    values=st.lists(st.tuples(JSON, JSON), min_size=1, max_size=5),
    ascii=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\n\n \n"]),
)
@settings(deadline=None)
def test_what_is_written_as_json_lines_is_read_back_the_same(values: list[Any], ascii: bool, end: str) -> None:
    rows = [{"id": f"c{i}", "input": a, "expect": b} for i, (a, b) in enumerate(values)]
    lines = end.join(
        json.dumps(row, ensure_ascii=ascii)
        .replace("\x7f", "\\u007f")
        .replace("\uffff", "\\uffff")
        .replace("\ufffe", "\\ufffe")
        for row in rows
    )
    found = read("c.jsonl", lines)
    assert [{"id": c.id, "input": c.input, "expect": c.expect} for c in found] == rows
    assert [int(c.at.partition(":")[2]) for c in found] == [1 + i * end.count("\n") for i in range(len(rows))]
    assert read("c.json", "[" + ",".join(lines.split(end)) + "]") != []


@given(
    name=st.sampled_from(["c.jsonl", "c.json", "c.csv", "c.yaml"]),
    text=st.text(st.sampled_from('{}[]",:idnputexc01.eE-+\\u \t\r\nNaNé\u2028'), max_size=60),
)
@settings(deadline=None, max_examples=500)
def test_no_text_makes_a_case_file_raise_anything_but_faults(name: str, text: str) -> None:
    for line, column, _ in said(name, text):
        assert 1 <= line <= text.count("\n") + 2
        assert column >= 1


@given(name=st.sampled_from(["c.jsonl", "c.json", "c.csv", "c.yaml"]), data=st.binary(max_size=60))
@settings(deadline=None)
def test_no_bytes_make_a_case_file_raise_anything_but_faults(name: str, data: bytes) -> None:
    assert all(code for *_, code in said(name, data))


@given(data=st.data(), name=st.sampled_from(list(SAME)))
@settings(deadline=None, max_examples=300)
def test_a_case_that_is_read_is_plain_whatever_was_done_to_its_file(data: st.DataObject, name: str) -> None:
    text = list(SAME[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(
            st.sampled_from(["", *'{}[]",:\\ 0\n', "1e999", "9" * 30, "\\ud800", "[" * 100, "NaN", "\x00"])
        )
    faults: list[Fault] = []
    try:
        found = read_cases("".join(text).encode(), name, faults)
    except SpecFaults:
        return
    for case, _ in found:
        assert json.loads(to_json(case.input)) == case.input
