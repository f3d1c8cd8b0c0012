"""The JSON Schemas that Hallmark publishes: of what it reads, and of what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.contract import Certificate, Outcome
from harness.spec.envelope import CASE, spec_schema

FOLDER = Path(__file__).parent / "schema"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _of(type_: Any, title: str) -> dict[str, Any]:
    """The schema of a type of the contract; an object that Hallmark writes has no other keys than these."""
    (schema,), definitions = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    for part in definitions.values():
        if part.get("type") == "object" and "properties" in part:
            part["additionalProperties"] = False
    return {"$schema": _DRAFT, "title": title, **schema, "$defs": definitions}


SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "spec": spec_schema,
    "case": lambda: {"$schema": _DRAFT, "title": "A Hallmark case", **CASE},
    "outcome": lambda: _of(Outcome, "A line of outcomes.jsonl that tells what came of a case"),
    "certificate": lambda: _of(Certificate, "A Hallmark certificate"),
}
