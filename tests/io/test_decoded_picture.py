"""Luma, colours and geometry of decoded pictures."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from fastfer.io.decoded_picture import DecodedPicture, Geometry, Orientation


def decoded(image: np.ndarray, kind: str, full: bool = False, **geometry: Any) -> DecodedPicture:
    frame = av.VideoFrame.from_ndarray(image, "bgr24")
    frame = frame.reformat(format=kind, dst_color_range=2 if full else 1)
    return DecodedPicture(frame, Geometry(**geometry))


RAMP = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 16, 0).repeat(3, 2)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "kind", ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "p010le", "gray", "bgr24"]
)
def test_gray_levels(kind: str, full: bool) -> None:
    picture = decoded(RAMP, kind, full)
    assert np.abs(picture.gray[8].astype(int) - np.arange(256)).max() <= 2
    pixels, scale, bias = picture.plane
    scaled = np.clip(pixels[8] * scale + bias, 0, 255)
    assert np.abs(scaled - np.arange(256)).max() <= 2


def test_luma_is_a_view_of_the_decoder() -> None:
    picture = decoded(RAMP, "yuv420p")
    assert picture.plane.pixels.base is not None
    assert picture.plane.scale == pytest.approx(255 / 219)


def test_below_black_and_above_white_are_clipped() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    for plane, value in zip(frame.planes, (0, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    assert int(DecodedPicture(frame, Geometry()).gray.max()) == 0


def test_orientation_from_a_matrix() -> None:
    matrix = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], "<i4").tobytes()
    assert Orientation.from_matrix(matrix) == Orientation(True, True, False)
    slanted = np.array([60000, 20000, 0, -20000, 60000, 0, 0, 0, 1 << 30], "<i4").tobytes()
    assert Orientation.from_matrix(slanted) == Orientation()


def test_extreme_aspects_are_not_believed() -> None:
    assert Geometry.of(Orientation(), Fraction(1000)).pixel_aspect == 1
    assert Geometry.of(Orientation(), None).pixel_aspect == 1
    assert Geometry.of(Orientation(True), Fraction(2)).shown_aspect == Fraction(1, 2)


def test_bt709_luma_differs_from_bt601_as_documented() -> None:
    """docs/explanation/video.md states the difference of saturated colours."""
    for color, least, most in (((0, 0, 255), 20, 24), ((255, 0, 0), 9, 13), ((0, 255, 0), 31, 35)):
        image = np.full((16, 16, 3), color, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        levels = [
            int(DecodedPicture(
                frame.reformat(format="yuv444p", dst_colorspace=space, dst_color_range=1),
                Geometry(),
            ).gray[8, 8])
            for space in (5, 1)
        ]  # fmt: skip
        assert least <= abs(levels[0] - levels[1]) <= most, (color, levels)
