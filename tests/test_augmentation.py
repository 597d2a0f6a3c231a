"""Distorted images: the map is the one that is described, and chance decides how much of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mnist_helpers import quiet
from mnist_helpers.augmentation import Distortion, distort_images

with quiet():
    import tensorflow as tf

NONE = Distortion(move=0, turn=0, stretch=0, slant=0)
IMAGES = np.random.default_rng(0).integers(0, 256, [20, 784], np.uint8)
SEED = [5, 1]


def distort(distortion: Distortion, images: npt.NDArray[np.uint8] = IMAGES) -> np.ndarray:
    """The distorted images, ``[n, 28, 28]``."""
    return distort_images(images, distortion, SEED).numpy().reshape(-1, 28, 28)  # type: ignore[no-any-return]


amounts = st.builds(
    Distortion, st.floats(0, 5), st.floats(0, 180), st.floats(0, 0.5), st.floats(0, 1)
)


@given(amounts)
@settings(max_examples=30, derandomize=True)
def test_images_are_moved_turned_stretched_and_slanted(distortion: Distortion) -> None:
    """As SciPy does it, with one matrix for each of the steps."""
    chance = tf.random.stateless_uniform([len(IMAGES), 6], SEED, -1.0, 1.0).numpy()
    found = distort(distortion)
    for image, result, amount in zip(IMAGES, found, chance.astype(np.float64), strict=True):
        down, right = amount[:2] * distortion.move
        angle = np.radians(amount[2] * distortion.turn)
        wide, high = np.exp(amount[3:5] * distortion.stretch)
        # For places as SciPy writes them, row first.
        slanted = np.array([[1, 0], [amount[5] * distortion.slant, 1]])
        turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = np.diag([high, wide]) @ turned @ slanted
        start = 13.5 - matrix @ [13.5, 13.5] - [down, right]
        expected = ndimage.affine_transform(
            image.reshape(28, 28).astype(np.float64), matrix, start, order=1, mode="grid-constant"
        )
        np.testing.assert_allclose(result, expected, atol=0.05)


def test_no_distortion_changes_nothing() -> None:
    np.testing.assert_array_equal(distort(NONE), IMAGES.reshape(-1, 28, 28))


def test_a_moved_image_lies_where_it_was_moved_to() -> None:
    square = np.zeros([200, 28, 28], np.uint8)
    square[:, 12:16, 12:16] = 255
    moved = distort(Distortion(move=3, turn=0, stretch=0, slant=0), square.reshape(-1, 784))
    np.testing.assert_allclose(moved.sum((1, 2)), 16 * 255, rtol=1e-4)
    places = np.array([ndimage.center_of_mass(image) for image in moved]) - 13.5
    assert np.abs(places).max() <= 3
    assert (np.abs(places).max(axis=0) > 2.8).all(), "200 images are enough to come near both ends"
    assert np.abs(places.mean(axis=0)).max() < 0.4, "no side is preferred"


def test_chance_follows_the_seed_and_differs_from_image_to_image() -> None:
    same = np.repeat(IMAGES[:1], 5, axis=0)
    first = distort_images(same, Distortion(), SEED).numpy()
    np.testing.assert_array_equal(distort_images(same, Distortion(), SEED), first)
    assert not np.array_equal(distort_images(same, Distortion(), [5, 2]), first)
    assert len(np.unique(first, axis=0)) == 5


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_scale_stays(dtype: type) -> None:
    images = IMAGES if dtype == np.uint8 else (IMAGES / 255).astype(dtype)
    result = distort_images(images, Distortion(), SEED)
    assert result.dtype == tf.float32 and result.shape == (20, 784)
    assert 0 <= result.numpy().min() and result.numpy().max() <= images.max()


@pytest.mark.parametrize("name", ["move", "turn", "stretch", "slant"])
@pytest.mark.parametrize("amount", [-0.1, float("nan"), float("inf")])
def test_an_amount_that_is_none_is_refused(name: str, amount: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be finite and at least 0; got {amount}"):
        Distortion(**{name: amount})
