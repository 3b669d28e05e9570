"""BMP, which OpenCV reads as it is: there is one size, in one place."""

from __future__ import annotations

import struct

from fastfer.io.picture_formats.header import ImageHeader


def parse_bmp(data: bytes) -> ImageHeader:
    """Parse the two headers."""
    start, dib = struct.unpack_from("<II", data, 10)
    if dib == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # Negative if the top row comes first.
    alpha = dib >= 56 and bits == 32 and data[66:70] != bytes(4)
    packed = compression in (0, 3)  # Rows of a known length, padded to 4 bytes.
    end = start + (width * bits + 31) // 32 * 4 * height if packed else start
    return ImageHeader(
        "BMP",
        width,
        height,
        alpha=alpha,
        truncated=len(data) < end,
        pixel_bytes=4 if alpha else 3,
    )
