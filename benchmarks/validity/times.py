"""Rows of budgets of times, and of ratios of times, as processes give them that differ on a machine that drifts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

from benchmarks.validity import naive
from benchmarks.validity.counts import refused
from benchmarks.validity.gates import Gate, Ruled, counted
from benchmarks.validity.row import Effort, Row, at_least, at_most, shown
from harness.statistics.quantiles import quantile_at_most

WITHIN = 0.3
"""The spread of the logarithms of one process's times."""
APART = 0.05
"""That of processes."""
ROUNDS = 10
DRIFT = 0.1
"""That of what a round does to both sides."""
PEERS = 2_000
"""How often what peers do is drawn."""
SLOWER = 1.2


class Sides(NamedTuple):
    """Two models whose times are held against each other."""

    of: str
    each: int
    """Times a process."""
    slower: float = 1.0
    apart: float = APART
    drift: float = 0.0


def ratios(effort: Effort) -> Iterator[Row]:
    """A model against one that is as fast, and against one by which it is 20 % slower; `at_most: 1.10`."""
    chance = np.random.RandomState(14)
    check, target = "p95 ratio > 1.10, lognormal .3, identical, n=100", "false fail ≤ .05"
    yield _ratio(effort, chance, check, target, Sides("p95", 100 // ROUNDS, apart=0))
    check, target = "p95 +20 %, n=300", "power ≥ .95"
    yield _ratio(effort, chance, check, target, Sides("p95", 300 // ROUNDS, SLOWER, apart=0))
    for of in ("mean", "p50", "p95"):
        for drift in (DRIFT,) if effort.quick else (0.0, DRIFT):
            drifts = f"the machine drifts by {drift:g}" if drift else "no drift"
            check = f"{of} of {ROUNDS} processes a side × 40, which differ by {APART:g}, {drifts}"
            yield _ratio(effort, chance, f"{check}: alike", "false fail ≤ .05", Sides(of, 40, drift=drift))
            yield _ratio(effort, chance, f"{check}: +20 %", "power ≥ .95", Sides(of, 40, SLOWER, drift=drift))


def _ratio(effort: Effort, chance: np.random.RandomState, check: str, target: str, sides: Sides) -> Row:
    written = f"kind: performance, model: new, against: old, at_most: 1.10, of: {sides.of}"
    gate = Gate(f"{written}, samples: {ROUNDS * sides.each}, processes: {ROUNDS}", 1)
    effort = effort if effort.quick else effort._replace(replications=3 * effort.replications)
    many = max(effort.replications, PEERS)
    shape = (many, ROUNDS, sides.each)
    machine = np.exp(sides.drift * chance.standard_normal((many, ROUNDS, 1)))
    old = machine * _times(chance, shape, sides.apart)
    new = machine * _times(chance, shape, sides.apart) * sides.slower
    first, second = (_statistic(side.reshape(many, -1), sides.of) for side in (old, new))
    peers = f"ratio alone {shown((second / first > 1.1).mean())}"
    if sides.slower == 1 and sides.of == "mean":
        logs = (np.log(side.reshape(many, -1)) for side in (old, new))
        peers += f"; pooled t {shown(naive.t_differs(*logs).mean())}"
    ruled = _counted(effort, (gate.rule_times(*both) for both in zip(new, old, strict=True)))
    if sides.slower == 1:
        return Row(check, peers, target, ruled, True, (at_most("fails", 0.05),))
    return Row(check, peers, target, ruled, False, (at_least("fails", 0.95), at_most("passes", 0.01)))


def _statistic(values: Any, of: str) -> Any:
    return values.mean(axis=-1) if of == "mean" else np.quantile(values, float(of[1:]) / 100, axis=-1)


def budgets(effort: Effort) -> Iterator[Row]:
    """A quantile against a budget that it is just at, or by so much above or below."""
    chance, processes, each = np.random.RandomState(16), 5, 80
    many = effort.replications // (2 if effort.quick else 1)
    for word, apart, over in (
        ("p95", 0.0, 1.0),
        ("p95", 0.1, 1.0),
        ("p95", 0.1, 1.5),
        ("p95", 0.1, 1 / 1.5),
        ("p50", 0.1, 1.0),
        ("p99", 0.3, 1.0),
    ):
        if effort.quick and over != 1:
            continue
        q = float(word[1:]) / 100
        truth = float(np.exp(ndtri(q) * np.hypot(WITHIN, apart)))
        drawn = _times(chance, (max(many, PEERS), processes, each), apart)
        pooled = [quantile_at_most(row.ravel(), q, truth / over, 0.025)[0] for row in drawn[:PEERS]]
        passes = (_statistic(drawn.reshape(len(drawn), -1), word) <= truth / over).mean()
        peers = f"point passes {shown(passes)}; pooled {shown(np.mean([said == 'pass' for said in pooled]))}"
        budget = f"budget: {{latency_ms: {{{word}: {truth / over}}}}}, samples: {processes * each}"
        gate = Gate(f"kind: performance, model: new, {budget}, processes: {processes}", 1)
        ruled = _counted(effort._replace(replications=many), map(gate.rule_times, drawn[:many]))
        where = "at its budget" if over == 1 else f"{over:.2g} times its budget"
        check = f"{word} {where}, {processes} processes × {each}, which differ by {apart:g}"
        bands = (at_most("passes", 0.05), at_most("fails", 0.05))
        if over > 1:
            bands = (at_most("passes", 0.001), at_least("fails", 0.85))
        elif over < 1:
            bands = (at_least("passes", 0.85), at_most("fails", 0.001))
        yield Row(check, peers, "both ≤ .05" if over == 1 else "", ruled, None if over == 1 else over < 1, bands)
    spec = "kind: performance, model: new, budget: {latency_ms: {p99: 5}}, samples: 20"
    yield refused("budget of p99 with 20 samples", "", spec, 1)


def contaminated(effort: Effort) -> Iterator[Row]:
    """Others take a core in half of the processes, and all of their times are twice as long."""
    chance, rounds, each = np.random.RandomState(17), 10, 40
    many, noise = effort.replications, "others kept 0.97 cores busy"
    for held, said in (
        ("against: old, at_most: 1.10", "against itself"),
        ("budget: {latency_ms: {p95: 2.5}}", "within its budget but for that"),
        ("budget: {latency_ms: {p95: 2.5}}, contaminated: may-pass", "the same, `contaminated: may-pass`"),
    ):
        gate = Gate(f"kind: performance, model: new, {held}, samples: {rounds * each}, processes: {rounds}", 1)
        against = "against" in held
        sides = [_times(chance, (many, rounds, each), APART) for _ in range(1 + against)]
        sides[0][:, ::2] *= 2
        first = [_statistic(side.reshape(many, -1), "p95") for side in sides]
        peers = shown((first[0] > (1.1 * first[1] if against else 2.5)).mean())
        ruled = _counted(effort, (gate.rule_times(*one, disturbed=noise) for one in zip(*sides, strict=True)))
        check = f"others load the machine in half of the processes, {said}"
        yield Row(check, f"fails {peers}", "fails 0", ruled, True, (at_most("fails", 0.0),))


def _times(chance: np.random.RandomState, shape: tuple[int, int, int], apart: float) -> Any:
    """A replication, a process, a time."""
    processes = apart * chance.standard_normal((*shape[:2], 1))
    return np.exp(processes + WITHIN * chance.standard_normal(shape))


def _counted(effort: Effort, results: Iterator[Any]) -> Ruled:
    many = effort.replications
    return counted(((1 / many, result) for result, _ in zip(results, range(many), strict=False)), many)
