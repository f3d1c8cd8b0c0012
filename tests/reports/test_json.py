"""The certificate as JSON: nothing but the certificate."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from harness.codec import digest
from harness.contract import Case, Certificate, Check, Outcome, Plan
from harness.ledger import Begin, End
from harness.pages import Run
from reports import json as report


def _run() -> Run:
    check = Check(
        id="s::golden::c", name="c", kind="golden", at="s:1", cases=(Case(id="a", expect=1), Case(id="b", expect=1))
    )
    plan = msgspec.json.encode(Plan(hallmark="0", checks=(check,)))
    lines: list[Any] = [
        Begin(
            run="r", started="2026-01-01T00:00:00+00:00", plan=digest(plan), machine={"b": 1, "a": "\u202e</script>"}
        ),
        Outcome(case="a", outcome="met", check=check.id, answer=1),
        Outcome(case="b", outcome="missed", check=check.id, answer=2),
        End(finished="2026-01-01T00:00:01+00:00", seconds=1.0),
    ]
    return Run(plan, msgspec.json.Encoder().encode_lines(lines))


def test_what_it_tells_is_the_certificate_and_nothing_else() -> None:
    run = _run()
    told = report.tell(run)
    assert msgspec.json.decode(told, type=Certificate, strict=True) == run.certificate
    assert json.loads(told) == json.loads(msgspec.json.encode(run.certificate))
    assert set(json.loads(told)) == set(Certificate.__struct_fields__)


def test_it_is_the_file_that_a_run_folder_holds() -> None:
    assert report.FILE == "certificate.json"
    assert report.tell(_run()) == _run().certificate_data


def test_it_names_the_record_it_follows_from() -> None:
    told = json.loads(report.tell(_run()))
    assert told["status"] == "blocked"
    assert told["schema"] == "hallmark/certificate/1"
    assert told["provenance"]["record"].keys() == {"plan.json", "outcomes.jsonl"}
    assert all(value.startswith(digest(b"")[:7]) for value in told["provenance"]["record"].values())
