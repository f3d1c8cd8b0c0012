"""A run with two models, made up: what tests of formats tell of."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.codec import digest
from harness.contract import (
    Case,
    Check,
    CheckResult,
    Criterion,
    Declared,
    Outcome,
    Plan,
    Ruling,
    Setting,
    SpecFile,
    Step,
    Tally,
)
from harness.ledger import Begin, End
from harness.pages import Run

CASES = "sha256:" + "ca" * 32
WEIGHTS = {"base": "sha256:" + "ba" * 32, "small": "sha256:" + "5a" * 32}


def a_run(
    verdict: Ruling = "pass",
    *,
    text: str = "said",
    name: str = "digits",
    model: str = "small",
    path: str = "golden/digits.jsonl",
    finished: bool = True,
    figures: dict[str, float] | None = None,
) -> Run:
    """`text` stands wherever a model, a spec or a room may write freely."""
    checks = [_check("base", "plain", path, text), _check("small", name, path, text)]
    base = Declared(name="base", how="zoo", options={}, recipe="sha256:" + "e0" * 32, at="specs/a.yaml:3")
    step = Step(
        what="quantize", options={"bits": 4}, recipe="sha256:" + "e1" * 32, files={"golden/lessons.jsonl": CASES}
    )
    small = msgspec.structs.replace(base, name=model, base="base", steps=(step,), recipe=step.recipe)
    plan = Plan(
        hallmark="1.2.3",
        specs=(SpecFile(path="specs/a.yaml", name=name, about=text, expires=86_400.0),),
        files={"specs/a.yaml": "sha256:" + "5e" * 32, path: CASES},
        models={"specs/a.yaml::base": base, "specs/a.yaml::small": small},
        checks=tuple(checks),
        criteria=(Criterion(id="good", needs=tuple(check.id for check in checks), at="specs/a.yaml:9", why=text),),
        notes=(text,),
    )
    data = msgspec.json.encode(plan)
    lines: list[Any] = [
        Begin(run="20260101-000000-aaaa", started="2026-01-01T00:00:00+00:00", plan=digest(data), machine={})
    ]
    for check, key in zip(checks, WEIGHTS, strict=True):
        facts = {"digest": WEIGHTS[key], "mlx": "0.32.4"}
        lines.append(Setting(id=key, model=check.model, facts=facts))
        lines += [Outcome(case=c.id, check=check.id, outcome="met", answer=text, by=key) for c in check.cases]
    if finished:
        lines.append(End(finished="2026-01-01T00:00:09+00:00", seconds=9.0))
    results = [
        _result(checks[0], "pass", text, {}),
        _result(checks[1], verdict, text, figures if figures is not None else {text: 1.5, "size_mb": 0.25}),
    ]
    return Run(data, msgspec.json.Encoder().encode_lines(lines), results)


def _check(model: str, name: str, path: str, text: str) -> Check:
    cases = tuple(Case(id=f"c{n}", input=text, expect=text, at=f"{path}:{n + 1}") for n in range(4))
    id = f"specs/a.yaml::golden::{name}"
    return Check(id=id, name=name, kind="golden", at="specs/a.yaml:7", model=f"specs/a.yaml::{model}", cases=cases)


def _result(check: Check, verdict: Ruling, text: str, figures: dict[str, float]) -> CheckResult:
    return CheckResult(
        id=check.id,
        name=check.name,
        kind=check.kind,
        model=check.model,
        verdict=verdict,
        estimate=0.75,
        interval=(0.5, 0.875),
        p=0.01,
        method="Clopper-Pearson",
        n=4,
        planned=4,
        outcomes=Tally(met=4),
        needed_n=None,
        reason=text,
        advice=text,
        figures=figures,
        at=check.at,
        seconds=0.0,
    )
