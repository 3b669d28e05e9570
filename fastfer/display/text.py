"""Text rendering at any size: Latin letters with all Vietnamese diacritics.

OpenCV 4's ``putText`` supports ASCII only. The outlines come from DejaVu Sans, see
``font/make_font.py``.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

ASCENT: Final = 1.08
"""From the baseline to the top of the tallest letter, in em."""
DESCENT: Final = 0.25
"""From the baseline to the lowest point, in em."""
CAP_HEIGHT: Final = 0.73
"""From the baseline to the top of a capital, in em."""

_EM: Final = 1000
_OVER: Final = 4
"""Supersampling factor for antialiasing."""
_SHIFT: Final = 4
"""Fractional bits of OpenCV coordinates."""


class _Glyph(NamedTuple):
    advance: int
    contours: list[tuple[bool, NDArray[np.int16]]]
    """Polygons in painting order, each with whether it is ink or a hole."""


def width(text: str, size: float) -> int:
    """Width in pixels of ``text`` at ``size`` pixels per em."""
    return round(sum(glyph.advance for glyph in _glyphs(text)) * size / _EM)


@lru_cache(maxsize=1024)
def render(text: str, size: float) -> NDArray[np.uint8]:
    """Coverage of ``text``, 0 to 255.

    Returns:
        uint8 (round((ASCENT + DESCENT) * size), width(text, size)), read-only and cached.
    """
    height = max(1, round((ASCENT + DESCENT) * size))
    large = np.zeros((height * _OVER, max(1, width(text, size)) * _OVER), np.uint8)
    scale = size / _EM * _OVER * (1 << _SHIFT)
    origin = np.array([0.0, ASCENT * _EM])
    for glyph in _glyphs(text):
        for ink, contour in glyph.contours:
            points: Any = np.round((contour + origin) * scale).astype(np.int32)
            cv2.fillPoly(large, [points], (255 * ink,), lineType=cv2.LINE_8, shift=_SHIFT)
        origin[0] += glyph.advance
    mask = cv2.resize(large, None, fx=1 / _OVER, fy=1 / _OVER, interpolation=cv2.INTER_AREA)
    mask.flags.writeable = False
    return mask  # type: ignore[return-value]


def _glyphs(text: str) -> list[_Glyph]:
    font = _font()
    return [font.get(c) or font["\ufffd"] for c in unicodedata.normalize("NFC", text)]


@cache
def _font() -> dict[str, _Glyph]:
    with np.load(Path(__file__).parent / "font" / "font.npz") as data:
        contours = np.split(data["points"], np.cumsum(data["lengths"])[:-1])
        glyphs = {
            chr(code): _Glyph(advance, [])
            for code, advance in zip(data["codes"].tolist(), data["advances"].tolist(), strict=True)
        }
        letters = list(glyphs.values())
        for owner, ink, contour in zip(
            data["owners"].tolist(), data["ink"].tolist(), contours, strict=True
        ):
            letters[owner].contours.append((ink, contour))
    return glyphs
