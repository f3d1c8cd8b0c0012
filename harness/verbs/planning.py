"""`hallmark validate` and `hallmark plan`: what would run, and everything that is wrong with it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.verbs.given import BUILT, Verb, add_paths, count, read

if TYPE_CHECKING:
    from harness.contract import Check


def offer(verb: Verb) -> None:
    add_paths(verb("validate", _validate, "Read the specs strictly and say everything that is wrong with them."))
    plan = verb("plan", _show_plan, "Show what would run: checks, cases, models, and how long it took last time.")
    plan.add_argument("--oc", action="store_true", help="what each gate can show: its operating characteristics")
    add_paths(plan)


def _validate(given: argparse.Namespace) -> int:
    plan, _ = read(given)
    print(
        f"{count(len(plan.specs), 'spec')}, {count(len(plan.checks), 'check')}, {count(plan.cases(), 'case')}: no fault"
    )
    for note in plan.notes:
        print(f"note: {note}")
    return 0


def _show_plan(given: argparse.Namespace) -> int:
    from harness.shelf import is_built

    plan, shelf = read(given)
    last = _last_times(shelf.root)
    for spec in plan.specs:
        print(f"{spec.path}  {spec.name}{f': {spec.about}' if spec.about else ''}")
        models = {key: m for key, m in plan.models.items() if key.startswith(f"{spec.path}::")}
        for model in models.values():
            print(f"  model  {model.name:<24} {model.made():<16} {BUILT[is_built(model, shelf)]}")
        for check in plan.checks:
            if check.id.startswith(f"{spec.path}::"):
                took = f", {last[check.id]:.3g} s last time" if check.id in last else ""
                batches = f" in {count(check.batches(), 'batch', 'batches')}"
                print(f"  check  {check.name:<24} {check.kind:<16} {count(len(check.cases), 'case')}{batches}{took}")
                for line in _characteristics(check) if given.oc else ():
                    print(f"         {line}")
    print(f"{count(len(plan.checks), 'check')}, {count(plan.cases(), 'case')}")
    for note in plan.notes:
        print(f"note: {note}")
    return 0


def _characteristics(check: Check) -> Iterator[str]:
    """What a check can tell, in lines."""
    from harness.certify import characteristics

    found = characteristics(check)
    if found is None:
        yield "no table: it is decided by its cases alone, or by a method that has none"
        return
    yield f"{found.of:<36} passes   fails    inconclusive   ({found.method})"
    for row in found.rows:
        bar = "  <- the bar" if row.value == found.bar else ""
        yield f"  {row.truth:<34} {row.passes:<8.4f} {row.fails:<8.4f} {row.inconclusive:.4f}{bar}"
    if found.detectable is not None:
        yield f"  passes in four of five runs from {found.detectable:.4g} on"
    if found.needed_n is not None:
        yield f"  {found.needed_n:,} cases pass half-way from the bar in four of five runs"


def _last_times(root: Path) -> dict[str, float]:
    """How long each check took in the newest run, where there is one."""
    import msgspec

    from harness.contract import Certificate

    try:
        certificate = msgspec.json.decode(
            (root / "runs" / "latest" / "certificate.json").read_bytes(), type=Certificate
        )
    except (OSError, msgspec.MsgspecError):
        return {}
    return {result.id: result.seconds for result in certificate.checks}
