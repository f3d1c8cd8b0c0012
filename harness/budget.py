"""One error rate for all the claims of a spec: what passes by itself has to pass among the others, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from harness.contract import CheckResult, Plan, SpecFile
from harness.statistics.corrections import holm


def shared(plan: Plan, check: str) -> SpecFile | None:
    """The spec whose error rate a check has a part in, if that has one."""
    name = check.partition("::")[0]
    return next((spec for spec in plan.specs if spec.path == name and spec.error_rate is not None), None)


class Estimated(Protocol):
    """What says whether it may be wrong."""

    @property
    def p(self) -> float | None: ...

    @property
    def interval(self) -> tuple[float, float] | None: ...


def is_claim(result: Estimated) -> bool:
    """Whether it says something of more than the cases themselves, and may so be wrong."""
    return result.p is not None or (result.interval is not None and result.interval[0] < result.interval[1])


def within(plan: Plan, results: Sequence[CheckResult], looks: Mapping[str, int]) -> list[CheckResult]:
    """The results with the looks that were taken, and corrected where their spec says so (Holm 1979).

    Where looks spend, the k-th has the 2^-k-th part of the error rate, so that all
    that may ever be taken have no more than the whole.
    """
    counted = [replace(each, look=looks.get(each.id, 0) + 1) if is_claim(each) else each for each in results]
    for spec in plan.specs:
        if spec.error_rate is None:
            continue
        mine = [at for at, each in enumerate(counted) if each.id.partition("::")[0] == spec.path and _counts(each)]
        spent = [_spent(counted[at], spends=spec.spends) for at in mine]
        for at, p in zip(mine, holm(spent), strict=True):
            assert p is not None
            counted[at] = _corrected(counted[at], p, spec.error_rate, len(mine))
    return counted


def _counts(result: CheckResult) -> bool:
    """Whether it has a part in the error rate: a claim, and a check of which it can't be told yet."""
    return is_claim(result) or result.outcomes.total() < result.planned


def _spent(result: CheckResult, *, spends: bool) -> float:
    """Its p after the looks that were taken; of a claim that tells none, 1."""
    p = 1.0 if result.p is None else result.p
    return min(1.0, p * 2.0**result.look) if spends else p


def _corrected(result: CheckResult, p: float, rate: float, many: int) -> CheckResult:
    if result.verdict != "pass" or p < rate:
        return replace(result, adjusted_p=p)
    among = f"among the {many} claims of its spec" if many > 1 else "after the looks that were taken"
    reason = f"it passes by itself, but not with an error rate of {rate:g} {among} (adjusted p {p:.3g})"
    return replace(
        result, verdict="inconclusive", reason=f"{reason}: {result.reason}", adjusted_p=p, flipped=True, needed_n=None
    )
