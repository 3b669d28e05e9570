"""What a parser returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Part: TypeAlias = bytes | slice
"""Bytes of the file for the decoder: literal, or a range of the original file."""

MAX_ENTRIES: Final = 1_000_000
"""Chunks, segments or values that a parser reads; files with more are refused."""

CUT: Final = (IndexError, OverflowError)
"""Raised by a parser whose offset leads out of the file, beside ``struct.error``."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size, orientation and integrity of one picture."""

    format: str
    width: int
    """Pixels as stored, before rotation."""
    height: int
    """Pixels as stored, before rotation."""
    orientation: int = 1
    """EXIF orientation, 1 to 8, that the decoder does not apply; 1 is upright."""
    alpha: bool = False
    """Whether the picture has an alpha channel or a transparent colour."""
    premultiplied: bool = False
    """Whether the decoder returns colours multiplied by alpha."""
    truncated: bool = False
    """Whether the file ends before the picture does."""
    pixel_bytes: int = 3
    """Bytes per pixel of the decoder's result."""
    scratch: int = 0
    """Bytes that the decoder takes beside its result."""
    pieces: tuple[Sequence[int], Sequence[int], Sequence[int]] = field(
        default=((), (), ()), repr=False
    )
    """Starts and lengths of parts of the file whose damage the decoder does not report, and the
    bytes that each holds, unpacked if :attr:`deflated`."""
    deflated: bool = False
    """Whether :attr:`pieces` are deflate streams."""
    parts: tuple[Part, ...] = field(default=(slice(None),), repr=False)
    """The file that the decoder gets."""

    def decodable(self, data: bytes) -> bytes:
        """The file that the decoder gets, made of ``data``, the original file."""
        if self.parts == (slice(None),):
            return data
        view = memoryview(data)
        return b"".join(view[part] if isinstance(part, slice) else part for part in self.parts)


def joined(ranges: Sequence[tuple[int, int]]) -> list[slice]:
    """``ranges`` (start, end) as slices, adjacent ones as one."""
    merged: list[tuple[int, int]] = []
    for start, end in ranges:
        if merged and merged[-1][1] == start:
            merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    return [slice(start, end) for start, end in merged]
