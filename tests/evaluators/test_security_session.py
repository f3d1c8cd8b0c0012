"""Security checks run as users run them: planted problems, scanners that misbehave, and trees that did not change."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from evaluators.security import measuring, running
from harness.contract import Check, Refused
from tests.conftest import REPOSITORY, Project, Ran

pytest.importorskip("bandit")

ODD = '''
"""A scanner that does whatever its option says, and notes each time that it is asked to."""

import os
import time
from pathlib import Path

from evaluators.security.finding import Finding, Missing, Scanned, Unavailable

SCHEMA = {"properties": {"how": {"type": "string"}, "paths": {"type": "array"}}}


def rules():
    return {"ODD1": "something odd"}


def version():
    if os.environ.get("ODD") == "missing":
        raise Missing("odd is not installed; pip install odd")
    return "odd 1"


def subjects(options, root, look):
    if options.get("how") == "gone":
        raise Unavailable("there is no source of oddities here")
    return [root / path for path in options.get("paths", ["tree/a.txt"])]


def scan(options, root, files, look):
    with open(root / "asked", "a") as file:
        file.write(f"{os.getpid()}\\\\n")
    how = options.get("how", "")
    if how == "hang":
        while True:
            time.sleep(1)
    if how == "crash":
        os.abort()
    if how == "leave":
        os._exit(0)
    if how == "raise":
        raise RuntimeError("no\\ud800idea")
    if how == "devour":
        held = [bytearray(1 << 20) for _ in range(10_000)]
    if how == "unread":
        return Scanned(findings=[], unread=[("tree/a.txt", "it is odd")])
    if how == "change":
        files[0].write_text("fine again")
    if how == "shout":
        print('{"scanned": {"findings": []}}')
    severity = {"grave": "dreadful"}.get(how, "high")
    found = [Finding(rule="ODD1", severity=severity, path="tree/a.txt", line=n, what="odd") for n in _odd(files)]
    return Scanned(findings=found)


def _odd(files):
    for file in files:
        for n, line in enumerate(file.read_text().splitlines(), 1):
            if "odd" in line:
                yield n
'''


def check(name: str, scan: dict[str, Any], **options: Any) -> str:
    return f"  - {json.dumps({'name': name, 'kind': 'security', 'scan': scan, **options})}\n"


def odd(project: Project, *checks: str, **env: str) -> Ran:
    """A run with the odd scanner at hand, in a cache of its own."""
    project.put("specs/a.yaml", f"hallmark: 1\nname: a\nchecks:\n{''.join(checks)}")
    return project.hallmark("run", "specs", "-n0", **odd_env(project, **env))


def odd_env(project: Project, **env: str) -> dict[str, str]:
    at = project.stranger("hallmark.scanners", "odd", ODD.replace("\\\\", "\\"))
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [at, inherited]))
    return {"PYTHONPATH": path, "HALLMARK_CACHE": str(project.folder / "cache"), **env}


def verdicts(ran: Ran) -> dict[str, str]:
    return {result.name: result.verdict for result in ran.certificate.checks}


def reasons(ran: Ran, case: str) -> str:
    return next(line["reason"] for id, line in ran.outcomes.items() if id.endswith(case))


def test_a_planted_problem_blocks_and_mending_it_certifies(project: Project) -> None:
    project.put("src/a.py", "import subprocess\nsubprocess.run(input(), shell=True)\n")
    project.put("src/conf.txt", "AKIA" + "Q3EGRIJ2" + "K7Z5N4QT\n")
    project.put(
        "specs/a.yaml",
        "hallmark: 1\nchecks:\n" + check("clean", {"bandit": {"paths": ["../src"]}, "secrets": {"paths": ["../src"]}}),
    )
    env = {"HALLMARK_CACHE": str(project.folder / "cache")}
    ran = project.hallmark("run", "specs", "-n2", **env)
    assert ran.status == 1, ran.out + ran.err
    assert "src/a.py:2: a program started by a shell; give the program" in ran.out
    assert "src/conf.txt:1: an AWS access key" in ran.out
    assert "Q3EGRIJ2" + "K7Z5N4QT" not in (ran.run / "outcomes.jsonl").read_text()
    assert project.hallmark("verify", "runs/latest", **env).status == 1
    project.put("src/a.py", "import shlex\nprint(shlex.quote(input()))\n")
    project.put("src/conf.txt", "key from the environment\n")
    ran = project.hallmark("run", "specs", "-n2", **env)
    assert ran.status == 0, ran.out + ran.err
    assert project.hallmark("verify", "runs/latest", **env).status == 0


HOWS = {
    "hang": "it was not done after 1 s",
    "crash": "was ended by SIGABRT",
    "leave": "what it said can't be read",
    "raise": "it failed: RuntimeError: no",
    "devour": "it took more than 256 megabytes",
    "unread": "a file could not be scanned: tree/a.txt: it is odd",
    "grave": "what it said can't be read: Invalid enum value 'dreadful'",
    "change": "what it looks at was changed meanwhile",
}


def test_the_report_tells_of_each_finding_and_lets_no_name_of_a_file_speak(project: Project) -> None:
    project.put(
        "src/<script>alert(1)<\u2044script>\n\x1b[31m.py", "import subprocess\nsubprocess.run(input(), shell=True)\n"
    )
    allow = [{"rule": "B404", "path": "src/*", "reason": "<b>ours</b>"}]
    scan = {"bandit": {"paths": ["../src"]}}
    project.put("specs/a.yaml", "hallmark: 1\nchecks:\n" + check("c", scan, allow=allow, fail_on="low"))
    ran = project.hallmark("run", "specs", "-n0", HALLMARK_CACHE=str(project.folder / "cache"))
    page = (ran.run / "report.html").read_text("utf-8")
    assert "bandit/B602" in page
    assert "a program started by a shell" in page
    assert "&lt;b&gt;ours&lt;/b&gt;" in page
    assert "<script>alert" not in page
    assert "\x1b" not in page + ran.out


def test_a_scanner_that_misbehaves_is_an_error_and_never_a_pass(project: Project) -> None:
    project.put("tree/a.txt", "odd\n")
    checks = [check(how, {"odd": {"how": how}}, timeout=1 if how == "hang" else 60, memory=256) for how in HOWS]
    ran = odd(project, *checks)
    assert verdicts(ran) == dict.fromkeys(HOWS, "error")
    for how, said in HOWS.items():
        assert said in reasons(ran, f"::{how}::odd")
    for how in HOWS.keys() - {"unread"}:
        assert "odd: " in reasons(ran, f"::{how}::odd/ODD1")
    assert project.hallmark("verify", "runs/latest", **odd_env(project)).status == 1


def test_what_a_scanner_prints_is_no_part_of_what_it_found(project: Project) -> None:
    project.put("tree/a.txt", "odd\n")
    assert verdicts(odd(project, check("loud", {"odd": {"how": "shout"}}))) == {"loud": "fail"}


def test_a_scanner_that_is_not_installed_is_an_error_that_says_how_it_is(project: Project) -> None:
    project.put("tree/a.txt", "fine\n")
    ran = odd(project, check("c", {"odd": {}}), ODD="missing")
    assert verdicts(ran) == {"c": "error"}
    assert reasons(ran, "::c::odd") == "odd: odd is not installed; pip install odd"


def test_what_can_not_be_had_here_is_unsupported(project: Project) -> None:
    ran = odd(project, check("c", {"odd": {"how": "gone"}}))
    assert verdicts(ran) == {"c": "unsupported"}
    assert ran.status != 0


def test_a_scan_of_nothing_is_an_error(project: Project) -> None:
    ran = odd(project, check("c", {"odd": {"paths": []}}))
    assert verdicts(ran) == {"c": "error"}
    assert "nothing to scan" in reasons(ran, "::c::odd")


def test_an_unchanged_tree_is_not_scanned_again(project: Project) -> None:
    project.put("tree/a.txt", "fine\n")

    def asked() -> int:
        return len((project.folder / "asked").read_text().splitlines())

    one = check("c", {"odd": {}})
    assert verdicts(odd(project, one)) == {"c": "pass"}
    assert verdicts(odd(project, one)) == {"c": "pass"}
    assert asked() == 1
    project.put("tree/a.txt", "odd\n")
    assert verdicts(odd(project, one)) == {"c": "fail"}
    assert asked() == 2
    project.put("tree/a.txt", "fine\n")
    assert verdicts(odd(project, one)) == {"c": "pass"}
    assert asked() == 2


def test_a_scan_that_failed_is_made_again(project: Project) -> None:
    project.put("tree/a.txt", "fine\n")
    one = check("c", {"odd": {"how": "raise"}})
    odd(project, one)
    odd(project, one)
    assert len((project.folder / "asked").read_text().splitlines()) == 2


def test_a_scan_that_could_not_read_all_is_made_again(project: Project) -> None:
    project.put("tree/a.txt", "fine\n")
    one = check("c", {"odd": {"how": "unread"}})
    for _ in range(2):
        assert verdicts(odd(project, one)) == {"c": "error"}
    assert len((project.folder / "asked").read_text().splitlines()) == 2


def test_nothing_of_a_scanned_tree_is_imported(project: Project) -> None:
    ran = f"open({str(project.folder / 'ran')!r}, 'w')\n"
    for name in ("bandit", "yaml", "stevedore", "sitecustomize", "src/bandit", "src/sitecustomize"):
        project.put(f"{name}.py", ran)
    project.put("specs/a.yaml", "hallmark: 1\nchecks:\n" + check("c", {"bandit": {"paths": ["../src"]}}))
    path = os.pathsep.join(filter(None, [str(project.folder / "src"), os.environ.get("PYTHONPATH")]))
    request = running.Request(
        module="evaluators.security.bandit", options={}, root=str(project.folder), files=[], model_folder="",
        offline=True, memory=512,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        patch.syspath_prepend(project.folder)
        patch.syspath_prepend(project.folder / "src")
        assert running.scan(request, 60).findings == []
    assert not (project.folder / "ran").exists()


def test_a_model_without_a_folder_leaves_its_files_unscanned_and_that_is_no_pass(project: Project) -> None:
    bench = Mock(**{"weights.side_effect": Refused("it has none"), "lasting.return_value": nullcontext()})
    asked = Check(id="a", name="a", kind="security", at="a:1", model="m", options={"scan": {"model_files": {}}})
    ran = measuring.Session(asked).ran(asked, "model_files", bench)
    assert ran.unavailable == "model_files: the model `m` has no folder that could be scanned"
    assert ran.scanned is None


def test_a_team_adopts_it_by_a_baseline_and_only_what_is_new_fails(project: Project) -> None:
    project.put("tree/a.txt", "odd\nfine\n")
    one = check("c", {"odd": {}}, baseline="../golden/base.json")
    env = odd_env(project)
    assert verdicts(odd(project, one)) == {"c": "fail"}
    assert project.hallmark("golden", "update", "runs/latest", **env).out == "golden/base.json\n"
    ran = odd(project, one)
    assert verdicts(ran) == {"c": "pass"}
    assert project.hallmark("verify", "runs/latest", **env).status == 0
    project.put("tree/a.txt", "fine\nodd\nodd again\n")
    assert verdicts(odd(project, one)) == {"c": "fail"}


def test_an_allowance_that_ran_out_no_longer_holds_and_is_told(project: Project) -> None:
    project.put("tree/a.txt", "odd\n")
    allow = [{"rule": "ODD1", "path": "tree/a.txt", "reason": "we know", "until": "2020-01-01"}]
    ran = odd(project, check("c", {"odd": {}}, allow=allow))
    assert verdicts(ran) == {"c": "fail"}
    assert "the allowance of ODD1 in tree/a.txt ran out on 2020-01-01, and is needed" in ran.out


def test_an_altered_record_is_refused(project: Project) -> None:
    project.put("tree/a.txt", "odd\n")
    ran = odd(project, check("c", {"odd": {}}))
    path = ran.run / "outcomes.jsonl"
    path.write_text(path.read_text().replace('"severity":"high"', '"severity":"low"'))
    refused = project.hallmark("verify", "runs/latest", **odd_env(project))
    assert refused.status == 1
    assert "refused" in refused.err


def test_the_scanner_taught_in_contributing_works_from_an_outside_package(project: Project) -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    (code,) = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    project.put("src/a.py", "x = 1\n# FIXME security: all of it\n")
    project.put("specs/a.yaml", "hallmark: 1\nchecks:\n" + check("c", {"notes": {"paths": ["../src"]}}))
    site = os.pathsep.join(
        filter(None, [project.stranger("hallmark.scanners", "notes", code), os.environ.get("PYTHONPATH")])
    )
    ran = project.hallmark("run", "specs", "-n0", PYTHONPATH=site, HALLMARK_CACHE=str(project.folder / "cache"))
    assert verdicts(ran) == {"c": "fail"}
    assert "src/a.py:2: it is still to be done; do it" in ran.out


def test_a_scan_ends_with_the_run_that_started_it(project: Project) -> None:
    project.put("tree/a.txt", "fine\n")
    project.put("specs/a.yaml", "hallmark: 1\nchecks:\n" + check("c", {"odd": {"how": "hang"}}))
    run = project.start("harness.cli", "run", "specs", "-n0", **odd_env(project))
    asked = project.folder / "asked"
    _until(lambda: asked.exists() and asked.read_text().endswith("\n"))
    run.send_signal(signal.SIGKILL)
    run.communicate()
    child = int(asked.read_text().splitlines()[-1])
    _until(lambda: not Path(f"/proc/{child}").exists() if Path("/proc").exists() else not _alive(child))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _until(done: Any) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")
