"""A bar that was locked: what the lock holds, who may not touch it, and what is told of everything that moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness import bar, rooms
from harness.cli import main
from harness.contract import Case, Criterion, Locked, Plan, SpecFile, Waiver
from harness.ledger import Begin
from tests.conftest import Project, Ran
from tests.harness.recording import SPEC, check, plan

EARLY, RUN, LATE = "2026-01-01T09:00:00+00:00", "2026-01-01T10:00:00+00:00", "2026-01-01T11:00:00+00:00"
Command = Callable[..., Ran]
JUDGES = {"golden": "sha256:" + "a" * 64}


def _lock(asked: Plan, when: str = EARLY, **text: str) -> dict[str, Any]:
    """A lock of a plan, without files."""
    said = bar._json(bar._asked(asked, JUDGES))
    for path in said["specs"]:
        said["specs"][path]["text"] = {path: asked.files.get(path, "sha256:0"), **text}
    made = {"schema": bar.SCHEMA, "locked": when, "hallmark": "0", **said}
    return {**made, "digest": bar._sealed(made)}


def _held(was: Plan, now: Plan, when: str = EARLY, judges: dict[str, str] | None = None) -> Locked:
    begin = Begin(run="r", started=RUN, plan="", machine={}, lock=_lock(was, when), judges=judges or JUDGES)
    found = bar.held(now, begin)
    assert found is not None
    return found


def _moved(was: Plan, now: Plan, **more: Any) -> dict[str, tuple[Any, Any]]:
    return {each.what: (each.was, each.now) for each in _held(was, now, **more).moved}


# ---------------------------------------------------------------------------------------- what moved


def test_what_is_asked_as_it_was_locked_did_not_move() -> None:
    found = _held(plan(check()), plan(check()))
    assert (found.at, found.checks, found.moved, found.unlocked) == (EARLY, 1, (), ())
    assert found.digest == _lock(plan(check()))["digest"]


def test_every_threshold_that_moved_is_told_apart() -> None:
    was = check(options={"gate": {"pass_rate": 0.98, "confidence": 0.95}, "compare": {"text": "exact"}})
    now = check(options={"gate": {"pass_rate": 0.9}, "compare": {"text": "normalised"}, "repeat": 2})
    assert _moved(plan(was), plan(now)) == {
        "compare.text": ("exact", "normalised"),
        "gate.confidence": (0.95, None),
        "gate.pass_rate": (0.98, 0.9),
        "repeat": (None, 2),
    }


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"timeout": 5.0}, {"timeout": (300.0, 5.0)}),
        ({"after": ("specs/a.yaml::golden::b",)}, {"after": ([], ["specs/a.yaml::golden::b"])}),
        ({"prompts": {"": "Say {input}"}}, {"the prompt": (None, "Say {input}")}),
        ({"prompts": {"base": "{input}"}}, {"the prompt of base": (None, "{input}")}),
        ({"cases": (Case(id="c0"),)}, {"n": (4, 1)}),
    ],
)
def test_so_is_whatever_else_a_check_asks(more: dict[str, Any], what: dict[str, Any]) -> None:
    assert _moved(plan(check()), plan(check(**more))) == what


@pytest.mark.parametrize("edit", [{"id": "x"}, {"input": 9}, {"expect": 9}, {"weight": 2.0}, {"cluster": "k"}])
def test_as_many_cases_that_are_others_are_told_by_their_digests(edit: dict[str, Any]) -> None:
    cases = check().cases
    ((what, (was, now)),) = _moved(plan(check()), plan(check(cases=(replace(cases[0], **edit), *cases[1:])))).items()
    assert what == "the cases"
    assert was != now
    assert {len(was), len(now)} == {12}


def test_the_order_of_cases_is_part_of_them_since_checks_may_stop_early() -> None:
    assert list(_moved(plan(check()), plan(check(cases=check().cases[::-1])))) == ["the cases"]


def test_what_is_said_of_a_case_beside_it_is_no_part_of_the_bar() -> None:
    cases = tuple(replace(case, tags=("t",), at="elsewhere:1") for case in check().cases)
    assert not _moved(plan(check()), plan(check(cases=cases, about="other words", at="s:99")))


def test_another_model_is_told_by_its_role() -> None:
    def asked(recipe: str) -> Plan:
        found = plan(check(others={"baseline": "k"}), recipe="sha256:one")
        return replace(found, models={**found.models, "k": replace(found.models[f"{SPEC}::m"], recipe=recipe)})

    assert _moved(asked("sha256:two"), asked("sha256:three")) == {"the model of baseline": ("two", "three")}
    assert _moved(plan(check(), recipe="sha256:a"), plan(check(), recipe="sha256:b")) == {"the model": ("a", "b")}


def test_another_judge_is_told_of_every_check_that_it_judges() -> None:
    found = _held(plan(check("a"), check("b")), plan(check("a"), check("b")), judges={"golden": "sha256:" + "b" * 64})
    assert [(each.check, each.what) for each in found.moved] == [
        (check("a").id, "the judge"),
        (check("b").id, "the judge"),
    ]
    assert list(_moved(plan(check()), plan(check()), judges={"load": "x"})) == ["the judge"]


def test_a_check_that_is_gone_is_told_and_one_that_is_new_is_not_locked() -> None:
    found = _held(plan(check("a"), check("b")), plan(check("a"), check("z"), criteria=()))
    assert ("specs/a.yaml::golden::b", "the check") in [(each.check, each.what) for each in found.moved]
    assert found.unlocked == (check("z").id,)
    assert found.checks == 1


def test_what_a_certificate_asks_for_is_told_under_the_path_of_its_spec() -> None:
    def asked(**more: Any) -> Plan:
        spec = {key: more.pop(key) for key in ("expires", "ends", "error_rate", "spends") if key in more}
        return plan(check("a"), check("b"), specs=(SpecFile(path=SPEC, name="a", **spec),), **more)

    a, b = check("a").id, check("b").id
    one = Criterion(id="k", needs=(a, b), at=f"{SPEC}:9", weight=0.5, spec=SPEC)
    waiver = Waiver(checks=(a,), who="W", why="because", until="2027-01-31", at=f"{SPEC}:12")
    was = asked(criteria=(one,), expires=86400.0, error_rate=0.05, spends=True, waivers=(waiver,))
    now = asked(
        criteria=(replace(one, needs=(b,), weight=None),),
        ends="2027-01-01",
        waivers=(replace(waiver, until="2028-01-31"),),
    )
    found = _held(was, now)
    assert {each.check for each in found.moved} == {SPEC}
    assert {each.what: (each.was, each.now) for each in found.moved} == {
        "criteria.k.needs": ([a, b], [b]),
        "criteria.k.weight": (0.5, None),
        "expires": (86400.0, None),
        "ends": (None, "2027-01-01"),
        "error_rate": (0.05, None),
        "spends": (True, False),
        f"waivers.{a}": ("W, until 2027-01-31", "W, until 2028-01-31"),
    }
    assert not _moved(was, asked(
        criteria=(replace(one, needs=(b, a), why="in other words", at="s:1"),), expires=86400.0, error_rate=0.05,
        spends=True, waivers=(replace(waiver, why="said otherwise"),),
    ))  # fmt: skip


def test_a_waiver_that_came_later_moves_the_bar_wherever_it_is_written() -> None:
    late = Waiver(checks=(check().id,), who="W", why="late", until="2027-01-31", at="specs/certificate.yaml:3")
    over = SpecFile(path="specs/certificate.yaml", name="c", over=True)
    own = plan(check())
    found = _held(own, replace(own, specs=(*own.specs, over), waivers=(late,)))
    assert [(each.check, each.what, each.now) for each in found.moved] == [
        (SPEC, f"waivers.{check().id}", "W, until 2027-01-31")
    ]


def test_other_numerics_move_the_bar() -> None:
    assert _moved(plan(check()), plan(check(), numerics="fast")) == {"numerics": ("strict", "fast")}


def test_a_lock_from_after_the_start_of_the_run_was_not_locked_before_it() -> None:
    found = _held(plan(check()), plan(check()), when=LATE)
    assert [(each.check, each.what, each.was, each.now) for each in found.moved] == [
        (SPEC, "the time of the lock", LATE, RUN)
    ]
    assert not _held(plan(check()), plan(check()), when=RUN).moved
    assert not _held(plan(check()), plan(check()), when="2026-01-01T11:30:00+02:00").moved, "by the zone's own clock"


def test_a_lock_whose_digest_does_not_fit_holds_nothing_in_a_record_either() -> None:
    lock = {**_lock(plan(check())), "hallmark": "9"}
    found = bar.held(plan(check()), Begin(run="r", started=RUN, plan="", machine={}, lock=lock, judges=JUDGES))
    assert found is not None
    assert [each.what for each in found.moved] == ["the lock"]


def test_without_a_lock_or_with_one_of_other_specs_nothing_is_held() -> None:
    asked = plan(check())
    bare = Begin(run="r", started=RUN, plan="", machine={})
    assert bar.held(asked, bare) is None
    assert bar.held(asked, replace(bare, lock=_lock(plan(check(spec="specs/b.yaml"))), judges=JUDGES)) is None


def test_only_the_specs_of_the_run_are_held_against_the_lock() -> None:
    both = plan(check("a"), check("b", spec="specs/b.yaml"))
    found = _held(both, plan(check("a")))
    assert (found.moved, found.unlocked, found.checks) == ((), (), 1)
    found = _held(plan(check("a")), both)
    assert (found.moved, found.unlocked, found.checks) == ((), (check("b", spec="specs/b.yaml").id,), 1)


def _gone(now: Plan, *paths: str, locked: Plan | None = None) -> Locked | None:
    """What is held of a plan in a run that found these specs gone."""
    both = locked or plan(check("a"), check("b", spec="specs/b.yaml"))
    lock = {**_lock(both), bar.GONE: list(paths)}
    return bar.held(now, Begin(run="r", started=RUN, plan="", machine={}, lock=lock, judges=JUDGES))


def test_a_locked_spec_that_is_gone_moved_though_it_is_not_asked() -> None:
    for now, checks in ((plan(check("a")), 1), (plan(check("z", spec="specs/z.yaml")), 0)):
        found = _gone(now, "specs/b.yaml")
        assert found is not None
        assert [(each.check, each.what, each.was, each.now) for each in found.moved] == [
            ("specs/b.yaml", "the spec", "1 check", None)
        ]
        assert bar.told(found.moved[0]) == "it was locked, with 1 check, and its file is not there any more"
        assert found.checks == checks


def test_what_a_record_says_is_gone_counts_only_where_it_was_locked_and_is_not_asked() -> None:
    found = _gone(plan(check("a")), SPEC, "specs/never.yaml")
    assert found is not None
    assert found.moved == ()
    assert _gone(plan(check("z", spec="specs/z.yaml")), "specs/never.yaml") is None


def test_a_file_over_specs_that_is_gone_moved_too() -> None:
    over = SpecFile(path="specs/certificate.yaml", name="c", over=True)
    own = plan(check())
    found = _gone(own, over.path, locked=replace(own, specs=(*own.specs, over)))
    assert found is not None
    assert [(each.check, each.what, each.was) for each in found.moved] == [
        (over.path, "the spec", "no check of its own")
    ]


def test_cases_are_many_in_what_is_told_of_them() -> None:
    found = _held(plan(check()), plan(check(cases=check().cases[::-1]))).moved
    was, now = found[0].was, found[0].now
    assert [bar.told(each) for each in found] == [f"the cases were {was} when they were locked, and are {now}"]


def test_a_file_whose_text_alone_is_another_is_reworded() -> None:
    files = {SPEC: "sha256:1", "specs/_f.yaml": "sha256:2"}
    was, now = plan(check(), files=files), plan(check(), files={**files, "specs/_f.yaml": "sha256:3"})
    lock = _lock(was, **{"specs/_f.yaml": "sha256:2"})
    begin = Begin(run="r", started=RUN, plan="", machine={}, lock=lock, judges=JUDGES)
    found = bar.held(now, begin)
    assert found is not None
    assert (found.moved, found.reworded) == ((), ("specs/_f.yaml",))
    other = bar.held(replace(now, checks=(check(timeout=1.0),)), begin)
    assert other is not None
    assert other.reworded == (), "it says something else"


def test_long_values_are_told_by_their_digests_and_too_many_by_the_keys_they_stand_under() -> None:
    was, now = (check(options={"schema": {str(at): at + add for at in range(500)}}) for add in (0, 1))
    ((what, (old, new)),) = _moved(plan(was), plan(now)).items()
    assert what == "schema"
    assert old != new
    assert {len(old), len(new)} == {12}


@pytest.mark.parametrize(
    ("was", "now", "found"),
    [
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a", [1, 2], [1, 3])]),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}]}, [("a[1].b", 2, None)]),
        ({"a": {}}, {}, [("a", {}, None)]),
        ({"a": "exact"}, {"a": {"text": "exact"}}, [("a", "exact", {"text": "exact"})]),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": None}, {}, []),
    ],
)  # fmt: skip
def test_what_differs_is_told_by_its_dotted_path(was: Any, now: Any, found: list[tuple[str, Any, Any]]) -> None:
    assert list(bar.moves(was, now)) == found


_PLAIN = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)


@given(_PLAIN, _PLAIN)
def test_nothing_differs_unseen_and_nothing_is_told_that_does_not(was: Any, now: Any) -> None:
    assert bool(list(bar.moves({"v": was}, {"v": now}))) == (
        json.dumps(was, sort_keys=True) != json.dumps(now, sort_keys=True)
    )


# ------------------------------------------------------------------------------------------ the judge


def test_the_judge_is_the_code_of_the_room_and_of_what_it_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pack/kind/__init__.py", "pack/kind/deep/more.py", "pack/shared.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    room = SimpleNamespace(__file__=str(tmp_path / "pack/kind/__init__.py"), __name__="pack.kind")
    monkeypatch.setattr(rooms, "evaluator", lambda kind: room)
    seen = {bar.judges(["kind"])["kind"]}
    for name in ("pack/kind/__init__.py", "pack/kind/deep/more.py", "pack/shared.py"):
        (tmp_path / name).write_text("x = 2\n")
        seen.add(bar.judges(["kind"])["kind"])
    assert len(seen) == 4
    (tmp_path / "pack/kind/panel.html").write_text("drawn otherwise")
    assert bar.judges(["kind"])["kind"] in seen


def test_kinds_of_one_package_have_judges_of_their_own() -> None:
    found = bar.judges(["golden", "ab", "golden"])
    assert list(found) == ["ab", "golden"]
    assert found["ab"] != found["golden"]
    assert not any(name.startswith("../ab/") for name in bar._code(rooms.evaluator("golden")))


# -------------------------------------------------------------------------------------------- the file


def test_there_is_no_lock_where_there_is_no_file(tmp_path: Path) -> None:
    assert bar.read(tmp_path) is None


def test_a_lock_is_read_as_it_was_written_whoever_breaks_its_lines(tmp_path: Path) -> None:
    lock = _lock(plan(check()))
    (tmp_path / SPEC).parent.mkdir()
    (tmp_path / SPEC).touch()
    (tmp_path / bar.FILE).write_bytes(bar.spelled(lock))
    assert bar.read(tmp_path) == lock
    (tmp_path / bar.FILE).write_bytes(bar.spelled(lock).replace(b"\n", b"\r\n"))
    assert bar.read(tmp_path) == lock


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"\xff", b"<<<<<<< ours", b"[" * 100_000, b'{"a":' * 100_000,
        json.dumps({**_lock(plan(check())), "schema": "hallmark/lock/2"}).encode(),
        json.dumps({**_lock(plan(check())), "locked": "yesterday"}).encode(),
        json.dumps({**_lock(plan(check())), "locked": "2026-01-01T00:00:00"}).encode(),
        json.dumps({**_lock(plan(check())), "checks": {"c": 1}}).encode(),
    ],
    ids=["empty", "bare", "list", "bytes", "conflict", "deep", "deeper", "version", "moment", "zone", "shape"],
)  # fmt: skip
def test_what_is_no_lock_is_refused_in_one_line_that_says_what_to_do(tmp_path: Path, data: bytes) -> None:
    (tmp_path / bar.FILE).write_bytes(data)
    with pytest.raises(bar.NotALock, match="lock anew: `hallmark plan --lock`") as refused:
        bar.read(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_lock_is_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / bar.FILE).mkdir()
    with pytest.raises(bar.NotALock, match="not a regular file"):
        bar.read(tmp_path)


@pytest.mark.parametrize("target", ["nowhere", bar.FILE, "../outside.lock", "/dev/null"])
def test_a_link_out_of_the_project_or_to_nowhere_is_no_lock_and_not_none(tmp_path: Path, target: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "outside.lock").write_bytes(bar.spelled(_lock(plan(check()))))
    (root / bar.FILE).symlink_to(target)
    with pytest.raises(bar.NotALock, match="leads out of the project, or nowhere; lock anew"):
        bar.read(root)


def test_a_link_within_the_project_is_read(tmp_path: Path) -> None:
    (tmp_path / "kept.lock").write_bytes(bar.spelled(_lock(plan(check()))))
    (tmp_path / bar.FILE).symlink_to("kept.lock")
    assert bar.read(tmp_path) is not None


def test_what_is_gone_is_noted_as_the_lock_is_read_and_can_not_be_written_into_it(tmp_path: Path) -> None:
    lock = _lock(plan(check("a"), check("b", spec="specs/b.yaml"), check("d", spec="specs/d.yaml")))
    (tmp_path / SPEC).parent.mkdir()
    (tmp_path / SPEC).touch()
    (tmp_path / "specs/d.yaml").mkdir()
    (tmp_path / bar.FILE).write_bytes(bar.spelled(lock))
    found = bar.read(tmp_path)
    assert found == {**lock, bar.GONE: ["specs/b.yaml", "specs/d.yaml"]}
    empty = {**lock, bar.GONE: []}
    for file in (found, {**empty, "digest": bar._sealed(empty)}):
        (tmp_path / bar.FILE).write_bytes(bar.spelled(file))
        with pytest.raises(bar.NotALock, match="edited by hand"):
            bar.read(tmp_path)


@given(data=st.data())
def test_a_lock_in_which_anything_was_changed_by_hand_is_refused(data: st.DataObject, tmp_path_factory: Any) -> None:
    lock = _lock(plan(check()))
    place: Any = lock
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key]:
            break
        place = place[key]
    place[key] = data.draw(st.sampled_from([0.1, "x", 77]))
    folder = tmp_path_factory.mktemp("lock")
    (folder / bar.FILE).write_bytes(bar.spelled(lock))
    with pytest.raises(bar.NotALock):
        bar.read(folder)


# --------------------------------------------------------------------------------- through the command

CHECKS = "  - {name: c, kind: golden, model: m, cases: ../c.jsonl, gate: {pass_rate: RATE, certainty: 0.95}}\n"


@pytest.fixture
def hallmark(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, in this process."""
    monkeypatch.chdir(project.folder)

    def run(*argv: str) -> Ran:
        capsys.readouterr()
        status = main(argv)
        said = capsys.readouterr()
        return Ran(status, said.out, said.err, project.folder)

    return run


def _write(project: Project, rate: float = 0.9, name: str = "a", more: str = "", n: int = 40) -> None:
    project.cases("c.jsonl", n)
    project.spec(CHECKS.replace("RATE", str(rate)).replace(", certainty: 0.95", ""), name=name, more=more)


def test_a_run_as_it_was_locked_says_so(project: Project, hallmark: Command) -> None:
    _write(project)
    made = hallmark("plan", "--lock")
    assert made.status == 0
    assert "locked: hallmark.lock, 1 check of 1 spec" in made.out
    first = (project.folder / bar.FILE).read_bytes()
    lock = json.loads(first)
    assert lock["checks"]["specs/a.yaml::golden::c"]["options"] == {"gate": {"pass_rate": 0.9}}
    shown = hallmark("plan")
    assert (shown.status, f"locked: 1 check, {lock['digest'][7:19]} of {lock['locked']}" in shown.out) == (0, True)
    ran = project.pytest("specs")
    assert ran.status == 0
    assert ran.certificate.locked == Locked(digest=lock["digest"], at=lock["locked"], checks=1)
    assert hallmark("verify").status == 0
    assert (project.folder / bar.FILE).read_bytes() == first


def test_a_threshold_that_is_lowered_after_locking_blocks_the_certificate(project: Project, hallmark: Command) -> None:
    _write(project, 0.9)
    hallmark("plan", "--lock")
    _write(project, 0.5)
    shown = hallmark("plan")
    said = "moved: specs/a.yaml::golden::c: `gate.pass_rate` was 0.9 when it was locked, and is 0.5"
    assert (shown.status, said in shown.out) == (1, True)
    ran = project.pytest("specs")
    assert (ran.status, ran.certificate.status) == (1, "blocked")
    assert ran.certificate.locked is not None
    assert [(each.what, each.was, each.now) for each in ran.certificate.locked.moved] == [("gate.pass_rate", 0.9, 0.5)]
    again = hallmark("plan", "--lock")
    assert (again.status, said in again.out) == (0, True), "it is told once more when it is locked so"
    assert hallmark("plan").status == 0
    assert project.pytest("specs").certificate.status == "certified"


def test_other_words_of_the_same_are_told_and_block_nothing(project: Project, hallmark: Command) -> None:
    _write(project)
    hallmark("plan", "--lock")
    _write(project, more="# nothing else\n")
    assert "reworded: specs/a.yaml has another text, and says the same" in hallmark("plan").out
    ran = project.pytest("specs")
    assert ran.status == 0
    assert ran.certificate.locked is not None
    assert ran.certificate.locked.reworded == ("specs/a.yaml",)


def test_a_lock_that_was_edited_is_a_usage_error_of_every_verb_until_it_is_locked_anew(
    project: Project, hallmark: Command
) -> None:
    _write(project)
    hallmark("plan", "--lock")
    file = project.folder / bar.FILE
    file.write_text(file.read_text().replace("0.9", "0.5"))
    for ran in (hallmark("plan"), project.hallmark("run", "specs", "-n0")):
        assert ran.status == 4
        assert "hallmark.lock was edited by hand: its digest does not fit; lock anew: `hallmark plan --lock`" in ran.err
        assert "Traceback" not in ran.err + ran.out
    mended = hallmark("plan", "--lock")
    assert mended.status == 0
    assert "nothing is kept of the lock that was there" in mended.out
    assert hallmark("plan").status == 0


def test_locking_some_specs_keeps_what_is_locked_of_the_others(project: Project, hallmark: Command) -> None:
    _write(project, name="a")
    _write(project, name="b")
    hallmark("plan", "--lock")
    before = json.loads((project.folder / bar.FILE).read_text())
    _write(project, 0.8, name="a")
    _write(project, 0.8, name="b")
    made = hallmark("plan", "--lock", "specs/a.yaml")
    assert "what it held of 1 other spec is kept" in made.out
    after = json.loads((project.folder / bar.FILE).read_text())
    b = "specs/b.yaml::golden::c"
    assert after["checks"][b] == before["checks"][b]
    assert after["checks"]["specs/a.yaml::golden::c"]["options"]["gate"]["pass_rate"] == 0.8
    shown = hallmark("plan").out
    assert f"moved: {b}: `gate.pass_rate` was 0.9" in shown
    assert "moved: specs/a.yaml" not in shown
    (project.folder / "specs/b.yaml").unlink()
    hallmark("plan", "--lock", "specs/a.yaml")
    assert list(json.loads((project.folder / bar.FILE).read_text())["specs"]) == ["specs/a.yaml"]


def test_a_locked_spec_that_is_removed_or_renamed_blocks_until_it_is_locked_anew(
    project: Project, hallmark: Command
) -> None:
    _write(project, name="a")
    _write(project, name="b")
    hallmark("plan", "--lock")
    alone = project.pytest("specs/a.yaml").certificate.locked
    assert alone is not None
    assert alone.moved == (), "the other file is there"
    (project.folder / "specs/b.yaml").rename(project.folder / "specs/z.yaml")
    shown = hallmark("plan")
    said = "moved: specs/b.yaml: it was locked, with 1 check, and its file is not there any more"
    assert (shown.status, said in shown.out) == (1, True)
    ran = project.pytest("specs")
    assert (ran.status, ran.certificate.status) == (1, "blocked")
    assert ran.certificate.locked is not None
    assert [(each.check, each.what) for each in ran.certificate.locked.moved] == [("specs/b.yaml", "the spec")]
    (project.folder / "specs/b.yaml").write_text("hallmark: 1\nchecks: []\n")
    assert hallmark("verify").status == 1, "a run that is blocked, told from its record alone"
    (project.folder / "specs/b.yaml").unlink()
    again = hallmark("plan", "--lock")
    assert (again.status, said in again.out) == (0, True)
    assert bar.GONE not in json.loads((project.folder / bar.FILE).read_text())
    assert hallmark("plan").status == 0
    assert project.pytest("specs").certificate.status == "certified"


def test_a_link_in_place_of_a_lock_is_a_usage_error_until_it_is_locked_anew(
    project: Project, hallmark: Command
) -> None:
    _write(project)
    (project.folder / bar.FILE).symlink_to("nowhere")
    for ran in (hallmark("plan"), project.hallmark("run", "specs", "-n0")):
        assert ran.status == 4
        assert "hallmark.lock is a link that leads out of the project, or nowhere" in ran.err
    assert hallmark("plan", "--lock").status == 0
    assert not (project.folder / bar.FILE).is_symlink()
    assert not (project.folder / "nowhere").exists()
    assert hallmark("plan").status == 0


def test_of_a_check_to_be_locked_alone_it_is_said_that_whole_specs_are(project: Project, hallmark: Command) -> None:
    _write(project)
    ran = hallmark("plan", "--lock", "specs/a.yaml::golden::c")
    assert ran.status == 4
    assert "whole specs are locked, and not checks of them: `hallmark plan --lock specs/a.yaml`" in ran.err
    assert not (project.folder / bar.FILE).exists()


def test_what_is_kept_of_other_specs_never_gets_another_judge_unseen(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plan(check(spec="specs/b.yaml"))
    for path in ("specs/a.yaml", "specs/b.yaml"):
        project.put(path, "hallmark: 1\nchecks: []\n")
    monkeypatch.setattr(bar, "texts", lambda plan, root: {})
    with pytest.raises(bar.NotALock, match=r"specs/a\.yaml was locked when other code judged golden checks"):
        bar.locked(asked, project.folder, _lock(plan(check())))


def test_faulty_specs_are_not_locked(project: Project, hallmark: Command) -> None:
    project.spec("  - {name: c, kind: golden, model: nobody, cases: []}\n")
    assert hallmark("plan", "--lock").status == 4
    assert not (project.folder / bar.FILE).exists()


def test_what_a_lock_says_is_made_visible(project: Project, hallmark: Command) -> None:
    evil = r"\e[2J\n::error::"
    case = f'{{id: x, input: y, expect: {{"a{evil}": z, "b{evil}": z}}}}'
    line = '  - {name: c, kind: golden, model: m, cases: [%s], compare: {"%s": exact}}\n'
    project.spec(line % (case, f"a{evil}"))
    assert hallmark("plan", "--lock").status == 0
    project.spec(line % (case, f"b{evil}"))
    shown = hallmark("plan")
    assert r"moved: specs/a.yaml::golden::c: `compare.b\u001b[2J\n::error::` was nothing" in shown.out
