"""Detections and crop calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastfer.detections import CropCalibration, Detections
from fastfer.errors import BoxError, UsageError
from tests.helpers.errors import raises


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


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 0), ("width", np.nan), ("height", -1), ("height", "1"), ("shift_x", np.inf)],
)
def test_crop_calibrations_that_crop_nothing_are_refused(name: str, value: Any) -> None:
    with raises(UsageError, "out_of_range", name):
        CropCalibration(**{name: value})


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


def test_lists_and_other_numbers_become_float32() -> None:
    found: Any = Detections([[1, 2, 30, 40]], [0.5], [[[1, 2]] * 5])  # type: ignore[arg-type]
    for array, shape in ((found.boxes, (1, 4)), (found.scores, (1,)), (found.landmarks, (1, 5, 2))):
        assert (array.shape, array.dtype) == (shape, np.float32)
    assert found.scaled(2, 2).boxes.tolist() == [[2, 4, 60, 80]]
    nothing = np.array([])
    empty = Detections(nothing, nothing, nothing)
    assert empty.landmarks is not None
    assert (empty.boxes.shape, empty.landmarks.shape) == ((0, 4), (0, 5, 2))


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("boxes", (np.zeros(4), np.zeros(1))),
        ("boxes", (np.zeros((2, 5)), np.zeros(2))),
        ("boxes", (np.zeros((0, 5)), np.zeros(0))),
        ("boxes", ("abc", np.zeros(1))),
        ("scores", (np.zeros((2, 4)), np.zeros(1))),
        ("scores", (np.zeros((2, 4)), np.zeros((2, 1)))),
        ("scores", (np.zeros((2, 4)), None)),
        ("landmarks", (np.zeros((2, 4)), np.zeros(2), np.zeros((2, 10)))),
        ("landmarks", (np.zeros((2, 4)), np.zeros(2), np.zeros((1, 5, 2)))),
        ("landmarks", (np.zeros((2, 4)), np.zeros(2), np.zeros(0))),
    ],
)
def test_arrays_of_other_shapes_are_refused(name: str, arrays: tuple[Any, ...]) -> None:
    with raises(BoxError, "invalid_box", name):
        Detections(*arrays)
