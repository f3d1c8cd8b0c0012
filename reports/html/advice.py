"""What whoever reads a certificate can do about it."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from harness.contract import Pages, Plan

_MOST = 8


class Step(NamedTuple):
    said: str
    command: str = ""


def advice(pages: Pages) -> list[Step]:
    """What to do next: what the checks themselves advise, and then what the status asks for."""
    certificate = pages.certificate
    steps = [Step(said) for said in certificate.recommendations]
    again = _again(pages.plan)
    if certificate.status == "incomplete":
        return [Step("Measure everything that was planned; nothing is certified before", again), *steps]
    if certificate.status == "blocked":
        return [*steps, Step("Mend what blocks, and measure everything again", again)]
    if certificate.status == "inconclusive":
        steps = steps or [Step("See below why the checks that could not be decided could not")]
        return [*steps, Step("With more to go by, measure everything again", again)]
    verify = shlex.join(["hallmark", "verify", f"runs/{certificate.run.id}"])
    return [*steps, Step("Compute it again from its record, without the models", verify)]


def _again(plan: Plan) -> str:
    paths = [spec.path for spec in plan.specs]
    if not paths:
        return ""
    if len(paths) > _MOST:
        paths = list(dict.fromkeys(path.rpartition("/")[0] or "." for path in paths))
    return plan.command(*paths)
