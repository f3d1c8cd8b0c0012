"""What the expectations of cases that missed would become, field by field, were their answers right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import UNSET

from evaluators.comparison import Comparison, comparison_of
from evaluators.golden.classing import SEMANTIC, Class, class_of
from harness.contract import Case, Check, Outcome

Proposal = dict[str, Any]
"""`case` and `path`, the keys that lead to the place in `expect`; then `was` and `now`, one of which may be absent,
`class`, and for numbers `off` and `rel`; or else `by_hand`, why only a person can tell what should stand there."""
_PART, _WHOLE, _LIST = "part", "whole", "list"
_MODES: Mapping[str, str] = {"exact": _PART, "close": _PART, "subset": _PART, "normalised": _WHOLE, "unordered": _LIST}
"""The modes whose expectation is a value as an answer is, and how far what differs can be taken apart."""


def proposals(check: Check, outcomes: Iterable[Outcome]) -> Iterator[Proposal]:
    """For `hallmark golden update`: of each case that missed, what differs, and what it would become."""
    comparison = comparison_of(check)
    cases = {case.id: case for case in check.cases}
    for outcome in outcomes:
        if outcome.outcome == "missed" and outcome.case in cases and outcome.answer is not UNSET:
            yield from _of_case(comparison, cases[outcome.case], outcome.answer)


def _of_case(comparison: Comparison, case: Case, answer: Any) -> Iterator[Proposal]:
    found: dict[tuple[str | int, ...], Proposal] = {}
    for rule in comparison.rules:
        path, want = _place(case.expect, rule.field)
        if rule.field == ".":
            there, got = True, answer
        else:
            there, got = _follow(answer, rule.field)
        if there and rule.mode.compare(want, got, rule.options) is None:
            continue
        for each in _of_rule(rule, path, want, got, there):
            found.setdefault(each["path"], {"case": case.id, **each})
    for path, each in found.items():
        if not any(path[:n] in found for n in range(len(path))):
            yield each


def _of_rule(rule: Any, path: tuple[str | int, ...], want: Any, got: Any, there: bool) -> list[Proposal]:
    name = rule.mode.name
    if not there:
        return [{"path": path, "by_hand": "the answer has no such field"}]
    if name not in _MODES:
        return [{"path": path, "by_hand": f"what `{name}` expects is not a value as the answer is"}]

    def same(a: Any, b: Any) -> bool:
        return rule.mode.compare(a, b, rule.options) is None

    changes = [(path, want, got)] if _MODES[name] != _PART else list(_parts(path, want, got, same, name == "subset"))
    if name == "subset" and any(now is _Absent for _, _, now in changes):
        return [{"path": path, "by_hand": "the answer lacks a part of it"}]
    after = want
    for where, _, now in changes:
        after = _with(after, where[len(path) :], now)
    # What can't be expected in this mode, or would still be missed, must not be proposed.
    if rule.mode.fault(after) is not None or not same(after, got):
        return [{"path": path, "by_hand": f"the answer can't be what `{name}` expects"}]
    return [{"path": where, **_change(was, now, name)} for where, was, now in changes]


class _Absent:
    """There is nothing."""


def _parts(
    path: tuple[str | int, ...], want: Any, got: Any, same: Callable[[Any, Any], bool], subset: bool
) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    """The least parts in which two values differ."""
    if isinstance(want, dict) and isinstance(got, dict) and want and (got or subset):
        for key in want:
            if key not in got:
                yield (*path, key), want[key], _Absent
            elif not same(want[key], got[key]):
                yield from _parts((*path, key), want[key], got[key], same, subset)
        if not subset:
            yield from (((*path, key), _Absent, got[key]) for key in got if key not in want)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got) and want:
        for index, (a, b) in enumerate(zip(want, got, strict=True)):
            if not same(a, b):
                yield from _parts((*path, index), a, b, same, subset)
    else:
        yield path, want, got


def _change(was: Any, now: Any, mode: str) -> Proposal:
    absent = was is _Absent or now is _Absent
    if absent:
        kind = Class(SEMANTIC)
    elif mode == "unordered":
        kind = class_of(_sorted(was), _sorted(now))
    else:
        kind = class_of(was, now)
    said: Proposal = {"class": kind.name}
    said |= {} if was is _Absent else {"was": was}
    said |= {} if now is _Absent else {"now": now}
    said |= {} if kind.off is None else {"off": kind.off}
    return said | ({} if kind.rel is None else {"rel": kind.rel})


def _sorted(value: Any) -> Any:
    return sorted(value, key=_rank) if isinstance(value, list) else value


def _rank(value: Any) -> tuple[str, float, str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return ("number", float(value), "") if number else (type(value).__name__, 0.0, str(value).casefold())


def _with(value: Any, path: tuple[str | int, ...], now: Any) -> Any:
    """A value with another at a place in it."""
    if not path:
        return now
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        if now is _Absent and not rest:
            return {key: item for key, item in value.items() if key != step}
        return {**value, step: _with(value.get(step), rest, now)}
    return [_with(item, rest, now) if index == step else item for index, item in enumerate(value)]


def _place(value: Any, field: str) -> tuple[tuple[str | int, ...], Any]:
    """The keys that lead to a field as `compare` names it, and what is there."""
    if field == ".":
        return (), value
    if isinstance(value, dict) and field in value:
        return (field,), value[field]
    path: list[str | int] = []
    for step in field.split("."):
        if isinstance(value, dict) and step in value:
            path.append(step)
            value = value[step]
        else:  # a place in a list: that the field is there was checked when the case was planned
            path.append(int(step))
            value = value[int(step)]
    return tuple(path), value


def _follow(answer: Any, field: str) -> tuple[bool, Any]:
    """Whether an answer has a field, and what is there."""
    try:
        return True, _place(answer, field)[1]
    except (ValueError, IndexError, TypeError, KeyError):
        return False, None
