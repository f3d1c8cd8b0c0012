"""Dependencies and licences: what is known of versions, from which source, and what is never taken for an acquittal."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from evaluators.security import dependencies, dependencies_snapshot, licences
from evaluators.security import dependencies_environment as environment
from evaluators.security import dependencies_locks as locks
from evaluators.security import licences_expressions as expressions
from evaluators.security import licences_names as names
from evaluators.security.dependencies_advisories import (
    Advisory,
    Affected,
    Book,
    Event,
    Package,
    Range,
    Snapshot,
    base_score,
    load,
)
from evaluators.security.files import Unreadable
from evaluators.security.finding import Look, Missing, Scanned, Unavailable

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples" / "security"
OFFLINE, ONLINE = Look(offline=True), Look(offline=False)
AGES = "9999d"


def scan(root: Path, look: Look = OFFLINE, **options: Any) -> Scanned:
    return dependencies.scan(options, root, dependencies.subjects(options, root, look), look)


def examples(which: str, **options: Any) -> Scanned:
    lock = f"dependencies/{which}/requirements.txt"
    return scan(EXAMPLES, advisories="dependencies/advisories.json", max_age=AGES, lock=lock, **options)


def snapshot(folder: Path, covers: Any = "all", taken: str | None = None, advisories: Any = ()) -> str:
    taken = taken or datetime.now(UTC).date().isoformat()
    said = {"form": "hallmark/advisories/1", "source": "invented", "taken": taken, "covers": covers}
    (folder / "advisories.json").write_text(json.dumps({**said, "advisories": list(advisories)}))
    return "advisories.json"


def advisory(id: str = "X-1", name: str = "thing", **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    return {"id": id, "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}], **more}


# ------------------------------------------------------------------------------------------ dependencies


def test_each_planted_dependency_is_found_and_gone_when_it_is_mended() -> None:
    found = examples("planted", **{"except": {"long-gone": "used nowhere"}})
    assert {finding.rule for finding in found.findings} == dependencies.rules().keys()
    assert not found.unread
    assert examples("mended") == Scanned([], [])


def test_a_vulnerability_is_told_once_with_its_advisory_and_the_version_that_mends_it() -> None:
    (finding,) = [each for each in examples("planted").findings if each.path.startswith("Hollow.Log==")]
    assert finding.path == "Hollow.Log==2.0.1/PYSEC-2026-1"
    assert finding.severity == "critical"
    assert "CVE-2026-1" in finding.what
    assert "pinned at dependencies/planted/requirements.txt:2" in finding.what
    assert finding.fix == "Take Hollow.Log 2.1 or later."


def test_two_databases_that_tell_of_the_same_are_one_finding() -> None:
    book = Book(load(EXAMPLES / "dependencies" / "advisories.json"))
    (known,) = book.known("hollow_log", "1.0")
    assert (known.id, known.aliases, known.severity, known.fixed) == (
        "PYSEC-2026-1",
        ["CVE-2026-1", "GHSA-aaaa-bbbb-cccc"],
        "critical",
        "1.4.2",
    )
    assert book.known("hollow-log", "1.4.2") == book.known("hollow-log", "2.1") == book.known("hollow-log", "1.9") == []
    assert len(book.known("hollow-log", "2.0")) == 1


def test_an_id_outlasts_a_version_so_that_a_baseline_does() -> None:
    ids = {dependencies._finding(dependencies.Thing("a", v, ""), known()).id for v in ("1.0", "1.1")}
    assert len(ids) == 1


def known() -> Any:
    return dependencies.Known("X-1", [], "high", "", "")


def test_without_a_source_of_advisories_nothing_is_shown() -> None:
    with pytest.raises(Unavailable, match="no source"):
        scan(EXAMPLES)


def test_advisories_that_are_too_old_show_nothing(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("thing==1.0\n")
    day = (datetime.now(UTC).date() - timedelta(days=91)).isoformat()
    name = snapshot(tmp_path, taken=day)
    with pytest.raises(Unavailable, match="91 days old, and hold for 90"):
        scan(tmp_path, advisories=name, lock="r.txt")
    assert scan(tmp_path, advisories=name, lock="r.txt", max_age="91d") == Scanned([], [])


@pytest.mark.parametrize("day", ["2999-01-01", "yesterday", ""])
def test_advisories_of_no_day_that_can_be_are_refused(day: str, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("thing==1.0\n")
    name = snapshot(tmp_path, taken=day or "-")
    with pytest.raises(Unreadable):
        scan(tmp_path, advisories=name, lock="r.txt")


def test_advisories_that_do_not_cover_a_package_find_but_never_acquit(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("thing==1.0\nother==1.0\n")
    with pytest.raises(Unavailable, match="don't cover 2 of 2 packages"):
        scan(tmp_path, advisories=snapshot(tmp_path, covers=[]), lock="r.txt")
    found = scan(tmp_path, advisories=snapshot(tmp_path, covers=["other"], advisories=[advisory()]), lock="r.txt")
    assert [finding.path for finding in found.findings] == ["thing==1.0/X-1"]
    assert [path for path, _ in found.unread] == ["thing==1.0"]


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"form": "other"}', "\ufeff", "[" * 5000])
def test_a_file_that_is_no_snapshot_is_refused(said: str, tmp_path: Path) -> None:
    (tmp_path / "advisories.json").write_text(said)
    with pytest.raises(Unreadable, match="no snapshot of advisories"):
        scan(tmp_path, advisories="advisories.json")


def test_a_package_that_is_excepted_is_not_looked_up_and_counted(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("Thing==1.0\nother==1.0\n")
    name = snapshot(tmp_path, advisories=[advisory()])
    assert scan(tmp_path, advisories=name, lock="r.txt", **{"except": {"thing": "not in use"}}) == Scanned(
        [], [], excused=1
    )


@pytest.mark.parametrize(
    "said", ["", "# nothing\n", "--index-url https://example.org\n", "excepted==1.0\n", "open>1\n"]
)
def test_a_lock_file_with_nothing_to_look_up_shows_nothing(said: str, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(said)
    found = scan(tmp_path, advisories=snapshot(tmp_path), lock="r.txt", **{"except": {"excepted": "why not"}})
    assert [path for path, _ in found.unread] == ["r.txt"]
    assert bool(found.findings) == ("excepted" not in said)


def test_a_build_of_a_version_is_as_vulnerable_as_the_version(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("thing==2.0.1+cu118\n")
    listed, last, mended = advisory("A-1"), advisory("A-2"), advisory("A-3")
    listed["affected"][0] |= {"ranges": [], "versions": ["2.0.1"]}
    last["affected"][0]["ranges"][0]["events"].append({"last_affected": "2.0.1"})
    mended["affected"][0]["ranges"][0]["events"].append({"fixed": "2.0.1"})
    found = scan(tmp_path, advisories=snapshot(tmp_path, advisories=[listed, last, mended]), lock="r.txt")
    assert [finding.path.partition("/")[2] for finding in found.findings] == ["A-1", "A-2"]


def test_an_advisory_that_names_no_versions_acquits_nobody_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("thing==1.0\n")
    commits, kept = advisory("A-1"), advisory("A-2")
    commits["affected"][0]["ranges"] = [{"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}]}]
    found = scan(tmp_path, advisories=snapshot(tmp_path, advisories=[commits, kept]), lock="r.txt")
    assert [finding.path for finding in found.findings] == ["thing==1.0/A-2"]
    ((path, why),) = found.unread
    assert (path, why.partition(":")[0]) == ("thing==1.0", "A-1")


def test_a_version_that_cannot_be_compared_could_not_be_looked_up(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "thing"\nversion = "one"\n')
    found = scan(tmp_path, advisories=snapshot(tmp_path, advisories=[advisory()]), lock="uv.lock")
    assert [path for path, _ in found.unread] == ["thing==one"]


def test_without_a_severity_a_vulnerability_is_taken_for_a_high_one(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("thing==1.0\n")
    told = [advisory("A-1"), advisory("A-2", database_specific={"severity": "LOW"})]
    told.append(
        advisory("A-3", severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:L/UI:R/S:U/C:L/I:L/A:N"}])
    )
    found = scan(tmp_path, advisories=snapshot(tmp_path, advisories=told), lock="r.txt")
    assert [finding.severity for finding in found.findings] == ["high", "low", "low"]


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:4.0/AV:N", None),
        ("CVSS:3.1/AV:N", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_base_score_is_that_of_the_specification(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


NUMBERS = st.integers(0, 20)


@given(NUMBERS, NUMBERS, NUMBERS, st.booleans())
def test_a_range_holds_what_lies_between_its_events(version: int, begin: int, length: int, last: bool) -> None:
    end = begin + length
    event = Event(last_affected=f"{end}") if last else Event(fixed=f"{end}")
    affected = Affected(Package("PyPI", "a"), [Range("ECOSYSTEM", [event, Event(introduced=f"{begin}")])])
    book = Book(Snapshot("hallmark/advisories/1", "", "", "all", [Advisory("A-1", [affected])]))
    assert bool(book.known("a", f"{version}")) == (
        begin <= version < end + last or (begin == end <= version and not last)
    )


def test_the_lock_files_of_several_tools_are_read(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(
        '[[package]]\nname = "mine"\nversion = "0"\nsource = { editable = "." }\n[[package]]\nname = "a"\nversion = "1"\n'
    )
    (tmp_path / "poetry.lock").write_text('[[package]]\nname = "a"\nversion = "1"\n')
    (tmp_path / "pylock.toml").write_text(
        'lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1"\n[[packages]]\nname = "b"\n'
    )
    for name, told in (("uv.lock", ["1"]), ("poetry.lock", ["1"]), ("pylock.toml", ["1", ""])):
        assert [each.version for each in locks.read([tmp_path / name], tmp_path)] == told


def test_what_a_lock_file_leaves_open_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(
        "--index-url https://example.org\n-e .\na==1.*\nb @ https://example.org/b.whl\nc===1 # sure\ngit+https://example.org/d\n???\n"
    )
    pinned = locks.read([tmp_path / "r.txt"], tmp_path)
    assert [(each.at, each.version) for each in pinned] == [
        ("r.txt:2", ""),
        ("r.txt:3", ""),
        ("r.txt:4", ""),
        ("r.txt:5", "1"),
        ("r.txt:6", ""),
        ("r.txt:7", ""),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "git+https://hunter2:x@example.org/o/r.git",
        "-e git+https://hunter2@example.org/o/r.git",
        "https://user:p@hunter2@example.org/x.whl",
        "thing @ https://user:hunter2@example.org/x.whl",
        "git+https://user:" + "hunter2" * 20 + "@example.org/x",
        "??? https://user:hunter2@example.org",
        "other===https://user:hunter2@example.org",
    ],
)
def test_a_password_of_a_lock_file_is_never_shown(line: str, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(f"{line}\nthing==1.0\n")
    found = scan(tmp_path, advisories=snapshot(tmp_path), lock="r.txt")
    assert [finding.rule for finding in found.findings] == ["unpinned"]
    assert "hunter2" not in str(found)
    assert "hunter2" not in str(locks.read([tmp_path / "r.txt"], tmp_path))
    (tmp_path / "r.txt").write_text("-r https://user:hunter2@example.org/r.txt\n")
    with pytest.raises(Unreadable, match=r"`https://example\.org/r\.txt` is not in the project"):
        locks.files_of(tmp_path / "r.txt", tmp_path)


def test_a_lock_file_takes_in_nothing_from_outside_of_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("a==1\n")
    for line in ("-r ../secret.txt", "-r /etc/hostname", "-r missing.txt"):
        (root / "r.txt").write_text(f"{line}\n")
        with pytest.raises(Unreadable):
            locks.files_of(root / "r.txt", root)
    (root / "r.txt").write_text("-r r.txt\n")
    assert locks.files_of(root / "r.txt", root) == [root / "r.txt"]


def test_pip_audit_is_asked_where_the_network_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.txt").write_text("a==1\nb==2\nc==3\n")
    vulns = [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": ["CVE-1"]}]
    told = {"dependencies": [{"name": "a", "version": "1", "vulns": vulns}, {"name": "b", "skip_reason": "not there"}]}
    monkeypatch.setattr(dependencies, "find_spec", lambda name: object())
    monkeypatch.setattr(
        dependencies.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=json.dumps(told), stderr=b"")
    )
    found = scan(tmp_path, ONLINE, lock="r.txt")
    assert [(finding.path, finding.fix) for finding in found.findings] == [("a==1/PYSEC-1", "Take a 1.1 or later.")]
    assert found.unread == [("b==2", "not there"), ("c==3", "pip-audit said nothing of it")]
    assert dependencies.besides({"lock": "r.txt"}, ONLINE) is None


@pytest.mark.parametrize("said", ["", '{"dependencies": [{"name": "a", "skip_reason": "no network"}]}'])
def test_pip_audit_without_its_source_shows_nothing(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.txt").write_text("a==1\n")
    ran = SimpleNamespace(stdout=said, stderr=b"Traceback\nConnectionError: no route\n")
    monkeypatch.setattr(dependencies, "find_spec", lambda name: object())
    monkeypatch.setattr(dependencies.subprocess, "run", lambda *_, **__: ran)
    with pytest.raises(Unavailable, match=r"no route|no network"):
        scan(tmp_path, ONLINE, lock="r.txt")


def test_pip_audit_that_is_not_installed_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.txt").write_text("a==1\n")
    monkeypatch.setattr(dependencies, "find_spec", lambda name: None)
    with pytest.raises(Missing, match="pip install"):
        scan(tmp_path, ONLINE, lock="r.txt")


def test_a_snapshot_is_made_of_a_folder_and_of_a_zip_file(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    more = {"summary": "bad", "published": "2026-01-01", "database_specific": {"severity": "HIGH", "url": "u"}}
    kept, other, gone = advisory("A-1", **more), advisory("A-2", "other"), advisory("A-3", withdrawn="2026-01-01")
    kept["affected"][0]["versions"] = ["1.0", "weird"]
    kept["affected"].append({"package": {"ecosystem": "npm", "name": "thing"}})
    folder = tmp_path / "vulns"
    folder.mkdir()
    (folder / "a.yaml").write_text(json.dumps(kept))
    (folder / "b.json").write_text(json.dumps(other))
    (folder / "c.json").write_text(json.dumps(gone))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    (tmp_path / "all.zip").write_bytes(packed.getvalue())
    (tmp_path / "r.txt").write_text("Thing==1.0\n")
    made = []
    for place in (folder, tmp_path / "all.zip"):
        dependencies_snapshot.main([str(place), "--source", "us", "--lock", str(tmp_path / "r.txt")])
        made.append(capsysbinary.readouterr().out)
    assert made[0] == made[1]
    said = json.loads(made[0])
    assert (said["covers"], said["taken"]) == (["thing"], datetime.now(UTC).date().isoformat())
    assert said["advisories"] == [
        {
            "id": "A-1",
            "affected": [
                {
                    "package": {"ecosystem": "PyPI", "name": "thing"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
                    "versions": ["weird"],
                }
            ],
            "summary": "bad",
            "database_specific": {"severity": "HIGH"},
        }
    ]
    dependencies_snapshot.main([str(folder), "--source", "us", "--all", "--taken", "2026-11-01"])
    said = json.loads(capsysbinary.readouterr().out)
    assert (said["covers"], [each["id"] for each in said["advisories"]]) == ("all", ["A-1", "A-2"])


def test_our_own_advisories_can_be_read_and_claim_to_cover_nothing() -> None:
    ours = load(ROOT / "golden" / "security" / "advisories.json")
    assert ours.covers == []
    assert ours.source
    book = Book(ours)
    assert [known.fixed for known in book.known("setuptools", "65.5.0")] == ["65.5.1", "70.0.0", "78.1.1"]
    for each in ours.advisories:
        for affected in each.affected:
            for event in affected.ranges[0].events:
                assert Version(event.introduced or event.fixed or "")


def test_what_is_wrong_with_the_options_is_said_before_anything_runs() -> None:
    told = list(dependencies.faults({"source": "pip-audit", "advisories": "a.json"}))
    told += dependencies.faults({"max_age": "3d"})
    told += dependencies.faults({"of": ["a", "b c d"], "lock": "l"})
    assert [said.path for said in told] == [("source",), ("max_age",), ("of",), ("of", 1)]
    told = list(licences.faults({"allow": ["MIT", "MIT OR", "MIT OR ISC"], "of": ["=="]}))
    assert [said.path for said in told] == [("allow", 1), ("allow", 2), ("of", 0)]


# ------------------------------------------------------------------------------------------- environment


def install(place: Path, name: str, version: str = "1.0", *lines: str) -> None:
    folder = place / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines, "", ""])
    )


def test_what_is_imported_first_is_what_is_installed(tmp_path: Path) -> None:
    install(tmp_path / "first", "thing", "2.0")
    install(tmp_path / "second", "Thing", "1.0")
    install(tmp_path / "second", "twice", "1.0")
    install(tmp_path / "second", "twice", "2.0")
    (tmp_path / "second" / "old.egg-info").mkdir()
    (tmp_path / "second" / "older.egg-info").write_text("Name: older\nVersion: 1\n")
    found = environment.metadata_files([str(tmp_path / "first"), str(tmp_path / "second"), str(tmp_path / "nowhere")])
    installed, unread = environment.read(found)
    assert [one.path for one in installed] == ["older==1", "thing==2.0", "twice==1.0", "twice==2.0"]
    assert [path for path, _ in unread] == ["old.egg-info/PKG-INFO"]


def test_only_what_some_need_is_looked_at(tmp_path: Path) -> None:
    install(
        tmp_path,
        "app",
        "1.0",
        "Requires-Dist: base>=1",
        'Requires-Dist: more; extra == "big"',
        'Requires-Dist: no; sys_platform == "x"',
    )
    install(tmp_path, "base", "1.0", "Requires-Dist: app", "Requires-Dist: gone")
    install(tmp_path, "more")
    install(tmp_path, "unrelated")
    installed, _ = environment.read(environment.metadata_files([str(tmp_path)]))
    chosen, missing = environment.chosen(installed, ["app"])
    assert [one.name for one in chosen] == ["app", "base"]
    assert missing == [("gone", "base needs it, and it is not installed")]
    assert [one.name for one in environment.chosen(installed, ["App[big]"])[0]] == ["app", "base", "more"]


# ---------------------------------------------------------------------------------------------- licences


def licensed(place: Path, *allow: str, **options: Any) -> Scanned:
    files = sorted(file for file in place.rglob("*") if file.is_file())
    return licences.scan({"allow": list(allow), **options}, place, files, OFFLINE)


def test_each_planted_licence_is_found_and_gone_when_it_is_mended() -> None:
    allow = ("MIT", "Apache-2.0")
    found = licensed(EXAMPLES / "licences" / "planted", *allow, **{"except": {"long-gone": "used nowhere"}})
    assert {finding.rule for finding in found.findings} == licences.rules().keys()
    assert {finding.path for finding in found.findings} == {"strict==2.0", "silent==3.0", "long-gone"}
    assert licensed(EXAMPLES / "licences" / "mended", *allow) == Scanned([], [])


def test_an_exception_lets_a_package_be_and_is_counted(tmp_path: Path) -> None:
    install(tmp_path, "Some.Thing", "1.0", "License-Expression: GPL-3.0-only")
    assert licensed(tmp_path, "MIT", **{"except": {"some-thing": "tests only"}}) == Scanned([], [], excused=1)
    (finding,) = licensed(tmp_path, "GPL-3.0-only", **{"except": {"some-thing": "tests only"}}).findings
    assert finding.rule == "unused-exception"


BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted."
MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"


@pytest.mark.parametrize(
    ("lines", "texts", "told"),
    [
        (["License-Expression: MIT OR GPL-2.0-only"], [], "MIT OR GPL-2.0-only"),
        (["License-Expression: nonsense at all"], [], None),
        (["License-Expression: MIT", "License-Expression: GPL-3.0-only"], [], "MIT AND GPL-3.0-only"),
        (["License-Expression: MIT", "License: GPL-3.0-only"], [], "MIT AND GPL-3.0-only"),
        (["License-Expression: MIT", "License: MIT License", "Classifier: License :: OSI Approved :: BSD License"], [], "MIT"),
        (["License-Expression: MIT", "License: see the EULA"], [], None),
        (["License: MIT", "License: Proprietary EULA"], [], None),
        (["License: MIT, but not for commercial use", "Classifier: License :: OSI Approved :: MIT License"], [], None),
        (["License: proprietary"], [MIT], None),
        (["License: BSD"], [BSD], "BSD-2-Clause"),
        (["License: BSD", "Classifier: License :: OSI Approved :: MIT License"], [], None),
        (["License: Apache 2.0"], [], "Apache-2.0"),
        (["License: MPL-2.0 AND MIT"], [], "MPL-2.0 AND MIT"),
        (["License: UNKNOWN", "Classifier: License :: OSI Approved :: MIT License"], [], "MIT"),
        (["License: MIT", "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)"], [], "MIT AND GPL-3.0-only"),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"], [], "BSD-3-Clause"),
        (["Classifier: License :: OSI Approved :: BSD License"], [], None),
        (["Classifier: License :: OSI Approved :: BSD License"], [BSD], "BSD-2-Clause"),
        (["Classifier: License :: OSI Approved :: BSD License"], [BSD + " Neither the name of"], "BSD-3-Clause"),
        (["Classifier: License :: OSI Approved :: BSD License"], [MIT], None),
        ([], [MIT], "MIT"),
        ([], [MIT, "all rights reserved"], None),
        ([], [MIT, BSD], "BSD-2-Clause AND MIT"),
        (["License: proprietary"], [], None),
        (["Classifier: License :: Other/Proprietary License"], [], None),
        ([], [], None),
    ],
)  # fmt: skip
def test_a_licence_is_told_from_what_metadata_says_and_never_guessed(
    lines: list[str], texts: list[str], told: str | None, tmp_path: Path
) -> None:
    install(tmp_path, "thing", "1.0", *lines)
    for number, words in enumerate(texts):
        (tmp_path / "thing-1.0.dist-info" / f"LICENSE-{number}").write_text(words)
    ((one,), _) = environment.read(environment.metadata_files([str(tmp_path)]))
    found = licences.licence_of(one).expression
    assert (None if found is None else expressions.spelled(found)) == told


@pytest.mark.parametrize(
    ("said", "allowed", "lacking"),
    [
        ("MIT", {"mit"}, []),
        ("mit", {"mit"}, []),
        ("MIT OR GPL-3.0-only", {"mit"}, []),
        ("MIT AND GPL-3.0-only", {"mit"}, ["GPL-3.0-only"]),
        ("GPL-2.0-or-later", {"gpl-2.0-only"}, []),
        ("Apache-2.0+", {"apache-2.0"}, []),
        ("Apache-2.0", {"apache-2.0+"}, ["Apache-2.0"]),
        ("GPL-2.0-only WITH Classpath-exception-2.0", {"gpl-2.0-only with classpath-exception-2.0"}, []),
        ("GPL-2.0-only WITH Classpath-exception-2.0", {"gpl-2.0-only"}, []),
        ("GPL-2.0-only", {"gpl-2.0-only with classpath-exception-2.0"}, ["GPL-2.0-only"]),
        ("A OR B AND C", {"a"}, []),
        ("A OR B AND C", {"c"}, ["A"]),
        ("(A OR B) AND C", {"a"}, ["C"]),
        ("LicenseRef-Own", set(), ["LicenseRef-Own"]),
    ],
)  # fmt: skip
def test_choices_and_conditions_of_licences_are_understood(said: str, allowed: set[str], lacking: list[str]) -> None:
    assert expressions.lacking(expressions.parse(said), allowed) == lacking


@pytest.mark.parametrize(
    "said", ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT MIT", "MIT WITH", "MIT/ISC", "(" * 500 + "MIT" + ")" * 500]
)
def test_what_is_no_licence_expression_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="no licence expression"):
        expressions.parse(said)


IDS = st.sampled_from(["MIT", "ISC", "GPL-3.0-only", "Apache-2.0 WITH LLVM-exception"])
TREES = st.recursive(
    IDS, lambda part: st.tuples(part, st.sampled_from(["AND", "OR"]), part).map(lambda t: f"({' '.join(t)})")
)


@given(TREES)
def test_an_expression_that_is_spelled_reads_as_it_was(said: str) -> None:
    parsed = expressions.parse(said)
    assert expressions.spelled(expressions.parse(expressions.spelled(parsed))) == expressions.spelled(parsed)
    lacking = expressions.lacking(parsed, set())
    assert lacking
    assert expressions.lacking(parsed, {each.lower() for each in lacking}) == []


def test_every_name_of_a_licence_leads_to_an_expression() -> None:
    for words in ("MIT License", "apache license, version 2.0.", "BSD  3-Clause", "PSF-2.0"):
        assert expressions.parse(names.named(words))
    assert names.named("BSD License") == names.named("GPL") == ""


def test_what_is_installed_here_can_be_read() -> None:
    options = {"allow": ["MIT"], "of": ["mlx-hallmark"]}
    found = licences.scan(options, ROOT, licences.subjects(options, ROOT, OFFLINE), OFFLINE)
    assert not found.unread
    assert sys.prefix not in str(found)
