"""What is done to vary an axis: other lots and orders of the cases, other ways to ask the model, other processes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evaluators.determinism.requiring import runs_of
from harness.codec import to_json
from harness.contract import Case, Check, Measuring, Refused, Way

Lots = Sequence[Sequence[Case]]
"""Cases that are asked together."""
SIZES = (1, 2, 7)


class Company(Case, frozen=True):
    """A copy of a case that keeps others company: what is answered to it is nobody's."""


class Run(NamedTuple):
    """One way to ask all the cases again."""

    label: str
    """What was varied; `{place}` and `{size}` stand for a case's place in its lot, and that lot's size."""
    way: Way
    lots: Lots
    free: bool = False
    """Whether it may differ: then it is only noted whether it does."""


def runs(axis: str, check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    """The runs of an axis over these lots; Refused where the model can't be varied so."""
    vary = _OURS.get(axis)
    if vary is not None:
        yield from vary(check, lots, bench)
        return
    yield from _offered(axis, check, lots, bench)


def _offered(axis: str, check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    """What the model itself offers."""
    asked = check.options.get(axis)
    labels = bench.ways(axis, asked)
    if not labels:
        raise Refused("the model offers no way to vary it")
    for label in labels:
        yield Run(label, Way(axis=axis, label=label, asked=asked), lots)


def _besides(axis: str, lots: Lots, bench: Measuring) -> list[Run]:
    """What the model offers to an axis that we vary ourselves."""
    if bench.trait("ways") is None:
        return []
    return [Run(label, Way(axis=axis, label=label), lots) for label in bench.ways(axis)]


# ------------------------------------------------------------------------------------- again, and elsewhere


def _repeat(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    """Again, after one question more and then two: what counts its calls is not to meet itself at the same count."""
    for number in range(1, runs_of(check)):
        for _ in range(1 + (number + 1) % 2):
            bench.look([lots[0][0]], Way())
        yield Run(f"run {number + 1}", Way(chance=number), lots)


def _process(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    _started_anew(bench)
    for number in range(1, runs_of(check)):
        yield Run(f"process {number + 1}", Way(process=number, chance=number), lots)


def _started_anew(bench: Measuring) -> None:
    if not bench.trait("anew"):
        raise Refused("what answers is not started by us: another process here would vary nothing")


def _order(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    if len(check.cases) < 2:
        raise Refused("a single case has no order")
    if bench.size() < 2:  # asked one by one: then it is the calls that are put in another order
        lots = [[case for lot in lots for case in lot]]
    others = [[*lot, *([_stranger(lot[0], check)] if len(lot) < 2 else [])] for lot in lots]
    yield Run("in reverse", Way(), [lot[::-1] for lot in others])
    for number in range(2, runs_of(check)):
        yield Run(f"shuffled, {number - 1}", Way(), [_shuffled(lot, number) for lot in others])


def _stranger(case: Case, check: Check) -> Company:
    return _copy(next(other for other in check.cases if other.id != case.id))


def _shuffled(lot: Sequence[Case], number: int) -> list[Case]:
    """In another order than it is in; of two there is but one other."""
    chance = random.Random(f"order {number}")  # noqa: S311
    while (shuffled := chance.sample(lot, len(lot))) == list(lot):
        pass
    return shuffled


def _seed(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    yield Run("the same seed", Way(), lots)
    samples = bench.trait("samples")
    for run in _besides("seed", lots, bench) or [Run("another seed", Way(chance=1), lots)]:
        yield run._replace(free=samples is not False)


def _threads(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    _started_anew(bench)
    for number in check.options.get("threads", [1, max(2, os.cpu_count() or 2)]):
        yield Run(f"{number} thread{'s' * (number != 1)}", Way(threads=number), lots)


def _tf32(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    facts = bench.facts()
    if (
        not bench.trait("padded")
        or "gpu" not in str(facts.get("device"))
        or not str(facts.get("system")).startswith("Linux")
    ):
        raise Refused("TF32 is a matter of NVIDIA's GPUs: here it changes nothing")
    on = not facts.get("tf32")
    yield Run(f"TF32 {'on' if on else 'off'}", Way(tf32=on), lots)


def _blas(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    if not bench.trait("padded"):
        raise Refused("it is not known to compute with MLX, whose linear algebra this varies")
    facts = bench.facts()
    if "cpu" not in str(facts.get("device")):
        raise Refused("MLX's linear algebra does not run on the CPU here, so that no BLAS decides it")
    other: Any = "fast" if facts.get("numerics") == "strict" else "strict"
    yield Run(f"{other} numerics", Way(numerics=other), lots)


# ------------------------------------------------------------------------------------------ other company


def _batch(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    if not bench.trait("together"):
        raise Refused("it answers one question at a time: there is no batch")
    most = bench.size()
    for size in check.options.get("batch_sizes") or [size for size in SIZES if size != most]:
        lesser = [part for lot in lots for part in _cut(_filled(lot, size), size)]
        yield Run("alone" if size == 1 else "in a batch of {size}", Way(), lesser)
    enough = [_filled(lot, min(3, max(2, most))) for lot in lots]
    for turn in (1, 2):
        turned = [[*lot[(at := len(lot) * turn // 3 or 1) :], *lot[:at]] for lot in enough]
        yield Run("at place {place} of {size}", Way(), turned)
    yield from _besides("batch", lots, bench)


def _padding(check: Check, lots: Lots, bench: Measuring) -> Iterator[Run]:
    """Beside a longer one, and where nothing is padded."""
    if not bench.trait("together"):
        raise Refused("it answers one question at a time: nothing is padded")
    cases = [case for lot in lots for case in lot]
    if besides := _besides("padding", lots, bench):
        yield from besides
    else:
        longest = max(check.cases, key=_length)
        if all(_length(case) == _length(longest) for case in check.cases):
            raise Refused("its inputs are all of one length: nothing is padded")
        yield Run("beside the longest", Way(), [[case, _copy(longest)] for case in cases])
    yield Run("beside itself", Way(), [[case, _copy(case)] for case in cases])


def _length(case: Case) -> int:
    return len(to_json(case.input))


def _cut(cases: Sequence[Case], size: int) -> Lots:
    return [cases[start : start + size] for start in range(0, len(cases), size)]


def _filled(cases: Sequence[Case], size: int) -> list[Case]:
    """At least so many: where there are fewer, copies keep them company."""
    lacking = max(0, size - len(cases))
    return [*cases, *(_copy(cases[at % len(cases)]) for at in range(lacking))]


def _copy(case: Case) -> Company:
    return Company(id=case.id, input=case.input)


def placed(run: Run, lot: Sequence[Case]) -> Iterable[tuple[Case, str]]:
    """Each case of a lot, and what to call what was done to it."""
    for place, case in enumerate(lot, 1):
        yield case, run.label.format(place=place, size=len(lot)) if "{" in run.label else run.label


_OURS: Mapping[str, Callable[[Check, Lots, Measuring], Iterator[Run]]] = {
    "repeat": _repeat,
    "process": _process,
    "order": _order,
    "seed": _seed,
    "threads": _threads,
    "tf32": _tf32,
    "blas": _blas,
    "batch": _batch,
    "padding": _padding,
}
