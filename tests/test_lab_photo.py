"""A photograph of a digit in the lab: chosen, pasted, dropped; its steps; and what is refused."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect
from test_handwriting import photograph, sideways, written

pytest_plugins = ["browser", "built_site"]
expect.set_options(timeout=60_000)


def as_png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG")
    return file.getvalue()


SEVEN = as_png(photograph(written(7)))
BLANK = as_png(photograph(np.zeros((400, 300), np.float32)))


@pytest.fixture(scope="module")
def address(site: Path, serve: Callable[[Path], str]) -> str:
    return f"{serve(site)}/book/lab.html"


@pytest.fixture
def lab(chromium: Browser, address: str, watch: Callable[[Page], list[str]]) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    problems = watch(page)
    page.emulate_media(reduced_motion="reduce")
    page.goto(address)
    page.locator("html[data-lab] #lab[data-exact]").wait_for()
    yield page
    assert problems == []
    context.close()


def choose(page: Page, content: bytes, name: str = "seven.png", kind: str = "image/png") -> None:
    file: FilePayload = {"name": name, "mimeType": kind, "buffer": content}
    page.locator(".lab-photo-file input").set_input_files(file)


def hand_over(page: Page, event: str, content: bytes) -> None:
    """Paste or drop a picture, as the system would."""
    page.evaluate(
        """({ event, text }) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "picture.png", { type: "image/png" }));
          const options = { bubbles: true, cancelable: true };
          if (event === "paste")
            document.body.dispatchEvent(
              new ClipboardEvent("paste", { ...options, clipboardData: data }));
          else document.querySelector(".lab-stage").dispatchEvent(
            new DragEvent("drop", { ...options, dataTransfer: data }));
        }""",
        {"event": event, "text": base64.b64encode(content).decode()},
    )


def test_a_chosen_photograph_is_read_and_its_steps_are_shown(lab: Page) -> None:
    requests: list[str] = []
    lab.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
    before = lab.locator(".lab-stage").bounding_box()
    choose(lab, SEVEN)
    expect(lab.locator(".lab-digit")).to_have_text("7")
    expect(lab.locator(".lab-photo-steps figcaption")).to_have_text(
        ["grey", "inverted", "fitted", "centred"]
    )
    expect(lab.locator(".lab-message")).to_have_count(0)
    assert lab.locator(".lab-stage").bounding_box() == before
    # The page asks for the script that prepares it; the browser may ask for the icon once more.
    assert any(line.endswith("/lab/photo.js") for line in requests)
    others = r"GET .*/(logo\.svg|photo\.js)$"
    assert [line for line in requests if not re.match(others, line)] == []


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_photograph_is_pasted_and_dropped(lab: Page, event: str) -> None:
    hand_over(lab, event, SEVEN)
    expect(lab.locator(".lab-digit")).to_have_text("7")


def test_a_phones_photograph_is_turned_upright(lab: Page) -> None:
    file = io.BytesIO()
    picture = sideways(4)
    picture.save(file, "JPEG", exif=picture.getexif(), quality=95)
    choose(lab, file.getvalue(), "phone.jpg", "image/jpeg")
    expect(lab.locator(".lab-digit")).to_have_text("4")


def test_the_first_stroke_takes_the_photographs_place(lab: Page) -> None:
    choose(lab, SEVEN)
    expect(lab.locator(".lab-photo-steps")).to_be_visible()
    box = lab.locator(".lab-paper").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    lab.mouse.move(x, box["y"] + 0.2 * box["height"])
    lab.mouse.down()
    lab.mouse.move(x, box["y"] + 0.8 * box["height"], steps=8)
    lab.mouse.up()
    expect(lab.locator(".lab-photo-steps")).to_have_count(0)
    expect(lab.locator(".lab-digit")).to_have_text("1")


@pytest.mark.parametrize(
    ("content", "said"),
    [(BLANK, "No digit found"), (b"no picture at all", "not a picture that this browser can read")],
)
def test_what_is_no_digit_gets_a_word_and_the_drawing_stays(
    lab: Page, content: bytes, said: str
) -> None:
    choose(lab, content)
    expect(lab.get_by_role("alert")).to_contain_text(said)
    expect(lab.locator(".lab-digit")).to_have_text("3")
    expect(lab.locator(".lab-photo-steps")).to_have_count(0)


def test_without_its_script_the_reader_hears_what_to_do(
    context: BrowserContext, address: str
) -> None:
    context.route("**/photo.js", lambda route: route.fulfill(status=404, body="not here"))
    page = context.new_page()
    page.goto(address)
    page.locator("html[data-lab] #lab[data-exact]").wait_for()
    choose(page, SEVEN)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The script that prepares photographs could not be loaded")
    expect(alert).to_contain_text("Reload the page")
    expect(page.locator(".lab-photo-steps")).to_have_count(0)
    # It can be tried again.
    context.unroute("**/photo.js")
    choose(page, SEVEN)
    expect(page.locator(".lab-digit")).to_have_text("7")
    expect(alert).to_have_text("")


def test_the_camera_is_offered_where_fingers_point(chromium: Browser, address: str) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(address)
    page.locator("html[data-lab]").wait_for(state="attached")
    expect(page.get_by_role("button", name="Camera")).to_be_visible()
    camera = page.locator(".lab-photo-camera input")
    expect(camera).to_have_attribute("capture", "environment")
    expect(camera).to_have_attribute("accept", "image/*")
    context.close()


def test_there_is_no_barrier(lab: Page, axe: Callable[..., list[str]]) -> None:
    choose(lab, SEVEN)
    expect(lab.locator(".lab-photo-steps")).to_be_visible()
    for scheme in ("light", "dark"):
        lab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        expect(lab.locator("html")).to_have_attribute("data-theme", scheme)
        assert axe(lab) == []
