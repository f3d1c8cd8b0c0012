"""Bills of materials: valid by the CycloneDX library's strict schema, a pure function of the run."""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from harness.pages import Run
from reports import bom
from tests.reports.told import CASES, WEIGHTS, a_run

SCHEMAS = Path(pytest.importorskip("cyclonedx.schema._res").__file__ or "").parent


@cache
def _validator() -> Any:
    """The library's own schema. Its validator would take packages that slow down every use of jsonschema."""
    read = {path.name: json.loads(path.read_text("utf-8")) for path in SCHEMAS.glob("*.json")}
    schema = read["bom-1.6.SNAPSHOT.schema.json"]
    known = [(each["$id"], Resource.from_contents(each, default_specification=DRAFT7)) for each in read.values()]
    beside = [(name.replace(".SNAPSHOT", ""), Resource.from_contents(each, DRAFT7)) for name, each in read.items()]
    base = schema["$id"].rpartition("/")[0]
    every = [*known, *beside, *((f"{base}/{name}", each) for name, each in beside)]
    return jsonschema.Draft7Validator(schema, registry=Registry().with_resources(every))


def test_the_schema_refuses_what_it_does_not_know() -> None:
    wrong = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "thing", "name": "x"}], "odd": 1}
    assert len(list(_validator().iter_errors(wrong))) >= 2


def _told(run: Run) -> dict[str, Any]:
    told = bom.tell(run).decode()
    read: dict[str, Any] = json.loads(told)
    assert list(_validator().iter_errors(read)) == []
    refs = [each["bom-ref"] for each in (read["metadata"]["component"], *read["components"])]
    assert len(set(refs)) == len(refs)
    for each in read["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= set(refs)
    for each in _models(read):
        assert {data["ref"] for data in each["modelCard"]["modelParameters"]["datasets"]} <= set(refs)
    return read


def _models(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in told["components"] if each["type"] == "machine-learning-model"]


def _data(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in told["components"] if each["type"] == "data"}


def _properties(told: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in told["metadata"]["properties"]}


def test_models_are_told_with_the_digest_of_what_answered() -> None:
    base, small = _models(_told(a_run()))
    assert (base["name"], small["name"]) == ("base", "small")
    assert small["hashes"] == [{"alg": "SHA-256", "content": WEIGHTS["small"].removeprefix("sha256:")}]
    assert small["description"] == "made by zoo + quantize"


def test_a_models_figures_stand_with_their_interval() -> None:
    _, small = _models(_told(a_run()))
    first, *figures = small["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert first == {
        "type": "golden",
        "value": "0.75",
        "slice": "specs/a.yaml::golden::digits: pass, n = 4",
        "confidenceInterval": {"lowerBound": "0.5", "upperBound": "0.875"},
    }
    assert {figure["type"] for figure in figures} == {"golden: said", "golden: size_mb"}


def test_data_is_told_by_what_it_is_for() -> None:
    data = _data(_told(a_run()))
    kinds = {name: (each["data"][0]["type"], each["data"][0]["description"]) for name, each in data.items()}
    assert kinds == {
        "specs/a.yaml": ("configuration", "read by the plan"),
        "golden/digits.jsonl": ("dataset", "cases"),
        "golden/lessons.jsonl": ("dataset", "lessons"),
    }
    assert data["golden/digits.jsonl"]["hashes"][0]["content"] == CASES.removeprefix("sha256:")


def test_a_variant_depends_on_its_base_and_on_what_it_learned_from() -> None:
    needs = {each["ref"]: each["dependsOn"] for each in _told(a_run())["dependencies"]}
    assert needs["model:specs/a.yaml::small"] == ["model:specs/a.yaml::base", "file:golden/lessons.jsonl"]
    assert "model:specs/a.yaml::base" not in needs


def test_what_is_not_certified_is_a_limitation_of_every_model() -> None:
    told = _told(a_run("fail"))
    assert _properties(told)["hallmark:status"] == "blocked"
    for model in _models(told):
        assert model["modelCard"]["considerations"]["technicalLimitations"][0].startswith("Not certified: blocked")
    assert _properties(_told(a_run()))["hallmark:status"] == "certified"


def test_it_is_a_pure_function_of_the_run_its_serial_number_too() -> None:
    assert bom.tell(a_run()) == bom.tell(a_run())
    told, other = _told(a_run()), _told(a_run(text="else"))
    UUID(told["serialNumber"].removeprefix("urn:uuid:"))
    assert told["serialNumber"] != other["serialNumber"]
    assert told["metadata"]["timestamp"] == "2026-01-01T00:00:09+00:00"


def test_a_run_that_did_not_finish_has_no_time_and_is_not_certified() -> None:
    told = _told(a_run(finished=False))
    assert "timestamp" not in told["metadata"]
    assert _properties(told)["hallmark:status"] == "incomplete"


def test_a_machines_path_is_not_told() -> None:
    told = bom.tell(a_run(path="/home/somebody/secret/digits.jsonl")).decode()
    assert "somebody" not in told
    assert "digits.jsonl" in told


@settings(max_examples=40)
@given(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.characters(codec="utf-8"), max_size=20).map(lambda end: f"golden/{end}"),
)
def test_whatever_a_stranger_writes_it_is_valid_and_nothing_in_it_is_unseen(text: str, name: str, path: str) -> None:
    told = bom.tell(a_run("fail", text=text, name=name, model=name, path=path)).decode()
    _told(a_run("fail", text=text, name=name, model=name, path=path))
    assert all(sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in told)
