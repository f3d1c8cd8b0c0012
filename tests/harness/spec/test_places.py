"""Where specs are found, and which files a spec may name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.spec.places import find_root, find_specs
from tests.harness.spec.conftest import HEAD, ONE, Folder

SPEC = f"{HEAD}checks: [{{name: c, kind: golden, model: m, cases: {ONE}}}]\n"


def with_cases(path: str) -> str:
    return f"{HEAD}checks: [{{name: c, kind: golden, model: m, cases: '{path}'}}]\n"


def with_include(path: str) -> str:
    return f"hallmark: 1\ninclude: ['{path}']\nmodels: {{m: {{echo: {{}}}}}}\nchecks: [{{name: c, kind: golden, model: m, cases: {ONE}}}]\n"


def with_answers(path: str) -> str:
    return f"hallmark: 1\nmodels: {{m: {{replay: '{path}'}}}}\nchecks: [{{name: c, kind: golden, model: m, cases: {ONE}}}]\n"


NAMERS = {"_x.yaml": with_include, "x.jsonl": with_cases, "answers.jsonl": with_answers}
AT = {"_x.yaml": "2:11", "x.jsonl": "3:51", "answers.jsonl": "2:22"}
GOOD = {
    "_x.yaml": "hallmark: 1\n",
    "x.jsonl": '{"id": "a", "input": 1, "expect": 1}\n',
    "answers.jsonl": '{"id": "a", "answer": 1}\n',
}


@pytest.fixture(params=sorted(NAMERS))
def named(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def refused(folder: Folder, named: str, path: str) -> str:
    """What is said of a path, which must be the one fault, at the place where it is written."""
    faults = folder.faults(NAMERS[named](path), name="specs/a.yaml")
    assert [f"{fault.spot.page.name}:{fault.spot.line}:{fault.spot.column}" for fault in faults] == [
        f"specs/a.yaml:{AT[named]}"
    ]
    assert faults[0].code == "path"
    return faults[0].what


# --------------------------------------------------------------------------------- files a spec names


def test_a_file_in_the_project_is_read_relative_to_the_file_that_names_it(folder: Folder, named: str) -> None:
    folder.put(f"data/{named}", GOOD[named])
    assert folder.said(NAMERS[named](f"../data/{named}"), name="specs/a.yaml") == []
    assert folder.said(NAMERS[named](f".././data/../data/{named}"), name="specs/a.yaml") == []
    assert f"data/{named}" in folder.plan(name="specs/a.yaml").files


def test_a_file_outside_the_project_is_refused_whether_it_exists_or_not(folder: Folder, named: str) -> None:
    (folder.root.parent / named).write_text(GOOD[named])
    assert "leaves the project" in refused(folder, named, f"../../{named}")
    assert "leaves the project" in refused(folder, named, "../../nowhere-at-all")
    assert "leaves the project" in refused(folder, named, f"../../{folder.root.name}-other/{named}")


def test_an_absolute_path_is_refused_even_into_the_project(folder: Folder, named: str) -> None:
    file = folder.put(named, GOOD[named])
    assert "not a relative path" in refused(folder, named, str(file))


def test_a_link_to_a_file_outside_is_refused(folder: Folder, named: str) -> None:
    outside = folder.root.parent / named
    outside.write_text(GOOD[named])
    folder.put("specs/keep", "")
    (folder.root / "specs" / named).symlink_to(outside)
    assert "through a link" in refused(folder, named, named)


def test_a_link_to_a_folder_outside_is_refused(folder: Folder, named: str) -> None:
    outside = folder.root.parent / "outside"
    outside.mkdir()
    (outside / named).write_text(GOOD[named])
    (folder.root / "link").symlink_to(outside, target_is_directory=True)
    assert "through a link" in refused(folder, named, f"../link/{named}")


def test_a_link_within_the_project_is_followed(folder: Folder, named: str) -> None:
    folder.put(f"data/{named}", GOOD[named])
    (folder.root / "link").symlink_to(folder.root / "data", target_is_directory=True)
    assert folder.said(NAMERS[named](f"../link/{named}"), name="specs/a.yaml") == []


def test_a_project_that_is_itself_reached_through_a_link_is_no_trouble(folder: Folder, named: str) -> None:
    folder.put(f"data/{named}", GOOD[named])
    alias = folder.root.parent / "alias"
    alias.symlink_to(folder.root, target_is_directory=True)
    assert Folder(alias).said(NAMERS[named](f"../data/{named}"), name="specs/a.yaml") == []


def test_a_link_that_leads_to_itself_is_refused(folder: Folder, named: str) -> None:
    folder.put("specs/keep", "")
    (folder.root / "specs" / named).symlink_to(named)
    assert "can't be read" in refused(folder, named, named)


def test_a_fifo_is_refused_without_waiting_for_a_writer(folder: Folder, named: str) -> None:
    folder.put("specs/keep", "")
    os.mkfifo(folder.root / "specs" / named)
    assert "is not a file" in refused(folder, named, named)


def test_a_folder_or_a_device_is_refused(folder: Folder, named: str) -> None:
    (folder.root / "specs" / named).mkdir(parents=True)
    assert "is not a file" in refused(folder, named, named)
    (folder.root / "specs" / named).rmdir()
    (folder.root / "specs" / named).symlink_to("/dev/zero")
    assert "through a link" in refused(folder, named, named)


def test_a_device_named_as_the_spec_is_refused(folder: Folder) -> None:
    (folder.root / "a.yaml").symlink_to("/dev/zero")
    assert folder.said() == ["a.yaml:1:1: path"]


def test_a_fifo_named_as_the_spec_is_refused(folder: Folder) -> None:
    os.mkfifo(folder.root / "a.yaml")
    assert folder.said() == ["a.yaml:1:1: path"]


def test_a_spec_outside_the_project_is_refused(folder: Folder) -> None:
    (folder.root.parent / "b.yaml").write_text(SPEC)
    (fault,) = folder.faults(name="../b.yaml")
    assert "outside the project" in fault.what


def test_a_file_that_may_not_be_read_is_refused(folder: Folder, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.put(f"specs/{named}", GOOD[named])
    read = Path.read_bytes

    def guarded(path: Path) -> bytes:
        if path.name == named:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", guarded)
    (fault,) = folder.faults(NAMERS[named](named), name="specs/a.yaml")
    assert (fault.code, fault.what) == ("path", "the file can't be read: Permission denied")


@pytest.mark.parametrize("path", ["", ".", "..", "x" * 300, "a\\0b", "specs/a.yaml/x", "~/x.jsonl", "${env:HOME}"])
def test_an_odd_path_is_refused_and_raises_nothing(folder: Folder, path: str) -> None:
    text = f'{HEAD}checks: [{{name: c, kind: golden, model: m, cases: "{path}"}}]\n'
    assert {fault.code for fault in folder.faults(text)} <= {"path", "variable", "format"}
    assert folder.faults(text)


def test_a_missing_file_is_asked_about_where_another_is_named_nearly_so(folder: Folder) -> None:
    folder.put("cases.jsonl", GOOD["x.jsonl"])
    (fault,) = folder.faults(with_cases("case.jsonl"))
    assert fault.instead == "did you mean `cases.jsonl`?"
    (fault,) = folder.faults(with_cases("nowhere/case.jsonl"))
    assert "no folder `nowhere/`" in fault.instead
    folder.put("sums.jsonl", GOOD["x.jsonl"])
    (fault,) = folder.faults(with_cases("sums"))
    assert fault.instead == "did you mean `sums.jsonl`?"


def test_a_path_in_a_fragment_is_relative_to_the_fragment(folder: Folder) -> None:
    folder.put("shared/c.jsonl", GOOD["x.jsonl"])
    folder.put("shared/_checks.yaml", "hallmark: 1\nchecks: [{name: c, kind: golden, model: m, cases: c.jsonl}]\n")
    part = folder.plan(f"hallmark: 1\ninclude: [../shared/_checks.yaml]\n{HEAD[12:]}", name="specs/a.yaml")
    assert part.checks[0].cases[0].at == "shared/c.jsonl:1"


# ------------------------------------------------------------------------------------ specs in folders


def names(folder: Folder, *, strict: bool = False, skip: str = "") -> list[str]:
    found = find_specs([folder.root], strict=strict, skip=lambda path: path.name == skip)
    return [path.relative_to(folder.root).as_posix() for path in found]


def test_specs_are_found_below_a_folder_in_one_order(folder: Folder) -> None:
    for path in ("z.yaml", "a.yml", "sub/b.yaml", "sub/deep/c.yaml", "M.yaml"):
        folder.put(path, SPEC)
    assert names(folder) == ["M.yaml", "a.yml", "z.yaml", "sub/b.yaml", "sub/deep/c.yaml"]


def test_fragments_and_hidden_files_are_no_specs(folder: Folder) -> None:
    for path in ("a.yaml", "_b.yaml", ".c.yaml", "d.txt", "e.json"):
        folder.put(path, SPEC)
    assert names(folder) == ["a.yaml"]
    assert names(folder, strict=True) == ["a.yaml"]


@pytest.mark.parametrize(
    "sub", [".hidden", "_private", "node_modules", "venv", ".venv", "build", "dist", "runs", "__pycache__"]
)
def test_folders_that_hold_no_specs_of_ours_are_not_entered(folder: Folder, sub: str) -> None:
    folder.put("a.yaml", SPEC)
    folder.put(f"{sub}/b.yaml", SPEC)
    folder.put(f"{sub}/deep/b.yaml", SPEC)
    assert names(folder, strict=True) == ["a.yaml"]


def test_what_the_caller_skips_is_skipped(folder: Folder) -> None:
    folder.put("a.yaml", SPEC)
    folder.put("sub/b.yaml", SPEC)
    assert names(folder, skip="sub") == ["a.yaml"]
    assert names(folder, skip="a.yaml") == ["sub/b.yaml"]


def test_a_folder_of_other_yaml_is_left_alone(folder: Folder) -> None:
    folder.put("other/compose.yaml", "services: {}\n")
    folder.put("other/empty.yaml", "")
    assert names(folder) == []
    assert names(folder, strict=True) == ["other/compose.yaml", "other/empty.yaml"]


def test_yaml_beside_a_spec_is_a_spec_too_unless_it_is_a_list(folder: Folder) -> None:
    folder.put("a.yaml", SPEC)
    folder.put("forgot.yaml", "name: x\n")
    folder.put("empty.yaml", "")
    folder.put("cases.yaml", "# cases\n\n- {id: a}\n")
    folder.put("flow.yaml", "[{id: a}]\n")
    assert names(folder) == ["a.yaml", "empty.yaml", "forgot.yaml"]
    assert names(folder, strict=True) == ["a.yaml", "empty.yaml", "forgot.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        b"hallmark: 1\n",
        b"\xef\xbb\xbfhallmark: 1\n",
        b"# about\nname: x\nhallmark : 1\n",
        b'"hallmark": 1\n',
        b"name: x\r\nhallmark: 1\r\n",
    ],
)
def test_a_file_is_a_spec_by_the_line_that_names_the_language(folder: Folder, text: bytes) -> None:
    folder.put("a.yaml", text)
    assert names(folder) == ["a.yaml"]


@pytest.mark.parametrize("text", ["a:\n  hallmark: 1\n", "# hallmark: 1\n", "nohallmark: 1\n", "hallmarks: 1\n"])
def test_a_file_that_only_speaks_of_hallmark_is_no_spec(folder: Folder, text: str) -> None:
    folder.put("a.yaml", text)
    assert names(folder) == []


def test_a_file_named_outright_is_looked_at_and_a_fifo_is_not_waited_for(folder: Folder) -> None:
    spec, other = folder.put("a.yaml", SPEC), folder.put("other.yaml", "x: 1\n")
    fifo = folder.root / "f.yaml"
    os.mkfifo(fifo)
    assert find_specs([spec, other, fifo, folder.root / "missing.yaml", folder.put("b.txt", SPEC)]) == [spec]
    assert find_specs([other], strict=True) == [other]
    assert find_specs([folder.root]) == [spec, other]


def test_a_spec_reached_twice_is_found_once(folder: Folder) -> None:
    spec = folder.put("a.yaml", SPEC)
    assert find_specs([folder.root, spec, folder.root]) == [spec]


def test_a_link_to_a_folder_is_not_entered_so_that_a_circle_ends(folder: Folder) -> None:
    folder.put("sub/a.yaml", SPEC)
    (folder.root / "sub" / "up").symlink_to(folder.root, target_is_directory=True)
    assert names(folder) == ["sub/a.yaml"]


@pytest.mark.parametrize("mark", ["pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", ".git"])
def test_the_root_is_the_nearest_folder_above_that_looks_like_one(tmp_path: Path, mark: str) -> None:
    deep = tmp_path / "project" / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "project" / mark).touch()
    assert find_root(deep) == tmp_path / "project"
