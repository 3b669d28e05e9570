"""The orientation in an EXIF block, among damaged tags."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from fastfer.io.image_headers import read_header
from fastfer.io.picture_formats.exif import exif_orientation
from tests.helpers.picture_files import bitstream, canvas, exif_of, png_chunk, webp_chunk, webp_file
from tests.helpers.pictures import encode, portrait


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


def test_tag_directories_that_overlap_cost_no_memory() -> None:
    exif = exif_of(2500, 60_000)
    large = exif_of(60_000, 20_000_000)
    plain = encode(portrait(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif
    png = encode(portrait(), "PNG")
    files = (
        plain[:2] + segment + plain[2:],
        png[:33] + png_chunk(b"eXIf", large) + png[33:],
        webp_file(
            canvas(96, 64, 8),
            bitstream(portrait()),
            webp_chunk(b"EXIF", large),
        ),
    )
    for data in files:
        tracemalloc.start()
        try:
            assert read_header(data, "bomb").orientation == 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < len(data) + 1_000_000


def block(order: str, kind: str, number: int, value: int, count: int = 1) -> bytes:
    """A TIFF whose only tag is the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1)
    entry = struct.pack(order + "HHI", 274, number, count) + struct.pack(order + kind, value)
    return head + entry.ljust(12, b"\0")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "number"), [("B", 1), ("H", 3), ("I", 4)])
def test_integers_of_every_size_and_order(order: str, kind: str, number: int) -> None:
    assert [exif_orientation(block(order, kind, number, v)) for v in range(10)] == [
        1, *range(1, 9), 1
    ]  # fmt: skip


def test_what_is_no_orientation() -> None:
    good = block("<", "H", 3, 6)
    assert exif_orientation(good) == 6
    for other in (
        b"",
        good[:19],
        b"XX" + good[2:],
        block("<", "H", 3, 6, count=2),
        block("<", "f", 11, 6),
    ):
        assert exif_orientation(other) == 1
