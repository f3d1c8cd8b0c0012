"""What changed since the run before: verdicts, figures, and which checks there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.contract import Before, CheckResult, Previous

_RANK = ("pass", "unsupported", "inconclusive", "fail", "error")


class Change(NamedTuple):
    """A check then and now; one of both is None where it is new, or gone."""

    id: str
    name: str
    was: Before | None
    now: CheckResult | None

    @property
    def worse(self) -> bool:
        assert self.was is not None
        assert self.now is not None
        return _RANK.index(self.now.verdict) > _RANK.index(self.was.verdict)


class Changes(NamedTuple):
    verdicts: Sequence[Change]
    """Those that got worse first."""
    figures: Sequence[Change]
    new: Sequence[Change]
    gone: Sequence[Change]
    same: int
    """How many checks say the very same."""

    @property
    def any(self) -> bool:
        return bool(self.verdicts or self.figures or self.new or self.gone)


def changes(previous: Previous, results: Sequence[CheckResult]) -> Changes:
    both = [Change(now.id, now.name, previous.checks.get(now.id), now) for now in results]
    met = [each for each in both if each.was]
    turned = [each for each in met if each.was and each.now and each.was.verdict != each.now.verdict]
    moved = [each for each in met if each not in turned and _moved(each)]
    return Changes(
        verdicts=sorted(turned, key=lambda each: not each.worse),
        figures=moved,
        new=[each for each in both if each.was is None],
        gone=_gone(previous.checks, {each.id for each in both}),
        same=len(met) - len(turned) - len(moved),
    )


def _moved(each: Change) -> bool:
    was, now = each.was, each.now
    return bool(was and now and (was.estimate, was.interval, was.n) != (now.estimate, now.interval, now.n))


def _gone(checks: Mapping[str, Before], known: set[str]) -> list[Change]:
    return [Change(id, id.split("::", 2)[-1], was, None) for id, was in checks.items() if id not in known]
