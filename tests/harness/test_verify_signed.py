"""A signed run is believed only as it was signed; a page and a certificate alone are, as far as they prove themselves."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import rooms
from harness.cli import main
from harness.codec import to_pretty_json
from harness.pages import read_run
from harness.proof import keyless, keys, signing
from harness.proof.signing import FILE, KEYLESS
from harness.proof.verify import Asked, examine, problems
from harness.store import ATTACHED, attached_at
from tests.conftest import Project

NAMED = {"plan.json", "outcomes.jsonl", "certificate.json", "report.html", "report.sarif", FILE}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a missed case, a file attached and an expiry, not signed yet."""
    project = Project(tmp_path_factory.mktemp("signed"))
    project.cases("c.jsonl", 12)
    project.spec(
        "  - {name: g, kind: golden, model: m, cases: ../c.jsonl, gate: {pass_rate: 0.9}}\n",
        models="{m: {echo: {wrong: [c1]}}}",
        more="certificate: {expires: 1d}\n",
    )
    run = project.hallmark("run", "-n0").run
    path = attached_at(run / ATTACHED / "x", "log.txt", b"as it was\n" * 20)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"as it was\n" * 20)
    return run


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALLMARK_CONFIG", str(tmp_path / "config"))
    keys.new_key("default")
    keys.new_key("mallory", tmp_path / "elsewhere")
    return tmp_path / "config"


@pytest.fixture
def unsigned(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "run")


@pytest.fixture
def run(unsigned: Path) -> Path:
    sign(unsigned)
    return unsigned


def sign(folder: Path, *words: str) -> None:
    assert main(["sign", str(folder), *words]) == 0


def named(folder: Path) -> set[str]:
    """The files that verify refuses."""
    return {problem.file for problem in examine(folder).problems}


def record(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "outcomes.jsonl").read_text("utf-8").splitlines()]


def forge(run: Path, lines: list[dict[str, Any]]) -> list[str]:
    """A record written anew, and everything that follows from it; what verify says of that."""
    return forge_text(run, msgspec.json.Encoder().encode_lines(lines).decode())


def forge_text(run: Path, text: str) -> list[str]:
    (run / "outcomes.jsonl").write_text(text, "utf-8")
    return told_anew(run)


def told_anew(run: Path) -> list[str]:
    (run / "certificate.json").write_bytes(read_run(run).certificate_data)
    for name in rooms.reports():
        room = rooms.report(name)
        (run / room.FILE).write_bytes(room.tell(read_run(run)))
    return problems(run)


# --------------------------------------------------------------------------------------------- a signed folder


def test_an_untouched_run_is_believed_and_its_certificate_comes_out_byte_for_byte(run: Path) -> None:
    found = examine(run)
    assert found.problems == []
    assert found.recomputed
    assert found.data == (run / "certificate.json").read_bytes()
    assert found.vouched == "default"
    assert set(found.digests) == {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()} - {
        FILE
    }


def test_a_thousand_bytes_changed_anywhere_are_a_thousand_refusals_that_name_the_file(run: Path) -> None:
    chance = random.Random(8)
    files = sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    assert set(files) >= NAMED
    assert any(file.startswith(ATTACHED) for file in files)
    sound = {file: (run / file).read_bytes() for file in files}
    hit: Counter[str] = Counter()
    for _ in range(1000):
        file = chance.choice(files)
        broken = bytearray(sound[file])
        broken[chance.randrange(len(broken))] ^= chance.randrange(1, 256)
        (run / file).write_bytes(broken)
        assert named(run) == {file}
        (run / file).write_bytes(sound[file])
        hit[file] += 1
    assert problems(run) == []
    assert all(hit[file] > 50 for file in files)


def test_a_file_taken_away_added_or_renamed_is_named(run: Path) -> None:
    for path in [path for path in run.rglob("*") if path.is_file() and path.name != FILE]:
        name, kept = path.relative_to(run).as_posix(), path.read_bytes()
        path.unlink()
        assert named(run) == {name}
        other = path.with_name(f"other-{path.name}")
        other.write_bytes(kept)
        assert named(run) == {name, other.relative_to(run).as_posix()}
        other.unlink()
        path.write_bytes(kept)
    for added in (".hidden", "summary.txt", f"{ATTACHED}/y/z.txt", f"{FILE}.old"):
        (run / added).parent.mkdir(exist_ok=True)
        (run / added).write_text("")
        assert named(run) == {added}
        (run / added).unlink()
    assert problems(run) == []


def test_links_and_pipes_in_a_run_are_named_and_nobody_waits_for_them(run: Path, tmp_path: Path) -> None:
    (tmp_path / "same").write_bytes((run / "report.html").read_bytes())
    (run / "report.html").unlink()
    (run / "report.html").symlink_to(tmp_path / "same")
    assert named(run) == {"report.html"}
    (run / FILE).unlink()
    assert named(run) == {"report.html"}
    for name in ("report.html", "certificate.json", "outcomes.jsonl", "plan.json"):
        (run / name).unlink()
        os.mkfifo(run / name)
        assert name in named(run)


def test_the_signature_of_another_run_or_of_an_earlier_one_is_refused(
    run: Path, original: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(original, tmp_path / "other")
    lines = record(other)
    lines[-1]["seconds"] += 1
    assert forge(other, lines) == []  # as far as it goes, anyone may write a run
    sign(other)
    assert problems(other) == []
    (run / FILE).write_bytes((other / FILE).read_bytes())
    assert {"outcomes.jsonl", "certificate.json"} <= named(run)


def test_a_signature_that_says_otherwise_of_the_certificate_is_refused_though_it_holds(unsigned: Path) -> None:
    """By the owner of the key: even they can't sign `certified` over a run that is something else."""
    found = examine(unsigned)
    assert found.certificate is not None
    private = keys.private_key(None)
    for lie in ({"status": "blocked"}, {"reason": "fine"}, {"expires": None}, {"score": 0.0}):
        said = msgspec.structs.replace(found.certificate, **lie)
        (unsigned / FILE).write_bytes(signing.seal(said, found.data, found.digests, private))
        assert problems(unsigned) == [f"{FILE}: what it says of the run is not so, or of another run"]
    (unsigned / FILE).write_bytes(signing.seal(found.certificate, found.data, found.digests, private))
    assert problems(unsigned) == []


def test_only_the_keys_that_are_named_are_accepted(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    theirs = tmp_path / "elsewhere" / "mallory"
    assert main(["verify", str(run), "--key", "default"]) == 0
    assert main(["verify", str(run), "--key", f"{theirs}.pub"]) == 1
    assert main(["verify", str(run), "--key", f"{theirs}.pub", "--key", "default"]) == 0
    sign(run, "--again", "--key", f"{theirs}.key")
    capsys.readouterr()
    assert main(["verify", str(run)]) == 0
    assert "for which nobody here vouches" in capsys.readouterr().out
    assert main(["verify", str(run), "--key", "default"]) == 1
    assert "is none that is accepted" in capsys.readouterr().err
    (run / FILE).unlink()
    assert main(["verify", str(run)]) == 0
    assert "not signed" in capsys.readouterr().out
    assert main(["verify", str(run), "--key", "default"]) == 1
    assert f"{FILE}: it is not there" in capsys.readouterr().err
    assert main(["verify", str(run), "--key", "nobody"]) == 4
    assert main(["verify", str(run), "--identity", "a@b.example"]) == 4
    assert main(["verify", str(run), "--identity", "a@b.example", "--issuer", "https://c.example"]) == 1


def test_an_expired_run_and_one_from_the_future_are_refused_signed_or_not(run: Path) -> None:
    now = datetime.now(UTC)
    for days, why in ((2, "expired"), (-2, "future")):
        found = examine(run, Asked(now=now + timedelta(days=days)))
        assert [problem.file for problem in found.problems] == ["certificate.json"]
        assert why in found.problems[0].what


def test_a_run_is_signed_once_and_only_where_it_is_believed(unsigned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = (unsigned / "report.html").read_bytes()
    (unsigned / "report.html").write_bytes(sound + b" ")
    assert main(["sign", str(unsigned)]) == 1
    assert "refused: report.html" in capsys.readouterr().err
    (unsigned / "report.html").write_bytes(sound)
    assert not (unsigned / FILE).exists()
    assert main(["sign", str(unsigned), "--key", "nobody"]) == 4
    sign(unsigned)
    before = (unsigned / FILE).read_bytes()
    assert main(["sign", str(unsigned)]) == 4
    (unsigned / "note.txt").write_text("mine")
    assert named(unsigned) == {"note.txt"}
    sign(unsigned, "--again")
    assert "note.txt; it is signed as it is" in capsys.readouterr().out
    assert problems(unsigned) == []
    assert (unsigned / FILE).read_bytes() != before
    assert not [path for path in unsigned.iterdir() if path.name.startswith(".")]


def test_what_can_not_be_signed_is_named_before_anything_is_written(
    unsigned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, make, what in (
        ("link", lambda path: path.symlink_to("/nowhere"), "link in it is a link"),
        ("pipe", os.mkfifo, "pipe in it is no plain file"),
        (b"\xff".decode("utf-8", "surrogateescape"), Path.touch, "not text"),
    ):
        try:
            make(unsigned / name)
        except OSError:
            continue  # a file system that takes text only
        assert main(["sign", str(unsigned)]) == 1
        assert what in capsys.readouterr().err
        assert not (unsigned / FILE).exists()
        assert main(["verify", str(unsigned), "--json"]) == 0
        (unsigned / name).unlink()
        sign(unsigned)
        make(unsigned / name)
        assert main(["verify", str(unsigned), "--json"]) == 1
        (unsigned / name).unlink()
        (unsigned / FILE).unlink()


def test_verify_says_it_all_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["verify", str(run), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["believed"], said["recomputed"], said["status"]) == (True, True, "certified")
    assert (said["vouched"], said["problems"]) == ("default", [])
    (run / "report.sarif").write_text("{}")
    assert main(["verify", str(run), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["believed"], said["status"]) == (False, None)
    assert said["problems"] == [{"file": "report.sarif", "what": "it is not what was signed"}]


def test_keyless_is_said_to_be_lacking_and_leaves_nothing(
    unsigned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sigstore", None)
    before = sorted(unsigned.rglob("*"))
    assert main(["sign", str(unsigned), "--keyless"]) == 4
    assert "mlx-hallmark[sigstore]" in capsys.readouterr().err
    assert sorted(unsigned.rglob("*")) == before
    (unsigned / KEYLESS).write_text("{}")
    assert any("was not looked at" in note for note in examine(unsigned).notes)
    found = examine(unsigned, Asked(identity="a", issuer="b"))
    assert [problem.file for problem in found.problems] == [KEYLESS]


def test_what_sigstore_found_is_held_against_the_folder(unsigned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = examine(unsigned)
    assert found.certificate is not None
    (unsigned / KEYLESS).write_bytes(signing.state(found.certificate, found.data, found.digests))
    monkeypatch.setattr(keyless, "unseal", lambda data, identity, issuer: data)
    asked = Asked(identity="alice@example.org", issuer="https://example.org")
    assert examine(unsigned, asked).problems == []
    assert examine(unsigned, asked).vouched == "alice@example.org"
    (unsigned / "report.sarif").write_text("{}")
    assert [problem.file for problem in examine(unsigned, asked).problems] == ["report.sarif"]


# ------------------------------------------------------------------------------------------------ one file


@pytest.fixture
def page(run: Path, tmp_path: Path) -> Path:
    (tmp_path / "alone").mkdir()
    return shutil.copy(run / "report.html", tmp_path / "alone" / "report.html")


def test_a_page_alone_is_recomputed_from_the_record_that_travels_in_it(page: Path, run: Path) -> None:
    found = examine(page)
    assert found.problems == []
    assert found.recomputed
    assert found.data == (run / "certificate.json").read_bytes()
    assert page.rename(page.with_name("what they sent.html"))
    assert examine(page.with_name("what they sent.html")).problems == []


def test_a_page_in_which_any_byte_was_changed_is_refused(page: Path) -> None:
    chance = random.Random(9)
    sound = page.read_bytes()
    for _ in range(300):
        broken = bytearray(sound)
        broken[chance.randrange(len(broken))] ^= chance.randrange(1, 256)
        page.write_bytes(broken)
        assert named(page) == {"report.html"}
    for other in (b"", sound[:-1], sound + b" ", sound + sound, b"<p>certified</p>"):
        page.write_bytes(other)
        assert named(page) == {"report.html"}
    page.write_bytes(sound)
    assert problems(page) == []


def test_a_page_is_held_against_the_signature_beside_it(page: Path, run: Path, original: Path, tmp_path: Path) -> None:
    ours = dict([keys.public_key("default")])
    assert examine(page, Asked(keys=ours)).problems
    shutil.copy(run / FILE, page.with_name(FILE))
    assert examine(page, Asked(keys=ours)).problems == []
    assert examine(page).vouched == "default"
    other = shutil.copytree(original, tmp_path / "other")
    lines = record(other)
    lines[-1]["seconds"] += 1
    assert forge(other, lines) == []
    shutil.copy(other / "report.html", page)
    assert examine(page).problems[0].what == f"it is not the report.html that {FILE} beside it speaks of"
    page.with_name(FILE).unlink()
    assert examine(page).problems == []


def test_a_certificate_is_its_folders_and_alone_it_takes_a_known_key(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examine(run / "certificate.json").problems == []
    assert examine(run / "certificate.json").recomputed
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(run / "certificate.json", alone)
    (problem,) = examine(alone / "certificate.json").problems
    assert "alone it can't be recomputed: plan.json and outcomes.jsonl are not beside it" in problem.what
    shutil.copy(run / FILE, alone)
    found = examine(alone / "certificate.json")
    assert (found.problems, found.recomputed) == ([], False)
    capsys.readouterr()
    assert main(["verify", str(alone / "certificate.json")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("signed: certified")
    assert "not recomputed" in said
    later = examine(alone / "certificate.json", Asked(now=datetime.now(UTC) + timedelta(days=2)))
    assert "expired" in later.problems[0].what
    sound = (alone / "certificate.json").read_bytes()
    for at in range(0, len(sound), 37):
        (alone / "certificate.json").write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        assert named(alone / "certificate.json") == {"certificate.json"}
    (alone / "certificate.json").write_bytes(sound)
    sign(run, "--again", "--key", str(tmp_path / "elsewhere" / "mallory.key"))
    shutil.copy(run / FILE, alone)
    assert "no key that is known here vouches for it" in examine(alone / "certificate.json").problems[0].what


def test_a_certificate_beside_a_record_that_is_not_its_own_is_refused(run: Path) -> None:
    other = run / "theirs.json"
    other.write_bytes((run / "certificate.json").read_bytes().replace(b"certified", b"blocked"))
    (run / FILE).unlink()
    assert named(other) == {"theirs.json"}


@pytest.mark.parametrize("name", ["x.html", "x.json", "x.txt", "report.sarif"])
def test_a_file_that_holds_no_run_is_said_to_hold_none(tmp_path: Path, name: str) -> None:
    for data in (b"", b"{}", b"[" * 50_000, b"\xff\xfe", b"<html>"):
        (tmp_path / name).write_bytes(data)
        assert named(tmp_path / name) == {name}


# -------------------------------------------------------------------------- what hangs together, and is not so


def test_a_run_that_was_written_anew_as_it_was_is_believed(unsigned: Path) -> None:
    assert forge(unsigned, record(unsigned)) == []


def swapped(lines: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Records that a forger might write, with what is said of each."""
    begin, end = lines[0], lines[-1]
    at = next(at for at, line in enumerate(lines) if line["is"] == "outcome")
    first = lines[at]
    setting = next(line for line in lines if line["is"] == "setting")
    missed = next(line for line in lines if line.get("outcome") == "missed")
    rest = [line for line in lines if line is not missed]
    yield "begins in it again", [begin, begin, *lines[1:]]
    yield "begins in it again", [*lines[1:-1], begin, end]
    yield "comes after the run's end", [*lines, end]
    yield "comes after the run's end", [*lines[:-2], end, lines[-2]]
    yield "has another outcome before it", [*lines[:-1], {**first, "seconds": 7.0}, end]
    yield "is not what its id was made of", [begin, {**setting, "facts": {"digest": "better"}}, *lines[1:]]
    yield (
        "is recorded as met, but its answer is not",
        [*rest[:-1], {**missed, "outcome": "met", "differences": []}, end],
    )
    yield "is recorded as met", [*rest[:-1], {**missed, "outcome": "met", "differences": [], "answer": True}, end]
    yield (
        "what it stands on passed",
        [
            *rest[:-1],
            {
                "is": "outcome",
                "case": missed["case"],
                "outcome": "skipped",
                "check": missed["check"],
                "reason": "stands on x",
            },
            end,
        ],
    )
    yield (
        "nothing was decided without it",
        [
            *rest[:-1],
            {
                "is": "outcome",
                "case": missed["case"],
                "outcome": "skipped",
                "check": missed["check"],
                "reason": "decided",
            },
            end,
        ],
    )


def test_a_record_that_no_run_of_ours_could_have_left_is_refused(unsigned: Path) -> None:
    for why, lines in swapped(record(unsigned)):
        said = forge(unsigned, lines)
        assert any(why in problem for problem in said), (why, said)
        assert all(problem.startswith("outcomes.jsonl: ") for problem in said)


def test_a_record_that_another_reader_would_read_otherwise_is_refused(unsigned: Path) -> None:
    text = (unsigned / "outcomes.jsonl").read_text("utf-8")
    for old, new in (
        ('"outcome":"missed"', '"outcome":"met","outcome":"missed"'),
        ('"outcome":"missed"', '"outcome": "missed"'),
        ('"outcome":"missed"', '"outcome":"missed","note":"met"'),
        ('"outcome":"missed"', '"outcome":"miss\\u0065d"'),
    ):
        assert old in text
        said = forge_text(unsigned, text.replace(old, new))
        assert any("is not written as Hallmark writes it" in problem for problem in said)


def planned(unsigned: Path, change: Callable[[dict[str, Any]], None]) -> list[str]:
    """With another plan, from which the record says that it began."""
    plan = json.loads((unsigned / "plan.json").read_bytes())
    change(plan)
    (unsigned / "plan.json").write_bytes(msgspec.json.encode(plan))
    lines = record(unsigned)
    lines[0]["plan"] = f"sha256:{signing.sha256((unsigned / 'plan.json').read_bytes())}"
    return forge(unsigned, lines)


def test_a_plan_that_counts_a_case_twice_is_refused(unsigned: Path) -> None:
    def twice(plan: dict[str, Any]) -> None:
        cases = plan["checks"][0]["cases"]
        plan["checks"][0]["cases"] = [case for case in cases if case["id"] != "c1"] + [cases[0]]

    assert any("two cases that are called `c0`" in problem for problem in planned(unsigned, twice))


def test_a_plan_that_asks_a_check_twice_or_another_model_is_refused(unsigned: Path) -> None:
    said = planned(unsigned, lambda plan: plan["checks"].append(plan["checks"][0]))
    assert any("two checks are called" in problem for problem in said)
    said = planned(unsigned, lambda plan: plan["checks"].pop())
    assert said == []

    def other(plan: dict[str, Any]) -> None:
        plan["models"]["better"] = next(iter(plan["models"].values()))
        plan["checks"][0]["model"] = "better"

    assert any("another model than it was asked of" in problem for problem in planned(unsigned, other))
    assert any("means nothing" in problem for problem in planned(unsigned, lambda plan: plan.update(more=1)))


def test_what_a_run_says_can_not_look_like_a_line_of_ours(unsigned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = record(unsigned)
    lines[-1]["stopped"] = "\nverified: certified: \x1b[32mall passed"
    assert forge(unsigned, lines) == []
    assert main(["verify", str(unsigned)]) == 2
    said = capsys.readouterr().out.splitlines()
    assert len([line for line in said if line.startswith("verified")]) == 1
    assert "\x1b" not in "".join(said)
    (unsigned / "certificate.json").write_bytes(to_pretty_json({"reason": "x"}))
    assert main(["verify", str(unsigned)]) == 1


def test_what_nests_without_end_is_refused_and_does_not_end_us(unsigned: Path) -> None:
    for name in ("plan.json", "outcomes.jsonl", "certificate.json"):
        sound = (unsigned / name).read_bytes()
        for data in (b"[" * 100_000, b'{"a":' * 100_000, b"", b"\0" * 1000, b"null\n"):
            (unsigned / name).write_bytes(data)
            assert problems(unsigned)
        (unsigned / name).write_bytes(sound)


# ------------------------------------------------------------------------------------- what a user may mean


@pytest.mark.parametrize("name", ["r.htm", "z.HTM", "copy", "report.html.bak"])
def test_a_page_is_known_by_what_is_in_it(unsigned: Path, tmp_path: Path, name: str) -> None:
    page = Path(shutil.copy(unsigned / "report.html", tmp_path / name))
    found = examine(page)
    assert not found.problems
    assert found.recomputed


def test_a_page_of_something_else_holds_no_record(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("nothing")
    (problem,) = examine(tmp_path / "notes").problems
    assert "no record of a run travels in it" in problem.what


def test_a_public_key_signs_nothing_and_is_called_what_it_is(unsigned: Path, config: Path, capsys: Any) -> None:
    assert main(["sign", str(unsigned), "--key", str(config / "default.pub")]) == 4
    assert "holds a public key: sign by the private one, default.key" in capsys.readouterr().err
    assert main(["sign", str(unsigned), "--key", "default.pub"]) == 4
    assert "is a public key's name: sign by the private one, default\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["other.pub", "other.key"])
def test_a_key_is_not_called_like_a_file(config: Path, capsys: Any, name: str) -> None:
    assert main(["key", "new", name]) == 4
    assert f"without {name[-4:]}, such as `other`" in capsys.readouterr().err
    assert not list(config.glob("other*"))


@pytest.mark.parametrize("verb", [["verify"], ["sign"], ["report"], ["golden", "update"]])
def test_a_run_that_is_not_there_is_a_fault_of_usage(verb: list[str], tmp_path: Path, capsys: Any) -> None:
    assert main([*verb, str(tmp_path / "nosuch")]) == 4
    assert "there is no run in" in capsys.readouterr().err


def test_an_unfinished_run_is_said_to_be_one(unsigned: Path, capsys: Any) -> None:
    (unsigned / "certificate.json").unlink()
    assert main(["verify", str(unsigned)]) == 1
    assert f"the run is unfinished, and `hallmark run --resume {unsigned}` takes it up" in capsys.readouterr().err
