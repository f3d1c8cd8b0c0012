"""Times a model in fresh processes, one after the other; two models in turns, so that what drifts drifts for both."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from math import ceil
from typing import Any

from evaluators.performance.language import (
    BASELINE,
    SESSION,
    WARMUP,
    batches_of,
    budget_of,
    is_held,
    patience_of,
    processes_of,
    samples_of,
)
from evaluators.performance.record import MODEL, Process, Session, Times, plain_of
from harness.contract import Case, Check, Measuring, Outcome, Refused, Stopwatch, Timed

BLOCK = 0.3
"""Seconds that a block takes, at least: in less, what others do can't be told."""
LOTS = 3
"""Lots of a batch size that a process answers, at least."""
_PAUSES = (0.1, 0.25, 0.5, 1.0, 2.0)
_MEGABYTE = 1e6


class Measured:
    """What a session found: of each case, and beside them."""

    def __init__(self) -> None:
        self.cases: dict[str, Outcome] = {}
        self.session = Outcome(case=SESSION, outcome="error", reason="it was not measured")


def outcome_of(measured: Measured, case: Case) -> Outcome:
    return measured.cases[case.id] if case.asks else measured.session


def measure_session(check: Check, bench: Measuring) -> Measured:
    session = _Session(check, bench)
    session.run()
    return session.measured()


class _Session:
    def __init__(self, check: Check, bench: Measuring) -> None:
        self.check = check
        self.bench = bench
        self.chance = random.Random(check.id)  # noqa: S311 - an order, not a secret
        self.cases = [case for case in check.cases if case.asks]
        self.errors: dict[str, str] = {}
        self.processes: list[Process] = []
        self.times: dict[str, Times] = {case.id: Times(ms=[]) for case in self.cases}
        self.patience = patience_of(check)
        """Seconds that are left to wait for the machine to be quiet."""
        self.streams = True
        self.why = ""
        """Why there was nothing to measure."""

    # ------------------------------------------------------------------------------------ the rounds

    def run(self) -> None:
        order = list(self.cases)
        self.chance.shuffle(order)
        asked = cycle(order)
        for _ in range(processes_of(self.check)):
            block = [case for case in islice(asked, samples_of(self.check)) if case.id not in self.errors]
            if not block:
                self.why = "not a case was answered"
                return
            self._round(block)

    def _round(self, cases: Sequence[Case]) -> None:
        """A process of each model, on the same cases in turns."""
        roles = ["", BASELINE] if is_held(self.check) else [""]
        self.chance.shuffle(roles)
        with self._opened(roles) as opened:
            for watch, process in opened:
                self._take(watch, process, [[case] for case in islice(cycle(cases), self._warmup())], keep=False)
            for block in _blocks(cases, self._pace(opened[0], cases)):
                self.chance.shuffle(opened)
                for watch, process in opened:
                    self._time_block(watch, process, block)
            for watch, process in opened:
                if process.of == MODEL:
                    self._streamed(watch, process, cases)
                    self._throughput(watch, process, cases)

    @contextmanager
    def _opened(self, roles: Sequence[str]) -> Iterator[list[tuple[Stopwatch, Process]]]:
        found: list[tuple[Stopwatch, Process]] = []
        try:
            for role in roles:
                watch = self._open(role)
                process = Process(of=role or MODEL, opening_ms=_ms(watch.opening), opening_noise=watch.noise)
                found.append((watch, process))
                self.processes.append(process)
                for times in self.times.values():
                    (times.baseline_ms if role else times.ms).append([])
            yield found
        finally:
            for watch, _ in found:
                watch.close()

    def _open(self, role: str) -> Stopwatch:
        """Opened again while the machine is not quiet, where a budget speaks of that."""
        tries = 0
        while True:
            watch = self.bench.stopwatch(role)
            timed = "load_ms" in budget_of(self.check) and not role
            if not timed or not watch.noise.disturbs() or self.patience <= 0:
                return watch
            watch.close()
            self.patience -= self._pause(tries) + watch.opening
            tries += 1

    def _pause(self, tries: int) -> float:
        """Wait a while for the machine to be quiet; seconds that it took."""
        pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
        with self.bench.lasting(pause + 1):
            time.sleep(pause)
        return pause

    def _warmup(self) -> int:
        return int(self.check.options.get("warmup", WARMUP))

    def _pace(self, first: tuple[Stopwatch, Process], cases: Sequence[Case]) -> int:
        """How many answers make a block."""
        watch, process = first
        timed = self._take(watch, process, [[cases[0]]], keep=False)
        spent = timed.seconds[0] if timed.seconds else BLOCK
        return max(1, min(len(cases), ceil(BLOCK / max(spent, 1e-6))))

    # ------------------------------------------------------------------------------------- the blocks

    def _time_block(self, watch: Stopwatch, process: Process, cases: Sequence[Case]) -> None:
        asked = [case for case in cases if case.id not in self.errors]
        timed = self._take(watch, process, [[case] for case in asked])
        asked = [case for case in asked if case.id not in self.errors]
        of = "baseline_ms" if process.of == BASELINE else "ms"
        for case, seconds in zip(cycle(asked), timed.seconds, strict=False):
            getattr(self.times[case.id], of)[-1].append(_ms(seconds))
        if process.of == MODEL:
            for case, tokens in zip(asked, timed.tokens, strict=False):
                self.times[case.id].tokens = tokens
        if timed.joules is not None and timed.seconds:
            process.joules.append(timed.joules / len(timed.seconds))

    def _streamed(self, watch: Stopwatch, process: Process, cases: Sequence[Case]) -> None:
        """When tokens come, where a budget speaks of that."""
        if not self.streams or not {"first_token_ms", "per_token_ms"} & budget_of(self.check).keys():
            return
        for times in self.times.values():
            times.first_ms.append([])
            times.per_token_ms.append([])
        for block in _blocks(cases, self._pace((watch, process), cases)):
            asked = [case for case in block if case.id not in self.errors]
            timed = self._take(watch, process, [[case] for case in asked], stream=True)
            if not timed.streams:
                self.streams = False
                return
            asked = [case for case in asked if case.id not in self.errors]
            told = zip(cycle(asked), timed.seconds, timed.firsts, timed.tokens, strict=False)
            for case, seconds, first, tokens in told:
                if first is None:
                    self.errors[case.id] = "it said nothing, so that no token of it was the first"
                    continue
                self.times[case.id].first_ms[-1].append(_ms(first))
                if tokens and tokens > 1:
                    self.times[case.id].per_token_ms[-1].append(_ms((seconds - first) / (tokens - 1)))

    def _throughput(self, watch: Stopwatch, process: Process, cases: Sequence[Case]) -> None:
        for size in batches_of(self.check, self.bench.declared().batch):
            asked = cycle([case for case in cases if case.id not in self.errors])
            lots = [list(islice(asked, size)) for _ in range(LOTS)]
            self._take(watch, process, lots[:1], keep=False)
            timed = self._take(watch, process, lots)
            process.throughput[str(size)] = [size / seconds for seconds in timed.seconds]
            told = list(zip(timed.tokens, timed.seconds, strict=True))
            if told and all(tokens is not None for tokens, _ in told):
                process.tokens_per_s[str(size)] = [(tokens or 0) / seconds for tokens, seconds in told]

    def _take(
        self,
        watch: Stopwatch,
        process: Process,
        lots: Sequence[Sequence[Case]],
        *,
        keep: bool = True,
        stream: bool = False,
    ) -> Timed:
        """The times of a block, taken again while the machine is not quiet; of one not kept, only what it costs."""
        tries = 0
        while True:
            timed = self._answered(watch, lots, least=BLOCK if keep else 0.0, stream=stream)
            said = timed.noise.disturbs() if timed.noise else ""
            if not keep or not said or self.patience <= 0:
                break
            self.patience -= self._pause(tries) + sum(timed.seconds)
            tries += 1
            process.repeated += 1
        if keep and timed.noise:
            process.disturbed = process.disturbed or said
            process.noise.append(timed.noise)
            process.memory.append((round(timed.at, 3), round(timed.resident / _MEGABYTE, 3)))
        process.peak_resident_mb = max(process.peak_resident_mb, round(timed.peak_resident / _MEGABYTE, 3))
        if timed.peak_mlx is not None:
            process.peak_memory_mb = round(timed.peak_mlx / _MEGABYTE, 6)
        return timed

    def _answered(self, watch: Stopwatch, lots: Sequence[Sequence[Case]], *, least: float, stream: bool) -> Timed:
        """A block without the cases that can't be answered, which are told of."""
        left = list(lots)
        while left:
            timed = watch.time(left, least=least, stream=stream)
            if not timed.error or not timed.streams:
                return timed
            bad = left[len(timed.seconds) % len(left)]
            if len(bad) > 1 or not timed.noise:  # a batch of those that can be answered alone, or a process that ended
                raise Refused(timed.error)
            self.errors[bad[0].id] = timed.error
            left = [lot for lot in left if lot[0].id not in self.errors]
        return Timed(seconds=())

    # ------------------------------------------------------------------------------------ the outcomes

    def measured(self) -> Measured:
        found = Measured()
        for case in self.cases:
            times = self.times[case.id]
            if case.id in self.errors or not any(times.ms):
                why = self.errors.get(case.id, self.why or "it was not timed")
                found.cases[case.id] = Outcome(case=case.id, outcome="error", reason=why)
            else:
                found.cases[case.id] = Outcome(case=case.id, outcome="met", answer=plain_of(times))
        if not self.why:
            found.session = Outcome(case=SESSION, outcome="met", answer=plain_of(self._told()))
        else:
            found.session.reason = self.why
        return found

    def _told(self) -> Session:
        facts = [self.bench.facts(role) for role in ("", *([BASELINE] if is_held(self.check) else ()))]
        size = _weights(facts[0]).get("bytes")
        return Session(
            processes=self.processes,
            device=str(facts[0].get("device", "")),
            batch=self.bench.declared().batch,
            machine={key: facts[0][key] for key in ("processor", "cores", "system") if key in facts[0]},
            size_mb=None if size is None else size / _MEGABYTE,
            packed=any(_is_packed(each) for each in facts),
            streams=self.streams,
        )


def _weights(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = facts.get("weights")
    return found if isinstance(found, Mapping) else {}


def _is_packed(facts: Mapping[str, Any]) -> bool:
    return bool(_weights(facts).get("quantized"))


def _blocks(cases: Sequence[Case], size: int) -> Iterator[Sequence[Case]]:
    """Of about that size, all alike: what is left over is no block of its own."""
    many = max(1, len(cases) // size)
    for at in range(many):
        yield cases[len(cases) * at // many : len(cases) * (at + 1) // many]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 4)
