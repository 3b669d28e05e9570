"""BMP: sizes, alpha and missing rows."""

from __future__ import annotations

import struct

import pytest

from fastfer.io.picture_formats.bmp import parse_bmp
from tests.helpers.pictures import encode, portrait


def bmp(width: int, height: int, bits: int, *, dib: int = 40, alpha: int = 0, rows: int) -> bytes:
    """The headers of a file with so many bytes of rows."""
    head = struct.pack("<IiiHHI", dib, width, height, 1, bits, 0)
    if dib >= 56:
        head += bytes(32) + struct.pack("<I", alpha)
    start = 14 + dib
    return b"BM" + bytes(8) + struct.pack("<I", start) + head.ljust(dib, b"\0") + bytes(rows)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_files_of_every_depth(mode: str) -> None:
    data = encode(portrait((97, 64)).convert(mode), "BMP")  # Rows are padded to four bytes.
    header = parse_bmp(data)
    assert (header.format, header.width, header.height) == ("BMP", 97, 64)
    assert (header.truncated, header.alpha, header.pixel_bytes) == (False, False, 3)
    assert parse_bmp(data[:-1]).truncated
    assert header.decodable(data) is data


def test_rows_from_the_top() -> None:
    header = parse_bmp(bmp(2, -3, 24, rows=24))
    assert (header.width, header.height, header.truncated) == (2, 3, False)


@pytest.mark.parametrize(("mask", "alpha"), [(0xFF << 24, True), (0, False)])
def test_alpha_is_what_the_header_masks(mask: int, alpha: bool) -> None:
    header = parse_bmp(bmp(2, 2, 32, dib=124, alpha=mask, rows=16))
    assert (header.alpha, header.pixel_bytes) == (alpha, 4 if alpha else 3)


def test_the_header_of_os2() -> None:
    data = b"BM" + bytes(8) + struct.pack("<IIHHHH", 26, 12, 4, 5, 1, 24) + bytes(60)
    assert (parse_bmp(data).width, parse_bmp(data).height) == (4, 5)


def test_a_header_that_is_cut() -> None:
    with pytest.raises(struct.error):
        parse_bmp(bmp(2, 2, 24, rows=0)[:30])
