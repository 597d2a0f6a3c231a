"""The fixtures that open the lab without its page; see ``lab_core.py``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lab_data
import pytest
from lab_core import BUILT, PAGE, TRAINER, open_lab
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's files as a site has them, and a folder ``test`` for arrays."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(BUILT, folder, dirs_exist_ok=True)
    lab_data.write_all(folder)
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    (folder / "test").mkdir()
    return folder


@pytest.fixture(scope="module")
def address(folder: Path, serve: Callable[[Path], str]) -> str:
    return serve(folder)


@pytest.fixture(scope="module")
def lab(chromium: Browser, address: str) -> Iterator[Page]:
    """A page with the lab loaded, for tests that leave nothing behind."""
    page = chromium.new_page()
    yield open_lab(page, address)
    page.close()


@pytest.fixture
def own_page(empty_tab: Any) -> Page:
    """A page that is not opened yet, for tests that change what the server answers."""
    page, _ = empty_tab()
    return page


@pytest.fixture
def trainer(own_page: Page, address: str) -> Page:
    """A page with ``trainer`` in it, which was not started yet."""
    page = open_lab(own_page, address)
    page.evaluate(f"() => {{ {TRAINER} }}")
    return page
