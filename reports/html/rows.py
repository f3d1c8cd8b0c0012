"""A case and what came of it, and its line in a table; of those there can be many, so no template writes them."""

from __future__ import annotations

from functools import lru_cache
from html import escape as escaped

from msgspec import UNSET

from harness.contract import Case, Outcome
from reports.html.writing import inert, line, time_


class Row:
    """A case and what came of it."""

    __slots__ = ("anchor", "case", "outcome")

    def __init__(self, case: Case, outcome: Outcome, anchor: str) -> None:
        self.case = case
        self.outcome = outcome
        self.anchor = anchor if outcome.outcome != "met" else ""
        """Where on the page it is told of; a case that met is only counted, in a table."""


def escape(text: str) -> str:
    """Text that is only text, between tags."""
    return escaped(text, quote=False)


@lru_cache(4096)
def tagged(tags: tuple[str, ...]) -> str:
    """The tags of a case; many cases have the same."""
    return "".join(f' <span class="tag">{escape(inert(tag))}</span>' for tag in tags)


def in_table(row: Row, field: str = "", *, several: bool = False) -> str:
    """A row of a table of cases, escaped; with a field, that part of its answer; with several, what came of it."""
    case, outcome = row.case, row.outcome
    if outcome.answer is UNSET:
        said = inert(outcome.reason)
    else:
        said = line(outcome.answer[field] if field else outcome.answer)
    place = f' id="{row.anchor}"' if row.anchor else ""
    word = f"<td>{outcome.outcome}</td>" if several else ""
    name = escape(inert(case.id)) + tagged(case.tags)
    return (
        f'<tr{place} data-case="{outcome.outcome}"><th scope="row">{name}</th>{word}'
        f"<td>{escape(line(case.input))}</td><td>{escape(said)}</td><td>{time_(outcome.seconds)}</td></tr>"
    )
