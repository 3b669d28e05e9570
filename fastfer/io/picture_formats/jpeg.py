"""JPEG: markers are found as libjpeg finds them.

The decoder gets the tables, the frame header, the two segments that state the colour model, and
the scans; no metadata.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from fastfer.io.picture_formats.exif import exif_orientation
from fastfer.io.picture_formats.header import ImageHeader, Part, joined

SCAN: Final = b"\xff\xda"
END: Final = b"\xff\xd9"

MAX_SCANS: Final = 100
"""Each scan goes through all pixels again; encoders write about ten."""
_MAX_SEGMENTS: Final = 20_000

# Between segments libjpeg skips what is no marker, including the pair FF 00. Without a quantifier
# the search is linear in a run of FF, which may be as long as the file.
_MARKER: Final = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_TABLES: Final = frozenset((0xC4, 0xCC, 0xDB, 0xDD))
_SKIPPED: Final = frozenset((*range(0xE0, 0xF0), 0xFE, 0xDC))
_STANDALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE: Final = frozenset((0xC2, 0xC6, 0xCA, 0xCE))


def parse_jpeg(data: bytes) -> ImageHeader:
    """Parse the segments up to the first scan."""
    orientation = 1
    frame: tuple[int, int] | None = None  # Marker and position of the frame header.
    kept: list[tuple[int, int]] = []
    at = 2
    for _ in range(_MAX_SEGMENTS):
        match = _MARKER.search(data, at)
        if match is None:
            raise IndexError
        marker, at = data[match.start(1)], match.end()
        if marker in _STANDALONE:
            continue
        if marker == 0xDA:
            break
        if marker not in _TABLES | _SKIPPED | _FRAMES:
            raise ValueError(f"marker {marker:#x} before its pixels")
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise ValueError(f"a segment of length {length}")
        end = at + length
        body = data[at + 2 : at + 16]
        if marker in _FRAMES:
            if frame is not None:
                raise ValueError("two frame headers")
            frame = marker, at
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = exif_orientation(data[at + 8 : end])
        named = (marker == 0xE0 and body.startswith(b"JFIF\0")) or (
            marker == 0xEE and body.startswith(b"Adobe")
        )
        if marker in _TABLES or marker in _FRAMES or named:
            kept.append((match.start(1) - 1, end))
        at = end
    else:
        raise ValueError(f"more than {_MAX_SEGMENTS} segments")
    if frame is None:
        raise ValueError("pixels without a frame header")
    start = match.start(1) - 1
    # Inside the pixels 0xFF is always followed by 0x00 or a restart marker, so the first end
    # marker after their start is that of this picture, whatever follows in the file.
    end = data.find(END, start)
    scans = data.count(SCAN, start, len(data) if end < 0 else end)
    if scans > MAX_SCANS:
        raise ValueError(f"{scans} scans; at most {MAX_SCANS} are read")
    height, width = struct.unpack_from(">HH", data, frame[1] + 3)
    scratch = 0
    if scans > 1 or frame[0] in _PROGRESSIVE:
        scratch = _coefficients(data, frame[1], width, height)
    parts: list[Part] = [data[:2], *joined(kept), slice(start, None)]
    return ImageHeader(
        "JPEG", width, height, orientation, truncated=end < 0, scratch=scratch, parts=tuple(parts)
    )


def _coefficients(data: bytes, frame: int, width: int, height: int) -> int:
    """Bytes of the coefficients of all components, which libjpeg holds for several scans."""
    count = data[frame + 7]
    sampling = [data[frame + 9 + 3 * i] for i in range(count)]
    widest = max((s >> 4 for s in sampling), default=1) or 1
    highest = max((s & 15 for s in sampling), default=1) or 1
    shares = [(s >> 4) / widest * ((s & 15) / highest) for s in sampling]
    return int(2 * (width + 15) * (height + 15) * sum(shares))


def has_all_scans(data: bytes) -> bool:
    """Whether the scans of a decodable file (:attr:`ImageHeader.parts`) begin every coefficient of
    every component down to its last bit."""
    at, first = 2, data.find(SCAN)
    components: frozenset[int] = frozenset()
    progressive = False
    while 2 <= at < first:
        (length,) = struct.unpack_from(">H", data, at + 2)
        if data[at + 1] in _FRAMES:
            progressive = data[at + 1] in _PROGRESSIVE
            components = frozenset(data[at + 10 + 3 * i] for i in range(data[at + 9]))
        at += 2 + length
    done: set[tuple[int, int]] = set()
    while first >= 0:
        try:
            count = data[first + 4]
            own = {data[first + 5 + 2 * i] for i in range(count)}
            low, high, bits = data[first + 5 + 2 * count : first + 8 + 2 * count]
        except (IndexError, ValueError):
            return False
        if not progressive:
            low, high, bits = 0, 63, 0
        if bits & 15 == 0:
            done |= {(c, k) for c in own & components for k in range(low, min(high, 63) + 1)}
        first = data.find(SCAN, first + 2)
    return len(done) == 64 * len(components) > 0
