"""The chapters in JupyterLab itself: their text, and their controls, stored and run anew.

``make stress`` runs this: a server and a browser take a while to start.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from site_pages import ROOT
from start_page import PAGE

pytest_plugins = ["browser"]
pytestmark = pytest.mark.stress

PATIENCE = 180
CHAPTERS = sorted(
    path.stem
    for path in (ROOT / "notebooks").glob("*.ipynb")
    if 'class=\\"mnist-widget\\"' in path.read_text(encoding="utf-8")
)
# The chapter whose text is read: it has a box, folds, formulas and words of the glossary.
READ = "fully_connected"
# Every cell is there without scrolling; no window asks for anything.
SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}
# What the page shows of the kernel says "idle" while there is none, too.
KERNEL_IS_READY = """
() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle"
"""
# The text of a cell as it is shown, but for its code and its formulas.
WITHOUT_CODE = """
(cell) => {
  const copy = cell.cloneNode(true);
  copy.querySelectorAll("code, mjx-container").forEach((part) => part.remove());
  return copy.textContent;
}
"""
# One control of each kind, from numbers that need no data and no network.
NEW = """\
import matplotlib.pyplot as plt
import numpy as np

from mnist_helpers import convolution_steps, frames

bars = {}
for height in (1, 5, 9):
    bars[height], ax = plt.subplots(figsize=(2, 1))
    ax.bar([0], [height])
    plt.close(bars[height])
frames(bars, "Height", "A bar of height {}", "The bar of height {}.", play=True)
"""
NEW_FILTER = "convolution_steps(np.linspace(0, 1, 784).reshape(28, 28), np.eye(3))"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab on this machine alone, with the chapters, which it is told to trust."""
    base = tmp_path_factory.mktemp("jupyterlab")
    folder = base / "checkout" / "notebooks"
    folder.mkdir(parents=True)
    (folder.parent / "book").mkdir()
    for name in ("book/glossary.md", PAGE):
        shutil.copy(ROOT / name, folder.parent / name)
    for name in {*CHAPTERS, READ}:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
    cells = [nbformat.v4.new_code_cell(source) for source in (NEW, NEW_FILTER)]
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=python)
    nbformat.write(notebook, folder / "new.ipynb")
    for name, text in SETTINGS.items():
        path = base / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")

    environment = os.environ | {
        "JUPYTER_DATA_DIR": str(base / "data"),
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "JUPYTER_CONFIG_DIR": str(base / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(base / "settings"),
        "IPYTHONDIR": str(base / "ipython"),
    }
    trust = [sys.executable, "-m", "jupyter", "trust", *sorted(map(str, folder.glob("*.ipynb")))]
    subprocess.run(trust, env=environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={folder.parent}", "--LabApp.expose_app_in_browser=True"]
    log = base / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield address_of(server, base / "runtime", log)
        finally:
            server.terminate()
            server.wait(timeout=60)


def address_of(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Wait for the server to say where it is."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        for found in runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(found.read_text(encoding="utf-8"))["url"])
            except ValueError:
                pass  # still being written
        time.sleep(0.5)
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * PATIENCE)
    yield page
    page.close()


def drive(page: Page, figure: Locator, shown: Callable[[Locator], str]) -> None:
    """Move each control of a figure by keyboard and by mouse; the picture follows each time."""
    figure.scroll_into_view_if_needed()
    expect(figure.locator(".controls, table button").first).to_be_visible()
    cell = page.locator(".jp-Cell.jp-mod-active").evaluate_all("(all) => all.map((one) => one.id)")
    for slider in figure.get_by_role("slider").all():
        slider.focus()
        page.keyboard.press("Home")
        # The arrows up and down would lead JupyterLab to another cell.
        for key in ("ArrowUp", "ArrowDown", "ArrowRight", "ArrowLeft", "End"):
            before = shown(figure)
            page.keyboard.press(key)
            assert shown(figure) != before, key
            assert slider.evaluate("(slider) => slider === document.activeElement"), key
        before = shown(figure)
        box = slider.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
        assert shown(figure) != before
    for radio in figure.get_by_role("radio").all():
        if not radio.is_checked():
            before = shown(figure)
            radio.click()
            assert shown(figure) != before
    for button in figure.locator("table button[aria-pressed=false]").all()[::7]:
        before = shown(figure)
        button.focus()
        page.keyboard.press("Enter")
        assert shown(figure) != before
        expect(figure.locator("table button:focus[aria-pressed=true]")).to_have_count(1)
    # Nothing of all this was taken for an order to the notebook.
    after = page.locator(".jp-Cell.jp-mod-active").evaluate_all("(all) => all.map((one) => one.id)")
    assert after == cell


def test_a_chapter_reads_as_text_and_its_words_lead_to_the_glossary(lab: str, page: Page) -> None:
    page.goto(f"{lab}lab/tree/{PAGE}")
    page.get_by_role("link", name="Put the evidence together").click()
    chapter = page.locator(".jp-NotebookPanel:visible", has_text="In this chapter")
    notebook = nbformat.read(ROOT / "notebooks" / f"{READ}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    solutions = [cell for cell in notebook.cells if "hide-cell" in cell.metadata.get("tags", [])]
    texts = chapter.locator(".jp-MarkdownCell .jp-MarkdownOutput")
    expect(texts).to_have_count(len(cells))
    for text in texts.all():
        shown = text.evaluate(WITHOUT_CODE)
        assert not re.search(r":::|\{\w+\}|\)=$|\]\(|</?\w+>|\*\*", shown, re.MULTILINE), shown
    expect(chapter.locator("blockquote").first).to_contain_text("What you need:")
    expect(chapter.locator("mjx-container").first).to_be_visible()
    fold = chapter.locator("details").first
    expect(fold.locator("p").first).to_be_hidden()
    fold.locator("summary").click()
    expect(fold.locator("p").first).to_be_visible()

    assert len(solutions) > 3
    expect(chapter.locator(".jp-CodeCell .jp-InputPlaceholder")).to_have_count(len(solutions))
    expect(chapter.locator(".jp-CodeCell .jp-OutputPlaceholder")).to_have_count(len(solutions))
    expect(chapter.get_by_role("heading", name="Solution: Half the units")).to_be_attached()

    chapter.get_by_role("link", name="ReLU", exact=True).first.click()
    heading = page.locator(".jp-MarkdownViewer h3", has_text="ReLU").first
    expect(heading).to_be_in_viewport()
    expect(page.locator(".jp-MarkdownViewer h1")).not_to_be_in_viewport()


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_stored_controls_of_a_chapter_work(
    name: str, lab: str, page: Page, shown: Callable[[Locator], str]
) -> None:
    page.goto(f"{lab}doc/tree/notebooks/{name}.ipynb")
    figures = page.locator("figure.mnist-widget")
    figures.first.wait_for(state="attached")
    page.locator("figure.mnist-widget.is-live").first.wait_for(state="attached")
    text = (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    expect(figures).to_have_count(text.count('<figure class=\\"mnist-widget\\"'))
    for figure in figures.all():
        drive(page, figure, shown)


def test_a_cell_that_is_run_gives_controls_that_work(
    lab: str, page: Page, shown: Callable[[Locator], str]
) -> None:
    page.goto(f"{lab}doc/tree/notebooks/new.ipynb")
    page.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for()
    # Without a kernel JupyterLab runs nothing, and says nothing.
    page.wait_for_function(KERNEL_IS_READY)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    figures = page.locator("figure.mnist-widget.is-live")
    expect(figures).to_have_count(2, timeout=1000 * PATIENCE)
    for figure in figures.all():
        drive(page, figure, shown)
