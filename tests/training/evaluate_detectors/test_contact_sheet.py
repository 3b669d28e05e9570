"""The worst photos, with what was found and missed drawn in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fastfer.detections import CropCalibration, Detections
from training.evaluate_detectors.contact_sheet import FALSE, FOUND, MISSED, write_worst
from training.evaluate_detectors.labelled_photos import LabelledPhoto
from training.evaluate_detectors.measure import measure

FACES = np.array([[20.0, 20, 30, 30], [100, 20, 30, 30]])


class Script:
    name, crop_calibration = "script", CropCalibration()

    def __init__(self, *boxes):
        self._boxes = list(boxes)

    def detect(self, frame):
        boxes = np.array(self._boxes.pop(0), np.float32).reshape(-1, 4)
        return Detections(boxes, np.linspace(0.9, 0.8, len(boxes)).astype(np.float32))


def near(picture, box, colour):
    """Whether the left edge of ``box`` is drawn in ``colour``; JPEG blurs it."""
    x, y, _, h = map(int, box)
    drawn = picture[y + h // 2, x].astype(int) - 60
    return drawn.max() > 20 and drawn.argmax() == np.argmax(colour)


def test_the_worst_photos_come_first(tmp_path):
    photos = [
        LabelledPhoto(Path(), (160, 120), faces, np.empty((0, 4)))
        for faces in (FACES, FACES, FACES[:1])
    ]
    frames = [np.full((120, 160, 3), 60, np.uint8)] * 3
    false = [20.0, 80, 30, 30]
    found = Script(FACES, [FACES[0], false], FACES[:1])
    write_worst(measure(found, photos, frames), photos, frames, 2, tmp_path / "worst")
    first, second = sorted((tmp_path / "worst").iterdir())
    assert first.name == "00-1-false-1-missed.jpg"
    assert second.name == "01-0-false-0-missed.jpg"
    picture = cv2.imread(str(first))
    for box, colour in ((FACES[0], FOUND), (false, FALSE), (FACES[1], MISSED)):
        assert near(picture, box, colour)
    assert (frames[0] == 60).all()
