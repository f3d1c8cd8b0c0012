"""One error rate for all the claims of a spec: what passes by itself has to pass among the others, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from harness.contract import CheckResult, Plan, SpecFile
from harness.statistics.corrections import holm


def shared(plan: Plan, check: str) -> SpecFile | None:
    """The spec whose error rate a check has a part in, if that has one."""
    name = check.partition("::")[0]
    return next((spec for spec in plan.specs if spec.path == name and spec.error_rate is not None), None)


def within(plan: Plan, results: Sequence[CheckResult], looks: Mapping[str, int]) -> list[CheckResult]:
    """The results with the looks that were taken, and corrected where their spec says so (Holm 1979).

    A claim is a result that has a p. Where looks spend, the k-th has the 2^-k-th part of the error rate, so that all
    that may ever be taken have no more than the whole.
    """
    counted = [replace(each, look=looks.get(each.id, 0) + 1) if each.p is not None else each for each in results]
    for spec in plan.specs:
        if spec.error_rate is None:
            continue
        mine = [at for at, each in enumerate(counted) if each.id.partition("::")[0] == spec.path and each.p is not None]
        spent = [min(1.0, (counted[at].p or 0.0) * (2.0 ** counted[at].look if spec.spends else 1)) for at in mine]
        for at, p in zip(mine, holm(spent), strict=True):
            counted[at] = _corrected(counted[at], p if p is not None else 1.0, spec.error_rate, len(mine))
    return counted


def _corrected(result: CheckResult, p: float, rate: float, many: int) -> CheckResult:
    if result.verdict != "pass" or p < rate:
        return replace(result, adjusted_p=p)
    among = f"among the {many} claims of its spec" if many > 1 else "after the looks that were taken"
    reason = f"it passes by itself, but not with an error rate of {rate:g} {among} (p {result.p:.3g}, adjusted {p:.3g})"
    return replace(
        result, verdict="inconclusive", reason=f"{reason}: {result.reason}", adjusted_p=p, flipped=True, needed_n=None
    )
