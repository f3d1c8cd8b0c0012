"""JSON Schemas that users write as expectations: local references only, patterns by RE2, no circles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import jsonschema
import msgspec
import referencing

from evaluators.comparison.patterns import Fault, pattern, pattern_fault

_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_REFUSED = ("patternProperties", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$id", "$anchor", "$schema")
_OF_THE_ROOT = ("$id", "$schema")
"""What a whole schema may say of itself. It is not read: a `$schema` would make the library exchange this validator
for one of its own, whose patterns backtrack."""
_AS_WRITTEN = jsonschema.FormatChecker(())
"""Checks no format: a pattern here is one of RE2's, not one of Python's."""


def _pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, str) and not pattern(wanted).search(instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {wanted!r}")


_extend: Any = jsonschema.validators.extend
_Validator: Any = _extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> Any:
    read = msgspec.json.decode(schema)
    if isinstance(read, dict):
        read = {key: value for key, value in read.items() if key not in _OF_THE_ROOT}
    return _Validator(read, registry=referencing.Registry())


def violation(schema: Any, got: Any) -> str | None:
    error = next(iter(_compiled(msgspec.json.encode(schema)).iter_errors(got)), None)
    if error is None:
        return None
    at = ".".join(map(str, error.absolute_path))
    return f"{error.message[:200]}{f' at {at}' if at else ''}"


def schema_fault(schema: Any) -> Fault:
    if not isinstance(schema, dict):
        return "`jsonschema` expects a schema", "write an object, such as {type: object}"
    straight: set[int] = set()
    try:
        faults = (_part_fault(schema, part, straight) for part in _parts(schema))
        return _shape_fault(schema) or next((fault for fault in faults if fault), None) or _targets_fault(schema)
    except RecursionError:
        return "the schema leads too far from one part to the next", "write it with fewer steps"


def _shape_fault(schema: Any) -> Fault:
    try:
        _Validator.check_schema(schema, _AS_WRITTEN)
    except jsonschema.SchemaError as error:
        return f"the schema is not one: {error.message[:200]}", "mend it"
    except RecursionError:
        raise
    except Exception as error:  # a meta-schema may hold what the library trips over
        return f"the schema can't be read: {error}", "mend it"
    return None


def _targets_fault(root: dict[str, Any]) -> Fault:
    """A reference may lead where no schema was expected, so that nothing has looked at it yet."""
    references = {part["$ref"] for part in _parts(root) if isinstance(part.get("$ref"), str)}
    targets = {id(target): target for target in (_target(root, reference) for reference in references)}
    return next((fault for target in targets.values() if (fault := _shape_fault(target))), None)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _part_fault(root: dict[str, Any], part: dict[str, Any], straight: set[int]) -> Fault:
    for key in _REFUSED:
        if key in part and not (part is root and key in _OF_THE_ROOT):
            return (
                f"the schema uses `{key}`, which is not supported",
                "write it with properties, $defs and #/ references",
            )
    if isinstance(part.get("pattern"), str) and (fault := pattern_fault(part["pattern"])):
        return fault
    reference = part.get("$ref")
    return _reference_fault(root, part, reference, straight) if isinstance(reference, str) else None


def _reference_fault(root: dict[str, Any], part: dict[str, Any], reference: str, straight: set[int]) -> Fault:
    if not reference.startswith("#"):
        return (
            f"the schema refers to `{reference}`, and nothing outside it is read",
            "copy it under `$defs` and refer to #/$defs/...",
        )
    if _target(root, reference) is None:
        return f"the schema has no `{reference}`", "mend the reference"
    if _circles(root, part, (), straight):
        return f"the schema's `{reference}` leads back to itself", "break the circle"
    return None


def _target(root: dict[str, Any], reference: str) -> Any:
    """What a reference leads to, found as the library finds it."""
    found: Any = root
    pointer = unquote(reference[1:])
    if pointer and not reference.startswith("#/"):
        return None
    for part in pointer.split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and part.isdecimal() and len(part) < 10 and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            return None
    return found if isinstance(found, dict | bool) else None


def _circles(root: dict[str, Any], part: Any, path: tuple[int, ...], straight: set[int]) -> bool:
    """Whether validating one value against `part` would validate that same value against `part` again.

    `straight` gathers the parts that are known not to, so that none is walked twice.
    """
    if not isinstance(part, dict) or id(part) in straight:
        return False
    if id(part) in path:
        return True
    path = (*path, id(part))
    nexts = [_target(root, part["$ref"])] if isinstance(part.get("$ref"), str) and part["$ref"].startswith("#") else []
    for key in _IN_PLACE:
        value = part.get(key)
        nexts += value if isinstance(value, list) else [value]
    dependent = part.get("dependentSchemas")
    nexts += dependent.values() if isinstance(dependent, dict) else ()
    if any(_circles(root, following, path, straight) for following in nexts):
        return True
    straight.add(id(part))
    return False
