"""Image headers, parsed without decoding a pixel.

OpenCV leaves three questions to its caller: how many pixels would come out (a few kilobytes can
claim a billion), whether the end of the file is there (some decoders fill the missing part with
gray and report success), and how the camera was held (the answer depends on format, flags and
version).
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastfer.errors import InputError

READABLE: Final = "JPEG, PNG, WebP, BMP and TIFF"
"""Formats that fastfer reads, for messages."""
SNIFF: Final = 64
"""Bytes that suffice to identify a format."""


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


_CUT: Final = (struct.error, IndexError, OverflowError)
"""Raised by a parser whose offset leads out of the file."""


def read_header(data: bytes, name: str) -> ImageHeader:
    """Parse the header of ``data``, the bytes of a file; ``name`` is its name in messages.

    Raises:
        InputError: codes ``empty_file``, ``unsupported_format``, ``truncated`` (inside the header)
            or ``damaged``.
    """
    kind, parse = _PARSERS[sniff(data[:SNIFF], name)]
    try:
        header = parse(data)
        if header.width < 1 or header.height < 1:
            if header.truncated:
                raise IndexError
            raise ValueError(f"its size is {header.width} x {header.height}")
    except _CUT:
        raise InputError(
            f"{name}: truncated {kind}: {len(data)} bytes, the header is incomplete; copy or "
            "download the file again",
            code="truncated",
        ) from None
    except ValueError as error:
        raise InputError(f"{name}: damaged {kind}: {error}", code="damaged") from None
    return header


def sniff(head: bytes, name: str) -> bytes:
    """The magic number at the start of ``head``, the first :data:`SNIFF` bytes of a file.

    Raises:
        InputError: codes ``empty_file`` or ``unsupported_format``.
    """
    if not head:
        raise InputError(f"{name}: the file is empty", code="empty_file")
    for magic, (kind, _) in _PARSERS.items():
        if head.startswith(magic) and (kind != "WebP" or head[8:12] == b"WEBP"):
            return magic
    raise InputError(
        f"{name}: {_describe(head)}; fastfer reads {READABLE}", code="unsupported_format"
    )


def _jpeg(data: bytes) -> ImageHeader:
    width = height = 0
    orientation = 1
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError(f"no marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF:  # Fill byte.
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # Markers without a segment.
            at += 2
            continue
        if marker in (0xDA, 0xD9):  # Start of the pixels, or end of the file.
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
        elif marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _exif_orientation(data[at + 10 : at + 2 + length])
        at += 2 + max(length, 2)
    # Inside the pixels 0xFF is always followed by 0x00 or a restart marker, so the first end
    # marker after their start is that of this picture, whatever follows in the file.
    return ImageHeader("JPEG", width, height, orientation, truncated=data.find(b"\xff\xd9", at) < 0)


def _png(data: bytes) -> ImageHeader:
    width, height, _, color = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR":
        raise ValueError("its first chunk is not IHDR")
    alpha = color in (4, 6)
    orientation = 1
    at = 8
    truncated = True
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            truncated = False
            break
        if kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    return ImageHeader("PNG", width, height, orientation, alpha, truncated=truncated)


def _webp(data: bytes) -> ImageHeader:
    width = height = 0
    orientation = 1
    alpha = False
    (size,) = struct.unpack_from("<I", data, 4)
    at = 12
    while at + 8 <= min(len(data), size + 8):
        kind = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        body = at + 8
        if kind == b"VP8X":
            alpha = bool(data[body] & 0x10)
            width = 1 + int.from_bytes(data[body + 4 : body + 7], "little")
            height = 1 + int.from_bytes(data[body + 7 : body + 10], "little")
        elif kind == b"VP8 " and not width:
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L" and not width:
            (bits,) = struct.unpack_from("<I", data, body + 1)
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
            alpha = bool(bits >> 28 & 1)
        elif kind == b"EXIF":
            exif = data[body : body + length]
            orientation = _exif_orientation(exif.removeprefix(b"Exif\0\0"))
        at = body + length + length % 2
    return ImageHeader("WebP", width, height, orientation, alpha, truncated=len(data) < size + 8)


def _bmp(data: bytes) -> ImageHeader:
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
    return ImageHeader("BMP", width, height, alpha=alpha, truncated=len(data) < end)


def _tiff(data: bytes) -> ImageHeader:
    tags = _ifd(data)
    width, height = tags.get(256, [0])[0], tags.get(257, [0])[0]
    extra = tags.get(338, [0])[0]
    deep = tags.get(258, [1])[0] > 8
    # Strips (273, 279) or tiles (324, 325): where each begins, and its bytes.
    ends = [
        offset + count
        for starts, counts in ((273, 279), (324, 325))
        for offset, count in zip(tags.get(starts, ()), tags.get(counts, ()), strict=False)
    ]
    # No orientation: OpenCV rotates a TIFF upright itself, whatever the flags.
    return ImageHeader(
        "TIFF",
        width,
        height,
        alpha=extra in (1, 2),
        premultiplied=extra == 1 or not deep,
        truncated=max(ends, default=0) > len(data),
    )


_TIFF_TYPES: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Types of TIFF tags that are unsigned integers, and their struct formats."""


def _ifd(data: bytes, *, tolerant: bool = False) -> dict[int, list[int]]:
    """The unsigned integer tags of the first directory of a TIFF, BigTIFF or EXIF block.

    A ``tolerant`` call skips tags that lead out of the block, as makers' notes often do.
    """
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    big = version == 43
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at += 8 if big else 2
    step, room, number = (20, 8, "Q") if big else (12, 4, "I")
    tags: dict[int, list[int]] = {}
    for _ in range(entries):
        if tolerant and at + step > len(data):
            break
        tag, kind, count = struct.unpack_from(order + "HH" + number, data, at)
        if kind in _TIFF_TYPES:
            values = at + step - room
            size = struct.calcsize("=" + _TIFF_TYPES[kind])
            if count * size > room:
                (values,) = struct.unpack_from(order + number, data, values)
            if values + count * size <= len(data):  # Before unpack allocates memory.
                form = f"{order}{count}{_TIFF_TYPES[kind]}"
                tags[tag] = list(struct.unpack_from(form, data, values))
            elif not tolerant:
                raise IndexError
        at += step
    return tags


def _exif_orientation(exif: bytes) -> int:
    """Orientation in an EXIF block; 1 if it has none or is damaged."""
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        value = (_ifd(exif, tolerant=True).get(274) or [1])[0]
    except _CUT:
        return 1
    return value if 1 <= value <= 8 else 1


def _describe(head: bytes) -> str:
    """Name the kind of a file of an unsupported format, for messages."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"):
            kind = "AVIF" if brand.startswith(b"avi") else "HEIC"
            return f"this is a {kind} picture, save it as JPEG or PNG first"
        return "this is a video, use fastfer video"
    for magic, answer in (
        (b"GIF8", "this is a GIF, save a frame as PNG first or use fastfer video"),
        (b"RIFF", "this is a RIFF file but not WebP, probably audio or video"),
        (b"\x1a\x45\xdf\xa3", "this is a video, use fastfer video"),
        (b"%PDF", "this is a PDF, save its pages as pictures first"),
        (b"8BPS", "this is a Photoshop file, save it as PNG first"),
        (b"\0\0\0\x0cjP  ", "this is a JPEG 2000 picture, save it as JPEG or PNG first"),
        (b"\xff\x0a", "this is a JPEG XL picture, save it as JPEG or PNG first"),
    ):
        if head.startswith(magic):
            return answer
    if not any(head):
        return "the file holds only zeros"
    try:  # Incremental: the last character may be incomplete.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return "this is not a picture"
    if all(c.isprintable() or c.isspace() for c in text):
        return f"this is text, not a picture, beginning with {text[:24]!r}"
    return "this is not a picture"


_PARSERS: Final[dict[bytes, tuple[str, Callable[[bytes], ImageHeader]]]] = {
    b"\xff\xd8\xff": ("JPEG", _jpeg),
    b"\x89PNG\r\n\x1a\n": ("PNG", _png),
    b"RIFF": ("WebP", _webp),
    b"BM": ("BMP", _bmp),
    b"II*\0": ("TIFF", _tiff),
    b"MM\0*": ("TIFF", _tiff),
    b"II+\0": ("TIFF", _tiff),
    b"MM\0+": ("TIFF", _tiff),
}
"""Magic number of a format, its name, and its header parser."""
