"""PNG: the decoder sees nothing but the picture."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from fastfer.errors import InputError
from fastfer.io.image_headers import read_header
from fastfer.io.photos import read_image
from tests.helpers.errors import raises
from tests.helpers.picture_files import png_chunk
from tests.helpers.pictures import encode, portrait


def test_png_decoders_see_nothing_but_the_picture() -> None:
    data = encode(portrait(), "PNG")
    extra = (
        png_chunk(b"acTL", struct.pack(">II", 1, 0))
        + png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 9000, 9000, 0, 0, 1, 1, 0, 0))
        + png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000)))
        + png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(9_000_000)))
        + png_chunk(b"fdAT", bytes(20))
    )
    stuffed = data[:33] + extra + data[33:]
    assert read_header(stuffed, "test").decodable(stuffed) == data
    np.testing.assert_array_equal(read_image(stuffed), read_image(data))


def test_png_of_a_million_chunks() -> None:
    data = encode(portrait(), "PNG")
    many = data[:33] + png_chunk(b"tEXt", b"") * 1_000_000 + data[33:]
    with raises(InputError, "damaged", "chunks"):
        read_header(many, "many")


def test_png_whose_header_makes_no_sense() -> None:
    data = bytearray(encode(portrait(), "PNG"))
    data[24] = 7  # Bits per sample.
    with raises(InputError, "damaged"):
        read_header(bytes(data), "bits")


def test_png_with_more_data_than_its_pixels_take() -> None:
    """A thousand times as much would be unpacked."""
    data = encode(portrait(), "PNG")
    at = data.index(b"IDAT") - 4
    more = png_chunk(b"IDAT", bytes(200_000))
    assert read_image(data[:at] + png_chunk(b"IDAT", b"") * 200 + data[at:]).shape
    with raises(InputError, "damaged"):
        read_image(data[:-12] + more + data[-12:])
