"""An experiment file: what was planned before anyone looked, held against what the check asks."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from evaluators.ab.language import CANDIDATE, alpha_of, claim_of, method_of
from harness.contract import Check, Objection, Refused

_LARGEST = 100_000
_DEEPEST = 6
_WORDS = "hypothesis, baseline, candidate, metric, claim, margin, planned_n and locked"
_REQUIRED = ("hypothesis", "baseline", "candidate", "claim", "planned_n", "locked")
_KNOWN = frozenset({*_REQUIRED, "metric", "margin"})


def recall(key: str, name: str, data: bytes | None) -> dict[str, Any]:
    """What an experiment file says; Refused where it is none."""
    if data is None:
        raise Refused(f"there is no `{name}`; write {_WORDS} into it, or name another")
    try:
        said = _read(data)
        return {"file": name, "said": _checked(said)}
    except ValueError as error:
        raise Refused(f"`{name}` is no experiment: {error}; write {_WORDS}") from None


def experiment_faults(check: Check) -> Iterator[Objection]:
    """Where the file says otherwise than the check."""
    kept = check.options.get("experiment")
    if kept is None:
        return
    said, claim = kept["said"], claim_of(check)
    listed = check.options[CANDIDATE]
    asked = {
        "baseline": check.options["baseline"],
        "candidate": listed if isinstance(listed, str) or len(listed) > 1 else listed[0],
        "metric": check.options.get("metric", "correct"),
        "claim": claim.word,
        "margin": claim.margin or None,
    }
    for key, here in asked.items():
        planned = said.get(key, "correct" if key == "metric" else None)
        if planned != here:
            what = f"`{kept['file']}` has {key} {_shown(planned)}, and the check {_shown(here)}"
            yield Objection(("experiment",), "experiment", what, "make them agree, or lock a new experiment")
    if said["planned_n"] != len(check.cases):
        what = f"`{kept['file']}` has planned_n {said['planned_n']}, and the check {len(check.cases)} cases"
        yield Objection(("experiment",), "experiment", what, "make them agree, or lock a new experiment")


def pledge(check: Check) -> dict[str, Any]:
    """What the file promised; nothing where there is none."""
    kept = check.options.get("experiment")
    if kept is None:
        return {}
    how = {"confidence": 1 - alpha_of(check), "method": method_of(check), "compare": check.options.get("compare")}
    return {"file": kept["file"], **kept["said"], **how}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {item}" for key, item in value.items()) + "}"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _read(data: bytes) -> Any:
    """A YAML document of plain values: no aliases, tags, repeated keys or deep nesting; ValueError where it has any."""
    import yaml

    if len(data) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST:,} bytes")
    try:
        text = data.decode("utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            opens = isinstance(event, yaml.CollectionStartEvent)
            depth += opens - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise ValueError("it has an alias, an anchor or a tag")
            if depth > _DEEPEST:
                raise ValueError("it is nested too deep")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _once(node)
        return yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def _once(node: Any) -> None:
    """Each key of a mapping is written once."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("its keys are not words")
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"`{key}` is written twice")
        for _, value in node.value:
            _once(value)


def _checked(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise ValueError("it is not a mapping")
    for key in said:
        if key not in _KNOWN:
            raise ValueError(f"`{key}` is not a key of it")
    for key in _REQUIRED:
        if said.get(key) is None:
            raise ValueError(f"`{key}` is missing")
    locked = said["locked"]
    if isinstance(locked, str):
        locked = datetime.date.fromisoformat(locked)
    if not isinstance(locked, datetime.date) or isinstance(locked, datetime.datetime):
        raise ValueError("`locked` is a date such as 2026-11-20")
    for key in ("hypothesis", "baseline", "claim"):
        if not isinstance(said[key], str) or not said[key].strip():
            raise ValueError(f"`{key}` is a text")
    if not _is_name(said["candidate"]) and not _is_names(said["candidate"]):
        raise ValueError("`candidate` is a name, or a list of them")
    if not _is_metric(said.get("metric", "correct")):
        raise ValueError("`metric` is written as in the check")
    if isinstance(said["planned_n"], bool) or not isinstance(said["planned_n"], int) or said["planned_n"] < 1:
        raise ValueError("`planned_n` is a whole number from 1")
    if isinstance(said["candidate"], list) and len(said["candidate"]) == 1:
        said = {**said, "candidate": said["candidate"][0]}
    return {**said, **_margin(said), "hypothesis": " ".join(said["hypothesis"].split()), "locked": locked.isoformat()}


def _margin(said: Mapping[str, Any]) -> dict[str, float]:
    margin = said.get("margin")
    if margin is None:
        return {}
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not isfinite(margin):
        raise ValueError("`margin` is a number")
    return {"margin": float(margin)}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_name, value))


def _is_metric(value: Any) -> bool:
    return _is_name(value) or (isinstance(value, dict) and value.keys() == {"value"} and _is_name(value["value"]))
