"""This machine's Chromium, for the tests, the pictures and the measurements.

Nothing is ever installed, and no page that it opens reaches another host.
"""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

# conftest.py looks for these words in the reason of a skipped test.
NO_BROWSER = "no Chromium was found"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
OPTIONS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # No name but this machine's leads anywhere: a page that asks another host fails here too.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class NoBrowserError(RuntimeError):
    """There is no Chromium; the message says where one was looked for."""


def find_chromium(playwright: Playwright) -> str | None:
    """The path of a Chromium: one on the PATH, or the one that Playwright downloaded."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    own = playwright.chromium.executable_path
    return program or (own if Path(own).is_file() else None)


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Open a Chromium without a window.

    Raises:
        NoBrowserError: If there is none.
    """
    with sync_playwright() as playwright:
        program = find_chromium(playwright)
        if program is None:
            raise NoBrowserError(
                f"{NO_BROWSER} (on the PATH, or from: python -m playwright install chromium)"
            )
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


class Handler(SimpleHTTPRequestHandler):
    """Serves files with the types that browsers insist on, and writes no log."""

    # The system's own table of types may lack these or name others.
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    """A server at which a browser's many connections may wait until a busy machine takes them."""

    # With Python's own queue of five, the sixth is turned away, and asks again seconds later.
    request_queue_size = 128


@contextmanager
def serving(folder: Path, handler: type[Handler] = Handler) -> Iterator[str]:
    """Serve a folder on this machine alone; give the address, without a slash at its end."""
    in_folder = functools.partial(handler, directory=str(folder))
    server = _Server(("127.0.0.1", 0), in_folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
