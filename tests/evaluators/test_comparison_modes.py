"""The modes of comparison: what each meets, what each misses, and what each refuses to expect."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.comparison import read_comparison
from harness.contract import Difference, Objection

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def _differences(written: Any, expected: Any, answer: Any) -> list[Difference]:
    comparison, objections = read_comparison(written)
    assert comparison is not None, objections
    return comparison.differences(expected, answer)


def _met(written: Any, expected: Any, answer: Any) -> bool:
    return not _differences(written, expected, answer)


def _refused(written: Any) -> list[Objection]:
    comparison, objections = read_comparison(written)
    assert comparison is None
    assert objections
    return objections


def _expectation_faults(written: Any, expected: Any) -> list[str]:
    comparison, objections = read_comparison(written)
    assert comparison is not None, objections
    return [what for what, _ in comparison.objections(expected)]


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"

MEETS = [
    ("exact", 1, 1.0),
    ("exact", 0.0, -0.0),
    ("exact", 2**53 + 1, 2**53 + 1),
    ("exact", None, None),
    ("exact", [], []),
    ("exact", {}, {}),
    ("exact", "", ""),
    ("exact", {"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}),
    ("exact", {"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ("normalised", "Hello,  World!", "hello world"),
    ("normalised", "", "  \t\n"),
    ("normalised", COMPOSED, DECOMPOSED),
    ("normalised", "CAF\u00c9", DECOMPOSED),
    ("normalised", "\ufb01ne", "FINE"),
    ("normalised", "stra\u00dfe", "STRASSE"),
    ("normalised", "\u0390", "\u0390".upper()),
    ("normalised", "\uff11\uff12", "12"),
    ("normalised", "a\u00a0b", "a b"),
    ("normalised", "well-known", "well known"),
    ({"normalised": {"case": False}}, "A  b", "A b!"),
    ({"normalised": {"space": False, "punctuation": False}}, "A  b", "a  B"),
    ("contains", "ell", "hello"),
    ("contains", ["he", "lo"], "hello"),
    ("contains", "red", ["red", "blue"]),
    ("contains", ["red", "blue"], ["blue", "green", "red"]),
    ({"contains": {"case": False}}, "ELL", "hello"),
    ({"contains": {"case": False}}, "RED", ["red", 1, None]),
    ("regex", "^h.llo$", "hello"),
    ("regex", "l+", "hello"),
    ("regex", "^.$", "\U0001f600"),
    ("regex", "^caf\\pL$", COMPOSED),
    ("one_of", [1, "x", None], None),
    ("one_of", [[1, 2], {"a": 1}], {"a": 1.0}),
    ("unordered", [], []),
    ("unordered", [1, "1", True], [True, 1.0, "1"]),
    ("unordered", [{"a": 1, "b": [0]}, {}], [{}, {"b": [0.0], "a": 1}]),
    ("unordered", [2**60], [float(2**60)]),
    ("subset", {}, {"a": 1}),
    ("subset", {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}),
    ("subset", [{"a": 1}, 2], [{"a": 1, "b": 2}, 2]),
    ("subset", {"a": []}, {"a": []}),
    ("jsonschema", {"type": "integer", "minimum": 3}, 3),
    ("jsonschema", {}, {"anything": [1]}),
    ("close", 1, 1.00005),
    ("close", 0, 0),
    ({"close": {"abs": 0.1}}, 1.0, 1.09),
    ({"close": {"abs": 0.0, "rel": 0.1}}, -100, -109),
    ({"close": {"abs": 0.5}}, {"p": [1, 2], "n": "x"}, {"p": [1.4, 1.6], "n": "x"}),
]

MISSES = [
    ("exact", True, 1),
    ("exact", 1, True),
    ("exact", 0, False),
    ("exact", False, None),
    ("exact", 2**53 + 1, float(2**53)),
    ("exact", "1", 1),
    ("exact", None, 0),
    ("exact", None, ""),
    ("exact", [], {}),
    ("exact", {}, []),
    ("exact", [1, 2], [2, 1]),
    ("exact", [1], [1, 1]),
    ("exact", {"a": None}, {}),
    ("exact", {"a": [True]}, {"a": [1]}),
    ("exact", COMPOSED, DECOMPOSED),
    ("exact", "a", "A"),
    ("exact", "a", "a "),
    ("normalised", "cafe", COMPOSED),
    ("normalised", "12", 12),
    ("normalised", "null", None),
    ("normalised", "a", ["a"]),
    ("normalised", "ab", "a b"),
    ({"normalised": {"case": False}}, "a", "A"),
    ({"normalised": {"punctuation": False}}, "a!", "a"),
    ({"normalised": {"space": False, "punctuation": False}}, "a  b", "a b"),
    ("contains", "ELL", "hello"),
    ("contains", ["he", "x"], "hello"),
    ("contains", "a", ""),
    ("contains", "a", []),
    ("contains", "red", ["redder"]),
    ("contains", "1", [1]),
    ("contains", "1", 1),
    ("contains", "a", {"a": 1}),
    ("contains", "a", None),
    ("regex", "^h$", "hello"),
    ("regex", "1", 1),
    ("regex", "a", ["a"]),
    ("one_of", [1], True),
    ("one_of", [1, 2], [1, 2]),
    ("one_of", ["a"], None),
    ("unordered", [1, 1, 2], [1, 2, 2]),
    ("unordered", [], [None]),
    ("unordered", [1], [True]),
    ("unordered", ["1"], [1]),
    ("unordered", [1, 2], "12"),
    ("unordered", [], {}),
    ("subset", {"a": None}, {}),
    ("subset", {"a": 1}, {"a": True}),
    ("subset", {"a": [1]}, {"a": [1, 2]}),
    ("subset", {"a": {}}, {"a": []}),
    ("subset", {}, []),
    ("subset", [], {}),
    ("subset", {"a": 1}, None),
    ("jsonschema", {"type": "integer"}, True),
    ("jsonschema", {"type": "object", "required": ["a"]}, {}),
    ("close", 1, 1.01),
    ("close", 1, True),
    ("close", 0, None),
    ("close", 1, "1"),
    ("close", [1, 2], [1]),
    ("close", {"a": 1}, {"a": 1, "b": 1}),
    ("close", {"a": 1, "n": "x"}, {"a": 1, "n": "y"}),
    ({"close": {"abs": 0.0, "rel": 0.0}}, 1, math.nextafter(1, 2)),
    ({"close": {"abs": 0.1}}, 1e308, -1e308),
]


@pytest.mark.parametrize(("written", "expected", "answer"), MEETS)
def test_an_answer_within_its_mode_is_met(written: Any, expected: Any, answer: Any) -> None:
    assert _expectation_faults(written, expected) == []
    assert _differences(written, expected, answer) == []


@pytest.mark.parametrize(("written", "expected", "answer"), MISSES)
def test_an_answer_outside_its_mode_is_missed_and_says_why(written: Any, expected: Any, answer: Any) -> None:
    assert _expectation_faults(written, expected) == []
    (difference,) = _differences(written, expected, answer)
    assert difference.why
    assert difference.at == "."
    assert difference.mode in str(written)
    assert (difference.expected, difference.got) == (expected, answer)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("normalised", 1),
        ("normalised", None),
        ("normalised", ["a"]),
        ("contains", ""),
        ("contains", []),
        ("contains", ["a", ""]),
        ("contains", 1),
        ("contains", [1]),
        ("regex", 1),
        ("regex", "(a"),
        ("regex", r"(a)\1"),
        ("regex", "(?=a)"),
        ("regex", "((a{1000}){1000}){1000}"),
        ("one_of", []),
        ("one_of", "a"),
        ("unordered", {}),
        ("unordered", "ab"),
        ("subset", 1),
        ("subset", None),
        ("jsonschema", "object"),
        ("jsonschema", {"type": "nonsense"}),
        ("close", "1"),
        ("close", True),
        ("close", None),
        ("close", []),
        ("close", {"a": ["x"]}),
        ({"label": "regex"}, {"label": "("}),
    ],
)
def test_an_expectation_that_its_mode_cannot_hold_is_a_fault_before_anything_runs(written: Any, expected: Any) -> None:
    assert len(_expectation_faults(written, expected)) == 1


@pytest.mark.parametrize(
    "written",
    [
        "nonsense",
        "",
        {},
        {"label": "nonsense"},
        {"label": {"exact": {}, "close": {}}},
        {"label": {}},
        {"label": None},
        {"label": ["exact"]},
        {"label": {"close": 0.1}},
        {"label": {"close": {"absolute": 0.1}}},
        {"label": {"close": {"abs": -0.1}}},
        {"label": {"close": {"abs": True}}},
        {"label": {"close": {"abs": math.nan}}},
        {"label": {"close": {"abs": "0.1"}}},
        {"label": {"contains": {"case": 1}}},
        {"close": {"absolute": 0.1}},
        {"label": "exact", "p": "nonsense"},
    ],
)
def test_a_comparison_that_means_nothing_is_refused_with_its_place(written: Any) -> None:
    (objection,) = _refused(written)
    assert objection.path[0] == "compare"
    assert objection.code == "compare"
    assert objection.what
    assert objection.instead


# ------------------------------------------------------------------------------------------------ by field

ANSWER = {"label": 7, "p": 0.99, "boxes": [{"x": 1, "tags": ["a", "b"]}, {"x": 2}], "a.b": "dotted", "0": "zero"}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("label", {"label": 7}),
        ("boxes.1.x", {"boxes": [None, {"x": 2}]}),
        ("boxes.0.tags.1", {"boxes": [{"tags": ["other", "b"]}]}),
        ("a.b", {"a.b": "dotted"}),
        ("a.b", {"a": {"b": "dotted"}}),
        ("0", {"0": "zero"}),
        (".", ANSWER),
    ],
)
def test_a_field_is_found_by_name_dots_and_index(field: str, expected: Any) -> None:
    assert _differences({field: "exact"}, expected, ANSWER) == []


@pytest.mark.parametrize(
    "field", ["lable", "boxes.2.x", "boxes.-1.x", "boxes.x", "label.x", "boxes.0.tags.0.x", "label.", "boxes.\u00b2"]
)
def test_a_field_that_the_answer_lacks_is_missed(field: str) -> None:
    (difference,) = _differences({field: "exact"}, {field: 1}, ANSWER)
    assert difference.at == field
    assert difference.why == "the answer has no such field"


@pytest.mark.parametrize("answer", [None, True, 0, "", "label", [], [["label", 7]]])
def test_an_answer_of_the_wrong_type_lacks_its_fields(answer: Any) -> None:
    assert not _met({"label": "exact"}, {"label": 7}, answer)


def test_a_null_field_is_there_and_an_absent_one_is_not() -> None:
    assert _met({"a": "exact"}, {"a": None}, {"a": None})
    assert not _met({"a": "exact"}, {"a": None}, {})


def test_an_expectation_without_a_compared_field_is_a_fault() -> None:
    (said,) = _expectation_faults({"label": "exact", "p": "close"}, {"label": 7})
    assert "`p`" in said


def test_each_differing_field_is_told_and_no_other() -> None:
    written = {"label": "exact", "p": {"close": {"abs": 0.05}}, "n": "exact"}
    found = _differences(written, {"label": 7, "p": 0.9, "n": 1}, {"label": 8, "p": 0.5, "n": 1, "more": 2})
    assert [(difference.at, difference.mode) for difference in found] == [("label", "exact"), ("p", "close")]


def test_fields_that_nobody_compares_do_not_count() -> None:
    assert _met({"label": "exact"}, {"label": 7, "ignored": 1}, {"label": 7, "ignored": 2})


@pytest.mark.parametrize("name", ["exact", "close", "contains", "regex", "subset"])
def test_a_field_may_bear_the_name_of_a_mode(name: str) -> None:
    assert _met({name: "exact"}, {name: 1, "other": 2}, {name: 1, "other": 3})
    assert not _met({name: "exact"}, {name: 1}, {name: 2})
    assert _met({name: {"exact": {}}}, {name: 1, "other": 2}, {name: 1, "other": 3})


def test_a_mode_with_options_of_its_own_speaks_of_the_whole_answer() -> None:
    assert _met({"close": {"abs": 1}}, 10, 11)
    assert _met({"exact": {}}, 10, 10)
    assert _met({"contains": {"case": False}}, "A", "banana")


def test_the_whole_answer_and_a_field_of_it_can_be_compared_together() -> None:
    written = {".": "subset", "p": {"close": {"abs": 0.1}}}
    found = _differences(written, {"label": 7, "p": 0.9}, {"label": 8, "p": 0.5})
    assert [difference.at for difference in found] == [".", "p"]


# ---------------------------------------------------------------------------------------------- properties


@given(VALUES)
def test_exact_and_subset_and_unordered_meet_a_value_with_itself(value: Any) -> None:
    assert _met("exact", value, value)
    assert _met("subset", value, value)
    assert _met("unordered", [value], [value])
    assert _met("one_of", [value], value)


@given(VALUES, VALUES)
def test_exact_does_not_care_which_side_is_which(a: Any, b: Any) -> None:
    assert _met("exact", a, b) == _met("exact", b, a)


@given(VALUES, VALUES)
def test_unordered_agrees_with_exact_on_single_items(a: Any, b: Any) -> None:
    assert _met("unordered", [a], [b]) == _met("exact", a, b)


@given(st.lists(VALUES, max_size=6), st.randoms(use_true_random=False))
def test_unordered_forgets_order_and_nothing_else(items: list[Any], order: random.Random) -> None:
    shuffled = items.copy()
    order.shuffle(shuffled)
    assert _met("unordered", items, shuffled)
    assert not _met("unordered", items, [*shuffled, "one more"])


@given(VALUES, st.floats(0, 1e6), st.floats(0, 10))
def test_close_meets_a_value_with_itself_whatever_it_allows(value: Any, absolute: float, relative: float) -> None:
    assert _met({"close": {"abs": absolute, "rel": relative}}, value, value)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4), st.dictionaries(st.text(max_size=3), VALUES))
def test_subset_allows_any_keys_besides(wanted: dict[str, Any], more: dict[str, Any]) -> None:
    assert _met("subset", wanted, more | wanted)


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_normalised_text_meets_itself_shouted_spaced_or_decomposed(text: str) -> None:
    import unicodedata

    assert _met("normalised", text, f" {text}\t ")
    assert _met("normalised", text, unicodedata.normalize("NFD", text))
    assert _met("normalised", text, text.casefold())


# ---------------------------------------------------------------------------------------------------- RE2


def test_a_catastrophic_pattern_takes_no_catastrophic_time() -> None:
    assert not _met("regex", "(a+)+$", "a" * 50_000 + "!")
    assert not _met("jsonschema", {"pattern": "(a+)+$"}, "a" * 50_000 + "!")


@pytest.mark.parametrize("text", [r"(a)\1", "(?<=a)b", "(?!a)", "a**", "[z-a]"])
def test_what_re2_lacks_is_refused_by_name(text: str) -> None:
    (said,) = _expectation_faults("regex", text)
    assert "RE2" in said
