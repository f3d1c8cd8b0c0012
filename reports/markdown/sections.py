"""What the page tells, section by section, the most important first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.contract import EXIT, Before, Blocker, Certificate, CheckResult, Moved, Pages, Ruling
from reports.markdown.escaping import code, prose
from reports.markdown.fitting import Section
from reports.plain import brief, why
from reports.sarif.text import place_of

_SIGNS = {"certified": "✅", "blocked": "❌", "inconclusive": "⚠️", "incomplete": "⚠️"}
_WORST: Sequence[Ruling] = ("error", "fail", "inconclusive", "unsupported", "pass")
_CASES = 3
"""Cases that are told of a check that blocks."""


def sections_of(pages: Pages) -> list[Section]:
    certificate = pages.certificate
    found = [
        _status(certificate),
        _criteria(pages),
        _blockers(pages),
        _others(certificate),
        _changes(certificate),
        _lock(certificate),
        _waivers(certificate),
        _standing(certificate),
        _notes(certificate),
        _passed(certificate),
    ]
    return [section for section in found if section is not None]


def _status(certificate: Certificate) -> Section:
    run = certificate.run
    facts = [
        f"Run {code(run.id)}" if run.id else "A run",
        *([f"started {code(run.started)}"] if run.started else []),
        f"{run.measured:,} of {run.planned:,} cases measured",
        *([f"{run.seconds:.1f} s"] if run.seconds is not None else []),
        *([f"taken up again {', '.join(map(code, run.resumed))}"] if run.resumed else []),
        f"Hallmark {code(run.hallmark)}",
        f"exit status {EXIT[certificate.status]}",
    ]
    title = f"## {_SIGNS[certificate.status]} Hallmark: {certificate.status}"
    return Section(title, [f"**{prose(certificate.reason, 2_000)}**", ", ".join(facts) + "."], apart="\n\n")


def _criteria(pages: Pages) -> Section | None:
    """Where none is declared each check is one, and they are told anyway."""
    if not pages.plan.criteria:
        return None
    rows = [
        _row(code(each.id), _word(each.verdict, each.waived), f"{100 * each.weight:.4g}", prose(each.why))
        for each in sorted(pages.certificate.criteria, key=lambda each: _WORST.index(each.verdict))
    ]
    return Section("### Criteria", rows, _table("criterion", "verdict", "of the score", "why"))


# ------------------------------------------------------------------------------- what does not pass


def _blockers(pages: Pages) -> Section | None:
    certificate = pages.certificate
    results = {result.id: result for result in certificate.checks}

    def rank(blocker: Blocker) -> int:
        result = results.get(blocker.check)
        return _WORST.index(result.verdict) if result else len(_WORST)

    rows = [_blocker(pages, each, results.get(each.check)) for each in sorted(certificate.blockers, key=rank)]
    return Section("### What blocks it", rows) if rows else None


def _blocker(pages: Pages, blocker: Blocker, result: CheckResult | None) -> str:
    verdict = f", {result.verdict}" if result else ""
    told = [f"- **{code(blocker.check) or 'a check'}**{verdict}: {prose(blocker.reason, 1_000)}"]
    if place_of(blocker.at):
        told.append(f"  - at {code(blocker.at)}")
    told += [f"  - {line}" for line in _cases(pages, result)] if result else []
    if result and result.advice:
        told.append(f"  - advice: {prose(result.advice)}")
    told.append(f"  - again: {code(blocker.reproduce, 2_000)}")
    return "\n".join(told)


def _cases(pages: Pages, result: CheckResult) -> Iterator[str]:
    check = next(check for check in pages.plan.checks if check.id == result.id)
    outcomes = pages.outcomes(check.id)
    bad = [
        (case, each)
        for case in check.cases
        if (each := outcomes.get(case.id)) is not None and each.outcome in ("missed", "error")
    ]
    bad.sort(key=lambda pair: pair[1].outcome)
    for case, outcome in bad[:_CASES]:
        where = f" ({code(case.at)})" if place_of(case.at) else ""
        yield f"{outcome.outcome} {code(case.id, 200)}{where}: {prose(why(outcome), 300)}"
    if len(bad) > _CASES:
        yield f"and {len(bad) - _CASES:,} more case{'s' * (len(bad) > _CASES + 1)}"


def _others(certificate: Certificate) -> Section | None:
    """What does not pass and does not block: waived, not decided, not measurable here."""
    blocking = {blocker.check for blocker in certificate.blockers}
    found = [each for each in certificate.checks if each.verdict != "pass" and each.id not in blocking]
    rows = [
        _row(
            code(each.id),
            _word(each.verdict, each.waived),
            code(each.at) if place_of(each.at) else "",
            prose(each.reason),
            prose(each.advice),
        )
        for each in _worst_first(found)
    ]
    head = _table("check", "verdict", "at", "reason", "advice")
    return Section("### What else does not pass", rows, head) if rows else None


# ---------------------------------------------------------------------------------- what it stands on


def _changes(certificate: Certificate) -> Section | None:
    before = certificate.previous
    if before is None:
        return None
    results = {result.id: result for result in certificate.checks}
    told: list[tuple[int, str]] = []
    for id, result in results.items():
        was = before.checks.get(id)
        if was is None:
            told.append((1, _row(code(id), "not asked", _figures(result))))
        elif _figures(was) != _figures(result):
            worse = _WORST.index(result.verdict) - _WORST.index(was.verdict)
            told.append((worse if worse <= 0 else 2, _row(code(id), _figures(was), _figures(result))))
    told += [(1, _row(code(id), _figures(was), "not asked")) for id, was in before.checks.items() if id not in results]
    rows = [row for _, row in sorted(told, key=lambda pair: pair[0])]
    said = f"That was {code(before.run)}: {before.status}, score {before.score:g}; now {certificate.score:g}."
    if not rows:
        return Section("### Since the previous run", [f"{said} No verdict and no estimate is another."])
    return Section("### Since the previous run", rows, f"{said}\n\n{_table('check', 'then', 'now')}")


def _figures(of: CheckResult | Before) -> str:
    return ", ".join(filter(None, [of.verdict, _estimate(of)]))


def _estimate(of: CheckResult | Before) -> str:
    if of.estimate is None:
        return ""
    between = f" ({of.interval[0]:.4g} to {of.interval[1]:.4g})" if of.interval else ""
    return f"{of.estimate:.4g}{between} of {of.n:,}"


def _lock(certificate: Certificate) -> Section | None:
    locked = certificate.locked
    if locked is None:
        return None
    many = f"{locked.checks:,} check{'s' * (locked.checks != 1)}"
    said = f"Locked {code(locked.at)} as {code(locked.digest)}, which holds {many}."
    rows = [_moved(each) for each in locked.moved]
    rows += [f"- not locked: {code(check)}" for check in locked.unlocked]
    rows += [f"- other words, and the same said: {code(path)}" for path in locked.reworded]
    return Section("### The lock", rows or ["Nothing of it has moved."], f"{said}\n")


def _moved(each: Moved) -> str:
    return f"- moved: {prose(each.what)} of {code(each.check)}, from {code(brief(each.was))} to {code(brief(each.now))}"


def _waivers(certificate: Certificate) -> Section | None:
    rows = [
        _row(code(each.check), prose(each.who), code(each.until), "yes" if each.used else "no", prose(each.why))
        for each in sorted(certificate.waivers, key=lambda each: not each.used)
    ]
    head = _table("check", "who answers for it", "until", "is it needed", "why")
    return Section("### Waivers", rows, head) if rows else None


def _standing(certificate: Certificate) -> Section:
    rows = [f"- score: {prose(certificate.score_meaning, 2_000)}"]
    if certificate.expires:
        rows.append(f"- it holds until {code(certificate.expires)}")
    return Section("### Score and expiry" if certificate.expires else "### Score", rows)


def _notes(certificate: Certificate) -> Section | None:
    rows = [f"- advice: {prose(each, 1_000)}" for each in certificate.recommendations]
    rows += [f"- {prose(each, 1_000)}" for each in certificate.notes]
    return Section("### Notes", rows) if rows else None


def _passed(certificate: Certificate) -> Section | None:
    passed = [result for result in certificate.checks if result.verdict == "pass"]
    rows = [_row(code(each.id), prose(each.reason), _estimate(each)) for each in passed]
    many = f"{len(passed):,} check{'s' * (len(passed) != 1)} passed"
    head = _table("check", "reason", "estimate")
    title = f"<details><summary>{many}</summary>"
    return Section(title, rows, head, "</details>") if rows else None


# ----------------------------------------------------------------------------------------------------


def _worst_first(results: Sequence[CheckResult]) -> list[CheckResult]:
    return sorted(results, key=lambda result: _WORST.index(result.verdict))


def _word(verdict: Ruling, waived: bool) -> str:
    return f"{verdict}, waived" if waived else verdict


def _table(*names: str) -> str:
    return f"{_row(*names)}\n{_row(*('---' for _ in names))}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
