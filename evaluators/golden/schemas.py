"""JSON Schemas that users write as expectations: local references only, patterns by RE2, no circles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema
import msgspec
import referencing

from evaluators.golden.modes import Fault, pattern, pattern_fault

_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_REFUSED = ("patternProperties", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$id", "$anchor")


def _pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, str) and not pattern(wanted).search(instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {wanted!r}")


_extend: Any = jsonschema.validators.extend
_Validator: Any = _extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> Any:
    return _Validator(msgspec.json.decode(schema), registry=referencing.Registry())


def violation(schema: Any, got: Any) -> str | None:
    error = next(iter(_compiled(msgspec.json.encode(schema)).iter_errors(got)), None)
    if error is None:
        return None
    at = ".".join(map(str, error.absolute_path))
    return f"{error.message[:200]}{f' at {at}' if at else ''}"


def schema_fault(schema: Any) -> Fault:
    if not isinstance(schema, dict):
        return "`jsonschema` expects a schema", "write an object, such as {type: object}"
    try:
        _Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"the schema is not one: {error.message[:200]}", "mend it"
    except Exception as error:  # a meta-schema may hold what the library trips over
        return f"the schema can't be read: {error}", "mend it"
    for part in _parts(schema):
        if fault := _part_fault(schema, part):
            return fault
    return None


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _part_fault(root: dict[str, Any], part: dict[str, Any]) -> Fault:
    for key in _REFUSED:
        if key in part and not (part is root and key == "$id"):
            return (
                f"the schema uses `{key}`, which is not supported",
                "write it with properties, $defs and #/ references",
            )
    if isinstance(part.get("pattern"), str) and (fault := pattern_fault(part["pattern"])):
        return fault
    reference = part.get("$ref")
    if isinstance(reference, str):
        if not reference.startswith("#"):
            return (
                f"the schema refers to `{reference}`, and nothing outside it is read",
                "copy it under `$defs` and refer to #/$defs/...",
            )
        if _target(root, reference) is None:
            return f"the schema has no `{reference}`", "mend the reference"
        if _circles(root, part, ()):
            return f"the schema's `{reference}` leads back to itself", "break the circle"
    return None


def _target(root: dict[str, Any], reference: str) -> Any:
    found: Any = root
    for part in reference[1:].split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            return None
    return found if isinstance(found, dict | bool) else None


def _circles(root: dict[str, Any], part: Any, path: tuple[int, ...]) -> bool:
    """Whether validating one value against `part` would validate that same value against `part` again."""
    if not isinstance(part, dict):
        return False
    if id(part) in path:
        return True
    path = (*path, id(part))
    nexts = [_target(root, part["$ref"])] if isinstance(part.get("$ref"), str) and part["$ref"].startswith("#") else []
    for key in _IN_PLACE:
        value = part.get(key)
        nexts += value if isinstance(value, list) else [value]
    return any(_circles(root, following, path) for following in nexts)
