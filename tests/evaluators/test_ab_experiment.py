"""Experiment files: what is one, what is not, and what contradicts the check."""

from __future__ import annotations

import pytest

from evaluators.ab.experiment import experiment_faults, recall
from harness.contract import Case, Check, Refused

WRITTEN = """\
hypothesis: four bits answer no worse
baseline: a
candidate: b
metric: correct
claim: noninferior
margin: 0.05
planned_n: 2
locked: 2026-11-20
"""


def check(text: str) -> Check:
    return Check(
        id="s::ab::x",
        name="x",
        kind="ab",
        at="s:1",
        options={
            "baseline": "a",
            "candidate": "b",
            "claim": {"noninferior": {"margin": 0.05}},
            "experiment": recall("experiment", "x.yaml", text.encode()),
        },
        cases=(Case(id="1"), Case(id="2")),
    )


def test_a_file_that_says_what_the_check_asks_is_kept_with_it() -> None:
    agreed = check(WRITTEN)
    assert list(experiment_faults(agreed)) == []
    assert agreed.options["experiment"]["said"]["locked"] == "2026-11-20"
    assert list(experiment_faults(check(WRITTEN.replace("candidate: b", "candidate: [b]")))) == []


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        ("baseline: a", "baseline: z", "`x.yaml` has baseline z, and the check a"),
        ("candidate: b", "candidate: [b, c]", "has candidate [b, c], and the check b"),
        ("metric: correct", "metric: {value: score}", "has metric {value: score}, and the check correct"),
        ("claim: noninferior", "claim: superior", "has claim superior, and the check noninferior"),
        ("margin: 0.05", "margin: 0.02", "has margin 0.02, and the check 0.05"),
        ("margin: 0.05\n", "", "has margin none, and the check 0.05"),
        ("planned_n: 2", "planned_n: 300", "has planned_n 300, and the check 2 cases"),
    ],
)
def test_what_contradicts_the_check_is_objected_to_with_both_values(here: str, there: str, said: str) -> None:
    (objection,) = experiment_faults(check(WRITTEN.replace(here, there)))
    assert said in objection.what
    assert objection.path == ("experiment",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a mapping"),
        ("- a\n", "not a mapping"),
        ("a: [", "while parsing"),
        (WRITTEN + "margin: 0.01\n", "`margin` is written twice"),
        (WRITTEN + "extra: 1\n", "`extra` is not a key"),
        (WRITTEN.replace("locked: 2026-11-20\n", ""), "`locked` is missing"),
        (WRITTEN.replace("2026-11-20", "2026-11-31"), "day is out of range"),
        (WRITTEN.replace("2026-11-20", "yesterday"), "Invalid isoformat"),
        (WRITTEN.replace("2026-11-20", "2026-11-20 10:00:00"), "`locked` is a date"),
        (WRITTEN.replace("0.05", ".nan"), "`margin` is a number"),
        (WRITTEN.replace("0.05", "'0.05'"), "`margin` is a number"),
        (WRITTEN.replace("planned_n: 2", "planned_n: yes"), "`planned_n` is a whole number"),
        (WRITTEN.replace("planned_n: 2", "planned_n: 0"), "`planned_n` is a whole number"),
        (WRITTEN.replace("candidate: b", "candidate: []"), "`candidate` is a name"),
        (WRITTEN.replace("metric: correct", "metric: 3"), "`metric` is written as in the check"),
        (WRITTEN.replace("hypothesis: four bits answer no worse", "hypothesis: 7"), "`hypothesis` is a text"),
        ("a: &x [1]\nb: [*x, *x]\n", "alias"),
        ("a: !!python/object:os.system {}\n", "tag"),
        ("a: " + "[" * 5000, "nested too deep"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        ("? [1]\n: 2\n", "keys are not words"),
        ("a: \0\n", "special characters"),
        ("x" * 200_000, "larger than"),
        ("planned_n: " + "9" * 5000 + "\n", "integer string conversion"),
    ],
)
def test_what_is_no_experiment_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Refused, match="is no experiment") as refused:
        recall("experiment", "x.yaml", text.encode())
    assert why in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused() -> None:
    with pytest.raises(Refused, match=r"there is no `x\.yaml`"):
        recall("experiment", "x.yaml", None)
    with pytest.raises(Refused, match="it is not UTF-8"):
        recall("experiment", "x.yaml", b"\xff\xfe")
