"""Rectangles and drawing primitives."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.display.canvas import (
    COLORS,
    DARK,
    LIGHT,
    Rect,
    contrast,
    fill,
    ink_on,
    paste,
    tile,
    write,
)
from fastfer.labels import EMOTIONS


def test_rectangles() -> None:
    assert Rect(0, 0, 10, 10).overlap(Rect(5, 5, 10, 10)) == 25
    assert Rect(0, 0, 10, 10).overlap(Rect(10, 0, 10, 10)) == 0
    assert Rect(-5, 95, 20, 20).inside(100, 100) == (0, 80, 20, 20)
    assert Rect(5, 5, 200, 20).inside(100, 100) == (0, 5, 100, 20)
    assert Rect(5, 5, 10, 20).grown(2) == (3, 3, 14, 24)


def test_fill_is_clipped_to_the_picture() -> None:
    picture = np.zeros((10, 10, 3), np.uint8)
    fill(picture, Rect(-5, -5, 8, 7), (1, 2, 3))
    assert (picture[:2, :3] == (1, 2, 3)).all()
    assert picture.sum() == 2 * 3 * 6
    fill(picture, Rect(-20, -20, 5, 5), (9, 9, 9))
    fill(picture, Rect(20, 20, 5, 5), (9, 9, 9))
    assert picture.sum() == 2 * 3 * 6


def test_fill_with_opacity() -> None:
    picture = np.full((4, 4, 3), 100, np.uint8)
    fill(picture, Rect(0, 0, 2, 4), (200, 200, 200), 0.5)
    assert (picture[:, :2] == 150).all()
    assert (picture[:, 2:] == 100).all()


def test_text_is_clipped_to_the_picture() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    write(picture, "clipped on every side", -8, Rect(0, -4, 30, 20), 24, LIGHT)
    assert picture.any()
    write(picture, "outside", 100, Rect(0, 100, 30, 20), 24, LIGHT)


def test_tiles_are_cached_and_fit() -> None:
    first = tile("happy 100%", 60, 18, 4, 12, LIGHT, DARK)
    assert first.shape == (18, 60, 3)
    assert tile("happy 100%", 60, 18, 4, 12, LIGHT, DARK) is first
    narrow = tile("happy 100%", 30, 18, 4, 12, LIGHT, DARK)
    assert (narrow[:, -3:] == DARK).all(), "text is reduced to the width"


def test_paste_is_clipped() -> None:
    picture = np.zeros((10, 10, 3), np.uint8)
    part = np.ones((4, 4, 3), np.uint8)
    for x, y in ((-2, -2), (8, 8), (20, 0), (0, -9), (3, 3)):
        paste(picture, part, x, y)
    assert picture[..., 0].sum() == 4 + 4 + 16


# --- Colours -------------------------------------------------------------------------------------

# Vision without one kind of cone, on linear RGB: Machado, Oliveira and Fernandes, A physiologically
# based model for simulation of color vision deficiency (2009), severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("vision", VISION)
def test_colors_are_told_apart(vision: str) -> None:
    """Distances in CIE L*a*b*; about 2 is just visible."""
    srgb = np.array(list(COLORS.values()), np.float64)[:, ::-1] / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    encoded = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab: Any = cv2.cvtColor(encoded[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0]
    distances = [np.linalg.norm(a - b) for a, b in combinations(lab, 2)]
    assert min(distances) >= 28


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_contrast(emotion: str) -> None:
    color = COLORS[emotion]
    assert contrast(color, DARK) >= 3, "on panels and strips"
    assert contrast(ink_on(color), color) >= 4.5, "text on the colour"


def test_neutral_differs_from_empty_backgrounds() -> None:
    for empty in (DARK, (255, 255, 255)):
        assert contrast(COLORS["neutral"], empty) >= 3
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
