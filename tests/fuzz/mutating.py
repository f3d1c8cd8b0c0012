"""One thing changed in a spec that was good, and the lines where whoever looks for it would look.

Those are the lines of what was changed; of what was taken out the line where it stood, and the line where what
lacks it now begins; of a name, the lines where it is used, since a reference that broke has two ends; of a default, where
the checks begin that it served; and of a check's kind the check, all of whose keys it gives their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, NamedTuple

from tests.fuzz.odd import DEEP, KEYS, MARKS, NUMBERS, ODD_KEYS, OTHER, SHAPES, SURPRISES, TEXTS
from tests.fuzz.tree import Pairs, Path, Raw, Span, Writer, at, copied, key_of, put, walk


class Changed(NamedTuple):
    """A tree after one change."""

    tree: Any
    parts: tuple[Path, ...]
    """What was changed or added."""
    lacking: tuple[Path, ...] = ()
    """What something was taken from."""
    beside: tuple[Path, ...] = ()
    """What stands next to where it was."""


class Text(NamedTuple):
    text: str
    lines: frozenset[int]


Mutation = Callable[[Random, Any, Any], Changed | None]


def _leaves(tree: Any) -> list[Path]:
    return [path for path, node in walk(tree) if path and not isinstance(node, list)]


def _parts(tree: Any) -> list[Path]:
    return [path for path, _ in walk(tree) if path]


def _mappings(tree: Any) -> list[Path]:
    return [path for path, node in walk(tree) if isinstance(node, Pairs)]


def _any(dice: Random, paths: list[Path]) -> Path | None:
    return dice.choice(paths) if paths else None


def _replaced(dice: Random, tree: Any, value: Any, paths: list[Path]) -> Changed | None:
    path = _any(dice, paths)
    if path is None:
        return None
    put(tree, path, value)
    return Changed(tree, (path,))


def other_type(dice: Random, tree: Any, more: Any) -> Changed | None:
    return _replaced(dice, tree, copied(dice.choice(OTHER)), _parts(tree))


def other_number(dice: Random, tree: Any, more: Any) -> Changed | None:
    numbers = [path for path in _leaves(tree) if isinstance(at(tree, path), int | float)]
    return _replaced(dice, tree, Raw(dice.choice(NUMBERS)), numbers if dice.random() < 0.8 else _leaves(tree))


def surprise(dice: Random, tree: Any, more: Any) -> Changed | None:
    return _replaced(dice, tree, Raw(dice.choice(SURPRISES)), _leaves(tree))


def odd_text(dice: Random, tree: Any, more: Any) -> Changed | None:
    texts = [path for path in _leaves(tree) if isinstance(at(tree, path), str)]
    return _replaced(dice, tree, dice.choice(TEXTS), texts)


def odd_shape(dice: Random, tree: Any, more: Any) -> Changed | None:
    return _replaced(dice, tree, copied(dice.choice(SHAPES)), _parts(tree))


def deep(dice: Random, tree: Any, more: Any) -> Changed | None:
    many = dice.choice(DEEP)
    text = "[" * many + "]" * many if dice.random() < 0.5 else "{a: " * many + "1" + "}" * many
    return _replaced(dice, tree, Raw(text), _leaves(tree))


def bomb(dice: Random, tree: Any, more: Any) -> Changed | None:
    rows = [f"&b{i} [{', '.join([f'*b{i - 1}'] * 9)}]" if i else "&b0 [x, x, x, x, x, x, x, x, x]" for i in range(9)]
    return _replaced(dice, tree, Raw(f"[{', '.join(rows[: dice.randint(2, 9)])}]"), _leaves(tree))


def long_text(dice: Random, tree: Any, more: Any) -> Changed | None:
    return _replaced(dice, tree, dice.choice(("x", "é ", "$", "${", "{", "\\", "a b")) * 40_000, _leaves(tree))


def unknown_key(dice: Random, tree: Any, more: Any) -> Changed | None:
    path = _any(dice, _mappings(tree))
    if path is None:
        return None
    holder = at(tree, path)
    index = dice.randint(0, len(holder))
    key = dice.choice(KEYS)
    if dice.random() < 0.3 and holder:
        key = _misspelt(dice, str(dice.choice(holder)[0]))
    if any(key == known for known, _ in holder):
        return None
    holder.insert(index, [key, copied(dice.choice(OTHER))])
    return Changed(tree, ((*path, index),))


def _misspelt(dice: Random, word: str) -> str:
    if len(word) < 2:
        return word + "x"
    i = dice.randrange(len(word) - 1)
    return dice.choice(
        (word[:i] + word[i + 1 :], word[:i] + word[i + 1] + word[i] + word[i + 2 :], word + "s", word.upper())
    )


def renamed_key(dice: Random, tree: Any, more: Any) -> Changed | None:
    path = _any(dice, [path for path in _mappings(tree) if at(tree, path)])
    if path is None:
        return None
    holder = at(tree, path)
    index = dice.randrange(len(holder))
    key: str = Raw(dice.choice(ODD_KEYS)) if dice.random() < 0.5 else _misspelt(dice, str(holder[index][0]))
    holder[index][0] = key
    return Changed(tree, ((*path, index),), (path,))


def repeated_key(dice: Random, tree: Any, more: Any) -> Changed | None:
    path = _any(dice, [path for path in _mappings(tree) if at(tree, path)])
    if path is None:
        return None
    holder = at(tree, path)
    index, where = dice.randrange(len(holder)), dice.randint(0, len(holder))
    holder.insert(where, [holder[index][0], copied(holder[index][1] if dice.random() < 0.5 else dice.choice(OTHER))])
    return Changed(tree, ((*path, where), (*path, index + (where <= index))))


def taken_out(dice: Random, tree: Any, more: Any) -> Changed | None:
    path = _any(dice, _parts(tree))
    if path is None:
        return None
    holder, index = at(tree, path[:-1]), path[-1]
    del holder[index]
    beside = tuple((*path[:-1], i) for i in (index - 1, index) if 0 <= i < len(holder))
    return Changed(tree, (), (path[:-1],), beside)


def repeated_item(dice: Random, tree: Any, more: Any) -> Changed | None:
    lists = [path for path, node in walk(tree) if isinstance(node, list) and not isinstance(node, Pairs) and node]
    path = _any(dice, lists)
    if path is None:
        return None
    items = at(tree, path)
    index, where = dice.randrange(len(items)), dice.randint(0, len(items))
    items.insert(where, copied(items[index]))
    return Changed(tree, ((*path, where), (*path, index + (where <= index))))


def transplanted(dice: Random, tree: Any, more: Any) -> Changed | None:
    """A part of another spec, under the same key where it has one."""
    path = _any(dice, _parts(tree))
    if path is None:
        return None
    key, parts = key_of(tree, path), _parts(more)
    like = [found for found in parts if key_of(more, found) == key]
    chosen = _any(dice, like if like and dice.random() < 0.8 else parts)
    if chosen is None:
        return None
    put(tree, path, copied(at(more, chosen)))
    return Changed(tree, (path,))


def included(dice: Random, tree: Any, more: Any) -> Changed | None:
    if not isinstance(tree, Pairs) or tree.get("include"):
        return None
    names = (
        "data/_circle.yaml",
        "data/_fault.yaml",
        "data/_gone.yaml",
        "data/_pipe.yaml",
        "data/_zero.yaml",
        "data/_out.yaml",
    )
    names += (
        "../../../../_x.yaml",
        "/etc/_x.yaml",
        "data/cases.jsonl",
        "data",
        "data/_deep.yaml",
        "data/_empty.yaml",
        "data/_self.yaml",
    )
    tree.insert(1, ["include", [dice.choice(names) for _ in range(dice.choice((1, 1, 2)))]])
    return Changed(tree, ((1,),))


TREE: Mapping[Mutation, int] = {
    **dict.fromkeys((other_type, other_number, odd_text, taken_out, transplanted), 6),
    **dict.fromkeys((surprise, unknown_key, renamed_key), 5),
    **dict.fromkeys((repeated_key, odd_shape), 3),
    **dict.fromkeys((deep, bomb, long_text, repeated_item, included), 1),
}


# ---------------------------------------------------------------------------------------------------- lines of text


def tab(dice: Random, lines: list[str], at: int) -> range:
    lines[at] = "\t" + lines[at].lstrip()
    return range(at, at + 1)


def indented(dice: Random, lines: list[str], at: int) -> range:
    lines[at] = " " * dice.choice((1, 2, 3, 7)) + lines[at]
    return range(at, at + 1)


def outdented(dice: Random, lines: list[str], at: int) -> range:
    lines[at] = lines[at].lstrip()
    return range(at, at + 1)


def carriage_returns(dice: Random, lines: list[str], at: int) -> range:
    lines[at] += "\r"
    return range(at, at + 1)


def broken_by_return(dice: Random, lines: list[str], at: int) -> range:
    middle = len(lines[at]) // 2
    lines[at] = lines[at][:middle] + dice.choice("\r\x85\u2028\u2029\x0b\x0c") + lines[at][middle:]
    return range(at, at + 1)


def marked(dice: Random, lines: list[str], at: int) -> range:
    lines.insert(at, dice.choice(MARKS))
    return range(at, at + 1)


def byte_order_mark(dice: Random, lines: list[str], at: int) -> range:
    lines[at] = "\ufeff" + lines[at]
    return range(at, at + 1)


def punctuated(dice: Random, lines: list[str], at: int) -> range:
    i = dice.randint(0, len(lines[at]))
    lines[at] = lines[at][:i] + dice.choice("{}[]:,#&*!|>'\"-? %@`\\\0\x1b") + lines[at][i:]
    return range(at, at + 1)


def cut(dice: Random, lines: list[str], at: int) -> range:
    lines[at] = lines[at][: dice.randint(0, len(lines[at]))]
    return range(at, at + 1)


LINES = (
    tab,
    indented,
    outdented,
    carriage_returns,
    broken_by_return,
    marked,
    byte_order_mark,
    punctuated,
    punctuated,
    cut,
)


def change_line(
    dice: Random, text: str, tree: Any = None, spans: Mapping[Path, Span] | None = None
) -> tuple[str, Text]:
    """A line of a text changed; of the tree and the spans that it was written with, what else the line is about."""
    lines = text.split("\n")
    number = dice.randrange(len(lines))
    how = dice.choice(LINES)
    before = len(lines)
    changed = {line + 1 for line in how(dice, lines, number)}
    further = len(lines) - before
    for path in [path for path, span in (spans or {}).items() if path and number + 1 in (span.key, span.first)]:
        ends = _about(tree, path, spans or {})
        changed |= {end + further * (end > number) for end in ends}
    return how.__name__, Text("\n".join(lines), frozenset(changed))


# -------------------------------------------------------------------------------------------------------- the two ends


def change_tree(dice: Random, tree: Any, more: Any, style: int) -> tuple[str, Text]:
    """A single change, written; the lines where a reader would look for it."""
    how, changed = _changed(dice, tree, more)
    written = Writer(changed.tree, Random(style))
    spans = written.spans
    lines = {line for path in (*changed.parts, *changed.beside) for line in spans[path].lines}
    lines |= {line for path in changed.lacking for line in (spans[path].key, spans[path].first)}
    for path in (*changed.parts, *changed.lacking):
        lines |= set(_served(changed.tree, path, spans))
        if path and key_of(changed.tree, path) == "kind":
            lines |= set(spans[path[:-1]].lines)
    lines |= set(_uses(_names(tree) - _names(changed.tree), changed.tree, spans))
    return how, Text(written.text, frozenset(lines))


def change_often(dice: Random, tree: Any, more: Any, style: int) -> str:
    """Several changes, of the tree and of its lines, written."""
    for _ in range(dice.randint(2, 6)):
        tree = _changed(dice, tree, more)[1].tree
    text = Writer(tree, Random(style)).text
    for _ in range(dice.choice((0, 0, 0, 1, 2))):
        text = change_line(dice, text)[1].text
    return text


def _changed(dice: Random, tree: Any, more: Any) -> tuple[str, Changed]:
    for _ in range(100):
        mutate = dice.choices(list(TREE), list(TREE.values()))[0]
        changed = mutate(dice, copied(tree), more)
        if changed is not None:
            return mutate.__name__, changed
    return "as it was", Changed(tree, ((),))


_NAMED_BY_KEY = ("models", "prompts", "matrix", "mix")


def _names(tree: Any) -> set[str]:
    """What the parts of a spec call each other by."""
    names = set()
    for _, node in walk(tree):
        for key, value in node if isinstance(node, Pairs) else ():
            if key in ("name", "id") and isinstance(value, str):
                names.add(value)
            if key in _NAMED_BY_KEY and isinstance(value, Pairs):
                names.update(str(name) for name, _ in value)
    return names


def _uses(names: set[str], tree: Any, spans: Mapping[Path, Span]) -> Iterable[int]:
    """Where these names are used."""
    for path, node in walk(tree) if names else ():
        if isinstance(node, str) and any(
            node == name or node.startswith(f"{name}[") or f"matrix.{name}" in node for name in names
        ):
            yield from spans[path].lines
        for index, pair in enumerate(node if isinstance(node, Pairs) else ()):
            if str(pair[0]) in names:
                yield spans[*path, index].key


def _served(tree: Any, path: Path, spans: Mapping[Path, Span]) -> Iterable[int]:
    """Where the checks begin that a default is for."""
    if not path or not isinstance(tree, Pairs) or tree[path[0]][0] != "defaults":
        return
    checks = next((index for index, pair in enumerate(tree) if pair[0] == "checks"), None)
    for index in range(len(tree[checks][1])) if checks is not None and isinstance(tree[checks][1], list) else ():
        yield spans[checks, index].first


def _about(tree: Any, path: Path, spans: Mapping[Path, Span]) -> set[int]:
    """Where else a part shows, should it be lacking: at its holder, at what it is for, and where its names are used."""
    names = _names(at(tree, path))
    holder = at(tree, path[:-1])
    if isinstance(holder, Pairs):
        key, value = holder[path[-1]]
        names |= _names(Pairs([[key, value]]))
        if len(path) > 1 and key_of(tree, path[:-1]) in _NAMED_BY_KEY:
            names.add(str(key))
    lines = {spans[path[:-1]].key, spans[path[:-1]].first}
    return lines | set(_served(tree, path, spans)) | set(_uses(names, tree, spans))
