"""Whether the clock of a transport stream runs through the whole file.

Recordings may be joined byte by byte; the clock then begins again, and a time stamp is found at
several places. FFmpeg seeks in a transport stream by its time stamps.
"""

from __future__ import annotations

import os
from typing import BinaryIO, Final

_SIZES: Final = (188, 192, 204)
"""Bytes of a packet: plain, with a time code, with error correction."""
_SYNC: Final = 0x47
_SAMPLES: Final = 64
_WINDOW: Final = 1 << 18
"""Bytes in which to look for a time: a tenth of a second of 20 Mbit/s."""
_WRAP: Final = 1 << 33
"""Values of the clock."""


def can_be_sought(kind: str, file: BinaryIO) -> bool:
    """Whether seeking in ``file``, of FFmpeg's format ``kind``, leads to the times that reading
    would."""
    return file.seekable() and (kind != "mpegts" or has_one_clock(file))


def has_one_clock(file: BinaryIO) -> bool:
    """Whether samples of the clock increase from the beginning to the end of ``file``."""
    position = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        step = max(_WINDOW, size // _SAMPLES)
        program: int | None = None
        last: int | None = None
        for begin in range(0, size, step):
            file.seek(begin)
            found = _clock(file.read(_WINDOW), program)
            for number, now in found:
                if last is not None and (now - last) % _WRAP > _WRAP // 2:
                    return False
                program, last = number, now
        return True
    finally:
        file.seek(position)


def _clock(data: bytes, program: int | None) -> list[tuple[int, int]]:
    """Number of the program and time of each packet that states it; of one program."""
    for size in _SIZES:
        for begin in range(size):
            if data[begin : begin + 4 * size : size] == bytes([_SYNC] * 4):
                return _times(data, begin, size, program)
    return []


def _times(data: bytes, begin: int, size: int, program: int | None) -> list[tuple[int, int]]:
    found = []
    for at in range(begin, len(data) - 11, size):
        if data[at] != _SYNC or not data[at + 3] & 0x20 or not data[at + 4]:
            continue
        number = int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF
        if data[at + 5] & 0x10 and program in (None, number):
            program = number
            found.append((number, int.from_bytes(data[at + 6 : at + 11], "big") >> 7))
    return found
