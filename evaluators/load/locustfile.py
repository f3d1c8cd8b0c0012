"""Runs in locust's process and nowhere else: one stage of a load, each reply written down as it comes.

A file says what is to be asked, in which order and for how long; its path is in the environment.
"""

from __future__ import annotations

import json
import os
import random
import struct
import time
from functools import cache
from typing import Any

import gevent  # type: ignore[import-untyped]
import gevent.ssl  # type: ignore[import-untyped]
from geventhttpclient import HTTPClient, HTTPParseError
from geventhttpclient.response import HTTPConnectionClosed
from locust import User, events, task
from locust.exception import StopUser

with open(os.environ["HALLMARK_LOAD"], encoding="utf-8") as file:
    asked: dict[str, Any] = json.load(file)
headers: dict[str, str] = json.loads(os.environ["HALLMARK_LOAD_HEADERS"])

_FORM = struct.Struct(asked["form"])
_PAUSE = 0.1
"""Seconds that a user waits who could not even connect: to ask again at once would only burn the processor."""
_GONE = 3.0
"""Seconds without any reply, while connections are refused, after which nobody is thought to be there any more."""


class Stage:
    """What all users share."""

    def __init__(self) -> None:
        self.turn = 0
        self.counted = 0
        self.written = 0
        self.born = 0.0
        self.full = 0.0
        self.over = 0.0
        self.busy = 0.0
        self.refused = 0
        self.heard = time.monotonic()
        self.chance = random.Random(asked["seed"])  # noqa: S311
        self.tape = open(asked["tape"], "wb", buffering=1 << 16)  # noqa: SIM115
        self.state = open(asked["state"], "w", buffering=1, encoding="utf-8")  # noqa: SIM115

    def tell(self, at: str, **more: Any) -> None:
        self.state.write(json.dumps({"at": at, "t": time.monotonic(), **more}) + "\n")

    def next(self) -> int:
        """The case that is asked now; who comes when enough was asked goes home."""
        if self.over:
            raise StopUser
        enough = self.counted >= asked["requests"] or self.turn >= asked["most"]
        if enough or self.written > asked["most_bytes"]:
            self.end(self.why())
            raise StopUser
        self.counted += bool(self.full)
        self.turn += 1
        order: list[int] = asked["order"]
        return order[(self.turn - 1) % len(order)]

    def why(self) -> str:
        """Why it ends before its time; empty where that is as it was asked."""
        if self.written > asked["most_bytes"]:
            return "there was more than may be kept"
        if self.turn >= asked["most"] or not asked["bounded"]:
            return f"{self.counted:,} requests were sent, and no more are kept"
        return ""

    def keep(self, begin: float, ms: float, status: int, case: int, body: bytes) -> None:
        self.tape.write(_FORM.pack(begin, ms, status, case, len(body)) + body)
        self.written += len(body)
        if status:
            self.heard, self.refused = time.monotonic(), 0

    def begin(self) -> None:
        """All users are there."""
        self.full, self.busy = time.monotonic(), time.process_time()
        self.tell("full", took=self.full - self.born)
        gevent.spawn_later(asked["duration"], self.end)

    def end(self, why: str = "") -> None:
        """No more is asked; what is out is waited for."""
        if self.over:
            return
        self.over = time.monotonic()
        used = (time.process_time() - self.busy) / max(self.over - self.full, 1e-6) if self.full else 0.0
        self.tell("over", why=why, generator=round(used, 4))
        gevent.spawn(self.runner.quit)

    def missed(self) -> None:
        """Nobody took the connection."""
        self.refused += 1
        if self.refused > asked["users"] and time.monotonic() - self.heard > _GONE:
            self.end("gone")
        gevent.sleep(_PAUSE)

    runner: Any = None


stage = Stage()


@cache
def _trusting() -> Any:
    return gevent.ssl.create_default_context()


class Visitor(User):
    """Asks, waits for the reply, thinks, and asks again."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.line = self._line()
        self.used = False

    def wait_time(self) -> float:
        return stage.chance.uniform(*asked["think"])

    @task
    def ask(self) -> None:
        case = stage.next()
        request = asked["requests_of"][case]
        status, body, why, begin = 0, b"", "", time.monotonic()
        try:
            with gevent.Timeout(asked["give_up"]):
                status, body = self._reply(request)
            if len(body) > asked["most_body"]:
                status, body, why = 0, b"", "more than may be answered"
        except gevent.Timeout:
            why = "no answer in time"
        except ConnectionRefusedError:
            why = "connection refused"
        except HTTPConnectionClosed:
            why = "hung up before its answer was complete"
        except HTTPParseError:
            why = "not HTTP, or not all of it"
        except OSError as error:
            why = f"can't be reached: {type(error).__name__}"
        ms = (time.monotonic() - begin) * 1e3
        if why:
            self.line.close()
            self.line, self.used = self._line(), False
        stage.keep(begin, ms, status, case, body or why.encode())
        failed = why or (f"status {status}" if status != 200 else "")
        self.environment.events.request.fire(
            request_type=request["method"],
            name=request["path"],
            response_time=ms,
            response_length=len(body),
            exception=Exception(failed) if failed else None,
            context={},
        )
        if why in ("connection refused", "hung up before its answer was complete") or why.startswith("can't"):
            stage.missed()

    def _reply(self, request: dict[str, str]) -> tuple[int, bytes]:
        """On a connection that is open still, or else on a fresh one: the server may have closed it meanwhile."""
        try:
            return self._exchange(request)
        except HTTPConnectionClosed:
            if not self.used:
                raise
        self.line.close()
        self.line, self.used = self._line(), False
        return self._exchange(request)

    def _exchange(self, request: dict[str, str]) -> tuple[int, bytes]:
        response = self.line.request(request["method"], request["path"], request["body"], headers)
        body = bytes(response.read(asked["most_body"] + 1))
        self.used = True
        return response.status_code, body

    def _line(self) -> Any:
        return HTTPClient(
            asked["host"],
            asked["port"],
            ssl=asked["scheme"] == "https",
            ssl_context_factory=lambda **told: _trusting(),
            connection_timeout=asked["give_up"],
            network_timeout=asked["give_up"],
        )


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Any, **more: Any) -> None:
    stage.runner = environment.runner


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _start(**more: Any) -> None:
    stage.born = time.monotonic()


@events.spawning_complete.add_listener  # type: ignore[untyped-decorator]
def _full(**more: Any) -> None:
    if not stage.over:
        stage.begin()


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _quit(environment: Any, **more: Any) -> None:
    total = environment.stats.total
    stage.tape.close()
    stage.tell(
        "end",
        locust={
            "requests": total.num_requests,
            "failures": total.num_failures,
            "rps": total.total_rps,
            "avg": total.avg_response_time,
            **{f"p{q:g}": total.get_response_time_percentile(q / 100) for q in (50, 90, 95, 99)},
            "max": total.max_response_time,
        },
    )
