"""Specs mangled in a thousand ways: each is planned or refused with faults, and nothing else ever escapes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.spec.faults import SpecFaults
from tests.harness.spec.conftest import Folder

VALID = Path(__file__).parents[2] / "examples" / "valid"
WEIRD = [
    *(
        "no",
        "1:30",
        "0123",
        "1e3",
        ".nan",
        ".inf",
        "2026-02-31",
        "9" * 400,
        "-0",
        "~",
        "''",
        '""',
        "null",
        "true",
        "[]",
        "{}",
    ),
    *(
        "!!int x",
        "!!python/name:os.system ''",
        "&a *a",
        "*nowhere",
        "&x [*x]",
        "<<",
        "? x",
        "|",
        ">-",
        "%",
        "@",
        "`",
        "- -",
        ": :",
    ),
    *(
        "${env:HT_NOWHERE}",
        "${matrix.nothing}",
        "${",
        "$$",
        "${env:}",
        "'${x}'",
        "..",
        "/etc/passwd",
        "../../../../../x",
        '"\\0"',
        '"\\ud800"',
    ),
    *(
        "[[[[[[1]]]]]]",
        "[" * 70 + "]" * 70,
        "{a: {b: {c: []}}}",
        "\x00",
        "\x1b[31m",
        "\u2028",
        "\ufeff",
        "é\u202e",
        "\t",
        "x" * 3000,
    ),
]
KEYS = [
    "hallmark",
    "name",
    "models",
    "checks",
    "cases",
    "kind",
    "model",
    "compare",
    "gate",
    "matrix",
    "certificate",
    "include",
]


def _line(dice: random.Random, lines: list[str]) -> int:
    return dice.randrange(len(lines))


def delete(dice: random.Random, lines: list[str]) -> None:
    del lines[_line(dice, lines)]


def repeat(dice: random.Random, lines: list[str]) -> None:
    at = _line(dice, lines)
    lines.insert(at, lines[at])


def swap_lines(dice: random.Random, lines: list[str]) -> None:
    a, b = _line(dice, lines), _line(dice, lines)
    lines[a], lines[b] = lines[b], lines[a]


def indent(dice: random.Random, lines: list[str]) -> None:
    at = _line(dice, lines)
    bare = lines[at].lstrip()
    lines[at] = dice.choice(["", " ", "  ", "   ", "      ", "\t"]) + bare


def swap_characters(dice: random.Random, lines: list[str]) -> None:
    at = _line(dice, lines)
    if len(lines[at]) > 1:
        i = dice.randrange(len(lines[at]) - 1)
        lines[at] = lines[at][:i] + lines[at][i + 1] + lines[at][i] + lines[at][i + 2 :]


def drop_character(dice: random.Random, lines: list[str]) -> None:
    at = _line(dice, lines)
    if lines[at]:
        i = dice.randrange(len(lines[at]))
        lines[at] = lines[at][:i] + lines[at][i + 1 :]


def insert(dice: random.Random, lines: list[str]) -> None:
    at = _line(dice, lines)
    i = dice.randint(0, len(lines[at]))
    lines[at] = lines[at][:i] + dice.choice([*WEIRD, *"{}[]:,#&*!|>'\"-? \n"]) + lines[at][i:]


def replace_value(dice: random.Random, lines: list[str]) -> None:
    at = _line(dice, lines)
    values = list(re.finditer(r"(?<=: )[^,{}\[\]]+|(?<=\[)[^,{}\[\]]+", lines[at]))
    if values:
        found = dice.choice(values)
        lines[at] = lines[at][: found.start()] + dice.choice(WEIRD) + lines[at][found.end() :]


def replace_key(dice: random.Random, lines: list[str]) -> None:
    at = _line(dice, lines)
    keys = list(re.finditer(r"\w+(?=:)", lines[at]))
    if keys:
        found = dice.choice(keys)
        lines[at] = lines[at][: found.start()] + dice.choice(KEYS + WEIRD) + lines[at][found.end() :]


MANGLE: list[Callable[[random.Random, list[str]], None]] = [
    *(
        delete,
        repeat,
        swap_lines,
        indent,
        swap_characters,
        drop_character,
        insert,
        replace_value,
        replace_key,
        replace_value,
    )
]


@pytest.fixture
def laid_out(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.delenv("HT_NOWHERE", raising=False)
    for file in (VALID / "data").iterdir():
        folder.put(f"data/{file.name}", file.read_bytes())
    return folder


def planned(folder: Folder, told: str) -> int:
    """How many faults the spec has; anything but a plan or faults is a failure that shows the text."""
    try:
        part = folder.plan()
    except SpecFaults as stop:
        refusal = stop
    except BaseException as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{told}") from error
    else:
        assert part.checks, told
        return 0
    assert refusal.faults, told
    assert all(c.isprintable() or c == "\n" for c in str(refusal)), told
    for fault in refusal.faults:
        assert min(fault.spot.line, fault.spot.column) >= 1, told
        assert fault.code, told
        assert fault.what, told
    return len(refusal.faults)


@pytest.mark.parametrize("name", ["everything.yaml", "minimal.yaml"])
@pytest.mark.parametrize("seed", range(4))
def test_a_mangled_spec_is_planned_or_refused_and_nothing_else(laid_out: Folder, name: str, seed: int) -> None:
    dice = random.Random(f"{name} {seed}")
    lines = (VALID / name).read_text("utf-8").splitlines()
    refused = 0
    for _ in range(80):
        mangled = list(lines)
        for _ in range(dice.choice([1, 1, 1, 2, 4])):
            if mangled:
                dice.choice(MANGLE)(dice, mangled)
        text = "\n".join(mangled) + "\n"
        laid_out.put("a.yaml", text)
        refused += planned(laid_out, text) > 0
    assert refused > 20


@pytest.mark.parametrize("seed", range(2))
def test_a_spec_with_bytes_changed_is_planned_or_refused_and_nothing_else(laid_out: Folder, seed: int) -> None:
    dice = random.Random(seed)
    data = (VALID / "everything.yaml").read_bytes()
    refused = 0
    for _ in range(80):
        bad = bytearray(data)
        for _ in range(dice.choice([1, 2, 8])):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        laid_out.put("a.yaml", bytes(bad[: dice.choice([len(bad), dice.randrange(len(bad))])]))
        refused += planned(laid_out, repr(bytes(bad))) > 0
    assert refused > 20


@pytest.mark.parametrize(
    "name", ["cases.jsonl", "numbers.json", "table.csv", "listed.yaml", "_shared.yaml", "answers.jsonl"]
)
def test_a_mangled_file_beside_a_spec_is_planned_or_refused_and_nothing_else(laid_out: Folder, name: str) -> None:
    dice = random.Random(name)
    laid_out.put("a.yaml", (VALID / "everything.yaml").read_bytes())
    good = (laid_out.root / "data" / name).read_text("utf-8")
    refused = 0
    for _ in range(40):
        lines = good.splitlines() or [""]
        for _ in range(dice.choice([1, 2])):
            if lines:
                dice.choice(MANGLE)(dice, lines)
        text = "\n".join(lines) + "\n"
        laid_out.put(f"data/{name}", text)
        refused += planned(laid_out, text) > 0
    assert refused > 5


def test_a_single_wrong_value_is_told_within_a_line_of_where_it_stands(laid_out: Folder) -> None:
    """Of the values that are wrong anywhere: no reader could take them for something else."""
    lines = (VALID / "everything.yaml").read_text("utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        for found in re.finditer(r"(?<=: )[\w.]+(?=[}\]]|$|, \w+:)", line.partition("#")[0]):
            laid_out.put(
                "a.yaml",
                "\n".join([*lines[: number - 1], f"{line[: found.start()]}0x1F{line[found.end() :]}", *lines[number:]]),
            )
            told = [fault.spot.line for fault in laid_out.faults() if fault.spot.page.name == "a.yaml"]
            assert any(abs(at - number) <= 1 for at in told), (number, line, told)
