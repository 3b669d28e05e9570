"""Detectors that return a script, and a tracker run over frames with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastfer.detections import CropCalibration, Detections
from fastfer.io.frame_source import VideoFrame
from fastfer.tracking import DetectionScheduler, FaceTracker, TrackedFrame


class Scripted:
    """A detector that returns a script of boxes, one list per call."""

    name = "scripted"
    crop_calibration = CropCalibration()

    def __init__(self, boxes: Sequence[Sequence[Any]]) -> None:
        self.calls = 0
        self._boxes = boxes

    def detect(self, frame: Any) -> Detections:
        boxes = self._boxes[min(self.calls, len(self._boxes) - 1)]
        self.calls += 1
        rows = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(rows, np.ones(len(rows), np.float32))


def run(
    frames: Sequence[Any], detector: Any, scheduler: DetectionScheduler, fps: float = 25
) -> list[TrackedFrame]:
    tracker = FaceTracker(detector, scheduler)
    return [tracker.step(VideoFrame(f, i, i / fps)) for i, f in enumerate(frames)]


HERE = (90, 40, 100, 100)
"""The face in the first frame of ``moving_face``."""


class TwoThresholds(Scripted):
    """Its second half of boxes scores below its threshold."""

    score_threshold = 0.5

    def detect_low_confidence(self, frame: Any) -> Detections:
        found = super().detect(frame)
        scores = np.where(np.arange(len(found)) < (len(found) + 1) // 2, 0.9, 0.4)
        return Detections(found.boxes, scores.astype(np.float32))

    def detect(self, frame: Any) -> Detections:
        found = self.detect_low_confidence(frame)
        return found.take(found.scores >= self.score_threshold)
