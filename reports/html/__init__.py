"""The certificate for people: one HTML file, no network, readable without a script, with the run's record in it."""

from __future__ import annotations

from harness.contract import Pages
from reports.html.page import render
from reports.html.record import record_of as record_of
from reports.html.record import without

FILE = "report.html"


def tell(pages: Pages) -> bytes:
    return render(pages).encode()


def same(pages: Pages, data: bytes) -> bool:
    """Whether a page tells of this run: what it says, and the record that travels in it."""
    try:
        held = record_of(data)
    except ValueError:
        return False
    return held == dict(pages.data) and without(data) == without(tell(pages))
