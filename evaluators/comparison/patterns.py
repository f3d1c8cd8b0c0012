"""Regular expressions that users write, and how values are shown in what is said of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

Fault = tuple[str, str] | None
"""What is wrong with an expectation, and what to write instead."""


@lru_cache(maxsize=4096)
def pattern(text: str) -> Any:
    """A regular expression of RE2, which takes time linear in the text it searches, whatever the expression."""
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


def pattern_fault(text: str) -> Fault:
    import re2

    try:
        pattern(text)
    except re2.error as error:
        said = error.args[0] if error.args else error
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        return (
            f"the pattern {show(text)} is not one of RE2's: {said}",
            "write it without back-references and look-around",
        )
    return None


def show(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else f"{text[:120]}..."
