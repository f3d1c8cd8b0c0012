"""`hallmark golden update`: what a run found becomes what later runs are held against."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.verbs.given import NOTHING, Mistake, Verb, add_run, run_folder


def offer(verb: Verb) -> None:
    made = verb("golden", _golden, "Commit what a run found as what later runs are held against.")
    made.add_argument("what", choices=["update"])
    add_run(made)


def _golden(given: argparse.Namespace) -> int:
    from harness import rooms
    from harness.pages import read_run
    from harness.spec.faults import visible
    from harness.spec.places import find_root
    from harness.store import only_one, write_whole
    from harness.verify import problems

    folder, root = run_folder(given.run), find_root(Path.cwd())
    if problem := next(iter(problems(folder)), None):
        raise Mistake(f"{folder} is not to be believed: {visible(problem)}", 1)
    run = read_run(folder)
    written: dict[str, None] = {}

    def before(name: str) -> bytes | None:
        return (root / name).read_bytes() if (root / name).exists() else None

    with only_one(f"golden {root}"):
        for check in run.plan.checks:
            room = rooms.evaluator(check.kind)
            try:
                found = rooms.optional(room, "commit", check, run.outcomes(check.id).values(), before)
                if found is not None:
                    (root / found[0]).parent.mkdir(parents=True, exist_ok=True)
                    write_whole(root / found[0], found[1])
                    written[found[0]] = None
            except OSError as error:
                raise Mistake(f"{error.filename} can't be written: {error.strerror}", 1) from None
            except ValueError as error:
                raise Mistake(f"what {check.name} is held against can't be read: {error}", 1) from None
    if not written:
        raise Mistake(f"no check of {folder} keeps anything to be held against; give one `against:` a file", NOTHING)
    for name in written:
        print(name)
    return 0
