"""Answers recorded elsewhere, by case id: a team certifies outputs that it already has.

models:
  saved: {replay: answers.jsonl}          # one {"id": ..., "answer": ...} a line
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.codec import digest
from harness.contract import Objection, Question, Refused, Site

SCHEMA = {
    "properties": {"replay": {"type": "string", "format": "file", "description": "a file with one {id, answer} a line"}}
}
BATCH = 250


class Replay:
    together = False

    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        self.digest = digest(data)
        self.answers, objections = read_answers(data)
        if objections:
            raise ValueError(objections[0])

    def answer(self, questions: Sequence[Question]) -> Iterator[Any]:
        for question in questions:
            if question.id not in self.answers:
                raise Refused(f"no answer is recorded for `{question.id}`")
            yield self.answers[question.id]

    def facts(self) -> Mapping[str, Any]:
        return {"answers": len(self.answers), "files": {self.file: self.digest}}


def open(options: Mapping[str, Any], site: Site) -> Replay:
    return Replay(options["replay"], (site.root / options["replay"]).read_bytes())


def faults(options: Mapping[str, Any], site: Site) -> Iterator[Objection]:
    try:
        _, objections = read_answers((site.root / options["replay"]).read_bytes())
    except OSError:
        return
    for said in objections:
        yield Objection(
            ("replay",), "answers", f"{options['replay']}:{said}", 'write {"id": ..., "answer": ...} on each line'
        )


def remarks(options: Mapping[str, Any], site: Site, ids: set[str]) -> Iterator[str]:
    answers, _ = read_answers((site.root / options["replay"]).read_bytes())
    if unknown := sorted(answers.keys() - ids):
        yield f"{options['replay']} has answers that no check asks for, {len(unknown)} in all: {_some(unknown)}"
    if lacking := sorted(ids - answers.keys()):
        yield f"{options['replay']} lacks answers that a check asks for, {len(lacking)} in all: {_some(lacking)}"


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (" ..." if len(ids) > 5 else "")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def read_answers(data: bytes) -> tuple[dict[str, Any], list[str]]:
    """The answers by id, and what is wrong with the lines that hold none, each with its number."""
    answers: dict[str, Any] = {}
    wrong: list[str] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            wrong.append(f"{number}: this is not JSON: {error}")
            continue
        if not isinstance(said, dict) or not isinstance(said.get("id"), str) or said.keys() != {"id", "answer"}:
            wrong.append(f"{number}: a line is an object of `id`, a text, and `answer`")
        elif not _encodable(said["id"]):
            wrong.append(f"{number}: the id holds a lone surrogate")
        elif said["id"] in answers:
            wrong.append(f"{number}: `{said['id']}` has an answer already")
        else:
            answers[said["id"]] = said["answer"]
    return answers, wrong[:20]


def _encodable(text: str) -> bool:
    return all(not "\ud800" <= c <= "\udfff" for c in text)
