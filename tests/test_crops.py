"""Which faces can be cropped, and their roll; neither picture size nor roll changes labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.crops import LEVEL, drop_uncroppable, is_croppable, roll_angles
from fastfer.detectors import CropCalibration, Detections, create_detector
from fastfer.engine import Engine
from fastfer.errors import BoxError
from fastfer.io.encoded_image import EncodedImage
from fastfer.kernels.pack import pack_faces
from tests.helpers.errors import raises
from tests.helpers.landmarks import LEVEL_FACE, rolled
from tests.helpers.pictures import large_jpeg

SIZE = (512, 400)
BOXES = [
    (10, 10, 40, 40),
    (-39.5, 10, 40, 40),
    (511, 399, 9, 9),
    (512, 10, 40, 40),
    (-40, 10, 40, 40),
    (10, 10, 0, 5),
    (10, 10, 5, -1),
    (np.nan, 0, 5, 5),
    (0, 0, np.inf, 5),
    (-np.inf, 0, np.inf, 5),
    (0, 0, 70000, 5),
]


@pytest.mark.parametrize("box", BOXES)
def test_croppable_boxes_are_those_that_pack_faces_accepts(box: tuple[float, ...]) -> None:
    frame = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    try:
        pack_faces(frame, [box])
    except BoxError:
        accepted = False
    else:
        accepted = True
    assert is_croppable(np.array([box], np.float32), SIZE).tolist() == [accepted]


def test_uncroppable_faces_are_dropped_with_their_scores_and_landmarks() -> None:
    count = len(BOXES)
    marks = np.repeat(LEVEL_FACE[None], count, axis=0)
    marks[1, 3] = np.nan
    found = Detections(np.array(BOXES, np.float32), np.arange(count, dtype=np.float32), marks)
    kept = drop_uncroppable(found, CropCalibration(), SIZE)
    assert kept.scores.tolist() == [0, 2]
    assert kept.landmarks is not None
    assert len(kept.landmarks) == 2
    moved = drop_uncroppable(found, CropCalibration(shift_x=2), SIZE)
    assert moved.scores.tolist() == [0], "the crop must be croppable too"


@pytest.mark.parametrize("degrees", [-170, -90, -30, -11, 11, 30, 90, 179])
def test_roll_angles(degrees: float) -> None:
    assert np.rad2deg(roll_angles(rolled(degrees)[None], 1))[0] == pytest.approx(degrees, abs=1.0)


def test_small_and_undefined_rolls_are_zero() -> None:
    undefined = np.full((5, 2), np.nan, np.float32)
    marks = np.stack([rolled(8), rolled(-9), undefined, LEVEL_FACE * 0])
    np.testing.assert_array_equal(roll_angles(marks, 4), 0)
    np.testing.assert_array_equal(roll_angles(None, 3), np.zeros(3))
    assert np.rad2deg(LEVEL) == pytest.approx(10)


def test_labels_do_not_depend_on_the_size_of_the_picture(shared: Path) -> None:
    """With a fixed ``detect_size``, faces keep their label from 500 to 4000 pixels."""
    yunet = f"yunet:{shared / 'models' / 'yunet_n_640_640.onnx'}"
    engine = Engine(create_detector(yunet, detect_size=320))
    same = total = 0
    for name in ("2008_001322", "2008_002506", "2009_004587", "2008_004176", "2008_001009"):
        photo = np.asarray(cv2.imread(str(shared / "media" / "faces" / f"{name}.jpg")))
        labels = []
        for side in (500, 1000, 2000, 4000):
            image = EncodedImage(large_jpeg(photo, side))
            labels.append([face.emotion for face in engine.analyze_encoded(image)[0]])
        for others in labels[1:]:
            assert len(others) == len(labels[0])
            same += sum(a == b for a, b in zip(labels[0], others, strict=True))
            total += len(others)
    assert same >= 0.97 * total, f"{same} of {total}"


@pytest.mark.parametrize("detector", ["nano", "yunet"])
def test_rolled_heads_keep_their_label(shared: Path, detector: str) -> None:
    if detector == "yunet":
        detector = f"yunet:{shared / 'models' / 'yunet_n_640_640.onnx'}"
    engine = Engine(detector)
    capture = cv2.VideoCapture(
        str(shared / "media" / "head-pose-face-detection-female-and-male.gif")
    )
    level: list[Any] = []
    tilted: list[Any] = []
    while True:
        good, frame = capture.read()
        if not good:
            break
        face = max(engine.analyze(np.asarray(frame)), key=lambda face: face.box[0])
        angle = float(roll_angles(np.array([face.landmarks], np.float32), 1)[0])
        if angle == 0:
            level.append(face.emotion)
        elif abs(angle) > np.deg2rad(20):
            tilted.append(face.emotion)
    assert len(level) >= 1
    assert len(tilted) >= 30
    usual = max(level, key=level.count)
    assert tilted.count(usual) >= 0.95 * len(tilted)


def test_faces_without_a_score_are_dropped() -> None:
    scores = np.array([np.nan, np.inf, 0.5], np.float32)
    found = Detections(np.full((3, 4), 20, np.float32), scores)
    assert drop_uncroppable(found, CropCalibration(), (100, 100)).scores.tolist() == [0.5]


@pytest.mark.parametrize("found", [None, [], np.zeros((1, 4), np.float32)])
def test_what_is_not_detections_is_refused(found: Any) -> None:
    with raises(BoxError, "invalid_box", "Detections.none()"):
        drop_uncroppable(found, CropCalibration(), (100, 100))
