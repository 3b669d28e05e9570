"""WebP: one size, and one picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from fastfer.errors import InputError
from fastfer.io.image_headers import read_header
from fastfer.io.photos import read_image
from tests.helpers.errors import raises
from tests.helpers.picture_files import bitstream, canvas, webp_chunk, webp_file
from tests.helpers.pictures import encode, portrait


def test_webp_states_one_size() -> None:
    picture = bitstream(portrait())
    with raises(InputError, "damaged"):
        read_header(webp_file(canvas(16, 16), picture), "small canvas")
    with raises(InputError, "damaged"):
        read_header(webp_file(webp_chunk(b"JUNK", bytes(10)), picture), "order")
    # The simple format ends with its picture; the decoder never sees another canvas.
    tailed = webp_file(picture, canvas(9000, 9000), bitstream(portrait((200, 200))))
    assert read_header(tailed, "tail").decodable(tailed) == webp_file(picture)
    second = webp_file(canvas(96, 64), picture, bitstream(portrait((200, 200))))
    np.testing.assert_array_equal(read_image(second), read_image(webp_file(picture)))


def test_webp_of_a_huge_canvas() -> None:
    frame = bytes(6) + b"\x5f\0\0\x3f\0\0" + bytes(4) + bitstream(portrait())
    huge = webp_file(
        canvas(16_384, 16_384, 2), webp_chunk(b"ANIM", bytes(6)), webp_chunk(b"ANMF", frame)
    )
    with raises(InputError, "too_many_pixels", "16384"):
        read_image(huge)


@pytest.mark.skipif(cv2.__version__ < "4.11", reason="OpenCV 4.10 reads no animations")
def test_webp_whose_first_frame_covers_a_part_of_the_canvas() -> None:
    first = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    first.paste(portrait((20, 30)), (10, 10))
    data = encode(first, "WEBP", save_all=True, append_images=[first.rotate(9)], lossless=True)
    frame = read_image(data)
    assert frame.shape == (64, 96, 3)
    assert frame[5, 5].tolist() == [255, 255, 255]


def test_the_first_frame_of_an_animation_is_a_picture() -> None:
    frames = [portrait(), portrait().rotate(90)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    alone = encode(frames[0], "WEBP", lossless=True)
    np.testing.assert_array_equal(read_image(data), read_image(alone))
