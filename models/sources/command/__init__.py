"""A program that is asked in lines of JSON, in any language: started once, and kept.

models:
  agent: {command: [python, agent.py]}
  crew:  {command: {run: [./bin/crew, --quiet], batched: true, timeout: 20}}

It reads {"id": ..., "input": ...} and writes {"id": ..., "answer": ...} or {"id": ..., "error": "why not"}, a line
each. It starts in the project's root when a run first asks it; validating and planning start nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.contract import Objection, Site

if TYPE_CHECKING:
    from models.sources.command.agent import Agent

_WORDS = {"items": {"type": "string", "description": "text: quote a number"}, "minItems": 1}
SCHEMA = {
    "properties": {
        "command": {
            "type": ["array", "object"],
            **_WORDS,
            "properties": {
                "run": {"type": "array", **_WORDS, "description": "a program and its arguments, as a list of texts"},
                "timeout": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 86400,
                    "description": "seconds above 0 that each answer may take after the one before; 60 unless told",
                },
                "batched": {
                    "type": "boolean",
                    "description": "true where it is given all lines of a batch at once and answers them in any order",
                },
            },
            "required": ["run"],
            "additionalProperties": False,
            "description": "a program and its arguments, such as [python, agent.py], or {run: [...], timeout: 20}",
        }
    }
}
BATCH = 16


def faults(options: Mapping[str, Any], site: Site) -> Iterator[Objection]:
    """What can be said without starting anything."""
    from models.sources.command.words import mistake

    given = options["command"]
    if (wrong := mistake(_run(given))) is not None:
        yield Objection(("command", 0) if given is _run(given) else ("command", "run", 0), "program", *wrong)


def recipe(options: Mapping[str, Any], site: Site) -> list[Any]:
    """How long it may take decides no answer."""
    given = options["command"]
    return [_run(given), isinstance(given, Mapping) and given.get("batched", False)]


def open(options: Mapping[str, Any], site: Site) -> Agent:
    from models.sources.command.agent import Agent

    given = options["command"]
    return Agent(_run(given), site.root, given if isinstance(given, Mapping) else {})


def _run(given: Any) -> list[str]:
    run: list[str] = given["run"] if isinstance(given, Mapping) else given
    return run
