"""Run folders for tests, recorded without measuring anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.codec import digest
from harness.contract import Case, Check, Criterion, Declared, Outcome, Plan, Setting, SpecFile, Word
from harness.ledger import Begin, End
from harness.pages import Run

SPEC = "specs/a.yaml"


def check(name: str = "c", words: int = 4, *, spec: str = SPEC, **more: Any) -> Check:
    cases = tuple(Case(id=f"{name}{at}", input=at, expect=at) for at in range(words))
    at = f"{spec}:5"
    given = {"options": {"gate": {"pass_rate": 0.5}}, "cases": cases, "model": f"{spec}::m", "at": at, **more}
    return Check(id=f"{spec}::golden::{name}", name=name, kind="golden", **given)


def plan(*checks: Check, recipe: str = "sha256:" + "1" * 64, **more: Any) -> Plan:
    specs = dict.fromkeys(each.id.partition("::")[0] for each in checks)
    declared = Declared(name="m", how="echo", options={}, recipe=recipe, at=f"{SPEC}:3")
    found = {
        "specs": tuple(SpecFile(path=path, name=Path(path).stem) for path in specs),
        "models": {f"{path}::m": declared for path in specs},
        "criteria": tuple(
            Criterion(id=each.name, needs=(each.id,), at=each.at, spec=each.id.partition("::")[0]) for each in checks
        ),
        **more,
    }
    return Plan(hallmark="0", checks=checks, **found)


def record(
    folder: Path,
    asked: Plan,
    words: dict[str, Sequence[Word]],
    *,
    started: str = "2026-01-01T10:00:00+00:00",
    facts: dict[str, Any] | None = None,
    answers: dict[str, Any] | None = None,
    finished: bool = True,
    certified: bool = True,
    machine: dict[str, Any] | None = None,
) -> Path:
    """Record a run of this plan: what became of each check's cases, by its name."""
    folder.mkdir(parents=True)
    data = msgspec.json.encode(asked)
    lines: list[Any] = [
        Begin(run=folder.name, started=started, plan=digest(data), machine=machine or {"cores": 2, "hallmark": "0"}),
        *(Setting(id=f"s{at}", model=key, facts=facts or {"digest": "d"}) for at, key in enumerate(asked.models)),
    ]
    for each in asked.checks:
        for case, word in zip(each.cases, words[each.name], strict=False):
            answer = (answers or {}).get(case.id, case.expect if word == "met" else "no")
            lines.append(Outcome(case=case.id, check=each.id, outcome=word, answer=answer, by="s0"))
    if finished:
        lines.append(End(finished=started.replace("T10:00", "T10:01"), seconds=60.0))
    outcomes = msgspec.json.Encoder().encode_lines(lines)
    (folder / "plan.json").write_bytes(data)
    (folder / "outcomes.jsonl").write_bytes(outcomes)
    if certified:
        (folder / "certificate.json").write_bytes(Run(data, outcomes).certificate_data)
    return folder
