"""Your own handwriting as MNIST has it: from a photograph to 784 numbers.

MNIST's authors took NIST's black and white scans, scaled each digit, keeping its proportions,
until it just fitted a box of 20×20, and moved it in a field of 28×28 until its centre of mass
lay in the middle (Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten
digits"). A network that learned from such images reads others badly. :func:`prepare_digit`
gives it what it knows. Its last step, :func:`centre`, computes the same numbers as the lab's
(``lab/src/ui/centre.ts``); the steps before it leave a clean drawing as it is.

Taught in ``notebooks/errors.ipynb``.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from mnist_helpers._files import user_path
from mnist_helpers.data import IMAGE_SIZE

Numbers = NDArray[np.float32]
Mask = NDArray[np.bool_]

BOX_SIZE = 20
# Where the centre of mass ends up.
MIDDLE = 14

# A larger picture is reduced until its longer side has at most this many pixels.
WORKING_SIZE = 1024
MIN_DIGIT = 10  # pixels

# The least share of the paper's light that ink must take away. Pencil takes about a third.
MIN_CONTRAST = 0.15
# Strokes must be narrower than this share of the picture's shorter side.
WIDEST_STROKE = 0.25
# Shares of the digit's size: a smaller mark is a speck; a mark of at least half its size that
# lies farther away is a second digit. A wider gap is allowed up and down, for the bar of a 5.
SPECK = 0.08
RIVAL = 0.5
GAP_ACROSS = 0.15
GAP_DOWN = 0.3
# Only this many pieces of ink are looked at: those with the most ink.
MOST_MARKS = 100
# A mark that runs along the picture's edge for more than this share of its shorter side is not a
# digit.
EDGE = 0.4
# The strokes of an 8 are about 3.5 times as long as it is high.
LONGEST_STROKES = 12

# How steep a ruled line can be in the picture, and the share of the picture that it crosses.
SLOPES = np.linspace(-0.08, 0.08, 81)
RULE_LENGTH = 0.6

_RETAKE = "Photograph one digit on plain paper, in good light and close up."


def prepare_digit(source: str | os.PathLike[str] | Image.Image | ArrayLike) -> Numbers:
    """Turn a picture of one handwritten digit into an image like MNIST's.

    The picture is turned upright (by its EXIF data), made grey, evenly lit and, where the paper
    is brighter than the ink, inverted; specks and ruled lines are removed. The digit is scaled
    to fit 20×20 pixels and centred by its mass in 28×28, as MNIST's were. Strokes keep their
    width relative to the digit's size, except those of a thin pen: where they would be
    narrower than one of the 20 pixels, they are made that wide.

    Args:
        source: A file (``~`` is your home folder), a PIL image of any mode, or an array
            ``[height, width]`` or ``[height, width, channels]`` with 1 channel (grey), 3 (RGB)
            or 4 (RGBA): whole numbers from 0 to 255 or floats from 0 to 1. The paper around
            the digit must be in the picture.

    Returns:
        Float32 ``[784]``, 0 for paper to 1 for ink. The network takes ``image[np.newaxis]``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The source is not a picture, or not one in which a single digit stands out.
    """
    grey = _grey(_pixels(source))
    return centre(_only_digit(_contrast(grey))).reshape(-1)


# From a file or an array to grey pixels


def _pixels(source: str | os.PathLike[str] | Image.Image | ArrayLike) -> Numbers:
    """The picture as ``[height, width, channels]`` in 0..1, reduced to the working size."""
    if isinstance(source, str | os.PathLike):
        with _opened(user_path(source)) as image:
            return _image_pixels(image)
    if isinstance(source, Image.Image):
        return _image_pixels(source)
    return _array_pixels(source)


def _opened(path: Path) -> Image.Image:
    if path.is_dir():
        raise ValueError(f"{path} is a folder: call prepare_digit for each picture in it")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; the current folder is {Path.cwd()}")
    try:
        image = Image.open(path)
        image.load()
    except UnidentifiedImageError:
        with path.open("rb") as file:
            start = file.read(12)
        kind = "not a picture that Pillow can read"
        if start.startswith(b"%PDF"):
            kind = "a PDF"
        elif start[4:8] == b"ftyp":
            kind = "a picture in a phone's format (HEIC or AVIF)"
        raise ValueError(f"{path} is {kind}: save it as JPEG or PNG first") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{path} has too many pixels: make the picture smaller first") from None
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} is damaged or cannot be read: {error}") from error
    return image


def _image_pixels(image: Image.Image) -> Numbers:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        return _array_pixels(np.asarray(image).astype(np.float32) / 65535)
    if image.mode == "F":
        return _array_pixels(np.asarray(image))
    if image.mode in ("1", "L"):
        image = image.convert("L")
    else:
        clear = "A" in image.getbands() or "transparency" in image.info
        image = image.convert("RGBA" if clear else "RGB")
    # Pillow reduces it in half the time.
    factor = _factor(image.height, image.width)
    return _array_pixels(np.asarray(image.reduce(factor) if factor > 1 else image))


def _array_pixels(source: ArrayLike) -> Numbers:
    array = np.asarray(source)
    if array.dtype.kind not in "buif":
        raise ValueError(
            "prepare_digit takes a file name, a PIL image or an array of numbers; "
            f"got {type(source).__name__}"
        )
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ValueError(
            "one picture has shape [height, width], or [height, width, channels] with 1, 3 or 4; "
            f"got {list(np.shape(source))}"
        )
    if min(array.shape) == 0 or max(array.shape[:2]) < MIN_DIGIT:
        raise ValueError(
            f"the picture has only {array.shape[1]}×{array.shape[0]} pixels, too few to hold a "
            "digit: use a larger one"
        )
    low, high = float(array.min()), float(array.max())
    largest = 255 if array.dtype.kind in "ui" else 1
    if not (low >= 0 and high <= largest):
        raise ValueError(
            f"pixels must be whole numbers from 0 to 255 or floats from 0 to 1; got "
            f"{array.dtype} from {low:g} to {high:g}"
        )
    factor = _factor(*array.shape[:2])
    if factor > 1:
        height, width = (length // factor for length in array.shape[:2])
        tiles = array[: height * factor, : width * factor]
        tiles = tiles.reshape(height, factor, width, factor, -1)
        array = tiles.mean((1, 3), dtype=np.float32)
    return (array / largest).astype(np.float32)


def _factor(height: int, width: int) -> int:
    return math.ceil(max(height, width) / WORKING_SIZE)


def _grey(pixels: Numbers) -> Numbers:
    """Brightness ``[height, width]``; what is transparent becomes paper."""
    # As ITU-R BT.601 weights red, green and blue.
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3] @ weights
    if pixels.shape[2] < 4:
        return grey
    opaque = pixels[:, :, 3]
    seen = grey[opaque > 0.5]
    if len(seen) == 0:
        return np.ones_like(grey)
    # Where most is opaque, most of that is paper. Otherwise there is only ink.
    paper = np.median(seen) if len(seen) > grey.size / 2 else float(seen.mean() < 0.5)
    return (grey * opaque + paper * (1 - opaque)).astype(np.float32)


# From grey pixels to ink


def _contrast(grey: Numbers) -> Numbers:
    """How much light the ink takes from the paper: 0 where there is none.

    The paper's own light is what a morphological closing leaves: at each place the darkest
    square that covers it, a square being as bright as its brightest pixel. Strokes are
    narrower than the square and vanish; shadows are wider and stay.
    """
    side = min(grey.shape)
    around = ndimage.uniform_filter(grey.astype(np.float64), 2 * (side // 4) + 1, mode="nearest")
    # Ink is the smaller part and differs more from its surroundings.
    if float(((grey - around) ** 3).sum()) > 0:
        grey = 1 - grey
    half = max(2, round(side * WIDEST_STROKE / 2))
    padded = np.pad(grey, half, mode="edge")
    paper = ndimage.grey_closing(padded, (2 * half + 1, 2 * half + 1))
    paper = paper[half:-half, half:-half]
    light = np.maximum(paper, max(float(paper.max()) / 2, 1e-6))
    return np.asarray((paper - grey) / light, np.float32)


class _Mark(NamedTuple):
    """A connected piece of ink."""

    label: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> int:
        """Its longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    def gaps(self, other: _Mark) -> tuple[int, int]:
        """Rows and columns that lie between two marks, negative where they overlap."""
        return (
            max(self.top, other.top) - min(self.bottom, other.bottom),
            max(self.left, other.left) - min(self.right, other.right),
        )


def _only_digit(contrast: Numbers) -> Numbers:
    """The ink of the digit alone, 0 to 1, all else 0."""
    level, noise = _paper_level(contrast)
    mask = contrast > level + max(5 * noise, MIN_CONTRAST / 2)
    # In a coarse picture a rule cannot be told from a stroke.
    fine = max(mask.shape) >= 200
    rules = _rules_across(mask) | _rules_across(mask.T).T if fine else np.zeros_like(mask)
    labels, _ = ndimage.label(mask & ~rules, np.ones((3, 3)))
    marks = _marks(labels)
    if not marks:
        raise ValueError(f"no digit found: nothing stands out from the paper. {_RETAKE}")
    digit = _one_digit(marks)
    inked = np.isin(labels, [mark.label for mark in digit])
    full = float(np.quantile(contrast[inked], 0.9))
    size = max(
        max(mark.bottom for mark in digit) - min(mark.top for mark in digit),
        max(mark.right for mark in digit) - min(mark.left for mark in digit),
    )
    outline = sum(int(np.diff(inked, axis=axis).sum()) for axis in (0, 1))
    _refuse_unclear(full - level, size, outline)
    # The rims of the strokes are fainter than the threshold.
    reach = 2 * max(2, size // BOX_SIZE) + 1
    near = ndimage.maximum_filter(inked, reach) & ~rules & ~((labels > 0) & ~inked)
    least = level + 2 * noise
    ink = np.clip((contrast - least) / (full - least), 0, 1)
    # A stroke has two sides, so half the outline is as long as the strokes are.
    missing = max(0, round(size / BOX_SIZE - inked.sum() / (outline / 2)))
    # Strokes become wider by this many pixels; the picture grows to hold them.
    ink = np.pad(np.where(near, ink, 0).astype(np.float32), missing)
    return np.asarray(ndimage.maximum_filter(ink, missing + 1))


def _paper_level(contrast: Numbers) -> tuple[float, float]:
    """Mean and standard deviation of the paper's own contrast, 0 and 0 for a drawing.

    Estimated from the quarter of all pixels with the least contrast, which are surely paper: in a
    normal distribution the quantiles 0.05 and 0.25 lie 1.645 and 0.674 deviations below the mean.
    """
    low, quarter = np.quantile(contrast, [0.05, 0.25])
    noise = float(quarter - low) / (1.645 - 0.674)
    return float(quarter) + 0.674 * noise, noise


def _marks(labels: NDArray[np.int32]) -> list[_Mark]:
    """Connected pieces of ink, the one with the most ink first, without specks and edges."""
    areas = np.bincount(labels.ravel())[1:]
    places = ndimage.find_objects(labels)
    marks = []
    for index in np.argsort(-areas, kind="stable")[:MOST_MARKS]:
        rows, columns = places[index]
        marks.append(_Mark(int(index) + 1, rows.start, rows.stop, columns.start, columns.stop))
    # The table beside the paper, a scanner's black margin, the lines of a form's box.
    edge = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    most = EDGE * min(labels.shape)
    others = [mark for mark in marks if np.count_nonzero(edge == mark.label) <= most]
    if not others:
        margin = min(labels.shape) // 10
        inside = np.unique(labels[margin:-margin, margin:-margin])
        others = [mark for mark in marks if mark.label in inside]
    return [mark for mark in others if mark.size >= SPECK * others[0].size]


def _one_digit(marks: list[_Mark]) -> list[_Mark]:
    """The largest mark with the pieces that belong to it."""
    digit, rest = marks[:1], marks[1:]
    size = digit[0].size

    def belongs(mark: _Mark) -> bool:
        gaps = [mark.gaps(piece) for piece in digit]
        return any(down <= GAP_DOWN * size and across <= GAP_ACROSS * size for down, across in gaps)

    while near := [mark for mark in rest if belongs(mark)]:
        digit += near
        rest = [mark for mark in rest if mark not in near]
    rivals = sum(mark.size >= RIVAL * size for mark in rest)
    if rivals:
        raise ValueError(
            f"found {rivals + 1} separate large marks instead of one digit: crop the picture "
            "to one digit with paper all round it."
        )
    return digit


def _refuse_unclear(contrast: float, size: int, outline: int) -> None:
    """Refuse what is too faint, too small or too ragged to be a digit."""
    if contrast < MIN_CONTRAST:
        raise ValueError(
            f"no digit found: the darkest mark absorbs only {contrast:.0%} of the paper's light, "
            f"and at least {MIN_CONTRAST:.0%} is needed. Use a darker pen or more light."
        )
    if size < MIN_DIGIT:
        raise ValueError(
            f"the largest mark is only {size} pixels across, too small for a digit: crop the "
            "picture or move closer."
        )
    if outline / 2 > LONGEST_STROKES * size:
        raise ValueError(f"no digit found: the marks are too ragged to be strokes. {_RETAKE}")


# Ruled and squared paper


def _rules_across(mask: Mask) -> Mask:
    """Thin straight lines across most of the picture: at least two, because a 7 has one bar.

    Where a stroke crosses a rule, the ink is taller than the rule, so it stays.
    """
    height, width = mask.shape
    thickest = max(3, round(0.01 * max(mask.shape)))
    thick = ndimage.binary_opening(mask, np.ones((thickest + 1, 1)))
    thin = mask & ~thick
    narrow, covered = np.nonzero(thin), np.nonzero(thick)
    rules = np.zeros_like(mask)
    for slope in SLOPES:
        met = _met(narrow, slope, mask.shape)
        # A line leaves the picture, and is hidden where it meets thicker ink.
        rise = np.sort(slope * (np.arange(width) - width / 2)) + height
        lines = np.arange(3 * height)
        inside = np.searchsorted(rise, lines) - np.searchsorted(rise, lines - height)
        hidden = np.bincount(_met(covered, slope, mask.shape), minlength=3 * height)
        needed = RULE_LENGTH * np.maximum(inside - hidden, width / 4)
        on_line = (np.bincount(met, minlength=3 * height) >= needed)[met]
        rules[narrow[0][on_line], narrow[1][on_line]] = True
    starts = rules & ~np.roll(rules, 1, axis=0)
    if np.median(starts.sum(axis=0)) < 2:
        return np.zeros_like(mask)
    # The rims of the lines.
    return np.asarray(ndimage.binary_dilation(rules, np.ones((3, 1))) & thin) | rules


def _met(
    pixels: tuple[NDArray[np.int64], ...], slope: float, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Rows where lines of this slope through these pixels meet the middle column, plus height."""
    (rows, columns), (height, width) = pixels, shape
    return np.rint(rows - slope * (columns - width / 2)).astype(np.int64) + height


# From ink to MNIST's form


def centre(ink: Numbers) -> Numbers:
    """Fit ink into 20×20 and centre it in 28×28, exactly as the lab's page does.

    Each pixel of the box is the mean of the piece of the picture that it covers; the centre of
    mass is moved by whole pixels.

    Args:
        ink: ``[height, width]``, 0 for paper to 1 for ink. Pixels of at least 0.5 set the digit's
            bounds; without any, the result is all 0.
    """
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    rows, columns = (np.flatnonzero((ink >= 0.5).any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return image
    step = max(np.ptp(rows) + 1, np.ptp(columns) + 1) / BOX_SIZE
    lines = _means(ink.T.astype(np.float64), columns[0], columns[-1] + 1, step)
    box = _means(lines.T, rows[0], rows[-1] + 1, step)
    top, left = _place(box, 0), _place(box, 1)
    image[top : top + box.shape[0], left : left + box.shape[1]] = np.minimum(box, 1)
    return image


def _means(values: NDArray[np.float64], start: int, end: int, step: float) -> NDArray[np.float64]:
    """Means of the pieces of ``step`` rows from row ``start`` to ``end``: ``[pieces, columns]``.

    Row after row, as the lab adds them, so that even the last bit is the same.
    """
    pieces = np.arange(math.ceil((end - start) / step - 1e-9))
    begins, ends = start + pieces * step, np.minimum(start + (pieces + 1) * step, end)
    means = np.zeros((len(pieces), values.shape[1]))
    for row in range(start, end):
        covered = np.minimum(row + 1, ends) - np.maximum(row, begins)
        means += np.maximum(covered, 0)[:, np.newaxis] / step * values[row]
    return means


def _place(box: NDArray[np.float64], axis: int) -> int:
    """Where the box begins along an axis, so that its centre of mass is in the middle."""
    # cumsum adds one after the other, as the lab does.
    moment = np.cumsum(box * np.indices(box.shape)[axis])[-1]
    middle = math.floor(moment / np.cumsum(box)[-1] + 0.5)
    return int(min(max(MIDDLE - middle, 0), IMAGE_SIZE - box.shape[axis]))
