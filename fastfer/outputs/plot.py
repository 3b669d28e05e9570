"""A plot of emotions over time: one band of stacked probabilities per face."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.display import text
from fastfer.display.canvas import COLORS, Color, Rect, fill, write
from fastfer.errors import UsageError
from fastfer.labels import EMOTIONS, NAMES, Language
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.frame_times import FrameTimes
from fastfer.outputs.paths import write_whole
from fastfer.results import VideoFrameResult

MAX_BINS: Final = 1024
"""Maximum number of time steps; longer videos have longer steps."""
MAX_BANDS: Final = 12
"""Maximum number of faces, those longest in view."""
WIDTH: Final = 1200
BAND: Final = 96
"""Width of the plot and height of a band, in pixels."""

_PAPER: Final[Color] = (255, 255, 255)
_INK: Final[Color] = (40, 36, 34)
_GRID: Final[Color] = (226, 222, 220)
_EMPTY: Final[Color] = (246, 244, 243)
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP, _FONT = 84, 28, 56, 48, 14, 17


class PlotWriter(Output[VideoFrameResult]):
    """Collects probabilities in bounded memory and draws them at the end."""

    def __init__(self, path: Path, *, lang: Language = "en") -> None:
        """
        Args:
            path: .png, .jpg or .webp file.
            lang: language of the emotion names.

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
        self._step = 0.02
        self._times = FrameTimes(self._step)
        self._bins: dict[int, dict[int, NDArray[np.float64]]] = {}
        self._end = 0.0

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._end = result.pts
        self._times.add(result.pts)
        while self._end / self._step >= MAX_BINS:
            self._coarsen()
        at = int(result.pts / self._step)
        for track_id, face in result.tracks.items():
            if face.confirmed and face.emotion is not None:
                bins = self._bins.setdefault(track_id, {})
                values = np.array([*face.probabilities.values(), 1.0])
                bins[at] = bins.get(at, 0.0) + values

    def _coarsen(self) -> None:
        """Double the step and merge pairs of bins."""
        self._step *= 2
        for track, bins in self._bins.items():
            merged: dict[int, NDArray[np.float64]] = {}
            for at, values in bins.items():
                merged[at // 2] = merged.get(at // 2, 0.0) + values
            self._bins[track] = merged

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
        longest = sorted(self._bins, key=lambda t: -sum(v[-1] for v in self._bins[t].values()))
        tracks = sorted(longest[:MAX_BANDS])
        rows = max(1, len(tracks))
        bottom = _TOP + rows * (BAND + _GAP) - _GAP
        picture = np.full((bottom + _BOTTOM, WIDTH, 3), _PAPER, np.uint8)
        self._draw_legend(picture)
        if not tracks:
            fill(picture, Rect(_LEFT, _TOP, WIDTH - _LEFT - _RIGHT, BAND), _EMPTY)
            write(picture, "-", _LEFT + 12, Rect(0, _TOP, 0, BAND), _FONT, _INK)
        for row, track in enumerate(tracks):
            top = _TOP + row * (BAND + _GAP)
            self._draw_band(picture, self._bins[track], top)
            write(picture, f"#{track}", _GAP, Rect(0, top, 0, BAND), _FONT * 1.2, _INK)
        hidden = len(self._bins) - len(tracks)
        self._draw_axis(picture, bottom, f"+ {hidden} #" if hidden > 0 else "")
        return picture

    def _draw_band(self, picture: Frame, bins: dict[int, NDArray[np.float64]], top: int) -> None:
        """Draw stacked probabilities, one column of pixels after the other."""
        span = WIDTH - _LEFT - _RIGHT
        fill(picture, Rect(_LEFT, top, span, BAND), _EMPTY)
        # Fill gaps between frames up to half a second, or one frame of a slow source.
        reach = max(1, round(max(0.5, 1.5 * self._times.typical) / self._step))
        times = np.array(sorted(bins))
        for column in range(span):
            now = column / span * max(self._end, self._step) / self._step
            i = int(np.searchsorted(times, now, side="right")) - 1
            if i < 0 or now - times[i] > reach:
                continue
            sums = bins[int(times[i])]
            edges = np.rint(np.cumsum([0.0, *(sums[:-1] / sums[-1])]) * BAND).astype(int)
            for k, emotion in enumerate(EMOTIONS):
                low, high = top + BAND - edges[k + 1], top + BAND - edges[k]
                picture[low:high, _LEFT + column] = COLORS[emotion]

    def _draw_legend(self, picture: Frame) -> None:
        x = _LEFT
        for emotion in EMOTIONS:
            name = NAMES[self._lang][emotion]
            fill(picture, Rect(x, 20, 16, 16), COLORS[emotion])
            write(picture, name, x + 23, Rect(0, 16, 0, 24), _FONT, _INK)
            x += 23 + text.width(name, _FONT) + 26

    def _draw_axis(self, picture: Frame, bottom: int, note: str) -> None:
        span = WIDTH - _LEFT - _RIGHT
        end = max(self._end, self._step)
        step = next((s for s in _STEPS if end / s <= 10), _STEPS[-1] * 10)
        at = 0.0
        while at <= end:
            x = _LEFT + round(at / end * (span - 1))
            cv2.line(picture, (x, bottom + 4), (x, bottom + 10), _INK, 1)
            label = _label(at, step)
            left = min(max(0, x - text.width(label, _FONT) // 2), WIDTH - text.width(label, _FONT))
            write(picture, label, left, Rect(0, bottom + 12, 0, 24), _FONT, _INK)
            at += step
        cv2.line(picture, (_LEFT, bottom + 4), (_LEFT + span - 1, bottom + 4), _INK, 1)
        write(picture, note, _GAP, Rect(0, bottom + 12, 0, 24), _FONT, _INK)


_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


def _label(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if step < 60 and whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes = f"{rest // 60}:{rest % 60:02}"
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else minutes
