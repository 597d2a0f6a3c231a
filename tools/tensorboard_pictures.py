"""Take the pictures of TensorBoard's pages that the chapter on it shows.

    make pictures

The chapter's own code writes the logs: its cells run as one program, whose temporary
folder is given to it. TensorBoard is then started on this machine, for it alone, and
Chromium opens its pages. Needs real MNIST and a Chromium.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from address import ROOT
from chromium import open_chromium
from notebook_format import is_install_cell, read_notebook
from outputs import require_mnist
from PIL import Image
from playwright.sync_api import Browser, ViewportSize

from mnist_helpers import quiet
from mnist_helpers.widgets import png

NOTEBOOK = ROOT / "notebooks" / "tensorboard.ipynb"
PICTURES = ROOT / "book" / "images" / "tensorboard"

WIDTH, HEIGHT = 1000, 700
COLOURS = 64
TIMEOUT = 60_000  # milliseconds to wait until a page has what it shows
SETTLE = 4_000  # and then, until it has drawn that


@dataclass(frozen=True)
class Tab:
    """A page of TensorBoard, and how to take its picture.

    Attributes:
        name: The name of the picture's file.
        address: What comes after the ``#``: the page, and which tags and runs it shows.
        ready: Selects what is on the page when it is ready.
        zoom: If it is smaller than 1, more of the page fits into the picture.
    """

    name: str
    address: str
    ready: str
    zoom: float = 0.8


TABS = (
    Tab(
        "scalars",
        "scalars&tagFilter=accuracy|cross_entropy|keep|fc1_layer/weight/stddev",
        "tf-scalar-card svg, vz-line-chart2 svg",
    ),
    Tab(
        "images",
        "images&tagFilter=preprocess|1_layer.*(filters|convolved)&regexInput=test",
        "tf-image-loader img",
    ),
    Tab(
        "histograms",
        "histograms&tagFilter=conv1_layer/weight|fc.*(bias|preactivations)&regexInput=test",
        "vz-histogram-timeseries svg",
    ),
    Tab("graph", "graphs", "tf-graph-scene g.node", zoom=1),
)


def chapter_code(iterations: int = 1_000) -> str:
    """The chapter's code cells as one program that trains for this many steps."""
    cells = read_notebook(NOTEBOOK.read_text(encoding="utf-8")).cells
    sources = [c.source for c in cells if c.cell_type == "code" and not is_install_cell(c)]
    return re.sub(r"\b1_000\b", str(iterations), "\n\n".join(sources))


def write_logs(folder: Path, code: str) -> Path:
    """Run the chapter's code; return the folder below ``folder`` that holds its logs."""
    # The three names that Python looks for, on one system or another.
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    program = folder / "chapter.py"
    program.write_text(code, encoding="utf-8")
    environment = os.environ | temporary | {"MPLBACKEND": "Agg"}
    subprocess.run([sys.executable, program], env=environment, check=True)
    (logs,) = folder.glob("tensorboard-*")
    return logs


@contextlib.contextmanager
def tensorboard_of(logs: Path) -> Iterator[str]:
    """Start TensorBoard on a copy of some logs; give its address.

    It runs in a thread that ends with this process. The pages show the name of the folder,
    so the copy has one that says nothing of this machine.
    """
    with quiet():
        import tensorflow  # noqa: F401  (TensorBoard would import it later, and noisily)
        from tensorboard import program  # type: ignore[import-untyped]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copytree(logs, "logs")
        server = program.TensorBoard()
        options = ["--logdir", "logs", "--host", "127.0.0.1", "--port", "0"]
        # Every step of the run, where TensorBoard would show a sample of ten.
        options += ["--samples_per_plugin", "images=100,histograms=100,scalars=1000"]
        server.configure(argv=[None, *options, "--load_fast", "false"])
        yield str(server.launch())


def photograph(browser: Browser, address: str, tab: Tab) -> bytes:
    """Open one of TensorBoard's pages and take its picture, a PNG of few colours."""
    viewport = ViewportSize(width=round(WIDTH / tab.zoom), height=round(HEIGHT / tab.zoom))
    page = browser.new_page(viewport=viewport, device_scale_factor=tab.zoom)
    page.goto(f"{address}#{tab.address}")
    page.wait_for_selector(tab.ready, state="attached", timeout=TIMEOUT)
    page.wait_for_load_state("networkidle", timeout=TIMEOUT)
    page.wait_for_timeout(SETTLE)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return png(image.quantize(COLOURS, dither=Image.Dither.NONE))


def take_pictures(browser: Browser, logs: Path, folder: Path = PICTURES) -> None:
    """Take and store a picture of each of the pages in ``TABS``."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with tensorboard_of(logs.resolve()) as address:
        for tab in TABS:
            data = photograph(browser, address, tab)
            (folder / f"{tab.name}.png").write_bytes(data)
            print(f"{tab.name}.png: {len(data):,} bytes", flush=True)


if __name__ == "__main__":
    require_mnist()
    with tempfile.TemporaryDirectory() as work, open_chromium() as chromium:
        take_pictures(chromium, write_logs(Path(work), chapter_code()))
