"""A function of the user's: found by name, called as it wants to be called, and told of in one line where it can't be."""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.bench import Bench
from harness.contract import Case, Check, Declared, Outcome, Plan, Question, Refused
from harness.shelf import Shelf
from models.sources import python

_number = itertools.count()


class Acme:
    """A project with one package, whose name nothing else has ever had."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = f"acme{next(_number)}_{root.name.replace('-', '_')}"
        self.put("__init__.py", "")

    def put(self, file: str, code: str) -> None:
        (self.root / self.name).mkdir(exist_ok=True)
        (self.root / self.name / file).write_text(code)

    def site(self, *, trusted: bool = True) -> Shelf:
        return Shelf(self.root, print, trusted=trusted)

    def open(self, function: str, code: str | None = None, **options: Any) -> Any:
        if code is not None:
            self.put("agents.py", code)
        return python.open({"python": f"{self.name}.agents:{function}", **options}, self.site())

    def refused(self, function: str, code: str | None = None, **options: Any) -> str:
        with pytest.raises(Refused) as caught:
            self.open(function, code, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(self.name, "acme")

    def faults(self, *, trusted: bool = True, **options: Any) -> list[str]:
        found = python.faults(options, self.site(trusted=trusted))
        return [f"{said.path[0]}: {said.what}; {said.instead}" for said in found]


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Acme]:
    before, known = list(sys.path), set(sys.modules)
    yield Acme(tmp_path)
    assert sys.path == before
    for name in set(sys.modules) - known:
        if name.startswith("acme"):
            del sys.modules[name]


def _asked(*inputs: Any) -> list[Question]:
    return [Question(f"c{index}", input) for index, input in enumerate(inputs)]


# --------------------------------------------------------------------------------------------- plan


def test_it_needs_the_users_leave(acme: Acme) -> None:
    (said,) = acme.faults(python="acme.agents:answer", trusted=False)
    assert said.startswith("python: `python:` runs code named in a spec; allow it with --allow-python, or `hallmark_")
    with pytest.raises(Refused, match="--allow-python"):
        python.open({"python": "acme.agents:answer"}, acme.site(trusted=False))
    assert acme.faults(python="acme.agents:answer") == []


@pytest.mark.parametrize(
    "named", ["acme.agents", "acme.agents:", ":answer", "acme/agents.py:answer", "a..b:c", "a:b()", "1a:b", " a:b"]
)
def test_what_names_no_function_is_a_fault(acme: Acme, named: str) -> None:
    (said,) = acme.faults(python=named)
    assert said == f"python: `{named}` names no function of a module; write `package.module:function`"


def test_a_batched_function_has_no_concurrency(acme: Acme) -> None:
    (said,) = acme.faults(python="a:b", batched=True, concurrency=2)
    assert said.startswith("concurrency: ")


def test_planning_imports_nothing() -> None:
    script = (
        "import sys; from models.sources import python; from harness.shelf import Shelf; from pathlib import Path;"
        "options = {'python': 'json.tool:main'}; site = Shelf(Path(), print, trusted=True);"
        "assert not list(python.faults(options, site)); python.recipe(options, site);"
        "print('json.tool' in sys.modules, 'asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"


# ------------------------------------------------------------------------------------------- finding


def test_mistakes_are_told_in_one_line_each(acme: Acme) -> None:
    agents = "import json\nnumber = 3\nclass Crew:\n    def answer(self, input): return input\ncrew = Crew()\n"
    assert "`acme.agents` has no `reply`; name a function" in acme.refused("reply", agents)
    assert "`acme.agents` has no `crw`; did you mean `crew`?" in acme.refused("crw")
    assert "`acme.agents:crew` has no `anser`; did you mean `answer`?" in acme.refused("crew.anser")
    assert "`acme.agents:number` is a int and can't be called" in acme.refused("number")
    with pytest.raises(Refused, match="there is no module `nowhere_at_all`"):
        python.open({"python": "nowhere_at_all:answer"}, acme.site())
    with pytest.raises(Refused, match=r"there is no module `acme.*\.nothing`"):
        python.open({"python": f"{acme.name}.nothing:answer"}, acme.site())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import not_there_at_all.deeper", "can't be imported: it imports `not_there_at_all`, which is not installed"),
        ("from . import lost", "can't be imported: ImportError: cannot import name 'lost'"),
        ("\n\n1 / 0", "can't be imported: ZeroDivisionError: division by zero (agents.py:3)"),
        ("raise SystemExit('go away')", "can't be imported: SystemExit: go away (agents.py:1)"),
        ("def answer(:", "can't be imported: SyntaxError: invalid syntax (agents.py, line 1)"),
    ],
)
def test_a_module_that_fails_is_told_from_one_that_is_not_there(acme: Acme, code: str, said: str) -> None:
    assert said in acme.refused("answer", code)


def test_a_function_must_take_one_input(acme: Acme) -> None:
    code = "def none(): ...\ndef two(a, b): ...\ndef named(*, input): ...\ndef some(a, b=1, *more): return a\n"
    assert "can't be called with one input: it is (a, b); give it one parameter" in acme.refused("two", code)
    assert "it is ()" in acme.refused("none")
    assert "it is (*, input)" in acme.refused("named")
    assert list(acme.open("some").answer(_asked(1))) == [1]


def test_a_package_of_the_project_that_is_hidden_by_a_loaded_one_is_named(acme: Acme) -> None:
    (acme.root / "models").mkdir()
    (acme.root / "models" / "__init__.py").touch()
    with pytest.raises(Refused, match="this project's `models` has the name of a package that is loaded already"):
        python.open({"python": "models.agents:answer"}, acme.site())


def test_the_digest_is_of_the_source_that_answers(acme: Acme) -> None:
    def digest() -> Any:
        for name in [name for name in sys.modules if name.startswith(acme.name)]:
            del sys.modules[name]
        return acme.open("answer").digest

    acme.put("tools.py", "WORD = 'a'\n")
    acme.put("agents.py", "def answer(input): return 1\n")
    first = digest()
    assert first == digest()
    acme.put("agents.py", "def answer(input): return 22\n")
    second = digest()
    acme.put("tools.py", "WORD = 'bb'\n")
    assert len({first, second, digest()}) == 3


def test_its_facts_name_no_place_on_the_machine(acme: Acme) -> None:
    model = acme.open("answer", "def answer(input): return input\n")
    assert model.facts() == {
        "module": f"{acme.name}.agents",
        "function": "answer",
        "file": f"{acme.name}/agents.py",
        "sources": 3,
        "called": "one at a time",
    }
    installed = python.open({"python": "json:dumps"}, acme.site())
    assert "file" not in installed.facts()
    assert list(installed.answer(_asked([1]))) == ["[1]"]
    assert python.open({"python": "math:sqrt"}, acme.site()).digest.startswith("sha256:")


# ------------------------------------------------------------------------------------------- calling


def test_a_plain_function_is_called_once_a_question(acme: Acme) -> None:
    model = acme.open(
        "answer", "def answer(input):\n    if input == 2: raise ValueError('two')\n    return input * 10\n"
    )
    assert not model.together
    answers = iter(model.answer(_asked(1, 2, 3)))
    assert next(answers) == 10
    with pytest.raises(ValueError, match="two"):
        next(answers)
    assert list(model.answer(_asked(3))) == [30]


def test_a_method_of_an_object_of_the_module_is_called(acme: Acme) -> None:
    code = "class Crew:\n    def answer(self, input): return input + 1\nclass Place: crew = Crew()\n"
    assert list(acme.open("Place.crew.answer", code).answer(_asked(1, 2))) == [2, 3]


def test_a_function_may_import_the_projects_modules_when_it_is_called(acme: Acme) -> None:
    acme.put("late.py", "WORD = 'late'\n")
    model = acme.open("answer", f"def answer(input):\n    from {acme.name}.late import WORD\n    return WORD\n")
    assert list(model.answer(_asked(1))) == ["late"]


def test_async_calls_run_at_once_and_one_that_raises_is_refused_alone(acme: Acme) -> None:
    code = """
import asyncio
running = most = 0
async def answer(input):
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.01 / (input + 1))
    running -= 1
    if input == 1: raise ValueError("one")
    if input == 2: raise SystemExit("two")
    if input == 3: raise asyncio.CancelledError
    return input
"""
    model = acme.open("answer", code, concurrency=3)
    assert model.together
    first, *refused, fifth, sixth = model.answer(_asked(0, 1, 2, 3, 4, 5))
    assert (first, fifth, sixth) == (0, 4, 5)
    assert [type(each) for each in refused] == [ValueError, SystemExit, Refused]
    assert sys.modules[f"{acme.name}.agents"].most == 3
    assert model.facts()["called"] == "async"


def test_a_client_that_a_function_keeps_open_lives_on_in_the_next_batch(acme: Acme) -> None:
    code = "import asyncio\nloops = []\nasync def answer(input):\n    loops.append(asyncio.get_running_loop())\n"
    model = acme.open("answer", code)
    list(model.answer(_asked(1)))
    list(model.answer(_asked(1)))
    first, second = sys.modules[f"{acme.name}.agents"].loops
    assert first is second
    assert not first.is_closed()


def test_what_returns_an_awaitable_is_awaited(acme: Acme) -> None:
    code = "async def late(input): return input + 1\ndef answer(input): return late(input)\n"
    assert list(acme.open("answer", code).answer(_asked(1, 2))) == [2, 3]


def test_a_batched_function_answers_the_whole_list(acme: Acme) -> None:
    code = "def answer(inputs): return [len(inputs) * input for input in inputs]\n"
    model = acme.open("answer", code + "async def soon(inputs): return answer(inputs)\n", batched=True)
    assert model.together
    assert list(model.answer(_asked(1, 2, 3))) == [3, 6, 9]
    assert list(acme.open("soon", batched=True).answer(_asked(1, 2))) == [2, 4]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("inputs[1:]", "was given 3 inputs and returned 2 answers"),
        ("{}", "returned a dict; return a list of as many answers"),
        ("'abc'", "returned a str"),
    ],
)
def test_a_wrong_number_of_answers_refuses_all(acme: Acme, body: str, said: str) -> None:
    answers = list(acme.open("answer", f"def answer(inputs): return {body}\n", batched=True).answer(_asked(1, 2, 3)))
    assert len(answers) == 3
    assert all(isinstance(each, Refused) and said in str(each) for each in answers)


def test_concurrency_is_for_async_functions(acme: Acme) -> None:
    said = acme.refused("answer", "def answer(input): return input\n", concurrency=2)
    assert said == "`acme.agents:answer` is not `async def` and is called once at a time; leave `concurrency` out"


# ------------------------------------------------------------------------------------- under the bench


def _measured(acme: Acme, inputs: list[Any], timeout: float, **options: Any) -> dict[str, Outcome]:
    cases = tuple(Case(id=f"c{index}", input=input, expect=input) for index, input in enumerate(inputs))
    check = Check(
        id="a::golden::g", name="g", kind="golden", at="a:1", model="m", cases=cases, batch=len(cases), timeout=timeout
    )
    options = {"python": f"{acme.name}.agents:answer", **options}
    declared = Declared(name="m", how="python", options=options, recipe="r", at="a:1")
    outcomes: list[Outcome] = []
    plan = Plan(hallmark="0", models={"m": declared}, checks=(check,))
    Bench(plan, acme.site()).measure(0, 0, range(len(cases)), outcomes)
    return {outcome.case: outcome for outcome in outcomes}


def test_exceptions_err_one_case_each_with_their_place(acme: Acme) -> None:
    acme.put("agents.py", "def answer(input):\n    return 6 // input * input // 6 * input\n")
    outcomes = _measured(acme, [1, 0, 2], 5)
    assert [outcome.outcome for outcome in outcomes.values()] == ["met", "error", "met"]
    assert outcomes["c1"].reason == "ZeroDivisionError: integer division or modulo by zero (agents.py:2)"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm here")
@pytest.mark.parametrize(
    "hang",
    [
        "await asyncio.sleep(3600)",
        "while True: pass",
        "await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(3600))",
    ],
)
def test_an_async_call_that_hangs_costs_its_own_case_only(acme: Acme, hang: str) -> None:
    code = f"import asyncio\nasync def answer(input):\n    if input == 1:\n        {hang}\n    return input\n"
    acme.put("agents.py", code)
    outcomes = _measured(acme, [0, 1, 2], 0.25)
    assert [outcome.outcome for outcome in outcomes.values()] == ["met", "error", "met"]
    assert outcomes["c1"].reason == "it took longer than its 0.25 s"


def test_a_loop_whose_calls_ignore_being_cancelled_is_left_behind(
    acme: Acme, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("models.sources.python.loop.GRACE", 0.05)
    code = """
import asyncio
async def answer(input):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            input += 1
            if input > 3: return
"""
    acme.put("agents.py", code)
    (outcome,) = _measured(acme, [0], 0.05).values()
    assert outcome.outcome == "error"
    gc.collect()
    assert "Task was destroyed but it is pending" in caplog.text
    assert asyncio.run(asyncio.sleep(0, "sound")) == "sound"
