"""`hallmark verify`: whether a run is to be believed."""

from __future__ import annotations

import argparse
import sys

from harness.verbs.given import Verb, add_run, run_folder


def offer(verb: Verb) -> None:
    add_run(verb("verify", _verify, "Recompute a run's certificate from its record, without the models."))


def _verify(given: argparse.Namespace) -> int:
    from harness.contract import EXIT
    from harness.pages import read_run
    from harness.spec.faults import visible
    from harness.verify import problems

    folder = run_folder(given.run)
    found = problems(folder)
    for problem in found:
        print(f"refused: {visible(problem)}", file=sys.stderr)
    if found:
        return 1
    certificate = read_run(folder).certificate
    print(f"verified: {certificate.status}: {certificate.reason}")
    return EXIT[certificate.status]
