"""From `compare:` to the differences between what was expected and what was answered."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import UNSET

from evaluators.comparison import modes
from harness.contract import Check, Difference, Objection

_ABSENT = object()

SCHEMA = {
    "description": "a mode, such as `exact`, or modes by field of the answer, such as {label: exact}",
    "anyOf": [{"type": "string"}, {"type": "object"}],
}


class _Rule(NamedTuple):
    field: str
    """The field it speaks of, dotted; `.` is the whole answer."""
    mode: modes.Mode
    options: Mapping[str, Any]


class Comparison:
    def __init__(self, rules: list[_Rule]) -> None:
        self.rules = rules
        whole = len(rules) == 1 and rules[0].field == "."
        self._only = rules[0] if whole else None

    def differences(self, expected: Any, answer: Any) -> list[Difference]:
        if self._only is not None:
            why = self._only.mode.compare(expected, answer, self._only.options)
            return (
                []
                if why is None
                else [Difference(at=".", mode=self._only.mode.name, why=why, expected=expected, got=answer)]
            )
        return [found for rule in self.rules if (found := _differs(rule, expected, answer)) is not None]

    def nowhere(self, expected: list[Any]) -> Iterator[Objection]:
        """Fields that no expectation has: more likely misspelt here than forgotten in every case."""
        for rule in self.rules:
            if all(_at(each, rule.field) is _ABSENT for each in expected):
                what = f"no case's `expect` has `{rule.field}`"
                yield Objection(("compare", rule.field), "compare", what, _near(rule.field, _fields(expected[0])))

    def objections(self, expected: Any) -> Iterator[tuple[str, str]]:
        """What is wrong with an expectation, before any model answers."""
        for rule in self.rules:
            part = _at(expected, rule.field)
            if part is _ABSENT:
                yield (
                    f"`expect` has no `{rule.field}`, which `compare` speaks of",
                    f"write `{rule.field}:` in its `expect`",
                )
            elif (fault := rule.mode.fault(part)) is not None:
                yield fault


def _fields(value: Any, above: str = "") -> list[str]:
    """The fields of an expectation, as `compare` names them."""
    if not isinstance(value, dict):
        return []
    return [name for key, item in value.items() for name in (f"{above}{key}", *_fields(item, f"{above}{key}."))]


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(f'`{name}`' for name in known[:9])}"


def _differs(rule: _Rule, expected: Any, answer: Any) -> Difference | None:
    want, got = _at(expected, rule.field), _at(answer, rule.field)
    if got is _ABSENT:
        return Difference(at=rule.field, mode=rule.mode.name, why="the answer has no such field", expected=want)
    why = rule.mode.compare(want, got, rule.options)
    return None if why is None else Difference(at=rule.field, mode=rule.mode.name, why=why, expected=want, got=got)


def _at(value: Any, field: str) -> Any:
    if field == ".":
        return value
    if isinstance(value, dict) and field in value:
        return value[field]
    for step in field.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _ABSENT
    return value


def read_comparison(written: Any) -> tuple[Comparison | None, list[Objection]]:
    """`exact`, `{close: {abs: 0.1}}`, or a mapping of such by field."""
    if isinstance(written, str) or _is_mode(written):
        rule = _rule(".", written, ("compare",))
        return (None, [rule]) if isinstance(rule, Objection) else (Comparison([rule]), [])
    if not written:
        return None, [
            Objection(
                ("compare",), "compare", "`compare` names no field", "write a mode, such as `exact`, or {field: mode}"
            )
        ]
    rules = [_rule(field, mode, ("compare", field)) for field, mode in written.items()]
    objections = [rule for rule in rules if isinstance(rule, Objection)]
    return (None, objections) if objections else (Comparison([rule for rule in rules if isinstance(rule, _Rule)]), [])


def comparison_of(check: Check) -> Comparison:
    comparison, objections = read_comparison(check.options.get("compare", "exact"))
    if comparison is None:
        raise ValueError(objections[0].what)
    return comparison


def comparison_faults(check: Check) -> Iterator[Objection]:
    """What is wrong with a check's `compare`, and with its cases' expectations in its light."""
    comparison, objections = read_comparison(check.options.get("compare", "exact"))
    yield from objections
    if comparison is None:
        return
    expected = [case.expect for case in check.cases if case.expect is not UNSET]
    nowhere = list(comparison.nowhere(expected)) if expected else []
    yield from nowhere
    for index, case in enumerate(check.cases):
        if case.expect is UNSET:
            yield Objection(
                ("cases", index),
                "no-expectation",
                f"the case `{case.id}` has no `expect`",
                "write what must be answered",
            )
        elif not nowhere:
            for what, instead in comparison.objections(case.expect):
                yield Objection(("cases", index), "expectation", f"the case `{case.id}`: {what}", instead)


def _is_mode(written: Mapping[str, Any]) -> bool:
    """One key that is a mode's name, with a mapping of options that are all that mode's: not a field of that name."""
    if len(written) != 1:
        return False
    ((name, options),) = written.items()
    return name in modes.MODES and isinstance(options, dict) and options.keys() <= modes.MODES[name].options.keys()


def _rule(field: str, written: Any, path: tuple[str, ...]) -> _Rule | Objection:
    if isinstance(written, str):
        written = {written: {}}
    if not isinstance(written, dict) or len(written) != 1:
        return Objection(
            path, "compare", "a mode is one word, or one word with options", "write `exact`, or {close: {abs: 0.1}}"
        )
    ((name, options),) = written.items()
    if name not in modes.MODES:
        return Objection(path, "compare", f"`{name}` is not a mode of comparison", _near(name, list(modes.MODES)))
    mode = modes.MODES[name]
    if not isinstance(options, dict):
        return Objection((*path, name), "compare", f"the options of `{name}` are a mapping", _example(mode))
    for key, value in options.items():
        if key not in mode.options:
            return Objection((*path, name), "compare", f"`{name}` has no option `{key}`", _example(mode))
        if not _fits(value, mode.options[key]):
            return Objection(
                (*path, name, key),
                "compare",
                f"`{key}` of `{name}` can't be {value!r}",
                "write true or false" if mode.options[key] is bool else "write a number from 0 up",
            )
    return _Rule(field, mode, {**mode.defaults, **options})


def _fits(value: Any, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _example(mode: modes.Mode) -> str:
    if not mode.options:
        return f"write `{mode.name}` alone"
    values = {key: "true" if kind is bool else "0.05" for key, kind in mode.options.items()}
    return f"write {{{mode.name}: {{{', '.join(f'{key}: {value}' for key, value in values.items())}}}}}"
