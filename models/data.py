"""Examples to learn, calibrate or score from: one JSON object a line, in any of four shapes.

{"input": ..., "expect": ...}                what a case is; `expect` may be left out, `id` and `tags` may stand there
{"prompt": "12 + 5 =", "completion": " 17"}  a text and what should follow it
{"text": "..."}                              a text, all of it to be learned
{"messages": [{"role": ..., "content": ...}, ...]}   a chat; a last answer of the assistant is what is expected
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from harness.codec import asked, digest_of, plain, plain_question
from harness.contract import NotPlain, Refused, Site

_FORMS = {"input": {"expect"}, "prompt": {"completion"}, "text": set[str](), "messages": set[str]()}
_ANYWHERE = {"id", "tags", "weight", "cluster"}


class Example(NamedTuple):
    """What is shown, and what should come of it: UNSET where the example is a whole text."""

    input: Any
    expect: Any | UnsetType = UNSET


class CalibrationDataset:
    """A file of examples, with a digest of what they say and a way to tell whether a test asks any of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.examples = read_examples(path)

    @cached_property
    def digest(self) -> str:
        """Of the examples in their order: how they are spelled, and their ids and tags, make no difference."""
        return digest_of([[plain_question(e.input), *([] if e.expect is UNSET else [e.expect])] for e in self.examples])

    def overlap(self, inputs: Iterable[Any]) -> list[Any]:
        """Those of the inputs that stand in the file."""
        return [input for input in inputs if asked(input) in self._inputs]

    @cached_property
    def _inputs(self) -> frozenset[str]:
        return frozenset(asked(example.input) for example in self.examples)


def read_examples(path: Path) -> list[Example]:
    """The examples of a .jsonl file, in its order; Refused, naming the line, where one is not an example."""
    if path.suffix != ".jsonl":
        raise Refused(f"`{path.name}` is not a .jsonl file; write one example a line as JSON")
    try:
        data = path.read_bytes()
    except OSError:
        raise Refused(f"there is no file `{path.name}`") from None
    examples = [_example(f"{path.name}:{number}", line) for number, line in _lines(data)]
    if not examples:
        raise Refused(f"`{path.name}` has no example; write at least one")
    return examples


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield number, line


def _example(at: str, line: bytes) -> Example:
    try:
        row = plain(json.loads(line, object_pairs_hook=_once, parse_constant=_no_number))
    except NotPlain as error:
        raise Refused(f"{at}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{at}: this is not JSON: {error}") from None
    forms = [form for form in _FORMS if isinstance(row, dict) and form in row]
    if len(forms) != 1:
        raise Refused(f"{at}: an example has one of `input`, `prompt`, `text`, `messages`")
    (form,) = forms
    if odd := sorted(row.keys() - _FORMS[form] - _ANYWHERE - {form}):
        raise Refused(f"{at}: `{odd[0]}` does not go with `{form}`")
    if form == "input":
        return Example(row["input"], row.get("expect", UNSET))
    if form == "messages":
        return _chat(at, row["messages"])
    for key in (form, *_FORMS[form]):
        if not isinstance(row.get(key), str):
            raise Refused(f"{at}: `{key}` is a text")
    return Example(row[form], row.get("completion", UNSET))


def _chat(at: str, messages: Any) -> Example:
    """A chat to continue; the assistant's last word, if it has it, is what should be said."""
    listed = messages if isinstance(messages, list) else []
    if not listed or not all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str) for m in listed
    ):
        raise Refused(f"{at}: `messages` is a list of {{role, content}}, both texts")
    *before, last = listed
    if before and last["role"] == "assistant":
        return Example({"messages": before}, last["content"])
    return Example({"messages": listed})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def learned(options: Mapping[str, Any], site: Site) -> Iterator[Any]:
    """The inputs that a step learns from, which no check may ask: what a variant offers as its `learned`."""
    if "data" in options:
        for example in read_examples(site.root / options["data"]):
            yield example.input
