"""Holds what was read against a schema, and says what is wrong in the user's words rather than the schema's."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any

from harness.codec import to_json
from harness.spec.faults import Fault, Spot, listed, meant
from harness.spec.text import Map, bare, find

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


@cache
def _validator(schema: bytes) -> Any:
    import jsonschema
    import msgspec
    import referencing

    # To JSON Schema 2.0 is a whole number; to what is then asked for so many rounds it is none.
    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole)
    extend: Any = jsonschema.validators.extend
    validator = extend(jsonschema.Draft202012Validator, type_checker=checker)
    return validator(msgspec.json.decode(schema), registry=referencing.Registry())


def _is_whole(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def shape_faults(value: Any, schema: Mapping[str, Any], spot: Spot) -> list[Fault]:
    """Every respect in which `value`, written at `spot`, is not as the schema asks."""
    faults: list[Fault] = []
    for error in _validator(to_json(schema)).iter_errors(value):
        faults += _faults(error, value, spot)
    return faults


def _faults(error: Any, root: Any, spot: Spot) -> list[Fault]:
    path = tuple(error.absolute_path)
    at = find(root, path, spot)
    here = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "this"
    instance, limit, rule = error.instance, error.validator_value, error.validator
    wanted = error.schema.get("description") or _kind(error.schema)
    should = f"write {wanted}" if wanted else ""
    match rule:
        case "additionalProperties":
            known = error.schema.get("properties", {})
            return [
                Fault(
                    _key_spot(instance, key, at),
                    "unknown-key",
                    f"`{key}` is not a key {_of('of', path)}",
                    meant(key, known),
                )
                for key in instance
                if key not in known
            ]
        case "required":
            strange = instance.keys() - error.schema.get("properties", {})
            missing = [
                key for key in limit if key not in instance and not difflib.get_close_matches(key, strange, 1, 0.6)
            ]
            return [
                Fault(at, "missing-key", f"`{key}` is missing {_of('in', path)}", _how(error.schema, key))
                for key in missing[:1]
            ]
        case "type" if limit == "integer" and isinstance(instance, float) and instance.is_integer():
            return [Fault(at, "wrong-type", f"{here} is {_say(instance)}", "write a whole number, without a point")]
        case "type" | "anyOf" | "oneOf":
            return [Fault(at, "wrong-type", f"{here} is {_say(instance)}", should)]
        case "const":
            return [Fault(at, "wrong-value", f"{here} is {_say(instance)}", f"write `{limit}`")]
        case "enum":
            return [
                Fault(
                    at,
                    "wrong-value",
                    f"{here} is {_say(instance)}",
                    meant(instance, limit)
                    if isinstance(instance, str) and all(isinstance(each, str) for each in limit)
                    else f"known here: {listed(list(map(str, limit)))}",
                )
            ]
        case "pattern" if "propertyNames" in error.absolute_schema_path:
            parent = find(root, path, spot)
            holder = _at(root, path)
            return [Fault(_key_spot(holder, instance, parent), "wrong-name", f"`{instance}` is not a name", should)]
        case "minItems" | "minProperties" | "minLength":
            return [Fault(at, "empty", f"{here} is empty", should)]
        case _:
            return [Fault(at, "wrong-value", f"{here} is {_say(instance)}", should or str(error.message))]


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _key_spot(holder: Any, key: str, otherwise: Spot) -> Spot:
    return holder.keys_at.get(key, otherwise) if isinstance(holder, Map) else otherwise


def _of(word: str, path: tuple[str | int, ...]) -> str:
    words = [str(step) for step in path if isinstance(step, str)]
    return f"{word} `{'.'.join(words)}`" if words else "here"


def _kind(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type", [])
    return " or ".join(_KINDS[k] for k in ([kinds] if isinstance(kinds, str) else kinds))


def _how(schema: Mapping[str, Any], key: str) -> str:
    part = schema.get("properties", {}).get(key, {})
    if "const" in part:
        return f"write `{key}: {part['const']}`"
    wanted = part.get("description") or _kind(part)
    return f"write `{key}:` with {wanted}" if wanted else f"write `{key}:`"


def _say(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    shown = to_json(bare(value)).decode()
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
