"""The built book in a real browser: nothing goes wrong on any page, and no one is shut out."""

from __future__ import annotations

import itertools
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
    and '<figure class=\\"mnist-widget\\"' in (ROOT / f"{name}.ipynb").read_text(encoding="utf-8")
]
EVERY_CHAPTER = [name for name in toc_files() if name.startswith("notebooks/")]
# Boxes that scroll and that the keyboard does not reach (yet: the theme sees to it).
UNREACHED = """() => [...document.querySelectorAll("pre, .output, .pst-scrollable-table-container")]
    .every((box) => box.tabIndex === 0 || box.scrollWidth <= box.clientWidth)"""

# What each box of code or output holds at the start, and by how much it scrolls sideways. The
# folds are open, and the font is the widest of the common ones.
OVERFLOWS = """() => {
    for (const fold of document.querySelectorAll(".bd-article details")) fold.open = true;
    const font = document.createElement("style");
    font.textContent =
        'pre, pre *, code { font-family: "DejaVu Sans Mono", monospace !important; }';
    document.head.append(font);
    const boxes = document.querySelectorAll(
        ".bd-article :is(.cell_input, .cell_output > *, :not(.cell *) > .highlight)");
    return [...boxes].map((box) => [
        box.textContent.trim().slice(0, 60),
        Math.max(...[box, ...box.querySelectorAll("*")].filter((part) =>
            getComputedStyle(part).overflowX !== "visible" || part === box,
        ).map((part) => part.scrollWidth - part.clientWidth)),
    ]);
}"""
# A window of 1,280 pixels less a scroll bar, which a browser without a window does not show; and
# a phone's.
WIDTHS = (1265, 390)
# What stands in place of a box's start where it is the page itself.
WHOLE = "the page"


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
    # A page in the dark has other colours, and nothing else that is another.
    assert axe(page, *(["color-contrast"] if scheme == "dark" else [])) == []
    assert problems == []


def test_a_page_is_dark_from_its_first_picture_on(chromium: Any, address: str) -> None:
    page = chromium.new_page(color_scheme="dark")
    # What the theme does when the whole page is there comes too late for its first picture.
    page.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
    page.goto(f"{address}/book/index.html")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    # The last visit was by day.
    page.evaluate("localStorage.setItem('mode', 'auto'); localStorage.setItem('theme', 'light')")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    # Whoever chose light has it at night, too.
    page.evaluate("localStorage.setItem('mode', 'light')")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "light"
    page.close()


@pytest.fixture(scope="module")
def boxes(empty_tab: Any, address: str) -> dict[int, list[tuple[str, str, int]]]:
    """For each width of the window all boxes of code and output: page, start, overflow."""
    page, _ = empty_tab()
    found: dict[int, list[tuple[str, str, int]]] = {width: [] for width in WIDTHS}
    for name in toc_files():
        page.goto(f"{address}/{name}.html", wait_until="load")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found[width] += [(name, *box) for box in page.evaluate(OVERFLOWS)]
            wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found[width].append((name, WHOLE, wider))
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(boxes: Any, width: int) -> None:
    pages = [box for box in boxes[width] if box[1] == WHOLE]
    assert len(pages) == len(toc_files())
    assert [page for page in pages if page[-1] > 0] == []


def test_no_code_and_no_output_scrolls_sideways_on_a_laptop(boxes: Any) -> None:
    laptop = boxes[WIDTHS[0]]
    assert len(laptop) > 700
    assert [box for box in laptop if box[-1] > 0] == []


def test_at_most_one_box_in_twenty_scrolls_sideways_on_a_phone(boxes: Any) -> None:
    phone = boxes[WIDTHS[1]]
    scrolling = [box for box in phone if box[-1] > 0]
    assert len(scrolling) <= len(phone) / 20, scrolling
    # Those that do are tables, whose rows stay whole.
    assert scrolling


def test_what_scrolls_sideways_says_so_at_its_edge(empty_tab: Any, address: str) -> None:
    page, _ = empty_tab()
    page.set_viewport_size({"width": WIDTHS[1], "height": 900})
    page.goto(f"{address}/notebooks/data.html", wait_until="load")
    page.wait_for_function(UNREACHED)
    for box in page.locator(".cell_output pre").all():
        scrolls = box.evaluate("(box) => box.scrollWidth > box.clientWidth")
        fades = "gradient" in box.evaluate("(box) => getComputedStyle(box).backgroundImage")
        assert fades or not scrolls


@pytest.mark.parametrize("opened", EVERY_CHAPTER, indirect=True)
def test_the_first_picture_comes_within_a_screen_and_a_half(
    opened: tuple[Any, list[str]],
) -> None:
    page, _ = opened
    top = page.locator(
        ".bd-article :is(.cell_output :is(img, canvas, .mnist-widget table), figure img)"
    ).first.evaluate("(picture) => picture.getBoundingClientRect().top + scrollY")
    assert 0 < top < 1.5 * page.viewport_size["height"]


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


def test_a_chapter_that_was_read_to_its_end_is_ticked(
    context: Any, address: str, watch: Any
) -> None:
    page = context.new_page()
    problems = watch(page)
    page.goto(f"{address}/notebooks/flatten.html", wait_until="load")
    link = page.locator(".bd-sidebar-primary a.reference", has_text="Lay the numbers out")
    expect(link).not_to_have_class(re.compile("is-read"))
    page.locator(".prev-next-area").scroll_into_view_if_needed()
    expect(link).to_have_class(re.compile("is-read"))
    page.goto(f"{address}/book/index.html", wait_until="load")
    expect(link).to_have_class(re.compile("is-read"))
    expect(link).to_have_accessible_name(re.compile(r"\(read\)$"))
    assert page.locator("a.is-read").count() == 1
    assert problems == []


def test_a_thin_line_shows_how_far_one_has_come(empty_tab: Any, address: str) -> None:
    page, _ = empty_tab()
    page.goto(f"{address}/notebooks/flatten.html", wait_until="load")
    line = page.locator(".reading-progress")
    assert line.evaluate("(line) => line.getBoundingClientRect().width") == 0
    for share in (0.5, 1):
        page.evaluate(f"scrollTo(0, {share} * document.documentElement.scrollHeight)")
        page.wait_for_function(
            """(share) => document.querySelector(".reading-progress")
                .getBoundingClientRect().width > 0.9 * share * innerWidth""",
            arg=share,
        )


def test_code_has_a_button_that_copies_and_output_has_none(
    chromium: Any, empty_tab: Any, address: str
) -> None:
    page, _ = empty_tab()
    page.goto(f"{address}/notebooks/flatten.html", wait_until="networkidle")
    assert page.locator(".cell_input button.copybtn").count() > 10
    assert page.locator(".cell_output button.copybtn").count() == 0
    visible = "(button) => getComputedStyle(button).opacity"
    shown = page.locator(".cell_input:visible button.copybtn").first
    assert shown.evaluate(visible) == "0"
    touch = chromium.new_context(has_touch=True, is_mobile=True)
    page = touch.new_page()
    page.goto(f"{address}/notebooks/flatten.html", wait_until="networkidle")
    assert page.locator(".cell_input:visible button.copybtn").first.evaluate(visible) == "1"
    touch.close()


def test_pictures_keep_their_proportions(empty_tab: Any, address: str) -> None:
    page, _ = empty_tab()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{address}/notebooks/data.html", wait_until="load")
        stretched = page.locator(".cell_output img").evaluate_all(
            """(images) => images.map((image) => {
              const { paddingLeft, paddingRight } = getComputedStyle(image);
              const shown = image.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
              return (image.clientHeight / shown) * (image.naturalWidth / image.naturalHeight);
            })"""
        )
        assert len(stretched) >= 5
        assert stretched == pytest.approx([1] * len(stretched), abs=0.05), width


def test_headings_look_their_rank(empty_tab: Any, address: str) -> None:
    page, _ = empty_tab()
    page.goto(f"{address}/notebooks/flatten.html", wait_until="load")
    looks = [
        page.locator(f".bd-article {rank}").first.evaluate(
            "(e) => [parseFloat(getComputedStyle(e).fontSize), +getComputedStyle(e).fontWeight]"
        )
        for rank in ("h1", "h2", "h3")
    ]
    sizes, weights = zip(*looks, strict=True)
    assert all(larger > 1.2 * size for larger, size in itertools.pairwise(sizes))
    assert all(bolder >= weight for bolder, weight in itertools.pairwise(weights))


def test_with_colours_of_ones_own_the_focus_is_seen(empty_tab: Any, address: str) -> None:
    page, _ = empty_tab()
    page.emulate_media(forced_colors="active")
    page.goto(f"{address}/notebooks/errors.html", wait_until="load")
    outline = "(e) => [getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth]"
    for kind in (".bd-sidebar-primary a.reference", "figure.mnist-widget button[tabindex='0']"):
        target = page.locator(kind).first
        target.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        expect(target).to_be_focused()
        assert target.evaluate(outline) == ["solid", "3px"]
    # Which cell is chosen, a colour says.
    pressed = page.locator("figure.mnist-widget button[aria-pressed=true]").first
    assert pressed.evaluate("(e) => getComputedStyle(e).forcedColorAdjust") == "none"
    page.emulate_media(forced_colors="none")


def test_a_phone_shows_the_confusion_matrix_whole(empty_tab: Any, address: str) -> None:
    page, _ = empty_tab()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/notebooks/errors.html", wait_until="load")
    figure = page.locator("figure.mnist-widget[data-kind=mistakes]")
    table, box = figure.locator("table"), figure.locator(".scroll")
    assert table.locator("button").first.is_visible()
    assert box.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0
    assert table.evaluate("(table) => table.getBoundingClientRect().right") <= 390
    heights = table.locator("td button").evaluate_all(
        "(all) => all.map((button) => button.getBoundingClientRect().height)"
    )
    assert min(heights) >= 24


def test_a_progress_bar_is_no_white_box_in_the_dark(empty_tab: Any, address: str) -> None:
    page, _ = empty_tab()
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/notebooks/optimisation.html", wait_until="load")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    bar = page.locator(".cell_output progress").first
    assert bar.evaluate("(bar) => getComputedStyle(bar.parentNode).backgroundColor") == (
        "rgba(0, 0, 0, 0)"
    )
    assert bar.evaluate("(bar) => getComputedStyle(bar).colorScheme") == "dark"
