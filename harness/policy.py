"""What a spec's `certificate:` asks for: criteria and their score, waivers, and until when it all holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from msgspec.structs import replace

from harness.contract import CheckResult, Criterion, CriterionResult, Plan, Ruling, SpecFile, Waiver, WaiverResult

_WORST: Sequence[Ruling] = ("error", "fail", "inconclusive", "unsupported", "pass")
_MAY_BE_WAIVED: Sequence[Ruling] = ("fail", "inconclusive", "unsupported")
"""What was found may be answered for; what went wrong in finding it may not."""


def day_of(moment: str) -> str:
    """The day of a moment, in the one time zone that all dates of specs are read in."""
    return datetime.fromisoformat(moment).astimezone(UTC).date().isoformat() if moment else ""


def end_of(day: str) -> datetime:
    """When a day is over."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return begin + timedelta(days=1) if day < "9999-12-31" else begin.replace(hour=23, minute=59, second=59)


def waiver_of(plan: Plan, check: str, day: str) -> Waiver | None:
    """What a check is waived by on that day, should it not pass."""
    return next(
        (waiver for waiver in plan.waivers if check in waiver.checks and bool(day) and day <= waiver.until), None
    )


def holds(plan: Plan, result: CheckResult, day: str) -> bool:
    """Whether a check does not pass, and somebody answers for that."""
    return result.verdict in _MAY_BE_WAIVED and waiver_of(plan, result.id, day) is not None


def waived(plan: Plan, results: Sequence[CheckResult], day: str) -> list[CheckResult]:
    """The results, those marked for which somebody answers."""
    return [replace(each, waived=holds(plan, each, day)) for each in results]


def waivers(plan: Plan, results: Mapping[str, CheckResult], day: str) -> tuple[WaiverResult, ...]:
    """Every waiver, used or not, a line for each check that it speaks of."""
    return tuple(
        WaiverResult(
            check=id,
            who=waiver.who,
            why=waiver.why,
            until=waiver.until,
            at=waiver.at,
            used=results[id].waived and day <= waiver.until,
        )
        for waiver in plan.waivers
        for id in waiver.checks
    )


def opens(plan: Plan, result: CheckResult, day: str) -> bool:
    """Whether checks that stand on this one may be measured."""
    return result.verdict == "pass" or holds(plan, result, day)


def criteria(plan: Plan, results: Mapping[str, CheckResult]) -> tuple[CriterionResult, ...]:
    """The criteria as declared; where a run declares none, each check is one."""
    declared = plan.criteria or tuple(Criterion(id=r.name, needs=(r.id,), at=r.at) for r in results.values())
    found = [
        CriterionResult(
            id=each.id,
            why=each.why,
            needs=each.needs,
            verdict=worst([results[need].verdict for need in each.needs]),
            at=each.at,
            weight=weight,
            waived=_waived([results[need] for need in each.needs]),
        )
        for each, weight in zip(declared, _weights(plan, declared), strict=True)
    ]
    return tuple(sorted(found, key=lambda each: each.weight == 0))  # those that others stand for come last


def worst(rulings: Sequence[Ruling]) -> Ruling:
    return min(rulings, key=_WORST.index)


def _waived(needs: Sequence[CheckResult]) -> bool:
    """Whether all that does not pass is waived, and something is."""
    return any(each.waived for each in needs) and all(each.waived or each.verdict == "pass" for each in needs)


def _weights(plan: Plan, declared: Sequence[Criterion]) -> list[float]:
    """The part of the score that each criterion has: files share it equally, and each file's criteria share its part.

    Where a certificate stands over specs, its criteria stand for theirs.
    """
    policies = [spec for spec in plan.specs if spec.over and any(each.spec == spec.path for each in declared)]
    counted = [
        each
        for each in declared
        if not any(_under(each.spec, policy) and each.spec != policy.path for policy in policies)
    ]
    files = dict.fromkeys(each.spec for each in counted)
    whole = {file: sum(_own(each) for each in counted if each.spec == file) for file in files}
    return [_own(each) / whole[each.spec] / len(files) if each in counted else 0.0 for each in declared]


def _own(criterion: Criterion) -> float:
    return 1.0 if criterion.weight is None else criterion.weight


def _under(path: str, policy: SpecFile) -> bool:
    """Whether a spec lies beside or below the file that stands over specs."""
    return PurePosixPath(policy.path).parent in PurePosixPath(path).parents


def score(found: Sequence[CriterionResult]) -> tuple[float, str]:
    """0 to 100, and what that means."""
    met = round(100 * sum(each.weight for each in found if each.verdict == "pass"), 1)
    if any(each.verdict != "pass" for each in found if each.weight > 0):
        met = min(met, 99.9)  # all is all, however little is lacking
    parts = [_part(each) for each in found if each.weight > 0]
    meaning = "the weight of the criteria that are met; what is waived is not met, and the score decides nothing"
    shown = ", ".join(parts[:12]) + (f" and {len(parts) - 12} more" if len(parts) > 12 else "")
    return met, f"{met:g} of 100: {meaning}" + (f": {shown}" if parts else "")


def _part(criterion: CriterionResult) -> str:
    return f"{criterion.id} {round(100 * criterion.weight, 1):g}{'' if criterion.verdict == 'pass' else ' (not met)'}"


def expiry(plan: Plan, found: Sequence[WaiverResult], finished: str | None) -> str | None:
    """When a certificate of a run that finished then ends to hold: the first of all that is told."""
    if finished is None:
        return None
    moment = datetime.fromisoformat(finished)
    ends = [moment + timedelta(seconds=spec.expires) for spec in plan.specs if spec.expires is not None]
    ends += [end_of(spec.ends) for spec in plan.specs if spec.ends]
    ends += [end_of(waiver.until) for waiver in found if waiver.used]
    return min(ends).isoformat() if ends else None
