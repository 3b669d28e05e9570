"""JPEG: markers are found as libjpeg finds them, and metadata stay behind."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from fastfer.errors import InputError
from fastfer.io.decode_pixels import imdecode
from fastfer.io.image_headers import read_header
from fastfer.io.photos import read_image
from fastfer.io.picture_formats.jpeg import MAX_SCANS, has_all_scans
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait


def test_jpeg_markers_are_found_as_the_decoder_finds_them() -> None:
    """FF 00 is no marker: what follows is searched for the next one, which states the size."""
    data = encode(portrait(), "JPEG")
    fake = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 16, 16, 1) + b"\1\x11\0"
    hidden = data[:2] + b"\xff\0" + struct.pack(">H", 4 + len(fake)) + data[2:]
    header = read_header(hidden, "hidden")
    assert (header.width, header.height) == (96, 64)
    np.testing.assert_array_equal(read_image(hidden), read_image(data))
    junk = data[:2] + b"\xff\0junk\xff\xff" + data[2:]
    np.testing.assert_array_equal(read_image(junk), read_image(data))
    with raises(InputError, "damaged"):
        read_header(data[:2] + fake + data[2:], "two sizes")


def test_jpeg_metadata_never_reaches_the_decoder() -> None:
    exif = Image.Exif()
    exif[271] = "maker" * 100
    data = encode(portrait(), "JPEG", exif=exif.tobytes(), comment=b"c" * 1000)
    seen = read_header(data, "test").decodable(data)
    assert b"maker" not in seen
    assert b"ccc" not in seen
    np.testing.assert_array_equal(imdecode(seen, 1), imdecode(data, 1))


def test_jpeg_of_too_many_scans() -> None:
    data = encode(portrait(), "JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff\xc4", start)
    with raises(InputError, "damaged", str(MAX_SCANS)):
        read_header(data[:-2] + data[start:end] * (MAX_SCANS + 1) + data[-2:], "scans")


def test_bytes_between_jpeg_markers_cost_no_time() -> None:
    """Each of these would be a step of a loop in Python."""
    for junk in (b"\xff\0" * 3_000_000, b"\xff" * 6_000_000, b"\xff" + bytes(6_000_000)):
        data = encode(portrait(), "JPEG")
        assert read_header(data[:2] + junk + data[2:], "junk").width == 96
    with raises(InputError, "damaged", "segments"):
        read_header(data[:2] + b"\xff\xfe\0\2" * 1_000_000 + data[2:], "segments")


def test_a_jpeg_of_fill_bytes_is_searched_once() -> None:
    """Searched from each of them, this would take hours."""
    with raises(InputError, "truncated"):
        read_header(b"\xff\xd8" + b"\xff" * 5_000_000, "a.jpg")


def test_fill_bytes_before_a_marker_are_skipped() -> None:
    data = encode(portrait((96, 64)), "JPEG")
    header = read_header(data[:2] + b"\xff" * 1000 + data[2:], "a.jpg")
    assert (header.width, header.height) == (96, 64)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_files_with_all_their_scans(options: dict[str, object]) -> None:
    data = encode(portrait(), "JPEG", **options)
    assert has_all_scans(read_header(data, "whole").decodable(data))


def test_a_progressive_file_that_lacks_scans() -> None:
    """Cut at a scan, it looks like a whole file of less detail."""
    data = encode(portrait(), "JPEG", progressive=True)
    cut = data[: data.rindex(b"\xff\xda")] + b"\xff\xd9"
    assert not has_all_scans(read_header(cut, "cut").decodable(cut))
    assert not has_all_scans(data[: data.index(b"\xff\xda") + 3])
