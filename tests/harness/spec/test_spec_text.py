"""The strict YAML reader."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.spec.faults import Fault, SpecFaults
from harness.spec.text import ALIASED, DEPTH, Map, Seq, Surprise, bare, find, read_plain, read_yaml


def read(text: str | bytes) -> Any:
    """The document, which must have no fault."""
    faults: list[Fault] = []
    value = read_yaml(text if isinstance(text, bytes) else text.encode(), "a.yaml", faults)
    assert not faults, faults
    return value


def said(text: str | bytes, limit: int = 5_000_000) -> list[tuple[int, int, str]]:
    """The line, column and code of each fault."""
    faults: list[Fault] = []
    try:
        read_yaml(text if isinstance(text, bytes) else text.encode(), "a.yaml", faults, limit)
    except SpecFaults as stop:
        faults = stop.faults
    return [(fault.spot.line, fault.spot.column, fault.code) for fault in faults]


# ------------------------------------------------------------------------------------------- scalars


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-0", 0),
        ("42", 42),
        ("-17", -17),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0.5", 0.5),
        ("-12.25", -12.25),
        ("1.0e-3", 0.001),
        ("1.5E+10", 1.5e10),
        ("y", "y"),
        ("n", "n"),
        ("nope", "nope"),
        ("tRUE", "tRUE"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("10%", "10%"),
        ("12ab", "12ab"),
        ("-", "-"),
        (".", "."),
        ("...x", "...x"),
        ("+", "+"),
        ("2026-13", "2026-13"),
        ("http://127.0.0.1:80/v1", "http://127.0.0.1:80/v1"),
    ],
)
def test_an_unquoted_scalar_that_all_readers_agree_on_is_read(text: str, value: object) -> None:
    assert read_plain(text) == value
    assert type(read_plain(text)) is type(value)


SURPRISES = [
    *("yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"),
    *("0123", "00", "-07", "0_1", "007.5"),
    *("0x1F", "0o17", "0b101", "-0x1"),
    *("1e3", "1E3", "1e-3", "1.e5", "1.5e3", "-1e3", ".5e1", "12e03"),
    *("1_000", "+1", "+0.5", ".5", "5.", "-.5", "1_0.5"),
    *("1:30", "190:20:30", "-1:30", "1:30.5", "20:59"),
    *("2026-01-31", "2026-02-31", "2026-1-1", "2026-01-31T10:00:00Z", "2026-01-31 10:00:00"),
]
NUMBERS = [
    ".inf",
    "-.inf",
    "+.INF",
    ".nan",
    ".NaN",
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 5000,
    "1.0e+999",
]


@pytest.mark.parametrize("word", SURPRISES)
def test_a_value_that_readers_disagree_on_is_a_surprise_that_says_to_quote_it(word: str) -> None:
    faults: list[Fault] = []
    read_yaml(f"a:\n  b: {word}\n".encode(), "a.yaml", faults)
    (fault,) = faults
    assert (fault.spot.line, fault.spot.column, fault.code) == (2, 6, "surprise")
    assert f'quote it: "{word}"' in fault.instead


@pytest.mark.parametrize("word", SURPRISES + NUMBERS)
def test_the_same_value_in_quotes_is_text(word: str) -> None:
    assert read(f"a: \"{word}\"\nb: '{word}'\nc: |-\n  {word}\n") == {"a": word, "b": word, "c": word}


@pytest.mark.parametrize("word", NUMBERS)
def test_a_number_that_json_or_64_bits_cannot_hold_is_a_fault(word: str) -> None:
    assert said(f"a: [1, {word}]\n") == [(1, 8, "number")]


@pytest.mark.parametrize("word", ["no", "1e3", "2026-01-31"])
def test_a_surprise_among_keys_is_a_fault_too(word: str) -> None:
    assert said(f"ok: 1\n{word}: 2\n") == [(2, 1, "surprise")]


@pytest.mark.parametrize("word", ["1", "true", "null", "0.5", "~"])
def test_a_key_that_is_not_text_is_a_fault(word: str) -> None:
    assert said(f"a:\n  {word}: 2\n") == [(2, 3, "key")]


@pytest.mark.parametrize("key", ["[1, 2]", "{a: 1}"])
def test_a_key_that_is_a_list_or_a_mapping_is_a_fault(key: str) -> None:
    assert said(f"? {key}\n: 1\n") == [(1, 3, "key")]


# -------------------------------------------------------------------------------- keys and structure


def test_a_duplicate_key_names_both_lines() -> None:
    faults: list[Fault] = []
    value = read_yaml(b"a: 1\nb:\n  c: 1\n  d: 2\n  c: {x: 1}\na: 2\n", "a.yaml", faults)
    assert [(f.spot.line, f.spot.column, f.what) for f in faults] == [
        (5, 3, "`c` stands here and on line 3"),
        (6, 1, "`a` stands here and on line 1"),
    ]
    assert value == {"a": 1, "b": {"c": 1, "d": 2}}


def test_a_key_with_an_escaped_nul_is_kept() -> None:
    assert read('"x\\0y": 1\n"x": 2\n') == {"x\0y": 1, "x": 2}


def test_quoted_and_bare_spellings_of_a_key_are_the_same_key() -> None:
    assert said("a: 1\n'a': 2\n\"\\x61\": 3\n") == [(2, 1, "duplicate-key"), (3, 1, "duplicate-key")]


def test_a_merge_key_is_refused_and_a_quoted_one_is_text() -> None:
    assert said("a: &a {b: 1}\nc:\n  <<: *a\n") == [(3, 3, "merge-key")]
    assert read("'<<': 1\n") == {"<<": 1}


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ("!!int 3", 5),
        ("!!bool foo", 5),
        ("!!timestamp x", 5),
        ("!mine {a: 1}", 5),
        ("! text", 5),
        ("!!python/name:os.system ''", 5),
    ],
)
def test_a_tag_is_a_fault_wherever_it_stands(value: str, column: int) -> None:
    assert said(f"a:\n  - {value}\n") == [(2, column, "tag")]
    assert (1, 4, "tag") in said(f"a: {value}\n")


@pytest.mark.parametrize(("open", "close"), [("[", "]"), ("{a: ", "}")])
def test_depth_is_counted_to_the_last_level(open: str, close: str) -> None:
    assert read(open * DEPTH + "1" + close * DEPTH) is not None
    assert said(open * (DEPTH + 1) + "1" + close * (DEPTH + 1)) == [(1, len(open) * DEPTH + 1, "too-deep")]


@pytest.mark.parametrize("text", ["[" * 30_000, "{a: " * 30_000, "- " * 30_000])
def test_depth_beyond_all_bounds_is_one_fault(text: str) -> None:
    assert [code for _, _, code in said(text)] == ["too-deep"]


def test_aliases_stand_for_what_was_anchored() -> None:
    value = read("a: &x [1, &y two]\nb: *x\nc: {d: *y}\n")
    assert value == {"a": [1, "two"], "b": [1, "two"], "c": {"d": "two"}}
    assert value.values_at["b"].line == 2


def test_aliases_count_towards_depth() -> None:
    half = DEPTH // 2
    inner, outer = "[" * half + "]" * half, "[" * (DEPTH - half)
    assert said(f"- &a {inner}\n- {outer[2:]}*a{']' * (DEPTH - half - 2)}\n") == []
    assert [code for *_, code in said(f"- &a {inner}\n- {outer}*a{']' * (DEPTH - half)}\n")] == ["too-deep"]


def test_a_tower_of_aliases_is_refused_before_it_is_too_tall_to_walk() -> None:
    floors = [f"- &a{i} {'[' * 58}{'1' if i == 0 else f'*a{i - 1}'}{']' * 58}\n" for i in range(18)]
    assert [(line, code) for line, _, code in said("".join(floors))] == [(2, "too-deep")]


def test_an_alias_bomb_is_refused_while_it_is_read() -> None:
    bomb = "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
    )
    ((line, _, code),) = said(bomb)
    assert code == "alias"
    assert line <= 6


def test_many_aliases_of_small_things_are_refused_beyond_the_limit() -> None:
    assert said("- &a 1\n" + "- *a\n" * ALIASED) == []
    assert said("- &a 1\n" + "- *a\n" * (ALIASED + 1)) == [(ALIASED + 2, 3, "alias")]


@pytest.mark.parametrize(
    ("text", "line", "column"), [("a: *b\n", 1, 4), ("a: &a [1, *a]\n", 1, 11), ("a: &a {b: {c: *a}}\n", 1, 15)]
)
def test_an_alias_to_nothing_or_to_itself_is_a_fault(text: str, line: int, column: int) -> None:
    assert said(text) == [(line, column, "alias")]


def test_an_alias_as_a_key_is_a_fault() -> None:
    assert said("a: &a x\n*a : 1\n") == [(2, 1, "key")]


def test_several_documents_are_a_fault_and_the_marks_of_one_are_not() -> None:
    assert said("---\na: 1\n---\nb: 1\n") == [(3, 1, "several-documents")]
    assert read("--- # first\na: 1\n...\n") == {"a": 1}


# ---------------------------------------------------------------------------------------------- text


def test_a_byte_order_mark_and_windows_line_ends_are_accepted() -> None:
    value = read(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n")
    assert value == {"a": 1, "b": ["x"]}
    assert value["b"].items_at[0][1:] == (3, 5)


@pytest.mark.parametrize(
    ("data", "line", "column", "code"),
    [
        (b"a: 1\nb: caf\xe9\n", 2, 7, "encoding"),
        ("a: ü".encode() + b"\xff\n", 1, 5, "encoding"),
        ("a: 1\n".encode("utf-16"), 1, 1, "encoding"),
        (b"a: 1\nb: \x00\n", 2, 4, "control-character"),
        (b"a: 1\nb: x\x1b[31m\n", 2, 5, "control-character"),
        (b"a: \x7f\n", 1, 4, "control-character"),
        ("a: 1 # \u2028b: 2\n".encode(), 1, 8, "surprise"),
        ("a: x\u0085b: 2\n".encode(), 1, 5, "surprise"),
        (b"a: 1\rb: 2\r", 1, 5, "surprise"),
        (b"a: 1\n\tb: 2\n", 2, 1, "yaml"),
        (b"a: b: c\n", 1, 5, "yaml"),
        (b"a: [1, 2\n", 1, 4, "yaml"),
        (b"a: 1\n b: 2\n", 2, 2, "yaml"),
        (b"a:1\nb: 2\n", 1, 2, "yaml"),
        (b"a: 1\nb 2\nc: 3\n", 2, 1, "yaml"),
        (b"a:\n  - x\n - y\n", 3, 2, "yaml"),
        (b"a: 'x\n", 1, 4, "yaml"),
        (b"a: @x\n", 1, 4, "yaml"),
        (b"a: %x\n", 1, 4, "yaml"),
        (b'a: "\\q"\n', 1, 5, "yaml"),
        (b'a: "\\ud800"\n', 1, 7, "yaml"),
    ],
)
def test_what_is_no_text_or_no_yaml_is_a_fault_at_its_place(data: bytes, line: int, column: int, code: str) -> None:
    assert said(data) == [(line, column, code)]


def test_a_file_beyond_the_size_limit_is_refused_unread() -> None:
    assert said(b"a: 1\n", limit=5) == []
    assert said(b"\x00" * 6, limit=5) == [(1, 1, "too-large")]
    assert said(b"#" * 5_000_001) == [(1, 1, "too-large")]


def test_an_empty_document_is_nothing() -> None:
    assert read(b"") is None
    assert read(b"# only a comment\n") is None


def test_faults_found_before_the_reader_must_stop_are_kept() -> None:
    assert said("a: no\nb: 0x1\nc: [\n") == [(1, 4, "surprise"), (2, 4, "surprise"), (4, 1, "yaml")]


# ----------------------------------------------------------------------------------------- positions


def test_everything_knows_where_it_was_written() -> None:
    value = read("top:\n  - é: 'x'\n    list: [1,   {deep: 2}]\n")
    assert isinstance(value, Map)
    assert value.keys_at["top"][1:] == (1, 1)
    assert value.values_at["top"][1:] == (2, 3)
    (first,) = value["top"]
    assert value["top"].items_at[0][1:] == (2, 5)
    assert first.values_at["é"][1:] == (2, 8)
    assert isinstance(first["list"], Seq)
    assert [spot[1:] for spot in first["list"].items_at] == [(3, 12), (3, 17)]
    assert first["list"][1].keys_at["deep"][1:] == (3, 18)
    assert str(first["list"][1].values_at["deep"]) == "a.yaml:3:24"


def test_a_path_into_a_document_leads_to_the_nearest_thing_that_was_written() -> None:
    value = read("a:\n  b: [1, 2]\n")
    assert find(value, ("a", "b", 1), value.spot)[1:] == (2, 10)
    assert find(value, ("a", "b", 7), value.spot)[1:] == (2, 6)
    assert find(value, ("a", "c", "d"), value.spot)[1:] == (2, 3)
    assert find(value, ("z",), value.spot)[1:] == (1, 1)


def test_a_fault_shows_the_line_it_speaks_of_with_a_caret_below() -> None:
    faults: list[Fault] = []
    read_yaml(b"a: 1\nkey:   no # why\n", "a.yaml", faults)
    said, shown, caret = str(faults[0]).split("\n")
    assert said.startswith("a.yaml:2:8: surprise: ")
    assert shown.endswith("| key:   no # why")
    assert caret.index("^") == shown.index("no # why")


def test_a_fault_in_a_long_line_shows_the_part_around_it() -> None:
    faults: list[Fault] = []
    read_yaml(f"a: [{'x, ' * 500}no{', x' * 500}]\n".encode(), "a.yaml", faults)
    _, shown, caret = str(faults[0]).split("\n")
    assert len(shown) < 120
    assert shown[caret.index("^") :].startswith("no,")


def test_no_file_speaks_to_the_terminal_through_a_fault() -> None:
    faults: list[Fault] = []
    read_yaml('"\\e[31mred": 1\n"\\e[31mred": "\u202e"\n'.encode(), "a.yaml", faults)
    assert faults
    assert all(c.isprintable() or c == "\n" for c in str(SpecFaults(faults)))


# ------------------------------------------------------------------------------------------- fuzzing

TRICKY = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.sampled_from(
        [*SURPRISES, *NUMBERS, "<<", "!x", "&a", "*a", "# no", "a: b", "- x", "|", ">", "'", '"', "\\", " ", "\t", "\0"]
    ),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: float(f"{x:.6f}"))
    | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TRICKY, inner, max_size=4),
    max_leaves=15,
)


class _Quoting(yaml.SafeDumper):
    """Writes every text in double quotes."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


def _plainly(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
    text = f"{number:.6f}"
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Quoting.add_representer(str, _quoted)
_Quoting.add_representer(float, _plainly)


@given(value=VALUES, flow=st.booleans(), unicode=st.booleans(), width=st.sampled_from([20, 80, 10_000]))
@settings(deadline=None)
def test_what_is_written_in_double_quotes_is_read_back_the_same(
    value: Any, flow: bool, unicode: bool, width: int
) -> None:
    text = yaml.dump(
        value, Dumper=_Quoting, default_flow_style=flow, allow_unicode=unicode, width=width, sort_keys=False
    )
    back = read(text)
    assert bare(back) == value
    assert repr(bare(back)) == repr(value)


@given(data=st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_make_the_reader_raise_anything_but_faults(data: bytes) -> None:
    for line, column, code in said(data):
        assert line >= 1
        assert column >= 1
        assert code


@given(text=st.text(st.sampled_from("ab01 \t\n-:?[]{},&*!|>'\"%@`#<~.=+_\\é\r\u2028"), max_size=60))
@settings(deadline=None, max_examples=400)
def test_no_text_makes_the_reader_raise_anything_but_faults(text: str) -> None:
    lines = text.count("\n") + 1
    for line, _, _ in said(text):
        assert 1 <= line <= lines + 1


CORE = re.compile(  # what YAML 1.2's core schema reads as something else than text
    r"~|null|Null|NULL||true|True|TRUE|false|False|FALSE|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


@given(
    text=st.one_of(
        st.text("0123456789+-._:eExoabfT", min_size=1, max_size=12),
        st.from_regex(r"[-+]?[0-9_.:]{1,6}([eE][-+]?[0-9]{1,3})?\Z"),
    )
)
@settings(deadline=None, max_examples=1000)
def test_a_scalar_is_read_only_where_yaml_1_1_and_1_2_agree_on_it(text: str) -> None:
    try:
        value = read_plain(text)
    except Surprise:
        return
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    if isinstance(value, str):
        assert tag == "tag:yaml.org,2002:str"
        assert not CORE.fullmatch(text)
    else:
        assert yaml.safe_load(f"[{text}]") == [value]
        assert CORE.fullmatch(text)
