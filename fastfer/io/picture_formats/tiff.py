"""TIFF and BigTIFF: the decoder gets the pixels and a new directory.

The directory holds one value of each tag that decoding needs, of the first page. Duplicate tags,
further pages, sub-directories and metadata are gone; the orientation is applied by fastfer. JPEG of
the old style (compression 6) is not read: libtiff has to guess what such files mean.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastfer.io.picture_formats.header import ImageHeader, Part

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
"""Bytes of a value by its type."""
_UNSIGNED: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}

WIDTH: Final = 256
HEIGHT: Final = 257
BITS: Final = 258
COMPRESSION: Final = 259
PHOTOMETRIC: Final = 262
STRIP_STARTS: Final = 273
ORIENTATION: Final = 274
SAMPLES: Final = 277
ROWS_PER_STRIP: Final = 278
STRIP_SIZES: Final = 279
PLANES: Final = 284
TILE_WIDTH: Final = 322
TILE_HEIGHT: Final = 323
TILE_STARTS: Final = 324
TILE_SIZES: Final = 325
EXTRA_SAMPLES: Final = 338

_KEPT: Final = frozenset((
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIP_STARTS, SAMPLES, ROWS_PER_STRIP,
    STRIP_SIZES, PLANES, 292, 293, 317, 320, TILE_WIDTH, TILE_HEIGHT, TILE_STARTS, TILE_SIZES, 332,
    EXTRA_SAMPLES, 339, 347, 529, 530, 531, 532,
))  # fmt: skip
"""Tags that libtiff needs for the pixels: colour model, tables, tiles, subsampling."""

_MAX_TAGS: Final = 4096
_MAX_SAMPLES: Final = 16
_MAX_VALUES: Final = 200_000
"""Values of a tag that is not a list of strips or tiles: a colour map has at most 3 * 65536."""
_MAX_PIECES: Final = 4_000_000
"""Strips or tiles of a picture."""
_OLD_JPEG: Final = 6
_DEFLATE: Final = (8, 32946)
_YCBCR: Final = 6
"""Colours may be subsampled."""


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: int
    count: int
    raw: bytes
    """Its values as they are in the file."""


def parse_tiff(data: bytes) -> ImageHeader:
    """Parse the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    tags = _tags(data, order, big)

    def value(tag: int, default: int = 0) -> int:
        return next(iter(_numbers(tags.get(tag), order, 1)), default)

    width, height, samples = value(WIDTH), value(HEIGHT), value(SAMPLES, 1)
    if not 1 <= samples <= _MAX_SAMPLES:
        raise ValueError(f"{samples} samples per pixel")
    if value(COMPRESSION, 1) == _OLD_JPEG:
        raise ValueError("JPEG of the old style; save it as JPEG or PNG first")
    tiled = TILE_WIDTH in tags
    wide = value(TILE_WIDTH) if tiled else width
    high = value(TILE_HEIGHT) if tiled else min(value(ROWS_PER_STRIP, height), height)
    if width < 1 or height < 1 or wide < 1 or high < 1:
        raise ValueError(f"its size is {width} x {height}, in pieces of {wide} x {high}")
    pieces = -(-width // wide) * -(-height // high) * (samples if value(PLANES, 1) == 2 else 1)
    if pieces > _MAX_PIECES:
        raise ValueError(f"{pieces:,} strips or tiles")
    starts, sizes = (TILE_STARTS, TILE_SIZES) if tiled else (STRIP_STARTS, STRIP_SIZES)
    offsets = _numbers(tags.get(starts), order, pieces)
    counts = _numbers(tags.get(sizes), order, pieces)
    if len(offsets) < pieces or 0 < len(counts) < pieces:
        raise ValueError(f"it has {len(offsets):,} of its {pieces:,} strips or tiles")
    bits = max(_numbers(tags.get(BITS), order, samples), default=1)
    compression = value(COMPRESSION, 1)
    needed: list[int] = []
    if value(PHOTOMETRIC) != _YCBCR and (compression == 1 or compression in _DEFLATE):
        # The decoder leaves pixels black that such a piece lacks, and reports nothing.
        row = -(-wide * bits * (1 if value(PLANES, 1) == 2 else samples) // 8)
        down = -(-height // high)
        last = high if tiled else height - (down - 1) * high
        across = -(-width // wide)
        needed = [row * (last if i // across % down == down - 1 else high) for i in range(pieces)]
    if compression == 1 and needed and (not counts or (pieces == 1 and not tiled)):
        counts = needed  # As libtiff computes them.
    ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
    for tag in (starts, sizes):  # The lists that are not in use may be of any length.
        if tag in tags:
            tags[tag] = _shortened(tags[tag], pieces)
    unused = {TILE_STARTS, TILE_SIZES, STRIP_STARTS, STRIP_SIZES} - {starts, sizes}
    kept = {tag: tags[tag] for tag in sorted(_KEPT & tags.keys() - unused)}
    if any(
        tag.count > _MAX_VALUES for number, tag in kept.items() if number not in (starts, sizes)
    ):
        raise ValueError("a tag of too many values")

    extra = value(EXTRA_SAMPLES)
    alpha = extra in (1, 2)
    orientation = value(ORIENTATION, 1)
    each = max(1, bits // 8)
    return ImageHeader(
        "TIFF",
        width,
        height,
        orientation if 1 <= orientation <= 8 else 1,
        alpha,
        premultiplied=extra == 1 or bits <= 8,
        truncated=max(ends, default=0) > len(data),
        pixel_bytes=4 * each if alpha else 3 * (each if each > 2 else 1),  # 16 bits become 8.
        scratch=2 * wide * high * max(4, samples * each),
        pieces=(offsets, counts, needed),
        deflated=compression in _DEFLATE,
        parts=_rewritten(data, order, big, kept),
    )


def _tags(data: bytes, order: str, big: bool) -> dict[int, _Tag]:
    """The tags of the first directory; of duplicates the first, as libtiff has it.

    The values of tags that are not needed are not read.
    """
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    if entries > _MAX_TAGS:
        raise ValueError(f"{entries:,} tags")
    at += 8 if big else 2
    step, room, number = (20, 8, "Q") if big else (12, 4, "I")
    tags: dict[int, _Tag] = {}
    for entry in range(at, at + entries * step, step):
        tag, kind, count = struct.unpack_from(order + "HH" + number, data, entry)
        if tag in tags or tag not in _KEPT | {ORIENTATION} or kind not in _SIZES:
            continue
        start, length = entry + step - room, count * _SIZES[kind]
        if length > room:
            (start,) = struct.unpack_from(order + number, data, start)
        if start + length > len(data):
            raise IndexError
        tags[tag] = _Tag(kind, count, data[start : start + length])
    return tags


def _numbers(tag: _Tag | None, order: str, most: int) -> Sequence[int]:
    """Up to ``most`` values of a tag that holds unsigned integers; none of another one."""
    if tag is None or tag.kind not in _UNSIGNED:
        return ()
    count = min(tag.count, most)
    return struct.unpack_from(f"{order}{count}{_UNSIGNED[tag.kind]}", tag.raw)


def _shortened(tag: _Tag, most: int) -> _Tag:
    count = min(tag.count, most)
    return _Tag(tag.kind, count, tag.raw[: count * _SIZES[tag.kind]])


def _rewritten(data: bytes, order: str, big: bool, tags: dict[int, _Tag]) -> tuple[Part, ...]:
    """The file with a new directory behind its end; all pixels stay in their places."""
    room, number = (8, "Q") if big else (4, "I")
    padding = bytes(-len(data) % 8)
    at = len(data) + len(padding)
    directory = struct.pack(order + ("Q" if big else "H"), len(tags))
    values = at + len(directory) + len(tags) * (20 if big else 12) + room
    outside: list[bytes] = []
    for tag, entry in tags.items():
        directory += struct.pack(order + "HH" + number, tag, entry.kind, entry.count)
        if len(entry.raw) <= room:
            directory += entry.raw.ljust(room, b"\0")
        else:
            directory += struct.pack(order + number, values)
            outside.append(entry.raw + bytes(-len(entry.raw) % 8))
            values += len(outside[-1])
    directory += bytes(room)  # No further page.
    head = data[: 8 if big else 4] + struct.pack(order + number, at)
    return (head, slice(len(head), None), padding, directory, *outside)
