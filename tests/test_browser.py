"""The built book in a real browser: nothing goes wrong on any page, and no one is shut out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import expect
from site_pages import ROOT, Page, toc_files

pytest_plugins = ["browser", "built_site"]

SCHEMES = ("light", "dark")
# Pages that Sphinx makes by itself.
OWN = ["404", "genindex", "index", "search"]
NAMES = [*toc_files(), *OWN]
CHAPTERS = [
    name
    for name in NAMES
    if (ROOT / f"{name}.ipynb").is_file()
    and 'class=\\"mnist-widget\\"' in (ROOT / f"{name}.ipynb").read_text(encoding="utf-8")
]
# Boxes that scroll and that the keyboard does not reach (yet: the theme sees to it).
UNREACHED = """() => [...document.querySelectorAll("pre, .output, .pst-scrollable-table-container")]
    .every((box) => box.tabIndex === 0 || box.scrollWidth <= box.clientWidth)"""


@pytest.fixture(scope="module")
def address(serve: Any, site: Path) -> str:
    return str(serve(site))


@pytest.fixture(scope="module", params=NAMES)
def opened(request: pytest.FixtureRequest, empty_tab: Any, address: str) -> tuple[Any, list[str]]:
    """Each page of the book, opened once for all that is tried on it, and what went wrong."""
    page, problems = empty_tab()
    page.goto(f"{address}/{request.param}.html", wait_until="networkidle")
    return page, problems


def of_chapters(test: Any) -> Any:
    """Run a test on the chapters that have controls alone."""
    return pytest.mark.parametrize("opened", CHAPTERS, indirect=True)(test)


def test_every_built_page_is_looked_at(pages: list[Page]) -> None:
    assert {str(page) for page in pages} == {f"{name}.html" for name in NAMES}
    assert len(CHAPTERS) >= 5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_goes_wrong_and_no_one_is_shut_out(
    scheme: Literal["light", "dark"], opened: tuple[Any, list[str]], axe: Any
) -> None:
    page, problems = opened
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    page.wait_for_function(UNREACHED)
    assert axe(page) == []
    assert problems == []


def test_a_page_is_dark_from_its_first_picture_on(chromium: Any, address: str) -> None:
    page = chromium.new_page(color_scheme="dark")
    page.goto(f"{address}/book/index.html", wait_until="commit")
    page.locator("body").wait_for(state="attached")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.close()


@of_chapters
def test_a_chapter_fits_on_a_phone(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 800})
    for figure in page.locator("figure.mnist-widget").all():
        assert figure.evaluate("(figure) => figure.getBoundingClientRect().right") <= 390
        assert figure.evaluate("(figure) => figure.scrollWidth - figure.clientWidth") <= 0
    page.set_viewport_size(size)


@of_chapters
def test_each_control_of_a_chapter_changes_its_picture(
    opened: tuple[Any, list[str]], shown: Any
) -> None:
    page, problems = opened
    figures = page.locator("figure.mnist-widget").all()
    assert figures
    for figure in figures:
        figure.scroll_into_view_if_needed()
        states = [shown(figure)]

        def changed(figure: Any = figure, states: list[str] = states) -> bool:
            states.append(shown(figure))
            return states[-1] != states[-2]

        for slider in figure.get_by_role("slider").all():
            slider.focus()
            page.keyboard.press("Home")
            changed()
            for key in ("End", "ArrowLeft"):
                page.keyboard.press(key)
                assert changed(), key
            box = slider.bounding_box()
            page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
            assert changed()
        for radio in figure.get_by_role("radio").all():
            if not radio.is_checked():
                radio.click()
                assert changed()
        # Every seventh cell of the confusion matrix; one of them may be chosen already.
        for button in figure.locator("table button[aria-pressed=false]").all()[::7]:
            button.focus()
            page.keyboard.press("Enter")
            assert changed()
        assert len(states) > 3
    assert problems == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_loads_the_controls_once_and_holds_no_script_of_theirs(
    name: str, pages: list[Page]
) -> None:
    (built,) = [page for page in pages if str(page) == f"{name}.html"]
    files = [re.sub(r"\?.*", "", address).rpartition("/")[2] for address in built.resources()]
    assert files.count("widgets.js") == files.count("widgets.css") == 1
    for figure in built.soup.select("figure.mnist-widget"):
        kinds = [script.get("type") for script in figure.find_all("script")]
        assert kinds == ["application/json"]
    assert not built.soup.select("script.mnist-widget, style.mnist-widget")


def test_a_page_without_controls_does_not_load_them(pages: list[Page]) -> None:
    others = [page for page in pages if str(page).removesuffix(".html") not in CHAPTERS]
    assert len(others) > 5
    for other in others:
        assert not any("widgets." in address for address in other.resources()), str(other)


def test_a_word_of_the_glossary_shows_its_definition(site: Path, context: Any, axe: Any) -> None:
    """Opened from a file, without a server: by pointer, by keyboard, and on a phone."""
    page = context.new_page()
    page.goto((site / "notebooks" / "pooling.html").as_uri())
    link = page.locator("a.term", has_text="average pooling").first
    box = page.locator(".term-definition")
    expect(box).to_be_hidden()
    link.hover()
    expect(box).to_have_text("Pooling that keeps the mean of each window.")
    # The pointer may go to the box, to read or to copy from it.
    box.hover()
    expect(box).to_be_visible()
    page.mouse.move(0, 0)
    expect(box).to_be_hidden()

    link.focus()
    expect(box).to_be_visible()
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    link.blur()
    page.set_viewport_size({"width": 390, "height": 800})
    for other in page.locator("article a.term").all():
        other.focus()
        expect(box).to_be_in_viewport(ratio=1)
    other.blur()
    expect(box).to_be_hidden()


def test_the_sidebar_shows_the_current_chapter(context: Any, address: str) -> None:
    """One far down, reached from one at the top; and in the dialog that it is on a phone."""
    page = context.new_page()
    current = page.locator(".bd-docs-nav .active > a")
    for name in ("data", "scale", "data"):
        page.goto(f"{address}/notebooks/{name}.html")
        expect(current).to_be_in_viewport(ratio=1)
        assert page.evaluate("scrollY") == 0
    page.goto(f"{address}/notebooks/scale.html")
    page.set_viewport_size({"width": 390, "height": 800})
    expect(current).not_to_be_in_viewport()
    page.get_by_role("button", name="Toggle primary sidebar").first.click()
    expect(current).to_be_in_viewport(ratio=1)
