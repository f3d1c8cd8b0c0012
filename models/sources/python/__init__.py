"""A function of yours, named in the spec: plain, `async def`, or one that takes a whole batch.

models:
  agent: {python: "acme.agents:answer"}                           # answer(input), once a case
  soon:  {python: "acme.agents:answer_soon", concurrency: 8}      # async def: the cases of a batch at once
  crew:  {python: "acme.agents:answer_all", batched: true}        # answer_all(inputs) -> as many answers

It runs what a spec names, so only where the user allowed that: --allow-python, or `hallmark_allow_python = true`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.contract import Objection, Refused, Site

if TYPE_CHECKING:
    from models.sources.python.calling import Called

SCHEMA = {
    "properties": {
        "python": {"type": "string", "description": "a function as `package.module:function`"},
        "batched": {
            "type": "boolean",
            "description": "true where the function takes the list of a batch's inputs and returns as many answers",
        },
        "concurrency": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1024,
            "description": "how many calls of an `async def` function run at once, from 1 to 1024; 4 unless told",
        },
    }
}
BATCH = 16

_NAMED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_DISTRUST = "`python:` runs code named in a spec"
_ALLOW = "allow it with --allow-python, or `hallmark_allow_python = true` in pytest's ini"


def faults(options: Mapping[str, Any], site: Site) -> Iterator[Objection]:
    """What can be said without importing anything."""
    named = options["python"]
    if not _NAMED.fullmatch(named):
        said = f"`{named}` names no function of a module"
        yield Objection(("python",), "function", said, "write `package.module:function`")
    elif not site.trusted:
        yield Objection(("python",), "not-allowed", _DISTRUST, _ALLOW)
    if options.get("batched") and "concurrency" in options:
        said = "a function that takes the whole batch is called once for it"
        yield Objection(("concurrency",), "concurrency", said, "leave `concurrency` out, or `batched`")


def recipe(options: Mapping[str, Any], site: Site) -> list[Any]:
    """How many calls run at once decides no answer."""
    return [options["python"], options.get("batched", False)]


def open(options: Mapping[str, Any], site: Site) -> Called:
    if not site.trusted:
        raise Refused(f"{_DISTRUST}; {_ALLOW}")
    from models.sources.python.calling import Called
    from models.sources.python.finding import find

    return Called(find(options["python"], site.root), site.root, options)
