"""What an A/B check says: who is held against whom, by which measure, and what is claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from evaluators.comparison import SCHEMA as COMPARE
from harness.contract import Check, Part

CONFIDENCE = 0.95
METHODS = ("auto", "exact", "mcnemar", "mcnemar_exact", "tango", "bounded", "t", "sign_flip", "wilcoxon")
BASELINE = "baseline"
CANDIDATE = "candidate"
_MARGIN = {
    "type": "object",
    "properties": {"margin": {"type": "number", "description": "how much worse is allowed, above 0"}},
    "required": ["margin"],
    "additionalProperties": False,
}
_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 1}
CLAIM = {
    "anyOf": [
        {"enum": ["superior", "different"]},
        {
            "type": "object",
            "properties": {"noninferior": _MARGIN, "equivalent": _MARGIN},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ],
    "description": "`superior`, `different`, {noninferior: {margin: 0.02}} or {equivalent: {margin: 0.02}}",
}
METRIC = {
    "anyOf": [
        {"enum": ["correct", "likelihood", "latency"]},
        {
            "type": "object",
            "properties": {"value": {"type": "string", "minLength": 1}},
            "required": ["value"],
            "additionalProperties": False,
        },
    ],
    "description": "`correct`, `likelihood`, `latency`, or {value: path.in.the.answer}, a number, more being better",
}
SCHEMA = {
    "properties": {
        "model": {"type": "string", "description": "with `prompts`, the name of the one model that is asked by each"},
        "baseline": {"type": "string", "description": "the name of the model, or prompt, that others are held against"},
        "candidate": {
            "anyOf": [{"type": "string"}, _NAMES],
            "description": "the name of a model, or prompt, or a list of them",
        },
        "prompts": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$", "description": "a name, such as v2"},
            "additionalProperties": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "properties": {"text": {"type": "string"}, "version": {"type": "string"}},
                        "required": ["text"],
                        "additionalProperties": False,
                    },
                ],
                "description": 'a text with a field, such as "Q: {input} A:", or {version: "2", text: ...}',
            },
            "description": 'prompts by name, such as {v1: "Q: {input} A:"}',
        },
        "compare": COMPARE,
        "metric": METRIC,
        "claim": CLAIM,
        "confidence": {
            "type": "number",
            "exclusiveMinimum": 0.5,
            "exclusiveMaximum": 1,
            "description": "a number above 0.5 and below 1, such as 0.95: alpha is what it lacks of 1",
        },
        "repeats": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "description": "how often each case is asked, from 1 to 1000, by other chance each time",
        },
        "method": {"enum": list(METHODS), "description": "`auto`, or the method by which it is to be decided"},
        "strata": {"type": "string", "minLength": 1, "description": "`tags`, or what the tags to tell by start with"},
        "peek": {"type": "boolean", "description": "true to judge as cases come, and stop when it is decided"},
        "within": {
            "type": "array",
            "items": {"type": "number"},
            "minItems": 2,
            "maxItems": 2,
            "description": "the two ends of the score's scale, such as [0, 1]",
        },
        "experiment": {
            "type": "string",
            "format": "record",
            "description": "a file that says what was planned: hypothesis, arms, metric, claim, planned_n, locked",
        },
    },
    "required": ["baseline", "candidate", "cases", "claim"],
}


class Arm(NamedTuple):
    """One of those held against each other."""

    role: str
    """As the bench knows it: `` is the first candidate's."""
    side: str
    """As records know it."""
    name: str
    path: tuple[str | int, ...]


class Claim(NamedTuple):
    word: str
    margin: float = 0.0


class Metric(NamedTuple):
    word: str
    path: str = ""
    """Of a value: where in the answer it stands."""


def arms_of(options: Mapping[str, Any]) -> tuple[Arm, list[Arm]]:
    """The baseline, and the candidates."""
    listed = options[CANDIDATE]
    many = not isinstance(listed, str)
    candidates = [
        Arm(
            f"{CANDIDATE} {number}" if number > 1 else "",
            f"{CANDIDATE} {number}" if number > 1 else CANDIDATE,
            name,
            (CANDIDATE, number - 1) if many else (CANDIDATE,),
        )
        for number, name in enumerate(listed if many else [listed], 1)
    ]
    return Arm(BASELINE, BASELINE, options[BASELINE], (BASELINE,)), candidates


def cast(options: Mapping[str, Any]) -> dict[str, Part]:
    """The models by role; a name that is no prompt is left out, and objected to later, at its own line."""
    baseline, candidates = arms_of(options)
    arms = [*candidates, baseline]
    prompts, model = options.get("prompts"), options.get("model")
    if prompts is None:
        parts = {arm.role: Part(arm.name, arm.path) for arm in arms}
        # A role of its own, so that what is written beside it is seen when faults are looked for.
        return parts if model is None else {**parts, "model": Part(model, ("model",))}
    if not isinstance(model, str):
        return {}
    return {arm.role: Part(model, ("model",), text_of(prompts[arm.name])) for arm in arms if arm.name in prompts}


def text_of(prompt: str | Mapping[str, Any]) -> str:
    return prompt if isinstance(prompt, str) else str(prompt["text"])


def claim_of(check: Check) -> Claim:
    written = check.options["claim"]
    if isinstance(written, str):
        return Claim(written)
    ((word, more),) = written.items()
    return Claim(word, float(more["margin"]))


def metric_of(check: Check) -> Metric:
    written = check.options.get("metric", "correct")
    return Metric(written) if isinstance(written, str) else Metric("value", written["value"])


def alpha_of(check: Check) -> float:
    """Rounded, so that 0.95 leaves 0.05 and no more."""
    return round(1 - float(check.options.get("confidence", CONFIDENCE)), 15)


def repeats_of(check: Check) -> int:
    return int(check.options.get("repeats", 1))


def is_clustered(check: Check) -> bool:
    return any(case.cluster for case in check.cases)


def is_uneven(check: Check) -> bool:
    """Whether clusters are of several sizes: then the mean of their means is not that of the cases."""
    sizes = Counter(case.cluster or f"\0{case.id}" for case in check.cases)
    return len(set(sizes.values())) > 1


def is_paired(check: Check) -> bool:
    """Whether a case says yes or no, once, of each: then what differs can be counted."""
    return metric_of(check).word == "correct" and repeats_of(check) == 1 and not is_clustered(check)


def within_of(check: Check) -> tuple[float, float] | None:
    """The ends of the scale of a score, where it is known to have any."""
    if metric_of(check).word == "correct":
        return 0.0, 1.0
    within = check.options.get("within")
    return None if within is None else (float(within[0]), float(within[1]))


def reach_of(check: Check) -> float | None:
    """How far apart two scores can be."""
    within = within_of(check)
    return None if within is None else within[1] - within[0]


def method_of(check: Check) -> str:
    """The method that decides, chosen from the claim and from what is measured unless it is forced."""
    forced = str(check.options.get("method", "auto"))
    if forced != "auto":
        return forced
    if is_paired(check):
        return "mcnemar" if claim_of(check).word == "different" else "exact"
    return "t" if within_of(check) is None or is_uneven(check) else "bounded"
