"""What is refused before anything runs, how few cases are too few, and that planning is light."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.ab import faults
from evaluators.ab.planning import least_alike
from harness.contract import Case, Check, Objection
from harness.statistics import paired
from tests.conftest import REPOSITORY

MARGIN = {"noninferior": {"margin": 0.05}}


def objections(n: int = 100, *, clusters: bool = False, batch: int = 4, **options: Any) -> list[Objection]:
    model = options.pop("model", "")
    cases = tuple(Case(id=f"c{i}", input=i, expect=i, cluster=f"k{i // 4}" if clusters else "") for i in range(n))
    prompts = options.pop("put", {})
    check = Check(
        id="s::ab::x",
        name="x",
        kind="ab",
        at="s:1",
        model=model,
        others={"baseline": "a"},
        prompts=prompts,
        options={"baseline": "a", "candidate": "b", "claim": MARGIN, **options},
        cases=cases,
        batch=batch,
    )
    return list(faults(check))


def said(found: list[Objection]) -> list[str]:
    return [f"{'.'.join(map(str, each.path))}: {each.what}" for each in found]


def test_a_sound_check_has_nothing_against_it() -> None:
    assert objections() == []
    assert objections(metric={"value": "x"}, within=[0, 1], repeats=3) == []
    assert objections(claim="superior", method="mcnemar") == []


@pytest.mark.parametrize(
    ("options", "path", "why"),
    [
        ({"claim": {"noninferior": {"margin": 0}}}, "claim.noninferior.margin", "a margin of 0 is no margin"),
        ({"claim": {"equivalent": {"margin": -0.1}}}, "claim.equivalent.margin", "a margin of -0.1 is the wrong sign"),
        (
            {"claim": {"noninferior": {"margin": 1}}},
            "claim.noninferior.margin",
            "no two scores are further apart than 1",
        ),
        (
            {"claim": {"noninferior": {"margin": 5}}, "metric": {"value": "x"}, "within": [0, 5]},
            "claim.noninferior.margin",
            "no two scores are further apart than 5",
        ),
        ({"candidate": ["b", "c", "b"]}, "candidate.2", "`b` is a candidate already"),
        ({"metric": "latency", "compare": "exact"}, "compare", "by `latency` nothing is compared"),
        ({"metric": "likelihood", "repeats": 2}, "repeats", "a likelihood is computed"),
        ({"metric": "latency", "repeats": 2}, "repeats", "the times of a batch are taken together"),
        ({"within": [0, 1]}, "within", "`correct` is 0 or 1 by itself"),
        ({"metric": {"value": "x"}, "within": [1, 0]}, "within", "has no room"),
        ({"metric": {"value": "x"}, "within": [1, 1]}, "within", "has no room"),
        ({"strata": "topic:"}, "strata", "no case has a tag that starts with `topic:`"),
        ({"method": "mcnemar"}, "method", "it asks whether the difference is 0, and knows no margin"),
        ({"method": "t"}, "method", "a t interval collapses where few differ"),
        ({"method": "wilcoxon", "claim": "superior"}, "method", "most differences are ties"),
        ({"method": "exact", "metric": {"value": "x"}}, "method", "this metric is a number"),
        ({"method": "exact", "repeats": 2}, "method", "asked repeatedly"),
        ({"method": "tango", "clusters": True}, "method", "cases in clusters"),
        ({"method": "tango", "claim": "different"}, "method", "Tango's bounds are for a margin"),
        ({"method": "sign_flip", "metric": {"value": "x"}}, "method", "knows no margin"),
        ({"method": "bounded", "metric": {"value": "x"}}, "method", "which `within:` would tell"),
        ({"method": "bounded", "metric": "latency"}, "method", "times have no upper end"),
        (
            {"method": "wilcoxon", "metric": {"value": "x"}, "claim": "different", "clusters": True},
            "method",
            "clusters",
        ),
        ({"method": "exact", "peek": True}, "method", "whoever looks as cases come"),
        ({"peek": True, "clusters": True}, "peek", "these come in clusters"),
        ({"peek": True, "metric": "latency"}, "peek", "times of a batch"),
        ({"n": 0}, "cases", "there is no case to compare by"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused_with_the_reason(options: dict[str, Any], path: str, why: str) -> None:
    found = said(objections(**options))
    assert len(found) == 1, found
    assert found[0].startswith(f"{path}: ")
    assert why in found[0]


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"claim": {"noninferior": {"margin": 0.02}}}, 149),
        ({"claim": {"noninferior": {"margin": 0.02}}, "method": "tango"}, 133),
        ({"claim": {"equivalent": {"margin": 0.05}}}, 59),
        ({"claim": {"noninferior": {"margin": 0.05}}, "candidate": ["b", "c"]}, 72),
        ({"claim": "superior"}, 5),
        ({"claim": "different"}, 5),
        ({"claim": "different", "method": "mcnemar_exact"}, 6),
        ({"claim": "superior", "metric": {"value": "x"}}, 10),
        ({"claim": "superior", "metric": {"value": "x"}, "within": [0, 1]}, 5),
        ({"claim": "different", "metric": {"value": "x"}, "method": "wilcoxon"}, 6),
        ({"claim": "superior", "metric": {"value": "x"}, "method": "sign_flip"}, 5),
        ({"claim": {"noninferior": {"margin": 0.5}}, "metric": {"value": "x"}, "peek": True}, 30),
    ],
)
def test_fewer_cases_than_could_ever_decide_are_refused_with_the_number_that_could(
    options: dict[str, Any], least: int
) -> None:
    (found,) = objections(least - 1, **options)
    assert found.code == "too-few"
    assert found.instead == f"collect at least {least}"
    assert objections(least, **options) == []


def test_clusters_and_batches_are_what_is_counted() -> None:
    (found,) = objections(200, clusters=True)
    assert found.what.startswith("50 clusters can never show a margin of 0.05")
    (found,) = objections(36, claim="superior", metric="latency")
    assert found.what.startswith("9 batches can never show `superior`")


@settings(max_examples=30)
@given(st.floats(0.01, 0.9), st.sampled_from([0.01, 0.025, 0.05, 0.1, 0.2]))
def test_fewer_alike_than_it_refuses_never_bound_a_loss(margin: float, alpha: float) -> None:
    least = least_alike(margin, alpha)
    assert least == 1 or paired.noninferior_share(0, 0, least - 1, margin, alpha)[0] != "pass"
    if alpha >= 0.05:
        assert paired.noninferior_share(0, 0, least, margin, alpha)[0] == "pass"


def test_the_number_that_is_advised_would_do() -> None:
    (found,) = objections(100, claim={"noninferior": {"margin": 0.01}}, confidence=0.99)
    advised = int(found.instead.rpartition(" ")[2])
    assert 459 < advised < 505
    assert paired.noninferior_share(0, 0, advised, 0.01, 0.01)[0] == "pass"


def test_weights_are_refused() -> None:
    cases = tuple(Case(id=f"c{i}", expect=1, weight=2.0) for i in range(100))
    options = {"baseline": "a", "candidate": "b", "claim": MARGIN}
    check = Check(id="x", name="x", kind="ab", at="s:1", options=options, cases=cases)
    assert said(list(faults(check))) == ["cases: cases with weights are no pairs of equals"]


def test_what_must_be_expected_is() -> None:
    cases = (*(Case(id=f"c{i}", expect=1) for i in range(99)), Case(id="c99"))
    options = {"baseline": "a", "candidate": "b", "claim": MARGIN}
    for metric in ("correct", "likelihood"):
        check = Check(id="x", name="x", kind="ab", at="s:1", options={**options, "metric": metric}, cases=cases)
        assert [each.path for each in faults(check)] == [("cases", 99)]


PROMPTS = {"a": "Q: {input} A:", "b": {"version": "2", "text": "{input}"}}


@pytest.mark.parametrize(
    ("options", "path", "why"),
    [
        ({"prompts": {**PROMPTS, "c": "hello"}}, "prompts.c", "the prompt `c` has no field"),
        ({"prompts": {**PROMPTS, "c": {"text": "hello"}}}, "prompts.c.text", "the prompt `c` has no field"),
        ({"prompts": PROMPTS, "baseline": "z"}, "baseline", "there is no prompt `z`"),
        ({"prompts": PROMPTS, "candidate": ["b", "z"]}, "candidate.1", "there is no prompt `z`"),
        ({"prompts": PROMPTS, "model": ""}, "prompts", "prompts are put to one model"),
        ({"prompts": PROMPTS, "put": {"": "{text}"}}, "cases.0", "the case `c0` can't be put into the prompt `b`"),
    ],
)
def test_a_prompt_that_can_not_be_put_is_refused(options: dict[str, Any], path: str, why: str) -> None:
    (found,) = said(objections(**{"model": "m", **options}))
    assert found.startswith(f"{path}: ")
    assert why in found


def test_planning_an_ab_check_imports_nothing_heavy() -> None:
    code = """
import sys
from evaluators import ab
from harness.contract import Case, Check
cases = tuple(Case(id=str(i), input=i, expect=i) for i in range(200))
for claim in ("superior", "different", {"noninferior": {"margin": 0.02}}, {"equivalent": {"margin": 0.02}}):
    for metric in ("correct", {"value": "x"}, "likelihood", "latency"):
        for peek in (False, True):
            options = {"baseline": "a", "candidate": "b", "claim": claim, "metric": metric, "peek": peek}
            check = Check(id="x", name="x", kind="ab", at="s:1", options=options, cases=cases)
            list(ab.faults(check))
            tuple(ab.expand(check))
            ab.cast(options)
            class Bench:
                def answer(self, case, role="", turn=0): return {"x": 1}
                def likelihood(self, case, role=""): return -1.0
                def keep(self, build, check): return build(check)
            ab.measure(check, cases[0], Bench())
print(*[name for name in ("scipy", "numpy", "statsmodels", "yaml", "jinja2") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
