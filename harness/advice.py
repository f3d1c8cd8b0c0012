"""What to do next, as far as a run tells: how many cases would decide it, which model passes instead, where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from harness.contract import Check, CheckResult, Declared, Locked, Outcome, Plan
from harness.trends import news

_FEW = 3
"""So many cases of a tag have to be missed before it is pointed at."""


def recommendations(
    plan: Plan,
    found: Mapping[str, Mapping[str, Outcome]],
    results: Sequence[CheckResult],
    locked: Locked | None,
) -> tuple[str, ...]:
    said: list[str] = []
    if locked and locked.moved:
        said.append(
            "put back what moved since the bar was locked; or, if that was meant, lock it again before the next run: "
            "`hallmark plan --lock`"
        )
    names = Counter(result.name for result in results)
    for check, result in zip(plan.checks, results, strict=True):
        name = result.name if names[result.name] == 1 else result.id
        if not result.waived:
            said += [f"{name}: {each}" for each in _of(plan, check, result, results, found.get(check.id, {}))]
    return tuple(dict.fromkeys(said))


def _of(
    plan: Plan, check: Check, result: CheckResult, results: Sequence[CheckResult], found: Mapping[str, Outcome]
) -> Iterator[str]:
    if result.verdict == "inconclusive" and result.needed_n and result.needed_n > result.n:
        more = f"collect {result.needed_n - result.n} more cases ({result.needed_n} in all)"
        yield f"{more}: that many would decide it, if things go on as they went"
    elif result.advice:
        yield result.advice
    if result.verdict == "fail":
        yield from _instead(plan, check, results)
        yield from _where(plan, check, found)
    if changed := news(result):
        yield changed


def _instead(plan: Plan, check: Check, results: Sequence[CheckResult]) -> Iterator[str]:
    """A model that passes what this one fails, made otherwise from the same."""
    model = plan.models.get(check.model)
    if model is None:
        return
    passed = {result.id for result in results if result.verdict == "pass"}
    for other in plan.checks:
        its = plan.models.get(other.model)
        if its is None or other.id not in passed or not _asks_the_same(check, other):
            continue
        how = _otherwise(model, its)
        if how:
            yield f"{how}: {other.name} passes"
            return


def _asks_the_same(check: Check, other: Check) -> bool:
    same = (other.kind, other.options, other.prompts) == (check.kind, check.options, check.prompts)
    return same and other.id.rpartition("[")[0] == check.id.rpartition("[")[0] and other.model != check.model


def _otherwise(model: Declared, other: Declared) -> str:
    """How another model is made, where it differs in one step from the same start; empty where it differs in more."""
    if (model.how, model.options) != (other.how, other.options):
        return ""
    here, there = [(step.what, step.options) for step in model.steps], [(s.what, s.options) for s in other.steps]
    if len(here) == len(there) + 1 and here[:-1] == there:
        return f"leave out `{here[-1][0]}`"
    differ = [(one, two) for one, two in zip(here, there, strict=False) if one != two]
    if len(here) != len(there) or len(differ) != 1:
        return ""
    (what, options), (its, its_options) = differ[0]
    if what != its:
        return f"`{its}` instead of `{what}`"
    if not (isinstance(options, dict) and isinstance(its_options, dict)):
        return ""
    keys = [key for key in {**options, **its_options} if options.get(key) != its_options.get(key)]
    if not keys or any(isinstance(each.get(key), dict | list) for key in keys for each in (options, its_options)):
        return ""
    to = ", ".join(f"{key} {_value(its_options.get(key))} instead of {_value(options.get(key))}" for key in keys)
    return f"{what} with {to}"


def _value(option: object) -> str:
    return "none" if option is None else str(option).lower() if isinstance(option, bool) else str(option)


def _where(plan: Plan, check: Check, found: Mapping[str, Outcome]) -> Iterator[str]:
    """Where to look first: at the tag whose cases are missed most of all, else at a case."""
    missed = [case for case in check.cases if case.id in found and found[case.id].outcome == "missed"]
    if not missed:
        return
    those = Counter(tag for case in missed for tag in set(case.tags))
    every = Counter(tag for case in check.cases for tag in set(case.tags))
    rate = len(missed) / len(check.cases)
    told = [tag for tag, many in those.items() if many >= _FEW and many / every[tag] >= 2 * rate]
    if told:
        tag = max(told, key=lambda tag: (those[tag] / every[tag], those[tag]))
        yield f"look at the cases tagged `{tag}` first: {those[tag]} of {every[tag]} missed, {len(missed)} of all"
    elif missed[0].asks:
        yield f"look at `{missed[0].id}` first: {plan.command(f'{check.id}::{missed[0].id}')}"
