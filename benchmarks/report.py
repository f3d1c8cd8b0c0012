"""The report of many cases: how long it takes to write and to open, how large it is, and how soon a filter shows.

    python benchmarks/report.py [--cases 10 1000 10000] [--runs 5]

Times are medians, on this machine. A page is open when its DOM is loaded, and told when everything in it is; a filter
is timed from the key, or the choice, to the frame that shows what fits. One case in forty misses.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from harness.pages import read_run
from reports import html

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NAVIGATION = """
() => {
  const at = performance.getEntriesByType("navigation")[0];
  return [at.domContentLoadedEventEnd, at.loadEventEnd];
}
"""
FILTER = """
([id, value]) => new Promise((done) => {
  const control = document.getElementById(id), said = document.getElementById("shown"), before = said.textContent;
  const start = performance.now();
  new MutationObserver((_, watch) => {
    if (said.textContent === before) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
  }).observe(said, { childList: true, characterData: true, subtree: true });
  control.value = value;
  control.dispatchEvent(new Event(id === "filter" ? "input" : "change"));
})
"""
ASKED = [("filter", "input 1"), ("filter", "nobody said this"), ("filter-outcome", "missed"), ("filter-tag", "tenth-3")]
HEADS = ["cases", "report MB", "packed MB", "record MB", "tell s", "open ms", "whole ms"]
HEADS += ["text ms", "text of none ms", "outcome ms", "tag ms"]


def run(folder: Path, n: int) -> Path:
    """The folder of a real run of so many cases."""
    (folder / "specs").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    cases = (
        {"id": f"c{i}", "input": f"input {i}", "expect": f"input {i}", "tags": [f"tenth-{i % 10}"]} for i in range(n)
    )
    (folder / "specs/c.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    wrong = json.dumps([f"c{i}" for i in range(5, n, 40)])
    (folder / "specs/s.yaml").write_text(
        f"hallmark: 1\nmodels: {{m: {{echo: {{wrong: {wrong}}}}}}}\n"
        "checks: [{name: all, kind: golden, model: m, cases: c.jsonl, gate: {pass_rate: 0.9}}]\n"
    )
    command = [sys.executable, "-m", "harness.cli", "run", "specs", "-n0"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return (folder / "runs/latest").resolve()


def write(folder: Path, runs: int) -> tuple[bytes, float]:
    """The page, and the seconds that it takes to write it, less those of reading the run and judging it."""
    page, seconds = b"", []
    for _ in range(runs):
        told = read_run(folder)
        _ = told.certificate
        start = time.perf_counter()
        page = html.tell(told)
        seconds.append(time.perf_counter() - start)
    return page, median(seconds)


def visit(browser: Browser, path: Path, runs: int) -> list[float]:
    found = []
    for _ in range(runs):
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_timeout(100)
        row = page.evaluate(NAVIGATION)
        for id, value in ASKED:
            row.append(page.evaluate(FILTER, [id, value]))
            page.evaluate("document.getElementById('reset').click()")
        found.append(row)
        page.close()
    return [median(column) for column in zip(*found, strict=True)]


def row(browser: Browser, folder: Path, n: int, runs: int) -> list[str]:
    at = run(folder, n)
    page, seconds = write(at, runs)
    (at / "report.html").write_bytes(page)
    sizes = [len(page), len(zlib.compress(page)), sum(len(text) for text in html.record_of(page).values())]
    times = visit(browser, at / "report.html", runs)
    return [f"{n:,}", *(f"{size / 1e6:.3f}" for size in sizes), f"{seconds:.3f}", *(f"{each:.0f}" for each in times)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", type=int, nargs="+", default=[10, 1000, 10000])
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        print("| " + " | ".join(HEADS) + " |\n|" + " ---: |" * len(HEADS))
        for n in given.cases:
            print("| " + " | ".join(row(browser, Path(name) / str(n), n, given.runs)) + " |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
