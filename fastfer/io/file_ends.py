"""Whether a video file was cut, for containers that state no duration but mark their end."""

from __future__ import annotations

import os
from typing import BinaryIO, Final

_TS_PACKETS: Final = (188, 192, 204)
"""Bytes of a packet of a transport stream: plain, with a time code, with error correction."""
_ASF_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""GUID of the object that states the size of the file."""
_OGG_END: Final = 4
"""Flag of the last page of a stream."""
_TAIL: Final = 1 << 16
"""An Ogg page is not longer."""


def is_cut(kind: str, file: BinaryIO, last_packet: int | None) -> bool:
    """Whether ``file`` ends where its format does not; False if that cannot be known.

    Args:
        kind: FFmpeg's name of the container.
        file: opened; its position changes.
        last_packet: where in the file the last packet begins that was read.
    """
    if not file.seekable():
        return False
    size = file.seek(0, os.SEEK_END)
    if kind == "mpegts":
        return last_packet is not None and all((size - last_packet) % n for n in _TS_PACKETS)
    if kind == "asf":
        return size < _asf_size(_read(file, 0))
    tail = _read(file, max(0, size - _TAIL))
    if kind == "gif":
        return not tail.rstrip(b"\0").endswith(b";")
    page = tail.rfind(b"OggS", 0, -1)
    return kind == "ogg" and page >= 0 and not int.from_bytes(tail[page + 5 : page + 6]) & _OGG_END


def _asf_size(header: bytes) -> int:
    """The stated size of a file, 0 of a broadcast."""
    at = header.find(_ASF_PROPERTIES)
    size, flags = header[at + 40 : at + 48], header[at + 88 : at + 92]
    broadcast = at < 0 or int.from_bytes(flags, "little") & 1
    return 0 if broadcast else int.from_bytes(size, "little")


def _read(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read(_TAIL)
