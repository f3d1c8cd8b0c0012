"""What a session leaves behind, and whether a record of one can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import msgspec

from evaluators.performance.language import BASELINE, SESSION, is_held, processes_of
from harness.contract import Case, Check, Noise

MODEL = "model"


class Process(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A process in which a model was timed."""

    of: str
    """`model` or `baseline`."""
    opening_ms: float
    opening_noise: Noise | None = None
    peak_resident_mb: float = 0.0
    peak_memory_mb: float | None = None
    """MLX's own."""
    memory: list[tuple[float, float]] = []
    """Seconds since it began, and what it had then, a block each."""
    noise: list[Noise] = []
    """Of each block that was kept."""
    repeated: int = 0
    """Blocks that were measured again."""
    disturbed: str = ""
    """Why a block was not to be had quiet."""
    throughput: dict[str, list[float]] = {}
    tokens_per_s: dict[str, list[float]] = {}
    joules: list[float] = []
    """An item, a block each."""


class Session(msgspec.Struct, kw_only=True, omit_defaults=True):
    processes: list[Process]
    """As they were opened."""
    device: str = ""
    machine: dict[str, Any] = {}
    batch: int = 1
    """How many cases the model is asked together."""
    size_mb: float | None = None
    packed: bool = False
    """Whether a model of the check computes with packed weights."""
    streams: bool = True
    """Whether it tells when its tokens come; known only where that was asked."""


class Times(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Of a case: a list a process."""

    ms: list[list[float]]
    baseline_ms: list[list[float]] = []
    first_ms: list[list[float]] = []
    per_token_ms: list[list[float]] = []
    tokens: int | None = None


def session_of(answer: Any) -> Session:
    return msgspec.convert(answer, Session)


def times_of(answer: Any) -> Times:
    return msgspec.convert(answer, Times)


def check_record(check: Check, case: Case, answer: Any) -> None:
    """ValueError where no session leaves such a record."""
    if case.id == SESSION:
        _check_session(check, session_of(answer))
        return
    times = times_of(answer)
    lists = (times.ms, times.baseline_ms, times.first_ms, times.per_token_ms)
    if not any(times.ms) or (is_held(check) and not any(times.baseline_ms)):
        raise ValueError("it was not timed")
    many = processes_of(check)
    if len(times.ms) != many or len(times.baseline_ms) != (many if is_held(check) else 0):
        raise ValueError("it was not timed in as many processes as were planned")
    if not all(_are_times(ms) for each in lists for ms in each):
        raise ValueError("a time is no time")


def _check_session(check: Check, session: Session) -> None:
    kinds = sorted(process.of for process in session.processes)
    if kinds != sorted([MODEL, *([BASELINE] if is_held(check) else ())] * processes_of(check)):
        raise ValueError("it was not measured as it was planned")
    for process in session.processes:
        figures = [process.opening_ms, process.peak_resident_mb, process.peak_memory_mb or 0.0, session.size_mb or 0.0]
        if not all(isfinite(value) and value >= 0 for value in figures) or not process.noise:
            raise ValueError("a process that was timed is not told of")
        rates = [*process.throughput.values(), *process.tokens_per_s.values(), process.joules]
        if not all(isfinite(value) and value >= 0 for each in rates for value in each):
            raise ValueError("a rate is no rate")
        if not process.disturbed and (said := next((n.disturbs() for n in process.noise if n.disturbs()), "")):
            raise ValueError(f"it was disturbed and does not say so: {said}")


def _are_times(values: Iterable[float]) -> bool:
    return all(isfinite(value) and value > 0 for value in values)


def plain_of(made: Session | Times) -> Mapping[str, Any]:
    found: Mapping[str, Any] = msgspec.to_builtins(made)
    return found
