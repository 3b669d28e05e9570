"""Clips of few bytes whose decoding takes gigabytes."""

from __future__ import annotations

import struct
from pathlib import Path

import av

from tests.helpers.movies import levels, write_movie

# FFmpeg 9 compares the number of samples with the size of the file.
INDEX_BOMB_CODE = (
    "unsupported_format" if av.library_versions["libavformat"] >= (63,) else "too_much_memory"
)
"""What becomes of an index bomb where memory is limited."""


def index_bomb(clip: Path, samples: int) -> bytes:
    """A file of 2 kB whose index says that a fragment holds this many samples, of 40 bytes of
    memory each."""
    fragmented = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    data = bytearray(write_movie(clip, levels(3), options=fragmented).read_bytes())
    at = data.index(b"trun") + 4
    data[at : at + 8] = struct.pack(">II", 1, samples)  # No size or time of each.
    return bytes(data)


def gif_bomb(side: int) -> bytes:
    """An animation of two frames of ``side`` squared pixels in 60 bytes."""
    frame = b"\x21\xf9\x04\x04\x0a\0\0\0\x2c" + struct.pack("<4H", 0, 0, side, side)
    frame += b"\0\x02\x02\x44\x01\0"
    screen = struct.pack("<2H", side, side) + b"\x80\0\0"
    return b"GIF89a" + screen + b"\0\0\0\xff\xff\xff" + 2 * frame + b";"
