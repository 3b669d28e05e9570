"""The statistics line at the end of a video run."""

from __future__ import annotations

import math
import time
from typing import Final, Protocol

from fastfer.outputs.base import Frame, Output
from fastfer.results import VideoFrameResult

_STEPS_PER_OCTAVE: Final = 64
"""Histogram resolution: percentiles are exact to about one percent."""


class Counters(Protocol):
    """What :class:`RunStats` reports of a run, such as ``RunCounters`` of the pipeline."""

    frames: int
    faces: int
    detections: int
    classifications: int


class Percentiles:
    """Percentiles of a stream of durations, from a logarithmic histogram."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0

    def add(self, ms: float) -> None:
        """Add one duration."""
        step = round(math.log2(max(ms, 1e-3)) * _STEPS_PER_OCTAVE)
        self._counts[step] = self._counts.get(step, 0) + 1
        self._total += 1

    def at(self, quantile: float) -> float:
        """The duration at ``quantile``, 0 to 1; ``nan`` without any."""
        below = 0
        for step in sorted(self._counts):
            below += self._counts[step]
            if below >= quantile * self._total:
                return float(2 ** (step / _STEPS_PER_OCTAVE))
        return math.nan


class RunStats(Output[VideoFrameResult]):
    """Measures a run from its construction on."""

    def __init__(self) -> None:
        self.frames = Percentiles()
        """Of the milliseconds per frame."""
        self._start = time.perf_counter()
        self._seen = self._confirmed = False

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self.frames.add(result.timings_ms["total"])
        self._seen |= len(result) > 0
        self._confirmed |= any(face.confirmed for face in result)

    def note(self) -> str | None:
        """Why faces were found but no people, as in a video of one frame; ``None`` otherwise."""
        if not self._seen or self._confirmed:
            return None
        return (
            "each face was found too briefly to count as a person: rows (--jsonl, --csv) have it, "
            "the table, plots, reports and events do not; for photos use fastfer image"
        )

    def line(self, counters: Counters, dropped: int | None = None) -> str:
        """The statistics so far; without results no times.

        Args:
            counters: of the run.
            dropped: number of frames that a live source dropped; ``None`` for recordings.
        """
        seconds = time.perf_counter() - self._start
        p50, p95, p99 = (self.frames.at(quantile) for quantile in (0.5, 0.95, 0.99))
        times = ""
        if not math.isnan(p50):  # An error may come before the first result.
            times = f"; ms per frame p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}"
        lost = "" if dropped is None else f" ({dropped} dropped)"
        return (
            f"{_count(counters.frames, 'frame')}{lost}, {_count(counters.faces, 'face')} "
            f"in {seconds:.1f} s: {counters.frames / seconds:.1f} fps; "
            f"{_count(counters.detections, 'detection')}, "
            f"{_count(counters.classifications, 'classification')}{times}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
