"""What a security check may say: its scanners, each a room with options of its own, and what is let through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, cast

from evaluators.security.finding import CONFIDENCES, SEVERITIES, Scanner
from harness.contract import Check, Refused

SCANNERS = "hallmark.scanners"
FAIL_ON = "medium"
CONFIDENCE = "low"
MEMORY = 4096
"""Megabytes that a scan may take unless told."""

_FAIL_ON = {"enum": list(SEVERITIES), "description": "the least severity that fails: low, medium, high or critical"}
_CONFIDENCE = {"enum": list(CONFIDENCES), "description": "the least confidence that fails: low, medium or high"}

_ALLOWANCE = {
    "type": "object",
    "properties": {
        "rule": {"type": "string", "minLength": 1, "description": "a rule such as B603, or bandit/B603"},
        "path": {
            "type": "string",
            "minLength": 1,
            "description": "a path from the project's root, as findings tell it; `*` and `**` stand for parts of it",
        },
        "reason": {"type": "string", "minLength": 1, "description": "why that may be, in a sentence"},
        "until": {
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}$",
            "description": 'the last day on which it holds, quoted: "2027-06-30"',
        },
    },
    "required": ["rule", "path", "reason"],
    "additionalProperties": False,
    "description": "a mapping with `rule`, `path`, `reason` and, best, `until`",
}


@cache
def _offered() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=SCANNERS), key=lambda point: point.name)}


def names() -> list[str]:
    return list(_offered())


@cache
def _room(name: str) -> ModuleType:
    offered = _offered()
    if name not in offered:
        raise Refused(f"no installed package offers the scanner `{name}`; there are {', '.join(offered) or 'none'}")
    try:
        room = offered[name].load()
    except ImportError as error:
        raise Refused(f"the scanner `{name}` can't be loaded: {error}") from None
    if not isinstance(room, ModuleType):
        raise Refused(f"the scanner `{name}` is no module with a few expected names")
    return room


def module(name: str) -> ModuleType:
    return _room(name)


def where(name: str) -> str:
    """The module of a scanner, as another process imports it."""
    return _offered()[name].module


def scanner(name: str) -> Scanner:
    return cast(Scanner, _room(name))


def asks(name: str) -> bool:
    """Whether it asks the check's model, rather than looking at files."""
    return hasattr(_room(name), "judge_rate")


def scanners_of(check: Check) -> list[str]:
    """The scanners of a check that look at files, in the order in which they are written."""
    return [name for name in check.options["scan"] if not asks(name)]


def asking_of(check: Check) -> list[str]:
    return [name for name in check.options["scan"] if asks(name)]


def options_of(check: Check, name: str) -> dict[str, Any]:
    """A scanner's own options, without what decides only afterwards what fails."""
    options = dict(check.options["scan"][name])
    if not asks(name):
        for key in _judging(name):
            options.pop(key, None)
    return options


def fail_on(check: Check, name: str) -> str:
    return str(check.options["scan"][name].get("fail_on", check.options.get("fail_on", FAIL_ON)))


def confidence(check: Check, name: str) -> str:
    return str(check.options["scan"][name].get("confidence", CONFIDENCE))


def _own(name: str) -> dict[str, Any]:
    """The schema of a scanner's options, which may also be written as its properties alone."""
    schema = dict(_room(name).SCHEMA)
    whole = isinstance(schema.get("properties"), Mapping)
    return schema if whole else {"properties": schema}


def _judging(name: str) -> dict[str, Any]:
    """What the room adds to a scanner's options."""
    own = _own(name)["properties"]
    return {key: part for key, part in (("fail_on", _FAIL_ON), ("confidence", _CONFIDENCE)) if key not in own}


def _options(name: str) -> dict[str, Any]:
    own = _own(name)
    added = {} if asks(name) else _judging(name)
    return {
        "description": f"a mapping with options of {name}; {{}} for none",
        **own,
        "type": "object",
        "properties": {**own["properties"], **added},
        "additionalProperties": False,
    }


@cache
def schema() -> dict[str, Any]:
    """Of each key that the kind adds to a check."""
    return {
        "properties": {
            "scan": {
                "type": "object",
                "properties": dict(_schemas()),
                "minProperties": 1,
                "additionalProperties": False,
                "description": f"a mapping with at least one of {', '.join(names())}",
            },
            "fail_on": _FAIL_ON,
            "at_most": {
                "type": "object",
                "properties": {
                    each: {"type": "integer", "minimum": 0, "description": f"how many {each} findings may be there"}
                    for each in SEVERITIES
                },
                "minProperties": 1,
                "additionalProperties": False,
                "description": "how many findings of a severity below `fail_on` may be there: {low: 20}",
            },
            "allow": {
                "type": "array",
                "items": _ALLOWANCE,
                "description": "a list of findings that may be: {rule, path, reason, until}",
            },
            "baseline": {
                "type": "string",
                "format": "record",
                "description": "a .json file of findings that were known before; `hallmark golden update` writes it",
            },
            "memory": {
                "type": "integer",
                "minimum": 64,
                "description": f"the megabytes that a scan may take, from 64 on; {MEMORY} unless told",
            },
        },
        "required": ["scan"],
    }


def _schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in names():
        yield name, _options(name)
