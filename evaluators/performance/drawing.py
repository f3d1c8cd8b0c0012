"""What the panel of a performance check draws, from what was recorded. Whatever that is, it draws what it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import msgspec
from msgspec import UNSET

from evaluators.performance.language import BASELINE, SESSION, budget_of, is_held
from evaluators.performance.record import MODEL, Process, Session, Times, session_of, times_of
from evaluators.performance.verdict import rulings
from evaluators.timing import drawing as timing
from evaluators.timing.budgets import Ruled
from evaluators.timing.drawing import bars, ecdf, noisiest
from harness.contract import Check, CheckResult, Outcome

SLOWEST = 20
_TIMES = {
    "latency_ms": ("ms", "Latency"),
    "first_token_ms": ("first_ms", "Time to the first token"),
    "per_token_ms": ("per_token_ms", "Time a token after the first"),
}
_WORDS = {key: word for key, (_, word) in _TIMES.items()} | {
    "throughput": "Throughput",
    "tokens_per_s": "Tokens a second",
    "peak_memory_mb": "Peak memory of MLX",
    "resident_mb": "Peak memory of the process",
    "load_ms": "Time to open",
    "size_mb": "Size of the weights",
    "energy_j": "Energy an answer",
}
_MOST = ("peak_memory_mb", "resident_mb", "size_mb", "energy_j")


def drawing(check: Check, outcomes: Sequence[Outcome], result: CheckResult) -> dict[str, Any]:
    """Plain data for the panel."""
    session = _session(outcomes)
    times = {outcome.case: told for outcome in outcomes if (told := _times(outcome)) is not None}
    found = _ruled(check, session, list(times.values()))
    if result.verdict == "error":  # of what was not measured as it was meant, nothing is said
        found = [each._replace(ruling="error", estimate=None, interval=None) for each in found]
    budgets = [each for each in found if each.bar is not None and each.of != "ratio"]
    return {
        "budgets": [timing.row_of(each, _word(check, each.of)) for each in budgets],
        "besides": [each.said for each in found if each.bar is None],
        "curves": list(_curves(check, times, budgets)),
        "ratio": _ratio(check, found),
        "throughput": _throughput(session, result, budgets),
        "memory": _memory(check, session),
        "processes": [_process(process) for process in session.processes],
        "several": is_held(check),
        "quiet": not any(process.disturbed for process in session.processes),
        "device": session.device,
        "samples": sum(len(ms) for each in times.values() for ms in each.ms),
        "timed": sum(process.of == MODEL for process in session.processes),
        "slowest": _slowest(check, times),
        "trends": [{**row, "word": _word(check, row["figure"])} for row in timing.trends(result.trends)],
    }


def _ruled(check: Check, session: Session, times: Sequence[Times]) -> list[Ruled]:
    try:
        return rulings(check, session, times)
    except (ArithmeticError, ValueError):  # a record that no session leaves
        return []


def _session(outcomes: Sequence[Outcome]) -> Session:
    """What was recorded beside the cases; one without processes where it can't be read."""
    told = next((each.answer for each in outcomes if each.case == SESSION), UNSET)
    try:
        return session_of(told)
    except msgspec.ValidationError:
        return Session(processes=[])


def _times(outcome: Outcome) -> Times | None:
    if outcome.case == SESSION or outcome.answer is UNSET:
        return None
    try:
        return times_of(outcome.answer)
    except msgspec.ValidationError:
        return None


def _word(check: Check, figure: str) -> str:
    """A figure's name, for people."""
    name, _, size = figure.partition("@")
    name, _, quantile = name.partition(".")
    if name == "ratio":
        return f"Times as long as {check.options.get('against', 'the other')}"
    said = _WORDS.get(name, name)
    return said + (f", {quantile}" if quantile else "") + (f", batches of {size}" if size else "")


def _ratio(check: Check, ruled: Sequence[Ruled]) -> dict[str, Any] | None:
    for each in ruled:
        if each.of == "ratio":
            told = {"than": check.options["against"], "of": check.options.get("of", "mean")}
            return timing.row_of(each, _word(check, "ratio")) | told
    return None


# --------------------------------------------------------------------------------------------- curves


def _flat(times: Mapping[str, Times], field: str) -> list[float]:
    return [value for each in times.values() for group in getattr(each, field) for value in group]


def _curves(check: Check, times: Mapping[str, Times], found: Sequence[Ruled]) -> Any:
    for key, (field, word) in _TIMES.items():
        sets = [("now", _flat(times, field))]
        if key == "latency_ms" and is_held(check):
            sets.append((str(check.options["against"]), _flat(times, "baseline_ms")))
        curves = [{"name": name, "points": ecdf(values)} for name, values in sets if values]
        if curves:
            rows = [row for row in found if row.of.partition(".")[0] == key]
            yield {"word": word, "unit": timing.unit_of(key), "curves": curves, "bars": bars(rows)}


def _sizes(session: Session) -> list[str]:
    sizes = {size for process in session.processes for size in process.throughput if size.isdecimal()}
    return sorted(sizes, key=int)


def _throughput(session: Session, result: CheckResult, found: Sequence[Ruled]) -> dict[str, Any] | None:
    """Against the batch size, where there are several; with an interval where a budget has one."""
    sizes, figures = _sizes(session), result.figures
    points, low, high = [], [], []
    for size in sizes:
        rates = [rate for process in session.processes for rate in process.throughput.get(size, ())]
        if rates:
            name = f"throughput@{size}"
            middle = figures.get(name, median(rates))
            points.append([int(size), middle])
            low.append(figures.get(f"{name}.low", middle))
            high.append(figures.get(f"{name}.high", middle))
    if len(points) < 2:
        return None
    marks = [
        {"x": int(row.of.partition("@")[2]), "y": row.bar, "word": f"≥ {row.bar:g}", "ruling": row.ruling}
        for row in found
        if row.of.startswith("throughput@") and row.bar is not None
    ]
    return {"series": [{"name": "now", "points": points, "low": low, "high": high}], "marks": marks}


def _memory(check: Check, session: Session) -> dict[str, Any] | None:
    """What each process had, over time; those of a model look alike."""
    names = {MODEL: "now", BASELINE: str(check.options.get("against", BASELINE))}
    series = [
        {"name": names.get(process.of, process.of), "points": [list(point) for point in process.memory]}
        for process in session.processes
        if process.memory
    ]
    if not any(len(each["points"]) > 1 for each in series):
        return None
    most = budget_of(check).get("resident_mb", {}).get("max")
    return {"series": sorted(series, key=lambda each: each["name"] != "now"), "bar": most}


# --------------------------------------------------------------------------------------------- tables


def _process(process: Process) -> dict[str, Any]:
    worst = noisiest(process.noise)
    return {
        "of": process.of,
        "opening_ms": process.opening_ms,
        "resident": process.peak_resident_mb or None,
        "mlx": process.peak_memory_mb,
        "foreign": worst.foreign if worst else None,
        "cores": worst.cores if worst else None,
        "stolen": worst.stolen if worst else 0.0,
        "repeated": process.repeated,
        "disturbed": process.disturbed,
    }


def _slowest(check: Check, times: Mapping[str, Times]) -> list[dict[str, Any]]:
    """The cases that take longest, by their medians."""
    timed = {case: values for case, each in times.items() if (values := [value for ms in each.ms for value in ms])}
    inputs = {case.id: case.input for case in check.cases}
    return [
        {
            "case": case,
            "input": inputs.get(case),
            "median": median(timed[case]),
            "least": min(timed[case]),
            "most": max(timed[case]),
            "n": len(timed[case]),
            "tokens": times[case].tokens,
        }
        for case in sorted(timed, key=lambda case: -median(timed[case]))[:SLOWEST]
    ]
