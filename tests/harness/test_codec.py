"""One codec: what crosses a process is plain JSON, or is refused with the path to what is not."""

from __future__ import annotations

import datetime
import enum
import fractions
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codec import DEPTH, digest, digest_of, digest_of_file, plain, to_json, to_pretty_json
from harness.contract import NotPlain

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=30,
)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


class Colour(enum.IntEnum):
    RED = 1


class Word(str):
    __slots__ = ()


@given(JSON)
@settings(deadline=None)
def test_json_values_are_plain_and_stay_what_they_are(value: Any) -> None:
    assert repr(plain(value)) == repr(value)


@given(JSON)
@settings(deadline=None)
def test_json_is_read_back_as_it_was_by_any_reader(value: Any) -> None:
    assert json.loads(to_json(value)) == value
    assert json.loads(to_pretty_json(value)) == value


@given(st.dictionaries(TEXT, JSON, min_size=2), st.randoms())
@settings(deadline=None)
def test_the_order_of_keys_changes_neither_the_bytes_nor_the_digest(value: dict[str, Any], dice: Any) -> None:
    keys = list(value)
    dice.shuffle(keys)
    shuffled = {key: value[key] for key in keys}
    assert to_json(shuffled) == to_json(value)
    assert to_pretty_json(shuffled) == to_pretty_json(value)
    assert digest_of(shuffled) == digest_of(value)


def test_a_tuple_is_a_list_and_a_kind_of_dict_is_a_dict() -> None:
    class Own(dict[str, Any]):
        pass

    made = plain({"a": (1, (2,)), "b": Own(c=1)})
    assert made == {"a": [1, [2]], "b": {"c": 1}}
    assert type(made["b"]) is dict


NOT_PLAIN = {
    "nan": float("nan"),
    "inf": float("inf"),
    "minus inf": float("-inf"),
    "lone surrogate": "x\ud800",
    "other surrogate": "\udfff",
    "decimal": Decimal("1.5"),
    "fraction": fractions.Fraction(1, 2),
    "complex": 1j,
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "set": {1},
    "frozenset": frozenset({1}),
    "object": object(),
    "type": int,
    "function": len,
    "generator": (x for x in [1]),
    "range": range(3),
    "path": Path("x"),
    "date": datetime.date(2026, 1, 1),
    "enum": Colour.RED,
    "kind of text": Word("x"),
    "2**63": 2**63,
    "-2**63-1": -(2**63) - 1,
    "huge": 10**400,
    "number key": {1: 1},
    "none key": {None: 1},
    "true key": {True: 1},
    "bytes key": {b"x": 1},
    "tuple key": {(1,): 1},
    "surrogate key": {"\ud800": 1},
    "kind of text key": {Word("x"): 1},
    "too deep": nested(DEPTH + 1),
    "far too deep": nested(50_000),
}


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_json_has_no_word_for_is_refused_wherever_it_stands(what: str) -> None:
    value = NOT_PLAIN[what]
    for holder in (value, [value], {"k": value}, {"a": [1, {"b": (value,)}]}):
        with pytest.raises(NotPlain):
            plain(holder)


def test_a_refusal_names_the_path() -> None:
    with pytest.raises(NotPlain, match=r"nan at \$\.a\[1\]\.b"):
        plain({"a": [0, {"b": float("nan")}]})
    with pytest.raises(NotPlain, match=r"decimal\.Decimal at \$\[0\]"):
        plain([Decimal(1)])
    with pytest.raises(NotPlain, match=r"surrogate at \$, character 2"):
        plain("ab\ud800")


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    knot: dict[str, Any] = {}
    knot["k"] = [knot]
    for value in (loop, knot):
        with pytest.raises(NotPlain):
            plain(value)


def test_depth_is_allowed_to_the_last_level() -> None:
    assert plain(nested(DEPTH)) == nested(DEPTH)


def test_numbers_of_numpy_are_not_plain() -> None:
    numpy = pytest.importorskip("numpy")
    for value in (
        numpy.zeros(2),
        numpy.float64(1),
        numpy.float32(1),
        numpy.int64(1),
        numpy.bool_(True),
        numpy.str_("x"),
    ):
        with pytest.raises(NotPlain, match="numpy"):
            plain([value])


@given(
    st.recursive(
        JSON | st.sampled_from([value for what, value in NOT_PLAIN.items() if what != "far too deep"]),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=10,
    )
)
@settings(deadline=None)
def test_whatever_passes_is_written_and_read_back(value: Any) -> None:
    try:
        made = plain(value)
    except NotPlain:
        return
    assert json.loads(to_json(made)) == made


def test_whole_and_broken_numbers_are_told_apart() -> None:
    assert to_json([1, 1.0, -0.0, True]) == b"[1,1.0,-0.0,true]"


def test_a_digest_is_of_the_bytes(tmp_path: Path) -> None:
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(b"") == empty
    (tmp_path / "f").write_bytes(b"")
    assert digest_of_file(tmp_path / "f") == empty
    (tmp_path / "f").write_bytes(b"{}")
    assert digest_of_file(tmp_path / "f") == digest_of({}) == digest(b"{}")
