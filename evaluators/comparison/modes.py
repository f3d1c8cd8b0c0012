"""The modes of comparison. Each says why an answer is not what was expected, or None where it is."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from evaluators.comparison.patterns import Fault, pattern, pattern_fault, show

Why = str | None


def _no_fault(expected: Any) -> Fault:
    return None


class Mode(NamedTuple):
    name: str
    compare: Callable[[Any, Any, Mapping[str, Any]], Why]
    fault: Callable[[Any], Fault] = _no_fault
    """What is wrong with an expectation of this mode, and what to write instead."""
    options: Mapping[str, type] = {}
    defaults: Mapping[str, Any] = {}


# ----------------------------------------------------------------------------------- exact, normalised


def same(a: Any, b: Any) -> bool:
    """Equal as JSON: true is not 1, and 1 is 1.0."""
    if type(a) is type(b) and type(a) in (str, int, float, bool):
        return bool(a == b)
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return not isinstance(b, dict | list) and bool(a == b)


def _exact(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    return None if same(expected, got) else f"expected {show(expected)}, got {show(got)}"


def _normalised(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    if not isinstance(got, str):
        return f"expected text, got {show(got)}"
    a, b = normal(expected, **options), normal(got, **options)
    return None if a == b else f"expected {show(a)} once normalised, got {show(b)}"


def normal(text: str, *, case: bool = True, space: bool = True, punctuation: bool = True) -> str:
    """Text without the differences of case, space and punctuation, as far as each is to be forgotten."""
    text = unicodedata.normalize("NFKC", text)
    if case:
        # Folding takes composed letters apart, some in more than one way.
        text = unicodedata.normalize("NFKC", text.casefold())
    if punctuation:
        text = "".join(" " if unicodedata.category(c).startswith("P") else c for c in text)
    return " ".join(text.split()) if space or punctuation else text


# ------------------------------------------------------------------------------------- text within text


def _contains(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    """The answer's text, or its list, contains what is expected: one thing, or each of a list."""
    wanted = expected if isinstance(expected, list) else [expected]
    if isinstance(got, str):
        lacking = [want for want in wanted if _folded(want, options) not in _folded(got, options)]
    elif isinstance(got, list):
        have = [_folded(item, options) for item in got]
        lacking = [want for want in wanted if not any(same(_folded(want, options), item) for item in have)]
    else:
        return f"expected text or a list, got {show(got)}"
    return f"it does not contain {show(lacking[0])}" if lacking else None


def _folded(value: Any, options: Mapping[str, Any]) -> Any:
    return value.casefold() if isinstance(value, str) and not options["case"] else value


def _contains_fault(expected: Any) -> Fault:
    wanted = expected if isinstance(expected, list) else [expected]
    if not wanted or not all(isinstance(want, str) and want for want in wanted):
        return "`contains` expects text, or a list of texts, none empty", "write the text that must be in the answer"
    return None


def _regex(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    if not isinstance(got, str):
        return f"expected text, got {show(got)}"
    return None if pattern(expected).search(got) else f"nothing in {show(got)} matches {show(expected)}"


def _regex_fault(expected: Any) -> Fault:
    if not isinstance(expected, str):
        return "`regex` expects a pattern", "write it as text, in the syntax of RE2"
    return pattern_fault(expected)


# ------------------------------------------------------------------------------------ lists and objects


def _one_of(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    return None if any(same(want, got) for want in expected) else f"expected one of {show(expected)}, got {show(got)}"


def _list_fault(expected: Any) -> Fault:
    return (
        None if isinstance(expected, list) and expected else ("this mode expects a list, not empty", "write [one, two]")
    )


def _unordered(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    if not isinstance(got, list):
        return f"expected a list, got {show(got)}"
    want, have = Counter(map(_key, expected)), Counter(map(_key, got))
    if want == have:
        return None
    lacking, extra = want - have, have - want
    parts = [
        f"{word} {', '.join(sorted(items.elements()))[:200]}"
        for word, items in (("lacks", lacking), ("has besides", extra))
        if items
    ]
    return f"as a collection it {' and '.join(parts)}"


def _unordered_fault(expected: Any) -> Fault:
    return None if isinstance(expected, list) else ("`unordered` expects a list", "write [one, two]")


def _key(value: Any) -> str:
    """One text for all that is the same as JSON, 1 and 1.0 among it."""
    return msgspec.json.encode(_whole(value), order="deterministic").decode()


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {key: _whole(item) for key, item in value.items()} if isinstance(value, dict) else value


def _subset(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    return _lacks(expected, got, "")


def _lacks(expected: Any, got: Any, at: str) -> Why:
    """Why `got` lacks part of `expected`: an object may have more keys, a list must have as many items."""
    where = f" at {at.lstrip('.')}" if at else ""
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return f"expected an object{where}, got {show(got)}"
        for key, want in expected.items():
            if key not in got:
                return f"the answer has no `{(at + '.' + key).lstrip('.')}`"
            if why := _lacks(want, got[key], f"{at}.{key}"):
                return why
        return None
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return next(
            (why for i, (a, b) in enumerate(zip(expected, got, strict=True)) if (why := _lacks(a, b, f"{at}.{i}"))),
            None,
        )
    return None if same(expected, got) else f"expected {show(expected)}{where}, got {show(got)}"


def _subset_fault(expected: Any) -> Fault:
    return None if isinstance(expected, dict | list) else ("`subset` expects an object or a list", "write {key: value}")


def _jsonschema(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    from evaluators.comparison.schemas import violation

    return violation(expected, got)


def _jsonschema_fault(expected: Any) -> Fault:
    from evaluators.comparison.schemas import schema_fault

    return schema_fault(expected)


# -------------------------------------------------------------------------------------------- numbers


def _close(expected: Any, got: Any, options: Mapping[str, Any]) -> Why:
    """Numbers within max(abs, rel * |expected|), wherever they stand; all else the same."""
    return _apart(expected, got, options["abs"], options["rel"], "")


def _apart(expected: Any, got: Any, absolute: float, relative: float, at: str) -> Why:
    where = f" at {at.lstrip('.')}" if at else ""
    if _number(expected):
        if not _number(got):
            return f"expected a number{where}, got {show(got)}"
        off, allowed = abs(got - expected), max(absolute, relative * abs(expected))
        return (
            None
            if off <= allowed
            else f"expected {expected}{where}, got {got}: off by {off:.6g}, allowed {allowed:.6g}"
        )
    pairs: Any = None
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True))
    elif isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        pairs = ((key, (expected[key], got[key])) for key in expected)
    if pairs is not None:
        return next((why for key, (a, b) in pairs if (why := _apart(a, b, absolute, relative, f"{at}.{key}"))), None)
    return None if same(expected, got) else f"expected {show(expected)}{where}, got {show(got)}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _close_fault(expected: Any) -> Fault:
    return (
        None
        if _has_number(expected)
        else ("`close` expects a number, or numbers in a list or an object", "write a number")
    )


def _has_number(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return _number(value) or any(map(_has_number, items))


def _text_fault(expected: Any) -> Fault:
    return None if isinstance(expected, str) else ("`normalised` expects text", "quote it")


MODES: Mapping[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("exact", _exact),
        Mode("normalised", _normalised, _text_fault, {"case": bool, "space": bool, "punctuation": bool}),
        Mode("contains", _contains, _contains_fault, {"case": bool}, {"case": True}),
        Mode("regex", _regex, _regex_fault),
        Mode("one_of", _one_of, _list_fault),
        Mode("unordered", _unordered, _unordered_fault),
        Mode("subset", _subset, _subset_fault),
        Mode("jsonschema", _jsonschema, _jsonschema_fault),
        Mode("close", _close, _close_fault, {"abs": float, "rel": float}, {"abs": 0.0, "rel": 0.0001}),
    )
}
