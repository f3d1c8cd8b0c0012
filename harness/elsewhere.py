"""A model in a process of its own, which is asked what this one is asked: a fresh interpreter, or another backend.

`main` is the child: a request on standard input, then questions; on standard output, its setting, then looks.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from harness import child
from harness.codec import plain
from harness.contract import Declared, Look, Model, NotPlain, Numerics, Question, Refused, Setting, Site, Timed, Way
from harness.opening import Opened, numerics_of, open_here
from harness.shelf import Shelf, explain
from harness.stopwatch import Stopwatch, Task

ANY = (Exception, SystemExit)
"""What a model may raise and be survived; a timeout and an interrupt pass."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def seed(*what: str) -> None:
    """The same chance for the same question or batch, wherever and whenever it is asked; mlx keeps a seed a thread."""
    number = zlib.crc32("\0".join(what).encode())
    random.seed(number)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(number)
    if (mlx := sys.modules.get("mlx.core")) is not None:
        mlx.random.seed(number)


def looks(model: Model, questions: Sequence[Question], chance: int = 0, *, refuses: bool = False) -> list[Look]:
    """What a model answers to these questions at once, or to each in turn where it answers one at a time.

    `refuses` lets it refuse to be asked this way at all.
    """
    lots = [questions] if model.together else [[question] for question in questions]
    return [look for lot in lots for look in _looks(model, lot, chance, refuses)]


def _looks(model: Model, questions: Sequence[Question], chance: int, refuses: bool) -> list[Look]:
    seed(*(question.id for question in questions), *([str(chance)] if chance else []))
    reveal: Any = getattr(model, "reveal", None)
    try:
        shown = reveal(questions) if reveal else ((answer, ()) for answer in model.answer(questions))
        found = [_look(answer, places) for answer, places in shown]
    except ANY as error:
        if refuses and isinstance(error, Refused):
            raise
        return [Look(error=explain(error))] * len(questions)
    if len(found) != len(questions):
        return [Look(error=f"the model gave {len(found)} answers to {len(questions)} questions")] * len(questions)
    return found


def _look(answer: Any, places: Any) -> Look:
    if isinstance(answer, BaseException):
        return Look(error=explain(answer))
    try:
        return Look(answer=plain(answer), places=tuple(places))
    except NotPlain as error:
        return Look(error=f"the answer is not plain data: {error}")


class Died(Exception):
    """The process ended, or could not open the model."""


class Request(msgspec.Struct, frozen=True):
    root: str
    trusted: bool
    key: str
    declared: Declared
    numerics: Numerics
    threads: int


class Ask(msgspec.Struct, frozen=True, tag_field="is", tag="ask"):
    questions: list[Question]
    chance: int


class Born(msgspec.Struct, frozen=True, tag_field="is", tag="born"):
    """The child's word that it has the model."""

    setting: Setting
    seconds: float
    """That opening it took, with all that had to be imported."""


class Elsewhere:
    """The process, from this side."""

    def __init__(self, key: str, declared: Declared, site: Site, numerics: Numerics, way: Way) -> None:
        environ = dict(os.environ)
        environ |= {name: str(way.threads) for name in _THREADS if way.threads is not None}
        if way.process:
            environ.pop("PYTHONHASHSEED", None)  # a fresh interpreter draws its own
        if way.tf32 is not None:
            environ["MLX_ENABLE_TF32"] = str(int(way.tf32))
        self._process = subprocess.Popen(
            child.command("harness.elsewhere"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
        numerics = way.numerics or numerics
        request = Request(str(site.root), site.trusted, key, declared, numerics, way.threads or 1)
        try:
            said = self._said(request, type=Born | str)
        except BaseException:
            self.close()
            raise
        if isinstance(said, str):
            self.close()
            raise Died(f"a process of its own can't open it: {said}")
        if why := said.setting.facts.get("numerics_why"):
            self.close()
            raise Refused(str(why))
        self.setting: Setting = said.setting
        self.opening: float = said.seconds

    def look(self, questions: Sequence[Question], chance: int) -> list[Look]:
        found: list[Look] = self._said(Ask(list(questions), chance), type=list[Look])
        return found

    def time(self, task: Task) -> Timed:
        found: Timed = self._said(task, type=Timed)
        return found

    def close(self) -> None:
        """End it, whatever it is doing, and what it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _said(self, asked: Any, *, type: Any) -> Any:
        """Its answer; what interrupts the conversation ends it, since nobody knows then whose answer comes next."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            _send(self._process.stdin, asked)
            said = _received(self._process.stdout)
        except BrokenPipeError:
            said = None
        except BaseException:
            self._process.kill()
            raise
        if said is None:
            raise Died(f"a process of its own ended with exit status {self._process.wait()}")
        return msgspec.msgpack.decode(said, type=type)


def _send(pipe: Any, what: Any) -> None:
    data = msgspec.msgpack.encode(what)
    pipe.write(len(data).to_bytes(8, "little") + data)
    pipe.flush()


def _received(pipe: Any) -> bytes | None:
    """The next message; None where the other side is gone."""
    size = pipe.read(8)
    data = pipe.read(int.from_bytes(size, "little")) if len(size) == 8 else b""
    return data if size and len(data) == int.from_bytes(size, "little") else None


def main() -> None:
    born = time.perf_counter()
    asking, out = child.own_input(), child.own_output()
    asked = _received(asking)
    if asked is None:
        return
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    request = msgspec.msgpack.decode(asked, type=Request)
    shelf = Shelf(Path(request.root), lambda text: None, trusted=request.trusted)
    try:
        numerics = numerics_of(request.numerics, request.threads)
        opened = open_here(request.key, request.declared, shelf, numerics)
    except ANY as error:
        _send(out, explain(error))
        return
    _send(out, Born(opened.setting, opened.seconds))
    _answer_all(opened, born, asking, out)


def _end_with(parent: int) -> None:
    """End when the process that asked is gone, whatever the model is doing."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _answer_all(opened: Opened, born: float, asked: Any, out: BinaryIO) -> None:
    watch = None
    while (message := _received(asked)) is not None:
        task = msgspec.msgpack.decode(message, type=Ask | Task)
        if isinstance(task, Ask):
            _send(out, looks(opened.model, task.questions, task.chance))
            continue
        watch = watch or Stopwatch(opened.model, opened.setting.facts, born)
        _send(out, watch.time(task, seed))
