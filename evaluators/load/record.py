"""What a load leaves behind: the look at the whole of it, and what was answered to each case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from evaluators.load.crowd import MOST_REQUESTS
from evaluators.load.language import stages_of
from harness.contract import Check, Noise

_REPORT = re.compile(r"attached/(?:[\w-]+/)*[\w-]+(?:\.[\w-]+)*\.html", re.ASCII)
BUSY = 0.9
"""Of a core: locust above that measures itself."""


class Requests(msgspec.Struct, kw_only=True):
    """Those sent while all users were there, a list each."""

    at: list[float]
    """Seconds since they were."""
    ms: list[float]
    case: list[int]
    """By its place among the cases that are asked."""
    ok: list[int]
    """1 where it was answered."""


class StageTold(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What came of so many users."""

    users: int
    started: float
    """Seconds since the first stage began."""
    spawned_s: float
    """Until all users were there; below 0 where they never were."""
    lasted_s: float
    requests: Requests
    asked: int
    """Of all requests, those among them that were sent while users still came."""
    failures: dict[str, int] = {}
    """Of all of those, by what went wrong."""
    noise: Noise | None = None
    generator: float = 0.0
    """Share of a core that asking took."""
    disturbed: str = ""
    repeated: int = 0
    """How often it was put on the server before, and was disturbed."""
    why: str = ""
    """Why it ended, where that was neither its time nor its number."""
    locust: dict[str, float] = {}
    report: str = ""
    """Locust's own, beside the record."""


class Audit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether to ask the same again is what makes it fast."""

    fresh: bool
    """Whether the questions were the cases' own. Where a server may have been asked those before, by whomever, a word
    of chance was added to each.
    """
    repeated: int = 0
    cases: list[str]
    first_ms: list[float]
    again_ms: list[float]
    noise: Noise | None = None
    disturbed: str = ""


class ServerTold(msgspec.Struct, kw_only=True, omit_defaults=True):
    ours: bool
    """Whether the check started it."""
    what: str
    came_up_s: float = 0.0
    facts: dict[str, Any] = {}


class Load(msgspec.Struct, kw_only=True, omit_defaults=True):
    stages: list[StageTold]
    server: ServerTold
    audit: Audit | None = None
    alone: int = 0
    """Cases that were asked alone before, since they have no `expect`."""


class Given(msgspec.Struct):
    """An answer, and how often it was given."""

    answer: Any
    times: int


class Answers(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was answered to a case under load."""

    asked: int
    answered: int
    wrong: int = 0
    """Of the answers, those that are not what was expected."""
    answers: list[Given] = []
    """The wrong ones first."""
    more_right: int = 0
    more_wrong: int = 0
    """Answers besides, which are not kept."""
    failed: dict[str, int] = {}
    alone: Any | UnsetType = UNSET
    """What was answered before, alone, where the case has no `expect`: then this is what is expected."""


def load_of(answer: Any) -> Load:
    """What a look has recorded; ValueError where no load leaves such a record."""
    load: Load = _read(answer, Load)
    for stage in load.stages:
        _check_stage(stage)
    if load.audit is not None:
        audit = load.audit
        if not len(audit.cases) == len(audit.first_ms) == len(audit.again_ms):
            raise ValueError("an audit has a first and a second time for each case")
        _times(audit.first_ms)
        _times(audit.again_ms)
        _quiet(audit.disturbed, audit.noise)
    return load


def check_load(check: Check, load: Load) -> None:
    """ValueError where the check leaves no such record."""
    planned = stages_of(check)
    if [stage.users for stage in load.stages] != [stage.users for stage in planned]:
        raise ValueError("its stages are not those that were planned")
    cases = sum(case.asks for case in check.cases)
    for told, stage in zip(load.stages, planned, strict=True):
        many = len(told.requests.at)
        if any(not 0 <= case < cases for case in told.requests.case):
            raise ValueError("a request was for no case of the check")
        if many and told.noise is None:
            raise ValueError("nobody looked whether the machine was quiet")
        if told.spawned_s >= 0 and not told.why and many < stage.requests and told.lasted_s < stage.duration - 0.5:
            raise ValueError("a stage was over before its time, and does not say why")


def answers_of(answer: Any) -> Answers:
    """What is recorded of a case; ValueError where it contradicts itself."""
    found: Answers = _read(answer, Answers)
    times = [given.times for given in found.answers]
    if any(each < 1 for each in times) or sum(times) + found.more_right + found.more_wrong != found.answered:
        raise ValueError("its answers are not as many as were given")
    if found.answered + sum(found.failed.values()) != found.asked:
        raise ValueError("what was asked was either answered or failed")
    return found


def plain_of(made: Load | Answers) -> Mapping[str, Any]:
    found: Mapping[str, Any] = msgspec.to_builtins(made)
    return found


def _read(answer: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"it is no record of a load: {error}") from None


def _check_stage(stage: StageTold) -> None:
    each = stage.requests
    many = len(each.at)
    if not many == len(each.ms) == len(each.case) == len(each.ok) or many > min(MOST_REQUESTS, stage.asked):
        raise ValueError("its requests are not as many as were sent")
    if any(not 0 <= at <= stage.lasted_s + 0.001 for at in each.at) or any(ok not in (0, 1) for ok in each.ok):
        raise ValueError("a request was sent at another time than it says")
    _times(each.ms)
    if stage.report and not _REPORT.fullmatch(stage.report):
        raise ValueError("a report is a file beside the record")
    if not isfinite(stage.lasted_s) or not all(map(isfinite, stage.locust.values())):
        raise ValueError("a figure is none")
    _quiet(stage.disturbed, stage.noise, stage.generator)


def _times(values: Iterable[float]) -> None:
    if not all(isfinite(value) and value >= 0 for value in values):
        raise ValueError("a time is no time")


def disturbs(noise: Noise | None, generator: float = 0.0) -> str:
    """Why times tell of more than the server; that its users and it wait for each other's cores is the load itself."""
    if generator > BUSY:
        return f"locust kept {generator:.0%} of a core busy, and timed itself"
    return "" if noise is None else msgspec.structs.replace(noise, waited=0.0).disturbs()


def _quiet(disturbed: str, noise: Noise | None, generator: float = 0.0) -> None:
    if not disturbed and (said := disturbs(noise, generator)):
        raise ValueError(f"it was disturbed, and does not say so: {said}")
