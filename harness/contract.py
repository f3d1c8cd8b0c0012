"""The words that every room and the engine share. This module imports nothing of ours.

Everything here is plain data: it crosses processes, is written to the ledger and is read back by whoever
verifies a certificate. A room (an evaluator, a model source, a report format) is a module that satisfies one of
the protocols at the end of this file; it inherits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType

LANGUAGE = 1
"""The version of the spec language that `hallmark: 1` names."""

Word = Literal["met", "missed", "error", "skipped"]
Ruling = Literal["pass", "fail", "inconclusive", "error", "unsupported"]
Status = Literal["certified", "blocked", "inconclusive", "incomplete"]

EXIT: Mapping[Status, int] = {"certified": 0, "blocked": 1, "incomplete": 2, "inconclusive": 6}
"""The exit status that each certificate status means; 3 internal error, 4 spec or usage fault, 5 nothing selected."""

_T = TypeVar("_T")


# ---------------------------------------------------------------------------------------------- plan


class Question(Struct, frozen=True):
    """What a model is shown of a case: never the expectation."""

    id: str
    input: Any


class Case(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a model must do."""

    id: str
    input: Any = None
    expect: Any | UnsetType = UNSET
    tags: tuple[str, ...] = ()
    weight: float = 1.0
    cluster: str = ""
    at: str = ""
    """Where it was written: file:line."""


class Declared(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as a spec declares it."""

    name: str
    how: str
    """The source that opens it."""
    options: dict[str, Any]
    recipe: str
    """Digest of everything that decides what the model will be, known before it is opened."""
    at: str


class Check(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kind asked of one model over some cases, after lists and matrices are expanded."""

    id: str
    """`specs/lenet5.yaml::golden::digits[int8]`"""
    name: str
    """`digits[int8]`"""
    kind: str
    at: str
    about: str = ""
    model: str = ""
    """The key of its model in the plan, empty where a kind needs none."""
    options: dict[str, Any] = {}
    cases: tuple[Case, ...] = ()
    batch: int = 1
    """Cases answered together: fixed here, so that scheduling can't change an answer."""
    timeout: float = 300.0
    """Seconds a case may take."""

    def batches(self) -> int:
        return -(-len(self.cases) // self.batch)


class Criterion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reason to certify, and the checks it stands on."""

    id: str
    needs: tuple[str, ...]
    at: str
    why: str = ""


class SpecFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A spec that was read."""

    path: str
    name: str
    about: str = ""
    expires: float | None = None
    """Seconds for which a certificate holds."""


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be measured, complete: no file but this one is needed to judge what comes of it."""

    hallmark: str
    language: int = LANGUAGE
    specs: tuple[SpecFile, ...] = ()
    files: dict[str, str] = {}
    """Digest of every file that the plan was read from, by path."""
    models: dict[str, Declared] = {}
    checks: tuple[Check, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    notes: tuple[str, ...] = ()

    def cases(self) -> int:
        return sum(len(check.cases) for check in self.checks)


class Objection(Struct, frozen=True):
    """A room's complaint about its part of a spec; the engine knows the line that `path` leads to."""

    path: tuple[str | int, ...]
    code: str
    what: str
    instead: str = ""


# ------------------------------------------------------------------------------------------- measure


class Difference(Struct, frozen=True, omit_defaults=True):
    """One respect in which an answer is not what was expected."""

    at: str
    """The field, `.` for the whole answer."""
    mode: str
    why: str
    expected: Any = None
    got: Any = None


class Outcome(Struct, kw_only=True, omit_defaults=True, tag_field="is", tag="outcome"):
    """What came of one case. A line of the ledger."""

    case: str
    outcome: Word
    check: str = ""
    answer: Any | UnsetType = UNSET
    differences: list[Difference] = []
    reason: str = ""
    seconds: float = 0.0
    by: str = ""
    """The setting it was measured in."""


class Setting(Struct, frozen=True, kw_only=True, tag_field="is", tag="setting"):
    """Where and with what outcomes were measured: model digest, backend, BLAS, versions, machine."""

    id: str
    model: str
    facts: dict[str, Any]


# ------------------------------------------------------------------------------------ judge, certify


class Verdict(Struct, frozen=True, kw_only=True):
    """What a room says of a check and all its outcomes."""

    verdict: Ruling
    reason: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    method: str = ""
    n: int = 0
    needed_n: int | None = None
    """When inconclusive: how many cases would decide it, if things go on as they went."""
    advice: str = ""


class Tally(Struct, frozen=True):
    met: int = 0
    missed: int = 0
    error: int = 0
    skipped: int = 0

    def total(self) -> int:
        return self.met + self.missed + self.error + self.skipped


class CheckResult(Struct, frozen=True, kw_only=True):
    """A check on a certificate."""

    id: str
    name: str
    kind: str
    model: str | None
    verdict: Ruling
    estimate: float | None
    interval: tuple[float, float] | None
    p: float | None
    method: str
    n: int
    planned: int
    outcomes: Tally
    needed_n: int | None
    reason: str
    advice: str
    at: str
    seconds: float


class CriterionResult(Struct, frozen=True, kw_only=True):
    id: str
    why: str
    needs: tuple[str, ...]
    verdict: Ruling
    at: str


class Blocker(Struct, frozen=True, kw_only=True):
    check: str
    reason: str
    at: str
    reproduce: str


class RunFacts(Struct, frozen=True, kw_only=True):
    id: str
    started: str
    finished: str | None
    seconds: float | None
    hallmark: str
    planned: int
    measured: int
    stopped: str | None
    """Why the run ended early, if it did."""


class Certificate(Struct, frozen=True, kw_only=True):
    """What a reviewer signs; a pure function of plan.json and outcomes.jsonl."""

    SCHEMA: ClassVar[str] = "hallmark/certificate/1"

    schema: str
    status: Status
    reason: str
    run: RunFacts
    checks: tuple[CheckResult, ...]
    criteria: tuple[CriterionResult, ...]
    blockers: tuple[Blocker, ...]
    recommendations: tuple[str, ...]
    score: float
    expires: str | None
    notes: tuple[str, ...]
    provenance: dict[str, Any]


# --------------------------------------------------------------------------------------------- rooms


class NotPlain(ValueError):
    """A value that JSON has no word for: NaN, a lone surrogate, a Decimal, an array, an object."""


class Refused(Exception):
    """A model's way to say that it can't answer one question, while it answers the others of the batch."""


class Site(Protocol):
    """What the engine lends to a model source: where things are, and a cache that builds a thing once."""

    root: Path

    def say(self, text: str) -> None:
        """Tell the person who waits."""

    def kept(self, key: str) -> Path | None:
        """The folder built under this key, if there is one."""

    def build_once(self, key: str, build: Callable[[Path], None]) -> Path:
        """The folder built under this key, built now if need be; one process builds, the others wait."""


class Model(Protocol):
    """An opened model."""

    digest: str
    """Digest of what answers: the bytes of the weights, of the file replayed, ..."""
    together: bool
    """True where the questions of a batch are answered in one go; False where one at a time."""

    def answer(self, questions: Sequence[Question]) -> Iterable[Any]:
        """One answer a question, in their order; a `Refused` in an answer's place refuses that question."""

    def facts(self) -> Mapping[str, Any]:
        """What belongs in the provenance of its answers.

        `files`, a digest by path for each file of the plan that it read, is held against what the plan had read.
        """


class Source(Protocol):
    """A room of models/sources: how a model is opened.

    Optional names: `faults(options, site)` objects to a declaration at plan time, `remarks(options, site, ids)`
    tells what a reviewer should know, `kept(options, site)` says whether it needs building, `recipe(options,
    site)` returns what decides the model, its options unless told.
    """

    SCHEMA: Mapping[str, Any]
    """Schema of each key that it adds to a model's declaration; its own name is the key that selects it."""
    BATCH: int

    def open(self, options: Mapping[str, Any], site: Site) -> Model: ...


class Measuring(Protocol):
    """The bench, as an evaluator sees it."""

    def answer(self, case: Case) -> Any:
        """The answer of the check's model to this case: plain data, computed in the plan's batch."""

    def keep(self, build: Callable[[Check], _T], check: Check) -> _T:
        """`build(check)`, once a worker."""


class Evaluator(Protocol):
    """A room of evaluators: a kind of check.

    Optional names: `faults(check)` yields objections at plan time; `regrade(check, case, outcome)` grades a recorded
    answer again, for `hallmark verify`; `gated(check)` is True where a missed case leaves the say to the verdict.
    """

    SCHEMA: Mapping[str, Any]
    """Schema of each key that it adds to a check."""
    PANEL: str
    """The name of its fragment of the HTML report, beside its code."""
    QUIET: bool

    def expand(self, check: Check) -> Iterable[Case]: ...

    def measure(self, check: Check, case: Case, bench: Measuring) -> Outcome: ...

    def judge(self, check: Check, outcomes: Sequence[Outcome]) -> Verdict: ...


class Pages(Protocol):
    """Everything that a report may tell: the run folder, read and recomputed."""

    plan: Plan

    @property
    def certificate(self) -> Certificate: ...

    @property
    def settings(self) -> Sequence[Setting]: ...

    def outcomes(self, check: str) -> Mapping[str, Outcome]: ...

    def panel(self, kind: str) -> str:
        """The source of that kind's fragment of the HTML report."""


class Report(Protocol):
    """A room of reports: a format. A pure function from a run to a file's bytes."""

    FILE: str

    def tell(self, pages: Pages) -> bytes: ...


def by_case(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    """The first outcome of each case: the record is append-only, and what was said first stands."""
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        found.setdefault(outcome.case, outcome)
    return found


def lost(check: Check, position: int, why: str) -> Outcome:
    """The outcome of a case whose process did not live to tell."""
    return Outcome(case=check.cases[position].id, check=check.id, outcome="error", reason=why)
