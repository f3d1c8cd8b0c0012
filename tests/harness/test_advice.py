"""What a run says to do next."""

from __future__ import annotations

from typing import Any

from harness.advice import recommendations
from harness.contract import Case, Check, CheckResult, Declared, Outcome, Plan, Ruling, Step
from tests.harness.test_policy import result


def declared(name: str, *steps: tuple[str, Any]) -> Declared:
    made = tuple(Step(what=what, options=options, recipe=name) for what, options in steps)
    return Declared(name=name, how="zoo", options={"zoo": "lenet5"}, steps=made, recipe=name, at="s.yaml:2")


def check(model: str, cases: tuple[Case, ...] = (Case(id="a", input=1),), **options: Any) -> Check:
    name = f"digits[{model}]"
    return Check(id=f"s::golden::{name}", name=name, kind="golden", at="s:1", model=model, cases=cases, options=options)


def said(models: list[Declared], verdicts: dict[str, Ruling], checks: list[Check] | None = None, **found: Any) -> Any:
    checks = checks or [check(model.name) for model in models]
    plan = Plan(hallmark="0", models={model.name: model for model in models}, checks=tuple(checks))
    results: list[CheckResult] = [result(each.id, verdicts[each.model]) for each in checks]
    return recommendations(plan, {each.id: found for each in checks}, results, None)


def test_a_model_that_passes_instead_is_named_with_what_differs() -> None:
    base, four, eight = (
        declared("base"),
        declared("int4", ("quantize", {"bits": 4, "group_size": 32})),
        declared("int8", ("quantize", {"bits": 8, "group_size": 32})),
    )
    assert said([four, eight], {"int4": "fail", "int8": "pass"}) == (
        "digits[int4]: quantize with bits 8 instead of 4: digits[int8] passes",
    )
    assert said([four, base], {"int4": "fail", "base": "pass"}) == (
        "digits[int4]: leave out `quantize`: digits[base] passes",
    )


def test_no_model_is_named_that_differs_in_more_or_fails_or_is_asked_something_else() -> None:
    four = declared("int4", ("quantize", {"bits": 4}))
    pruned = declared("sparse", ("prune", {"sparsity": 0.5}), ("quantize", {"bits": 8}))
    eight = declared("int8", ("quantize", {"bits": 8}))
    assert said([four, pruned], {"int4": "fail", "sparse": "pass"}) == ()
    assert said([four, eight], {"int4": "fail", "int8": "inconclusive"}) == ()
    other = [check("int4"), check("int8", gate={"pass_rate": 0.5})]
    assert said([four, eight], {"int4": "fail", "int8": "pass"}, other) == ()


def test_the_tag_whose_cases_are_missed_most_is_pointed_at() -> None:
    cases = tuple(Case(id=f"c{at}", input=at, tags=("seven",) if at < 4 else ("other",)) for at in range(40))
    missed = {f"c{at}": Outcome(case=f"c{at}", outcome="missed" if at < 4 else "met") for at in range(40)}
    assert said([declared("m")], {"m": "fail"}, [check("m", cases)], **missed) == (
        "digits[m]: look at the cases tagged `seven` first: 4 of 4 missed, 4 of all",
    )


def test_where_no_tag_stands_out_the_first_missed_case_is_named_with_its_command() -> None:
    cases = (Case(id="it's", input=1), Case(id="b", input=2))
    found = {"it's": Outcome(case="it's", outcome="missed"), "b": Outcome(case="b", outcome="met")}
    (line,) = said([declared("m")], {"m": "fail"}, [check("m", cases)], **found)
    assert line.startswith("digits[m]: look at `it's` first: hallmark run 's::golden::digits[m]::it'\"'\"'s'")
