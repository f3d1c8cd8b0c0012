"""A project laid out for strange specs, and the trying of one there: planned or refused, and nothing else."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import msgspec

from harness.codec import to_json
from harness.contract import Plan
from harness.shelf import Shelf
from harness.spec.faults import Fault, SpecFaults
from harness.spec.memory import read_plan

REPOSITORY = Path(__file__).parents[2]
SECONDS = 1.0
"""Of the processor's time: what else the machine does is no spec's fault."""
WAITING = 20.0
"""Of the clock: something that waits, as on a pipe, uses none of the processor's."""
MEMORY = 256 << 20
SPEC = "fuzzed.yaml"

_TREE = Path("tests/examples/valid")
_CASES = '{"id": "a", "input": "hello 0", "expect": "hello 0"}\n{"id": "b", "input": {"x": 1}, "expect": {"x": 1}, "tags": ["sum"]}\n'
_BESIDE = {
    "cases.jsonl": _CASES,
    "cases.json": '[\n  {"id": "a", "input": 1, "expect": 1},\n  {"id": "b", "input": [1, 2.5], "expect": [1, 2.5], "weight": 2}\n]\n',
    "cases.yaml": "- {id: a, input: 1, expect: 1}\n- id: b\n  input: {deep: [1, null, true]}\n  expect: x\n",
    "cases.csv": 'id,input,expect.label,tags\na,"one, two",1,sum words\nb,two,2,\n',
    "answers.jsonl": '{"id": "a", "answer": 1}\n{"id": "b", "answer": {"x": [1]}}\n',
    "lessons.jsonl": '{"prompt": "1 + 1 =", "completion": "2"}\n{"input": "2 + 2 =", "expect": "4"}\n{"text": "a b"}\n',
    "_shared.yaml": "hallmark: 1\nmodels:\n  shared: {echo: {}}\n",
    "_circle.yaml": "hallmark: 1\ninclude: [_circle.yaml]\n",
    "_self.yaml": f"hallmark: 1\ninclude: [../{SPEC}]\n",
    "_fault.yaml": "hallmark: 1\nmodles: {m: {echo: {}}}\n",
    "_deep.yaml": f"hallmark: 1\nmodels: {'[' * 3000}\n",
    "_empty.yaml": "",
    "many.jsonl": "".join(f'{{"id": "c{n}", "input": {n}, "expect": {{"label": {n}}}}}\n' for n in range(400)),
    "kept.json": "{}\n",
    "notes.txt": "no cases\n",
}

FRAGMENTS = tuple(name for name in _BESIDE if name.startswith("_"))


def beside(name: str) -> str:
    """The good text of a file that lies in each folder's `data`."""
    return _BESIDE[name.rpartition("/")[2]]


class Hung(BaseException):
    """No exception that a room or the planner would take for its own."""


class Tried(NamedTuple):
    """What came of a spec."""

    faults: list[Fault]
    broke: str
    """What must not happen and did; empty where all is well."""
    seconds: float
    grown: int


class Ground:
    """A project's folder. Its specs stand where the examples do, so that these work there unchanged."""

    def __init__(self, top: Path) -> None:
        self.root = top / "project"
        os.environ["HALLMARK_CACHE"] = str(top / "cache")
        os.environ.pop("HT_NOWHERE", None)
        shutil.copytree(REPOSITORY / _TREE, self.root / _TREE)
        shutil.copytree(REPOSITORY / "golden", self.root / "golden")
        for name in ("harness", "evaluators", "models", "reports", "runs"):
            (self.root / name).mkdir()
        (self.root / "pytest.ini").write_text("[pytest]\n")
        (self.root / "pyproject.toml").write_text('[project]\nname = "x"\n')
        outside = top / "outside.jsonl"
        outside.write_text(_CASES)
        for folder in self.folders:
            self._lay(self.root / folder, outside)

    folders = (str(_TREE), "specs", "specs/self")

    def _lay(self, folder: Path, outside: Path) -> None:
        data = folder / "data"
        (data / "folder").mkdir(parents=True, exist_ok=True)
        for name, text in _BESIDE.items():
            (data / name).write_text(text, "utf-8")
        for name in ("pipe", "_pipe.yaml"):
            os.mkfifo(data / name)
        links = {"zero": "/dev/zero", "_zero.yaml": "/dev/zero", "gone.jsonl": "nowhere", "self": "self"}
        for name, target in {**links, "out.jsonl": str(outside), "_out.yaml": str(outside)}.items():
            (data / name).symlink_to(target)

    def put(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            (self.root / name).write_bytes(data)

    @contextlib.contextmanager
    def with_files(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """These files, and afterwards what stood there before."""
        before = {name: path.read_bytes() for name in files if (path := self.root / name).is_file()}
        self.put(files)
        yield
        self.put(before)

    def try_specs(self, names: list[str], *, trusted: bool = False) -> Tried:
        """Plan specs as every verb does; the limits are held while it is planned and while its faults are said."""
        shelf = Shelf(self.root, lambda text: None, trusted=trusted)
        faults: list[Fault] = []
        said = broke = ""
        plan: Plan | None = None
        before, began = peak(), time.process_time()
        try:
            with limited():
                try:
                    plan = read_plan([self.root / name for name in names], shelf)
                except SpecFaults as stop:
                    faults, said = stop.faults, str(stop)
        except Hung:
            broke = f"it takes longer than {SECONDS:g} s\n{traceback.format_exc(limit=-8)}"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            broke = f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-8)}"
        seconds, grown = time.process_time() - began, peak() - before
        if not broke and grown > MEMORY:
            broke = f"it takes {grown >> 20} MB"
        return Tried(faults, broke or _wrongly_said(faults, said) or _lost(plan), seconds, grown)


def _lost(plan: Plan | None) -> str:
    """What of a plan is not there any more once it was written and read: what was filled in may be of another type."""
    try:
        same = plan is None or msgspec.json.decode(to_json(plan), type=Plan) == plan
    except (msgspec.MsgspecError, UnicodeEncodeError, ValueError) as error:
        return f"the plan can't be written and read: {type(error).__name__}: {error}"
    return "" if same else "the plan is another once it was written and read"


def _wrongly_said(faults: list[Fault], said: str) -> str:
    """What is wrong with how faults are told."""
    if odd := next((c for c in said if not c.isprintable() and c != "\n"), ""):
        return f"U+{ord(odd):04X} is said"
    for fault in faults:
        lines = fault.spot.page.text.count("\n") + 2
        if min(fault.spot.line, fault.spot.column) < 1 or (fault.spot.page.text and fault.spot.line > lines):
            return f"{fault.spot} is no place: {fault.what}"
        shown = str(fault).split("\n")
        if not fault.code or not fault.what or len(shown) not in (1, 3) or max(map(len, shown)) > 5000:
            return f"{fault.spot}: {fault.code!r} {fault.what!r} {fault.instead!r} is no one line"
        if "can't make sense of this" in fault.what:
            return f"a room tripped: {fault.spot}: {fault.what}"
        try:
            str(fault).encode()
        except UnicodeEncodeError:
            return f"{fault.spot} can't be printed"
    return ""


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGPROF, stop), signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])
