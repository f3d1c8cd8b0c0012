"""What was asked before: a line a check of every run, kept beside the runs, so that asking until it is green shows.

Of checks that measure the machine it keeps the figures, too, so that later runs can tell how they went.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from harness import provenance, rooms
from harness.budget import is_claim
from harness.codec import digest_of
from harness.contract import Before, Check, CheckResult, Plan, Previous, Ruling, Status
from harness.trends import counts, followed

FILE = "history.jsonl"
RUNS = 200
"""So many earlier runs are shown to a run."""
_LOOKED_AT = 50
"""Of so many runs the newest is looked for that asked the same specs."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That a check was asked and judged."""

    run: str
    check: str
    asked: str
    """Digest of the question: the kind, its options, its cases, and what decides the models."""
    verdict: Ruling
    pledge: dict[str, Any]
    """What was promised of it before anyone looked."""
    claim: bool = True
    """Whether its verdict may have been wrong: the others are no looks, and kept for their figures."""
    figures: dict[str, float] = {}
    on: str = ""
    """Digest of what figures can be compared on: the machine, the numerics, and what was asked there."""
    models: dict[str, str] = {}
    """Digest of what decides each model, by role."""


class Past(msgspec.Struct, frozen=True):
    """What a run's checks have behind them."""

    looks: dict[str, int]
    """How often the same question was asked before, by check; where it never was, nothing."""
    broken: dict[str, list[str]]
    """What was changed, by check, of what had been promised before the first look."""
    earlier: dict[str, dict[str, list[float]]]
    """What the last runs on this machine figured, by check and figure, the oldest first."""


def question_of(plan: Plan, check: Check) -> str:
    """Changes whenever the check asks something else, or of other models; names, places and order don't matter."""
    asks = rooms.optional(rooms.evaluator(check.kind), "asks", check, default=check.options)
    return digest_of([check.kind, asks, check.prompts, _cases(check), _models(plan, check), plan.numerics])


def _cases(check: Check) -> list[str]:
    return sorted(digest_of([case.input, _expected(case), case.weight, case.cluster]) for case in check.cases)


def _models(plan: Plan, check: Check) -> dict[str, str]:
    keys = {"": check.model, **check.others}
    return {role: plan.models[key].recipe for role, key in keys.items() if key}


def _expected(case: Any) -> Any:
    return None if case.expect is msgspec.UNSET else [case.expect]


def past(runs: Path, plan: Plan) -> Past:
    """What the runs in this folder have asked before; a line that can't be read is nobody's."""
    every = list(_lines(runs / FILE))
    known = [line for line in every if line.claim]
    looks: dict[str, int] = {}
    broken: dict[str, list[str]] = {}
    for check in plan.checks if known else ():
        digest = question_of(plan, check)
        if before := len({line.run for line in known if line.asked == digest}):
            looks[check.id] = before
        pledge = _pledge(plan, check)
        first = next((line for line in known if line.pledge and _same(line, check, pledge)), None)
        if first is not None and (said := list(_broken(first, pledge))):
            broken[check.id] = said
    return Past(looks, broken, _earlier(plan, [line for line in every if line.figures and counts(line.verdict)]))


class _Run(msgspec.Struct, frozen=True):
    id: str
    started: str


class _Result(msgspec.Struct, frozen=True):
    id: str
    verdict: Ruling
    estimate: float | None
    interval: tuple[float, float] | None
    n: int


class _Told(msgspec.Struct, frozen=True):
    """What is read of an earlier certificate."""

    status: Status
    score: float
    run: _Run
    checks: list[_Result]


def previous(runs: Path, plan: Plan) -> Previous | None:
    """The newest run that came to its end and asked any of these specs, as it tells of itself."""
    paths = {spec.path for spec in plan.specs if not spec.over}
    try:
        folders = sorted(
            (entry.name for entry in os.scandir(runs) if entry.is_dir(follow_symlinks=False)), reverse=True
        )
    except OSError:
        return None
    for name in folders[:_LOOKED_AT]:
        try:
            told = msgspec.json.decode((runs / name / "certificate.json").read_bytes(), type=_Told)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue
        checks = {each.id: _before(each) for each in told.checks if each.id.partition("::")[0] in paths}
        if checks and told.status != "incomplete":
            return Previous(
                run=told.run.id, started=told.run.started, status=told.status, score=told.score, checks=checks
            )
    return None


def _before(result: _Result) -> Before:
    return Before(verdict=result.verdict, estimate=result.estimate, interval=result.interval, n=result.n)


def _earlier(plan: Plan, lines: Sequence[Asked]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for check in plan.checks if lines else ():
        on = _ground(plan, check) if _measures(check) else ""
        for line in [line for line in lines if line.check == check.id and line.on == on][-RUNS:]:
            for name, value in line.figures.items():
                found.setdefault(check.id, {}).setdefault(name, []).append(value)
    return found


def _measures(check: Check) -> bool:
    """Whether its figures depend on the machine and on the day, so that they are worth following."""
    return bool(getattr(rooms.evaluator(check.kind), "QUIET", False))


def _ground(plan: Plan, check: Check) -> str:
    """Figures of another machine, or of other cases, are no earlier ones; those of another model are."""
    machine = provenance.machine()
    ground = [machine["processor"], machine["cores"], machine["system"], plan.numerics]
    return digest_of([*ground, check.prompts, sorted(digest_of(case.input) for case in check.cases)])[7:19]


def _same(line: Asked, check: Check, pledge: Mapping[str, Any]) -> bool:
    """Whether what was promised then is what is promised, or was, now: by the check, or by the file that says it."""
    return line.check == check.id or ("file" in pledge and line.pledge.get("file") == pledge["file"])


def _broken(first: Asked, now: Mapping[str, Any]) -> Iterable[str]:
    for key in dict.fromkeys([*first.pledge, *now]):
        was, is_ = first.pledge.get(key), now.get(key)
        if was != is_:
            yield f"`{key}` was {_said(was)} when it was first looked at, in {first.run}, and is {_said(is_)}"


def _said(value: Any) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()


def _pledge(plan: Plan, check: Check) -> dict[str, Any]:
    """What was promised; with a promise go the cases and the models that it was made of."""
    found: dict[str, Any] = rooms.optional(rooms.evaluator(check.kind), "pledge", check, default={})
    kept = {"the cases": digest_of(_cases(check))[7:19], "the models": digest_of(_models(plan, check))[7:19]}
    return {**found, **kept} if found else {}


def remember(runs: Path, plan: Plan, run: str, results: Iterable[CheckResult]) -> None:
    """Note down what was asked and judged; one write, so that runs that end at once don't tear each other's lines."""
    by_id = {check.id: check for check in plan.checks}
    pairs = [(by_id[result.id], result) for result in results]
    lines = [_line(plan, run, check, result) for check, result in pairs if is_claim(result) or _measures(check)]
    if lines:
        handle = os.open(runs / FILE, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
        try:
            os.write(handle, msgspec.json.Encoder().encode_lines(lines))
        finally:
            os.close(handle)


def _line(plan: Plan, run: str, check: Check, result: CheckResult) -> Asked:
    line = Asked(
        run=run,
        check=check.id,
        asked=question_of(plan, check),
        verdict=result.verdict,
        pledge=_pledge(plan, check),
        claim=is_claim(result),
    )
    if not _measures(check):
        return line
    models = {role: recipe[7:19] for role, recipe in _models(plan, check).items()}
    return replace(line, figures=followed(result), on=_ground(plan, check), models=models)


def _lines(path: Path) -> Iterable[Asked]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    for line in data.splitlines():
        try:
            yield msgspec.json.decode(line, type=Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
