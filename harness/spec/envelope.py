"""The spec language, as JSON Schema: an envelope of ours, into which each room puts its own part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import rooms
from harness.contract import LANGUAGE

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_NAME = {"type": "string", "pattern": NAME, "description": "a name of letters, digits, `_`, `.` and `-`"}
_WORDS = {"type": "array", "items": {"type": "string"}, "description": "a list of words"}

CASE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "stable and unique in its check; printable, without spaces at its ends",
        },
        "input": {"description": "what the model is shown: any JSON value"},
        "expect": {"description": "what it must answer, read by the check's `compare`: any JSON value"},
        "tags": _WORDS,
        "weight": {"type": "number", "exclusiveMinimum": 0, "description": "a finite number above 0; 1 unless told"},
        "cluster": {
            "type": "string",
            "description": "what the case belongs to, where cases of one origin resemble each other",
        },
    },
    "required": ["id", "input"],
    "additionalProperties": False,
}

CRITERION: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": _NAME,
        "needs": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "a list of checks"},
        "why": {"type": "string"},
        "weight": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 100,
            "description": "its part of the score, above 0; those of all criteria add up to 1, or to 100",
        },
    },
    "required": ["id", "needs"],
    "additionalProperties": False,
}

_SAID = {"type": "string", "pattern": r"\S", "description": "words"}
DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

WAIVER: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "check": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "description": "the name of a check, or a list of them",
        },
        "who": {**_SAID, "description": "who answers for it"},
        "why": {**_SAID, "description": "the reason that a reviewer reads"},
        "until": {"type": "string", "pattern": DAY, "description": 'the last day that it holds, quoted: "2027-01-31"'},
    },
    "required": ["check", "who", "why", "until"],
    "additionalProperties": False,
}

TOP: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "hallmark": {"const": LANGUAGE, "description": f"the language version, {LANGUAGE}"},
        "name": _NAME,
        "about": {"type": "string"},
        "numerics": {
            "enum": ["strict", "fast"],
            "description": "`strict` (the backend as installed, bit-exact) or `fast` (a fast BLAS in front of it)",
        },
        "include": {
            "type": "array",
            "items": {"type": "string"},
            "description": "a list of fragments, whose file names start with `_`",
        },
        "defaults": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "description": "a mapping below the name of a kind: {golden: {timeout: 30}}",
            },
            "description": "options by kind",
        },
        "models": {
            "type": "object",
            "propertyNames": _NAME,
            "additionalProperties": {"type": "object", "description": "a mapping such as {replay: answers.jsonl}"},
            "description": "models by name",
        },
        "checks": {"type": "array", "items": {"type": "object"}, "description": "a list of checks"},
        "certificate": {
            "type": "object",
            "properties": {
                "criteria": {"type": "array", "items": CRITERION},
                "expires": {
                    "type": "string",
                    "pattern": f"^[1-9][0-9]{{0,4}}[hdw]$|{DAY}",
                    "description": 'a time such as 12h, 90d or 8w, or the last day, quoted: "2027-01-31"',
                },
                "waivers": {"type": "array", "items": WAIVER, "description": "a list of waivers"},
                "error_rate": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "exclusiveMaximum": 0.5,
                    "description": "the chance, above 0 and below 0.5, of any false claim of all checks together",
                },
                "across": {
                    "enum": ["holm"],
                    "description": "`holm`: how the error rate is kept across checks; that is how, unless told",
                },
                "looks": {
                    "enum": ["count", "spend"],
                    "description": "`count` the looks at a question, or have each `spend` a part of the error rate",
                },
            },
            "additionalProperties": False,
        },
    },
    "required": ["hallmark"],
    "additionalProperties": False,
}

COMMON: Mapping[str, Any] = {
    "name": _NAME,
    "kind": {"type": "string"},
    "about": {"type": "string"},
    "model": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "description": "the name of a model, or a list of them",
    },
    "cases": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": CASE}],
        "description": "a file of cases (.jsonl, .json, .yaml, .csv), or a list of them",
    },
    "matrix": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "description": "a name of letters, digits and `_`"},
        "additionalProperties": {
            "type": "array",
            "minItems": 1,
            "items": {"type": ["string", "number", "boolean"]},
            "description": "a list of words or numbers",
        },
        "minProperties": 1,
        "description": "values by name, used as ${matrix.name}",
    },
    "after": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "description": "a list of checks, without whose passing this one is not measured",
    },
    "timeout": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 86400,
        "description": "the seconds that a case may take, above 0",
    },
}

BATCH: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": 4096,
    "description": "how many cases are answered together, from 1 to 4096",
}


def check_schema(kind: str) -> dict[str, Any]:
    part = rooms.evaluator(kind).SCHEMA
    return {
        "type": "object",
        "properties": {**COMMON, "kind": {"const": kind}, **part.get("properties", {})},
        "required": ["name", "kind", *part.get("required", ())],
        "additionalProperties": False,
    }


def model_schema(how: str) -> dict[str, Any]:
    part = rooms.source(how).SCHEMA
    return {
        "type": "object",
        "properties": {**part.get("properties", {}), "batch": BATCH},
        "required": [how, *part.get("required", ())],
        "additionalProperties": False,
    }


def made_schema(how: str | None, what: str | None) -> dict[str, Any]:
    """A model that is made `from:` another, whose source is `how`; of any source where that is not known."""
    sources = [how] if how else rooms.names(rooms.SOURCES)
    serving = [(rooms.source(each), key) for each in sources for key in getattr(rooms.source(each), "SERVING", ())]
    part = rooms.variant(what).SCHEMA["properties"] if what else {}
    return {
        "type": "object",
        "properties": {
            "from": {"type": "string", "description": "the name of another model"},
            **part,
            **{key: room.SCHEMA["properties"][key] for room, key in serving},
            "batch": BATCH,
        },
        "required": ["from", *part],
        "additionalProperties": False,
    }


def spec_schema() -> dict[str, Any]:
    """The whole language, for editors and for people: what `hallmark schema` writes."""
    kinds, hows, whats = rooms.names(rooms.EVALUATORS), rooms.names(rooms.SOURCES), rooms.names(rooms.VARIANTS)
    models = {f"model_{how}": model_schema(how) for how in hows}
    models |= {f"variant_{what}": made_schema(None, what) for what in whats} | {"model_again": made_schema(None, None)}
    properties = dict(TOP["properties"])
    properties["defaults"] = {
        "type": "object",
        "description": "options by kind",
        "properties": {
            kind: {
                "type": "object",
                "properties": {k: v for k, v in check_schema(kind)["properties"].items() if k not in ("name", "kind")},
                "additionalProperties": False,
            }
            for kind in kinds
        },
        "additionalProperties": False,
    }
    properties["models"] = {
        **properties["models"],
        "additionalProperties": {"type": "object", "oneOf": [{"$ref": f"#/$defs/{name}"} for name in models]},
    }
    properties["checks"] = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"kind": {"enum": kinds}},
            "required": ["name", "kind"],
            "allOf": [
                {
                    "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                    "then": {"$ref": f"#/$defs/check_{kind}"},
                }
                for kind in kinds
            ],
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Hallmark spec",
        **TOP,
        "properties": properties,
        "$defs": {
            **{f"check_{kind}": _open(check_schema(kind)) for kind in kinds},
            **models,
        },
    }


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """A check as it may be written: what `defaults` may supply is not required of it."""
    return {**schema, "required": ["name", "kind"]}
