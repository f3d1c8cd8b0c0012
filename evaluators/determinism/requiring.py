"""What a spec asks of each axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, isfinite, log, log1p
from typing import Any

from evaluators.determinism.comparing import Close
from harness.contract import Check, Objection

AXES = (
    "repeat", "process", "batch", "order", "padding", "threads", "seed", "cache", "speculative", "kv_bits", "compile",
    "tf32", "blas", "fused", "reload",
)  # fmt: skip
AGAINST = "against"
"""The axis that leads to another run, of another day, machine or version."""
REPEATED = ("repeat", "process", "order")
"""Axes on which a run is repeated as often as `runs` says."""
_OTHERWISE = {"kv_bits": "tokens", "compile": "tokens", "tf32": "tokens", "blas": "tokens", "fused": "tokens"}
"""Axes on which other arithmetic is meant to take place: bits can't be asked of it unasked."""
RUNS = 5
MOST = 10_000
VARY = ("repeat", "process", "batch", "order")
MISS = 0.05
"""The chance at which what a number of runs show is stated."""
_SETTINGS = {"batch_sizes": "batch", "threads": "threads", "kv_bits": "kv_bits"}

SCHEMA: dict[str, Any] = {
    "runs": {
        "type": "integer",
        "minimum": 2,
        "maximum": MOST,
        "description": f"a whole number from 2: one run has nothing to be held against; {RUNS} unless told",
    },
    "vary": {
        "type": "array",
        "items": {"enum": list(AXES), "description": "one of " + ", ".join(f"`{axis}`" for axis in AXES)},
        "minItems": 1,
        "uniqueItems": True,
        "description": f"a list of what is varied, such as [{', '.join(VARY)}], which it is unless told",
    },
    "require": {
        "type": ["string", "object"],
        "description": "`bits`, `tokens` or {close: {abs: 1.0e-5}}; or these by axis, such as {blas: tokens}",
    },
    "divergence": {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "description": "the share of runs, between 0 and 1, that may at most diverge, as far as `runs` can show it",
    },
    "batch_sizes": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 4096},
        "minItems": 1,
        "uniqueItems": True,
        "description": "the sizes of batches for `vary: [batch]`, such as [1, 2, 7]",
    },
    "threads": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 1024},
        "minItems": 1,
        "uniqueItems": True,
        "description": "numbers of threads for `vary: [threads]`, such as [1, 4]",
    },
    "kv_bits": {
        "type": "array",
        "items": {"enum": [2, 4, 8]},
        "minItems": 1,
        "uniqueItems": True,
        "description": "bits of the key-value cache for `vary: [kv_bits]`: a list of 2, 4 and 8",
    },
    "against": {
        "type": "string",
        "format": "record",
        "minLength": 1,
        "description": "a run's folder, or a file of hashes that `hallmark golden update` writes",
    },
}


def axes_of(check: Check) -> list[str]:
    return [*check.options.get("vary", VARY), *([AGAINST] if AGAINST in check.options else [])]


def runs_of(check: Check) -> int:
    return int(check.options.get("runs", RUNS))


def bound(runs: int) -> float:
    """The share of runs that may diverge and still go unseen in so many with a chance of one in twenty."""
    return float(1 - MISS ** (1 / runs))


def least_runs(divergence: float) -> int:
    runs = max(2, ceil(log(MISS) / log1p(-max(divergence, 1e-12)) - 1e-9))
    return runs if bound(runs) <= divergence else runs + 1


def required(check: Check, axis: str) -> tuple[str, Close | None]:
    """What is asked of an axis: `bits`, `tokens`, or `close` and how close."""
    said = check.options.get("require", {})
    said = said if isinstance(said, str) or "close" in said else said.get(axis, _OTHERWISE.get(axis, "bits"))
    return (said, None) if isinstance(said, str) else ("close", Close(**said["close"]))


def faults(check: Check) -> Iterator[Objection]:
    options, axes = check.options, axes_of(check)
    yield from _require_faults(options.get("require", "bits"), axes)
    for key, axis in _SETTINGS.items():
        if key in options and axis not in axes:
            what = f"`{key}` does nothing: `{axis}` is not varied"
            yield Objection((key,), "no-effect", what, f"add `{axis}` to `vary`, or drop `{key}`")
    if "divergence" not in options:
        return
    asked, runs = options["divergence"], runs_of(check)
    repeated = [axis for axis in axes if axis in REPEATED]
    if not repeated:
        what = "nothing is repeated, so that no share of diverging runs can be shown"
        yield Objection(
            ("divergence",), "runs", what, f"vary {', '.join(f'`{axis}`' for axis in REPEATED)}, or drop it"
        )
    elif bound(runs) > asked:
        what = f"{runs} runs can only show that less than {bound(runs):.1%} of runs diverge, and {asked:.3g} is asked"
        least = least_runs(asked)
        more = f"write `runs: {least}`, or ask for less" if least <= MOST else f"ask for {bound(MOST):.1g} at the least"
        yield Objection(("divergence",), "runs", what, more)


def _require_faults(said: Any, axes: list[str]) -> Iterator[Objection]:
    if isinstance(said, str) or "close" in said:
        yield from _one_faults(said, ("require",))
        return
    if not said:
        yield Objection(
            ("require",), "require", "it asks for nothing", "write `bits`, `tokens` or {close: {abs: 1.0e-5}}"
        )
    for axis, one in said.items():
        if axis not in axes:
            known = axis in (*AXES, AGAINST)
            what = f"`{axis}` is not varied" if known else f"`{axis}` is not an axis"
            add = "write `against:`" if axis == AGAINST else "add it to `vary`"
            instead = f"{add}, or drop this" if known else f"there are {', '.join(f'`{a}`' for a in axes)}"
            yield Objection(("require", axis), "require", what, instead)
        else:
            yield from _one_faults(one, ("require", axis))


def _one_faults(said: Any, path: tuple[str, ...]) -> Iterator[Objection]:
    instead = "write `bits`, `tokens` or {close: {abs: 1.0e-5}}"
    if isinstance(said, str):
        if said not in ("bits", "tokens"):
            yield Objection(path, "require", f"`{said}` is nothing that can be required", instead)
        return
    if not isinstance(said, Mapping) or said.keys() != {"close"}:
        yield Objection(path, "require", "this is nothing that can be required", instead)
        return
    close = said["close"]
    if not isinstance(close, Mapping) or not close or close.keys() - {"abs", "rel"}:
        yield Objection((*path, "close"), "require", "it says how close with `abs` and `rel`", "such as {abs: 1.0e-5}")
        return
    for key, value in close.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
            yield Objection((*path, "close", key), "require", f"`{key}` is a number from 0", "such as 1.0e-5")
