"""Strange specs by the thousand, made from the schema and the examples: each is planned, or refused at its line."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from harness.spec.places import find_specs
from tests.fuzz.ground import Ground
from tests.fuzz.inputs import inputs
from tests.fuzz.running import run, shrunk
from tests.fuzz.tree import Writer, grown

HEAD = "hallmark: 1\nmodels: {m: {echo: {}}}\n"
CHECK = "checks: [{name: c, kind: golden, model: m, cases: [{id: a, input: 1, expect: 1}]}]\n"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setenv("HALLMARK_CACHE", "")
    monkeypatch.setenv("HT_NOWHERE", "")
    return Ground(tmp_path)


@pytest.mark.parametrize("part", range(5))
def test_a_strange_spec_is_planned_or_refused_where_it_is_strange_and_nothing_else(ground: Ground, part: int) -> None:
    """That 99 % of faults are near is for benchmarks/fuzz.py to hold: of so few, one change may have a dozen faults."""
    tally = run(ground, 0, part * 400, part * 400 + 400)

    assert not tally.broken, "\n\n".join(map(str, tally.broken))
    assert tally.tried == 400
    assert 20 < tally.fine < 200
    assert tally.share >= 0.9, "\n".join(tally.distant)


def test_an_input_is_the_same_whoever_asks_for_it(ground: Ground) -> None:
    several = dict(inputs(ground, 3, 80, 130))
    (_, alone), *_ = inputs(ground, 3, 117, 118)
    assert alone == several[117]


HARD = {
    "variables that nothing closes": HEAD + f'about: "{"${" * 60_000}"\n' + CHECK,
    "variables that close at the end": HEAD + f'about: "{"${" * 60_000}}}"\n' + CHECK,
    "dollar signs": HEAD + f'about: "{"$" * 120_001}"\n' + CHECK,
    "brackets": HEAD + "x: " + "[" * 100_000,
    "a pattern that goes back": HEAD
    + 'checks: [{name: c, kind: golden, model: m, compare: regex, cases: [{id: a, input: 1, expect: "(a+)+$"}]}]\n',
    "a key of many letters": HEAD + f"{'x' * 100_000}: 1\n" + CHECK,
    "names that resemble each other": "hallmark: 1\nmodels:\n"
    + "".join(f"  model{i}: {{echo: {{}}}}\n" for i in range(1500))
    + "checks:\n"
    + "".join(f"- {{name: c{i}, kind: golden, model: mdoel{i}, cases: data/cases.jsonl}}\n" for i in range(100)),
    "keys that resemble each other": HEAD + "".join(f"{'nmae' * 20}{i}: 1\n" for i in range(60)) + CHECK,
}


@pytest.mark.parametrize("name", HARD)
def test_what_takes_a_careless_reader_for_ever_is_read_at_once(ground: Ground, name: str) -> None:
    ground.put({"specs/fuzzed.yaml": HARD[name].encode()})
    assert not ground.try_specs(["specs/fuzzed.yaml"]).broke


def test_text_that_a_spec_quotes_is_told_in_one_line(ground: Ground) -> None:
    ground.put({"specs/fuzzed.yaml": (HEAD + 'checks: [{name: c, kind: "x\\n::error::y"}]\n').encode()})
    tried = ground.try_specs(["specs/fuzzed.yaml"])
    assert not tried.broke
    assert [len(str(fault).split("\n")) for fault in tried.faults] == [3]


@pytest.mark.parametrize("about", ['about: "${env:HT_NOWHERE:-}"', 'about: "${env:HT_NOWHERE:-7}"'])
def test_what_a_file_over_others_says_of_itself_is_text_once_it_is_filled_in(ground: Ground, about: str) -> None:
    ground.put({"specs/fuzzed.yaml": (HEAD + CHECK).encode()})
    ground.put({"specs/certificate.yaml": f"hallmark: 1\n{about}\ncertificate: {{expires: 90d}}\n".encode()})
    tried = ground.try_specs(["specs/fuzzed.yaml", "specs/certificate.yaml"])
    assert not tried.broke
    assert [(fault.spot.short, fault.code) for fault in tried.faults] == [("specs/certificate.yaml:2", "wrong-type")]


def test_a_link_that_leads_to_itself_is_passed_over(ground: Ground) -> None:
    """And a folder that holds one is still walked."""
    found = find_specs([ground.root / "specs"])
    assert ground.root / "specs" / "data" / "self" not in found


def test_what_breaks_is_made_small() -> None:
    data = b"a: 1\nb: [1, 2, 3]\nc: 4\n" * 5
    assert shrunk(data, lambda bad: b"[" in bad) == b"["


def test_each_part_of_a_tree_stands_on_the_lines_that_are_said_of_it() -> None:
    tree = grown({"a": {"b": ["no", 1, {"c": 1e-7}]}, "d": [{"e": "x: y", "f": None}, ["g"]]})
    for style in range(50):
        written = Writer(tree, Random(style))
        lines = written.text.split("\n")
        assert "c: 1.0e-07" in lines[written.spans[0, 0, 2, 0].key - 1]
        assert '"no"' in lines[written.spans[0, 0, 0].first - 1]
        assert "f: null" in lines[written.spans[1, 0, 1].key - 1]
