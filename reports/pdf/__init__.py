"""The certificate on paper: the HTML report as WeasyPrint prints it, which runs no script and fetches nothing.

The same run looks the same everywhere, but for the fonts of the machine: what is told is not the same to the byte.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from harness.codec import digest_of
from harness.contract import Pages
from reports.html import tell as tell_html

FILE = "certificate.pdf"
ON_REQUEST = True
EXACT = False
NEEDS = "pdf"


def tell(pages: Pages) -> bytes:
    _warn_nobody()
    try:
        import weasyprint
    except OSError as error:
        said = str(error).partition("\n")[0].partition(":")[0]
        raise ImportError(f"WeasyPrint is installed, and a library of the system that it takes is not: {said}") from None
    printed = weasyprint.HTML(string=tell_html(pages).decode(), url_fetcher=_nothing)
    paper = weasyprint.CSS(string=Path(__file__).with_name("paper.css").read_text("utf-8"))
    record = pages.certificate.provenance["record"]
    made: bytes = printed.write_pdf(stylesheets=[paper], pdf_identifier=digest_of(record).encode(), pdf_tags=True)
    return made


def _nothing(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError("a report holds all that it shows")


def _warn_nobody() -> None:
    """Of what it can't do of a browser's style; a log that is kept by the user stays as it is."""
    log = logging.getLogger("weasyprint")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
        log.propagate = False
