"""A decoded frame whose planes another process has written, in memory that both share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame as AvFrame
from numpy.typing import NDArray

SHARED_BYTES: Final = 128 << 20
"""Memory that is shared for the frames of a video; three of them, if these are more."""


class FrameLayout(NamedTuple):
    """How the planes of a frame lie in memory, one after the other."""

    format: str
    """FFmpeg's name of the pixel format."""
    width: int
    height: int
    line_sizes: tuple[int, ...]
    """Bytes from one row to the next, of each plane."""
    colors: tuple[int, int, int, int]
    """FFmpeg's numbers of range, colour space, primaries and transfer function."""

    def shapes(self) -> list[tuple[int, int]]:
        """Rows and bytes of a row of each plane.

        Raises:
            ValueError: the layout is not that of a frame.
        """
        planes = _planes(self.format, self.width, self.height)
        if len(planes) != len(self.line_sizes):
            raise ValueError(self)
        for (_, used), size in zip(planes, self.line_sizes, strict=True):
            if not used <= size <= 2 * used + 4096:
                raise ValueError(self)
        return [(rows, size) for (rows, _), size in zip(planes, self.line_sizes, strict=True)]


@lru_cache(maxsize=16)
def _planes(name: str, width: int, height: int) -> list[tuple[int, int]]:
    """Rows of each plane, and the bytes of a row that hold pixels."""
    planes: dict[int, tuple[int, int]] = {}
    for part in VideoFormat(name, width, height).components:
        rows, used = planes.get(part.plane, (part.height, 0))
        planes[part.plane] = rows, used + part.width * ((part.bits + 7) // 8)
    return [planes[i] for i in sorted(planes)]


class StoredPlane(np.ndarray[Any, np.dtype[np.uint8]]):  # NDArray is no class since NumPy 2.5
    """One plane, as those of PyAV's frames are read."""

    @property
    def line_size(self) -> int:
        """Bytes from one row to the next."""
        return int(self.shape[1])


class _Format(NamedTuple):
    name: str


class StoredFrame:
    """Has the attributes of PyAV's frames that a picture needs."""

    __slots__ = ("_layout", "color_range", "format", "height", "planes", "width")

    def __init__(self, layout: FrameLayout, pixels: NDArray[np.uint8]) -> None:
        """Take the planes from the beginning of ``pixels``, without a copy.

        Raises:
            ValueError: they do not fit.
        """
        self._layout = layout
        self.format = _Format(layout.format)
        self.width = layout.width
        self.height = layout.height
        self.color_range = layout.colors[0]
        planes, begin = [], 0
        for rows, size in layout.shapes():
            plane: Any = pixels[begin : begin + rows * size].reshape(rows, size)
            planes.append(plane.view(StoredPlane))
            begin += rows * size
        self.planes: tuple[StoredPlane, ...] = tuple(planes)

    def restored(self) -> AvFrame:
        """A copy as a frame of PyAV.

        It lacks the position of the chroma samples, which PyAV does not know: of more than 8 bits
        per channel, colours may differ from those of the original by some levels at sharp edges.
        """
        frame: Any = AvFrame(self.width, self.height, self.format.name)
        for source, target in zip(self.planes, frame.planes, strict=True):
            pixels = np.frombuffer(target, np.uint8).reshape(target.height, target.line_size)
            used = min(pixels.shape[1], source.shape[1])
            pixels[:, :used] = source[:, :used]
        frame.color_range, frame.colorspace = self._layout.colors[:2]
        frame.color_primaries, frame.color_trc = self._layout.colors[2:]
        return frame  # type: ignore[no-any-return]
