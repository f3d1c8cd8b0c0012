"""What becomes of each case and verdict in JUnit's four words, as the terminal tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from msgspec import UNSET

from harness.contract import Case, Certificate, Check, CheckResult, Outcome, Pages, WaiverResult
from reports.plain import brief, why

Word = Literal["passed", "skipped", "failure", "error"]
GATED = "missed; the gate decides"
_SOME = 5
"""Cases that a verdict names."""


class Row(NamedTuple):
    """A testcase."""

    word: Word
    classname: str
    name: str
    seconds: float = 0.0
    type: str = ""
    line: str = ""
    """What there is to say, in one line."""
    text: str = ""
    """The same at length."""
    weight: int = 0
    """How much would be lost without it."""


def rows_of_check(pages: Pages, check: Check, result: CheckResult) -> Iterator[Row]:
    """The cases of a check in the order of the plan, then its verdict where that is no pass."""
    outcomes = pages.outcomes(check.id)
    waiver = next((w for w in pages.certificate.waivers if w.check == check.id and w.used), None)
    excused = _Excused(pages.gated(check), result, waiver)
    classname = check.id.replace("/", ".").replace("::", ".")
    for case in check.cases:
        yield _of_case(check, case, classname, outcomes.get(case.id), excused)
    if result.verdict != "pass":
        yield _of_verdict(pages, check, result, outcomes, excused)


class _Excused(NamedTuple):
    """Why a case that is not met is no failure of its own."""

    gated: bool
    result: CheckResult
    waiver: WaiverResult | None

    @property
    def waived(self) -> str:
        if not self.result.waived:
            return ""
        return f"waived by {self.waiver.who} until {self.waiver.until}" if self.waiver else "waived"

    def missed(self) -> str:
        # That it passes with a case missed is the word of a gate, whatever its room says of itself.
        if self.gated or self.result.verdict in ("pass", "unsupported"):
            return GATED
        return self.waived and f"missed; {self.waived}"

    def error(self) -> str:
        if self.result.verdict == "pass":
            return "error; the check was decided without it"
        if self.result.verdict == "unsupported":
            return "error; the check can't be measured here"
        return self.waived and f"error; {self.waived}"


def _of_case(check: Check, case: Case, classname: str, outcome: Outcome | None, excused: _Excused) -> Row:
    if outcome is None:
        return Row("skipped", classname, case.id, type="skipped", line="it has no outcome", text="it has no outcome")
    row = Row("passed", classname, case.id, outcome.seconds)
    if outcome.outcome == "met":
        return row
    said = why(outcome)
    if outcome.outcome == "skipped":
        return row._replace(word="skipped", type="skipped", line=said, text=said, weight=1)
    told = "\n".join([f"{outcome.outcome}: {said}", *_at_length(check, case, outcome)])
    if excuse := excused.missed() if outcome.outcome == "missed" else excused.error():
        return row._replace(word="skipped", type="skipped", line=excuse, text=f"{excuse}\n{told}", weight=1)
    word: Word = "failure" if outcome.outcome == "missed" else "error"
    return row._replace(word=word, type=outcome.outcome, line=said, text=told, weight=2)


def _at_length(check: Check, case: Case, outcome: Outcome) -> Iterator[str]:
    yield f"  input     {brief(case.input)}"
    if case.expect is not UNSET:
        yield f"  expected  {brief(case.expect)}"
    if outcome.answer is not UNSET:
        yield f"  got       {brief(outcome.answer)}"
    yield f"  case      {case.at or check.at}, check {check.at}"


def _of_verdict(
    pages: Pages, check: Check, result: CheckResult, outcomes: Mapping[str, Outcome], excused: _Excused
) -> Row:
    above, _, name = check.id.rpartition("::")
    row = Row("skipped", above.replace("/", ".").replace("::", "."), name, type="skipped", weight=3)
    line = f"{result.verdict}: {result.reason}"
    if result.outcomes.total() < result.planned:
        said = f"incomplete: {result.reason}"
        return row._replace(line=said, text=said)
    if result.verdict == "unsupported" and not excused.waived:
        return row._replace(line=line, text=line)
    if excused.waived:
        said = f"{excused.waived}, {line}"
        because = f"\n  because   {excused.waiver.why}" if excused.waiver else ""
        return row._replace(line=said, text=said + because)
    told = [line, *_missed(check, outcomes, excused), f"  check     {result.at}"]
    told += [f"  advice    {result.advice}"] * bool(result.advice)
    told += [f"  again     {each.reproduce}" for each in pages.certificate.blockers if each.check == check.id]
    word: Word = "error" if result.verdict == "error" else "failure"
    return row._replace(word=word, type=result.verdict, line=line, text="\n".join(told))


def _missed(check: Check, outcomes: Mapping[str, Outcome], excused: _Excused) -> Iterator[str]:
    """What a gate decided over is no failure of its own: the verdict names some of it."""
    if not excused.gated:
        return
    missed = [each for case in check.cases if (each := outcomes.get(case.id)) and each.outcome == "missed"]
    for outcome in missed[:_SOME]:
        yield f"  missed    {outcome.case}: {why(outcome)}"
    if len(missed) > _SOME:
        yield f"            and {len(missed) - _SOME} more: the report has them all"


def row_of_run(certificate: Certificate, spec: str) -> Row:
    """That the run certifies nothing, for whatever reason."""
    line = f"{certificate.status}: {certificate.reason}"
    others = [f"  {each.check}, {each.at}: {each.reason}" for each in certificate.blockers]
    text = "\n".join([line, *others])
    classname = spec.replace("/", ".") or "hallmark"
    return Row("failure", classname, "certificate", type=certificate.status, line=line, text=text, weight=4)
