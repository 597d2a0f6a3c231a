"""The lab's page in a real browser: what a reader does there, and what the page shows."""

from __future__ import annotations

import base64
import json
import re
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import (
    Browser,
    BrowserContext,
    CDPSession,
    FloatRect,
    Locator,
    Page,
    Route,
    expect,
)

from mnist_helpers import quiet
from mnist_helpers.checkpoints import CHECKPOINT_ITERATIONS, load_checkpoint
from mnist_helpers.network import ConvNet

with quiet():
    import tensorflow as tf

pytest_plugins = ["browser", "built_site"]
# Not a claim about speed: a machine that runs other tests at the same time is slow.
expect.set_options(timeout=30_000)

Stroke = list[tuple[int, int]]
Numbers = NDArray[np.float64]
EmptyTab = Callable[[], tuple[Page, list[str]]]

# A tall hook: no reader would take it for anything but a 1 or a 7.
HOOK: list[Stroke] = [[(90, 60), (150, 40)], [(150, 40), (140, 130), (128, 215)]]


# --- The page -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(site: Path, serve: Callable[[Path], str]) -> str:
    """The lab's address."""
    return f"{serve(site)}/book/lab.html"


def opened(page: Page, address: str) -> Page:
    """Open the lab and wait until it has drawn its first picture."""
    page.goto(address)
    page.locator("html[data-lab]:not([data-lab-intro])").wait_for(state="attached")
    # The first look is a small copy of the network.
    page.locator("#lab[data-exact]:not([aria-busy])").wait_for(state="attached")
    settle(page)
    return page


def settle(page: Page) -> None:
    """Wait until what was asked for is drawn.

    Two frames, for the page draws in the next one; the words for what has the focus come a moment
    later.
    """
    page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    page.locator("#lab:not([data-unfinished])").wait_for(state="attached")


def watched(empty_tab: EmptyTab, address: str) -> Iterator[Page]:
    """The open lab. Whatever a test does there: no error, and no request that fails."""
    page, problems = empty_tab()
    page.emulate_media(reduced_motion="no-preference")
    yield opened(page, address)
    assert problems == []


@pytest.fixture
def lab(empty_tab: EmptyTab, address: str) -> Iterator[Page]:
    yield from watched(empty_tab, address)


def answer(page: Page) -> str:
    """The digit that the page says it reads; a dash for an empty paper."""
    settle(page)
    return page.locator(".lab-digit").inner_text()


def values(found: Locator) -> Numbers:
    """The unrounded numbers behind what elements show."""
    texts = found.evaluate_all("(all) => all.map((one) => one.dataset.value)")
    return np.array([float(text) for text in texts])


def logits(page: Page) -> Numbers:
    settle(page)
    return values(page.locator(".lab-score"))


def layer_of(page: Page, name: str) -> Locator:
    """A layer's pictures: input, filters, pictures1, pictures2, fc1."""
    return page.locator(f".lab-stage [data-layer={name}]")


def heading(page: Page, text: str) -> Locator:
    """The line above a layer, with its colours' legend."""
    return page.locator(".lab-heading", has_text=text)


def title(page: Page) -> Locator:
    """What the dock says that it shows."""
    return page.locator(".lab-dock-title:visible h2")


def arithmetic(page: Page) -> Locator:
    return page.locator("[data-page=arithmetic]")


def head(page: Page) -> Locator:
    return page.locator(".lab-dock-head")


def pixels(canvas: Locator) -> NDArray[np.uint8]:
    """A canvas as ``[height, width, 4]``."""
    data = canvas.evaluate(
        """(canvas) => {
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          return [height, width, btoa(Array.from(data, (b) => String.fromCharCode(b)).join(""))];
        }"""
    )
    bytes_ = np.frombuffer(base64.b64decode(data[2]), np.uint8)
    return bytes_.reshape(data[0], data[1], 4)


def seen(page: Page) -> Numbers:
    """What the network sees, read from the picture: ``[28, 28]``, in steps of 1/255."""
    settle(page)
    picture = pixels(layer_of(page, "input").locator("canvas"))
    zoom = len(picture) // 28
    return 1 - picture[zoom // 2 :: zoom, zoom // 2 :: zoom, 0] / 255


def use(page: Page, network: str) -> None:
    """Choose a network as with the mouse."""
    page.locator(f"label:has(input[name=lab-network][value='{network}'])").click()
    expect(page.locator(f"input[name=lab-network][value='{network}']")).to_be_checked()
    settle(page)
    expect(page.locator("#lab")).not_to_have_attribute("aria-busy", "true")
    settle(page)


# --- Links, written and read here once more -------------------------------------------------


def in_letters(content: bytes) -> str:
    """Bytes as a link holds them: a version, the bytes, Fletcher's checksum."""
    content = b"\x01" + content
    first = second = 0
    for byte in content:
        first = (first + byte) % 255
        second = (second + first) % 255
    return base64.urlsafe_b64encode(bytes([*content, first, second])).decode().rstrip("=")


def letters(strokes: list[Stroke]) -> str:
    """Strokes as a link holds them: counts and points."""
    content: list[int] = []
    for stroke in strokes:
        content += [len(stroke), *(value for point in stroke for value in point)]
    return in_letters(bytes(content))


def silenced(layer: int, filter_: int) -> bytes:
    """A silenced filter, as a link tells of it."""
    return bytes([0, layer, filter_])


def biased(layer: int, filter_: int, value: float) -> bytes:
    """A changed bias, as a link tells of it."""
    return bytes([1, layer, filter_]) + struct.pack("<f", value)


def rewritten(layer: int, filter_: int, channel: int, numbers: list[float]) -> bytes:
    """A small filter's new numbers, as a link tells of them."""
    head = bytes([2, layer, filter_, channel, len(numbers)])
    return head + struct.pack(f"<{len(numbers)}f", *numbers)


def rest(page: Page) -> None:
    """Wait until the page has done what it leaves until its reader pauses for 300 ms.

    By the page's clock: where the machine is busy, a timer comes late, but never after another
    that was set later and for longer.
    """
    page.evaluate("() => new Promise((done) => setTimeout(done, 400))")


def strokes_of(page: Page) -> list[Stroke]:
    """The strokes that the page's own link holds."""
    page.wait_for_function("() => location.hash.startsWith('#drawing=')")
    rest(page)
    fragment = page.evaluate("() => location.hash")
    text = re.split(r"[=&]", fragment)[1]
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    strokes, at = [], 1
    while at < len(content) - 2:
        count = content[at]
        flat = content[at + 1 : at + 1 + 2 * count]
        strokes.append(list(zip(flat[::2], flat[1::2], strict=True)))
        at += 1 + 2 * count
    return strokes


def go(page: Page, fragment: str) -> None:
    """Follow a link to the page that is already open."""
    page.evaluate(
        """(fragment) => new Promise((done) => {
          const before = location.href;
          addEventListener("hashchange", () => done(), { once: true });
          location.hash = fragment;
          if (location.href === before) done();
        })""",
        fragment,
    )
    settle(page)
    expect(page.locator("#lab")).not_to_have_attribute("aria-busy", "true")
    settle(page)


# --- The preparation of MNIST, by another way than the page's --------------------------------


def prepared(strokes: list[Stroke]) -> Numbers:
    """The picture ``[28, 28]`` that the network should see of some strokes."""
    axis = np.arange(128) + 0.5
    x, y = np.meshgrid(axis, axis)
    scan = np.zeros((128, 128))
    for stroke in strokes:
        points = [np.array(point) / 2 for point in stroke]
        for start, end in zip(points[:1] + points[:-1], points, strict=True):
            way = end - start
            square = way @ way
            along = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / (square or 1)
            along = np.clip(along, 0, 1) if square else np.zeros_like(x)
            far = np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])
            scan = np.maximum(scan, np.clip(5.5 + 0.5 - far, 0, 1))
    image = np.zeros((28, 28))
    rows, columns = (np.flatnonzero((scan >= 0.5).any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return image
    scan = scan[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    step = max(scan.shape) / 20
    for axis in (0, 1):
        # The mean over a stretch is the difference of the integral at its two ends.
        length = scan.shape[axis]
        edges = np.minimum(np.arange(int(np.ceil(length / step - 1e-9)) + 1) * step, length)
        integral = np.insert(np.cumsum(scan, axis), 0, 0, axis)
        places = np.arange(length + 1)
        at_edges = np.apply_along_axis(partial(np.interp, edges, places), axis, integral)
        scan = np.diff(at_edges, axis=axis) / step
    mass = scan.sum()
    corner = []
    for axis in (0, 1):
        middle = (scan.sum(axis=1 - axis) * np.arange(scan.shape[axis])).sum() / mass
        corner.append(min(max(14 - int(np.floor(middle + 0.5)), 0), 28 - scan.shape[axis]))
    top, left = corner
    image[top : top + scan.shape[0], left : left + scan.shape[1]] = np.minimum(scan, 1)
    return image


def layers(net: ConvNet, image: Numbers) -> dict[str, Numbers]:
    """What TensorFlow gives for a picture, by the page's names for the layers."""
    flat = image.reshape(1, 784).astype(np.float32)
    out = net.activations(flat)
    conv1 = tf.nn.conv2d(flat.reshape(1, 28, 28, 1), net.conv1.weights, 1, "SAME")
    conv2 = tf.nn.conv2d(out["layer_conv1"], net.conv2.weights, 1, "SAME")
    return {
        "input": image,
        "conv1": (conv1 + net.conv1.biases).numpy()[0],
        "pool1": out["layer_conv1"][0],
        "conv2": (conv2 + net.conv2.biases).numpy()[0],
        "pool2": out["layer_conv2"][0],
        "flat": out["layer_flat"][0],
        "fc1": out["layer_fc1"][0],
        "logits": out["logits"][0],
        "probabilities": out["probabilities"][0],
    }


def predicted(net: ConvNet, image: Numbers) -> str:
    return str(layers(net, image)["logits"].argmax())


@pytest.fixture(scope="module")
def nets() -> dict[int, ConvNet]:
    return {iterations: load_checkpoint(iterations) for iterations in CHECKPOINT_ITERATIONS}


# --- Drawing --------------------------------------------------------------------------------


def drag(page: Page, points: Stroke) -> None:
    """Draw on the paper with the mouse; points in the paper's 256 units."""
    box = page.locator(".lab-paper").bounding_box()
    assert box is not None
    places = [
        (box["x"] + x / 256 * box["width"], box["y"] + y / 256 * box["height"]) for x, y in points
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def scribble(page: Page, points: Stroke) -> None:
    """Draw one stroke of many points: the browser hands them over all at once, as it may."""
    box = page.locator(".lab-paper").bounding_box()
    assert box is not None
    page.evaluate(
        """() => document.querySelector(".lab-paper").addEventListener(
          "pointerdown", (event) => { window.pointer = event.pointerId }, { once: true })"""
    )
    x, y = points[0]
    page.mouse.move(box["x"] + x / 256 * box["width"], box["y"] + y / 256 * box["height"])
    page.mouse.down()
    page.evaluate(
        """(points) => {
          const paper = document.querySelector(".lab-paper");
          const box = paper.getBoundingClientRect();
          const at = ([x, y]) => ({
            pointerId: window.pointer,
            clientX: box.left + x / 256 * box.width,
            clientY: box.top + y / 256 * box.height,
          });
          const coalescedEvents = points.map((point) => new PointerEvent("pointermove", at(point)));
          paper.dispatchEvent(
            new PointerEvent("pointermove", { ...at(points.at(-1)), coalescedEvents }));
        }""",
        [list(point) for point in points[1:]],
    )
    page.mouse.up()


def zigzag(count: int) -> Stroke:
    """A stroke of so many points, each far enough from the one before to be kept."""
    return [(20 + (7 * i) % 210, 20 + (7 * i) // 210 % 50 * 4) for i in range(count)]


def touch(page: Page, session: CDPSession, kind: str, *places: tuple[int, int]) -> None:
    """Put fingers on the paper, move or lift them; places in the paper's 256 units."""
    box = page.locator(".lab-paper").bounding_box()
    assert box is not None
    points = [
        {
            "x": box["x"] + x / 256 * box["width"],
            "y": box["y"] + y / 256 * box["height"],
            "id": finger,
        }
        for finger, (x, y) in enumerate(places)
    ]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_every_example_is_read_as_the_digit_that_it_shows(
    lab: Page, nets: dict[int, ConvNet]
) -> None:
    for digit in range(10):
        lab.get_by_role("button", name=f"Example of the digit {digit}").click()
        assert answer(lab) == str(digit) == predicted(nets[10_000], seen(lab))


def test_a_digit_drawn_with_the_mouse_is_prepared_as_mnist_was_and_read(
    lab: Page, nets: dict[int, ConvNet]
) -> None:
    lab.get_by_role("button", name="Clear").click()
    assert answer(lab) == "–"
    assert seen(lab).max() == 0
    for stroke in HOOK:
        drag(lab, stroke)
    drawn = strokes_of(lab)
    assert len(drawn) == len(HOOK)
    for stroke, wanted in zip(drawn, HOOK, strict=True):
        assert np.abs(np.array([stroke[0], stroke[-1]]) - [wanted[0], wanted[-1]]).max() <= 4
    image = prepared(drawn)
    np.testing.assert_allclose(seen(lab), image, atol=0.51 / 255)
    assert answer(lab) == predicted(nets[10_000], image)


def everything(page: Page) -> list[list[float]]:
    """Where all that can be seen of the lab stands; a chosen number's marks are no part of it."""
    places: list[list[float]] = page.evaluate(
        """() => [...document.querySelectorAll(
            "#lab, .lab-stage > :not(svg, .lab-heading), .lab-row, .lab-dock, .lab-bar-row > *")]
          .filter((one) => one.checkVisibility() && !one.matches(".lab-sliding"))
          .map((one) => one.getBoundingClientRect())
          .map(({ x, y, width, height }) => [x, y, width, height])"""
    )
    return places


def test_the_first_stroke_takes_the_examples_place_and_moves_nothing(lab: Page) -> None:
    before = everything(lab)
    # Whatever moves, but for the digits of a number that gets longer or shorter.
    shift = """() => {
      window.shifts = [];
      const elementOf = (node) => node?.nodeType === 1 ? node : node?.parentElement;
      new PerformanceObserver((list) => {
        for (const { sources } of list.getEntries())
          for (const { node } of sources) {
            const moved = elementOf(node);
            if (moved && !moved.closest(".lab-row, .lab-answer, .lab-heading"))
              shifts.push(moved.outerHTML.slice(0, 100));
          }
      }).observe({ type: "layout-shift" });
    }"""
    lab.evaluate(shift)
    drag(lab, HOOK[0])
    drawn = strokes_of(lab)
    assert len(drawn) == 1
    np.testing.assert_allclose(seen(lab), prepared(drawn), atol=0.51 / 255)
    assert everything(lab) == before
    # The help comes with a key, and lies over what stands below.
    keys = lab.get_by_text("By keyboard: arrow keys move the pen")
    assert keys.evaluate("(e) => e.getBoundingClientRect().width") <= 1
    lab.keyboard.press("ArrowDown")
    assert keys.evaluate("(e) => e.getBoundingClientRect().width") > 100
    drag(lab, HOOK[1])
    assert len(strokes_of(lab)) == 2
    assert everything(lab) == before
    assert lab.evaluate("shifts") == []


def test_the_example_draws_itself_until_the_reader_draws(
    context: BrowserContext, address: str
) -> None:
    page = context.new_page()
    # How much ink there is in each frame, from the first on.
    page.add_init_script(
        """window.ink = [];
        const look = () => {
          const canvas = document.querySelector("[data-layer=input] canvas");
          if (canvas && document.documentElement.dataset.labIntro !== undefined) {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            let ink = 0;
            for (let i = 0; i < data.length; i += 4) ink += 255 - data[i];
            window.ink.push(ink);
          }
          requestAnimationFrame(look);
        };
        requestAnimationFrame(look);"""
    )
    opened(page, address)
    assert answer(page) == "3"
    assert len(set(page.evaluate("ink"))) >= 3
    # Another one begins, and is not over when the reader draws.
    page.goto("about:blank")
    page.goto(address)
    page.locator("html[data-lab-intro]").wait_for(state="attached")
    drag(page, HOOK[1])
    page.locator("html:not([data-lab-intro])").wait_for(state="attached")
    (stroke,) = strokes_of(page)
    assert abs(stroke[0][0] - HOOK[1][0][0]) <= 4


def test_a_finger_draws(chromium: Browser, address: str) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), address)
    page.get_by_role("button", name="Clear").click()
    page.locator(".lab-paper").scroll_into_view_if_needed()
    box = page.locator(".lab-paper").bounding_box()
    assert box is not None
    before = page.evaluate("scrollY")
    touch = context.new_cdp_session(page)
    for kind, y in [("touchStart", 0.2), *(("touchMove", 0.2 + i / 20) for i in range(1, 13))]:
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + y * box["height"]}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    (stroke,) = strokes_of(page)
    xs, ys = np.array(stroke).T
    assert np.ptp(xs) <= 2
    assert np.ptp(ys) == pytest.approx(0.6 * 256, abs=8)
    # The finger drew: it did not move the page.
    assert page.evaluate("scrollY") == before
    assert answer(page) == "1"
    context.close()


def test_the_keyboard_draws_and_takes_back(lab: Page) -> None:
    lab.get_by_role("button", name="Clear").click()
    paper = lab.get_by_role("application", name="Drawing paper")
    paper.focus()
    for key in ["ArrowLeft"] * 2 + ["Space"] + ["ArrowDown"] * 15 + ["Shift+ArrowRight", "Space"]:
        lab.keyboard.press(key)
    assert strokes_of(lab) == [[(112, 64 + 8 * step) for step in range(16)] + [(114, 184)]]
    assert answer(lab) == "1"

    lab.keyboard.press("ArrowRight")
    lab.keyboard.press("Space")
    lab.keyboard.press("ArrowRight")
    lab.keyboard.press("Space")
    assert len(strokes_of(lab)) == 2
    lab.keyboard.press("Backspace")
    assert len(strokes_of(lab)) == 1
    lab.keyboard.press("Delete")
    assert answer(lab) == "–"


def test_the_keyboard_never_leaves_the_paper(lab: Page) -> None:
    lab.get_by_role("button", name="Clear").click()
    lab.locator(".lab-paper").focus()
    for key in ["Space"] + ["ArrowLeft"] * 20 + ["ArrowUp"] * 20:
        lab.keyboard.press(key)
    lab.keyboard.press("Space")
    (stroke,) = strokes_of(lab)
    assert stroke[-1] == (0, 0)


def test_a_long_stroke_is_kept_to_its_end_and_in_its_link(
    context: BrowserContext, lab: Page
) -> None:
    lab.get_by_role("button", name="Clear").click()
    wanted = zigzag(2_300)
    scribble(lab, wanted)
    drawn = [point for piece in strokes_of(lab) for point in piece]
    drawn = [point for i, point in enumerate(drawn) if i == 0 or point != drawn[i - 1]]
    assert len(drawn) == len(wanted)
    assert np.abs(np.array(drawn) - wanted).max() <= 1
    other = opened(context.new_page(), lab.url)
    np.testing.assert_array_equal(seen(other), seen(lab))
    # In the link it lies in pieces; to the reader it is one stroke.
    other.get_by_role("button", name="Undo", exact=True).click()
    assert answer(other) == "–"


def test_a_drawing_too_long_for_an_address_stays_and_the_reader_hears_of_it(lab: Page) -> None:
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.get_by_role("button", name="Clear").click()
    scribble(lab, zigzag(40_000))
    expect(lab.get_by_text("now too long for a link")).to_be_visible()
    before = seen(lab)
    assert lab.evaluate("location.hash") == "#network=10000"
    lab.get_by_role("button", name="Copy a link").click()
    expect(lab.get_by_text("It leaves out the drawing")).to_be_visible()
    drag(lab, HOOK[0])
    rest(lab)
    lab.get_by_role("button", name="Undo", exact=True).click()
    np.testing.assert_array_equal(seen(lab), before)
    rest(lab)
    lab.get_by_role("button", name="Undo", exact=True).click()
    assert strokes_of(lab) == []
    expect(lab.get_by_text("now too long for a link")).to_have_count(0)
    scribble(lab, zigzag(2_000))
    lab.get_by_role("button", name="Copy a link").click()
    expect(lab.get_by_text("some programs cut short a link of that length")).to_be_visible()
    lab.context.clear_permissions()


def scaled(strokes: list[Stroke], share: float) -> list[Stroke]:
    """Strokes on a smaller piece of the paper."""
    return [[(round(x * share) + 60, round(y * share) + 60) for x, y in line] for line in strokes]


def test_a_tiny_digit_gets_a_hint_once_the_pen_rests(
    context: BrowserContext, address: str, axe: Callable[[Page], list[str]]
) -> None:
    context.clock.install()
    page = opened(context.new_page(), address)
    hint = page.locator(".lab-small")
    page.get_by_role("button", name="Clear").click()
    paper = page.locator(".lab-paper")
    box = paper.bounding_box()
    assert box is not None
    first, second = scaled(HOOK, 1 / 8)
    drag(page, first)
    page.mouse.move(
        box["x"] + second[0][0] / 256 * box["width"], box["y"] + second[0][1] / 256 * box["height"]
    )
    page.mouse.down()
    page.clock.run_for(5_000)
    page.mouse.move(
        box["x"] + second[2][0] / 256 * box["width"], box["y"] + second[2][1] / 256 * box["height"]
    )
    page.clock.run_for(5_000)
    expect(hint).to_be_empty()
    page.mouse.up()
    page.clock.run_for(1_000)
    expect(hint).to_contain_text("Draw it larger")
    # The hook and the pen's width are about 44 of the paper's units high.
    told = re.search(r"(\d+) pixels wide", hint.inner_text())
    assert told is not None and abs(int(told[1]) - 20 * 22 / 44) <= 1
    assert hint.get_attribute("role") == "status"
    # The paper stays where it is, under the pen.
    assert paper.bounding_box() == box
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        assert axe(page) == []
    drag(page, HOOK[1])
    page.clock.run_for(1_000)
    expect(hint).to_be_empty()


@pytest.mark.parametrize(
    ("strokes", "is_tiny"),
    [
        ([], False),
        (HOOK, False),
        (scaled(HOOK, 0.5), False),
        ([[(128, 128)]], True),  # a dot
        (scaled(HOOK, 0.125), True),
        (
            [[(x + 110, y - 60) for x, y in line] for line in scaled(HOOK, 0.125)],
            True,
        ),  # at an edge
        ([[(8, 128), (250, 131), (8, 134), (250, 137)]], False),  # wide and flat
        ([[(0, 30), (0, 220)]], False),  # half of the pen beside the paper
    ],
)
def test_the_hint_is_for_tiny_digits_alone(
    context: BrowserContext, address: str, strokes: list[Stroke], is_tiny: bool
) -> None:
    context.clock.install()
    page = opened(context.new_page(), f"{address}#drawing={letters(strokes)}")
    page.clock.run_for(1_000)
    expect(page.locator(".lab-small")).to_have_text(
        re.compile("Draw it larger" if is_tiny else "^$")
    )


def test_a_second_finger_leaves_the_first_ones_stroke_alone(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), address)
    page.get_by_role("button", name="Clear").click()
    page.locator(".lab-paper").scroll_into_view_if_needed()
    session = context.new_cdp_session(page)
    touch(page, session, "touchStart", (60, 40))
    touch(page, session, "touchStart", (60, 40), (200, 40))
    for y in range(50, 210, 10):
        touch(page, session, "touchMove", (60, y), (200, y))
    touch(page, session, "touchEnd")
    (stroke,) = strokes_of(page)
    assert np.ptp(np.array(stroke), axis=0) == pytest.approx([0, 160], abs=3)

    # What the browser takes away is kept as far as it came, and the next stroke begins.
    touch(page, session, "touchStart", (200, 40))
    touch(page, session, "touchMove", (200, 120))
    touch(page, session, "touchCancel")
    touch(page, session, "touchStart", (100, 200))
    touch(page, session, "touchMove", (160, 200))
    touch(page, session, "touchEnd")
    assert len(strokes_of(page)) == 3
    context.close()


def test_a_pen_that_leaves_the_paper_and_comes_back_draws_on(lab: Page) -> None:
    lab.get_by_role("button", name="Clear").click()
    drag(lab, [(200, 60), (330, 60), (330, 160), (200, 160)])
    (stroke,) = strokes_of(lab)
    points = np.array(stroke)
    assert points[-1] == pytest.approx([200, 160], abs=3)
    assert points.max() == 255

    # A browser may take the pointer away without a word more.
    lab.evaluate(
        """() => { const paper = document.querySelector(".lab-paper");
          paper.addEventListener("pointermove",
            (event) => paper.releasePointerCapture(event.pointerId), { once: true }) }"""
    )
    drag(lab, [(40, 40), (40, 200)])
    drag(lab, [(100, 40), (100, 200)])
    *_, last = strokes_of(lab)
    assert np.array(last)[:, 0] == pytest.approx(100, abs=2)
    assert last[-1][1] == pytest.approx(200, abs=3)


@pytest.mark.parametrize(
    "strokes",
    [
        HOOK,
        [[(128, 128)]],  # a dot
        [[(0, 0), (255, 235)]],  # from edge to edge, where the pen hangs over
        [[(10, 128), (250, 128)]],  # a wide stroke: proportions are kept
        [[(40, 20), (40, 240)], [(40, 240), (230, 240)]],  # most of its mass in a corner
        [[(200, 200), (204, 216), (212, 200)]],  # tiny, and not in the middle
    ],
    ids=["hook", "dot", "diagonal", "wide", "corner", "tiny"],
)
def test_drawings_are_scaled_and_centred_as_mnist_was(lab: Page, strokes: list[Stroke]) -> None:
    go(lab, f"drawing={letters(strokes)}")
    picture = seen(lab)
    np.testing.assert_allclose(picture, prepared(strokes), atol=0.51 / 255)
    rows, columns = np.nonzero(picture)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20


def test_it_does_not_matter_where_on_the_paper_a_digit_is_drawn(lab: Page) -> None:
    pictures = []
    for shift in (0, 60):
        moved = [[(x - 60 + shift, y) for x, y in stroke] for stroke in HOOK]
        go(lab, f"drawing={letters(moved)}")
        pictures.append(seen(lab))
    np.testing.assert_array_equal(*pictures)


def test_undo_takes_back_a_stroke(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    lab.get_by_role("button", name="Undo", exact=True).click()
    np.testing.assert_allclose(seen(lab), prepared(HOOK[:1]), atol=0.51 / 255)


def test_the_reader_hears_and_sees_what_a_wrong_guess_costs(lab: Page) -> None:
    lab.get_by_role("button", name="Example of the digit 3").click()
    lab.get_by_label("You meant").select_option("8")
    loss = np.log(np.exp(logits(lab) - logits(lab)[8]).sum())
    verdict = lab.locator(".lab-verdict")
    expect(verdict).to_contain_text("wrong")
    expect(verdict).to_contain_text(f"a loss of {loss:.3f}")
    lab.get_by_label("You meant").select_option("3")
    expect(verdict).to_contain_text("right")
    expect(lab.locator(".lab-scores [role=status]")).to_contain_text("The network reads 3")


# --- Every number ---------------------------------------------------------------------------


def test_numbers_are_tensorflows_at_every_checkpoint(lab: Page, nets: dict[int, ConvNet]) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    image = prepared(HOOK)
    for iterations, net in nets.items():
        use(lab, str(iterations))
        out = layers(net, image)
        np.testing.assert_allclose(logits(lab), out["logits"], atol=1e-4)
        shares = values(lab.locator(".lab-share"))
        np.testing.assert_allclose(shares, out["probabilities"], atol=1e-4)
        assert answer(lab) == str(out["logits"].argmax())


CELLS = {
    "input": [(5, 14), (27, 27)],
    "conv1": [(0, 0, 0), (13, 14, 7), (27, 27, 15)],
    "pool1": [(0, 0, 3), (6, 7, 11), (13, 13, 15)],
    "conv2": [(0, 13, 35), (7, 7, 12)],
    "pool2": [(0, 0, 0), (3, 3, 20), (6, 6, 35)],
    "flat": [(0,), (900,), (1763,)],
    "fc1": [(0,), (107,)],
    "logits": [(0,), (9,)],
    "probabilities": [(1,), (7,)],
}


@pytest.mark.parametrize("layer", CELLS)
def test_a_chosen_number_is_tensorflows_and_its_arithmetic_adds_up(
    lab: Page, nets: dict[int, ConvNet], layer: str
) -> None:
    out = layers(nets[10_000], prepared(HOOK))
    for place in CELLS[layer]:
        dots = ".".join(map(str, place))
        go(lab, f"drawing={letters(HOOK)}&network=10000&cell={layer}.{dots}")
        (value,) = values(lab.locator(".lab-value"))
        assert value == pytest.approx(out[layer][place], abs=1e-4)
        for at in place:
            expect(title(lab)).to_contain_text(f" {at}")
        check_arithmetic(arithmetic(lab), layer, value)


def check_arithmetic(panel: Locator, layer: str, value: float) -> None:
    """What the panel shows makes the value: products, sums, the largest of four, softmax."""

    def grid(title: str) -> Numbers:
        return values(panel.locator(f"table:has(caption:text-matches('^{title}')) td"))

    if layer in ("conv1", "pool1", "conv2", "pool2"):
        patch, weights, products = grid("patch"), grid("filter"), grid("products")
        assert len(patch) == len(weights) == 25
        np.testing.assert_allclose(patch * weights, products, atol=1e-12)
        results = values(panel.locator(".lab-result:visible"))
        channels = grid("made from 16 sums")
        if layer in ("conv2", "pool2"):
            assert len(channels) == 16
            assert products.sum() == pytest.approx(channels[np.abs(channels).argmax()])
            added, bias, total = results[1:4]
            assert added == pytest.approx(channels.sum())
        else:
            added, bias, total = results[:3]
            assert added == pytest.approx(products.sum())
        assert total == pytest.approx(added + bias)
        if layer.startswith("pool"):
            window = grid("the four sums")
            assert window.max() == pytest.approx(total, abs=1e-5)
            assert max(0.0, window.max()) == pytest.approx(value, abs=1e-6)
        else:
            assert total == pytest.approx(value, abs=1e-5)
    elif layer in ("fc1", "logits"):
        products = values(panel.locator(".lab-terms tbody td[data-value]"))
        assert len(products) == 10
        assert list(np.abs(products)) == sorted(np.abs(products), reverse=True)
        rest, bias, total = values(panel.locator(".lab-sums .lab-result"))[:3]
        assert products.sum() + rest + bias == pytest.approx(total)
        after = total if layer == "logits" else max(total, 0)
        assert after == pytest.approx(value, abs=1e-4)
    elif layer == "probabilities":
        table = values(panel.locator("tbody td[data-value]")).reshape(10, 2)
        (total,) = values(panel.locator(".lab-sums .lab-result"))
        assert table[:, 0].sum() == pytest.approx(total)
        np.testing.assert_allclose(table[:, 0] / total, table[:, 1])
        assert table[:, 1].max() <= 1
        assert np.abs(table[:, 1] - value).min() < 1e-6


def place_of(page: Page, name: str, picture: int, row: int, column: int) -> tuple[float, float]:
    """Where in the window a number stands, in the network of the book on a wide screen."""
    box = layer_of(page, name).bounding_box()
    assert box is not None
    columns, across, down, size = {
        "pictures1": (2, 96, 52, 3),
        "pictures2": (4, 46, 46, 5),
        "input": (1, 0, 0, 7),
    }[name]
    return (
        box["x"] + picture % columns * across + (column + 0.5) * size,
        box["y"] + picture // columns * down + (row + 0.5) * size,
    )


def point_at(page: Page, name: str, picture: int, row: int, column: int) -> None:
    page.mouse.move(*place_of(page, name, picture, row, column))
    settle(page)


def marks(page: Page, name: str) -> Locator:
    return layer_of(page, name).locator(".lab-mark:visible")


def wires(page: Page, kind: str) -> Locator:
    return page.locator(f".lab-wires path[data-kind={kind}]:not([visibility])")


def test_choosing_with_the_mouse_opens_the_arithmetic_and_leads_down_to_the_ink(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    lab.mouse.click(*place_of(lab, "pictures2", 1, 3, 2))
    expect(title(lab)).to_contain_text("Layer 2, picture 1, row 3, column 2 = ")
    expect(title(lab)).to_contain_text("layer_conv2[3, 2, 1]")
    # Its patch is outlined in all 16 pictures of the layer below.
    assert marks(lab, "pictures1").count() == 16

    patch = arithmetic(lab).locator("table:has(caption:text-matches('^patch')) td")
    patch.nth(12).click()
    expect(title(lab)).to_contain_text("Layer 1, picture")
    focused = "document.activeElement.closest('[data-layer]').dataset.layer"
    assert lab.evaluate(focused) == "pictures1"
    patch.nth(12).click()
    expect(title(lab)).to_contain_text("Input, row")
    assert lab.evaluate(focused) == "input"
    head(lab).get_by_role("button", name="Close", exact=True).click()
    expect(arithmetic(lab).get_by_text("Point at any square")).to_be_visible()


def test_one_of_the_four_sums_and_one_channel_can_be_chosen(lab: Page) -> None:
    for place in range(4):
        go(lab, f"drawing={letters(HOOK)}&cell=pool2.3.3.5")
        window = arithmetic(lab).locator("table:has(caption:text-is('the four sums')) td")
        value = values(window)[place]
        window.nth(place).click()
        row, column = 6 + place // 2, 6 + place % 2
        expect(title(lab)).to_contain_text(f"Layer 2, sum in picture 5, row {row}, column {column}")
        settle(lab)
        total = values(arithmetic(lab).locator(".lab-total:visible"))[0]
        assert total == pytest.approx(value, abs=1e-5)
        # The picture shows sums now, and the number is outlined among them.
        expect(lab.get_by_label("Sums before ReLU")).to_be_checked()
        expect(layer_of(lab, "pictures2").locator(".lab-chosen")).to_have_count(1)
    lab.get_by_label("Sums before ReLU").uncheck()
    expect(title(lab)).to_contain_text("Layer 2, picture 5, row 3, column 3 = ")
    channels = arithmetic(lab).locator("table:has(caption:text-matches('^made from')) td")
    for channel in (0, 15):
        channels.nth(channel).click()
        caption = arithmetic(lab).locator("caption", has_text=f"patch of picture {channel}")
        expect(caption).to_be_visible()
        products = values(arithmetic(lab).locator("table:has(caption:text-is('products')) td"))
        assert products.sum() == pytest.approx(values(channels)[channel])
        # The wire of that picture is the open one.
        expect(lab.locator(f".lab-wires .lab-open[data-channel='{channel}']")).to_have_count(1)


# --- The wires ------------------------------------------------------------------------------


def sums_by_channel(net: ConvNet, out: dict[str, Numbers], place: tuple[int, int, int]) -> Numbers:
    """The winner's sum of a number of the second layer, channel by channel, by TensorFlow."""
    row, column, filter_ = place
    window = out["conv2"][2 * row : 2 * row + 2, 2 * column : 2 * column + 2, filter_]
    down, right = np.unravel_index(window.argmax(), (2, 2))
    sums = []
    for channel in range(16):
        picture = out["pool1"][None, :, :, channel : channel + 1].astype(np.float32)
        weights = net.conv2.weights[:, :, channel : channel + 1, filter_ : filter_ + 1]
        found = tf.nn.conv2d(picture, weights, 1, "SAME").numpy()[0, :, :, 0]
        sums.append(found[2 * row + down, 2 * column + right])
    return np.array(sums)


def silence(net: ConvNet, layer: int, filter_: int) -> ConvNet:
    conv = net.conv1 if layer == 1 else net.conv2
    for variable in (conv.weights, conv.biases):
        keep = np.ones(variable.shape[-1], np.float32)
        keep[filter_] = 0
        variable.assign(variable * keep)
    return net


@pytest.mark.parametrize("place", [(3, 3, 20), (0, 6, 7), (6, 3, 6)])
def test_a_second_layer_numbers_wires_are_tensorflows_sums(
    lab: Page, nets: dict[int, ConvNet], place: tuple[int, int, int]
) -> None:
    row, column, filter_ = place
    out = layers(nets[10_000], prepared(HOOK))
    go(lab, f"{GOOD}&network=10000")
    point_at(lab, "pictures2", filter_, row, column)
    wanted = sums_by_channel(nets[10_000], out, place)
    np.testing.assert_allclose(values(wires(lab, "back")), wanted, atol=1e-4)
    widths = wires(lab, "back").evaluate_all(
        "(all) => all.map((one) => Number(one.getAttribute('stroke-width')))"
    )
    assert widths[np.abs(wanted).argmax()] == max(widths)
    for wire, value in zip(wires(lab, "back").all(), wanted, strict=True):
        expect(wire).to_have_class(re.compile("lab-against" if value < 0 else "lab-for"))

    # What its whole picture moves: the units, and its part of each logit.
    without = layers(silence(load_checkpoint(10_000), 2, filter_), prepared(HOOK))
    moved = out["fc1"] - without["fc1"]
    most = np.sort(np.abs(moved))[::-1][:10]
    shown = values(wires(lab, "forward"))
    np.testing.assert_allclose(np.abs(shown), most[most > 0], atol=1e-4)
    assert marks(lab, "fc1").count() == len(shown)
    parts = lab.locator(".lab-score").evaluate_all("(all) => all.map((one) => one.dataset.part)")
    np.testing.assert_allclose(
        [float(part) for part in parts], out["logits"] - without["logits"], atol=1e-4
    )
    # In words as well, as buttons.
    ways = arithmetic(lab).get_by_role("group", name="goes to").get_by_role("button")
    assert ways.count() == len(shown)


def test_a_unit_and_a_logit_are_made_from_what_the_wires_say(
    lab: Page, nets: dict[int, ConvNet]
) -> None:
    net = nets[10_000]
    out = layers(net, prepared(HOOK))
    go(lab, f"{GOOD}&network=10000&cell=fc1.107")
    products = out["flat"] * net.fc1.weights.numpy()[:, 107]
    sums = products.reshape(49, 36).sum(axis=0)
    np.testing.assert_allclose(values(wires(lab, "back")), sums, atol=1e-4)
    parts = out["fc1"][107] * net.fc2.weights.numpy()[107]
    shown = np.sort(values(wires(lab, "forward")))
    np.testing.assert_allclose(shown, np.sort(parts[parts != 0]), atol=1e-4)
    go(lab, f"{GOOD}&network=10000&cell=logits.7")
    products = out["fc1"] * net.fc2.weights.numpy()[:, 7]
    most = np.sort(np.abs(products))[::-1][:16]
    np.testing.assert_allclose(np.abs(values(wires(lab, "back"))), most[most > 0], atol=1e-4)


@pytest.mark.parametrize(("name", "sizes"), [("pictures2", [16, 14]), ("pictures1", [6, 5])])
def test_a_frame_shows_how_much_of_the_input_a_number_depends_on(
    lab: Page, name: str, sizes: list[int]
) -> None:
    go(lab, f"{GOOD}&network=10000")
    place = (3, 3) if name == "pictures2" else (7, 6)
    point_at(lab, name, 3, *place)
    shown = marks(lab, "input").evaluate_all(
        "(all) => all.map((one) => [one.style.width, one.style.height])"
    )
    frames = [f"{7 * size}px" for size in sizes]
    for frame in frames:
        assert [frame, frame] in shown
    # The patch of the first layer is its winner's frame.
    assert len(shown) == (2 if name == "pictures2" else 3)


def test_pointing_previews_and_a_click_pins(lab: Page) -> None:
    go(lab, GOOD)
    point_at(lab, "pictures2", 6, 3, 3)
    expect(title(lab)).to_contain_text("Layer 2, picture 6, row 3, column 3")
    lab.mouse.click(*place_of(lab, "pictures2", 7, 2, 4))
    point_at(lab, "pictures1", 3, 5, 5)
    expect(title(lab)).to_contain_text("Layer 1, picture 3, row 5, column 5")
    assert wires(lab, "back").count() == 1
    lab.mouse.move(640, 5)
    settle(lab)
    expect(title(lab)).to_contain_text("Layer 2, picture 7, row 2, column 4")
    assert wires(lab, "back").count() == 16
    # A wire can be chosen, between the layers: its patch, filter and products open.
    box, left, right = (
        found.bounding_box()
        for found in (
            lab.locator(".lab-stage"),
            layer_of(lab, "pictures1"),
            layer_of(lab, "pictures2"),
        )
    )
    assert box and left and right
    middle = (left["x"] + left["width"] + right["x"]) / 2 - box["x"]
    channel, y = lab.evaluate(
        """(middle) => {
          const wires = [...document.querySelectorAll(".lab-wires [data-kind=back]")]
            .filter((wire) => wire.getAttribute("visibility") === null);
          const places = wires.map((wire) => {
            let [low, high] = [0, wire.getTotalLength()];
            for (let i = 0; i < 20; i += 1) {
              const half = (low + high) / 2;
              if (wire.getPointAtLength(half).x < middle) low = half;
              else high = half;
            }
            return [Number(wire.dataset.channel), wire.getPointAtLength(low).y];
          });
          // The one that runs farthest from all others.
          const distance = ([channel, y]) => Math.min(...places
            .filter(([other]) => other !== channel).map(([, other]) => Math.abs(other - y)));
          return places.sort((a, b) => distance(b) - distance(a))[0];
        }""",
        middle,
    )
    lab.mouse.click(box["x"] + middle, box["y"] + y)
    caption = arithmetic(lab).locator("caption", has_text=f"patch of picture {channel}")
    expect(caption).to_be_visible()


def test_brackets_follow_the_widest_wire_down_and_up(lab: Page) -> None:
    go(lab, f"{GOOD}&cell=pool2.3.3.20")
    layer_of(lab, "pictures2").locator("[tabindex='0']").focus()
    back = values(wires(lab, "back"))
    lab.keyboard.press("[")
    channel = int(np.abs(back).argmax())
    expect(title(lab)).to_contain_text(f"Layer 1, picture {channel}, ")
    lab.keyboard.press("[")
    expect(title(lab)).to_contain_text("Input, ")
    for words in ("Layer 1", "Layer 2", "Unit", "Logit of"):
        lab.keyboard.press("]")
        expect(title(lab)).to_contain_text(words)
    said = lab.locator("#lab > [role=status]")
    expect(said).to_contain_text("Most comes from Unit")


def test_the_tab_key_stops_once_in_each_layer(lab: Page) -> None:
    go(lab, GOOD)
    lab.get_by_role("button", name="Example of the digit 9").focus()
    stops = []
    for _ in range(6):
        lab.keyboard.press("Tab")
        stops.append(
            lab.evaluate("document.activeElement.closest('[role=grid]').getAttribute('aria-label')")
        )
    assert stops == [
        "What the network sees",
        "Filters of the first layer",
        "First layer",
        "Second layer",
        "Units",
        "Logits and probabilities",
    ]


def test_the_dock_never_moves_the_picture(lab: Page) -> None:
    lab.set_viewport_size({"width": 1280, "height": 720})
    go(lab, GOOD)
    before = everything(lab)
    # All of it is in the window, without scrolling.
    for x, y, width, height in before:
        assert x >= 0 and y >= 0 and x + width <= 1280 and y + height <= 720
    lab.evaluate("window.shifts = 0")
    for cell in ("pool2.0.0.5", "fc1.107", "logits.3", "probabilities.3", "input.3.3", "flat.900"):
        go(lab, f"{GOOD}&cell={cell}")
        assert everything(lab) == before, cell
    for tab in ("Change", "Train", "Arithmetic"):
        lab.get_by_role("tab", name=tab).click()
        settle(lab)
        assert everything(lab) == before, tab
    assert lab.evaluate("scrollY") == 0


def test_a_slide_fills_the_picture_and_skips_blank_paper(
    lab: Page, nets: dict[int, ConvNet]
) -> None:
    go(lab, f"{GOOD}&network=10000&cell=pool1.5.7.11")
    lab.emulate_media(reduced_motion="reduce")
    lab.get_by_role("button", name="Slide", exact=True).click()
    settle(lab)
    out = layers(nets[10_000], prepared(HOOK))
    ink = tf.nn.conv2d(
        (out["input"] > 0).astype(np.float32).reshape(1, 28, 28, 1),
        np.ones((5, 5, 1, 1)),
        1,
        "SAME",
    ).numpy()[0, :, :, 0]
    inky = np.argwhere(ink > 0)
    for step in range(30):
        row, column = inky[step]
        expect(title(lab)).to_contain_text(f"sum in picture 11, row {row}, column {column} = ")
        (value,) = values(lab.locator(".lab-value"))
        assert value == pytest.approx(out["conv1"][row, column, 11], abs=1e-4)
        arithmetic(lab).get_by_role("button", name="Next place").click()
        settle(lab)
    # Filled so far, and no further.
    box = picture_of(lab, "pictures1", 11, columns=2, step=(96, 52), size=42, numbers=28)
    row, column = inky[30]
    blank = box[row, column + 2 :].reshape(-1, 3).astype(int)
    assert np.ptp(blank, axis=0).max() == 0
    arithmetic(lab).get_by_role("button", name="End").click()
    expect(title(lab)).to_contain_text("Layer 1, picture 11")
    expect(arithmetic(lab).get_by_role("button", name="Next place")).to_have_count(0)


def test_a_slide_begins_beside_the_first_layer_and_the_demo_says_what_it_shows(
    context: BrowserContext, address: str
) -> None:
    page = opened(context.new_page(), address)
    hint = page.get_by_text("The strongest answer in layer 2")
    expect(hint).to_be_visible()
    page.get_by_role("button", name="▶ Slide").click()
    expect(page.locator(".lab-slide")).to_be_visible()
    expect(page.locator(".lab-sliding")).to_be_visible()
    expect(hint).to_be_hidden()
    expect(title(page)).to_contain_text("Layer 1")


def test_a_slide_runs_by_itself_and_pauses(lab: Page) -> None:
    go(lab, f"{GOOD}&cell=pool1.5.7.11")
    lab.get_by_role("button", name="Slide", exact=True).click()
    words = arithmetic(lab).locator(".lab-slide > span")
    before = words.inner_text()
    expect(words).not_to_have_text(before)
    arithmetic(lab).get_by_role("button", name="Pause").click()
    paused = words.inner_text()
    rest(lab)
    expect(words).to_have_text(paused)
    # A stroke ends it.
    drag(lab, HOOK[0])
    expect(words).to_be_hidden()


def test_the_keyboard_reaches_every_number(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    grid = layer_of(lab, "pictures1")
    cell = grid.locator("[role=gridcell][tabindex='0']")
    cell.focus()
    focused = lab.locator("*:focus")

    def label() -> str:
        return str(focused.get_attribute("aria-label"))

    for key, place in [
        ("ArrowRight", "picture 0, row 0, column 1"),
        ("ArrowDown", "picture 0, row 1, column 1"),
        ("PageDown", "picture 1, row 1, column 1"),
        ("PageUp", "picture 0, row 1, column 1"),
        ("ArrowLeft", "picture 0, row 1, column 0"),
        ("End", "picture 15, row 13, column 13"),
        ("Home", "picture 0, row 0, column 0"),
    ]:
        lab.keyboard.press(key)
        settle(lab)
        assert label().startswith(f"{place}: "), key
        assert title(lab).inner_text().startswith(f"Layer 1, {place} = ")
    # Over the edge of one picture into the next.
    for _ in range(14):
        lab.keyboard.press("ArrowRight")
    assert label().startswith("picture 1, row 0, column 0: ")
    lab.keyboard.press("Enter")
    assert focused.evaluate("(e) => e.tagName") == "H2"
    lab.keyboard.press("Escape")
    assert label().startswith("picture 1, row 0, column 0: ")
    # Closing the arithmetic leads back as well.
    head(lab).get_by_role("button", name="Close", exact=True).press("Enter")
    expect(arithmetic(lab).get_by_text("Point at any square")).to_be_visible()
    assert label().startswith("picture 1, row 0, column 0: ")


def test_colours_are_those_of_the_books_pictures(lab: Page) -> None:
    for sums, name in ((False, "viridis"), (True, "RdBu_r")):
        lab.get_by_label("Sums before ReLU").set_checked(sums)
        settle(lab)
        shown = pixels(heading(lab, "Layer 1").locator(".lab-legend canvas"))[0, :, :3]
        wanted = matplotlib.colormaps[name](np.linspace(0, 1, len(shown)))[:, :3] * 255
        assert np.abs(shown - wanted).max() <= 4


def picture_of(
    page: Page,
    name: str,
    picture: int,
    *,
    columns: int,
    step: tuple[int, int],
    size: int,
    numbers: int,
) -> NDArray[np.uint8]:
    """One picture's colours, ``[numbers, numbers, 3]``."""
    canvas = layer_of(page, name).locator("canvas.lab-pixels")
    fine = canvas.evaluate("(canvas) => canvas.width / canvas.getBoundingClientRect().width")
    left, top = picture % columns * step[0], picture // columns * step[1]
    centres = (np.arange(numbers) + 0.5) * size / numbers
    rows, across = (((start + centres) * fine).astype(int) for start in (top, left))
    return pixels(canvas)[np.ix_(rows, across)][:, :, :3]


@pytest.mark.parametrize(
    ("layer", "name", "columns", "step", "size"),
    [("pool1", "pictures1", 2, (96, 52), 42), ("pool2", "pictures2", 4, (46, 46), 35)],
)
def test_a_layers_picture_has_the_colours_of_its_numbers(
    lab: Page,
    nets: dict[int, ConvNet],
    layer: str,
    name: str,
    columns: int,
    step: tuple[int, int],
    size: int,
) -> None:
    go(lab, f"{GOOD}&network=10000")
    wanted = layers(nets[10_000], prepared(HOOK))[layer]
    legend = heading(lab, "Layer 1" if layer == "pool1" else "Layer 2").locator(".lab-legend span")
    high = float(legend.nth(1).inner_text())
    assert high >= wanted.max()
    for picture in range(wanted.shape[2]):
        tile = picture_of(
            lab, name, picture, columns=columns, step=step, size=size, numbers=len(wanted)
        ).astype(float)
        colours = matplotlib.colormaps["viridis"](wanted[:, :, picture] / high)[:, :, :3] * 255
        assert np.abs(tile - colours).max() <= 6


def test_a_stroke_draws_all_layers_at_once_and_builds_nothing(lab: Page) -> None:
    go(lab, f"drawing={letters([])}&cell=pool2.3.3.5")
    # The second time all wires and frames are there that it will take.
    drag(lab, [(100, 50), (130, 200)])
    lab.get_by_role("button", name="Clear").click()
    settle(lab)
    lab.evaluate(
        """() => {
          window.built = 0;
          const watch = (records) => { for (const r of records) if (r.target.nodeType === 1
            && [...r.addedNodes].some((n) => n.nodeType === 1)) window.built += 1; };
          new MutationObserver(watch).observe(document.getElementById("lab"),
            { childList: true, subtree: true });
          const pictures = () => ["input", "pictures1", "pictures2", "fc1"].map((name) =>
            document.querySelector(`[data-layer=${name}] canvas`).toDataURL());
          window.empty = pictures();
          // What was drawn by the end of the frame, before anything could be waited for.
          window.drawn = new Promise((resolve) => {
            document.querySelector(".lab-paper").addEventListener("pointerdown", () =>
              requestAnimationFrame(() => resolve(pictures())), { once: true });
          });
          performance.clearMeasures();
          window.frames = 0;
          const count = () => { window.frames += 1; requestAnimationFrame(count); };
          requestAnimationFrame(count);
        }"""
    )
    drag(lab, [(100, 50), (130, 200)])
    at_once, empty = lab.evaluate("drawn"), lab.evaluate("empty")
    for now, before in zip(at_once, empty, strict=True):
        assert now != before
    settle(lab)
    assert lab.evaluate("built") == 0
    # However often the pen moves, a frame draws once.
    redraws, frames = lab.evaluate(
        "[performance.getEntriesByName('lab-redraw').length, window.frames]"
    )
    assert 1 <= redraws <= frames


# --- Changing the network ---------------------------------------------------------------------


def open_filter(page: Page, layer: int, filter_: int, channel: int = 0) -> Locator:
    """Open a filter's page in the dock; give the dock."""
    page.get_by_role("tab", name="Change").click()
    dock = page.locator(".lab-dock")
    dock.get_by_label("layer", exact=True).select_option(str(layer))
    fields = dock.locator(".lab-dock-title:visible")
    fields.get_by_label("filter", exact=True).fill(str(filter_))
    if layer == 2:
        fields.get_by_label("picture", exact=True).fill(str(channel))
    return dock


def test_a_silenced_filter_gives_zeros_and_comes_back(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}&cell=pool1.5.7.11")
    before = logits(lab)
    assert values(lab.locator(".lab-value"))[0] > 0
    silence = open_filter(lab, 1, 11).get_by_label("Silence this filter")
    silence.check()
    assert np.abs(logits(lab) - before).max() > 0.01
    lab.get_by_role("tab", name="Arithmetic").click()
    settle(lab)
    assert values(lab.locator(".lab-value"))[0] == 0
    # The change stays while the network is taken back to another moment.
    use(lab, "100")
    assert values(lab.locator(".lab-value"))[0] == 0
    use(lab, "10000")
    lab.get_by_role("tab", name="Change").click()
    silence.uncheck()
    np.testing.assert_array_equal(logits(lab), before)


def ghosts(page: Page) -> Numbers:
    """The logits without the changes, as the ghosts show them; empty where there are none."""
    settle(page)
    texts = page.locator(".lab-score[data-before]").evaluate_all(
        "(all) => all.map((one) => Number(one.dataset.before))"
    )
    return np.array(texts)


def test_ghosts_show_the_bars_without_the_changes(lab: Page, nets: dict[int, ConvNet]) -> None:
    go(lab, f"{GOOD}&network=10000")
    before = layers(nets[10_000], prepared(HOOK))["logits"]
    assert len(ghosts(lab)) == 0
    dock = open_filter(lab, 2, 30)
    dock.get_by_label("Silence this filter").check()
    after = layers(silence(load_checkpoint(10_000), 2, 30), prepared(HOOK))["logits"]
    np.testing.assert_allclose(ghosts(lab), before, atol=1e-4)
    np.testing.assert_allclose(logits(lab), after, atol=1e-4)
    # As lengths, too: from the ghost's end to the bar's is the difference.
    boxes = lab.locator(".lab-row").evaluate_all(
        """(rows) => rows.map((row) => [".lab-bar", ".lab-ghost", ".lab-track"].map((part) => {
          const { left, right } = row.querySelector(part).getBoundingClientRect();
          return [left, right];
        }))"""
    )
    bars, ghosts_, tracks = np.array(boxes).transpose(1, 0, 2)
    at = np.where(np.array([before > 0]).T, ghosts_, ghosts_[:, ::-1])[:, 1]
    end = np.where(np.array([after > 0]).T, bars, bars[:, ::-1])[:, 1]
    (width,) = set(np.round(tracks[:, 1] - tracks[:, 0], 1))
    scale = np.polyfit(np.concatenate([before, after]), np.concatenate([at, end]), 1)
    np.testing.assert_allclose(np.polyval(scale, before), at, atol=1)
    np.testing.assert_allclose(np.polyval(scale, after), end, atol=1)
    assert 20 < scale[0] * np.ptp(np.concatenate([before, after])) <= width + 1
    most = int(np.abs(after - before).argmax())
    told = f"logit of {most}: {before[most]:.1f} → {after[most]:.1f}".replace("-", "−")
    expect(dock.locator(".lab-effect")).to_contain_text(told)
    expect(lab.locator(".lab-score").nth(most)).to_contain_text(told.partition(": ")[2])
    lab.get_by_role("button", name="Undo changes").click()
    assert len(ghosts(lab)) == 0
    np.testing.assert_allclose(logits(lab), before, atol=1e-4)


def test_each_silenced_filter_changes_a_number_that_can_be_seen(lab: Page) -> None:
    """Of 160: each of the 16 filters, for each of the ten examples."""
    silence = open_filter(lab, 1, 0).get_by_label("Silence this filter").element_handle()
    fields = lab.locator(".lab-dock-title:visible")
    field = fields.get_by_label("filter", exact=True).element_handle()
    unseen = []
    for digit in range(10):
        lab.get_by_role("button", name=f"Example of the digit {digit}").click()
        settle(lab)
        before, found = lab.evaluate(
            """async ([silence, field]) => {
              const drawn = () => new Promise((done) =>
                requestAnimationFrame(() => requestAnimationFrame(done)));
              const shown = () =>
                [...document.querySelectorAll(".lab-score")].map((one) => one.textContent);
              const before = shown();
              const found = [];
              for (let filter = 0; filter < 16; filter += 1) {
                field.value = filter;
                field.dispatchEvent(new Event("input"));
                silence.click();
                await drawn();
                found.push(shown());
                silence.click();
                await drawn();
              }
              return [before, found, shown()];
            }""",
            [silence, field],
        )[:2]
        assert len(found) == 16
        for filter_, after in enumerate(found):
            if after == before or not any("→" in text for text in after):
                unseen.append((digit, filter_))
    assert unseen == []


def test_steps_are_taken_back_one_by_one(lab: Page) -> None:
    go(lab, GOOD)
    dock = open_filter(lab, 1, 3)
    undo = dock.get_by_role("button", name="Undo")
    expect(undo).to_be_disabled()
    seen_logits = [logits(lab)]
    dock.get_by_role("button", name="Turn by 90°").click()
    seen_logits.append(logits(lab))
    dock.get_by_label("weight in row 1, column 3").fill("1.5")
    seen_logits.append(logits(lab))
    dock.get_by_label("Silence this filter").check()
    for wanted in reversed(seen_logits):
        undo.click()
        np.testing.assert_array_equal(logits(lab), wanted)
    expect(undo).to_be_disabled()


def test_a_weight_is_dragged_and_a_filter_drawn(lab: Page) -> None:
    go(lab, GOOD)
    dock = open_filter(lab, 1, 3)
    fields = [dock.get_by_label(f"weight in row 2, column {column}") for column in range(5)]
    before = [float(field.input_value()) for field in fields]
    boxes = [field.bounding_box() for field in fields]
    places = [(box["x"] + box["width"] / 2, box["y"] + 10) for box in boxes if box]
    first = logits(lab)
    lab.mouse.move(*places[1])
    lab.mouse.down()
    lab.mouse.move(places[1][0], places[1][1] - 40, steps=5)
    lab.mouse.up()
    settle(lab)
    now = [float(field.input_value()) for field in fields]
    assert now[1] > before[1] + 0.05
    assert now[:1] + now[2:] == before[:1] + before[2:]
    # The whole way is one step.
    dock.get_by_role("button", name="Undo", exact=True).click()
    np.testing.assert_array_equal(logits(lab), first)

    for pen, sign in (("draw red", 1), ("draw blue", -1)):
        dock.get_by_label(pen).check()
        lab.mouse.move(*places[0])
        lab.mouse.down()
        lab.mouse.move(*places[4], steps=20)
        lab.mouse.up()
        settle(lab)
        drawn = {float(field.input_value()) for field in fields}
        assert len(drawn) == 1 and sign * drawn.pop() > max(map(abs, before))
    for _ in range(2):
        dock.get_by_role("button", name="Undo", exact=True).click()
    np.testing.assert_array_equal(logits(lab), first)


@pytest.mark.parametrize(("layer", "channel"), [(1, 0), (2, 12)])
def test_an_edited_filter_changes_the_numbers_as_in_tensorflow(
    lab: Page, layer: int, channel: int
) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    before = logits(lab)
    panel = open_filter(lab, layer, 7, channel)
    panel.get_by_label("weight in row 1, column 3").fill("1.5")
    panel.get_by_label("bias").fill("-0.25")
    net = load_checkpoint(10_000)
    conv = net.conv1 if layer == 1 else net.conv2
    conv.weights.assign(tf.tensor_scatter_nd_update(conv.weights, [[1, 3, channel, 7]], [1.5]))
    conv.biases.assign(tf.tensor_scatter_nd_update(conv.biases, [[7]], [-0.25]))
    np.testing.assert_allclose(logits(lab), layers(net, prepared(HOOK))["logits"], atol=1e-4)

    # What is no number is told, and changes nothing.
    changed = logits(lab)
    panel.get_by_label("bias").fill("")
    expect(panel.locator(".lab-problem")).to_contain_text("not a number")
    np.testing.assert_array_equal(logits(lab), changed)
    panel.get_by_role("button", name="Put this filter back").click()
    np.testing.assert_array_equal(logits(lab), before)


def test_a_filter_can_be_turned_swapped_and_emptied(lab: Page) -> None:
    panel = open_filter(lab, 1, 3)

    def numbers() -> Numbers:
        settle(lab)
        fields = panel.locator(".lab-inputs input")
        texts = fields.evaluate_all("(all) => all.map((one) => one.value)")
        return np.array([float(text) for text in texts]).reshape(5, 5)

    before = numbers()
    panel.get_by_role("button", name="Turn by 90°").click()
    np.testing.assert_array_equal(numbers(), np.rot90(before, -1))
    panel.get_by_role("button", name="Swap red and blue").click()
    np.testing.assert_array_equal(numbers(), -np.rot90(before, -1))
    panel.get_by_role("button", name="All zero").click()
    assert not numbers().any()
    lab.get_by_role("button", name="Undo changes").click()
    np.testing.assert_array_equal(numbers(), before)


# --- Training ---------------------------------------------------------------------------------


def iteration(page: Page) -> int:
    match = re.search(r"Iteration ([\d,]+)", page.locator(".lab-status").inner_text())
    return int(match[1].replace(",", "")) if match else -1


def wait_for_a_standstill(page: Page) -> None:
    """Wait until what is said of the training has stayed the same for a second.

    A pause ends with a report of everything, and that comes when the test images are judged.
    """
    page.evaluate("window.still = {}")
    page.wait_for_function(
        """() => {
          const { textContent } = document.querySelector(".lab-status");
          const now = performance.now();
          if (textContent !== still.text) window.still = { text: textContent, since: now };
          return now - still.since > 1000;
        }"""
    )


def wait_for_iteration(page: Page, least: int) -> None:
    page.wait_for_function(
        """(least) => {
          const text = document.querySelector(".lab-status").textContent;
          const found = /Iteration ([\\d,]+)/.exec(text);
          return found && Number(found[1].replaceAll(",", "")) >= least;
        }""",
        arg=least,
        timeout=120_000,
    )


def choose(page: Page, **choices: str) -> None:
    page.get_by_role("tab", name="Train").click()
    for label, value in choices.items():
        page.get_by_role("combobox", name=label.replace("_", " ")).select_option(value)


def one_step(page: Page) -> None:
    """Train by one step."""
    page.get_by_role("tab", name="Train").click()
    head(page).get_by_role("button", name="One step").click()


def loss(page: Page) -> float:
    match = re.search(r"loss ([\d.]+)", page.locator(".lab-status").inner_text())
    assert match is not None
    return float(match[1])


def test_a_network_is_trained_step_by_step_paused_and_begun_afresh(lab: Page) -> None:
    choose(lab, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    one_step(lab)
    wait_for_iteration(lab, 1)
    assert iteration(lab) == 1
    first = loss(lab)
    assert first == pytest.approx(np.log(10), abs=0.5)
    # The layers above are now this network's.
    expect(lab.get_by_label("yours (1)")).to_be_checked()
    for words in ("Layer 1: 4 filters 3×3", "4 pictures 14×14"):
        expect(heading(lab, "Layer 1")).to_contain_text(words)
    expect(heading(lab, "Layer 2")).to_contain_text("8 filters 3×3×4 8 pictures 7×7")
    filters = layer_of(lab, "filters").locator("canvas")
    before = pixels(filters)
    expect(lab.get_by_role("combobox", name="filter size")).to_be_disabled()

    lab.get_by_role("button", name="Continue", exact=True).click()
    wait_for_iteration(lab, 150)
    lab.get_by_role("button", name="Pause", exact=True).click()
    assert loss(lab) < first
    assert (pixels(filters) != before).any()
    label = str(lab.locator("figure canvas[role=img]").first.get_attribute("aria-label"))
    assert label.startswith("Loss at iteration")
    settle(lab)
    wait_for_a_standstill(lab)

    expect(lab.locator(".lab-ribbon")).to_contain_text("Your digit was read as")
    use(lab, "10000")
    expect(heading(lab, "Layer 1")).to_contain_text("16 filters 5×5")
    lab.get_by_role("button", name="Start afresh").click()
    assert iteration(lab) == -1
    expect(lab.get_by_role("combobox", name="filter size")).to_be_enabled()


def test_a_network_without_pooling_can_be_trained_and_its_arithmetic_adds_up(lab: Page) -> None:
    choose(lab, filters_in_the_first_layer="8", filters_in_the_second="8", filter_size="5")
    lab.get_by_label("max-pooling").uncheck()
    one_step(lab)
    wait_for_iteration(lab, 1)
    expect(lab.get_by_label("yours (1)")).to_be_checked()
    expect(lab.get_by_label("Sums before ReLU")).to_be_disabled()
    grid = layer_of(lab, "pictures2")
    grid.locator("[role=gridcell][tabindex='0']").focus()
    lab.keyboard.press("End")
    expect(title(lab)).to_contain_text("picture 7, row 6, column 6")
    results = values(arithmetic(lab).locator(".lab-result:visible"))
    (value,) = values(lab.locator(".lab-value"))
    added, bias, total = results[1:4]
    assert total == pytest.approx(added + bias)
    assert max(0.0, total) == pytest.approx(value, abs=1e-5)


def test_training_pauses_while_the_page_is_out_of_sight(lab: Page) -> None:
    choose(lab, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    lab.get_by_role("button", name="Start", exact=True).click()
    wait_for_iteration(lab, 5)
    hide(lab, True)
    expect(lab.get_by_text("Training paused when")).to_be_visible()
    wait_for_a_standstill(lab)
    paused = iteration(lab)
    hide(lab, False)
    expect(lab.get_by_text("Training paused when")).to_be_visible()
    lab.get_by_role("button", name="Continue", exact=True).click()
    expect(lab.get_by_text("Training paused when")).to_have_count(0)
    wait_for_iteration(lab, paused + 5)


def hide(page: Page, hidden: bool) -> None:
    """Take the page out of sight, or bring it back, as far as the page can tell.

    A browser without a screen shows every page all the time.
    """
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_the_page_says_what_it_trains_on(lab: Page, site: Path) -> None:
    about = json.loads((site / "_static" / "lab" / "digits.json").read_text("utf-8"))
    choose(lab, filters_in_the_first_layer="4", filters_in_the_second="8")
    one_step(lab)
    wait_for_iteration(lab, 1)
    text = lab.locator("[data-page=train]").inner_text()
    assert f"{about['train']:,}" in text
    assert f"{about['test']:,}" in text
    assert ("MNIST" if about["source"] == "mnist" else "scikit-learn") in text


def test_the_button_in_the_bar_trains_and_the_picture_changes_in_place(lab: Page) -> None:
    lab.set_viewport_size({"width": 1280, "height": 720})
    pictures = {
        name: layer_of(lab, name).locator("canvas") for name in ("filters", "pictures2", "fc1")
    }
    lab.get_by_role("button", name="Train my own").click()
    wait_for_iteration(lab, 5)
    expect(lab.locator("input[value='mine']")).to_be_checked()
    lab.get_by_role("button", name="Pause training").click()
    wait_for_a_standstill(lab)
    settle(lab)
    before = {name: pixels(canvas) for name, canvas in pictures.items()}
    parts = [*pictures.values(), lab.locator(".lab-scores"), lab.locator(".lab-dock")]
    places = [part.bounding_box() for part in parts]
    shown = logits(lab)
    reached = iteration(lab)
    lab.get_by_role("button", name="Continue training").click()
    wait_for_iteration(lab, reached + 20)
    lab.get_by_role("button", name="Pause training").click()
    wait_for_a_standstill(lab)
    settle(lab)
    for name, canvas in pictures.items():
        assert (pixels(canvas) != before[name]).any(), name
    assert (logits(lab) != shown).all()
    assert [part.bounding_box() for part in parts] == places


def test_curves_can_be_read_in_the_dark_before_anything_is_trained(lab: Page) -> None:
    lab.emulate_media(color_scheme="dark")
    lab.reload()
    lab.locator("html[data-lab]").wait_for(state="attached")
    expect(lab.locator("html")).to_have_attribute("data-theme", "dark")
    lab.get_by_role("tab", name="Train").click()
    # The axes and their numbers, in the page's own light letters.
    lab.wait_for_function(
        """() => [...document.querySelectorAll(".lab-curves")].every((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.some((value, i) => i % 4 === 0 && data[i + 3] > 200 && value > 150);
        })"""
    )


# --- Links -------------------------------------------------------------------------------------

GOOD = f"drawing={letters(HOOK)}"


def test_a_link_opens_the_same_drawing_network_and_number(
    context: BrowserContext, lab: Page
) -> None:
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.get_by_role("button", name="Clear").click()
    for stroke in HOOK:
        drag(lab, stroke)
    use(lab, "1000")
    layer_of(lab, "pictures2").locator("[role=gridcell][tabindex='0']").focus()
    for key in ("PageDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        lab.keyboard.press(key)
    lab.get_by_role("button", name="Copy a link").click()
    expect(lab.get_by_text("Copied.")).to_be_visible()
    link = lab.evaluate("navigator.clipboard.readText()")
    lab.context.clear_permissions()
    assert link.endswith("&network=1000&cell=pool2.1.2.1")

    other = opened(context.new_page(), link)
    np.testing.assert_array_equal(seen(other), seen(lab))
    np.testing.assert_array_equal(logits(other), logits(lab))
    expect(other.locator("input[value='1000']")).to_be_checked()
    expect(title(other)).to_have_text(title(lab).inner_text())
    expect(other.locator(".lab-message")).to_have_count(0)


def test_a_link_holds_the_changes_to_filters(
    context: BrowserContext, lab: Page, watch: Callable[[Page], list[str]]
) -> None:
    go(lab, GOOD)
    unchanged = logits(lab)
    open_filter(lab, 1, 11).get_by_label("Silence this filter").check()
    panel = open_filter(lab, 2, 7, 12)
    panel.get_by_label("weight in row 1, column 3").fill("1.5")
    panel.get_by_label("bias").fill("-0.25")
    panel.get_by_role("button", name="Turn by 90°").click()
    changed = logits(lab)
    assert np.abs(changed - unchanged).max() > 0.01
    lab.wait_for_function("() => location.hash.includes('&changes=')")
    rest(lab)
    link = lab.evaluate("() => location.href")
    # 25 numbers, a bias, a silence: some 130 bytes.
    assert len(re.split("&changes=", link)[1]) < 200

    page = context.new_page()
    problems = watch(page)
    other = opened(page, link)
    np.testing.assert_array_equal(logits(other), changed)
    np.testing.assert_array_equal(ghosts(other), unchanged)
    field = open_filter(other, 2, 7, 12).get_by_label("bias")
    assert field.input_value() == "-0.250"
    expect(open_filter(other, 1, 11).get_by_label("Silence this filter")).to_be_checked()
    # A link without changes takes them back, and so does the button.
    go(other, f"{GOOD}&network=10000")
    np.testing.assert_array_equal(logits(other), unchanged)
    lab.get_by_role("button", name="Undo changes").click()
    lab.wait_for_function("() => !location.hash.includes('changes')")
    np.testing.assert_array_equal(logits(lab), unchanged)
    assert problems == []


def test_changes_in_a_link_are_made_to_the_network_that_it_names(lab: Page) -> None:
    numbers = [float(n) for n in np.linspace(-1, 1, 25, dtype=np.float32)]
    told = silenced(1, 3) + biased(2, 35, 0.5) + rewritten(2, 4, 15, numbers)
    go(lab, f"{GOOD}&network=100&changes={in_letters(told)}")
    net = load_checkpoint(100)
    for variable in (net.conv1.weights, net.conv1.biases):
        keep = np.ones(16, np.float32)
        keep[3] = 0
        variable.assign(variable * keep)
    net.conv2.biases.assign(tf.tensor_scatter_nd_update(net.conv2.biases, [[35]], [0.5]))
    weights = net.conv2.weights.numpy()
    weights[:, :, 15, 4] = np.reshape(numbers, (5, 5))
    net.conv2.weights.assign(weights)
    np.testing.assert_allclose(logits(lab), layers(net, prepared(HOOK))["logits"], atol=1e-4)
    expect(lab.locator(".lab-message")).to_have_count(0)


def test_a_link_is_kept_while_the_network_comes_slowly(
    context: BrowserContext, address: str
) -> None:
    def delay(route: Route) -> None:
        time.sleep(1)
        route.continue_()

    context.route("**/checkpoints/*", delay)
    page = opened(context.new_page(), f"{address}#{GOOD}&network=100&cell=fc1.7")
    np.testing.assert_allclose(seen(page), prepared(HOOK), atol=0.51 / 255)
    expect(page.locator("input[value='100']")).to_be_checked()
    expect(title(page)).to_contain_text("Unit 7")
    assert page.url.endswith(f"{GOOD}&network=100&cell=fc1.7")


class Held:
    """Requests for one file, held back until the test lets them through."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self._name = name
        self._routes: list[Route] = []
        # The context's, not the page's: a worker loads the digits.
        page.context.route(f"**/{name}", self.hold)

    def hold(self, route: Route) -> None:
        self._routes.append(route)

    def release(self) -> None:
        """Wait until the file was asked for, let it come, and wait until it is there."""
        for _ in range(3_000):
            if self._routes:
                break
            self._page.wait_for_timeout(10)
        assert self._routes, f"nobody asked for {self._name}"
        with self._page.context.expect_event(
            "requestfinished", lambda request: request.url.endswith(self._name)
        ):
            for route in self._routes:
                route.continue_()
        self._page.context.unroute(f"**/{self._name}")
        settle(self._page)


def follow(page: Page, fragment: str) -> None:
    """Follow a link, and wait for nothing but that the page has heard of it."""
    page.evaluate(
        """(fragment) => new Promise((done) => {
          addEventListener("hashchange", () => done(), { once: true });
          location.hash = fragment;
        })""",
        fragment,
    )


def shows(page: Page, strokes: list[Stroke], network: int, silent: int | None = None) -> None:
    """Check all that a link can say: drawing, network, changes, and that no number is chosen."""
    expect(page.locator("#lab")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator(f"input[value='{network}']")).to_be_checked()
    net = load_checkpoint(network)
    if silent is not None:
        for variable in (net.conv1.weights, net.conv1.biases):
            keep = np.ones(16, np.float32)
            keep[silent] = 0
            variable.assign(variable * keep)
    np.testing.assert_allclose(logits(page), layers(net, prepared(strokes))["logits"], atol=1e-4)
    assert (len(ghosts(page)) > 0) == (silent is not None)
    expect(page.locator(".lab-message")).to_have_count(0)


OTHER: list[Stroke] = [[(60, 60), (190, 60), (100, 220)]]
FIRST = f"{GOOD}&network=100&changes={in_letters(silenced(1, 3))}&cell=fc1.7"


@pytest.mark.parametrize("network", [100, 1000, 10_000])
@pytest.mark.parametrize("in_order", [True, False])
def test_two_links_in_a_row_never_mix(lab: Page, network: int, in_order: bool) -> None:
    """The second's network is the first's, another one, or the one that is there already."""
    second = f"drawing={letters(OTHER)}&network={network}"
    held = [Held(lab, "checkpoints/100.bin")]
    if network == 1000:
        held.append(Held(lab, "checkpoints/1000.bin"))
    follow(lab, FIRST)
    follow(lab, second)
    for each in held if in_order else reversed(held):
        each.release()
    shows(lab, OTHER, network)
    expect(arithmetic(lab).get_by_text("Point at any square")).to_be_visible()
    rest(lab)
    shows(lab, OTHER, network)
    expect(arithmetic(lab).get_by_text("Point at any square")).to_be_visible()
    assert lab.url.endswith(second)

    lab.go_back()
    shows(lab, HOOK, 100, silent=3)
    expect(title(lab)).to_contain_text("Unit 7")
    rest(lab)
    assert lab.url.endswith(FIRST)
    lab.go_forward()
    shows(lab, OTHER, network)
    expect(arithmetic(lab).get_by_text("Point at any square")).to_be_visible()


def test_back_before_the_networks_are_there(lab: Page) -> None:
    held = [Held(lab, f"checkpoints/{network}.bin") for network in (100, 1000)]
    follow(lab, FIRST)
    follow(lab, f"drawing={letters(OTHER)}&network=1000&cell=logits.3")
    lab.evaluate(
        """() => new Promise((done) => {
          addEventListener("hashchange", () => done(), { once: true });
          history.back();
        })"""
    )
    for each in reversed(held):
        each.release()
    shows(lab, HOOK, 100, silent=3)
    expect(title(lab)).to_contain_text("Unit 7")


def test_what_the_reader_does_while_a_link_loads_counts_for_more(lab: Page) -> None:
    held = Held(lab, "checkpoints/100.bin")
    follow(lab, FIRST)
    open_filter(lab, 1, 5).get_by_label("Silence this filter").check()
    lab.get_by_role("tab", name="Arithmetic").click()
    lab.locator(".lab-score").nth(3).click()
    expect(title(lab)).to_contain_text("Logit of 3")
    held.release()
    shows(lab, HOOK, 100, silent=5)
    expect(title(lab)).to_contain_text("Logit of 3")

    held = Held(lab, "checkpoints/1.bin")
    follow(lab, FIRST.replace("network=100", "network=1"))
    lab.locator("label:has(input[value='1000'])").click()
    shows(lab, HOOK, 1000)
    held.release()
    settle(lab)
    shows(lab, HOOK, 1000)


def test_an_address_stays_the_link_while_its_network_loads(lab: Page) -> None:
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    held = Held(lab, "checkpoints/100.bin")
    follow(lab, FIRST)
    drag(lab, OTHER[0])
    rest(lab)
    assert lab.url.endswith(FIRST)
    # What is copied is what is on the page.
    lab.get_by_role("button", name="Copy a link").click()
    expect(lab.get_by_text("Copied.")).to_be_visible()
    assert "&network=10000" in lab.evaluate("navigator.clipboard.readText()")
    lab.context.clear_permissions()
    held.release()
    lab.wait_for_function("() => location.hash.includes('network=100&')")
    assert len(strokes_of(lab)) == 3


def yours(page: Page) -> str:
    return page.locator("label:has(input[value='mine'])").inner_text()


def wait_for_weights(page: Page) -> None:
    """Wait until the network in training has reported its weights twice more."""
    for _ in range(2):
        expect(page.locator("label:has(input[value='mine'])")).not_to_have_text(yours(page))


def test_a_link_followed_while_training_runs_shows_its_own_network(lab: Page) -> None:
    choose(lab, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    lab.get_by_role("button", name="Start", exact=True).click()
    expect(lab.locator("input[value='mine']")).to_be_checked()
    held = Held(lab, "checkpoints/100.bin")
    follow(lab, FIRST)
    wait_for_weights(lab)
    held.release()
    shows(lab, HOOK, 100, silent=3)
    wait_for_weights(lab)
    shows(lab, HOOK, 100, silent=3)
    lab.locator("label:has(input[value='mine'])").click()
    expect(heading(lab, "Layer 1")).to_contain_text("4 filters 3×3")
    lab.get_by_role("button", name="Pause training").click()


def test_a_network_begun_before_another_was_chosen_does_not_push_in(lab: Page) -> None:
    held = Held(lab, "digits.bin")
    one_step(lab)
    use(lab, "1000")
    held.release()
    wait_for_iteration(lab, 1)
    expect(lab.locator("label:has(input[value='mine'])")).to_be_visible()
    expect(lab.locator("input[value='1000']")).to_be_checked()


def test_a_link_loads_its_own_network_and_no_other(context: BrowserContext, address: str) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = opened(context.new_page(), f"{address}#{FIRST}")
    shows(page, HOOK, 100, silent=3)
    assert [url.rpartition("/")[2] for url in asked if "checkpoints" in url] == ["100.bin"]


def test_a_page_without_permission_offers_the_link_to_be_copied(lab: Page) -> None:
    lab.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error('no')) }")
    lab.get_by_role("button", name="Copy a link").click()
    field = lab.get_by_label("Link to this drawing")
    expect(field).to_be_visible()
    assert field.input_value() == lab.url


@pytest.mark.parametrize(
    ("fragment", "told"),
    [
        (GOOD[:-1], "drawing is damaged"),
        (GOOD[:-6], "drawing is damaged"),
        (GOOD[:12] + ("A" if GOOD[12] != "A" else "B") + GOOD[13:], "drawing is damaged"),
        ("drawing=", "drawing is damaged"),
        ("drawing=%00%ff", "drawing is damaged"),
        (f"drawing={'A' * 100_000}", "drawing is damaged"),
        (f"{GOOD}&changes=", "changes to filters are damaged"),
        (f"{GOOD}&changes={in_letters(silenced(1, 3))[:-1]}A", "changes to filters are damaged"),
        (f"{GOOD}&changes={in_letters(biased(1, 3, 1)[:-1])}", "changes to filters are damaged"),
        (f"{GOOD}&changes={in_letters(silenced(3, 3))}", "changes to filters are damaged"),
        (f"{GOOD}&changes={in_letters(silenced(1, 16))}", "changes filters that this network"),
        (f"{GOOD}&changes={in_letters(biased(2, 3, np.nan))}", "changes filters that this"),
        (f"{GOOD}&changes={in_letters(rewritten(1, 3, 1, [0] * 25))}", "changes filters that"),
        (f"{GOOD}&changes={in_letters(rewritten(1, 3, 0, [0] * 9))}", "changes filters that"),
        (f"{GOOD}&network=17", "network that is not here"),
        (f"{GOOD}&network=%3Cb%3Ehello", "network that is not here"),
        (f"{GOOD}&cell=pool1.14.0.0", "number that this network does not have"),
        (f"{GOOD}&cell=pool1.0.0", "number that this network does not have"),
        (f"{GOOD}&cell=toString.1", "not one of the network’s"),
        (f"{GOOD}&cell=constructor.1", "number that this network does not have"),
        (f"{GOOD}&cell=pool1.-1.0.0", "not one of the network’s"),
    ],
)
def test_a_damaged_link_is_told_and_the_page_works_on(
    empty_tab: EmptyTab, address: str, fragment: str, told: str
) -> None:
    page, problems = empty_tab()
    opened(page, f"{address}#{fragment}")
    expect(page.get_by_role("alert")).to_contain_text(told)
    if fragment.startswith(GOOD):  # what is whole is kept
        np.testing.assert_allclose(seen(page), prepared(HOOK), atol=0.51 / 255)
    page.get_by_role("button", name="Example of the digit 7").click()
    assert answer(page) == "7"
    page.get_by_role("alert").get_by_role("button", name="Close").click()
    expect(page.locator(".lab-message")).to_have_count(0)
    assert problems == []


def test_a_changed_letter_anywhere_in_a_drawing_is_noticed(lab: Page) -> None:
    text = letters(HOOK)
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "z"
        go(lab, f"drawing={text[:at]}{other}{text[at + 1 :]}")
        # The last letter holds bits that belong to no byte: changing them changes nothing.
        if at < len(text) - 1:
            expect(lab.get_by_role("alert")).to_contain_text("drawing is damaged")
        go(lab, f"drawing={text}")
        expect(lab.locator(".lab-message")).to_have_count(0)


def test_a_link_that_is_followed_soon_after_a_change_is_not_lost(lab: Page) -> None:
    # The page will write its address in a moment, and is busy until that is overdue. So it
    # writes between the moment when the address changes and that in which it hears of it.
    lab.evaluate(
        """() => {
          document.querySelector("[aria-label='Example of the digit 7']").click();
          setTimeout(() => {
            const end = performance.now() + 1000;
            while (performance.now() < end);
          });
        }"""
    )
    lab.evaluate("location.hash = 'drawing=damaged'")
    expect(lab.get_by_role("alert")).to_contain_text("drawing is damaged")


def test_a_headings_anchor_is_no_link_to_a_drawing(lab: Page) -> None:
    before = seen(lab)
    go(lab, "train-one-yourself")
    expect(lab.locator(".lab-message")).to_have_count(0)
    np.testing.assert_array_equal(seen(lab), before)


# --- When something is missing ---------------------------------------------------------------


def with_route(
    context: BrowserContext, address: str, pattern: str, handler: Callable[[Route], None]
) -> Page:
    # The context's, not the page's: a worker loads the digits.
    context.route(pattern, handler)
    return opened(context.new_page(), address)


def refuse(route: Route) -> None:
    route.fulfill(status=404, body="not here")


def spoil(route: Route) -> None:
    """Let a file through with one byte changed."""
    body = bytearray(route.fetch().body())
    body[len(body) // 2] ^= 1
    route.fulfill(body=bytes(body))


@pytest.mark.parametrize("handler", [refuse, spoil, lambda route: route.abort()])
def test_without_a_checkpoint_the_page_says_so_and_goes_on(
    context: BrowserContext, address: str, handler: Callable[[Route], None]
) -> None:
    page = with_route(context, address, "**/checkpoints/1000.bin", handler)
    before = logits(page)
    page.locator("label:has(input[value='1000'])").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("after 1,000 iterations could not be loaded")
    expect(page.locator("input[value='10000']")).to_be_checked()
    np.testing.assert_array_equal(logits(page), before)
    use(page, "100")
    expect(page.locator(".lab-message")).to_have_count(0)


def test_a_link_whose_network_is_missing_shows_the_books_without_its_changes(
    context: BrowserContext, address: str
) -> None:
    page = with_route(context, f"{address}#{FIRST}", "**/checkpoints/100.bin", refuse)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("after 100 iterations could not be loaded")
    expect(alert).to_contain_text("changes to filters are left out")
    expect(page.locator("input[value='10000']")).to_be_checked()
    assert len(ghosts(page)) == 0
    net = load_checkpoint(10_000)
    np.testing.assert_allclose(logits(page), layers(net, prepared(HOOK))["logits"], atol=1e-4)
    # A reload tries the link again.
    rest(page)
    assert page.url.endswith(FIRST)
    context.unroute("**/checkpoints/100.bin")
    page.reload()
    opened(page, page.url)
    shows(page, HOOK, 100, silent=3)


def test_without_any_checkpoint_it_still_draws_and_trains(
    context: BrowserContext, address: str
) -> None:
    context.route("**/small/*", refuse)
    page = with_route(context, address, "**/checkpoints/*", refuse)
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    assert page.locator("input[name=lab-network]:checked").count() == 0
    page.get_by_role("button", name="Clear").click()
    drag(page, HOOK[1])
    assert seen(page).max() > 0.9
    choose(page, filters_in_the_first_layer="4", filters_in_the_second="8")
    one_step(page)
    expect(page.get_by_label("yours (1)")).to_be_checked()


@pytest.mark.parametrize("handler", [refuse, spoil])
def test_without_digits_training_says_so_and_can_be_tried_again(
    context: BrowserContext, address: str, handler: Callable[[Route], None]
) -> None:
    page = with_route(context, address, "**/digits.bin", handler)
    before = logits(page)
    one_step(page)
    expect(page.get_by_role("alert")).to_contain_text("digits.bin")
    np.testing.assert_array_equal(logits(page), before)
    context.unroute("**/digits.bin")
    choose(page, filters_in_the_first_layer="4", filters_in_the_second="8")
    one_step(page)
    wait_for_iteration(page, 1)
    expect(page.locator(".lab-message")).to_have_count(0)


def test_without_webassembly_the_numbers_are_the_same(
    context: BrowserContext, address: str, lab: Page
) -> None:
    page = with_route(context, address, "**/network.wasm", refuse)
    assert lab.evaluate("document.documentElement.dataset.lab") == "wasm-simd"
    assert page.evaluate("document.documentElement.dataset.lab") == "javascript"
    expect(page.get_by_text("without WebAssembly")).to_be_visible()
    np.testing.assert_allclose(logits(page), logits(lab), atol=1e-4)


def test_without_scripts_the_page_says_what_it_needs(chromium: Browser, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    expect(page.get_by_text("It needs JavaScript.")).to_be_visible()
    context.close()


# --- For everybody -----------------------------------------------------------------------------


def open_everything(page: Page) -> None:
    """The page at its fullest: a filter changed, a network begun, arithmetic shown."""
    one_step(page)
    expect(page.get_by_label("yours (1)")).to_be_checked()
    use(page, "10000")
    open_filter(page, 2, 5, 3).get_by_label("Silence this filter").check()
    page.get_by_label("You meant").select_option("8")
    settle(page)


def test_there_is_no_barrier(lab: Page, axe: Callable[[Page], list[str]]) -> None:
    open_everything(lab)
    for scheme in ("light", "dark"):
        lab.emulate_media(color_scheme=scheme)
        expect(lab.locator("html")).to_have_attribute("data-theme", scheme)
        for tab in ("Change", "Train"):
            lab.get_by_role("tab", name=tab).click()
            settle(lab)
            assert axe(lab) == [], (tab, scheme)
        for cell in ("pool2.0.0.5", "fc1.107", "probabilities.3"):
            go(lab, f"{GOOD}&cell={cell}")
            assert axe(lab) == [], (cell, scheme)


def test_a_small_screen_has_no_barrier(lab: Page, axe: Callable[[Page], list[str]]) -> None:
    lab.set_viewport_size({"width": 390, "height": 844})
    go(lab, GOOD)
    assert axe(lab) == []
    for cell in ("pool1.3.3.3", "logits.3"):
        go(lab, f"{GOOD}&cell={cell}")
        assert axe(lab) == [], cell


def test_no_width_needs_sideways_scrolling(lab: Page) -> None:
    open_everything(lab)
    for cell in (
        "input.5.14",
        "pool1.3.3.3",
        "pool2.0.0.5",
        "flat.900",
        "fc1.107",
        "logits.3",
        "probabilities.3",
    ):
        go(lab, f"{GOOD}&cell={cell}")
        # 640 is a laptop's window at 200%.
        for width in (320, 390, 640, 768, 1066, 1280, 1600):
            lab.set_viewport_size({"width": width, "height": 844})
            settle(lab)
            assert lab.evaluate("document.documentElement.scrollWidth") <= width, cell
            # Nothing of the lab is cut off at the right, but for what scrolls in itself.
            cut = lab.evaluate(
                """() => [...document.querySelectorAll(".lab *")]
                  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().width > 1
                    && !e.closest(".lab-loupe, .lab-wires")
                    && e.getBoundingClientRect().right > innerWidth + 1)
                  .map((e) => e.outerHTML.slice(0, 100))"""
            )
            assert cut == [], (cell, width)


def test_on_a_phone_a_picture_opens_a_sheet_with_numbers_for_fingers(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), f"{address}#{GOOD}")
    dock = page.locator(".lab-dock")
    expect(dock).to_be_hidden()
    canvas = layer_of(page, "pictures2").locator("canvas")
    canvas.scroll_into_view_if_needed()
    place = canvas.bounding_box()
    assert place is not None
    before = [layer_of(page, name).bounding_box() for name in ("pictures1", "pictures2", "fc1")]
    page.touchscreen.tap(place["x"] + 5, place["y"] + 5)
    expect(dock).to_be_visible()
    expect(title(page)).to_contain_text("Layer 2, picture 0")
    box = dock.bounding_box()
    assert box is not None
    assert box["y"] >= 844 / 2 - 1 and box["height"] >= 844 / 2 - 1
    # The picture under it stays where it is.
    after = [layer_of(page, name).bounding_box() for name in ("pictures1", "pictures2", "fc1")]
    assert after == before
    loupe = dock.locator(".lab-loupe canvas")
    size = loupe.bounding_box()
    assert size is not None
    assert size["width"] / 7 >= 24 and size["height"] / 7 >= 24
    page.touchscreen.tap(size["x"] + 2.5 * size["width"] / 7, size["y"] + 1.5 * size["height"] / 7)
    expect(title(page)).to_contain_text("Layer 2, picture 0, row 1, column 2")
    # The guess stays in sight, in the strip on top.
    page.evaluate("scrollTo(0, 400)")
    strip = page.locator(".lab-strip")
    expect(strip).to_be_in_viewport(ratio=1)
    expect(strip.locator(".lab-strip-digit")).to_have_text(answer(page))
    dock.get_by_role("button", name="Close the sheet").click()
    expect(dock).to_be_hidden()
    targets = page.locator("#lab button:visible, #lab input[type=radio] + span").evaluate_all(
        """(all) => all.map((one) => one.getBoundingClientRect())
          .filter(({ width, height }) => width > 0 && (width < 24 || height < 24)).length"""
    )
    assert targets == 0
    context.close()


def test_on_a_phone_the_wires_run_behind_the_headings(chromium: Browser, address: str) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = opened(context.new_page(), address)
    expect(page.locator(".lab-wires path:not([visibility])").first).to_be_attached()
    box = page.locator(".lab-heading", has_text="Layer 2").bounding_box()
    assert box is not None
    # Whole pixels: the box may begin and end within some.
    clip = FloatRect(x=box["x"] + 1, y=box["y"] + 1, width=box["width"] - 2, height=13)
    with_wires = page.screenshot(clip=clip)
    page.add_style_tag(content=".lab-wires { visibility: hidden; }")
    assert page.screenshot(clip=clip) == with_wires
    context.close()


def test_forced_colours_leave_pictures_bars_and_rings(chromium: Browser, address: str) -> None:
    context = chromium.new_context(forced_colors="active")
    page = opened(context.new_page(), f"{address}#{GOOD}")
    styles = page.locator(".lab-bar, .lab-example, .lab-numbers td").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).forcedColorAdjust)"
    )
    assert set(styles) == {"none"}
    bar = page.locator(".lab-bar").first.evaluate("(e) => getComputedStyle(e).backgroundColor")
    assert bar != page.evaluate("getComputedStyle(document.body).backgroundColor")
    ring = layer_of(page, "pictures1").locator("[tabindex='0']")
    page.get_by_role("button", name="Example of the digit 9").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    assert ring.evaluate("(e) => e.matches(':focus-visible')")
    assert ring.evaluate("(e) => getComputedStyle(e).outlineStyle") == "solid"
    context.close()


def test_training_shows_little_of_itself_to_readers_who_want_less_motion(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = opened(context.new_page(), address)
    choose(page, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    one_step(page)
    wait_for_iteration(page, 1)
    settle(page)
    page.evaluate(
        """() => {
          window.shown = [];
          new MutationObserver(() => shown.push(performance.now())).observe(
            document.querySelector(".lab-status"), { childList: true, characterData: true,
              subtree: true });
          performance.clearMeasures();
        }"""
    )
    page.get_by_role("button", name="Continue", exact=True).click()
    page.wait_for_function("() => shown.length >= 3")
    times = page.evaluate("shown")
    redraws = page.evaluate("performance.getEntriesByName('lab-redraw').length")
    # Reports come thirty times a second, and weights twice; they are shown every three seconds.
    assert np.diff(times[:3]).min() >= 2900
    assert redraws <= len(times)
    page.get_by_role("button", name="Pause", exact=True).click()
    context.close()


def test_nothing_moves_by_itself_for_readers_who_want_less_motion(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = opened(context.new_page(), address)
    page.get_by_role("button", name="Example of the digit 8").click()
    page.get_by_role("button", name="Example of the digit 1").click()
    moving = "document.getAnimations().filter((a) => a.effect.target.closest('.lab')).length"
    assert page.evaluate(moving) == 0
    context.close()
