"""One exchange over HTTP that ends when its time does, however few bytes the other side lets drip."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from email.message import Message
from functools import cache
from typing import Any, NamedTuple

from models.sources.http.address import Address


class NoConnection(OSError):
    """Nobody was reached."""


class TooBig(Exception):
    """A response that is longer than it may be."""


class Sending(NamedTuple):
    method: str
    path: str
    body: bytes | None
    deadline: float


class Reply(NamedTuple):
    status: int
    headers: Message
    body: bytes


class Line(http.client.HTTPConnection):
    """A connection that is kept open between questions."""

    def __init__(self, address: Address, connect_timeout: float) -> None:
        super().__init__(address.host, address.port)
        self.default_port = 443 if address.scheme == "https" else 80
        self.secure = address.scheme == "https"
        self.connect_timeout = connect_timeout
        self.deadline = 0.0
        self.used = False
        """Whether it has carried an answer: then the server may have closed it since."""
        self._raw: socket.socket | None = None
        self._hung_up = False

    def exchange(self, sending: Sending, headers: Mapping[str, str], most: int) -> Reply:
        self.deadline = sending.deadline
        self.request(sending.method, sending.path, sending.body, dict(headers))
        response = self.getresponse()
        told = response.length
        if told is not None and told > most:
            raise TooBig(f"{told} bytes")
        data = response.read(most + 1)
        if len(data) > most:
            raise TooBig(f"more than {most} bytes")
        if told is not None and len(data) < told:
            raise http.client.IncompleteRead(data, told - len(data))
        self.used = True
        return Reply(response.status, response.headers, data)

    def connect(self) -> None:
        try:
            raw = socket.create_connection((self.host, self.port), min(self.connect_timeout, self.left()))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.secure:
                raw.settimeout(min(self.connect_timeout, self.left()))
                raw = _tls().wrap_socket(raw, server_hostname=self.host)  # which closes it where it fails
        except TimeoutError:
            self.left()
            raise NoConnection(f"no connection within {self.connect_timeout:g} s") from None
        self._raw = raw
        self.sock: Any = _Timed(raw, self)
        if self._hung_up:
            raise ConnectionAbortedError

    def left(self) -> float:
        """Seconds until the deadline, above 0."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def hang_up(self) -> None:
        """Wake a thread that waits on this connection, from another one."""
        self._hung_up = True
        if self._raw is not None:
            try:
                socket.socket.shutdown(self._raw, socket.SHUT_RDWR)
            except OSError:  # it is gone already
                return


class _Timed:
    """A socket as http.client wants one, each of whose waits is cut to what is left of the line's time."""

    def __init__(self, raw: socket.socket, line: Line) -> None:
        self._raw = raw
        self._line = line

    def sendall(self, data: bytes) -> None:
        self._raw.settimeout(self._line.left())
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Dripping(self._raw, self._line))

    def close(self) -> None:
        self._raw.close()


class _Dripping(io.RawIOBase):
    def __init__(self, raw: socket.socket, line: Line) -> None:
        self._file = raw.makefile("rb", buffering=0)  # keeps the socket until it is read to its end
        self._raw = raw
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int | None:
        self._raw.settimeout(self._line.left())
        return self._file.readinto(into)

    def close(self) -> None:
        self._file.close()
        super().close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
