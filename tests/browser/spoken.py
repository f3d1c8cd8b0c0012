"""Runs in which everything that a spec or a model may write says whatever it is given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import cycle
from typing import Any

import msgspec

from harness.contract import (
    Before,
    Case,
    Certificate,
    Check,
    Criterion,
    Declared,
    Difference,
    Locked,
    Moved,
    Outcome,
    Plan,
    Previous,
    Setting,
    SpecFile,
    Step,
    Waiver,
    Word,
)
from harness.ledger import Begin, End, Remark
from harness.pages import Run

WORDS: tuple[Word, ...] = ("met", "missed", "error", "skipped")
STARTED = "2026-01-01T00:00:00+00:00"


class Told(Run):
    """A run whose certificate was locked before and compared with another, in these words."""

    said: Sequence[str] = ()

    @cached_property
    def certificate(self) -> Certificate:
        first, last = self.said[0], self.said[-1]
        moved = tuple(
            Moved(check=check.id, what=said, was=said, now={said: [said]})
            for check, said in zip(self.plan.checks, self.said, strict=True)
        )
        checks = {
            check.id: Before(verdict="pass", estimate=1.0, interval=(0.9, 1.0), n=4) for check in self.plan.checks
        }
        checks |= {f"gone {said}": Before(verdict="fail", estimate=None, interval=None, n=1) for said in self.said}
        return msgspec.structs.replace(
            super().certificate,
            locked=Locked(digest=first, at=last, checks=len(checks), moved=moved, unlocked=(first,), reworded=(last,)),
            previous=Previous(run=first, started=last, status="blocked", score=50.0, checks=checks),
        )


def speak(strings: Sequence[str], words: Sequence[Word] = WORDS) -> Told:
    """A run with a spec, a model, a criterion, a waiver, a setting and a check for each of these; a case for each word."""
    numbered = list(enumerate(strings))
    checks = [_check(n, said, words) for n, said in numbered]
    plan = Plan(
        hallmark=strings[0],
        specs=tuple(SpecFile(path=f"{n} {said}", name=f"{n} {said}", about=said) for n, said in numbered),
        files={f"{n} {said}": said for n, said in numbered},
        models={f"s::{n} {said}": _model(f"{n} {said}", said) for n, said in numbered},
        checks=tuple(checks),
        criteria=tuple(
            Criterion(id=f"{n} {said}", needs=(checks[n].id,), why=said, at=said, spec=said) for n, said in numbered
        ),
        waivers=tuple(
            Waiver(checks=(checks[n].id,), who=said, why=said, until="2999-01-01" if n % 2 else "1999-01-01", at=said)
            for n, said in numbered
        ),
        notes=tuple(strings),
    )
    lines: list[Any] = [Begin(run=strings[0], started=STARTED, plan="p", machine={said: said for said in strings})]
    lines += [Setting(id=f"{n} {said}", model=f"s::{n} {said}", facts=_facts(said)) for n, said in numbered]
    lines += [Remark(text=said) for said in strings]
    lines += [outcome for n, said in numbered for outcome in _outcomes(checks[n], said, words)]
    lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0, stopped=strings[-1]))
    told = Told(msgspec.json.encode(plan), msgspec.json.Encoder().encode_lines(lines))
    told.said = strings
    return told


def _model(name: str, said: str) -> Declared:
    step = Step(what=said, options={said: said}, files={said: said}, recipe=said)
    return Declared(
        name=name, how=said, options={said: said}, steps=(step,), base=said, said=said, recipe=said, at=said, was=said
    )


def _facts(said: str) -> dict[str, Any]:
    return {"digest": said, said: said, "list": [said, said], "map": {said: said}, "device": said, "mlx": said}


def _check(n: int, said: str, words: Sequence[Word]) -> Check:
    cases = tuple(
        Case(
            id=f"{i} {said}",
            input=said if i % 2 else {said: [said]},
            expect={said: said} if i % 2 else said,
            tags=(said, "t"),
            cluster=said,
            at=f"{said}:{i}",
        )
        for i in range(len(words))
    )
    return Check(
        id=f"{n} {said}::golden::{n} {said}",
        name=f"{n} {said}",
        kind="golden",
        at=f"{said}:1",
        about=said,
        model=f"s::{n} {said}",
        prompts={said: said},
        options={"compare": {said: "exact"}} if n % 3 else {"gate": {"pass_rate": 0.5}},
        cases=cases,
    )


def _outcomes(check: Check, said: str, words: Sequence[Word]) -> list[Outcome]:
    answer = {said: [said, {"deep": said}]}
    differences = [Difference(at=said, mode=said, why=said, expected=said, got=answer)]
    return [
        Outcome(
            case=case.id,
            outcome=word,
            check=check.id,
            answer=answer if word == "missed" else said,
            differences=differences if word == "missed" else [],
            reason=said,
            by=check.name,
        )
        for case, word in zip(check.cases, words, strict=True)
    ]


def respell(plan: bytes, outcomes: bytes, strings: Sequence[str]) -> Run:
    """A run of which the models, the scanned files and the settings say these besides: a text each, one after another."""
    spoken = cycle(strings)

    def spell(given: Any) -> Any:
        if isinstance(given, dict):
            return {key: item if key in ("severity", "confidence") else spell(item) for key, item in given.items()}
        if isinstance(given, list):
            return [spell(item) for item in given]
        return f"{given} {next(spoken)}" if isinstance(given, str) else given

    lines = [msgspec.json.decode(line) for line in outcomes.splitlines()]
    for line in lines:
        line |= {key: spell(line[key]) for key in ("answer", "reason", "differences", "facts") if key in line}
    return Run(plan, msgspec.json.Encoder().encode_lines(lines))
