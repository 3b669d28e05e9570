"""Drawing primitives on BGR pictures: filled rectangles and text."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import cv2
import numpy as np

from fastfer.display import text

Color = tuple[int, int, int]
"""Blue, green, red."""

COLORS: Final[dict[str, Color]] = {
    "angry": (77, 72, 229),
    "disgust": (88, 167, 70),
    "fear": (210, 110, 170),
    "happy": (61, 197, 255),
    "sad": (245, 140, 62),
    "surprise": (190, 215, 60),
    "neutral": (190, 182, 176),
}
"""One colour per emotion; they differ in lightness too."""
DARK: Final[Color] = (28, 24, 22)
"""Background of panels and outline of boxes."""
LIGHT: Final[Color] = (250, 250, 250)
"""Text on :data:`DARK`."""


class Rect(NamedTuple):
    """A rectangle in a picture, in whole pixels."""

    x: int
    y: int
    w: int
    h: int

    def overlap(self, other: Rect) -> int:
        """Area of the intersection in square pixels."""
        w = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        h = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        return max(0, w) * max(0, h)

    def grown(self, margin: int) -> Rect:
        """The rectangle with ``margin`` more pixels on each side."""
        return Rect(self.x - margin, self.y - margin, self.w + 2 * margin, self.h + 2 * margin)

    def inside(self, width: int, height: int) -> Rect:
        """The rectangle moved into the picture, and cut to its size if it is larger."""
        w, h = min(self.w, width), min(self.h, height)
        return Rect(min(max(0, self.x), width - w), min(max(0, self.y), height - h), w, h)


def ink_on(color: Color) -> Color:
    """Dark or light text colour, by the luma of the background ``color``."""
    blue, green, red = color
    return (20, 20, 20) if 0.114 * blue + 0.587 * green + 0.299 * red > 120 else LIGHT


def fill(picture: Any, rect: Rect, color: Color, opacity: float = 1.0) -> None:
    """Fill the part of ``rect`` that lies in ``picture`` (H, W, 3); ``opacity`` is 0 to 1."""
    left, top = max(0, rect.x), max(0, rect.y)
    part = picture[top : max(0, rect.y + rect.h), left : max(0, rect.x + rect.w)]
    if part.size == 0:
        return
    if opacity >= 1:
        part[:] = color
    else:
        flat = np.full_like(part, color)
        cv2.addWeighted(flat, opacity, part, 1 - opacity, 0, dst=part)


def write(picture: Any, words: str, x: int, line: Rect, font: float, color: Color) -> None:
    """Write ``words`` from ``x`` on, with capitals vertically centred in ``line``.

    ``font`` is in pixels per em. Text is clipped at the edges of ``picture``.
    """
    mask = text.render(words, font)
    middle = (text.ASCENT - text.CAP_HEIGHT / 2) * font
    y = round(line.y + line.h / 2 - middle)
    height, width = picture.shape[:2]
    # Clip to the picture.
    top, left = max(0, -y), max(0, -x)
    mask = mask[top : max(top, height - y), left : max(left, width - x)]
    y, x = y + top, x + left
    part = picture[y : y + mask.shape[0], x : x + mask.shape[1]]
    if part.size == 0:
        return
    cover = mask[:, :, None].astype(np.uint16)
    part[:] = (part * (255 - cover) + np.array(color, np.uint16) * cover + 127) // 255
