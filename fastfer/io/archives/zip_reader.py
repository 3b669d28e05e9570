"""Members of zip archives, unpacked in small steps; see :mod:`fastfer.io.archives.unpacked`."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from fastfer.io.archives.unpacked import Decompressor, decompressor, unpack

_CHUNK: Final = 1 << 20
_BLOCK: Final = 16 << 10
_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")
_UNKNOWN_SIZE: Final = b"\xff" * 8


def member_chunks(path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member of the archive at ``path``.

    Raises:
        zipfile.BadZipFile: it is damaged.
        tarfile.TarError: its compressed data are.
        MemoryError: unpacking it takes too much.
        RuntimeError: it needs a password, or is packed in a way that Python cannot read.
    """
    if info.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA) or info.flag_bits & 1:
        with archive.open(info) as file:  # Which unpacks the others in small steps.
            while chunk := file.read(_CHUNK):
                yield chunk
        return
    checksum, left = 0, info.file_size
    with open(path, "rb") as raw:  # noqa: PTH123 - the archive, a second time.
        for chunk in _unpacked(raw, info):
            part = chunk[:left]
            left -= len(part)
            checksum = zlib.crc32(part, checksum)
            yield part
            if not left:
                break
    if left or checksum != info.CRC:
        raise zipfile.BadZipFile(f"{info.filename} is damaged")


def _unpacked(raw: BinaryIO, info: zipfile.ZipInfo) -> Iterator[bytes]:
    raw.seek(info.header_offset)
    header = raw.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
        raise zipfile.BadZipFile(f"{info.filename} has no header")
    *_, name, extra = _LOCAL_HEADER.unpack(header)
    raw.seek(name + extra, 1)
    left = info.compress_size
    data = b""
    stream: Decompressor
    if info.compress_type == zipfile.ZIP_LZMA:
        beginning = raw.read(min(9, left))  # Version, and size of the properties, which is 5.
        left -= len(beginning)
        stream = decompressor("xz", format=_lzma_alone())
        data = beginning[4:] + _UNKNOWN_SIZE
    else:
        stream = decompressor("bz2")
    while not stream.eof:
        if stream.needs_input and not data:
            data = raw.read(min(_BLOCK, left))
            left -= len(data)
            if not data:
                return
        yield unpack(stream, data, _CHUNK)
        data = b""


def _lzma_alone() -> int:
    try:
        import lzma
    except ImportError:
        return 0  # Creating the decompressor gives the reason.
    return lzma.FORMAT_ALONE
