"""The finest scale of a detection follows the smallest face, the time and the budget."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.detections import CropCalibration, Detections
from fastfer.tracking import DetectionScheduler
from fastfer.tracking.search_limit import FINEST, MAX_BUDGET_INTERVAL, PHOTO_INTERVAL, SearchLimit
from fastfer.tracking.track import Track
from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.scripted_detector import run


def track(side: float) -> Track:
    return Track(1, np.array([10, 10, side, side]), 0.9, None, 0.0)


@pytest.mark.parametrize(
    ("sides", "finest"),
    [([], 384), ([300], 384), ([300, 90], 640), ([300, 30], 1280), ([8], FINEST[-1])],
)
def test_the_smallest_face_decides(sides: list[float], finest: int) -> None:
    limit = SearchLimit()
    assert limit.finest(0.0, 1920) is None
    limit.detected([track(side) for side in sides], 0.0, 1920, finest=None)
    assert limit.finest(0.5, 1920) == finest


def test_frames_without_limit() -> None:
    limit = SearchLimit()
    limit.detected([], 0.0, 1920, finest=None)
    assert limit.finest(PHOTO_INTERVAL - 0.1, 1920) == FINEST[0]
    assert limit.finest(PHOTO_INTERVAL, 1920) is None
    assert limit.finest(PHOTO_INTERVAL, 480) == FINEST[0], "has hardly more pixels"
    assert limit.finest(PHOTO_INTERVAL, 1920, MAX_BUDGET_INTERVAL + 1) == FINEST[0]
    limit.cut()
    assert limit.finest(0.1, 1920) is None


class Limited:
    """A coarse-to-fine detector of one small face that records its limits."""

    name = "limited"
    crop_calibration = CropCalibration()

    def __init__(self) -> None:
        self.limits: list[int | None] = []
        self._finest: int | None = None

    def for_video(self, finest: int) -> Limited:
        self._finest = finest
        return self

    def detect(self, frame: Any) -> Detections:
        self.limits.append(self._finest)
        self._finest = None
        boxes = np.array([[200, 90, 40, 40]], np.float32)
        return Detections(boxes, np.ones(1, np.float32))

    def begin(self, reduced: Any, long_side: int) -> None:
        raise NotImplementedError

    def finish(self, frame: Any, state: Any) -> Detections:
        raise NotImplementedError


def test_the_tracker_limits_all_detections_but_the_first_of_a_scene() -> None:
    small = moving_face(1) * 5 + empty_scene(1) * 5
    frames = [cv2.resize(frame, (1000, 1000)) for frame in small]
    detector = Limited()
    tracked = run(frames, detector, DetectionScheduler(2))
    cut = sum(frame.detected for frame in tracked[:5])
    assert detector.limits[:cut] == [None] + [640] * (cut - 1)
    assert detector.limits[cut:] == [None] + [640] * (len(detector.limits) - cut - 1)
    detector = Limited()
    run(frames[:3], detector, DetectionScheduler(1))
    assert detector.limits == [None] * 3, "like photos"
