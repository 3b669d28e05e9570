"""A decoded picture: its luma plane in gray levels at once, its colours only when they are needed.

The pipeline sees gray: of the formats that videos use, the first plane already is that, apart from
the range of its values and the orientation of the picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from av.video.frame import VideoFrame as AvFrame
from av.video.reformatter import VideoReformatter

from fastfer.forking import using_opencv
from fastfer.io.frame_source import Frame, Plane
from fastfer.io.stored_frame import StoredFrame

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

    def values(self) -> tuple[bool, bool, bool, int, int]:
        """Plain values for :meth:`from_values`."""
        turn, aspect = self.orientation, self.pixel_aspect
        return turn.transpose, turn.mirror, turn.flip, aspect.numerator, aspect.denominator

    @classmethod
    def from_values(cls, values: Sequence[Any]) -> Geometry:
        """What :meth:`values` describes.

        Raises:
            ValueError: nothing that it returns.
        """
        *turns, numerator, denominator = map(int, values)
        if len(turns) != 3 or denominator <= 0:
            raise ValueError(values)
        return cls.of(Orientation(*map(bool, turns)), Fraction(numerator, denominator))

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

    __slots__ = ("_frame", "_geometry", "_gray", "_image", "plane")

    plane: Plane
    """The luma as it was decoded, upright, in square pixels."""

    @using_opencv()
    def __init__(self, frame: AvFrame | StoredFrame, geometry: Geometry) -> None:
        """Take ``frame`` of the decoder, whose buffers are kept."""
        self._geometry = geometry
        self._frame = frame
        self._image: Frame | None = None
        self._gray: Frame | None = None
        luma = _luma(frame)
        if luma is None:
            self._image = geometry.apply(stored_bgr(frame))
            luma = Plane(np.asarray(cv2.cvtColor(self._image, cv2.COLOR_BGR2GRAY)))
        elif geometry != _UPRIGHT:
            luma = luma._replace(pixels=geometry.apply(luma.pixels))
        self.plane = luma

    @property
    def gray(self) -> Frame:
        """(H, W): the luma, scaled to 0 to 255 when it is first read."""
        if self._gray is None:
            pixels, scale, bias = self.plane
            if scale == 1:
                self._gray = pixels
            else:
                black: Any = -bias / scale
                levels: Any = cv2.subtract(pixels, black)
                self._gray = np.asarray(cv2.convertScaleAbs(levels, alpha=scale))
        return self._gray

    @property
    def image(self) -> Frame:
        """(H, W, 3) BGR, upright, in square pixels; converted when it is first read."""
        if self._image is None:
            self._image = self._geometry.apply(stored_bgr(self._frame))
        return self._image

    @property
    def nbytes(self) -> int:
        """Memory that it holds, with all that it may be converted to but colours."""
        return self.plane.pixels.nbytes * 5 // 2 + (
            0 if self._image is None else self._image.nbytes
        )


_UPRIGHT: Final = Geometry()


@cache
def luma_layout(name: str) -> tuple[int, bool, bool] | None:
    """Bits of the luma of a pixel format, whether they are the high ones of a word, and whether the
    format has full range; ``None`` if its first plane is not luma."""
    known = _LUMA.fullmatch(name)
    if known is None:
        return None
    bits = int(known["high"] or known["bits"] or 8)
    return bits, bool(known["high"]), bool(known["full"]) or name.startswith("gray")


def _luma(frame: AvFrame | StoredFrame) -> Plane | None:
    """The luma at the stored resolution in 8 bits; ``None`` if no plane holds it."""
    layout = luma_layout(frame.format.name)
    if layout is None:
        return None
    bits, high, full = layout
    plane: Any = frame.planes[0]
    stride, height, width = plane.line_size, frame.height, frame.width
    if stride <= 0:  # Stored bottom up.
        return None
    full = full or frame.color_range == _FULL_RANGE
    if bits == 8:
        pixels = np.frombuffer(plane, np.uint8).reshape(height, stride)[:, :width]
        return Plane(pixels) if full else Plane(pixels, *_LIMITED)
    words: Any = np.frombuffer(plane, "<u2").reshape(height, stride // 2)[:, :width]
    step = 256.0 if high else float(1 << (bits - 8))
    black, white = (0.0, 256.0 - 1 / step) if full else (16.0, 235.0)
    level: Any = black * step
    shifted: Any = cv2.subtract(words, level) if black else words
    gray: Any = cv2.convertScaleAbs(shifted, alpha=255.0 / (white - black) / step)
    return Plane(np.asarray(gray))


_LIMITED: Final = (255 / 219, -16 * 255 / 219)
"""Scale and bias of luma from 16, black, to 235, white."""


def stored_bgr(frame: AvFrame | StoredFrame) -> Frame:
    """(H, W, 3) BGR at the stored resolution."""
    if isinstance(frame, StoredFrame):
        frame = frame.restored()
    # One thread: more of them cost more than they save at usual sizes.
    converted = VideoReformatter().reformat(frame, format="bgr24", threads=1)
    return np.asarray(converted.to_ndarray(), np.uint8)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A decoded frame as it is stored, and how it is shown."""

    frame: AvFrame
    geometry: Geometry
    index: int
    pts: float
