"""Pictures for tests and their encodings."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut as _astronaut


@cache
def astronaut() -> NDArray[np.uint8]:
    """NASA's portrait, (512, 512, 3) uint8 BGR with one face, read-only."""
    frame = np.ascontiguousarray(_astronaut()[:, :, ::-1])
    frame.flags.writeable = False
    return frame


@cache
def _middle() -> Image.Image:
    return Image.fromarray(_astronaut()).crop((60, 0, 420, 240))


def portrait(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """The middle of the portrait as RGB; ``size`` is (width, height)."""
    return _middle().resize(size)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A valid black PNG of one bit per pixel; 30,000 x 30,000 pixels take 100 kB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(1)
    body = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def tiff16(image: NDArray[np.uint16], orientation: int = 1) -> bytes:
    """A 16-bit RGB TIFF of ``image``, (H, W, 3), with an orientation; Pillow cannot write it."""
    height, width, _ = image.shape
    deep, pixels = 134, 140  # Offsets of the values behind the ten entries of the directory.
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, deep),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, pixels),
        (274, 3, 1, orientation),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, height * width * 6),
    ]
    directory = b"".join(
        struct.pack("<HHIHH", tag, kind, count, value, 0)
        if kind == 3 and count == 1
        else struct.pack("<HHII", tag, kind, count, value)
        for tag, kind, count, value in entries
    )
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + directory + bytes(4)
    return head + struct.pack("<HHH", 16, 16, 16) + image.astype("<u2").tobytes()


def large_jpeg(photo: NDArray[np.uint8], side: int) -> bytes:
    """``photo`` scaled to a long side of ``side`` pixels, as a JPEG."""
    ratio = side / max(photo.shape)
    large = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_CUBIC)
    good, data = cv2.imencode(".jpg", large)
    assert good
    return data.tobytes()
