"""Labelled photos."""

from __future__ import annotations

import json

import cv2
import numpy as np

from fastfer.errors import InputError
from tests.helpers.errors import raises
from training.evaluate_detectors.labelled_photos import read_dlib_photos, read_labels


def test_labels_have_faces_regions_and_landmarks(scenes):
    photos = read_labels(scenes)
    assert len(photos) == 6
    for photo in photos:
        assert photo.landmarks.shape == (len(photo.faces), 5, 2)
        assert photo.read().shape == (photo.size[1], photo.size[0], 3)


def write_label(folder, **changes):
    label = {
        "file": "a.png", "w": 100, "h": 80, "split": "val", "kind": "face",
        "faces": [{"box": [10, 10, 30, 30], "lm": None}], "ignore": [], "gt": None,
    }  # fmt: skip
    (folder / "labels.jsonl").write_text(json.dumps(label | changes) + "\n")


def test_boxes_drawn_by_hand_complete_the_labels(tmp_path):
    drawn = [{"box": [11, 11, 30, 30]}, {"box": [60, 10, 30, 30]}]
    write_label(tmp_path, gt=drawn)
    (photo,) = read_labels(tmp_path)
    assert photo.faces.tolist() == [[10, 10, 30, 30], [60, 10, 30, 30]]
    assert np.isnan(photo.landmarks).all()


def test_tiny_faces_count_neither_as_found_nor_as_missed(tmp_path):
    write_label(tmp_path, faces=[{"box": [5, 5, 9, 9], "lm": None}], kind="hardneg")
    (photo,) = read_labels(tmp_path)
    assert len(photo.faces) == 0
    assert photo.ignore.tolist() == [[5, 5, 9, 9]]
    assert photo.empty


def test_boxes_of_dlib(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "a.xml").write_text(
        "<dataset><images><image file='a.png'><box top='1' left='2' width='20' height='30'/>"
        "</image></images></dataset>"
    )
    (photo,) = read_dlib_photos(tmp_path)
    assert photo.size == (60, 40)
    assert photo.faces.tolist() == [[2, 1, 20, 30]]


def test_what_cannot_be_read_is_named(tmp_path):
    with raises(InputError, "not_found", "labels.jsonl"):
        read_labels(tmp_path)
    write_label(tmp_path)
    with raises(InputError, "no_pictures", "'train'"):
        read_labels(tmp_path, "train")
    with raises(InputError, "unreadable_input"):
        read_labels(tmp_path)[0].read()
