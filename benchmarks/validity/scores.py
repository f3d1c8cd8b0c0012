"""Rows of gates on scores, on looks and on many claims at once: drawn by seeded chance where too much can happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from benchmarks.validity import naive
from benchmarks.validity.chance import of_shares, of_tables, shares, tables
from benchmarks.validity.counts import AB, HALF, Truth
from benchmarks.validity.gates import RIGHT, WRONG, Gate, Said, counted, planned
from benchmarks.validity.row import Effort, Row, at_least, at_most, shown
from harness.certify import certify
from harness.contract import CheckResult
from harness.ledger import Record

VALUE = f"{AB}, metric: {{value: .}}"
PEERS = 20_000
"""How often what peers do is drawn."""


def _ruled(gate: Gate, draws: Iterable[list[Said]], replications: int) -> Any:
    return counted(((1 / replications, gate.rule(said)) for said in draws), replications)


# ------------------------------------------------------------------------------------------- looks


def looks(effort: Effort) -> Iterator[Row]:
    """The verdict of a check with `peek` is that of its first decisive look, of one after every case."""
    many = effort.replications
    chance = np.random.RandomState(11)
    drawn = chance.standard_normal((PEERS, 100)).round(1)
    peers = naive.t_rejects_ever(drawn).mean()
    gate = Gate(f"{VALUE}, claim: different, peek: true", 100)
    draws = ([(float(value), 0.0) for value in row] for row in drawn[:many])
    ruled = _ruled(gate, draws, many)
    check = "100 looks, scores alike: different"
    yield Row(check, f"t after each {shown(peers)}", "≤ .05", ruled, None, (at_most("passes", 0.05),))
    for truth, said, claim, holds, bands, target in (
        (HALF, "1:1", "different", None, (at_most("passes", 0.05),), "≤ .05"),
        (Truth(0.2, 0.0), "20 % gained", "superior", True, (at_least("passes", 0.95), at_most("fails", 0.001)), ""),
    ):
        pairs = _pairs(chance, truth, PEERS)
        peers = naive.t_rejects_ever(pairs).mean()
        gate = Gate(f"{AB}, claim: {claim}, peek: true", 100)
        ruled = _ruled(gate, map(_answers, pairs[:many]), many)
        yield Row(f"100 looks, pairs {said}: {claim}", f"t after each {shown(peers)}", target, ruled, holds, bands)


def _pairs(chance: np.random.RandomState, truth: Truth, many: int) -> Any:
    """A row a replication: 1 where a case is gained, -1 where it is lost, else 0."""
    drawn = chance.random_sample((many, 100))
    return (drawn < truth.gained).astype(float) - (drawn > 1 - truth.lost)


def _answers(row: Any) -> list[Said]:
    kinds = {1.0: (RIGHT, WRONG), -1.0: (WRONG, RIGHT), 0.0: (RIGHT, RIGHT)}
    return [kinds[float(value)] for value in row]


# ---------------------------------------------------------------------------------------- clusters

PROMPTS, REPEATS = 50, 20


def clusters(effort: Effort) -> Iterator[Row]:
    """50 prompts, each asked 20 times; what a prompt does to all its answers is a tenth of their variance."""
    chance, many = np.random.RandomState(12), effort.replications // (2 if effort.quick else 1)
    drawn = _by_prompt(chance, max(many, PEERS // 10))
    peers = f"pooled t {shown(naive.t_rejects(drawn.reshape(len(drawn), -1)).mean())}"
    gate = Gate(f"{VALUE}, claim: different, repeats: {REPEATS}", PROMPTS, forget=True)
    zeros = (0.0,) * REPEATS
    for shift, said, holds, bands, target in (
        (0.0, "scores alike", None, (at_most("passes", 0.05),), "≤ .05"),
        (0.2, "scores .2 higher", True, (at_least("passes", 0.85),), ""),
    ):
        ruled = _ruled(gate, ([(tuple(row.tolist()), zeros) for row in each + shift] for each in drawn[:many]), many)
        check = f"{PROMPTS} prompts × {REPEATS} repeats, {said}: different"
        yield Row(check, peers if not shift else "–", target, ruled, holds, bands)
    cases = [{"id": f"c{at}", "input": at, "expect": 1, "cluster": f"k{at // REPEATS}"} for at in range(1000)]
    marks = (drawn * 1.2).round().clip(-2, 2)
    peers = f"pooled t {shown(naive.t_rejects(marks.reshape(len(marks), -1)).mean())}"
    for within, said in (("", "marks 1 to 5"), ("within: [1, 5], ", "the same, scale known")):
        gate = Gate(f"{VALUE}, {within}claim: different", cases)
        ruled = _ruled(gate, ([(float(3 + mark), 3.0) for mark in each.ravel()] for each in marks[:many]), many)
        check = f"{PROMPTS} clusters of {REPEATS} cases, {said}: different"
        yield Row(check, peers, "≤ .05", ruled, None, (at_most("passes", 0.05),))


def _by_prompt(chance: np.random.RandomState, many: int) -> Any:
    prompt = chance.standard_normal((many, PROMPTS, 1)) * 0.1**0.5
    return prompt + chance.standard_normal((many, PROMPTS, REPEATS)) * 0.9**0.5


# ------------------------------------------------------------------------------------------- zeros


def zeros(effort: Effort) -> Iterator[Row]:
    """Scores most of whose differences are 0, the others lopsided: few say everything."""
    n, lost = 200, 0.02
    peers = of_shares(n, lost, lambda k: naive.t_noninferior(0, k, n, lost))
    for within, said in (("", ""), ("within: [0, 1], ", ", scale known")):
        gate = Gate(f"{VALUE}, {within}claim: {{noninferior: {{margin: {lost}}}}}", n)
        ruled = counted(
            (p, gate.rule([(0.0, 1.0)] * k + [(1.0, 1.0)] * (n - k))) for k, p in enumerate(shares(n, lost)) if p > 1e-9
        )
        check = f"scores, 2 % lost, margin .02, n={n}{said}: not worse"
        bands = (at_most("passes", 0.05), at_most("fails", 0.05))
        yield Row(check, f"t passes {shown(peers)}", "both ≤ .05", ruled, None, bands)
    n, truth = 100, Truth(0.02, 0.08)
    peers = of_tables(n, *truth, lambda g, b: naive.t_different([(g, 1.0), (b, -0.25)], n))
    for within, said in (("", ""), ("within: [0, 1], ", ", scale known")):
        gate = Gate(f"{VALUE}, {within}claim: different", n)
        ruled = counted(
            (p, gate.rule([(1.0, 0.0)] * g + [(0.25, 0.5)] * b + [(0.5, 0.5)] * (n - g - b)))
            for p, g, b in tables(n, *truth)
        )
        check = f"scores, 90 % of differences 0, lopsided, n={n}{said}: different"
        yield Row(check, f"t {shown(peers)}", "≤ .05", ruled, None, (at_most("passes", 0.05),))


# ------------------------------------------------------------------------------------------ budget

CLAIMS = 20
RATE = "certificate: {error_rate: 0.05, across: holm}\n"


def budget(effort: Effort) -> Iterator[Row]:
    """20 claims of one spec: false ones, each by chance as good as its level, and then one that is true."""
    gate = Gate(f"{AB}, claim: different", 100)
    false = list(tables(100, *HALF))
    weights = np.array([p for p, _, _ in false])
    chance, many = np.random.RandomState(13), effort.replications
    picks = chance.choice(len(false), (many, CLAIMS), p=weights / weights.sum())
    alone = of_tables(100, *HALF, naive.mcnemar_z)
    peers = f"each at .05: {shown(1 - (1 - alone) ** CLAIMS)}"
    for more, said, target, bands in (
        ("", "each at .05", "", ()),
        (
            RATE,
            "one error rate of .05",
            "≤ .05",
            (at_most("passes", 0.05),),
        ),
    ):
        plan = planned([f"name: gate-{at}, {AB}, claim: different" for at in range(CLAIMS)], 100, more)
        results = (_family(plan, [gate.rule_pairs(*false[at][1:]) for at in row]) for row in picks)
        ruled = counted(((1 / many, _any(found)) for found in results), many)
        check = f"any of {CLAIMS} false claims, {said}"
        yield Row(check, peers, target, ruled, None, bands)
        true = list(tables(100, 0.2, 0.02))
        better = chance.choice(len(true), many, p=np.array([p for p, _, _ in true]) / sum(p for p, _, _ in true))
        found = [
            _family(plan, [gate.rule_pairs(*true[one][1:]), *(gate.rule_pairs(*false[at][1:]) for at in row[1:])])
            for one, row in zip(better, picks, strict=True)
        ]
        ruled = counted(((1 / many, results[0]) for results in found), many)
        yield Row(f"the one of {CLAIMS} claims that is true, {said}", "–", "", ruled, True, (at_least("passes", 0.75),))

    yield _looking(effort)


def _looking(effort: Effort) -> Row:
    """The same of claims that are looked at as cases come, which tell no p."""
    check, many = f"{VALUE}, claim: different, peek: true", effort.replications
    gate, chance = Gate(check, 100), np.random.RandomState(15)
    answers = chance.standard_normal((many, 100)).round(1)
    known = [gate.rule([(float(value), 0.0) for value in row]) for row in answers]
    plan = planned([f"name: gate-{at}, {check}" for at in range(CLAIMS)], 100, RATE)
    picks = chance.randint(0, many, (many, CLAIMS))
    ruled = counted(((1 / many, _any(_family(plan, [known[at] for at in row]))) for row in picks), many)
    said = f"any of {CLAIMS} false claims with `peek`, one error rate of .05"
    return Row(said, "–", "≤ .05", ruled, None, (at_most("passes", 0.05),))


def _family(plan: Any, results: list[CheckResult]) -> tuple[CheckResult, ...]:
    """As the certificate has them."""
    named = [replace(result, id=check.id, name=check.name) for check, result in zip(plan.checks, results, strict=True)]
    nothing: Mapping[str, str] = {}
    return certify(plan, Record(b""), nothing, named).checks


def _any(results: tuple[CheckResult, ...]) -> CheckResult:
    """One that passed, if any did; what is no verdict before all."""
    order = ("error", "unsupported", "pass", "fail", "inconclusive")
    return min(results, key=lambda each: order.index(each.verdict))
