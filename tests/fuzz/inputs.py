"""Input number so-and-so of a seed: the same spec, and the same files beside it, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from harness.spec.envelope import spec_schema
from harness.spec.faults import SpecFaults
from harness.spec.text import bare, read_yaml
from tests.fuzz.drawing import Drawing
from tests.fuzz.ground import FRAGMENTS, REPOSITORY, SPEC, Ground, beside
from tests.fuzz.mangling import mangled
from tests.fuzz.mutating import change_line, change_often, change_tree
from tests.fuzz.tree import Pairs, Writer, at, copied, grown, walk

LOT = 100
"""Inputs that are made of the same good spec."""
_BESIDE = ("cases.jsonl", "cases.json", "cases.yaml", "cases.csv", "answers.jsonl", "lessons.jsonl", "_shared.yaml")
_HEAVY = ("llama-compressed", "lenet5-compressed")
"""What they learn from is read whole, whatever is changed in them."""


class Input(NamedTuple):
    """A spec with what is strange about it."""

    how: str
    spec: str
    files: dict[str, bytes]
    place: frozenset[tuple[str, int]] | None
    """File and line of the one thing that was changed, with its ends; None where many were."""
    trusted: bool

    @property
    def planned(self) -> list[str]:
        """The files that are planned together: the spec, and what stands over it."""
        return [self.spec, *(name for name in self.files if name.endswith("/certificate.yaml"))]


class Good(NamedTuple):
    """A spec that plans without a fault."""

    tree: Any
    folder: str
    style: int

    @property
    def text(self) -> str:
        return Writer(self.tree, Random(self.style)).text


@cache
def examples() -> tuple[tuple[str, bytes], ...]:
    """Every example, good or bad, and every spec of ours, with the folder in which it works."""
    valid = "tests/examples/valid"
    found = [(valid, path) for name in ("valid", "invalid", "security") for path in _yaml(f"tests/examples/{name}")]
    found += [
        (path.parent.relative_to(REPOSITORY).as_posix(), path) for path in _yaml("specs") if path.stem not in _HEAVY
    ]
    return tuple((folder, path.read_bytes()) for folder, path in found)


def _yaml(folder: str) -> list[Path]:
    return sorted(path for path in (REPOSITORY / folder).rglob("*.yaml") if "data" not in path.parts[-2:-1])


@cache
def _schema() -> dict[str, Any]:
    return spec_schema()


@cache
def _trees() -> tuple[tuple[str, Any], ...]:
    trees = []
    for folder, data in examples():
        try:
            faults: list[Any] = []
            document = read_yaml(data, SPEC, faults)
        except SpecFaults:
            continue
        if isinstance(document, dict) and not faults:
            trees.append((folder, grown(bare(document))))
    return tuple(trees)


def good(ground: Ground, dice: Random) -> Good:
    """A good spec: drawn from the schema, or one of the examples; what is at fault in it is taken out."""
    while True:
        if dice.random() < 0.6:
            folder, tree = dice.choice(ground.folders), Drawing(_schema(), dice).spec()
        else:
            folder, tree = dice.choice(_trees())
            tree = copied(tree)
        style = dice.randrange(1 << 30)
        if _mended(ground, tree, folder, style):
            return Good(tree, folder, style)


def _mended(ground: Ground, tree: Any, folder: str, style: int) -> bool:
    """Whether the tree plans, once what faults point at was taken out of it, as little as will do."""
    for _ in range(40):
        written = Writer(tree, Random(style))
        ground.put({f"{folder}/{SPEC}": written.text.encode()})
        faults = ground.try_specs([f"{folder}/{SPEC}"], trusted=True).faults
        if not faults:
            return True
        lines = {fault.spot.line for fault in faults}
        at_fault = [path for path, span in written.spans.items() if len(path) > 1 and {span.key, span.first} & lines]
        if not at_fault:
            return False
        smallest = max(len(path) for path in at_fault)
        for path in sorted((path for path in at_fault if len(path) == smallest), reverse=True)[:1]:
            _take_out(tree, path)
    return False


def _take_out(tree: Any, path: tuple[int, ...]) -> None:
    """A part, or what would be nothing without it."""
    holder = at(tree, path[:-1])
    while len(path) > 2 and (len(holder) == 1 or _needed(holder, path[-1])):
        path = path[:-1]
        holder = at(tree, path[:-1])
    del holder[path[-1]]


def _needed(holder: Any, index: int) -> bool:
    return isinstance(holder, Pairs) and holder[index][0] in ("name", "kind", "id", "input", "from", "model", "cases")


def inputs(ground: Ground, seed: int, first: int, last: int) -> Iterator[tuple[int, Input]]:
    """Inputs number `first` to `last` of a seed."""
    for lot in range(first // LOT, (last + LOT - 1) // LOT):
        dice = Random(f"{seed}:{lot}")
        base, more = good(ground, dice), dice.choice(_trees())[1]
        for number in range(max(first, lot * LOT), min(last, (lot + 1) * LOT)):
            yield number, _input(Random(f"{seed}:{number}"), base, more)


def _input(dice: Random, base: Good, more: Any) -> Input:
    spec, trusted = f"{base.folder}/{SPEC}", dice.random() < 0.8
    kind = dice.random()
    if kind < 0.55:
        how, changed = change_tree(dice, base.tree, more, base.style)
        place = _places(spec, changed.lines)
        if how == "included":  # the fragments are what was added: whatever stands in them is a place
            place |= {(f"{base.folder}/data/{name}", line) for name in FRAGMENTS for line in (1, 2)}
        return Input(how, spec, {spec: _encoded(changed.text)}, place, True)
    if kind < 0.67:
        written = Writer(base.tree, Random(base.style))
        how, changed = change_line(dice, written.text, base.tree, written.spans)
        return Input(how, spec, {spec: _encoded(changed.text)}, _places(spec, changed.lines), True)
    if kind < 0.77:
        return _beside(dice, base, spec)
    if kind < 0.87:
        text = change_often(dice, base.tree, more, base.style)
        return Input("several", spec, {spec: _encoded(text)}, None, trusted)
    if kind < 0.9:
        return _over(dice, base, spec, more)
    folder, data = (base.folder, _encoded(base.text)) if dice.random() < 0.3 else dice.choice(examples())
    how, data = mangled(dice, data, [each for _, each in examples()])
    return Input(how, f"{folder}/{SPEC}", {f"{folder}/{SPEC}": data}, None, trusted)


def _beside(dice: Random, base: Good, spec: str) -> Input:
    """A file of cases, of answers, of lessons or a fragment, in which a line or some bytes were changed."""
    name = f"{base.folder}/data/{dice.choice(_BESIDE)}"
    short = name.removeprefix(f"{base.folder}/")
    tree = copied(base.tree)
    tree[:] = [pair for pair in tree if pair[0] not in ("certificate", "include")]
    if short.endswith(("answers.jsonl", "lessons.jsonl")):
        how = Pairs([["replay", short]])
        models = tree.get("models") or Pairs()
        if "lessons" in short:
            how = Pairs([["from", "fuzzed_base"], ["lora", Pairs([["data", short]])]])
            models.append(["fuzzed_base", Pairs([["zoo", "llama"]])])
        models.append(["fuzzed", how])
    elif short.endswith("_shared.yaml"):
        tree.append(["include", [short]])
    else:
        for path, node in list(walk(tree)):
            for pair in node if isinstance(node, Pairs) else ():
                if pair[0] == "cases" and path:
                    pair[1] = short
    text = beside(name)
    written = _encoded(Writer(tree, Random(base.style)).text)
    if dice.random() < 0.6:
        how_changed, changed = change_line(dice, text)
        return Input(f"beside {how_changed}", spec, {spec: written, name: _encoded(changed.text)}, None, True)
    how_changed, bad = mangled(dice, text.encode(), [beside(each).encode() for each in _BESIDE])
    return Input(f"beside {how_changed}", spec, {spec: written, name: bad}, None, True)


def _over(dice: Random, base: Good, spec: str, more: Any) -> Input:
    """A file that stands over a good spec, in which something was changed."""
    names = [check.get("name") for check in base.tree.get("checks")]
    said = [*names, *(f"fuzzed::{name}" for name in names), "fuzzed::*", f"{SPEC}::{names[0]}"]
    criteria = [{"id": f"r{i}", "needs": [dice.choice(said)], "weight": 50} for i in range(2)]
    waivers = [{"check": dice.choice(said), "who": "Ada", "why": "it is known", "until": "2099-01-31"}]
    tree = grown(
        {"hallmark": 1, "name": "all", "certificate": {"expires": "90d", "criteria": criteria, "waivers": waivers}}
    )
    how, changed = change_tree(dice, tree, more, base.style)
    over = f"{base.folder}/certificate.yaml"
    return Input(f"over {how}", spec, {spec: _encoded(base.text), over: _encoded(changed.text)}, None, True)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _places(name: str, lines: frozenset[int]) -> frozenset[tuple[str, int]]:
    return frozenset((name, line) for line in lines)
