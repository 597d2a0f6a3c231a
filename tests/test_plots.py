"""The plots, through the artists of the figures that they return."""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pytest
from drawn import smallest_label
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from IPython.core.pylabtools import print_figure
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from notebook_lint import MIN_LABEL

from mnist_helpers import (
    History,
    plot_confusion_matrix,
    plot_conv_layer,
    plot_conv_weights,
    plot_example_errors,
    plot_history,
    plot_image,
    plot_images,
    plot_network,
    plot_probabilities,
    plot_rows,
    plot_values,
)
from mnist_helpers.plots import MAX_WIDTH, STEPS

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 784), np.float32)
LABELS = RNG.integers(0, 10, 12)
WRONG = (LABELS + 3) % 10
WEIGHTS = RNG.normal(size=(5, 5, 2, 6)).astype(np.float32)
LAYER = RNG.random((2, 7, 7, 10), np.float32)
HISTORY = History(
    iterations=np.arange(1, 101),
    loss=np.linspace(2, 1, 100, dtype=np.float32),
    accuracy=np.linspace(0, 1, 100, dtype=np.float32),
    validation_iterations=np.array([50, 100]),
    validation_loss=np.array([1.5, 1.1]),
    validation_accuracy=np.array([0.4, 0.9]),
    seconds=1.0,
)

# A figure takes long to draw: an example that fails is told as it is, not made smaller first.
laws = settings(max_examples=6, derandomize=True, phases=[Phase.generate])

FIGURES: dict[str, Callable[[], Figure]] = {
    "images": lambda: plot_images(IMAGES[:9], LABELS[:9], WRONG[:9]),
    "image": lambda: plot_image(IMAGES[0]),
    "example errors": lambda: plot_example_errors(IMAGES, LABELS, WRONG),
    "no errors": lambda: plot_example_errors(IMAGES, LABELS, LABELS),
    "confusion matrix": lambda: plot_confusion_matrix(np.diag(range(10))),
    "weights": lambda: plot_conv_weights(WEIGHTS),
    "layer": lambda: plot_conv_layer(LAYER),
    "rows": lambda: plot_rows({"0": LAYER[0].T, "1": LAYER[1].T}),
    "values": lambda: plot_values({"a": np.eye(3), "b": -np.eye(2)}),
    "network": lambda: plot_network("pooling"),
    "larger network": lambda: plot_network(num_filters=(32, 64), units=1024),
    "probabilities": lambda: plot_probabilities(np.full(10, 0.1), 3),
    "history": lambda: plot_history(HISTORY),
}


@pytest.fixture(autouse=True)
def no_figure_is_left_in_pyplot() -> Iterator[None]:
    """A figure that pyplot still holds is shown a second time at the end of a cell."""
    yield
    assert plt.get_fignums() == []


# An older Matplotlib calls what a newer pyparsing will drop: that warning is not ours.
no_warning = pytest.mark.filterwarnings("error", "ignore::DeprecationWarning:matplotlib|pyparsing")


def pictures(figure: Figure) -> list[AxesImage]:
    """The images that are shown, in reading order."""
    return [image for ax in figure.axes for image in ax.images]


def arrays(figure: Figure) -> list[npt.NDArray[Any]]:
    return [np.asarray(image.get_array()) for image in pictures(figure)]


def scales(figure: Figure) -> set[tuple[float, float]]:
    return {image.get_clim() for image in pictures(figure)}


def cmaps(figure: Figure) -> set[str]:
    return {image.get_cmap().name for image in pictures(figure)}


def cells(ax: Axes) -> dict[tuple[int, int], str]:
    """What is written at each row and column."""
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}


def colorbars(figure: Figure) -> list[Axes]:
    return [
        ax
        for ax in figure.axes
        if any(isinstance(artist, QuadMesh) for artist in ax.collections)
        and hasattr(ax, "_colorbar")
    ]


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())
@no_warning
def test_every_figure_is_closed_and_can_be_drawn(make: Callable[[], Figure], tmp_path: Any) -> None:
    figure = make()
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []
    figure.savefig(tmp_path / "figure.png")
    drawn = plt.imread(tmp_path / "figure.png")[:, :, :3]
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 2


def names_of_rows(ax: Axes) -> list[Text]:
    """What stands at the left of pictures. (Scales have labels that lie outside, undrawn.)"""
    return list(ax.get_yticklabels()) if ax.images else []


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())
def test_no_text_lies_over_another_or_outside(make: Callable[[], Figure]) -> None:
    figure = make()
    figure.draw_without_rendering()
    texts = [
        text
        for ax in figure.axes
        for text in [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts, *names_of_rows(ax)]
        if text.get_text()
    ]
    boxes = [text.get_window_extent() for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert box.x0 >= -1 and box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1 and box.y1 <= figure.bbox.height + 1, text
    for index, box in enumerate(boxes):
        for other, text in zip(boxes[:index], texts, strict=False):
            assert not box.overlaps(other), (texts[index], text)


@given(st.integers(1, 9), st.booleans(), st.booleans())
@laws
def test_images_are_shown_in_rows_of_three(n: int, flat: bool, with_predictions: bool) -> None:
    images = IMAGES[:n] if flat else IMAGES[:n].reshape(n, 28, 28)
    figure = plot_images(images, LABELS[:n], WRONG[:n] if with_predictions else None)

    places = 3 * math.ceil(n / 3)
    assert len(figure.axes) == places
    np.testing.assert_array_equal(arrays(figure), IMAGES[:n].reshape(n, 28, 28))
    assert [len(ax.images) for ax in figure.axes] == [1] * n + [0] * (places - n)
    assert [ax.get_xlabel() for ax in figure.axes] == [
        f"True: {true}, predicted: {guessed}" if with_predictions else f"True: {true}"
        for true, guessed in zip(LABELS[:n], WRONG[:n], strict=True)
    ] + [""] * (places - n)
    # One scale, so that a pale digit looks pale; ink is black.
    assert scales(figure) == {(0, 1)}
    assert cmaps(figure) == {"gray_r"}
    assert all(len(ax.get_xticks()) == len(ax.get_yticks()) == 0 for ax in figure.axes)


@pytest.mark.parametrize("shape", [(784,), (28, 28)])
def test_image_is_shown_as_it_is(shape: tuple[int, ...]) -> None:
    figure = plot_image(IMAGES[0].reshape(shape) / 2)
    np.testing.assert_array_equal(arrays(figure), [IMAGES[0].reshape(28, 28) / 2])
    assert scales(figure) == {(0, 1)}
    assert len(figure.axes) == 1


@given(st.integers(1, 12), st.integers(0, 2**12 - 1))
@laws
def test_example_errors_are_the_first_nine_that_are_wrong(n: int, bits: int) -> None:
    is_wrong = np.array([bits >> i & 1 == 1 for i in range(n)])
    predictions = np.where(is_wrong, WRONG[:n], LABELS[:n])
    figure = plot_example_errors(IMAGES[:n], LABELS[:n], predictions)

    wrong = np.flatnonzero(is_wrong)[:9]
    if len(wrong) == 0:
        (ax,) = figure.axes
        assert [text.get_text() for text in ax.texts] == ["No image is misread."]
        assert not ax.axison
    else:
        np.testing.assert_array_equal(arrays(figure), IMAGES[wrong].reshape(-1, 28, 28))
        assert [ax.get_xlabel() for ax in figure.axes[: len(wrong)]] == [
            f"True: {LABELS[i]}, predicted: {WRONG[i]}" for i in wrong
        ]


def test_confusion_matrix_has_true_classes_down_and_predicted_ones_across() -> None:
    counts = RNG.integers(0, 50, (10, 10)) + np.diag([900] * 10)
    counts[2, 7] = 0
    figure = plot_confusion_matrix(counts)
    (ax,) = figure.axes

    assert cells(ax) == {(row, col): str(n) for (row, col), n in np.ndenumerate(counts)}
    assert ax.get_xlabel() == "Predicted class"
    assert ax.get_ylabel() == "True class"
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "row 0 is at the top"
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == [str(number) for number in range(10)]
    (share,) = arrays(figure)
    np.testing.assert_allclose(share**2, counts / counts.sum(axis=1, keepdims=True))
    assert scales(figure) == {(0, 1)}


def test_numbers_in_the_confusion_matrix_stand_out_from_their_cells() -> None:
    counts = np.array([[100 - n, n] for n in range(1, 51)] + [[0, 9]] * 14).reshape(8, 16)
    counts = np.vstack([counts, np.ones((8, 16), int)])
    figure = plot_confusion_matrix(counts)
    (ax,), (picture,) = figure.axes, pictures(figure)
    (share,) = arrays(figure)
    for text in ax.texts:
        column, row = (int(place) for place in text.get_position())
        if counts[row, column]:  # a zero is written faintly on purpose
            cell = picture.cmap(picture.norm(share[row, column]))[:3]
            assert contrast(to_rgb(text.get_color()), cell) > 3


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2 defines it."""

    def luminance(color: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("matrix", "written"),
    [
        ([[1 / 3, 2 / 3], [0.02, 0.98]], ["0.33", "0.67", "0.02", "0.98"]),
        ([[980.0, 2.0], [0.0, 1.0]], ["980", "2", "0", "1"]),
        (np.array([[1 / 3, 1 / 6], [0, 0.5]], np.float32), ["0.33", "0.17", "0.00", "0.50"]),
        (np.eye(2, dtype=bool), ["1", "0", "0", "1"]),
    ],
)
def test_shares_have_two_decimals_and_counts_none(matrix: Any, written: list[str]) -> None:
    figure = plot_confusion_matrix(matrix)
    assert [text.get_text() for text in figure.axes[0].texts] == written
    # The colour is the share of the row, also where the shares are of the whole.
    np.testing.assert_allclose((arrays(figure)[0] ** 2).sum(axis=1), 1, rtol=1e-6)


def test_uint8_images_are_divided_and_a_channel_axis_is_dropped() -> None:
    grey = np.round(255 * IMAGES[:3]).astype(np.uint8)
    for shape in [(3, 784), (3, 28, 28), (3, 28, 28, 1), (3, 1, 28, 28)]:
        many = arrays(plot_images(grey.reshape(shape), LABELS[:3].tolist()))
        np.testing.assert_allclose(many, grey.reshape(3, 28, 28) / 255, rtol=1e-6)
    for shape in [(784,), (28, 28), (28, 28, 1), (1, 784), (1, 28, 28)]:
        (one,) = arrays(plot_image(grey[0].reshape(shape)))
        np.testing.assert_allclose(one, grey[0].reshape(28, 28) / 255, rtol=1e-6)


def test_what_is_not_finite_stays_blank_and_the_rest_is_drawn() -> None:
    weights = WEIGHTS.copy()
    weights[0, 0, 0, 0] = np.nan
    figure = plot_conv_weights(weights)
    figure.draw_without_rendering()
    assert scales(figure) == {(-np.nanmax(np.abs(weights)), np.nanmax(np.abs(weights)))}


def test_confusion_matrix_of_a_class_that_never_occurs() -> None:
    figure = plot_confusion_matrix([[3, 1], [0, 0]])
    np.testing.assert_allclose(arrays(figure)[0] ** 2, [[0.75, 0.25], [0, 0]])


@given(st.integers(1, 3), st.integers(1, 40), st.data())
@laws
def test_all_filters_of_a_channel_are_shown_on_one_scale(
    num_channels: int, num_filters: int, data: st.DataObject
) -> None:
    channel = data.draw(st.integers(0, num_channels - 1))
    weights = RNG.normal(size=(5, 5, num_channels, num_filters))
    figure = plot_conv_weights(weights, channel)

    np.testing.assert_array_equal(
        arrays(figure), [weights[:, :, channel, i] for i in range(num_filters)]
    )
    largest = np.abs(weights).max()
    assert scales(figure) == {(-largest, largest)}
    assert cmaps(figure) == {"RdBu_r"}
    # White is zero, red above, blue below.
    picture = pictures(figure)[0]
    red, green, blue, _ = picture.cmap(picture.norm(largest))
    assert red > max(green, blue)
    red, green, blue, _ = picture.cmap(picture.norm(-largest))
    assert blue > max(red, green)
    assert min(picture.cmap(picture.norm(0.0))) > 0.95


def test_the_scale_of_the_filters_can_be_chosen() -> None:
    assert scales(plot_conv_weights(WEIGHTS, 1, limit=0.5)) == {(-0.5, 0.5)}


def test_filters_have_a_colour_bar_that_says_what_is_shown() -> None:
    figure = plot_conv_weights(WEIGHTS)
    (bar,) = colorbars(figure)
    assert bar.get_ylabel() == "weight"
    assert bar.get_ylim() == pytest.approx((-np.abs(WEIGHTS).max(), np.abs(WEIGHTS).max()))


def test_filters_of_a_layer_are_taken_as_they_come() -> None:
    from mnist_helpers import new_conv_layer

    _, weights = new_conv_layer(1, 5, 16, seed=0)
    figure = plot_conv_weights(weights)
    np.testing.assert_array_equal(arrays(figure), np.moveaxis(weights.numpy()[:, :, 0], -1, 0))


@given(st.integers(1, 40), st.integers(0, 1))
@laws
def test_all_channels_of_one_image_are_shown_on_one_scale(num_channels: int, image: int) -> None:
    layer = RNG.random((2, 7, 6, num_channels))
    figure = plot_conv_layer(layer, image)
    np.testing.assert_array_equal(
        arrays(figure), [layer[image, :, :, i] for i in range(num_channels)]
    )
    assert scales(figure) == {(0, layer[image].max())}
    assert cmaps(figure) == {"viridis"}
    assert [bar.get_ylabel() for bar in colorbars(figure)] == ["output"]


def test_outputs_of_both_signs_are_coloured_as_weights() -> None:
    figure = plot_conv_layer(LAYER - 0.9)
    largest = pytest.approx(0.9, abs=0.01)
    assert scales(figure) == {(-np.abs(LAYER[0] - 0.9).max(), np.abs(LAYER[0] - 0.9).max())}
    assert next(iter(scales(figure)))[1] == largest
    assert cmaps(figure) == {"RdBu_r"}


@no_warning
@pytest.mark.parametrize(
    "make",
    [
        lambda: plot_conv_weights(np.zeros((5, 5, 1, 4))),
        lambda: plot_conv_layer(np.zeros((1, 7, 7, 4))),
        lambda: plot_rows({"dead": np.zeros((4, 7, 7))}),
        lambda: plot_values({"nothing": np.zeros((2, 2))}),
        lambda: plot_image(np.zeros(784)),
    ],
)
def test_nothing_but_zeros_can_be_drawn(make: Callable[[], Figure]) -> None:
    figure = make()
    figure.draw_without_rendering()
    assert all(not array.any() for array in arrays(figure))


@pytest.mark.parametrize("name", FIGURES)
def test_labels_can_be_read_on_the_page(name: str) -> None:
    label = smallest_label(FIGURES[name]())
    assert label is None or label >= MIN_LABEL


def test_many_columns_fit_on_the_page_and_keep_their_labels() -> None:
    figure = plot_rows({"before": np.ones([40, 7, 7]), "after": np.ones([40, 7, 7])})
    assert figure.get_size_inches()[0] <= MAX_WIDTH + 1e-9
    label = smallest_label(figure)
    assert label is not None and label >= 12


@given(st.integers(1, 4), st.integers(1, 6), st.booleans())
@laws
def test_rows_are_shown_under_each_other_on_one_scale(
    num_rows: int, num_columns: int, two_signs: bool
) -> None:
    names = ["0", "1", "100", "1,000"][:num_rows]
    rows = {
        name: RNG.random((num_columns, 7, 7)) * (i + 1) for i, name in enumerate(reversed(names))
    }
    figure = plot_rows(rows, two_signs)

    np.testing.assert_array_equal(arrays(figure), np.concatenate(list(rows.values())))
    largest = max(row.max() for row in rows.values())
    assert scales(figure) == {(-largest if two_signs else 0, largest)}
    assert cmaps(figure) == {"RdBu_r" if two_signs else "viridis"}
    (ax,) = (ax for ax in figure.axes if ax.images)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(rows)
    for row, middle in enumerate(ax.get_yticks()):
        for image in ax.images[row * num_columns : (row + 1) * num_columns]:
            assert min(image.get_extent()[2:]) < middle < max(image.get_extent()[2:])
    assert len(colorbars(figure)) == 1
    assert list(ax.get_yticks()) == sorted(ax.get_yticks())
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first row is at the top"


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
@laws
def test_every_small_picture_is_whole_and_apart_from_the_others(
    count: int, height: int, width: int
) -> None:
    stack = RNG.random((count, height, width))
    tiles = plot_conv_layer(stack.transpose(1, 2, 0)[np.newaxis])
    for figure in (tiles, plot_rows({"one": stack, "two": stack})):
        (ax,) = (ax for ax in figure.axes if ax.images)
        right_end, (bottom_end, top_end) = ax.get_xlim()[1], ax.get_ylim()
        boxes = [image.get_extent() for image in ax.images]
        for index, (left, right, bottom, top) in enumerate(boxes):
            assert 0 <= left < right <= right_end + 1e-9
            assert top_end <= top < bottom <= bottom_end + 1e-9
            # Pixels are square.
            assert (bottom - top) / (right - left) == pytest.approx(height / width)
            for other_left, _, _, other_top in boxes[:index]:
                apart = abs(left - other_left) > right - left or abs(top - other_top) > bottom - top
                assert apart
        assert ax.get_aspect() == 1


@pytest.mark.parametrize("two_signs", [True, False])
def test_values_are_written_in_their_cells(two_signs: bool) -> None:
    matrices = {"patch": np.arange(6.0).reshape(2, 3), "filter": np.array([[-0.126]])}
    figure = plot_values(matrices, ".2f", two_signs)
    assert [ax.get_title() for ax in figure.axes] == ["patch", "filter"]
    assert cells(figure.axes[0]) == {
        (row, column): f"{3 * row + column}.00" for row in range(2) for column in range(3)
    }
    assert cells(figure.axes[1]) == {(0, 0): "-0.13"}
    for picture, matrix in zip(pictures(figure), matrices.values(), strict=True):
        np.testing.assert_array_equal(picture.get_array(), matrix)
        low, high = picture.get_clim()
        assert low == (-high if two_signs else 0)
        # The black numbers can be read on every colour that occurs.
        for value in matrix.flat:
            assert contrast((0, 0, 0), picture.cmap(picture.norm(value))[:3]) > 4.5


def test_the_network_is_drawn_with_the_shapes_that_it_has() -> None:
    from mnist_helpers import ConvNet

    (ax,) = plot_network().axes
    written = [text.get_text().replace("\n", "") for text in ax.texts]
    for outputs in ConvNet(seed=0).layer_outputs(IMAGES[:1]).values():
        _, *shape = outputs.shape
        assert "×".join(f"{size:,}" for size in shape) in written


@pytest.mark.parametrize("step", STEPS)
def test_the_step_of_the_day_is_lit_and_no_other(step: str) -> None:
    (ax,) = plot_network(step).axes
    titles = [text for text in ax.texts if text.get_position()[1] > 1]
    lit = [text for text in titles if text.get_fontweight() == "bold"]
    assert all(text.get_text().replace("\n", " ").startswith(step) for text in lit)
    assert 1 <= len(lit) < len(titles)
    lit_places = {text.get_position()[0] for text in lit}
    plain = ax.patches[0].get_facecolor()
    for patch in ax.patches:
        place = round(patch.get_x() + patch.get_width() / 2)
        assert (not same_color(patch.get_facecolor(), plain)) == (place in lit_places)


def test_probabilities_are_bars_of_which_the_true_one_stands_out() -> None:
    probabilities = np.linspace(0.01, 0.19, 10)
    figure = plot_probabilities(probabilities, label=7)
    (ax,) = figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], probabilities)
    np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in ax.patches], range(10))
    others = {bar.get_facecolor() for i, bar in enumerate(ax.patches) if i != 7}
    assert len(others) == 1
    assert not same_color(ax.patches[7].get_facecolor(), others.pop())
    assert ax.get_title() == "True class: 7"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Class", "Probability")
    assert ax.get_ylim() == (0, 1)


def test_probabilities_without_a_true_class() -> None:
    (ax,) = plot_probabilities(np.full(10, 0.1)).axes
    assert len({bar.get_facecolor() for bar in ax.patches}) == 1
    assert ax.get_title() == ""


def test_history_draws_running_means_and_the_validation_figures() -> None:
    figure = plot_history(HISTORY, smooth=10)
    loss, accuracy = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == ["Loss (nats)", "Accuracy"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["Iteration", "Iteration"]
    for ax, training, validation in [
        (loss, HISTORY.loss, HISTORY.validation_loss),
        (accuracy, HISTORY.accuracy, HISTORY.validation_accuracy),
    ]:
        curve, points = ax.lines
        # The mean of steps 1 to 10 is drawn above 5.5, their middle.
        np.testing.assert_allclose(curve.get_xdata(), np.arange(5.5, 96))
        expected = [training[i : i + 10].mean() for i in range(91)]
        np.testing.assert_allclose(curve.get_ydata(), expected, rtol=1e-5)
        np.testing.assert_array_equal(points.get_xdata(), [50, 100])
        np.testing.assert_array_equal(points.get_ydata(), validation)
        assert curve.get_linestyle() != points.get_linestyle()
    legend = loss.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    assert loss.get_yscale() == "log"


def test_a_history_shorter_than_the_window_is_one_mean() -> None:
    figure = plot_history(HISTORY, smooth=1_000)
    for ax, training in zip(figure.axes, [HISTORY.loss, HISTORY.accuracy], strict=True):
        np.testing.assert_allclose(ax.lines[0].get_xdata(), [50.5])
        np.testing.assert_allclose(ax.lines[0].get_ydata(), [training.mean()], rtol=1e-5)


def test_a_single_figure_of_the_validation_images_can_be_seen() -> None:
    # A line through one point draws nothing: it needs a marker.
    figure = plot_history(HISTORY)
    assert all(ax.lines[1].get_marker() not in ("", "None", None) for ax in figure.axes)


def test_history_without_validation_has_one_curve() -> None:
    none = np.array([])
    history = History(
        HISTORY.iterations, HISTORY.loss, HISTORY.accuracy, none.astype(int), none, none, 1.0
    )
    figure = plot_history(history)
    assert [len(ax.lines) for ax in figure.axes] == [1, 1]


BAD: dict[str, tuple[Callable[[], Figure], str]] = {
    "no images": (lambda: plot_images(IMAGES[:0], LABELS[:0]), r"1 to 9 images .*\[0\]"),
    "ten images": (lambda: plot_images(IMAGES[:10], LABELS[:10]), r"1 to 9 images .*\[10\]"),
    "too few labels": (lambda: plot_images(IMAGES[:3], LABELS[:2]), r"lengths \[2, 3\]"),
    "too many predictions": (
        lambda: plot_images(IMAGES[:3], LABELS[:3], LABELS[:4]),
        r"lengths \[3, 4\]",
    ),
    "one-hot labels": (
        lambda: plot_images(IMAGES[:3], np.eye(10)[:3]),
        r"labels have shape \[3, 10\], expected \[n\].*labels.argmax",
    ),
    "images that are no squares": (
        lambda: plot_images(IMAGES[:3, :700], LABELS[:3]),
        r"shape \[3, 700\], expected \[n, 784\] or \[n, 28, 28\]",
    ),
    "images of rank 3 that are no squares": (
        lambda: plot_images(IMAGES[:3].reshape(3, 14, 56), LABELS[:3]),
        r"shape \[3, 14, 56\]",
    ),
    "images with colours": (
        lambda: plot_images(np.zeros((3, 28, 28, 3)), LABELS[:3]),
        r"shape \[3, 28, 28, 3\].* grey",
    ),
    "one image for plot_images": (
        lambda: plot_images(IMAGES[0], LABELS[:1]),
        r"shape \[784\].*a single image, pass images\[np.newaxis\]",
    ),
    "one square image for plot_images": (
        lambda: plot_images(IMAGES[0].reshape(28, 28), LABELS[:1]),
        r"a single image, pass images\[np.newaxis\]",
    ),
    "probabilities as predictions": (
        lambda: plot_images(IMAGES[:3], LABELS[:3], np.full((3, 10), 0.1)),
        r"predictions are class numbers .*got \[3, 10\]: pass predictions.argmax\(axis=1\)",
    ),
    "floats to 255": (lambda: plot_image(255 * IMAGES[0]), "to 25.*divide them by 255"),
    "an image with NaN": (lambda: plot_image(np.full(784, np.nan)), "NaN"),
    "letters": (lambda: plot_images(IMAGES[:2], [1, 26]), "labels run from 1 to 26"),
    "many images for plot_image": (lambda: plot_image(IMAGES), r"one image .*got \[12, 784\]"),
    "no image for plot_image": (lambda: plot_image(0.5), "shape"),
    "errors: lengths": (
        lambda: plot_example_errors(IMAGES, LABELS, LABELS[:5]),
        "as many images .*12, 12 and 5",
    ),
    "errors: one-hot labels": (
        lambda: plot_example_errors(IMAGES, np.eye(10)[LABELS], LABELS),
        "one class number per image",
    ),
    "errors: probabilities as predictions": (
        lambda: plot_example_errors(IMAGES, LABELS, np.eye(10)[LABELS]),
        "pass predictions.argmax",
    ),
    "oblong confusion matrix": (lambda: plot_confusion_matrix([[1, 2]]), r"square; got .*\[1, 2\]"),
    "empty confusion matrix": (lambda: plot_confusion_matrix(np.zeros((0, 0))), "square"),
    "confusion vector": (lambda: plot_confusion_matrix([1, 2]), "square"),
    "confusion matrix with NaN": (
        lambda: plot_confusion_matrix([[1, 0], [np.nan, 1]]),
        "counts or shares.*got nan in row 1, column 0",
    ),
    "confusion matrix with a negative number": (
        lambda: plot_confusion_matrix([[1, -3], [0, 1]]),
        "0 or more; got -3 in row 0, column 1",
    ),
    "confusion matrix with infinity": (lambda: plot_confusion_matrix([[np.inf]]), "got inf"),
    "weights that are all lost": (
        lambda: plot_conv_weights(np.full((5, 5, 1, 2), np.nan)),
        "nothing to draw: no number is finite",
    ),
    "weights of a dense layer": (
        lambda: plot_conv_weights(np.ones((4, 3))),
        r"\[height, width, in_channels, num_filters\]; got \[4, 3\]",
    ),
    "no such input channel": (lambda: plot_conv_weights(WEIGHTS, 2), "must be 0 to 1; got 2"),
    "negative input channel": (lambda: plot_conv_weights(WEIGHTS, -1), "0 to 1; got -1"),
    "negative limit": (lambda: plot_conv_weights(WEIGHTS, limit=-1.0), "positive; got -1"),
    "limit zero": (lambda: plot_conv_weights(WEIGHTS, limit=0.0), "positive; got 0"),
    "flat layer": (
        lambda: plot_conv_layer(np.ones((4, 9))),
        r"\[n, height, width, channels\]; got \[4, 9\]",
    ),
    "no such image": (lambda: plot_conv_layer(LAYER, 2), "must be 0 to 1; got 2"),
    "negative image": (lambda: plot_conv_layer(LAYER, -1), "0 to 1; got -1"),
    "no rows": (lambda: plot_rows({}), "at least one row"),
    "rows of other lengths": (
        lambda: plot_rows({"a": LAYER[0].T[:2], "b": LAYER[0].T[:3]}),
        "the same number of pictures in each",
    ),
    "rows of numbers": (
        lambda: plot_rows({"a": np.ones((5, 5))}),
        r"\[k, height, width\]; got .*'a': \[5, 5\]",
    ),
    "rows of nothing": (lambda: plot_rows({"a": np.ones((0, 5, 5))}), r"\[0, 5, 5\]"),
    "no such step": (lambda: plot_network("dropout"), "convolution, .*got dropout"),
    "no matrix": (lambda: plot_values({}), "at least one matrix"),
    "a vector": (lambda: plot_values({"a": [1.0]}), r"\[height, width\]; got .*'a': \[1\]"),
    "probabilities of two images": (
        lambda: plot_probabilities(np.full((2, 10), 0.1)),
        r"one image's .*got \[2, 10\]",
    ),
    "logits": (lambda: plot_probabilities([3.0, -2.0]), "0 to 1; got -2 to 3 .*softmax"),
    "a one-hot label": (
        lambda: plot_probabilities([0.5, 0.5], np.eye(2)[1]),  # type: ignore[arg-type]
        "one number, 0 to 1",
    ),
    "no such class": (lambda: plot_probabilities(np.full(10, 0.1), 10), "0 to 9; got 10"),
    "negative class": (lambda: plot_probabilities(np.full(10, 0.1), -1), "0 to 9; got -1"),
    "window of no width": (lambda: plot_history(HISTORY, smooth=0), "at least 1; got 0"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_gets_a_clear_error_and_no_figure(
    make: Callable[[], Figure], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# The package's own style

STYLES: dict[str, Any] = {
    **{name: name for name in ("classic", "dark_background", "ggplot", "fivethirtyeight")},
    **{name: name for name in ("grayscale", "seaborn-v0_8-darkgrid", "seaborn-v0_8-poster")},
    # Read when a figure is drawn, or when it is saved.
    "signs and fonts": {
        "axes.unicode_minus": False,
        "axes.formatter.limits": (0, 0),
        "font.family": "serif",
        "font.size": 30,
        "text.usetex": True,
    },
    "saving": {
        "figure.dpi": 50,
        "savefig.bbox": "tight",
        "savefig.dpi": 300,
        "savefig.facecolor": "red",
        "savefig.pad_inches": 2,
        "savefig.transparent": True,
    },
}


def as_saved(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="raw")
    return buffer.getvalue()


def as_shown(figure: Figure) -> bytes:
    """As a notebook makes its picture."""
    shown: bytes = print_figure(figure)
    return shown


def as_on_screen(figure: Figure) -> bytes:
    figure.canvas.draw()
    return bytes(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def in_no_style() -> dict[str, bytes]:
    return {name: as_saved(make()) for name, make in FIGURES.items()}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_every_figure_looks_the_same_in_every_style(
    style: Any, in_no_style: dict[str, bytes]
) -> None:
    with plt.style.context(style):
        before = matplotlib.rcParams.copy()
        for name, make in FIGURES.items():
            assert as_saved(make()) == in_no_style[name], name
        assert matplotlib.rcParams == before


@pytest.mark.parametrize("draw", [as_saved, as_shown, as_on_screen])
def test_the_style_at_the_moment_of_drawing_does_not_count(
    draw: Callable[[Figure], bytes],
) -> None:
    """The ticks of a scale, some with a minus sign, are made when it is drawn first."""

    def make() -> Figure:
        return plot_conv_weights(WEIGHTS[:, :, :, :1])

    expected = draw(make())
    for style in STYLES.values():
        figure = make()
        with plt.style.context(style):
            assert draw(figure) == expected


def test_a_stored_figure_keeps_its_style() -> None:
    figure = pickle.loads(pickle.dumps(plot_history(HISTORY)))
    with plt.style.context(["dark_background", STYLES["saving"]]):
        assert as_saved(figure) == as_saved(plot_history(HISTORY))


def test_options_for_saving_still_count(tmp_path: Path) -> None:
    plot_image(IMAGES[0]).savefig(tmp_path / "a.png", dpi=50, facecolor="red")
    pixels = plt.imread(tmp_path / "a.png")
    assert pixels.shape[:2] == (150, 150)
    assert pixels[0, 0, :3].tolist() == [1, 0, 0]


def test_a_notebook_shows_a_picture_even_where_there_is_only_a_text() -> None:
    assert as_shown(plot_example_errors(IMAGES, LABELS, LABELS)).startswith(b"\x89PNG")


def test_the_readers_own_figure_stays_the_current_one() -> None:
    mine, ax = plt.subplots()
    for make in FIGURES.values():
        make()
    assert len(plt.get_fignums()) == 1
    assert plt.gcf() is mine
    assert plt.gca() is ax
    plt.close(mine)
