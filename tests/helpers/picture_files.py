"""Picture files that no encoder would write."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

from tests.helpers.pictures import encode, portrait


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk, padded."""
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def webp_file(*chunks: bytes) -> bytes:
    """A container."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    """The chunk that states the size of an extended file."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)


def bitstream(image: Image.Image, **options: object) -> bytes:
    """The VP8 or VP8L chunk of ``image``."""
    data = encode(image, "WEBP", **options)
    assert data[12:15] == b"VP8"
    return data[12:]


def tiff(image: np.ndarray, **options: object) -> bytes:
    """A TIFF that tifffile writes."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, photometric="rgb", **options)
    return buffer.getvalue()


def edited_tiff(tag: int, kind: int, count: int, value: int) -> bytes:
    """A TIFF one of whose tags was replaced."""
    data = bytearray(encode(portrait(), "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", data, entry) == (tag,):
            struct.pack_into("<HHII", data, entry, tag, kind, count, value)
            return bytes(data)
    raise AssertionError(tag)


def exif_of(count: int, size: int) -> bytes:
    """A directory whose ``count`` tags all claim the same ``size`` bytes."""
    tags = b"".join(struct.pack("<HHII", 1000 + i, 3, size // 2, 8) for i in range(count))
    block = b"II*\0" + struct.pack("<IH", 8, count) + tags
    return block.ljust(size + 8, b"\0")
