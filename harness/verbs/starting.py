"""`hallmark init`: a project to start from."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from harness.verbs.given import Mistake, Verb

_SPEC = """\
# yaml-language-server: $schema=spec.schema.json
hallmark: 1
name: "{name}"
about: what this model must do

models:
  parrot: {{echo: {{}}}}                # answers what it is asked: put your model here
  # saved: {{replay: answers.jsonl}}   # or certify answers that you already have

checks:
  - name: repeats
    kind: golden
    model: parrot
    cases: ../golden/cases.jsonl
    compare: normalised
"""
_CASES = """\
{"id": "greeting", "input": "Good morning!", "expect": "good morning"}
{"id": "farewell", "input": "See you.", "expect": "see you"}
"""


def offer(verb: Verb) -> None:
    verb("init", _init, "Start a project: a spec and its cases, ready to run.").add_argument("folder", metavar="DIR")


def _init(given: argparse.Namespace) -> int:
    from harness.codec import to_pretty_json
    from harness.spec.envelope import spec_schema

    folder = Path(given.folder)
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", folder.absolute().name).lstrip("._-") or "project"
    marker = {} if _in_a_project(folder) else {"pytest.ini": b"[pytest]\ntestpaths = specs\n", ".gitignore": b"runs/\n"}
    files = {
        **marker,
        f"specs/{name}.yaml": _SPEC.format(name=name).encode(),
        "specs/spec.schema.json": to_pretty_json(spec_schema()),
        "golden/cases.jsonl": _CASES.encode(),
    }
    if taken := [path for path in files if (folder / path).exists()]:
        raise Mistake(f"{folder / taken[0]} is there already; nothing was written")
    try:
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
            print(folder / path)
    except OSError as error:
        raise Mistake(f"{error.filename} can't be written: {error.strerror}") from None
    print(f"next: cd {folder} && hallmark run specs")
    return 0


def _in_a_project(folder: Path) -> bool:
    """Whether a folder above marks the project's root; where none does, we write the mark."""
    from harness.spec.places import find_root, marks_root

    return marks_root(find_root(folder.absolute()))
