"""Checks that stand on others: in what order they are measured, and what becomes of them where their ground fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness import rooms
from harness.contract import STANDS_ON, Check, Outcome, Plan

_QUIET = 1_000_000


def grounds(plan: Plan) -> dict[int, list[int]]:
    """The places in the plan of the checks that each check stands on, where it stands on any."""
    place = {check.id: at for at, check in enumerate(plan.checks)}
    return {at: [place[id] for id in check.after] for at, check in enumerate(plan.checks) if check.after}


def ranks(plan: Plan) -> list[int]:
    """Of each check a number above those of all that it stands on; those of what is measured alone come last."""
    under = grounds(plan)
    found = [_QUIET if rooms.quiet(check) else 0 for check in plan.checks]
    for _ in range(len(under)):  # a circle is refused when it is planned; here it would only end this
        raised = {at: max(found[low] for low in lows) + 1 for at, lows in under.items()}
        if all(found[at] >= rank for at, rank in raised.items()):
            break
        for at, rank in raised.items():
            found[at] = max(found[at], rank)
    return found


def stands_on(plan: Plan, shut: Iterable[int]) -> str:
    """Why nothing is measured that stands on these checks, which did not pass; empty where there are none."""
    names = ", ".join(plan.checks[at].name for at in shut)
    return STANDS_ON + names if names else ""


def skipped(check: Check, positions: Sequence[int], reason: str) -> list[Outcome]:
    ids = [check.cases[position].id for position in positions]
    return [Outcome(case=id, outcome="skipped", check=check.id, reason=reason) for id in ids]
