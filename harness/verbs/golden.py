"""`hallmark golden`: what a run found becomes what later runs are held against, where somebody answers for it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.verbs.given import NOTHING, Mistake, Verb, add_run, count, run_folder

if TYPE_CHECKING:
    from harness.contract import Check
    from harness.pages import Run
    from harness.patches.accepting import Done, Word
    from harness.patches.changes import ByHand, Change, Found


def offer(verb: Verb) -> None:
    made = verb("golden", _golden, "Show what a run would change in what later runs are held against, and accept it.")
    parts = made.add_subparsers(dest="what", required=True, metavar="WHAT", parser_class=type(made))
    update = parts.add_parser("update", help="show or accept changes, and commit baselines")
    add_run(update)
    update.add_argument(
        "--accept",
        metavar="WHAT",
        action="append",
        default=[],
        help="a case, as ID or CHECK::ID, or all that is `format`, `numeric` or `semantic`; may be given again",
    )
    update.add_argument("--check", metavar="NAME", help="this check alone")
    update.add_argument("--why", metavar="TEXT", help="the reason, which is kept; what is accepted needs one")
    update.add_argument("--who", metavar="NAME", help="who answers for it (default: git's user.name and user.email)")
    papers = update.add_mutually_exclusive_group()
    papers.add_argument("--patch", metavar="FILE", help="write the proposal, or what --accept names, to be reviewed")
    papers.add_argument("--apply", metavar="FILE", help="accept what such a file holds")
    papers.add_argument("--finish", action="store_true", help="write what was accepted when writing it was cut short")
    log = parts.add_parser("log", help="tell who changed what is expected, when and why")
    log.add_argument("name", nargs="?", metavar="FILE|CASE", help="of this file, or this case (default: of all)")


def _golden(given: argparse.Namespace) -> int:
    from harness.patches.changes import Unfit
    from harness.patches.history import Torn

    try:
        if given.what == "log":
            return _log(given)
        return _finish(given) if given.finish else _update(given)
    except (Unfit, Torn) as error:
        raise Mistake(str(error), 1) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Mistake(f"{error.filename}: {error.strerror}", 1) from None


def _update(given: argparse.Namespace) -> int:
    from harness.patches.changes import gather
    from harness.spec.places import find_root

    folder, root = run_folder(given.run), find_root(Path.cwd())
    if given.apply and given.accept:
        raise Mistake("--apply accepts what its file holds; leave --accept out, or take changes out of the file")
    if given.why is not None and not (given.accept or given.apply):
        raise Mistake("--why is of what is accepted: write --accept or --apply beside it")
    word = _word(given, root) if (given.accept or given.apply) and not given.patch else None
    run = _believed(folder)
    names = _wanted(run, given.check)
    found = gather(run, lambda check: check.id in names)
    if word is not None:
        changes = _from_paper(given.apply, run, found) if given.apply else _chosen(given.accept, found, run)
        left = [each for each in found.by_hand if _names(each.case, (each.check,)) & set(given.accept)]
        return _accepted(run, root, changes, word, left)
    if given.patch:
        return _written(given, run, _chosen(given.accept, found, run) if given.accept else found.changes)
    return _shown(folder, root, run, names, found)


def _believed(folder: Path) -> Run:
    from harness.pages import read_run
    from harness.proof.verify import problems
    from harness.spec.faults import visible

    if problem := next(iter(problems(folder)), None):
        raise Mistake(f"{folder} is not to be believed: {visible(problem)}", 1)
    return read_run(folder)


def _wanted(run: Run, name: str | None) -> set[str]:
    """The ids of the checks that are meant: one by its id or name, all of `digits[...]` by `digits`."""
    from harness.spec.faults import meant

    def named(check: Check) -> tuple[str, ...]:
        return check.id, check.name, check.name.partition("[")[0]

    found = {check.id for check in run.plan.checks if name is None or name in named(check)}
    if not found and name is not None:
        raise Mistake(f"the run has no check `{name}`; {meant(name, {check.name for check in run.plan.checks})}")
    return found


# ----------------------------------------------------------------------------------------- showing


def _shown(folder: Path, root: Path, run: Run, names: set[str], found: Found) -> int:
    from harness.patches.accepting import is_there, state
    from harness.patches.showing import told

    written = _committed(root, run, names)
    for name in written:
        print(name)
    if not written and not found.changes and not found.by_hand:
        if found.proposing:
            raise Mistake(f"every answer of {folder} is as expected: there is nothing to change", NOTHING)
        raise Mistake(f"no check of {folder} keeps anything to be held against; give one `against:` a file", NOTHING)
    files = dict.fromkeys(change.file for change in found.changes)
    there = {each for f in files for each in is_there(root, f, [c for c in found.changes if c.file == f])}
    left = [change for change in found.changes if change.same() not in there]
    _say(told(left, found.by_hand, len(found.changes) - len(left)))
    bad = [
        f"{file}: {why}" for file in dict.fromkeys(change.file for change in left) if (why := state(run, root, file))
    ]
    _say(["", *bad] if bad else [])
    if left:
        print("\nnothing of this is written; `--accept CASE|format|numeric|semantic --why TEXT` writes what you accept")
    return 0


def _committed(root: Path, run: Run, names: set[str]) -> list[str]:
    """Write what the kinds of these checks keep of a run; the files."""
    from harness import rooms
    from harness.patches.accepting import lock_of
    from harness.store import only_one, write_whole

    written: dict[str, None] = {}

    def before(name: str) -> bytes | None:
        return (root / name).read_bytes() if (root / name).exists() else None

    with only_one(lock_of(root)):
        for check in run.plan.checks:
            if check.id not in names:
                continue
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
    return list(written)


# --------------------------------------------------------------------------------------- accepting


def _chosen(wanted: Sequence[str], found: Found, run: Run) -> list[Change]:
    """The changes that are named, by class or by case."""
    from harness.patches.changes import CLASSES

    chosen: dict[bytes, Change] = {}
    for word in wanted:
        mine = [each for each in found.changes if each.kind == word or word in _names(each.case, each.checks)]
        if not mine and word not in CLASSES:
            raise Mistake(_not_there(word, found, run))
        chosen |= {each.same(): each for each in mine}
    return list(chosen.values())


def _names(case: str, checks: Sequence[str]) -> set[str]:
    """What a case may be called: by itself, or after its check."""
    return {case} | {f"{name}::{case}" for id in checks for name in (id, id.split("::", 2)[-1])}


def _not_there(word: str, found: Found, run: Run) -> str:
    from harness.spec.faults import meant

    for each in found.by_hand:
        if word in _names(each.case, (each.check,)):
            return f"{each.at}: edit `{each.case}` by hand: {each.why}"
    if any(word in _names(case.id, (check.id,)) for check in run.plan.checks for case in check.cases):
        return f"nothing is proposed for `{word}`: its answer is as expected, or there is none"
    cases = {case.id for check in run.plan.checks for case in check.cases}
    near = meant(word, cases) if len(cases) < 2000 else ""
    return f"there is no case `{word}`" + (f"; {near}" if near.startswith("did") else "")


def _accepted(run: Run, root: Path, changes: list[Change], word: Word, left: Sequence[ByHand]) -> int:
    from harness.patches.accepting import accept

    fought = [change for change in changes if change.contested]
    done = accept(run, root, [change for change in changes if not change.contested], word)
    refused = [f"{c.at}: `{c.case}` is left: {c.contested}; say with --check whose answer is meant" for c in fought]
    _say(f"{each.at}: more of `{each.case}` is left to you: {each.why}" for each in left)
    return _told(done, "accepted", [*done.refused, *refused])


def _told(done: Done, what: str, refused: Sequence[str]) -> int:
    from harness.spec.faults import visible

    for file, many in done.written.items():
        print(f"{visible(file)}: {count(many, 'change')} {what}")
    if done.there:
        print(f"{count(len(done.there), 'change')} accepted already")
    for line in refused[:-1]:
        print(f"hallmark: {visible(line)}", file=sys.stderr)
    if refused:
        raise Mistake(refused[-1], 1)
    if not done.written and not done.there:
        raise Mistake("there is nothing of that to write", NOTHING)
    return 0


def _from_paper(name: str, run: Run, found: Found) -> list[Change]:
    import msgspec

    from harness.patches.paper import NotThis, changes_of

    try:
        changes = changes_of(Path(name).read_bytes(), run, found.changes)
    except NotThis as why:
        raise Mistake(f"{name}: {why}", 1) from None
    except OSError as error:
        raise Mistake(f"{name} can't be read: {error.strerror}") from None
    places = [change.place for change in changes]
    if len(set(places)) != len(places):
        raise Mistake(f"{name}: it has two changes of one place; take one of them out", 1)
    # Somebody chose these one by one, and saw what others would say of them.
    return [msgspec.structs.replace(change, contested="") for change in changes]


def _written(given: argparse.Namespace, run: Run, changes: Sequence[Change]) -> int:
    from harness.patches.paper import patch_of
    from harness.store import write_whole

    if not changes:
        raise Mistake("there is nothing to write into a patch", NOTHING)
    try:
        write_whole(Path(given.patch), patch_of(run, changes))
    except OSError as error:
        raise Mistake(f"{given.patch} can't be written: {error.strerror}", 1) from None
    print(f"{given.patch}: {count(len(changes), 'change')}")
    return 0


def _finish(given: argparse.Namespace) -> int:
    from harness.patches.accepting import finish, histories
    from harness.spec.places import find_root

    if given.accept:
        raise Mistake("--finish writes what was accepted before; leave --accept out")
    root = find_root(Path.cwd())
    done = finish(root, histories(root))
    return _told(done, "finished", done.refused)


def _word(given: argparse.Namespace, root: Path) -> Word:
    from datetime import UTC, datetime

    from harness.patches.accepting import Word

    who = given.who if given.who is not None else _user(root)
    if not given.why:
        raise Mistake("write why, which is kept beside what is accepted: --why TEXT")
    if not who:
        raise Mistake('nobody knows who you are: write --who "Name <address>", or set git\'s user.name')
    for name, said in (("--why", given.why), ("--who", who)):
        if not said.strip() or not said.isprintable() or len(said) > 1000:
            raise Mistake(f"{name} is one line of printable text, of up to 1,000 characters")
    return Word(who.strip(), given.why.strip(), datetime.now(UTC).isoformat(timespec="milliseconds"))


def _user(root: Path) -> str:
    """Who git says is at work here; nobody where it doesn't tell."""
    import shutil
    import subprocess

    def config(key: str) -> str:
        asked = [git, "config", "--get", key] if git else []
        try:
            told = subprocess.run(asked, cwd=root, capture_output=True, timeout=10, check=False) if git else None
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return told.stdout.decode("utf-8", "replace").strip() if told and told.returncode == 0 else ""

    git = shutil.which("git")
    name, address = config("user.name"), config("user.email")
    return f"{name} <{address}>" if name and address else name


# ---------------------------------------------------------------------------------------------- log


def _log(given: argparse.Namespace) -> int:
    from harness.patches.accepting import histories
    from harness.patches.history import ENDING, beside, read_history
    from harness.patches.showing import past
    from harness.spec.places import find_root

    root = find_root(Path.cwd())
    entries = [entry for name in histories(root) for entry in read_history((root / name).read_bytes(), name)]
    if given.name is not None:
        here = Path(given.name).absolute()
        file = here.relative_to(root).as_posix() if here.is_relative_to(root) else ""
        entries = [
            entry
            for entry in entries
            if given.name in (entry.file, *_names(entry.case, entry.checks)) or file in (entry.file, beside(entry.file))
        ]
    if not entries:
        kept = f"no `*{ENDING}` tells of any" if given.name is None else f"nothing of `{given.name}` was"
        raise Mistake(f"{kept}{'' if given.name is None else ' ever accepted'}", NOTHING)
    _say(past(sorted(entries, key=lambda entry: entry.when, reverse=True)))
    return 0


def _say(lines: Iterable[str]) -> None:
    """Each as one line, whatever a model or a file put into it."""
    from harness.spec.faults import visible

    for line in lines:
        print(visible(line.replace("\n", "\\n")))
