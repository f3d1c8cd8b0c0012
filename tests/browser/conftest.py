"""Pages in a real browser: the Chromium that is installed, driven by Playwright; without either these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from tests.browser import certificates

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

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
        opened = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        yield opened
        opened.close()


class Opened:
    """A page, and what a page of ours never does: ask for anything, say anything to the console, open a dialog."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("popup", lambda other: self.said.append(f"a window: {other.url}"))
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


@pytest.fixture(scope="module")
def context(browser: Browser) -> Callable[..., BrowserContext]:
    """A window for pages that are looked at alike."""

    @cache
    def opened(width: int, height: int, **options: Any) -> BrowserContext:
        made = browser.new_context(viewport={"width": width, "height": height}, **options)
        made.set_default_timeout(120_000)  # no test is of time: a busy machine may take its own
        return made

    return opened


@pytest.fixture
def look(context: Callable[..., BrowserContext]) -> Iterator[Open]:
    """Opens a file in a page of its own: `look(path, width=400, color_scheme="dark")`."""
    pages: list[Page] = []

    def opened(path: Path, *, width: int = 1400, height: int = 900, **options: Any) -> Opened:
        pages.append(context(width, height, **options).new_page())
        return Opened(pages[-1], path)

    yield opened
    for page in pages:
        page.close()


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
