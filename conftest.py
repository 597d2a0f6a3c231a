"""One data source for a whole run of tests or notebooks, and the lines that say what was left out.

The source is looked for once, by the process that starts the run. If there is no MNIST to
be had, ``MNIST_SOURCE=digits`` makes every worker and every notebook's kernel take the
stand-in at once, and nbval compares only what does not depend on the data.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from pictures import differences, unbound, watch_figures, write_pictures

from mnist_helpers.data import DataError, Mnist, load_mnist

# A slow example is no failure: its time depends on what else the machine is doing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_SOURCE = pytest.StashKey[str]()
_IPYTHON = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
# How tests/browser.py and tests/engines.py begin the reason for which a test is skipped.
_NO_BROWSER = ("no Chromium was found", "no Firefox was found", "no WebKit was found")

# This many files, those that took longest, are listed at the end.
_NUM_SLOWEST = 10
# Those that headed such a list, longest first: if a worker begins one of them late, the others
# wait for it at the end.
_LONGEST = (
    "tensorboard.ipynb",
    "optimisation.ipynb",
    "test_lab.py",
    "test_scale.py",
    "test_browser.py",
    "attribution.ipynb",
    "speed.ipynb",
    "fewer_steps.ipynb",
    "keras.ipynb",
    "test_engines.py",
    "test_site.py",
    "scale.ipynb",
    "test_data.py",
    "test_lab_network.py",
    "test_packaging.py",
)

_SAID = {
    "mnist": "Notebooks were compared on real MNIST.",
    "digits": "Notebooks ran on the stand-in: only outputs that do not depend on the data "
    "were compared.",
}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        source = config.workerinput["mnist_source"]
    else:
        source = _settle(config)
    config.stash[_SOURCE] = source
    # A pytest-xdist worker reads the command line anew, so it gets here as well.
    # With -p no:nbval there is no such option.
    if source == "digits" and getattr(config.option, "nbval", False):
        config.option.nbval = False
        config.option.nbval_lax = True


def _settle(config: pytest.Config) -> str:
    """Find the source, and see to it that workers and kernels take the same one."""
    try:
        source = load_mnist("auto").source
    except DataError as error:
        raise pytest.UsageError(str(error)) from None
    if source == "digits":
        os.environ["MNIST_SOURCE"] = "digits"
    # Keep the user's profile, start-up files and history out of the notebooks' kernels.
    config.stash[_IPYTHON] = tempfile.TemporaryDirectory()
    os.environ["IPYTHONDIR"] = config.stash[_IPYTHON].name
    watch_figures(config.stash[_IPYTHON].name)
    return source


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist what the source is."""
    node.workerinput["mnist_source"] = node.config.stash[_SOURCE]


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(_IPYTHON, None)
    if folder is not None:
        folder.cleanup()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
    if config.stash[_SOURCE] == "mnist":
        return
    skip = pytest.mark.skip(reason="needs real MNIST, and there is none")
    for item in items:
        if item.get_closest_marker("needs_mnist"):
            item.add_marker(skip)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[Any]:
    """Collect what a file leaves, before the next one's filters turn warnings into errors.

    A kernel that has run leaves connections open (jupyter_client 8), and each warns when it is
    thrown away, in whatever test the collector happens to run.
    """
    result = yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[Any]:
    """Compare a cell's pictures, which nbval passes over, wherever it compares the text."""
    result = yield
    if item.path.suffix == ".ipynb":
        _compare_pictures(item)
    return result


def _compare_pictures(item: Any) -> None:
    if not item.options["check"] or item.cell.execution_count is None:
        return
    problems = list(unbound(item.cell)) or differences(item.cell, item.test_outputs)
    if problems:
        name = f"{item.path.stem}-cell-{item.cell_num}"
        folder = item.config.rootpath / "_build" / "pictures"
        files = write_pictures(item.cell.outputs, item.test_outputs, folder, name)
        written = (str(file.relative_to(item.config.rootpath)) for file in files)
        item.raise_cell_error("\n".join(["Its pictures differ:", *problems, *written]))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    result = yield
    _list_slowest(terminalreporter)
    reports = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    if any(".ipynb" in report.nodeid or "::Cell " in report.nodeid for report in reports):
        terminalreporter.write_line(_SAID[config.stash[_SOURCE]], bold=True)
    else:
        terminalreporter.write_line(f"The data was {config.stash[_SOURCE]}; no notebook ran.")
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for lacking in _NO_BROWSER:
        without = sum(lacking in reason for reason in skipped)
        if without:
            terminalreporter.write_line(
                f"{without} tests in a browser were skipped: {lacking}.", yellow=True, bold=True
            )
    return result


def _list_slowest(reporter: pytest.TerminalReporter) -> None:
    """By file, for a notebook's time is spread over many cells; nothing where only one file ran."""
    seconds: Counter[str] = Counter()
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    if len(seconds) > 1:
        reporter.write_line(f"The slowest of {len(seconds)} files, in seconds:")
        for file, total in seconds.most_common(_NUM_SLOWEST):
            reporter.write_line(f"{total:8.1f}  {file}")


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    """The data of this run: real MNIST, or the stand-in (see ``mnist.source``)."""
    return load_mnist("auto")
