"""A server that is talked to: its connections, its redirects, and what its troubles mean to whoever asked."""

from __future__ import annotations

import http.client
import socket
import ssl
import weakref
from collections.abc import Mapping
from functools import partial

from harness.contract import Refused
from models.sources.http.address import Address, redirected
from models.sources.http.asking import Passing, Round
from models.sources.http.wire import Line, NoConnection, Reply, Sending, TooBig

REDIRECTS = 3
_MOVED = (301, 302, 307, 308)
_HUNG_UP = (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError, ssl.SSLEOFError)
MEGABYTE = 1_000_000


class Server:
    def __init__(self, address: Address, headers: Mapping[str, str], connect_timeout: float, most: int) -> None:
        self.address = address
        self.headers = headers
        self.most = most
        self._fresh = partial(Line, address, connect_timeout)
        self._idle: list[Line] = []
        weakref.finalize(self, _close, self._idle)

    def talk(self, sending: Sending, out: Round) -> Reply:
        """One exchange, along redirects that stay with this server: nobody else is shown the question or the key."""
        origin = self.address.origin
        for _ in range(REDIRECTS + 1):
            try:
                reply = self._exchange(sending, out)
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException, TooBig) as error:
                raise self._meaning(error) from None
            location = reply.headers.get("Location")
            if reply.status not in _MOVED or location is None:
                return reply
            try:
                target, path = redirected(self.address, sending.path, location)
            except ValueError:
                raise Refused(f"{origin} redirects to what is no address") from None
            if target[:3] != self.address[:3]:
                said = f"{origin} redirects to {target.origin}, and a redirect to another host is not followed"
                raise Refused(f"{said}; write that address as `url` if it is meant")
            sending = sending._replace(path=path)
        raise Refused(f"{origin} redirects more than {REDIRECTS} times")

    def _exchange(self, sending: Sending, out: Round) -> Reply:
        """On a connection that is open still, or else on a fresh one: the server may have closed it meanwhile."""
        try:
            line = self._idle.pop()
        except IndexError:
            line = self._fresh()
        try:
            return self._on(line, sending, out)
        except _HUNG_UP:
            if not line.used or out.over.is_set():
                raise
        return self._on(self._fresh(), sending, out)

    def _on(self, line: Line, sending: Sending, out: Round) -> Reply:
        out.lines.add(line)
        kept = False
        try:
            if out.over.is_set():
                raise ConnectionAbortedError
            reply = line.exchange(sending, self.headers, self.most)
            kept = line.sock is not None and not out.over.is_set()
        finally:
            out.lines.discard(line)
            if not kept:
                line.close()
        if kept:
            self._idle.append(line)
        return reply

    def _meaning(self, error: Exception) -> Exception:
        """What an error on the wire means; a Passing one may be gone at the next try."""
        origin = self.address.origin
        match error:
            case TooBig():
                said = f"{origin} answered more than the {self.most / MEGABYTE:g} MB that `max_response_mb` allows"
                return Refused(said)
            case ConnectionRefusedError():
                return Passing(f"nothing listens at {origin}")
            case NoConnection():
                return Passing(f"{origin}: {error}")
            case socket.gaierror():
                return Passing(f"the host of {origin} is not known: {error.strerror}")
            case ssl.SSLCertVerificationError():
                return Refused(f"the certificate of {origin} is not trusted: {error.verify_message}")
            case _ if isinstance(error, _HUNG_UP):
                return Passing(f"{origin} hung up before its answer was complete")
            case ssl.SSLError():
                return Refused(f"{origin} does not speak TLS with us: {error.reason or error}")
            case http.client.HTTPException():
                return Refused(f"{origin} answered garbage: not HTTP: {type(error).__name__} {str(error)[:80]!r}")
        return Passing(f"{origin} can't be reached: {getattr(error, 'strerror', None) or error}")


def _close(lines: list[Line]) -> None:
    for line in lines:
        line.close()
