"""Detections and crop calibration."""

from __future__ import annotations

import numpy as np

from fastfer.detections import CropCalibration, Detections


def test_crop_calibration() -> None:
    boxes = np.float32([[10, 20, 40, 60]])
    assert CropCalibration().crops(boxes) is boxes
    np.testing.assert_allclose(
        CropCalibration(width=2, height=1.5).crops(boxes), [[-10, 5, 80, 90]]
    )
    shifted = CropCalibration(shift_x=0.1, shift_y=-0.5)
    np.testing.assert_allclose(shifted.crops(boxes), [[14, -10, 40, 60]])
    np.testing.assert_allclose(CropCalibration(square=True).crops(boxes), [[5, 25, 50, 50]])
    assert CropCalibration(width=2, square=True).crops(boxes[:0]).shape == (0, 4)


def test_landmarks_stay_with_their_faces() -> None:
    marks = np.arange(30, dtype=np.float32).reshape(3, 5, 2)
    faces = Detections(
        np.float32([[9, 0, 1, 1], [5, 0, 1, 1], [5, 0, 1, 0.5]]), np.float32([1, 2, 3]), marks
    )
    ordered = faces.left_to_right()
    assert ordered.scores.tolist() == [3, 2, 1]
    assert ordered.landmarks is not None
    np.testing.assert_array_equal(ordered.landmarks, marks[::-1])
    assert len(faces.take(faces.scores > 5)) == 0
    assert len(Detections.none()) == 0


def test_valid_drops_faces_without_area_or_with_invalid_numbers() -> None:
    boxes = np.float32(
        [[0, 0, 9, 9], [0, 0, 0, 9], [np.nan, 0, 9, 9], [0, 0, 2e9, 9], [5, 5, 2, 2]]
    )
    scores = np.float32([1, 1, 1, 1, np.inf])
    assert Detections(boxes, scores).valid().boxes.tolist() == [[0, 0, 9, 9]]
