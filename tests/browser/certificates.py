"""Real runs that end in each of the four statuses, told through the command as users run it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Project

STATUSES = ("certified", "blocked", "inconclusive", "incomplete")

MODELS = "{base: {echo: {}}, shaky: {echo: {wrong: [word-07, word-19]}}, saved: {replay: answers.jsonl}}"
SAVED = "{saved: {replay: answers.jsonl}}"
CERTIFIED = """\
  - {name: words, about: Says every word again, kind: golden, model: [base, saved], cases: words.jsonl}
  - {name: most, kind: golden, model: shaky, cases: words.jsonl, gate: {pass_rate: 0.9}}
  - {name: repeatable, kind: determinism, model: base, cases: words.jsonl, runs: 3, vary: [repeat, order]}
  - {name: no-worse, kind: ab, baseline: base, candidate: saved, cases: words.jsonl, claim: {noninferior: {margin: 0.2}}}
  - {name: clean, kind: security, scan: {secrets: {paths: [words.jsonl]}}}
  - {name: every, kind: golden, model: shaky, cases: words.jsonl}
certificate:
  criteria:
    - {id: accurate, needs: [words, most], why: It says what it is asked, weight: 50}
    - {id: steady, needs: [repeatable, no-worse], why: It says so every time, weight: 30}
    - {id: safe, needs: [clean], why: There is no key in it, weight: 20}
  expires: 90d
  waivers:
    - {check: every, who: Ada Reviewer, why: two words are known to be lost, until: "2999-12-31"}
"""
BLOCKED = """\
  - {name: words, about: Says every word again, kind: golden, model: [base, shaky], cases: words.jsonl}
  - {name: rated, kind: golden, model: shaky, cases: words.jsonl, gate: {pass_rate: 0.99}}
  - {name: no-worse, kind: ab, baseline: base, candidate: shaky, cases: words.jsonl, claim: {noninferior: {margin: 0.2}}}
  - {name: clean, kind: security, scan: {secrets: {paths: [key.txt]}}}
  - {name: later, kind: golden, model: base, cases: words.jsonl, after: [rated]}
certificate:
  criteria:
    - {id: accurate, needs: [words, rated], why: It says what it is asked}
    - {id: safe, needs: [clean], why: There is no key in it}
"""
INCONCLUSIVE = """\
  - {name: words, kind: golden, model: saved, cases: words.jsonl, gate: {pass_rate: 0.9}}
  - {name: drawn, about: In the world that they were drawn from, kind: golden, model: saved, cases: words.jsonl, gate: {pass_rate: 0.8, population: sample}}
certificate:
  criteria:
    - {id: accurate, needs: [words], why: It says what it is asked}
    - {id: general, needs: [drawn], why: It would say others too}
"""
SPECS = {"certified": CERTIFIED, "blocked": BLOCKED, "inconclusive": INCONCLUSIVE, "incomplete": CERTIFIED}
EXIT = {"certified": 0, "blocked": 1, "inconclusive": 6, "incomplete": 2}


def write(folder: Path, status: str) -> Project:
    """A project whose run ends in this status."""
    project = Project(folder)
    words = [f"word-{i:02d}" for i in range(24)]
    said = ["plain words", {"text": "words", "n": [1, 2]}, "日本語 naïve", 'a < b && "c"', "a long line of words " * 12]
    asked = {word: said[i % len(said)] if i % 7 else f"{word} {said[i % len(said)]}" for i, word in enumerate(words)}
    cases = [
        {"id": word, "input": what, "expect": what, "tags": ["even" if i % 2 == 0 else "odd", f"fifth-{i % 5}"]}
        for i, (word, what) in enumerate(asked.items())
    ]
    lost = ("word-07", "word-19") if status == "inconclusive" else ()
    answers = [{"id": word, "answer": "lost" if word in lost else what} for word, what in asked.items()]
    for path, rows in (("specs/words.jsonl", cases), ("specs/answers.jsonl", answers)):
        project.put(path, "".join(json.dumps(row) + "\n" for row in rows))
    project.put("specs/key.txt", "\n".join(["password = " + '"hJ8s0Kq2ZxvT4bNw"', "nothing", ""]))
    project.spec(SPECS[status], models=SAVED if status == "inconclusive" else MODELS)
    return project


def run(folder: Path, status: str) -> Path:
    """The folder of a run that ended in this status."""
    project = write(folder, status)
    ran = project.hallmark("run", "specs", "-n0", *(["-k", "word-1"] if status == "incomplete" else []))
    assert ran.status == EXIT[status], ran.out + ran.err
    assert ran.certificate.status == status
    return ran.run
