"""A program of the user's, asked in lines of JSON: kept, bounded, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.bench import Bench
from harness.contract import Case, Check, Declared, Outcome, Plan, Question, Refused, Unreached
from harness.shelf import Shelf
from models.sources import command
from models.sources.command import child

READS = "import json, os, sys, time\nfor line in sys.stdin:\n    asked = json.loads(line)\n    input = asked['input']\n"
ECHO = READS + "    print(json.dumps({'id': asked['id'], 'answer': input}))\n"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens a program of this code, and sees to it that it is gone afterwards."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    monkeypatch.setattr(child, "PATIENCE", 20)
    opened: list[Any] = []

    def start(code: str, *words: str, **options: Any) -> Any:
        (tmp_path / "agent.py").write_text(code)
        run = ["python", "-S", "agent.py", *words]
        opened.append(command.open({"command": {"run": run, **options}}, Shelf(tmp_path, print)))
        return opened[-1]

    yield start
    for model in opened:
        model._stop()


def _asked(*inputs: Any) -> list[Question]:
    return [Question(f"c{index}", input) for index, input in enumerate(inputs)]


def _refused(model: Any, *inputs: Any) -> str:
    with pytest.raises(Refused) as caught:
        list(model.answer(_asked(*(inputs or ("a",)))))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("`python -S agent.py` ")


def _gone(pid: int) -> bool:
    """Whether a process ends soon; a dead one may stay on the list where nobody collects it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        if listed.stdout.strip()[:1] in ("", "Z"):
            return True
        time.sleep(0.01)
    return False


# --------------------------------------------------------------------------------------------- plan


def _faults(given: Any) -> list[str]:
    found = command.faults({"command": given}, Shelf(Path(), print))
    return [f"{'.'.join(map(str, said.path))}: {said.what}; {said.instead}" for said in found]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("/bin/sh", "`/bin/sh` is an absolute path"),
        ("../agent", "`../agent` leaves the project"),
        ("bin/../../agent", "`bin/../../agent` leaves the project"),
        ("./../agent", "`./../agent` leaves the project"),
        ("", "the command names no program"),
        (" ", "the command names no program"),
        ("a\0b", "the command names no program"),
        ("python agent.py", "`python agent.py` is one word, and no shell splits it; write [python, agent.py]"),
    ],
)
def test_what_starts_no_program_of_the_project_is_a_fault(program: str, said: str) -> None:
    assert _faults([program])[0].startswith(f"command.0: {said}")
    assert _faults({"run": [program]})[0].startswith(f"command.run.0: {said}")
    with pytest.raises(Refused):
        command.open({"command": [program]}, Shelf(Path(), print))


@pytest.mark.parametrize("given", [["python", "a b.py"], ["./bin/x"], ["bin/../x"], {"run": ["x"], "timeout": 2}])
def test_a_command_is_none(given: Any) -> None:
    assert _faults(given) == []


def test_how_long_it_may_take_decides_no_recipe() -> None:
    site = Shelf(Path(), print)
    plain = command.recipe({"command": ["x", "y"]}, site)
    assert plain == command.recipe({"command": {"run": ["x", "y"], "timeout": 1}}, site) == [["x", "y"], False]
    assert plain != command.recipe({"command": {"run": ["x", "y"], "batched": True}}, site)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        with pytest.raises(Refused) as caught:
            command.open({"command": list(words)}, Shelf(tmp_path, print))
        return str(caught.value)

    assert "there is no program `not-there-at-all` on the PATH" in refused("not-there-at-all")
    assert "there is no program `./agent` in the project" in refused("./agent")
    (tmp_path / "agent").write_text("hello")
    assert refused("./agent") == "`./agent` may not be executed; run chmod +x ./agent"
    (tmp_path / "agent").chmod(0o755)
    assert refused("./agent") == "`./agent` can't be started: Exec format error"


# -------------------------------------------------------------------------------------------- talking


def test_it_is_started_once_and_answers_line_by_line(start: Callable[..., Any]) -> None:
    model = start(READS + "    print(json.dumps({'id': asked['id'], 'answer': [os.getpid(), input]}))\n")
    assert not model.together
    first, second = model.answer(_asked("a", {"deep": ["\u00e9\n\u2028", None]}))
    (third,) = model.answer(_asked(3))
    assert [first[1], second[1], third[1]] == ["a", {"deep": ["\u00e9\n\u2028", None]}, 3]
    assert first[0] == second[0] == third[0]


def test_a_batch_is_told_at_once_and_answered_in_any_order(start: Callable[..., Any]) -> None:
    code = """
import json, sys
asked = [json.loads(sys.stdin.readline()) for _ in range(3)]
for each in reversed(asked): print(json.dumps({'answer': each['input'], 'id': each['id']}), end='\\r\\n\\n')
sys.stdin.read()
"""
    model = start(code, batched=True)
    assert model.together
    assert list(model.answer(_asked(1, 2, 3))) == [1, 2, 3]


def test_a_question_that_it_refuses_is_refused_alone(start: Callable[..., Any]) -> None:
    code = (
        READS
        + "    key = 'error' if input == 1 else 'answer'\n    print(json.dumps({'id': asked['id'], key: input}))\n"
    )
    zero, one, two = start(code, batched=True).answer(_asked(0, 1, 2))
    assert (zero, two) == (0, 2)
    assert isinstance(one, Refused)
    assert str(one) == "it says: 1"


def test_it_runs_in_the_projects_root_with_our_environment(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACME", "acme")
    code = (
        READS
        + "    print(json.dumps({'id': asked['id'], 'answer': [os.getcwd(), os.environ['ACME'], sys.argv[1:]]}))\n"
    )
    assert list(start(code, "$ACME; *", "").answer(_asked(1))) == [[str(tmp_path), "acme", ["$ACME; *", ""]]]


def test_a_program_of_the_project_is_started_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "agent"
    script.write_text('#!/bin/sh\nread line\necho \'{"id": "c0", "answer": "from sh"}\'\nread line\n')
    script.chmod(0o755)
    model = command.open({"command": ["bin/agent"]}, Shelf(tmp_path, print))
    assert list(model.answer(_asked(1))) == ["from sh"]
    assert list(model.facts()["sources"]) == ["bin/agent"]
    model._stop()


def test_batches_larger_than_any_pipe_block_neither_side(start: Callable[..., Any]) -> None:
    """It answers, and complains, as it reads: both pipes are full long before the last question is told."""
    code = READS + "    print(json.dumps({'id': asked['id'], 'answer': input}))\n    sys.stderr.write('x' * 200_000)\n"
    inputs = [str(index) * 300_000 for index in range(8)]
    assert list(start(code, batched=True).answer(_asked(*inputs))) == inputs


def test_the_digest_is_of_the_words_and_of_the_files_they_name(start: Callable[..., Any], tmp_path: Path) -> None:
    first, same, other = start(ECHO), start(ECHO), start(ECHO, "--more")
    assert first.digest == same.digest != other.digest
    assert start(ECHO + "\n").digest != first.digest
    assert first.facts() == {"command": ["python", "-S", "agent.py"], "sources": first.sources}
    assert list(first.sources) == ["agent.py"]
    (tmp_path / "link").symlink_to(sys.executable)
    assert list(start(ECHO, "link", "x" * 5000, ".", "", "../x").sources) == ["agent.py"]


# -------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('no weights')", "exited with status 1 before it answered `c0`: ValueError: no weights"),
        ("", "exited with status 0 before it answered `c0`"),
        ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV before it answered `c0`"),
        ("import os, sys, time; os.close(1); time.sleep(60)", "closed its output before it answered `c0`"),
        ("print('Loading ...'); input()", "wrote a line that is no answer: 'Loading ...'; write one {\"id\": ..."),
        ("print('[' * 100_000); input()", "wrote a line that is no answer: '[[["),
        ("print('[1]'); input()", "wrote a line that is no answer: '[1]'"),
        ('print(\'{"id": "c0"}\'); input()', 'wrote a line that is no answer: \'{"id": "c0"}\''),
        ('print(\'{"id": "c0", "answer": 1, "error": 2}\'); input()', "wrote a line that is no answer"),
        ('print(\'{"id": "c7", "answer": 1}\'); input()', "answered `c7`, which it was not asked"),
        ('print(\'{"id": 0, "answer": 1}\'); input()', "answered `0`, which it was not asked"),
        ('print(\'{"id": ["c0"], "answer": 1}\'); input()', "answered `['c0']`, which it was not asked"),
        ('print(\'{"id": "c0", "answer": 1}\\n\' * 2, end=""); input()', "answered `c0`, which it had answered"),
        ("import os; os.write(1, b'\\xff\\n'); input()", "wrote a line that is no answer: '\ufffd'"),
    ],
)
def test_what_breaks_a_conversation_is_told_in_one_line(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    if "closed" in said:
        monkeypatch.setattr(child, "PATIENCE", 0.1)
    assert _refused(start(code)).startswith(said)


def test_an_endless_line_is_not_collected(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.sources.command.talk.LONGEST", 200_000)
    model = start("import os\nwhile True: os.write(1, b'x' * 65536)")
    assert _refused(model) == "wrote a line of more than 200,000 bytes"


def test_a_program_that_is_silent_is_given_its_time_and_ended(start: Callable[..., Any]) -> None:
    code = (
        READS
        + "    sys.stderr.write('thinking\\n')\n    print(json.dumps({'id': asked['id'], 'answer': os.getpid()}))\n"
    )
    model = start(code + "    time.sleep(60)\n")
    (pid,) = model.answer(_asked(1))
    model.timeout = 0.2
    assert _refused(model) == "gave no answer to `c0` within 0.2 s: thinking"
    assert _gone(pid)


def test_a_program_that_never_reads_is_not_waited_for_either(start: Callable[..., Any]) -> None:
    model = start("import time\ntime.sleep(60)", timeout=0.2)
    assert _refused(model, "x" * 1_000_000) == "gave no answer to `c0` within 0.2 s"


def test_each_answer_has_its_own_time(start: Callable[..., Any]) -> None:
    """Twelve answers of 0.1 s each, where one may take 1 s."""
    code = READS + "    time.sleep(0.1)\n    print(json.dumps({'id': asked['id'], 'answer': input}))\n"
    model = start(code, batched=True)
    list(model.answer(_asked(0)))
    model.timeout = 1
    assert list(model.answer(_asked(*range(12)))) == list(range(12))


def test_after_trouble_it_is_started_anew(start: Callable[..., Any]) -> None:
    code = READS + "    if input == 1: sys.exit('one!')\n    print(json.dumps({'id': asked['id'], 'answer': input}))\n"
    model = start(code)
    answers = iter(model.answer(_asked(0, 1)))
    assert next(answers) == 0
    with pytest.raises(Refused, match="exited with status 1 before it answered `c1`: one!"):
        next(answers)
    for _ in range(6):
        assert list(model.answer(_asked(2))) == [2]
        _refused(model, 1)


def test_one_that_never_answered_anything_is_not_started_for_ever(start: Callable[..., Any], tmp_path: Path) -> None:
    model = start(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\nraise SystemExit('no weights')")
    said = [_refused(model) for _ in range(7)]
    assert (tmp_path / "starts").read_text() == "x" * 5
    assert said[4] == "exited with status 1 before it answered `c0`: no weights"
    assert said[5] == said[6]
    assert said[6].startswith("was started 5 times and never answered; the last time it exited with status 1")


@pytest.mark.parametrize(
    ("code", "away"),
    [
        ("import os; os.kill(os.getpid(), 9)", True),
        ("raise SystemExit(1)", True),
        ("print('hello')", False),
        ('print(\'{"id": "other", "answer": 1}\')', False),
    ],
)
def test_one_that_ended_was_not_reached_and_one_that_answered_wrongly_was(
    start: Callable[..., Any], code: str, away: bool
) -> None:
    model = start(f"import sys\nsys.stdin.readline()\n{code}")
    for _ in range(7):
        with pytest.raises(Refused) as caught:
            list(model.answer(_asked(1)))
        assert isinstance(caught.value, Unreached) is away


# ------------------------------------------------------------------------------------------ left behind

PARENT = """
import json, subprocess, sys, time, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(300)'])
asked = json.loads(sys.stdin.readline())
print(json.dumps({'id': asked['id'], 'answer': child.pid}), flush=True)
time.sleep(300)
"""


def test_what_it_started_ends_with_it(start: Callable[..., Any]) -> None:
    model = start(PARENT)
    (grandchild,) = model.answer(_asked(1))
    model.timeout = 0.1
    pid = model._running[0]._process.pid
    assert "gave no answer" in _refused(model)
    assert _gone(pid)
    assert _gone(grandchild)


def test_it_may_tidy_up_when_there_is_nothing_more_to_read(start: Callable[..., Any], tmp_path: Path) -> None:
    model = start(ECHO + f"open({str(tmp_path / 'tidy')!r}, 'w').close()\n")
    assert list(model.answer(_asked(1))) == [1]
    model._running[0].end(patiently=True)
    assert (tmp_path / "tidy").exists()


def _user(tmp_path: Path, then: str) -> subprocess.Popen[str]:
    """A process that asks the parent above one question, prints who there is, and goes on like this."""
    (tmp_path / "agent.py").write_text(PARENT)
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from harness.contract import Question\n"
        "from harness.shelf import Shelf\n"
        "from models.sources import command\n"
        "site = Shelf(Path(sys.argv[1]), print)\n"
        "model = command.open({'command': ['python', '-S', 'agent.py']}, site)\n"
        "(grandchild,) = model.answer([Question('a', 1)])\n"
        f"print(model._running[0]._process.pid, grandchild, flush=True)\n{then}\n"
    )
    return subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("then", "killed"),
    [("", False), ("del model", False), ("time.sleep(300)", True)],
)
def test_nothing_is_left_when_we_end(tmp_path: Path, then: str, killed: bool) -> None:
    """Nor when we are killed, and a program takes no notice of the end of its input."""
    with _user(tmp_path, then) as user:
        assert user.stdout is not None
        pids = [int(word) for word in user.stdout.readline().split()]
        if killed:
            user.kill()
        user.wait(timeout=20)
    assert len(pids) == 2
    assert all(_gone(pid) for pid in pids)


# ------------------------------------------------------------------------------------- under the bench

SHELL = r"""
while read -r line; do
    id=${line#*\"id\": \"}; id=${id%%\"*}
    case $id in c1) sleep 60;; c3) kill -9 $$;; esac
    echo "{\"id\": \"$id\", \"answer\": ${id#c}}"
done
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm here")
@pytest.mark.parametrize("batched", [False, True])
def test_a_question_that_takes_too_long_or_kills_it_costs_its_own_case_only(tmp_path: Path, batched: bool) -> None:
    """A shell's script, which starts in no time."""
    (tmp_path / "agent.sh").write_text(SHELL)
    cases = tuple(Case(id=f"c{index}", input=index, expect=index) for index in range(5))
    check = Check(
        id="a::golden::g",
        name="g",
        kind="golden",
        at="a:1",
        model="m",
        cases=cases,
        batch=5,
        timeout=60 if batched else 1,
    )
    options = {"command": {"run": ["sh", "agent.sh"], "batched": batched, "timeout": 1 if batched else 60}}
    declared = Declared(name="m", how="command", options=options, recipe="r", at="a:1")
    outcomes: list[Outcome] = []
    shelf = Shelf(tmp_path, print)
    bench = Bench(Plan(hallmark="0", models={"m": declared}, checks=(check,)), shelf)
    bench.measure(0, 0, range(5), outcomes)
    assert [outcome.outcome for outcome in outcomes] == ["met", "error", "met", "error", "met"]
    assert ("no answer to `c1` within 1 s" if batched else "it took longer than its 1 s") in outcomes[1].reason
    assert "was ended by SIGKILL before it answered `c3`" in outcomes[3].reason
    assert outcomes[3].carrier


def test_lines_are_ascii_whatever_the_program_reads_them_as(start: Callable[..., Any]) -> None:
    code = (
        "import sys\nline = sys.stdin.buffer.readline()\n"
        'print(\'{"id": "\\\\u00e9", "answer": %s}\' % str(line.isascii()).lower())\nsys.stdin.read()\n'
    )
    assert list(start(code).answer([Question("\u00e9", "\u4f60\u597d")])) == [True]
    assert json.dumps("\u00e9").isascii()
