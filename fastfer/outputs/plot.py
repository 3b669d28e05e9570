"""A plot of emotions over time: one band of stacked probabilities per person."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from fastfer.display.timeline import MAX_BANDS, Band, draw_timeline
from fastfer.errors import UsageError
from fastfer.labels import Language
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.frame_times import FrameTimes
from fastfer.outputs.paths import short_name, write_whole
from fastfer.outputs.terminal_text import printable
from fastfer.results import Face, VideoFrameResult

MAX_BINS: Final = 1024
"""Maximum number of time steps; longer videos have longer steps."""
THUMBNAIL: Final = 96
"""Side in pixels of the pictures that are kept, one per person."""
_BETTER: Final = 1.2
"""Factor by which a face must be larger or of higher quality to replace a thumbnail."""


class PlotWriter(Output[VideoFrameResult]):
    """Collects probabilities in bounded memory and draws them at the end.

    A person is in view from a frame with a confirmed face to the next frame without it.
    """

    def __init__(self, path: Path, *, lang: Language = "en", thumbnails: bool = True) -> None:
        """
        Args:
            path: .png, .jpg or .webp file.
            lang: language of all words.
            thumbnails: show a picture of each person.

        Raises:
            UsageError: code ``unsupported_format``, unknown suffix.
        """
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
            raise UsageError(
                f"cannot write a plot to {path}: the name must end in .png, .jpg or .webp",
                code="unsupported_format",
            )
        self._path = path
        self._lang: Language = lang
        self._thumbnails = thumbnails
        self._step = 0.01
        self._times = FrameTimes(self._step)
        self._bands: dict[int, Band] = {}
        self._source = ""
        self._origin: float | None = None
        """Time of the first frame: later than 0 if the run starts within the video."""
        self._end = 0.0
        """Time since then at which the last frame ends."""
        self._last: VideoFrameResult | None = None
        """The last frame, whose duration is not known yet."""

    def wants_image(self, result: VideoFrameResult) -> bool:
        """Whether a face of ``result`` makes a better thumbnail than an earlier one."""
        return self._thumbnails and any(
            _drawn(face) and self._is_better(track_id, face)
            for track_id, face in result.tracks.items()
        )

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._source = result.source
        if self._origin is None:
            self._origin = result.pts
        lasted = self._times.add(result.pts)
        if self._last is not None:
            self._count(self._last, lasted)
        self._last = result
        if self._thumbnails and image is not None:
            for track_id, face in result.tracks.items():
                if _drawn(face) and self._is_better(track_id, face):
                    self._keep_thumbnail(self._band(track_id), face, image)

    def _count(self, result: VideoFrameResult, seconds: float) -> None:
        """Add the faces of a frame that lasted ``seconds``."""
        start = result.pts - (self._origin or 0.0)
        end = start + seconds
        self._end = max(self._end, end)
        while self._end / self._step >= MAX_BINS:
            self._coarsen()
        for track_id, face in result.tracks.items():
            if not _drawn(face):
                continue
            band = self._band(track_id)
            band.attributes = face.attributes or band.attributes
            bins = band.bins
            values = np.array([*face.probabilities.values(), 1.0])
            for at in range(int(start / self._step), int(end / self._step) + 1):
                low, high = at * self._step, (at + 1) * self._step
                if (part := min(end, high) - max(start, low)) > 0:
                    bins[at] = bins.get(at, 0.0) + part * values

    def _band(self, track_id: int) -> Band:
        return self._bands.setdefault(track_id, Band(track_id))

    def _is_better(self, track_id: int, face: Face) -> bool:
        band = self._bands.get(track_id)
        return band is None or _rank(face) > _BETTER * band.thumbnail_rank

    def _keep_thumbnail(self, band: Band, face: Face, image: Frame) -> None:
        x, y, w, h = face.box
        half = 0.62 * max(w, h)
        left, top = round(x + w / 2 - half), round(y + h / 2 - half)
        part = image[max(0, top) : round(top + 2 * half), max(0, left) : round(left + 2 * half)]
        if part.size == 0:
            return
        side = min(part.shape[:2])  # At an edge of the picture: the square that is inside.
        top, left = ((length - side) // 2 for length in part.shape[:2])
        square: Any = part[top : top + side, left : left + side]
        small: Any = cv2.resize(square, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        band.thumbnail = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR) if small.ndim == 2 else small
        band.thumbnail_rank = _rank(face)

    def _coarsen(self) -> None:
        """Double the step and merge pairs of bins."""
        self._step *= 2
        for band in self._bands.values():
            merged: dict[int, Any] = {}
            for at, values in band.bins.items():
                merged[at // 2] = merged.get(at // 2, 0.0) + values
            band.bins = merged

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._times.end = end

    def close(self) -> None:
        """Draw and save the plot.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            _, data = cv2.imencode(self._path.suffix.lower(), self.draw())
            write_whole(self._path, data.tobytes())
        except OSError as error:
            raise write_error(self._path, error) from None

    def draw(self) -> Frame:
        """The plot as uint8 (H, WIDTH, 3), blue-green-red."""
        if self._last is not None:
            self._count(self._last, self._times.rest)
            self._last = None
        seen = [band for band in self._bands.values() if band.bins]
        longest = sorted(seen, key=lambda band: (-band.seconds, band.track_id))[:MAX_BANDS]
        return draw_timeline(
            sorted(longest, key=lambda band: band.track_id),
            start=self._origin or 0.0,
            seconds=max(self._end, self._step),
            step=self._step,
            source=printable(short_name(self._source)),
            hidden=len(seen) - len(longest),
            lang=self._lang,
        )


def _drawn(face: Face) -> bool:
    return bool(face.confirmed) and face.emotion is not None


def _rank(face: Face) -> float:
    """How well a picture of the face shows the person: by size and quality."""
    return face.quality * min(face.box[2:])
