"""The budget of one input file: pixels, bytes, memory and seconds.

One object for the commands ``image``, ``video`` and ``batch``, the server and the library. A file
that needs more is refused with an :class:`~fastfer.errors.InputError`; the message names the option
that raises the limit.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields
from typing import Final

from fastfer.errors import InputError
from fastfer.validation import check_integer, check_positive

_HIGHEST: Final = 1 << 48


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What reading one file may cost.

    Raises:
        UsageError: a limit that is not a number above 0 (``out_of_range``).
    """

    pixels: int = 200_000_000
    """Pixels of a picture: 600 MB once decoded, twice that while it is decoded."""
    frame_pixels: int = 40_000_000
    """Pixels of a video frame; 8K is 35 million. A decoder holds a dozen frames at once."""
    bytes: int = 1_000_000_000
    """Size of a picture file, which is read into memory, and of a video in an archive or an
    object store, which is copied to a temporary file. Other videos are read piece by piece."""
    memory: int = 2_500_000_000
    """Bytes that decoding one picture may take, its file included: enough for all pictures of
    :attr:`pixels` but those with 16 bits per channel and transparency, which may have 150 million.
    Computed from the header before decoding; a decoder process
    (:mod:`fastfer.io.isolated_decoder`, :mod:`fastfer.io.isolated_video`) is also held to it."""
    seconds: float = 60.0
    """Time to decode one picture or the next frame. Only a decoder process can be stopped when it
    is over."""

    def __post_init__(self) -> None:
        check_positive(seconds=self.seconds)
        for field in fields(self):
            if field.name != "seconds":
                check_integer(**{field.name: (getattr(self, field.name), 1, _HIGHEST)})

    def check_picture(self, name: str, width: int, height: int) -> None:
        """Refuse a picture of too many pixels.

        Raises:
            InputError: code ``too_many_pixels``.
        """
        _check_pixels(name, width, height, self.pixels, "--max-pixels")

    def check_frame(self, name: str, width: int, height: int) -> None:
        """Refuse a video whose frames have too many pixels.

        Raises:
            InputError: code ``too_many_pixels``.
        """
        _check_pixels(name, width, height, self.frame_pixels, "--max-frame-pixels")

    def check_bytes(self, name: str, size: int) -> None:
        """Refuse a picture file of too many bytes.

        Raises:
            InputError: code ``too_many_bytes``.
        """
        if size > self.bytes:
            raise InputError(
                f"{name}: more than {self.bytes:,} bytes; if you trust the file, raise the limit "
                f"with --max-bytes",
                code="too_many_bytes",
            )

    def check_memory(self, name: str, size: int) -> None:
        """Refuse a picture that takes ``size`` bytes of memory to decode.

        Raises:
            InputError: code ``too_much_memory``.
        """
        if size > self.memory:
            raise InputError(
                f"{name}: decoding takes {size / 1e9:.1f} GB of memory, over the limit of "
                f"{self.memory / 1e9:.1f} GB; if you trust the file, raise it with --max-memory",
                code="too_much_memory",
            )

    def limit_opencv(self) -> None:
        """Let OpenCV refuse pictures of more than :attr:`pixels` too, by its own reading of the
        header; for processes of fastfer, before they import OpenCV.

        OpenCV reads this limit when it is loaded. It then holds for the whole process, so that the
        library never sets it.
        """
        if "cv2" not in sys.modules:
            os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(self.pixels)


DEFAULT_LIMITS: Final = FileLimits()
"""The limits of every command and function that is given no others."""


def _check_pixels(name: str, width: int, height: int, limit: int, option: str) -> None:
    pixels = width * height
    if pixels > limit:
        raise InputError(
            f"{name}: {width} x {height} is {pixels:,} pixels, over the limit of {limit:,}; if you "
            f"trust the file, raise it with {option} {pixels}",
            code="too_many_pixels",
        )
