"""What golden tests would have expectations become, and how differences are classed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import golden
from evaluators.golden.classing import Class, class_of
from harness.contract import Case, Check, Outcome
from harness.patches.changes import put

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("Yes.", "yes"),
        ("a  b", " A\nb!"),
        ("**Bold**", "`bold`"),
        ("\u201cHi\u201d", '"hi"'),
        ("1,000 km", "1000 KM"),
        ("0.50", ".5"),
        ("1e3", "1000.0"),
        ("7", 7),
        (7.0, "7"),
        ("\u22125", "-5"),
        ('{"a": 1, "b": [2]}', '{"b":[2.0],"a":1}'),
        ("re\u0301sume\u0301", "R\u00e9sum\u00e9"),
    ],
)
def test_what_is_only_written_otherwise_is_format(was: Any, now: Any) -> None:
    assert class_of(was, now).name == class_of(now, was).name == "format"


@pytest.mark.parametrize(
    ("was", "now", "off", "rel"),
    [
        (3, 8, 5.0, 5 / 3),
        (0, 1, 1.0, None),
        (1.5, 1, 0.5, 1 / 3),
        ("about 5 km", "About 6 km.", 1.0, 0.2),
        ("-5", "5", 10.0, 2.0),
        ([1, 2, 3], [1, 3, 3], 1.0, 0.5),
        ({"a": 4, "b": "X"}, {"b": "x", "a": 5}, 1.0, 0.25),
        ('{"a": 4}', '{"a": 5}', 1.0, 0.25),
        ("1e308", "-1e308", None, None),
    ],
)
def test_what_differs_in_its_numbers_alone_is_numeric(was: Any, now: Any, off: float | None, rel: float | None) -> None:
    assert class_of(was, now) == Class("numeric", off, None if rel is None else pytest.approx(rel))


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("yes", "no"),
        ("C#", "C"),
        ("5%", "5"),
        ("5'", "5"),
        ("5!", "5"),
        ("*.txt", ".txt"),
        ("3/4", "3 4"),
        ("x\u00b2", "x2"),
        ("1.2.3", "1.2.4"),
        ("2026-11-20", "2026-11-21"),
        ("007", "7"),
        ("007", 7),
        ("!", "?"),
        ("null", None),
        ("true", True),
        (True, 1),
        (False, 0),
        (None, 0),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ("[1, 2]", [1, 2]),
        ("ab", "a b"),
        ("don't", "dont"),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
    ],
)
def test_what_is_in_doubt_is_semantic(was: Any, now: Any) -> None:
    assert class_of(was, now).name == class_of(now, was).name == "semantic"


@given(PLAIN, PLAIN)
def test_any_two_values_have_one_class_from_both_sides(was: Any, now: Any) -> None:
    there, back = class_of(was, now), class_of(now, was)
    assert there.name == back.name
    assert (there.name == "numeric") or (there.off, there.rel) == (None, None)


@given(PLAIN)
def test_a_value_differs_from_itself_in_nothing_but_format(value: Any) -> None:
    assert class_of(value, value).name == "format"
    if isinstance(value, dict | list):
        assert class_of(json.dumps(value), json.dumps(value, indent=3, ensure_ascii=False)).name == "format"


@given(st.text(), st.text())
def test_what_is_format_says_the_same_letters_and_digits(was: str, now: str) -> None:
    """Of plain text: whatever is dropped is no letter and no digit."""
    if (
        was.isascii()
        and now.isascii()
        and class_of(was, now).name == "format"
        and not any(c.isdigit() for c in was + now)
    ):
        assert [c for c in was.lower() if c.isalpha()] == [c for c in now.lower() if c.isalpha()]


# ------------------------------------------------------------------------------------------ proposals


def proposed(compare: Any, expect: Any, answer: Any) -> list[dict[str, Any]]:
    case = Case(id="c", input=1, expect=expect, at="c.jsonl:1")
    check = Check(id="a::golden::d", name="d", kind="golden", at="a:1", options={"compare": compare}, cases=(case,))
    outcome = Outcome(case="c", outcome="missed", answer=answer)
    return list(golden.proposals(check, [outcome]))


def test_a_field_within_its_tolerance_stays() -> None:
    found = proposed({"close": {"abs": 0.1}}, {"a": 1.0, "b": [2.0, 3]}, {"a": 1.05, "b": [2.5, 3.05]})
    assert found == [
        {"case": "c", "path": ("b", 0), "class": "numeric", "was": 2.0, "now": 2.5, "off": 0.5, "rel": 0.25}
    ]


def test_a_part_of_an_object_keeps_what_else_it_has() -> None:
    assert [each["path"] for each in proposed("subset", {"a": 1}, {"a": 2, "b": 3})] == [("a",)]
    assert proposed("subset", {"a": 1}, {"b": 3})[0]["by_hand"] == "the answer lacks a part of it"


def test_keys_come_and_go() -> None:
    found = proposed("exact", {"a": 1, "b": 2}, {"b": 2, "c": None})
    assert found == [
        {"case": "c", "path": ("a",), "class": "semantic", "was": 1},
        {"case": "c", "path": ("c",), "class": "semantic", "now": None},
    ]


def test_a_list_without_order_is_taken_as_it_is() -> None:
    (found,) = proposed("unordered", [3, 1], [1, 4])
    assert (found["class"], found["now"]) == ("numeric", [1, 4])


@pytest.mark.parametrize("mode", ["contains", "regex", "one_of", "jsonschema"])
def test_what_is_no_value_is_for_a_person(mode: str) -> None:
    expect: Any = {"contains": "x", "regex": "x", "one_of": ["x"], "jsonschema": {"type": "null"}}[mode]
    (found,) = proposed({"f": mode}, {"f": expect}, {"f": "a"})
    assert found["path"] == ("f",)
    assert mode in found["by_hand"]


def test_what_a_mode_can_not_expect_is_for_a_person() -> None:
    assert "by_hand" in proposed("close", 1.0, "one")[0]
    assert "by_hand" in proposed("normalised", "one", 1)[0]
    assert proposed({"a.b": "exact"}, {"a": {"b": 1}}, {"a": 1})[0]["by_hand"] == "the answer has no such field"


def test_a_field_may_be_called_with_dots_or_stand_in_a_list() -> None:
    assert proposed({"a.b": "exact"}, {"a.b": 1}, {"a.b": 2})[0]["path"] == ("a.b",)
    assert proposed({"a.1.b": "exact"}, {"a": [0, {"b": 1}]}, {"a": [0, {"b": 2}]})[0]["path"] == ("a", 1, "b")


@given(st.sampled_from(["exact", "close", "subset", "unordered", "normalised"]), PLAIN, PLAIN)
def test_what_is_proposed_would_be_met(mode: str, expect: Any, answer: Any) -> None:
    """Whatever is proposed for a case, all of it together makes the answer meet it; or else a person is asked."""
    case = Case(id="c", input=1, expect=expect, at="c.jsonl:1")
    check = Check(id="a::golden::d", name="d", kind="golden", at="a:1", options={"compare": mode}, cases=(case,))
    if list(golden.faults(check)):
        return
    graded = golden.regrade(check, case, Outcome(case="c", outcome="missed", answer=answer))
    found = list(golden.proposals(check, [graded]))
    assert bool(found) == (graded.outcome == "missed")
    if any("by_hand" in each for each in found):
        return
    from msgspec import UNSET

    for each in found:
        expect = put(expect, each["path"], each.get("now", UNSET))
    now = Case(id="c", input=1, expect=expect, at="c.jsonl:1")
    assert golden.regrade(check, now, graded).outcome == "met"
