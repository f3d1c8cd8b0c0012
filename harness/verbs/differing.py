"""`hallmark diff`: what two runs say differently, for people and for programs."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.verbs.given import Mistake, count
from harness.verbs.history import few, interval, number, runs_at, say, say_json, table, told_of

if TYPE_CHECKING:
    from harness.diffing import Cases, Diff, Differs, Estimated, Head, Measure, Side


def diff_runs(given: argparse.Namespace) -> int:
    from harness.diffing import diff

    folder = runs_at(given)
    paths = [_named(name, folder) for name in (given.was, given.now)]
    sides: list[Side | None] = [None if path is None else _side(path) for path in paths]
    for at, other in ((0, 1), (1, 0)):
        if sides[at] is None:
            paths[at] = last = _certified(folder, sides[other])
            sides[at] = _side(last)
    was, now = sides
    assert was is not None
    assert now is not None
    try:
        found = diff(was, now)
    except Exception as error:  # what was written by runs can be compared: what can't be was written by somebody else
        raise Mistake(f"these runs can't be compared: {type(error).__name__}: {error}") from None
    if given.json:
        say_json(found)
    elif len({os.path.realpath(path) for path in paths if path}) == 1:
        name = f"`{given.was}` and `{given.now}` are" if given.was != given.now else f"`{given.was}` twice is"
        say(f"{name} one run, {found.now.run.id}: nothing differs from itself")
    else:
        for line in _lines(found):
            say(line)
    return 1 if found.worse else 0


def _named(name: str, folder: Path) -> Path | None:
    """The folder of a run; None where it is `certified`, and the other run tells of which specs."""
    from harness.ledger import CERTIFIED, certified_as
    from harness.pages import CERTIFICATE
    from harness.spec.places import find_root

    if name == CERTIFIED:
        return None
    found = [folder / name, Path(name), find_root(Path.cwd()) / name]
    if name.startswith(f"{CERTIFIED}/"):
        found.insert(0, folder / certified_as(name.partition("/")[2]))
    for path in found:
        if os.path.isdir(path):
            return path
        if path.name == CERTIFICATE and os.path.isfile(path):
            return path.parent
    raise Mistake(
        f"there is no run `{name}`: name its folder, its id, `latest` or `certified`; `hallmark runs` lists them"
    )


def _certified(folder: Path, other: Side | None) -> Path:
    """The last certified run of the specs of another run."""
    from harness.ledger import CERTIFIED, certified_as

    if other is None:
        raise Mistake("`certified` twice is one run twice; name the other one")
    links = {spec.path: folder / certified_as(spec.path) for spec in other.plan.specs}
    found = {Path(os.path.realpath(link)) for link in links.values() if link.is_dir()}
    if not found:
        raise Mistake(f"nothing of {few(list(links), 3)} is certified yet")
    if len(found) > 1:
        names = [f"`{CERTIFIED}/{spec}`" for spec, link in links.items() if link.is_dir()]
        raise Mistake(f"these specs were certified last in {len(found)} runs; name one of {few(names)}")
    return found.pop()


def _side(folder: Path) -> Side:
    """A run as its certificate tells of it, or, where it left none, as its record does."""
    from harness.diffing import Side, Told
    from harness.pages import NotARun, read_run

    try:
        run = read_run(folder)
    except NotARun as error:
        raise Mistake(str(error)) from None
    said, problem = told_of(folder)
    if said is None:
        _doubt(f"{folder.name} is {problem}; it is told from its record")
        try:
            said = msgspec.convert(run.certificate, Told, from_attributes=True)
        except Exception as error:
            raise Mistake(f"the run in {folder} can't be told: {type(error).__name__}: {error}") from None
    elif _edited(folder, run.digests):
        _doubt(f"doubtful: {folder.name}: its certificate is of another record; see `hallmark verify`")
    begin = run.record.begin
    return Side(said, run.plan, run.record.checks, run.settings, begin.machine if begin else {})


def _doubt(said: str) -> None:
    from harness.spec.faults import visible

    print(visible(said), file=sys.stderr)


class _Made(msgspec.Struct):
    record: dict[str, str]
    files: dict[str, Any] = {}


class _Certificate(msgspec.Struct):
    provenance: _Made


def _edited(folder: Path, digests: Mapping[str, str]) -> bool:
    """Whether a certificate does not say that it was made of this record."""
    made = made_of(folder)
    return made is None or made.record != digests


def made_of(folder: Path) -> _Made | None:
    """What a certificate says that it was made of; None where it does not."""
    try:
        return msgspec.json.decode((folder / "certificate.json").read_bytes(), type=_Certificate).provenance
    except (OSError, ValueError, RecursionError):
        return None


def _lines(found: Diff) -> Iterator[str]:
    yield _run_line("was", found.was)
    yield _run_line("now", found.now)
    yield from _section(
        "verdicts", (f"{_fell(v.worse)}  {v.check}: {v.was} -> {v.now}: {v.reason}" for v in found.verdicts)
    )
    yield from _section(
        "checks", [*_whole("new   ", found.new, found.specs[0]), *_whole("gone  ", found.gone, found.specs[1])]
    )
    moved = [each for each in found.estimates if each.was != each.now]
    yield from _section("estimates", _estimates(moved))
    yield from _section("cases", (line for each in found.cases for line in _cases(each)))
    yield from _section("asked, or measured, otherwise", map(_differs, found.differs))
    yield ""
    yield _conclusion(found)


def _whole(word: str, ids: Sequence[str], specs: Sequence[str]) -> Iterator[str]:
    """Checks, each by itself or, of a spec that the other run never asked, all together."""
    for spec, group in itertools.groupby(ids, key=lambda check: check.partition("::")[0]):
        checks = list(group)
        if spec in specs:
            yield from (f"{word}{id}" for id in checks)
        else:
            yield f"{word}{spec}: {count(len(checks), 'check')}"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    first = True
    for line in lines:
        if first:
            yield ""
            yield title
            first = False
        yield f"  {line}"


def _run_line(word: str, told: Head) -> str:
    score = "" if told.score is None else f", {told.score:g} of 100"
    return f"{word}  {told.run.id}  {told.run.started[:19].replace('T', ' ')}  {told.status}{score}: {told.reason}"


def _fell(worse: bool) -> str:
    return "worse " if worse else "better"


def _estimates(found: Sequence[Estimated]) -> Iterator[str]:
    words = {True: "the intervals overlap", False: "the intervals are apart", None: ""}
    rows = [(each.check, _measure(each.was), _measure(each.now), words[each.overlap]) for each in found]
    if rows:
        yield from table(("check", "was", "now", ""), rows)


def _measure(found: Measure) -> str:
    return f"{number(found.estimate) or 'none'} {interval(found.interval)} n {found.n:,}"


def _cases(found: Cases) -> Iterator[str]:
    yield found.check
    told = [*found.flipped.items(), ("new", found.new), ("gone", found.gone), ("asked otherwise", found.asked)]
    for what, names in told:
        if names:
            yield f"  {what} ({len(names):,}): {few(names)}"
    if found.answered:
        yield f"  {count(found.answered, 'other answer')}, with the same outcome"


def _differs(found: Differs) -> str:
    from harness.bar import said

    return f"{found.of}: {found.what}: {said(found.what, found.was)} -> {said(found.what, found.now)}"


def _conclusion(found: Diff) -> str:
    if found.worse:
        return "worse: a verdict is worse, a check that passed is gone from its spec, or what was certified is not"
    if found.verdicts or found.new or found.gone:
        return "nothing is worse"
    return "the verdicts are the same"
