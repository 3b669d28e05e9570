"""What every source of frames gives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import FrameError
from fastfer.validation import is_number

Frame = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture and its place in time."""

    image: Frame
    """uint8 (H, W, 3) blue-green-red or (H, W) gray, upright."""
    index: int
    """Number of the frame in its source, from 0; a live source counts dropped frames too."""
    pts: float
    """Presentation time in seconds since the first frame; it grows from frame to frame."""


class FrameSource(Protocol):
    """An iterator of frames that knows what it reads. Close it when done."""

    name: str
    """As the user would call it, for messages."""
    live: bool
    """Whether frames come in real time, so that late ones are dropped and none lies ahead."""
    fps: float
    """Nominal frames per second; times come from :attr:`VideoFrame.pts`, never from this."""
    count: int | None
    """How many frames there will be, about, where that is known."""
    dropped: int
    """Frames of a live source that went by unread so far."""
    notes: list[str]
    """What happened on the way that a user should hear of: reconnections, pictures left out."""

    def __iter__(self) -> Iterator[VideoFrame]: ...

    def close(self) -> None:
        """Give the device or file back; more than once is harmless."""


class ArraySource:
    """Frames that a program makes: arrays, or pairs of seconds and array."""

    live = False
    dropped = 0

    def __init__(
        self, frames: Iterable[Frame | tuple[float, Frame]], fps: float, name: str = "arrays"
    ) -> None:
        """``fps`` gives the times of bare arrays; a pair brings its own."""
        self.name = name
        self.fps = fps
        self.count = len(frames) if isinstance(frames, Sized) else None
        self.notes: list[str] = []
        self._frames = frames

    def __iter__(self) -> Iterator[VideoFrame]:
        for index, item in enumerate(self._frames):
            pts, image = item if isinstance(item, tuple) else (index / self.fps, item)
            if not isinstance(self._frames, Sequence):
                # Who makes frames one by one may well make them all in one buffer; some are held.
                image = np.array(image)
            if not (is_number(pts) and math.isfinite(pts)):
                raise FrameError(
                    f"frame {index}: its time must be a finite number of seconds; got {pts!r}."
                )
            yield VideoFrame(image, index, pts)

    def close(self) -> None:
        """Nothing is held."""
