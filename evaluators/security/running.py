"""Runs a scanner in a process of its own, once for as long as neither it nor what it reads has changed.

`main` is the child: a request on standard input, what came of it on standard output. It ends with its parent, and is
held to a limit on its memory.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import msgspec

from evaluators.security import files as reading
from evaluators.security.finding import Finding, Look, Missing, Scanned, Unavailable, identify
from harness.codec import digest_of

MOST = 20_000
"""Findings of one scan that are kept."""
_LONGEST = 2_000
"""Characters of a text of theirs."""
_SAID = 256 << 20
"""Bytes that a scan may write."""
_START = "import sys; sys.path[:] = sys.argv[1].split(__import__('os').pathsep); import {0} as m; m.main()"
_TAIL = 4096


class Failed(Exception):
    """A scan that did not come to its end; its words say why."""


class Request(msgspec.Struct, frozen=True):
    module: str
    options: dict[str, Any]
    root: str
    files: list[str]
    model_folder: str
    offline: bool
    memory: int


class Reply(msgspec.Struct, omit_defaults=True):
    """What the child says: what it found, or in a word why it did not."""

    scanned: Scanned | None = None
    word: str = ""
    """`missing`, `unavailable` or `failed`."""
    why: str = ""


def key_of(room: ModuleType, options: Mapping[str, Any], root: Path, files: Sequence[Path]) -> str:
    """The digest of all that decides what a scan finds, and of what it looks at."""
    told = []
    for path in files:
        try:
            said = reading.digest(path)
        except reading.Unreadable as why:
            said = f"unread: {why}"
        told.append([reading.shown(path, root), said])
    return digest_of([room.__name__, room.version(), _code(room), _installed(), dict(options), told])


@cache
def _installed() -> list[str]:
    """The Python, and every package beside it: a plugin of a scanner finds things, too."""
    found = {each.name for folder in sys.path if folder for each in Path(folder).glob("*.dist-info")}
    return [".".join(map(str, sys.version_info)), *sorted(found)]


def besides(room: ModuleType, options: Mapping[str, Any], look: Look) -> str | None:
    """What else decides it; None where nothing tells."""
    tell = getattr(room, "besides", None)
    return tell(options, look) if tell else ""


@cache
def _code(room: ModuleType) -> str:
    """Of the scanner's own code, and of what stands beside it."""
    found = hashlib.sha256()
    for path in sorted(Path(room.__file__ or "").parent.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def scan(request: Request, seconds: float) -> Scanned:
    """What a scanner finds. Failed where it takes too long, takes too much, crashes, or says what nobody can read."""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as heard:
        asked.write(msgspec.json.encode(request))
        asked.seek(0)
        status = _wait(request, asked, said, heard, seconds)
        said.seek(0)
        data = said.read()
        heard.seek(max(0, heard.seek(0, os.SEEK_END) - _TAIL))
        last = heard.read().decode("utf-8", "replace").split("\n")
    if status:
        raise Failed(f"it {_how(status)}; {_last(last)}")
    try:
        reply = msgspec.json.decode(data, type=Reply)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Failed(f"what it said can't be read: {error}") from None
    return _taken(reply)


def _taken(reply: Reply) -> Scanned:
    match reply:
        case Reply(word="missing"):
            raise Missing(reply.why)
        case Reply(word="unavailable"):
            raise Unavailable(reply.why)
        case Reply(scanned=Scanned() as scanned):
            return scanned
    raise Failed(reply.why or "it said nothing")


def _wait(request: Request, asked: BinaryIO, said: BinaryIO, heard: BinaryIO, seconds: float) -> int:
    """The child's exit status; Failed where it outlasts its time. Whatever ends us, it ends too."""
    ours, theirs = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", _START.format(__name__), _path(request), str(ours)],
            stdin=asked,
            stdout=said,
            stderr=heard,
            pass_fds=[ours],
            cwd=request.root,
            env={**os.environ, "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(
                f"it was not done after {seconds:g} s; give the check more `timeout`, or fewer files"
            ) from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        os.close(ours)
        os.close(theirs)


def _path(request: Request) -> str:
    """Where the child imports from: nothing that is scanned, unless Python, this or the scanner itself lies there."""
    root = os.path.realpath(request.root)
    kept = {_home(__name__), _home(request.module)}
    outside = [os.path.realpath(each) for each in (sys.prefix, sys.base_prefix)]
    found = []
    for folder in filter(None, sys.path):
        real = os.path.realpath(folder)
        if real in kept or not _within(real, root) or any(_within(real, each) for each in outside):
            found.append(os.path.abspath(folder))
    return os.pathsep.join(found)


def _within(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def _home(module: str) -> str:
    """The folder that a module is imported from."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file:
        return ""
    up = module.count(".") + (Path(file).stem == "__init__")
    return os.path.realpath(Path(file).parents[up])


def _how(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"


def _last(lines: Sequence[str]) -> str:
    said = [" ".join(line.split()) for line in lines if line.strip()]
    return said[-1][:300] if said else "it said nothing"


# ---------------------------------------------------------------------------------------- the child


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a scanner prints is no part of what it found
    _end_with(int(sys.argv[2]))
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    _limit(request.memory)
    out.write(msgspec.json.encode(_reply(request)))
    out.flush()
    os._exit(0)


def _reply(request: Request) -> Reply:
    from importlib import import_module

    folder = Path(request.model_folder) if request.model_folder else None
    look = Look(model_folder=folder, offline=request.offline)
    try:
        room: Any = import_module(request.module)
        scanned = room.scan(request.options, Path(request.root), [Path(each) for each in request.files], look)
        return Reply(scanned=_cleaned(scanned))
    except Missing as why:
        return Reply(word="missing", why=_clean(str(why)))
    except Unavailable as why:
        return Reply(word="unavailable", why=_clean(str(why)))
    except reading.Unreadable as why:
        return Reply(word="failed", why=_clean(str(why)))
    except MemoryError:
        return Reply(word="failed", why=f"it took more than {request.memory:,} megabytes; give the check more `memory`")
    except Exception as error:
        return Reply(word="failed", why=_clean(f"it failed: {type(error).__name__}: {error}"))


def _cleaned(scanned: Scanned) -> Scanned:
    findings = [_clean_finding(each) for each in scanned.findings[:MOST]]
    unread = [(_clean(path), _clean(why)) for path, why in scanned.unread]
    if len(scanned.findings) > MOST:
        unread.append((".", f"{len(scanned.findings):,} findings are more than the {MOST:,} that are kept"))
    return Scanned(findings=findings, unread=unread, excused=scanned.excused, skipped=scanned.skipped)


def _clean_finding(finding: Finding) -> Finding:
    texts = {name: _clean(getattr(finding, name)) for name in ("rule", "path", "what", "fix", "id")}
    texts["id"] = texts["id"] or identify(texts["rule"], texts["path"], texts["what"])
    return msgspec.structs.replace(finding, **texts)


def _clean(text: str) -> str:
    """Text that any file can hold."""
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode()


def _limit(megabytes: int) -> None:
    """Where the system can, no more memory, no file that is larger than any report, and no picture of a crash."""
    import resource

    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    for what, most in ((kind, megabytes << 20), (resource.RLIMIT_FSIZE, _SAID), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def _end_with(pipe: int) -> None:
    """End this process, and those that it started, once nobody holds the other end of a pipe."""
    import threading

    def watch() -> None:
        os.read(pipe, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
