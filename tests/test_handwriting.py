"""Photographs of digits, drawn here, and what the network reads in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from site_pages import ROOT

from mnist_helpers import load_checkpoint, prepare_digit

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
    import io

    scene = np.asarray(light) * (np.asarray(paper) * (1 - ink) + np.asarray(dark) * ink)
    scene = scene + np.random.default_rng(1).normal(0, noise, scene.shape)
    image = Image.fromarray((np.clip(scene, 0, 1) * 255).round().astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(blur))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)
