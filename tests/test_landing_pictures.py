"""The landing page's picture says what the network does, and fits a phone."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from mnist_helpers import ConvNet

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def net():
    return ConvNet(seed=1)


@pytest.fixture(scope="module")
def picture():
    path = ROOT / "book" / "images" / "network.svg"
    return ElementTree.fromstring(path.read_text(encoding="utf-8"))


def words(picture, kind):
    return [text.text for text in picture.iter(f"{SVG}text") if text.get("class") == kind]


def style(picture):
    return picture.find(f"{SVG}style").text


def numbers(text):
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", text)]


def test_shapes_in_the_picture_are_those_of_the_network(net, picture):
    outputs = net.layer_outputs(np.zeros([1, 784], np.float32))
    expected = [[28, 28, 1], *(list(output.shape[1:]) for output in outputs.values()), [10]]
    assert [numbers(text) for text in words(picture, "shape")] == expected


def test_parameters_in_the_picture_add_up(net, picture):
    *layers, total = [numbers(text)[0] for text in words(picture, "note")]
    expected = [
        sum(int(np.prod(v.shape)) for name, v in net.weights.items() if name.startswith(layer))
        for layer in ("conv1/", "conv2/", "fc1/", "fc2/")
    ]
    assert layers == expected
    assert total == sum(layers) == net.num_parameters


def test_every_operation_links_to_a_chapter(picture):
    links = [link.get("href") for link in picture.iter(f"{SVG}a")]
    assert len(links) == 9
    for link in links:
        match = re.fullmatch(r"\.\./notebooks/(\w+)\.html", link)
        assert match, link
        assert (ROOT / "notebooks" / f"{match[1]}.ipynb").is_file(), link


def test_words_stay_inside_and_are_large_enough(picture):
    left, top, width, height = (float(n) for n in picture.get("viewBox").split())
    assert width <= 360, "wider than a phone: the letters would shrink"
    size = float(re.search(r"\.network text \{ font-size: ([\d.]+)px", style(picture))[1])
    assert size >= 13
    boxes = []
    for text in picture.iter(f"{SVG}text"):
        if "digit" in (text.get("class") or ""):
            continue
        # DejaVu Sans is wider than the fonts that systems use for their own menus.
        weight = "bold" if text.get("class") == "shape" else "normal"
        font = FontProperties(family="DejaVu Sans", weight=weight)
        x, y = float(text.get("x")), float(text.get("y"))
        drawn = TextPath((0, 0), text.text, size=size, prop=font).get_extents()
        assert left <= x and x + drawn.x1 <= left + width, text.text
        assert top + size <= y <= top + height - 2, text.text
        boxes.append((y, text.text))
    lines = sorted(boxes)
    for (above, _), (below, text) in zip(lines[:-1], lines[1:], strict=True):
        assert below - above >= 18, f"{text!r} touches the line above it"


def test_colours_follow_the_page(picture):
    colours = re.findall(r"(?:fill|stroke): ([^;]+);", style(picture))
    assert len(colours) > 8
    for colour in colours:
        assert colour == "none" or colour.startswith("var(--pst-color-"), colour
    assert not any({"fill", "stroke", "style"} & set(each.keys()) for each in picture.iter())


def test_picture_can_be_listened_to(picture):
    by_id = {element.get("id"): element.text for element in picture.iter() if element.get("id")}
    title, description = (by_id[name] for name in picture.get("aria-labelledby").split())
    assert "network" in title
    for shape in ("28 × 28 × 1", "14 × 14 × 16", "7 × 7 × 36", "1,764", "128"):
        assert shape in description
    # A role that hides its content from screen readers would hide the links.
    assert picture.get("role") == "group"
    hidden = picture.find(f"{SVG}g[@aria-hidden='true']")
    assert not list(hidden.iter(f"{SVG}a"))
