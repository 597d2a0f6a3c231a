"""What a notebook's pictures show is compared: with a changed picture and a changed drawing."""

from __future__ import annotations

import copy
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from address import ROOT
from drawn import describe, open_picture, smallest_label
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from mutants import altered_html, altered_pictures, changes_of, describe_changed
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_format import dump_notebook, normalise
from notebook_lint import described_pictures
from outputs import clean_settings, execute
from pictures import KEY, bind, differences, unbound
from test_notebooks import run_pytest

from mnist_helpers import plots, widgets

RANDOM = np.random.RandomState(0)
DIGITS = RANDOM.rand(9, 28, 28)


def curves() -> Figure:
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    left.plot(np.arange(1, 5001), np.exp(np.linspace(0, 5, 5000)), label="loss")
    left.set_yscale("log")
    left.legend()
    right.scatter(*RANDOM.rand(2, 30), c=RANDOM.rand(30))
    right.annotate("here", (0.5, 0.5), xytext=(3, 4), textcoords="offset points")
    right.annotate("", (0.5, 0.5), (0.1, 0.2), arrowprops={"arrowstyle": "->"})
    right.text(0, 0, "boxed", bbox={"facecolor": "orange"})
    plt.close(figure)
    return figure


def grey_and_coloured() -> Figure:
    figure, axes = plt.subplots(2, 2)
    for ax, image in zip(
        axes.flat, (DIGITS[0], RANDOM.rand(9, 9, 3), DIGITS[1], DIGITS[2]), strict=True
    ):
        ax.imshow(image)
    plt.close(figure)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "digits": lambda: plots.plot_images(DIGITS, range(9)),
    "one digit": lambda: plots.plot_image(DIGITS[0]),
    "filters": lambda: plots.plot_conv_weights(RANDOM.randn(5, 5, 1, 16)),
    "bars": lambda: plots.plot_probabilities(np.full(10, 0.1), 3),
    "matrix": lambda: plots.plot_confusion_matrix(RANDOM.randint(0, 9, (10, 10))),
    "values": lambda: plots.plot_values({"patch": RANDOM.rand(3, 3)}),
    "curves": curves,
    "grey and coloured": grey_and_coloured,
}


def cell_of(*pictures: list[str], **metadata: object) -> NotebookNode:
    """A cell that shows a picture for each description."""
    cell = new_code_cell(metadata=metadata)
    cell.outputs = [
        new_output(
            "execute_result", {"image/png": "cGljdHVyZQ=="}, metadata={KEY: {"drawn": lines}}
        )
        for lines in pictures
    ]
    return cell


def changes(stored: list[str], today: list[str], **metadata: object) -> list[str]:
    """What `make test` says of a drawing, after what `make outputs` stored."""
    cell = cell_of(stored, **metadata)
    bind(new_notebook(cells=[cell]))
    return differences(cell, cell_of(today).outputs)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_draws_the_same_before_and_after_it_is_rendered(name: str) -> None:
    figure = FIGURES[name]()
    before = describe(figure)
    figure.savefig(io.BytesIO())
    assert changes(before, describe(figure)) == []


@pytest.mark.parametrize("name", FIGURES)
def test_each_alteration_of_a_drawing_is_seen_and_undone(name: str) -> None:
    figure = FIGURES[name]()
    before = describe(figure)
    altered = changes_of(figure)
    assert len(altered) >= 3
    for what, change in altered.items():
        assert changes(before, describe_changed(figure, change)), what
        assert describe(figure) == before, what


@given(st.integers(0, 27), st.integers(0, 27), st.floats(0.1, 1), st.floats(-1e-4, 1e-4))
@settings(max_examples=25)
def test_a_pixel_that_changes_is_seen_and_noise_is_not(
    row: int, column: int, by: float, noise: float
) -> None:
    figure = plots.plot_image(DIGITS[0])
    before = describe(figure)
    image = figure.axes[0].images[0]
    image.set_data(DIGITS[0] + noise)
    assert changes(before, describe(figure)) == []
    pixels = DIGITS[0].copy()
    pixels[row, column] += by if pixels[row, column] < 0.5 else -by
    image.set_data(pixels)
    (problem,) = changes(before, describe(figure))
    assert problem.startswith("axes 1, image 1: values: ")


VALUES = st.one_of(st.text("xyz", max_size=3), st.lists(st.integers(-9, 9), min_size=1, max_size=3))
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["axes 1", "axes 1, line", "axes 2, image"]),
        st.dictionaries(st.sampled_from(["x", "y", "look"]), VALUES, min_size=1),
    ),
    min_size=1,
)


@given(ENTRIES, st.data())
def test_a_shortened_description_says_the_same_and_shows_each_change(
    entries: list[tuple[str, dict[str, object]]], draw: st.DataObject
) -> None:
    lines = [f"{place} {number}: {fields}" for number, (place, fields) in enumerate(entries)]
    assert changes(lines, lines) == []
    number = draw.draw(st.integers(0, len(lines) - 1))
    place, fields = entries[number]
    name = draw.draw(st.sampled_from(sorted(fields)))
    other = list(lines)
    other[number] = f"{place} {number}: {fields | {name: 'another'}}"
    (problem,) = changes(lines, other)
    assert problem.startswith(f"{place} {number}: {name}: ")


def test_an_arrow_without_words_and_a_hollow_marker_are_seen() -> None:
    figure = curves()
    before = describe(figure)
    figure.axes[0].lines[0].set_markerfacecolor("white")
    figure.axes[1].texts[1].arrow_patch.set_edgecolor("red")
    marker, arrow = changes(before, describe(figure))
    assert marker.startswith("axes 1, line 1: colour: 1 of 3 differ: ")
    assert arrow.startswith("axes 2, text 2: FancyArrowPatch: ")


def test_the_problem_says_where_and_what() -> None:
    before, after = (describe(plots.plot_probabilities(p)) for p in (np.eye(10)[3], np.eye(10)[4]))
    assert changes(before, after) == [
        "axes 1, patch 4: outline: 1 of 4 differ: 0.0, and 1.0 is stored",
        "axes 1, patch 5: outline: 1 of 4 differ: 1.0, and 0.0 is stored",
    ]


def test_a_tolerance_beside_the_figure_holds_for_it_alone() -> None:
    before, after = (describe(plots.plot_image(image)) for image in (DIGITS[0], DIGITS[1]))
    assert changes(before, after) != []
    assert changes(before, after, drawn={"within": 2.0}) == []
    assert changes(before, after, drawn={"differs": ["values"]}) == []
    wider = describe(plots.plot_images(DIGITS[:3], [1, 2, 3]))
    assert changes(before, wider, drawn={"differs": ["values"]}) != []
    bars = [describe(plots.plot_probabilities(np.full(n, 1 / n))) for n in (10, 9)]
    lenient = {"differs": ["patch"]}
    assert "axes 1, patch 10: is no longer drawn" in changes(*bars)
    assert not any("patch" in p for p in changes(*bars, drawn=lenient))


def test_a_picture_more_or_less_is_a_difference() -> None:
    lines = describe(plots.plot_image(DIGITS[0]))
    assert differences(cell_of(lines), []) == ["shows 0 pictures, and 1 are stored"]
    assert differences(cell_of(lines), cell_of(lines, lines).outputs) != []


WIDGETS = {
    "frames": lambda: widgets.frames(
        {n: plots.plot_image(DIGITS[n]) for n in range(3)}, "Number", "Digit {}", "The digit {}."
    ),
    "mistakes": lambda: widgets.mistakes_browser(DIGITS, np.arange(9), np.eye(10)[[1] * 9]),
    "convolution": lambda: widgets.convolution_steps(DIGITS[0], np.eye(3)),
}


@pytest.mark.parametrize("name", WIDGETS)
def test_a_picture_behind_a_control_is_seen(name: str) -> None:
    widget = WIDGETS[name]()
    before = describe(widget)
    assert changes(before, describe(WIDGETS[name]())) == []
    if widget.figures:
        change = changes_of(widget.figures[2])["another image"]
        (problem,) = changes(before, describe_changed(widget, change))
        assert problem.startswith("picture 3, axes 1, image 1: values: ")
    else:
        altered = dict(altered_html(widget.html))
        assert len(altered) >= 3
        for html in altered.values():
            assert changes(before, describe(widgets.Widget("", html)))


CELLS = [
    "import numpy as np; from mnist_helpers import plots, widgets; d = np.eye(28)",
    "plots.plot_image(d)",
    "plots.plot_probabilities(np.full(10, 0.1))",
    "f = {n: plots.plot_image(d / n) for n in (1, 2)}; widgets.frames(f, 'n', 'a {}', 'c {}')",
    "plots.plot_image(d)",
]


@pytest.fixture(scope="module")
def stored() -> NotebookNode:
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    with clean_settings():
        return execute(notebook, ROOT)


def test_a_figure_is_stored_with_twice_the_pixels_that_it_is_shown_with(
    stored: NotebookNode,
) -> None:
    sizes = []
    for cell in stored.cells:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                shown = output.metadata["image/png"]
                size = open_picture(output.data["image/png"]).size
                assert [side // 2 for side in size] == [shown["width"], shown["height"]]
                sizes.append(size)
                assert output.metadata[KEY].get("smallest_label", 9) >= 9
    assert sizes


def test_letters_are_as_high_as_they_are_shown() -> None:
    narrow, wide = plt.figure(figsize=(5, 2)), plt.figure(figsize=(13.76, 2))
    for figure in (narrow, wide):
        figure.text(0.5, 0.5, "large", fontsize=36)
        figure.text(0.5, 0.1, "small", fontsize=9)
        figure.text(0.5, 0.9, "", fontsize=1)
        plt.close(figure)
    assert smallest_label(narrow) == pytest.approx(12.5)
    assert smallest_label(wide) == pytest.approx(12.5 / 2)
    assert smallest_label(Figure()) is None


def test_what_is_stored_is_bound_to_its_picture(stored: NotebookNode) -> None:
    assert list(described_pictures(stored)) == []
    assert list(described_pictures(normalise(stored))) == [], "what --format writes"
    for number, cell in enumerate(stored.cells):
        altered = list(altered_pictures(cell.outputs))
        assert bool(altered) is bool(number)
        for name, outputs in altered:
            assert list(unbound(NotebookNode(cell | {"outputs": outputs}))), name


def test_the_run_names_cell_and_difference_and_writes_the_pictures(
    stored: NotebookNode, tmp_path: Path
) -> None:
    notebook = copy.deepcopy(stored)
    # In turn: nothing; another drawing; the same; a caption, which nbval sees; no description.
    notebook.cells[1].source = "plots.plot_image(d.T[::-1])"
    notebook.cells[3].source = CELLS[3].replace("d / n", "d / n / n")
    del notebook.cells[4].outputs[0].metadata[KEY]
    for cell in notebook.cells:
        # So that it is compared where there is no MNIST, too: nothing here depends on it.
        cell.metadata["tags"] = ["nbval-check-output"]
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pictures.ipynb").write_text(dump_notebook(notebook), "utf-8")
    result = run_pytest(tmp_path, "--nbval", PYTHONPATH=str(ROOT))
    failed = re.findall(r"^FAILED pictures\.ipynb::Cell (\d+)", result.stdout, re.MULTILINE)
    assert failed == ["1", "3", "4"], result.stdout + result.stderr
    assert "axes 1, image 1: values: " in result.stdout
    assert "picture 2, axes 1, image 1: values: " in result.stdout
    assert "its picture is stored without its description" in result.stdout
    files = {path.name for path in (tmp_path / "_build" / "pictures").iterdir()}
    sides = ("old", "new", "difference")
    assert files == {
        f"pictures-cell-{n}-{side}.png" for n in ("1-picture-1", "3-picture-2") for side in sides
    }
    assert all(f"_build/pictures/{name}" in result.stdout for name in files)


@pytest.mark.stress
@pytest.mark.needs_mnist
def test_nearly_every_alteration_of_a_quick_chapter_is_caught() -> None:
    command = [sys.executable, "tools/mutants.py", "tensors", "convolution"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
