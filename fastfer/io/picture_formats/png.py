"""PNG: the decoder gets size, palette, transparent colour and pixels; no metadata, no animation."""

from __future__ import annotations

import struct
from typing import Final

from fastfer.io.picture_formats.exif import exif_orientation
from fastfer.io.picture_formats.header import MAX_ENTRIES, ImageHeader, joined

_KEPT: Final = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits per sample that each colour model may have."""


def parse_png(data: bytes) -> ImageHeader:
    """Parse all chunks."""
    length, kind, width, height, depth, color = struct.unpack_from(">I4sIIBB", data, 8)
    if kind != b"IHDR" or length != 13:
        raise ValueError("its first chunk is not IHDR")
    if depth not in _DEPTHS.get(color, ()):
        raise ValueError(f"{depth} bits of colour model {color}")
    alpha = color in (4, 6)
    orientation = 1
    truncated = True
    samples = {2: 3, 4: 2, 6: 4}.get(color, 1)
    # Of deflate data that hold nothing but the pixels, however badly packed. What goes beyond
    # would be unpacked, a thousand bytes for each.
    room = height * (64 + width * samples * depth // 6) + 4096
    kept = [(0, 8)]
    at = 8
    for _ in range(MAX_ENTRIES):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind == b"eXIf":
            orientation = exif_orientation(data[at + 8 : end - 4])
        elif kind == b"tRNS":
            alpha = True
        elif kind == b"IDAT":
            room -= length
            if room < 0:
                raise ValueError(f"more data than {width} x {height} pixels take")
        if kind in _KEPT:
            kept.append((at, end))
        if kind == b"IEND":
            truncated = False
            break
        at = end
    else:
        raise ValueError(f"more than {MAX_ENTRIES:,} chunks")
    return ImageHeader(
        "PNG",
        width,
        height,
        orientation,
        alpha,
        truncated=truncated,
        pixel_bytes=4 * (2 if depth == 16 else 1) if alpha else 3,
        parts=tuple(joined(kept)),
    )
