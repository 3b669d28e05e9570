"""Steady boxes and landmarks: averages over measurements, and the second stage of a detector."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.detections import CropCalibration, Detections
from fastfer.detectors import RefiningDetector, create_detector
from fastfer.io.frame_source import VideoFrame
from fastfer.tracking import DetectionScheduler, FaceTracker, backfill
from fastfer.tracking.steadying import (
    DRIFT,
    INTERVAL,
    NOISE,
    STEADY,
    TrackRefiner,
    drift_share,
    mean_share,
    step,
)
from fastfer.tracking.track import Track
from tests.helpers.clips import portrait

MARKS = np.array([(30, 40), (70, 40), (50, 60), (35, 80), (65, 80)], np.float64)


def track(**changes: Any) -> Track:
    box = np.array([0.0, 0.0, 100.0, 100.0])
    return Track(**{"track_id": 1, "box": box, "score": 0.9, "landmarks": MARKS,
                    "last_detected": 0.0} | changes)  # fmt: skip


class Fixed:
    """A second stage that measures the same place every time, with this score."""

    name = "fixed"
    crop_calibration = CropCalibration()
    can_refine = True

    def __init__(self, score: float = 0.9) -> None:
        self.calls = 0
        self._score = score

    def detect(self, frame: Any) -> Detections:
        return Detections.none()

    def refine(
        self, frame: Any, found: Detections, scale: float = 1.0, bias: float = 0.0
    ) -> Detections:
        self.calls += 1
        scores = np.full(len(found), self._score, np.float32)
        assert found.landmarks is not None
        return Detections(found.boxes + 2, scores, found.landmarks + 2)


def frame(pts: float) -> VideoFrame:
    return VideoFrame(np.zeros((100, 100), np.uint8), 0, pts)


def test_a_track_is_the_mean_of_its_first_measurements() -> None:
    rng = np.random.default_rng(0)
    found = track(box=np.array([1.0, 1.0, 50.0, 50.0]), measurements=1)
    seen = [found.box]
    for i in range(1, 4):
        seen.append(found.box + rng.normal(0, 0.3, 4))
        share = mean_share(found, i * 1e-3)
        found.move(*step(found, seen[-1], None, share).apply(found.box, found.landmarks), 0.0)
        found.measurements, found.last_corrected = i + 1, i * 1e-3
        np.testing.assert_allclose(found.box, np.mean(seen, axis=0))


def test_later_it_is_a_moving_average_over_time() -> None:
    found = track(measurements=1000, last_corrected=5.0)
    assert mean_share(found, 5.0 + STEADY) == pytest.approx(1 - np.exp(-1))
    assert mean_share(found, 5.0 - STEADY) == mean_share(found, 5.0 + STEADY), "also backwards"


@pytest.mark.parametrize(
    ("shift", "share"), [(NOISE, 0.0), ((NOISE + DRIFT) / 2, 0.5), (DRIFT, 1.0), (9.0, 1.0)]
)
def test_drift_is_corrected_in_full(shift: float, share: float) -> None:
    found = track()
    for direction in ((100, 0, 0, 0), (0, -50, 0, 100)):
        box = found.box + shift * np.array(direction)
        assert drift_share(found, box) == pytest.approx(share)


def test_the_second_stage_moves_box_and_landmarks() -> None:
    found = track()
    TrackRefiner(Fixed()).refine(frame(0.04), [found])
    np.testing.assert_allclose(found.box, [2, 2, 102, 102])
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks, MARKS + 2)
    assert (found.measurements, found.last_corrected) == (1, 0.04)


def test_nothing_is_measured_without_need() -> None:
    detector = Fixed()
    refiner = TrackRefiner(detector)
    just = {"measurements": 9, "last_corrected": 1.0}
    converged = {"measurements": 9, "still": True}
    for changes in (just, converged, {"lost": True}, {"landmarks": None}):
        refiner.refine(frame(1.0 + INTERVAL / 2), [track(**changes)])
    assert detector.calls == 0
    refiner.refine(frame(1.0 + INTERVAL), [track(**just)])
    assert detector.calls == 1


def test_a_measurement_of_no_face_is_ignored() -> None:
    found = track()
    TrackRefiner(Fixed(score=0.1)).refine(frame(0.04), [found])
    np.testing.assert_allclose(found.box, [0, 0, 100, 100])


def test_detectors_without_a_second_stage_have_none() -> None:
    assert not TrackRefiner(create_detector("nano:refiner=none")).available
    assert TrackRefiner(create_detector("nano")).available
    assert isinstance(create_detector("nano"), RefiningDetector)


@pytest.mark.parametrize("detector", ["nano", "nano:refiner=none"])
@pytest.mark.parametrize(("turn", "growth"), [(0.4, 1.0), (0.0, 1.006), (-0.25, 0.996)])
def test_a_face_that_turns_and_grows_is_framed_as_the_detector_would(
    detector: str, turn: float, growth: float
) -> None:
    """``turn`` degrees and ``growth`` per frame; detection in the first and the last of them."""
    finder = create_detector(detector)
    size, count = (300, 300), 25
    frames = []
    for i in range(count):
        matrix = cv2.getRotationMatrix2D((220.0, 110.0), -turn * i, growth**i)
        matrix[:, 2] += (150 - 220 + i, 150 - 110)
        frames.append(cv2.warpAffine(portrait(), matrix, size))
    tracker = FaceTracker(finder, DetectionScheduler(count - 1))
    group = [tracker.step(VideoFrame(f, i, i / 25)) for i, f in enumerate(frames)]
    backfill(group, tracker.refiner)
    for tracked, picture in zip(group, frames, strict=True):
        (face,) = tracked.faces
        want = finder.detect(picture)
        assert want.landmarks is not None
        assert face.landmarks is not None
        side = float(want.boxes[0, 2:].mean())
        assert np.abs(face.box - want.boxes[0]).max() < 0.1 * side
        assert np.abs(face.landmarks - want.landmarks[0]).mean() < 0.04 * side
