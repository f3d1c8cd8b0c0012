"""What a performance check may say, and what it means by it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

from evaluators.timing.budgets import (
    CONFIDENCE,
    CONFIDENCE_SCHEMA,
    NOISE_SCHEMA,
    PATIENCE,
    PATIENCE_SCHEMA,
    QUANTILES,
    least_samples,
    quantile_schema,
)
from harness.contract import Check
from harness.statistics.quantiles import least_n

SESSION = "session"
"""What is measured beside the cases: processes, throughput, memory."""
BASELINE = "baseline"
PROCESSES, ROUNDS = 5, 10
"""How many processes are timed; and how many of each of two models that are held against each other."""
AT_MOST = 1.1
SAMPLES = 100
EACH = 40
"""Samples a process, at least, where two models are held against each other."""
WARMUP = 3

_BATCH = {"type": "integer", "minimum": 1, "maximum": 4096, "description": "how many cases are asked at once, from 1"}


def _rate(unit: str) -> dict[str, Any]:
    one = {
        "type": "object",
        "properties": {
            "min": {"type": "number", "exclusiveMinimum": 0, "description": f"the least {unit}, above 0"},
            "batch": _BATCH,
        },
        "required": ["min"],
        "additionalProperties": False,
        "description": "a mapping such as {min: 200, batch: 32}",
    }
    return {
        "anyOf": [one, {"type": "array", "items": one, "minItems": 1}],
        "description": "a mapping such as {min: 200, batch: 32}, or a list of such",
    }


def _most(unit: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"max": {"type": "number", "exclusiveMinimum": 0, "description": f"the most {unit}, above 0"}},
        "required": ["max"],
        "additionalProperties": False,
        "description": "a mapping such as {max: 300}",
    }


_MS = quantile_schema("milliseconds")
OPTIONS: dict[str, Any] = {
    "budget": {
        "type": "object",
        "properties": {
            "latency_ms": _MS,
            "first_token_ms": _MS,
            "per_token_ms": _MS,
            "throughput": _rate("items a second"),
            "tokens_per_s": _rate("tokens a second"),
            "peak_memory_mb": _most("megabytes that MLX held"),
            "resident_mb": _most("megabytes that the process had"),
            "load_ms": _MS,
            "size_mb": _most("megabytes of weights"),
            "energy_j": _most("joules an item"),
        },
        "minProperties": 1,
        "additionalProperties": False,
        "description": "a mapping such as {latency_ms: {p95: 50}, resident_mb: {max: 500}}",
    },
    "samples": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100_000,
        "description": "how many answers are timed in all, at least; unless told, as many as the budget needs",
    },
    "processes": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "description": f"in how many fresh processes, from 1 to 100; {PROCESSES}, or {ROUNDS} of each of two models",
    },
    "warmup": {
        "type": "integer",
        "minimum": 0,
        "maximum": 1000,
        "description": f"how many answers are not timed at the start of each process; {WARMUP} unless told",
    },
    "against": {
        "type": "string",
        "minLength": 1,
        "description": "a model of this spec, or of an earlier run: base, base@certified, base@../runs/<run>",
    },
    "at_most": {
        "type": "number",
        "exclusiveMinimum": 1,
        "maximum": 100,
        "description": f"how many times as long as that it may take, above 1; {AT_MOST} unless told",
    },
    "of": {
        "enum": ["mean", *QUANTILES],
        "description": f"what of their times is held against each other: mean, or {', '.join(QUANTILES)}",
    },
    "confidence": CONFIDENCE_SCHEMA,
    "contaminated": NOISE_SCHEMA,
    "patience": PATIENCE_SCHEMA,
}
REQUIRED = ["model", "cases"]


class Rate(NamedTuple):
    """So many a second are asked, of so many cases at once; as many as the model is asked together unless told."""

    least: float
    batch: int | None
    path: tuple[str | int, ...]


def budget_of(check: Check) -> Mapping[str, Any]:
    found: Mapping[str, Any] = check.options.get("budget", {})
    return found


def confidence_of(check: Check) -> float:
    return float(check.options.get("confidence", CONFIDENCE))


def rates_of(check: Check, key: str) -> list[Rate]:
    written = budget_of(check).get(key, [])
    if isinstance(written, Mapping):
        return [Rate(written["min"], written.get("batch"), ("budget", key))]
    return [Rate(each["min"], each.get("batch"), ("budget", key, at)) for at, each in enumerate(written)]


def batches_of(check: Check, own: int) -> list[int]:
    """The batch sizes whose throughput is asked for; a size of the model's own where the check tells none."""
    rates = [*rates_of(check, "throughput"), *rates_of(check, "tokens_per_s")]
    return sorted({rate.batch or own for rate in rates})


def patience_of(check: Check) -> float:
    return float(check.options.get("patience", PATIENCE))


def at_most_of(check: Check) -> float:
    return float(check.options.get("at_most", AT_MOST))


def statistic_of(check: Check) -> Any:
    """What of the times is held against each other: `mean`, or the share of a quantile."""
    word = check.options.get("of", "mean")
    return QUANTILES.get(word, word)


def is_held(check: Check) -> bool:
    """Whether there is a model to be held against: of an earlier run there may be none yet."""
    return BASELINE in check.others


def processes_of(check: Check) -> int:
    usual = ROUNDS if is_held(check) else PROCESSES
    loads = budget_of(check).get("load_ms", {})
    needed = least_samples(loads, confidence_of(check)) if loads.keys() & QUANTILES.keys() else 1
    return int(check.options.get("processes", max(usual, needed)))


def needed_samples(check: Check) -> int:
    """The fewest with which every budget could be shown."""
    times = [budget_of(check).get(key, {}) for key in ("latency_ms", "first_token_ms", "per_token_ms")]
    return max(least_samples(each, confidence_of(check)) for each in times)


def samples_of(check: Check) -> int:
    """How many answers each process gives: with as few as would do, one that is out of line decides."""
    cases = sum(case.asks for case in check.cases)
    usual = max(SAMPLES, 2 * needed_samples(check), EACH * processes_of(check) if is_held(check) else 0)
    return ceil(max(int(check.options.get("samples", usual)), cases) / processes_of(check))


def least_processes(check: Check) -> int:
    """The fewest with which the time to open the model could be shown."""
    loads = budget_of(check).get("load_ms", {})
    return max((least_n(QUANTILES[key], confidence_of(check)) or 1 for key in loads if key in QUANTILES), default=1)
