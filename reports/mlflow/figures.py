"""A run's figures and facts under names that MLflow takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from harness.codec import digest_of
from harness.contract import CheckResult, Pages
from reports.inert import inert

_MOST = 100
"""Signs of a part of a name; of a whole one it takes 250."""


def metrics(pages: Pages) -> dict[str, float]:
    certificate = pages.certificate
    found = {"score": certificate.score, "measured": float(certificate.run.measured)}
    names = _named([result.id for result in certificate.checks], [result.name for result in certificate.checks])
    for result, name in zip(certificate.checks, names, strict=True):
        found |= {f"{name}/{part}": value for part, value in _of(result)}
    return found


def _of(result: CheckResult) -> Iterator[tuple[str, float]]:
    yield "n", float(result.n)
    yield "passed", float(result.verdict == "pass")
    if result.estimate is not None:
        yield "estimate", result.estimate
    if result.interval is not None:
        yield "lower", result.interval[0]
        yield "upper", result.interval[1]
    if result.p is not None:
        yield "p", result.p
    for name, value in zip(_named(result.figures, result.figures), result.figures.values(), strict=True):
        yield f"figures/{name}", value


def params(pages: Pages) -> dict[str, str]:
    plan = pages.plan
    found = {"hallmark": plan.hallmark, "numerics": plan.numerics}
    models = pages.certificate.provenance["models"]
    names = _named(plan.models, [model.name for model in plan.models.values()])
    for (key, model), name in zip(plan.models.items(), names, strict=True):
        found[f"model/{name}/how"] = model.made()
        found[f"model/{name}/recipe"] = model.recipe
        if digests := models[key]["digests"]:
            found[f"model/{name}/digest"] = ", ".join(digests)
    return {name: inert(value, 500) for name, value in found.items()}


def _named(ids: Iterable[str], names: Iterable[str]) -> list[str]:
    """A part of a name for each: its own, told apart by a digest of its id where several would have the same."""
    parts = [_part(name) for name in names]
    # Some stores keep names as files, on disks that don't tell A from a.
    many = Counter(part.lower() for part in parts)
    return [
        f"{part}-{digest_of(id)[7:15]}" if many[part.lower()] > 1 else part for id, part in zip(ids, parts, strict=True)
    ]


def _part(name: str) -> str:
    return re.sub(r"[^\w-]+", ".", name, flags=re.ASCII).strip(".")[:_MOST] or "unnamed"
