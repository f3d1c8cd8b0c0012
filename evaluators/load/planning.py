"""What is wrong with a load check before anything runs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator

from msgspec import UNSET

from evaluators.comparison import comparison_faults
from evaluators.load import auditing
from evaluators.load.crowd import MOST_REQUESTS, Stage
from evaluators.load.language import (
    HOUR,
    LOOK,
    audited,
    budget_of,
    confidence_of,
    seconds,
    stages_of,
    weights_of,
)
from evaluators.timing.budgets import QUANTILES
from harness.contract import Check, Objection
from harness.statistics.quantiles import least_n

MOST_ALONE = 1000
"""Cases that may be asked alone first, since they don't say what is right."""
_TIMES = (("ramp",), ("duration",), ("give_up",), ("serve", "within"))
_OF_COMMANDS = ("ready", "path", "api", "max_tokens")


def faults(check: Check) -> Iterator[Objection]:
    broken = [*_times(check), *_users(check), *_serve(check), *_mix(check)]
    yield from broken
    yield from _cases(check)
    if not broken:
        yield from _never(check)


def _times(check: Check) -> Iterator[Objection]:
    for path in _TIMES:
        written = check.options
        for step in path:
            written = written.get(step) if isinstance(written, dict) else None  # type: ignore[assignment]
        if written is not None and not 0 < seconds(written) <= HOUR:  # type: ignore[arg-type]
            yield Objection(path, "time", f"{written} is not above 0 and at most an hour", "write a time such as 10s")
    think = check.options.get("think")
    if isinstance(think, list) and think[0] > think[1]:
        yield Objection(("think",), "time", f"{think[0]} is more than {think[1]}", "write [least, most]")
    if "spawn_rate" in check.options and "ramp" in check.options:
        what = "`ramp` and `spawn_rate` both say how fast users come"
        yield Objection(("spawn_rate",), "no-effect", what, "keep one of them")


def _users(check: Check) -> Iterator[Objection]:
    users = check.options["users"]
    for index, many in enumerate(users) if isinstance(users, list) else ():
        if many in users[:index]:
            yield Objection(("users", index), "duplicate", f"a stage of {many} users is there already", "drop one")


def _serve(check: Check) -> Iterator[Objection]:
    serve = check.options.get("serve")
    if not isinstance(serve, dict):
        return
    if ("command" in serve) == ("mlx_lm" in serve):
        what = "`serve` starts two servers" if "command" in serve else "`serve` starts no server"
        yield Objection(("serve",), "serve", what, "write `mlx_lm`, or {command: [...]}")
        return
    for key in _OF_COMMANDS if "mlx_lm" in serve else ():
        if key in serve:
            what = f"`{key}` belongs to `command`, and this starts mlx_lm.server"
            instead = "write it as {mlx_lm: {max_tokens: ...}}" if key == "max_tokens" else "remove it"
            yield Objection(("serve", key), "no-effect", what, instead)
    words = serve.get("command", [])
    if not words:
        return
    if not words[0].strip() or any("\0" in word for word in words):
        what = "the command names no program"
        yield Objection(("serve", "command"), "serve", what, "write a program and its arguments: [python, server.py]")
    elif len(words) == 1 and " " in words[0]:
        what = f"`{words[0]}` is one word, and no shell splits it"
        yield Objection(("serve", "command"), "serve", what, f"write [{', '.join(words[0].split())}]")
    elif "port" not in serve and not any("{port}" in word for word in words):
        what = "the command is not told the port at which it is to listen"
        yield Objection(("serve", "command"), "serve", what, 'write "{port}" among its words, or `port:` beside it')


def _mix(check: Check) -> Iterator[Objection]:
    mix = check.options.get("mix", {})
    tags = sorted({tag for case in check.cases for tag in case.tags})
    for tag in mix:
        if tag not in tags:
            near = difflib.get_close_matches(tag, tags, n=1, cutoff=0.6)
            instead = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(tags[:9]) or 'none'}"
            yield Objection(("mix", tag), "mix", f"no case has the tag `{tag}`", instead)
    left = [case for case in check.cases if mix and not set(case.tags) & mix.keys()]
    if left:
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        what = f"`{left[0].id}`{more} has none of these tags, and would never be asked"
        yield Objection(("mix",), "mix", what, "add a tag, or take the case out")


def _cases(check: Check) -> Iterator[Objection]:
    yield from (each for each in comparison_faults(check) if each.code != "no-expectation")
    if not check.cases:
        yield Objection(("cases",), "no-cases", "there is no case that users could ask", "write at least one")
    for index, case in enumerate(check.cases):
        if case.id == LOOK:
            what = f"`{LOOK}` is what a load check calls its look at the whole load"
            yield Objection(("cases", index), "case-id", what, "rename the case")
    silent = sum(case.expect is UNSET for case in check.cases)
    if silent > MOST_ALONE:
        what = f"{silent:,} cases have no `expect`, and each would have to be asked alone first"
        yield Objection(("cases",), "too-many", what, f"give them `expect`, or take at most {MOST_ALONE:,}")
    known, needed = len(auditing.distinct(check.cases)), auditing.LEAST + auditing.WARM
    if audited(check) and check.cases and known < needed:
        what = f"{known} different questions can't tell whether a server only repeats itself"
        instead = f"ask at least {needed}, or write `caching: allowed`"
        yield Objection(("caching",) if "caching" in check.options else ("cases",), "never", what, instead)


def _never(check: Check) -> Iterator[Objection]:
    """What so short a load can never show."""
    stages = stages_of(check)
    whole = sum(stage.ramp + stage.duration for stage in stages)
    if whole > HOUR:
        yield Objection(("users",), "time", f"the stages take {whole / 60:.0f} minutes", "take less than an hour")
    many = min(_most(stage) for stage in stages)
    confidence, budget = confidence_of(check), budget_of(check)
    known = "requests" if "requests" in check.options and many == check.options["requests"] else "duration"
    instead = "write `requests: {}` or more" if known == "requests" else "make room for at least {}"
    said = f"{many:,} request{'s' * (many != 1)} of a stage"
    for word in budget.get("latency_ms", {}):
        needed = (least_n(QUANTILES[word], confidence) or 1) if word in QUANTILES else 1
        if needed > many:
            what = f"{said} can't bound {word} with a confidence of {confidence:g}, however fast it is"
            yield Objection(("budget", "latency_ms", word), "never", what, instead.format(needed))
    most = budget.get("failures", {}).get("max", 0)
    if 0 < most < 1 and (needed := _whole(math.log((1 - confidence) / 2) / math.log1p(-most))) > many:
        what = f"{said} can't show a share of failures of at most {most:g}, even if none fails"
        yield Objection(("budget", "failures"), "never", what, instead.format(needed))
    least = budget.get("requests_per_s", {}).get("min", 0)
    for stage in stages:
        pause = stage.think[0]
        if pause and stage.users / pause < least:
            what = f"{stage.users} users that think for {pause:g} s ask at most {stage.users / pause:.4g} a second"
            yield Objection(("budget", "requests_per_s"), "never", what, "let them think less, or ask for less")
            break
    weights = weights_of(check)
    if weights and "requests" in check.options:
        needed = _whole(sum(weights) / max(min(weights), 1e-300) * (1 - 1e-12))
        if (all_of := check.options["requests"] * len(stages)) < needed:
            what = f"{all_of:,} requests in all can't ask each of the {len(weights):,} cases as often as it weighs"
            yield Objection(("requests",), "never", what, f"write {math.ceil(needed / len(stages)):,} or more")


def _whole(many: float) -> int:
    """The next whole number, of any that makes sense."""
    return math.ceil(min(many, 1e12))


def _most(stage: Stage) -> int:
    """The most requests that a stage can have while all its users are there."""
    often = stage.duration / stage.think[0] + 1 if stage.think[0] else MOST_REQUESTS
    return int(min(stage.requests, MOST_REQUESTS, stage.users * often))
