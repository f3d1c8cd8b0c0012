"""Parses and renders templates of strangers, in a process of its own; run by `python -I`, imports none of ours.

Standard input: JSON with the search path, the limits and the templates. Standard output: two lines of JSON a template,
what it says and what it does, each as soon as it is known; a template that takes too much time ends the process.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

INTERNAL = re.compile(
    r"__(bases?|builtins|call|class|closure|code|dict|func|getattribute|getitem|globals|import|init|init_subclass|loader"
    r"|module|mro|new|reduce|reduce_ex|self|spec|subclasses|wrapped)__|__class_getitem__"
    r"|\b(func|gi|cr|ag|tb|f|co)_(code|globals|frame|builtins|closure|locals|back|await)\b|\bmro\b"
)
"""Attributes through which objects lead to the interpreter."""
_LEADS = {"cycler", "joiner", "lipsum", "self", "config", "request", "get_flashed_messages", "url_for"}
_CALLS = {
    "__import__",
    "breakpoint",
    "compile",
    "delattr",
    "eval",
    "exec",
    "getattr",
    "globals",
    "input",
    "locals",
    "open",
}
_CALLS |= {"os", "setattr", "subprocess", "sys", "vars"}
_METHODS = {"check_output", "import_module", "popen", "Popen", "read_text", "spawn", "system", "write_text"}
_MAKES = {"format", "join", "lower", "replace", "reverse", "title", "capitalize", "swapcase", "upper"}
"""Filters and methods that make another text of one."""
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_MANY = 100_000
_STACKED = 3
"""Loops in one another that count."""
_USER = {"role": "user", "content": "What is the capital of France?"}
_SAID = {"role": "assistant", "content": "Paris."}
_SYSTEM = {"role": "system", "content": "You answer in one word."}
_CALL = {"type": "function", "id": "a12345678", "function": {"name": "weather", "arguments": {"place": "Paris"}}}
_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
_CONVERSATIONS: tuple[dict[str, Any], ...] = (
    {"messages": [_USER]},
    {"messages": [_SYSTEM, _USER, _SAID, _USER], "add_generation_prompt": True},
    {"messages": [_USER], "tools": [_TOOL], "documents": [{"title": "France", "text": "Its capital is Paris."}]},
    {
        "messages": [
            _USER,
            {"role": "assistant", "content": "", "tool_calls": [_CALL]},
            {"role": "tool", "name": "weather", "tool_call_id": "a12345678", "content": "sunny"},
        ],
        "tools": [_TOOL],
        "add_generation_prompt": True,
    },
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], "enable_thinking": False},
)
"""What is put into a template to see what it does."""

Told = list[tuple[str, int, str]]
"""A rule, a line, and what it is."""


def main() -> None:
    asked = json.load(sys.stdin)
    sys.path[:] = asked["path"]
    import jinja2  # noqa: F401  before memory is short

    _limit(asked["megabytes"])
    environment = environment_()
    for number, text in asked["templates"]:
        signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
        told = read(environment, text)
        print(json.dumps([number, False, told]), flush=True)
        if not any(rule in ("unread", "nested") for rule, _, _ in told):
            told = list(rendered(environment, text, asked["most"]))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps([number, True, told]), flush=True)


def _limit(megabytes: int) -> None:
    """Time that ends this process wherever it is: a handler would wait for the interpreter, which may be busy."""
    import resource

    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    for what, most in ((kind, megabytes << 20), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def read(environment: Any, text: str) -> Told:
    """What a template has in it."""
    import jinja2

    try:
        tree = environment.parse(text)
    except jinja2.TemplateSyntaxError as error:
        return [("unread", error.lineno or 0, f"it is no template: {str(error)[:200]}")]
    except (RecursionError, MemoryError):
        return [("nested", 0, "it is nested so deep that it can't be parsed")]
    try:
        return [*_read(tree), *_unseen(text)]
    except RecursionError:
        return [("nested", 0, "it is nested so deep that it can't be read")]


def environment_() -> Any:
    """What transformers and mlx-lm render chat templates in."""
    from jinja2 import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import CallBlock
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}`, which marks what the assistant says."""

        tags = {"generation"}  # noqa: RUF012  as its base says

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

        def _said(self, caller: Any) -> Any:
            return caller()

    class Refusal(TemplateError):
        """What a template says of a conversation that it was not made for."""

    def raise_exception(message: str) -> None:
        raise Refusal(message)

    def tojson(
        value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.extend(refusal=Refusal)
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda form: "2026-01-01"
    return made


# ------------------------------------------------------------------------------------- what it says


def _read(tree: Any) -> Iterator[tuple[str, int, str]]:
    from jinja2 import nodes

    made = {
        node.target.name
        for node in tree.find_all(nodes.Assign)
        if isinstance(node.target, nodes.Name) and _is_made_up(node.node, set())
    }
    for node in tree.find_all(nodes.Node):
        yield from _attribute(node)
        if isinstance(node, nodes.Getitem) and _is_made_up(node.arg, made):
            yield "attribute", node.lineno, "it takes a key whose name is made up as it runs"
        yield from _call(node)
        yield from _large(node)
        if isinstance(node, (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            yield "include", node.lineno, "it takes in another file"
        elif isinstance(node, nodes.Name) and node.name in _LEADS and node.ctx == "load":
            yield "lead", node.lineno, f"it uses `{node.name}`, which leads to what is around the template"
    yield from _stacked(tree, 0, 1)


def _attribute(node: Any) -> Iterator[tuple[str, int, str]]:
    from jinja2 import nodes

    said = ""
    if isinstance(node, nodes.Getattr):
        said = node.attr
    elif isinstance(node, nodes.Getitem):
        said = _text(node.arg)
    elif isinstance(node, (nodes.Const, nodes.Concat, nodes.Add)):
        said = _text(node)
    elif isinstance(node, nodes.Filter) and node.name in ("attr", "map", "selectattr", "rejectattr", "sort", "groupby"):
        named = [*node.args, *(keyword.value for keyword in node.kwargs)]
        said = " ".join(_text(arg) for arg in named)
        if node.name == "attr" and not said.strip():
            yield "attribute", node.lineno, "it takes an attribute whose name is made up as it runs"
    if found := INTERNAL.search(said):
        yield "attribute", node.lineno, f"it reaches for `{found.group()}`"
    elif isinstance(node, nodes.Getattr) and said.startswith("_"):
        yield "attribute", node.lineno, f"it reaches for `{said[:40]}`, which is nobody else's concern"


def _is_made_up(node: Any, made: set[str]) -> bool:
    """Whether a text is put together from what is not all constant; a number that is counted up is none."""
    from jinja2 import nodes

    if isinstance(node, nodes.Name):
        return node.name in made
    if isinstance(node, nodes.Concat):
        return not all(isinstance(each, nodes.Const) for each in node.nodes)
    if isinstance(node, (nodes.Add, nodes.Mod)):
        sides = [node.left, node.right]
        texts = any(isinstance(side, nodes.Const) and isinstance(side.value, str) for side in sides)
        mixed = not all(isinstance(side, nodes.Const) for side in sides)
        return (texts and mixed) or any(_is_made_up(side, made) for side in sides)
    if isinstance(node, nodes.Filter):
        return node.name in _MAKES
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr in _MAKES


def _text(node: Any) -> str:
    """What a text is that is put together of constants."""
    from jinja2 import nodes

    if isinstance(node, nodes.Const):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, nodes.Concat):
        return "".join(_text(each) for each in node.nodes)
    return _text(node.left) + _text(node.right) if isinstance(node, nodes.Add) else ""


def _call(node: Any) -> Iterator[tuple[str, int, str]]:
    from jinja2 import nodes

    if not isinstance(node, nodes.Call):
        return
    what = node.node
    if isinstance(what, nodes.Name) and what.name in _CALLS:
        yield "call", node.lineno, f"it calls `{what.name}`"
    elif isinstance(what, nodes.Getattr) and (what.attr in _METHODS or what.attr == "format_map"):
        yield "call", node.lineno, f"it calls `{what.attr}`"


def _large(node: Any) -> Iterator[tuple[str, int, str]]:
    """Numbers with which little text makes a lot of work."""
    from jinja2 import nodes

    if isinstance(node, nodes.Pow):
        yield "large", node.lineno, "it raises to a power, which a conversation has no use for"
    elif isinstance(node, (nodes.Mul, nodes.Call)):
        within = [node.left, node.right] if isinstance(node, nodes.Mul) else node.args
        for each in within:
            if isinstance(each, nodes.Const) and type(each.value) is int and abs(each.value) >= _MANY:
                yield "large", node.lineno, f"it counts to {each.value:,}"


def _stacked(node: Any, depth: int, count: int) -> Iterator[tuple[str, int, str]]:
    """Loops that count, in one another, and how often the innermost is gone through."""
    from jinja2 import nodes

    if isinstance(node, nodes.For):
        rounds = _rounds(node.iter)
        if rounds:
            depth, before, count = depth + 1, count, count * rounds
            if depth == _STACKED:
                yield "large", node.lineno, f"it counts in {_STACKED} loops in one another"
            elif depth > 1 and before < _MANY <= count:
                yield "large", node.lineno, f"it counts to {count:,} in loops in one another"
    for child in node.iter_child_nodes():
        yield from _stacked(child, depth, count)


def _rounds(node: Any) -> int:
    """How often a loop over a `range` is gone through: 0 where it is none, 1 where that can't be told."""
    from jinja2 import nodes

    while isinstance(node, nodes.Filter) and node.node is not None:
        node = node.node
    if not (isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "range"):
        return 0
    try:
        return max(1, len(range(*(each.as_const() for each in node.args))))
    except (nodes.Impossible, TypeError, ValueError, OverflowError):
        return 1


def _unseen(text: str) -> Iterator[tuple[str, int, str]]:
    if found := _UNSEEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        yield "unseen", line, f"it has signs that nobody sees, such as U+{ord(found.group()):04X}"


# ------------------------------------------------------------------------------------- what it does


def rendered(environment: Any, text: str, most: int) -> Iterator[tuple[str, int, str]]:
    import jinja2
    from jinja2.exceptions import SecurityError

    try:
        template = environment.from_string(text)
    except (RecursionError, MemoryError, SyntaxError):  # of the Python that it is turned into
        yield "nested", 0, "it is nested so deep that it can't be compiled"
        return
    except jinja2.TemplateSyntaxError as error:
        yield "unread", error.lineno or 0, f"it is no template: {str(error)[:200]}"
        return
    except Exception as error:  # what it works out while it is compiled
        yield "fails", 0, f"it can't be compiled: {type(error).__name__}"
        return
    trouble = []
    for conversation in _CONVERSATIONS:
        try:
            size = 0
            for piece in template.generate(**_filled(conversation)):
                size += len(piece)
                if size > most:
                    yield "output", 0, f"of a short conversation it makes more than {most:,} characters"
                    return
        except SecurityError as error:
            yield "sandbox", 0, f"it tries what the sandbox forbids: {str(error)[:200]}"
        except MemoryError:
            yield "memory", 0, "of a short conversation it takes more memory than it may have"
            return
        except RecursionError:
            yield "endless", 0, "it calls itself without end"
            return
        except OverflowError:
            yield "large", 0, "it counts further than the sandbox lets it"
        except environment.refusal:  # some take no system message
            continue
        except Exception as error:
            trouble.append(f"{type(error).__name__}: {str(error)[:100]}")
    if len(trouble) == len(_CONVERSATIONS):
        yield "fails", 0, f"it fails on every conversation: {trouble[0]}"


def _filled(conversation: dict[str, Any]) -> dict[str, Any]:
    words = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return {"add_generation_prompt": False, **words, **json.loads(json.dumps(conversation))}


if __name__ == "__main__":
    main()
    os._exit(0)
