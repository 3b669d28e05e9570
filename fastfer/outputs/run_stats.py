"""The line at the end: how much was done, and how fast."""

from __future__ import annotations

import math
import time
from typing import Final

from fastfer.io.frame_source import FrameSource
from fastfer.pipeline.video_pipeline import VideoPipeline
from fastfer.results import VideoFrameResult

_FINE: Final = 64
"""Steps per doubling of a duration: percentiles are exact to about one percent."""


class Percentiles:
    """Of any number of durations, in little memory."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0

    def add(self, ms: float) -> None:
        """Take in one duration."""
        step = round(math.log2(max(ms, 1e-3)) * _FINE)
        self._counts[step] = self._counts.get(step, 0) + 1
        self._total += 1

    def at(self, share: float) -> float:
        """The duration that ``share`` of all do not exceed; ``nan`` without any."""
        below = 0
        for step in sorted(self._counts):
            below += self._counts[step]
            if below >= share * self._total:
                return float(2 ** (step / _FINE))
        return math.nan


class RunStats:
    """Measures a run from its first moment on."""

    def __init__(self) -> None:
        self.frames = Percentiles()
        self._start = time.perf_counter()

    def write(self, result: VideoFrameResult) -> None:
        """Take in the next frame."""
        self.frames.add(result.timings_ms["total"])

    def lines(self, loop: VideoPipeline, source: FrameSource) -> list[str]:
        """What to tell the user: one line, and one on the budget if there is one."""
        seconds = time.perf_counter() - self._start
        counts = loop.counts
        p50, p95, p99 = (self.frames.at(share) for share in (0.5, 0.95, 0.99))
        dropped = f" ({source.dropped} dropped)" if source.live else ""
        lines = [
            f"{counts.frames} frames{dropped}, {counts.faces} faces in {seconds:.1f} s: "
            f"{counts.frames / seconds:.1f} fps; {counts.detections} detections, "
            f"{counts.classifications} classifications; ms per frame p50 {p50:.1f}, "
            f"p95 {p95:.1f}, p99 {p99:.1f}"
        ]
        if loop.budget is not None:
            lines.append(loop.budget.report())
        return lines
