"""A/B checks on plain data: what each claim takes, degenerate inputs, several candidates, and what stops early."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.ab import cast, characteristics, decided, judge, measure, pledge, regrade
from evaluators.ab.deciding import Sample, bars_of, decide, holm_alphas, needed_n
from evaluators.ab.language import Claim
from harness.contract import DECIDED, Case, Check, Outcome, Part, Refused, Verdict

MARGIN = {"noninferior": {"margin": 0.05}}
CLAIMS: list[Any] = ["superior", "different", MARGIN, {"equivalent": {"margin": 0.05}}]


def check(n: int = 100, *, clusters: int = 0, batch: int = 10, tags: bool = False, **options: Any) -> Check:
    """Clusters of so many cases each, where any."""
    cases = tuple(
        Case(
            id=f"c{i}",
            input=i,
            expect=i,
            cluster=f"k{i // clusters}" if clusters else "",
            tags=(f"topic:{i % 2}", "all") if tags else (),
        )
        for i in range(n)
    )
    return Check(
        id="s::ab::x",
        name="x",
        kind="ab",
        at="s:1",
        model="s::b",
        others={"baseline": "s::a"},
        options={"baseline": "a", "candidate": "b", "claim": MARGIN, **options},
        cases=cases,
        batch=batch,
    )


def outcome(case: str, theirs: float, *mine: float, spent: Sequence[float] = ()) -> Outcome:
    sides = ["baseline", "candidate", *(f"candidate {i}" for i in range(2, len(mine) + 1))]
    roles = ["baseline", "model", *sides[2:]]
    ahead = mine[0] - theirs
    return Outcome(
        case=case,
        outcome="missed" if ahead < 0 else "met",
        reason="lost" if ahead < 0 else "gained" if ahead > 0 else "",
        answer={side: {"answer": score, "score": score} for side, score in zip(sides, (theirs, *mine), strict=True)},
        spent=dict(zip(roles, spent, strict=False)),
    )


def flips(n: int, gained: int = 0, lost: int = 0) -> list[Outcome]:
    both = [(0, 1)] * gained + [(1, 0)] * lost + [(1, 1)] * (n - gained - lost)
    return [outcome(f"c{i}", theirs, mine) for i, (theirs, mine) in enumerate(both)]


def ruled(n: int, gained: int, lost: int, **options: Any) -> Verdict:
    return judge(check(n, **options), flips(n, gained, lost))


# ------------------------------------------------------------------------------------------ yes or no


def test_no_worse_passes_where_it_is_shown_fails_where_its_contrary_is_and_else_is_open() -> None:
    assert ruled(200, 2, 2).verdict == "pass"
    assert ruled(200, 0, 40).verdict == "fail"
    open_ = ruled(100, 3, 5)
    assert open_.verdict == "inconclusive"
    assert open_.needed_n is not None
    assert open_.needed_n > 100
    assert "5 lost, 3 gained" in open_.reason
    assert "0.05 worse is allowed" in open_.reason


def test_a_model_against_itself_is_equivalent_and_never_superior() -> None:
    itself = ruled(200, 0, 0, claim={"equivalent": {"margin": 0.05}})
    assert (itself.verdict, itself.estimate) == ("pass", 0.0)
    better = ruled(200, 0, 0, claim="superior")
    assert (better.verdict, better.p) == ("inconclusive", 1.0)
    assert better.needed_n is None
    assert ruled(200, 0, 0, claim="different").verdict == "inconclusive"


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"claim": "superior"}, 5),
        ({"claim": "superior", "method": "mcnemar"}, 5),
        ({"claim": "superior", "method": "mcnemar_exact"}, 5),
        ({"claim": "superior", "method": "tango"}, 5),
        ({"claim": "different"}, 5),
        ({"claim": "different", "method": "mcnemar_exact"}, 6),
    ],
)
@pytest.mark.parametrize("n", [8, 100])
def test_four_pairs_that_differ_show_nothing_and_it_says_how_many_would(
    options: dict[str, Any], needed: int, n: int
) -> None:
    verdict = ruled(n, 4, 0, **options)
    assert verdict.verdict == "inconclusive"
    assert f"4 of the pairs differ, and {needed} have to" in verdict.reason
    assert verdict.needed_n is not None
    assert verdict.needed_n >= math.ceil(needed * n / 4)
    assert ruled(verdict.needed_n, round(4 * verdict.needed_n / n), 0, **options).verdict == "pass"


METHODS = [
    (claim, method)
    for claim in CLAIMS
    for method in ("exact", "mcnemar", "mcnemar_exact", "tango", "bounded", "sign_flip")
    if not (isinstance(claim, dict) and method in ("mcnemar", "mcnemar_exact", "sign_flip"))
    and (claim, method) != ("different", "tango")
]


@settings(max_examples=25)
@given(
    pairs=st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60)), at=st.sampled_from(range(len(METHODS)))
)
def test_the_verdict_the_p_and_the_bounds_never_disagree(pairs: tuple[int, int, int], at: int) -> None:
    written, method = METHODS[at]
    gained, lost, same = pairs
    sample = Sample([1.0] * gained + [-1.0] * lost + [0.0] * same, None, (-1.0, 1.0))
    claim = Claim(written) if isinstance(written, str) else Claim(next(iter(written)), 0.05)
    decision, found = decide(claim, sample, 0.05, method)
    assert found.p is not None
    assert 0 <= found.p <= 1
    assert (decision == "pass") == (found.p < 0.05)
    if found.interval is None:
        assert decision == "inconclusive"
        return
    (low, high), bars = found.interval, bars_of(claim)
    assert low <= high
    above = low > bars[0]
    shown = (above or high < 0) if claim.word == "different" else above and (len(bars) == 1 or high < bars[-1])
    assert (decision == "pass") == shown
    needed = needed_n(claim, sample, decide(claim, sample, 0.05, method), 0.05, method)
    assert needed is None or (decision == "inconclusive" and needed > sample.n)


def test_what_is_claimed_of_several_holds_of_all_of_them_by_holm() -> None:
    options: dict[str, Any] = {"candidate": ["b", "c"], "claim": "superior"}
    both = [outcome(f"c{i}", 0, int(i < 12), int(i < 6)) for i in range(60)]
    verdict = judge(check(60, **options), both)
    assert verdict.verdict == "pass"
    assert verdict.figures["c.adjusted_p"] == pytest.approx(verdict.figures["c.p"])
    assert verdict.figures["b.adjusted_p"] == pytest.approx(2 * verdict.figures["b.p"])
    assert verdict.p == verdict.figures["c.adjusted_p"]
    assert verdict.figures["cochran_q.p"] < 0.01
    assert "Holm across 2 candidates" in verdict.method

    one = [outcome(f"c{i}", 0, int(i < 12), int(i < 3)) for i in range(60)]
    assert judge(check(60, **options), one).verdict == "inconclusive"
    assert "shown for 1 of 2 candidates (b); least for c" in judge(check(60, **options), one).reason

    worse = [outcome(f"c{i}", 1, 1, int(i >= 20)) for i in range(60)]
    assert judge(check(60, **options), worse).verdict == "fail"
    assert judge(check(60, **options), worse).estimate == pytest.approx(-1 / 3)


def test_each_of_several_is_decided_at_its_level_and_none_after_the_first_that_is_not_shown() -> None:
    assert holm_alphas([0.04], 0.05) == [0.05]
    assert holm_alphas([0.001, 0.03, 0.02], 0.06) == [0.02, 0.06, 0.03]
    assert holm_alphas([0.026, 0.03], 0.05) == [0.025, 0.025]
    assert holm_alphas([None, 0.01], 0.05) == [0.025, 0.025]


# -------------------------------------------------------------------------------- errors and skipped


def test_over_a_case_in_error_nothing_passes() -> None:
    found = flips(200, 2, 2)
    found[7] = Outcome(case="c7", outcome="error", reason="no answer")
    verdict = judge(check(200), found)
    assert verdict.verdict == "error"
    assert verdict.reason.startswith("1 in error")
    assert verdict.needed_n is None


def test_what_fails_whatever_the_lacking_cases_were_fails() -> None:
    found = flips(200, 0, 40)
    found[-1] = Outcome(case="c199", outcome="error", reason="no answer")
    assert judge(check(200), found).verdict == "fail"
    some = [*flips(200, 0, 40)[:60], *(Outcome(case=f"c{i}", outcome="error", reason="x") for i in range(60, 200))]
    assert judge(check(200), some).verdict == "error"


def test_a_case_skipped_leaves_it_open() -> None:
    found = flips(200, 2, 2)
    found[7] = Outcome(case="c7", outcome="skipped", reason="whatever")
    assert judge(check(200), found).verdict == "inconclusive"


def test_without_any_answer_nothing_is_claimed() -> None:
    assert judge(check(3), [Outcome(case="c0", outcome="error", reason="x")]).verdict == "error"
    assert judge(check(3), [Outcome(case="c0", outcome="skipped")]).verdict == "inconclusive"


# ------------------------------------------------------------------------------------------- numbers


def scores(differences: Iterable[float], **options: Any) -> Verdict:
    found = [outcome(f"c{i}", 0.0, value) for i, value in enumerate(differences)]
    return judge(check(len(found), metric={"value": "."}, **options), found)


def test_a_mean_is_held_against_its_margin() -> None:
    steady = [0.01 * (i % 5 - 2) for i in range(40)]
    assert scores(steady).verdict == "pass"
    assert scores([value - 0.2 for value in steady]).verdict == "fail"
    assert scores([value - 0.05 for value in steady]).verdict == "inconclusive"


def test_differences_that_do_not_vary_pass_only_where_the_scale_has_ends() -> None:
    claim = {"equivalent": {"margin": 0.2}}
    bare = scores([0.0] * 50, claim=claim)
    assert bare.verdict == "inconclusive"
    assert "don't vary" in bare.reason
    assert scores([0.0] * 50, claim=claim, within=[0, 1]).verdict == "pass"
    assert scores([0.0] * 50, claim="superior", within=[0, 1]).verdict == "inconclusive"


def test_rare_large_losses_are_not_passed_over() -> None:
    assert scores([0.0] * 18 + [-1.0, 0.5]).verdict == "inconclusive"


def test_few_signs_show_nothing_and_it_says_how_many_would() -> None:
    for method in ("sign_flip", "wilcoxon"):
        verdict = scores([1.0, 2.0, 3.0, 4.0, 5.0], claim="different", method=method)
        assert verdict.verdict == "inconclusive"
        assert "5 differences that are not 0 can show nothing: 6 can" in verdict.reason


def test_cases_of_a_cluster_count_less() -> None:
    differences = [0.3 * ((i // 10) % 3 - 1) + 0.001 * (i % 10) for i in range(200)]
    found = [outcome(f"c{i}", 0.0, value) for i, value in enumerate(differences)]
    alone = judge(check(200, metric={"value": "."}), found)
    together = judge(check(200, clusters=10, metric={"value": "."}), found)
    assert together.figures["b.effective_n"] < 40 < alone.figures["b.effective_n"]
    assert alone.interval is not None
    assert together.interval is not None
    assert together.interval[0] < alone.interval[0]
    assert "cluster" in together.method


def test_right_or_wrong_in_clusters_is_bounded_by_cluster() -> None:
    verdict = judge(check(400, clusters=2), flips(400, 0, 0))
    assert verdict.verdict == "pass"
    assert "by cluster" in verdict.method


@settings(max_examples=30)
@given(
    values=st.lists(st.floats(-1e90, 1e90), min_size=1, max_size=40),
    word=st.sampled_from(["superior", "different", "noninferior", "equivalent"]),
    method=st.sampled_from(["t", "sign_flip", "wilcoxon"]),
    clusters=st.sampled_from([0, 3]),
)
def test_no_numbers_make_it_say_what_is_no_number(values: list[float], word: str, method: str, clusters: int) -> None:
    claim: Any = {word: {"margin": 0.5}} if word in ("noninferior", "equivalent") else word
    if (isinstance(claim, dict) and method != "t") or (clusters and method == "wilcoxon"):
        return
    found = [outcome(f"c{i}", 0.0, value) for i, value in enumerate(values)]
    verdict = judge(check(len(values), clusters=clusters, metric={"value": "."}, claim=claim, method=method), found)
    told = [verdict.estimate, verdict.p, *(verdict.interval or ()), *verdict.figures.values()]
    assert all(number is None or math.isfinite(number) for number in told)
    if len(values) < 3:
        assert verdict.verdict == "inconclusive"


def test_results_by_tag_are_shown() -> None:
    verdict = judge(check(40, tags=True, strata="topic:"), flips(40, 1, 2))
    assert verdict.figures["b@topic:0.n"] == 20
    assert verdict.figures["b@topic:0.lost"] + verdict.figures["b@topic:1.lost"] == 2
    assert not any("@all" in key for key in verdict.figures)


# ---------------------------------------------------------------------------------------------- time


def timed(ratio: float, n: int = 200, **options: Any) -> Verdict:
    """Batches of ten cases, whose times differ by some percent from batch to batch."""
    found = [
        outcome(f"c{i}", 0, 0, spent=(0.01 * (1 + 0.02 * (i // 10 % 5)), 0.01 * ratio * (1 + 0.02 * (i // 10 % 3))))
        for i in range(n)
    ]
    return judge(check(n, metric="latency", **options), found)


def test_less_time_is_better_and_a_margin_of_time_is_a_ratio() -> None:
    claim = {"noninferior": {"margin": 0.2}}
    assert timed(1.1, claim=claim).verdict == "pass"
    slow = timed(1.4, claim=claim)
    assert slow.verdict == "fail"
    assert slow.estimate == pytest.approx(-0.37, abs=0.05)
    assert "times as long as a" in slow.reason
    assert timed(0.7, claim="superior").verdict == "pass"
    assert timed(0.5, claim={"equivalent": {"margin": 0.2}}).verdict == "fail"


def test_cases_of_a_batch_are_one_time() -> None:
    assert timed(1.0, claim="different").figures["b.n"] == 20
    few = timed(0.5, n=50, claim="superior")
    assert few.verdict == "inconclusive"


# ------------------------------------------------------------------------------------------- peeking


def test_looking_as_cases_come_stops_where_it_is_decided_and_says_so() -> None:
    asked = check(400, peek=True)
    found = [outcome(f"c{i}", 1, int(i % 3 > 0)) for i in range(400)]
    looks = [n for n in range(1, 400) if decided(asked, found[:n])]
    first = looks[0]
    assert looks == list(range(first, 400))
    assert first < 100
    left = [Outcome(case=f"c{i}", outcome="skipped", reason=DECIDED) for i in range(first, 400)]
    verdict = judge(asked, [*found[:first], *left])
    assert (verdict.verdict, verdict.n) == ("fail", first)
    assert f"decided after {first} of 400 cases" in verdict.reason
    assert verdict.figures["spared"] == 400 - first


def test_the_verdict_of_a_look_is_the_same_whichever_cases_came_first() -> None:
    asked = check(400, peek=True)
    found = [outcome(f"c{i}", 1, int(i % 3 > 0)) for i in range(400)]
    whole = judge(asked, found)
    part = [*found[:150], *found[200:260]]
    left = [Outcome(case=f"c{i}", outcome="skipped", reason=DECIDED) for i in (*range(150, 200), *range(260, 400))]
    some = judge(asked, [*reversed(part), *left])
    assert (some.verdict, some.n, some.interval) == (whole.verdict, whole.n, whole.interval)


def test_a_gap_among_the_first_cases_is_not_looked_over() -> None:
    asked = check(400, peek=True)
    found = [outcome(f"c{i}", 1, int(i % 3 > 0)) for i in range(400)]
    assert not decided(asked, found[1:])
    broken = [Outcome(case="c0", outcome="error", reason="x"), *found[1:]]
    assert judge(asked, broken).verdict == "error"


@pytest.mark.parametrize("claim", CLAIMS)
def test_looking_at_what_does_not_differ_claims_no_difference(claim: Any) -> None:
    verdict = judge(check(600, peek=True, claim=claim), flips(600))
    assert verdict.verdict == ("pass" if isinstance(claim, dict) else "inconclusive")


def test_what_may_not_stop_early_is_never_decided() -> None:
    assert not decided(check(200), flips(200, 0, 100))


# ------------------------------------------------------------------------------- asking and regrading


class Bench:
    """Answers by role and turn; what is kept is built."""

    def __init__(self, **said: Any) -> None:
        self.said = said
        self.asked: list[str] = []
        self.turns: set[int] = set()

    def answer(self, case: Case, role: str = "", turn: int = 0) -> Any:
        self.asked.append(role)
        self.turns.add(turn)
        answers = self.said[role or "candidate"]
        return answers[turn] if isinstance(answers, list) else answers

    def likelihood(self, case: Case, role: str = "") -> float | None:
        found: float | None = self.said[role or "candidate"]
        return found

    def keep(self, build: Any, asked: Check) -> Any:
        return build(asked)


def asked_of(asked: Check, **said: Any) -> Outcome:
    bench: Any = Bench(**said)
    return measure(asked, asked.cases[0], bench)


def test_a_case_is_lost_where_the_baseline_alone_meets_it_and_gained_the_other_way() -> None:
    lost, gained = asked_of(check(3), candidate=9, baseline=0), asked_of(check(3), candidate=0, baseline=9)
    assert (lost.outcome, lost.reason) == ("missed", "lost")
    assert lost.differences[0].got == 9
    assert (gained.outcome, gained.reason) == ("met", "gained")
    assert asked_of(check(3), candidate=9, baseline=9).outcome == "met"


def test_repeats_are_averaged_and_told() -> None:
    outcome_ = asked_of(check(3, repeats=4), candidate=[0, 9, 0, 0], baseline=[0, 0, 0, 0])
    assert outcome_.answer["candidate"] == {"answer": 0, "score": 0.75, "scores": [1, 0, 1, 1]}
    assert outcome_.reason == "lost"
    assert regrade(check(3, repeats=4), check(3).cases[0], outcome_) == outcome_


def test_a_number_is_taken_from_the_answer_and_held_to_its_scale() -> None:
    asked = check(3, metric={"value": "a.1"}, within=[0, 1])
    found = asked_of(asked, candidate={"a": [0, 0.5]}, baseline={"a": [0, 0.75]})
    assert (found.answer["candidate"]["score"], found.reason) == (0.5, "lost")
    assert regrade(asked, asked.cases[0], found) == found
    for odd, why in (
        ({"a": []}, "no number at `a.1`"),
        ({"a": [0, True]}, "no number"),
        ({"a": [0, 1.5]}, "not within"),
    ):
        with pytest.raises(Refused, match=why):
            asked_of(asked, candidate=odd, baseline={"a": [0, 0.75]})


def test_a_likelihood_is_asked_of_models_that_tell_one() -> None:
    asked = check(3, metric="likelihood")
    found = asked_of(asked, candidate=-1.5, baseline=-1.0)
    assert found.answer == {"baseline": {"score": -1.0}, "candidate": {"score": -1.5}}
    assert regrade(asked, asked.cases[0], found) == found
    with pytest.raises(Refused, match="`b` does not tell how likely"):
        asked_of(asked, candidate=None, baseline=-1.0)


def test_who_is_asked_first_changes_from_batch_to_batch() -> None:
    asked = check(40, metric="latency")
    bench: Any = Bench(candidate=0, baseline=0)
    for at in (0, 10):
        measure(asked, asked.cases[at], bench)
    assert bench.asked == ["baseline", "", "", "baseline"]


def test_a_time_is_of_an_answer_that_no_other_check_has_asked_for() -> None:
    turns = []
    for name in ("x", "y"):
        bench: Any = Bench(candidate=0, baseline=0)
        measure(msgspec.structs.replace(check(3, metric="latency"), id=name), check(3).cases[0], bench)
        turns.append(bench.turns)
    assert 0 not in turns[0] | turns[1]
    assert turns[0].isdisjoint(turns[1])


@pytest.mark.parametrize(
    "change",
    [
        {"candidate": {"answer": 9, "score": 1}},
        {"candidate": {"answer": 0, "score": 0}},
        {"candidate": {"answer": 0}},
        {"candidate": 1},
        {"candidate 2": {"answer": 0, "score": 1}},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    asked = check(3)
    found = asked_of(asked, candidate=0, baseline=0)
    found.answer = {**found.answer, **change}
    with pytest.raises(ValueError, match=r"candidate|record"):
        regrade(asked, asked.cases[0], found)


# --------------------------------------------------------------------------------------------- parts


def test_models_are_cast_by_role() -> None:
    parts = cast({"baseline": "a", "candidate": ["b", "c"]})
    assert parts == {
        "": Part("b", ("candidate", 0)),
        "candidate 2": Part("c", ("candidate", 1)),
        "baseline": Part("a", ("baseline",)),
    }
    prompts = {"v1": "Q: {input}", "v2": {"version": "2", "text": "{input}?"}}
    parts = cast({"model": "m", "prompts": prompts, "baseline": "v1", "candidate": "v2"})
    assert parts == {"": Part("m", ("model",), "{input}?"), "baseline": Part("m", ("model",), "Q: {input}")}
    assert set(cast({"model": "m", "prompts": prompts, "baseline": "v1", "candidate": "v3"})) == {"baseline"}
    assert cast({"prompts": prompts, "baseline": "v1", "candidate": "v2"}) == {}


def test_what_a_check_can_show_is_known_before_it_runs() -> None:
    told = characteristics(check(80, claim="superior"))
    assert told is not None
    assert told.rows[0].value == 0
    assert told.rows[0].passes <= 0.05
    assert told.rows[-1].passes > 0.5
    assert characteristics(check(40, metric={"value": "."})) is None


def test_what_was_promised_is_what_the_experiment_says() -> None:
    assert pledge(check()) == {}
    assert pledge(check(experiment={"file": "x", "said": {"planned_n": 3}})) == {
        "file": "x",
        "planned_n": 3,
        "confidence": 0.95,
        "method": "exact",
        "compare": None,
    }


# ------------------------------------------------------------------------------- what an adversary came up with


def test_one_large_cluster_that_loses_outweighs_many_small_ones_that_gain() -> None:
    """300 cases of one cluster are lost, 30 of their own are gained: nothing is better on the mean of the cases."""
    cases = [Case(id=f"l{i}", input=i, expect=1, cluster="one") for i in range(300)]
    cases += [Case(id=f"g{i}", input=i, expect=1, cluster=f"g{i}") for i in range(30)]
    asked = msgspec.structs.replace(check(1, claim="superior"), cases=tuple(cases))
    found = [outcome(case.id, case.id.startswith("l"), case.id.startswith("g")) for case in cases]
    assert judge(asked, found).verdict != "pass"


@pytest.mark.parametrize(("gained", "lost", "n"), [(15, 10, 67), (30, 20, 134)])
def test_the_cases_that_would_decide_an_equivalence_do_decide_it(gained: int, lost: int, n: int) -> None:
    claim = {"equivalent": {"margin": 0.05}}
    verdict = ruled(n, gained, lost, claim=claim)
    assert verdict.verdict == "inconclusive"
    assert verdict.needed_n is not None
    times = verdict.needed_n / n * 1.05
    many = round(n * times)
    assert ruled(many, round(gained * times), round(lost * times), claim=claim).verdict == "fail"


@pytest.mark.parametrize("n", [20, 40])
def test_what_a_superior_claim_is_said_to_show_is_what_it_shows(n: int) -> None:
    from math import comb

    asked = check(n, claim="superior")
    told = characteristics(asked)
    assert told is not None
    gain, loss = 0.1, 0.0
    passes = sum(
        comb(n, up) * gain**up * (1 - gain - loss) ** (n - up) * (ruled(n, up, 0, claim="superior").verdict == "pass")
        for up in range(n + 1)
    )
    row = next(row for row in told.rows if row.value == pytest.approx(0.1))
    assert row.passes == pytest.approx(passes, abs=1e-6)
