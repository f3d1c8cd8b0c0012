"""What is said of times that were recorded, and of checks that could never be shown."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from evaluators.performance import cast, expand, faults, judge, regrade
from evaluators.performance.language import SESSION
from harness.contract import Case, Check, Outcome, Verdict

QUIET = {"seconds": 0.3, "cores": 2, "own": 1.0, "foreign": 0.02}
NOISY = {**QUIET, "foreign": 0.97}
CPU, GPU = "Device(cpu, 0)", "Device(gpu, 0)"


def check(options: dict[str, Any], n: int = 2, *, held: bool = False) -> Check:
    cases = tuple(Case(id=f"c{i}", input=i, at="c:1") for i in range(n))
    return Check(
        id="s::performance::x",
        name="x",
        kind="performance",
        at="s:1",
        model="s::m",
        others={"baseline": "s::b"} if held else {},
        options={**options, **({"against": "b"} if held else {})},
        cases=cases,
    )


def process(of: str = "model", **told: Any) -> dict[str, Any]:
    usual = {"opening_ms": 100.0, "peak_resident_mb": 50.0, "peak_memory_mb": 5.0, "memory": [[0.1, 50.0]]}
    return {"of": of, **usual, "noise": [QUIET], "throughput": {"8": [200.0, 210.0, 190.0]}, **told}


def outcomes(
    groups: Sequence[Sequence[float]],
    baseline: Sequence[Sequence[float]] = (),
    *,
    processes: Sequence[dict[str, Any]] | None = None,
    session: dict[str, Any] | None = None,
    **more: Any,
) -> list[Outcome]:
    """Two cases, between which the times of each process are dealt out."""
    made = []
    for at in range(2):
        answer: dict[str, Any] = {"ms": [list(group[at::2]) for group in groups], **more}
        if baseline:
            answer["baseline_ms"] = [list(group[at::2]) for group in baseline]
        made.append(Outcome(case=f"c{at}", outcome="met", answer=answer))
    there = processes or [*(process() for _ in groups), *(process("baseline") for _ in baseline)]
    told = {
        "processes": there,
        "device": CPU,
        "batch": 8,
        "machine": {"processor": "Fast", "cores": 2},
        **(session or {}),
    }
    return [*made, Outcome(case=SESSION, outcome="met", answer=told)]


def ruled(options: dict[str, Any], found: Sequence[Outcome], *, held: bool = False) -> Verdict:
    asked = check(options, held=held)
    return judge(
        Check(**{f: getattr(asked, f) for f in asked.__struct_fields__} | {"cases": tuple(expand(asked))}), found
    )


def lognormal(n: int, processes: int = 5, factor: float = 1.0, seed: int = 0) -> list[list[float]]:
    chance = random.Random(seed)
    return [[10 * factor * chance.lognormvariate(0, 0.1) for _ in range(n)] for _ in range(processes)]


# ------------------------------------------------------------------------------------------ budgets


@pytest.mark.parametrize(("bar", "word"), [(20.0, "pass"), (5.0, "fail")])
def test_a_budget_is_kept_or_not_where_the_interval_says_so(bar: float, word: str) -> None:
    verdict = ruled({"budget": {"latency_ms": {"p50": bar}}}, outcomes(lognormal(40)))
    assert verdict.verdict == word
    assert verdict.interval is not None
    assert verdict.interval[0] < verdict.estimate < verdict.interval[1]  # type: ignore[operator]
    assert "on Fast, 2 cores" in verdict.reason  # a time holds for a machine


def test_a_budget_within_the_interval_decides_nothing() -> None:
    groups = lognormal(40)
    middle = sorted(value for group in groups for value in group)[100]
    assert ruled({"budget": {"latency_ms": {"p50": middle}}}, outcomes(groups)).verdict == "inconclusive"


def test_too_few_samples_for_a_quantile_decide_nothing_and_it_is_told_how_many_would() -> None:
    verdict = ruled({"budget": {"latency_ms": {"p99": 1000}}}, outcomes(lognormal(20)))
    assert verdict.verdict == "inconclusive"
    assert verdict.advice == "it takes 368 samples or more to bound latency_ms.p99, and there are 100"


def test_processes_that_differ_count_as_few() -> None:
    alike, apart = [[10.0, 10.1] * 40] * 5, [[value, value + 0.1] * 40 for value in (8.0, 9.0, 10.0, 11.0, 14.0)]
    options = {"budget": {"latency_ms": {"p50": 13.0}}}
    assert ruled(options, outcomes(alike)).verdict == "pass"
    assert ruled(options, outcomes(apart)).verdict == "inconclusive"


def test_the_worst_budget_decides() -> None:
    budget = {"latency_ms": {"p50": 20.0, "max": 1.0}, "resident_mb": {"max": 500}}
    verdict = ruled({"budget": budget}, outcomes(lognormal(40)))
    assert verdict.verdict == "fail"
    assert verdict.reason.startswith("latency_ms.max")


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        ({"throughput": {"min": 100, "batch": 8}}, "pass"),
        ({"throughput": {"min": 500, "batch": 8}}, "fail"),
        ({"throughput": {"min": 200, "batch": 8}}, "inconclusive"),
        ({"throughput": {"min": 100}}, "pass"),
        ({"tokens_per_s": {"min": 100}}, "unsupported"),
        ({"peak_memory_mb": {"max": 5.0}}, "pass"),
        ({"peak_memory_mb": {"max": 4.9}}, "fail"),
        ({"resident_mb": {"max": 49}}, "fail"),
        ({"load_ms": {"max": 150}}, "pass"),
        ({"load_ms": {"p50": 150}}, "inconclusive"),
        ({"size_mb": {"max": 1}}, "unsupported"),
        ({"energy_j": {"max": 1}}, "unsupported"),
        ({"first_token_ms": {"p50": 1}}, "inconclusive"),
    ],
)
def test_every_budget_is_three_valued_or_unsupported(budget: dict[str, Any], word: str) -> None:
    assert ruled({"budget": budget}, outcomes(lognormal(40))).verdict == word


def test_a_model_that_does_not_stream_has_no_first_token() -> None:
    told = {"streams": False}
    verdict = ruled({"budget": {"first_token_ms": {"p50": 1}}}, outcomes(lognormal(40), session=told))
    assert verdict.verdict == "unsupported"


def test_the_speed_of_packed_weights_is_not_certified_on_cpu_and_their_size_is() -> None:
    told = {"packed": True, "size_mb": 0.5}
    budget = {"latency_ms": {"p50": 1000}, "size_mb": {"max": 1}}
    assert ruled({"budget": budget}, outcomes(lognormal(40), session=told)).verdict == "unsupported"
    assert ruled({"budget": budget}, outcomes(lognormal(40), session={**told, "device": GPU})).verdict == "pass"
    assert ruled({"budget": {"size_mb": {"max": 1}}}, outcomes(lognormal(40), session=told)).verdict == "pass"


# -------------------------------------------------------------------------------------------- noise


@pytest.mark.parametrize("bar", [20.0, 5.0])
def test_a_noisy_machine_gives_no_verdict(bar: float) -> None:
    noisy = [process(noise=[NOISY], disturbed="others kept 0.97 of 2 cores busy") for _ in range(5)]
    verdict = ruled({"budget": {"latency_ms": {"p50": bar}}}, outcomes(lognormal(40), processes=noisy))
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.startswith("contaminated: others kept 0.97 of 2 cores busy")


def test_what_is_kept_under_noise_may_pass_where_the_check_says_so_and_never_fails() -> None:
    noisy = [process(noise=[NOISY], disturbed="others kept 0.97 of 2 cores busy") for _ in range(5)]
    for bar, word in ((20.0, "pass"), (5.0, "inconclusive")):
        options = {"budget": {"latency_ms": {"p50": bar}}, "contaminated": "may-pass"}
        assert ruled(options, outcomes(lognormal(40), processes=noisy)).verdict == word


def test_a_ratio_under_noise_never_passes() -> None:
    noisy = [process(of, disturbed="others kept 0.97 of 2 cores busy") for of in ("model", "baseline") * 5]
    found = outcomes(lognormal(40, 10), lognormal(40, 10, seed=1), processes=noisy)
    verdict = ruled({"contaminated": "may-pass"}, found, held=True)
    assert verdict.verdict == "inconclusive"


def test_noise_while_it_was_opened_tells_of_the_time_to_open_it_alone() -> None:
    noisy = [process(opening_noise=NOISY) for _ in range(5)]
    found = outcomes(lognormal(40), processes=noisy)
    assert ruled({"budget": {"load_ms": {"max": 1}}}, found).verdict == "inconclusive"
    assert ruled({"budget": {"latency_ms": {"p50": 20.0}}}, found).verdict == "pass"


def test_noise_tells_nothing_of_memory() -> None:
    noisy = [process(disturbed="others kept 0.97 of 2 cores busy")]
    assert (
        ruled({"budget": {"resident_mb": {"max": 49}}}, outcomes(lognormal(40, 1), processes=noisy)).verdict == "fail"
    )


def test_a_processor_that_slows_down_times_itself() -> None:
    slow = [process(noise=[{**QUIET, "mhz": mhz}]) for mhz in (3000.0, 3000.0, 3000.0, 3000.0, 1800.0)]
    verdict = ruled({"budget": {"latency_ms": {"p50": 20.0}}}, outcomes(lognormal(40), processes=slow))
    assert "contaminated: the processor ran at 1800 MHz" in verdict.reason


# -------------------------------------------------------------------------------------------- ratio


@pytest.mark.parametrize(("factor", "word"), [(1.0, "pass"), (1.2, "fail"), (0.5, "pass")])
def test_what_is_slower_than_the_other_fails(factor: float, word: str) -> None:
    found = outcomes(lognormal(40, 10, factor), lognormal(40, 10, seed=1))
    verdict = ruled({}, found, held=True)
    assert verdict.verdict == word
    assert verdict.figures["ratio"] == pytest.approx(factor, rel=0.1)


def test_two_processes_of_each_decide_nothing() -> None:
    found = outcomes(lognormal(40, 2, 3.0), lognormal(40, 2, seed=1))
    assert ruled({}, found, held=True).verdict == "inconclusive"


# -------------------------------------------------------------------------------- nothing by accident


def test_a_case_in_error_or_not_timed_passes_nothing() -> None:
    found = outcomes(lognormal(40))
    options = {"budget": {"latency_ms": {"p50": 20.0}}}
    assert ruled(options, [Outcome(case="c0", outcome="error", reason="no"), *found[1:]]).verdict == "error"
    assert ruled(options, found[1:]).verdict == "inconclusive"
    assert ruled(options, found[:-1]).verdict == "inconclusive"
    assert ruled(options, []).verdict == "inconclusive"
    assert ruled(options, [Outcome(case="c0", outcome="skipped", reason="x"), *found[1:]]).verdict == "inconclusive"


@pytest.mark.parametrize(
    "answer",
    [
        {"ms": []},
        {"ms": [[]]},
        {"ms": [[0.0]]},
        {"ms": [[-1.0]]},
        {"ms": [["fast"]]},
        {"ms": [[1.0]], "first_ms": [[0.0]]},
        None,
        {},
    ],
)
def test_a_record_that_no_session_leaves_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        regrade(
            check({"budget": {"latency_ms": {"p50": 1}}}),
            Case(id="c0"),
            Outcome(case="c0", outcome="met", answer=answer),
        )


@pytest.mark.parametrize(
    "told",
    [{"noise": []}, {"opening_ms": -1.0}, {"peak_resident_mb": float("inf")}, {"throughput": {"8": [-1.0]}}],
)
def test_a_process_that_can_not_have_been_is_refused(told: dict[str, Any]) -> None:
    asked, case = check({"budget": {"latency_ms": {"p50": 1}}, "processes": 1}), Case(id=SESSION, asks=False)
    with pytest.raises(ValueError, match=r".+"):
        regrade(asked, case, outcomes([[1.0, 1.0]], processes=[process(**told)])[-1])


def test_fewer_processes_than_were_planned_are_refused() -> None:
    asked = check({"budget": {"latency_ms": {"p50": 1}}, "processes": 2})
    for outcome, case in (
        (outcomes([[1.0, 1.0]])[-1], Case(id=SESSION, asks=False)),
        (outcomes([[1.0, 1.0]])[0], Case(id="c0")),
    ):
        with pytest.raises(ValueError, match="planned"):
            regrade(asked, case, outcome)


def test_a_session_that_hides_its_noise_is_refused() -> None:
    asked, case = check({"budget": {"latency_ms": {"p50": 1}}, "processes": 1}), Case(id=SESSION, asks=False)
    honest = outcomes([[1.0, 1.0]])[-1]
    assert regrade(asked, case, honest).outcome == "met"
    hidden = outcomes([[1.0, 1.0]], processes=[process(noise=[NOISY])])[-1]
    with pytest.raises(ValueError, match="does not say so"):
        regrade(asked, case, hidden)
    with pytest.raises(ValueError, match="as it was planned"):
        regrade(check({}, held=True), case, honest)


# --------------------------------------------------------------------------------------------- plan


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "it asks for nothing"),
        ({"budget": {"latency_ms": {"p99": 50}}, "samples": 20}, "20 samples can't bound p99"),
        ({"budget": {"latency_ms": {"p50": 50}}, "samples": 5}, "5 samples can't bound p50"),
        ({"budget": {"load_ms": {"p50": 50}}, "processes": 3}, "can't bound a quantile of `load_ms`"),
        ({"budget": {"latency_ms": {"p50": 50}}, "at_most": 1.2}, "`at_most` belongs to `against`"),
        (
            {"budget": {"throughput": [{"min": 1, "batch": 8}, {"min": 2, "batch": 8}]}},
            "two budgets for the same batch",
        ),
        ({"against": "b@certified"}, "nothing is certified yet"),
    ],
)
def test_what_could_never_be_shown_is_refused_before_it_runs(options: dict[str, Any], said: str) -> None:
    assert any(said in fault.what for fault in faults(check(options))), [fault.what for fault in faults(check(options))]


def test_a_case_of_the_sessions_name_or_with_a_weight_is_refused() -> None:
    asked = check({"budget": {"latency_ms": {"p50": 50}}})
    cases = (Case(id=SESSION), Case(id="c", weight=2.0))
    found = list(faults(Check(**{f: getattr(asked, f) for f in asked.__struct_fields__} | {"cases": cases})))
    assert {fault.code for fault in found} == {"case-id", "weight"}


@pytest.mark.parametrize(
    ("against", "model", "run"),
    [("b", "b", ""), ("b@certified", "b", "certified"), ("b@../runs/1", "b", "../runs/1"), ("@latest", "", "latest")],
)
def test_what_it_is_held_against_is_a_model_of_this_spec_or_of_a_run(against: str, model: str, run: str) -> None:
    part = cast({"against": against})["baseline"]
    assert (part.model, part.run) == (model, run)
