"""Runs of the video pipeline over arrays, and what to compare of their results."""

from __future__ import annotations

from typing import Any

from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from fastfer.results import VideoFrameResult

EVERYTHING = VideoOptions(detect_every=1, classify_every=1, smooth=0)
"""Detect and classify in every frame."""


def analyze(
    engine: Engine, frames: Any, fps: float = 12.5, **options: Any
) -> list[VideoFrameResult]:
    """The results of ``frames``, processed as a recording."""
    pipeline = VideoPipeline(engine, VideoOptions(**options))
    return [result for _, result in pipeline.run(ArraySource(frames, fps))]


def without_times(results: list[VideoFrameResult]) -> list[Any]:
    """All of ``results`` that must repeat exactly."""
    rows = [result.to_dict() for result in results]
    for row in rows:
        del row["timings_ms"], row["source"]
    return rows
