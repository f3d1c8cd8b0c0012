"""A/B checks run as users run them: models and prompts held against each other, from YAML to the verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Project, Ran

MODELS = '''
import random

def base(x):
    return {"label": x["n"], "score": x["n"] % 7 / 6}

def near(x):
    """Wrong on one of a hundred."""
    return {"label": x["n"] + (x["n"] % 100 == 50), "score": x["n"] % 7 / 6}

def damaged(x):
    """Wrong on one of four."""
    return {"label": x["n"] + (x["n"] % 4 == 0), "score": 0.0}

def wrong_on_four(x):
    return {"label": x["n"] + (x["n"] < 4), "score": 0.0}

def breaks(x):
    if x["n"] == 7:
        raise ValueError("no")
    return base(x)

def lucky(x):
    """Right half of the time, by chance."""
    return {"label": x["n"] + random.randint(0, 1)}

def luckier(x):
    return {"label": x["n"] + (random.random() < 0.1)}

def asks(text):
    """Answers those who say please."""
    return {"label": "yes" if "please" in text else "no"}
'''
DECLARED = {
    name: f'{{python: "fixtures:{name}"}}' for name in MODELS.split("def ")[1:] for name in [name.split("(")[0]]
}


def ab(name: str, **options: Any) -> str:
    """A check on one line."""
    written = {"name": name, "kind": "ab", "cases": "c.jsonl", **options}
    return f"  - {json.dumps(written)}\n"


def ran(project: Project, *checks: str, n: int = 200, cluster: int = 0, argv: tuple[str, ...] = ("-n0",)) -> Ran:
    project.put("pytest.ini", "[pytest]\nhallmark_allow_python = true\n")
    project.put("fixtures.py", MODELS)
    lines = [
        {
            "id": f"c{i}",
            "input": {"n": i},
            "expect": {"label": i},
            **({"cluster": f"k{i // cluster}"} if cluster else {}),
        }
        for i in range(n)
    ]
    project.put("specs/c.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    models = "".join(f"\n  {name}: {how}" for name, how in DECLARED.items())
    project.spec("".join(checks), models=models)
    return project.hallmark("run", "specs", *argv)


LABEL = {"label": "exact"}
WORSE = {"noninferior": {"margin": 0.05}}


def verdicts(found: Ran) -> dict[str, str]:
    return {check.name: check.verdict for check in found.certificate.checks}


def test_a_near_copy_is_no_worse_a_damaged_one_is_and_a_model_against_itself_is_equivalent(project: Project) -> None:
    found = ran(
        project,
        ab("near", baseline="base", candidate="near", compare=LABEL, claim=WORSE),
        ab("damaged", baseline="base", candidate="damaged", compare=LABEL, claim=WORSE),
        ab("same", baseline="base", candidate="base", compare=LABEL, claim={"equivalent": {"margin": 0.05}}),
        ab("better", baseline="base", candidate="base", compare=LABEL, claim="superior"),
        ab("value", baseline="base", candidate="damaged", metric={"value": "score"}, within=[0, 1], claim=WORSE),
    )
    assert verdicts(found) == {
        "near": "pass",
        "damaged": "fail",
        "same": "pass",
        "better": "inconclusive",
        "value": "fail",
    }
    near, damaged, *_ = found.certificate.checks
    assert (near.figures["near.lost"], near.figures["near.gained"]) == (2, 0)
    assert (damaged.estimate, damaged.n) == (-0.25, 200)
    assert found.outcomes["specs/a.yaml::ab::near::c50"]["reason"] == "lost"
    assert project.hallmark("verify").out.startswith("verified: ")
    html = (found.run / "report.html").read_text("utf-8")
    assert "Lost: base does better than near" in html


def test_two_prompts_are_held_against_each_other(project: Project) -> None:
    cases = [{"id": f"c{i}", "input": f"tell me {i}", "expect": {"label": "yes"}} for i in range(20)]
    check = {
        "name": "polite",
        "kind": "ab",
        "model": "asks",
        "prompts": {"v1": "{input}", "v2": {"version": "2", "text": "{input}, please"}},
        "baseline": "v1",
        "candidate": "v2",
        "cases": cases,
        "compare": LABEL,
        "claim": "superior",
    }
    found = ran(project, f"  - {json.dumps(check)}\n")
    (result,) = found.certificate.checks
    assert result.verdict == "pass"
    assert "v2 meets 20 of 20 cases, v1 0 (0 lost, 20 gained)" in result.reason
    assert project.hallmark("verify").out.startswith("verified: ")
    assert "v2, version 2" in (found.run / "report.html").read_text("utf-8")


def test_of_several_candidates_each_is_told_and_all_must_be_shown(project: Project) -> None:
    options = {"baseline": "base", "compare": LABEL, "claim": WORSE}
    found = ran(
        project,
        ab("both", candidate=["near", "base"], **options),
        ab("all", candidate=["near", "damaged", "base"], **options),
    )
    assert verdicts(found) == {"both": "pass", "all": "fail"}
    every = found.certificate.checks[1]
    assert every.figures["near.shown"] == 1
    assert every.figures["damaged.shown"] == -1
    assert every.figures["cochran_q.p"] < 0.001
    assert "shown for 2 of 3 candidates (near, base); least for damaged" in every.reason
    assert "damaged: 50 lost, 0 gained" in (found.run / "report.html").read_text("utf-8")


def test_repeats_are_asked_by_other_chance_and_count_once(project: Project) -> None:
    options = {"baseline": "lucky", "candidate": "luckier", "compare": LABEL, "claim": "superior", "repeats": 4}
    found = ran(project, ab("r", **options), n=60)
    (result,) = found.certificate.checks
    assert (result.verdict, result.n) == ("pass", 60)
    scores = [line["answer"]["baseline"]["scores"] for line in found.outcomes.values()]
    assert all(len(each) == 4 for each in scores)
    assert any(0 < sum(each) < 4 for each in scores)
    assert project.hallmark("verify").out.startswith("verified: ")


def test_cases_of_a_cluster_tell_less(project: Project) -> None:
    options = {"baseline": "base", "candidate": "near", "compare": LABEL, "claim": WORSE}
    found = ran(project, ab("c", **options), cluster=2)
    (result,) = found.certificate.checks
    assert "by cluster" in result.method
    assert result.figures["near.effective_n"] == 100


def test_four_pairs_that_differ_decide_nothing_and_the_certificate_says_what_would(project: Project) -> None:
    found = ran(
        project,
        ab("d", baseline="wrong_on_four", candidate="base", compare=LABEL, claim="different"),
        ab("s", baseline="wrong_on_four", candidate="base", compare=LABEL, claim="superior"),
        n=40,
    )
    assert verdicts(found) == {"d": "inconclusive", "s": "inconclusive"}
    for result in found.certificate.checks:
        assert "4 of the pairs differ, and 5 have to" in result.reason
        assert result.needed_n is not None
        assert result.needed_n >= 50
    assert found.status == 6


def test_a_case_in_error_keeps_it_from_passing_but_not_from_failing(project: Project) -> None:
    found = ran(
        project,
        ab("open", baseline="base", candidate="breaks", compare=LABEL, claim=WORSE),
        ab("worse", baseline="breaks", candidate="damaged", compare=LABEL, claim=WORSE),
    )
    assert verdicts(found) == {"open": "error", "worse": "fail"}
    assert "1 in error" in found.certificate.checks[0].reason


def test_what_is_looked_at_as_it_comes_stops_early_at_the_same_case_whoever_measures(project: Project) -> None:
    options = {"baseline": "base", "candidate": "damaged", "compare": LABEL, "claim": WORSE, "peek": True}
    told = []
    for workers in ("-n0", "-n2"):
        found = ran(project, ab("p", **options), n=400, argv=(workers,))
        (result,) = found.certificate.checks
        told.append((result.verdict, result.n, result.estimate, result.interval))
        assert f"decided after {result.n} of 400 cases" in result.reason
        assert result.n < 100
        assert project.hallmark("verify").out.startswith("verified: ")
        spared = [line for line in found.outcomes.values() if line["outcome"] == "skipped"]
        assert all(line["reason"] == "decided" for line in spared)
        assert spared or workers == "-n2"
    assert told[0] == told[1]
    assert told[0][0] == "fail"


def test_an_experiment_is_told_with_the_verdict_and_must_agree_with_the_check(project: Project) -> None:
    options = {"baseline": "base", "candidate": "near", "compare": LABEL, "claim": WORSE}
    written = "hypothesis: near is no worse\nbaseline: base\ncandidate: near\nclaim: noninferior\nmargin: 0.05\n"
    project.put("experiments/x.yaml", f"{written}planned_n: 200\nlocked: 2026-11-20\n")
    found = ran(project, ab("x", experiment="../experiments/x.yaml", **options))
    (result,) = found.certificate.checks
    assert result.verdict == "pass"
    assert 'planned as "near is no worse", locked 2026-11-20' in result.reason
    assert "near is no worse" in (found.run / "report.html").read_text("utf-8")

    project.put("experiments/x.yaml", f"{written}planned_n: 500\nlocked: 2026-11-20\n")
    refused = project.hallmark("validate", "specs")
    assert refused.status == 4
    assert "`experiments/x.yaml` has planned_n 500, and the check 200 cases" in refused.err


def test_what_makes_no_sense_is_refused_at_its_own_line(project: Project) -> None:
    pair: dict[str, Any] = {"baseline": "base", "candidate": "near", "compare": LABEL, "claim": WORSE}
    number: dict[str, Any] = {"baseline": "base", "candidate": "near", "metric": {"value": "score"}}
    prompts = {"v1": "{input}", "v2": "hello"}
    bad = [
        (pair | {"claim": {"noninferior": {"margin": 0}}}, "a margin of 0 is no margin"),
        (pair | {"claim": {"noninferior": {"margin": -0.02}}}, "is the wrong sign"),
        (pair | {"claim": "superiour"}, '`claim` is "superiour"'),
        (pair | {"confidence": 0.5}, "`confidence` is 0.5"),
        (pair | {"confidence": 1}, "`confidence` is 1"),
        (pair | {"candidate": []}, "`candidate` is a list"),
        (pair | {"candidate": ["near", "near"]}, "`near` is a candidate already"),
        (pair | {"candidate": "nobody"}, "there is no model `nobody`"),
        (pair | {"model": "base"}, "`model` is for checks that hold prompts against each other"),
        (pair | {"prompts": prompts, "baseline": "v1", "candidate": "v2"}, "prompts are put to one model"),
        (pair | {"model": "base", "prompts": prompts, "baseline": "v1", "candidate": "v3"}, "there is no prompt `v3`"),
        (
            pair | {"model": "asks", "prompts": prompts, "baseline": "v1", "candidate": "v2"},
            "the prompt `v2` has no field",
        ),
        (pair | {"claim": {"noninferior": {"margin": 0.001}}}, "200 cases can never show a margin of 0.001"),
        (pair | {"method": "wilcoxon", "claim": "different"}, "`wilcoxon` can't decide this"),
        (pair | {"method": "guess"}, '`method` is "guess"'),
        (number | {"claim": "superior", "within": [1, 0]}, "has no room"),
        (number | {"claim": "superior", "compare": "exact"}, "nothing is compared"),
        (number | {"claim": "superior", "metric": "wit"}, '`metric` is "wit"'),
        (pair | {"strata": "lang:"}, "no case has a tag that starts with `lang:`"),
        (pair | {"experiment": "../none.yaml"}, "there is no `none.yaml`"),
    ]
    for some in (bad[:10], bad[10:]):  # of many faults in a file not all are told
        ran(project, *(ab(f"b{i}", **options) for i, (options, _) in enumerate(some)))
        refused = project.hallmark("validate", "specs")
        assert refused.status == 4
        assert "Traceback" not in refused.err + refused.out
        first = (project.folder / "specs/a.yaml").read_text().splitlines().index("checks:") + 2
        told = (refused.err + refused.out).splitlines()
        for at, (_, why) in enumerate(some):
            mine = [line for line in told if line.startswith(f"specs/a.yaml:{first + at}:")]
            assert any(why in line for line in mine), (at, why, mine)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_errors_behind_the_case_at_which_it_was_decided_change_no_verdict(project: Project, workers: str) -> None:
    project.put("pytest.ini", "[pytest]\nhallmark_allow_python = true\n")
    project.put(
        "late.py",
        "def good(x):\n    if x > 30 and x % 16 == 0:\n        raise ValueError('late')\n    return 1\n\ndef bad(x):\n    return 0\n",
    )
    project.put("specs/c.jsonl", "".join(f'{{"id": "c{i}", "input": {i}, "expect": 1}}\n' for i in range(200)))
    project.spec(
        "  - {name: c, kind: ab, baseline: a, candidate: b, cases: c.jsonl, peek: true, claim: superior}\n",
        models='{a: {python: "late:bad"}, b: {python: "late:good"}}',
    )
    ran = project.hallmark("run", workers)
    (check,) = ran.certificate.checks
    assert check.verdict == "pass", check.reason
    assert check.n < 30
    assert project.hallmark("verify").status == ran.status


def test_a_case_is_not_spared_where_nothing_was_decided(project: Project) -> None:
    project.cases("specs/c.jsonl", 40)
    project.spec(
        "  - {name: c, kind: ab, baseline: m, candidate: m, cases: c.jsonl, claim: {equivalent: {margin: 0.2}}}\n"
    )
    ran = project.hallmark("run", "-n0")
    assert ran.status == 0
    path = ran.run / "outcomes.jsonl"
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"case":"c3"' in line)
    lines[at] = '{"is":"outcome","case":"c3","outcome":"skipped","check":"specs/a.yaml::ab::c","reason":"decided"}'
    path.write_text("\n".join(lines) + "\n")
    project.hallmark("report")
    told = project.hallmark("verify")
    assert told.status == 1
    assert "nothing was decided without it" in told.err
