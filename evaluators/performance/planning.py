"""What is wrong with a performance check before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evaluators.performance.language import (
    BASELINE,
    SESSION,
    budget_of,
    confidence_of,
    is_held,
    least_processes,
    processes_of,
    rates_of,
)
from evaluators.timing.budgets import QUANTILES
from harness.contract import Check, Objection, Part
from harness.statistics.quantiles import least_n
from harness.statistics.resampling import PROCESSES as FEWEST


def cast(options: Mapping[str, Any]) -> dict[str, Part]:
    """The model that it is held against: one of this spec, or one of an earlier run by the name it had there."""
    against = options.get("against")
    if not isinstance(against, str):
        return {}
    name, mark, run = against.partition("@")
    return {BASELINE: Part(name, ("against",), run=run if mark else "")}


def faults(check: Check) -> Iterator[Objection]:
    budget, options = budget_of(check), check.options
    if not budget and not is_held(check):
        if "against" in options:
            what = "nothing is certified yet that it could be held against, and it has no budget"
            yield Objection(("against",), "budget", what, "give it a `budget` too, such as {latency_ms: {p95: 50}}")
        else:
            what = "it asks for nothing"
            yield Objection((), "budget", what, "write a `budget`, such as {latency_ms: {p95: 50}}, or `against`")
    if "@" in options.get("against", "") and not options["against"].partition("@")[2]:
        what = "`@` names no run"
        yield Objection(("against",), "run", what, "write @certified, @latest, or @ and a run's folder")
    for key in ("at_most", "of") if "against" not in options else ():
        if key in options:
            what = f"`{key}` belongs to `against`, and nothing is held against"
            yield Objection((key,), "no-effect", what, "remove it, or name a model in `against`")
    yield from _too_few(check)
    yield from _same_rates(check)
    for index, case in enumerate(check.cases):
        if case.id == SESSION:
            what = f"`{SESSION}` is what a performance check calls what it measures beside the cases"
            yield Objection(("cases", index), "case-id", what, "rename the case")
        if case.weight != 1:
            yield Objection(("cases", index), "weight", "all cases are asked alike: times know no weights", "remove it")


def _too_few(check: Check) -> Iterator[Objection]:
    """Budgets that so few samples can never show."""
    confidence, samples = confidence_of(check), check.options.get("samples")
    for key in ("latency_ms", "first_token_ms", "per_token_ms") if samples is not None else ():
        for word in budget_of(check).get(key, {}):
            needed = (least_n(QUANTILES[word], confidence) or 1) if word in QUANTILES else 1
            if needed > (samples or 0):
                many = f"{samples} sample{'s' * (samples != 1)}"
                what = f"{many} can't bound {word} with a confidence of {confidence:g}, however fast it is"
                yield Objection(("budget", key, word), "never", what, f"write `samples: {needed}` or more")
    needed = least_processes(check)
    if processes_of(check) < needed:
        what = f"{processes_of(check)} processes open it as often, which can't bound a quantile of `load_ms`"
        yield Objection(("budget", "load_ms"), "never", what, f"write `processes: {needed}` or more, or `max`")
    if is_held(check) and processes_of(check) < FEWEST:
        what = f"{processes_of(check)} of each don't show how processes vary"
        yield Objection(("processes",), "never", what, f"write {FEWEST} or more")


def _same_rates(check: Check) -> Iterator[Objection]:
    for key in ("throughput", "tokens_per_s"):
        seen: set[int | None] = set()
        for rate in rates_of(check, key):
            if rate.batch in seen:
                what = f"`{key}` has two budgets for the same batch"
                yield Objection(rate.path, "duplicate", what, "keep one of them")
            seen.add(rate.batch)
