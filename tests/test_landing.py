"""The landing page's live panel in a real browser: before anything is loaded, and after."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import landing_moments
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from site_pages import Page as BuiltPage
from site_pages import wire_size

pytest_plugins = ["browser", "built_site"]
expect.set_options(timeout=30_000)

MOMENTS = json.loads(landing_moments.MOMENTS.read_text(encoding="utf-8"))
# Of a page with everything that it loads, in bytes on the wire: as much as before it moved.
MOST = 190_000


@pytest.fixture(scope="module")
def address(site: Path, serve: Callable[[Path], str]) -> str:
    return f"{serve(site)}/book/index.html"


def opened(context: BrowserContext, address: str, motion: str = "reduce") -> Page:
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce" if motion == "reduce" else "no-preference")
    page.goto(address)
    page.locator(".look-slider").wait_for()
    return page


def bars(page: Page) -> list[str]:
    return page.locator(".look-share").all_inner_texts()


def to_moment(page: Page, moment: int) -> None:
    page.locator(".look-slider").fill(str(moment))


def draw_a_one(page: Page) -> None:
    box = page.locator(".lab-paper").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 0.2 * box["height"])
    page.mouse.down()
    for part in (0.4, 0.6, 0.8):
        page.mouse.move(x, box["y"] + part * box["height"], steps=4)
    page.mouse.up()


def test_it_shows_ten_examples_at_five_moments_and_loads_nothing_for_it(
    context: BrowserContext, address: str
) -> None:
    page = opened(context, address)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for moment, known in enumerate(MOMENTS):
        to_moment(page, moment)
        expect(page.locator(".look-told")).to_contain_text(f"{known['right']} of 100 test digits")
        for digit in range(10):
            page.get_by_role("button", name=f"Example of a {digit}").click()
            shares = known["probabilities"][digit]
            expect(page.locator(".look-digit")).to_have_text(str(int(np.argmax(shares))))
            told = [float(text.strip("<>%")) for text in bars(page)]
            np.testing.assert_allclose(told, np.array(shares) / 10, atol=0.11)
    assert requests == []


@pytest.mark.parametrize("iterations", [0, 10_000])
def test_what_is_stored_is_what_the_network_gives(
    context: BrowserContext, address: str, iterations: int
) -> None:
    page = context.new_page()
    page.goto(address)
    found = landing_moments.probabilities(page, [iterations])[iterations]
    (stored,) = (m for m in MOMENTS if m["iterations"] == iterations)
    np.testing.assert_allclose(found, stored["probabilities"], atol=1)


def test_stored_filters_are_those_of_the_checkpoints() -> None:
    filters = landing_moments.all_filters()
    assert {moment["iterations"]: moment["filters"] for moment in MOMENTS} == filters


def test_a_drawing_is_read_at_every_moment_and_goes_along_to_the_lab(
    context: BrowserContext, address: str, watch: Callable[[Page], list[str]]
) -> None:
    page = opened(context, address)
    problems = watch(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url.rpartition("/lab/")[2]))
    draw_a_one(page)
    expect(page.locator(".look-digit")).to_have_text("1")
    assert requests == ["small/10000.bin"]
    to_moment(page, 0)
    expect(page.locator(".look-guess")).to_contain_text("% sure")
    assert requests == ["small/10000.bin", "small/0.bin"]
    to_moment(page, 4)
    expect(page.locator(".look-digit")).to_have_text("1")
    page.get_by_role("link", name="Draw and look inside").click()
    page.locator("html[data-lab]").wait_for(state="attached")
    expect(page.locator(".lab-digit")).to_have_text("1")
    assert problems == []


def test_an_example_that_was_altered_is_read_anew(context: BrowserContext, address: str) -> None:
    page = opened(context, address)
    page.get_by_role("button", name="Example of a 7").click()
    # By keyboard, the last of its two strokes is taken back: a bar is left.
    with page.expect_request("**/small/10000.bin"):
        page.locator(".lab-paper").press("Backspace")
    expect(page.locator(".look-guess")).to_contain_text("% sure")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".look-guess")).to_contain_text("Draw a digit.")
    assert not page.locator(".look-share").all_inner_texts()[0]


def test_without_the_network_it_says_so_and_the_examples_stay(
    context: BrowserContext, address: str
) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=404, body="not here")

    context.route("**/small/*", refuse)
    page = opened(context, address)
    draw_a_one(page)
    expect(page.locator(".look-guess")).to_contain_text("could not be loaded")
    page.get_by_role("button", name="Example of a 7").click()
    expect(page.locator(".look-digit")).to_have_text("7")


def test_the_slider_plays_once_and_rests_for_readers_who_want_less_motion(
    context: BrowserContext, address: str
) -> None:
    page = opened(context, address)
    expect(page.locator(".look-slider")).to_have_value("4")
    page.evaluate(
        """() => {
          window.seen = [];
          new MutationObserver(() => seen.push(document.querySelector(".look-slider").value))
            .observe(document.querySelector(".look-told"), { subtree: true, characterData: true });
        }"""
    )
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => seen.length >= 5 && seen.at(-1) === '4'")
    assert page.evaluate("seen") == ["0", "1", "2", "3", "4"]
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    moving = opened(context, address, "no-preference")
    moving.wait_for_function("() => document.querySelector('.look-slider').value === '0'")
    moving.wait_for_function("() => document.querySelector('.look-slider').value === '4'")


def test_a_drawing_moves_nothing(context: BrowserContext, address: str) -> None:
    page = opened(context, address)
    boxes = """() => [...document.querySelectorAll("#first-look > *, .first-buttons, h2")]
      .map((one) => JSON.stringify(one.getBoundingClientRect()))"""
    before = page.evaluate(boxes)
    draw_a_one(page)
    expect(page.locator(".look-digit")).to_have_text("1")
    assert page.evaluate(boxes) == before


def test_the_first_screen_has_the_panel_and_both_buttons(
    context: BrowserContext, address: str
) -> None:
    page = opened(context, address)
    page.set_viewport_size({"width": 1280, "height": 720})
    for part in (".lab-paper", ".look-digit", ".look-filters", ".look-slider"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    for name in ("Draw and look inside", "Start chapter 1"):
        expect(page.get_by_role("link", name=name)).to_be_in_viewport(ratio=1)
    assert page.locator(".sd-card:visible").count() == 5


def test_without_scripts_the_drawing_of_the_network_comes_first(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(address)
    expect(page.locator("#first-look")).to_be_hidden()
    expect(page.locator("svg.network, article svg[role=group]").first).to_be_in_viewport()
    context.close()


def test_the_page_weighs_no_more_than_before(site: Path) -> None:
    page = BuiltPage(site / "book" / "index.html", site)
    icons = site / "_static" / "vendor" / "icons" / "icons.woff2"
    loaded = {page.path, icons, *map(page.file, page.resources())}
    assert not any("searchindex" in path.name for path in loaded)
    assert sum(map(wire_size, loaded)) < MOST


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_there_is_no_barrier_and_nothing_scrolls_sideways(
    context: BrowserContext, address: str, axe: Callable[..., list[str]], width: int
) -> None:
    page = opened(context, address)
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        assert axe(page) == []
