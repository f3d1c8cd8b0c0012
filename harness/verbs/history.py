"""`hallmark runs`: what runs there were, and how a check went. Offers `hallmark diff` beside it."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.verbs.given import NOTHING, Mistake, Verb, count

if TYPE_CHECKING:
    from harness.contract import Ruling
    from harness.diffing import Found, Told

SCHEMA = "hallmark/runs/1"
NAMES = 10
"""So many names of cases are shown of each sort; `--json` has all."""
POINTS = 40
"""So many runs are drawn in a line."""
REASON = 100
"""So many signs of a verdict's reason are shown."""
_ID = re.compile(r"(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})-[0-9a-f]+")
_ORDER: Sequence[Ruling] = ("error", "fail", "inconclusive", "unsupported", "pass")
_BARS = "▁▂▃▄▅▆▇█"


def offer(verb: Verb) -> None:
    runs = verb("runs", _runs, "List the runs there were, the newest first; with --check, how a check went.")
    runs.add_argument("--check", metavar="NAME", help="only runs of this check, and what it came to in each")
    runs.add_argument("-n", type=_some, metavar="N", help="the newest N")
    _add_common(runs)
    made = verb("diff", _diff, "Show what two runs say differently; exit status 1 where the second is worse.")
    for name, about in (("was", "the earlier run"), ("now", "the later run")):
        made.add_argument(
            name, metavar="RUN", help=f"{about}: a folder, an id, `latest`, `certified` or `certified/SPEC`"
        )
    _add_common(made)


def _add_common(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", action="store_true", help="say it as JSON")
    made.add_argument("--hallmark-runs", default="runs", metavar="DIR", help="where run folders are (default: runs)")


def _diff(given: argparse.Namespace) -> int:
    from harness.verbs.differing import diff_runs

    return diff_runs(given)


def _some(text: str) -> int:
    try:
        n = int(text)
    except ValueError:
        n = 0
    if n < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!a} is no number of runs; write 1 or more")
    return n


def runs_at(given: argparse.Namespace) -> Path:
    """Where the project's runs are."""
    from harness.spec.places import find_root

    return find_root(Path.cwd()) / str(given.hallmark_runs)


def say(text: str) -> None:
    """Print what may hold anything, and what the terminal can't show spelled out."""
    from harness.spec.faults import visible

    encoding = sys.stdout.encoding or "utf-8"
    print(visible(text.replace("\n", "\\n")).encode(encoding, "backslashreplace").decode(encoding))


def say_json(value: Any) -> None:
    """In plain ASCII: nothing that a run says speaks to a terminal."""
    import msgspec

    print(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=True))


# ------------------------------------------------------------------------------------------------ runs


class _Past(NamedTuple):
    """A folder that a run left."""

    name: str
    when: str
    told: Told | None
    problem: str
    """Why there is nothing to tell."""
    marks: tuple[str, ...]
    over: tuple[str, ...] = ()
    """Files without checks of their own, which stood over its specs."""

    @property
    def specs(self) -> list[str]:
        return sorted({*self.over, *(found.id.partition("::")[0] for found in self.told.checks)}) if self.told else []


def _runs(given: argparse.Namespace) -> int:
    folder = runs_at(given)
    every = _listed(folder)
    if not every:
        raise Mistake(f"there is no run in {given.hallmark_runs}; `hallmark run specs` leaves one", NOTHING)
    if given.check is not None:
        return _runs_of(given, folder, every)
    shown = every[: given.n]
    if given.json:
        say_json({"schema": SCHEMA, "runs": [_as_json(each) for each in shown], "trends": []})
        return 0
    head = ("run", "when", "status", "score", "checks", "cases", "seconds", "specs")
    for line in table(head, [_row(each) for each in shown], right=(3, 5, 6)):
        say(line)
    if len(shown) < len(every):
        say(f"and {len(every) - len(shown):,} older")
    return 0


def _listed(folder: Path) -> list[_Past]:
    """The runs, the newest first."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    latest = Path(os.path.realpath(folder / "latest")).name
    certified: dict[str, list[str]] = {}
    for link in sorted((folder / "certified").glob("*")):
        if link.is_symlink():
            certified.setdefault(Path(os.readlink(link)).name, []).append(link.name)
    found = [
        _past(folder, name, ("latest",) * (name == latest) + ("certified",) * (name in certified))
        for name in names
        if _is_run(folder / name)
    ]
    return sorted(found, key=lambda each: (each.when, each.name == latest, each.name), reverse=True)


def _is_run(folder: Path) -> bool:
    """Whether a run left this, or began to."""
    named = _ID.fullmatch(folder.name) is not None
    return named or any((folder / file).is_file() for file in ("plan.json", "outcomes.jsonl", "certificate.json"))


def _past(folder: Path, name: str, marks: tuple[str, ...]) -> _Past:
    told, problem = told_of(folder / name)
    match = _ID.fullmatch(name)
    by_name = "{}-{}-{}T{}:{}:{}+00:00".format(*match.groups()) if match else ""
    over = _over(folder / name) if told else ()
    return _Past(name, told.run.started if told else by_name, told, problem, marks, over)


def _over(folder: Path) -> tuple[str, ...]:
    from harness.spec.places import OVER
    from harness.verbs.differing import made_of

    made = made_of(folder)
    return tuple(name for name in made.files if name.rpartition("/")[2] in OVER) if made else ()


def told_of(folder: Path) -> tuple[Told | None, str]:
    """What a run's certificate says, or why it says nothing."""
    import msgspec

    from harness.diffing import Told

    try:
        return msgspec.json.decode((folder / "certificate.json").read_bytes(), type=Told), ""
    except FileNotFoundError:
        begun = (folder / "outcomes.jsonl").is_file()
        return None, "unfinished: it left no certificate" if begun else "damaged: it left no record"
    except OSError as error:
        return None, f"damaged: its certificate can't be read: {error.strerror}"
    except (ValueError, RecursionError):
        return None, "damaged: its certificate is none that can be read"


def _row(past: _Past) -> tuple[str, ...]:
    told = past.told
    when = _moment(past.when)
    if told is None:
        status, _, reason = past.problem.partition(": ")
        return (past.name, when, status, "", "", "", "", reason, ", ".join(past.marks))
    counted = Counter(found.verdict for found in told.checks)
    return (
        past.name,
        when,
        told.status,
        "" if told.score is None else f"{told.score:g}",
        ", ".join(f"{counted[verdict]} {verdict}" for verdict in _ORDER if verdict in counted),
        f"{told.run.measured:,}"
        if told.run.measured == told.run.planned
        else f"{told.run.measured:,}/{told.run.planned:,}",
        "" if told.run.seconds is None else f"{told.run.seconds:.1f}",
        few(past.specs, 3),
        ", ".join(past.marks),
    )


def _moment(when: str) -> str:
    return when[:19].replace("T", " ")


def few(names: Sequence[str], most: int = NAMES) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    lines = [(*head, "") if len(head) < len(rows[0]) else head, *rows]
    widths = [max(len(row[at]) for row in lines) for at in range(len(lines[0]))]
    for row in lines:
        cells = zip(row, widths, strict=True)
        yield "  ".join(c.rjust(w) if at in right else c.ljust(w) for at, (c, w) in enumerate(cells)).rstrip()


def _as_json(past: _Past) -> dict[str, Any]:
    told = past.told
    said: dict[str, Any] = {"run": past.name, "started": past.when, "marks": past.marks, "problem": past.problem}
    if told is None:
        return {**said, "status": past.problem.partition(":")[0]}
    return {
        **said,
        "status": told.status,
        "reason": told.reason,
        "score": told.score,
        "checks": dict(Counter(found.verdict for found in told.checks)),
        "planned": told.run.planned,
        "measured": told.run.measured,
        "seconds": told.run.seconds,
        "hallmark": told.run.hallmark,
        "specs": past.specs,
    }


# ------------------------------------------------------------------------------------- runs of a check


def _runs_of(given: argparse.Namespace, folder: Path, every: Sequence[_Past]) -> int:
    """How a check went: a line a run, and what it came to from run to run."""
    from harness.spec.faults import meant

    every_check = [check for past in every if past.told for check in past.told.checks]
    if not any(_is_called(check, given.check) for check in every_check):
        near = meant(given.check, {check.name.partition("[")[0] for check in every_check})
        raise Mistake(f"no run has a check `{given.check}`" + (f"; {near}" if near else ""), NOTHING)
    found = [
        (past, check)
        for past in every
        for check in (past.told.checks if past.told else ())
        if _is_called(check, given.check)
    ]
    kept = {past.name for past, _ in found}
    newest = [past.name for past in every if past.name in kept][: given.n]
    ids = sorted({check.id for _, check in found})
    trends = [
        trend
        for id in ids
        for trend in (
            _trend(id, "estimate", [check.estimate for _, check in reversed(found) if check.id == id]),
            *_figures(folder, id),
        )
        if trend
    ]
    shown = [(past, check) for past, check in found if past.name in newest]
    if given.json:
        runs = [{**_as_json(past), "check": check} for past, check in shown]
        say_json({"schema": SCHEMA, "runs": runs, "trends": trends})
        return 0
    rows = [_check_row(past, check) for past, check in shown]
    for line in table(("run", "when", "check", "verdict", "estimate", "interval", "n", "reason"), rows, right=(4, 6)):
        say(line)
    for trend in trends:
        values = trend["values"]
        span = f"{number(min(values))} to {number(max(values))}, now {number(values[-1])}"
        say(f"{trend['check']}: {trend['figure']}  {_spark(values[-POINTS:])}  {span}, {count(len(values), 'run')}")
    return 0


def _is_called(check: Found, name: str) -> bool:
    return name in (check.id, check.name, check.name.partition("[")[0])


def _check_row(past: _Past, check: Found) -> tuple[str, ...]:
    found = (number(check.estimate), interval(check.interval), f"{check.n:,}")
    return (past.name, _moment(past.when), check.id, check.verdict, *found, _cut(check.reason))


def _cut(text: str) -> str:
    return text if len(text) <= REASON else text[: REASON - 3] + "..."


def _trend(check: str, figure: str, values: Iterable[float | None]) -> dict[str, Any] | None:
    known = [value for value in values if value is not None]
    return {"check": check, "figure": figure, "values": known} if len(known) > 1 else None


def _figures(folder: Path, check: str) -> Iterator[dict[str, Any] | None]:
    """The figures that runs on the same machine left of a check, those that moved, the oldest run first."""
    from harness.history import figures
    from harness.trends import MOST

    same = figures(folder, check)
    names = list(dict.fromkeys(name for figured in same for name in figured))
    series = [(name, [figured.get(name) for figured in same]) for name in names]
    for name, values in [each for each in series if len(set(each[1])) > 1][:MOST]:
        yield _trend(check, name, values)


def _spark(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    if low == high:
        return _BARS[3] * len(values)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in values)


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{number(interval[0])}, {number(interval[1])}]"
