"""A model behind a server: asked patiently, for no longer than allowed, and nobody but it."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.bench import Bench
from harness.contract import Case, Check, Declared, Outcome, Plan, Question, Refused
from harness.shelf import Shelf
from models.sources import http
from models.sources.http import dialect, wire
from models.sources.http.address import Address, mistake, read_address, redirected
from models.sources.http.asking import Passing, insist

Act = Callable[["Handler"], None]


class Host(ThreadingHTTPServer):
    """A real server of ours, which does to a prompt what `acts` says, and answers any other."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, acts: dict[str, Act]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.acts = acts
        self.asked: list[dict[str, Any]] = []
        self.seen: list[tuple[str, str]] = []
        self.lines: set[Any] = set()
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the play."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Ours/1", ""
    server: Host
    asked: dict[str, Any]

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.server.seen.append(("GET", self.path))
        self.say({"data": []})

    def do_POST(self) -> None:
        self.server.seen.append(("POST", self.path))
        self.server.lines.add(self.client_address)
        self.server.keys.append(self.headers["Authorization"])
        self.asked = body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        self.server.acts.get(str(prompt), answered)(self)

    def say(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(json.dumps(value).encode(), status, **headers)

    def send(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, told in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), told)
        self.end_headers()
        self.wfile.write(data)


def completion(text: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, "finish_reason": "stop", **more}]}


def answered(handler: Handler) -> None:
    asked = handler.asked
    if handler.path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": f"to {asked['messages'][-1]['content']}"}
        handler.say({"choices": [{"message": message, "finish_reason": "stop"}]})
    else:
        handler.say(completion(f"after {asked['prompt']}"))


def first(failing: Act, times: int = 1) -> Act:
    """Something that goes wrong a few times, and then no more."""
    left = [times]

    def act(handler: Handler) -> None:
        left[0] -= 1
        (failing if left[0] >= 0 else answered)(handler)

    return act


@contextmanager
def hosting(**acts: Act) -> Iterator[Host]:
    with Host(acts) as host:
        threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()
        yield host
        host.shutdown()


def _open(url: str, **options: Any) -> Any:
    options = {"url": url, "model": "m", "backoff": 0.001, "timeout": 10, **options}
    return http.open({"http": options}, Shelf(Path(), print))


def _hasty(url: str, seconds: float) -> Any:
    """A model that is opened at leisure, and then has this long for a question."""
    model = _open(url)
    model.options = {**model.options, "timeout": seconds}
    return model


def _ask(model: Any, *inputs: Any) -> list[Any]:
    return list(model.answer([Question(f"c{index}", input) for index, input in enumerate(inputs)]))


def _said(given: Any) -> str:
    assert isinstance(given, Refused)
    assert "\n" not in str(given)
    return str(given)


def _one(act: Act, **options: Any) -> Any:
    """The answer to a question that meets with this."""
    with hosting(it=act) as host:
        (given,) = _ask(_open(host.url, **options), "it")
    return given


# --------------------------------------------------------------------------------------------- plan


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/v1", "the address starts with `ftp:`"),
        ("file:///etc/passwd", "the address starts with `file:`"),
        ("localhost:8080/v1", "the address starts with `localhost:`"),
        ("127.0.0.1", "the address has no scheme"),
        ("http:///v1", "the address names no host"),
        ("http://ho st/v1", "the address names no host"),
        ("http://h\u00f6st/v1", "the address names no host"),
        ("http://host:0/v1", "the address names no host"),
        ("http://host:99999/v1", "this is no address"),
        ("http://[::1/v1", "this is no address"),
        ("http://host/v1?key=secret", "the address goes on after its path"),
        ("http://host/v1#", "the address goes on after its path"),
        ("http://me:secret@host/v1", "the address holds a user or a password"),
        ("http://secret@host/v1", "the address holds a user or a password"),
        ("ftp://me:secret@host", "the address holds a user or a password"),
    ],
)
def test_what_is_no_address_of_an_api_is_a_fault_that_tells_no_secret(url: str, said: str) -> None:
    (fault,) = http.faults({"http": {"url": url, "model": "m"}}, Shelf(Path(), print))
    assert fault.path == ("http", "url")
    assert fault.what.startswith(said)
    assert "secret" not in f"{fault.what} {fault.instead}"


@pytest.mark.parametrize("name", ["sk-123", "hf_aBcDeF", "", "A B", "1A", "$KEY"])
def test_a_key_in_the_place_of_its_name_is_a_fault_that_does_not_repeat_it(name: str) -> None:
    options = {"http": {"url": "http://host/v1", "model": "m", "key_env": name}}
    (fault,) = http.faults(options, Shelf(Path(), print))
    assert fault.path == ("http", "key_env")
    assert not name or name not in f"{fault.what} {fault.instead}"


@pytest.mark.parametrize("url", ["http://host/v1", "https://host", "HTTP://Host:8080/v1/", "http://[::1]:8080/v1"])
def test_an_address_is_none(url: str) -> None:
    assert mistake(url) is None
    assert not list(http.faults({"http": {"url": url, "model": "m", "key_env": "ACME_KEY"}}, Shelf(Path(), print)))


def test_an_extra_field_is_none_that_is_written_anyway() -> None:
    options = {"http": {"url": "http://host/v1", "model": "m", "extra": {"seed": 1, "stream": True, "top_k": 1}}}
    seed, stream = http.faults(options, Shelf(Path(), print))
    assert (seed.path, seed.instead) == (("http", "extra", "seed"), "write `seed:` beside `extra:`")
    assert (stream.path, stream.instead) == (("http", "extra", "stream"), "leave it out")


def test_addresses_are_read_and_shown() -> None:
    assert read_address("HTTP://Host/v1/") == Address("http", "host", 80, "/v1")
    assert read_address("https://[::1]:8080").origin == "https://[::1]:8080"
    here = read_address("http://host:81/v1")
    assert redirected(here, "/v1/completions", "/v2/completions?a=1")[1] == "/v2/completions?a=1"
    assert redirected(here, "/v1/completions", "//elsewhere/x")[0].origin == "http://elsewhere"
    assert redirected(here, "/v1/completions", "gopher://host:81/x")[0].origin == "gopher://host:81"


def test_what_is_waited_for_decides_no_recipe() -> None:
    plain = {"url": "http://host/v1", "model": "m", "seed": 1}
    site = Shelf(Path(), print)
    assert http.recipe({"http": {**plain, "timeout": 1, "retries": 1, "key_env": "K"}}, site) == plain
    assert http.recipe({"http": {**plain, "temperature": 1}}, site) != plain


def test_a_reviewer_is_told_that_nothing_is_known_of_the_weights() -> None:
    options = {"http": {"url": "http://host/v1", "model": "m", "key_env": "ACME_KEY"}}
    first_, second = http.remarks(options, Shelf(Path(), print), set())
    assert "nothing is known here of the weights" in first_
    assert second == "the key in `ACME_KEY` is sent unencrypted to http://host/v1"


def test_every_part_of_the_schema_is_described() -> None:
    parts = http.SCHEMA["properties"]["http"]["properties"]
    assert [name for name, part in parts.items() if "description" not in part] == []
    assert set(http._DECIDES) <= parts.keys()


def test_planning_opens_no_network_module() -> None:
    script = (
        "import sys; from models.sources import http; from pathlib import Path\n"
        "list(http.faults({'http': {'url': 'http://h/v1', 'model': 'm'}}, None)); print('http.client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


# --------------------------------------------------------------------------------------------- asking


def test_prompts_go_to_completions_and_messages_to_chat() -> None:
    with hosting() as host:
        model = _open(host.url, max_tokens=5, seed=3, stop=["x"], extra={"top_k": 1}, concurrency=1)
        messages = [{"role": "user", "content": "hi"}]
        assert _ask(model, "a", {"prompt": "b"}, {"messages": messages}, {"tokens": [1, 2]}) == [
            {"text": "after a", "finish": "stop"},
            {"text": "after b", "finish": "stop"},
            {"text": "to hi", "finish": "stop"},
            {"text": "after [1, 2]", "finish": "stop"},
        ]
        settings = {
            "model": "m",
            "temperature": 0,
            "stream": False,
            "max_tokens": 5,
            "seed": 3,
            "stop": ["x"],
            "top_k": 1,
        }
        assert host.asked[0] == {"prompt": "a", **settings}
        assert host.asked[2] == {"messages": messages, **settings}
        posts = [path for method, path in host.seen if method == "POST"]
        assert posts == ["/v1/completions", "/v1/completions", "/v1/chat/completions", "/v1/completions"]


def test_a_prompt_goes_to_chat_where_that_is_asked_for() -> None:
    with hosting() as host:
        assert _ask(_open(host.url, api="chat"), "hi") == [{"text": "to hi", "finish": "stop"}]
        (given,) = _ask(_open(host.url, api="completions"), {"messages": []})
        assert _said(given) == "`api: completions` takes no messages; leave `api` out"
        (given,) = _ask(_open(host.url, api="chat"), {"tokens": [1]})
        assert "takes no tokens" in _said(given)


@pytest.mark.parametrize("input", [None, 1, [], {}, {"prompt": 1}, {"prompt": "a", "more": 1}, {"messages": "a"}])
def test_another_input_is_refused_unasked(input: Any) -> None:
    with hosting() as host:
        (given,) = _ask(_open(host.url), input)
        assert "an http model is asked a text" in _said(given)
        assert host.asked == []


def test_a_batch_is_asked_at_once_and_answered_in_order() -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.05)
        answered(handler)

    meet = threading.Barrier(3, timeout=10)

    def met(handler: Handler) -> None:
        meet.wait()
        answered(handler)

    with hosting(slow=slow, met=met) as host:
        texts = [given["text"] for given in _ask(_open(host.url, concurrency=3), "met", "met", "met", "slow", *"abc")]
    assert texts == ["after met"] * 3 + ["after slow", "after a", "after b", "after c"]


def test_one_at_a_time_is_in_order() -> None:
    with hosting() as host:
        _ask(_open(host.url, concurrency=1), *"abcdef")
        assert [asked["prompt"] for asked in host.asked] == list("abcdef")


def test_connections_are_kept_between_questions_and_batches() -> None:
    with hosting() as host:
        model = _open(host.url, concurrency=2)
        for _ in range(5):
            _ask(model, *"abcd")
        assert len(host.asked) == 20
        assert len(host.lines) <= 2


def test_a_connection_that_the_server_closed_meanwhile_costs_no_try() -> None:
    def last(handler: Handler) -> None:
        answered(handler)
        handler.close_connection = True  # without a word of it

    with hosting(last=last) as host:
        model = _open(host.url, retries=0, concurrency=1)
        assert [given["text"] for given in _ask(model, "last", "last", "a")] == ["after last", "after last", "after a"]
        assert len(host.asked) == 3


def test_an_answer_in_chunks_is_put_together() -> None:
    def chunked(handler: Handler) -> None:
        data = json.dumps(completion("in chunks")).encode()
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in (data[:7], data[7:]):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    with hosting(chunked=chunked) as host:
        given = _ask(_open(host.url, concurrency=1), "chunked", "a", "chunked")
        assert [each["text"] for each in given] == ["in chunks", "after a", "in chunks"]
        assert len(host.lines) == 1


def test_what_a_server_says_of_tokens_and_of_itself_is_kept() -> None:
    usage = {
        "prompt_tokens": 2,
        "completion_tokens": 1,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    scored = {"content": [{"id": 7, "token": "x", "logprob": -0.5}, {"id": 8, "token": "y", "logprob": -1.5}]}

    def whole(handler: Handler) -> None:
        handler.say({**completion("xy", logprobs=scored), "usage": usage, "system_fingerprint": "fp-1"})

    with hosting(it=whole) as host:
        model = _open(host.url, logprobs=True)
        assert model.facts() == {"remote": True, "url": host.url, "model": "m", "server": "Ours/1"}
        (given,) = _ask(model, "it")
        assert given.pop("usage") == {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
        assert given == {"text": "xy", "finish": "stop", "tokens": [7, 8], "logprobs": [-0.5, -1.5]}
        assert model.facts()["system_fingerprint"] == "fp-1"
        assert host.asked[0]["logprobs"] is True


def test_both_forms_of_logprobs_and_an_empty_answer_are_understood() -> None:
    old = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0], "top_logprobs": None}
    said = dialect.understand(json.dumps(completion("ab", logprobs=old)).encode()).answer
    assert (said["tokens"], said["logprobs"]) == (["a", "b"], [-1.0, -2.0])
    pieces = {"content": [{"token": "a", "logprob": -1.0}]}
    assert dialect.understand(json.dumps(completion("a", logprobs=pieces)).encode()).answer["tokens"] == ["a"]
    empty = {"choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": "length"}]}
    assert dialect.understand(json.dumps(empty).encode()).answer == {"text": "", "finish": "length"}


def test_the_digest_is_of_what_is_asked_and_of_whom() -> None:
    with hosting() as host:
        same = {_open(host.url, **more).digest for more in ({}, {"timeout": 5}, {"retries": 1, "concurrency": 2})}
        assert len(same) == 1
        assert _open(host.url, seed=1).digest not in same
        assert _open(host.url, model="other").digest not in same


# ---------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    given = _one(first(lambda handler: handler.say({"error": "busy"}, status), 2))
    assert given == {"text": "after it", "finish": "stop"}


def test_a_server_that_stays_busy_is_given_up() -> None:
    with hosting(it=lambda handler: handler.say({"error": {"message": "too\n many"}}, 503)) as host:
        (given,) = _ask(_open(host.url, retries=3), "it")
        assert _said(given) == f"{host.url[:-3]} answered 503: too many (after 4 tries)"
        assert len(host.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 404, 422, 501])
def test_what_will_not_change_is_asked_once(status: int) -> None:
    with hosting(it=lambda handler: handler.say({"error": "never"}, status)) as host:
        (given,) = _ask(_open(host.url), "it")
        assert _said(given).endswith(f"answered {status}: never")
        assert len(host.asked) == 1


class Patience:
    """Stands for the event that ends a round, and notes how long was waited for it."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


def _waits(name: str, *told: float, **options: Any) -> list[float]:
    troubles, patience = iter(told), Patience()

    def once(deadline: float) -> str:
        for wait in troubles:
            raise Passing("busy", wait)
        return "done"

    settings = {"seconds": 60, "retries": 9, "backoff": 0.5, **options}
    assert insist(once, name=name, over=patience, **settings) == "done"  # type: ignore[arg-type]
    return patience.waits


def test_pauses_double_and_the_questions_of_a_batch_come_back_one_by_one() -> None:
    waits = _waits("a", 0, 0, 0, 0)
    assert all(0.25 * 2**n <= wait < 0.5 * 2**n for n, wait in enumerate(waits))
    assert waits == _waits("a", 0, 0, 0, 0)
    assert len({_waits(f"c{index}", 0)[0] for index in range(20)}) == 20


def test_a_server_that_says_when_is_asked_then() -> None:
    assert _waits("a", 7.0, 0)[0] == 7.0
    given = _one(first(lambda handler: handler.say({}, 429, Retry_After="0"), 2))
    assert given["text"] == "after it"


@pytest.mark.parametrize(
    "told", ["3600", format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)], ids=["seconds", "date"]
)
def test_a_server_that_says_too_late_is_not_waited_for(told: str) -> None:
    with hosting(it=lambda handler: handler.say({"error": "full"}, 429, Retry_After=told)) as host:
        (given,) = _ask(_open(host.url, timeout=5), "it")
        assert "answered 429: full (after 1 try; the next would be in " in _said(given)
        assert len(host.asked) == 1


@pytest.mark.parametrize("told", ["soon", "-1", "", "\u0663", "Wed, 99 Jan 2020"])
def test_nonsense_of_when_is_passed_over(told: str) -> None:
    from models.sources.http.remote import _seconds

    assert _seconds(told) in (0.0, 3.0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>\n  <b>hello</b>", "not JSON: '<html> <b>hello</b>'"),
        (b"", "not JSON: an empty body"),
        (b"\xff\xfe", "not JSON: "),
        (b"[" * 100_000, "not JSON: "),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not JSON: "),
        (b"x" * 500, f"not JSON: '{'x' * 80}...'"),
        (b"[1]", "not an object: '[1]'"),
        (b"{}", "no `choices`"),
        (b'{"choices": []}', "no `choices`"),
        (b'{"choices": [1]}', "no `choices`"),
        (b'{"choices": [{}]}', "no text in its first choice"),
        (b'{"choices": [{"text": 1}]}', "no text in its first choice"),
        (b'{"choices": [{"message": {"content": ["a"]}}]}', "no text in its first choice"),
        (b'{"error": {"message": "out of memory"}}', "an error: out of memory"),
    ],
)
def test_garbage_is_told_in_one_line_and_costs_its_own_case_only(data: bytes, said: str) -> None:
    with hosting(bad=lambda handler: handler.send(data)) as host:
        before, given, after = _ask(_open(host.url), "a", "bad", "b")
    assert (before["text"], after["text"]) == ("after a", "after b")
    assert f"answered garbage: {said}" in _said(given)
    assert len(_said(given)) < 200


def test_what_is_no_http_is_garbage() -> None:
    def mumble(handler: Handler) -> None:
        handler.wfile.write(b"hello, this is dog\r\n\r\n")
        handler.close_connection = True

    assert "answered garbage: not HTTP: BadStatusLine 'hello, this is dog" in _said(_one(mumble))


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_server_that_drips_is_held_to_the_whole_time(where: str) -> None:
    """Each byte comes soon after the last; what is bounded is the sum."""
    gone = threading.Event()

    def drip(handler: Handler) -> None:
        if where == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        try:
            while True:
                handler.wfile.write(b"x")
                time.sleep(0.02)
        except OSError:
            gone.set()
            raise

    with hosting(drip=drip) as host:
        given, other = _ask(_hasty(host.url, 0.3), "drip", "drip")
        assert _said(given).endswith("gave no whole answer within 0.3 s")
        assert _said(other) == _said(given)
        assert gone.wait(10), "the connection is given up, too"


def test_a_silent_server_is_not_asked_again() -> None:
    over = threading.Event()
    with hosting(it=lambda handler: over.wait(10) and None) as host:
        (given,) = _ask(_hasty(host.url, 0.2), "it")
        over.set()
        assert "no whole answer within 0.2 s" in _said(given)
        assert len(host.asked) == 1


@pytest.mark.parametrize("told", [True, False])
def test_a_response_that_is_too_big_is_not_read(told: bool) -> None:
    def flood(handler: Handler) -> None:
        handler.send_response(200)
        if told:
            handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        handler.close_connection = True
        while True:
            handler.wfile.write(b"x" * 65536)

    assert "answered more than the 0.5 MB that `max_response_mb` allows" in _said(_one(flood, max_response_mb=0.5))


def test_a_server_that_hangs_up_amid_its_answer_is_asked_again() -> None:
    def half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')
        handler.close_connection = True

    assert _one(first(half))["text"] == "after it"
    assert "hung up before its answer was complete (after 3 tries)" in _said(_one(half))


def test_a_server_that_is_not_there_is_told_when_the_model_is_opened() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Refused, match=f"^nothing listens at {origin} \\(after 3 tries\\)$"):
            _open(f"{origin}/v1")


def test_a_server_that_goes_away_refuses_what_is_still_asked() -> None:
    with hosting() as host:
        model = _open(host.url)
        assert _ask(model, "a")[0]["text"] == "after a"
    for line in model._server._idle:
        line.hang_up()
    assert _said(_ask(model, "b")[0]).startswith("nothing listens at ")


def test_a_host_that_has_no_address_is_told() -> None:
    with pytest.raises(Refused, match=r"the host of http://nowhere\.invalid is not known"):
        _open("http://nowhere.invalid/v1", retries=0)


def test_a_server_without_tls_is_told_from_one_with_it() -> None:
    with hosting() as host, pytest.raises(Refused, match=f"https://127.0.0.1:{host.server_port} does not speak TLS"):
        _open(host.url.replace("http:", "https:"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_server_with_tls_is_asked_where_its_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = str(tmp_path / "both.pem")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    made = [*make.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", f"{pem}.crt"]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pem}.crt", pem)
    over = threading.Event()
    with hosting(hang=lambda handler: over.wait(10) and None) as host:
        host.socket = context.wrap_socket(host.socket, server_side=True)
        url = host.url.replace("http:", "https:")
        wire._tls.cache_clear()
        with pytest.raises(Refused, match=r"the certificate of https://127.0.0.1:\d+ is not trusted: self"):
            _open(url)
        monkeypatch.setenv("SSL_CERT_FILE", f"{pem}.crt")
        wire._tls.cache_clear()
        model = _open(url, concurrency=1)
        assert [given["text"] for given in _ask(model, "a", "b")] == ["after a", "after b"]
        assert len(host.lines) == 1
        assert "no whole answer within 0.2 s" in _said(_ask(_hasty(url, 0.2), "hang")[0])
        over.set()
    wire._tls.cache_clear()


# --------------------------------------------------------------------------------------- redirects, keys


def test_a_redirect_within_the_server_is_followed() -> None:
    with hosting(it=first(lambda handler: handler.say({}, 307, Location="/v2/completions"))) as host:
        assert _ask(_open(host.url), "it")[0]["text"] == "after it"
        assert host.seen[1:] == [("POST", "/v1/completions"), ("POST", "/v2/completions")]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_another_host_never_sees_a_redirected_question(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "top-secret")
    with hosting() as other:
        location = f"{other.url}/completions?token=abc"
        with hosting(it=lambda handler: handler.say({}, status, Location=location)) as host:
            (given,) = _ask(_open(host.url, key_env="ACME_KEY"), "it")
        assert f"redirects to http://127.0.0.1:{other.server_port}, and a redirect to another host" in _said(given)
        assert "token" not in _said(given)
        assert other.seen == []


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[bad", "file:///"]
)
def test_another_scheme_or_name_is_another_host(location: str) -> None:
    with hosting() as host:
        away = location.format(port=host.server_port)
        host.acts["it"] = lambda handler: handler.say({}, 307, Location=away)
        (given,) = _ask(_open(host.url), "it")
        assert "redirects to " in _said(given)
        assert len(host.asked) == 1


def test_a_circle_of_redirects_ends() -> None:
    with hosting(it=lambda handler: handler.say({}, 308, Location=handler.path)) as host:
        (given,) = _ask(_open(host.url), "it")
        assert _said(given).endswith("redirects more than 3 times")
        assert len(host.asked) == 4


def test_the_key_goes_to_the_server_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", " top-secret\n")
    with hosting(bad=lambda handler: handler.say({"error": "no such key: top-secret"}, 401)) as host:
        model = _open(host.url, key_env="ACME_KEY")
        good, bad = _ask(model, "a", "bad")
        assert good["text"] == "after a"
        assert host.keys == ["Bearer top-secret"] * 2
        assert _said(bad).endswith("answered 401: no such key: ***")
        assert "secret" not in f"{model.facts()} {model.digest}"


def test_a_key_that_is_not_there_or_is_none_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_KEY", raising=False)
    with pytest.raises(Refused, match="the environment has no `ACME_KEY`, which `key_env` names"):
        _open("http://127.0.0.1:9/v1", key_env="ACME_KEY")
    monkeypatch.setenv("ACME_KEY", "top\nsecret")
    with pytest.raises(Refused, match="what `ACME_KEY` holds is no key") as caught:
        _open("http://127.0.0.1:9/v1", key_env="ACME_KEY")
    assert "secret" not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with hosting() as host:
        assert _ask(_open(host.url), "a")[0]["text"] == "after a"


# ------------------------------------------------------------------------------- sent by somebody else


def test_what_is_sent_by_somebody_else_is_what_is_sent_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "top-secret")
    with hosting() as host:
        model = _open(host.url, key_env="ACME_KEY", max_tokens=3)
        _ask(model, "it")
        sent = model.sending(Question("c", "it"))
        assert (sent["scheme"], sent["host"], sent["port"]) == ("http", "127.0.0.1", host.server_port)
        line = HTTPConnection(sent["host"], sent["port"], timeout=10)
        line.request(sent["method"], sent["path"], sent["body"], sent["headers"])
        reply = line.getresponse()
        assert model.heard(reply.status, reply.read())["text"] == "after it"
        line.close()
    assert host.asked[0] == host.asked[1]
    assert host.seen[1] == host.seen[2]
    assert host.keys == ["Bearer top-secret"] * 2


@pytest.mark.parametrize("status", [400, 401, 429, 503])
def test_a_reply_that_holds_no_answer_is_refused_without_the_key(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "top-secret")
    with hosting() as host:
        model = _open(host.url, key_env="ACME_KEY")
        with pytest.raises(Refused, match=f"answered {status}: not with \\*\\*\\*"):
            model.heard(status, b'{"error": "not with top-secret"}')
        with pytest.raises(Refused, match="answered garbage: not JSON"):
            model.heard(200, b"<html>")


def test_a_question_that_no_server_takes_is_refused_before_it_is_sent() -> None:
    with hosting() as host, pytest.raises(Refused, match="not this input"):
        _open(host.url).sending(Question("c", 3))


# ------------------------------------------------------------------------------------- under the bench


def test_the_alarm_of_a_case_leaves_nothing_behind() -> None:
    gone: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with hosting(hang=lambda handler: gone.put(handler.connection.recv(1))) as host:
        cases = tuple(
            Case(id=f"c{index}", input=input, expect={"text": f"after {input}", "finish": "stop"})
            for index, input in enumerate(("a", "hang", "b"))
        )
        check = Check(
            id="a::golden::g", name="g", kind="golden", at="a:1", model="m", cases=cases, batch=3, timeout=0.5
        )
        options = {"http": {"url": host.url, "model": "m", "concurrency": 2}}
        declared = Declared(name="m", how="http", options=options, recipe="r", at="a:1")
        outcomes: list[Outcome] = []
        bench = Bench(Plan(hallmark="0", models={"m": declared}, checks=(check,)), Shelf(Path(), print))
        bench.measure(0, 0, range(3), outcomes)
        assert [outcome.outcome for outcome in outcomes] == ["met", "error", "met"]
        assert outcomes[1].reason == "it took longer than its 0.5 s"
        assert [gone.get(timeout=10) for asked in ("together", "alone")] == [b"", b""], "we hung up, both times"
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("hallmark-http") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_process_ends_although_a_server_does_not_answer() -> None:
    over = threading.Event()
    script = (
        "import signal, sys\n"
        "from harness.contract import Question\n"
        "from models.sources import http\n"
        "def ring(number, frame): raise SystemExit(7)\n"
        "signal.signal(signal.SIGALRM, ring)\n"
        "model = http.open({'http': {'url': sys.argv[1], 'model': 'm'}}, None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
        "model.answer([Question('a', 'hang')])\n"
    )
    with hosting(hang=lambda handler: over.wait(30) and None) as host:
        done = subprocess.run([sys.executable, "-c", script, host.url], timeout=20, check=False, env=os.environ)
        over.set()
    assert done.returncode == 7
