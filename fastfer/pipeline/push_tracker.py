"""``fastfer.Tracker``: frames pushed one by one, for programs that have their own frame loop."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastfer.engine import Engine, engine_or_default
from fastfer.io.frame_source import VideoFrame, check_time
from fastfer.kernels.pack import check_frame
from fastfer.pipeline.video_pipeline import RunCounters, VideoOptions, VideoPipeline
from fastfer.results import VideoFrameResult


class Tracker:
    """Tracks the faces of one video whose frames the caller supplies. Not thread-safe.

        >>> tracker = fastfer.Tracker()
        >>> while True:
        ...     result = tracker.update(camera.read()[1])

    Each result depends on this and earlier frames only, so a new face is not
    backfilled to earlier frames as in :func:`fastfer.stream`.
    """

    counters: RunCounters
    """What the tracker has done so far."""

    def __init__(
        self, engine: Engine | None = None, *, options: VideoOptions | None = None, **changes: Any
    ) -> None:
        """Start a video.

        Args:
            engine: detector and network to use; by default one with default settings.
            options: how much work to skip.
            changes: fields of :class:`~fastfer.VideoOptions` that replace those of ``options``.

        Raises:
            UsageError: an unknown option, or a value out of range.
        """
        settings = VideoOptions.merge(options, changes)
        self._pipeline = VideoPipeline(engine_or_default(engine), settings)
        self.counters = self._pipeline.counters
        self._start: float | None = None
        self._pts = -math.inf

    def update(self, frame: NDArray[np.uint8], pts: float | None = None) -> VideoFrameResult:
        """The faces of the next frame.

        Args:
            frame: uint8, (H, W, 3) BGR or (H, W) gray. Neither changed nor kept.
            pts: seconds since the first frame, never less than the last; ``None`` measures them by
                the clock.

        Raises:
            FrameError: an unsupported frame, or a time that is not finite or less than the last.
        """
        if pts is None:
            now = time.monotonic()
            self._start = now if self._start is None else self._start
            pts = now - self._start
        check_frame(frame)
        pts = check_time("pts", pts, self._pts)
        index = self.counters.frames
        result = self._pipeline.update(VideoFrame(frame, index, pts))
        self._pts = pts
        return result
