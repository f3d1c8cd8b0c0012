"""The last lines of a session: a line a check, the certificate's status, and where the report is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pytest

from harness.conductor import Conductor
from harness.contract import Certificate, CheckResult
from harness.spec.faults import visible

_COLOURS = {"pass": "green", "certified": "green", "fail": "red", "error": "red", "blocked": "red"}
_COLOURS |= dict.fromkeys(("inconclusive", "incomplete", "unsupported", "waived"), "yellow")
_ORDER = ("fail", "error", "inconclusive", "unsupported", "pass")


class Brief:
    """Has the terminal tell the first few of a check's errors that are alike; all are counted, and in the report."""

    MOST = 3

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
        whole = terminalreporter.stats.get("error", [])
        told: Counter[tuple[str, str]] = Counter()
        few = []
        for report in whole:
            alike = getattr(report, "hallmark_alike", None)
            if alike is not None:
                told[alike] += 1
            if alike is None or told[alike] <= self.MOST:
                few.append(report)
        if len(few) == len(whole):
            return (yield)
        terminalreporter.stats["error"] = few
        try:
            return (yield)
        finally:
            terminalreporter.stats["error"] = whole


def summarise(
    terminal: pytest.TerminalReporter,
    certificate: Certificate | None,
    conductor: Conductor,
    said: Sequence[tuple[str, str]],
) -> None:
    """`said` are the session's own lines, each with the word it starts with."""
    if certificate is None and not said:
        return
    terminal.write_sep("=", "hallmark")
    if certificate is not None:
        begun = [result for result in certificate.checks if result.outcomes.total()]
        width = min(60, max((len(result.id) for result in begun), default=0))
        for result in _worst_first(begun):
            _line(terminal, result.verdict, f"{result.id:<{width}}  {result.reason}")
        if len(begun) < len(certificate.checks):
            _line(terminal, "note", f"checks of which nothing was measured: {len(certificate.checks) - len(begun)}")
        for waiver in certificate.waivers:
            if waiver.used:
                who = f"by {waiver.who} until {waiver.until}: {waiver.why}"
                _line(terminal, "waived", f"{waiver.check.rpartition('::')[2]} {who} ({waiver.at})")
        if certificate.locked and not certificate.locked.moved:
            _line(terminal, "locked", f"before the run, {certificate.locked.digest[7:19]}")
        for note in certificate.notes:
            _line(terminal, "note", note)
        for advice in certificate.recommendations:
            _line(terminal, "advice", advice)
    for word, text in said:
        _line(terminal, word, text)
    if certificate is not None:
        _line(terminal, certificate.status, certificate.reason)
        _line(terminal, "report", conductor.shown())


def _line(terminal: pytest.TerminalReporter, word: str, text: str) -> None:
    terminal.write(f"{word:<13}", bold=True, **{_COLOURS.get(word, "cyan"): True})
    terminal.write_line(visible(text))


def _worst_first(results: Iterable[CheckResult]) -> list[CheckResult]:
    return sorted(results, key=lambda result: _ORDER.index(result.verdict))
