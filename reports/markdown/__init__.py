"""A run as Markdown, for GitHub's job summaries and wherever else a reviewer looks first: the worst on top."""

from __future__ import annotations

from harness.contract import Pages
from reports.markdown.fitting import fitted
from reports.markdown.sections import sections_of

FILE = "summary.md"

MOST_BYTES = 1_000_000
"""GitHub takes 1 MiB of a step, and refuses all of it where it is more."""


def tell(pages: Pages) -> bytes:
    return fitted(sections_of(pages), MOST_BYTES).encode()
