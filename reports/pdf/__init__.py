"""The certificate on paper: the HTML report as WeasyPrint prints it, which runs no script and fetches nothing.

Tables that are folded away on the page, such as those of all cases that met, are left to it. What is told is not the
same to the byte everywhere: the fonts are the machine's.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from harness.codec import digest_of
from harness.contract import Pages
from reports.html import tell as tell_html

FILE = "certificate.pdf"
ON_REQUEST = True
EXACT = False
NEEDS = "pdf"

_FOLDED = {"data", "cases", "many"}
"""Classes of what is long, and not printed where it is folded."""
_DRAWN = """
text { font-size: 11px; stroke: none !important; }
.curve { stroke-width: 0.8px !important; }
"""
"""It knows no `font`, no `paint-order` and no strokes that don't scale."""

_COLOUR = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]+)")
_VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def tell(pages: Pages) -> bytes:
    _warn_nobody()
    try:
        import weasyprint
    except OSError as error:
        lacking = str(error).partition(":")[0]
        raise ImportError(f"WeasyPrint is here, and a library of the system that it takes is not: {lacking}") from None
    page = weasyprint.HTML(string=tell_html(pages).decode(), url_fetcher=_nothing)
    root = page.etree_element
    _unfold(root, folded=False)
    _colour(root)
    paper = weasyprint.CSS(string=Path(__file__).with_name("paper.css").read_text("utf-8"))
    record = digest_of(pages.certificate.provenance["record"])
    made: bytes = page.write_pdf(stylesheets=[paper], pdf_identifier=record.encode(), pdf_tags=True)
    return made


def _unfold(element: Any, *, folded: bool) -> None:
    """Leave away what is not for paper; to lay out thousands of rows takes minutes."""
    for child in list(element):
        classes = set(str(child.get("class", "")).split())
        within = folded or child.tag == "details"
        if child.tag == "script" or (within and classes & _FOLDED and child.tag in ("table", "details")):
            element.remove(child)
        else:
            _unfold(child, folded=within)


def _colour(root: Any) -> None:
    """Give each drawing the page's style, with its colours as they are in print: a drawing is laid out by itself."""
    style = "".join(str(found.text or "") for found in root.iter("style"))
    colours = dict(_COLOUR.findall(style))  # those of print stand last
    told = _VARIABLE.sub(lambda match: colours.get(match[1], "#000"), style)
    for drawing in root.iter("{http://www.w3.org/2000/svg}svg"):
        drawing.insert(0, drawing.makeelement("{http://www.w3.org/2000/svg}style", {}))
        drawing[0].text = told + _DRAWN


def _nothing(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError("a report holds all that it shows")


def _warn_nobody() -> None:
    """Of what it can't do of a browser's style; a log that is kept by the user stays as it is."""
    log = logging.getLogger("weasyprint")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
        log.propagate = False
