"""The lab's first look: a small copy of the network, with the same guesses and few bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import lab_data
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, Route, expect
from site_pages import Page as BuiltPage
from site_pages import wire_size

from mnist_helpers import load_checkpoint
from mnist_helpers.data import Mnist

pytest_plugins = ["browser", "built_site"]
expect.set_options(timeout=30_000)

# Beyond the theme's files, in bytes on the wire.
MOST = 260_000
# Of 16, 36, … outputs of float32 steps, and the weights in steps: a byte each, deflated.
MOST_SMALL = 180_000


@pytest.fixture(scope="module")
def address(site: Path, serve: Callable[[Path], str]) -> str:
    return f"{serve(site)}/book/lab.html"


@pytest.fixture(scope="module")
def core(chromium: Browser, address: str) -> Iterator[Page]:
    """A page in which ``lab`` is the lab without its page."""
    page = chromium.new_page()
    page.goto(address.replace("lab.html", "references.html"))
    page.evaluate("async () => { window.lab = await import('/_static/lab/core.js'); }")
    yield page
    page.close()


@pytest.mark.needs_mnist
def test_the_small_copy_gives_the_same_guess_on_a_thousand_test_digits(
    core: Page, mnist: Mnist
) -> None:
    rows = np.arange(lab_data.NUM_TEST) * len(mnist.test) // lab_data.NUM_TEST
    images = mnist.test.images[rows]
    exact = load_checkpoint(10_000)(images).numpy()
    as_bytes = np.rint(images * 255).astype(np.uint8).tobytes().hex()
    found = core.evaluate(
        """async (hex) => {
          const small = await lab.loadSmall(10000);
          const engine = await lab.Engine.load();
          const bytes = Uint8Array.from(hex.match(/../g), (pair) => Number.parseInt(pair, 16));
          return Array.from({ length: bytes.length / 784 }, (_, i) => Array.from(
            engine.forward(lab.BOOK, small,
              Float32Array.from(bytes.subarray(784 * i, 784 * (i + 1)), (byte) => byte / 255)
            ).logits));
        }""",
        as_bytes,
    )
    np.testing.assert_array_equal(np.argmax(found, axis=1), exact.argmax(axis=1))
    assert np.abs(np.array(found) - exact).max() < 0.25


@pytest.mark.parametrize("iterations", [0, 10_000])
def test_a_small_weight_is_at_most_half_a_step_off(core: Page, iterations: int) -> None:
    net = load_checkpoint(iterations)
    for name, bits in {"conv1/weights": None, "fc2/biases": None, **lab_data.BITS}.items():
        weights = net.weights[name].numpy()
        found = core.evaluate(
            "async ([name, n]) => Array.from((await lab.loadSmall(n))[name])", [name, iterations]
        )
        difference = np.abs(np.reshape(found, weights.shape) - weights)
        if bits is None:
            assert difference.max() == 0
            continue
        largest = np.abs(weights).max(axis=tuple(range(weights.ndim - 1)))
        assert (difference <= 0.501 * largest / (2 ** (bits - 1) - 1)).all()
        assert difference.max() > 0


def test_the_first_look_is_light(context: BrowserContext, address: str, site: Path) -> None:
    """All that the page loads until it reads, but for the files that every page has."""
    theme = BuiltPage(site / "book" / "references.html", site)
    shared = {path.name for path in map(theme.file, theme.resources())}
    held: list[Route] = []
    context.route("**/checkpoints/*", lambda route: held.append(route))
    page = context.new_page()
    loaded: list[Path] = []

    def answered(response: Response) -> None:
        path = site / response.url.split("/", 3)[3].partition("?")[0].partition("#")[0]
        if path.name not in shared:
            loaded.append(path)

    page.on("response", answered)
    page.goto(address)
    page.locator("html[data-lab]:not([data-lab-intro])").wait_for(state="attached")
    expect(page.locator(".lab-digit")).to_have_text("3")
    names = {path.name for path in loaded}
    assert {"lab.html", "lab.js", "lab.css", "network.wasm"} <= names
    assert (site / "_static" / "lab" / "small" / "10000.bin") in loaded
    sizes = {path.name: wire_size(path) for path in loaded if path.is_file()}
    assert sum(sizes.values()) < MOST, sizes
    assert sizes["10000.bin"] < MOST_SMALL


def test_arithmetic_waits_for_the_exact_numbers(
    context: BrowserContext, address: str, axe: Callable[[Page], list[str]]
) -> None:
    held: list[Route] = []
    context.route("**/checkpoints/10000.bin", lambda route: held.append(route))
    page = context.new_page()
    page.goto(address)
    page.locator("html[data-lab]:not([data-lab-intro])").wait_for(state="attached")
    note = page.get_by_text("exact numbers are on their way")
    expect(note).to_be_visible()
    before = page.locator(".lab-stage").bounding_box()
    page.locator("[data-layer=pictures2] canvas").click()
    for tab in ("Change", "Arithmetic"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator("[data-page=arithmetic], [data-page=change]").first).to_be_hidden()
        expect(note).to_be_visible()
    sign = "(one) => getComputedStyle(one, '::before').content"
    assert json.loads(page.locator(".lab-logit").first.evaluate(sign)) == "≈"
    assert axe(page) == []
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    page.locator("#lab[data-exact]").wait_for()
    expect(note).to_be_hidden()
    expect(page.locator("[data-page=arithmetic] .lab-result").first).to_be_visible()
    assert page.locator(".lab-logit").first.evaluate(sign) == "none"
    assert page.locator(".lab-stage").bounding_box() == before


def test_a_damaged_copy_is_left_for_the_whole_one(context: BrowserContext, address: str) -> None:
    def spoil(route: Route) -> None:
        body = bytearray(route.fetch().body())
        body[len(body) // 2] ^= 1
        route.fulfill(body=bytes(body))

    context.route("**/small/*", spoil)
    page = context.new_page()
    page.goto(address)
    page.locator("html[data-lab] #lab[data-exact]").wait_for()
    expect(page.locator(".lab-digit")).to_have_text("3")
    expect(page.locator(".lab-message")).to_have_count(0)
