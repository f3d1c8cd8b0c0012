"""The certificate on paper: its status on the first page, all that decides readable, nothing fetched."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from reports import pdf
from tests.conftest import REPOSITORY
from tests.reports.told import a_run

try:
    import weasyprint
except (ImportError, OSError) as error:  # the libraries that it takes are the system's
    pytest.skip(f"WeasyPrint does not run here: {error}", allow_module_level=True)
pypdf = pytest.importorskip("pypdf")


@cache
def _read(verdict: Any, text: str = "it reads a 7 as a 1") -> list[str]:
    told = pdf.tell(a_run(verdict, text=text))
    assert told.startswith(b"%PDF-")
    return [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(told)).pages]


@pytest.mark.parametrize(("verdict", "status"), [("pass", "certified"), ("fail", "blocked")])
def test_its_status_is_on_the_first_page(verdict: Any, status: str) -> None:
    pages = _read(verdict)
    assert status in pages[0]
    assert len(pages) > 1
    assert f"1 / {len(pages)}" in pages[0]


def test_a_blocker_stands_with_its_line_and_its_command() -> None:
    text = " ".join(_read("fail"))
    assert "it reads a 7 as a 1" in text
    assert "specs/a.yaml:7" in text
    assert "hallmark run specs/a.yaml::golden::digits" in text


def test_words_are_not_torn() -> None:
    text = " ".join(_read("fail"))
    assert "did not pass" in text


def test_markup_of_a_stranger_is_text() -> None:
    assert '<img src="http://127.0.0.1:9/x.png">' in " ".join(_read("fail", '<img src="http://127.0.0.1:9/x.png">'))


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="{}">',
        '<link rel="stylesheet" href="{}">',
        "<style>@import url({}); @font-face { font-family: x; src: url({}) }</style><p style='font-family: x'>a</p>",
        '<svg><image href="{}"/></svg>',
        '<p style="background: url({})">a</p>',
    ],
)
def test_nothing_is_fetched_from_anywhere(markup: str, tmp_path: Path) -> None:
    asked: list[str] = []

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "secret.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><text>hidden</text></svg>")
    with HTTPServer(("127.0.0.1", 0), Asked) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for place in (f"http://127.0.0.1:{server.server_port}/x", (tmp_path / "secret.svg").as_uri()):
            made = pdf._page(f"<p>shown{markup.replace('{}', place)}").write_pdf()
            text = pypdf.PdfReader(io.BytesIO(made)).pages[0].extract_text()
            assert "shown" in text
            assert "hidden" not in text
        server.shutdown()
    assert asked == []


def test_rows_that_are_folded_away_are_not_printed() -> None:
    root = _page('<details><summary>9 met</summary><div><table class="cases"></table></div></details><p>a</p>')
    pdf._unfold(root, folded=False)
    assert [element.tag for element in root.iter() if element.tag in ("summary", "table", "p")] == ["summary", "p"]
    root = _page('<table class="cases"></table><script>1</script>')
    pdf._unfold(root, folded=False)
    assert [element.tag for element in root.iter() if element.tag in ("table", "script")] == ["table"]


def test_a_drawing_has_the_colours_of_print() -> None:
    root = _page(
        "<style>:root { --ink: #123456 } @media print { :root { --ink: #000 } } .a { margin: 0; fill: var(--ink) }</style><svg></svg>"
    )
    pdf._colour(root)
    (drawing,) = root.iter("{http://www.w3.org/2000/svg}svg")
    assert ".a { fill: #000 }" in drawing[0].text
    assert "margin" not in drawing[0].text


def _page(body: str) -> Any:
    return weasyprint.HTML(string=f"<!doctype html><html><body>{body}</body></html>").etree_element


def test_the_same_run_on_the_same_machine_gives_the_same_file() -> None:
    assert pdf.tell(a_run()) == pdf.tell(a_run())
    assert not pdf.EXACT


def test_a_library_of_the_system_that_is_not_there_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        def find_spec(self, name: str, *_: Any) -> Any:
            if name == "weasyprint":
                raise OSError("cannot load library 'libpango-1.0-0': no such file\nand more")

    monkeypatch.delitem(sys.modules, "weasyprint")
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(ImportError) as refused:
        pdf.tell(a_run())
    assert str(refused.value).endswith("cannot load library 'libpango-1.0-0'")


def test_it_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, reports.pdf; sys.exit('weasyprint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
