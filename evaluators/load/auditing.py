"""Whether it is fast because it was asked the same before: cases that are new to it, each asked, and asked again."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from evaluators.load.record import Audit, disturbs
from harness.codec import digest_of, posed
from harness.contract import Case, Meter, NotPlain, Question, Refused

LEAST = 8
"""Pairs that can tell: with one of them off the mark, nothing is said."""
ENOUGH = 40
"""Pairs that are asked where they are had within `SHORT` seconds: the faster a server, the more its times scatter."""
MOST = 100
WARM = 2
"""Cases that are asked before and not counted: the first question of all is never like the others."""
SHORT = 10.0
SECONDS = 60.0
"""After which no more is asked than it takes."""
FASTER = 0.75
"""Of the first time: where repeats are faster than that, it is because they are repeats."""

Ask = Callable[[Question], float]
"""Asks, and tells the milliseconds that it took; Refused where it was not answered."""


def distinct(cases: Sequence[Case]) -> list[Case]:
    """The first case of each question."""
    return list({digest_of(case.input): case for case in reversed(cases) if case.asks}.values())[::-1]


def audit(cases: Sequence[Case], ask: Ask, meter: Meter, *, fresh: bool) -> Audit:
    """The times of pairs, in turns with those of others, so that what drifts drifts for both.

    The cases' own questions are new to a server that was `fresh`ly started; a word of chance makes any question new.
    """
    chosen = distinct(cases)
    random.Random(len(chosen)).shuffle(chosen)  # noqa: S311
    warm, counted = chosen[:WARM], chosen[WARM : WARM + MOST]
    word = "" if fresh else secrets.token_hex(4)
    for case in warm:
        with suppress(Refused):
            ask(_question(case, word))
    meter.read()
    begin = time.monotonic()
    pairs: list[tuple[str, float, float]] = []
    failed: list[str] = []
    while True:
        pairs += _asked(counted, word, ask, begin + SECONDS, LEAST - len(pairs), failed)
        counted = [case for case in counted if _can_be_new(case)]
        if len(pairs) >= ENOUGH or len(failed) > MOST or time.monotonic() - begin > SHORT or not counted:
            break
        word = secrets.token_hex(4)
    noise = meter.read()
    if len(pairs) < LEAST:
        why = f": {failed[-1]}" if failed else ""
        raise Refused(f"{len(pairs)} questions were answered twice before the load, and {LEAST} tell of a cache{why}")
    return Audit(
        fresh=fresh,
        cases=[id for id, _, _ in pairs],
        first_ms=[round(first, 4) for _, first, _ in pairs],
        again_ms=[round(again, 4) for _, _, again in pairs],
        noise=noise,
        disturbed=disturbs(noise),
    )


def _asked(
    cases: Sequence[Case], word: str, ask: Ask, until: float, least: int, failed: list[str]
) -> Iterator[tuple[str, float, float]]:
    """The first time of each, and after that of another its second; what is not answered makes no pair."""

    def timed(case: Case) -> float | None:
        try:
            return ask(_question(case, word))
        except Refused as error:
            failed.append(str(error))
            return None

    def pair() -> Iterator[tuple[str, float, float]]:
        if before is not None and (again := timed(before[0])) is not None:
            yield before[0].id, before[1], again

    before: tuple[Case, float] | None = None
    for place, case in enumerate(cases):
        if time.monotonic() > until and place > least:
            break
        first = timed(case)
        yield from pair()
        before = None if first is None else (case, first)
    yield from pair()


def _can_be_new(case: Case) -> bool:
    return bool(_question(case, "x").input != case.input)


def _question(case: Case, word: str) -> Question:
    """The case's own, or one that nobody asked before."""
    if word:
        with suppress(NotPlain):
            return Question(case.id, posed(f"{{input}} [{word}]", case.input))
    return Question(case.id, case.input)
