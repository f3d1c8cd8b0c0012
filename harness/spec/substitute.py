"""`${env:NAME}` and `${matrix.name}` in the strings of a spec."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from harness.redaction import is_secret
from harness.spec.faults import Fault, Spot, meant
from harness.spec.text import Map, Seq, Surprise, read_plain

_VARIABLE = re.compile(r"\$(?:\$|\{([^}]*)\})")


class Substitution:
    """Fills variables in, and remembers which of the environment's it used."""

    def __init__(self, matrix: Mapping[str, Any], faults: list[Fault], env: dict[str, str]) -> None:
        self.matrix = matrix
        self.faults = faults
        self.env = env

    def fill(self, value: Any, spot: Spot, *, skip: tuple[str, ...] = ()) -> Any:
        if isinstance(value, str):
            return self._text(value, spot) if "$" in value else value
        if isinstance(value, Map):
            made = Map(value.spot)
            for key, item in value.items():
                at = value.values_at[key]
                made.put(key, item if key in skip else self.fill(item, at), value.keys_at[key], at)
            return made
        if isinstance(value, Seq):
            items = Seq(value.spot)
            for item, at in zip(value, value.items_at, strict=True):
                items.put(self.fill(item, at), at)
            return items
        return value

    def _text(self, text: str, spot: Spot) -> Any:
        whole = _VARIABLE.fullmatch(text)
        if whole and whole[1] is not None:
            return self._value(whole[1], spot, whole=True)
        # A `${` that nothing closes would be looked for to the end of the text, each of them again.
        ended = text.rfind("}") + 1
        filled = _VARIABLE.sub(
            lambda m: "$" if m[1] is None else _spell(self._value(m[1], spot, whole=False)), text[:ended]
        )
        return filled + text[ended:].replace("$$", "$")

    def _value(self, name: str, spot: Spot, *, whole: bool) -> Any:
        if name.startswith("env:"):
            return self._env(name[4:], spot, whole=whole)
        if name.startswith("matrix."):
            key = name[7:]
            if key in self.matrix:
                return self.matrix[key]
            self._fault(
                spot,
                f"`{key}` is not in the matrix of this check",
                meant(key, self.matrix) or "write `matrix:` beside it",
            )
            return ""
        self._fault(
            spot, f"`${{{name}}}` is not a variable", "write ${env:NAME} or ${matrix.name}, or $$ for a dollar sign"
        )
        return ""

    def _env(self, name: str, spot: Spot, *, whole: bool) -> Any:
        name, has_default, default = name.partition(":-")
        value = os.environ.get(name)
        self.env[name] = value if value is not None else "\0"
        if value is None:
            if not has_default:
                self._fault(spot, f"the environment has no `{name}`", f"set it, or write ${{env:{name}:-a default}}")
                return ""
            value = default
        if value is not None and is_secret(name, value):
            what = f"`{name}` seems to hold a secret, which would be written into the plan and into every report"
            self._fault(spot, what, "have the model's source read it (`key_env` of http), or rename it if it is none")
            return ""
        if not _is_text(value):
            self._fault(spot, f"the environment's `{name}` is not UTF-8", "set it to text")
            return ""
        if not whole:
            return value
        try:
            return read_plain(value)
        except Surprise as surprise:
            code, what, _ = surprise.said
            self.faults.append(Fault(spot, code, f"in the environment's `{name}`, {what}", "set it to a plain value"))
            return value

    def _fault(self, spot: Spot, what: str, instead: str) -> None:
        self.faults.append(Fault(spot, "variable", what, instead))


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
