"""OpenCV's Haar cascades."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastfer.detectors import CropCalibration, Detector, create_detector
from fastfer.detectors.haar import CASCADES
from fastfer.errors import UsageError
from fastfer.io.photos import read_image
from tests.helpers.commands import python
from tests.helpers.errors import raises
from tests.helpers.markers import requires_haar
from tests.helpers.pictures import astronaut

pytestmark = requires_haar


@pytest.fixture(scope="module")
def haar() -> Detector:
    return create_detector("haar")


def centre(box: Any) -> tuple[float, float]:
    x, y, w, h = box
    return float(x + w / 2), float(y + h / 2)


def test_finds_the_astronaut(haar: Detector) -> None:
    faces = haar.detect(astronaut())
    assert len(faces) == 1
    x, y = centre(faces.boxes[0])
    assert abs(x - 225) < 12
    assert abs(y - 115) < 15
    assert 80 < faces.boxes[0, 2] < 130
    assert faces.boxes.dtype == faces.scores.dtype == np.float32
    assert faces.scores[0] > 2
    assert faces.landmarks is None


@pytest.mark.parametrize("scale", [0.5, 2.0, 5.0])
def test_boxes_are_in_pixels_of_the_frame(haar: Detector, scale: float) -> None:
    frame = cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    faces = haar.detect(frame)
    assert len(faces) == 1
    want = haar.detect(astronaut()).boxes[0] * scale
    assert np.abs(faces.boxes[0] - want).max() < 20 * scale


def test_any_memory_layout(haar: Detector) -> None:
    want = haar.detect(astronaut()).boxes
    wide = np.zeros((600, 700, 3), np.uint8)
    wide[40:552, 100:612] = astronaut()
    np.testing.assert_array_equal(haar.detect(wide[40:552, 100:612]).boxes, want)
    gray = cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(haar.detect(gray).boxes, want)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90))
def test_small_frames_hold_no_faces(width: int, height: int) -> None:
    detector = create_detector("haar")
    assert len(detector.detect(np.full((height, width, 3), 128, np.uint8))) == 0


def test_very_long_frames(haar: Detector) -> None:
    assert len(haar.detect(np.zeros((3, 5000, 3), np.uint8))) == 0
    assert len(haar.detect(np.zeros((5000, 1), np.uint8))) == 0


def test_faces_come_from_left_to_right(haar: Detector) -> None:
    row = np.hstack([astronaut()[:256], astronaut()[:256, ::-1], astronaut()[:256]])
    boxes = haar.detect(row).boxes
    assert len(boxes) == 3
    assert (np.diff(boxes[:, 0]) > 0).all()


def test_min_face_drops_smaller_faces_and_enlarges_the_search() -> None:
    (side,) = create_detector("haar").detect(astronaut()).boxes[:, 2]
    assert len(create_detector("haar", min_face=int(side) - 20).detect(astronaut())) == 1
    assert len(create_detector("haar", min_face=int(side) + 40).detect(astronaut())) == 0

    far = np.full((3000, 3000, 3), 90, np.uint8)
    far[1000:1256, 1000:1256] = cv2.resize(astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    assert len(create_detector("haar").detect(far)) == 0, "a face of 50 px in 3000 is too small"
    faces = create_detector("haar", min_face=40).detect(far)
    assert any(abs(x - 1112) < 15 and abs(y - 1057) < 15 for x, y in map(centre, faces.boxes))
    assert (faces.boxes[:, 2] >= 39).all()


def test_threads_share_one_detector(haar: Detector) -> None:
    frames = [astronaut(), np.ascontiguousarray(astronaut()[:, ::-1])] * 4
    want = [haar.detect(frame).boxes for frame in frames]
    got: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda i=i: got.update({i: haar.detect(frames[i]).boxes}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, boxes in enumerate(want):
        np.testing.assert_array_equal(got[i], boxes)


@pytest.mark.parametrize(
    "options",
    [
        {"scaleFactor": 1.0},
        {"scaleFactor": 1.0000001},
        {"scaleFactor": 1e9},
        {"minScore": float("nan")},
        {"minNeighbors": 99_999_999_999},
        {"minSize": 99_999_999_999},
        {"min_face": float("inf")},
        {"min_face": -1},
        {"minNeighbors": -1},
        {"minSize": 0},
        {"detect_size": 10},
    ],
)
def test_values_out_of_range(options: dict[str, Any]) -> None:
    with raises(UsageError, "out_of_range", next(iter(options))):
        create_detector("haar", **options)


@pytest.mark.parametrize(
    ("spec", "option"),
    [
        ("haar:scaleFactor=abc", "scaleFactor"),
        ("haar:scaleFactor=nan", "scaleFactor"),
        ("haar:scaleFactor=inf", "scaleFactor"),
        ("haar:minSize=30.5", "minSize"),
        ("haar:minNeighbors=", "minNeighbors"),
        ("haar:minScore=high", "minScore"),
        ("haar:7", "alt_tree"),
    ],
)
def test_values_of_another_type(spec: str, option: str) -> None:
    with raises(UsageError, "out_of_range", option):
        create_detector(spec)


def test_opencv_without_cascades() -> None:
    """OpenCV 5 has none, which deleting the class simulates."""
    code = """
import cv2
if hasattr(cv2, "CascadeClassifier"):
    del cv2.CascadeClassifier
from fastfer import ModelError, create_detector
try:
    create_detector("haar")
except ModelError as error:
    print(error.exit_code, error.code, error)
"""
    done = python("-c", code)
    assert done.stdout.startswith("4 no_cascades ")
    assert 'pip install "opencv-python>=4.10,<5"' in done.stdout


def test_real_photos(haar: Detector, shared: Path) -> None:
    """Most of the frontal faces of dlib's examples are found."""
    counts = {"2008_001009.jpg": 2, "2008_001322.jpg": 2, "2009_004587.jpg": 2, "bald_guys.jpg": 20}
    for name, expected in counts.items():
        frame = read_image(shared / "media" / "faces" / name)
        faces = haar.detect(frame)
        assert len(faces) >= expected, name
        assert (faces.boxes[:, :2] >= 0).all()
        right, bottom = (faces.boxes[:, :2] + faces.boxes[:, 2:]).T
        assert right.max() <= frame.shape[1] + 0.01
        assert bottom.max() <= frame.shape[0] + 0.01


def test_it_can_be_pickled(haar: Detector) -> None:
    copy = pickle.loads(pickle.dumps(haar))
    frame = astronaut()
    np.testing.assert_array_equal(copy.detect(frame).boxes, haar.detect(frame).boxes)


def test_interface(haar: Detector) -> None:
    assert haar.name == "haar"
    assert haar.crop_calibration == CropCalibration(), "FER-2013 was cropped with this cascade"


@pytest.mark.parametrize("cascade", CASCADES)
def test_every_cascade_runs(cascade: str) -> None:
    found = create_detector(f"haar:{cascade}").detect(astronaut())
    assert len(found) == (cascade in ("default", "alt", "alt2"))
    assert np.isfinite(found.scores).all()
