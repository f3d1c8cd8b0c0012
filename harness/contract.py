"""The words that every room and the engine share. This module imports nothing of ours.

Everything here is plain data: it crosses processes, is written to the ledger and is read back by whoever
verifies a certificate. A room (an evaluator, a model source, a variant, a report format) is a module that satisfies
one of the protocols at the end of this file; it inherits nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType

LANGUAGE = 1
"""The version of the spec language that `hallmark: 1` names."""

Word = Literal["met", "missed", "error", "skipped"]
Ruling = Literal["pass", "fail", "inconclusive", "error", "unsupported"]
Status = Literal["certified", "blocked", "inconclusive", "incomplete"]
Numerics = Literal["strict", "fast"]
"""The backend as installed, bit-exact; or a fast BLAS in front of it, with tolerances."""

EXIT: Mapping[Status, int] = {"certified": 0, "blocked": 1, "incomplete": 2, "inconclusive": 6}
"""The exit status that each certificate status means; 3 internal error, 4 spec or usage fault, 5 nothing selected."""

DECIDED = "decided"
"""The reason of a case that was not needed any more, since its check may stop early and had come to its verdict."""

STANDS_ON = "stands on "
"""How the reason of a case starts that was not measured since a check that its own stands on did not pass."""

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
    asks: bool = True
    """False where the room looks at the model itself, and there is nothing to answer."""


class Step(Struct, frozen=True, kw_only=True):
    """One thing done to a model: a variant, and its options."""

    what: str
    options: Any
    files: dict[str, str] = {}
    """Digest of every file that it learns from, by path."""
    recipe: str
    """Digest of everything that decides the weights it leads to: all that went before, too."""


class Declared(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as a spec declares it: a source, and the steps that were taken from there."""

    name: str
    how: str
    """The source that opens it."""
    options: dict[str, Any]
    steps: tuple[Step, ...] = ()
    base: str = ""
    """The name of the model that it was made `from:`."""
    said: str = ""
    """Digest of what its source said, when it was planned, of what decides its weights."""
    recipe: str
    """Digest of everything that decides what the model will be, known before it is opened."""
    at: str
    was: str = ""
    """Of one that an earlier run had: the digest that answered there."""
    batch: int = 1
    """Cases that it is asked together."""

    def made(self) -> str:
        """How it came to be, in a few words."""
        return " + ".join([self.how, *(step.what for step in self.steps)])


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
    others: dict[str, str] = {}
    """The keys of the models beside it, by their role in the kind."""
    prompts: dict[str, str] = {}
    """What an input is put into before a model is asked, by role; a model without one is asked the input itself."""
    options: dict[str, Any] = {}
    cases: tuple[Case, ...] = ()
    batch: int = 1
    """Cases measured in one go, by one worker: fixed here, so that scheduling can't change an answer."""
    timeout: float = 300.0
    """Seconds a case may take."""
    after: tuple[str, ...] = ()
    """Ids of the checks that it stands on: it is measured only once they passed."""

    def batches(self) -> int:
        return -(-len(self.cases) // self.batch)


class Criterion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reason to certify, and the checks it stands on."""

    id: str
    needs: tuple[str, ...]
    at: str
    why: str = ""
    weight: float | None = None
    """Its part of the score among the criteria of its file; alike where none is told."""
    spec: str = ""
    """The file that declares it."""


class Waiver(Struct, frozen=True, kw_only=True):
    """A person's word that a check which does not pass need not hold up a certificate, for a while."""

    checks: tuple[str, ...]
    who: str
    why: str
    until: str
    """The last day that it holds, as 2027-01-31."""
    at: str


class SpecFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A spec that was read."""

    path: str
    name: str
    about: str = ""
    numerics: Numerics | None = None
    expires: float | None = None
    """Seconds for which a certificate holds."""
    ends: str = ""
    """The last day that it holds, as 2027-01-31, where that is told instead."""
    error_rate: float | None = None
    """The chance of any false claim that the checks of this spec may have together; each has its own unless told."""
    spends: bool = False
    """Whether each look at the same question takes a part of that."""
    over: bool = False
    """Whether it has no checks of its own, and stands over the specs beside and below it."""


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be measured, complete: no file but this one is needed to judge what comes of it."""

    hallmark: str
    language: int = LANGUAGE
    numerics: Numerics = "strict"
    specs: tuple[SpecFile, ...] = ()
    files: dict[str, str] = {}
    """Digest of every file that the plan was read from, by path."""
    models: dict[str, Declared] = {}
    checks: tuple[Check, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    notes: tuple[str, ...] = ()

    def cases(self) -> int:
        return sum(len(check.cases) for check in self.checks)

    def command(self, *what: str) -> str:
        """What measures specs, checks or cases again, computing as this plan does."""
        asked = self.numerics == "fast" and not any(spec.numerics == "fast" for spec in self.specs)
        return shlex.join(["hallmark", "run", *what, *(["--numerics", "fast"] if asked else [])])


class Part(Struct, frozen=True):
    """A model's part in a check."""

    model: str
    """Its name in the spec."""
    path: tuple[str | int, ...]
    """Where the check names it."""
    prompt: str = ""
    """What inputs are put into before it is asked; nothing unless told."""
    run: str = ""
    """The run whose model of this name is meant: `certified`, `latest`, an id or a folder. There, no name is the name
    of the check's own; where nothing was certified yet, the check goes without."""


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
    spent: dict[str, float] = {}
    """Where several models answer: the seconds of each, by role."""
    by: str = ""
    """The setting it was measured in."""
    carrier: bool = False
    """Of an error: whether what carries the model failed, its process or its time, and not its answer."""
    tries: int = 1
    """How often it was measured, where the carrier failed before."""


class Noise(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else a machine did during some seconds."""

    seconds: float
    cores: int
    own: float
    """Cores kept busy by what was measured."""
    foreign: float
    """Cores kept busy by others."""
    stolen: float = 0.0
    """Cores' worth of time that a hypervisor took."""
    waited: float = 0.0
    """Share of the time in which something was ready to run, and had to wait."""
    throttled: float = 0.0
    """Share of the time in which a limit on CPU time held it up."""
    mhz: float = 0.0

    def disturbs(self) -> str:
        """Why what was measured meanwhile tells of more than itself; empty where it was quiet.

        A machine of many cores is disturbed by more than one of few. What waits tells nothing where what is measured
        keeps all cores busy by itself.
        """
        if self.foreign > max(0.2, 0.05 * self.cores):
            return f"others kept {self.foreign:.2f} of {self.cores} cores busy"
        if self.stolen > 0.05 * self.cores:
            return f"a hypervisor took {self.stolen:.2f} of {self.cores} cores"
        if self.throttled > 0.02:
            return f"a limit on CPU time held it up for {self.throttled:.0%} of the time"
        if self.waited > 0.25 and self.own < self.cores - 0.5:
            return f"for {self.waited:.0%} of the time something waited for a core"
        return ""


class Timed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of timing a model on questions, a lot of them at once and one lot after another."""

    seconds: tuple[float, ...]
    """Of each lot."""
    firsts: tuple[float | None, ...] = ()
    """Until the first token of each lot, where it was streamed; None where none came."""
    tokens: tuple[int | None, ...] = ()
    """That were said to each lot; None where the model doesn't tell."""
    at: float = 0.0
    """Seconds since its process began."""
    resident: int = 0
    """Bytes of its process then."""
    peak_resident: int = 0
    peak_mlx: int | None = None
    """The most bytes that MLX held; None where it is not used."""
    joules: float | None = None
    """That the machine used meanwhile, where it tells."""
    noise: Noise | None = None
    error: str = ""
    """Why it ended early: the lots after those of `seconds` were not answered."""
    streams: bool = True
    """Whether the model tells when its tokens come, as far as that was asked."""


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
    figures: dict[str, float] = {}
    """What else a reviewer wants to see, by name; nothing here decides."""


class Prospect(Struct, frozen=True, kw_only=True):
    """How often a gate says what, were something true."""

    truth: str
    value: float
    passes: float
    fails: float
    inconclusive: float


class Characteristics(Struct, frozen=True, kw_only=True):
    """What a gate can tell on so many cases, known before anything runs."""

    of: str
    """What the truths are of, such as `the true rate`."""
    bar: float | None
    rows: tuple[Prospect, ...]
    method: str
    detectable: float | None = None
    """The truth nearest to the bar that it passes in four of five runs."""
    needed_n: int | None = None
    """How many cases would pass the nearest truth that is stated, in four of five runs."""


class Tally(Struct, frozen=True):
    met: int = 0
    missed: int = 0
    error: int = 0
    skipped: int = 0

    def total(self) -> int:
        return self.met + self.missed + self.error + self.skipped


class Change(Struct, frozen=True, kw_only=True):
    """Where a figure came to another level."""

    at: int
    """The place, from 0, of the first run that had it."""
    before: float
    """The mean of the level before."""
    after: float
    p: float


class Trend(Struct, frozen=True, kw_only=True):
    """What a figure of a check was in one run after another on the same machine; it decides nothing."""

    figure: str
    values: tuple[float, ...]
    """The oldest first; this run's is the last of them, where its verdict is `pass` or `fail`."""
    changes: tuple[Change, ...] = ()


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
    figures: dict[str, float]
    at: str
    seconds: float
    adjusted_p: float | None = None
    """Its p within the error rate of its spec, where the spec has one."""
    flipped: bool = False
    """Whether it passed by itself, and does not within that."""
    look: int = 1
    """The how-manieth time these very models were asked this very question."""
    characteristics: Characteristics | None = None
    trends: tuple[Trend, ...] = ()
    waived: bool = False
    """Whether it does not pass, and somebody answers for that."""


class CriterionResult(Struct, frozen=True, kw_only=True):
    id: str
    why: str
    needs: tuple[str, ...]
    verdict: Ruling
    at: str
    weight: float
    """Its part of the score, of 1 in all."""
    waived: bool = False
    """Whether whatever does not pass of what it needs is waived."""


class WaiverResult(Struct, frozen=True, kw_only=True):
    check: str
    who: str
    why: str
    until: str
    at: str
    used: bool
    """Whether the certificate stands on it: the check does not pass, and it may be waived."""


class Blocker(Struct, frozen=True, kw_only=True):
    check: str
    """The id of a check; of a bar that was moved otherwise, the path of a spec."""
    reason: str
    at: str
    reproduce: str


class Moved(Struct, frozen=True, kw_only=True):
    """What is otherwise than when the bar was locked."""

    check: str
    """The id of a check, or the path of a spec."""
    what: str
    """Such as `gate.pass_rate`, `n`, `the cases`, `the judge` or `criteria`."""
    was: Any
    now: Any


class Locked(Struct, frozen=True, kw_only=True):
    """What was locked before a run began, and what became of it."""

    digest: str
    """Of the lock."""
    at: str
    """When it was locked, by the clock of whoever did."""
    checks: int
    """How many checks of the run it holds."""
    moved: tuple[Moved, ...] = ()
    unlocked: tuple[str, ...] = ()
    """Checks of the run that it does not hold."""
    reworded: tuple[str, ...] = ()
    """Files whose text is another, and that say the same."""


class Before(Struct, frozen=True, kw_only=True):
    """What an earlier run said of a check."""

    verdict: Ruling
    estimate: float | None
    interval: tuple[float, float] | None
    n: int


class Previous(Struct, frozen=True, kw_only=True):
    """The run that asked the same specs last, as it told of itself."""

    run: str
    started: str
    status: Status
    score: float
    checks: dict[str, Before]


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
    resumed: tuple[str, ...] = ()
    """When it was taken up again."""


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
    score_meaning: str
    expires: str | None
    waivers: tuple[WaiverResult, ...]
    locked: Locked | None
    previous: Previous | None
    notes: tuple[str, ...]
    provenance: dict[str, Any]


# --------------------------------------------------------------------------------------------- rooms


class NotPlain(ValueError):
    """A value that JSON has no word for: NaN, a lone surrogate, a Decimal, an array, an object."""


class Refused(Exception):
    """A model's way to say that it can't answer one question, while it answers the others of the batch."""


class Unreached(Refused):
    """That a model could not be asked at all: it can't be opened, its server is away."""


class Site(Protocol):
    """What the engine lends to sources and variants: where things are, and a cache that builds a thing once."""

    root: Path
    trusted: bool
    """Whether the user allowed code to run that a spec or a model's folder names."""
    runs: Path
    """Where run folders are kept."""
    hosts: tuple[str, ...]
    """Hosts besides this machine on which the user allowed a load to be put."""

    def say(self, text: str) -> None:
        """Tell the person who waits."""

    def kept(self, key: str) -> Path | None:
        """The folder built under this key, if there is one."""

    def build_once(self, key: str, build: Callable[[Path], None]) -> Path:
        """The folder built under this key, built now if need be; one process builds, the others wait."""

    def weights(self, declared: Mapping[str, Any]) -> Path:
        """The folder of another model of the spec: what stands in options where a schema says `format: model`."""


class Place(Struct, frozen=True, array_like=True):
    """What was chosen from at one place of an answer: numbers such as logits, one a choice."""

    bits: str
    """Digest of all of them, to the bit."""
    choices: tuple[int, ...]
    """The likeliest, by their places in the row, the likeliest first; all of them where they are few."""
    values: tuple[float, ...]
    """The numbers of those."""


class Model(Protocol):
    """An opened model.

    Optional: `padded`, True where it computes with MLX, so that short batches are filled up where numerics are fast;
    `weigh(questions, answers)`, for each question an array of places by choices: the natural logarithm of the
    probability of every choice at each place of the answer given with it, which may be another model's;
    `likelihood(questions, expected)`, the mean natural-log probability a token of each expectation, or a `Refused`;
    `reveal(questions)`, what `answer` gives, each answer in a pair with the `Place`s that it was chosen from;
    `ways(axis, asked)`, other ways to ask this very model, by a label: functions that each give such a model, or
    Refused where that axis can't be varied; `anew`, True where a fresh process of ours starts what answers anew;
    `samples`, True where it draws by chance, False where it never does; `stream(question)`, something for each token
    of its answer, as it comes; of a server's, `sending(question)`, how a question is sent to it (scheme, host, port,
    method, path, headers, body), and `heard(status, body)`, the answer that a reply holds, or a Refused.
    """

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

    A source of weights, from which variants can be made, has `folder(options, site)`, the folder of weights;
    `open_folder(folder, options, site)`, which opens such a folder, made by a variant too; `inspect(folder)`, its
    layers; and `SERVING`, the keys that decide how it answers rather than what it is.
    """

    SCHEMA: Mapping[str, Any]
    """Schema of each key that it adds to a model's declaration; its own name is the key that selects it."""
    BATCH: int

    def open(self, options: Mapping[str, Any], site: Site) -> Model: ...


class Variant(Protocol):
    """A room of models/variants: something done to a model's weights.

    Optional names: `faults(options)` objects at plan time; `learned(options, site)` gives the inputs that it is fitted
    on, which no check may ask.
    """

    SCHEMA: Mapping[str, Any]
    """Schema of the one key that it adds to a model's declaration, its own name."""
    VERSION: int
    """Raised whenever the same recipe no longer gives the same weights."""

    def make(self, base: Path, folder: Path, options: Any, site: Site) -> None:
        """Write a whole folder of weights, made from the one at `base`."""


class Way(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a model is asked, where that is varied; as it stands here: as in every check."""

    axis: str = ""
    label: str = ""
    """Another way that the model itself offers under this axis."""
    asked: Any = None
    """What the spec asks of that axis."""
    process: int = 0
    """A fresh interpreter of this number; 0 is the process that measures."""
    threads: int | None = None
    tf32: bool | None = None
    numerics: Numerics | None = None
    chance: int = 0
    """Another state of the generators of chance, so that a model that leans on them unseeded shows it."""

    @property
    def apart(self) -> bool:
        """Whether it takes another process."""
        return bool(self.process) or (self.threads, self.tf32, self.numerics) != (None, None, None)


class Look(Struct, frozen=True, omit_defaults=True):
    """What a model answered, and what it chose from."""

    answer: Any = None
    places: tuple[Place, ...] = ()
    error: str = ""
    """Why there is no answer."""


class Measuring(Protocol):
    """The bench, as an evaluator sees it. A role names one of the models beside the check's own, which is ``."""

    def wanted(self) -> Sequence[Sequence[Case]]:
        """The cases that are wanted now, in the whole batches that the check's own model is asked."""

    def size(self) -> int:
        """How many cases the check's own model is asked together, where there are as many."""

    def look(self, cases: Sequence[Case], way: Way) -> Sequence[Look]:
        """What the check's own model answers to these at once, in this order and this way; Refused where it can't."""

    def ways(self, axis: str, asked: Any = None) -> Sequence[str]:
        """The labels of what its model offers under an axis; Refused where that can't be varied."""

    def trait(self, name: str) -> Any:
        """What its model says of itself under an optional name such as `together`; None where it doesn't."""

    def once(self, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once for all the cases that are measured in one go."""

    def answer(self, case: Case, role: str = "", turn: int = 0) -> Any:
        """The answer of a model of the check to this case: plain data, computed in the plan's batch.

        Another turn asks the same again, by another chance.
        """

    def likelihood(self, case: Case, role: str = "") -> float | None:
        """The mean natural-log probability of the tokens of what the case expects; None where the model has none."""

    def weigh(self, case: Case, role: str = "", *, on: str = "") -> Any:
        """The array of a model's `weigh` for this case, on the answer of role `on`; None where it has none."""

    def facts(self, role: str = "") -> Mapping[str, Any]:
        """What the provenance says of a model and of where it runs."""

    def keep(self, build: Callable[[Check], _T], check: Check) -> _T:
        """`build(check)`, once a worker."""

    def kept(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What `make` gave under this key, kept between runs."""

    def root(self) -> Path:
        """The project's folder, from which places in options are told."""

    def stopwatch(self, role: str = "") -> Stopwatch:
        """A fresh process that has opened a model of the check, to be timed."""

    def weights(self, role: str = "") -> Path:
        """The folder of weights of a model of the check; Refused where it has none."""

    def declared(self, role: str = "") -> Declared:
        """How a model of the check was declared."""

    def served(self, options: Mapping[str, Any]) -> Model:
        """A model that a server answers for, opened as the source `http` opens one with these options."""

    def meter(self, ports: Sequence[int] = ()) -> Meter:
        """Watches the machine from now on; what listens at these ports of it is part of what is measured."""

    def may_reach(self, host: str) -> bool:
        """Whether a load may be put on this host: this machine, or one that the user allowed."""

    def lasting(self, seconds: float) -> AbstractContextManager[None]:
        """What follows may take this long, rather than a case's own time."""

    def attach(self, name: str, data: bytes) -> str:
        """Keep a file beside the run's record: its path from the run's folder, empty where there is no such folder."""


class Meter(Protocol):
    """Looks at the machine."""

    def read(self) -> Noise:
        """What it did since it was looked at last."""


class Stopwatch(Protocol):
    """A process of its own that has opened a model, and answers to be timed."""

    opening: float
    """Seconds that opening took."""
    noise: Noise
    """What else the machine did meanwhile."""

    def time(self, lots: Sequence[Sequence[Case]], *, least: float = 0.0, stream: bool = False) -> Timed:
        """The time of each lot, asked one after the other, and again from the first until `least` seconds are over."""

    def close(self) -> None:
        """End it."""


class Evaluator(Protocol):
    """A room of evaluators: a kind of check.

    Optional names, at plan time: `faults(check)` yields objections; `ROLES` are the keys of a check, besides
    `model`, that name a model; `cast(options)` gives the `Part`s of models by role instead, where it takes more to
    tell, "" being the check's own; `recall(key, name, data)` reads an option whose schema has the format `record`:
    the bytes of a file, or of a run's outcomes, None where there are none; `BATCH` is how many cases it measures in
    one go, where that is not how many its model is asked; `characteristics(check)` tells what it can show on so
    many cases; `least_p(check)` the smallest p that it can ever have; `pledge(check)` what was promised of it
    before anyone looked.

    `SEEN_ONCE` is True where its looks at things can't be taken again, so that what they saw is graded as it was
    recorded; where it measures alone that is so anyway.

    Later: `regrade(check, case, outcome)` grades a recorded answer again, for `hallmark verify`; `gated(check)` is
    True where a missed case leaves the say to the verdict; `decided(check, outcomes)` is True once a check that may
    stop early needs no more of its cases; `OVERVIEW` is the name of a fragment of the HTML report that tells of all
    checks of the kind together; `drawing(check, outcomes, result)` gives plain data for its panel, where that is called
    `drawn`; `commit(check, outcomes, read)` gives the name and the bytes of a file that later runs are held against,
    given what is in it now, for `hallmark golden update`; `proposals(check, outcomes)` gives what the expectations of
    cases that missed would become, for the same.
    """

    SCHEMA: Mapping[str, Any]
    """Schema of each key that it adds to a check."""
    PANEL: str
    """The name of its fragment of the HTML report, beside its code."""
    QUIET: bool
    """True where it must have the machine for itself; `quiet(check)`, where a room has that, tells of one check."""

    def expand(self, check: Check) -> Iterable[Case]: ...

    def measure(self, check: Check, case: Case, bench: Measuring) -> Outcome: ...

    def judge(self, check: Check, outcomes: Sequence[Outcome]) -> Verdict: ...


class Pages(Protocol):
    """Everything that a report may tell: the run folder, read and recomputed."""

    plan: Plan
    data: Mapping[str, bytes]
    """The files that everything else follows from, `plan.json` and `outcomes.jsonl`, as they are."""

    @property
    def certificate(self) -> Certificate: ...

    @property
    def settings(self) -> Sequence[Setting]: ...

    def outcomes(self, check: str) -> Mapping[str, Outcome]: ...

    def gated(self, check: Check) -> bool:
        """Whether a missed case of this check leaves the say to the verdict."""

    def panel(self, kind: str) -> str:
        """The source of that kind's fragment of the HTML report."""

    def drawing(self, check: Check, result: CheckResult) -> Mapping[str, Any]:
        """What the check's kind works out for its fragment; empty where it offers nothing."""

    def overview(self, kind: str) -> str | None:
        """The source of the fragment that tells of all its checks together."""


class Report(Protocol):
    """A room of reports: a format. A pure function from a run to a file's bytes.

    Optional names: `ON_REQUEST`, True where it is written only when it is asked for, as `hallmark report --format`
    does; `record_of(data)`, the `data` of the pages that such a file was told from, where they travel in it;
    `same(pages, data)`, whether a file tells of this run, where that takes more than to tell it again, as where one
    run may be told in other bytes; `send(pages, folder, to)`, which tells a service
    of the run and gives where it can be seen, for `hallmark report --format NAME --to WHERE`; `NEEDS`, the extra
    of ours without which it can't be told. One that only sends has neither `FILE` nor `tell`. Both raise Refused
    where a service or a folder won't do, and ImportError where a library is lacking.
    """

    FILE: str

    def tell(self, pages: Pages) -> bytes: ...


def is_flaky(outcome: Outcome) -> bool:
    """Whether what carries the model failed, and nothing was learned of the model itself."""
    return outcome.outcome == "error" and outcome.carrier


def may_be_retried(outcome: Outcome) -> bool:
    """Whether a case may be measured again: its carrier failed, or it was left out for what its check stands on."""
    return is_flaky(outcome) or (outcome.outcome == "skipped" and outcome.reason.startswith(STANDS_ON))


def by_case(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    """The outcome of each case: what was said first stands, but where nothing was learned and it was tried again."""
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        before = found.setdefault(outcome.case, outcome)
        if outcome.tries == before.tries + 1 and may_be_retried(before):
            found[outcome.case] = outcome
    return found


def lost(check: Check, position: int, why: str) -> Outcome:
    """The outcome of a case whose process did not live to tell."""
    return Outcome(case=check.cases[position].id, check=check.id, outcome="error", reason=why, carrier=True)
