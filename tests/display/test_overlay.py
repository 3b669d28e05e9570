"""Notes over the picture of a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastfer.display.overlay import draw_note


@pytest.mark.parametrize("corner", ["top left", "top right", "bottom"])
def test_notes_are_in_their_corner(corner: Any) -> None:
    picture = np.full((300, 400, 3), 200, np.uint8)
    place = draw_note(picture, ["25 fps  faces: 1", "ms: total 4.0"], corner)
    changed = (picture != 200).any(axis=2)
    assert changed[place.y : place.y + place.h, place.x : place.x + place.w].all()
    assert changed.sum() == place.w * place.h
    expected = {
        "top left": (0, 0),
        "top right": (400 - place.w, 0),
        "bottom": ((400 - place.w) // 2, 300 - place.h),
    }
    assert (place.x, place.y) == expected[corner]


def test_long_notes_are_clipped() -> None:
    picture = np.zeros((30, 40, 3), np.uint8)
    assert draw_note(picture, ["much longer than the picture"] * 9) == (0, 0, 40, 30)
