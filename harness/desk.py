"""One batch of a check on the bench: its models, what they said to all of it, and the time that took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from harness.board import GRACE, IDLE, LASTING, OPENING, TOGETHER, overtime
from harness.codec import digest_of, plain, posed, to_json
from harness.contract import Case, Check, Declared, Look, Meter, Model, Question, Refused, Timed, Way
from harness.elsewhere import ANY, Died, Elsewhere, looks, seed
from harness.opening import Opened
from harness.shelf import explain, folder_of, open_ad_hoc
from harness.stopwatch import Task
from harness.store import ATTACHED, attached_at, kept, write_whole

if TYPE_CHECKING:
    from harness.bench import Bench

SMALL = 64 << 20
"""Bytes of weighing that are kept for other checks, in all."""

_SLOW = 64
"""Lots of one go that may take all of their time."""

_T = TypeVar("_T")


class TimedOut(BaseException):
    """Raised inside a case that outlasts its time; no `except Exception` of a model's can swallow it."""


class Said:
    """What a model said to a whole batch."""

    def __init__(self, answers: Mapping[str, Any], seconds: float) -> None:
        self.answers = answers
        self.seconds = seconds
        self.weighed: dict[str, dict[str, Any]] = {}
        """Its own weighing of what a role answered, where that is small."""


class Sitting:
    """One model of a check, while a batch of it is measured."""

    def __init__(self, opened: Opened, *, beside: bool) -> None:
        self.model = opened.model
        self.beside = beside
        """Whether it only stands beside the check's own: then what it said to another check will do."""
        self.setting = opened.setting
        self.opening = opened.seconds
        self.said: dict[int, Said | None] = {}
        """To the whole batch, by turn, where it was answered in one go."""
        self.alone: dict[tuple[int, str], Any] = {}
        """What it said to cases one by one, where it could not answer the batch in one go, or does not."""
        self.share = 0.0
        """Each case's share of what was spent for the whole batch."""
        self.spent = 0.0
        """Seconds spent on the current case alone."""
        self.weighed: dict[str, dict[str, Any]] = {}
        self.likely: dict[str, Any] | None = None
        """How likely it finds what each case of the batch expects."""


class _Broken:
    """What was to be made once, and was not: it is not tried again for the next case."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Watched:
    """A model in a fresh process, to be timed."""

    def __init__(self, desk: Desk, role: str) -> None:
        self._desk = desk
        self._role = role
        key = desk.key(role)
        declared = desk.bench.plan.models[key]
        opened = desk.bench.opened(key, desk.index)
        meter = desk.meter()
        with desk.lasting(60 + 10 * opened.seconds):
            try:
                self._process = Elsewhere(key, declared, desk.bench.site, desk.bench.plan.numerics, Way(process=1))
            except TimedOut:
                raise Refused(f"a process of its own can't open `{declared.name}` in time") from None
            except Died as error:
                raise Refused(str(error)) from None
        desk.bench.settings.setdefault(self._process.setting.id, self._process.setting)
        self.opening = self._process.opening
        self.noise = meter.read()

    def time(self, lots: Sequence[Sequence[Case]], *, least: float = 0.0, stream: bool = False) -> Timed:
        asked = [[self._desk.question(case, self._role) for case in lot] for lot in lots]
        limit = self._desk.check.timeout
        task = Task(asked, least, stream, limit)
        # It ends by itself what runs too long, but in native code; how many lots are slow can't be known.
        patience = limit * max(map(len, lots), default=1) * min(len(lots), _SLOW)
        with self._desk.lasting(patience + least + GRACE):
            try:
                return self._process.time(task)
            except (TimedOut, Died) as error:
                self.close()
                late = "it took longer than the time of all its cases"
                return Timed(seconds=(), error=late if isinstance(error, TimedOut) else str(error))

    def close(self) -> None:
        self._process.close()


class Desk:
    """The bench, laid out for one batch."""

    limit: Callable[[float], None]

    def __init__(
        self, bench: Bench, index: int, check: Check, batch: int, positions: Sequence[int] = (), *, alone: bool
    ) -> None:
        self.bench = bench
        self.index = index
        self.check = check
        self.positions = positions
        cases = check.cases[batch * check.batch : (batch + 1) * check.batch]
        self.asked = [case for case in cases if case.asks]
        self.alone = alone
        self.redact = bench.redactor(check)
        self.position = IDLE
        self.shared = 0.0
        """Seconds of the current case that were spent for the whole batch, or on opening a model."""
        self.looked = 0.0
        """Seconds in which the model was asked in other ways."""
        self._sittings: dict[str, Sitting] = {}
        self._other: tuple[Any, Elsewhere | Model] | None = None
        """The last other way in which it was asked: what is opened for one is not kept beside the next."""
        self._made: list[Any] = []
        self._lasts: list[float] = []
        """When what was given a time of its own has to be done, the innermost last."""

    def close(self) -> None:
        if self._other is not None and isinstance(self._other[1], Elsewhere):
            self._other[1].close()
        self._other = None

    def take_up(self, position: int) -> None:
        self.position, self.shared = position, 0.0
        for sitting in self._sittings.values():
            sitting.spent = 0.0

    def share(self) -> float:
        """The current case's share of what was spent for the batch."""
        return sum(sitting.share for sitting in self._sittings.values()) + self.looked / max(1, len(self.positions))

    def spent(self) -> dict[str, float]:
        """The current case's seconds by role: its own, and its share of what was spent for the batch."""
        return {role or "model": each.spent + each.share for role, each in self._sittings.items()}

    def key(self, role: str) -> str:
        """Of a model of the check in the plan."""
        return self.check.others[role] if role else self.check.model

    def _sit(self, role: str) -> Sitting:
        """The model of that role; the time that opening it takes is no case's."""
        known = self._sittings.get(role)
        if known is None:
            begin = time.perf_counter()
            self.limit(0)
            opened = self.bench.opened(self.key(role), self.index)
            known = self._sittings[role] = Sitting(opened, beside=bool(role))
            self.bench.board.show(self.index, self.position)
            self.limit(self.check.timeout)
            self.shared += time.perf_counter() - begin
        return known

    def answer(self, case: Case, role: str = "", turn: int = 0) -> Any:
        sitting = self._sit(role)
        if turn not in sitting.said:
            sitting.said[turn] = self._said(sitting, role, turn) if sitting.model.together and not self.alone else None
        said = sitting.said[turn]
        given = said.answers[case.id] if said is not None else self._answer_alone(sitting, case, role, turn)
        if isinstance(given, BaseException):
            raise given
        return self.redact(plain(given))

    def _answer_alone(self, sitting: Sitting, case: Case, role: str, turn: int) -> Any:
        """What the model says to one case, asked once however often it is wanted."""
        if (turn, case.id) not in sitting.alone:
            begin = time.perf_counter()
            question = self.question(case, role, turn)
            seed(question.id)
            sitting.alone[turn, case.id] = _only(sitting.model.answer([question]))
            sitting.spent += time.perf_counter() - begin
        return sitting.alone[turn, case.id]

    def _said(self, sitting: Sitting, role: str, turn: int) -> Said | None:
        """The answers to the whole batch; None where that raises or takes too long, and each case is asked alone."""
        asked = [self.question(case, role, turn) for case in self.asked]
        questions = self.bench.filled(sitting.model, asked, self.check.batch)

        def ask() -> Sequence[Any] | None:
            seed(*(question.id for question in questions))
            answers = list(sitting.model.answer(questions))
            return answers if len(answers) == len(questions) else None

        often = sitting.beside and self.bench.often(self.check)
        key = (sitting.setting.id, digest_of(questions)) if often else None
        said = self.bench.said.get(key)
        if said is None:
            answers, spent = self._for_all(ask)
            if answers is None:
                return None
            said = Said(dict(zip((case.id for case in self.asked), answers, strict=False)), spent)
            if key is not None:
                self.bench.said[key] = said
        sitting.share += said.seconds / len(self.asked)
        return said

    def question(self, case: Case, role: str = "", turn: int = 0) -> Question:
        """A copy of its input, so that a model that changes what it is asked changes it for nobody else."""
        prompt = self.check.prompts.get(role)
        input = posed(prompt, case.input) if prompt else case.input
        return Question(f"{case.id}\0{turn}" if turn else case.id, plain(input))

    def likelihood(self, case: Case, role: str = "") -> float | None:
        sitting = self._sit(role)
        ask: Any = getattr(sitting.model, "likelihood", None)
        if ask is None or case.expect is UNSET:
            return None
        if sitting.likely is None:
            sitting.likely = {}
            told = [each for each in self.asked if each.expect is not UNSET]
            questions = [self.question(each, role) for each in told]
            done, _ = self._for_all(lambda: list(ask(questions, [plain(each.expect) for each in told])))
            if done is not None and len(done) == len(told):
                sitting.likely = dict(zip((each.id for each in told), done, strict=True))
        if case.id not in sitting.likely:
            sitting.likely[case.id] = _only(ask([self.question(case, role)], [plain(case.expect)]))
        found = sitting.likely[case.id]
        if isinstance(found, BaseException):
            raise found
        return float(found)

    def _for_all(self, act: Callable[[], Sequence[Any] | None]) -> tuple[Sequence[Any] | None, float]:
        """Do something for the whole batch, in the time of all its cases; None where it fails."""
        begin = time.perf_counter()
        self.bench.board.show(self.index, TOGETHER)
        done: Sequence[Any] | None = None
        try:
            self.limit(self.check.timeout * len(self.asked))
            done = act()
            self.limit(0)
        except (TimedOut, *ANY):
            pass
        spent = time.perf_counter() - begin
        self.shared += spent
        self.bench.board.show(self.index, self.position)
        self.limit(self.check.timeout)
        return done, spent

    def weigh(self, case: Case, role: str = "", *, on: str = "") -> Any:
        """The choices' probabilities on another's answer, for the whole batch in one go where it was answered so."""
        sitting, spoken = self._sit(role), self._sit(on)
        weigh: Any = getattr(sitting.model, "weigh", None)
        if weigh is None:
            return None
        if on not in sitting.weighed:
            sitting.weighed[on] = self._weigh_whole(sitting, spoken, role, on) if spoken.said.get(0) else {}
        known = sitting.weighed[on]
        if case.id not in known:
            known[case.id] = _only(weigh([self.question(case, role)], [self.answer(case, on)]))
        if isinstance(known[case.id], BaseException):
            raise known[case.id]
        return known[case.id]

    def _weigh_whole(self, sitting: Sitting, spoken: Sitting, role: str, on: str) -> dict[str, Any]:
        """The weighing of all that was answered of the batch; what a model says of its own answers is kept."""
        said = spoken.said[0]
        assert said is not None
        own = sitting is spoken and sitting.beside
        if own and on in said.weighed:
            return said.weighed[on]
        answered = said.answers
        cases = [case for case in self.asked if not isinstance(answered[case.id], BaseException)]
        weigh: Any = getattr(sitting.model, "weigh", None)
        questions = [self.question(case, role) for case in cases]
        done, _ = self._for_all(lambda: list(weigh(questions, [answered[case.id] for case in cases])))
        if done is None or len(done) != len(cases):
            return {}
        weighed = dict(zip((case.id for case in cases), done, strict=True))
        size = sum(getattr(each, "nbytes", SMALL) for each in done)
        if own and size <= self.bench.room_left:
            self.bench.room_left -= size
            said.weighed[on] = weighed
        return weighed

    # ------------------------------------------------------------------------------------- other ways

    def once(self, make: Callable[[], _T]) -> _T:
        if not self._made:
            try:
                self._made.append(make())
            except (TimedOut, *ANY) as error:
                self._made.append(_Broken(error))
        made = self._made[0]
        if isinstance(made, _Broken):
            raise made.error
        return made  # type: ignore[no-any-return]

    def size(self) -> int:
        return min(self.bench.plan.models[self.check.model].batch, len(self.check.cases))

    def wanted(self) -> list[list[Case]]:
        many = self.bench.plan.models[self.check.model].batch
        starts = dict.fromkeys(position // many * many for position in self.positions)
        return [[case for case in self.check.cases[start : start + many] if case.asks] for start in starts]

    def trait(self, name: str) -> Any:
        return getattr(self._sit("").model, name, None)

    def ways(self, axis: str, asked: Any = None) -> list[str]:
        return list(self._offered(axis, asked))

    def _offered(self, axis: str, asked: Any) -> Mapping[str, Callable[[], Model]]:
        offered: Any = getattr(self._sit("").model, "ways", None)
        if offered is None:
            how = self.bench.plan.models[self.check.model].how
            raise Refused(f"a `{how}` model has no other way to be asked that we know of")
        found: Mapping[str, Callable[[], Model]] = offered(axis, asked)
        return found

    def look(self, cases: Sequence[Case], way: Way) -> Sequence[Look]:
        self._sit("")
        begin = time.perf_counter()
        self.limit(0)
        try:
            other = self._another(way)
            self.bench.board.show(self.index, TOGETHER)
            self.limit(self.check.timeout * len(cases))
            questions = [self.question(case) for case in cases]
            if isinstance(other, Elsewhere):
                return self._redacted(other.look(questions, way.chance))
            return self._redacted(looks(other, questions, way.chance, refuses=bool(way.label)))
        except TimedOut:
            opened = self._other is not None
            self.close()
            said = (
                overtime(TOGETHER, self.check.timeout, len(cases))
                if opened
                else "another process can't open it in time"
            )
            return [Look(error=said)] * len(cases)
        except Refused:
            raise
        except ANY as error:
            self.close()
            return [Look(error=explain(error))] * len(cases)
        finally:
            self.limit(0)
            spent = time.perf_counter() - begin
            self.shared += spent
            self.looked += spent
            self.bench.board.show(self.index, self.position)
            self.limit(self.check.timeout)

    def _redacted(self, found: Sequence[Look]) -> Sequence[Look]:
        return [replace(look, answer=self.redact(look.answer), error=self.redact(look.error)) for look in found]

    def _another(self, way: Way) -> Any:
        """The model as it is to be asked."""
        which = (way.axis, way.label, to_json(way.asked), way.process, way.threads, way.tf32, way.numerics)
        if self._other is not None and self._other[0] == which:
            return self._other[1]
        if not way.apart and not way.label:
            return self._sit("").model
        self.close()
        self.bench.board.show(self.index, OPENING)
        self.limit(60 + 10 * self._sit("").opening if way.apart else 0)  # there is nothing left to build
        other: Any = self._elsewhere(way) if way.apart else self._offered(way.axis, way.asked)[way.label]()
        self._other = (which, other)
        return other

    def _elsewhere(self, way: Way) -> Elsewhere:
        plan, key = self.bench.plan, self.check.model
        other = Elsewhere(key, plan.models[key], self.bench.site, plan.numerics, way)
        self.bench.settings.setdefault(other.setting.id, other.setting)
        return other

    def kept(self, key: str, make: Callable[[], bytes]) -> bytes:
        return kept(key, make)

    def root(self) -> Path:
        return self.bench.site.root

    # ---------------------------------------------------------------------------------------- timing

    def stopwatch(self, role: str = "") -> Watched:
        return Watched(self, role)

    @contextmanager
    def lasting(self, seconds: float) -> Iterator[None]:
        self._lasts.append(time.monotonic() + seconds)
        self._set_time()
        try:
            yield
        finally:
            self._lasts.pop()
            self._set_time()

    def _set_time(self) -> None:
        if self._lasts:
            left = max(0.01, self._lasts[-1] - time.monotonic())
            self.bench.board.show(self.index, LASTING, left + GRACE)
            self.limit(left)
        else:
            self.bench.board.show(self.index, self.position)
            self.limit(self.check.timeout)

    def meter(self, ports: Sequence[int] = ()) -> Meter:
        from harness.machine import Meter

        return Meter(ports)

    def may_reach(self, host: str) -> bool:
        known = {each.lower() for each in self.bench.site.hosts}
        return host in ("127.0.0.1", "::1", "localhost") or host.lower() in known

    def declared(self, role: str = "") -> Declared:
        return self.bench.plan.models[self.key(role)]

    def weights(self, role: str = "") -> Path:
        return folder_of(self.declared(role), self.bench.site)

    def served(self, options: Mapping[str, Any]) -> Model:
        return open_ad_hoc("http", {"http": dict(options)}, self.bench.site)

    def attach(self, name: str, data: bytes) -> str:
        if self.bench.folder is None:
            return ""
        data = self.redact(data.decode()).encode() if _is_text(data) else data
        path = attached_at(self.bench.folder / ATTACHED / digest_of(self.check.id)[7:15], name, data)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
        return path.relative_to(self.bench.folder).as_posix()

    def facts(self, role: str = "") -> Mapping[str, Any]:
        return self._sit(role).setting.facts

    def keep(self, build: Callable[[Check], _T], check: Check) -> _T:
        return self.bench.keep(build, check)

    def setting(self) -> str:
        """The setting that the check's own model answers in; empty where it could not be opened."""
        return self.bench.setting_id(self.check.model)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _only(answers: Any) -> Any:
    for answer in answers:
        return answer
    raise ValueError("the model gave no answer")
