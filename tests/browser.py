"""A real browser for the tests: Chromium, what it shows, and what it asked for.

A test file gets the fixtures ``chromium``, ``window``, ``context``, ``empty_tab``, ``serve``,
``watch``, ``axe`` and ``shown`` by the line ``pytest_plugins = ["browser"]`` (not by an import).
Without a browser its tests are skipped and the run's last lines say so (``conftest.py``); with
``REQUIRE_BROWSER=1`` they fail instead. Nothing is ever installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromium import NoBrowserError, open_chromium, serving
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    ViewportSize,
)

# A laptop's.
SIZE: ViewportSize = {"width": 1280, "height": 900}
AXE = Path(__file__).with_name("vendor") / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests of a file.

    Not for the whole session: Playwright keeps an event loop running, in which the
    notebooks' kernels of another file could not run theirs.
    """
    try:
        with open_chromium() as browser:
            yield browser
    except NoBrowserError as error:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def new_window(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser of its own, as large as a laptop's."""
    context = chromium.new_context(viewport=SIZE)
    yield context
    context.close()


@pytest.fixture(scope="module")
def window(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that keeps the files it has fetched, as a reader's does."""
    yield from new_window(chromium)


@pytest.fixture(scope="module")
def empty_tab(window: BrowserContext) -> Callable[[], tuple[Page, list[str]]]:
    """A function that empties the one tab of a test file: the tab, and what goes wrong in it.

    What goes wrong is as ``watch`` tells it, from that moment on. The next page in a tab takes
    half the work of one in a new tab, which starts a process that knows none of the scripts.
    """
    page = window.new_page()
    problems = watched(page)

    def empty() -> tuple[Page, list[str]]:
        page.goto("about:blank")
        page.unroute_all()
        window.unroute_all()
        page.set_viewport_size(SIZE)
        page.emulate_media(media="screen", color_scheme="light")
        page.mouse.move(0, 0)
        problems.clear()
        return page, problems

    return empty


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser with no memory of other tests."""
    yield from new_window(chromium)


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
def shown() -> Callable[[Locator], str]:
    """A function that gives all that a figure with controls shows, to be compared."""
    return everything_shown


def everything_shown(figure: Locator) -> str:
    """See the fixture ``shown``: pictures, drawings and words."""
    return str(
        figure.evaluate(
            """(figure) => JSON.stringify([
                Array.from(figure.querySelectorAll("img"), (image) => image.src + image.alt),
                Array.from(figure.querySelectorAll("canvas"), (canvas) => canvas.toDataURL()),
                figure.querySelector("figcaption").textContent,
            ])"""
        )
    )


@pytest.fixture(scope="session")
def axe() -> Callable[..., list[str]]:
    """A function that lets axe-core look for barriers on a page: one line for each.

    With names of rules it looks for nothing else.
    """
    return barriers


def barriers(page: Page, *rules: str) -> list[str]:
    """See the fixture ``axe``."""
    if not page.evaluate("'axe' in window"):
        # As from the browser's own console: the page's policy would refuse a script tag.
        page.evaluate(AXE.read_text(encoding="utf-8"))
    # Colours half-way from one scheme to the other are nobody's choice.
    page.evaluate(
        """for (const animation of document.getAnimations())
             if (animation instanceof CSSTransition) animation.finish();"""
    )
    found = page.evaluate(
        "(options) => axe.run(options).then((result) => result.violations)",
        {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})},
    )
    return [
        f"{rule['id']}: {node['html'][:300]}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
