"""Roll errors of a detector's landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.detectors import CropCalibration, Detections
from tests.helpers.drawn_scenes import LANDMARKS
from training.evaluate_detectors import roll
from training.evaluate_detectors.labelled_photos import LabelledPhoto


@pytest.mark.parametrize(("follows", "expected"), [(True, 0), (False, 30)])
def test_roll_error_is_measured_on_rotated_photos(follows, expected):
    landmarks = LANDMARKS.astype(float) * 60 + 20

    class Scripted:
        name, crop_calibration, calls = "scripted", CropCalibration(), 0

        def detect(self, frame):
            angle = np.deg2rad([-30, 30][self.calls]) if follows else 0.0
            self.calls += 1
            rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            center = frame.shape[0] / 2
            found = (landmarks - 50) @ rotation + center
            box = np.array([[center - 40, center - 40, 80, 80]], np.float32)
            return Detections(box, np.ones(1, np.float32), found[None].astype(np.float32))

    photo = LabelledPhoto(
        Path(), (100, 100), np.array([[20.0, 20, 60, 60]]), np.empty((0, 4)), False, landmarks[None]
    )
    frame = np.zeros((100, 100, 3), np.uint8)
    errors = roll.roll_errors(Scripted(), [photo], [frame])
    assert errors == pytest.approx([expected] * 2, abs=0.5)
