"""`hallmark report`: what a run is told as."""

from __future__ import annotations

import argparse
import sys

from harness.verbs.given import Mistake, Verb, add_run, run_folder


def offer(verb: Verb) -> None:
    add_run(verb("report", _report, "Write a run's reports anew from its record."))


def _report(given: argparse.Namespace) -> int:
    from harness.pages import NotARun, read_run, tell
    from harness.spec.faults import visible
    from harness.verify import doubts

    folder = run_folder(given.run)
    try:
        run = read_run(folder)
        for doubt in doubts(run):
            print(f"doubtful: {visible(doubt)}; `hallmark verify` refuses such a run", file=sys.stderr)
        for path in tell(run, folder):
            print(path)
    except NotARun as error:
        raise Mistake(str(error)) from None
    except OSError as error:
        raise Mistake(f"{error.filename or folder} can't be written: {error.strerror}") from None
    except Exception as error:
        raise Mistake(f"the run in {folder} can't be told: {type(error).__name__}: {error}", 1) from None
    return 0
