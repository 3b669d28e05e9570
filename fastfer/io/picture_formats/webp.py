"""WebP: the decoder gets the size of the canvas, and the bitstream of one picture.

Of an animation that is the first frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fastfer.io.picture_formats.exif import exif_orientation
from fastfer.io.picture_formats.header import MAX_ENTRIES, ImageHeader, Part

_ALPHA: Final = 0x10
_ANIMATION: Final = 0x02


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    """Position of its name."""
    body: int
    end: int
    """End of its body, without padding."""


def parse_webp(data: bytes) -> ImageHeader:
    """Parse the chunks of the container and the header of the bitstream."""
    (size,) = struct.unpack_from("<I", data, 4)
    stop = min(len(data), size + 8)
    canvas: tuple[int, int] | None = None
    picture: list[_Chunk] = []
    animation: _Chunk | None = None
    orientation = 1
    for number, chunk in enumerate(_chunks(data, 12, stop)):
        if number == 0 and chunk.kind not in (b"VP8X", b"VP8 ", b"VP8L"):
            raise ValueError(f"its first chunk is {chunk.kind!r}")
        if chunk.kind == b"VP8X" and number == 0:
            canvas = _sizes(data, chunk.body + 4)
        elif chunk.kind in (b"ALPH", b"VP8 ", b"VP8L") and not picture:
            picture = [chunk]
        elif chunk.kind == b"VP8 " and picture[-1].kind == b"ALPH":
            picture.append(chunk)
        elif chunk.kind == b"ANIM" and animation is None:
            animation = chunk
        elif chunk.kind == b"ANMF" and not picture:
            picture = [chunk]
        elif chunk.kind == b"EXIF":
            orientation = exif_orientation(data[chunk.body : chunk.end].removeprefix(b"Exif\0\0"))
        if canvas is None and picture:
            break  # The simple format holds nothing else.
    if not picture:
        raise IndexError
    truncated = len(data) < size + 8
    if picture[0].kind == b"ANMF":
        if canvas is None or animation is None:
            raise ValueError("a frame of an animation, but no animation")
        return _animation(data, canvas, animation, picture[0], orientation, truncated)
    return _still(data, canvas, picture, orientation, truncated)


def _still(
    data: bytes,
    canvas: tuple[int, int] | None,
    picture: list[_Chunk],
    orientation: int,
    truncated: bool,
) -> ImageHeader:
    width, height, alpha = _bitstream(data, picture[-1])
    if canvas not in (None, (width, height)):
        raise ValueError(f"a canvas of {canvas}, but a picture of {width} x {height}")
    alpha = alpha or picture[0].kind == b"ALPH"
    parts: list[Part] = []
    if len(picture) > 1:
        parts.append(_extended(_ALPHA, width, height))
    parts += _copies(data, picture)
    return _header(width, height, orientation, alpha, truncated, parts)


def _animation(
    data: bytes,
    canvas: tuple[int, int],
    animation: _Chunk,
    frame: _Chunk,
    orientation: int,
    truncated: bool,
) -> ImageHeader:
    inside = list(_chunks(data, frame.body + 16, min(frame.end, len(data))))
    picture = [chunk for chunk in inside if chunk.kind in (b"ALPH", b"VP8 ", b"VP8L")][:2]
    if not picture:
        raise IndexError
    offset, size = data[frame.body : frame.body + 6], _sizes(data, frame.body + 6)
    if offset == bytes(6) and size == canvas and len(picture) == 1 + (picture[0].kind == b"ALPH"):
        return _still(data, canvas, picture, orientation, truncated)
    # A frame that covers a part of the canvas: the decoder of animations knows what to do.
    parts = [_extended(_ALPHA | _ANIMATION, *canvas), *_copies(data, [animation, frame])]
    return _header(*canvas, orientation, True, truncated, parts)


def _header(
    width: int,
    height: int,
    orientation: int,
    alpha: bool,
    truncated: bool,
    parts: list[Part],
) -> ImageHeader:
    length = sum(_length(part) for part in parts)
    head = b"RIFF" + struct.pack("<I", 4 + length) + b"WEBP"
    return ImageHeader(
        "WebP",
        width,
        height,
        orientation,
        alpha,
        truncated=truncated,
        pixel_bytes=4 if alpha else 3,
        scratch=4 * width * height,
        parts=(head, *parts),
    )


def _chunks(data: bytes, at: int, stop: int) -> Iterator[_Chunk]:
    for _ in range(MAX_ENTRIES):
        if at + 8 > stop:
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        yield _Chunk(kind, at, at + 8, at + 8 + length)
        at += 8 + length + length % 2
    raise ValueError(f"more than {MAX_ENTRIES:,} chunks")


def _bitstream(data: bytes, chunk: _Chunk) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha, by the bitstream itself."""
    at = chunk.body
    if chunk.kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, at + 6)
        if data[at] & 1 or data[at + 3 : at + 6] != b"\x9d\x01\x2a":
            raise ValueError("its bitstream does not begin with a key frame")
        return width & 0x3FFF, height & 0x3FFF, False
    if chunk.kind != b"VP8L":
        raise IndexError  # ALPH alone
    signature, bits = struct.unpack_from("<BI", data, at)
    if signature != 0x2F:
        raise ValueError("its lossless bitstream has no signature")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), bool(bits >> 28 & 1)


def _sizes(data: bytes, at: int) -> tuple[int, int]:
    """Two sizes of 24 bits, each stored minus 1."""
    if at + 6 > len(data):
        raise IndexError
    low, high = data[at : at + 3], data[at + 3 : at + 6]
    return 1 + int.from_bytes(low, "little"), 1 + int.from_bytes(high, "little")


def _extended(flags: int, width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X" + struct.pack("<IB3x", 10, flags) + sizes


def _copies(data: bytes, chunks: list[_Chunk]) -> list[Part]:
    parts: list[Part] = []
    for chunk in chunks:
        end = min(chunk.end, len(data))
        parts.append(slice(chunk.start, end))
        if (end - chunk.start) % 2:
            parts.append(b"\0")
    return parts


def _length(part: Part) -> int:
    return part.stop - part.start if isinstance(part, slice) else len(part)
