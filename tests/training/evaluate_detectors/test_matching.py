"""Which boxes are faces, and which are false alarms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.evaluate_detectors.labelled_photos import LabelledPhoto
from training.evaluate_detectors.matching import match


def test_each_face_matches_one_box():
    boxes = np.array([[0, 0, 20, 20], [40, 0, 20, 20]], np.float64)
    photo = LabelledPhoto(Path(), (100, 100), boxes, np.array([[80.0, 80, 20, 20]]))
    found = np.array(
        [[1, 0, 20, 20], [0, 1, 20, 20], [70, 0, 9, 9], [85, 85, 5, 5], [50, 0, 20, 20]], float
    )
    face_of, false = match(photo, found)
    assert face_of.tolist() == [0, -1, -1, -1, -1]
    assert false.tolist() == [False, False, True, False, False]


def test_without_faces_every_box_is_a_false_alarm():
    photo = LabelledPhoto(Path(), (100, 100), np.empty((0, 4)), np.empty((0, 4)), empty=True)
    face_of, false = match(photo, np.array([[0.0, 0, 20, 20]]))
    assert face_of.tolist() == [-1]
    assert false.tolist() == [True]
    assert [len(part) for part in match(photo, np.empty((0, 4)))] == [0, 0]


def test_the_overlap_that_counts_can_be_chosen():
    photo = LabelledPhoto(Path(), (99, 99), np.array([[0.0, 0, 20, 20]]), np.empty((0, 4)))
    half = np.array([[0.0, 0, 20, 10]])
    assert match(photo, half)[0].tolist() == [0]
    assert match(photo, half, 0.6)[0].tolist() == [-1]
