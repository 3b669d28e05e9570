"""A decoded picture: its luma plane in gray levels at once, its colours only when they are needed.

The pipeline sees gray: of the formats that videos use, the first plane already is that, apart from
the range of its values and the orientation of the picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np
from av.video.frame import VideoFrame as AvFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
_LUMA: Final = re.compile(
    r"(?:yuv(?P<full>j?)a?4[0-4][0-4]p|nv(?:12|21|16|24|42|20)|gray|p[024](?P<high>1[026]))"
    r"(?P<bits>9|1[0246])?(?:le)?"
)
"""Names of the formats whose first plane is luma, in little-endian words if of more than 8 bits."""
_ASPECTS: Final = (Fraction(1, 8), Fraction(8))
"""Pixel aspects outside these are taken for damage."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture is turned to be upright: transposed first, then mirrored."""

    transpose: bool = False
    mirror: bool = False
    """Left to right."""
    flip: bool = False
    """Top to bottom."""

    @classmethod
    def from_matrix(cls, data: bytes) -> Orientation:
        """The nearest of the eight to a display matrix, nine 32-bit integers."""
        a, b, _, c, d = np.frombuffer(data[:20], "<i4").tolist()
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def apply(self, image: Frame) -> Frame:
        """``image`` upright."""
        result: Any = cv2.transpose(image) if self.transpose else image
        if self.mirror or self.flip:
            result = cv2.flip(result, -1 if self.mirror and self.flip else int(self.mirror))
        return np.asarray(result)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the pictures of a stream are shown."""

    orientation: Orientation = Orientation()
    pixel_aspect: Fraction = Fraction(1)
    """Width of a stored pixel relative to its height, before the picture is turned."""

    @classmethod
    def of(cls, orientation: Orientation, pixel_aspect: Fraction | None) -> Geometry:
        """Geometry with an aspect that is believed: square if it is unknown or extreme."""
        known = pixel_aspect is not None and _ASPECTS[0] <= pixel_aspect <= _ASPECTS[1]
        return cls(orientation, pixel_aspect if known and pixel_aspect else Fraction(1))

    def apply(self, image: Frame) -> Frame:
        """``image`` upright and in square pixels; no axis is reduced."""
        height, width = image.shape[:2]
        if self.pixel_aspect > 1:
            width = round(width * self.pixel_aspect)
        elif self.pixel_aspect < 1:
            height = round(height / self.pixel_aspect)
        if (height, width) != image.shape[:2]:
            image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
        return self.orientation.apply(image)

    @property
    def shown_aspect(self) -> Fraction:
        """Pixel aspect of the upright picture, at the stored resolution."""
        return 1 / self.pixel_aspect if self.orientation.transpose else self.pixel_aspect


class DecodedPicture:
    """One picture of a decoder."""

    __slots__ = ("_frame", "_geometry", "_image", "gray")

    gray: Frame
    """(H, W): the luma of 0 to 255, upright, in square pixels."""

    def __init__(self, frame: AvFrame, geometry: Geometry) -> None:
        """Take ``frame`` of the decoder, whose buffers are kept for :attr:`image`."""
        self._geometry = geometry
        self._frame = frame
        self._image: Frame | None = None
        luma = _luma(frame)
        if luma is None:
            self._image = geometry.apply(_bgr(frame))
            luma = np.asarray(cv2.cvtColor(self._image, cv2.COLOR_BGR2GRAY))
            self.gray = luma
        else:
            self.gray = geometry.apply(luma)

    @property
    def image(self) -> Frame:
        """(H, W, 3) BGR, upright, in square pixels; converted when it is first read."""
        if self._image is None:
            self._image = self._geometry.apply(_bgr(self._frame))
        return self._image

    @property
    def nbytes(self) -> int:
        """Memory that it holds, the decoder's buffers included."""
        return self.gray.nbytes * 5 // 2 + (0 if self._image is None else self._image.nbytes)


def _luma(frame: AvFrame) -> Frame | None:
    """Gray levels of 0 to 255 at the stored resolution; ``None`` if no plane holds them."""
    name = frame.format.name
    known = _LUMA.fullmatch(name)
    if known is None:
        return None
    plane = frame.planes[0]
    stride, height, width = plane.line_size, frame.height, frame.width
    bits = int(known["high"] or known["bits"] or 8)
    kind = np.uint8 if bits == 8 else np.dtype("<u2")
    if stride <= 0:  # Stored bottom up.
        return None
    buffer: Any = plane
    rows: Any = np.frombuffer(buffer, kind).reshape(height, -1)[:, :width]
    full = bool(known["full"]) or name.startswith("gray") or frame.color_range == _FULL_RANGE
    if full and bits == 8:
        return np.asarray(rows)
    step = float(1 << (bits - 8))
    if known["high"]:  # Stored in the high bits of a word.
        step = 256.0
    black, white = (0.0, 255.0 if bits == 8 else 256.0 - 1 / step) if full else (16.0, 235.0)
    level: Any = black * step
    shifted: Any = cv2.subtract(rows, level) if black else rows
    return np.asarray(cv2.convertScaleAbs(shifted, alpha=255.0 / (white - black) / step))


def _bgr(frame: AvFrame) -> Frame:
    """(H, W, 3) BGR at the stored resolution."""
    # One thread: more of them cost more than they save at usual sizes.
    converted = VideoReformatter().reformat(frame, format="bgr24", threads=1)
    return np.asarray(converted.to_ndarray(), np.uint8)
