"""What the performance gate says of models whose difference is known: real runs, `pytest -n auto`, work beside them.

    python benchmarks/performance.py [--checks 60] [--noisy 6]

Each check times a model of five matrix products in MLX against itself, or one of six of them against one of five, ten
processes of each as the kind does unless told. Another run measures golden cases again and again meanwhile: both want
the machine, and the lane gives it to one or to all. The median of one model is then taken alone, and under `-n auto`
beside that other run; and a program that is not ours loads a core now and then. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from racing import PYTEST

from harness.contract import CheckResult
from harness.pages import read_run
from harness.statistics.proportion import clopper_pearson

WORK = """
import mlx.core as mx

ONE = mx.random.normal((192, 192), key=mx.random.key(0))

def answer(times):
    made = ONE
    for _ in range(times):
        made = mx.tanh(made @ ONE)
    return round(float(made.sum()), 3)

def five(input):
    return answer(5)

def six(input):
    return answer(6)

def busy(input):
    return sum(range(200_000))
"""
MODELS = "{five: {python: 'work:five'}, six: {python: 'work:six'}, busy: {python: 'work:busy'}}"
SPEC = f"hallmark: 1\nmodels: {MODELS}\nchecks:\n"
CASES = "".join(f'{{"id": "c{at}", "input": {at}, "expect": 19999900000}}\n' for at in range(20))
MANY = "".join(f'{{"id": "c{at}", "input": {at}, "expect": 19999900000}}\n' for at in range(2_000))
BUSY = "  - {name: busy, kind: golden, model: busy, cases: many.jsonl}\n"


def timed(name: str, model: str, many: int, more: str) -> str:
    reps = f", matrix: {{rep: [{', '.join(map(str, range(many)))}]}}" if many > 1 else ""
    return f"  - {{name: {name}, kind: performance, model: {model}, cases: cases.jsonl{reps}, {more}}}\n"


class Place:
    """A project in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "specs").mkdir()
        (folder / "pytest.ini").write_text("[pytest]\nhallmark_allow_python = true\npythonpath = .\n")
        (folder / "work.py").write_text(WORK)
        (folder / "specs/cases.jsonl").write_text(CASES)
        (folder / "specs/many.jsonl").write_text(MANY)
        self.environ = {**os.environ, "HALLMARK_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder)}

    def command(self, name: str, *argv: str) -> list[str]:
        return [*PYTEST, "-q", f"specs/{name}.yaml", "--hallmark-runs", f"runs-{name}", *argv]

    def run(self, name: str, checks: str, *argv: str) -> list[CheckResult]:
        (self.folder / f"specs/{name}.yaml").write_text(SPEC + checks)
        done = subprocess.run(
            self.command(name, *argv), check=False, cwd=self.folder, env=self.environ, capture_output=True, text=True
        )
        latest = self.folder / f"runs-{name}" / "latest"
        if not latest.exists():
            sys.exit(done.stdout + done.stderr)
        return [result for result in read_run(latest).certificate.checks if result.kind == "performance"]

    def beside(self) -> contextlib.AbstractContextManager[None]:
        """Another run after another, all the time."""
        (self.folder / "specs/beside.yaml").write_text(SPEC + BUSY)

        def again(over: threading.Event) -> None:
            while not over.is_set():
                command = self.command("beside", "-n2")
                subprocess.run(command, check=False, cwd=self.folder, env=self.environ, capture_output=True)

        return meanwhile(again)


def hog() -> contextlib.AbstractContextManager[None]:
    """A program that is not ours loads a core, on for ten seconds and off for five."""

    def on_and_off(over: threading.Event) -> None:
        while not over.is_set():
            with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
                over.wait(10)
                process.kill()
            over.wait(5)

    return meanwhile(on_and_off)


@contextlib.contextmanager
def meanwhile(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Something goes on until it is over."""
    over = threading.Event()
    thread = threading.Thread(target=act, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def told(title: str, results: list[CheckResult], word: str) -> None:
    counts = Counter(
        "contaminated" if result.reason.startswith("contaminated") else result.verdict for result in results
    )
    low, high = clopper_pearson(counts[word], len(results), 0.95)
    ratios = sorted(result.figures["ratio"] for result in results if "ratio" in result.figures)
    said = f", ratios {ratios[0]:.3f} to {ratios[-1]:.3f}" if ratios else ""
    share = f"{word} {counts[word] / len(results):.3f}, one-sided 95 % bounds {low:.3f} and {high:.3f}"
    print(f"{title}: {dict(counts)}; {share}{said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=60)
    parser.add_argument("--noisy", type=int, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place, begin = Place(Path(name)), time.monotonic()
        with place.beside():
            same = place.run("same", timed("same", "five", given.checks, "against: five") + BUSY, "-n", "auto")
            told("against itself", same, "fail")
            slower = place.run("slower", timed("slower", "six", given.checks, "against: five") + BUSY, "-n", "auto")
            told("a fifth slower", slower, "fail")
        median = "budget: {latency_ms: {p50: 1000}}"
        alone = place.run("alone", timed("alone", "five", 1, median), "-n0")
        with place.beside():
            among = place.run("among", timed("among", "five", 1, median) + BUSY, "-n", "auto")
        for word, (result,) in (("alone", alone), ("under -n auto, beside another run", among)):
            assert result.interval
            low, high = result.interval
            print(f"median {word}: {result.estimate:.4f} ms, between {low:.4f} and {high:.4f}")
        with hog():
            more = "against: five, patience: 3"
            told(
                "a core loaded now and then",
                place.run("noisy", timed("noisy", "five", given.noisy, more), "-n2"),
                "fail",
            )
        print(f"{time.monotonic() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
