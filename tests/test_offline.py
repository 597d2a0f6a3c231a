"""Pages that are opened straight from a folder: the landing page's panel, the lab, its training."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engines import Engine
from playwright.sync_api import Browser, FilePayload, Page, expect
from test_handwriting import photograph, written

from mnist_helpers import load_checkpoint, quiet

with quiet():
    import tensorflow as tf

pytest_plugins = ["browser", "built_site", "engine_fixtures"]
expect.set_options(timeout=30_000)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A window whose page must ask no host, and tell no error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce")
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda request: (
            problems.append(request.url) if not request.url.startswith(("file:", "data:")) else None
        ),
    )
    yield page
    assert problems == []
    context.close()


def test_the_landing_page_reads_a_drawing(page: Page, site: Path) -> None:
    page.goto((site / "book" / "index.html").as_uri())
    page.get_by_role("button", name="Example of the digit 4").click()
    expect(page.locator(".look-digit")).to_have_text("4")
    box = page.locator(".lab-paper").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(x, box["y"] + 0.8 * box["height"], steps=8)
    page.mouse.up()
    expect(page.locator(".look-digit")).to_have_text("1")
    # The drawing goes along to the lab.
    page.get_by_role("link", name="Draw and look inside").click()
    page.locator("#lab[data-exact]").wait_for()
    expect(page.locator(".lab-digit")).to_have_text("1")


def test_the_lab_shows_the_exact_numbers(page: Page, site: Path) -> None:
    page.goto((site / "book" / "lab.html").as_uri())
    page.locator("html[data-lab=wasm-simd]").wait_for(state="attached")
    page.locator("#lab[data-exact]").wait_for()
    for iterations in (10_000, 100):
        page.locator(f"label:has(input[name=lab-network][value='{iterations}'])").click()
        page.locator("#lab:not([aria-busy], [data-unfinished])").wait_for()
        canvas = page.locator("[data-layer=input] canvas")
        found = canvas.evaluate(
            """(canvas) => {
              const { width } = canvas;
              const { data } = canvas.getContext("2d").getImageData(0, 0, width, width);
              return Array.from(data.filter((_, i) => i % 4 === 0));
            }"""
        )
        side = math.isqrt(len(found))
        zoom = side // 28
        ink = 1 - np.reshape(found, (side, side))[zoom // 2 :: zoom, zoom // 2 :: zoom] / 255
        told = page.locator(".lab-score").evaluate_all(
            "(all) => all.map((one) => Number(one.dataset.value))"
        )
        image = tf.constant(ink.reshape(1, 784), tf.float32)
        # The picture was read off the screen, in 256 shades.
        np.testing.assert_allclose(told, load_checkpoint(iterations)(image)[0], atol=0.2)


def test_the_lab_reads_a_photograph(page: Page, site: Path) -> None:
    page.goto((site / "book" / "lab.html").as_uri())
    page.locator("#lab[data-exact]").wait_for()
    file = io.BytesIO()
    photograph(written(7)).convert("RGB").save(file, "PNG")
    chosen: FilePayload = {"name": "7.png", "mimeType": "image/png", "buffer": file.getvalue()}
    page.locator(".lab-photo-file input").set_input_files(chosen)
    expect(page.locator(".lab-digit")).to_have_text("7")


def test_the_lab_trains_in_the_page_itself(page: Page, site: Path) -> None:
    page.goto((site / "book" / "lab.html").as_uri())
    page.locator("#lab[data-exact]").wait_for()
    page.get_by_role("tab", name="Train").click()
    panel = page.locator("[data-page=train]")
    for name in ("filters in the first layer", "filters in the second"):
        panel.get_by_label(name).select_option(index=0)
    page.get_by_role("button", name="Start", exact=True).click()
    # It lets the page go on in between: a click is heard, and the picture drawn.
    status = page.locator(".lab-status")
    expect(status).to_contain_text("Iteration")
    page.wait_for_function(
        "() => Number(/Iteration ([\\d,]+)/.exec(document.querySelector('.lab-status').textContent)"
        "?.[1].replaceAll(',', '')) >= 30"
    )
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Continue", exact=True)).to_be_visible()
    expect(page.locator("label.lab-mine")).to_be_visible()


def test_without_webassembly_the_lab_trains_too(chromium: Browser, site: Path) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto((site / "book" / "lab.html").as_uri())
    page.locator("html[data-lab=javascript]").wait_for(state="attached")
    page.locator("#lab[data-exact]").wait_for()
    page.get_by_role("tab", name="Train").click()
    panel = page.locator("[data-page=train]")
    for name in ("filters in the first layer", "filters in the second"):
        panel.get_by_label(name).select_option(index=0)
    page.get_by_role("button", name="One step").click()
    expect(page.locator(".lab-status")).to_contain_text("Iteration 1")
    context.close()


def test_other_engines_read_and_train_from_a_folder(engine: Engine, site: Path) -> None:
    engine.send("url", url=(site / "book" / "lab.html").as_uri())
    engine.run("window.problems = []")
    ready = "document.querySelector('html[data-lab]:not([data-lab-intro]) #lab[data-exact]')"
    engine.wait(f"Boolean({ready})")
    engine.run("document.querySelectorAll('.lab-example')[8].click()")
    engine.settle()
    assert engine.evaluate("document.querySelector('.lab-digit').textContent") == "8"
    engine.run(
        """for (const select of document.querySelectorAll("[data-page=train] select")) {
          if (!/filter/.test(select.labels[0].textContent)) continue;
          select.selectedIndex = 0;
          select.dispatchEvent(new Event("change", { bubbles: true }));
        }
        [...document.querySelectorAll("button")].find((b) => b.textContent === "One step").click();
        """
    )
    engine.wait("/Iteration 1\\b/.test(document.querySelector('.lab-status').textContent)")
    assert engine.problems() == []
