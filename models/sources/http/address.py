"""Where a server is, and which addresses are none."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    scheme: str
    host: str
    port: int
    path: str
    """Of the API, without a slash at its end."""

    @property
    def origin(self) -> str:
        """Who answers there: all that an error may show of an address that somebody else made up."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS.get(self.scheme) else f":{self.port}")


def mistake(url: str) -> tuple[str, str] | None:
    """What is wrong with an address and what to write instead, without the address: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"this is no address: {error}", 'write one such as "http://127.0.0.1:8080/v1"'
    if parts.username is not None or parts.password is not None:
        return "the address holds a user or a password", "take it out, and name the variable of the key in `key_env`"
    if parts.scheme not in _PORTS:
        said = f"the address starts with `{parts.scheme}:`" if parts.scheme else "the address has no scheme"
        return said, "write one that starts with http:// or https://"
    if not parts.hostname or port == 0 or not url.isascii() or any(c <= " " for c in url):
        return "the address names no host", 'write one such as "http://127.0.0.1:8080/v1"'
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "the address goes on after its path", "end it with the path, such as /v1"
    return None


def read_address(url: str) -> Address:
    return _address(urlsplit(url))


def redirected(here: Address, path: str, location: str) -> tuple[Address, str]:
    """Where a redirect leads: the server there, and what is asked of it."""
    parts = urlsplit(urljoin(f"{here.origin}{path}", location))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _address(parts), target


def _address(parts: SplitResult) -> Address:
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return Address(parts.scheme, parts.hostname or "", port, parts.path.rstrip("/"))
