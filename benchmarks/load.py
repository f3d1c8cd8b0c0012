"""Users on real servers: what locust and we say of the same load, and how soon nothing is left of one that is killed.

    python benchmarks/load.py [--seconds 8] [--users 10 50 100]

A server of a few lines, and mlx_lm.server on the zoo's llama, whose answers are all compared. Others on the machine are
told of, and not waited for: the figures are of this load, whatever the verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests/evaluators/load_server.py"
MARK = f"HALLMARK_BENCHMARK_{os.getpid()}"
SPEC = """hallmark: 1
models:
  there: {{http: {{url: "http://127.0.0.1:{port}/v1", model: m}}}}
  base: {{zoo: llama, seed: 0, generate: {{max_tokens: 16}}}}
defaults: {{load: {{users: {users}, duration: {seconds}s, compare: {{text: exact}}, patience: 0, timeout: 60}}}}
checks:
  - {{name: tiny, kind: load, model: there, cases: tiny.jsonl}}
  - {{name: llama, kind: load, model: base, serve: mlx_lm, cases: sums.jsonl}}
"""


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--seconds", type=float, default=8.0)
    read.add_argument("--users", type=int, nargs="+", default=[10, 50, 100])
    given = read.parse_args()
    with tempfile.TemporaryDirectory() as name, tiny() as port:
        folder = Path(name)
        prepare(folder, port, given.users, given.seconds)
        for check in ("tiny", "llama"):
            subprocess.run(command(check), cwd=folder, capture_output=True, check=False)
            told(check, folder)
        killed(folder)


def prepare(folder: Path, port: int, users: Sequence[int], seconds: float) -> None:
    (folder / "specs").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "specs/a.yaml").write_text(SPEC.format(port=port, users=list(users), seconds=seconds))
    lines = [{"id": f"c{i}", "input": f"hello {i}", "expect": {"text": f"HELLO {i}"}} for i in range(100)]
    (folder / "specs/tiny.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "specs/sums.jsonl").write_bytes((ROOT / "golden/llama/sums.jsonl").read_bytes())


def command(check: str) -> list[str]:
    return [sys.executable, "-m", "harness.cli", "run", f"specs/a.yaml::load::{check}", "-n", "2"]


@contextmanager
def tiny() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with subprocess.Popen([sys.executable, str(TINY), "--port", str(port)], stdout=subprocess.DEVNULL) as process:
        yield port
        process.kill()


def told(check: str, folder: Path) -> None:
    """What both say of each stage."""
    lines = map(json.loads, (folder / "runs/latest/outcomes.jsonl").read_text().splitlines())
    outcomes = {line["case"]: line for line in lines if line["is"] == "outcome"}
    load = outcomes.pop("load")
    if load["outcome"] != "met":
        print(f"{check}: {load['reason']}")
        return
    answered = sum(each["answer"]["answered"] for each in outcomes.values())
    wrong = sum(each["answer"].get("wrong", 0) for each in outcomes.values())
    print(f"{check}: {answered:,} answers under load compared, {wrong} of them wrong")
    print("  users  requests   a second     p50     p95     p99  (locust's)              locust, others: cores busy")
    for stage in load["answer"]["stages"]:
        each, locust = stage["requests"], stage["locust"]
        ms = sorted(each["ms"])
        ours = [ms[min(len(ms) - 1, int(q * len(ms)))] for q in (0.5, 0.95, 0.99)]
        theirs = [locust[word] for word in ("p50", "p95", "p99")]
        shown = "".join(f"{value:8.1f}" for value in ours) + "  (" + ", ".join(f"{value:g}" for value in theirs) + ")"
        rate = sum(each["ok"]) / stage["lasted_s"]
        busy = f"{stage.get('generator', 0):.2f}, {stage['noise'].get('foreign', 0):.2f}"
        print(f"  {stage['users']:5}  {len(ms):8,}  {rate:9.1f}{shown:50} {busy}")


def killed(folder: Path) -> None:
    """How long something is left of a run whose process is killed in the middle of its load."""
    for word, number in (("SIGKILL", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)):
        words = [*command("llama"), "-p", "no:cacheprovider"]
        with subprocess.Popen(
            words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "MARK": MARK}
        ) as run:
            while not any("locust" in part for process in marked() for part in arguments(process)):
                time.sleep(0.05)
            time.sleep(1.0)
            many, begin = len(marked()), time.monotonic()
            run.send_signal(number)
            run.wait()
        while marked():
            time.sleep(0.05)
        print(f"{word}: of {many} processes none was left after {time.monotonic() - begin:.1f} s")


def marked() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == MARK and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def arguments(process: psutil.Process) -> list[str]:
    try:
        found: list[Any] = process.cmdline()
    except psutil.Error:
        return []
    return found


if __name__ == "__main__":
    main()
