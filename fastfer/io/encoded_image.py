"""The bytes of a picture file together with its parsed header, and how to decode them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fastfer.errors import InputError, UsageError
from fastfer.forking import using_opencv
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.decode_pixels import (
    decode_without_end,
    imdecode,
    is_whole,
    on_white,
    rotate_upright,
)
from fastfer.io.image_headers import SNIFF, read_header, sniff
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.validation import check_path, check_type

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]

_CHUNK: Final = 4 << 20
REDUCE_FROM: Final = 3_000_000
"""Pixels from which a JPEG is also decoded at reduced size for detection."""

ANNOTATED_MARK: Final = b"\nannotated by fastfer\n"
"""Last bytes of annotated copies, which all decoders ignore: by them a later run neither reads its
own copies nor overwrites other files."""

IN_MEMORY: Final = "picture in memory"
"""Name of a picture that came as bytes."""


class EncodedImage:
    """A picture file in memory. Its header is parsed once, before any pixel is decoded."""

    __slots__ = ("data", "header", "limits", "name", "warning")

    def __init__(
        self, data: bytes, name: str = IN_MEMORY, limits: FileLimits = DEFAULT_LIMITS
    ) -> None:
        """Parse the header of ``data``.

        Args:
            data: bytes of a file.
            name: its path or description, for messages.
            limits: what decoding may cost.

        Raises:
            InputError: empty, damaged, truncated inside its header, or an unsupported format.
        """
        limits.check_bytes(name, len(data))
        self.data = data
        self.name = name
        self.limits = limits
        self.header = read_header(data, name)
        self.warning: str | None = None
        """What is wrong with the file, although :meth:`decode` could read it."""

    @classmethod
    def from_stream(
        cls, file: BinaryIO, name: str, limits: FileLimits = DEFAULT_LIMITS
    ) -> EncodedImage:
        """Read ``file`` to its end, provided that it begins like a picture and is not too large.

        Raises:
            InputError: it cannot be read, or as the constructor.
        """
        try:
            head = file.read(SNIFF)
            sniff(head, name)  # Before a large file of another kind is read.
            rest = read_up_to(file, limits.bytes + 1 - len(head))
        except (OSError, MemoryError) as error:
            raise unreadable(name, error) from None
        return cls(head + rest, name, limits)

    @classmethod
    def read(
        cls,
        source: str | os.PathLike[str] | bytes | bytearray | memoryview,
        limits: FileLimits = DEFAULT_LIMITS,
        *,
        pipes: bool = False,
    ) -> EncodedImage:
        """Read the file at path ``source``, or take ``source`` as the bytes of one.

        A named pipe, device or socket is refused unless ``pipes`` is set: opening one may wait for
        ever. Those of a shell, ``<(command)``, are always read.

        Raises:
            InputError: the file cannot be read, or as the constructor.
            UsageError: ``source`` is neither, or ``limits`` no :class:`FileLimits`
                (``out_of_range``).
        """
        check_type(limits=(limits, FileLimits))
        if isinstance(source, (bytes, bytearray, memoryview)):
            limits.check_bytes(IN_MEMORY, memoryview(source).nbytes)
            return cls(bytes(source), limits=limits)
        if hasattr(source, "read"):
            raise UsageError(
                f"source must be a path or the bytes of a file; got {type(source).__name__}; pass "
                "the bytes that its read() returns",
                code="out_of_range",
            )
        check_path(source=source)
        path = os.fspath(source)
        name = hide_passwords(path)
        try:
            pipes = pipes or path.startswith(_DEVICES)
            with _open(path, wait=pipes) as file:
                status = os.fstat(file.fileno())
                if stat.S_ISREG(status.st_mode):
                    limits.check_bytes(name, status.st_size)
                elif not pipes:
                    raise InputError(
                        f"{name}: not a file but a pipe, socket or device; read it with "
                        "fastfer image - < PATH"
                    )
                return cls.from_stream(file, name, limits)
        except FileNotFoundError:
            if scheme(path):
                raise InputError(
                    f"{name}: is an address, not a file; download the photo first, as in "
                    "curl -s ADDRESS | fastfer image -",
                    code="not_found",
                ) from None
            raise InputError(f"{name or repr(name)}: no such file", code="not_found") from None
        except IsADirectoryError:
            raise InputError(f"{name}: this is a directory", code="is_directory") from None
        except (OSError, ValueError) as error:  # ValueError: a null byte inside the name.
            raise unreadable(name, error) from None

    @property
    def is_annotated(self) -> bool:
        """Whether fastfer wrote this file, as the annotated copy of a photo."""
        return self.data.endswith(ANNOTATED_MARK)

    def reduction(self, min_side: int) -> int:
        """The factor, 2, 4 or 8, by which to reduce the copy that a detector searches.

        1 means that the detector searches the picture itself: it is small, not a JPEG, refused by
        :meth:`decode`, or ``min_side`` is 0.

        Args:
            min_side: smallest allowed long side of the copy, in pixels.
        """
        header = self.header
        if header.format != "JPEG" or header.truncated or not min_side:
            return 1
        if not REDUCE_FROM <= header.width * header.height <= self.limits.pixels:
            return 1
        side = max(header.width, header.height)
        return next((factor for factor in (8, 4, 2) if side >= factor * min_side), 1)

    @using_opencv()
    def decode(self) -> Frame:
        """Decode the whole picture; see :func:`fastfer.io.photos.read_image`.

        Returns:
            uint8 (H, W, 3), blue-green-red, upright, C-contiguous.

        Raises:
            InputError: over a limit, truncated, or not decodable.
        """
        import cv2
        import numpy as np

        name, header = self.name, self.header
        self._check()
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        if header.alpha:
            flags = cv2.IMREAD_UNCHANGED
        try:
            frame = self._pixels(flags)
            if frame is None:
                raise self._damaged("its pixels cannot be decoded")
            if frame.shape[:2] != (header.height, header.width):
                raise self._damaged(f"its decoder finds {frame.shape[1]} x {frame.shape[0]} pixels")
            if frame.dtype not in (np.uint8, np.uint16):
                raise InputError(
                    f"{name}: {header.format} with {frame.dtype} samples; fastfer reads 8 and 16 "
                    "bits per channel: open it in another program and save it as JPEG or PNG",
                    code="unsupported_format",
                )
            if header.alpha:
                frame = on_white(frame, premultiplied=header.premultiplied)
            return rotate_upright(frame, header.orientation)
        except MemoryError:
            raise self._too_large() from None
        except cv2.error as error:
            if getattr(error, "code", None) == cv2.Error.StsNoMem:
                raise self._too_large() from None
            raise self._damaged(f"its decoder says: {str(error).strip()}") from None

    def _pixels(self, flags: int) -> Any:
        """What OpenCV makes of the parts of the file that the parser understood."""
        header = self.header
        data = header.decodable(self.data)
        if not header.truncated:
            view = memoryview(self.data)
            for start, length, size in zip(*header.pieces, strict=False):
                if length < size and not header.deflated:
                    raise self._damaged("a strip or tile is too short")
                if header.deflated and not is_whole(view[start : start + length], size):
                    raise self._damaged("a strip or tile cannot be unpacked")
            return imdecode(data, flags)
        frame = decode_without_end(data, flags) if header.format == "JPEG" else None
        if frame is None:
            raise InputError(
                f"{self.name}: truncated {header.format}: {len(self.data)} bytes, the end of the "
                "picture is missing; copy or download the file again",
                code="truncated",
            )
        self.warning = "the file lacks its end marker; all pixels are there"
        return frame

    @using_opencv()
    def decode_reduced(self, factor: int, *, gray: bool = False) -> Frame | None:
        """Decode a JPEG at 1/``factor`` of its size, as :meth:`reduction` returned it.

        ``gray`` skips the colour channels, which saves a seventh of the time. ``None`` if OpenCV
        cannot decode it; :meth:`decode` then raises the error that explains why.
        """
        import cv2

        color = {
            1: cv2.IMREAD_COLOR,
            2: cv2.IMREAD_REDUCED_COLOR_2,
            4: cv2.IMREAD_REDUCED_COLOR_4,
            8: cv2.IMREAD_REDUCED_COLOR_8,
        }
        flags = color[factor] & ~cv2.IMREAD_COLOR if gray else color[factor]
        try:
            frame = imdecode(
                self.header.decodable(self.data), flags | cv2.IMREAD_IGNORE_ORIENTATION
            )
        except (cv2.error, MemoryError):
            return None
        return None if frame is None else rotate_upright(frame, self.header.orientation)

    def decode_gray(self) -> Frame | None:
        """Decode a large JPEG without its colour channels, in half of the time.

        ``None`` for other pictures, and for those that :meth:`decode` refuses or cannot decode. The
        pixels differ from those of the colour picture in gray by rounding.

        Raises:
            InputError: over a limit.
        """
        if self.reduction(1) == 1:
            return None
        self._check()
        return self.decode_reduced(1, gray=True)

    @property
    def memory(self) -> int:
        """Bytes that decoding takes at most, this object's included."""
        header = self.header
        pixels = header.width * header.height
        decoded = header.pixel_bytes * pixels
        steps = (
            header.scratch + decoded,
            2 * decoded,  # OpenCV's result is copied for Python.
            (decoded + 3 * pixels) * header.alpha,
            6 * pixels * (header.orientation > 1),
            3 * decoded * header.truncated,  # Decoded twice, if it is a JPEG.
        )
        return 2 * len(self.data) + max(steps)

    def _check(self) -> None:
        """Refuse what must not reach the decoder."""
        self.limits.check_picture(self.name, self.header.width, self.header.height)
        self.limits.check_memory(self.name, self.memory)

    def _damaged(self, reason: str) -> InputError:
        return InputError(
            f"{self.name}: damaged {self.header.format}: {reason}; open it in another program and "
            "save it as JPEG or PNG",
            code="damaged",
        )

    def _too_large(self) -> InputError:
        header = self.header
        return InputError(
            f"{self.name}: {header.format} of {header.width} x {header.height} pixels: memory is "
            "too short to decode it",
            code="too_much_memory",
        )


def read_up_to(file: BinaryIO, most: int) -> bytes:
    """The rest of ``file``, at most ``most`` bytes. ``read`` would claim memory for all of them."""
    parts = []
    while most > 0 and (part := file.read(min(most, _CHUNK))):
        parts.append(part)
        most -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def unreadable(name: str, error: Exception) -> InputError:
    """The error to raise for ``error``, which occurred while reading ``name``."""
    if isinstance(error, MemoryError):
        return InputError(
            f"{name}: memory is too short to read it; close other programs, or raise the limit of "
            "this process (ulimit -v, or that of its container)",
            code="too_much_memory",
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InputError(f"{name}: cannot be read: {reason}")


_DEVICES: Final = ("/dev/", "/proc/")
"""Where a path may lead to a pipe or device: ``<(command)`` of a shell is ``/dev/fd/63``."""


def _open(path: str, *, wait: bool) -> BinaryIO:
    """Open ``path`` for reading; of a named pipe, ``wait`` for the writer."""
    if wait or not hasattr(os, "O_NONBLOCK"):
        return Path(path).open("rb")
    return open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK))
