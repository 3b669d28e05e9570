"""Rectangles and drawing primitives."""

from __future__ import annotations

import numpy as np

from fastfer.display.canvas import COLORS, DARK, LIGHT, Rect, fill, ink_on, write
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


def test_text_contrasts_with_all_label_colors() -> None:
    for emotion in EMOTIONS:
        color = COLORS[emotion]
        assert abs(int(np.mean(color)) - int(np.mean(ink_on(color)))) > 70
    assert ink_on(DARK) == LIGHT
