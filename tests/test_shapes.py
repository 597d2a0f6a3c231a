"""The sizes that a filter gives out, against TensorFlow's own and against counting places."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mnist_helpers import ConvNet, output_size, quiet, same_padding

with quiet():
    import tensorflow as tf

laws = settings(max_examples=300, derandomize=True)
slower_laws = settings(laws, max_examples=100)
sizes = st.integers(1, 40)
filter_sizes = st.integers(1, 9)
strides = st.integers(1, 6)
paddings = st.sampled_from(["SAME", "VALID"])


def random_image(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def places(size: int, filter_size: int, stride: int, before: int, after: int) -> list[int]:
    """Where the filter's first pixel may stand, tried one by one."""
    return [
        first
        for first in range(-before, size + after)
        if (first + before) % stride == 0 and first + filter_size <= size + after
    ]


@given(sizes, sizes, filter_sizes, filter_sizes, strides, strides, paddings)
@example(28, 28, 5, 5, 1, 1, "SAME")
@example(28, 28, 2, 2, 2, 2, "SAME")
@example(7, 7, 2, 2, 2, 2, "VALID")
@laws
def test_sizes_are_those_of_tensorflow(
    height: int, width: int, rows: int, columns: int, down: int, right: int, padding: str
) -> None:
    assume(padding == "SAME" or (rows <= height and columns <= width))
    images = np.zeros([1, height, width, 1], np.float32)
    filters = np.zeros([rows, columns, 1, 2], np.float32)
    expected = (
        output_size(height, rows, down, padding),
        output_size(width, columns, right, padding),
    )
    convolved = tf.nn.conv2d(images, filters, [down, right], padding)
    pooled = tf.nn.max_pool2d(images, [rows, columns], [down, right], padding)
    assert convolved.shape == (1, *expected, 2)
    assert pooled.shape == (1, *expected, 1)


@given(sizes, filter_sizes, strides, st.integers(0, 5))
@slower_laws
def test_padding_in_pixels_is_that_of_tensorflow(
    size: int, filter_size: int, stride: int, pixels: int
) -> None:
    assume(filter_size <= size + 2 * pixels)
    images = np.zeros([1, size, size, 1], np.float32)
    filters = np.zeros([filter_size, filter_size, 1, 1], np.float32)
    frame = [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]]
    rows = output_size(size, filter_size, stride, pixels)
    assert tf.nn.conv2d(images, filters, stride, frame).shape == (1, rows, rows, 1)


@given(sizes, sizes, filter_sizes, filter_sizes, strides)
@example(28, 28, 5, 5, 1)
@example(6, 6, 3, 3, 2)
@slower_laws
def test_same_padding_put_on_by_hand_gives_the_same_numbers(
    height: int, width: int, rows: int, columns: int, stride: int
) -> None:
    vertical, horizontal = same_padding(height, rows, stride), same_padding(width, columns, stride)
    images = random_image(1, height, width, 1)
    filters = random_image(rows, columns, 1, 1)
    frame = [(0, 0), vertical, horizontal, (0, 0)]

    expected = tf.nn.conv2d(images, filters, stride, "SAME")
    by_hand = tf.nn.conv2d(np.pad(images, frame), filters, stride, "VALID")
    np.testing.assert_allclose(by_hand, expected, atol=1e-5)

    # Pooling pads with what never wins.
    pooled = tf.nn.max_pool2d(images, [rows, columns], stride, "SAME")
    framed = np.pad(images, frame, constant_values=-np.inf)
    by_hand = tf.nn.max_pool2d(framed, [rows, columns], stride, "VALID")
    np.testing.assert_array_equal(by_hand, pooled)


@given(sizes, filter_sizes, strides)
@laws
def test_an_odd_pixel_comes_after(size: int, filter_size: int, stride: int) -> None:
    before, after = same_padding(size, filter_size, stride)
    assert before >= 0
    assert after - before in (0, 1)
    # As much as it takes, and no more: without the padding's last pixel a place is lost.
    count = output_size(size, filter_size, stride, "SAME")
    assert len(places(size, filter_size, stride, before, after)) == count
    if after:
        assert len(places(size, filter_size, stride, before, after - 1)) == count - 1


@given(sizes, filter_sizes, strides, st.integers(0, 5))
@laws
def test_the_formula_counts_places(size: int, filter_size: int, stride: int, pixels: int) -> None:
    count = len(places(size, filter_size, stride, pixels, pixels))
    if count == 0:
        with pytest.raises(ValueError, match="does not fit"):
            output_size(size, filter_size, stride, pixels)
    else:
        assert output_size(size, filter_size, stride, pixels) == count


def test_defaults_are_those_of_the_network() -> None:
    assert output_size(28, 5) == output_size(28, 5, 1, "SAME") == 28
    assert same_padding(28, 5) == same_padding(28, 5, 1)
    side = 28
    for _ in range(2):
        side = output_size(output_size(side, 5), 2, 2)
    outputs = ConvNet(seed=0).layer_outputs(np.zeros([1, 784], np.float32))
    assert outputs["layer_conv2"].shape == (1, side, side, 36)


def test_numpy_integers_are_taken() -> None:
    result = output_size(np.int64(28), np.int32(5), np.int64(2), np.int64(1))
    assert (result, type(result)) == (13, int)
    assert same_padding(np.int64(28), np.int64(5), np.int64(2)) == (1, 2)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-3, 1, 1)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        output_size(*sizes)
    with pytest.raises(ValueError, match="at least 1"):
        same_padding(*sizes)


@pytest.mark.parametrize(
    ("padding", "error", "message"),
    [
        ("same", ValueError, '"SAME", "VALID" or a number of pixels; got \'same\''),
        ("2", ValueError, "a number of pixels; got '2'"),
        (-1, ValueError, "padding must be at least 0; got -1"),
        (0.5, TypeError, "padding must be a whole number; got 0.5"),
        (None, TypeError, "padding must be a whole number; got None"),
    ],
)
def test_padding_of_another_kind_is_refused(
    padding: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        output_size(28, 5, 1, padding)


def test_a_fraction_of_a_pixel_is_refused() -> None:
    with pytest.raises(TypeError, match=r"size must be a whole number; got 28\.0"):
        output_size(28.0, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"filter_size must be a whole number; got 2\.5"):
        same_padding(28, 2.5)  # type: ignore[arg-type]


def test_a_filter_that_does_not_fit_is_told_apart() -> None:
    with pytest.raises(ValueError, match="5 pixels does not fit into 3 with 0 of padding"):
        output_size(3, 5, 1, "VALID")
    assert output_size(3, 5, 1, "SAME") == 3
