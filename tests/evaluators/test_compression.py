"""Compressed models beside their baseline: claims, degenerate inputs, and how often the gate passes what it should not."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb
from typing import Any

import numpy as np
import pytest

from evaluators.compression import _divergence, expand, faults, judge, measure, regrade
from evaluators.compression.size import FOOTPRINT, discrepancies, formula_bits
from harness.contract import Case, Check, Outcome, Verdict

WEIGHTS = {"bytes": 1000, "parameters": 250, "bits_per_weight": 32.0, "sparsity": 0.0, "quantized": []}
SMALL = {"bytes": 250, "parameters": 250, "bits_per_weight": 8.0, "sparsity": 0.5, "quantized": []}
CPU = "Device(cpu, 0)"


def check(claim: dict[str, Any], n: int = 4) -> Check:
    cases = tuple(Case(id=f"c{i}", input=i, expect=i) for i in range(n))
    return Check(
        id="s::compression::x",
        name="x",
        kind="compression",
        at="s:1",
        model="s::small",
        others={"baseline": "s::base"},
        options={"claim": claim, "baseline": "base"},
        cases=cases,
        batch=2,
    )


def outcomes(
    n: int,
    gained: int = 0,
    lost: int = 0,
    both_missed: int = 0,
    *,
    device: str = CPU,
    model: Any = SMALL,
    kl: Any = 0.01,
) -> list[Outcome]:
    words = [(True, False)] * gained + [(False, True)] * lost + [(False, False)] * both_missed
    words += [(True, True)] * (n - len(words))
    made = [
        Outcome(
            case=f"c{i}",
            outcome="met" if mine else "missed",
            answer={"model": i, "baseline": i, "baseline_met": theirs, "kl": kl},
            spent={"model": 0.001 + i * 1e-6, "baseline": 0.002 + i * 1e-6},
        )
        for i, (mine, theirs) in enumerate(words)
    ]
    return [*made, footprint(model, device)]


def footprint(model: Any = SMALL, device: str = CPU) -> Outcome:
    def side(weights: Any) -> dict[str, Any]:
        return {"device": device, **({"weights": weights} if weights else {})}

    return Outcome(case=FOOTPRINT, outcome="met", answer={"model": side(model), "baseline": side(WEIGHTS)})


def ruled(claim: dict[str, Any], found: Iterable[Outcome]) -> Verdict:
    return judge(check(claim), list(found))


# ------------------------------------------------------------------------------------------- margin


def test_a_margin_passes_where_it_is_shown_fails_where_its_contrary_is_and_else_is_open() -> None:
    assert ruled({"margin": 0.02}, outcomes(500, gained=1, lost=2)).verdict == "pass"
    assert ruled({"margin": 0.02}, outcomes(500, lost=60)).verdict == "fail"
    open_ = ruled({"margin": 0.02}, outcomes(500, gained=2, lost=10))
    assert open_.verdict == "inconclusive"
    assert open_.needed_n is not None
    assert open_.needed_n > 500


def test_a_margin_of_the_suite_is_a_matter_of_counting() -> None:
    claim = {"margin": 0.02, "population": "suite"}
    assert ruled(claim, outcomes(500, lost=10)).verdict == "pass"
    assert ruled(claim, outcomes(500, lost=11)).verdict == "fail"


def test_a_gain_has_to_be_shown() -> None:
    assert ruled({"gain": 0}, outcomes(200, gained=20, lost=5)).verdict == "pass"
    assert ruled({"gain": 0}, outcomes(200, gained=12, lost=8)).verdict == "inconclusive"
    assert ruled({"gain": 0}, outcomes(3, gained=3)).verdict == "inconclusive"  # one in eight by chance alone
    assert ruled({"gain": 0}, outcomes(5, gained=5)).verdict == "pass"
    assert ruled({"gain": 0}, outcomes(200, gained=1, lost=20)).verdict == "fail"
    assert ruled({"gain": 0, "population": "suite"}, outcomes(200)).verdict == "fail"
    assert ruled({"gain": 0, "population": "suite"}, outcomes(200, gained=1)).verdict == "pass"


def test_a_case_in_error_never_passes() -> None:
    found = outcomes(500)
    found[3] = Outcome(case="c3", outcome="error", reason="no answer")
    assert ruled({"margin": 0.02}, found).verdict == "error"
    assert ruled({"bytes": 0.5}, found).verdict == "error"


def test_a_case_skipped_or_a_look_at_the_weights_that_is_missing_leaves_it_open() -> None:
    found = outcomes(500)
    found[3] = Outcome(case="c3", outcome="skipped")
    assert ruled({"margin": 0.02}, found).verdict == "inconclusive"
    assert ruled({"margin": 0.02}, outcomes(500)[:-1]).verdict == "inconclusive"


def test_an_error_is_told_before_a_failure() -> None:
    found = outcomes(500, lost=100)
    found[-2] = Outcome(case="c499", outcome="error", reason="no answer")
    assert ruled({"margin": 0.02}, found).verdict == "error"


def test_the_gate_passes_a_model_that_is_worse_by_the_margin_in_at_most_one_of_twenty_samples() -> None:
    """Exact enumeration through the shipped judge: n=200, a margin of 5 points, one case in ten differs."""
    n, margin, edge = 200, 0.05, {}
    least = 0
    for lost in range(32):  # the more are lost the more have to be gained
        while least < 30 and ruled({"margin": margin}, outcomes(n, least, lost)).verdict != "pass":
            least += 1
        edge[lost] = least

    def chance_of_a_pass(up: float, down: float) -> float:
        return sum(
            comb(n, up_) * comb(n - up_, lost) * up**up_ * down**lost * (1 - up - down) ** (n - up_ - lost)
            for lost, least in edge.items()
            for up_ in range(least, 31)
        )

    assert chance_of_a_pass(0.025, 0.075) <= 0.05
    assert chance_of_a_pass(0.05, 0.05) == pytest.approx(0.697, abs=0.01)


# -------------------------------------------------------------------------------------- other claims


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ({"bytes": 0.25}, "pass"),
        ({"bytes": 0.24}, "fail"),
        ({"parameters": 1}, "pass"),
        ({"parameters": 0.5}, "fail"),
        ({"bits_per_weight": 8}, "pass"),
        ({"bits_per_weight": 7.9}, "fail"),
        ({"sparsity": 0.5}, "pass"),
        ({"sparsity": 0.51}, "fail"),
        ({"kl": 0.011}, "pass"),
        ({"kl": 0.009}, "fail"),
    ],
)
def test_a_claim_of_size_or_of_straying_is_held_to_its_figure(claim: dict[str, Any], verdict: str) -> None:
    assert ruled(claim, outcomes(10)).verdict == verdict


def test_speed_is_unsupported_on_cpu_and_decided_on_a_gpu() -> None:
    assert ruled({"faster": 1.2}, outcomes(100)).verdict == "unsupported"
    assert ruled({"faster": 1.2}, outcomes(100, device="Device(gpu, 0)")).verdict == "pass"
    assert ruled({"faster": 3}, outcomes(100, device="Device(gpu, 0)")).verdict == "fail"
    assert ruled({"faster": 1.2}, outcomes(4, device="Device(gpu, 0)")).verdict == "inconclusive"


def test_what_has_no_weights_or_no_probabilities_is_unsupported_and_never_a_pass() -> None:
    assert ruled({"bytes": 0.5}, outcomes(10, model=None)).verdict == "unsupported"
    assert ruled({"kl": 1}, outcomes(10, kl=None)).verdict == "unsupported"
    assert ruled({"kl": 1}, outcomes(10, kl=float("nan"))).verdict == "unsupported"


def test_the_worst_claim_decides_and_is_told_first() -> None:
    verdict = ruled({"margin": 0.5, "bytes": 0.1}, outcomes(500))
    assert verdict.verdict == "fail"
    assert verdict.reason.startswith("0.25 of the baseline's bytes")


def test_bytes_that_the_formula_does_not_make_are_an_error() -> None:
    part = {
        "mode": "affine",
        "bits": 4,
        "group_size": 64,
        "scale_bits": 32,
        "elements": 640,
        "padded": 640,
        "bytes": 401,
    }
    assert list(discrepancies({"quantized": [part]}))
    assert not list(discrepancies({"quantized": [{**part, "bytes": 400}]}))
    found = outcomes(10)
    found[-1].outcome = "missed"
    assert ruled({"bytes": 0.9}, found).verdict == "error"


@pytest.mark.parametrize(
    ("mode", "bits", "group", "scale", "expected"),
    [
        ("affine", 4, 64, 32, 5.0),
        ("affine", 4, 64, 16, 4.5),
        ("affine", 2, 32, 32, 4.0),
        ("mxfp4", 4, 32, 8, 4.25),
        ("mxfp8", 8, 32, 8, 8.25),
        ("nvfp4", 4, 16, 8, 4.5),
    ],
)
def test_bits_a_weight_by_the_formula(mode: str, bits: int, group: int, scale: int, expected: float) -> None:
    assert formula_bits({"mode": mode, "bits": bits, "group_size": group, "scale_bits": scale}) == expected


# ---------------------------------------------------------------------------------------- plan time


def objections(claim: dict[str, Any], n: int = 500) -> list[str]:
    return [said.what for said in faults(check(claim, n))]


def test_a_margin_that_these_cases_can_never_show_is_refused() -> None:
    assert objections({"margin": 0.02}, 148) == [
        "148 cases can never show a margin of 0.02 with a confidence of 0.95, even if nothing differs"
    ]
    assert objections({"margin": 0.02}, 149) == []
    assert objections({"margin": 0.02, "population": "suite"}, 3) == []


def test_claims_that_say_nothing_are_refused() -> None:
    assert objections({"confidence": 0.9})[0] == "nothing is claimed"
    assert objections({"margin": 0.1, "gain": 0.1}) == ["what does better does no worse"]
    assert "no confidence is owed" in objections({"margin": 0.1, "population": "suite", "confidence": 0.9})[0]


# -------------------------------------------------------------------------------------- measurement


class Bench:
    """A bench whose models are functions."""

    def answer(self, case: Case, role: str = "") -> Any:
        return case.input if role or case.input != 2 else "lost"

    def weigh(self, case: Case, role: str = "", *, on: str = "") -> Any:
        return np.log(np.array([[0.9, 0.1]] if role else [[0.8, 0.2]]))

    def facts(self, role: str = "") -> dict[str, Any]:
        return {"weights": WEIGHTS if role else SMALL, "device": CPU, "recipe": "x"}

    def keep(self, build: Any, check: Check) -> Any:
        return build(check)


def test_a_case_is_measured_on_both_and_can_be_graded_again() -> None:
    subject = check({"margin": 0.5})
    whole = [measure(subject, case, Bench()) for case in expand(subject)]
    assert [outcome.outcome for outcome in whole] == ["met", "met", "missed", "met", "met"]
    assert whole[2].reason == "lost: the baseline meets it"
    assert whole[0].answer["kl"] == pytest.approx(0.9 * np.log(0.9 / 0.8) + 0.1 * np.log(0.1 / 0.2))
    for case, outcome in zip(expand(subject), whole, strict=True):
        again = regrade(subject, case, outcome)
        assert (again.outcome, again.differences, again.reason) == (
            outcome.outcome,
            outcome.differences,
            outcome.reason,
        )


def test_straying_is_nought_where_nothing_strays_and_unknown_where_nothing_is_weighed() -> None:
    same = np.log(np.array([[0.5, 0.5], [1.0, 1e-30]]))
    assert _divergence(same, same) == 0
    assert _divergence(None, same) is None
    assert _divergence(same[:0], same[:0]) == 0
    assert _divergence(same, same[:, :1]) is None


def test_probabilities_that_are_no_numbers_err() -> None:
    good = np.log(np.array([[0.5, 0.5]]))
    for pair in ((good, good * np.nan), (good * np.nan, good)):
        with pytest.raises(ValueError, match="are not numbers"):
            _divergence(*pair)


def test_a_model_that_rules_out_what_the_baseline_says_errs() -> None:
    with pytest.raises(ValueError, match="rules out"):
        _divergence(np.log(np.array([[0.5, 0.5]])), np.array([[0.0, -np.inf]]))


def test_what_never_happens_strays_by_nothing() -> None:
    sure = np.array([[0.0, -np.inf]])
    assert _divergence(sure, sure) == 0
    assert _divergence(sure, np.log(np.array([[0.5, 0.5]]))) == pytest.approx(np.log(2))


def test_an_answer_that_was_tampered_with_is_not_graded_as_recorded() -> None:
    subject = check({"margin": 0.5})
    (case, *_) = subject.cases
    outcome = measure(subject, case, Bench())
    said = {**outcome.answer, "baseline_met": False}  # type: ignore[dict-item]
    forged = Outcome(case=case.id, outcome="met", answer=said)
    assert regrade(subject, case, forged).answer != forged.answer
    with pytest.raises(ValueError, match="can't stray by -1"):
        regrade(subject, case, Outcome(case=case.id, outcome="met", answer={**said, "kl": -1}))
