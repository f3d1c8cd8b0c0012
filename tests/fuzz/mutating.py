"""One thing changed in a spec that was good, and the lines where whoever looks for it would look.

Those are the lines of what was changed; of what was taken out the line where it stood, and the line where what
lacks it now begins; and of a name, the lines where it is used, since a reference that broke has two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, NamedTuple

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


OTHER: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 7, -1, 1.5, "", "text", "é", [], [1], ["x"], [[]], [None], Pairs(), Pairs([["a", 1]])),
    *(Pairs([["", Pairs()]]), [Pairs()], 10**6, -0.0, " ", "a b"),
)
NUMBERS = (
    *("0", "-1", "-0", "-0.0", "0.5", "2", "100000", "9223372036854775807", "9223372036854775808", "-9223372036854775809"),
    *("9" * 400, "1" + "0" * 5000, "0." + "0" * 400 + "1", "1.0e+308", "1.0e+309", "1.0e-400", ".inf", "-.inf", ".nan"),
    *(".NaN", '".nan"', '"inf"', '"1e999"', "4294967296", "0.9999999999999999", "1.0000000000000002", "99999999999.5"),
)
SURPRISES = (
    *("no", "yes", "Off", "ON", "y", "n", "1:30", "1:30:00", "0123", "08", "0o17", "0x1F", "0b11", "1e3", "1E5", "1_000"),
    *("2026-01-31", "2026-01-31 10:00:00", "2001-12-14t21:59:43.10-05:00", ".5", "5.", "+1", "~", "=", "<<", "null", "Null"),
    *("!!int '3'", "!!int foo", "!!bool foo", "!!timestamp foo", "!!float x", "!!binary aGk=", "!!set {a, b}", "!!null ''"),
    *("!!python/object/apply:os.system ['true']", "!!python/name:os.system ''", "!foo x", "!<tag:x> y", "!!str 3", "!!map {}"),
    *("!!omap [a: 1]", "!!merge x", "!!value =", "!!yaml x", "!!seq []"),
    *("*nowhere", "&a x", "&a [*a]", "&a {b: *a}", "[&a x, *a]", "{<<: {a: 1}}", "{<<: *nowhere}", "[&x [1], *x, *x]"),
    *("{? a : b}", "{? [a] : b}", "{[a]: b}", "{{a: b}: c}", "{&k a: *k}", "{*nowhere : a}", "[a: 1]", "{a, b}", "{a: }"),
    *("|", ">-", "@x", "`x", "%x", "- x", "? x", ": x", "x: y", "x # y", "'", '"', "'it''s'", '"\\x41"', '"\\q"', '"a\\'),
    *("[", "{", "]", "}", "[1", "{a: 1", "[1,,2]", "[,]", "{,}", "--- x", "...", "'\\0'", '"\\0"', '"\\ud800"', '"\\udfff x"'),
    *('"\\U00110000"', '"\\e[31mred"', '"\\u202e"', '"\\uFEFF"', '"\\u2028"', '"\\n"', '"\\r\\n"', '"\\t"', "a\tb", "\t", "a  "),
    *("é", "漢字", "😀", "\ufeff", "x\ufeff", "\u2028", "\x85", "\u202etxt", "\x00", "\x1b[31m", "\x7f", "\ufffe", "\xa0"),
)
TEXTS: tuple[Any, ...] = (
    *("${env:HT_NOWHERE}", "${env:HT_NOWHERE:-x}", "${env:HT_NOWHERE:-no}", "${env:HT_NOWHERE:-.nan}", "${env:}", "${env::-}"),
    *("${env:HOME}", "${matrix.nothing}", "${matrix.}", "${", "$", "$$", "$$$", "${}", "${x}", "a${env:HT_NOWHERE:-1}b"),
    *("(a+)+$", "[", "(", "*", "(?<=x)y", "\\1", "(?P<n>x)(?P=n)", "a{1000}{1000}", "x" * 3000, "(" * 500 + ")" * 500),
    *("{{ x }}", "{% for i in range(10**9) %}x{% endfor %}", "{{ ''.__class__ }}", "{%", "{input}", "{}", "{0}", "{a.b}"),
    *("..", "/etc/passwd", "../../../../../x", "data/pipe", "data/zero", "data/out.jsonl", "data/gone.jsonl", "data/self"),
    *("data/folder", "data", "data/", "./data/../data/cases.jsonl", "data//cases.jsonl", "data/cases.jsonl/x", "", ".", "~"),
    *("data/_circle.yaml", "data/_fault.yaml", "data/cases.csv", "data/cases.yaml", "a\0b", "x" * 300, "/".join("x" * 3000)),
    *("a::b", "x[0]", "@certified", "@latest", "m@certified", "m@", "@", "m@../x", "m@/etc", "a b", "-", "--help", "*", "m*"),
    *("1s", "0s", "-1s", "99999999999d", "1e9s", "9" * 30 + "d", "5m5", "90d", "2026-02-31", "0000-00-00", "9999-12-31"),
    *("١٢", "2²", "٣d", "ﬁ", "K", "aeiou" * 60, "http://", "http://[", "http://[::1", "http://x:99999999/", "ftp://x"),
    *("http://user:pass@x/", "//x", "http://\u2100.com", "a:b", "a.b:c", "a.b:c.", "os:system", ".", ":", "python -c 1"),
)
SHAPES = (
    Pairs([["$ref", "#"]]),
    Pairs([["$ref", "#/nowhere"]]),
    Pairs([["$ref", "file:///etc/passwd"]]),
    Pairs([["type", 3]]),
    Pairs([["pattern", "(a+)+\\1"]]),
    Pairs([["allOf", []]]),
    Pairs([["enum", Pairs()]]),
    Pairs([["minLength", -1], ["$id", "x"]]),
    Pairs([["abs", -1]]),
    Pairs([["close", Pairs([["abs", Raw(".nan")]])]]),
    Pairs([["regex", "("]]),
    Pairs([["jsonschema", True]]),
    Pairs([["p50", 0], ["max", 0]]),
    Pairs([["min", 1], ["max", 0]]),
    Pairs([["messages", "x"]]),
    Pairs([["messages", [1]]]),
    Pairs([["tokens", ["x"]]]),
    Pairs([["prompt", None]]),
)
DEEP = (5, 40, 63, 64, 65, 70, 300, 3000)
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
    key = dice.choice(("zzz", "nam", "mdoel", "x.y", "", "a b", "é", "Kind", "hallmark", "name", "cases", "kind", "$ref"))
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
    return dice.choice((word[:i] + word[i + 1 :], word[:i] + word[i + 1] + word[i] + word[i + 2 :], word + "s", word.upper()))


def renamed_key(dice: Random, tree: Any, more: Any) -> Changed | None:
    path = _any(dice, [path for path in _mappings(tree) if at(tree, path)])
    if path is None:
        return None
    holder = at(tree, path)
    index = dice.randrange(len(holder))
    odd = ("no", "1", "1:30", "null", "true", "<<", "2026-01-31", "? x", "~", "[a]", "{a: b}", "*nowhere", "&a b", "!!int 3", "x\ty", "-", "-x", "")
    key: str = Raw(dice.choice(odd)) if dice.random() < 0.5 else _misspelt(dice, str(holder[index][0]))
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
    key, parts = key_of(tree, path), [found for found in _parts(more)]
    like = [found for found in parts if key_of(more, found) == key]
    chosen = _any(dice, like if like and dice.random() < 0.8 else parts)
    if chosen is None:
        return None
    put(tree, path, copied(at(more, chosen)))
    return Changed(tree, (path,))


def included(dice: Random, tree: Any, more: Any) -> Changed | None:
    if not isinstance(tree, Pairs) or tree.get("include"):
        return None
    names = ("data/_circle.yaml", "data/_fault.yaml", "data/_gone.yaml", "data/_pipe.yaml", "data/_zero.yaml", "data/_out.yaml")
    names += ("../../../../_x.yaml", "/etc/_x.yaml", "data/cases.jsonl", "data", "data/_deep.yaml", "data/_empty.yaml", "data/_self.yaml")
    tree.insert(1, ["include", [dice.choice(names) for _ in range(dice.choice((1, 1, 2)))]])
    return Changed(tree, ((1,),))


TREE: tuple[tuple[int, Mutation], ...] = (
    *((6, other_type), (6, other_number), (7, surprise), (6, odd_text), (3, odd_shape), (1, deep), (1, bomb), (1, long_text)),
    *((4, unknown_key), (4, renamed_key), (3, repeated_key), (6, taken_out), (2, repeated_item), (6, transplanted), (1, included)),
)


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
    lines.insert(at, dice.choice(("---", "...", "%YAML 1.2", "%TAG ! x", "%FOO", "# x", "", "- x", "x", "? x", ": x", "<<: {a: 1}", "x: &y [*y]")))
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


LINES: tuple[Callable[[Random, list[str], int], range], ...] = (
    *(tab, indented, outdented, carriage_returns, broken_by_return, marked, byte_order_mark, punctuated, punctuated, cut),
)


def change_line(dice: Random, text: str, tree: Any = None, spans: Mapping[Path, Span] | None = None) -> tuple[str, Text]:
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
    weights = [weight for weight, _ in TREE]
    while True:
        mutate = dice.choices([each for _, each in TREE], weights)[0]
        changed = mutate(dice, copied(tree), more)
        if changed is not None:
            break
    written = Writer(changed.tree, Random(style))
    spans = written.spans
    lines = {line for path in (*changed.parts, *changed.beside) for line in spans[path].lines}
    lines |= {line for path in changed.lacking for line in (spans[path].key, spans[path].first)}
    for path in (*changed.parts, *changed.lacking):
        lines |= set(_served(changed.tree, path, spans))
    lines |= set(_uses(_names(tree) - _names(changed.tree), changed.tree, spans))
    return mutate.__name__, Text(written.text, frozenset(lines))


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
        if isinstance(node, str) and any(node == name or node.startswith(f"{name}[") or f"matrix.{name}" in node for name in names):
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
