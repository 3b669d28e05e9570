"""Sizes of text and lines, proportional to faces and pictures."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

MIN_STRIP_FACE: Final = 40
"""Pixels of a drawn face's width below which it has no strip of probabilities."""

_STEP: Final = 1.25
"""Ratio of neighbouring fonts: faces of about the same size have the same one."""
_WIDEST: Final = 2.5
"""Ratio of the sides up to which text grows with the long one: in a panorama, whose faces are as
small as it is low, it would cover them."""
_STEADY: Final = 1.3
"""A face keeps its font in the next frame while the preferred one is within this factor."""


class Style(NamedTuple):
    """Sizes in pixels; all of them are proportional to ``font``, the pixels per em."""

    font: int
    pad: int
    row: int
    """Height of a caption, and of a line of the legend."""
    dense: int
    """Height of a line of the panel."""
    strip: int
    """Height of a strip of probabilities."""

    @classmethod
    def of(cls, font: float) -> Style:
        """``font`` is rounded up: whole sizes are cached, and steady in videos."""
        size = math.ceil(font)
        pad = max(2, round(size * 0.35))
        return cls(size, pad, round(size * 1.45), round(size * 1.3), max(5, round(size * 0.45)))


def font_limits(width: int, height: int) -> tuple[float, float]:
    """The smallest and largest font that is legible in a picture of ``width`` x ``height``."""
    long = min(max(width, height), _WIDEST * min(width, height))
    return max(10.0, long / 110), max(13.0, long / 45)


def face_font(face_width: float, width: int, height: int, previous: int | None = None) -> int:
    """The font of a face's caption.

    Args:
        face_width: pixels of the box.
        width: of the picture.
        height: of the picture.
        previous: the font of the same face in the frame before, kept while it is close.
    """
    smallest, largest = font_limits(width, height)
    wanted = min(max(face_width * 0.14, smallest), largest)
    if previous is not None and 1 / _STEADY < wanted / previous < _STEADY:
        return previous
    steps = math.floor(math.log(wanted / smallest, _STEP) + 1e-9)
    return math.ceil(smallest * _STEP**steps)


def line_width(face_width: float) -> int:
    """Pixels of a box's line: one for a small face, two and more for larger ones."""
    return 1 if face_width < MIN_STRIP_FACE else min(max(2, round(face_width / 80)), 6)
