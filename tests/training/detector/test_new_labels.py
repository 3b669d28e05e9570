"""Folders of labelled photos that training reads back."""

from __future__ import annotations

import cv2
import numpy as np

from fastfer.detections import Detections
from fastfer.errors import InputError, UsageError
from tests.helpers.errors import raises
from training.detector import new_labels
from training.detector.photos import read_photos


def test_written_labels_are_read_back(tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "deep").mkdir(parents=True)
    cv2.imwrite(str(photos / "deep" / "a.png"), np.full((60, 80, 3), 9, np.uint8))
    (photos / "damaged.jpg").write_bytes(b"text")
    ((file, frame),) = new_labels.photos_in(photos)
    marks = np.arange(10, dtype=np.float32).reshape(1, 5, 2)
    faces = Detections(np.array([[1, 2, 20, 30]], np.float32), np.ones(1, np.float32), marks)
    row = new_labels.row(file, photos, frame, faces, [[50, 5, 9, 9]])
    row["gt"] = [{"box": [30, 30, 10, 10]}]
    assert new_labels.write(out, photos, [row]) == out / "labels.jsonl"
    (photo,) = read_photos(out, "train")
    assert photo.pixels.shape == (60, 80, 1)
    np.testing.assert_array_equal(photo.known.boxes, [[1, 2, 20, 30], [30, 30, 10, 10]])
    np.testing.assert_array_equal(photo.known.landmarks[0], marks[0])
    assert np.isnan(photo.known.landmarks[1]).all()
    np.testing.assert_array_equal(photo.known.ignore, [[50, 5, 9, 9]])
    with raises(UsageError, "usage", str(out)):
        new_labels.check_new(out)


def test_a_folder_without_photos_is_an_error(tmp_path):
    with raises(InputError, "no_pictures", str(tmp_path)):
        next(new_labels.photos_in(tmp_path))
