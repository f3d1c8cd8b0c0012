"""Pages in a real browser: the Chromium that is installed, driven by Playwright; without either these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from tests.browser import certificates

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, (*NAMES, ON_MACOS))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a module. It does not outlive them: while it lives, no other event loop can run."""
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium here")
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


class Opened:
    """A page, and what a page of ours never does: ask for anything, say anything to the console, open a dialog."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.asked: list[str] = []
        self.said: list[str] = []
        page.context.on("request", lambda request: self.asked.append(request.url))
        page.context.on("page", lambda other: self.said.append(f"a window: {other.url}"))
        page.on("console", lambda message: self.said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("dialog", self._dismiss)
        self.address = path.as_uri()
        page.goto(self.address)

    def _dismiss(self, dialog: Any) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def is_quiet(self) -> bool:
        """Whether nothing was asked for but the page itself, and nothing was said."""
        assert self.said == []
        assert {address.partition("#")[0] for address in self.asked} == {self.address}
        return True


Open = Callable[..., Opened]


@pytest.fixture
def look(browser: Browser) -> Iterator[Open]:
    """Opens files, each in a context of its own: `look(path, width=400, color_scheme="dark")`."""
    contexts = []

    def opened(path: Path, *, width: int = 1400, height: int = 900, **options: Any) -> Opened:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        return Opened(contexts[-1].new_page(), path)

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The report of a real run that ended in a status; one run serves all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "certificates"

    def told(status: str) -> Path:
        folder, done = shared / status, shared / f"{status}.txt"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(shared / f"{status}.lock"):
            if not done.exists():
                done.write_text(str(certificates.run(folder, status) / "report.html"))
        return Path(done.read_text())

    return told
