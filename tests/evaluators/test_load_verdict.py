"""What is said of a load, from what it left behind: each rule on made-up requests, and the panel that shows them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET as NOTHING
from msgspec import structs

from evaluators import load
from evaluators.load import auditing
from evaluators.load.crowd import order
from evaluators.load.drawing import drawing
from evaluators.load.grading import Tally, compared, graded, recorded
from evaluators.load.language import seconds, stages_of, weights_of
from evaluators.load.record import Audit, Load, Requests, ServerTold, StageTold, answers_of, load_of, plain_of
from evaluators.load.verdict import rates
from harness.contract import Case, Check, CheckResult, Noise, Outcome, Question, Verdict
from harness.contract import Tally as Counted
from reports.html import page
from reports.html.rows import Row

QUIET = Noise(seconds=1, cores=2, own=1.5, foreign=0.0)
NOISY = Noise(seconds=1, cores=2, own=1.0, foreign=0.8)


def check(n: int = 10, **options: Any) -> Check:
    asked = tuple(Case(id=f"c{i}", input=f"hello {i}", expect={"text": f"HELLO {i}"}) for i in range(n))
    told = {"users": 10, "compare": {"text": "exact"}, "caching": "allowed", **options}
    drafted = Check(id="a::load::l", name="l", kind="load", at="a:1", model="m", options=told, cases=asked)
    return structs.replace(drafted, cases=tuple(load.expand(drafted)))


def stage(
    ms: Sequence[float],
    *,
    users: int = 10,
    failed: Mapping[int, float] | None = None,
    lasted: float = 10.0,
    **more: Any,
) -> StageTold:
    """Requests sent one after the other in this time, some of which failed after so many milliseconds."""
    bad = failed or {}
    times = [bad.get(place, each) for place, each in enumerate(ms)]
    return StageTold(
        users=users,
        started=0.0,
        spawned_s=1.0,
        lasted_s=lasted,
        asked=len(ms),
        noise=more.pop("noise", QUIET),
        requests=Requests(
            at=[lasted * place / max(len(ms), 1) for place in range(len(ms))],
            ms=times,
            case=[place % 10 for place in range(len(ms))],
            ok=[0 if place in bad else 1 for place in range(len(ms))],
        ),
        **more,
    )


def spread(n: int, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [chance.lognormvariate(4.6, 0.3) for _ in range(n)]  # about 100 ms


def outcomes(
    asked: Check, *stages: StageTold, audit: Audit | None = None, wrong: int = 0, n: int = 20
) -> list[Outcome]:
    """Of cases that were answered as often as they were asked, at least so often, some of them wrong as often."""
    n = max(n, -(-sum(stage.asked for stage in stages) // sum(case.asks for case in asked.cases)))
    told = Load(stages=list(stages), server=ServerTold(ours=True, what="a server"), audit=audit)
    found = []
    for place, case in enumerate(asked.cases):
        if case.asks:
            tally = Tally()
            for turn in range(n):
                tally.add({"text": "what?" if place == 0 and turn < wrong else case.expect["text"]})
            found.append(graded(case, recorded(case, tally, NOTHING, compared(asked)), compared(asked)))
    return [*found, Outcome(case="load", outcome="met", answer=plain_of(told))]


def judged(asked: Check, *stages: StageTold, **more: Any) -> Verdict:
    return load.judge(asked, outcomes(asked, *stages, **more))


# --------------------------------------------------------------------------------------------- budgets


def test_a_budget_is_kept_where_the_whole_interval_keeps_it_and_broken_where_all_of_it_breaks_it() -> None:
    told = stage(spread(1000))
    for most, ruling in ((1000, "pass"), (50, "fail"), (160, "inconclusive")):
        verdict = judged(check(budget={"latency_ms": {"p95": most}}), told)
        assert verdict.verdict == ruling, verdict.reason
    assert verdict.figures["latency_ms.p95.low"] < 160 < verdict.figures["latency_ms.p95.high"]


def test_requests_that_depend_on_each_other_tell_less_than_as_many_that_do_not() -> None:
    def width(ms: list[float]) -> float:
        figures = judged(check(budget={"latency_ms": {"p50": 1000}}), stage(ms)).figures
        return figures["latency_ms.p50.high"] - figures["latency_ms.p50.low"]

    chance = random.Random(3)
    slow = [chance.lognormvariate(0, 0.5) for _ in range(20)]
    assert width([ms * slow[place // 50] for place, ms in enumerate(spread(1000))]) > 3 * width(spread(1000))


def test_who_was_given_up_waited_longer_and_who_was_refused_did_not_wait() -> None:
    asked = check(budget={"latency_ms": {"p90": 500}, "failures": {"max": 0.5}}, give_up=30)
    given_up = judged(asked, stage(spread(400), failed=dict.fromkeys(range(0, 400, 4), 30_000.0)))
    assert given_up.verdict == "fail"
    assert given_up.figures["latency_ms.p90"] == 30_000
    refused = judged(asked, stage(spread(400), failed=dict.fromkeys(range(0, 400, 4), 0.1)))
    assert refused.verdict == "pass", refused.reason
    assert 100 < refused.figures["latency_ms.p90"] < 500


@pytest.mark.parametrize(
    ("bad", "most", "ruling"),
    [(0, 0.01, "pass"), (1, 0, "fail"), (0, 0, "pass"), (100, 0.01, "fail"), (10, 0.01, "inconclusive")],
)
def test_the_share_of_failures_is_shown_or_counted(bad: int, most: float, ruling: str) -> None:
    asked = check(budget={"failures": {"max": most}})
    verdict = judged(asked, stage(spread(1000), failed=dict.fromkeys(range(0, 1000, 1000 // bad), 1.0) if bad else {}))
    assert verdict.verdict == ruling, verdict.reason
    assert verdict.figures["failures"] == bad / 1000


def test_failures_are_allowed_to_nobody_who_does_not_say_so() -> None:
    verdict = judged(check(budget={"latency_ms": {"p50": 1000}}), stage(spread(500), failed={7: 1.0}))
    assert verdict.verdict == "fail"
    assert "failures: 1 of 500 requests failed, and none may" in verdict.reason


@pytest.mark.parametrize(("least", "ruling"), [(50, "pass"), (200, "fail")])
def test_so_many_answers_a_second_are_asked_for(least: float, ruling: str) -> None:
    assert judged(check(budget={"requests_per_s": {"min": least}}), stage(spread(1000))).verdict == ruling


def test_a_rate_counts_what_was_answered_alone() -> None:
    half = stage(spread(1000), failed=dict.fromkeys(range(0, 1000, 2), 1.0))
    assert sum(rates(half)) / len(rates(half)) == pytest.approx(50)


def test_each_stage_has_to_keep_the_budget_and_is_named() -> None:
    asked = check(users=[10, 50], budget={"latency_ms": {"p95": 1000}})
    slow = stage([ms * 20 for ms in spread(1000)], users=50)
    verdict = judged(asked, stage(spread(1000)), slow)
    assert verdict.verdict == "fail"
    assert verdict.reason.startswith("latency_ms.p95@50 ")
    assert verdict.figures["latency_ms.p95@50"] > 1000 > verdict.figures["latency_ms.p95@10"]


def test_a_stage_that_shows_nothing_never_passes() -> None:
    none = judged(check(), stage([]))
    assert none.verdict == "inconclusive"
    assert "requests: none was sent while all users were there" in none.reason
    few = judged(check(), structs.replace(stage([]), spawned_s=-1.0))
    assert "not all users were there before it was over" in few.reason
    assert judged(check(budget={"latency_ms": {"p99": 1e6}}), stage(spread(100))).verdict == "inconclusive"


# ------------------------------------------------------------------------------------------------ noise


def test_noise_leaves_open_what_is_timed_and_not_what_is_wrong() -> None:
    loud = stage(spread(1000), noise=NOISY, disturbed="others kept 0.80 of 2 cores busy")
    for most in (1000, 50):
        verdict = judged(check(budget={"latency_ms": {"p50": most, "p95": most}}), loud)
        assert verdict.verdict == "inconclusive"
        assert verdict.reason.count("others kept 0.80") == 1
    lenient = check(budget={"latency_ms": {"p95": 1000}}, contaminated="may-pass")
    assert judged(lenient, loud).verdict == "pass"
    broken = check(budget={"latency_ms": {"p95": 50}}, contaminated="may-pass")
    assert judged(broken, loud).verdict == "inconclusive"
    assert judged(check(), loud, wrong=3).verdict == "fail"


def test_one_wrong_answer_of_many_fails_unless_so_many_are_allowed() -> None:
    verdict = judged(check(), stage(spread(200)), wrong=1)
    assert verdict.verdict == "fail"
    assert "answers.same 0.995 of 1 asked: 1 of 200 answers under load were wrong" in verdict.reason
    assert judged(check(answers={"same": 0.99}), stage(spread(200)), wrong=1).verdict == "pass"
    assert judged(check(answers={"same": 0.99}), stage(spread(200)), wrong=3).verdict == "fail"


# ------------------------------------------------------------------------------------------------ cache


def audit(ratios: Sequence[float], **more: Any) -> Audit:
    ids = [f"c{place}" for place in range(len(ratios))]
    return Audit(fresh=True, cases=ids, first_ms=[100.0] * len(ratios), again_ms=[100 * r for r in ratios], **more)


@pytest.mark.parametrize(
    ("ratios", "ruling"),
    [
        ([1.0, 0.95, 1.1, 0.9, 1.0, 1.2, 0.8, 1.0], "pass"),
        ([0.1] * 8, "fail"),
        ([0.7, 0.8, 0.7, 0.8, 0.7, 0.8, 0.7, 0.8], "inconclusive"),
        ([1.0] * 5, "inconclusive"),
    ],
)
def test_that_a_server_only_repeats_itself_is_shown_or_excluded_or_left_open(ratios: list[float], ruling: str) -> None:
    verdict = judged(check(caching="refused"), stage(spread(200)), audit=audit(ratios))
    assert verdict.verdict == ruling, verdict.reason


def test_a_cache_that_was_to_be_looked_for_and_was_not_is_an_error() -> None:
    assert judged(check(caching="refused"), stage(spread(200))).verdict == "error"


class Still:
    def read(self) -> Noise:
        return QUIET


def test_an_audit_asks_each_question_twice_and_none_that_was_asked_before() -> None:
    asked: list[Question] = []

    def ask(question: Question) -> float:
        asked.append(question)
        return 10.0

    cases = [Case(id=f"c{i}", input={"messages": [{"role": "user", "content": f"hello {i % 12}"}]}) for i in range(24)]
    found = auditing.audit(cases, ask, Still(), fresh=True)
    times = Counter(msgspec.json.encode(question.input) for question in asked)
    warm = [each for each, many in times.items() if many == 1]
    assert len(warm) == auditing.WARM
    assert set(times.values()) == {1, 2}
    assert len(found.cases) >= auditing.ENOUGH
    before: list[Any] = []
    for question in asked[auditing.WARM :]:
        assert before[-1:] != [question.input] or question.input == asked[-1].input, "another is asked in between"
        before.append(question.input)
    own = [question for question in asked if "[" not in question.input["messages"][0]["content"]]
    assert len(own) == auditing.WARM + 2 * 10
    stranger = auditing.audit(cases, ask, Still(), fresh=False)
    assert not stranger.fresh
    assert all("[" in question.input["messages"][0]["content"] for question in asked[-2 * len(stranger.cases) :])


# ----------------------------------------------------------------------------------------------- records


def test_a_record_that_contradicts_itself_is_not_believed() -> None:
    asked = check()
    good = outcomes(asked, stage(spread(50), noise=QUIET), wrong=3)
    for case, outcome in zip(asked.cases, good, strict=True):
        again = load.regrade(asked, case, outcome)
        assert (again.outcome, again.answer, again.differences) == (
            outcome.outcome,
            outcome.answer,
            outcome.differences,
        )
    look, first = good[-1].answer, good[0].answer
    spoilt: list[tuple[int, Any]] = [
        (-1, {**look, "stages": [{**look["stages"][0], "noise": msgspec.to_builtins(NOISY)}]}),
        (-1, {**look, "stages": [{**look["stages"][0], "generator": 0.95}]}),
        (-1, {**look, "stages": [{**look["stages"][0], "report": "https://elsewhere/x.html"}]}),
        (-1, {**look, "stages": [{**look["stages"][0], "report": "attached/../../x.html"}]}),
        (-1, {**look, "stages": [{**look["stages"][0], "requests": {"at": [1], "ms": [], "case": [], "ok": []}}]}),
        (-1, {**look, "stages": [{**look["stages"][0], "lasted_s": 1.0}]}),
        (-1, "nothing"),
        (0, {**first, "wrong": 0}),
        (0, {**first, "answered": 19}),
        (0, {**first, "answers": first["answers"][1:]}),
        (0, {**first, "asked": 5}),
    ]  # fmt: skip
    for place, answer in spoilt:
        with pytest.raises(ValueError, match=r"."):
            load.regrade(asked, asked.cases[place], structs.replace(good[place], answer=answer))


def test_of_many_different_answers_the_wrong_ones_are_kept_first_and_the_rest_counted() -> None:
    asked = check()
    tally = Tally()
    for turn in range(40):
        tally.add({"text": f"wrong {turn}"})
        tally.add({"text": "HELLO 0", "turn": turn})
    found = recorded(asked.cases[0], tally, NOTHING, compared(asked))
    assert (found.answered, found.wrong, found.more_wrong, found.more_right) == (80, 40, 32, 32)
    outcome = graded(asked.cases[0], answers_of(plain_of(found)), compared(asked))
    assert outcome.outcome == "missed"
    assert outcome.differences[0].why.startswith("40 of 80 answers under load are wrong; one of them: ")


# ----------------------------------------------------------------------------------------------- language


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=30))
def test_each_case_is_asked_as_often_as_it_weighs_at_any_time(weights: list[float]) -> None:
    asked = order(weights, 2000)
    for many in (200, 2000):
        counts = Counter(asked[:many])
        for place, weight in enumerate(weights):
            assert abs(counts[place] - many * weight / sum(weights)) <= 1 + len(weights)
    if len(set(weights)) == 1:
        assert set(asked[: len(weights)]) == set(range(len(weights)))


def test_a_mix_shares_requests_among_tags_and_within_a_tag_by_weight() -> None:
    cases = (
        Case(id="a", tags=("x",)),
        Case(id="b", tags=("x",), weight=3),
        Case(id="c", tags=("y",)),
        Case(id="d", tags=("x", "y"), weight=4),
    )
    mixed = Check(id="i", name="n", kind="load", at="a:1", options={"mix": {"x": 8, "y": 5}, "users": 1}, cases=cases)
    assert weights_of(mixed) == pytest.approx([1, 3, 1, 8])
    assert weights_of(structs.replace(mixed, options={"users": 1})) == [1, 3, 1, 4]


@pytest.mark.parametrize(("written", "told"), [(3, 3.0), ("500ms", 0.5), ("2m", 120.0), ("1.5h", 5400.0), ("7s", 7.0)])
def test_times_are_read(written: Any, told: float) -> None:
    assert seconds(written) == told


def test_a_stage_lasts_as_long_as_is_said_or_as_is_usual() -> None:
    def first(**options: Any) -> tuple[float, float, int]:
        found = stages_of(check(**options))[0]
        return found.ramp, found.duration, found.requests

    assert first() == (2.0, 10.0, 20_000)
    assert first(requests=500) == (2.0, 60.0, 500)
    assert first(spawn_rate=5, duration="3s") == (2.0, 3.0, 20_000)
    assert first(ramp="4s", duration=1, requests=9) == (4.0, 1.0, 9)


# ----------------------------------------------------------------------------------------------- the panel


def shown(asked: Check, found: Sequence[Outcome]) -> str:
    """The panel of a check, as the report lays it out."""
    verdict = load.judge(asked, found)
    result = CheckResult(
        id=asked.id, name=asked.name, kind="load", model="m", planned=len(asked.cases), outcomes=Counted(), at="a:1",
        seconds=1.0, **structs.asdict(verdict),
    )  # fmt: skip
    rows = [
        Row(case, outcome, f"r{place}") for place, (case, outcome) in enumerate(zip(asked.cases, found, strict=True))
    ]
    bad = [row for row in rows if row.outcome.outcome != "met"]
    environment = page._environment()
    panel = environment.from_string((Path(load.__file__).parent / load.PANEL).read_text("utf-8"))
    module: Any = environment.get_template("parts.html").module
    return panel.render(
        check=asked, result=result, rows=rows, bad=bad, more=[], met=[row for row in rows if row not in bad],
        unmeasured=[], parts=module, drawn=drawing(asked, found, result), reproduce=lambda case: "", anchor="a",
    )  # fmt: skip


LOCUST = {
    "requests": 990.0,
    "failures": 0.0,
    "rps": 99.0,
    "p50": 100.0,
    "p90": 140.0,
    "p95": 160.0,
    "p99": 200.0,
    "max": 310.0,
}
WHOLE = {"latency_ms": {"p50": 200, "p95": 400, "max": 1000}, "failures": {"max": 0.01}, "requests_per_s": {"min": 50}}


def test_the_panel_shows_each_stage_with_its_budgets_and_locusts_figures_beside_ours() -> None:
    asked = check(users=[10, 50], budget=WHOLE, caching="refused")
    stages = (
        stage(spread(1000), locust=LOCUST, report="attached/a/locust-10.html", generator=0.1),
        stage(spread(1000, seed=2), users=50, locust=LOCUST, failures={"status 503": 4, "<script>": 1}, repeated=2),
    )
    said = shown(asked, outcomes(asked, *stages, audit=audit([1.0] * 12), wrong=4))
    for words in (
        "10 users: 1,000 requests while all of them were there",
        'href="attached/a/locust-10.html"',
        "Latency, p95, 50 users",
        "Latency by the number of users",
        "4 of 200 answers are wrong",
        "Given 4 times",
        "what?",
        "The same, asked again",
        "status 503 (4), &lt;script&gt; (1)",
        "put on the server 2 times before",
        "9 cases answered right every time",
    ):
        assert words in said, words
    assert "<script>" not in said


@pytest.mark.parametrize(
    "stages",
    [
        [stage([])],
        [stage([5.0])],
        [stage([1e-9] * 30)],
        [stage([1e9] * 30)],
        [stage([7.0] * 30, failed=dict.fromkeys(range(30), 1.0))],
        [stage(spread(20_000), lasted=3600)],
        [structs.replace(stage([]), spawned_s=-1.0, why="there was more than may be kept")],
        [stage(spread(30), users=many) for many in range(1, 11)],
        [stage(spread(30), noise=NOISY, disturbed="others kept 0.80 of 2 cores busy")],
    ],
    ids=["none", "one", "tiny", "giant", "failed", "many", "early", "stages", "noisy"],
)
def test_the_panel_draws_whatever_was_left_behind(stages: list[StageTold]) -> None:
    asked = check(budget=WHOLE, users=[each.users for each in stages])
    said = shown(asked, outcomes(asked, *stages))
    assert said.count("<details") >= len(stages)


def test_the_panel_says_why_there_was_no_load() -> None:
    asked = check()
    gone = [Outcome(case=case.id, outcome="error", reason="the server ended with status 7") for case in asked.cases]
    said = shown(asked, gone)
    assert "There was no load: the server ended with status 7." in said
    gone[0] = Outcome(case="c0", outcome="error", reason="another")
    assert "another" in shown(asked, gone)
    broken = [*gone[:-1], Outcome(case="load", outcome="met", answer={"stages": "none"})]
    with pytest.raises(ValueError, match="no record of a load"):
        load.judge(asked, broken)


def test_a_case_without_an_answer_is_told_apart_from_one_that_was_not_asked() -> None:
    asked = check(budget=WHOLE)
    found = outcomes(asked, stage(spread(1000)))
    found[0] = Outcome(case="c0", outcome="error", reason="it was never answered: status 503 (2)")
    found[1] = Outcome(case="c1", outcome="skipped", reason="the load was over before it was asked")
    assert load.judge(asked, found).verdict == "error"
    said = shown(asked, found)
    assert "2 cases never answered, or never asked" in said
    assert "1 of 10 cases were never answered" in said
    found[0] = structs.replace(found[0], outcome="skipped")
    assert load.judge(asked, found).verdict == "inconclusive"
    assert load_of(found[-1].answer).stages[0].users == 10


def test_as_many_may_be_wrong_as_the_check_allows() -> None:
    told = stage(spread(200))
    for share, ruling in ((0.97, "pass"), (0.99, "fail")):
        verdict = judged(check(answers={"same": share}), told, wrong=4)
        assert verdict.verdict == ruling, verdict.reason
    assert load.gated(check())
