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

_SVG = "{http://www.w3.org/2000/svg}"
_OF_DRAWINGS = ("fill", "stroke", "opacity", "font-size", "font-weight", "text-anchor", "display")
_BLOCK = re.compile(r"@[^{};]+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}|/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_COLOUR = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]+)")
_VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def tell(pages: Pages) -> bytes:
    _warn_nobody()
    try:
        import weasyprint
    except OSError as error:
        lacking = str(error).partition(":")[0]
        raise ImportError(f"WeasyPrint is here, and a library of the system that it takes is not: {lacking}") from None
    page = _page(tell_html(pages).decode())
    root = page.etree_element
    _unfold(root, folded=False)
    _colour(root)
    paper = weasyprint.CSS(string=Path(__file__).with_name("paper.css").read_text("utf-8"))
    record = digest_of(pages.certificate.provenance["record"])
    made: bytes = page.write_pdf(stylesheets=[paper], pdf_identifier=record.encode(), pdf_tags=True)
    return made


def _page(text: str) -> Any:
    """A page that fetches nothing: a report holds all that it shows."""
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    return HTML(string=text, url_fetcher=URLFetcher(allowed_protocols=()))


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
    """Give each drawing what the page's style says of drawings, as it is in print: it is laid out by itself."""
    style = "".join(str(found.text or "") for found in root.iter("style"))
    colours = dict(_COLOUR.findall(style))  # those of print stand last
    rules = [
        f"{selector.strip()} {{ {'; '.join(kept)} }}"
        for selector, told in _RULE.findall(_BLOCK.sub("", style))
        if (kept := [each.strip() for each in told.split(";") if each.strip().startswith(_OF_DRAWINGS)])
    ]
    told = _VARIABLE.sub(lambda match: colours.get(match[1], "#000"), "\n".join([*rules, _DRAWN]))
    for drawing in root.iter(f"{_SVG}svg"):
        drawing.insert(0, drawing.makeelement(f"{_SVG}style", {}))
        drawing[0].text = told


def _warn_nobody() -> None:
    """Of what it can't do of a browser's style; a log that is kept by the user stays as it is."""
    log = logging.getLogger("weasyprint")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
        log.propagate = False
