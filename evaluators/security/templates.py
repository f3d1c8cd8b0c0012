"""Chat templates that reach for what is behind them, or that don't come to an end: read, and rendered apart.

templates: {paths: [../models], exclude: ["**/*.html.jinja"]}

Read are `*.jinja` files, the `chat_template` of tokenizers and processors, and that of GGUF files. Each is rendered
with a few short conversations in a process of its own, as transformers would, with little time and memory.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from evaluators.security import files as walking
from evaluators.security import model_files, model_files_gguf
from evaluators.security.finding import Finding, Look, Scanned, identify

SCHEMA: dict[str, Any] = {
    "properties": {
        "paths": walking.PATHS,
        "exclude": walking.EXCLUDE,
        "seconds": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 60,
            "description": "the seconds of a processor that a template may take, up to 60; 2 unless told",
        },
    },
}
VERSION = 1
"""Raised whenever the same template may get other findings."""
SECONDS = 2.0
MEGABYTES = 512
OUTPUT = 1_000_000
"""Characters that a template may make of a short conversation."""
_LARGEST = 4_000_000
_IDLE = 60.0
"""Seconds after which a template is given up on that takes no processor either."""

_RULES = {
    "attribute": ("high", "a template that reaches for what is behind its values"),
    "sandbox": ("high", "a template that tries what the sandbox forbids"),
    "call": ("high", "a template that calls what runs programs or reads files"),
    "endless": ("high", "a template that does not come to an end"),
    "memory": ("high", "a template that takes memory beyond measure"),
    "output": ("high", "a template that makes beyond measure of a short conversation"),
    "crash": ("high", "a template that ends the program that renders it"),
    "large": ("medium", "a template that counts far, or raises to a power"),
    "nested": ("medium", "a template that is nested too deep"),
    "include": ("medium", "a template that takes in other files"),
    "unseen": ("medium", "a template with signs that nobody sees"),
    "lead": ("low", "a template that uses names which lead to what is around it"),
    "fails": ("low", "a template that fails on every conversation"),
}
_FIX = "Read the template; take it from whoever made the model, and don't open it outside of a sandbox."
_JINJA = (".jinja", ".jinja2", ".j2")
_CONFIGS = ("tokenizer_config.json", "processor_config.json", "chat_template.json")
_ENDINGS = (*_JINJA, *_CONFIGS, ".gguf")


Told = tuple[str, int, str]
"""A rule, a line of the template, and what it is."""


class Template(NamedTuple):
    """A template, and where it is."""

    path: str
    name: str
    """What it is called in its file; empty where it is the file."""
    line: int
    """Where it begins in a file that has more; 0 where that can't be told."""
    text: str


def rules() -> Mapping[str, str]:
    return {rule: what for rule, (_, what) in _RULES.items()}


def version() -> str:
    return f"templates {VERSION} with jinja2 {metadata.version('jinja2')}"


def subjects(options: Mapping[str, Any], root: Path, look: Look) -> list[Path]:
    found = walking.walk(root, options.get("paths", ()), options.get("exclude", ()))
    found[:] = [file for file in found if _may_have(file, file.name)]
    return model_files.with_folder(
        found, (named for named in model_files.folder(look) if _may_have(named.file, named.shown))
    )


def _may_have(file: Path, shown: str) -> bool:
    """Whether a file is one that has templates, by its name or because it is a GGUF file."""
    return shown.lower().endswith(_ENDINGS) or _is_gguf(file)


def _is_gguf(file: Path) -> bool:
    with suppress(walking.Unreadable, OSError):
        return walking.head(file, 4) == b"GGUF"
    return False


def besides(options: Mapping[str, Any], look: Look) -> str:
    return model_files.besides(options, look)


def scan(options: Mapping[str, Any], root: Path, files: Sequence[Path], look: Look) -> Scanned:
    names = model_files.names_of(look)
    scanned = Scanned([], [])
    templates: list[Template] = []
    for file in files:
        called = [name for name in names.get(file, ()) if _may_have(file, name)]
        for shown in called or [walking.shown(file, root)]:
            try:
                templates += _templates(file, shown)
            except (OSError, ValueError, RecursionError, walking.Unreadable) as error:
                scanned.unread.append((shown, str(error)[:200]))
    for template, told in rendered(templates, options.get("seconds", SECONDS)):
        for rule, line, what in told:
            if rule == "unread":
                scanned.unread.append((template.path, what))
            else:
                scanned.findings.append(_finding(template, rule, line, what))
    return scanned


def _finding(template: Template, rule: str, line: int, what: str) -> Finding:
    lines = template.text.split("\n")
    words = lines[line - 1] if 0 < line <= len(lines) else what
    if template.name:
        what = f"{template.name}: {what}" + (f" in its line {line}" if line else "")
    severity, _ = _RULES[rule]
    return Finding(
        rule=rule,
        severity=severity,  # type: ignore[arg-type]
        path=template.path,
        line=template.line if template.name else line,
        what=what,
        fix=_FIX,
        id=identify(rule, template.path, f"{template.name} {words}"),
    )


def _templates(file: Path, shown: str) -> Iterator[Template]:
    """The templates in a file; ValueError where it can't be read as what it is."""
    if shown.lower().endswith(".gguf") or _is_gguf(file):
        header = model_files_gguf.read(file)
        for rule, what in header.faults:
            if rule != "gguf-layout":
                raise ValueError(f"its header can't be read: {what}")
        for key, text in header.templates.items():
            yield Template(shown, key, 0, text)
        return
    text = walking.read(file, _LARGEST).decode("utf-8-sig")
    if shown.lower().endswith(_JINJA):
        yield Template(shown, "", 0, text)
        return
    said = json.loads(text, object_pairs_hook=_once)
    held = said.get("chat_template") if isinstance(said, dict) else None
    at = text.find('"chat_template"')
    line = text.count("\n", 0, at) + 1 if at >= 0 else 0
    if isinstance(held, str):
        yield Template(shown, "chat_template", line, held)
    elif isinstance(held, Mapping):
        held = [{"name": name, "template": each} for name, each in held.items()]
    if isinstance(held, list):
        for each in held:
            if not (isinstance(each, dict) and isinstance(each.get("template"), str)):
                raise ValueError("its chat templates are not a list of names and texts")
            yield Template(shown, f"chat_template {ascii(each.get('name'))[:80]}", line, each["template"])
    elif held is not None and not isinstance(held, str):
        raise ValueError("its chat template is no text")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; ValueError where readers would differ in which template they take of it."""
    names = [name for name, _ in pairs]
    for name in ("chat_template", "template"):
        if names.count(name) > 1:
            raise ValueError(f"`{name}` is in it twice: readers differ in which one they take")
    return dict(pairs)


def rendered(templates: Sequence[Template], seconds: float) -> Iterator[tuple[Template, list[Told]]]:
    """What is told of each template. One that ends its process is told by that, and the rest go on in another."""
    waiting = dict(enumerate(templates))
    while waiting:
        told: dict[int, list[Told]] = {}
        lines, why = _apart([(number, template.text) for number, template in waiting.items()], seconds)
        for number, done, said in lines:
            told.setdefault(number, []).extend(said)
            if done:
                yield waiting.pop(number), list(dict.fromkeys(told[number]))
        if waiting:
            number = next(iter(waiting))
            yield waiting.pop(number), list(dict.fromkeys([*told.get(number, []), why]))


def _apart(templates: Sequence[tuple[int, str]], seconds: float) -> tuple[list[tuple[int, bool, list[Told]]], Told]:
    """What a process says of templates before it ends, and why it ended where it did not say all."""
    asked = {
        "path": sys.path,
        "templates": templates,
        "seconds": seconds,
        "megabytes": MEGABYTES,
        "most": OUTPUT,
    }
    program = [sys.executable, "-I", str(Path(__file__).with_name("templates_rendering.py"))]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    idle = False
    try:
        data, _ = process.communicate(json.dumps(asked).encode(), timeout=_IDLE + len(templates) * (seconds + 1))
    except subprocess.TimeoutExpired:
        idle = True
        process.kill()
        data, _ = process.communicate()
    said = []
    for line in data.split(b"\n"):
        with suppress(ValueError):
            number, done, told = json.loads(line)
            said.append((number, done, [(rule, at, what) for rule, at, what in told]))
    return said, _why(process.returncode, idle, seconds)


def _why(status: int, idle: bool, seconds: float) -> Told:
    if idle or status == -signal.SIGPROF:
        return "endless", 0, f"of short conversations it was not done after {seconds:g} s"
    if status < 0:
        with suppress(ValueError):
            return "crash", 0, f"rendering it ends the process by {signal.Signals(-status).name}"
    return "crash", 0, f"rendering it ends the process with status {status}"
