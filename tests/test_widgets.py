"""Pictures with controls: what a notebook stores of them, and what they do in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import confusion_matrix

from mnist_helpers import plot_probabilities
from mnist_helpers.widgets import STATIC, Widget, convolution_steps, frames, mistakes_browser

pytest_plugins = ["browser"]

RANDOM = np.random.default_rng(seed=0)


def bar(height: float, width: float = 2) -> Figure:
    """A small figure that looks different for each height."""
    figure = Figure(figsize=(width, 1))
    figure.add_subplot().bar([0], [height])
    figure.gca().set_ylim(0, 10)
    return figure


def stored(widget: Widget) -> str:
    return widget._repr_mimebundle_()["text/html"]


def soup_of(widget: Widget) -> BeautifulSoup:
    return BeautifulSoup(stored(widget), "html.parser")


def data_of(widget: Widget) -> Any:
    script = soup_of(widget).find("script", type="application/json")
    assert script is not None
    return json.loads(script.get_text())


def pixels(source: str) -> np.ndarray:
    assert source.startswith(("data:image/png;base64,", "data:image/webp;base64,"))
    image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    return np.asarray(image.convert("RGB"), int)


HEIGHTS = {1: bar(1), 10: bar(5), 1_000: bar(9)}
ALTS = "A blue bar after {} steps"
CAPTIONS = "The bar after {} steps."


def steps(**options: Any) -> Widget:
    return frames(HEIGHTS, "Steps", ALTS, CAPTIONS, **options)


def two_controls() -> Widget:
    figures = {(kind, n): bar(n) for kind in ("thick", "thin") for n in (2, 3)}
    return frames(figures, ["Kind", "Height"], "A {0} blue bar of height {1}", "{0}, {1}")


# A small set of "digits" and a "network" that is sometimes wrong.
IMAGES = np.round(255 * RANDOM.random([60, 784])) / 255
LABELS = RANDOM.integers(0, 10, size=60)
PROBABILITIES = RANDOM.dirichlet(np.ones(10), size=60)
PREDICTED = PROBABILITIES.argmax(axis=1)
DIGIT = np.round(255 * RANDOM.random([28, 28])) / 255
EDGE = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]])


def browser_of_mistakes() -> Widget:
    return mistakes_browser(IMAGES, LABELS, PROBABILITIES)


def convolution() -> Widget:
    return convolution_steps(DIGIT, EDGE, start=(6, 7))


# Weights with many digits, and sums that lie halfway between two decimals.
LEARNED = np.array([[0.123456789, -0.04216], [-0.5, 0.125]])
HALVES = np.array([[0.0, 0.125], [-0.125, 0.0]])
INK = np.array([[1.0, 0, 1, 1], [0, 0, 1, 0.2], [1, 1, 0.6, 0], [0, 1, 0, 0.4]])


def learned() -> Widget:
    return convolution_steps(INK, LEARNED, start=(1, 2))


def halves() -> Widget:
    return convolution_steps(INK, HALVES)


def faint() -> Widget:
    return convolution_steps(INK, np.array([[-0.00123456, 0.000333333]]).T @ [[1, 0.5]])


WIDGETS = [steps, two_controls, browser_of_mistakes, convolution, learned, halves, faint]
each_widget = pytest.mark.parametrize("make", WIDGETS)


# What is stored


@each_widget
def test_the_first_picture_is_there_without_any_script(make: Callable[[], Widget]) -> None:
    soup = soup_of(make())
    figure = soup.find("figure")
    assert figure is not None
    assert len(figure.find_all("img")) >= 1
    for image in figure.find_all("img"):
        shown = pixels(str(image["src"]))
        # Pictures of figures are twice as fine as they are shown.
        fine = 2 if figure["data-kind"] == "frames" else 1
        size = int(image["height"]), int(image["width"])
        assert tuple(fine * side for side in size) == shown.shape[:2]
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 1
        assert len(re.findall(r"\w{2,}", str(image["alt"]))) >= 4
    assert figure.figcaption is not None and figure.figcaption.get_text().strip()
    assert not figure.find_all(["button", "input", "select"])


@each_widget
def test_it_is_told_in_one_plain_sentence(make: Callable[[], Widget]) -> None:
    bundle = make()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert repr(make()) == bundle["text/plain"]
    assert bundle["text/plain"].endswith(".") and "\n" not in bundle["text/plain"]
    assert "base64" not in bundle["text/plain"]


@each_widget
def test_it_is_the_same_each_time_and_asks_no_host(make: Callable[[], Widget]) -> None:
    assert stored(make()) == stored(make())
    assert not re.search(r"(?:https?:)?//\w+\.\w", re.sub(r"base64,[^\"]+", "", stored(make())))


def test_frames_follow_the_order_of_the_controls() -> None:
    data = data_of(two_controls())
    kind, height = data["controls"]
    assert kind == {"name": "Kind", "labels": ["thick", "thin"], "slides": False, "start": 0}
    assert height == {"name": "Height", "labels": ["2", "3"], "slides": True, "start": 0}
    captions = [caption for _, _, caption in data["frames"]]
    assert captions == ["thick, 2", "thick, 3", "thin, 2", "thin, 3"]


def test_figures_that_look_alike_are_stored_once() -> None:
    data = data_of(two_controls())
    # The thick bars look like the thin ones; the first is in the <img>.
    assert [image for image, _, _ in data["frames"]] == [0, 1, 0, 1]
    assert data["images"][0] is None and len(data["images"]) == 2


def test_the_first_figure_can_be_any() -> None:
    widget = steps(start=1_000)
    figure = soup_of(widget).figure
    assert figure.img["alt"] == "A blue bar after 1,000 steps"
    assert figure.figcaption.get_text() == "The bar after 1,000 steps."
    assert data_of(widget)["controls"][0]["start"] == 2
    assert data_of(widget)["frames"][2][0] == 0


def test_a_figure_of_the_package_looks_the_same_in_every_style() -> None:
    def made() -> str:
        figures = {n: plot_probabilities(np.eye(10)[n]) for n in (1, 2)}
        return frames(figures, "Class", ALTS, CAPTIONS).html

    expected = made()
    for style in ("dark_background", "classic", {"savefig.dpi": 20, "savefig.bbox": "tight"}):
        with plt.style.context(style):
            assert made() == expected, style


def test_a_figure_of_the_readers_own_keeps_its_style_and_can_be_read() -> None:
    with plt.style.context(["dark_background", {"savefig.facecolor": "white"}]):
        widget = frames({1: bar(1), 2: bar(9, width=3)}, "Bars", ALTS, CAPTIONS)
    shown = pixels(soup_of(widget).img["src"])
    assert shown.shape == (200, 600, 3)
    # Black paper, also around the smaller figure; white letters.
    assert (shown[:, :80] == 0).all()
    assert (shown[:, 100:150] == 255).all(axis=2).any()


def test_a_figure_without_paper_lies_on_white() -> None:
    figures = {n: bar(n) for n in (1, 2)}
    for figure in figures.values():
        figure.set_facecolor("none")
    assert (pixels(soup_of(frames(figures, "N", ALTS, CAPTIONS)).img["src"])[0, 0] == 255).all()


def test_saving_takes_the_figure_as_it_is() -> None:
    expected = stored(steps())
    with plt.rc_context({"savefig.dpi": 30, "savefig.transparent": True, "savefig.bbox": "tight"}):
        assert stored(steps()) == expected


def test_texts_may_be_given_one_by_one() -> None:
    frames_of = data_of(frames(HEIGHTS, "Steps", ["low", "middle", "high"], CAPTIONS))["frames"]
    assert [alt for _, alt, _ in frames_of] == ["low", "middle", "high"]


def test_smaller_figures_are_laid_in_the_middle_of_white_paper() -> None:
    widget = frames({"small": bar(5, width=1), "large": bar(5)}, "Size", "A {} bar", "{}")
    small = pixels(soup_of(widget).img["src"])
    large = pixels(data_of(widget)["images"][1])
    assert small.shape == large.shape == (200, 400, 3)
    assert (small[:, :100] == 255).all() and (small[:, 300:] == 255).all()
    assert (small[:, 100:300] < 255).any()


def test_a_picture_of_a_figure_loses_nothing() -> None:
    figure = bar(5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=2 * figure.dpi)
    drawn = np.asarray(Image.open(buffer).convert("RGB"), int)
    widget = frames({"one": figure, "two": bar(7)}, "Bar", "A {} bar", "{}")
    np.testing.assert_array_equal(pixels(soup_of(widget).img["src"]), drawn)


def test_texts_with_signs_of_html_stay_what_they_are() -> None:
    text = 'a < b & "c" </script> <img src=x>'
    widget = frames({"one": bar(1), "two": bar(2)}, "Which", [text, "d"], ["e", text])
    assert soup_of(widget).img["alt"] == text
    assert data_of(widget)["frames"] == [[0, text, "e"], [1, "d", text]]
    assert len(soup_of(widget).find_all("img")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"figures": {}}, "two figures or more"),
        ({"figures": {1: bar(1)}}, "two figures or more"),
        ({"figures": {(1, "a"): bar(1), (2, "b"): bar(2)}}, "with 1 labels"),
        (
            {"figures": {(1, "a"): bar(1), (2, "b"): bar(2)}, "controls": ["N", "L"]},
            r"no figure for \[\(1, 'b'\), \(2, 'a'\)\]",
        ),
        ({"alts": ["one", "two"]}, "3 figures need as many alts; got 2"),
        ({"captions": ["one"]}, "3 figures need as many captions; got 1"),
        ({"start": 7}, "start must be one of the figures' keys; got 7"),
        ({"figures": {"a": bar(1), "b": bar(2)}, "play": True}, "one slider"),
    ],
)
def test_frames_refuse_what_they_cannot_show(change: dict[str, Any], message: str) -> None:
    sound = {"figures": HEIGHTS, "controls": "Steps", "alts": ALTS, "captions": CAPTIONS}
    with pytest.raises(ValueError, match=message):
        frames(**{**sound, **change})


def test_the_matrix_is_scikit_learns() -> None:
    rows = soup_of(browser_of_mistakes()).tbody.find_all("tr")
    counts = [[int(cell.get_text()) for cell in row.find_all("td")] for row in rows]
    assert counts == confusion_matrix(LABELS, PREDICTED, labels=range(10)).tolist()


def test_every_mistake_is_there_the_surest_first() -> None:
    mistakes = data_of(browser_of_mistakes())["mistakes"]
    assert sorted(index for index, *_ in mistakes) == np.flatnonzero(PREDICTED != LABELS).tolist()
    sure = [PROBABILITIES[index].max() for index, *_ in mistakes]
    assert sure == sorted(sure, reverse=True)
    for index, label, prediction, of_label, of_prediction in mistakes:
        assert (label, prediction) == (LABELS[index], PREDICTED[index])
        assert of_label == f"{PROBABILITIES[index, label]:.2f}"
        assert of_prediction == f"{PROBABILITIES[index, prediction]:.2f}"


def test_the_sheet_holds_the_pictures_in_the_order_of_the_mistakes() -> None:
    data = data_of(browser_of_mistakes())
    sheet = pixels(data["sheet"])[:, :, 0]
    for place, (index, *_) in enumerate(data["mistakes"]):
        row, column = divmod(place, data["columns"])
        tile = sheet[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        assert np.abs(255 * (1 - IMAGES[index].reshape(28, 28)) - tile).max() <= 0.5


def test_a_network_without_mistakes_has_a_matrix_only() -> None:
    widget = mistakes_browser(IMAGES, PREDICTED, PROBABILITIES)
    assert repr(widget) == "No image is misread."
    assert soup_of(widget).table is not None and soup_of(widget).img is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((IMAGES[:, :700], LABELS, PROBABILITIES), r"shape \[60, 700\], expected \[n, 784\]"),
        ((255 * IMAGES, LABELS, PROBABILITIES), "to 255.*divide them by 255"),
        ((IMAGES, LABELS[:9], PROBABILITIES), r"\[9\] and \[60, 10\] for 60 images"),
        ((IMAGES, PROBABILITIES, PROBABILITIES), "one class number per image"),
        ((IMAGES, LABELS, 9 * PROBABILITIES - 3), r"0 to 1; got -\d.*softmax"),
        ((IMAGES, LABELS, np.full([60, 10], np.nan)), "0 to 1; got nan"),
        ((IMAGES, LABELS, PROBABILITIES[:, :7]), "there are 7 classes, but a label is 9"),
        ((IMAGES, LABELS, PREDICTED), "probabilities"),
    ],
)
def test_the_mistakes_browser_refuses_other_shapes(arrays: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mistakes_browser(*arrays)


def test_the_mistakes_browser_takes_uint8_images() -> None:
    grey = np.round(255 * IMAGES).astype(np.uint8)
    of_bytes = data_of(mistakes_browser(grey, LABELS.tolist(), PROBABILITIES))
    assert of_bytes == data_of(browser_of_mistakes())


def cells_of(widget: Widget) -> list[str]:
    return [cell.get_text() for cell in soup_of(widget).find_all("td")]


def test_weights_have_as_many_decimals_as_the_largest_needs() -> None:
    assert cells_of(learned()) == ["1.00 × 0.123", "0.20 × −0.042", "0.60 × −0.5", "0.00 × 0.125"]
    names = data_of(faint())["names"]
    assert names == [["−0.00123", "−0.00062"], ["0.00033", "0.00017"]]
    assert data_of(convolution())["names"] == [["−1"] * 3, ["0"] * 3, ["1"] * 3]
    large = convolution_steps(INK, [[1234.5678, -0.001]] * 2)
    assert data_of(large)["names"] == [["1235", "0"]] * 2


def test_a_sum_halfway_between_two_decimals_goes_away_from_zero() -> None:
    captions = {
        (row, column): convolution_steps(INK, HALVES, (row, column)).text for row in (0, 1, 2)
        for column in (0, 1, 2)
    }  # fmt: skip
    assert "add up to −0.13." in captions[1, 0]
    assert "add up to 0.13." in captions[0, 1]
    assert "add up to 0.00." in captions[0, 0]


def test_a_picture_of_bytes_is_that_of_its_shares() -> None:
    grey = np.round(255 * DIGIT).astype(np.uint8)
    assert convolution_steps(grey, EDGE).html == convolution_steps(DIGIT, EDGE).html


def sum_at(row: int, column: int) -> str:
    value = float((DIGIT[row : row + 3, column : column + 3] * EDGE).sum())
    return f"{round(value, 2) + 0:.2f}".replace("-", "−")


@settings(max_examples=30)
@given(st.integers(0, 25), st.integers(0, 25))
def test_the_sum_of_the_products_is_written_below(row: int, column: int) -> None:
    html = convolution_steps(DIGIT, EDGE, start=(row, column)).html
    text = f"Row {row}, column {column}: the 9 products add up to {sum_at(row, column)}."
    assert f"<figcaption>{text}</figcaption>" in html


@pytest.mark.parametrize(
    ("image", "kernel", "start", "message"),
    [
        (DIGIT[:20], EDGE, (0, 0), r"the image must be square, \[size, size\]; got \[20, 28\]"),
        (DIGIT, EDGE[0], (0, 0), r"the kernel must be square, \[size, size\]; got \[3\]"),
        (abs(EDGE), DIGIT, (0, 0), "a filter of 28 does not fit into an image of 3"),
        (DIGIT, EDGE, (26, 0), r"0 to 25; got \(26, 0\)"),
        (DIGIT, EDGE, (0, -1), r"0 to 25; got \(0, -1\)"),
        (255 * DIGIT, EDGE, (0, 0), r"0 \(background\) to 1 \(full ink\); got 0 to 255"),
        (DIGIT * np.nan, EDGE, (0, 0), "got nan"),
        (DIGIT, np.full([3, 3], np.inf), (0, 0), "the kernel holds NaN or infinity"),
    ],
)
def test_convolution_refuses_what_does_not_fit(
    image: Any, kernel: Any, start: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        convolution_steps(image, kernel, start)


# What it does in a browser


def page_text(*figures: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Test</title>'
        '<link rel="icon" href="data:,"></head>'
        f"<body><main><h1>Test</h1>{''.join(figures)}</main></body></html>"
    )


@pytest.fixture(scope="module")
def address(serve: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where each widget has a page of its own, and `all.html` has all of them."""
    folder = tmp_path_factory.mktemp("widgets")
    for make in WIDGETS:
        (folder / f"{make.__name__}.html").write_text(page_text(stored(make())), encoding="utf-8")
    everything = page_text(*(stored(make()) for make in WIDGETS))
    (folder / "all.html").write_text(everything, encoding="utf-8")
    # As the site has them: without script and style in the figures, with the files.
    text = page_text(*(make().html for make in WIDGETS))
    text = text.replace(
        "</head>",
        '<link rel="stylesheet" href="widgets.css"><script defer src="widgets.js"></script></head>',
    )
    (folder / "site.html").write_text(text, encoding="utf-8")
    for path in STATIC.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return str(serve(folder))


@pytest.fixture
def open_page(empty_tab: Any, address: str) -> Iterator[Callable[..., Any]]:
    """A function that opens a page; until the next or the end, nothing must have gone wrong."""
    problems: list[str] = []

    def open_it(name: str, scheme: str = "light", width: int = 1280) -> Any:
        nonlocal problems
        assert problems == []
        page, problems = empty_tab()
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{address}/{name}.html")
        return page

    yield open_it
    assert problems == []


def look(page: Any) -> tuple[str, str, str]:
    """What a figure of frames shows: picture, alternative text and caption."""
    image = page.locator("figure img")
    caption = page.locator("figcaption").inner_text()
    return image.get_attribute("src"), image.get_attribute("alt"), caption


def expect_frame(page: Any, widget: Widget, place: int) -> None:
    data = data_of(widget)
    number, alt, caption = data["frames"][place]
    source = data["images"][number] or soup_of(widget).img["src"]
    assert look(page) == (source, alt, caption)


def test_a_slider_by_keyboard(open_page: Any) -> None:
    page = open_page("steps")
    expect_frame(page, steps(), 0)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    page.keyboard.press("ArrowRight")
    expect_frame(page, steps(), 1)
    page.keyboard.press("End")
    expect_frame(page, steps(), 2)
    assert page.get_by_role("slider", name="Steps").get_attribute("aria-valuetext") == "1,000"
    page.keyboard.press("Home")
    expect_frame(page, steps(), 0)


def test_a_slider_by_mouse(open_page: Any) -> None:
    page = open_page("steps")
    box = page.get_by_role("slider").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    expect_frame(page, steps(), 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect_frame(page, steps(), 1)


def test_two_controls_by_keyboard_and_mouse(open_page: Any) -> None:
    page = open_page("two_controls")
    page.get_by_role("radio", name="thin").click()
    expect_frame(page, two_controls(), 2)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect_frame(page, two_controls(), 3)
    page.get_by_role("radio", name="thin").focus()
    page.keyboard.press("ArrowUp")
    expect_frame(page, two_controls(), 1)
    assert page.get_by_role("group", name="Kind").count() == 1


def test_play_goes_to_the_end_and_stops(context: Any, watch: Any, address: str) -> None:
    # A tab of its own, for its clock cannot be set going again.
    page = context.new_page()
    problems = watch(page)
    page.goto(f"{address}/site.html")
    page.clock.install(time=0)
    page.set_content(page_text(stored(steps(play=True))))
    # From here on the page's time goes by only when it is told to.
    page.clock.pause_at(60)
    page.get_by_role("button", name="Next").click()
    expect_frame(page, steps(), 1)
    page.get_by_role("button", name="Back").click()
    expect_frame(page, steps(), 0)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    expect_frame(page, steps(), 0)
    page.clock.run_for(60_000)
    page.get_by_role("button", name="Play").wait_for()
    expect_frame(page, steps(), 2)
    # At its end it begins again; the slider stops it.
    page.get_by_role("button", name="Play").click()
    expect_frame(page, steps(), 0)
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Play").wait_for()
    expect_frame(page, steps(), 1)
    page.clock.run_for(60_000)
    expect_frame(page, steps(), 1)
    assert problems == []


def pressed(page: Any) -> list[str]:
    buttons = page.locator("table button[aria-pressed=true]")
    return [button.get_attribute("aria-label") for button in buttons.all()]


def shown_digits(page: Any) -> list[str]:
    page.locator("ol.digits").wait_for()
    return [item.get_attribute("aria-label") for item in page.locator("ol.digits canvas").all()]


def mistakes_of(true: int | None, predicted: int | None) -> list[str]:
    return [
        f"Image {index}: true {label}, predicted {prediction}"
        for index, label, prediction, *_ in data_of(browser_of_mistakes())["mistakes"]
        if true in (None, label) and predicted in (None, prediction)
    ]


def test_mistakes_by_mouse(open_page: Any) -> None:
    page = open_page("browser_of_mistakes")
    row, column = data_of(browser_of_mistakes())["start"]
    assert shown_digits(page) == mistakes_of(row, column)
    matrix = confusion_matrix(LABELS, PREDICTED, labels=range(10))
    np.fill_diagonal(matrix, 0)
    for true, predicted in np.argwhere(matrix)[:6].tolist():
        number = matrix[true, predicted]
        page.get_by_role("button", name=f"true {true}, predicted {predicted}: {number}").click()
        assert shown_digits(page) == mistakes_of(true, predicted)
        assert pressed(page) == [f"true {true}, predicted {predicted}: {number}"]
        plural = "1 mistake" if number == 1 else f"{number} mistakes"
        start = f"true {true}, predicted {predicted}: {plural}, the surest first"
        assert page.locator("figcaption").inner_text().startswith(start)
    assert page.locator("table button").count() == (
        np.count_nonzero(matrix)
        + np.count_nonzero(matrix.sum(axis=0))
        + np.count_nonzero(matrix.sum(axis=1))
        + 1
    )
    page.get_by_role("button", name="all classes").click()
    assert shown_digits(page) == mistakes_of(None, None)


def test_mistakes_by_keyboard(open_page: Any) -> None:
    page = open_page("browser_of_mistakes")
    row, column = data_of(browser_of_mistakes())["start"]
    page.locator("ol.digits").wait_for()
    page.keyboard.press("Tab")
    label = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(label).startswith(f"true {row}, predicted {column}: ")
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(label).startswith(f"true {row}: ")
    page.keyboard.press("Enter")
    assert shown_digits(page) == mistakes_of(row, None)
    for _ in range(10):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert shown_digits(page) == mistakes_of(None, None)
    # One stop for the whole table: the next one is the list, which can be scrolled.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "digits"


def test_the_digits_that_are_shown_are_those_of_the_data(open_page: Any) -> None:
    page = open_page("browser_of_mistakes")
    page.get_by_role("button", name="all classes").click()
    drawn = page.evaluate(
        """Array.from(document.querySelectorAll("ol.digits canvas"), (canvas) =>
            Array.from(canvas.getContext("2d").getImageData(0, 0, 28, 28).data))"""
    )
    order = [index for index, *_ in data_of(browser_of_mistakes())["mistakes"]]
    assert len(drawn) == len(order)
    for index, levels in zip(order, drawn, strict=True):
        ink = 1 - np.reshape(levels, [28, 28, 4])[:, :, 0] / 255
        np.testing.assert_allclose(ink, IMAGES[index].reshape(28, 28), atol=0.5 / 255 + 1e-9)


def canvas(page: Any, number: int) -> np.ndarray:
    levels = page.evaluate(
        """(number) => {
            const canvas = document.querySelectorAll("figure canvas")[number];
            const { width, height } = canvas;
            const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
            return [height, width, Array.from(data)];
        }""",
        number,
    )
    height, width, flat = levels
    return np.reshape(flat, [height, width, 4])[:, :, :3]


def expect_place(page: Any, row: int, column: int) -> None:
    caption = page.locator("figcaption").inner_text()
    assert caption == (
        f"Row {row}, column {column}: the 9 products add up to {sum_at(row, column)}."
    )
    cells = [cell.inner_text() for cell in page.locator("figure td").all()]
    patch = DIGIT[row : row + 3, column : column + 3]
    expected = [
        f"{pixel:.2f} × {weight}".replace("-", "−")
        for pixel, weight in zip(patch.ravel(), EDGE.ravel(), strict=True)
    ]
    assert cells == expected


def test_a_filter_slides_by_keyboard(open_page: Any) -> None:
    page = open_page("convolution")
    page.locator("figure canvas").first.wait_for()
    expect_place(page, 6, 7)
    before = canvas(page, 0), canvas(page, 1)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect_place(page, 7, 7)
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    expect_place(page, 7, 25)
    assert (canvas(page, 0) != before[0]).any() and (canvas(page, 1) != before[1]).any()
    # The next place is at the start of the next row.
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_place(page, 8, 0)


def test_a_filter_slides_by_mouse(open_page: Any) -> None:
    page = open_page("convolution")
    page.locator("figure canvas").first.wait_for()
    # The middle of pixel (20, 10) of the image, then of place (3, 4) of the output.
    page.locator("figure canvas").nth(0).click(position={"x": 10.5 * 7, "y": 20.5 * 7})
    expect_place(page, 19, 9)
    page.locator("figure canvas").nth(1).click(position={"x": 4.5 * 7, "y": 3.5 * 7})
    expect_place(page, 3, 4)
    page.get_by_role("button", name="Next").click()
    expect_place(page, 3, 5)
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Back").click()
    expect_place(page, 3, 3)


@pytest.mark.parametrize("make", [learned, halves, faint])
def test_the_script_writes_each_place_as_python_does(make: Any, open_page: Any) -> None:
    kernels = {learned: LEARNED, halves: HALVES}
    kernel = kernels.get(make, np.array(data_of(make())["kernel"]))
    page = open_page(make.__name__)
    page.locator("figure canvas").first.wait_for()
    for row in range(3):
        for column in range(3):
            page.get_by_role("slider", name="Row").fill(str(row))
            page.get_by_role("slider", name="Column").fill(str(column))
            without_script = soup_of(convolution_steps(INK, kernel, (row, column)))
            assert page.locator("figcaption").inner_text() == without_script.figcaption.get_text()
            cells = [cell.inner_text() for cell in page.locator("figure td").all()]
            assert cells == [cell.get_text() for cell in without_script.find_all("td")]


def test_a_filter_writes_down_what_numpy_gives(open_page: Any) -> None:
    """The colours of the output so far, and nothing yet where the filter has not been."""
    page = open_page("convolution")
    page.get_by_role("slider", name="Row").fill("12")
    page.get_by_role("slider", name="Column").fill("25")
    middles = canvas(page, 1)[3::7, 3::7]
    windows = np.lib.stride_tricks.sliding_window_view(DIGIT, (3, 3))
    sums = (windows * EDGE).sum(axis=(2, 3))
    done, red, blue = sums[:13], middles[:13, :, 0], middles[:13, :, 2]
    assert (red[done > 0.05] > blue[done > 0.05]).all()
    assert (red[done < -0.05] < blue[done < -0.05]).all()
    assert (middles[13:] == 0xDD).all()


@each_widget
def test_without_scripts_there_is_a_picture_and_no_dead_control(
    make: Callable[[], Widget], chromium: Any, watch: Any, address: str
) -> None:
    page = chromium.new_page(java_script_enabled=False)
    problems = watch(page)
    page.goto(f"{address}/{make.__name__}.html")
    assert page.locator("figure img").first.is_visible()
    assert page.locator("figcaption").is_visible()
    assert page.locator("button, input, select, [tabindex]").count() == 0
    page.close()
    assert problems == []


def test_on_paper_there_are_no_controls(open_page: Any) -> None:
    page = open_page("all")
    assert page.get_by_role("slider").first.is_visible()
    page.emulate_media(media="print")
    assert not page.get_by_role("slider").first.is_visible()
    assert page.locator("figure img").first.is_visible()


def test_one_script_serves_all_figures_of_a_page(open_page: Any) -> None:
    """In a notebook each output brings the script; on the site it is loaded once."""
    counts = []
    for name in ("all", "site"):
        page = open_page(name)
        page.locator("ol.digits").wait_for()
        assert page.locator("figure.is-live").count() == len(WIDGETS)
        counts.append([page.get_by_role(role).count() for role in ("slider", "radio", "button")])
    assert counts[0] == counts[1] and min(counts[0]) > 0


def test_a_phone_shows_all_of_it(open_page: Any) -> None:
    page = open_page("all", width=390)
    page.locator("ol.digits").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme: str, open_page: Any, axe: Any) -> None:
    page = open_page("all", scheme=scheme)
    page.locator("ol.digits").wait_for()
    assert axe(page) == []
