"""A spec's `certificate:`, through the shipped path: policies over several specs, waivers, days, what went before."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.conftest import Project

GOOD = "  - {name: good, kind: golden, model: m, cases: [{id: a, input: x, expect: x}]}\n"
BAD = "  - {name: bad, kind: golden, model: m, cases: [{id: a, input: x, expect: y}, {id: b, input: x, expect: x}]}\n"
WAIVED = 'certificate: {waivers: [{check: bad, who: "Ada <ada@example.org>", why: ticket 7, until: "2099-12-31"}]}\n'


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_waived_check_fails_and_does_not_block(project: Project, workers: str) -> None:
    project.spec(GOOD + BAD, more=WAIVED)
    ran = project.hallmark("run", "specs", workers, "--junitxml=j.xml", "-rx")
    assert ran.status == 0, ran.out + ran.err
    certificate = ran.certificate
    assert certificate.status == "certified"
    assert certificate.reason == "1 check passed on 3 cases; bad did not, and is waived"
    bad = certificate.checks[1]
    assert (bad.verdict, bad.waived, certificate.blockers) == ("fail", True, ())
    (waiver,) = certificate.waivers
    assert (waiver.who, waiver.why, waiver.used) == ("Ada <ada@example.org>", "ticket 7", True)
    assert certificate.expires == "2100-01-01T00:00:00+00:00"
    assert certificate.score == 50
    suite = ET.parse(project.folder / "j.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert "waived by Ada" in ran.out
    assert " failed" not in ran.out.replace("1 xfailed", "")
    assert "Ada" in (ran.run / "report.html").read_text("utf-8")
    assert project.hallmark("verify").status == 0


def test_what_went_wrong_in_measuring_can_not_be_waived(project: Project) -> None:
    project.put("raises.py", "def answer(asked):\n    raise ValueError('no')\n")
    project.spec(
        GOOD + BAD.replace("model: m", "model: broken"),
        "{m: {echo: {}}, broken: {python: 'raises:answer'}}",
        more=WAIVED,
    )
    ran = project.hallmark("run", "specs", "-n0", "--allow-python")
    assert ran.status == 1
    assert [blocker.check.rpartition("::")[2] for blocker in ran.certificate.blockers] == ["bad"]


def test_where_all_is_waived_nothing_is_certified(project: Project) -> None:
    project.spec(BAD, more=WAIVED)
    ran = project.hallmark("run", "specs", "-n0")
    assert (ran.status, ran.certificate.status) == (6, "inconclusive")


def test_a_waiver_that_nothing_stands_on_is_told(project: Project) -> None:
    project.spec(BAD.replace("expect: y", "expect: x"), more=WAIVED)
    ran = project.hallmark("run", "specs", "-n0")
    assert ran.status == 0
    assert any("the waiver at specs/a.yaml:6 is not needed" in note for note in ran.certificate.notes)
    assert ran.certificate.expires is None


def test_one_certificate_stands_over_several_specs(project: Project) -> None:
    project.spec(GOOD, name="a")
    project.spec(GOOD + BAD.replace("expect: y", "expect: x"), name="b")
    project.put(
        "specs/certificate.yaml",
        "hallmark: 1\nname: release\nabout: what we ship\ncertificate:\n  expires: 30d\n  criteria:\n"
        "    - {id: first, needs: ['a::good', bad], weight: 0.6}\n"
        "    - {id: second, needs: ['specs/b.yaml::good', 'b::*'], weight: 0.4}\n",
    )
    ran = project.hallmark("run", "specs", "-n2")
    assert ran.status == 0, ran.out + ran.err
    criteria = {each.id: each for each in ran.certificate.criteria}
    assert criteria["first"].needs == ("specs/a.yaml::golden::good", "specs/b.yaml::golden::bad")
    assert criteria["second"].needs == ("specs/b.yaml::golden::good", "specs/b.yaml::golden::bad")
    assert ran.certificate.score == 100
    assert ran.certificate.expires is not None
    assert project.hallmark("verify").status == 0
    project.spec(GOOD + BAD, name="b")
    blocked = project.hallmark("run", "specs", "-n0")
    assert blocked.status == 1
    page = (blocked.run / "report.html").read_text("utf-8")
    assert "hallmark run specs/a.yaml specs/b.yaml specs/certificate.yaml" in page
    alone = project.hallmark("run", "specs/certificate.yaml", "-n0")
    assert alone.status == 4
    assert "no spec beside it or below it is run" in alone.err
    assert "hallmark run specs" in alone.err


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("good", "specs/a.yaml and specs/b.yaml both have a check `good`; say whose: `a::good`"),
        ("c::good", "there is no check `c::good`"),
        ("gold", "there is no check `gold`; did you mean `good`?"),
    ],
)
def test_a_certificate_over_specs_says_whose_check_it_means(project: Project, needs: str, said: str) -> None:
    project.spec(GOOD, name="a")
    project.spec(GOOD, name="b")
    project.put(
        "specs/certificate.yaml",
        f"hallmark: 1\ncertificate:\n  criteria:\n    - {{id: c, needs: ['{needs}']}}\n",
    )
    ran = project.hallmark("validate")
    assert ran.status == 4
    assert f"specs/certificate.yaml:4:23: {'ambiguous' if 'both' in said else 'unknown-check'}: {said}" in ran.err


def test_a_day_that_has_passed_since_the_plan_was_kept_is_a_fault(project: Project) -> None:
    project.spec(GOOD, more='certificate: {expires: "2099-12-31"}\n')
    assert project.hallmark("validate").status == 0
    project.put(
        "later.py",
        "import sys\nimport harness.spec.policy as policy\npolicy.today = lambda: '2100-01-01'\n"
        "import harness.spec.memory as memory\nmemory.today = policy.today\n"
        "from harness.cli import main\nsys.exit(main(['validate']))\n",
    )
    ran = project.script("later.py")
    assert ran.status == 4
    assert "specs/a.yaml:6:24: past: the certificate would end on 2099-12-31, which is over" in ran.err


def test_a_run_tells_of_the_one_before_it_that_came_to_an_end(project: Project) -> None:
    project.spec(GOOD)
    first = project.hallmark("run", "specs", "-n0").certificate
    assert first.previous is None
    project.spec(GOOD + BAD)
    assert project.hallmark("run", "specs/a.yaml::golden::good", "-n0").status == 2  # tells of nothing, as incomplete
    before = project.hallmark("run", "specs", "-n0").certificate.previous
    assert before is not None
    assert (before.run, before.status) == (first.run.id, "certified")
    assert before.checks["specs/a.yaml::golden::good"].verdict == "pass"
    assert "verified: blocked" in project.hallmark("verify").out
