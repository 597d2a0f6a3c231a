"""The lab's page asks why over the reader's drawing, and lets the reader fool the network."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from test_lab import (
    HOOK,
    EmptyTab,
    answer,
    choose,
    drag,
    letters,
    one_step,
    opened,
    pixels,
    prepared,
    seen,
    settle,
    use,
    watched,
)

from mnist_helpers.attribution import fewest_pixels, grad_cam, occlusion_map, pixel_gradients
from mnist_helpers.checkpoints import load_checkpoint
from mnist_helpers.network import ConvNet

pytest_plugins = ["browser", "built_site"]
expect.set_options(timeout=30_000)

LINK = f"drawing={letters(HOOK)}&network=10000"
FRAME = (0xD5, 0x5E, 0x00)


@pytest.fixture(scope="module")
def address(site: Path, serve: Callable[[Path], str]) -> str:
    return f"{serve(site)}/book/lab.html"


@pytest.fixture
def lab(empty_tab: EmptyTab, address: str) -> Iterator[Page]:
    yield from watched(empty_tab, f"{address}#{LINK}")


@pytest.fixture(scope="module")
def net() -> ConvNet:
    return load_checkpoint(10_000)


@pytest.fixture(scope="module")
def picture() -> NDArray[np.float32]:
    """The hook as the network sees it, ``[1, 784]``."""
    return prepared(HOOK).reshape(1, 784).astype(np.float32)


def why(page: Page) -> Locator:
    page.get_by_role("tab", name="Why").click()
    settle(page)
    return page.locator("[data-page=why]")


def finished(page: Page) -> None:
    """Wait until every square has been tried."""
    page.locator("[data-done='784']").wait_for()


def point(page: Page, name: str, row: int, column: int, side: int = 28) -> str:
    """Point at a number of a map: what the page says of it."""
    cell = 140 / side
    grid = page.get_by_role("grid", name=name, exact=True)
    grid.hover(position={"x": (column + 0.5) * cell, "y": (row + 0.5) * cell})
    return page.locator(".lab-readout").inner_text()


def number(text: str) -> float:
    """The last number of some words."""
    found = re.findall(r"[−+<>]?\d+(?:\.\d+)?", text)
    return float(found[-1].replace("−", "-").lstrip("<>"))


def fool(page: Page, target: int) -> Locator:
    """Let the page change pixels until it reads another digit; what it says then."""
    page.get_by_label("Make it read").select_option(str(target))
    settle(page)
    page.get_by_role("button", name="Fool it").click()
    told = page.locator(".lab-told")
    expect(told).to_contain_text("pixels, and it reads")
    settle(page)
    return told


def framed(picture: NDArray[np.uint8]) -> set[int]:
    """Pixels with a frame on the paper."""
    side = len(picture) // 28
    edge = picture[1::side, side // 2 :: side, :3]
    return {int(place) for place in np.flatnonzero((edge == FRAME).all(axis=-1))}


def on_paper(page: Page) -> set[int]:
    return framed(pixels(page.locator(".lab-retouched")))


def test_the_maps_say_tensorflows_numbers(
    lab: Page, net: ConvNet, picture: NDArray[np.float32]
) -> None:
    why(lab)
    finished(lab)
    read = int(answer(lab))
    asked = lab.get_by_label("Ask about the")
    expect(asked).to_have_value(str(read))
    for digit in (read, (read + 4) % 10):
        asked.select_option(str(digit))
        settle(lab)
        occlusion = occlusion_map(net, picture, digit)
        slopes = pixel_gradients(net, picture, [digit])[0].reshape(28, 28)
        cam = grad_cam(net, picture, [digit])[0]
        row, column = (int(at) for at in np.unravel_index(abs(slopes).argmax(), slopes.shape))
        said = point(lab, "Gradient", row, column)
        assert said.startswith(f"Row {row}, column {column}: the logit of the {digit}")
        assert number(said.removesuffix(" per unit of ink.")) == pytest.approx(
            slopes[row, column], abs=2e-3
        )
        parts = slopes * picture.reshape(28, 28)
        row, column = (int(at) for at in np.unravel_index(abs(parts).argmax(), parts.shape))
        said = point(lab, "Gradient × input", row, column)
        assert number(said) == pytest.approx(parts[row, column], abs=2e-3)
        row, column = (int(at) for at in np.unravel_index(cam.argmax(), cam.shape))
        said = point(lab, "Grad-CAM", row, column, 7)
        assert f"Row {row}, column {column} of layer 2" in said
        assert number(said) == pytest.approx(cam[row, column], abs=2e-3)
        row, column = (int(at) for at in np.unravel_index(occlusion.argmin(), occlusion.shape))
        said = point(lab, "Occlusion", row, column)
        assert number(said) == pytest.approx(100 * occlusion[row, column], abs=0.11)
        total = re.findall(r"−?\d+\.\d+", lab.get_by_text("adds up").inner_text())
        ink, biases, logit = (float(one.replace("−", "-")) for one in total)
        sign = -1 if "ink −" in lab.get_by_text("adds up").inner_text() else 1
        assert ink == pytest.approx(parts.sum(), abs=5e-3)
        assert ink + sign * biases == pytest.approx(logit, abs=2e-3)
    # With the pointer elsewhere, no number is described any longer.
    lab.get_by_role("heading", name="Fool it", exact=True).hover()
    expect(lab.locator(".lab-readout")).to_have_text("Point at a map to read its numbers.")


def test_a_map_is_read_by_keyboard(lab: Page) -> None:
    why(lab)
    finished(lab)
    grid = lab.get_by_role("grid", name="Grad-CAM")
    grid.locator("[tabindex='0']").focus()
    lab.keyboard.press("ArrowDown")
    lab.keyboard.press("ArrowRight")
    cell = lab.locator("[role=gridcell]:focus")
    expect(cell).to_have_attribute("aria-label", re.compile("^Row 1, column 1 of layer 2"))
    assert lab.locator(".lab-readout").inner_text() == cell.get_attribute("aria-label")


def test_occlusion_begins_anew_with_the_drawing_and_rests_out_of_sight(lab: Page) -> None:
    page = why(lab)
    finished(lab)
    before = pixels(page.get_by_role("grid", name="Occlusion").locator("canvas"))
    lab.evaluate(
        """() => {
          window.counts = [];
          const map = document.querySelector("[data-done]");
          new MutationObserver(() => counts.push(Number(map.dataset.done)))
            .observe(map, { attributes: true, attributeFilter: ["data-done"] });
        }"""
    )
    lab.get_by_role("button", name="Example of the digit 8").click()
    lab.wait_for_function("() => counts.at(-1) === 784")
    counts = lab.evaluate("counts")
    # In slices, with frames between them, each further on than the one before.
    restart = max(at for at, count in enumerate(counts) if count == min(counts))
    assert counts[restart] < 784 and len(counts[restart:]) > 2
    assert counts[restart:] == sorted(counts[restart:])
    after = pixels(page.get_by_role("grid", name="Occlusion").locator("canvas"))
    assert (before != after).any()
    # Left half-way, it rests, and goes on when the reader comes back.
    tried = lab.evaluate(
        """() => new Promise((done) => {
          const map = document.querySelector("[data-done]");
          const named = (text) => [...document.querySelectorAll("[role=tab]")]
            .find((tab) => tab.textContent === text);
          new MutationObserver((_, observer) => {
            const count = Number(map.dataset.done);
            if (count === 0 || count === 784) return;
            observer.disconnect();
            named("Arithmetic").click();
            done(count);
          }).observe(map, { attributes: true, attributeFilter: ["data-done"] });
          document.querySelector("[aria-label='Example of the digit 2']").click();
        })"""
    )
    assert 0 < tried < 784
    settle(lab)
    assert lab.locator("[data-done]").get_attribute("data-done") == str(tried)
    assert lab.evaluate("counts.at(-1)") == tried
    why(lab)
    finished(lab)
    counts = lab.evaluate("counts")
    assert counts[counts.index(tried) + 1] > tried


def test_the_fewest_pixels_appear_on_the_paper_and_are_taken_back(
    lab: Page, net: ConvNet, picture: NDArray[np.float32]
) -> None:
    read = int(answer(lab))
    target = (read + 2) % 10
    _, [places] = fewest_pixels(net, picture, [target])
    why(lab)
    before = seen(lab)
    told = fool(lab, target)
    article = "an" if target == 8 else "a"
    expect(told).to_have_text(f"{len(places)} pixels, and it reads {article} {target}.")
    assert answer(lab) == str(target)
    assert on_paper(lab) == set(places)
    expect(lab.locator(".lab-mark[data-kind=changed]:visible")).to_have_count(len(places))
    assert set(np.flatnonzero(abs(seen(lab) - before).ravel() > 2 / 255)) <= set(places)
    expect(lab.get_by_role("button", name="Fool it")).to_be_disabled()
    # The last one first.
    lab.get_by_role("button", name="Undo one").click()
    expect(told).to_contain_text(f"{len(places) - 1} pixels changed; so far it reads")
    settle(lab)
    assert on_paper(lab) == set(places[:-1])
    # The paper's own button does the same.
    lab.get_by_role("button", name="Undo", exact=True).click()
    expect(told).to_contain_text(f"{len(places) - 2} pixels changed")
    assert on_paper(lab) == set(places[:-2])
    lab.get_by_role("button", name="Undo all").click()
    expect(told).to_have_text(re.compile(f"^All undone: it reads an? {read}[.]$"))
    np.testing.assert_array_equal(seen(lab), before)
    expect(lab.locator(".lab-retouched")).to_be_hidden()
    expect(lab.locator(".lab-mark[data-kind=changed]:visible")).to_have_count(0)


def test_one_pixel_at_a_time_is_the_same_way(
    lab: Page, net: ConvNet, picture: NDArray[np.float32]
) -> None:
    target = (int(answer(lab)) + 5) % 10
    _, [places] = fewest_pixels(net, picture, [target])
    why(lab)
    lab.get_by_label("Make it read").select_option(str(target))
    for count in (1, 2, 3):
        lab.get_by_role("button", name="One pixel").click()
        settle(lab)
        assert on_paper(lab) == set(places[:count])
    expect(lab.locator(".lab-told")).to_contain_text("3 pixels changed; so far it reads")


def test_until_the_reader_chooses_it_is_the_runner_up_and_a_run_can_be_stopped(lab: Page) -> None:
    why(lab)
    words = lab.locator(".lab-confidence").inner_text()
    match = re.search(r"next comes (\d)", words)
    assert match is not None
    expect(lab.get_by_label("Make it read")).to_have_value(match[1])
    lab.get_by_label("Make it read").select_option("0")
    lab.get_by_role("button", name="Fool it").click()
    lab.get_by_role("button", name="Stop").click()
    told = lab.locator(".lab-told")
    expect(told).to_contain_text("changed; so far it reads")
    count = len(on_paper(lab))
    assert told.inner_text().startswith(f"{count} pixel")
    # Another digit begins again from the drawing, and says so.
    lab.get_by_label("Make it read").select_option("4")
    expect(told).to_contain_text("the search for a 4 starts from your drawing")
    expect(lab.locator(".lab-retouched")).to_be_hidden()
    read = answer(lab)
    lab.get_by_label("Make it read").select_option(read)
    expect(lab.get_by_text("already: choose another digit")).to_be_visible()
    expect(lab.get_by_role("button", name="One pixel")).to_be_disabled()


@pytest.mark.parametrize("change", ["a stroke", "Clear", "an example", "a photograph"])
def test_another_picture_takes_the_changes_away_and_says_so(
    lab: Page, net: ConvNet, change: str
) -> None:
    why(lab)
    told = fool(lab, 3)
    if change == "a stroke":
        drag(lab, [(60, 130), (150, 130)])
    elif change == "Clear":
        lab.get_by_role("button", name="Clear").click()
    elif change == "an example":
        lab.get_by_role("button", name="Example of the digit 5").click()
    else:
        drawn = Image.fromarray(np.uint8(255 * (1 - prepared([[(30, 30), (128, 220)]]))))
        file = io.BytesIO()
        drawn.resize((280, 280)).save(file, "png")
        lab.locator(".lab-photo-file input").set_input_files(
            {"name": "one.png", "mimeType": "image/png", "buffer": file.getvalue()}
        )
    expect(told).to_have_text("A new picture: the changed pixels went with the old one.")
    expect(lab.locator(".lab-retouched")).to_be_hidden()
    expect(lab.get_by_role("button", name="Undo all")).to_be_disabled()
    if change == "a stroke":
        strokes = [*HOOK, [(60, 130), (150, 130)]]
        np.testing.assert_allclose(seen(lab), prepared(strokes), atol=2 / 255)


def test_another_network_keeps_the_pixels(lab: Page) -> None:
    why(lab)
    told = fool(lab, 3)
    places = on_paper(lab)
    use(lab, "1000")
    still = f"Your digit still has {len(places)} pixels changed."
    expect(told).to_have_text(f"The network has changed. {still}")
    assert on_paper(lab) == places
    finished(lab)
    lab.get_by_role("button", name="Undo all").click()
    np.testing.assert_allclose(seen(lab), prepared(HOOK), atol=2 / 255)


def test_a_link_leaves_the_changed_pixels_out_and_says_so(lab: Page) -> None:
    why(lab)
    fool(lab, 3)
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.get_by_role("button", name="Copy a link").click()
    expect(lab.locator(".lab-link-told")).to_contain_text("It leaves out the changed pixels.")
    link = lab.evaluate("navigator.clipboard.readText()")
    assert letters(HOOK) in link


def test_a_blank_paper_and_other_networks(lab: Page) -> None:
    page = why(lab)
    lab.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("The paper is empty: draw a digit, and four maps")).to_be_visible()
    expect(page.get_by_role("grid")).to_have_count(0)
    for name in ("Fool it", "One pixel", "Undo one", "Undo all"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    assert "NaN" not in page.inner_text()
    lab.get_by_role("button", name="Example of the digit 7").click()
    use(lab, "0")
    finished(lab)
    assert "NaN" not in page.inner_text()
    choose(lab, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    lab.get_by_label("max-pooling").uncheck()
    one_step(lab)
    expect(lab.get_by_label("yours (1)")).to_be_checked()
    why(lab)
    finished(lab)
    assert number(point(lab, "Grad-CAM", 3, 3, 7)) >= 0
    lab.get_by_role("button", name="One pixel").click()
    expect(lab.locator(".lab-told")).to_contain_text("1 pixel")
    assert len(on_paper(lab)) == 1


def test_for_readers_who_want_less_motion_pixels_appear_without_waiting(
    lab: Page, net: ConvNet, picture: NDArray[np.float32]
) -> None:
    lab.emulate_media(reduced_motion="reduce")
    target = (int(answer(lab)) + 2) % 10
    _, [places] = fewest_pixels(net, picture, [target])
    why(lab)
    fool(lab, target)
    assert on_paper(lab) == set(places)
    assert lab.evaluate(
        "document.getAnimations().filter((a) => a.effect.target.closest('.lab')).length"
    ) == 0  # fmt: skip


def test_the_page_has_room_and_no_barrier(lab: Page, axe: Callable[..., list[str]]) -> None:
    lab.set_viewport_size({"width": 1280, "height": 800})
    settle(lab)
    stage = lab.locator(".lab-stage").bounding_box()
    page = why(lab)
    fool(lab, 3)
    finished(lab)
    assert lab.locator(".lab-stage").bounding_box() == stage
    room = page.evaluate("(e) => [e.scrollHeight - e.clientHeight, e.scrollWidth - e.clientWidth]")
    assert room == [0, 0]
    for scheme in ("light", "dark"):
        lab.emulate_media(color_scheme=scheme)
        expect(lab.locator("html")).to_have_attribute("data-theme", scheme)
        assert axe(lab) == [], scheme
    for width in (320, 390, 640, 1066, 1600):
        lab.set_viewport_size({"width": width, "height": 844})
        settle(lab)
        assert lab.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("(e) => e.scrollWidth - e.clientWidth") == 0, width
        ends = lab.locator(".lab-tab").evaluate_all(
            "(all) => all.map((tab) => tab.getBoundingClientRect().right)"
        )
        assert max(ends) <= width
    lab.set_viewport_size({"width": 390, "height": 844})
    settle(lab)
    assert axe(lab) == []


def test_on_a_phone_the_sheet_holds_the_maps(chromium: Browser, address: str) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), f"{address}#{LINK}&cell=pool2.3.3.5")
    why(page)
    finished(page)
    grid = page.get_by_role("grid", name="Occlusion")
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + 62.5, box["y"] + 52.5)
    readout = page.locator(".lab-readout")
    expect(readout).to_contain_text("Row 10, column 12")
    expect(readout).to_be_in_viewport(ratio=1)
    targets = page.locator("[data-page=why] button, .lab-tab").evaluate_all(
        """(all) => all.map((one) => one.getBoundingClientRect())
          .filter(({ width, height }) => width < 24 || height < 24).length"""
    )
    assert targets == 0
    context.close()


def test_the_chapter_is_one_click_away(lab: Page) -> None:
    why(lab).get_by_role("link", name="Ask it why, then fool it").click()
    expect(lab.get_by_role("heading", level=1)).to_contain_text("Ask it why, then fool it")
