"""A model that says what it is asked, for trying things out; on demand it fails, hangs or crashes.

models:
  parrot: {echo: {}}
  shaky:  {echo: {fail: [case-3], crash: [case-7], wrong: [case-9], seconds: 0.01}}
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.contract import Question, Site

_IDS = {"type": "array", "items": {"type": "string"}, "description": "a list of case ids"}
SCHEMA = {
    "properties": {
        "echo": {
            "type": "object",
            "properties": {
                "wrong": {**_IDS, "description": "a list of case ids to answer with null"},
                "fail": {**_IDS, "description": "a list of case ids to raise an error on"},
                "hang": {**_IDS, "description": "a list of case ids never to answer"},
                "crash": {**_IDS, "description": "a list of case ids to kill the process on"},
                "seconds": {"type": "number", "minimum": 0, "description": "the seconds to take over each answer"},
            },
            "additionalProperties": False,
            "description": "options, {} for none",
        }
    }
}
BATCH = 250


class Echo:
    digest = "echo"
    together = False
    anew = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.seconds = options.get("seconds", 0)
        self.moods = {id_: mood for mood in ("wrong", "fail", "hang", "crash") for id_ in options.get(mood, ())}

    def answer(self, questions: Sequence[Question]) -> Iterator[Any]:
        for question in questions:
            if self.seconds:
                time.sleep(self.seconds)
            mood = self.moods.get(question.id) if self.moods else None
            if mood is None:
                yield question.input
            elif mood == "wrong":
                yield None
            elif mood == "fail":
                raise RuntimeError("asked to fail")
            elif mood == "hang":
                while True:
                    time.sleep(3600)
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def facts(self) -> Mapping[str, Any]:
        return {}


def open(options: Mapping[str, Any], site: Site) -> Echo:
    return Echo(options["echo"])
