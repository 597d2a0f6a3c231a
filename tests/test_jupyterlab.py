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
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, expect
from site_pages import ROOT
from start_page import PAGE

pytest_plugins = ["browser"]
pytestmark = pytest.mark.stress

PATIENCE = 180
CHAPTERS = sorted(
    path.stem
    for path in (ROOT / "notebooks").glob("*.ipynb")
    if '<figure class=\\"mnist-widget\\"' in path.read_text(encoding="utf-8")
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
() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle"
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
# The controls that ask the kernel, on data that is always there.
LIVE = """\
from mnist_helpers import *

data = load_mnist("digits")
net = load_checkpoint(10_000)
pad = draw_digit(net)
"""
LIVE_CONTROLS = {
    "pad": "pad",
    "layers": "explore_layers({100: load_checkpoint(100), 10_000: net}, data.test)",
    "filter": "try_filter(data.test.images[0])",
    "training": """\
young = ConvNet(seed=0)
training = watch_training(young, data.train, data.validation, every=5)
training""",
}
# Not by a cell: what the kernel says, while cells and controls are left alone.
ASK = """
async (code) => {
  const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
  const asked = kernel.requestExecute({ code, store_history: false });
  let said = "";
  asked.onIOPub = ({ header, content }) => {
    if (header.msg_type === "stream") said += content.text;
    if (header.msg_type === "error") said += content.traceback.join("\\n");
  };
  await asked.done;
  return said;
}
"""
RESTART = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"


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
    write_notebook(folder / "new.ipynb", NEW, NEW_FILTER)
    write_notebook(folder / "live.ipynb", LIVE, *LIVE_CONTROLS.values())
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


def write_notebook(path: Path, *sources: str) -> None:
    """A notebook of these cells, none of which has been run."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=python), path)


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


def run_all(page: Page) -> None:
    """Run all cells of the notebook that is open."""
    page.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for()
    # Without a kernel JupyterLab runs nothing, and says nothing.
    page.wait_for_function(KERNEL_IS_READY)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


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
    # With the code of pictures, which is folded where their output is not.
    folded = [
        cell for cell in notebook.cells if "source_hidden" in cell.metadata.get("jupyter", {})
    ]
    assert len(folded) > len(solutions)
    expect(chapter.locator(".jp-CodeCell .jp-InputPlaceholder")).to_have_count(len(folded))
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


def test_a_stored_exercise_is_answered_by_keyboard(lab: str, page: Page) -> None:
    page.goto(f"{lab}doc/tree/notebooks/pooling.ipynb")
    # Until then JupyterLab may still draw an output once more, and a half-typed answer is gone.
    page.wait_for_function(KERNEL_IS_READY)
    box = page.locator(".mnist-answer.is-live").first
    field = box.get_by_role("textbox")
    for answer, said in (("13", "Not yet. With SAME"), ("14", "Right.")):
        field.fill("")
        # One key after the other, which JupyterLab might take for orders.
        field.press_sequentially(answer)
        field.press("Enter")
        expect(box.get_by_role("status")).to_contain_text(said)


def test_a_cell_that_is_run_gives_controls_that_work(
    lab: str, page: Page, shown: Callable[[Locator], str]
) -> None:
    page.goto(f"{lab}doc/tree/notebooks/new.ipynb")
    run_all(page)
    figures = page.locator("figure.mnist-widget.is-live")
    expect(figures).to_have_count(2, timeout=1000 * PATIENCE)
    for figure in figures.all():
        drive(page, figure, shown)


# Controls that ask the kernel


@pytest.fixture(scope="module")
def live(lab: str, chromium: Browser) -> Iterator[Page]:
    """A page in which every control that asks the kernel has come."""
    page = chromium.new_context(has_touch=True, viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(1000 * PATIENCE)
    expect.set_options(timeout=1000 * PATIENCE)
    page.goto(f"{lab}doc/tree/notebooks/live.ipynb")
    run_all(page)
    expect(said(page, "training")).to_contain_text("Ready.")
    yield page
    page.context.close()


def output(page: Page, name: str) -> Locator:
    """What the cell of a control shows."""
    place = 1 + list(LIVE_CONTROLS).index(name)
    return page.locator(".jp-CodeCell").nth(place).locator(".jp-Cell-outputArea")


def said(page: Page, name: str) -> Locator:
    """The sentence beside a control."""
    return output(page, name).get_by_role("status")


def stroke(page: Page, pad: Locator, *points: tuple[float, float]) -> None:
    """Draw a line through points, given as shares of the pad, by mouse."""
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_a_pad_reads_what_mouse_and_keys_draw(live: Page) -> None:
    area = output(live, "pad")
    pad = area.get_by_role("application")
    expect(said(live, "pad")).to_have_text("Read as 2.")
    area.get_by_role("button", name="Clear").click()
    expect(said(live, "pad")).to_have_text("Draw a digit.")
    stroke(live, pad, (0.2, 0.2), (0.8, 0.2), (0.45, 0.9))
    expect(said(live, "pad")).to_have_text("Read as 7.")
    expect(area.get_by_role("row", name="7 ")).to_contain_text(re.compile(r"[5-9]\d%|100%"))
    area.get_by_role("button", name="Clear").click()
    expect(said(live, "pad")).to_have_text("Draw a digit.")

    pad.focus()
    for key in ["ArrowUp"] * 12 + [" "] + ["ArrowDown"] * 24:
        live.keyboard.press(key)
    expect(said(live, "pad")).to_have_text("Read as 1.")
    assert pad.evaluate("(pad) => pad === document.activeElement")


def test_a_pad_reads_what_a_finger_draws(live: Page) -> None:
    area = output(live, "pad")
    area.get_by_role("button", name="Clear").click()
    expect(said(live, "pad")).to_have_text("Draw a digit.")
    pad = area.get_by_role("application")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    left, top = live.evaluate("[scrollX, scrollY]")
    assert (left, top) == (0, 0)
    finger = live.context.new_cdp_session(live)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in places
        ]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.5, 0.1))
    for step in range(2, 10):
        touch("touchMove", (0.5, step / 10))
    touch("touchEnd")
    expect(said(live, "pad")).to_have_text("Read as 1.")
    # The page did not scroll under the finger.
    assert pad.bounding_box() == box


def test_a_pad_reads_a_photograph(live: Page, tmp_path: Path) -> None:
    photo = Image.new("RGB", (600, 800), (230, 225, 210))
    seven = [(180, 230), (430, 210), (270, 590)]
    ImageDraw.Draw(photo).line(seven, fill=(40, 40, 90), width=44, joint="curve")
    photo.save(tmp_path / "seven.jpg")
    (tmp_path / "note.png").write_text("no picture", encoding="utf-8")
    for name, expected in (("seven.jpg", "Read as 7."), ("note.png", "This file cannot be read")):
        with live.expect_file_chooser() as chooser:
            output(live, "pad").get_by_role("button", name="Photograph").click()
        chooser.value.set_files(tmp_path / name)
        expect(said(live, "pad")).to_contain_text(expected)


def test_a_filter_follows_its_sliders_and_buttons(live: Page) -> None:
    area = output(live, "filter")
    picture = area.get_by_role("img", name="The image, the filter")
    expect(picture).to_have_attribute("alt", re.compile(r"\[\[-1\.0, "))
    area.get_by_role("button", name="No change").click()
    expect(picture).to_have_attribute("alt", re.compile(r"\[\[0\.0, 0\.0, 0\.0\], \[0\.0, 1"))
    before = picture.get_attribute("src")
    handle = area.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    live.mouse.move(x, y)
    live.mouse.down()
    live.mouse.move(x + 15, y, steps=5)
    live.mouse.up()
    expect(picture).to_have_attribute("alt", re.compile(r"\[\[[1-5]\.\d+, 0\.0, 0\.0\]"))
    assert picture.get_attribute("src") != before


def test_layers_are_shown_for_an_image_of_choice(live: Page) -> None:
    area = output(live, "layers")
    expect(said(live, "layers")).to_contain_text("Image 0: a ")
    area.get_by_role("button", name="Next image").click()
    expect(said(live, "layers")).to_contain_text("Image 1: a ")
    area.get_by_role("combobox").select_option("7")
    area.get_by_role("button", name="Next image").click()
    expect(said(live, "layers")).to_have_text(re.compile(r"Image \d+: a 7, read as \d \(\d+%\)\."))
    area.get_by_role("combobox").select_option("any")
    area.get_by_role("button", name="Next mistake").click()
    expect(said(live, "layers")).to_have_text(re.compile(r": a (\d), read as (?!\1)\d "))
    picture = area.get_by_role("img", name="What each layer puts out")
    before = picture.get_attribute("src") or ""
    area.get_by_role("spinbutton", name="Image").fill("5")
    live.keyboard.press("Enter")
    expect(said(live, "layers")).to_contain_text("Image 5: a ")
    expect(picture).not_to_have_attribute("src", before)


def iterations(page: Page) -> int:
    """How many steps the picture shows."""
    picture = output(page, "training").get_by_role("img", name="Loss, accuracy and filters")
    found = re.search(r"([\d,]+) iterations?", picture.get_attribute("alt") or "")
    assert found is not None
    return int(found[1].replace(",", ""))


def wait_for_steps(page: Page, more_than: int) -> None:
    """Wait until the picture shows more steps."""
    page.wait_for_function(
        """(least) => [...document.querySelectorAll("img[alt^='Loss, accuracy']")].some(
          ({ alt }) => Number(alt.match(/([0-9,]+) iterations?/)[1].replace(",", "")) > least)""",
        arg=more_than,
    )


def test_training_starts_pauses_and_takes_a_step(live: Page) -> None:
    button = {
        name: output(live, "training").get_by_role("button", name=name)
        for name in ("Start", "Pause", "One step")
    }
    expect(button["Pause"]).to_be_disabled()
    button["Start"].click()
    expect(said(live, "training")).to_contain_text("interrupting the kernel does not")
    wait_for_steps(live, 10)
    expect(button["Start"]).to_be_disabled()
    # An interrupt does not stop it, and a cell that runs beside it finds a sound network.
    live.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    assert live.evaluate(ASK, "print(evaluate(young, data.test).loss > 0)") == "True\n"
    wait_for_steps(live, iterations(live))
    button["Pause"].click()
    expect(said(live, "training")).to_contain_text("Paused.")
    shown = int(live.evaluate(ASK, "print(young.iterations)"))
    assert f"{shown:,} iteration" in said(live, "training").inner_text()
    button["One step"].click()
    expect(said(live, "training")).to_contain_text(f"{shown + 1:,} iterations")
    # optimize goes on from there.
    ask = "optimize(young, data.train, 2, verbose=False); print(young.iterations)"
    assert live.evaluate(ASK, ask) == f"{shown + 3}\n"


def test_the_learning_rate_changes_while_it_trains(live: Page) -> None:
    area = output(live, "training")
    area.get_by_role("button", name="Start").click()
    wait_for_steps(live, iterations(live))
    handle = area.locator(".noUi-handle")
    handle.focus()
    live.keyboard.press("End")
    expect(area.locator(".widget-readout")).to_have_text(re.compile(r"1\.0e-1"))
    wait_for_steps(live, iterations(live) + 5)
    area.get_by_role("button", name="Pause").click()
    expect(said(live, "training")).to_contain_text("Paused.")
    # A thousand times the book's rate: a step moves weights further than hundreds did before.
    moved = "print(max(abs(w - s).max() for w, s in pairs) > 0.09)"
    pairs = "pairs = [(w.numpy(), s.numpy()) for w, s in zip(young.weights.values(), "
    pairs += "ConvNet(seed=0).weights.values())]; "
    assert live.evaluate(ASK, pairs + moved) == "True\n"


def test_a_kernel_that_restarts_in_the_middle_leaves_controls_that_can_be_had_anew(
    live: Page,
) -> None:
    output(live, "training").get_by_role("button", name="Start").click()
    wait_for_steps(live, iterations(live))
    live.evaluate(RESTART)
    assert live.evaluate(ASK, "print('young' in globals())") == "False\n"
    run_all(live)
    expect(said(live, "training")).to_contain_text("Ready. The network has had 0 iterations")
    output(live, "training").get_by_role("button", name="One step").click()
    expect(said(live, "training")).to_contain_text("had 1 iteration;")
    expect(said(live, "pad")).to_have_text("Read as 2.")


def test_a_cell_that_is_run_again_stops_the_training_before(live: Page) -> None:
    output(live, "training").get_by_role("button", name="Start").click()
    wait_for_steps(live, 1)
    assert live.evaluate(ASK, "before = training") == ""
    run_all(live)
    expect(said(live, "training")).to_contain_text("had 0 iterations")
    assert live.evaluate(ASK, "print(before.is_running)") == "False\n"
