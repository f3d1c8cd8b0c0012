"""The schemas that are published are those of the code, and hold what Hallmark reads and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from harness.codec import to_pretty_json
from harness.contract import Certificate
from harness.schemas import FOLDER, SCHEMAS
from tests.conftest import REPOSITORY, Project

VALID = REPOSITORY / "tests" / "examples" / "valid"
SPECS = [*sorted(VALID.glob("*.yaml")), *sorted((REPOSITORY / "specs").glob("[!_]*.yaml"))]


def validator(name: str) -> Any:
    return jsonschema.Draft202012Validator(SCHEMAS[name]())


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_bytes() == to_pretty_json(SCHEMAS[name]()), "run `hallmark schema --write`"


def test_every_committed_schema_is_one_of_the_codes() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name]())


def written(path: Path) -> Any:
    """A spec as an editor sees it, without what stands for a value that only the run knows."""

    def typed(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {key: item for key, item in value.items() if not _variable(item)}
            return {key: item if key == "cases" else typed(item) for key, item in kept.items()}
        return [typed(item) for item in value] if isinstance(value, list) else value

    return typed(yaml.safe_load(path.read_text("utf-8")))


def _variable(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_good_specs_are_good_to_an_editor(path: Path) -> None:
    spec = written(path)
    for check in spec.get("checks", ()):
        if "gate" in check:
            check["gate"].setdefault("pass_rate", 0.5)
    assert list(validator("spec").iter_errors(spec)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"hallmark": 2},
        {"chekcs": []},
        {"checks": [{"name": "c"}]},
        {"checks": [{"name": "c", "kind": "goldn"}]},
        {"checks": [{"name": "c", "kind": "golden", "gaet": {}}]},
        {"checks": [{"name": "a b", "kind": "golden"}]},
        {"models": {"m": {"ecko": {}}}},
        {"models": {"m": {"echo": {"secs": 1}}}},
        {"defaults": {"golden": {"gates": {}}}},
        {"certificate": {"criteria": [{"id": "k"}]}},
    ],
)
def test_bad_specs_are_bad_to_an_editor(change: dict[str, Any]) -> None:
    good = yaml.safe_load((VALID / "minimal.yaml").read_text("utf-8"))
    assert validator("spec").is_valid(good)
    assert not validator("spec").is_valid({**good, **change})


@pytest.mark.parametrize("name", ["cases.jsonl", "listed.yaml", "numbers.json"])
def test_good_cases_are_good_to_an_editor(name: str) -> None:
    text = (VALID / "data" / name).read_text("utf-8-sig")
    cases = (
        [json.loads(line) for line in text.splitlines() if line.strip()]
        if name.endswith("l") and "json" in name
        else yaml.safe_load(text)
    )
    assert cases
    for case in cases:
        validator("case").validate(case)
        assert not validator("case").is_valid({**case, "expct": 1})
        assert not validator("case").is_valid({"id": case["id"]})


@pytest.mark.parametrize(("models", "status"), [("{m: {echo: {}}}", 0), ("{m: {echo: {wrong: [c1], fail: [c2]}}}", 1)])
def test_what_a_run_writes_is_as_the_schemas_say(project: Project, tmp_path: Path, models: str, status: int) -> None:
    project.cases("c.jsonl", 4)
    more = "certificate: {criteria: [{id: k, needs: [g], why: so}], expires: 90d}\n"
    project.spec("  - {name: g, kind: golden, model: m, cases: ../c.jsonl}\n", models=models, more=more)
    ran = project.pytest("-p", "no:cacheprovider", "-q", "specs", HALLMARK_CACHE=str(tmp_path / "cache"))
    assert ran.status == status, ran.out + ran.err
    certificate = json.loads((ran.run / "certificate.json").read_bytes())
    validator("certificate").validate(certificate)
    assert certificate["schema"] == Certificate.SCHEMA
    assert not validator("certificate").is_valid({**certificate, "extra": 1})
    assert not validator("certificate").is_valid({key: value for key, value in certificate.items() if key != "status"})
    assert len(ran.outcomes) == 4
    for outcome in ran.outcomes.values():
        validator("outcome").validate(outcome)
        assert not validator("outcome").is_valid({**outcome, "extra": 1})
