"""The same answers to the bit, however the work is scheduled and whatever is selected."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import REPOSITORY, Project, Ran

pytestmark = pytest.mark.mlx

REVERSED = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
SHUFFLED = "import random\ndef pytest_collection_modifyitems(items):\n    random.Random(3).shuffle(items)\n"


@pytest.fixture
def digits(project: Project) -> Project:
    lines = (REPOSITORY / "golden/lenet5/digits.jsonl").read_text().splitlines(keepends=True)[:150]
    project.put("digits.jsonl", "".join(lines))
    project.spec(
        "  - {name: d, kind: golden, model: base, cases: ../digits.jsonl, compare: {label: exact}, gate: {pass_rate: 0.9}}\n",
        models="{base: {zoo: lenet5, seed: 0, batch: 7}}",
    )
    return project


def answers(ran: Ran) -> dict[str, Any]:
    return {case: line["answer"] for case, line in ran.outcomes.items()}


def test_answers_do_not_depend_on_workers_order_or_selection(digits: Project) -> None:
    expected = answers(digits.pytest("specs", "-n", "0"))
    assert len(expected) == 150
    assert answers(digits.pytest("specs", "-n", "2")) == expected
    case = list(expected)[100]
    assert answers(digits.pytest(case)) == {case: expected[case]}
    picked = answers(digits.pytest("specs", "-k", "label-3"))
    assert 0 < len(picked) < 150
    assert picked.items() <= expected.items()
    for conftest in (REVERSED, SHUFFLED):
        digits.put("conftest.py", conftest)
        assert answers(digits.pytest("specs", "-n", "0")) == expected
        assert answers(digits.pytest("specs", "-n", "2")) == expected


def test_provenance_names_the_model_and_the_backend(digits: Project) -> None:
    ran = digits.pytest("specs", "-n", "2")
    (setting,) = ran.certificate.provenance["settings"]
    assert setting["digest"].startswith("sha256:")
    assert setting["mlx"]
    assert setting["tf32"] is False
    assert setting["numerics"] == "strict"
    assert {line["by"] for line in ran.outcomes.values()} == {setting["id"]}
