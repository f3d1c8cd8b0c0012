"""One stage of a load: locust in a process of its own, and the replies that it wrote down."""

from __future__ import annotations

import heapq
import json
import math
import os
import random
import site
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from evaluators.load.keeping import Kept
from harness.contract import Refused

FORM = "<ddIII"
"""Of a reply on the tape: when it was asked for, the milliseconds it took, its status, its case, its bytes."""
MOST_REQUESTS = 20_000
MOST_BODY = 1_000_000
MOST_BYTES = 256_000_000
_ASIDE = 3
"""How many times as many as are counted may be asked in all, while users are still coming."""
_STARTING = 60.0
_ENDING = 20.0
_LOOKING = 0.05
_FORM = struct.Struct(FORM)


class Stage(NamedTuple):
    """What is to be put on a server."""

    users: int
    rate: float
    """Users that come in a second."""
    duration: float
    """Seconds with all of them."""
    requests: int
    """The most that are asked while all of them are there."""
    think: tuple[float, float]
    give_up: float
    """Seconds that a user waits for a reply."""

    @property
    def ramp(self) -> float:
        return self.users / self.rate

    def lasts(self) -> float:
        """The most seconds that it can take."""
        return _STARTING + self.ramp * 2 + self.duration + self.give_up + _ENDING


class Work(NamedTuple):
    """What is asked: a request a case, as an `http` model would send it, and how often beside the others."""

    requests: Sequence[Mapping[str, Any]]
    weights: Sequence[float]


class Reply(NamedTuple):
    """What came of one request; a status of 0 says why nothing did."""

    at: float
    """Seconds since all users were there: below 0 where they were not."""
    ms: float
    status: int
    case: int
    body: bytes


class Told(NamedTuple):
    """What came of a stage, apart from the replies."""

    spawned: float
    """Seconds until all users were there; below 0 where they never were."""
    lasted: float
    """Seconds for which they were."""
    generator: float
    """Share of a core that asking took by itself."""
    why: str
    """Why it ended, where that was neither its time nor its number."""
    locust: dict[str, float]
    html: bytes


def installed() -> None:
    """Refused where locust is not."""
    if find_spec("locust") is None:
        raise Refused("a load test needs locust; run pip install 'mlx-hallmark[load]'")


def order(weights: Sequence[float], many: int) -> list[int]:
    """Which case is asked when, in an order of chance: each as often as it weighs, and evenly so."""
    chance = random.Random(len(weights))  # noqa: S311
    waiting = [(chance.random() / weight, index) for index, weight in enumerate(weights) if weight > 0]
    heapq.heapify(waiting)
    found = []
    for _ in range(many):
        due, index = waiting[0]
        found.append(index)
        heapq.heapreplace(waiting, (due + 1 / weights[index], index))
    return found


@contextmanager
def put(
    stage: Stage,
    work: Work,
    folder: Path,
    *,
    turn: int = 0,
    seen: Callable[[str], None],
    alive: Callable[[], str],
) -> Iterator[tuple[Told, Iterator[Reply]]]:
    """Put a stage on the server that the requests name; Refused where that can't be done, or the server went away.

    `turn` is how many requests were sent before: the stage goes on from there. `seen` is told when all users are there
    (`full`), and when no more is asked (`over`); `alive` says why nobody is there any more to be asked.
    """
    folder.mkdir(parents=True)  # a guard that ended may have taken away what was empty
    known = [{"method": each["method"], "path": each["path"], "body": each["body"].decode()} for each in work.requests]
    where = work.requests[0]
    most = min(stage.requests, MOST_REQUESTS)
    asked = {
        "scheme": where["scheme"],
        "host": where["host"],
        "port": where["port"],
        "requests_of": known,
        "order": order(work.weights, turn + most * (1 + _ASIDE))[turn:],
        "users": stage.users,
        "duration": stage.duration,
        "requests": most,
        "bounded": stage.requests < MOST_REQUESTS,
        "most": most * (1 + _ASIDE),
        "think": stage.think,
        "give_up": stage.give_up,
        "most_body": MOST_BODY,
        "most_bytes": MOST_BYTES,
        "seed": stage.users,
        "form": FORM,
        "tape": str(folder / "tape"),
        "state": str(folder / "state"),
    }
    (folder / "asked.json").write_text(json.dumps(asked), "utf-8")
    locust = Kept(_words(stage, folder, where), folder, env=_environment(folder, where["headers"]))
    try:
        states = _followed(locust, stage, folder / "state", seen, alive)
        html = folder / "report.html"
        told = _told(states, html.read_bytes() if html.exists() else b"")
        yield told, _replies(folder / "tape", states["full"]["t"] if "full" in states else None)
    finally:
        locust.close()


def _words(stage: Stage, folder: Path, where: Mapping[str, Any]) -> list[str]:
    host = f"[{where['host']}]" if ":" in where["host"] else where["host"]
    told = {
        "-f": Path(__file__).with_name("locustfile.py"),
        "-u": stage.users,
        "-r": f"{stage.rate:g}",
        "--host": f"{where['scheme']}://{host}:{where['port']}",
        "--stop-timeout": math.ceil(stage.give_up) + 1,
        "--html": folder / "report.html",
        "--loglevel": "WARNING",
        "--exit-code-on-error": 0,
    }
    words = [str(word) for pair in told.items() for word in pair]
    return [sys.executable, "-P", "-m", "locust", *words, "--headless", "--only-summary", "--reset-stats"]


def _environment(folder: Path, headers: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would tell locust anything else. The headers may hold a key: they are in no file."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")}
    base = {"PYTHONUSERBASE": site.getuserbase()}
    own = {"HOME": str(folder), "HALLMARK_LOAD": str(folder / "asked.json")}
    return {**base, **kept, **own, "HALLMARK_LOAD_HEADERS": json.dumps(dict(headers))}


def _followed(
    locust: Kept, stage: Stage, path: Path, seen: Callable[[str], None], alive: Callable[[], str]
) -> dict[str, dict[str, Any]]:
    """What locust told of its state, until it ended."""
    until = time.monotonic() + stage.lasts()
    states: dict[str, dict[str, Any]] = {}
    while True:
        ended = locust.ended(_LOOKING)
        for state in _read(path):
            if state["at"] not in states:
                states[state["at"]] = state
                seen(state["at"])
        if states.get("over", {}).get("why") == "gone":
            raise Refused(f"the server went away while {stage.users} users asked it: nobody took a connection any more")
        if why := alive():
            raise Refused(why)
        if ended:
            break
        if time.monotonic() > until:
            raise Refused(f"locust did not end within {stage.lasts():.0f} s: {locust.said()}")
    if "end" not in states or "over" not in states or locust.status():
        raise Refused(f"locust {locust.how()}: {locust.said()}")
    return states


def _read(path: Path) -> list[dict[str, Any]]:
    """The states told so far; a line that is still being written is left for later."""
    try:
        lines = path.read_text("utf-8").split("\n")[:-1]
    except OSError:
        return []
    return [json.loads(line) for line in lines]


def _replies(path: Path, full: float | None) -> Iterator[Reply]:
    with path.open("rb") as tape:
        while len(head := tape.read(_FORM.size)) == _FORM.size:
            begin, ms, status, case, size = _FORM.unpack(head)
            at = begin - full if full is not None else -1.0
            yield Reply(at, ms, status, case, tape.read(size))


def _told(states: Mapping[str, Mapping[str, Any]], html: bytes) -> Told:
    full, over = states.get("full"), states["over"]
    return Told(
        spawned=full["took"] if full else -1.0,
        lasted=over["t"] - full["t"] if full else 0.0,
        generator=over["generator"],
        why=over["why"],
        locust={key: round(float(value or 0.0), 4) for key, value in states["end"]["locust"].items()},
        html=html,
    )
