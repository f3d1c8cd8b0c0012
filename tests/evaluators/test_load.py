"""Load tests: a real server is asked by many at once, through locust, and judged by what it answered and how fast."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec import structs

from evaluators import load
from evaluators.load import crowd, serving
from evaluators.load.language import serving_of
from evaluators.load.record import Load, load_of
from harness.contract import Case, Check, Declared, Noise, Outcome, Refused, Verdict
from harness.shelf import Shelf
from models.sources import http

SERVER = Path(__file__).with_name("load_server.py")
QUIET = Noise(seconds=1, cores=2, own=1.0, foreign=0.0)
NOISY = Noise(seconds=1, cores=2, own=1.0, foreign=0.9)


class Bench:
    """What the room needs of a bench, on a machine whose noise is made up."""

    def __init__(self, declared: Declared, noise: Noise = QUIET, hosts: Sequence[str] = ()) -> None:
        self._declared = declared
        self.noise = noise
        self.hosts = hosts
        self.attached: dict[str, bytes] = {}
        self._made: list[Any] = []
        self.ports: Sequence[int] = ()

    def once(self, make: Callable[[], Any]) -> Any:
        self._made = self._made or [make()]
        return self._made[0]

    def keep(self, build: Callable[[Check], Any], check: Check) -> Any:
        return build(check)

    def declared(self, role: str = "") -> Declared:
        return self._declared

    def weights(self, role: str = "") -> Path:
        raise Refused("a model without weights")

    def served(self, options: Mapping[str, Any]) -> Any:
        return http.open({"http": dict(options)}, Shelf(Path(), print))

    def may_reach(self, host: str) -> bool:
        return host == "127.0.0.1" or host in self.hosts

    def root(self) -> Path:
        return SERVER.parent

    def lasting(self, seconds: float) -> Any:
        return nullcontext()

    def attach(self, name: str, data: bytes) -> str:
        self.attached[name] = data
        return f"attached/{name}"

    def meter(self, ports: Sequence[int] = ()) -> Any:
        self.ports = ports
        return self

    def read(self) -> Noise:
        return self.noise


WEIGHTS = Declared(name="base", how="zoo", options={"zoo": "llama"}, recipe="r", at="a:1")


def at(url: str) -> Declared:
    return Declared(name="there", how="http", options={"http": {"url": url, "model": "m"}}, recipe="r", at="a:1")


def cases(n: int = 12, **more: Any) -> tuple[Case, ...]:
    return tuple(Case(id=f"c{i}", input=f"hello {i}", expect={"text": f"HELLO {i}"}, **more) for i in range(n))


def check(*faults: str, asked: Sequence[Case] = (), **options: Any) -> Check:
    """A check of the tiny server, with these faults."""
    chosen = tuple(asked) or cases()
    serve = {"command": ["python", SERVER.name, "--port", "{port}", *faults], "within": 20}
    told = {"serve": serve, "users": 4, "ramp": 0.1, "duration": 0.6, "patience": 0, "compare": {"text": "exact"}}
    told["caching"] = "allowed"
    all_told = {key: value for key, value in {**told, **options}.items() if value is not None}
    drafted = Check(id="a::load::l", name="l", kind="load", at="a:1", model="m", options=all_told, cases=chosen)
    assert [str(each) for each in load.faults(drafted)] == []
    return structs.replace(drafted, cases=tuple(load.expand(drafted)))


def held(asked: Check, bench: Bench | None = None) -> list[Outcome]:
    """Every case measured, as a worker does."""
    bench = bench or Bench(WEIGHTS)
    outcomes = []
    for case in asked.cases:
        try:
            outcomes.append(load.measure(asked, case, bench))  # type: ignore[arg-type]
        except Refused as error:
            outcomes.append(Outcome(case=case.id, outcome="error", reason=str(error)))
    return outcomes


def judged(asked: Check, bench: Bench | None = None) -> tuple[Verdict, dict[str, Outcome]]:
    outcomes = held(asked, bench)
    for case, outcome in zip(asked.cases, outcomes, strict=True):
        if outcome.outcome in ("met", "missed"):
            again = load.regrade(asked, case, outcome)
            assert (again.outcome, again.answer, again.differences) == (
                outcome.outcome,
                outcome.answer,
                outcome.differences,
            )
    assert list(Path(tempfile.gettempdir()).glob("hallmark-load-*")) == []
    return load.judge(asked, outcomes), {outcome.case: outcome for outcome in outcomes}


def looked(outcomes: Mapping[str, Outcome]) -> Load:
    return load_of(outcomes["load"].answer)


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is left behind is this test's."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@contextmanager
def running(*faults: str) -> Iterator[str]:
    """The tiny server, started by somebody else."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, str(SERVER), "--port", str(port), *faults]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening")
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/v1"
        process.kill()


# ------------------------------------------------------------------------------------ a server that does well


def test_a_server_that_answers_right_and_fast_passes_at_every_number_of_users() -> None:
    budget = {"latency_ms": {"p50": 5000, "max": 20000}, "failures": {"max": 0.05}, "requests_per_s": {"min": 1}}
    bench = Bench(WEIGHTS)
    asked = check("--delay", "0.01", users=[3, 6], duration=0.8, budget=budget, caching=None)
    verdict, outcomes = judged(asked, bench)
    # Beside other tests a stretch may take so much longer than others that nothing is bounded; nothing may fail.
    assert verdict.verdict in ("pass", "inconclusive"), verdict.reason
    assert {outcome.outcome for outcome in outcomes.values()} == {"met"}
    told = looked(outcomes)
    assert [stage.users for stage in told.stages] == [3, 6]
    assert told.server.ours
    for stage in told.stages:
        assert stage.asked >= len(stage.requests.at) > 50
        assert stage.locust["requests"] > 0
        assert stage.failures == {}
        assert bench.attached[f"locust-{stage.users}.html"].lstrip().startswith(b"<!")
        assert stage.report == f"attached/locust-{stage.users}.html"
    for name in ("latency_ms.p50@3", "latency_ms.max@6", "requests_per_s@6", "failures@3.high", "samples@6"):
        assert verdict.figures[name] > 0 or name.startswith("failures")
    assert verdict.figures["answers.same"] == 1.0


def test_every_case_is_asked_and_each_as_often_as_its_tag_says() -> None:
    asked = tuple(cases(10, tags=("rare",))[:5]) + tuple(cases(10, tags=("often",))[5:])
    _, outcomes = judged(check("--delay", "0.002", asked=asked, mix={"rare": 1, "often": 3}, duration=1))
    often = sum(outcomes[f"c{i}"].answer["asked"] for i in range(5, 10))
    rare = sum(outcomes[f"c{i}"].answer["asked"] for i in range(5))
    assert abs(often / rare - 3) < 0.3
    assert min(outcomes[f"c{i}"].answer["asked"] for i in range(5)) > 0


def test_so_many_requests_as_are_asked_for_are_counted_and_no_more() -> None:
    verdict, outcomes = judged(check("--delay", "0.001", requests=80, duration=30, users=8))
    assert verdict.verdict == "pass", verdict.reason
    assert len(looked(outcomes).stages[0].requests.at) == 80


def test_only_what_is_sent_while_all_users_are_there_is_a_sample() -> None:
    _, outcomes = judged(check("--delay", "0.01", users=3, ramp=None, spawn_rate=2, duration=0.5))
    stage = looked(outcomes).stages[0]
    assert stage.spawned_s > 0.5
    assert stage.asked > 1.5 * len(stage.requests.at)
    assert all(0 <= at <= stage.lasted_s for at in stage.requests.at)


# ------------------------------------------------------------------------------------- wrong, though fast


def test_a_server_that_is_wrong_when_many_ask_fails_whatever_the_machine_did() -> None:
    for noise in (QUIET, NOISY):
        budget = {"latency_ms": {"p95": 10000}}
        verdict, outcomes = judged(check("--delay", "0.01", "--wrong-above", "2", budget=budget), Bench(WEIGHTS, noise))
        assert verdict.verdict == "fail"
        assert verdict.reason.startswith("answers.same 0.")
        assert "answers under load were wrong" in verdict.reason
        missed = [outcome for outcome in outcomes.values() if outcome.outcome == "missed"]
        assert missed
        (difference,) = missed[0].differences
        assert "answers under load are wrong; one of them: " in difference.why
        assert difference.got == "what?"


def test_without_expectations_a_server_is_held_against_what_it_answers_alone() -> None:
    silent = tuple(Case(id=f"c{i}", input=f"hello {i}") for i in range(12))
    verdict, outcomes = judged(check("--delay", "0.005", asked=silent, compare=None))
    assert verdict.verdict == "pass", verdict.reason
    assert looked(outcomes).alone == 12
    assert outcomes["c3"].answer["alone"]["text"] == "HELLO 3"
    verdict, outcomes = judged(check("--delay", "0.005", "--wrong-above", "1", asked=silent, compare=None))
    assert verdict.verdict == "fail"
    wrong = next(outcome for outcome in outcomes.values() if outcome.outcome == "missed")
    assert "wrong, other than what it answered alone; one of them: " in wrong.differences[0].why


# ------------------------------------------------------------------------------------- fast, since it caches


def test_a_server_that_only_repeats_itself_fast_fails_unless_that_is_allowed() -> None:
    verdict, outcomes = judged(check("--delay", "0.03", "--cached", "0.002", caching="refused"))
    assert verdict.verdict == "fail"
    assert "a question that was asked before is answered faster" in verdict.reason
    assert verdict.figures["caching"] < 0.5
    audit = looked(outcomes).audit
    assert audit is not None
    assert audit.fresh
    assert len(audit.cases) >= 10
    verdict, outcomes = judged(check("--delay", "0.03", "--cached", "0.002"))
    assert verdict.verdict == "pass", verdict.reason
    assert looked(outcomes).audit is None


def test_a_server_that_was_asked_all_of_it_before_can_not_hide_that_it_caches() -> None:
    with running("--delay", "0.03", "--cached", "0.002") as url:
        asked = check(serve=None, caching=None)
        for _ in range(2):
            verdict, outcomes = judged(asked, Bench(at(url)))
            assert verdict.verdict == "fail"
            assert "caching" in verdict.reason
        told = looked(outcomes)
        assert told.audit is not None
        assert not told.audit.fresh
        assert not told.server.ours


# ----------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (["--fail-every", "5"], "status 503"),
        (["--cut-every", "5"], "not HTTP, or not all of it"),
    ],
)
def test_requests_that_fail_are_counted_by_what_went_wrong(fault: list[str], reason: str) -> None:
    asked = check("--delay", "0.01", *fault, budget={"failures": {"max": 0.05}}, requests=150)
    verdict, outcomes = judged(asked)
    assert verdict.verdict == "fail"
    assert verdict.reason.startswith("failures 0.")
    assert looked(outcomes).stages[0].failures.keys() == {reason}
    assert "requests failed: " + reason in outcomes["c1"].reason + outcomes["c2"].reason + outcomes["c3"].reason


def test_no_request_may_fail_unless_that_is_said() -> None:
    verdict, _ = judged(check("--delay", "0.01", "--fail-every", "37"))
    assert verdict.verdict == "fail"
    assert "requests failed, and none may" in verdict.reason


def test_who_waits_in_vain_has_waited_longer_than_any_budget() -> None:
    asked = check(
        "--delay", "0.01", "--hang-every", "9", give_up=0.3, duration=2,
        budget={"latency_ms": {"p95": 200}, "failures": {"max": 0.9}},
    )  # fmt: skip
    verdict, outcomes = judged(asked)
    assert looked(outcomes).stages[0].failures.keys() == {"no answer in time"}
    assert verdict.figures["latency_ms.p95"] >= 290
    assert verdict.verdict in ("fail", "inconclusive")


def test_cases_that_are_never_answered_are_errors_and_never_met() -> None:
    verdict, outcomes = judged(check("--fail-every", "1"))
    assert verdict.verdict == "fail"
    assert {outcome.outcome for case, outcome in outcomes.items() if case != "load"} == {"error"}
    assert outcomes["c0"].reason.startswith("it was never answered: status 503 (")


def test_cases_that_were_never_asked_leave_it_open() -> None:
    verdict, outcomes = judged(check("--delay", "0.3", asked=cases(80)))
    assert verdict.verdict == "inconclusive"
    assert "of 80 cases were never asked: take fewer, or a longer duration" in verdict.reason
    assert "skipped" in {outcome.outcome for outcome in outcomes.values()}


def test_what_fails_before_the_load_is_left_out_of_the_audit_and_tells_nothing_of_what_is_right() -> None:
    silent = tuple(Case(id=f"c{i}", input=f"hello {i}") for i in range(24))
    asked = check(
        "--delay", "0.002", "--fail-every", "7", asked=silent, compare=None, caching=None, answers={"same": 0.5}
    )
    _, outcomes = judged(asked)
    audit = looked(outcomes).audit
    assert audit is not None
    assert len(audit.cases) >= 8
    assert {outcome.outcome for outcome in outcomes.values()} == {"met", "error"}
    reasons = {outcome.reason for outcome in outcomes.values() if outcome.outcome == "error"}
    assert reasons == {"it was not answered before the load, so that nobody knows what is right"}
    assert looked(outcomes).alone < 24


def test_a_server_that_answers_nothing_before_the_load_can_not_be_audited() -> None:
    reason = refused(check("--fail-every", "1", caching=None))
    assert "0 questions were answered twice before the load, and 8 tell of a cache: " in reason
    assert reason.endswith("answered 503: busy")


# ----------------------------------------------------------------------------- servers that don't come or stay


def refused(asked: Check, bench: Bench | None = None) -> str:
    """Why no case was measured: the same for all of them, and the verdict is an error."""
    verdict, outcomes = judged(asked, bench)
    assert verdict.verdict == "error"
    assert {outcome.outcome for outcome in outcomes.values()} == {"error"}
    (reason,) = {outcome.reason for outcome in outcomes.values()}
    return reason


def test_a_server_that_dies_under_load_is_told_at_once_with_its_last_words() -> None:
    reason = refused(check("--delay", "0.005", "--die-after", "150", duration=60, users=5))
    assert "the server ended with status 7 while 5 users asked it: " in reason
    assert reason.endswith("out of memory")


def test_a_server_that_is_not_ours_and_goes_away_is_told_too() -> None:
    with running("--delay", "0.005", "--die-after", "150") as url:
        reason = refused(check(serve=None, duration=60, users=5), Bench(at(url)))
    assert reason == "the server went away while 5 users asked it: nobody took a connection any more"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["python", "-c", "raise SystemExit('no such model')", "{port}"], r"ended with status 1 before it came up: no such model$"),
        (["python", SERVER.name, "--port", "{port}", "--late", "60"], r"did not come up within 1 s: nothing listens at port \d+$"),
        (["python", SERVER.name, "--port", "{port}", "--not-ready"], r"did not come up within 1 s: /ready answered 503; it said: listening at \d+$"),
        (["nowhere-to-be-found", "{port}"], r"there is no program `nowhere-to-be-found` on the PATH"),
        (["./load_server.py", "{port}"], r"`./load_server.py` is no program of the project that may be executed"),
        (["../../bin/sh", "{port}"], r"is no program of the project that may be executed"),
        (["python", "{weights}", "{port}"], r"a model without weights"),
    ],
)  # fmt: skip
def test_a_server_that_never_comes_up_is_told_within_its_time(command: list[str], said: str) -> None:
    reason = refused(check(serve={"command": command, "within": 1, "ready": "/ready"}))
    assert re.search(said, reason), reason


def test_a_port_in_use_is_told() -> None:
    with running() as url:
        port = int(url.split(":")[2].split("/")[0])
        serve = {"command": ["python", SERVER.name, "--port", "{port}"], "port": port}
        assert refused(check(serve=serve)) == f"port {port} is in use; leave `port` out, and a free one is taken"


def test_no_load_is_put_on_another_host_unless_the_user_names_it() -> None:
    with running() as url:
        there = at(url.replace("127.0.0.1", "localhost"))
        reason = refused(check(serve=None), Bench(there))
        assert reason == (
            "a load may be put on this machine alone, and `there` is at localhost;"
            " run it with --allow-host localhost if that is meant"
        )
        verdict, _ = judged(check(serve=None), Bench(there, hosts=["localhost"]))
    assert verdict.verdict == "pass", verdict.reason


def test_a_model_that_is_no_server_and_one_that_is_a_server_already_are_told() -> None:
    assert refused(check(serve=None)) == "`base` is no server; write `serve: mlx_lm`, or name an `http` model"
    said = "`there` is a server already: leave `serve` out, or name a model of weights"
    assert refused(check(), Bench(at("http://127.0.0.1:9/v1"))) == said


def test_that_locust_is_not_installed_is_told_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "find_spec", lambda name: None)
    assert refused(check()) == "a load test needs locust; run pip install 'mlx-hallmark[load]'"


def test_mlx_lm_server_is_started_and_asked_as_the_model_is_declared() -> None:
    given = serving_of(check(serve={"mlx_lm": {"prompt_cache_size": 3}}))
    assert given is not None
    generate = {"max_tokens": 4, "temperature": 0.5, "top_k": 7, "kv_bits": 8, "chat": True, "seed": 3}
    start, asked = serving.mlx_lm(given, Path("weights"), generate)
    assert asked == {
        "model": "default_model", "max_tokens": 4, "temperature": 0.5, "extra": {"top_k": 7}, "api": "chat"
    }  # fmt: skip
    said = " ".join(start.words)
    assert "--model weights --host 127.0.0.1 --port {port}" in said
    assert "--kv-bits 8 --prompt-cache-size 3" in said
    assert serving.mlx_lm(given, Path(), {})[1]["max_tokens"] == 64
    more = serving_of(check(serve={"mlx_lm": {"max_tokens": 5}}))
    assert more is not None
    assert serving.mlx_lm(more, Path(), {"max_tokens": 4})[1]["max_tokens"] == 5


def test_mlx_lm_server_can_not_be_started_with_what_it_does_not_know() -> None:
    declared = Declared(name="b", how="zoo", options={"generate": {"max_tokens": 4, "draft": {}}}, recipe="r", at="a:1")
    bench = Bench(declared)
    bench.weights = lambda role="": Path()  # type: ignore[method-assign]
    assert refused(check(serve="mlx_lm"), bench).startswith("mlx_lm.server can't be started with `draft`")


# --------------------------------------------------------------------------------------- a machine with others


def test_what_is_measured_while_others_use_the_machine_neither_passes_nor_fails() -> None:
    slow = {"latency_ms": {"p50": 1}}
    verdict, _ = judged(check("--delay", "0.02", budget=slow), Bench(WEIGHTS, NOISY))
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.startswith("contaminated: others kept 0.90 of 2 cores busy; ")
    fast = {"latency_ms": {"p50": 5000}}
    verdict, _ = judged(check(caching="allowed", budget=fast), Bench(WEIGHTS, NOISY))
    assert verdict.verdict == "inconclusive"
    verdict, _ = judged(check(caching="allowed", budget=fast, contaminated="may-pass"), Bench(WEIGHTS, NOISY))
    assert verdict.verdict == "pass", verdict.reason


def test_a_disturbed_stage_is_put_on_it_again_while_there_is_patience() -> None:
    bench = Bench(WEIGHTS, NOISY)
    told = iter([NOISY, NOISY, NOISY, NOISY])
    bench.read = lambda: next(told, QUIET)  # type: ignore[method-assign]
    verdict, outcomes = judged(check("--delay", "0.002", patience=30, caching=None), bench)
    assert verdict.verdict == "pass", verdict.reason
    load = looked(outcomes)
    assert load.audit is not None
    assert load.audit.repeated + load.stages[0].repeated >= 2
    assert not load.stages[0].disturbed


# ------------------------------------------------------------------------------------------- broken off


@pytest.mark.parametrize("whom", ["measurer", "locust", "server"])
def test_nothing_is_left_when_it_is_killed_in_the_middle(whom: str, tmp_path: Path) -> None:
    mark = f"LOAD_{os.getpid()}_{time.monotonic_ns()}"

    def ours() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("LOAD_TEST") == mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return [process for process in found if process.pid != os.getpid()]

    script = (
        f"import sys, tempfile; sys.path.insert(0, {str(SERVER.parent)!r}); tempfile.tempdir = sys.argv[1]\n"
        "import test_load as t\n"
        "outcomes = t.held(t.check('--delay', '0.01', duration=40, caching='allowed'))\n"
        "print(outcomes[0].reason)\n"
    )
    env = {**os.environ, "LOAD_TEST": mark, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", script, str(tmp_path / "tmp")]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as holder:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "tmp").glob("hallmark-load-*/stage-*/state")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        word = {"measurer": "import test_load", "locust": "locust", "server": SERVER.name}[whom]
        victims = [
            each
            for each in ours()
            if any(word in part for part in each.cmdline()) and "guard" not in str(each.cmdline())
        ]
        for victim in victims:
            if whom != "locust" or "-m" in victim.cmdline():
                victim.send_signal(signal.SIGKILL)
        out, _ = holder.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while ours() or list((tmp_path / "tmp").iterdir()):
        assert time.monotonic() < deadline, (ours(), list((tmp_path / "tmp").rglob("*")))
        time.sleep(0.05)
    if whom == "locust":
        assert out.startswith("locust was ended by SIGKILL")
    if whom == "server":
        assert out.startswith("the server was ended by SIGKILL while 4 users asked it")


# ------------------------------------------------------------------------------------------------- real


@pytest.mark.mlx
def test_fifty_users_ask_a_real_server_of_a_real_model() -> None:
    from models.sources import zoo

    shelf = Shelf(Path(), print)
    lines = Path("golden/llama/sums.jsonl").read_text("utf-8").splitlines()[:60]
    sums = tuple(Case(**{**json.loads(line), "tags": ()}) for line in lines)
    declared = Declared(
        name="base",
        how="zoo",
        options={"zoo": "llama", "seed": 0, "generate": {"max_tokens": 16}},
        recipe="r",
        at="a:1",
    )
    bench = Bench(declared)
    bench.weights = lambda role="": zoo.folder({"zoo": "llama", "seed": 0}, shelf)  # type: ignore[method-assign]
    budget = {"latency_ms": {"p50": 20000}, "failures": {"max": 0.1}}
    asked = check(serve="mlx_lm", asked=sums, users=50, duration=2, budget=budget)
    verdict, outcomes = judged(asked, bench)
    assert verdict.verdict == "pass", verdict.reason
    assert verdict.figures["answers.same"] == 1.0
    stage = looked(outcomes).stages[0]
    assert stage.users == 50
    assert stage.locust["failures"] == 0
    assert stage.locust["requests"] > 50
    assert b"/v1/completions" in bench.attached["locust-50.html"]


# ------------------------------------------------------------------------------------------- as a user runs it

SPEC = """  - name: l
    kind: load
    model: m
    cases: cases.jsonl
    users: [2, 3]
    duration: 0.5s
    ramp: 0.1
    compare: {text: exact}
    patience: 0
    contaminated: may-pass
    budget: {latency_ms: {p50: 20000}}
"""


def test_a_load_is_run_and_verified_like_any_other_check(project: Any) -> None:
    lines = [json.dumps({"id": c.id, "input": c.input, "expect": c.expect}) for c in cases(20)]
    project.put("specs/cases.jsonl", "\n".join(lines))
    with running("--delay", "0.01") as url:
        project.spec(SPEC, f'{{m: {{http: {{url: "{url}", model: m}}}}}}')
        ran = project.hallmark("run", "specs", "-n", "2")
    assert ran.status == 0, ran.out + ran.err
    (result,) = ran.certificate.checks
    assert (result.verdict, result.outcomes.met) == ("pass", 21)
    assert result.figures["samples@2"] > 10
    assert project.hallmark("verify", "runs/latest").status == 0
    (report,) = (ran.run / "attached").rglob("locust-3.*")
    assert report.relative_to(ran.run).as_posix() in (ran.run / "report.html").read_text("utf-8")
    assert list(Path(tempfile.gettempdir()).glob("hallmark-load-*")) == []
