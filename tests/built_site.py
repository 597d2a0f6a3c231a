"""The real book, built once a run, for the test files that look at its pages.

A test file gets the fixtures by the line ``pytest_plugins = ["built_site"]``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from site_pages import ROOT, Page, build

# Long enough for a slow machine; a build takes about a minute.
PATIENCE = 900


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the book's pages: what ``BUILT_SITE`` names, or a build of this run.

    The workers of pytest-xdist share one build: the first of them makes the folder and
    builds, the others wait for its log.
    """
    if os.environ.get("BUILT_SITE"):
        return (ROOT / os.environ["BUILT_SITE"]).resolve(strict=True)
    base = tmp_path_factory.getbasetemp()
    output = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "book"
    log = output / "log.txt"
    try:
        output.mkdir()
    except FileExistsError:
        end = time.monotonic() + PATIENCE
        while not log.exists():
            assert time.monotonic() < end, "the worker that builds the book does not end"
            time.sleep(0.5)
    else:
        result = build(ROOT, output)
        written = output / "log.part"
        written.write_text(f"{result.returncode}\n{result.stdout}{result.stderr}", "utf-8")
        written.rename(log)
    status, _, text = log.read_text(encoding="utf-8").partition("\n")
    assert status == "0", text
    assert "WARNING" not in text, text
    return (output / "_build" / "html").resolve()


@pytest.fixture(scope="session")
def pages(site: Path) -> list[Page]:
    """Every page of the site."""
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return [Page(path, site) for path in sorted(paths)]
