"""Photographs of digits, drawn here, and what the network reads in them."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page
from site_pages import ROOT

from mnist_helpers import load_checkpoint, load_mnist, prepare_digit
from mnist_helpers.handwriting import centre

pytest_plugins = ["browser"]

Points = list[list[tuple[float, float]]]
Numbers = NDArray[np.float32]

HEIGHT, WIDTH = 1600, 1200


@cache
def examples() -> list[Points]:
    """The lab's own ten digits, as lines through a few points of a paper of 256×256."""
    source = (ROOT / "lab" / "src" / "ui" / "examples.ts").read_text(encoding="utf-8")
    table = re.search(r"POINTS: .*? = (\[.*?\n\]);", source, re.DOTALL)
    assert table
    digits: list[Points] = json.loads(table[1].replace(",\n]", "\n]"))
    assert len(digits) == 10
    return digits


def smooth(points: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Many points on a smooth line through a few: a Catmull-Rom spline."""
    p = np.array([points[0], *points, points[-1]], float)
    t = np.linspace(0, 1, 16)[:, np.newaxis]
    pieces = [
        b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate(pieces)


def written(
    digit: int,
    *,
    size: float = 800,
    at: tuple[float, float] = (600, 800),
    pen: float = 50,
    hand: int = 0,
) -> Numbers:
    """A digit on a sheet ``[HEIGHT, WIDTH]``, 0 paper to 1 ink.

    Each ``hand`` but 0 slants, turns and stretches its digits in its own way.
    """
    chance = np.random.default_rng(hand)
    turn, slant, stretch = chance.uniform(-0.12, 0.12, 3) * (hand > 0)
    form = np.array([[1 + stretch, slant - turn], [turn, 1 - stretch]]) * size / 172
    sheet = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(sheet)
    for stroke in examples()[digit]:
        places = (smooth(stroke) - 128) @ form.T + at
        draw.line([tuple(place) for place in places], fill=255, width=round(pen), joint="curve")
        for x, y in places:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return np.asarray(sheet, np.float32) / 255


def photograph(
    ink: Numbers,
    *,
    paper: Any = 0.88,
    dark: Any = 0.15,
    light: Any = 1.0,
    noise: float = 0.015,
    blur: float = 1.5,
    quality: int = 85,
) -> Image.Image:
    """A sheet as a camera sees it: colours, light, blur, noise, and JPEG's own damage.

    ``paper``, ``dark`` and ``light`` are brightnesses from 0 to 1, or arrays of them.
    """
    scene = np.asarray(light) * (np.asarray(paper) * (1 - ink) + np.asarray(dark) * ink)
    scene = scene + np.random.default_rng(1).normal(0, noise, scene.shape)
    image = Image.fromarray((np.clip(scene, 0, 1) * 255).round().astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(blur))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


@cache
def clean(digit: int, pen: float = 50) -> Numbers:
    """The image of a digit that was drawn black on white, with nothing else in the picture."""
    return prepare_digit(1 - written(digit, pen=pen))


def read(images: list[Numbers]) -> list[int]:
    """What the trained network reads."""
    logits = np.asarray(load_checkpoint(10_000)(np.array(images)))
    return [int(digit) for digit in logits.argmax(axis=1)]


def distance(image: Numbers, other: Numbers) -> float:
    """How far two images differ on average, wherever rounding put the centre of mass."""
    square = image.reshape(28, 28)
    moved = [np.roll(square, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(float(np.abs(picture - other.reshape(28, 28)).mean()) for picture in moved)


# --- The same numbers as the lab -------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(
    chromium: Browser, serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page in which ``lab`` is the lab without its page."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "book" / "static" / "lab", folder, dirs_exist_ok=True)
    (folder / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><script type="module">'
        'window.lab = await import("./core.js");</script>',
        encoding="utf-8",
    )
    page = chromium.new_page()
    page.goto(f"{serve(folder)}/index.html")
    page.wait_for_function("window.lab")
    yield page
    page.close()


# The digits that the lab shows as examples, and four drawings of its own tests' kind.
LAB_DRAWINGS = """[
    ...lab.EXAMPLES,
    [[40, 20, 40, 240], [40, 240, 230, 240]],    // most of its mass in a corner
    [[10, 128, 250, 128]],                       // as wide as the paper
    [[70, 30, 128, 90, 200, 40], [128, 90, 120, 220]],
    [[200, 150, 212, 190, 230, 150]],            // small, and not in the middle
]"""


@pytest.fixture(scope="module")
def lab_drawings(lab: Page) -> list[tuple[Numbers, Numbers]]:
    """Scans ``[128, 128]`` of drawings, and what the lab makes of each, ``[784]``."""
    texts = lab.evaluate(
        f"""() => {{
          const text = (array) =>
            btoa(Array.from(new Uint8Array(array.buffer), (b) => String.fromCharCode(b)).join(""));
          return {LAB_DRAWINGS}.map((strokes) => {{
            const scan = lab.scanOf(strokes);
            return [text(scan), text(lab.centre(scan))];
          }});
        }}"""
    )
    assert len(texts) == 14
    drawings = [[np.frombuffer(base64.b64decode(t), np.float32) for t in pair] for pair in texts]
    return [(scan.reshape(128, 128), image) for scan, image in drawings]


def test_a_scan_is_centred_as_the_lab_does_to_the_last_bit(
    lab_drawings: list[tuple[Numbers, Numbers]],
) -> None:
    for scan, image in lab_drawings:
        np.testing.assert_array_equal(centre(scan).reshape(-1), image)


def test_a_clean_picture_of_the_labs_drawing_gives_the_labs_numbers(
    lab_drawings: list[tuple[Numbers, Numbers]],
) -> None:
    """The steps that mend photographs change nothing where there is nothing to mend."""
    for scan, image in lab_drawings:
        np.testing.assert_allclose(prepare_digit(1 - scan), image, atol=1e-6)
        # Half ink counts for the bounds, so it must not be rounded down.
        picture = (255 - np.floor(scan * 255 + 0.5)).astype(np.uint8)
        for source in (picture, Image.fromarray(picture), Image.fromarray(picture).convert("RGB")):
            np.testing.assert_allclose(prepare_digit(source), image, atol=1 / 255)


def test_nothing_but_paper_is_all_zero() -> None:
    assert not centre(np.zeros((40, 30), np.float32)).any()


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.integers(5, 60)] * 4), st.integers(0, 9))
def test_it_does_not_matter_where_on_the_paper_or_in_which_colours(
    margins: tuple[int, int, int, int], digit: int
) -> None:
    ink = written(digit)[::8, ::8]
    top, bottom, left, right = margins
    moved = np.pad(ink, ((top, bottom), (left, right)))
    np.testing.assert_allclose(prepare_digit(1 - moved), prepare_digit(1 - ink), atol=1e-6)
    np.testing.assert_allclose(prepare_digit(moved), prepare_digit(1 - ink), atol=1e-6)


@pytest.mark.needs_mnist
@pytest.mark.parametrize("enlarged", [1, 4])
def test_digits_of_mnist_itself_are_read_as_before(enlarged: int) -> None:
    test = load_mnist().test
    images = list(test.images[: 200 // enlarged])
    pictures = [
        Image.fromarray((255 - image.reshape(28, 28) * 255).astype(np.uint8)).resize(
            (28 * enlarged, 28 * enlarged), Image.Resampling.BICUBIC
        )
        for image in images
    ]
    same = np.array(read([prepare_digit(picture) for picture in pictures])) == read(images)
    assert same.mean() >= 0.97


# --- What people photograph ------------------------------------------------------------------

ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
# From the upper right to the lower left, half as bright, its rim as wide as a finger.
SHADOW = 1 - 0.5 / (1 + np.exp(-(700 + 0.2 * ROWS - COLUMNS) / 30))
VIGNETTE = 1 - 0.6 * ((COLUMNS - 600) ** 2 + (ROWS - 800) ** 2) / (600**2 + 800**2)


def rules(step: int, strength: float, slope: float, squared: bool = False) -> Numbers:
    """Ruled lines as ink, four pixels thick and not quite level."""
    lines = ((ROWS - slope * COLUMNS) % step < 4) | (
        squared & ((COLUMNS + slope * ROWS) % step < 4)
    )
    return (strength * lines).astype(np.float32)


def specks() -> Numbers:
    chance = np.random.default_rng(2)
    sheet = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(sheet)
    for x, y, radius in chance.uniform((0, 0, 1), (WIDTH, HEIGHT, 6), (60, 3)):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(sheet, np.float32) / 255


def on(lines: Numbers, digit: int, pen: float = 50, dark: float = 0.15) -> Image.Image:
    """A digit on a sheet that has other marks."""
    return photograph(np.maximum(written(digit, pen=pen), lines), dark=dark)


def sideways(digit: int) -> Image.Image:
    """As a phone stores an upright photograph: turned, and told so by EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    photograph(written(digit)).rotate(90, expand=True).save(file, "JPEG", exif=exif)
    return Image.open(file)


def blue_on_yellow(digit: int) -> Image.Image:
    ink = written(digit)[:, :, np.newaxis]
    colours = ink * (40, 60, 160) + (1 - ink) * (240, 225, 170)
    return Image.fromarray(colours.astype(np.uint8))


def on_a_table(digit: int) -> Image.Image:
    """The sheet's left edge is in the picture, with the dark table beside it."""
    sheet = 0.88 - 0.7 * (COLUMNS + 0.03 * ROWS < 120)
    return photograph(written(digit, size=600), paper=sheet)


# For each kind of photograph how it is made, and the pen that it is written with.
PHOTOGRAPHS: dict[str, tuple[Callable[[int], Image.Image], float]] = {
    "shadow": (lambda digit: photograph(written(digit), light=SHADOW), 50),
    "vignette": (lambda digit: photograph(written(digit), light=VIGNETTE), 50),
    "ruled": (lambda digit: on(rules(90, 0.35, 0.01), digit), 50),
    "heavy rules": (lambda digit: on(rules(90, 0.8, -0.03), digit), 50),
    "squared": (lambda digit: on(rules(60, 0.4, 0.02, squared=True), digit), 50),
    "specks": (lambda digit: on(specks(), digit), 50),
    "pencil": (lambda digit: photograph(written(digit, pen=14), dark=0.55), 14),
    "pencil in shadow": (
        lambda digit: photograph(written(digit, pen=16), dark=0.55, light=SHADOW),
        16,
    ),
    "pencil on squares": (
        lambda digit: on(rules(60, 0.6, 0.02, squared=True), digit, pen=20, dark=0.5),
        20,
    ),
    "thin pen": (lambda digit: photograph(written(digit, pen=10)), 10),
    "thick pen": (lambda digit: photograph(written(digit, pen=110)), 110),
    "blackboard": (lambda digit: photograph(written(digit), paper=0.15, dark=0.85), 50),
    "small in a corner": (
        lambda digit: photograph(written(digit, size=130, at=(1000, 1400), pen=8)),
        50,
    ),
    "poor JPEG": (lambda digit: photograph(written(digit), noise=0.04, quality=10), 50),
    "sideways": (sideways, 50),
    "blue on yellow": (blue_on_yellow, 50),
    "beside a table": (on_a_table, 66),
}


def in_lab(lab: Page, picture: Image.Image) -> Numbers | str:
    """What the lab makes of decoded pixels: 784 numbers, or why it refuses."""
    pixels = np.asarray(picture.convert("RGBA"))
    height, width, _ = pixels.shape
    found = lab.evaluate(
        """({ text, width, height }) => {
          const data = Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
          try {
            return Array.from(lab.prepare({ data, width, height }).image);
          } catch (error) {
            return error.message;
          }
        }""",
        {"text": base64.b64encode(pixels.tobytes()).decode(), "width": width, "height": height},
    )
    return found if isinstance(found, str) else np.array(found, np.float32)


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_the_lab_makes_the_same_numbers_of_the_same_pixels(lab: Page, kind: str) -> None:
    take, _ = PHOTOGRAPHS[kind]
    picture = take(4)
    expected = prepare_digit(np.asarray(picture.convert("RGBA")))
    np.testing.assert_allclose(in_lab(lab, picture), expected, rtol=0, atol=2e-6)


def test_the_lab_refuses_what_is_refused_here(lab: Page) -> None:
    blank = photograph(np.zeros((HEIGHT, WIDTH), np.float32))
    two = photograph(np.maximum(written(1, size=400, at=(300, 800)), written(7, size=400)))
    faint = photograph(written(1), dark=0.8, noise=0)
    for picture in (blank, two, faint):
        with pytest.raises(ValueError, match=".") as refused:
            prepare_digit(np.asarray(picture.convert("RGBA")))
        said = in_lab(lab, picture)
        assert isinstance(said, str)
        assert said.lower().replace("’", "'") == str(refused.value).lower()
    clear = Image.new("RGBA", (300, 300))
    clear.paste((0, 0, 0, 255), (120, 60, 150, 240))
    expected = prepare_digit(np.asarray(clear))
    np.testing.assert_allclose(in_lab(lab, clear), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_a_photograph_is_read_and_looks_like_the_clean_original(kind: str) -> None:
    """All but one of five digits, for a single one may be at the border of two classes."""
    take, pen = PHOTOGRAPHS[kind]
    digits = range(list(PHOTOGRAPHS).index(kind) % 2, 10, 2)
    images = [prepare_digit(take(digit)) for digit in digits]
    right = [digit == answer for digit, answer in zip(digits, read(images), strict=True)]
    assert sum(right) >= 4
    far = [distance(image, clean(digit, pen)) for digit, image in zip(digits, images, strict=True)]
    # Pixels differ by a hundredth on average; without the preparation, by a fifth and more.
    assert sorted(far)[3] < 0.03, far


def test_as_it_is_the_same_photograph_is_misread() -> None:
    """Else there would be nothing to prepare."""
    photographs = [photograph(written(digit), light=SHADOW) for digit in range(10)]
    shrunk = [np.asarray(p.resize((28, 28)), np.float32).reshape(784) / 255 for p in photographs]
    assert sum(np.array(read(shrunk)) == range(10)) <= 3


def test_twelve_megapixels_are_read() -> None:
    large = photograph(written(3)).resize((3000, 4000))
    assert distance(prepare_digit(large), clean(3)) < 0.03


# --- One digit or two ------------------------------------------------------------------------


def drawn(*strokes: list[tuple[float, float]]) -> Image.Image:
    """A photograph of strokes that are given in its own pixels."""
    sheet = Image.new("L", (WIDTH, HEIGHT))
    for stroke in strokes:
        places = [tuple(place) for place in smooth(stroke)]
        ImageDraw.Draw(sheet).line(places, fill=255, width=60, joint="curve")
    return photograph(np.asarray(sheet, np.float32) / 255)


def test_a_digit_in_two_pieces_is_one_digit() -> None:
    five = drawn(
        [(480, 480), (850, 470)],
        [(460, 580), (440, 800), (650, 780), (780, 950), (650, 1130), (420, 1080)],
    )
    four = drawn([(500, 400), (400, 850), (650, 850)], [(745, 420), (720, 1250)])
    seven = drawn([(420, 480), (760, 470)], [(800, 560), (700, 800), (580, 1200)])
    assert read([prepare_digit(picture) for picture in (five, four, seven)]) == [5, 4, 7]


@pytest.mark.parametrize(
    "places",
    [[(350, 800), (850, 800)], [(600, 400), (600, 1200)], [(250, 400), (600, 800), (950, 1200)]],
    ids=["side by side", "one above the other", "three"],
)
def test_several_digits_are_refused(places: list[tuple[float, float]]) -> None:
    sheet = np.maximum.reduce(
        [written(digit, size=420, at=at) for digit, at in zip((4, 1, 2), places, strict=False)]
    )
    said = rf"^found {len(places)} separate large marks .* crop the picture"
    with pytest.raises(ValueError, match=said):
        prepare_digit(photograph(sheet))


CHANCE = np.random.default_rng(0)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((400, 300), 255, np.uint8),
        np.zeros((400, 300, 3)),
        photograph(np.zeros((HEIGHT, WIDTH), np.float32)),
        photograph(np.zeros((HEIGHT, WIDTH), np.float32), light=SHADOW),
        photograph(rules(90, 0.5, 0.01)),
        photograph(specks() * 0),
        Image.new("RGBA", (200, 200)),
        np.linspace(0, 1, 300)[np.newaxis].repeat(200, axis=0),
        CHANCE.integers(0, 256, (300, 300), dtype=np.uint8),
        np.clip(CHANCE.normal(0.5, 0.2, (300, 300)), 0, 1),
    ],
    ids="white black sheet shadow ruled faint transparent gradient noise grain".split(),
)
def test_where_no_digit_stands_out_it_says_so(picture: Any) -> None:
    with pytest.raises(ValueError, match=r"^no digit found: .* Photograph one digit on plain"):
        prepare_digit(picture)


def test_too_little_ink_or_too_few_pixels_are_refused_with_what_was_found() -> None:
    with pytest.raises(ValueError, match=r"only 10% of the paper's light, .* darker pen"):
        prepare_digit(1 - 0.1 * written(3))
    with pytest.raises(ValueError, match=r"only \d pixels across, .* move closer"):
        prepare_digit(photograph(written(1, size=3, pen=9)))
    with pytest.raises(ValueError, match="only 5×5 pixels, .* use a larger one"):
        prepare_digit(np.zeros((5, 5)))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_black_and_white_noise_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="separate large marks|too ragged"):
        prepare_digit((CHANCE.random((300, 300)) < share).astype(np.uint8) * 255)


# --- Files, pictures and arrays --------------------------------------------------------------


def picture(digit: int = 3) -> Image.Image:
    return Image.fromarray(np.round(255 * (1 - written(digit)[::4, ::4])).astype(np.uint8))


def transparent(dark: bool) -> Image.Image:
    ink = Image.eval(picture(), lambda value: 255 - value)
    image = Image.new("RGBA", ink.size, (0, 0, 0) if dark else (255, 255, 255))
    image.putalpha(ink)
    return image


def palette(image: Image.Image) -> Image.Image:
    return image.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)


@pytest.mark.parametrize(
    "source",
    [
        picture().convert("RGB"),
        picture().convert("RGBA"),
        picture().convert("LA"),
        picture().convert("CMYK"),
        picture().convert("F").point(lambda value: value / 255),
        Image.fromarray(np.asarray(picture()).astype(np.uint16) * 257),
        Image.fromarray(np.asarray(picture()).astype(np.int32) * 257),
        palette(picture()),
        transparent(dark=True),
        transparent(dark=False),
        np.asarray(picture()),
        np.asarray(picture())[:, :, np.newaxis],
        np.asarray(picture().convert("RGB")),
        np.asarray(picture().convert("RGBA")) / 255,
        (np.asarray(picture()) / 255).astype(np.float16),
        np.asarray(picture()).astype(np.int64),
        (np.asarray(picture()) / 255).tolist(),
        255 - np.asarray(picture()),
    ],
    ids="RGB RGBA LA CMYK F I;16 I P black-ink white-ink L L1 rgb rgba half int list chalk".split(),
)
def test_every_kind_of_picture_gives_the_same_image(source: Any) -> None:
    image = prepare_digit(source)
    assert image.dtype == np.float32 and image.shape == (784,)
    assert 0 <= image.min() and image.max() <= 1
    np.testing.assert_allclose(image, prepare_digit(picture()), atol=0.02)


def test_black_and_white_alone_will_do() -> None:
    assert distance(prepare_digit(picture().convert("1")), clean(3)) < 0.03


def test_a_tensor_will_do_and_the_source_stays_as_it_was() -> None:
    tf = pytest.importorskip("tensorflow")
    array = np.asarray(picture()).copy()
    array.flags.writeable = False
    expected = prepare_digit(array)
    np.testing.assert_array_equal(prepare_digit(tf.constant(array)), expected)


def test_a_file_is_read_from_home_and_by_either_kind_of_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture().save(tmp_path / "my three.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for path in (tmp_path / "my three.png", str(tmp_path / "my three.png"), "~/my three.png"):
        np.testing.assert_array_equal(prepare_digit(path), prepare_digit(picture()))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"%PDF-1.7 ...", "is a PDF: save it as JPEG or PNG first"),
        ("a.heic", b"\0\0\0\x18ftypheic....", r"\(HEIC or AVIF\): save it as JPEG"),
        ("a.txt", b"seven", "is not a picture that Pillow can read: save it as"),
        ("a.jpg", b"", "is not a picture"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "is (damaged|not a picture)"),
    ],
)
def test_a_file_that_is_no_picture_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} .*{message}|{name} {message}"):
        prepare_digit(tmp_path / name)


def test_a_missing_file_a_folder_and_half_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file .*seven.jpg; the current folder is"):
        prepare_digit(tmp_path / "seven.jpg")
    with pytest.raises(ValueError, match="is a folder: call prepare_digit for each picture"):
        prepare_digit(tmp_path)
    picture().save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="half.jpg is damaged or cannot be read"):
        prepare_digit(tmp_path / "half.jpg")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((5, 28, 28, 1)), r"one picture has shape .*; got \[5, 28, 28, 1\]"),
        (np.zeros(784), r"one picture has shape .*; got \[784\]"),
        (np.zeros((30, 30, 2)), r"got \[30, 30, 2\]"),
        (np.zeros((0, 30)), "only 30×0 pixels"),
        (np.full((30, 30), 255.0), "got float64 from 255 to 255"),
        (np.full((30, 30), -1), "got int64 from -1 to -1"),
        (np.full((30, 30), np.nan), "got float64 from nan to nan"),
        (np.full((30, 30), "7"), "an array of numbers; got ndarray"),
        (b"\x89PNG", "an array of numbers; got bytes"),
        (None, "an array of numbers; got NoneType"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_with_what_it_is(source: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare_digit(source)


# --- The page that shows it for a folder -----------------------------------------------------


def test_the_code_for_a_folder_of_scans_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "book" / "how-to-run.md").read_text(encoding="utf-8")
    section = page.partition("## Your own digits")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    (tmp_path / "scans").mkdir()
    for digit in (7, 2):
        photograph(written(digit)).save(tmp_path / "scans" / f"{digit}.jpg")
    Image.new("L", (300, 400), "white").save(tmp_path / "scans" / "empty.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "how-to-run.md", "exec"), {})
    two, seven, empty = capsys.readouterr().out.splitlines()
    assert (two, seven) == ("2.jpg: 2", "7.jpg: 7")
    assert empty.startswith("empty.jpg: no digit found")
