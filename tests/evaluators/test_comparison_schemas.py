"""JSON Schemas as expectations: nothing outside is read, nothing circles, nothing backtracks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.comparison.schemas import schema_fault, violation

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TREE = {
    "$schema": DRAFT,
    "$id": "https://example.org/tree",
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^\pL+$"},
        "children": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "file:///etc/passwd"}, "nothing outside it is read"),
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "nothing outside it is read"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "nothing outside it is read"),
        ({"$ref": "other.json"}, "nothing outside it is read"),
        ({"$ref": "//host/share"}, "nothing outside it is read"),
        ({"properties": {"a": {"items": {"$ref": "other.json#/a"}}}}, "nothing outside it is read"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"allOf": [{"$ref": "#"}]}, "leads back to itself"),
        ({"anyOf": [{"type": "string"}, {"not": {"$ref": "#"}}]}, "leads back to itself"),
        ({"if": {"$ref": "#"}, "then": {}}, "leads back to itself"),
        ({"dependentSchemas": {"a": {"$ref": "#"}}}, "leads back to itself"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"oneOf": [{"$ref": "#/$defs/a"}]}}},
            "leads back to itself",
        ),
        ({"properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}, "leads back to itself"),
        ({"$ref": "#/$defs/nowhere"}, "has no `#/$defs/nowhere`"),
        ({"$ref": "#name"}, "has no `#name`"),
        ({"$ref": "#/$defs/a%25b", "$defs": {"a%25b": {}}}, "has no `#/$defs/a%25b`"),
        ({"$ref": "#/allOf/" + "9" * 5000, "allOf": [{}]}, "has no `#/allOf/"),
        ({"$ref": "#/extra", "extra": {"type": 12}}, "is not one"),
        ({"patternProperties": {"(a+)+$": {}}}, "`patternProperties`"),
        ({"items": {"patternProperties": {}}}, "`patternProperties`"),
        ({"$dynamicRef": "#node"}, "`$dynamicRef`"),
        ({"$defs": {"a": {"$anchor": "a"}}}, "`$anchor`"),
        ({"$defs": {"a": {"$id": "https://example.org/a"}}}, "`$id`"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "`$schema`"),
        ({"pattern": r"(a)\1"}, "RE2"),
        ({"items": {"pattern": "("}}, "RE2"),
        ({"type": "nonsense"}, "is not one"),
        ({"required": "a"}, "is not one"),
        ({"multipleOf": 0}, "is not one"),
        ({"enum": 1}, "is not one"),
        ([], "expects a schema"),
        ("string", "expects a schema"),
        (None, "expects a schema"),
        (True, "expects a schema"),
    ],
)
def test_a_schema_that_reaches_out_circles_or_is_none_is_refused(schema: Any, said: str) -> None:
    fault = schema_fault(schema)
    assert fault is not None
    assert said in fault[0]
    assert fault[1]


def test_a_reference_to_a_file_that_exists_is_not_read(tmp_path: Path) -> None:
    there = tmp_path / "schema.json"
    there.write_text("{}")
    assert schema_fault({"$ref": there.as_uri()}) is not None
    with pytest.raises(Exception, match=r"schema\.json"):
        violation({"$ref": there.as_uri()}, 1)


@pytest.mark.parametrize(
    ("got", "at"),
    [
        ({"name": "root", "children": [{"name": "leaf", "children": []}]}, None),
        ({"name": "root", "children": [{"name": "leaf", "children": [{}]}]}, "children.0.children.0"),
        ({"name": "root", "children": [{"name": "caf\u00e9", "children": []}]}, None),
        ({"name": "root", "children": [{"name": "no 1"}]}, "children.0.name"),
        ({"children": []}, "name"),
    ],
)
def test_a_schema_that_recurses_through_properties_works(got: Any, at: str | None) -> None:
    assert schema_fault(TREE) is None
    why = violation(TREE, got)
    assert why is None if at is None else why is not None and at in why


def test_an_answer_as_deep_as_answers_get_is_validated() -> None:
    deep: dict[str, Any] = {"name": "leaf"}
    for _ in range(30):
        deep = {"name": "node", "children": [deep]}
    assert violation(TREE, deep) is None
    assert violation(TREE, {"name": "node", "children": [{"name": "node", "children": [deep | {"name": 1}]}]})


def test_patterns_are_re2_wherever_the_schema_is_entered_again() -> None:
    schema = {"$schema": DRAFT, "properties": {"next": {"$ref": "#"}, "text": {"pattern": r"^(\pL+)+$"}}}
    assert schema_fault(schema) is None
    assert violation(schema, {"next": {"next": {"text": "\u00e9" * 5_000}}}) is None
    assert violation(schema, {"next": {"next": {"text": "a" * 5_000 + "!"}}}) is not None


def test_a_pattern_finds_its_text_anywhere_and_ignores_what_is_not_text() -> None:
    assert violation({"pattern": "ell"}, "hello") is None
    assert violation({"pattern": "ELL"}, "hello") is not None
    assert violation({"pattern": "ell"}, 12) is None


def test_true_is_no_integer_and_one_is_not_true() -> None:
    assert violation({"type": "integer"}, True) is not None
    assert violation({"const": 1}, True) is not None
    assert violation({"enum": [0]}, False) is not None
    assert violation({"type": "integer"}, 1.0) is None


def test_many_roads_to_one_part_are_walked_once() -> None:
    parts: dict[str, Any] = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(60)}
    assert schema_fault({"$ref": "#/$defs/a0", "$defs": {**parts, "a60": {}}}) is None
    circle = schema_fault({"$ref": "#/$defs/a0", "$defs": {**parts, "a60": {"$ref": "#/$defs/a7"}}})
    assert circle is not None


def test_a_chain_of_references_too_long_to_follow_is_a_fault() -> None:
    parts: dict[str, Any] = {f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(3_000)}
    fault = schema_fault({"$ref": "#/$defs/a0", "$defs": {**parts, "a3000": {}}})
    assert fault is not None
    assert "too far" in fault[0]


# ------------------------------------------------------------------------------------------------- fuzzed

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-1e3, 1e3)
    | st.sampled_from(
        ["", "a", "string", "object", "array", "integer", "#", "#/$defs/a", "#/properties/a", "a+", "(", "^a"]
    )
)
ANSWERS = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(["a", "b", "pattern", "type"]), inner, max_size=2)
    several = st.lists(inner, min_size=1, max_size=3)
    count = st.integers(0, 3)
    types = st.sampled_from(["string", "object", "array", "integer", "number", "boolean", "null"])
    references = st.sampled_from(["#", "#/$defs/a", "#/properties/a", "#/allOf/0", "#/items", "#/x", "#a", "a.json"])
    right: dict[str, st.SearchStrategy[Any]] = {
        "$ref": references,
        "$defs": named,
        "$schema": st.just(DRAFT),
        "additionalProperties": inner,
        "allOf": several,
        "anyOf": several,
        "const": ATOMS,
        "contains": inner,
        "dependentRequired": st.dictionaries(st.sampled_from("ab"), st.lists(st.sampled_from("ab"), unique=True)),
        "dependentSchemas": named,
        "else": inner,
        "enum": st.lists(ATOMS, min_size=1, max_size=3),
        "if": inner,
        "items": inner,
        "maxLength": count,
        "maximum": st.integers(-3, 3),
        "minContains": count,
        "minItems": count,
        "multipleOf": st.sampled_from([1, 2, 0.1, 1e-300]),
        "not": inner,
        "oneOf": several,
        "pattern": st.sampled_from(["a", "^a+$", r"\pL", "(a+)+$", "("]),
        "prefixItems": several,
        "properties": named,
        "propertyNames": inner,
        "required": st.lists(st.sampled_from("ab"), unique=True, max_size=2),
        "then": inner,
        "type": types | st.lists(types, unique=True, min_size=1, max_size=2),
        "unevaluatedItems": inner,
        "unevaluatedProperties": inner,
        "uniqueItems": st.booleans(),
        "x": inner,
    }
    return st.lists(st.sampled_from(sorted(right)), max_size=3, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: right[key] for key in keys})
    )


NEARLY = st.recursive(st.booleans() | st.builds(dict), _schemas, max_leaves=6)
WRONG = st.dictionaries(
    st.sampled_from(["$ref", "$id", "$schema", "allOf", "enum", "items", "pattern", "properties", "required", "type"]),
    ANSWERS,
    max_size=4,
)


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(NEARLY | WRONG, st.lists(ANSWERS, min_size=1, max_size=4))
def test_any_schema_is_either_refused_or_can_judge_any_answer(schema: Any, answers: list[Any]) -> None:
    if schema_fault(schema) is not None:
        return
    for answer in answers:
        why = violation(schema, answer)
        assert why is None or why


@given(st.dictionaries(st.text(max_size=5), ANSWERS, max_size=3) | ANSWERS)
def test_no_junk_makes_the_reader_of_schemas_raise(schema: Any) -> None:
    fault = schema_fault(schema)
    assert fault is None or all(fault)
