"""Cells, verdicts and objections of the determinism kind, on plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import determinism
from evaluators.determinism import comparing, requiring
from evaluators.determinism.cells import Cell, Record, holds
from evaluators.determinism.comparing import Close, compare, hashes
from harness.contract import Case, Check, Look, Outcome, Place, Way

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-99, 99)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def place(bits: str, *values: float) -> Place:
    order = sorted(range(len(values)), key=lambda at: -values[at])
    return Place(bits, tuple(order), tuple(values[at] for at in order))


def check(**options: Any) -> Check:
    cases = tuple(Case(id=f"c{i}", input=i) for i in range(4))
    return Check(
        id="s.yaml::determinism::d",
        name="d",
        kind="determinism",
        at="s.yaml:1",
        model="m",
        options=options,
        cases=cases,
        batch=256,
    )


def outcome(id: str, word: str = "met", **cells: Cell) -> Outcome:
    record = Record(answer=1, tokens="t", bits="b", backend="x", cells=cells)
    return Outcome(case=id, outcome=word, answer=msgspec.to_builtins(record))  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------- comparing


@given(PLAIN)
def test_an_answer_is_itself_to_the_bit(answer: Any) -> None:
    cell = compare(Look(answer=answer), Look(answer=answer), None)
    assert (cell.state, cell.runs, cell.differ) == ("bits", 1, 0)


@given(PLAIN, PLAIN)
def test_answers_that_differ_are_never_called_the_same(here: Any, there: Any) -> None:
    cell = compare(Look(answer=here), Look(answer=there), None)
    said = hashes(Look(answer=here)), hashes(Look(answer=there))
    assert (cell.state == "bits") == (said[0] == said[1])
    if cell.state == "different":
        assert cell.at
    if cell.state == "tokens":
        assert said[0][1] != said[1][1]


@given(PLAIN, PLAIN)
def test_comparing_is_the_same_both_ways(here: Any, there: Any) -> None:
    a, b = (compare(Look(answer=x), Look(answer=y), None) for x, y in ((here, there), (there, here)))
    assert (a.state, a.at, a.gap) == (b.state, b.at, b.gap)


def test_the_sign_of_a_zero_is_a_bit() -> None:
    assert compare(Look(answer=0.0), Look(answer=-0.0), None).state == "tokens"


def test_the_first_divergent_token_is_told_with_the_gap_and_the_margin_there() -> None:
    here = Look(answer={"tokens": [1, 0, 2]}, places=(place("a", 0.0, 1.0), place("b", 2.0, 1.5), place("c", 0.0)))
    there = Look(answer={"tokens": [1, 1]}, places=(place("a", 0.0, 1.0), place("d", 1.5, 1.75)))
    cell = compare(here, there, None)
    assert (cell.state, cell.at, cell.place, cell.here, cell.there) == ("different", "token 2", 1, 0, 1)
    assert (cell.gap, cell.margin) == (0.5, 0.5)


def test_a_shorter_answer_parts_where_it_ends() -> None:
    cell = compare(Look(answer={"tokens": [1, 2]}), Look(answer={"tokens": [1]}), None)
    assert (cell.at, cell.here, cell.there) == ("token 2", 2, "the end")


def test_a_class_that_differs_is_told_by_its_field_and_the_one_place_it_was_chosen_at() -> None:
    here = Look(answer={"label": 0, "p": 0.6}, places=(place("a", 1.0, 0.5),))
    there = Look(answer={"label": 1, "p": 0.6}, places=(place("b", 0.75, 0.875),))
    cell = compare(here, there, None)
    assert (cell.at, cell.here, cell.there, cell.gap, cell.margin) == ("label", 0, 1, 0.375, 0.5)


def test_the_same_tokens_from_other_numbers_tell_the_largest_gap() -> None:
    here = Look(answer={"tokens": [1]}, places=(place("a", 0.5, 1.0),))
    there = Look(answer={"tokens": [1]}, places=(place("b", 0.75, 1.125),))
    cell = compare(here, there, None)
    assert (cell.state, cell.gap) == ("tokens", 0.25)


def test_a_choice_that_only_one_side_lists_counts_with_the_least_that_it_can_be_apart() -> None:
    here = Look(answer=1, places=(Place("a", (0, 1), (5.0, 4.0)),))
    there = Look(answer=1, places=(Place("b", (0, 2), (5.0, 1.0)),))
    assert compare(here, there, None).gap == 3.0


def test_numbers_without_end_have_no_gap_and_are_not_close() -> None:
    here, there = Look(answer=1, places=(place("a", -math.inf),)), Look(answer=1, places=(place("b", 1.0),))
    cell = compare(here, there, Close(abs=100))
    assert (cell.state, cell.gap, cell.within) == ("tokens", None, False)
    same = Look(answer=1, places=(place("c", -math.inf, 1.0),)), Look(answer=1, places=(place("d", -math.inf, 1.5),))
    assert compare(*same, Close(abs=1)).gap == 0.5


@pytest.mark.parametrize(("abs_", "rel", "close"), [(0.1, 0, False), (0.5, 0, True), (0, 0.1, False), (0, 0.25, True)])
def test_close_is_as_far_as_was_allowed(abs_: float, rel: float, close: bool) -> None:
    cell = compare(Look(answer=2.0), Look(answer=2.5), Close(abs_, rel))
    assert (cell.within, holds(cell, "close")) == (close, close)


@pytest.mark.parametrize(("here", "there"), [(1, 1.0), (9007199254740993, 9007199254740992.0), (2**62, float(2**62))])
def test_a_whole_number_is_not_the_fraction_that_looks_like_it(here: int, there: float) -> None:
    assert compare(Look(answer=here), Look(answer=there), None).state == "tokens"


def test_where_nothing_can_be_compared_nothing_is_close() -> None:
    here, there = Look(answer=1, places=(place("a", 1.0),)), Look(answer=1)
    assert compare(here, there, Close(9)).within is False


def test_another_answer_is_never_close() -> None:
    assert holds(compare(Look(answer=[1, 2.0]), Look(answer=[2, 2.0]), Close(9, 9)), "close") is False


# -------------------------------------------------------------------------------------------- objections


def faults(**options: Any) -> list[str]:
    return [
        f"{'.'.join(map(str, said.path))}: {said.what}; {said.instead}" for said in determinism.faults(check(**options))
    ]


def test_what_can_be_asked_has_no_fault() -> None:
    assert not faults(runs=59, divergence=0.05, vary=["repeat"])
    assert not faults(require={"batch": "tokens", "repeat": {"close": {"abs": 1e-5}}})
    assert not faults(require="tokens") + faults(require={"close": {"rel": 0.1}})


def test_more_than_the_runs_can_show_is_refused_with_how_many_would() -> None:
    (said,) = faults(divergence=0.05, runs=5)
    assert "5 runs can only show that less than 45.1% of runs diverge" in said
    assert "runs: 59" in said


@pytest.mark.parametrize(("share", "runs"), [(0.45, 6), (0.05, 59), (0.01, 299), (0.4507198, 5)])
def test_the_runs_that_a_share_needs_are_those_of_the_literature(share: float, runs: int) -> None:
    assert requiring.least_runs(share) == runs
    assert requiring.bound(runs) <= share < requiring.bound(runs - 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"divergence": 0.5, "vary": ["batch"]}, "nothing is repeated"),
        ({"require": "bit"}, "`bit` is nothing that can be required"),
        ({"require": {}}, "asks for nothing"),
        ({"divergence": 1e-7}, "ask for 0.0003 at the least"),
        ({"require": {"against": "bits"}}, "write `against:`"),
        ({"require": {"cache": "bits"}}, "`cache` is not varied"),
        ({"require": {"batches": "bits"}}, "`batches` is not an axis"),
        ({"require": {"batch": 3}}, "nothing that can be required"),
        ({"require": {"close": {}}}, "`abs` and `rel`"),
        ({"require": {"close": {"abs": -1}}}, "a number from 0"),
        ({"require": {"close": {"abs": True}}}, "a number from 0"),
        ({"require": {"batch": {"close": {"abs": 1, "of": 2}}}}, "`abs` and `rel`"),
        ({"batch_sizes": [2], "vary": ["repeat"]}, "`batch` is not varied"),
        ({"kv_bits": [8]}, "`kv_bits` is not varied"),
        ({"threads": [8]}, "`threads` is not varied"),
    ],
)
def test_what_can_not_be_asked_is_refused(options: dict[str, Any], said: str) -> None:
    found = faults(**options)
    assert len(found) == 1
    assert said in found[0]


# ----------------------------------------------------------------------------------------------- verdicts


def test_nothing_passes_with_a_cell_that_does_not_hold() -> None:
    bad = Cell(state="tokens", runs=4, differ=1, run="run 2", gap=0.5)
    found = [outcome("c0", repeat=Cell(state="bits", runs=4)), outcome("c1", "missed", repeat=bad)]
    verdict = determinism.judge(check(vary=["repeat"]), found)
    assert (verdict.verdict, verdict.estimate) == ("fail", 0.5)
    assert "1 of 2 cases don't hold; of c1, run 2: the same answer from other numbers" in verdict.reason


def test_an_axis_that_could_not_be_varied_is_no_pass() -> None:
    cells = {"repeat": Cell(state="bits", runs=4), "cache": Cell(state="unsupported", why="no cache")}
    verdict = determinism.judge(check(vary=["repeat", "cache"]), [outcome("c0", **cells)])
    assert (verdict.verdict, verdict.reason) == ("unsupported", "cache: no cache")


def test_what_fails_outranks_what_could_not_be_varied() -> None:
    cells = {"repeat": Cell(state="different", at="p"), "cache": Cell(state="unsupported", why="no cache")}
    assert determinism.judge(check(vary=["repeat", "cache"]), [outcome("c0", "missed", **cells)]).verdict == "fail"


def seeds(samples: bool | None, *moved: bool) -> str:
    found = [outcome(f"c{i}", seed=Cell(state="bits", runs=2, moved=m, samples=samples)) for i, m in enumerate(moved)]
    return determinism.judge(check(vary=["seed"]), found).verdict


def test_a_model_that_samples_has_to_heed_its_seed() -> None:
    assert seeds(True, False, False) == "inconclusive"
    assert seeds(True, False, True) == "pass"
    assert seeds(None, False, False) == "pass"


def test_other_arithmetic_is_not_asked_for_bits_unasked() -> None:
    assert requiring.required(check(vary=["blas"]), "blas") == ("tokens", None)
    assert requiring.required(check(vary=["batch"]), "batch") == ("bits", None)
    assert requiring.required(check(vary=["blas"], require="bits"), "blas") == ("bits", None)


def recorded(**cells: Cell) -> Outcome:
    record = Record(answer={"n": 1}, tokens=comparing.said_hash({"n": 1}), bits="b", backend="x", cells=cells)
    return Outcome(case="c0", outcome="met", answer=msgspec.to_builtins(record))


def test_an_honest_record_is_graded_as_it_was() -> None:
    asked = check(vary=["repeat"], runs=2)
    assert determinism.regrade(asked, Case(id="c0"), recorded(repeat=Cell(state="bits", runs=1))).outcome == "met"
    worse = Cell(state="different", runs=1, differ=1, at="n", here=1, there=2, answer={"n": 2})
    assert determinism.regrade(asked, Case(id="c0"), recorded(repeat=worse)).outcome == "missed"


@pytest.mark.parametrize(
    ("forged", "said"),
    [
        (recorded(), "axes"),
        (recorded(batch=Cell(state="bits", runs=1)), "axes"),
        (recorded(repeat=Cell(state="bits")), "runs"),
        (recorded(repeat=Cell(state="bits", runs=1, differ=1)), "runs"),
        (recorded(repeat=Cell(state="bits", runs=5)), "often"),
        (recorded(repeat=Cell(state="bits", runs=1, gap=0.5)), "to differ"),
        (recorded(repeat=Cell(state="tokens", runs=1)), "runs"),
        (recorded(repeat=Cell(state="tokens", runs=1, differ=1, answer={"n": 2})), "two answers"),
        (recorded(repeat=Cell(state="different", runs=1, differ=1, answer={"n": 1})), "two answers"),
        (Outcome(case="c0", outcome="met", answer={"n": 1}), "no record"),
        (
            Outcome(
                case="c0", outcome="met", answer={**recorded(repeat=Cell(state="bits", runs=1)).answer, "answer": 2}
            ),
            "hashed",
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(forged: Outcome, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        determinism.regrade(check(vary=["repeat"], runs=2), Case(id="c0"), forged)


# ----------------------------------------------------------------- how often a model that diverges gets through


class Bench:
    """A model that diverges in a share of its runs, asked by the shipped matrix."""

    def __init__(self, cases: Sequence[Case], says: Callable[[], Any]) -> None:
        self.cases = cases
        self.says = says
        self._made: Any = None

    def wanted(self) -> list[list[Case]]:
        return [list(self.cases)]

    def look(self, cases: Sequence[Case], way: Way) -> list[Look]:
        return [Look(answer=self.says()) for _ in cases]

    def size(self) -> int:
        return len(self.cases)

    def trait(self, name: str) -> Any:
        return None

    def facts(self, role: str = "") -> dict[str, Any]:
        return {}

    def once(self, make: Callable[[], Any]) -> Any:
        if self._made is None:
            self._made = make()
        return self._made


@pytest.mark.parametrize("runs", [5, 20])
def test_a_model_that_diverges_as_often_as_the_bound_passes_one_time_in_twenty(runs: int) -> None:
    import random

    chance, share, passed = random.Random(7), requiring.bound(runs), 0
    one = msgspec.structs.replace(check(runs=runs, vary=["repeat"]), cases=(Case(id="c0", input=0),))
    for _ in range(2000):
        counter = iter(range(10_000))
        bench: Any = Bench(one.cases, lambda c=counter: next(c) + 1 if chance.random() < share else 0)
        found = determinism.measure(one, one.cases[0], bench)
        passed += determinism.judge(one, [found]).verdict == "pass"
    assert passed / 2000 == pytest.approx(0.05, abs=0.015)
