"""Photos put together from labelled ones: where the faces are, and which may be cut."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.detections import CropCalibration, Detections
from fastfer.errors import InputError
from tests.helpers.errors import raises
from training.evaluate_detectors import large_photos
from training.evaluate_detectors.labelled_photos import LabelledPhoto

NONE = np.empty((0, 4))
FACE = np.array([[60.0, 40, 80, 80]])


@pytest.fixture
def photo(tmp_path: Path) -> LabelledPhoto:
    """A white square, the face, on black."""
    pixels = np.zeros((160, 200, 3), np.uint8)
    pixels[40:120, 60:140] = 255
    path = tmp_path / "square.png"
    assert cv2.imwrite(str(path), pixels)
    return LabelledPhoto(path, (200, 160), FACE, NONE)


@pytest.mark.parametrize("make", [large_photos.collages, large_photos.class_photos])
def test_pasted_faces_lie_where_the_boxes_say(photo, make) -> None:
    (large,) = make([photo], 1)
    assert large.pixels.shape == (3000, 4000, 3)
    assert len(large.faces) in (40, 60)
    for x, y, w, h in large.faces:
        inner = large.pixels[round(y + 3) : round(y + h - 3), round(x + 3) : round(x + w - 3)]
        assert inner.min() > 240
        assert large.pixels[round(y + h / 2), round(x - 0.2 * w)].max() < 20


def test_the_same_photos_are_made_again(photo) -> None:
    first, second = (large_photos.collages([photo], 1)[0] for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.faces, second.faces)


def test_faces_near_others_are_not_cut(photo, tmp_path) -> None:
    two = LabelledPhoto(photo.path, photo.size, np.array([*FACE, [150.0, 40, 30, 30]]), NONE)
    with raises(InputError, "unreadable_input"):
        large_photos.collages([two], 1)


def test_portraits_have_one_large_face(photo) -> None:
    small = LabelledPhoto(photo.path, photo.size, np.array([[0.0, 0, 20, 20]]), NONE)
    (portrait,) = large_photos.portraits([photo, small])
    assert portrait.pixels.shape == (3200, 4000, 3)
    np.testing.assert_allclose(portrait.faces, FACE * 20)


def test_boxes_are_sorted_by_score() -> None:
    class Two:
        name, crop_calibration = "two", CropCalibration()

        def detect(self, frame):
            boxes = np.array([[0, 0, 5, 5], [9, 9, 5, 5]], np.float32)
            return Detections(boxes, np.array([0.5, 0.9], np.float32), None)

    boxes, milliseconds = large_photos.timed(Two(), np.zeros((20, 20, 3), np.uint8))
    assert boxes.tolist() == [[9, 9, 5, 5], [0, 0, 5, 5]]
    assert milliseconds >= 0
