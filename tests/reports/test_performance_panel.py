"""The performance panel: it says what the verdict says, draws what was measured, and stands whatever was recorded."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.performance.drawing import SLOWEST
from evaluators.timing.drawing import ecdf
from harness.contract import Case, Check, Outcome, Plan, Ruling, SpecFile
from harness.ledger import Begin, End
from harness.pages import Run
from reports import html
from reports.html.record import without
from tests.reports.test_html import CORPUS, Page

WORST: Sequence[Ruling] = ("fail", "inconclusive", "pass")
QUIET = {"seconds": 0.4, "cores": 2, "own": 0.98, "foreign": 0.03}
STEP = [10.0, 10.1, 9.9, 10.2, 9.8, 10.0, 10.1, 9.9, 10.2, 9.8, 10.0, 10.1]


def _process(of: str = "model", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "of": of, "opening_ms": 812.0, "peak_resident_mb": 143.5, "memory": [[0.9, 120.0], [1.3, 130.0], [1.7, 131.0]],
        "noise": [QUIET], "throughput": {"1": [80.0, 81.0, 82.0], "8": [240.0, 250.0, 260.0]},
    }  # fmt: skip
    return {**given, **more}


def _times(
    n: int = 20, processes: int = 5, each: int = 20, *, around: float = 12.0, held: float = 0.0
) -> dict[str, Any]:
    """Times of n cases, of one model or of two."""
    chance = random.Random(n)
    paces = {"ms": [around * chance.lognormvariate(0, 0.01) for _ in range(processes)]}
    if held:
        paces["baseline_ms"] = [held * chance.lognormvariate(0, 0.01) for _ in range(processes)]

    def lists(field: str) -> list[list[float]]:
        return [[round(pace * chance.lognormvariate(0, 0.2), 4) for _ in range(each)] for pace in paces[field]]

    return {f"q{i}": {field: lists(field) for field in paces} for i in range(n)}


def _run(
    times: dict[str, Any],
    session: Any = None,
    *,
    name: str = "quick",
    earlier: dict[str, list[float]] | None = None,
    said: str = "",
    **options: Any,
) -> Run:
    """A run of one check; of each case its record, or why there is none."""
    held = any(isinstance(each, dict) and "baseline_ms" in each for each in times.values())
    if session is None:
        session = {"processes": [_process(), *([_process("baseline")] if held else [])] * 5, "size_mb": 0.24}
    if held:
        options = {"against": "base", **options}
    cases = (*(Case(id=id, input=f"asked {id} {said}", at="c.jsonl:1") for id in times), Case(id="session", asks=False))
    check = Check(
        id=f"s.yaml::performance::{name}", name=name, kind="performance", at="s.yaml:1", model="s.yaml::m",
        others={"baseline": "s.yaml::base"} if held else {}, options=options, cases=cases, batch=100_000,
    )  # fmt: skip
    lines: list[Any] = [
        Begin(run="r", started="2026-01-01T00:00:00+00:00", plan="p", machine={}, earlier={check.id: earlier or {}})
    ]
    for case, told in zip(cases, [*times.values(), session], strict=True):
        met = not isinstance(told, str)
        more: dict[str, Any] = {"answer": told} if met else {"reason": told}
        lines.append(Outcome(case=case.id, outcome="met" if met else "error", check=check.id, **more))
    lines.append(End(finished="2026-01-01T00:00:01+00:00", seconds=1.0))
    plan = Plan(hallmark="0", checks=(check,), specs=(SpecFile(path="s.yaml", name="s"),))
    return Run(msgspec.json.encode(plan), msgspec.json.Encoder().encode_lines(lines))


def _raw(run: Run) -> str:
    return html.tell(run).decode()


def _words(raw: str) -> str:
    return " ".join(Page(raw).words.split())


def _table(raw: str, label: str) -> list[list[str]]:
    """The words of a table, row by row."""
    (table,) = re.findall(rf'aria-label="{label}">(.*?)</table>', raw, re.DOTALL)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("<tr")[2:]]
    return [[" ".join(Page(cell).words.split()) for cell in row] for row in rows]


def _plots(raw: str) -> list[tuple[float, str]]:
    """The height and the inside of each drawing."""
    found = re.findall(
        r'<svg class="plot" height="([\d.]+)"(.*?)(?=<h4|<div|<ul|<details|<ol|<p|</article)', raw, re.DOTALL
    )
    return [(float(height), inside) for height, inside in found]


# ------------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("budget", "row"),
    [
        ({"latency_ms": {"p95": 50}}, ["✓ pass", "Latency, p95", "at most 50 ms"]),
        ({"latency_ms": {"p50": 5}}, ["✕ fail", "Latency, p50", "at most 5 ms"]),
        ({"latency_ms": {"p95": 16.8}}, ["? inconclusive", "Latency, p95", "at most 16.8 ms"]),
        ({"latency_ms": {"max": 500}}, ["✓ pass", "Latency, max", "at most 500 ms"]),
        ({"throughput": {"min": 200, "batch": 8}}, ["✓ pass", "Throughput, batches of 8", "at least 200 a second"]),
        ({"throughput": [{"min": 300, "batch": 8}]}, ["✕ fail", "Throughput, batches of 8", "at least 300 a second"]),
        ({"resident_mb": {"max": 100}}, ["✕ fail", "Peak memory of the process", "at most 100 MB"]),
        ({"size_mb": {"max": 1}}, ["✓ pass", "Size of the weights", "at most 1 MB"]),
        ({"load_ms": {"max": 2000}}, ["✓ pass", "Time to open, max", "at most 2,000 ms"]),
    ],
)
def test_each_budget_has_a_row_with_its_ruling(budget: dict[str, Any], row: list[str]) -> None:
    run = _run(_times(), budget=budget)
    (found,) = _table(_raw(run), "Budgets")
    assert [found[0], found[1], found[4]] == row
    assert run.certificate.checks[0].verdict == row[0].split()[1]


@pytest.mark.parametrize("contaminated", ["inconclusive", "may-pass"])
@pytest.mark.parametrize("disturbed", ["", "others kept 0.97 of 2 cores busy"])
@pytest.mark.parametrize(("p95", "most"), [(50, 200), (50, 100), (16.8, 200), (5, 200), (5, 100)])
def test_the_worst_of_the_rows_is_the_verdict(p95: float, most: float, disturbed: str, contaminated: str) -> None:
    session = {"processes": [_process(disturbed=disturbed)] * 5, "size_mb": 0.24}
    budget = {"latency_ms": {"p95": p95, "p50": 40}, "resident_mb": {"max": most}}
    run = _run(_times(), session, budget=budget, contaminated=contaminated)
    rows = [row[0].split()[1] for row in _table(_raw(run), "Budgets")]
    assert min(rows, key=WORST.index) == run.certificate.checks[0].verdict
    assert ("alone on the machine" in _raw(run)) == (not disturbed)


@pytest.mark.parametrize(("held", "at_most", "ruling"), [(12.0, 1.2, "pass"), (10.0, 1.2, "fail"), (6.0, 1.1, "fail")])
def test_two_models_are_held_against_each_other(held: float, at_most: float, ruling: str) -> None:
    run = _run(_times(processes=10, held=held), at_most=at_most)
    raw = _raw(run)
    (row,) = _table(raw, "Budgets")
    assert row[:2] == [f"{html.page.SIGNS[ruling]} {ruling}", "Times as long as base"]
    assert run.certificate.checks[0].verdict == ruling
    assert f"at most {at_most:g} times" in _words(raw)
    assert "base from" in raw
    assert [row[1] for row in _table(raw, "Processes")] == ["m", "base"] * 5


def test_with_too_few_answers_nothing_is_bounded() -> None:
    raw = _raw(_run(_times(n=1, processes=1, each=3), budget={"latency_ms": {"p95": 50, "max": 50}}))
    assert [row[:1] + row[3:4] for row in _table(raw, "Budgets")] == [
        ["? inconclusive", "too few to tell"], ["✓ pass", "as it was seen"],
    ]  # fmt: skip


def test_times_of_tokens_have_curves_of_their_own() -> None:
    times = {"q": {"ms": [[9.0] * 90], "first_ms": [[3.0, 4.0] * 45], "per_token_ms": [[0.5, 0.6] * 45], "tokens": 12}}
    raw = _raw(_run(times, budget={"first_token_ms": {"p50": 5}, "per_token_ms": {"p50": 5}}))
    assert raw.count(": the share of answers that took no longer") == 3
    assert "Time to the first token, p50" in raw
    assert '<th scope="col">Tokens</th>' in raw


def test_cases_that_could_not_be_timed_come_with_their_reasons() -> None:
    raw = _raw(
        _run({**_times(2), "bad": "ValueError: <no>"}, "it was not measured", budget={"latency_ms": {"p50": 50}})
    )
    words = _words(raw)
    assert "Cases that were not timed" in words
    assert "ValueError: <no>" in words
    assert "it was not measured" in words
    assert _table(raw, "Budgets")[0][0].endswith("error")


def test_the_slowest_cases_come_first() -> None:
    times = {f"q{i}": {"ms": [[float(i + 1)] * 4]} for i in range(100)}
    rows = _table(_raw(_run(times, budget={"latency_ms": {"max": 500}})), "The slowest cases")
    assert [row[0] for row in rows] == [f"q{i}" for i in range(99, 99 - SLOWEST, -1)]


def test_what_disturbed_a_process_is_told_and_not_folded() -> None:
    noisy = _process(
        disturbed="others kept 0.97 of 2 cores busy", repeated=9, noise=[QUIET, {**QUIET, "foreign": 0.97}]
    )
    raw = _raw(_run(_times(), {"processes": [_process(), noisy]}, budget={"latency_ms": {"p50": 50}}))
    assert "<details open><summary>2 processes, 1 of them disturbed" in raw
    assert _table(raw, "Processes")[1][3:] == ["0.97 of 2 cores", "9", "others kept 0.97 of 2 cores busy"]


# -------------------------------------------------------------------------------------------- trends


def test_trends_are_drawn_with_the_places_where_their_level_changed() -> None:
    earlier = {"latency_ms.p50": [*STEP, 12.1, 11.9, 12.0, 12.1], "latency_ms.p95": [16.0, 16.5]}
    raw = _raw(_run(_times(), earlier=earlier, budget={"latency_ms": {"p50": 50, "p95": 50}}))
    rows = _table(raw, "Runs on this machine")
    assert [row[0] for row in rows] == ["Latency, p50", "Latency, p95"]
    assert rows[0][2:4] == ["17", "10 ms"]
    assert re.fullmatch(r"from 10\.?\d* to 12\.\d+, for the last 5 runs", rows[0][5])
    assert rows[1][5] == ""
    assert raw.count('<line class="change"') == 1
    assert "quick: latency_ms.p50 went from 10 to 12" in _words(raw)


def test_without_earlier_runs_there_are_no_trends() -> None:
    assert "Runs on this machine" not in _raw(_run(_times(), budget={"latency_ms": {"p50": 50}}))


# -------------------------------------------------------------------------------------- odd records

FEW = st.lists(st.floats(0, 1e308), max_size=4)
NOISE = st.fixed_dictionaries(
    {"seconds": st.floats(0, 1e9), "cores": st.integers(1, 512), "own": st.floats(0, 600), "foreign": st.floats(0, 600)}
)
PROCESS = st.fixed_dictionaries(
    {
        "of": st.sampled_from(["model", "baseline", "else"]),
        "opening_ms": st.floats(0, 1e308),
        "memory": st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e308)), max_size=3),
        "noise": st.lists(NOISE, max_size=2),
        "throughput": st.dictionaries(st.sampled_from(["1", "8", "4096", "x"]), FEW, max_size=3),
    },
    optional={"peak_memory_mb": st.floats(0, 1e308), "disturbed": st.just("a crowd"), "joules": FEW},
)
TOLD = st.fixed_dictionaries(
    {"ms": st.lists(FEW, max_size=3)}, optional={"tokens": st.integers(0, 9), "first_ms": st.lists(FEW)}
)
RECORD = TOLD | st.fixed_dictionaries({"ms": st.lists(FEW), "baseline_ms": st.lists(FEW)})
BUDGET = {
    "latency_ms": {"p50": 1e-9, "p99": 1e9, "max": 1}, "first_token_ms": {"p90": 1}, "load_ms": {"p50": 3, "max": 1},
    "throughput": [{"min": 1, "batch": 8}, {"min": 1e9}], "tokens_per_s": {"min": 3}, "resident_mb": {"max": 1e-9},
    "peak_memory_mb": {"max": 1}, "size_mb": {"max": 1}, "energy_j": {"max": 1},
}  # fmt: skip


def _within(raw: str) -> None:
    """Everything that is drawn lies within its picture."""
    for height, inside in _plots(raw):
        for along in re.findall(r' (?:x|x1|x2|cx)="([-\d.e+]+)%"', inside):
            assert -1e-6 <= float(along) <= 100 + 1e-6
        for down in re.findall(r' (?:y|y1|y2|cy)="([-\d.e+]+)"', inside):
            assert -1e-6 <= float(down) <= height + 1e-6
        for path in re.findall(r' d="([^"]*)"', inside):
            numbers = [float(each) for each in re.split(r"[A-Za-z ]+", path) if each]
            assert all(-1e-6 <= each <= height for each in numbers)


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from("abc"), RECORD | st.just("it broke"), min_size=1),
    st.fixed_dictionaries({"processes": st.lists(PROCESS, max_size=3)}) | st.just("no session"),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4),
)
def test_whatever_was_measured_there_is_a_page(times: dict[str, Any], session: Any, earlier: list[float]) -> None:
    raw = _raw(_run(times, session, budget=BUDGET, earlier={"latency_ms.p50": earlier, "size_mb": earlier}))
    _within(raw)


@pytest.mark.parametrize(
    "garbage", [None, 3, "text", [], {}, {"ms": 3}, {"ms": [["x"]]}, {"processes": [{}]}, {"ms": []}]
)
def test_a_record_that_is_none_is_drawn_as_nothing(garbage: Any) -> None:
    run = _run({}, budget={"latency_ms": {"p50": 1}})
    check = run.plan.checks[0]
    lines = [Outcome(case="session", outcome="met", check=check.id, answer=garbage)]
    raw = _raw(Run(msgspec.json.encode(run.plan), msgspec.json.Encoder().encode_lines(lines)))
    assert "Nothing was timed" in raw
    assert run.certificate.status != "certified"


@pytest.mark.parametrize("said", CORPUS[::6])
def test_what_was_recorded_adds_no_tag(said: str) -> None:
    def page(said: str) -> Page:
        session = {"processes": [_process(disturbed=said)] * 2, "device": said}
        times = {said or "x": {"ms": [[1.0, 2.0]]}, f"{said} b": said or "y"}
        return Page(_raw(_run(times, session, said=said, budget={"latency_ms": {"p50": 1}})))

    assert page(said).tags == page("benign").tags


def test_ten_thousand_samples_make_a_small_page_of_the_same_bytes() -> None:
    times = _times(n=1000, processes=10, each=10)
    raw = _raw(_run(times, budget={"latency_ms": {"p50": 50, "p99": 90}}))
    assert "100,000 answers timed" in raw
    assert len(without(raw.encode())) < 150_000
    assert raw == _raw(_run(times, budget={"latency_ms": {"p50": 50, "p99": 90}}))


# ------------------------------------------------------------------------------------------ the curve


@given(st.lists(st.floats(0, 1e6), max_size=900), st.integers(8, 200))
def test_a_curve_tells_some_shares_truly_and_both_ends(values: list[float], most: int) -> None:
    points = ecdf(values, most)
    assert len(points) <= most
    assert points == sorted(points)
    for value, share in points:
        within = sum(float(f"{each:.6g}") <= value for each in values) / len(values)
        assert within >= share - 1e-6
    if values:
        assert points[-1] == [float(f"{max(values):.6g}"), 1.0]
        assert points[0][0] == float(f"{min(values):.6g}")


def test_a_curve_of_many_is_closest_where_budgets_are() -> None:
    shares = [share for _, share in ecdf(range(10_000))]
    gaps = [b - a for a, b in pairwise(shares)]
    assert max(gaps) < 0.01
    assert sum(share > 0.98 for share in shares) > 20
