"""TIFF: the first picture, rewritten."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile

from fastfer.errors import InputError
from fastfer.io.image_headers import read_header
from fastfer.io.photos import read_image
from tests.helpers.errors import raises
from tests.helpers.picture_files import edited_tiff, tiff
from tests.helpers.pictures import encode, portrait


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (16, 32), "compression": "zlib"},
        {"rowsperstrip": 5},
        {"planarconfig": "separate"},
        {"predictor": True},
    ],
)
def test_tiff_layouts(bigtiff: bool, byteorder: str, options: dict[str, object]) -> None:
    pixels = np.asarray(portrait())
    image = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    if "predictor" in options:
        options = options | {"compression": "zlib"}
    data = tiff(image, bigtiff=bigtiff, byteorder=byteorder, **options)
    np.testing.assert_array_equal(read_image(data), pixels[:, :, ::-1])


def test_tiff_of_duplicate_tags_has_the_first() -> None:
    """libtiff's choice; and the decoder gets one of each."""
    data = encode(portrait(), "TIFF")
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = data[at + 2 : at + 2 + 12 * count]
    for first, second in ((20_000, 96), (96, 20_000)):
        sizes = b"".join(struct.pack("<HHII", 256, 4, 1, size) for size in (first, second))
        rest = b"".join(
            entries[i : i + 12] for i in range(0, len(entries), 12) if entries[i : i + 2] != b"\0\1"
        )
        block = struct.pack("<H", count + 1) + sizes + rest + bytes(4)
        twice = data[:4] + struct.pack("<I", len(data)) + data[8:] + block
        header = read_header(twice, "twice")
        assert header.width == first
        seen = header.decodable(twice)
        with tifffile.TiffFile(io.BytesIO(seen)) as file:
            assert [tag.value for tag in file.pages[0].tags if tag.code == 256] == [first]


def test_tiff_pages_and_metadata_never_reach_the_decoder() -> None:
    pixels = np.stack([np.asarray(portrait())] * 3)
    data = tiff(pixels, description="d" * 5000)
    seen = read_header(data, "pages").decodable(data)
    with tifffile.TiffFile(io.BytesIO(seen)) as file:
        assert len(file.pages) == 1
        assert 270 not in file.pages[0].tags


def test_tiff_of_huge_pieces_and_counts() -> None:
    with raises(InputError, "damaged", "samples"):
        read_header(edited_tiff(277, 3, 1, 60_000), "samples")
    with raises(InputError, "truncated"):
        read_header(edited_tiff(273, 4, 0xFFFFFFFF, 8), "count")
    # A tile may be larger than the picture, but its memory counts.
    tiled = bytearray(tiff(np.asarray(portrait()), tile=(16, 16)))
    with tifffile.TiffFile(io.BytesIO(bytes(tiled))) as file:
        for code in (322, 323):
            struct.pack_into("<I", tiled, file.pages[0].tags[code].offset + 8, 30_000)
    with raises(InputError, "too_much_memory"):
        read_image(bytes(tiled))


def test_tiff_of_old_jpeg_is_refused() -> None:
    with raises(InputError, "damaged"):
        read_header(edited_tiff(259, 3, 1, 6), "old")


@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"rowsperstrip": 5}])
def test_tiff_with_damaged_pieces(options: dict[str, object]) -> None:
    """libtiff leaves them black or gray, and reports success."""
    data = tiff(np.asarray(portrait()), compression="zlib", **options)
    assert read_image(data).shape
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        starts, sizes = file.pages[0].dataoffsets, file.pages[0].databytecounts
    for place in (0, len(starts) // 2, len(starts) - 1):
        for damage in (b"\xff" * 20, bytes(sizes[place] // 2)):
            broken = bytearray(data)
            end = starts[place] + sizes[place]
            broken[end - len(damage) : end] = damage
            with raises(InputError, "damaged"):
                read_image(bytes(broken))


def test_tiff_of_too_few_or_short_pieces() -> None:
    data = tiff(np.asarray(portrait()), rowsperstrip=5)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages[0].tags
        starts, sizes = tags["StripOffsets"], tags["StripByteCounts"]
    fewer = bytearray(data)
    struct.pack_into("<I", fewer, starts.offset + 4, starts.count - 1)
    short = bytearray(data)
    short[sizes.valueoffset] -= 1
    for broken in (fewer, short):
        with raises(InputError, "damaged"):
            read_image(bytes(broken))
    alone = edited_tiff(279, 4, 1, 0)  # Of the only strip: libtiff computes it.
    np.testing.assert_array_equal(read_image(alone), np.asarray(portrait())[:, :, ::-1])
