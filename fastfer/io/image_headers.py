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
from typing import Final

from fastfer.errors import InputError
from fastfer.io.picture_formats.bmp import parse_bmp
from fastfer.io.picture_formats.header import CUT, ImageHeader
from fastfer.io.picture_formats.jpeg import parse_jpeg
from fastfer.io.picture_formats.png import parse_png
from fastfer.io.picture_formats.tiff import parse_tiff
from fastfer.io.picture_formats.webp import parse_webp

READABLE: Final = "JPEG, PNG, WebP, BMP and TIFF"
"""Formats that fastfer reads, for messages."""
SNIFF: Final = 64
"""Bytes that suffice to identify a format."""


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
    except (struct.error, *CUT):
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
        page = text.lstrip().lower().startswith(("<!doctype html", "<html"))
        return f"this is text{' (a web page)' if page else ''}, not a picture"
    return "this is not a picture"


_PARSERS: Final[dict[bytes, tuple[str, Callable[[bytes], ImageHeader]]]] = {
    b"\xff\xd8\xff": ("JPEG", parse_jpeg),
    b"\x89PNG\r\n\x1a\n": ("PNG", parse_png),
    b"RIFF": ("WebP", parse_webp),
    b"BM": ("BMP", parse_bmp),
    b"II*\0": ("TIFF", parse_tiff),
    b"MM\0*": ("TIFF", parse_tiff),
    b"II+\0": ("TIFF", parse_tiff),
    b"MM\0+": ("TIFF", parse_tiff),
}
"""Magic number of a format, its name, and its header parser."""
