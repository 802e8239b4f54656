"""A real Chromium, and reports made once for the whole session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from analysis.report.write import write_report
from tests.support.findings import findings, hostile

HERE = Path(__file__).resolve().parent
NAMES = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder opens a real browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


def found() -> str | None:
    """The browser's program."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def installed() -> str:
    """The browser's program, installed on Debian as root; skips where it cannot be."""
    if found() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            with suppress(subprocess.SubprocessError):
                subprocess.run(
                    ["apt-get", "--quiet", *command], check=False, capture_output=True, timeout=600
                )
    program = found()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH, and none was installed")
    return program


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    program = installed()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page with all that it said and asked for."""

    page: Page
    folder: Path
    said: list[str] = field(default_factory=list)
    """Console messages and errors."""
    asked: list[str] = field(default_factory=list)
    """Addresses, the page's own left out."""

    def refuse(self, box: Dialog) -> None:
        """Notes and closes a box that a script opened."""
        self.said.append(box.message)
        box.dismiss()

    def ask(self, url: str, own: str) -> None:
        """Notes a request, unless it is for the page itself or for what the page brought along."""
        if not url.startswith((own, "data:", "blob:")):
            self.asked.append(url)

    def draw(self) -> None:
        """Every figure, also those far below; until none is undrawn."""
        self.page.evaluate("drawAll()")
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('[data-chart]')]"
            ".every((n) => n.offsetParent === null || n.querySelector('.main-svg'))"
        )


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study's report."""
    return write_report(findings(), tmp_path_factory.mktemp("study")).parent


@pytest.fixture(scope="session")
def hostile_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with names, prompts and responses that try to run scripts."""
    return write_report(hostile(), tmp_path_factory.mktemp("hostile")).parent


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a report's page: `opened(folder, width=360, scheme="dark")`."""
    contexts = []

    def opening(folder: Path, *, width: int = 1280, scheme: str = "light", at: str = "") -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        contexts.append(context)
        seen = Opened(page=context.new_page(), folder=folder)
        address = (folder / "index.html").as_uri()
        seen.page.on("console", lambda message: seen.said.append(message.text))
        seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
        seen.page.on("dialog", seen.refuse)
        seen.page.on("request", lambda request: seen.ask(request.url, address))
        seen.page.goto(address + at)
        return seen

    yield opening
    for context in contexts:
        context.close()
