"""Rows of gates on cases that are met or not: everything that can happen is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from benchmarks.validity import naive
from benchmarks.validity.chance import NIL, of_shares, of_tables, shares, tables
from benchmarks.validity.gates import RIGHT, Gate, Ruled, Said, counted, planned
from benchmarks.validity.row import Effort, Row, about, at_least, at_most, shown
from harness.contract import CheckResult
from harness.spec.faults import SpecFaults
from harness.statistics import proportion

AB = "kind: ab, baseline: old, candidate: new"


# ------------------------------------------------------------------------------------- one share


def coverage(effort: Effort) -> Iterator[Row]:
    targets = {20: (0.925, 0.984), 100: (0.966, 0.983)}
    for n, (wilson, exact) in targets.items():
        wald = shown(of_shares(n, 0.95, lambda k, n=n: naive.wald_covers(k, n, 0.95)))  # type: ignore[misc]
        found = of_shares(n, 0.95, lambda k, n=n: _covers(proportion.share(k, n, method="wilson").interval))  # type: ignore[misc]
        yield Row(
            f"95 % interval of a share, p=.95, n={n}: Wilson's",
            f"Wald covers {wald}",
            shown(wilson),
            covers=found,
            bands=(about("covers", wilson),),
        )
        gate = Gate("kind: golden, model: new, gate: {pass_rate: 0.8, population: sample, confidence: 0.975}", n)
        results = [gate.rule_share(k) for k in range(n + 1)]
        covered = sum(p for p, result in zip(shares(n, 0.95), results, strict=True) if _covers(result.interval))
        yield Row(
            f"the same, n={n}: Clopper-Pearson's, on the verdict",
            f"Wald covers {wald}",
            shown(exact),
            covers=covered,
            bands=(about("covers", exact),),
        )


def _covers(interval: tuple[float, float] | None) -> bool:
    return interval is not None and interval[0] <= 0.95 <= interval[1]


def gates(effort: Effort) -> Iterator[Row]:
    for n, truth, holds, target, bands in (
        (100, 0.93, False, "false pass ≤ .05", (at_most("passes", 0.05),)),
        (100, 0.95, None, "both ≤ .05", (at_most("passes", 0.05), at_most("fails", 0.05))),
        (200, 0.99, True, "passes ≥ .94", (at_least("passes", 0.94), at_most("fails", 0.001))),
    ):
        gate = Gate("kind: golden, model: new, gate: {pass_rate: 0.95, population: sample}", n)
        ruled = counted((p, gate.rule_share(k)) for k, p in enumerate(shares(n, truth)) if p > 0)
        passes = of_shares(n, truth, lambda k, n=n: naive.meets(k, n, 0.95))  # type: ignore[misc]
        yield Row(
            f"gate at .95, n={n}, true rate {truth:g}", f"k/n passes {shown(passes)}", target, ruled, holds, bands
        )


def refusals(effort: Effort) -> Iterator[Row]:
    """What no outcome could decide, or what would be decided wrongly, is said before anything runs."""
    passes = shown(of_shares(50, 0.93, lambda k: naive.meets(k, 50, 0.95)))
    yield refused("gate at .95, n=50", f"k/n passes {passes} at .93", _golden(0.95), 50)
    collapses = shown(of_tables(20, 0.0, 0.02, lambda g, b: naive.t_noninferior(g, b, 20, 0.02)))
    claim = f"{AB}, claim: {{noninferior: {{margin: 0.02}}}}"
    yield refused("not worse by .02, n=20, 2 % lost", f"t interval passes {collapses}", claim, 20)
    yield refused("the same by a t interval, n=500", "", f"{claim}, method: t", 500)
    clustered = [{"id": f"c{at}", "input": at, "expect": 1, "cluster": f"k{at // 20}"} for at in range(1000)]
    yield refused("gate on 50 prompts asked 20 times, pooled", "", _golden(0.95), clustered)


def _golden(rate: float) -> str:
    return f"kind: golden, model: new, gate: {{pass_rate: {rate}, population: sample}}"


def refused(check: str, peers: str, spec: str, cases: int | list[dict[str, object]]) -> Row:
    try:
        planned([f"name: gate, {spec}"], cases)
    except SpecFaults as stop:
        more = stop.faults[0].instead
        return Row(check, peers, "refused", said=f"refused: {more}" if more else "refused")
    return Row(check, peers, "refused", said="planned", wrong="the spec was not refused")


def determinism(effort: Effort) -> Iterator[Row]:
    """A model that now and then says something else, in runs of which all must agree."""
    gate = Gate("kind: determinism, model: new, runs: 59, vary: [repeat], divergence: 0.05", [{"id": "c", "input": 1}])
    results = [gate.rule_runs(["other"] * d + ["usual"] * (59 - d)) for d in range(60)]
    agree = 0.95**5 + 0.05**5
    for share, holds, target, bands in (
        (0.05, False, "false pass ≤ .05", (at_most("passes", 0.05),)),
        (0.0, True, "passes 1", (at_least("passes", 1.0),)),
    ):
        ruled = counted(zip(shares(59, share), results, strict=True))
        peers = f"5 runs agree {shown(agree)}" if share else "5 runs agree 1"
        yield Row(f"59 runs, {100 * share:g} % of runs diverge, 5 % allowed", peers, target, ruled, holds, bands)


# ------------------------------------------------------------------------------------------ pairs


class Truth(NamedTuple):
    gained: float
    lost: float


HALF = Truth(0.05, 0.05)
THREE_TO_ONE = Truth(0.075, 0.025)
ONE_TO_THREE = Truth(0.025, 0.075)
FEW = 1e-5
"""What the short version leaves out."""


def of_pairs(gate: Gate, n: int, truth: Truth, nil: float = NIL) -> Ruled:
    """Every table is judged."""
    return counted((p, gate.rule_pairs(g, b)) for p, g, b in tables(n, *truth, nil))


def of_edges(gate: Gate, n: int, truth: Truth, nil: float = NIL) -> Ruled:
    """Only the tables on both sides of the edges between verdicts are judged: of more that are lost no more passes."""
    found: dict[int, list[tuple[float, int]]] = {}
    for p, g, b in tables(n, *truth, nil):
        found.setdefault(g, []).append((p, b))
    open_from = fails_from = 0
    ruled: list[tuple[float, CheckResult]] = []
    for g, each in found.items():
        top = each[-1][1] + 1
        open_from = _walked(open_from, top, lambda b, g=g: gate.rule_pairs(g, b).verdict != "pass")  # type: ignore[misc]
        start = max(fails_from, open_from)
        fails_from = _walked(start, top, lambda b, g=g: gate.rule_pairs(g, b).verdict == "fail")  # type: ignore[misc]
        for p, b in each:
            like = fails_from if b >= fails_from else open_from if b >= open_from else open_from - 1
            ruled.append((p, gate.rule_pairs(g, like)))
    return counted(ruled)


def _walked(start: int, top: int, true: Callable[[int], bool]) -> int:
    """The first number below `top` for which it is true, found from a number near it."""
    at = min(start, top - 1)
    if true(at):
        while at and true(at - 1):
            at -= 1
        return at
    while at < top and not true(at):
        at += 1
    return at


def mcnemar(effort: Effort) -> Iterator[Row]:
    gate = Gate(f"{AB}, claim: different", 100)
    for truth, said, holds, bands, target in (
        (HALF, "1:1", None, (at_most("passes", 0.05),), "size ≤ .05"),
        (THREE_TO_ONE, "3:1", True, (about("passes", 0.328),), "power .328"),
    ):
        peers = f"exact {shown(of_tables(100, *truth, lambda g, b: naive.mcnemar_exact(g, b) < 0.05))}"
        ruled = of_pairs(gate, 100, truth)
        yield Row(f"different, n=100, 10 % discordant, {said}", peers, target, ruled, holds, bands)


def superior(effort: Effort) -> Iterator[Row]:
    gate = Gate(f"{AB}, claim: superior", 100)
    count = partial(of_edges, nil=FEW) if effort.quick else of_pairs
    for truth, said, holds, bands, target in (
        (HALF, "1:1", None, (at_most("passes", 0.05), at_most("fails", 0.05)), "both ≤ .05"),
        (THREE_TO_ONE, "3:1", True, (at_least("passes", 0.44), at_most("fails", 0.001)), ""),
    )[: 1 if effort.quick else 2]:
        peers = f"exact {shown(of_tables(100, *truth, lambda g, b: g > b and naive.mcnemar_exact(g, b) < 0.1))}"
        ruled = count(gate, 100, truth)
        yield Row(f"superior, n=100, 10 % discordant, {said}", peers, target, ruled, holds, bands)


def noninferiority(effort: Effort) -> Iterator[Row]:
    """The target of .697 is .695 when it is counted, by Tango's bound as by the exact test."""
    claim = "claim: {noninferior: {margin: 0.05}}"
    yield from _no_worse(effort, "ab", f"{AB}, {claim}", 200, 0.05)
    if not effort.quick:
        yield from _no_worse(effort, "ab, method: tango", f"{AB}, {claim}, method: tango", 200, 0.05)


def compression(effort: Effort) -> Iterator[Row]:
    """The same test in another kind."""
    n, margin = (60, 0.1) if effort.quick else (200, 0.05)
    written = f"kind: compression, model: new, baseline: old, claim: {{margin: {margin}}}"
    yield from _no_worse(effort, "compression", written, n, margin)


def _no_worse(effort: Effort, kind: str, written: str, n: int, margin: float) -> Iterator[Row]:
    gate, worse = Gate(written, n), Truth(margin / 2, 3 * margin / 2)
    count = partial(of_edges, nil=FEW) if effort.quick else of_pairs
    fails = () if kind.endswith("tango") else (at_most("fails", 0.05),)
    power, target = (0.6945, "power .697; counted .695") if n == 200 else (0.3, "")
    for truth, said, holds, bands, asked in (
        (worse, f"worse by {margin:g}", None, (at_most("passes", 0.05), *fails), "size ≤ .05"),
        (Truth(margin, margin), "no worse", True, (at_least("passes", power), at_most("fails", 0.001)), target),
    )[: 1 if effort.quick and kind == "compression" else 2]:
        wald = of_tables(n, *truth, lambda g, b: naive.wald_noninferior(g, b, n, margin))
        check = f"{kind}: not worse by {margin:g}, n={n}, {200 * margin:g} % discordant, truly {said}"
        yield Row(check, f"Wald {shown(wald)}", asked, count(gate, n, truth), holds, bands)


def equivalence(effort: Effort) -> Iterator[Row]:
    if effort.quick:
        return
    gate = Gate(f"{AB}, claim: {{equivalent: {{margin: 0.05}}}}", 200)
    for truth, said, holds, bands, target in (
        (ONE_TO_THREE, "worse by .05", None, (at_most("passes", 0.05), at_most("fails", 0.05)), "both ≤ .05"),
        (Truth(0.02, 0.02), "alike, 4 % discordant", True, (at_least("passes", 0.8), at_most("fails", 0.001)), ""),
    ):
        peers = of_tables(200, *truth, lambda g, b: naive.mcnemar_exact(g, b) >= 0.05)
        check = f"equivalent within .05, n=200, truly {said}"
        yield Row(check, f"p ≥ .05 is “equal”: {shown(peers)}", target, of_pairs(gate, 200, truth), holds, bands)


def itself(effort: Effort) -> Iterator[Row]:
    """A model against itself, which always says the same."""
    for claim, word in (
        ("superior", "inconclusive"),
        ("different", "inconclusive"),
        ("{noninferior: {margin: 0.05}}", "passes"),
        ("{equivalent: {margin: 0.05}}", "passes"),
    ):
        name = claim.strip("{}").partition(":")[0]
        for metric, said in (("", "right or wrong"), ("metric: {value: .}, within: [0, 1], ", "scores")):
            gate = Gate(f"{AB}, {metric}claim: {claim}", 200)
            answers: list[Said] = [(at / 200, at / 200) if metric else (RIGHT, RIGHT) for at in range(200)]
            ruled = counted([(1.0, gate.rule(answers))])
            holds = True if word == "passes" else None
            check = f"a model against itself, {name}, {said}, n=200"
            yield Row(
                check, f"t test: p is {naive.p_of_itself():.3g}", f"{word} 1", ruled, holds, (at_least(word, 1.0),)
            )


def regression(effort: Effort) -> Iterator[Row]:
    """Five points are lost, 90 % met before; 10 % of the pairs differ."""
    n, met = 500, 450
    gate = Gate(_golden(0.95), n)
    ruled = counted((p, gate.rule_share(k)) for k, p in enumerate(shares(n, 0.9)) if p > NIL)
    peers = of_shares(n, 0.9, lambda k: naive.meets(k, n, 0.95))
    bands = (at_most("passes", 0.001), at_least("fails", 0.99))
    yield Row("5 points below the bar, gate at .95, n=500", f"k/n passes {shown(peers)}", "", ruled, False, bands)
    gate = Gate(f"{AB}, claim: different", n)
    peers = of_tables(n, *ONE_TO_THREE, lambda g, b: naive.unpaired_z(met, met + g - b, n))
    ruled = of_pairs(gate, n, ONE_TO_THREE, FEW if effort.quick else NIL)
    yield Row(
        "5 points worse, n=500: different", f"unpaired z {shown(peers)}", "", ruled, True, (at_least("passes", 0.95),)
    )
    for margin, power in () if effort.quick else ((0.02, 0.69), (0.01, 0.89)):
        gate = Gate(f"{AB}, claim: {{noninferior: {{margin: {margin}}}}}", n)
        bands = (at_most("passes", 0.001), at_least("fails", power))
        said = f"unpaired z, p ≥ .05 passes {shown(1 - peers)}"
        ruled = of_edges(gate, n, ONE_TO_THREE)
        yield Row(f"5 points worse, n=500: not worse by {margin:g}", said, "", ruled, False, bands)
