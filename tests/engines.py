"""Firefox and WebKit, driven by the commands that all browsers share, and what goes wrong in them.

The commands are W3C WebDriver's (https://www.w3.org/TR/webdriver2/). WebKitWebDriver takes them
over HTTP; Firefox takes the same ones through its own door, Marionette, so that no geckodriver is
needed, which Debian does not have. Nothing is ever installed.

Neither engine hands over its console by these commands. So ``watched`` serves a site with one more
script at the head of each page, which writes down what goes wrong there; Firefox can also be asked
for its whole console, in which refusals without a page's script stand.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import requests
from chromium import Handler, serving

WIDTH, HEIGHT = 1280, 960
# Long enough for a slow machine: what is waited for takes a second or two.
PATIENCE = 120
# Of their own, browsers give a script 30 seconds. Whoever waits for the browser's answer waits
# longer than the browser does, so that it can say what took too long.
_WISHES = {"alwaysMatch": {"timeouts": {"script": 1000 * PATIENCE}}}
_LONGER = 2 * PATIENCE

# W3C's code points for keys that write nothing.
KEYS = {
    "ArrowLeft": "\ue012",
    "ArrowRight": "\ue014",
    "End": "\ue010",
    "Enter": "\ue007",
    "Home": "\ue011",
    "Tab": "\ue004",
}

_WATCHER = "/watcher.js"
_WATCHER_TAG = f'<script src="{_WATCHER}"></script>'
_WATCHER_SCRIPT = """
(() => {
  const problems = (window.problems = []);
  const add = (text) => problems.push(text);
  addEventListener("error", (event) => add(
    event instanceof ErrorEvent ? `exception: ${event.message}`
      : `failed: ${event.target.src ?? event.target.href}`), true);
  addEventListener("unhandledrejection", (event) => add(`rejected: ${event.reason}`));
  addEventListener("securitypolicyviolation", (event) =>
    add(`refused by ${event.effectiveDirective}: ${event.blockedURI}`));
  const { error } = console;
  console.error = (...words) => {
    add(`error on the console: ${words.join(" ")}`);
    error.apply(console, words);
  };
})();
"""


class NoEngineError(RuntimeError):
    """There is no such browser; conftest.py looks for the words of the message."""


@contextmanager
def watched(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a site whose pages watch themselves; its address, and which files were not found."""
    failed: list[str] = []

    class WatchedHandler(Handler):
        def send_head(self) -> Any:
            path = Path(self.translate_path(self.path))
            if self.path == _WATCHER:
                return self._send(_WATCHER_SCRIPT, "text/javascript")
            if path.suffix == ".html" and path.is_file():
                head, policy, rest = path.read_text("utf-8").partition("<head>")
                return self._send(f"{head}{policy}{_WATCHER_TAG}{rest}", "text/html; charset=utf-8")
            return super().send_head()

        def _send(self, text: str, kind: str) -> io.BytesIO:
            content = text.encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return io.BytesIO(content)

        def send_error(self, code: int, *texts: Any) -> None:
            failed.append(f"answered {int(code)}: {self.path}")
            super().send_error(code, *texts)

    with serving(folder, WatchedHandler) as address:
        yield address, failed


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again and again until the answer is yes; give the answer."""
    end = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < end, f"in {PATIENCE} seconds it was never so: {what}"
        time.sleep(0.03)
    return answer


class Engine(ABC):
    """A browser with one window. Use it in a ``with``: at the end all its processes are gone.

    Elements are named by an expression of JavaScript.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
            self.send("window/rect", width=WIDTH, height=HEIGHT)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @abstractmethod
    def _start(self) -> None:
        """Start the processes and a session."""

    @abstractmethod
    def send(self, command: str, **parameters: Any) -> Any:
        """Send a command, by the end of its W3C address; give its value."""

    def problems(self) -> list[str]:
        """What went wrong in the page since it was last asked."""
        return list(self.evaluate("problems.splice(0)"))

    def open(self, address: str) -> None:
        """Open a page; wait until it, its fonts and its formulas are there."""
        self.send("url", url=address)
        self.run("return window.MathJax?.startup.promise.then(() => {})")
        self.run("return document.fonts.ready.then(() => {})")
        self.settle()

    def settle(self) -> None:
        """Wait for two frames: a page may draw a change in the next one."""
        self.run("return new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def run(self, script: str) -> Any:
        """Run the body of a function in the page; give what it returns, or its promise brings."""
        return self.send("execute/sync", script=script, args=[])

    def evaluate(self, expression: str) -> Any:
        """Give the value of an expression in the page."""
        return self.run(f"return ({expression})")

    def wait(self, condition: str) -> Any:
        """Wait until an expression in the page is true; give its value."""
        return wait_until(lambda: self.evaluate(condition), condition)

    def place(self, element: str, right: float = 0.5, down: float = 0.5) -> tuple[int, int]:
        """Bring an element into sight; where a place in it lies in the window, in pixels."""
        x, y, hit = self.run(
            f"""const element = {element};
            element.scrollIntoView({{ block: "center", behavior: "instant" }});
            const box = element.getBoundingClientRect();
            const x = Math.round(box.x + {right} * box.width);
            const y = Math.round(box.y + {down} * box.height);
            return [x, y, element.contains(document.elementFromPoint(x, y))];"""
        )
        assert hit, f"something lies over it: {element}"
        return x, y

    def drag(self, *places: tuple[int, int]) -> None:
        """Press the mouse at the first place, and let it go at the last."""
        to = [{"type": "pointerMove", "x": x, "y": y, "duration": 0} for x, y in places]
        down, up = ({"type": f"pointer{way}", "button": 0} for way in ("Down", "Up"))
        self._act("pointer", [to[0], down, *to[1:], up])

    def click(self, element: str, right: float = 0.5, down: float = 0.5) -> None:
        """Click on an element, in the middle unless told otherwise."""
        self.drag(self.place(element, right, down))

    def press(self, *keys: str) -> None:
        """Press keys, by name or by what they write."""
        self._act(
            "key",
            [
                {"type": f"key{way}", "value": KEYS.get(key, key)}
                for key in keys
                for way in ("Down", "Up")
            ],
        )

    def _act(self, kind: str, steps: list[dict[str, Any]]) -> None:
        self.send("actions", actions=[{"type": kind, "id": kind, "actions": steps}])

    def _folder(self) -> Path:
        # A process that is being killed may write in it to the last.
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        return Path(self._stack.enter_context(folder))

    def _launch(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program, which ends with the engine, and with it all that it started."""
        # Where this process is killed, the program ends too.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        process = subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **options,
        )

        def end() -> None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

        self._stack.callback(end)
        return process


def _found(name: str, *programs: str) -> str:
    """The first of some programs that is on the PATH."""
    program = next(filter(None, map(shutil.which, programs)), None)
    if program is None:
        raise NoEngineError(f"no {name} was found (looked for {' and '.join(programs)})")
    return program


class Firefox(Engine):
    """Debian's, or another on the PATH, without a window."""

    _NAMES = {
        "actions": "WebDriver:PerformActions",
        "execute/sync": "WebDriver:ExecuteScript",
        "screenshot": "WebDriver:TakeScreenshot",
        "url": "WebDriver:Navigate",
        "window/rect": "WebDriver:SetWindowRect",
    }

    def _start(self) -> None:
        program = _found("Firefox", "firefox-esr", "firefox")
        profile = self._folder()
        (profile / "user.js").write_text('user_pref("marionette.port", 0);\n', "utf-8")
        # With access to Firefox's own parts: its console is one of them.
        options = ["--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
        self._launch(program, *options, "--profile", str(profile))
        port = profile / "MarionetteActivePort"
        wait_until(lambda: port.is_file() and port.read_text(), "Firefox lets itself be driven")
        self._socket = socket.create_connection(("127.0.0.1", int(port.read_text())), _LONGER)
        self._stack.callback(self._socket.close)
        self._answers = self._stack.enter_context(self._socket.makefile("rb"))
        self._receive()
        self.send("WebDriver:NewSession", capabilities=_WISHES)

    def send(self, command: str, **parameters: Any) -> Any:
        message = json.dumps([0, 0, self._NAMES.get(command, command), parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        # Some commands answer with an object, most with a value in one.
        return result.get("value", result)

    def _receive(self) -> Any:
        """One message: its length, a colon, JSON."""
        length = b""
        while not length.endswith(b":"):
            digit = self._answers.read(1)
            if not digit:
                raise RuntimeError("Firefox has ended")
            length += digit
        return json.loads(self._answers.read(int(length[:-1])))

    def problems(self) -> list[str]:
        """See ``Engine``; and the errors on the console, but for those of Firefox's own parts."""
        found = super().problems()
        self.send("Marionette:SetContext", value="chrome")
        try:
            return found + self.run(
                """const errors = Services.console.getMessageArray().filter((message) =>
                  message instanceof Ci.nsIScriptError
                  && !(message.flags & Ci.nsIScriptError.warningFlag)
                  && (message.category.startsWith("CSP")
                    || !/^(chrome|resource|moz-extension):/.test(message.sourceName)));
                Services.console.reset();
                return errors.map(({ errorMessage, sourceName }) =>
                  `${errorMessage} (${sourceName})`);"""
            )
        finally:
            self.send("Marionette:SetContext", value="content")


class WebKit(Engine):
    """WebKitGTK's MiniBrowser, on a screen that nobody sees."""

    def _start(self) -> None:
        driver = _found("WebKit", "WebKitWebDriver")
        screen = _found("WebKit", "Xvfb")
        display = self._folder() / "display"
        with display.open("wb") as out:
            self._launch(
                *(screen, "-displayfd", str(out.fileno()), "-nolisten", "tcp"),
                *("-screen", "0", f"{WIDTH}x{HEIGHT}x24"),
                pass_fds=[out.fileno()],
            )
        wait_until(lambda: display.read_text().endswith("\n"), "there is a screen")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        number = display.read_text().strip()
        home = self._folder()
        environment = {
            "DISPLAY": f":{number}",
            "GDK_BACKEND": "x11",
            # Without a graphics processor its layers take most of the time.
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
            "XDG_CACHE_HOME": str(home),
            "XDG_DATA_HOME": str(home),
        }
        self._launch(driver, f"--port={port}", env={**os.environ, **environment})
        self._address = f"http://127.0.0.1:{port}/session"
        wait_until(self._listens, "WebKitWebDriver listens")
        session = self._post("", {"capabilities": _WISHES})
        self._address += f"/{session['sessionId']}"

    def _listens(self) -> bool:
        try:
            return requests.get(self._address.replace("session", "status"), timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False

    def send(self, command: str, **parameters: Any) -> Any:
        return self._post(f"/{command}", parameters)

    def _post(self, command: str, parameters: dict[str, Any]) -> Any:
        answer = requests.post(self._address + command, json=parameters, timeout=_LONGER)
        value = answer.json()["value"]
        if not answer.ok:
            raise RuntimeError(f"{command}: {value['error']}: {value['message']}")
        return value


ENGINES = {"firefox": Firefox, "webkit": WebKit}
