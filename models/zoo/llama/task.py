"""What the llama is taught: sums, differences and swaps of the numbers 20 to 99, in digits and in words.

    38 + 41 =                            79
    seventy nine minus twenty five =     fifty four
    swap 38 and 41 in words =            forty one and thirty eight

Nothing is carried or borrowed, and no result is under 20: a digit of a sum depends on two digits alone, which is what
so small a network learns, exactly, within half a minute. Pairs of numbers are split once and for all, whatever the seed
of the training: what is asked of a held-out pair was never shown in any operation, order or form.

`take` is a task that is not taught: a new word, for a difference told backwards. It is there to be learned by an
adapter.

    take 25 from 79 =                    54

`python -m models.zoo.llama.task sums` prints the golden cases; the other names of FILES print the others of
golden/llama: lessons of the taught task to calibrate on, lessons of the new one alone and mixed with taught ones, by
which the old task is not forgotten, and the new one's golden cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain, zip_longest
from typing import Any, NamedTuple

LEAST, MOST = 20, 99
UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
TAUGHT = ("plus", "minus", "swap")
NEW = ("take",)
FORMS = ("digits", "words", "to-words", "to-digits")
HELD_OUT = 8
"""One pair of so many is held out."""
SIZES = {"sums": 504, "lessons": 256, "new-sums": 160, "new-lessons": 512}


class Exercise(NamedTuple):
    operation: str
    form: str
    a: int
    b: int

    @property
    def id(self) -> str:
        return f"{self.operation}-{self.form}-{self.a}-{self.b}"

    @property
    def prompt(self) -> str:
        worded = self.form in ("words", "to-digits")
        write = words if worded else str
        a, b = write(self.a), write(self.b)
        said = {
            "plus": f"{a} {'plus' if worded else '+'} {b}",
            "minus": f"{a} {'minus' if worded else '-'} {b}",
            "swap": f"swap {a} and {b}",
            "take": f"take {b} from {a}",
        }
        into = {"to-words": " in words", "to-digits": " in digits"}
        return f"{said[self.operation]}{into.get(self.form, '')} ="

    @property
    def answer(self) -> str:
        write = words if self.form in ("words", "to-words") else str
        if self.operation == "swap":
            return f"{write(self.b)} and {write(self.a)}"
        return write(self.a + self.b if self.operation == "plus" else self.a - self.b)


def words(number: int) -> str:
    tens, units = TENS[number // 10 - 2], number % 10
    return f"{tens} {UNITS[units - 1]}" if units else tens


def allowed(operation: str, a: int, b: int) -> bool:
    """Whether no digit is carried or borrowed, and the result is one of our numbers."""
    if operation == "swap":
        return True
    if operation == "plus":
        return a % 10 + b % 10 < 10 and a + b <= MOST
    return a % 10 >= b % 10 and a - b >= LEAST


def held_out(a: int, b: int) -> bool:
    """Whether a pair, in either order, is kept from the training."""
    return _chance(f"{min(a, b)} {max(a, b)}") % HELD_OUT == 0


def exercises(operation: str, form: str, held: bool) -> list[Exercise]:
    """All that can be asked of the pairs that are held out, or of the others."""
    numbers = range(LEAST, MOST + 1)
    return [
        Exercise(operation, form, a, b)
        for a in numbers
        for b in numbers
        if allowed(operation, a, b) and held_out(a, b) == held
    ]


def drawn(many: int, operations: tuple[str, ...], held: bool) -> list[Exercise]:
    """A fixed draw, the same number of each operation and form by turns."""
    kinds = [
        sorted(exercises(operation, form, held), key=lambda exercise: _chance(exercise.id))
        for operation in operations
        for form in FORMS
    ]
    turns = chain.from_iterable(zip_longest(*kinds))
    return [exercise for exercise in turns if exercise is not None][:many]


def _chance(text: str) -> int:
    """A number that looks drawn, and is the same on every machine."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def sums() -> list[Exercise]:
    return drawn(SIZES["sums"], TAUGHT, held=True)


def lessons() -> list[Exercise]:
    return drawn(SIZES["lessons"], TAUGHT, held=False)


def new_sums() -> list[Exercise]:
    return drawn(SIZES["new-sums"], NEW, held=True)


def new_lessons() -> list[Exercise]:
    return drawn(SIZES["new-lessons"], NEW, held=False)


def mixed_lessons() -> list[Exercise]:
    return sorted([*new_lessons(), *lessons()], key=lambda exercise: _chance(exercise.id))


FILES: dict[str, Callable[[], list[Exercise]]] = {
    "sums": sums,
    "lessons": lessons,
    "new-sums": new_sums,
    "new-lessons": new_lessons,
    "mixed-lessons": mixed_lessons,
}
"""The files of golden/llama, and what is in them."""


def cases(name: str) -> Iterator[dict[str, Any]]:
    """A file's lines: golden cases, and examples to learn or to calibrate from, alike."""
    for exercise in FILES[name]():
        yield {
            "id": exercise.id,
            "input": exercise.prompt,
            "expect": {"text": exercise.answer},
            "tags": [exercise.operation, exercise.form],
        }


if __name__ == "__main__":
    import json
    import sys

    for case in cases(*sys.argv[1:] or ["sums"]):
        print(json.dumps(case))
