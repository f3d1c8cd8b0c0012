"""What a bench makes of cases, whatever the model does."""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import rooms
from harness.bench import Bench
from harness.contract import Case, Check, Declared, Outcome, Plan, Question
from harness.shelf import Shelf


class Model:
    digest = "d"

    def __init__(self, together: bool, act: Callable[[Question], Any]) -> None:
        self.together = together
        self.act = act
        self.asked: list[list[str]] = []

    def answer(self, questions: Sequence[Question]) -> Iterator[Any]:
        self.asked.append([question.id for question in questions])
        for question in questions:
            yield self.act(question)

    def facts(self) -> Mapping[str, Any]:
        return {}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Bench, Model]]:
    def make(
        act: Callable[[Question], Any], *, together: bool = False, n: int = 6, batch: int = 3
    ) -> tuple[Bench, Model]:
        model = Model(together, act)

        def opened(options: object, site: object) -> Model:
            random.random()  # opening a model uses chance up
            return model

        monkeypatch.setattr(rooms, "source", lambda how: types.SimpleNamespace(open=opened))
        cases = tuple(Case(id=f"c{i}", input={"n": i}, expect=0) for i in range(n))
        check = Check(
            id="a::golden::g", name="g", kind="golden", at="a:1", model="a::m", cases=cases, batch=batch, timeout=0.2
        )
        declared = Declared(name="m", how="stranger", options={}, recipe="r", at="a:1")
        plan = Plan(hallmark="0", models={"a::m": declared}, checks=(check,))
        return Bench(plan, Shelf(tmp_path, print)), model

    return make


def measured(bench: Bench, *batches: int) -> dict[str, Outcome]:
    found: list[Outcome] = []
    for batch in batches:
        bench.measure(0, batch, range(batch * 3, batch * 3 + 3), found)
    return {outcome.case: outcome for outcome in found}


Make = Callable[..., tuple[Bench, Model]]


@pytest.mark.parametrize("together", [True, False])
def test_chance_is_the_same_whenever_a_batch_is_measured(bench: Make, together: bool) -> None:
    first, _ = bench(lambda question: random.random(), together=together)
    later, _ = bench(lambda question: random.random(), together=together)
    one, other = measured(first, 0, 1), measured(later, 1, 0)
    assert {case: outcome.answer for case, outcome in one.items()} == {case: o.answer for case, o in other.items()}
    assert len({outcome.answer for outcome in one.values()}) == 6


def test_a_batch_is_answered_whole_whatever_is_wanted_of_it(bench: Make) -> None:
    desk, model = bench(lambda question: question.id, together=True)
    found: list[Outcome] = []
    desk.measure(0, 1, [4], found)
    assert model.asked == [["c3", "c4", "c5"]]
    assert [outcome.answer for outcome in found] == ["c4"]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("error", [ValueError("spoilt"), SystemExit(3), RecursionError()])
def test_what_a_model_raises_is_one_cases_error(bench: Make, together: bool, error: BaseException) -> None:
    def act(question: Question) -> Any:
        if question.id == "c1":
            raise error
        return 0

    desk, _ = bench(act, together=together)
    assert {case: o.outcome for case, o in measured(desk, 0).items()} == {"c0": "met", "c1": "error", "c2": "met"}


def test_a_model_that_changes_its_input_changes_nobody_elses(bench: Make) -> None:
    def act(question: Question) -> Any:
        question.input["n"] = "changed"
        return 0

    desk, _ = bench(act)
    measured(desk, 0)
    assert [case.input for case in desk.plan.checks[0].cases[:3]] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_batch_that_hangs_is_asked_for_once_and_then_case_by_case(bench: Make) -> None:
    import time

    def act(question: Question) -> Any:
        time.sleep(30 if question.id == "c1" else 0)
        return 0

    desk, model = bench(act, together=True)
    found = measured(desk, 0)
    assert model.asked == [["c0", "c1", "c2"], ["c0"], ["c1"], ["c2"]]
    assert "it took longer than its 0.2 s" in found["c1"].reason
    assert {case: outcome.outcome for case, outcome in found.items()} == {"c0": "met", "c1": "error", "c2": "met"}


def test_a_room_that_measures_no_outcome_errs(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, _ = bench(lambda question: 0)
    for give, word in (
        (lambda: None, "error"),
        (lambda: "met", "error"),
        (lambda: Outcome(case="?", outcome="met"), "met"),
    ):
        room = types.SimpleNamespace(measure=lambda check, case, bench, give=give: give())
        monkeypatch.setattr(rooms, "evaluator", lambda kind, room=room: room)
        found = measured(desk, 0)
        assert {case: outcome.outcome for case, outcome in found.items()} == dict.fromkeys(("c0", "c1", "c2"), word)


def test_numpy_is_seeded_where_it_is_loaded(bench: Make) -> None:
    numpy = pytest.importorskip("numpy")
    assert "numpy" in sys.modules
    desk, _ = bench(lambda question: float(numpy.random.rand()))
    once, again = measured(desk, 0), measured(desk, 0)
    assert [o.answer for o in once.values()] == [o.answer for o in again.values()]


# --------------------------------------------------------------------------------- models beside it


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Bench, dict[str, Model]]]:
    """A check of a kind that asks two models, and looks at them in a case of its own."""

    def make(*, fails: str = "") -> tuple[Bench, dict[str, Model]]:
        def act(name: str) -> Callable[[Question], Any]:
            def answer(question: Question) -> Any:
                if question.id == fails and name == "base":
                    raise ValueError("spoilt")
                return f"{name} {question.id}"

            return answer

        models = {name: Weighing(True, act(name)) for name in ("small", "base")}
        monkeypatch.setattr(rooms, "source", lambda how: types.SimpleNamespace(open=lambda options, site: models[how]))

        def measure(check: Check, case: Case, bench: Any) -> Outcome:
            if not case.asks:
                return Outcome(
                    case=case.id, outcome="met", answer=[bench.facts()["recipe"], bench.facts("other")["recipe"]]
                )
            said = [bench.answer(case), bench.answer(case, "other"), bench.weigh(case, "", on="other")]
            return Outcome(case=case.id, outcome="met", answer=said)

        monkeypatch.setattr(rooms, "evaluator", lambda kind: types.SimpleNamespace(measure=measure))
        cases = (*(Case(id=f"c{i}", input=i) for i in range(5)), Case(id="look", asks=False))
        check = Check(
            id="a::k::g",
            name="g",
            kind="k",
            at="a:1",
            model="a::small",
            others={"other": "a::base"},
            cases=cases,
            batch=3,
        )
        declared = {
            f"a::{name}": Declared(name=name, how=name, options={}, recipe=f"of {name}", at="a:1") for name in models
        }
        return Bench(Plan(hallmark="0", models=declared, checks=(check,)), Shelf(tmp_path, print)), models

    return make


class Weighing(Model):
    def weigh(self, questions: Sequence[Question], answers: Sequence[Any]) -> list[Any]:
        self.asked.append([f"{question.id} on {answer}" for question, answer in zip(questions, answers, strict=True)])
        return [f"weight of {answer}" for answer in answers]


def test_each_model_of_a_check_answers_the_whole_batch_once(pair: Any) -> None:
    desk, models = pair()
    found = measured(desk, 0, 1)
    assert found["c4"].answer == ["small c4", "base c4", "weight of base c4"]
    assert models["base"].asked == [["c0", "c1", "c2"], ["c3", "c4"]]  # the case that asks nothing is not asked
    assert models["small"].asked == [
        ["c0", "c1", "c2"],
        ["c0 on base c0", "c1 on base c1", "c2 on base c2"],
        ["c3", "c4"],
        ["c3 on base c3", "c4 on base c4"],
    ]


def test_a_case_that_asks_nothing_sees_what_is_known_of_the_models(pair: Any) -> None:
    desk, models = pair()
    found: list[Outcome] = []
    desk.measure(0, 1, [5], found)
    assert found[0].answer == ["of small", "of base"]
    assert not models["small"].asked
    assert {setting.model for setting in desk.settings.values()} == {"a::small", "a::base"}


def test_one_models_failure_is_one_cases_error(pair: Any) -> None:
    desk, _ = pair(fails="c1")
    found = measured(desk, 0)
    assert {case: outcome.outcome for case, outcome in found.items()} == {"c0": "met", "c1": "error", "c2": "met"}
    assert found["c2"].answer == ["small c2", "base c2", "weight of base c2"]


def test_one_models_failure_changes_no_answer_of_the_other(pair: Any) -> None:
    desk, models = pair(fails="c1")
    measured(desk, 0)
    assert models["small"].asked[0] == ["c0", "c1", "c2"]
    assert ["c0"] not in models["small"].asked
    assert models["base"].asked[1:] == [["c0"], ["c1"], ["c2"]]  # each once, however often it is wanted


def test_time_is_told_by_model_where_there_are_several(pair: Any) -> None:
    desk, _ = pair()
    outcome = measured(desk, 0)["c1"]
    assert outcome.spent.keys() == {"model", "other"}
    assert sum(outcome.spent.values()) <= outcome.seconds + 1e-5
