"""Text over the picture of a live window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fastfer.display import text
from fastfer.display.canvas import DARK, LIGHT, Rect, fill, write
from fastfer.display.style import Style

Corner = Literal["top left", "top right", "bottom"]


def note_style(picture: Any) -> Style:
    """Sizes of notes in ``picture``."""
    return Style.of(max(11.0, max(picture.shape[:2]) / 60))


def draw_note(picture: Any, lines: Sequence[str], corner: Corner = "top left") -> Rect:
    """Write ``lines`` on a dark background into ``picture`` (H, W, 3) and return its place."""
    height, width = picture.shape[:2]
    style = note_style(picture)
    wide = max((text.width(line, style.font) for line in lines), default=0) + 2 * style.pad
    tall = style.row * len(lines) + 2 * style.pad
    x, y = {
        "top left": (0, 0),
        "top right": (width - wide, 0),
        "bottom": ((width - wide) // 2, height - tall),
    }[corner]
    ground = Rect(x, y, wide, tall).inside(width, height)
    fill(picture, ground, DARK, 0.78)
    for i, line in enumerate(lines):
        row = Rect(0, ground.y + style.pad + i * style.row, wide, style.row)
        write(picture, line, ground.x + style.pad, row, style.font, LIGHT)
    return ground
