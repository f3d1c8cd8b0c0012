"""A server that a check starts on a port of this machine: waited for, and ended with all that belongs to it."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from evaluators.load.keeping import Kept
from evaluators.load.language import Serving
from harness.contract import Refused

HOST = "127.0.0.1"
_LOOKING = 0.05
_TRIES = 3
_PYTHONS = ("python", "python3")
_TOLD = {"temperature": "temperature", "top_p": "top_p", "stop": "stop", "max_tokens": "max_tokens"}
"""Keys of `generate:` that an `http` model can be asked with."""
_STARTED = {"kv_bits": "--kv-bits", "kv_group_size": "--kv-group-size"}
"""And those that mlx_lm.server is started with."""
_EXTRA = ("top_k", "min_p")
"""And those that it is asked with, besides."""
_ALIKE = ("logprobs", "seed")
"""And those that change nothing that is compared."""
MAX_TOKENS = 64
"""As for a model that is not served."""


class Server(NamedTuple):
    kept: Kept
    port: int
    came_up: float
    """Seconds that it took to."""

    def gone(self, during: str) -> str:
        """Why there is nobody any more; empty while there is."""
        if not self.kept.ended():
            return ""
        said = self.kept.said()
        return f"the server {self.kept.how()} {during}" + (f": {said}" if said else "")


class Start(NamedTuple):
    """What it takes to start one, apart from its port."""

    words: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    """Its own folder, unless told."""


@contextmanager
def standing(serving: Serving, start: Start, folder: Path) -> Iterator[Server]:
    """The server, once it answers; Refused where it does not come up."""
    server = _up(serving, start, folder)
    try:
        yield server
    finally:
        server.kept.close()


def _up(serving: Serving, start: Start, folder: Path) -> Server:
    for left in reversed(range(_TRIES)):
        port = serving.port or _free()
        if serving.port:
            _unused(port)
        folder.mkdir(parents=True)
        words = [word.replace("{port}", str(port)) for word in start.words]
        if start.cwd is None:
            (folder / "hub").mkdir()  # mlx_lm.server lists the models of a cache, and wants one to be there
        env = {**start.env, "PYTHONUNBUFFERED": "1", **({} if start.cwd else {"HF_HOME": str(folder)})}
        kept = Kept(words, folder, env=env, cwd=start.cwd, name=name_of(serving))
        try:
            return Server(kept, port, _waited(kept, port, serving))
        except _Taken:
            kept.close()
            if not left:
                raise Refused(f"`{kept.shown()}` found each of {_TRIES} free ports taken") from None
        except BaseException:
            kept.close()
            raise
    raise AssertionError


def name_of(serving: Serving) -> str:
    """As people know it."""
    return " ".join(serving.command) if serving.command else "mlx_lm.server"


class _Taken(Exception):
    """Somebody was quicker to take the port that was free."""


def _waited(kept: Kept, port: int, serving: Serving) -> float:
    """Seconds until it answered."""
    begin = time.monotonic()
    until = begin + serving.within
    last = f"nothing listens at port {port}"
    while (left := until - time.monotonic()) > _LOOKING:
        if kept.ended(max(_LOOKING, min(0.5, (time.monotonic() - begin) / 10))):
            said = kept.said()
            if not serving.port and "in use" in said.lower():
                raise _Taken
            raise Refused(f"`{kept.shown()}` {kept.how()} before it came up" + (f": {said}" if said else ""))
        last = _answers(port, serving.ready, min(2.0, left))
        if not last:
            return time.monotonic() - begin
    said = kept.said()
    late = f"`{kept.shown()}` did not come up within {serving.within:g} s: {last}"
    raise Refused(late + (f"; it said: {said}" if said else ""))


def _answers(port: int, path: str, seconds: float) -> str:
    """Why it is not ready yet; empty once it is."""
    try:
        with closing(http.client.HTTPConnection(HOST, port, timeout=seconds)) as line:
            line.connect()
            if not path:
                return ""
            line.request("GET", path)
            status = line.getresponse().status
    except TimeoutError:
        return f"{path or 'its port'} gave no answer"
    except (OSError, http.client.HTTPException) as error:
        return f"nothing listens at port {port}" if isinstance(error, ConnectionRefusedError) else f"{path} is not HTTP"
    return f"{path} answered {status}" if status >= 500 else ""


def _free() -> int:
    with closing(socket.socket()) as trying:
        trying.bind((HOST, 0))
        port: int = trying.getsockname()[1]
        return port


def _unused(port: int) -> None:
    """Refused where somebody listens at the port that was asked for."""
    with closing(socket.socket()) as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what only lingers there is gone
        try:
            trying.bind((HOST, port))
        except PermissionError:
            raise Refused(f"port {port} may not be listened at; take one above 1023, or leave `port` out") from None
        except OSError:
            raise Refused(f"port {port} is in use; leave `port` out, and a free one is taken") from None
    with suppress(OSError), closing(socket.create_connection((HOST, port), 1.0)):
        raise Refused(f"port {port} is in use; leave `port` out, and a free one is taken")


# ---------------------------------------------------------------------------------------- what to start


def mlx_lm(serving: Serving, weights: Path, generate: Mapping[str, Any]) -> tuple[Start, dict[str, Any]]:
    """mlx_lm.server on a folder of weights, and how it is asked so that it answers as the model is declared."""
    if find_spec("mlx_lm") is None:
        raise Refused("`serve: mlx_lm` needs mlx-lm; run pip install 'mlx-hallmark[lm]'")
    told = {_TOLD[key]: generate[key] for key in _TOLD if key in generate}
    extra = {key: generate[key] for key in _EXTRA if key in generate}
    told |= {"extra": extra} if extra else {}
    told |= {"api": "chat"} if generate.get("chat") is True else {}
    known = {*_TOLD, *_STARTED, *_EXTRA, *_ALIKE, *(["chat"] if generate.get("chat") is not False else [])}
    strange = [key for key in generate if key not in known]
    if strange:
        raise Refused(
            f"mlx_lm.server can't be started with `{strange[0]}`, which `generate` of the model asks for;"
            " name a model without it"
        )
    flags = {flag: generate[key] for key, flag in _STARTED.items() if key in generate}
    flags |= {f"--{key.replace('_', '-')}": value for key, value in serving.own.items()}
    words = [
        sys.executable,
        "-P",
        "-m",
        "mlx_lm",
        "server",
        "--model",
        str(weights),
        "--host",
        HOST,
        "--port",
        "{port}",
    ]
    words += [str(word) for pair in flags.items() for word in pair]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    asked = {"model": "default_model", "max_tokens": MAX_TOKENS, **told, **serving.asked}
    return Start(tuple(words), env), asked


def command(serving: Serving, weights: Path | None, root: Path) -> Start:
    """A program of the spec's; `{weights}` stands for the folder of the model's weights."""
    first, *rest = serving.command
    words = [_program(first, root), *rest]
    if weights is not None:
        words = [word.replace("{weights}", str(weights)) for word in words]
    elif any("{weights}" in word for word in words):
        raise Refused("the command asks for `{weights}`, and its model has none")
    return Start(tuple(words), dict(os.environ), root)


def _program(name: str, root: Path) -> str:
    if "/" in name:
        path = root / name
        inside = Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root))
        if not inside or not path.is_file() or not os.access(path, os.X_OK):
            raise Refused(f"`{name}` is no program of the project that may be executed")
        return str(path)
    found = sys.executable if name in _PYTHONS else shutil.which(name)
    if found is None:
        raise Refused(f"there is no program `{name}` on the PATH; install it, or write its path with a slash")
    return found
