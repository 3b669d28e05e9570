"""The names of the colours, in a band below a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastfer.display import text
from fastfer.display.canvas import COLORS, DARK, LIGHT, Rect, fill, write
from fastfer.display.style import Style, font_limits
from fastfer.labels import ALL_EMOTIONS, EMOTIONS, NAMES, Language


class Entry(NamedTuple):
    """One colour and its name."""

    emotion: str
    swatch: Rect
    x: int
    """Left edge of the name."""
    row: Rect


def legend_entries(width: int, style: Style, lang: Language, contempt: bool = False) -> list[Entry]:
    """The places of the entries in a band of ``width`` pixels, in as many rows as needed."""
    swatch = round(style.font * 0.75)
    entries: list[Entry] = []
    x, y = style.pad, style.pad // 2
    for emotion in ALL_EMOTIONS if contempt else EMOTIONS:
        wide = swatch + style.pad + text.width(NAMES[lang][emotion], style.font)
        if x > style.pad and x + wide + style.pad > width:
            x, y = style.pad, y + style.row
        square = Rect(x, y + (style.row - swatch) // 2, swatch, swatch)
        entries.append(Entry(emotion, square, x + swatch + style.pad, Rect(0, y, width, style.row)))
        x += wide + 2 * style.pad
    return entries


@lru_cache(maxsize=8)
def legend_band(width: int, style: Style, lang: Language, contempt: bool = False) -> Any:
    """A band of ``width`` pixels: uint8 (H, width, 3), H even, read-only and cached."""
    entries = legend_entries(width, style, lang, contempt)
    tall = entries[-1].row.y + style.row + style.pad // 2
    band = np.full((tall + tall % 2, width, 3), DARK, np.uint8)
    for entry in entries:
        fill(band, entry.swatch, COLORS[entry.emotion])
        write(band, NAMES[lang][entry.emotion], entry.x, entry.row, style.font, LIGHT)
    band.flags.writeable = False
    return band


def with_legend(picture: Any, lang: Language, contempt: bool = False) -> Any:
    """``picture`` with a band below it: a new array, higher and of the same width."""
    height, width = picture.shape[:2]
    style = Style.of(1.3 * font_limits(width, height)[0])
    return np.concatenate((picture, legend_band(width, style, lang, contempt)))
