"""Figures of a detector on labelled photos, computed by hand for a script of boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.detections import CropCalibration, Detections
from tests.helpers.drawn_scenes import LANDMARKS
from training.evaluate_detectors.labelled_photos import LabelledPhoto
from training.evaluate_detectors.measure import (
    curve,
    curve_figures,
    default_figures,
    measurable_faces,
    measure,
)

NONE = np.empty((0, 4))
FACES = np.array([[0.0, 0, 20, 20], [100, 100, 50, 50]])
MARKS = np.array([LANDMARKS * side + (x, y) for x, y, side, _ in FACES])
PHOTOS = [
    LabelledPhoto(Path(), (400, 300), FACES, NONE, landmarks=MARKS),
    LabelledPhoto(Path(), (400, 300), NONE, NONE, empty=True, landmarks=np.empty((0, 5, 2))),
]
FRAMES = [np.full((300, 400, 3), value, np.uint8) for value in (0, 1)]


class Known:
    """Finds the large face 0.7 pixels off, a false box beside it, and one on the empty photo."""

    name, crop_calibration = "known", CropCalibration()

    def detect(self, frame):
        empty = frame[0, 0, 0] == 1
        boxes = [[200, 0, 30, 30]] if empty else [[300, 200, 30, 30], [100, 100, 50, 50]]
        scores = [0.6] if empty else [0.5, 0.9]
        marks = np.zeros((len(boxes), 5, 2), np.float32)
        if not empty:
            marks[1] = MARKS[1] + (0.7, 0)
        return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), marks)


@pytest.fixture
def measured():
    return measure(Known(), PHOTOS, FRAMES)


def test_boxes_are_ordered_by_score(measured):
    assert measured.scores.tolist() == pytest.approx([0.9, 0.6, 0.5])
    assert measured.hits.tolist() == [True, False, False]
    assert measured.false.tolist() == [False, True, True]
    assert measured.on_empty.tolist() == [False, True, False]
    assert len(measured.milliseconds) == 2


def test_figures_at_the_own_threshold(measured):
    figures = default_figures(measured, PHOTOS)
    assert figures["recall"] == 0.5
    assert figures["alarms"] == 1.0
    assert figures["alarms_on_empty"] == 1.0
    # Sides of 5 and 12.5 % of the long side.
    assert np.isnan(figures["recall_under_4"])
    assert (figures["recall_4_to_8"], figures["recall_over_8"]) == (0.0, 1.0)


def test_figures_over_all_thresholds(measured):
    alarms, recall, precision = curve(measured, PHOTOS)
    assert alarms.tolist() == [0, 0.5, 1]
    assert recall.tolist() == [0.5] * 3
    assert precision.tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    figures = curve_figures(measured, PHOTOS)
    assert figures["average_precision"] == 0.5
    assert figures["recall_at_0.1"] == 0.5
    assert figures["score_at_0.1"] == pytest.approx(0.9)


def test_landmark_errors_are_relative_to_the_eyes(measured):
    ((side, error),) = measured.landmark_errors
    assert side == 50
    # Eyes are 20 pixels apart, their outer corners 28.
    assert error == pytest.approx(0.7 / 28, rel=1e-3)
    figures = curve_figures(measured, PHOTOS)
    assert figures["landmarks_40"] == pytest.approx(error)
    assert np.isnan(figures["landmarks_24"])


def test_profiles_and_unknown_landmarks_are_not_measured():
    marks = MARKS.copy()
    marks[0, 1] = marks[0, 0] + (2, 0)
    marks[1] = np.nan
    photo = LabelledPhoto(Path(), (400, 300), FACES, NONE, landmarks=marks)
    assert measurable_faces(photo).tolist() == []
    assert measurable_faces(PHOTOS[0]).tolist() == [0, 1]


def test_without_any_box_recall_is_0():
    class Blind(Known):
        def detect(self, frame):
            return Detections.none()

    blind = measure(Blind(), PHOTOS, FRAMES)
    assert default_figures(blind, PHOTOS)["recall"] == 0
    figures = curve_figures(blind, PHOTOS)
    assert (figures["recall_at_0.1"], figures["score_at_0.1"]) == (0, np.inf)
