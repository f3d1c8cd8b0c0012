"""The certificate for people: one HTML file, no network, readable without a script."""

from __future__ import annotations

from harness.contract import Pages
from reports.html.page import render

FILE = "report.html"


def tell(pages: Pages) -> bytes:
    return render(pages).encode()
