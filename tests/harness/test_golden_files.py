"""Files of cases in which one place changes: every other byte stays, and what is read back is what was meant."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from harness.codec import to_json
from harness.patches import history, yaml_text
from harness.patches.changes import Change, look, put
from harness.patches.editing import Edited, edit
from harness.patches.json_text import put_text
from harness.spec.cases import read_cases
from harness.spec.faults import Fault
from harness.spec.text import bare, read_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
BLANKS = st.sampled_from(["", " ", "  ", "\t", "\r", " \r"])


def places(value: Any, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(path for step, item in steps for path in places(item, (*above, step)))]


def expects(data: bytes, name: str) -> dict[str, Any]:
    faults: list[Fault] = []
    found = read_cases(data, name, faults)
    assert not faults
    return {case.id: case.expect for case, _ in found}


def change(name: str, case: str, expect: Any, path: tuple[str | int, ...], now: Any, line: int = 1) -> Change:
    was = look(expect, path)
    return Change(file=name, line=line, case=case, checks=(), path=path, kind="semantic", was=was, now=now)


def one(data: bytes, name: str, case: str, path: tuple[str | int, ...], now: Any) -> Edited:
    return edit(data, name, [change(name, case, expects(data, name)[case], path, now)])


def no_control(text: str) -> str:
    """JSON as a file may hold it: characters that no text has are escaped."""
    return "".join(c if c.isprintable() or c in "\t\r " else json.dumps(c)[1:-1] for c in text)


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, Any]:
    """A line of JSONL of any spelling, and what its case expects."""
    expect = draw(PLAIN)
    fields = {"id": "x", "input": draw(SCALARS), "expect": expect, "tags": ["a"]}
    keys = draw(st.permutations(list(fields)))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "  : ")]))
    row = json.dumps({key: fields[key] for key in keys}, ensure_ascii=draw(st.booleans()), separators=(comma, colon))
    return draw(BLANKS) + no_control(row) + draw(BLANKS), expect


@given(rows(), PLAIN, st.data(), st.booleans())
def test_jsonl_keeps_every_other_byte(row: tuple[str, Any], now: Any, data: st.DataObject, bom: bool) -> None:
    text, expect = row
    path = data.draw(st.sampled_from(places(expect)))
    before = '{ "id":"first" , "input": 1.0,"expect":"\\u00e9"}\r\n\n'
    after = '\n{"id": "last", "input": [ ], "expect": {"a":1}}'
    raw = (b"\xef\xbb\xbf" if bom else b"") + (before + text + after).encode()
    made = one(raw, "c.jsonl", "x", path, now)
    if not made.done:
        assert made.there or to_json([look(expect, path)]) == to_json([now])
        return
    said = made.data.decode("utf-8-sig")
    assert made.data.startswith(b"\xef\xbb\xbf") == bom
    assert said.startswith(before)
    assert said.endswith(after)
    assert to_json(expects(made.data, "c.jsonl")["x"]) == to_json(put(expect, path, now))
    assert one(made.data, "c.jsonl", "x", path, look(expect, path)).done
    lead, trail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    assert said[len(before) : -len(after)].startswith(lead)
    assert said[: -len(after)].endswith(trail)


@given(rows(), PLAIN, st.data())
def test_a_change_that_is_taken_back_leaves_the_bytes_around_it(
    row: tuple[str, Any], now: Any, data: st.DataObject
) -> None:
    text, expect = row
    text = text.strip(" \t\r")
    path = data.draw(st.sampled_from(places(expect)))
    made = put_text(text, ("expect", *path), now)
    marker = put_text(text, ("expect", *path), "MARK")
    head, tail = marker.split('"MARK"') if marker.count('"MARK"') == 1 else ("", "")
    assert made.startswith(head)
    assert made.endswith(tail)


@given(PLAIN, TEXT, st.booleans())
def test_keys_are_added_and_taken_out_again(value: Any, key: str, indent: bool) -> None:
    expect = {"a": 1, "b": [2]}
    whole = {"id": "x", "expect": expect}
    text = json.dumps(whole, indent=2).replace("\n", "\r\n") if indent else json.dumps(whole)
    if key in expect:
        return
    made = put_text(text, ("expect", key), value)
    assert json.loads(made)["expect"] == {**expect, key: value}
    assert put_text(made, ("expect", key), UNSET) == text
    assert json.loads(put_text(put_text(text, ("expect", "a"), UNSET), ("expect", "b"), UNSET))["expect"] == {}


@given(st.lists(st.tuples(TEXT, PLAIN), min_size=1, max_size=4), PLAIN, st.sampled_from([None, 1, 4]), st.data())
def test_json_keeps_every_other_case(
    rows: list[tuple[str, Any]], now: Any, indent: int | None, data: st.DataObject
) -> None:
    cases = [{"id": f"c{i}", "input": text, "expect": expect} for i, (text, expect) in enumerate(rows)]
    raw = json.dumps(cases, indent=indent).encode()
    chosen = data.draw(st.integers(0, len(rows) - 1))
    expect = rows[chosen][1]
    path = data.draw(st.sampled_from(places(expect)))
    made = one(raw, "c.json", f"c{chosen}", path, now)
    if made.done:
        wanted = {f"c{i}": each for i, (_, each) in enumerate(rows)} | {f"c{chosen}": put(expect, path, now)}
        assert to_json(expects(made.data, "c.json")) == to_json(wanted)
        start = raw.index(f'"c{chosen}"'.encode())
        assert made.data[:start] == raw[:start]


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6) | st.sampled_from(
    ['"', "a,b", 'say "x"', "1", "1.0", "true", "null", "[1, 2]", '{"a": {"b": 1}}', '"q"', " x ", "'"]
)


@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4),
    PLAIN,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.data(),
)
def test_csv_keeps_every_other_cell(
    rows: list[tuple[str, str, str]], now: Any, end: str, quoting: Any, data: st.DataObject
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=end, quoting=quoting)
    nested = data.draw(st.booleans())
    writer.writerow(["id", "input", "expect.a" if nested else "expect", "cluster"])
    for i, (a, b, c) in enumerate(rows):
        writer.writerow([f"c{i}", a, b or "x", c])
    raw = stream.getvalue().encode()
    faults: list[Fault] = []
    cases = [case for case, _ in read_cases(raw, "c.csv", faults)]
    if faults:
        return
    chosen = data.draw(st.integers(0, len(rows) - 1))
    expect: Any = cases[chosen].expect
    path = data.draw(st.sampled_from([each for each in places(expect) if each or not nested]))
    made = one(raw, "c.csv", f"c{chosen}", path, now)
    assert made.done or made.there or made.refused
    if made.done:
        read = expects(made.data, "c.csv")
        assert to_json(read[f"c{chosen}"]) == to_json(put(expect, path, now))
        before, after = raw.split(end.encode()), made.data.split(end.encode())
        assert [line for i, line in enumerate(after) if i != chosen + 1] == [
            line for i, line in enumerate(before) if i != chosen + 1
        ] or any(end in cell for row in rows for cell in row)


@given(
    SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(TEXT, SCALARS, max_size=3),
    st.sampled_from([None, "'", '"']),
)
def test_what_is_spelled_for_yaml_is_read_back(value: Any, style: str | None) -> None:
    for around in (f"- {yaml_text.spell(value, style)}   # why\n", f"[{yaml_text.spell(value, style)}, 1]\n"):
        faults: list[Fault] = []
        read = bare(read_yaml(around.encode(), "a.yaml", faults))
        assert not faults
        assert to_json(read[0]) == to_json(value)


@given(PLAIN, st.integers(0, 5))
def test_yaml_keeps_every_other_byte(now: Any, which: int) -> None:
    olds = ["word", "'two  words'", '"\\u00e9"', "1.5", "[1, {a: b}]", "true"]
    lines = [
        f"- id: c{i}\r\n  # note {i}\r\n  input: x\r\n  expect:   {old}   # kept\r\n" for i, old in enumerate(olds)
    ]
    raw = "".join(lines).encode()
    made = one(raw, "c.yaml", f"c{which}", (), now)
    if made.done:
        head, tail = "".join(lines[:which]), "".join(lines[which + 1 :])
        said = made.data.decode()
        assert said.startswith(head + lines[which].partition(olds[which])[0])
        assert said.endswith("   # kept\r\n" + tail)
        assert to_json(expects(made.data, "c.yaml")[f"c{which}"]) == to_json(now)
    else:
        assert made.there or made.refused


def test_a_place_that_is_otherwise_than_was_expected_is_left() -> None:
    raw = b'{"id": "a", "input": 1, "expect": {"x": 1}}\n'
    stale = Change(file="c.jsonl", line=1, case="a", checks=(), path=("x",), kind="numeric", was=1.0, now=2)
    gone = Change(file="c.jsonl", line=1, case="b", checks=(), path=("x",), kind="numeric", was=1, now=2)
    made = edit(raw, "c.jsonl", [stale, gone])
    assert made.data == raw
    assert [why for _, why in made.refused] == [
        "something else stands there now than the run expected",
        "the case is not there any more",
    ]


def test_aliases_are_left_alone() -> None:
    raw = b"- &one {id: a, input: 1, expect: {x: &n 1}}\n- {id: b, input: *n, expect: *n}\n- {id: c, input: 1, expect: 1}\n"
    made = edit(raw, "c.yaml", [change("c.yaml", "a", {"x": 1}, ("x",), 2), change("c.yaml", "b", 1, (), 2)])
    assert made.data == raw
    assert [why for _, why in made.refused] == ["it has an anchor", "it is an alias"]


def test_cases_of_the_same_id_are_told_apart_by_their_lines() -> None:
    raw = b"checks:\n- {cases: [{id: a, input: 1, expect: 1}]}\n- {cases: [{id: a, input: 1, expect: 1}]}\n"
    made = edit(raw, "s.yaml", [change("s.yaml", "a", 1, (), 2, line=3)])
    assert made.data == raw[: raw.rindex(b"1")] + b"2}]}\n"
    raw = raw.replace(b"]}\n-", b"]},").replace(b"\n- {", b" [{").replace(b"}]}\n", b"}]}]\n")
    assert edit(raw, "s.yaml", [change("s.yaml", "a", 1, (), 2, line=1)]).refused


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8), st.integers(0, 5), st.integers(0, 5))
def test_a_file_follows_from_another_if_what_was_accepted_leads_there(
    steps: list[tuple[int, int]], was: int, now: int
) -> None:
    reached = {was}
    for _ in steps:
        reached |= {b for a, b in steps if a in reached}
    assert history.follows([entry(a, b) for a, b in steps], str(was), str(now)) == (now in reached)


def entry(before: int, after: int) -> history.Entry:
    return history.Entry(
        file="f",
        line=1,
        case="c",
        path=(),
        kind="numeric",
        was=None,
        who="a",
        why="b\u202e",
        when="c",
        run="r",
        checks=(),
        before=str(before),
        after=str(after),
    )


def test_a_history_is_only_added_to_and_read_back() -> None:
    once = history.added(b"", [entry(0, 1)])
    assert history.added(once[:-1], [entry(1, 2)]) == once + history.added(b"", [entry(1, 2)])
    read = history.read_history(history.added(once, [entry(1, 2)]), "f.history.jsonl")
    assert read == [entry(0, 1), entry(1, 2)]
    assert (read[0].was, read[0].now) == (None, UNSET)
    assert once.isascii()
