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
from playwright.sync_api import Browser, BrowserContext, CDPSession, Locator, Page, Route, expect

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
    page.locator("html[data-lab]").wait_for(state="attached")
    settle(page)
    return page


def settle(page: Page) -> None:
    """Wait until what was asked for is drawn, out of sight too.

    Two frames, for the page draws in the next one; what is out of sight comes a moment later.
    """
    page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    page.locator("#lab-layers:not([data-unfinished])").wait_for(state="attached")


@pytest.fixture
def lab(empty_tab: EmptyTab, address: str) -> Iterator[Page]:
    """The open lab. Whatever a test does there: no error, and no request that fails."""
    page, problems = empty_tab()
    yield opened(page, address)
    assert problems == []


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
    return values(page.locator(".lab-score:not(.lab-probability)"))


def section(page: Page, name: str) -> Locator:
    return page.locator(f"[data-layer={name}]")


def pixels(canvas: Locator) -> NDArray[np.uint8]:
    """A canvas as ``[height, width, 4]``, one pixel for each number of the layer."""
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
    return 1 - pixels(page.locator(".lab-seen canvas"))[:, :, 0] / 255


def use(page: Page, network: str) -> None:
    """Choose a network as with the mouse."""
    page.locator(f"label:has(input[name=lab-network][value='{network}'])").click()
    expect(page.locator(f"input[name=lab-network][value='{network}']")).to_be_checked()
    settle(page)
    expect(page.locator("#lab-draw")).not_to_have_attribute("aria-busy", "true")
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
    expect(page.locator("#lab-draw")).not_to_have_attribute("aria-busy", "true")
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
        lab.get_by_role("button", name=f"Example of a {digit}").click()
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


def test_the_first_stroke_moves_nothing_and_a_key_brings_the_help(lab: Page) -> None:
    clear = lab.get_by_role("button", name="Clear")
    before = clear.bounding_box()
    drag(lab, HOOK[0])
    assert clear.bounding_box() == before
    lab.keyboard.press("ArrowDown")
    expect(lab.get_by_text("By keyboard: arrow keys move the pen")).to_be_in_viewport()
    assert clear.bounding_box() != before


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
    other.get_by_role("button", name="Undo").click()
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
    lab.get_by_role("button", name="Undo").click()
    np.testing.assert_array_equal(seen(lab), before)
    rest(lab)
    lab.get_by_role("button", name="Undo").click()
    assert strokes_of(lab) == []
    expect(lab.get_by_text("now too long for a link")).to_have_count(0)
    scribble(lab, zigzag(2_000))
    lab.get_by_role("button", name="Copy a link").click()
    expect(lab.get_by_text("some programs cut a link of that length")).to_be_visible()
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
    lab.get_by_role("button", name="Undo").click()
    np.testing.assert_allclose(seen(lab), prepared(HOOK[:1]), atol=0.51 / 255)


def test_the_reader_hears_and_sees_what_a_wrong_guess_costs(lab: Page) -> None:
    lab.get_by_role("button", name="Example of a 3").click()
    lab.get_by_label("What did you mean?").select_option("8")
    loss = np.log(np.exp(logits(lab) - logits(lab)[8]).sum())
    verdict = lab.locator(".lab-verdict")
    expect(verdict).to_contain_text("Wrong")
    expect(verdict).to_contain_text(f"a loss of {loss:.3f}")
    lab.get_by_label("What did you mean?").select_option("3")
    expect(verdict).to_contain_text("Right")
    expect(lab.locator(".lab-guess [role=status]")).to_contain_text("The network reads 3")


# --- Every number ---------------------------------------------------------------------------


def test_numbers_are_tensorflows_at_every_checkpoint(lab: Page, nets: dict[int, ConvNet]) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    image = prepared(HOOK)
    for iterations, net in nets.items():
        use(lab, str(iterations))
        out = layers(net, image)
        np.testing.assert_allclose(logits(lab), out["logits"], atol=1e-4)
        shares = values(lab.locator(".lab-probability"))
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
        panel = lab.locator(".lab-panel:visible")
        (value,) = values(panel.locator(".lab-value"))
        assert value == pytest.approx(out[layer][place], abs=1e-4)
        for at in place:
            expect(panel.locator("h4")).to_contain_text(f" {at}")
        check_arithmetic(panel, layer, value)


def check_arithmetic(panel: Locator, layer: str, value: float) -> None:
    """What the panel shows makes the value: products, sums, the largest of four, softmax."""

    def grid(title: str) -> Numbers:
        return values(panel.locator(f"table:has(caption:text-matches('^{title}')) td"))

    if layer in ("conv1", "pool1", "conv2", "pool2"):
        patch, weights, products = grid("patch"), grid("filter"), grid("products")
        assert len(patch) == len(weights) == 25
        np.testing.assert_allclose(patch * weights, products, atol=1e-12)
        results = values(panel.locator(".lab-result:visible"))
        channels = grid("sum of each")
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
            window = grid("2×2 window")
            assert window.max() == pytest.approx(total, abs=1e-5)
            assert max(0.0, window.max()) == pytest.approx(value, abs=1e-6)
        else:
            assert total == pytest.approx(value, abs=1e-5)
    elif layer in ("fc1", "logits"):
        products = values(panel.locator("tbody .lab-result, tbody td[data-value]"))
        assert len(products) == 10
        assert list(np.abs(products)) == sorted(np.abs(products), reverse=True)
        rest, bias, total = values(panel.locator("tfoot .lab-result"))
        assert products.sum() + rest + bias == pytest.approx(total)
        after = total if layer == "logits" else max(total, 0)
        assert after == pytest.approx(value, abs=1e-4)
    elif layer == "probabilities":
        table = values(panel.locator("tbody td[data-value]")).reshape(10, 2)
        (total,) = values(panel.locator("tfoot .lab-result"))
        assert table[:, 0].sum() == pytest.approx(total)
        np.testing.assert_allclose(table[:, 0] / total, table[:, 1])
        assert table[:, 1].max() <= 1
        assert np.abs(table[:, 1] - value).min() < 1e-6


def test_choosing_with_the_mouse_opens_the_arithmetic_and_leads_down_to_the_ink(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    canvas = section(lab, "pool2").locator("canvas.lab-pixels").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    width = pixels(canvas).shape[1]
    zoom = box["width"] / width
    # Row 3, column 2 of the second picture of the first line.
    canvas.click(position={"x": (8 + 2.5) * zoom, "y": 3.5 * zoom})
    panel = lab.locator(".lab-panel:visible")
    expect(panel.locator("h4")).to_contain_text("layer_conv2, channel 1, row 3, column 2: ")
    # Its patch is outlined in all 16 pictures of the layer below.
    assert section(lab, "pool1").locator(".lab-mark").count() == 16

    panel.locator("table:has(caption:text-matches('^patch')) td").nth(12).click()
    expect(panel.locator("h4")).to_contain_text("layer_conv1, channel")
    assert section(lab, "pool1").locator(".lab-panel").is_visible()
    panel.locator("table:has(caption:text-matches('^patch')) td").nth(12).click()
    expect(panel.locator("h4")).to_contain_text("input, row")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_have_count(0)


def test_one_of_the_four_sums_and_one_channel_can_be_chosen(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}&cell=pool2.3.3.5")
    panel = lab.locator(".lab-panel:visible")
    window = panel.locator("table:has(caption:text-is('2×2 window')) td")
    for place in range(4):
        window.nth(place).click()
        total = values(panel.locator(".lab-total:visible"))[0]
        assert total == pytest.approx(values(window)[place], abs=1e-5)
    channels = panel.locator("table:has(caption:text-matches('^sum of each')) td")
    for channel in (0, 15):
        channels.nth(channel).click()
        expect(panel.locator("caption", has_text=f"patch, channel {channel}")).to_be_visible()
        products = values(panel.locator("table:has(caption:text-is('products')) td"))
        assert products.sum() == pytest.approx(values(channels)[channel])


def test_the_keyboard_reaches_every_number(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    grid = section(lab, "pool1").get_by_role("grid").first
    cell = grid.locator("[role=gridcell][tabindex='0']")
    cell.focus()
    focused = lab.locator("*:focus")

    def label() -> str:
        return str(focused.get_attribute("aria-label"))

    for key, place in [
        ("ArrowRight", "channel 0, row 0, column 1"),
        ("ArrowDown", "channel 0, row 1, column 1"),
        ("PageDown", "channel 1, row 1, column 1"),
        ("PageUp", "channel 0, row 1, column 1"),
        ("ArrowLeft", "channel 0, row 1, column 0"),
        ("End", "channel 15, row 13, column 13"),
        ("Home", "channel 0, row 0, column 0"),
    ]:
        lab.keyboard.press(key)
        assert label().startswith(f"{place}: "), key
        assert (
            lab.locator(".lab-panel:visible h4").inner_text().startswith(f"layer_conv1, {place}: ")
        )
    # Over the edge of one picture into the next.
    for _ in range(14):
        lab.keyboard.press("ArrowRight")
    assert label().startswith("channel 1, row 0, column 0: ")
    lab.keyboard.press("Enter")
    assert focused.evaluate("(e) => e.tagName") == "H4"
    lab.keyboard.press("Escape")
    assert label().startswith("channel 1, row 0, column 0: ")
    # Closing the arithmetic leads back as well.
    lab.locator(".lab-panel:visible").get_by_role("button", name="Close").press("Enter")
    assert lab.locator(".lab-panel:visible").count() == 0
    assert label().startswith("channel 1, row 0, column 0: ")
    # The grid is one stop of the Tab key.
    lab.keyboard.press("Shift+Tab")
    assert grid.evaluate("(grid) => grid.contains(document.activeElement)") is False


def test_every_layer_has_words_that_say_what_it_shows(lab: Page, nets: dict[int, ConvNet]) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    rest(lab)
    out = layers(nets[10_000], prepared(HOOK))
    for layer in ("pool1", "pool2", "flat", "fc1"):
        words = section(lab, layer).locator(".lab-words")
        expect(words).to_contain_text(f"{out[layer].max():.3f}")
        expect(words).to_contain_text(f"{100 * (out[layer] == 0).mean():.1f}% are 0")
        grid = section(lab, layer).get_by_role("grid").first
        described = str(grid.get_attribute("aria-describedby"))
        assert words.get_attribute("id") == described
    rows = np.flatnonzero(out["input"].any(axis=1))
    expect(section(lab, "input").locator(".lab-words")).to_contain_text(
        f"from row {rows[0]} to row {rows[-1]}"
    )
    expect(section(lab, "scores").locator(".lab-words")).to_contain_text(
        f"The logit of {out['logits'].argmax()} is the largest"
    )


@pytest.mark.parametrize(("layer", "name"), [("pool1", "viridis"), ("filters1", "RdBu_r")])
def test_colours_are_those_of_the_books_pictures(lab: Page, layer: str, name: str) -> None:
    shown = pixels(section(lab, layer).locator(".lab-legend canvas"))[0, :, :3]
    wanted = matplotlib.colormaps[name](np.linspace(0, 1, len(shown)))[:, :3] * 255
    assert np.abs(shown - wanted).max() <= 4


def test_a_layers_picture_has_the_colours_of_its_numbers(
    lab: Page, nets: dict[int, ConvNet]
) -> None:
    go(lab, f"drawing={letters(HOOK)}")
    layer = layers(nets[10_000], prepared(HOOK))["pool1"]
    shown = section(lab, "pool1")
    high = float(shown.locator(".lab-legend span").nth(1).inner_text())
    assert high >= layer.max()
    canvas = pixels(shown.locator("canvas.lab-pixels").first)
    columns = (canvas.shape[1] + 1) // 15
    for channel in range(16):
        top, left = 15 * (channel // columns), 15 * (channel % columns)
        tile = canvas[top : top + 14, left : left + 14, :3].astype(float)
        wanted = matplotlib.colormaps["viridis"](layer[:, :, channel] / high)[:, :, :3] * 255
        assert np.abs(tile - wanted).max() <= 6


def test_a_stroke_draws_what_is_in_sight_at_once_and_the_rest_soon_after(lab: Page) -> None:
    lab.get_by_role("button", name="Clear").click()
    go(lab, f"drawing={letters([])}&cell=pool2.3.3.5")
    canvases = {name: section(lab, name).locator("canvas").first for name in ("pool1", "fc1")}
    before = {name: pixels(canvas) for name, canvas in canvases.items()}
    lab.evaluate(
        """() => {
          window.built = 0;
          performance.clearMeasures();
          const watch = (records) => { for (const r of records) if (r.target.nodeType === 1
            && [...r.addedNodes].some((n) => n.nodeType === 1)) window.built += 1; };
          new MutationObserver(watch).observe(document.getElementById("lab-layers"),
            { childList: true, subtree: true });
          // In one go: what was drawn by the end of the frame, before anything could be waited for.
          window.drawn = new Promise((resolve) => {
            document.querySelector(".lab-paper").addEventListener("pointerdown", () =>
              requestAnimationFrame(() => resolve(["pool1", "fc1"].map((name) =>
                document.querySelector(`[data-layer=${name}] canvas`).toDataURL()))),
              { once: true });
          });
          window.empty = ["pool1", "fc1"].map((name) =>
            document.querySelector(`[data-layer=${name}] canvas`).toDataURL());
        }"""
    )
    drag(lab, [(100, 50), (130, 200)])
    at_once = lab.evaluate("drawn")
    empty = lab.evaluate("empty")
    # The paper is at the top of the page, these layers far below.
    assert at_once == empty
    settle(lab)
    for name, picture in before.items():
        assert (pixels(canvases[name]) != picture).any()
    assert lab.evaluate("window.built") == 0
    measures = lab.evaluate("performance.getEntriesByName('lab-redraw').length")
    assert measures >= 1

    # In sight, a layer is drawn in the frame of the change.
    lab.get_by_role("button", name="Clear").click()
    canvases["pool1"].scroll_into_view_if_needed()
    settle(lab)
    shown = lab.evaluate(
        """() => {
          const picture = () => document.querySelector("[data-layer=pool1] canvas").toDataURL();
          const before = picture();
          document.querySelector("[aria-label='Example of a 3']").click();
          return new Promise((resolve) =>
            requestAnimationFrame(() => resolve(picture() !== before)));
        }"""
    )
    assert shown


# --- Changing the network ---------------------------------------------------------------------


def open_filter(page: Page, layer: int, filter_: int, channel: int = 0) -> Locator:
    """Open a filter's editor; give its panel."""
    canvas = section(page, f"filters{layer}").locator("canvas.lab-pixels").first
    canvas.scroll_into_view_if_needed()
    canvas.click(position={"x": 3, "y": 3})
    panel = section(page, f"filters{layer}").locator(".lab-panel")
    panel.get_by_label("filter", exact=True).fill(str(filter_))
    if layer == 2:
        panel.get_by_label("channel", exact=True).fill(str(channel))
    return panel


def test_a_silenced_filter_gives_zeros_and_comes_back(lab: Page) -> None:
    go(lab, f"drawing={letters(HOOK)}&cell=pool1.5.7.11")
    before = logits(lab)
    assert values(lab.locator(".lab-value"))[0] > 0
    silence = open_filter(lab, 1, 11).get_by_label("Silence this filter")
    silence.check()
    assert np.abs(logits(lab) - before).max() > 0.01
    assert values(lab.locator(".lab-value"))[0] == 0
    without = lab.locator(".lab-without")
    expect(without).to_contain_text(f"Without your changes it reads {before.argmax()}")
    # The change stays while the network is taken back to another moment.
    use(lab, "100")
    assert values(lab.locator(".lab-value"))[0] == 0
    use(lab, "10000")
    silence.uncheck()
    np.testing.assert_array_equal(logits(lab), before)
    expect(without).to_be_hidden()


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
    expect(panel.get_by_role("status")).to_contain_text("not a number")
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
    panel.get_by_role("button", name="Turn by a quarter").click()
    np.testing.assert_array_equal(numbers(), np.rot90(before, -1))
    panel.get_by_role("button", name="Swap red and blue").click()
    np.testing.assert_array_equal(numbers(), -np.rot90(before, -1))
    panel.get_by_role("button", name="All zero").click()
    assert not numbers().any()
    lab.get_by_role("button", name="Undo all changes").click()
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
    for label, value in choices.items():
        page.get_by_role("combobox", name=label.replace("_", " ")).select_option(value)


def loss(page: Page) -> float:
    match = re.search(r"loss ([\d.]+)", page.locator(".lab-status").inner_text())
    assert match is not None
    return float(match[1])


def test_a_network_is_trained_step_by_step_paused_and_begun_afresh(lab: Page) -> None:
    choose(lab, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    lab.get_by_role("button", name="One step").click()
    wait_for_iteration(lab, 1)
    assert iteration(lab) == 1
    first = loss(lab)
    assert first == pytest.approx(np.log(10), abs=0.5)
    # The layers above are now this network's.
    expect(lab.get_by_label("yours (1)")).to_be_checked()
    expect(section(lab, "pool1").locator(".lab-shape")).to_have_text("[14, 14, 4]")
    expect(section(lab, "filters2").locator(".lab-shape")).to_have_text("[3, 3, 4, 8]")
    filters = section(lab, "filters1").locator("canvas.lab-pixels").first
    before = pixels(filters)
    expect(lab.get_by_role("combobox", name="filter size")).to_be_disabled()

    lab.get_by_role("button", name="Go on").click()
    wait_for_iteration(lab, 150)
    lab.get_by_role("button", name="Pause").click()
    assert loss(lab) < first
    assert (pixels(filters) != before).any()
    label = str(lab.locator("figure canvas[role=img]").first.get_attribute("aria-label"))
    assert label.startswith("Loss at iteration")
    settle(lab)
    wait_for_a_standstill(lab)

    use(lab, "10000")
    expect(section(lab, "pool1").locator(".lab-shape")).to_have_text("[14, 14, 16]")
    lab.get_by_role("button", name="Start afresh").click()
    assert iteration(lab) == -1
    expect(lab.get_by_role("combobox", name="filter size")).to_be_enabled()


def test_a_network_without_pooling_can_be_trained_and_its_arithmetic_adds_up(lab: Page) -> None:
    choose(lab, filters_in_the_first_layer="8", filters_in_the_second="8", filter_size="5")
    lab.get_by_label("max-pooling").uncheck()
    lab.get_by_role("button", name="One step").click()
    wait_for_iteration(lab, 1)
    expect(lab.get_by_label("yours (1)")).to_be_checked()
    expect(section(lab, "conv1")).to_be_hidden()
    expect(section(lab, "pool1")).to_contain_text("every second place")
    grid = section(lab, "pool2").get_by_role("grid").first
    grid.locator("[role=gridcell][tabindex='0']").focus()
    lab.keyboard.press("End")
    panel = lab.locator(".lab-panel:visible")
    expect(panel.locator("h4")).to_contain_text("channel 7, row 6, column 6")
    results = values(panel.locator(".lab-result:visible"))
    (value,) = values(panel.locator(".lab-value"))
    added, bias, total = results[1:4]
    assert total == pytest.approx(added + bias)
    assert max(0.0, total) == pytest.approx(value, abs=1e-5)


def test_training_pauses_while_the_page_is_out_of_sight(lab: Page) -> None:
    choose(lab, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    lab.get_by_role("button", name="Start", exact=True).click()
    wait_for_iteration(lab, 5)
    hide(lab, True)
    expect(lab.get_by_text("Training paused while")).to_be_visible()
    wait_for_a_standstill(lab)
    paused = iteration(lab)
    hide(lab, False)
    expect(lab.get_by_text("Training paused while")).to_be_visible()
    lab.get_by_role("button", name="Go on").click()
    expect(lab.get_by_text("Training paused while")).to_have_count(0)
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
    lab.get_by_role("button", name="One step").click()
    wait_for_iteration(lab, 1)
    text = lab.locator("#lab-train").inner_text()
    assert f"{about['train']:,}" in text
    assert f"{about['test']:,}" in text
    assert ("MNIST" if about["source"] == "mnist" else "scikit-learn") in text


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
    grid = section(lab, "pool2").get_by_role("grid").first
    grid.locator("[role=gridcell][tabindex='0']").focus()
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
    title = other.locator(".lab-panel:visible h4")
    expect(title).to_have_text(lab.locator(".lab-panel:visible h4").inner_text())
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
    panel.get_by_role("button", name="Turn by a quarter").click()
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
    expect(other.locator(".lab-without")).to_contain_text("Without your changes")
    field = open_filter(other, 2, 7, 12).get_by_label("bias")
    assert field.input_value() == "-0.250"
    expect(open_filter(other, 1, 11).get_by_label("Silence this filter")).to_be_checked()
    # A link without changes takes them back, and so does the button.
    go(other, f"{GOOD}&network=10000")
    np.testing.assert_array_equal(logits(other), unchanged)
    lab.get_by_role("button", name="Undo all changes").click()
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
    expect(page.locator(".lab-panel:visible h4")).to_contain_text("unit 7")
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
    expect(page.locator("#lab-draw")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator(f"input[value='{network}']")).to_be_checked()
    net = load_checkpoint(network)
    if silent is not None:
        for variable in (net.conv1.weights, net.conv1.biases):
            keep = np.ones(16, np.float32)
            keep[silent] = 0
            variable.assign(variable * keep)
    np.testing.assert_allclose(logits(page), layers(net, prepared(strokes))["logits"], atol=1e-4)
    assert page.locator(".lab-without").is_visible() == (silent is not None)
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
    expect(lab.locator(".lab-panel:visible")).to_have_count(0)
    rest(lab)
    shows(lab, OTHER, network)
    expect(lab.locator(".lab-panel:visible")).to_have_count(0)
    assert lab.url.endswith(second)

    lab.go_back()
    shows(lab, HOOK, 100, silent=3)
    expect(lab.locator(".lab-panel:visible h4")).to_contain_text("unit 7")
    rest(lab)
    assert lab.url.endswith(FIRST)
    lab.go_forward()
    shows(lab, OTHER, network)
    expect(lab.locator(".lab-panel:visible")).to_have_count(0)


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
    expect(lab.locator(".lab-panel:visible h4")).to_contain_text("unit 7")


def test_what_the_reader_does_while_a_link_loads_counts_for_more(lab: Page) -> None:
    held = Held(lab, "checkpoints/100.bin")
    follow(lab, FIRST)
    open_filter(lab, 1, 5).get_by_label("Silence this filter").check()
    lab.locator(".lab-score:not(.lab-probability)").nth(3).click()
    title = lab.locator(".lab-panel:visible h4").first.inner_text()
    held.release()
    shows(lab, HOOK, 100, silent=5)
    assert lab.locator(".lab-panel:visible h4").first.inner_text() == title

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
    expect(section(lab, "pool1").locator(".lab-shape")).to_have_text("[14, 14, 4]")
    lab.get_by_role("button", name="Pause").click()


def test_a_network_begun_before_another_was_chosen_does_not_push_in(lab: Page) -> None:
    held = Held(lab, "digits.bin")
    lab.get_by_role("button", name="One step").click()
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
        (f"{GOOD}&cell=toString.1", "none of the network’s"),
        (f"{GOOD}&cell=constructor.1", "number that this network does not have"),
        (f"{GOOD}&cell=pool1.-1.0.0", "none of the network’s"),
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
    page.get_by_role("button", name="Example of a 7").click()
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
          document.querySelector("[aria-label='Example of a 7']").click();
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
    expect(page.locator(".lab-without")).to_be_hidden()
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
    page = with_route(context, address, "**/checkpoints/*", refuse)
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    assert page.locator("input[name=lab-network]:checked").count() == 0
    page.get_by_role("button", name="Clear").click()
    drag(page, HOOK[1])
    assert seen(page).max() > 0.9
    choose(page, filters_in_the_first_layer="4", filters_in_the_second="8")
    page.get_by_role("button", name="One step").click()
    expect(page.get_by_label("yours (1)")).to_be_checked()


@pytest.mark.parametrize("handler", [refuse, spoil])
def test_without_digits_training_says_so_and_can_be_tried_again(
    context: BrowserContext, address: str, handler: Callable[[Route], None]
) -> None:
    page = with_route(context, address, "**/digits.bin", handler)
    before = logits(page)
    page.get_by_role("button", name="One step").click()
    expect(page.get_by_role("alert")).to_contain_text("digits.bin")
    np.testing.assert_array_equal(logits(page), before)
    context.unroute("**/digits.bin")
    choose(page, filters_in_the_first_layer="4", filters_in_the_second="8")
    page.get_by_role("button", name="One step").click()
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
    expect(page.get_by_text("python -m http.server")).to_be_visible()
    context.close()


# --- For everybody -----------------------------------------------------------------------------


def open_everything(page: Page) -> None:
    """The page at its fullest: folds open, a filter changed, arithmetic shown, a network begun."""
    for fold in page.locator("details.lab-fold").all():
        fold.evaluate("(fold) => { fold.open = true }")
    open_filter(page, 2, 5, 3).get_by_label("Silence this filter").check()
    page.get_by_label("What did you mean?").select_option("8")
    page.get_by_role("button", name="One step").click()
    expect(page.get_by_label("yours (1)")).to_be_checked()
    use(page, "10000")
    open_filter(page, 1, 5).get_by_label("Silence this filter").check()


def test_there_is_no_barrier(lab: Page, axe: Callable[[Page], list[str]]) -> None:
    open_everything(lab)
    for cell in ("pool2.0.0.5", "fc1.107", "probabilities.3"):
        go(lab, f"{GOOD}&cell={cell}")
        for scheme in ("light", "dark"):
            lab.emulate_media(color_scheme=scheme)
            expect(lab.locator("html")).to_have_attribute("data-theme", scheme)
            assert axe(lab) == [], (cell, scheme)


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
        for width in (320, 390, 768, 1280):
            lab.set_viewport_size({"width": width, "height": 844})
            settle(lab)
            assert lab.evaluate("document.documentElement.scrollWidth") <= width, cell
            # Nothing of the lab is cut off at the right.
            cut = lab.evaluate(
                """() => [...document.querySelectorAll(".lab *")]
                  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().width > 1
                    && e.getBoundingClientRect().right > innerWidth + 1)
                  .map((e) => e.outerHTML.slice(0, 100))"""
            )
            assert cut == [], (cell, width)


def test_training_shows_little_of_itself_to_readers_who_want_less_motion(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = opened(context.new_page(), address)
    choose(page, filters_in_the_first_layer="4", filters_in_the_second="8", filter_size="3")
    page.get_by_role("button", name="One step").click()
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
    page.get_by_role("button", name="Go on").click()
    page.wait_for_function("() => shown.length >= 3")
    times = page.evaluate("shown")
    redraws = page.evaluate("performance.getEntriesByName('lab-redraw').length")
    # Reports come thirty times a second, and weights twice; they are shown every three seconds.
    assert np.diff(times[:3]).min() >= 2900
    assert redraws <= len(times)
    page.get_by_role("button", name="Pause").click()
    context.close()


def test_nothing_moves_by_itself_for_readers_who_want_less_motion(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = opened(context.new_page(), address)
    page.get_by_role("button", name="Example of a 8").click()
    page.get_by_role("button", name="Example of a 1").click()
    moving = "document.getAnimations().filter((a) => a.effect.target.closest('.lab')).length"
    assert page.evaluate(moving) == 0
    context.close()
