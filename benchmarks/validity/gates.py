"""A gate as users meet it: YAML to the planner, answers graded by the kind, and a verdict from the engine's judge.

Only the model is not real: chance has decided what it says.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness import rooms
from harness.certify import judge
from harness.contract import Case, Check, CheckResult, Look, Outcome, Plan, Way
from harness.shelf import Shelf
from harness.spec.part import join
from harness.spec.planner import plan_spec

RIGHT, WRONG = "right", "wrong"
Said = tuple[Any, ...]
"""What is said to a case: by the check's own model, then by its baseline; a tuple in a place is one answer a turn."""
Cases = int | Sequence[Mapping[str, Any]]


class Ruled(NamedTuple):
    """How often a gate ruled what: as shares of all that can happen, or of so many replications."""

    passes: float = 0.0
    fails: float = 0.0
    inconclusive: float = 0.0
    errors: float = 0.0
    replications: int | None = None
    """None where all that can happen was counted."""
    left_out: float = 0.0
    """The chance of all that was too rare to be counted."""


def planned(checks: Iterable[str], cases: Cases, more: str = "") -> Plan:
    """The plan of a spec with these checks; SpecFaults where it is refused."""
    lines = [{"id": f"c{at}", "input": at, "expect": RIGHT} for at in range(cases)] if isinstance(cases, int) else cases
    listed = "".join(f"  - {{cases: cases.jsonl, {check}}}\n" for check in checks)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        spec = folder / "spec.yaml"
        spec.write_text(
            f"hallmark: 1\nmodels: {{old: {{echo: {{}}}}, new: {{echo: {{}}}}}}\nchecks:\n{listed}{more}", "utf-8"
        )
        return join([plan_spec(spec, Shelf(folder, lambda text: None))])


class Gate:
    """One check of a spec."""

    def __init__(self, check: str, cases: Cases, *, forget: bool = False) -> None:
        self.check = planned([f"name: gate, {check}"], cases).checks[0]
        self._forget = forget
        self._outcomes: dict[tuple[int, Said], Outcome] = {}
        self._tables: dict[tuple[int, int], CheckResult] = {}

    def rule(self, said: Sequence[Said]) -> CheckResult:
        """The verdict, were this said to its cases."""
        asked = [case for case in self.check.cases if case.asks]
        found = {case.id: self._outcome(at, case, said[at]) for at, case in enumerate(asked)}
        found |= {case.id: _measured(self.check, case, ()) for case in self.check.cases if not case.asks}
        return _judged(self.check, found)

    def rule_pairs(self, gained: int, lost: int) -> CheckResult:
        """The verdict, were so many cases met by the new model alone, and by the old one alone."""
        if (gained, lost) not in self._tables:
            same = sum(case.asks for case in self.check.cases) - gained - lost
            said = [(RIGHT, WRONG)] * gained + [(WRONG, RIGHT)] * lost + [(RIGHT, RIGHT)] * same
            self._tables[gained, lost] = self.rule(said)
        return self._tables[gained, lost]

    def rule_share(self, met: int) -> CheckResult:
        """The verdict, were so many cases met."""
        return self.rule([(RIGHT,)] * met + [(WRONG,)] * (len(self.check.cases) - met))

    def rule_runs(self, answers: Sequence[Any]) -> CheckResult:
        """The verdict of a determinism check on one case, whose runs say this by turns."""
        (case,) = self.check.cases
        bench: Any = _Repeating(self.check.cases, answers)
        return _judged(self.check, {case.id: rooms.evaluator(self.check.kind).measure(self.check, case, bench)})

    def rule_times(self, ms: Any, baseline_ms: Any = None, *, disturbed: str = "") -> CheckResult:
        """The verdict of a performance check on one case, were these its times by process, and its baseline's."""
        answer, kinds = {"ms": ms.tolist()}, ["model"]
        if baseline_ms is not None:
            answer["baseline_ms"] = baseline_ms.tolist()
            kinds.append("baseline")
        found = {case.id: Outcome(case=case.id, outcome="met", answer=answer) for case in self.check.cases if case.asks}
        processes = [{"of": of, "opening_ms": 1.0, "disturbed": disturbed} for _ in ms for of in kinds]
        for case in self.check.cases:
            if not case.asks:
                found[case.id] = Outcome(case=case.id, outcome="met", answer={"processes": processes})
        return _judged(self.check, found)

    def _outcome(self, at: int, case: Case, said: Said) -> Outcome:
        """Graded once: the same answer to the same case is graded the same."""
        if self._forget:
            return _measured(self.check, case, said)
        if (at, said) not in self._outcomes:
            self._outcomes[at, said] = _measured(self.check, case, said)
        return self._outcomes[at, said]


def counted(ruled: Iterable[tuple[float, CheckResult]], replications: int | None = None) -> Ruled:
    """The weights of verdicts, added up; what is no verdict of a gate is an error."""
    sums = {"pass": 0.0, "fail": 0.0, "inconclusive": 0.0, "error": 0.0}
    for weight, result in ruled:
        sums[result.verdict if result.verdict in sums else "error"] += weight
    left_out = 0.0 if replications else max(0.0, 1 - sum(sums.values()))
    return Ruled(sums["pass"], sums["fail"], sums["inconclusive"], sums["error"], replications, left_out)


def _measured(check: Check, case: Case, said: Said) -> Outcome:
    bench: Any = _Scripted(said)
    try:
        return rooms.evaluator(check.kind).measure(check, case, bench)
    except Exception as error:  # as the desk does
        return Outcome(case=case.id, outcome="error", reason=f"{type(error).__name__}: {error}")


def _judged(check: Check, found: Mapping[str, Outcome]) -> CheckResult:
    """A warning is as bad as a crash, which the judge reports as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return judge(check, found)


class _Scripted:
    """A bench at which models say what chance decided."""

    def __init__(self, said: Said) -> None:
        self._said = said

    def answer(self, case: Case, role: str = "", turn: int = 0) -> Any:
        said = self._said[1 if role else 0]
        return said[turn] if isinstance(said, tuple) else said

    def keep(self, build: Callable[[Check], Any], check: Check) -> Any:
        return build(check)

    def weigh(self, case: Case, role: str = "", *, on: str = "") -> None:
        return None

    def facts(self, role: str = "") -> dict[str, Any]:
        return {}


class _Repeating:
    """A bench at which one model is asked the same again and again: first the reference, then each run."""

    def __init__(self, cases: Sequence[Case], answers: Sequence[Any]) -> None:
        self._cases = cases
        self._answers = answers
        self._asked = False

    def wanted(self) -> list[list[Case]]:
        return [list(self._cases)]

    def look(self, cases: Sequence[Case], way: Way) -> list[Look]:
        if self._asked and not way.chance:  # between two runs; nobody looks at what it says
            return [Look() for _ in cases]
        self._asked = True
        return [Look(answer=self._answers[way.chance]) for _ in cases]

    def size(self) -> int:
        return len(self._cases)

    def trait(self, name: str) -> None:
        return None

    def facts(self, role: str = "") -> dict[str, Any]:
        return {}

    def once(self, make: Callable[[], Any]) -> Any:
        return make()
