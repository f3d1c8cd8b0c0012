"""`hallmark validate` and `hallmark plan`: what would run, everything that is wrong with it, and a lock on the bar."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.verbs.given import BUILT, NOTHING, Mistake, Verb, add_paths, count, read

if TYPE_CHECKING:
    from harness.contract import Check, Locked, Plan


def offer(verb: Verb) -> None:
    add_paths(verb("validate", _validate, "Read the specs strictly and say everything that is wrong with them."))
    plan = verb(
        "plan",
        _show_plan,
        "Show what would run: checks, cases, models, and how long it took last time; exit status 1 where what was "
        "locked moved.",
    )
    plan.add_argument("--oc", action="store_true", help="what each gate can show: its operating characteristics")
    plan.add_argument(
        "--lock", action="store_true", help="write hallmark.lock: what is asked, for runs to be held against"
    )
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
    from harness.spec.faults import visible

    for path in given.paths if given.lock else ():
        spec, of, _ = path.partition("::")
        if of and not Path(path).exists():
            raise Mistake(f"whole specs are locked, and not checks of them: `hallmark plan --lock {shlex.quote(spec)}`")
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
    if given.lock:
        for line in _lock(plan, shelf.root):
            print(visible(line))
        return 0
    lock = _lock_at(shelf.root)
    found = _against(plan, lock)
    for line in _held(lock, found):
        print(visible(line))
    return 1 if found and found.moved else 0


def _lock_at(root: Path) -> dict[str, Any] | None:
    """The project's lock; a mistake where it can't be read."""
    from harness import bar

    try:
        return bar.read(root)
    except bar.NotALock as error:
        raise Mistake(str(error)) from None


def _held(lock: dict[str, Any] | None, found: Locked | None) -> Iterator[str]:
    """What is locked of a plan, and what moved since, in lines."""
    from harness.bar import FILE

    if lock is not None and found is None:
        yield f"not locked: {FILE} holds none of these specs"
    if found is None:
        return
    yield f"locked: {count(found.checks, 'check')}, {found.digest[7:19]} of {found.at}"
    yield from _moved(found)
    for id in found.unlocked:
        yield f"not locked: {id}"
    for name in found.reworded:
        yield f"reworded: {name} has another text, and says the same"


def _moved(found: Locked) -> Iterator[str]:
    from harness.bar import told

    for each in found.moved:
        yield f"moved: {each.check}: {told(each)}"


def _against(plan: Plan, lock: dict[str, Any] | None) -> Locked | None:
    """What would become of a lock in a run that began now."""
    from harness import bar
    from harness.ledger import Begin

    if lock is None:
        return None
    started = datetime.now(UTC).isoformat(timespec="seconds")
    judges = bar.judges(check.kind for check in plan.checks)
    return bar.held(plan, Begin(run="", started=started, plan="", machine={}, lock=lock, judges=judges))


def _lock(plan: Plan, root: Path) -> Iterator[str]:
    """Lock a plan, beside what was locked of other specs; what that did, in lines."""
    from harness import bar
    from harness.store import only_one, write_whole

    if not plan.checks:
        raise Mistake("there is no check to lock", NOTHING)
    try:
        with only_one(f"lock {root}"):
            try:
                before = bar.read(root)
            except bar.NotALock as error:
                before = None
                yield f"nothing is kept of the lock that was there: {str(error).partition(';')[0]}"
            made = bar.locked(plan, root, before)
            write_whole(root / bar.FILE, bar.spelled(made))
    except bar.NotALock as error:
        raise Mistake(str(error)) from None
    except OSError as error:
        raise Mistake(f"{bar.FILE} can't be written: {error.strerror}") from None
    if old := _against(plan, before):
        yield from _moved(old)
    others = len(made["specs"]) - len(plan.specs)
    what = f"{count(len(plan.checks), 'check')} of {count(len(plan.specs), 'spec')}"
    kept = f"; what it held of {count(others, 'other spec')} is kept" if others else ""
    yield f"locked: {bar.FILE}, {what}, {made['digest'][7:19]}{kept}"


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
