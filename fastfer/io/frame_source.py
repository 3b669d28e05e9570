"""The protocol of frame sources, and a source of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastfer import forking
from fastfer.errors import FrameError, InputError
from fastfer.kernels.pack import check_frame
from fastfer.validation import is_number

Frame = NDArray[np.uint8]


MAX_RATE: Final = 120.0
"""Highest nominal frames per second that are believed. Browsers write 1000 and some cameras report
90000, units of their clock; such a rate is measured by the times of the frames."""


class Plane(NamedTuple):
    """Pixels with the scale of their levels: gray is ``pixels * scale + bias``, clipped to 0 to
    255. Crops are scaled while they are made, so that no whole frame has to be."""

    pixels: Frame
    """(H, W), rows contiguous; or (H, W, 3) BGR with scale 1 and bias 0."""
    scale: float = 1.0
    bias: float = 0.0


class Picture(Protocol):
    """A picture that is converted only as far as it is needed."""

    @property
    def plane(self) -> Plane:
        """The pixels as they were decoded, upright."""

    @property
    def gray(self) -> Frame:
        """(H, W)."""

    @property
    def image(self) -> Frame:
        """(H, W, 3) BGR."""

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""


def check_time(name: str, seconds: Any, last: float) -> float:
    """``seconds`` as a float.

    Raises:
        FrameError: it is not a finite number, or less than ``last``.
    """
    try:
        value = float(seconds) if is_number(seconds) else math.nan
    except OverflowError:
        value = math.inf
    if not (math.isfinite(value) and value >= last):
        limit = "" if last == -math.inf else f", {last:g} or more"
        raise FrameError(f"{name} must be a finite number of seconds{limit}; got {seconds!r}")
    return value


class VideoFrame:
    """One frame of a video and its time."""

    __slots__ = ("_picture", "index", "pts")

    index: int
    """Number of the frame in its source, from 0; a live source counts dropped frames too."""
    pts: float
    """Presentation time in seconds on the clock of a player, which starts at 0; strictly
    increasing. Of arrays, pictures and live sources: seconds since the first frame."""

    def __init__(self, image: Frame | Picture, index: int, pts: float) -> None:
        """``image``: uint8 (H, W, 3) BGR or (H, W) gray, upright; or a decoded picture."""
        self._picture = image
        self.index = index
        self.pts = pts

    def __repr__(self) -> str:
        width, height = self.size
        return f"<VideoFrame {self.index} at {self.pts:.3f} s, {width} x {height}>"

    @property
    def image(self) -> Frame:
        """uint8 (H, W, 3) BGR or (H, W) gray, upright, in square pixels. The frame of a video is
        converted to BGR when this is first read."""
        return self._picture if isinstance(self._picture, np.ndarray) else self._picture.image

    @property
    def pixels(self) -> Frame:
        """What is analysed: the luma (H, W) of a video, otherwise :attr:`image`."""
        return self._picture if isinstance(self._picture, np.ndarray) else self._picture.gray

    @property
    def plane(self) -> Plane:
        """:attr:`pixels` before their levels are scaled."""
        picture = self._picture
        return Plane(picture) if isinstance(picture, np.ndarray) else picture.plane

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.plane.pixels.shape[:2]
        return width, height

    @property
    def nbytes(self) -> int:
        """Memory that the frame holds."""
        return self._picture.nbytes


@runtime_checkable
class FrameSource(Protocol):
    """An iterable of frames with a description of where they come from. Close it after use."""

    name: str
    """Path, URL without password, or device, for messages."""
    live: bool
    """Whether frames arrive in real time: late ones are dropped, and none can be read ahead."""
    fps: float
    """Nominal frames per second; times come from :attr:`VideoFrame.pts`, never from this."""
    count: int | None
    """Approximate number of frames, if known."""
    dropped: int
    """Frames of a live source that were dropped so far."""
    notes: list[str]
    """Events for the user, such as reconnections; the reader removes what it has shown."""

    def __iter__(self) -> Iterator[VideoFrame]: ...

    def close(self) -> None:
        """Release the device or file. Repeated calls have no effect."""


def opened_before_fork(name: str) -> InputError:
    """The error of iterating in a child process the source ``name`` of its parent."""
    return InputError(
        f"{name}: was opened before os.fork(); open it in the child process",
        code="source_unavailable",
    )


class InheritedSource(FrameSource):
    """Takes the place of a source that was open when the process forked; raises an error."""

    def __init__(self, source: FrameSource) -> None:
        self.name = source.name
        self.live = source.live
        self.fps = source.fps
        self.count = source.count
        self.dropped = 0
        self.notes = []
        forking.keep_forever(source)

    def __iter__(self) -> Iterator[VideoFrame]:
        raise opened_before_fork(self.name)

    def close(self) -> None:
        """Do nothing: the parent closes the source."""


class ArraySource:
    """Frames from an iterable of arrays, or of pairs (seconds, array)."""

    live = False
    dropped = 0

    def __init__(
        self, frames: Iterable[Frame | tuple[float, Frame]], fps: float, name: str = "arrays"
    ) -> None:
        """Wrap ``frames``; ``fps`` sets the times of bare arrays, a pair has its own."""
        self.name = name
        self.fps = fps
        self.count = len(frames) if isinstance(frames, Sized) else None
        self.notes: list[str] = []
        self._frames = frames

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames.

        Raises:
            FrameError: an unsupported array, or a time that is not finite or less than the last.
        """
        last = -math.inf
        for index, item in enumerate(self._frames):
            if isinstance(item, tuple) and len(item) != 2:
                raise FrameError(
                    f"frame {index}: expected an array or a pair (seconds, array); got a tuple of "
                    f"{len(item)}"
                )
            pts, image = item if isinstance(item, tuple) else (index / self.fps, item)
            check_frame(image, f"frame {index}")
            if not isinstance(self._frames, Sequence):
                # A generator may reuse one buffer, while the pipeline holds several frames.
                image = image.copy()
            last = check_time(f"frame {index}: time", pts, last)
            yield VideoFrame(image, index, last)

    def close(self) -> None:
        """Do nothing: no resource is held."""
