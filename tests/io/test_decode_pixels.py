"""From bytes to BGR pixels: missing ends, transparency, orientation."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from fastfer.io.decode_pixels import (
    decode_without_end,
    imdecode,
    is_whole,
    on_white,
    rotate_upright,
)
from tests.helpers.pictures import encode, portrait

JPEG = encode(portrait(), "JPEG")


def test_what_opencv_cannot_decode() -> None:
    assert imdecode(JPEG, cv2.IMREAD_COLOR).shape == (64, 96, 3)
    assert imdecode(b"no picture", cv2.IMREAD_COLOR) is None


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("filler", [b"", bytes(500), b"\xff" * 3])
def test_a_jpeg_that_lacks_its_end_marker_alone(options: dict[str, object], filler: bytes) -> None:
    data = encode(portrait(), "JPEG", **options)
    found = decode_without_end(data[:-2] + filler, cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(found, imdecode(data, cv2.IMREAD_COLOR))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("left", [0.5, 0.97])
def test_a_jpeg_that_lacks_pixels(options: dict[str, object], left: float) -> None:
    """The decoder would make them up."""
    data = encode(portrait(), "JPEG", **options)
    assert decode_without_end(data[: int(left * len(data))], cv2.IMREAD_COLOR) is None


def test_deflate_streams() -> None:
    data = bytes(range(256)) * 1000
    packed = zlib.compress(data)
    assert is_whole(memoryview(packed), len(data))
    assert is_whole(memoryview(packed + b"more"), len(data) - 5)
    assert is_whole(memoryview(packed[:-4]), len(data))  # Without its checksum.
    assert not is_whole(memoryview(packed), len(data) + 1)
    assert not is_whole(memoryview(packed[: len(packed) // 2]), len(data))
    assert not is_whole(memoryview(b"x" + packed), len(data))
    wrong = packed[:-4] + bytes(4)
    assert not is_whole(memoryview(wrong), len(data))


def test_a_bomb_is_not_unpacked_to_its_end() -> None:
    bomb = zlib.compress(bytes(64 << 20), 1)
    assert is_whole(memoryview(bomb[: len(bomb) // 2]), 100)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("premultiplied", [False, True])
def test_transparent_parts_are_white(dtype: type, premultiplied: bool) -> None:
    """In bands: the picture has more rows than one."""
    scale = 1 if dtype is np.uint8 else 257
    frame = np.full((3000, 400, 4), 100, dtype)
    frame[:, :, 3] = 255
    frame[1000:, :, 3] = 0
    if premultiplied:
        frame[1000:, :, :3] = 0
    found = on_white(frame * dtype(scale), premultiplied=premultiplied)
    assert found.dtype == np.uint8
    assert set(found[:1000].flat) == {100}
    assert set(found[1000:].flat) == {255}


def test_gray_and_colours_without_alpha() -> None:
    color = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert on_white(color, premultiplied=False) is color
    np.testing.assert_array_equal(
        on_white(color.astype(np.uint16) << 8, premultiplied=False), color
    )
    gray = color[:, :, 0].astype(np.uint16) << 8
    np.testing.assert_array_equal(
        on_white(gray, premultiplied=False), np.dstack([color[:, :, 0]] * 3)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_as_pillow_turns_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    photo = portrait((7, 5))
    photo.info["exif"] = exif.tobytes()
    expected = np.asarray(ImageOps.exif_transpose(photo))
    found = rotate_upright(np.array(portrait((7, 5))), orientation)
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous
