"""Secrets in what models and errors say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.redaction import Redactor, is_secret
from tests.conftest import Project

ENVIRON = {
    "SERVICE_TOKEN": "s3cr3t-v4lue",
    "DB_PASSWORD": "s3cr3t-v4lue-longer",
    "HOME": "/root",
    "KEYBOARD": "us-intl-xx",
}


def redactor(said: str = "", **more: str) -> Redactor:
    return Redactor({**ENVIRON, **more}, lambda: said)


def test_values_of_the_environment_are_taken_out_wherever_they_stand() -> None:
    redact = redactor()
    assert redact("it is s3cr3t-v4lue.") == "it is [redacted: SERVICE_TOKEN]."
    assert redact("s3cr3t-v4lue-longer") == "[redacted: DB_PASSWORD]"
    assert redact({"s3cr3t-v4lue": ["a", ("s3cr3t-v4lue", 1)]}) == {
        "[redacted: SERVICE_TOKEN]": ["a", ["[redacted: SERVICE_TOKEN]", 1]]
    }
    assert redact("us-intl-xx /root") == "us-intl-xx /root"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("API_KEY", "abcdefgh", True),
        ("MY_API_KEYS", "abcdefgh", True),
        ("GITHUB_PAT", "abcdefgh", True),
        ("TOKEN", "short", False),
        ("TOKEN_COUNT", "12345678901", False),
        ("SSH_KEY", "/", False),
        ("KEYBOARD_LAYOUT", "abcdefgh", False),
        ("PATH", "abcdefgh", False),
    ],
)
def test_what_is_a_secret_is_told_by_its_name(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret


SHAPED = [
    "AKIA" + "A1B2C3D4E5F6G7H8",
    "ghp_" + "a1B2" * 9,
    "glpat-" + "a1B2c" * 4,
    "xoxb-" + "1234567890-abc",
    "AIza" + "a" * 35,
    "hf_" + "aB3" * 11,
    "sk-proj-" + "a1B2c3D4" * 4,
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----",
]


@pytest.mark.parametrize("key", SHAPED)
def test_keys_of_well_known_shapes_are_taken_out_but_where_the_spec_planted_them(key: str) -> None:
    assert key[8:] not in redactor()(f"here: {key} and more")
    assert redactor(json.dumps({"input": key}))(f"here: {key} and more") == f"here: {key} and more"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_holds_no_secret_is_left_as_it_is(value: Any) -> None:
    redact = redactor()
    assert redact(value) == value
    assert redact(redact([value, "x s3cr3t-v4lue"])) == redact([value, "x s3cr3t-v4lue"])


TELLS = """\
import os
def answer(asked):
    if asked == "raise":
        raise ValueError("the key is " + os.environ["SERVICE_TOKEN"])
    return {"said": f"my key is {os.environ['SERVICE_TOKEN']}", "also": asked}
"""


def test_no_file_of_a_run_and_no_line_of_its_log_holds_a_secret(project: Project) -> None:
    project.put("tells.py", TELLS)
    project.spec(
        "  - {name: t, kind: golden, model: m, compare: exact, cases: ["
        "{id: a, input: tell, expect: {said: 'my key is [redacted: SERVICE_TOKEN]', also: tell}}, {id: b, input: tell, expect: x}, "
        "{id: c, input: raise, expect: x}]}\n",
        "{m: {python: 'tells:answer'}}",
    )
    ran = project.hallmark("run", "specs", "--allow-python", "-n1", SERVICE_TOKEN="s3cr3t-v4lue-xyz")
    assert ran.status == 1
    assert {each["case"]: each["outcome"] for each in ran.outcomes.values()} == {
        "a": "met",
        "b": "missed",
        "c": "error",
    }
    assert "s3cr3t" not in ran.out + ran.err
    files = [path for path in ran.run.rglob("*") if path.is_file()]
    assert len(files) >= 5
    assert [path.name for path in files if b"s3cr3t" in path.read_bytes()] == []
    assert "verified" in project.hallmark("verify").out


def test_a_spec_that_would_write_a_secret_into_the_plan_is_refused(project: Project) -> None:
    project.spec("  - {name: t, kind: golden, model: m, cases: [{id: a, input: x, expect: '${env:SERVICE_TOKEN}'}]}\n")
    project.put(
        "specs/b.yaml",
        "hallmark: 1\nabout: ${env:SERVICE_TOKEN}\nmodels: {m: {echo: {}}}\nchecks: [{name: t, kind: golden, model: m, cases: [{id: a, input: x, expect: x}]}]\n",
    )
    ran = project.hallmark("validate", SERVICE_TOKEN="s3cr3t-v4lue-xyz")
    assert ran.status == 4
    assert "specs/b.yaml:2:8: variable: `SERVICE_TOKEN` seems to hold a secret" in ran.err
    assert "s3cr3t" not in ran.out + ran.err
