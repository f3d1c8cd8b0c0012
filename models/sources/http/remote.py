"""A server's model as a model of ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from harness.codec import digest_of, to_json
from harness.contract import Question, Refused, Unreached
from models.sources.http import dialect
from models.sources.http.address import read_address
from models.sources.http.asking import Passing, Round, ask_all, insist
from models.sources.http.server import MEGABYTE, Server
from models.sources.http.wire import Reply, Sending

_BUSY = (429, 500, 502, 503, 504)
_T = TypeVar("_T")


class Remote:
    together = True

    def __init__(self, options: Mapping[str, Any], decides: Mapping[str, Any]) -> None:
        self.options = options
        self.address = read_address(options["url"])
        self.digest = digest_of(["remote", decides])
        self._key = _key(options)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "hallmark"}
        self._headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        most = int(options.get("max_response_mb", 16) * MEGABYTE)
        self._server = Server(self.address, self._headers, options.get("connect_timeout", 10.0), most)
        self._fingerprints: set[str] = set()
        self._software = self._look()

    def answer(self, questions: Sequence[Question]) -> list[Any]:
        return ask_all(questions, self._ask, self.options.get("concurrency", 4))

    def sending(self, question: Question) -> dict[str, Any]:
        """How a question is sent, for whoever sends it otherwise than we do."""
        below, body = dialect.request(question.input, self.options)
        where = self.address
        return {
            "scheme": where.scheme,
            "host": where.host,
            "port": where.port,
            "method": "POST",
            "path": where.path + below,
            "headers": dict(self._headers),
            "body": to_json(body),
        }

    def heard(self, status: int, body: bytes) -> Any:
        """The answer that a reply holds, Refused where it holds none."""
        try:
            return self._read(Reply(status, Message(), body)).answer
        except (Passing, Refused) as error:
            raise Refused(self._without_key(str(error))) from None

    def facts(self) -> Mapping[str, Any]:
        """What the server says of itself, which is all that is known; the fingerprints are those seen so far."""
        facts: dict[str, Any] = {"remote": True, "url": self.options["url"], "model": self.options["model"]}
        if self._software:
            facts["server"] = self._software
        if self._fingerprints:
            facts["system_fingerprint"] = ", ".join(sorted(self._fingerprints))
        return facts

    def _look(self) -> str:
        """Which software answers there; that somebody does is known before any question is lost on it."""
        path, out = f"{self.address.path}/models", Round()
        reply = self._insist(
            out.over, "", lambda deadline: self._server.talk(Sending("GET", path, None, deadline), out)
        )
        return (reply.headers.get("Server") or "").strip()[:200]

    def _ask(self, question: Question, out: Round) -> Any:
        below, body = dialect.request(question.input, self.options)
        path, data = self.address.path + below, to_json(body)

        def once(deadline: float) -> dialect.Spoken:
            return self._read(self._server.talk(Sending("POST", path, data, deadline), out))

        spoken = self._insist(out.over, question.id, once)
        if spoken.fingerprint:
            self._fingerprints.add(spoken.fingerprint)
        return spoken.answer

    def _insist(self, over: threading.Event, name: str, once: Callable[[float], _T]) -> _T:
        seconds, retries = self.options.get("timeout", 60.0), self.options.get("retries", 2)
        backoff = self.options.get("backoff", 0.5)
        try:
            return insist(once, name=name, seconds=seconds, retries=retries, backoff=backoff, over=over)
        except Refused as error:
            raise type(error)(self._without_key(str(error))) from None
        except TimeoutError:
            raise Unreached(f"{self.address.origin} gave no whole answer within {seconds:g} s") from None

    def _read(self, reply: Reply) -> dialect.Spoken:
        said = f"{self.address.origin} answered {reply.status}: {dialect.complaint(reply.body)}"
        if reply.status in _BUSY:
            raise Passing(said, _seconds(reply.headers.get("Retry-After")))
        if not 200 <= reply.status < 300:
            raise Refused(said)
        try:
            return dialect.understand(reply.body)
        except dialect.Garbage as error:
            raise Refused(f"{self.address.origin} answered garbage: {error}") from None

    def _without_key(self, said: str) -> str:
        """A server may repeat what it was sent."""
        return said.replace(self._key, "***") if self._key else said


def _key(options: Mapping[str, Any]) -> str:
    if "key_env" not in options:
        return ""
    name = options["key_env"]
    key = os.environ.get(name, "").strip()
    if not key:
        raise Refused(f"the environment has no `{name}`, which `key_env` names; export it before the run")
    if not key.isascii() or not key.isprintable():
        raise Refused(f"what `{name}` holds is no key: a header can't carry it")
    return key


def _seconds(told: str | None) -> float:
    """What `Retry-After` asks for, as seconds or as a date; 0 where it says nothing that we understand."""
    if told is None:
        return 0.0
    if told.strip().isdecimal():
        return float(told.strip()[:9])
    try:
        at = parsedate_to_datetime(told)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
