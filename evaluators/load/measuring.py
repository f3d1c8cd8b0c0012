"""A whole load, once for all cases of a check: the server, the audit, the stages, what was answered to each case."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from evaluators.load import auditing, serving
from evaluators.load.crowd import Reply, Stage, Told, Work, installed, put
from evaluators.load.grading import Tally, compared, graded, recorded
from evaluators.load.language import (
    LOOK,
    Serving,
    audited,
    give_up_of,
    patience_of,
    serving_of,
    stages_of,
    weights_of,
)
from evaluators.load.record import Answers, Audit, Load, Requests, ServerTold, StageTold, disturbs, plain_of
from evaluators.load.serving import Server
from harness.contract import Case, Check, Measuring, Meter, Model, Noise, Outcome, Question, Refused

ALONE = 300.0
"""Seconds in which all cases that have no `expect` are asked alone."""
_OPENING = 90.0


class Attempt:
    """The load of a check, tried once: what breaks it off breaks it off for all of its cases."""

    def __init__(self) -> None:
        self._held: tuple[Load, Mapping[str, Answers]] | str | None = None

    def outcome(self, check: Check, case: Case, bench: Measuring) -> Outcome:
        if self._held is None:
            self._held = "the load was broken off: it took longer than all of it may"
            try:
                self._held = _held(check, bench)
            except Exception as error:
                self._held = f"the load was broken off: {type(error).__name__}: {error}"
        if isinstance(self._held, str):
            raise Refused(self._held)
        load, answers = self._held
        if case.id == LOOK:
            return Outcome(case=case.id, outcome="met", answer=plain_of(load))
        return graded(case, answers[case.id], bench.keep(compared, check))


def _held(check: Check, bench: Measuring) -> tuple[Load, Mapping[str, Answers]] | str:
    folder = Path(tempfile.mkdtemp(prefix="hallmark-load-"))
    try:
        installed()
        with bench.lasting(_lasts(check)), _served(check, bench, folder) as (model, server, told):
            return _Session(check, bench, folder, model, server, told).held()
    except Refused as error:
        return str(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lasts(check: Check) -> float:
    """The most seconds that all of it can take: whatever is in it has a time of its own, and this is for the rest."""
    given, stages = serving_of(check), stages_of(check)
    coming = 3 * given.within if given else 0.0
    audit = auditing.SECONDS + 2 * auditing.LEAST * give_up_of(check) if audited(check) else 0.0
    again = max(stage.lasts() for stage in stages) + patience_of(check)
    return coming + _OPENING + audit + ALONE + give_up_of(check) + sum(stage.lasts() for stage in stages) + again


@contextmanager
def _served(check: Check, bench: Measuring, folder: Path) -> Iterator[tuple[Model, Server | None, ServerTold]]:
    """The model as it is asked, and the server where we started it."""
    given, declared = serving_of(check), bench.declared()
    patient = {"timeout": give_up_of(check), "retries": 0, "concurrency": 1}
    if given is None:
        if declared.how != "http":
            raise Refused(f"`{declared.name}` is no server; write `serve: mlx_lm`, or name an `http` model")
        url = declared.options["http"]["url"]
        host = urlsplit(url).hostname or ""
        if not bench.may_reach(host):
            what = f"a load may be put on this machine alone, and `{declared.name}` is at {host}"
            raise Refused(f"{what}; run it with --allow-host {host} if that is meant")
        model = bench.served({**declared.options["http"], **patient})
        yield model, None, ServerTold(ours=False, what=url, facts=dict(model.facts()))
        return
    if declared.how == "http":
        raise Refused(f"`{declared.name}` is a server already: leave `serve` out, or name a model of weights")
    start, asked = _start(given, bench)
    with serving.standing(given, start, folder / "server") as server:
        options = {"url": f"http://{serving.HOST}:{server.port}{given.path}", **asked, **patient}
        try:
            model = bench.served(options)
        except Refused as error:
            raise Refused(server.gone("when it was asked") or str(error)) from None
        what = serving.name_of(given)
        yield (
            model,
            server,
            ServerTold(ours=True, what=what, came_up_s=round(server.came_up, 3), facts=dict(model.facts())),
        )


def _start(given: Serving, bench: Measuring) -> tuple[serving.Start, Mapping[str, Any]]:
    if not given.command:
        return serving.mlx_lm(given, bench.weights(), bench.declared().options.get("generate", {}))
    weights = bench.weights() if any("{weights}" in word for word in given.command) else None
    start = serving.command(given, weights, bench.root())
    return start, {"model": bench.declared().name, **given.asked}


class _Session:
    def __init__(
        self, check: Check, bench: Measuring, folder: Path, model: Any, server: Server | None, told: ServerTold
    ) -> None:
        self.check = check
        self.bench = bench
        self.folder = folder
        self.model = model
        self.server = server
        self.told = told
        self.cases = [case for case in check.cases if case.asks]
        self.weights = weights_of(check)
        self.tallies = [Tally() for _ in self.cases]
        self.requests = [model.sending(Question(case.id, case.input)) for case in self.cases]
        self.patience = patience_of(check)
        """Seconds that are left to wait for the machine to be quiet."""
        self.turn = 0
        """How many requests were sent: the next stage goes on where the last one was."""

    def held(self) -> tuple[Load, dict[str, Answers]]:
        told = self.told
        meter = self.bench.meter([self.requests[0]["port"]] if self._is_here() else [])
        audit = self._audit(meter) if audited(self.check) else None
        alone = self._alone()
        begin = time.monotonic()
        stages = [self._stage(stage, meter, begin) for stage in stages_of(self.check)]
        load = Load(stages=stages, server=told, audit=audit, alone=len(alone))
        comparison = self.bench.keep(compared, self.check)
        answers = {
            case.id: recorded(case, tally, alone.get(case.id, UNSET), comparison)
            for case, tally in zip(self.cases, self.tallies, strict=True)
        }
        return load, answers

    def _is_here(self) -> bool:
        return self.requests[0]["host"] in ("127.0.0.1", "localhost", "::1")

    # --------------------------------------------------------------------------------- before the load

    def _audit(self, meter: Meter) -> Audit:
        """Again while the machine is not quiet and there is patience left; what was asked once is new no more."""
        repeated = 0
        while True:
            begin = time.monotonic()
            found = auditing.audit(self.cases, self._timed, meter, fresh=self.told.ours and not repeated)
            found.repeated = repeated
            if not found.disturbed or self.patience <= 0:
                return found
            self.patience -= time.monotonic() - begin
            repeated += 1

    def _timed(self, question: Question) -> float:
        begin = time.perf_counter()
        self._answered(question)
        return (time.perf_counter() - begin) * 1e3

    def _answered(self, question: Question) -> Any:
        (given,) = self.model.answer([question])
        if isinstance(given, Refused):
            raise Refused((self.server.gone("before the load") if self.server else "") or str(given))
        return given

    def _alone(self) -> dict[str, Any]:
        """What is answered while nobody else asks, to cases that don't say what is right."""
        until = time.monotonic() + ALONE
        found: dict[str, Any] = {}
        silent = [case for case in self.cases if case.expect is UNSET]
        for case in silent:
            if time.monotonic() > until:
                many = f"{len(found)} of {len(silent)} cases without `expect` were answered alone in {ALONE:g} s"
                raise Refused(f"{many}; give them `expect`, or take fewer")
            try:
                found[case.id] = self._answered(Question(case.id, case.input))
            except Refused:
                if self.server and self.server.kept.ended():
                    raise
        return found

    # -------------------------------------------------------------------------------------- the stages

    def _stage(self, stage: Stage, meter: Meter, begin: float) -> StageTold:
        """A stage, again while the machine is not quiet and there is patience left; of all of them answers count."""
        repeated = 0
        while True:
            started = time.monotonic()
            found, html = self._put(stage, meter)
            found.repeated, found.started = repeated, round(started - begin, 3)
            if not found.disturbed or self.patience <= 0:
                break
            self.patience -= time.monotonic() - started
            repeated += 1
        if html:
            found.report = self.bench.attach(f"locust-{stage.users}.html", html)
        return found

    def _put(self, stage: Stage, meter: Meter) -> tuple[StageTold, bytes]:
        noise: list[Noise] = []

        def seen(what: str) -> None:
            if what in ("full", "over"):
                noise.append(meter.read())

        def alive() -> str:
            return self.server.gone(f"while {stage.users} users asked it") if self.server else ""

        folder = self.folder / f"stage-{self.turn}"
        work = Work(self.requests, self.weights)
        with put(stage, work, folder, turn=self.turn, seen=seen, alive=alive) as (told, replies):
            found = self._found(stage, told, replies, noise[1] if len(noise) > 1 else None)
        self.turn += max(1, found.asked)
        return found, told.html

    def _found(self, stage: Stage, told: Told, replies: Iterable[Reply], noise: Noise | None) -> StageTold:
        counted = Requests(at=[], ms=[], case=[], ok=[])
        failures: dict[str, int] = {}
        before = sum(tally.asked for tally in self.tallies)
        for reply in replies:
            why = self._heard(reply)
            if why:
                failures[why] = failures.get(why, 0) + 1
            if 0 <= reply.at <= told.lasted:
                counted.at.append(round(reply.at, 4))
                counted.ms.append(round(reply.ms, 3))
                counted.case.append(reply.case)
                counted.ok.append(0 if why else 1)
        return StageTold(
            users=stage.users,
            started=0.0,
            spawned_s=round(told.spawned, 3),
            lasted_s=round(told.lasted, 4),
            requests=counted,
            asked=sum(tally.asked for tally in self.tallies) - before,
            failures=failures,
            noise=noise,
            generator=told.generator,
            disturbed=disturbs(noise, told.generator),
            why=told.why,
            locust=told.locust,
        )

    def _heard(self, reply: Reply) -> str:
        """Takes in a reply: why it holds no answer, empty where it does."""
        tally = self.tallies[reply.case]
        if not reply.status:
            why = reply.body.decode("utf-8", "replace")
        elif reply.status != 200:
            why = f"status {reply.status}"
        else:
            try:
                tally.add(self.model.heard(reply.status, reply.body))
            except Refused:
                why = "status 200, but no answer"
            else:
                return ""
        tally.fail(why)
        return why
