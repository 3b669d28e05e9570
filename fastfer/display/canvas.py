"""Drawing primitives on BGR pictures: filled rectangles and text."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import cv2
import numpy as np

from fastfer.display import text

Color = tuple[int, int, int]
"""Blue, green, red."""

COLORS: Final[dict[str, Color]] = {
    "angry": (21, 32, 206),
    "disgust": (96, 171, 82),
    "fear": (188, 58, 195),
    "happy": (68, 198, 243),
    "sad": (255, 83, 34),
    "surprise": (242, 237, 98),
    "neutral": (135, 130, 130),
    "contempt": (195, 255, 225),
}
"""One colour per emotion.

All pairs stay apart (30 units of CIE L*a*b* or more) in normal vision and with protanopia,
deuteranopia and tritanopia, and each has a contrast of 3:1 or more on :data:`DARK`.
"""
DARK: Final[Color] = (28, 24, 22)
"""Background of panels and outline of boxes."""
LIGHT: Final[Color] = (250, 250, 250)
"""Text on :data:`DARK`."""
INK: Final[Color] = (0, 0, 0)
"""Text on light colours."""


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


def luminance(color: Color) -> float:
    """Relative luminance of an sRGB colour, 0 to 1, as WCAG 2 defines it."""
    blue, green, red = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (v / 255 for v in color)
    )
    return 0.0722 * blue + 0.7152 * green + 0.2126 * red


def contrast(color: Color, other: Color) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2 defines it."""
    dark, light = sorted((luminance(color), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@cache
def ink_on(color: Color) -> Color:
    """The text colour with the higher contrast on the background ``color``."""
    return max(INK, LIGHT, key=lambda ink: contrast(ink, color))


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


@lru_cache(maxsize=512)
def tile(words: str, w: int, h: int, pad: int, font: float, ink: Color, ground: Color) -> Any:
    """Text on a solid background: uint8 (h, w, 3), read-only and cached.

    Text that is wider than ``w`` without ``pad`` on both sides is drawn smaller.
    """
    picture = np.full((h, w, 3), ground, np.uint8)
    room, wide = w - 2 * pad, text.width(words, font)
    size = font * max(room, 1) / wide if wide > room else font
    write(picture, words, pad, Rect(0, 0, w, h), size, ink)
    picture.flags.writeable = False
    return picture


def paste(picture: Any, part: Any, x: int, y: int) -> None:
    """Copy ``part`` into ``picture`` at ``x``, ``y``, clipped at its edges."""
    height, width = picture.shape[:2]
    top, left = max(0, -y), max(0, -x)
    part = part[top : max(top, height - y), left : max(left, width - x)]
    y, x = y + top, x + left
    picture[y : y + part.shape[0], x : x + part.shape[1]] = part
