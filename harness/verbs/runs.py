"""`hallmark report`: what a run is told as."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.verbs.given import Mistake, Verb, add_run, run_folder

if TYPE_CHECKING:
    from harness.pages import Run


def offer(verb: Verb) -> None:
    made = verb("report", _report, "Write a run's reports anew from its record, or tell of it in other formats.")
    add_run(made)
    made.add_argument(
        "--format",
        action="append",
        default=[],
        metavar="NAME",
        help="one format rather than those that every run has, such as model_card, bom, pdf or mlflow; may be repeated",
    )
    made.add_argument("--to", metavar="WHERE", help="a folder to write into, or the service to tell")


def _report(given: argparse.Namespace) -> int:
    from harness.contract import Refused
    from harness.pages import NotARun, read_run, tell
    from harness.proof.verify import doubts
    from harness.rooms import NoSuchRoom
    from harness.spec.faults import visible

    folder = run_folder(given.run)
    formats = list(dict.fromkeys(given.format))
    if given.to is not None and not formats:
        raise Mistake("--to says where a --format goes: name one")
    try:
        run = read_run(folder)
        found = [visible(str(doubt)) for doubt in doubts(run)]
        for doubt in found:
            print(f"doubtful: {doubt}; `hallmark verify` refuses such a run", file=sys.stderr)
        for place in _formats(run, folder, formats, given.to, found) if formats else tell(run, folder):
            print(place)
    except NotARun as error:
        raise Mistake(str(error)) from None
    except (Mistake, NoSuchRoom):
        raise
    except Refused as error:
        raise Mistake(str(error), 1) from None
    except OSError as error:
        raise Mistake(f"{error.filename or folder} can't be written: {error.strerror}") from None
    except Exception as error:
        raise Mistake(f"the run in {folder} can't be told: {type(error).__name__}: {error}", 1) from None
    return 0


def _formats(run: Run, folder: Path, names: Sequence[str], to: str | None, doubts: Sequence[str]) -> list[str]:
    """Where each format was told: files first, and all of them or none."""
    from harness import rooms
    from harness.proof.signing import SIGNATURES
    from harness.store import write_whole

    known = {name: rooms.report(name) for name in names}
    sent = {name: room for name, room in known.items() if hasattr(room, "send") and (to or not hasattr(room, "FILE"))}
    files = {name: room for name, room in known.items() if name not in sent}
    if to is not None and sent and len(known) > 1:
        raise Mistake(f"--to is one place: ask for `--format {next(iter(sent))}` by itself")
    if sent and doubts:
        raise Mistake(f"nobody is told of a run that is doubtful: {doubts[0]}", 1)
    within = folder if to is None or sent else Path(to)
    if (within.exists() and not within.is_dir()) or ("://" in (to or "") and not sent):
        raise Mistake(f"{to} is no folder to write into")
    told = {within / room.FILE: _made(name, room, "tell", run) for name, room in files.items()}
    if to is None and any((folder / name).exists() for name in SIGNATURES):
        for path, data in told.items():
            if not path.exists() or path.read_bytes() != data:
                raise Mistake(f"the run is signed, and {path.name} is not among what was: say where else with --to", 1)
    if told:
        within.mkdir(parents=True, exist_ok=True)
    for path, data in told.items():
        write_whole(path, data)
    places = [str(path) for path in told]
    return places + [_made(name, room, "send", run, folder, to or "") for name, room in sent.items()]


def _made(name: str, room: object, how: str, *args: Any) -> Any:
    """What a room makes of a run; a mistake where something is not installed that it takes."""
    try:
        return getattr(room, how)(*args)
    except ModuleNotFoundError as error:
        extra = getattr(room, "NEEDS", "")
        if not extra:
            raise
        raise Mistake(f"the format `{name}` needs {error.name}: pip install 'mlx-hallmark[{extra}]'") from None
    except ImportError as error:
        raise Mistake(f"the format `{name}` is unsupported here: {error}") from None
