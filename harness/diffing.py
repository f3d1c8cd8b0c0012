"""What two runs say differently: verdicts, estimates, cases, and what was asked, of what, on what. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import UNSET, Struct

from harness.bar import asked_otherwise, moves, short, terms
from harness.codec import to_json
from harness.contract import Case, Check, Outcome, Plan, Ruling, Setting, Status
from harness.policy import worst

SCHEMA = "hallmark/diff/1"
_Planned = Mapping[str, Case]
_WORDS = ("met", "skipped", "not measured", "missed", "error")
"""What may become of a case, the better first."""
_ELSEWHERE = ("files", "recipe", "made")
"""Facts of a model that follow from its recipe, which is told where it is asked."""


class Found(Struct, frozen=True, kw_only=True):
    """What a certificate says of a check, whatever version of Hallmark wrote it."""

    id: str
    name: str
    verdict: Ruling
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    reason: str


class Facts(Struct, frozen=True, kw_only=True):
    """When a run was, and how far it came."""

    id: str
    started: str
    seconds: float | None
    hallmark: str
    planned: int
    measured: int


class Head(Struct, frozen=True, kw_only=True):
    """What a certificate says of a run at large."""

    status: Status
    reason: str
    run: Facts
    score: float | None = None


class Told(Head, frozen=True, kw_only=True):
    """What a certificate says of a run and its checks, whatever version of Hallmark wrote it."""

    checks: tuple[Found, ...]


class Side(NamedTuple):
    """A run, as far as it can be held against another."""

    told: Told
    plan: Plan
    outcomes: Mapping[str, Mapping[str, Outcome]]
    """By check and case."""
    settings: Sequence[Setting]
    machine: Mapping[str, Any]


class Ruled(Struct, frozen=True, kw_only=True):
    """A check whose verdict is another."""

    check: str
    was: Ruling
    now: Ruling
    worse: bool
    reason: str
    """Of the later one."""


class Measure(Struct, frozen=True, kw_only=True):
    estimate: float | None
    interval: tuple[float, float] | None
    n: int


class Estimated(Struct, frozen=True, kw_only=True):
    """What both runs estimate of a check."""

    check: str
    was: Measure
    now: Measure
    overlap: bool | None
    """Whether the intervals have anything in common; None where there are no two."""


class Cases(Struct, frozen=True, kw_only=True):
    """What became otherwise of a check's cases."""

    check: str
    flipped: dict[str, list[str]]
    """The cases by what they were and are, such as `met -> missed`, the worst first."""
    answered: int
    """How many have another answer, and the same outcome."""
    asked: list[str]
    """Cases that ask or expect something else under the same id."""
    new: list[str]
    gone: list[str]


class Differs(Struct, frozen=True, kw_only=True):
    """Something that was asked, or that it was measured with or on."""

    of: str
    what: str
    was: Any
    now: Any


class Diff(Struct, frozen=True, kw_only=True):
    schema: str
    was: Head
    now: Head
    specs: tuple[tuple[str, ...], tuple[str, ...]]
    """The specs that each asked."""
    worse: bool
    """Whether a verdict is worse, a check that passed is gone from its spec, or what was certified is not."""
    verdicts: list[Ruled]
    new: list[str]
    """Checks of the later run alone."""
    gone: list[str]
    estimates: list[Estimated]
    cases: list[Cases]
    differs: list[Differs]


def diff(was: Side, now: Side) -> Diff:
    before, after = _by_id(was), _by_id(now)
    common = [id for id in after if id in before]
    checks = _checks(was.plan), _checks(now.plan)
    verdicts = [_ruled(before[id], after[id]) for id in common if before[id].verdict != after[id].verdict]
    gone = [id for id in before if id not in after]
    specs = tuple(spec.path for spec in was.plan.specs), tuple(spec.path for spec in now.plan.specs)
    missed = any(before[id].verdict == "pass" and id.partition("::")[0] in specs[1] for id in gone)
    lost = was.told.status == "certified" != now.told.status and not set(specs[0]).isdisjoint(specs[1])
    return Diff(
        schema=SCHEMA,
        was=_head(was.told),
        now=_head(now.told),
        specs=specs,
        worse=lost or missed or any(each.worse for each in verdicts),
        verdicts=sorted(verdicts, key=lambda each: (not each.worse, _badness(each.now))),
        new=[id for id in after if id not in before],
        gone=gone,
        estimates=[_estimated(before[id], after[id]) for id in common if _measured(before[id], after[id])],
        cases=[
            found for id in common if (found := _cases(was, now, _planned(checks[0], id), _planned(checks[1], id), id))
        ],
        differs=[*_differs_at_large(was, now), *_asked(was, now, *checks), *_models(was, now)],
    )


def _head(told: Told) -> Head:
    return Head(status=told.status, reason=told.reason, run=told.run, score=told.score)


def _by_id(side: Side) -> dict[str, Found]:
    return {found.id: found for found in side.told.checks}


# -------------------------------------------------------------------------------------------- verdicts


def _ruled(was: Found, now: Found) -> Ruled:
    worse = worst([was.verdict, now.verdict]) == now.verdict
    return Ruled(check=now.id, was=was.verdict, now=now.verdict, worse=worse, reason=now.reason)


def _badness(verdict: Ruling) -> int:
    order: Sequence[Ruling] = ("error", "fail", "inconclusive", "unsupported", "pass")
    return order.index(verdict)


def _measured(was: Found, now: Found) -> bool:
    return was.estimate is not None or now.estimate is not None


def _estimated(was: Found, now: Found) -> Estimated:
    return Estimated(check=now.id, was=_measure(was), now=_measure(now), overlap=_overlap(was.interval, now.interval))


def _measure(found: Found) -> Measure:
    return Measure(estimate=found.estimate, interval=found.interval, n=found.n)


def _overlap(was: tuple[float, float] | None, now: tuple[float, float] | None) -> bool | None:
    if was is None or now is None:
        return None
    return max(was[0], now[0]) <= min(was[1], now[1])


# ----------------------------------------------------------------------------------------------- cases


def _cases(was: Side, now: Side, before: _Planned, after: _Planned, id: str) -> Cases | None:
    """What became otherwise of a check's cases; None where nothing did."""
    found = {case: (_word(was, id, case), _word(now, id, case)) for case in after if case in before}
    flipped: dict[str, list[str]] = {}
    for old, new in sorted({pair for pair in found.values() if pair[0] != pair[1]}, key=_gravity):
        flipped[f"{old} -> {new}"] = [case for case, pair in found.items() if pair == (old, new)]
    told = Cases(
        check=id,
        flipped=flipped,
        answered=sum(_answered_otherwise(was, now, id, case) for case, (old, new) in found.items() if old == new),
        asked=[case for case in found if _question(before[case]) != _question(after[case])],
        new=[case for case in after if case not in before],
        gone=[case for case in before if case not in after],
    )
    return told if told.flipped or told.answered or told.asked or told.new or told.gone else None


def _checks(plan: Plan) -> dict[str, Check]:
    return {check.id: check for check in plan.checks}


def _planned(checks: Mapping[str, Check], id: str) -> _Planned:
    return {case.id: case for case in checks[id].cases} if id in checks else {}


def _word(side: Side, check: str, case: str) -> str:
    found = side.outcomes.get(check, {}).get(case)
    return "not measured" if found is None else found.outcome


def _gravity(pair: tuple[str, str]) -> tuple[int, int]:
    """The greatest fall first."""
    old, new = map(_WORDS.index, pair)
    return old - new, -new


def _answered_otherwise(was: Side, now: Side, check: str, case: str) -> bool:
    old, new = was.outcomes.get(check, {}).get(case), now.outcomes.get(check, {}).get(case)
    if old is None or new is None or old.answer is UNSET or new.answer is UNSET:
        return False
    return to_json(old.answer) != to_json(new.answer)


def _question(case: Case) -> bytes:
    return to_json([case.input, None if case.expect is UNSET else [case.expect], case.weight, case.cluster])


# --------------------------------------------------------------------- what was asked, of what, on what


def _differs_at_large(was: Side, now: Side) -> Iterator[Differs]:
    yield from _moved("the run", {"hallmark": was.told.run.hallmark}, {"hallmark": now.told.run.hallmark})
    yield from _moved("the run", {"numerics": was.plan.numerics}, {"numerics": now.plan.numerics})
    yield from _moved("the machine", _without(was.machine, "hallmark"), _without(now.machine, "hallmark"))
    before = {spec.path: spec for spec in was.plan.specs}
    for spec in now.plan.specs:
        if spec.path in before:
            yield from _moved(spec.path, terms(was.plan, before[spec.path]), terms(now.plan, spec))


def _asked(was: Side, now: Side, before: Mapping[str, Check], after: Mapping[str, Check]) -> Iterator[Differs]:
    for id, check in after.items():
        if id in before:
            for what, old, new in asked_otherwise(was.plan, before[id], now.plan, check):
                yield Differs(of=id, what=what, was=old, now=new)


def _models(was: Side, now: Side) -> Iterator[Differs]:
    """What is otherwise of models that both runs opened; what is so of several alike is told once."""
    before, after = _facts(was), _facts(now)
    alike: dict[bytes, tuple[list[str], str, Any, Any]] = {}
    for model in after:
        for what, old, new in moves(before.get(model, after[model]), after[model]):
            found = alike.setdefault(to_json([what, old, new]), ([], what, short(old), short(new)))
            found[0].append(model)
    for models, what, old, new in alike.values():
        more = f" and {len(models) - 1} more" if len(models) > 1 else ""
        yield Differs(of=models[0] + more, what=what, was=old, now=new)


def _facts(side: Side) -> dict[str, dict[str, Any]]:
    """What each model was measured with; where that was several things, a list of them."""
    every: dict[str, dict[str, dict[bytes, Any]]] = {}
    for setting in side.settings:
        facts = every.setdefault(setting.model or "no model", {})
        for key, value in setting.facts.items() if setting.facts else ():
            if key not in _ELSEWHERE:
                said = value.removeprefix("sha256:")[:12] if key == "digest" and isinstance(value, str) else value
                facts.setdefault(key, {})[to_json(said)] = said
    return {
        model: {
            key: next(iter(found.values())) if len(found) == 1 else [found[said] for said in sorted(found)]
            for key, found in facts.items()
        }
        for model, facts in every.items()
    }


def _moved(of: str, was: Any, now: Any) -> Iterator[Differs]:
    for what, old, new in moves(was, now):
        yield Differs(of=of, what=what, was=short(old), now=short(new))


def _without(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name != key}
