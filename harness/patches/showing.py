"""Changes as a person reads them: what is there, what would be, and how much that differs."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import UNSET

from harness.patches.changes import CLASSES, ByHand, Change
from harness.patches.history import Entry

SHOWN = 200
_WIDE = 160


def told(changes: Sequence[Change], by_hand: Sequence[ByHand], there: int, *, most: int = SHOWN) -> Iterator[str]:
    """A proposal, the worst first, and what nobody but a person can do."""
    counts = Counter(change.kind for change in changes)
    if changes:
        cases = len({(change.file, change.case) for change in changes})
        parts = ", ".join(f"{counts[kind]:,} {kind}" for kind in CLASSES if counts[kind])
        yield f"{_many(len(changes), 'change')} to {_many(cases, 'case')}: {parts}"
    for change in changes[:most]:
        yield ""
        yield from _change(change)
    if len(changes) > most:
        yield from ("", f"and {len(changes) - most:,} more; `--patch FILE` writes all of them")
    if there:
        yield from ("", f"{there:,} more {'is' if there == 1 else 'are'} accepted already")
    if by_hand:
        yield from ("", f"by hand: {_many(len(by_hand), 'place')}")
    for each in by_hand[:most]:
        yield f"  {each.at}: {each.case}{_at(each.path)}: {each.why}"
    if len(by_hand) > most:
        yield f"  and {len(by_hand) - most:,} more"


def _change(change: Change) -> Iterator[str]:
    yield f"{change.kind:<8}  {change.at}: {change.case}{_at(change.path)}{_far(change)}"
    was, now = _both(change.was, change.now)
    yield f"  - {was}"
    yield f"  + {now}"
    yield f"  of {', '.join(check.partition('::')[2].partition('::')[2] for check in change.checks)}"
    if change.contested:
        yield f"  ! {change.contested}; --check says whose answer is meant"


def _at(path: Sequence[str | int]) -> str:
    return " at " + ".".join(map(str, path)) if path else ""


def _far(change: Change) -> str:
    if change.kind != "numeric":
        return ""
    off = "farther than can be told" if change.off is None else f"{change.off:.6g}"
    return f", off by {off}" + ("" if change.rel is None else f", {change.rel:.3%}")


def _both(was: Any, now: Any) -> tuple[str, str]:
    """Two values, each on a line; of long ones what is around their first difference."""
    a, b = _spelled(was), _spelled(now)
    common = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = max(0, common - _WIDE // 2) if max(len(a), len(b)) > _WIDE else 0
    return _window(a, start), _window(b, start)


def _window(text: str, start: int) -> str:
    part = text[start : start + _WIDE]
    return ("…" if start else "") + part + ("…" if start + _WIDE < len(text) else "")


def _spelled(value: Any) -> str:
    return "(nothing)" if value is UNSET else json.dumps(value, ensure_ascii=False)


def past(entries: Iterable[Entry]) -> Iterator[str]:
    """What was accepted, the newest first."""
    for head, together in itertools.groupby(entries, lambda entry: (entry.when, entry.who, entry.why, entry.run)):
        when, who, why, run = head
        yield f"{when}  {who}, of the run {run}: {why}"
        for entry in together:
            was, now = _both(entry.was, entry.now)
            yield f"  {entry.file}: {entry.case}{_at(entry.path)}, {entry.kind}"
            yield f"    - {was}"
            yield f"    + {now}"


def _many(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' * (n != 1)}"
