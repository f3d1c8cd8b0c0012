"""From the times of a session to a verdict. A pure function of what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from evaluators.performance.language import (
    SESSION,
    at_most_of,
    budget_of,
    confidence_of,
    is_held,
    rates_of,
    statistic_of,
)
from evaluators.performance.record import MODEL, Session, Times, session_of, times_of
from evaluators.timing.budgets import Ruled, least_median, most_seen, quantiles_within, under_noise, verdict_of
from harness.contract import Check, Outcome, Verdict
from harness.statistics.quantiles import between
from harness.statistics.resampling import ratio_of_rounds, regressed

_SLOWER = 0.8
"""Of the usual clock rate: a processor that runs slower than this times itself, and not the model."""
_TIMES = {"latency_ms": "ms", "first_token_ms": "first_ms", "per_token_ms": "per_token_ms"}
_RATES = {"throughput": " a second", "tokens_per_s": " tokens a second"}
_SHOWN = ("p50", 0.5), ("p95", 0.95)


def judge(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    """The worst of what is said of each budget; of a model that can't answer a case, or was not timed, nothing."""
    session_told = next((each for each in outcomes if each.case == SESSION), None)
    bad = [each for each in outcomes if each.outcome == "error"]
    if bad:
        many = f"{len(bad)} of its {len(check.cases)} cases are" if len(bad) > 1 else f"`{bad[0].case}` is"
        return Verdict(verdict="error", reason=f"{many} in error")
    lacking = sum(each.outcome == "skipped" for each in outcomes) + len(check.cases) - len(outcomes)
    if session_told is None or lacking:
        return Verdict(verdict="inconclusive", reason=f"{max(lacking, 1)} of its cases were not timed")
    try:
        session = session_of(session_told.answer)
        times = [times_of(each.answer) for each in outcomes if each.case != SESSION]
    except msgspec.ValidationError as error:
        return Verdict(verdict="error", reason=f"the record is not that of a session: {error}")
    ruled = rulings(check, session, times)
    return verdict_of(ruled, figures=_figures(check, session, times), where=_where(session))


def rulings(check: Check, session: Session, times: Sequence[Times]) -> list[Ruled]:
    """What is said of each budget, and of what it is held against."""
    disturbed = _disturbed(session)
    may_pass = check.options.get("contaminated") == "may-pass"
    ruled = [under_noise(each, disturbed, may_pass=may_pass) for each in _timed(check, session, times)]
    ruled += _weighed(check, session)
    if is_held(check):
        ruled.append(under_noise(_held(check, session, times), disturbed, may_pass=False))
    return ruled


def _timed(check: Check, session: Session, times: Sequence[Times]) -> Iterator[Ruled]:
    """What is said of times; of packed weights they tell only where a device computes them as it reads them."""
    budget, confidence = budget_of(check), confidence_of(check)
    own = [process for process in session.processes if process.of == MODEL]
    why = _untold(session)
    if why and {*_TIMES, *_RATES, "energy_j"} & budget.keys():
        yield Ruled("times", "unsupported", why)
    if not why:
        yield from _answered(check, session, times)
    if "load_ms" in budget:
        opened = [[process.opening_ms] for process in own]
        noise = next((said for p in own if p.opening_noise and (said := p.opening_noise.disturbs())), "")
        may_pass = check.options.get("contaminated") == "may-pass"
        for each in quantiles_within("load_ms", " ms", opened, budget["load_ms"], confidence):
            yield under_noise(each, noise, may_pass=may_pass)


def _answered(check: Check, session: Session, times: Sequence[Times]) -> Iterator[Ruled]:
    """What is said of the times of answers."""
    budget, confidence = budget_of(check), confidence_of(check)
    own = [process for process in session.processes if process.of == MODEL]
    for key, field in _TIMES.items():
        if key in budget and key != "latency_ms" and not session.streams:
            yield Ruled(key, "unsupported", f"{key}: the model does not tell when its tokens come")
        elif key in budget:
            yield from quantiles_within(key, " ms", by_process(times, field), budget[key], confidence)
    for key, unit in _RATES.items():
        for rate in rates_of(check, key):
            size = rate.batch or session.batch
            groups = [getattr(process, key).get(str(size), []) for process in own]
            if key == "tokens_per_s" and not any(groups):
                yield Ruled(key, "unsupported", f"{key}: the model does not tell its tokens")
            else:
                yield least_median(f"{key}@{size}", unit, groups, rate.least, confidence)
    if "energy_j" in budget:
        joules = [value for process in own for value in process.joules]
        if joules:
            yield most_seen("energy_j", " J", joules, budget["energy_j"]["max"])
        else:
            yield Ruled("energy_j", "unsupported", "energy_j: this machine does not tell what it uses")


def _weighed(check: Check, session: Session) -> Iterator[Ruled]:
    """What is said of memory and bytes, on which no noise tells."""
    budget = budget_of(check)
    own = [process for process in session.processes if process.of == MODEL]
    found: dict[str, tuple[list[float], str]] = {
        "peak_memory_mb": ([p.peak_memory_mb for p in own if p.peak_memory_mb is not None], "it does not use MLX"),
        "resident_mb": ([p.peak_resident_mb for p in own if p.peak_resident_mb], "the system does not tell"),
        "size_mb": ([] if session.size_mb is None else [session.size_mb], "it has no weights here to weigh"),
    }
    for key, (values, why) in found.items():
        if key in budget and values:
            yield most_seen(key, " MB", values, budget[key]["max"])
        elif key in budget:
            yield Ruled(key, "unsupported", f"{key}: {why}")


def _held(check: Check, session: Session, times: Sequence[Times]) -> Ruled:
    """How many times as long as the other it takes, by processes that were timed in turns."""
    most, word = at_most_of(check), check.options.get("of", "mean")
    if why := _untold(session):
        return Ruled("ratio", "unsupported", why, bar=most)
    mine, theirs = _lists(times, "ms"), _lists(times, "baseline_ms")
    if not any(mine) or not any(theirs) or len(mine) != len(theirs):
        return Ruled("ratio", "inconclusive", "ratio: the two were not timed in turns", bar=most)
    found = ratio_of_rounds(theirs, mine, statistic_of(check), 1 - 2 * (1 - confidence_of(check)), most)
    decision = regressed(found, most)
    asked = f"of {most:g} times the {word} of `{check.options['against']}` allowed"
    if found.interval is None or found.estimate is None:
        return Ruled("ratio", "inconclusive", f"ratio unknown {asked}: {found.reason}", bar=most, n=found.n)
    low, high = found.interval
    said = f"ratio {found.estimate:.4g}, between {low:.4g} and {high:.4g}, {asked}"
    if decision == "fail" and low <= most:
        said += ": that it is slower is shown, and that it is within the budget is not"
    return Ruled(
        "ratio", decision, said, found.estimate, found.interval, found.p, found.n, None, most, method=found.method
    )


def by_process(times: Sequence[Times], field: str) -> list[list[float]]:
    """All cases' times, a list a process; a process that timed nothing is none."""
    return [values for values in _lists(times, field) if values]


def _lists(times: Sequence[Times], field: str) -> list[list[float]]:
    """All cases' times, a list a round."""
    lists = [getattr(each, field) for each in times]
    many = max(map(len, lists), default=0)
    return [[value for each in lists if at < len(each) for value in each[at]] for at in range(many)]


def _untold(session: Session) -> str:
    """Why times tell nothing here."""
    if session.packed and "gpu" not in session.device:
        return f"the speed of packed weights can't be certified on {session.device or 'an unknown device'}"
    return ""


def _disturbed(session: Session) -> str:
    """Why the machine was not quiet."""
    if said := next((process.disturbed for process in session.processes if process.disturbed), ""):
        return said
    rates = [noise.mhz for process in session.processes for noise in process.noise if noise.mhz]
    if rates and min(rates) < _SLOWER * between(sorted(rates), 0.5):
        return f"the processor ran at {min(rates):.0f} MHz, and at {between(sorted(rates), 0.5):.0f} MHz otherwise"
    return ""


def _figures(check: Check, session: Session, times: Sequence[Times]) -> dict[str, float]:
    """What else is worth keeping, whatever was asked."""
    own = [process for process in session.processes if process.of == MODEL]
    figures: dict[str, float] = {}
    values = sorted(value for group in by_process(times, "ms") for value in group)
    for word, share in _SHOWN:
        if word not in budget_of(check).get("latency_ms", {}):
            figures[f"latency_ms.{word}"] = between(values, share)
    for name, told in (
        ("load_ms", [process.opening_ms for process in own]),
        ("resident_mb", [process.peak_resident_mb for process in own]),
        ("peak_memory_mb", [process.peak_memory_mb for process in own]),
        ("size_mb", [session.size_mb]),
    ):
        known: list[Any] = [value for value in told if value is not None]
        if known:
            figures[name] = between(sorted(known), 0.5) if name == "load_ms" else max(known)
    for size, rates in _rates(session).items():
        figures[f"throughput@{size}"] = between(sorted(rates), 0.5)
    return figures


def _rates(session: Session) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = {}
    for process in session.processes:
        for size, rates in process.throughput.items():
            found.setdefault(size, []).extend(rates)
    return found


def _where(session: Session) -> str:
    """The machine that its times hold for."""
    told = session.machine
    words = [told.get("processor"), f"{told['cores']} cores" if told.get("cores") else "", session.device]
    return ", ".join(str(word) for word in words if word)
