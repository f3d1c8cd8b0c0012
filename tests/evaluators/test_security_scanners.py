"""bandit and detect-secrets: each planted problem found, absent when it is mended, and nothing that is passed over unsaid."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evaluators.security import bandit, secrets
from evaluators.security.files import walk
from evaluators.security.finding import Finding, Look, Scanned, identify, identify_secret

pytest.importorskip("bandit")
pytest.importorskip("detect_secrets")


def scan(room: Any, root: Path, **options: Any) -> Scanned:
    options = {"paths": ["."], **options}
    look = Look()
    found: Scanned = room.scan(options, root, room.subjects(options, root, look), look)
    return found


def told(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return sorted((each.rule, each.at) for each in found)


# ------------------------------------------------------------------------------------------------ bandit

PLANTED = {
    "B101": ("assert x", "if not x:\n    raise ValueError"),
    "B301": ("import pickle\npickle.loads(x)", "import json\njson.loads(x)"),
    "B306": ("import tempfile\ntempfile.mktemp()", "import tempfile\ntempfile.mkstemp()"),
    "B307": ("eval(x)", "int(x)"),
    "B324": ("import hashlib\nhashlib.md5(x)", "import hashlib\nhashlib.sha256(x)"),
    "B501": (
        "import requests\nrequests.get(x, timeout=1, verify=False)",
        "import requests\nrequests.get(x, timeout=1)",
    ),
    "B506": ("import yaml\nyaml.load(x)", "import yaml\nyaml.safe_load(x)"),
    "B602": ("import subprocess\nsubprocess.run(x, shell=True)", "import subprocess\nsubprocess.run([x])"),
    "B608": ("q = 'SELECT a FROM b WHERE c = ' + x", "q = ('SELECT a FROM b WHERE c = ?', [x])"),
    "B614": ("import torch\ntorch.load(x)", "import torch\ntorch.load(x, weights_only=True)"),
    "B701": ("import jinja2\njinja2.Environment()", "import jinja2\njinja2.Environment(autoescape=True)"),
}


@pytest.mark.parametrize("rule", PLANTED)
def test_bandit_finds_what_was_planted_and_not_what_was_mended(rule: str, tmp_path: Path) -> None:
    bad, good = PLANTED[rule]
    (tmp_path / "a.py").write_text(f"x = input()\n{bad}\n")
    found = [each for each in scan(bandit, tmp_path).findings if each.rule == rule]
    assert [(each.path, each.line) for each in found] == [("a.py", 1 + len(bad.splitlines()))]
    assert found[0].what
    assert found[0].fix
    (tmp_path / "a.py").write_text(f"x = input()\n{good}\n")
    assert rule not in {each.rule for each in scan(bandit, tmp_path).findings}


def test_all_that_bandit_knows_has_a_class_and_words_of_ours() -> None:
    from bandit.core.extension_loader import MANAGER

    assert {*MANAGER.plugins_by_id, *MANAGER.blacklist_by_id} <= bandit.rules().keys()


def test_the_rules_are_told_without_bandit() -> None:
    assert bandit.rules()["B602"] == "a program started by a shell"


def test_what_can_not_be_parsed_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def (")
    (tmp_path / "b.py").write_bytes(b"\0\xff")
    (tmp_path / "c.py").write_text("eval(input())")
    found = scan(bandit, tmp_path)
    assert [path for path, why in found.unread if why] == ["a.py", "b.py"]
    assert ("B307", "c.py:1") in told(found.findings)


def test_a_mark_in_the_file_excuses_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("eval(input())  # nosec\nexec(input())  # nosec B102\n")
    found = scan(bandit, tmp_path)
    assert (found.findings, found.excused) == ([], 2)


def test_what_a_scanned_tree_says_of_bandit_is_not_heard(tmp_path: Path) -> None:
    (tmp_path / ".bandit").write_text("[bandit]\nskips: B307\n")
    (tmp_path / "pyproject.toml").write_text('[tool.bandit]\nskips = ["B307"]\n')
    (tmp_path / "a.py").write_text("eval(input())\n")
    assert told(scan(bandit, tmp_path).findings) == [("B307", "a.py:1")]


def test_a_finding_is_known_again_wherever_its_line_goes(tmp_path: Path) -> None:
    def id_of(text: str) -> str:
        (tmp_path / "a.py").write_text(text)
        (found,) = scan(bandit, tmp_path).findings
        return found.id

    first = id_of("eval(input())\n")
    assert id_of("\n# more\nif True:\n    eval(input())\n") == first
    assert id_of("eval(input(1))\n") != first


def test_nothing_that_is_scanned_is_run(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "conftest.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    scan(bandit, tmp_path)
    scan(secrets, tmp_path)
    assert not (tmp_path / "ran").exists()


# ----------------------------------------------------------------------------------------------- secrets


def drawn(n: int, of: str = string.ascii_letters + string.digits) -> str:
    """Letters that look like a secret; made when a test runs, so that no file of ours holds any."""
    return "".join(random.Random(n).choices(of, k=n))


UPPER = string.ascii_uppercase + "234567"
PLANTED_SECRETS = {
    "AWSKeyDetector": lambda: "AKIA" + drawn(16, UPPER),
    "BasicAuthDetector": lambda: f"https://me:{drawn(12)}@example.com",
    "GitHubTokenDetector": lambda: "ghp_" + drawn(36),
    "KeywordDetector": lambda: f'password = "{drawn(10)}"',
    "PrivateKeyDetector": lambda: "-----BEGIN " + "RSA PRIVATE KEY-----",
    "SlackDetector": lambda: "xoxb-" + drawn(11, string.digits) + "-" + drawn(24),
    "StripeDetector": lambda: "sk_live_" + drawn(24),
    "Base64HighEntropyString": lambda: f'"{drawn(40)}"',
}


@pytest.mark.parametrize("rule", PLANTED_SECRETS)
@pytest.mark.parametrize("name", ["conf.txt", "a.py", "style.css", "no-ending", "deps.lock"])
def test_secrets_finds_what_was_planted_and_not_what_was_mended(rule: str, name: str, tmp_path: Path) -> None:
    secret = PLANTED_SECRETS[rule]()
    (tmp_path / name).write_text(f"nothing\n\n{secret}\n")
    found = scan(secrets, tmp_path)
    assert (rule, f"{name}:3") in told(found.findings)
    assert not found.unread
    (tmp_path / name).write_text("nothing\n\nread from the environment\n")
    assert not scan(secrets, tmp_path).findings


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig", "cp1252"])
def test_a_secret_is_found_in_whatever_a_text_is_encoded(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(f"Schlüssel\n{PLANTED_SECRETS['GitHubTokenDetector']()}\n".encode(encoding))
    assert ("GitHubTokenDetector", "a.txt:2") in told(scan(secrets, tmp_path).findings)


@pytest.mark.parametrize("name", ["swagger/a.txt", "swagger.json", "package-lock.json", "yarn.lock"])
def test_no_name_of_a_file_hides_a_secret(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(PLANTED_SECRETS["AWSKeyDetector"]())
    assert ("AWSKeyDetector", f"{name}:1") in told(scan(secrets, tmp_path).findings)


def test_the_digests_of_a_lock_file_are_no_findings(tmp_path: Path) -> None:
    (tmp_path / "package-lock.json").write_text(f'{{"integrity": "sha512-{drawn(86)}=="}}\n')
    assert not scan(secrets, tmp_path).findings


def test_no_finding_says_the_secret_itself(tmp_path: Path) -> None:
    every = {rule: make() for rule, make in PLANTED_SECRETS.items()}
    (tmp_path / "a.txt").write_text("\n".join(every.values()))
    said = str(scan(secrets, tmp_path).findings)
    assert "AWSKeyDetector" in said
    assert not [rule for rule, secret in every.items() if secret in said or secret[5:-3] in said]


def test_another_secret_in_the_same_place_is_another_finding(tmp_path: Path) -> None:
    ids = set()
    for n in (35, 36):
        (tmp_path / "a.txt").write_text(f"{n}\nAKIA{drawn(n, UPPER)[:16]}\n")
        ids |= {each.id for each in scan(secrets, tmp_path).findings if each.rule == "AWSKeyDetector"}
    assert len(ids) == 2


def test_a_pragma_excuses_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{PLANTED_SECRETS['AWSKeyDetector']()}  # pragma: allowlist secret\n")
    found = scan(secrets, tmp_path)
    assert (found.findings, found.excused) == ([], 1)


def test_a_text_that_is_too_large_is_told_and_a_binary_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 99)
    (tmp_path / "b.bin").write_bytes(b"\0" * 99)
    assert scan(secrets, tmp_path, largest=98).unread == [("a.txt", "it is larger than 98 bytes")]
    assert not scan(secrets, tmp_path, largest=99).unread


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a watcher that runs out of depth, too
@pytest.mark.parametrize("built", ["[" * 5_000, BOMB, "a: *b\n", "%YAML 9\n", "[x]\n" * 99 + "[", "\ufeff" * 9])
@pytest.mark.parametrize("ending", ["yaml", "ini", "cfg", "properties"])
def test_a_file_that_is_built_to_hurt_its_reader_hides_nothing(
    built: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_SECONDS", 0.3)
    (tmp_path / f"a.{ending}").write_text(f"{built}\n# {PLANTED_SECRETS['AWSKeyDetector']()}\n", "utf-8")
    found = scan(secrets, tmp_path)
    assert [each.rule for each in found.findings if each.rule == "AWSKeyDetector"]
    assert not found.unread


@pytest.mark.parametrize(
    "text",
    [
        "a: b\n# {}\nc:\n  - {}2\n",
        "[a]\nb = {}2\n; {}\n",
        "a: |\n  {}2\n  b\n# {}\n",
    ],
)
@pytest.mark.parametrize("ending", ["yaml", "yml", "ini", "cfg", "properties", "txt"])
def test_a_remark_in_settings_hides_nothing(text: str, ending: str, tmp_path: Path) -> None:
    remark, value = "AKIA" + drawn(16, UPPER), "AKIA" + drawn(17, UPPER)[1:]
    (tmp_path / f"a.{ending}").write_text(text.replace("{}2", value).replace("{}", remark))
    lines = {each.line for each in scan(secrets, tmp_path).findings if each.rule == "AWSKeyDetector"}
    told = (tmp_path / f"a.{ending}").read_text().split("\n")
    assert lines == {at for at, line in enumerate(told, 1) if "AKIA" in line}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_a_wide_text_needs_no_mark_of_its_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(f"Schlüssel\n{PLANTED_SECRETS['GitHubTokenDetector']()}\n".encode(encoding))
    found = scan(secrets, tmp_path)
    assert ("GitHubTokenDetector", "a.txt:2") in told(found.findings)
    assert found.skipped == 0


def test_a_nul_hides_no_text_and_what_is_binary_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\0\n" + PLANTED_SECRETS["AWSKeyDetector"]().encode())
    (tmp_path / "b.bin").write_bytes(bytes(range(256)) * 9)
    found = scan(secrets, tmp_path)
    assert told(found.findings) == [("AWSKeyDetector", "a.txt:2")]
    assert (found.skipped, found.unread) == (1, [])


@pytest.mark.parametrize("end", "\x0b\x0c\x1c\x85\u2028")
def test_a_mark_excuses_its_own_line_and_no_other(end: str, tmp_path: Path) -> None:
    lines = [f"{end}{end}", PLANTED_SECRETS["AWSKeyDetector"](), "", "# pragma: allowlist secret", "x"]
    (tmp_path / "a.txt").write_text("\n".join(lines), "utf-8")
    assert ("AWSKeyDetector", "a.txt:2") in told(scan(secrets, tmp_path).findings)


@pytest.mark.parametrize(("room", "rule"), [(bandit, "B105"), (secrets, "Base64HighEntropyString")])
def test_no_id_is_a_quick_digest_of_a_secret(room: Any, rule: str, tmp_path: Path) -> None:
    secret = drawn(40)
    text = f'password = "{secret}"'
    (tmp_path / "a.py").write_text(text)
    (found,) = [each for each in scan(room, tmp_path).findings if each.rule == rule]
    assert found.id not in {identify(rule, "a.py", each) for each in (secret, text)}
    assert found.id in {identify_secret(rule, "a.py", each) for each in (secret, text)}


def test_what_becomes_worse_below_its_first_line_is_new(tmp_path: Path) -> None:
    def id_of(text: str) -> str:
        (tmp_path / "a.py").write_text(text)
        (found,) = [each for each in scan(bandit, tmp_path).findings if each.rule == "B307"]
        return found.id

    assert id_of("eval(\n    mine()\n)\n") == id_of("# more\neval(\n  mine()\n)\n") != id_of("eval(\n    input()\n)\n")


def test_a_script_that_is_named_is_scanned_without_an_ending(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("eval(input())\n")
    assert told(scan(bandit, tmp_path, paths=["tool"]).findings) == [("B307", "tool:1")]


def test_rules_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(PLANTED_SECRETS["AWSKeyDetector"]())
    assert not scan(secrets, tmp_path, without=["AWSKeyDetector"]).findings


def test_all_that_detect_secrets_knows_has_a_class_and_words_of_ours() -> None:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins: dict[str, type] = get_mapping_from_secret_type_to_class()
    assert {plugin.__name__ for plugin in plugins.values()} <= secrets.rules().keys()


@pytest.mark.parametrize("room", [bandit, secrets])
def test_what_is_scanned_is_what_was_named(room: Any, tmp_path: Path) -> None:
    for name in ("a.py", "b/c.py", "d/e.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    subjects = room.subjects({"paths": ["a.py", "b"], "exclude": ["d/**"]}, tmp_path, Look())
    assert subjects == walk(tmp_path, ["a.py", "b"])
