"""Evaluation of detectors: matching, landmark and roll errors, label noise."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.detectors import CropCalibration, Detections
from fastfer.errors import ModelError
from tests.helpers.drawn_scenes import POINTS, write_scenes
from training.evaluate_detectors import __main__ as evaluate
from training.evaluate_detectors import label_noise, roll
from training.evaluate_detectors.labelled_photos import LabelledPhoto, read_labels
from training.evaluate_detectors.matching import match


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), {"train": 2, "val": 6})


def test_labels_have_faces_regions_and_landmarks(scenes):
    photos = read_labels(scenes)
    assert len(photos) == 6
    for photo in photos:
        assert photo.landmarks.shape == (len(photo.faces), 5, 2)
        assert photo.read().shape == (photo.size[1], photo.size[0], 3)


def test_each_face_matches_one_box():
    boxes = np.array([[0, 0, 20, 20], [40, 0, 20, 20]], np.float64)
    photo = LabelledPhoto(Path(), (100, 100), boxes, np.array([[80.0, 80, 20, 20]]))
    found = np.array(
        [[1, 0, 20, 20], [0, 1, 20, 20], [70, 0, 9, 9], [85, 85, 5, 5], [50, 0, 20, 20]], float
    )
    face_of, false = match(photo, found)
    assert face_of.tolist() == [0, -1, -1, -1, -1]
    assert false.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(("follows", "expected"), [(True, 0), (False, 30)])
def test_roll_error_is_measured_on_rotated_photos(follows, expected):
    """A detector that finds the face in a square frame and follows its roll, or does not."""

    marks = POINTS.astype(float) * 60 + 20

    class KnowsTheFace:
        name, crop_calibration, asked = "knows", CropCalibration(), 0

        def detect(self, frame):
            angle = np.deg2rad([-30, 30][self.asked]) if follows else 0.0
            self.asked += 1
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            middle = frame.shape[0] / 2
            points = (marks - 50) @ turn + middle
            box = np.array([[middle - 40, middle - 40, 80, 80]], np.float32)
            return Detections(box, np.ones(1, np.float32), points[None].astype(np.float32))

    photo = LabelledPhoto(
        Path(), (100, 100), np.array([[20.0, 20, 60, 60]]), np.empty((0, 4)), landmarks=marks[None]
    )
    frame = np.zeros((100, 100, 3), np.uint8)
    errors = roll.roll_errors(KnowsTheFace(), [photo], [frame])
    assert errors == pytest.approx([expected] * 2, abs=0.5)


def test_label_noise_has_a_row_for_each_shift(scenes, capsys):
    words = ["nano", "--data", str(scenes), "--max-shift", "2"]
    assert label_noise.main(words) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["0 px", "1 px", "2 px"]


def test_a_shifted_frame_has_the_same_boxes():
    class Corner:
        """Finds a face at the first white pixel."""

        name, crop_calibration = "corner", None

        def detect(self, frame):
            y, x = np.argwhere(frame[..., 0])[0]
            box = np.array([[x, y, 20, 20]], np.float32)
            return Detections(box, np.ones(1, np.float32), np.full((1, 5, 2), [x, y], np.float32))

    frame = np.zeros((60, 80, 3), np.uint8)
    frame[30, 40] = 255
    for pixels in (0, 3):
        found = label_noise.Shifted(Corner(), pixels).detect(frame)
        assert found.boxes.tolist() == [[40, 30, 20, 20]]
        assert (found.landmarks == [40, 30]).all()


def test_opencv_yunet_equals_fastfers(shared, tmp_path, capsys):
    file = shared / "models" / "yunet_n_640_640.onnx"
    frame = cv2.imread(str(shared / "media" / "faces" / "2008_001322.jpg"))
    theirs, ours = (
        evaluate.open_detector(spec, 320).detect(frame) for spec in (f"cv2:{file}", str(file))
    )
    best = [found.take(found.scores > 0.7).left_to_right() for found in (theirs, ours)]
    assert len(best[0]) == 3
    np.testing.assert_allclose(best[0].boxes, best[1].boxes, atol=1)
    np.testing.assert_allclose(best[0].landmarks, best[1].landmarks, atol=1)
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        evaluate.open_detector(f"cv2:{bad}", 320)
