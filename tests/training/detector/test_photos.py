"""Reading of labelled photos."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastfer.errors import InputError
from training.detector.photos import memory, read_photos, regions


def test_photos_are_read_and_reduced(scenes):
    photos = read_photos(scenes, "train", longest=80)
    assert len(photos) == 12
    assert photos[0].pixels.shape == (60, 80, 1)
    assert memory(photos) == 12 * 60 * 80
    full = read_photos(scenes, "train", channels=3)[1]
    assert full.pixels.shape == (120, 160, 3)
    np.testing.assert_allclose(photos[1].known.boxes * 2, full.known.boxes)
    np.testing.assert_allclose(photos[1].known.landmarks * 2, full.known.landmarks)


def test_drawn_boxes_without_a_labelled_face_are_faces_without_landmarks():
    row = {
        "faces": [{"box": [10, 10, 20, 20], "lm": list(range(10))}],
        "gt": [{"box": [11, 10, 20, 20]}, {"box": [60, 60, 20, 20]}],
        "ignore": [{"box": [61, 60, 20, 20]}, {"box": [90, 0, 9, 9]}],
        "fp": [{"box": [0, 90, 5, 5]}],
    }
    known = regions(row)
    assert known.boxes.tolist() == [[10, 10, 20, 20], [60, 60, 20, 20]]
    assert np.isfinite(known.landmarks[0]).all()
    assert np.isnan(known.landmarks[1]).all()
    assert known.ignore.tolist() == [[90, 0, 9, 9]]
    assert known.false_hits.tolist() == [[0, 90, 5, 5]]


ROW = {"split": "train", "file": "x.jpg", "faces": [], "ignore": [], "fp": [], "gt": None}


@pytest.mark.parametrize(
    ("labels", "pixels", "code"),
    [
        (None, None, "not_found"),
        ({"split": "val"}, None, "no_pictures"),
        ({"split": "train"}, None, "damaged"),
        (ROW, None, "not_found"),
        (ROW, b"", "damaged"),
    ],
    ids=["no labels", "no such split", "incomplete line", "no such photo", "empty photo"],
)
def test_unreadable_folders(tmp_path, labels, pixels, code):
    (tmp_path / "images").mkdir()
    if labels is not None:
        (tmp_path / "labels.jsonl").write_text(json.dumps(labels) + "\n")
    if pixels is not None:
        (tmp_path / "images" / "x.jpg").write_bytes(pixels)
    with pytest.raises(InputError) as caught:
        read_photos(tmp_path, "train")
    assert caught.value.code == code
