"""Headers, and naming of unsupported formats."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from fastfer.errors import InputError
from fastfer.io.image_headers import SNIFF, read_header, sniff
from fastfer.io.photos import read_image
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_size_and_truncation(kind: str) -> None:
    data = encode(portrait((96, 64)), kind)
    header = read_header(data, "test")
    assert header.format.upper() == kind
    assert (header.width, header.height, header.orientation) == (96, 64, 1)
    assert not header.truncated
    assert read_header(data[: len(data) * 3 // 4], "test").truncated
    assert data.startswith(sniff(data[:SNIFF], "test"))
    with raises(InputError, "truncated", "cut.bin"):
        read_header(data[:12], "cut.bin")


@pytest.mark.parametrize("broken_first", [True, False])
def test_a_broken_tag_does_not_hide_the_orientation(broken_first: bool) -> None:
    """Neither one that leads out of the block, nor a directory that is cut after it."""
    orientation = struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    broken = struct.pack("<HHII", 37510, 4, 1000, 0xFFFFFF)
    tags = broken + orientation if broken_first else orientation + broken[:5]
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + tags
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif
    data = encode(portrait((96, 64)), "JPEG")
    assert read_header(data[:2] + segment + data[2:], "test").orientation == 6


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"just some notes\n", "text"),
        ("chữ tiếng Việt, dài hơn sáu mươi tư byte, cắt giữa một chữ: ếế".encode(), "text"),
        (b"<!doctype html><html>", "text"),
        (b"GIF89a\1\0\1\0", "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\x1a\x45\xdf\xa3\1\2", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "RIFF"),
        (b"%PDF-1.7", "PDF"),
        (bytes(100), "zeros"),
        (b"\x7fELF\2\1\1\0", "picture"),
    ],
)
def test_unsupported_formats_are_named(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with raises(InputError, "unsupported_format", str(path), name):
        read_image(path)


def test_a_jpeg_of_fill_bytes_is_searched_once() -> None:
    """Searched from each of them, this would take hours."""
    with raises(InputError, "truncated"):
        read_header(b"\xff\xd8" + b"\xff" * 5_000_000, "a.jpg")


def test_fill_bytes_before_a_marker_are_skipped() -> None:
    data = encode(portrait((96, 64)), "JPEG")
    header = read_header(data[:2] + b"\xff" * 1000 + data[2:], "a.jpg")
    assert (header.width, header.height) == (96, 64)


def test_an_empty_file() -> None:
    with raises(InputError, "empty_file", "none.jpg"):
        sniff(b"", "none.jpg")
