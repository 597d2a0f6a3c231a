"""A real browser for the tests: Chromium, what it shows, and what it asked for.

A test file gets the fixtures ``chromium``, ``serve``, ``watch`` and ``axe`` by the line
``pytest_plugins = ["browser"]`` (not by an import). Without a browser its tests are skipped
and the run's last lines say so (``tests/conftest.py``); with ``REQUIRE_BROWSER=1`` they fail
instead. Nothing is ever installed.
"""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Response,
    sync_playwright,
)

# tests/conftest.py looks for these words in the reason of a skipped test.
NO_BROWSER = "no Chromium was found"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
AXE = Path(__file__).with_name("vendor") / "axe-core" / "axe.min.js"
OPTIONS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # No name but this machine's leads anywhere: a page that asks another host fails here too.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def find_chromium(playwright: Playwright) -> str | None:
    """The program of a Chromium: one on the PATH, or the one that Playwright downloaded."""
    for name in NAMES:
        program = shutil.which(name)
        if program:
            return program
    own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests of a file.

    Not for the whole session: Playwright keeps an event loop running, in which the
    notebooks' kernels of another file could not run theirs.
    """
    with sync_playwright() as playwright:
        program = find_chromium(playwright)
        if program is None:
            reason = f"{NO_BROWSER} (on the PATH, or by: python -m playwright install chromium)"
            if os.environ.get("REQUIRE_BROWSER"):
                pytest.fail(reason)
            pytest.skip(reason)
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    # The system's own table of types may lack these or name others.
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone; give the address, without a slash at its end."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder until the file's tests are done: its address."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(serving(folder))


@pytest.fixture(scope="session")
def watch() -> Callable[[Page], list[str]]:
    """A function that watches a page, to be called before the page is opened.

    It gives a list, which grows by one line for each thing that must not happen: a request
    to another host, a request that fails, an error on the console, and an exception that
    nobody caught.
    """
    return watched


def watched(page: Page) -> list[str]:
    """See the fixture ``watch``."""
    problems: list[str] = []

    def requested(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            problems.append(f"asked another host: {request.url}")

    def logged(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(f"error on the console: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            problems.append(f"answered {response.status}: {response.url}")

    page.on("request", requested)
    page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    page.on("response", answered)
    page.on("console", logged)
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    return problems


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], list[str]]:
    """A function that lets axe-core look for barriers on a page: one line for each."""
    return barriers


def barriers(page: Page) -> list[str]:
    """See the fixture ``axe``."""
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{rule['id']}: {node['html'][:300]}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
