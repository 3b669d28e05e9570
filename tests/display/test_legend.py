"""The names of the colours."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastfer.display import text
from fastfer.display.canvas import COLORS
from fastfer.display.legend import legend_band, legend_entries, with_legend
from fastfer.display.style import Style
from fastfer.labels import EMOTIONS, NAMES


@pytest.mark.parametrize("width", [220, 300, 480, 1280, 4000])
@pytest.mark.parametrize("lang", ["en", "vi"])
def test_entries_stay_apart_and_inside(width: int, lang: Any) -> None:
    style = Style.of(max(10.0, width / 85))
    entries = legend_entries(width, style, lang)
    assert [entry.emotion for entry in entries] == list(EMOTIONS)
    ends = [e.x + text.width(NAMES[lang][e.emotion], style.font) for e in entries]
    assert max(ends) <= width
    for end, (before, after) in zip(ends, pairwise(entries), strict=False):
        assert after.row.y >= before.row.y + style.row or after.swatch.x > end


def test_the_band_names_all_colours() -> None:
    band = legend_band(640, Style.of(13), "en", contempt=True)
    assert band.shape[1] == 640
    assert band.shape[0] % 2 == 0, "videos need even sides"
    for color in COLORS.values():
        assert (band == color).all(axis=2).any()


def test_the_picture_itself_is_not_covered() -> None:
    picture = np.full((200, 300, 3), 77, np.uint8)
    shown = with_legend(picture, "en")
    assert shown.shape[0] > 200
    assert (shown[:200] == 77).all()
