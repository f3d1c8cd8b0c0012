"""A run as JUnit XML, as GitHub's annotators, GitLab and Jenkins read it: a testsuite a check, a testcase a case.

A check that does not pass has one more testcase, its verdict, and so has a run that is not certified for another
reason: something fails in the file wherever the certificate is not `certified`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.contract import Certificate, Check, CheckResult, Pages
from reports.junit.telling import row_of_run, rows_of_check
from reports.junit.writing import Suite, document, head, testcase
from reports.sarif.text import place_of

FILE = "junit.xml"

MOST_BYTES = 29_000_000
"""GitLab takes files of less than 30 MB."""
_LENGTHS = (4_000, 1_000, 250, 60)
"""Characters that one testcase may tell: fewer where it would be too much in all."""
_ENDS = 2_000
"""Bytes kept for what stands around the testsuites."""


def tell(pages: Pages) -> bytes:
    suites = list(_suites(pages))
    for most in _LENGTHS:
        told = document(suites, most)
        if len(told) <= MOST_BYTES:
            return told
    return document(_fewer(suites, _LENGTHS[-1]), _LENGTHS[-1])


def _suites(pages: Pages) -> Iterator[Suite]:
    certificate = pages.certificate
    results = {result.id: result for result in certificate.checks}
    failed = False
    for check in pages.plan.checks:
        suite = _suite(pages, check, results[check.id])
        failed = failed or any(row.word in ("failure", "error") for row in suite.rows)
        yield suite
    if certificate.status == "incomplete" or (certificate.status != "certified" and not failed):
        spec = pages.plan.specs[0].path if pages.plan.specs else ""
        facts = _facts(certificate)
        yield Suite("certificate", [row_of_run(certificate, spec)], certificate.run.started, facts, _path(spec))


def _suite(pages: Pages, check: Check, result: CheckResult) -> Suite:
    certificate = pages.certificate
    spec = check.id.partition("::")[0]
    place = place_of(check.at)
    return Suite(
        name=check.id,
        rows=list(rows_of_check(pages, check, result)),
        timestamp=certificate.run.started,
        properties=(("kind", check.kind), *_model(pages, check), ("verdict", result.verdict), *_facts(certificate)),
        file=_path(spec),
        # A check may be written in a fragment: its line is none of the spec's.
        line=place.line if place and place.path == spec else 0,
    )


def _path(spec: str) -> str:
    place = place_of(spec, lines=False)
    return place.path if place else ""


def _model(pages: Pages, check: Check) -> Iterator[tuple[str, str]]:
    declared = pages.plan.models.get(check.model)
    if declared is None:
        return
    yield "model", declared.name
    answered = pages.certificate.provenance["models"][check.model]["digests"]
    yield from (("digest", digest) for digest in answered if digest)


def _facts(certificate: Certificate) -> tuple[tuple[str, str], ...]:
    return (
        ("run", certificate.run.id),
        ("certificate", certificate.status),
        ("reason", certificate.reason),
        ("hallmark", certificate.run.hallmark),
    )


def _fewer(suites: list[Suite], most: int) -> list[Suite]:
    """As many testcases as there is room for, those first of which the most would be lost."""
    ranked = sorted(
        ((at, number) for at, suite in enumerate(suites) for number in range(len(suite.rows))),
        key=lambda place: -suites[place[0]].rows[place[1]].weight,
    )
    kept: list[set[int]] = [set() for _ in suites]
    left, told = MOST_BYTES - _ENDS, 0
    for at, number in ranked:
        suite = suites[at]
        row = suite.rows[number]
        # A figure more than this has: what is left out makes no other figure longer.
        left -= len(testcase(suite, row, 10**12, most).encode()) + 1
        left -= 0 if kept[at] else len(head(suite, "0" * 12).encode()) + len("</testsuite>\n\n")
        if left < 0:
            break
        kept[at].add(number)
        told += 1
    fewer = [
        suite._replace(rows=[row for number, row in enumerate(suite.rows) if number in mine])
        for suite, mine in zip(suites, kept, strict=True)
        if mine
    ]
    if fewer:
        what = "the file would be larger than services take; outcomes.jsonl has them all"
        fewer[0] = fewer[0]._replace(said=f"{len(ranked) - told} of {len(ranked)} testcases are left out: {what}")
    return fewer
