"""What a load check says: how many users ask how fast and for how long, of which server, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from evaluators.comparison import SCHEMA as COMPARE
from evaluators.load.crowd import MOST_REQUESTS, Stage
from evaluators.timing.budgets import (
    CONFIDENCE,
    CONFIDENCE_SCHEMA,
    NOISE_SCHEMA,
    PATIENCE,
    PATIENCE_SCHEMA,
    quantile_schema,
)
from harness.contract import Check

LOOK = "load"
"""What a load check calls its look at the whole load."""
REFUSED = "refused"
HOUR = 3600.0
RAMP, DURATION, COUNTED, GIVE_UP, WITHIN = 2.0, 10.0, 60.0, 30.0, 60.0
"""Seconds, unless told: until all users are there; with all of them; the same where requests are counted; that a user
waits for a reply; that a server has to come up.
"""
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _time(words: str) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": HOUR},
            {"type": "string", "pattern": f"^{_TIME.pattern}$"},
        ],
        "description": f"{words}: seconds, or a time such as 500ms, 10s or 2m",
    }


def _whole(least: int, most: int, words: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most, "description": f"{words}, from {least} to {most:,}"}


_USERS = _whole(1, 2000, "how many users")
_SHARE = {"type": "number", "minimum": 0, "maximum": 1, "description": "a share from 0 to 1"}
_SERVE = {
    "type": ["string", "object"],
    "pattern": "^mlx_lm$",
    "minProperties": 1,
    "properties": {
        "mlx_lm": {
            "type": "object",
            "properties": {
                "max_tokens": _whole(1, 1_000_000, "the most tokens of an answer"),
                "decode_concurrency": _whole(1, 4096, "how many answers are written at once"),
                "prompt_concurrency": _whole(1, 4096, "how many prompts are read at once"),
                "prompt_cache_size": _whole(1, 100_000, "how many prompts are remembered"),
            },
            "additionalProperties": False,
            "description": "options of mlx_lm.server, such as {max_tokens: 16}",
        },
        "command": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": 'a program and its arguments, such as [python, server.py, --port, "{port}"]',
        },
        "port": _whole(1, 65535, "the port it listens at"),
        "within": _time("how long it may take to come up"),
        "ready": {
            "type": "string",
            "pattern": "^/[!-~]*$",
            "description": "a path that answers once it is up: /health",
        },
        "path": {"type": "string", "pattern": "^(/[!-~]*)?$", "description": "the path of its API, /v1 unless told"},
        "api": {"enum": ["auto", "chat", "completions"], "description": "auto, chat or completions"},
        "max_tokens": _whole(1, 1_000_000, "the most tokens of an answer"),
    },
    "additionalProperties": False,
    "description": '`mlx_lm`, {mlx_lm: {max_tokens: 16}}, or {command: [python, server.py, --port, "{port}"]}',
}
_BUDGET = {
    "type": "object",
    "properties": {
        "latency_ms": quantile_schema("milliseconds"),
        "failures": {
            "type": "object",
            "properties": {"max": {**_SHARE, "description": "the share of requests that may fail, such as 0.01"}},
            "required": ["max"],
            "additionalProperties": False,
            "description": "a mapping such as {max: 0.01}",
        },
        "requests_per_s": {
            "type": "object",
            "properties": {
                "min": {"type": "number", "exclusiveMinimum": 0, "description": "a number of answers a second above 0"}
            },
            "required": ["min"],
            "additionalProperties": False,
            "description": "a mapping such as {min: 20}",
        },
    },
    "minProperties": 1,
    "additionalProperties": False,
    "description": "a mapping such as {latency_ms: {p95: 800}, failures: {max: 0.01}, requests_per_s: {min: 20}}",
}
SCHEMA = {
    "properties": {
        "serve": _SERVE,
        "users": {
            "anyOf": [_USERS, {"type": "array", "items": _USERS, "minItems": 1, "maxItems": 10}],
            "description": "how many users ask at once, from 1 to 2000, or a list of up to 10 such, a stage each",
        },
        "spawn_rate": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1000,
            "description": "how many users come in a second, above 0, at most 1000",
        },
        "ramp": _time("how long it takes until all users are there"),
        "duration": _time("how long a stage lasts with all of its users"),
        "requests": _whole(1, MOST_REQUESTS, "how many requests of a stage are counted"),
        "think": {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": HOUR},
                {
                    "type": "array",
                    "items": {"type": "number", "minimum": 0, "maximum": HOUR},
                    "minItems": 2,
                    "maxItems": 2,
                },
            ],
            "description": "the seconds between a reply and a user's next question, or [least, most]",
        },
        "give_up": _time("how long a user waits for a reply"),
        "mix": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1e6,
                "description": "a number above 0",
            },
            "description": "how often cases are asked by their tags, such as {sums: 3, words: 1}",
        },
        "compare": COMPARE,
        "answers": {
            "type": "object",
            "properties": {"same": {**_SHARE, "description": "the share of answers that must be right, such as 1.0"}},
            "required": ["same"],
            "additionalProperties": False,
            "description": "a mapping such as {same: 0.99}",
        },
        "caching": {
            "enum": [REFUSED, "allowed"],
            "description": "`refused`: to ask the same again must not be what makes it fast; or `allowed`",
        },
        "budget": _BUDGET,
        "confidence": CONFIDENCE_SCHEMA,
        "contaminated": NOISE_SCHEMA,
        "patience": PATIENCE_SCHEMA,
    },
    "required": ["model", "cases", "users"],
}


class Serving(NamedTuple):
    """A server that the check starts."""

    command: tuple[str, ...]
    """Empty where it is mlx_lm.server."""
    own: Mapping[str, Any]
    """Options of mlx_lm.server."""
    port: int
    """0 where any will do."""
    within: float
    ready: str
    path: str
    asked: Mapping[str, Any]
    """How it is asked, in the words of an `http` model."""


def seconds(written: float | str) -> float:
    """A time, whichever way it is written."""
    if not isinstance(written, str):
        return float(written)
    found = _TIME.fullmatch(written.strip())
    if found is None:
        raise ValueError(f"{written!r} is no time")
    return float(found[1]) * _UNITS[found[2]]


def serving_of(check: Check) -> Serving | None:
    written = check.options.get("serve")
    if written is None:
        return None
    given: Mapping[str, Any] = {"mlx_lm": {}} if isinstance(written, str) else written
    command = tuple(given.get("command", ()))
    asked = {key: given[key] for key in ("api", "max_tokens") if key in given}
    own = dict(given.get("mlx_lm", {}))
    if "max_tokens" in own:
        asked["max_tokens"] = own.pop("max_tokens")
    return Serving(
        command=command,
        own=own,
        port=given.get("port", 0),
        within=seconds(given.get("within", WITHIN)),
        ready=given.get("ready", "" if command else "/health"),
        path=given.get("path", "/v1"),
        asked=asked,
    )


def stages_of(check: Check) -> list[Stage]:
    options = check.options
    users = options["users"]
    think = options.get("think", 0)
    duration = seconds(options.get("duration", COUNTED if "requests" in options else DURATION))
    return [
        Stage(
            users=many,
            rate=float(options.get("spawn_rate", many / seconds(options.get("ramp", RAMP)))),
            duration=duration,
            requests=options.get("requests", MOST_REQUESTS),
            think=(float(think[0]), float(think[1])) if isinstance(think, list) else (float(think), float(think)),
            give_up=give_up_of(check),
        )
        for many in (users if isinstance(users, list) else [users])
    ]


def give_up_of(check: Check) -> float:
    return seconds(check.options.get("give_up", GIVE_UP))


def patience_of(check: Check) -> float:
    """Seconds to wait in all for the machine to be quiet."""
    return float(check.options.get("patience", PATIENCE))


def budget_of(check: Check) -> Mapping[str, Any]:
    return check.options.get("budget", {})  # type: ignore[no-any-return]


def confidence_of(check: Check) -> float:
    return float(check.options.get("confidence", CONFIDENCE))


def same_of(check: Check) -> float:
    """The share of answers that must be right."""
    return float(check.options.get("answers", {}).get("same", 1.0))


def audited(check: Check) -> bool:
    return bool(check.options.get("caching", REFUSED) == REFUSED)


def weights_of(check: Check) -> list[float]:
    """How often each case is asked, beside the others: by its tags where there is a mix, else by its own weight."""
    mix: Mapping[str, float] | None = check.options.get("mix")
    if mix is None:
        return [case.weight for case in check.cases if case.asks]
    cases = [case for case in check.cases if case.asks]
    whole = {tag: sum(case.weight for case in cases if tag in case.tags) for tag in mix}
    return [sum(mix[tag] * case.weight / whole[tag] for tag in mix if tag in case.tags) for case in cases]
