"""Evaluation of detectors: matching, landmark and roll errors, label noise."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from fastfer.detectors import CropCalibration, Detections
from fastfer.detectors.nano import NANO_MODEL
from fastfer.errors import ModelError
from tests.helpers.drawn_scenes import LANDMARKS
from training.detector import export as detector_export
from training.evaluate_detectors import __main__ as evaluate
from training.evaluate_detectors import label_noise, roll
from training.evaluate_detectors.labelled_photos import LabelledPhoto, read_labels
from training.evaluate_detectors.matching import match
from training.refiner import export as refiner_export


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
    landmarks = LANDMARKS.astype(float) * 60 + 20

    class Scripted:
        name, crop_calibration, calls = "scripted", CropCalibration(), 0

        def detect(self, frame):
            angle = np.deg2rad([-30, 30][self.calls]) if follows else 0.0
            self.calls += 1
            rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            center = frame.shape[0] / 2
            found = (landmarks - 50) @ rotation + center
            box = np.array([[center - 40, center - 40, 80, 80]], np.float32)
            return Detections(box, np.ones(1, np.float32), found[None].astype(np.float32))

    photo = LabelledPhoto(
        Path(), (100, 100), np.array([[20.0, 20, 60, 60]]), np.empty((0, 4)), False, landmarks[None]
    )
    frame = np.zeros((100, 100, 3), np.uint8)
    errors = roll.roll_errors(Scripted(), [photo], [frame])
    assert errors == pytest.approx([expected] * 2, abs=0.5)


def test_label_noise_has_a_row_for_each_shift(scenes, capsys):
    words = ["nano", "--data", str(scenes), "--max-shift", "2"]
    assert label_noise.main(words) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["0 px", "1 px", "2 px"]


def test_a_shifted_frame_has_the_same_boxes():
    class Corner:
        """Detects a face at the first white pixel."""

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


def test_opencv_yunet_matches_the_detector_of_fastfer(shared, tmp_path, capsys):
    file = shared / "models" / "yunet_n_640_640.onnx"
    frame = cv2.imread(str(shared / "media" / "faces" / "2008_001322.jpg"))
    opencv, own = (
        evaluate.open_detector(spec, 320).detect(frame) for spec in (f"cv2:{file}", str(file))
    )
    best = [found.take(found.scores > 0.7).left_to_right() for found in (opencv, own)]
    assert len(best[0]) == 3
    np.testing.assert_allclose(best[0].boxes, best[1].boxes, atol=1)
    np.testing.assert_allclose(best[0].landmarks, best[1].landmarks, atol=1)
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        evaluate.open_detector(f"cv2:{bad}", 320)


def test_a_run_and_its_exported_file_have_the_same_report(detector_run, scenes, tmp_path):
    model = tmp_path / "nano.onnx"
    assert detector_export.main([str(detector_run), "--out", str(model)]) == 0
    out = tmp_path / "report"
    words = [str(detector_run), str(model), "--data", str(scenes), "--size", "160"]
    assert evaluate.main([*words, "--out", str(out), "--worst", "3"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert set(report) == {"run 160", "nano.onnx 160"}
    first, second = report.values()
    assert first["recall"] == second["recall"]
    assert (out / "recall.png").stat().st_size > 5000
    assert len(list((out / f"worst-{scenes.name}-run-160").iterdir())) == 3
    assert "| nano.onnx 160 |" in (out / "report.md").read_text()


def test_a_second_stage_is_a_run_or_its_exported_file(refiner_run, scenes, tmp_path):
    model = tmp_path / "refiner.onnx"
    weights = ["--score-share", "0.5", "--score-shift", "1.5"]
    assert refiner_export.main([str(refiner_run), "--out", str(model), *weights]) == 0
    reports = []
    for name, extra in ((str(model), []), (str(refiner_run), weights)):
        out = tmp_path / f"report{len(reports)}"
        words = ["nano", "--refiner", name, "--data", str(scenes), "--size", "160", *extra]
        assert evaluate.main([*words, "--out", str(out)]) == 0
        (figures,) = json.loads((out / "report.json").read_text()).values()
        reports.append({k: v for k, v in figures.items() if k != "ms"})
    assert reports[0] == reports[1]


def test_refused_options(scenes, tmp_path, capsys):
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(other)
    for code, *words in (
        (2, "auto", "--refiner", "none"),
        (2, "nano", "--score-share", "0.5"),
        (3, "nano", "--refiner", str(tmp_path / "none")),
        (4, "nano", "--refiner", str(other)),
        (4, str(other)),
    ):
        assert evaluate.main([*words, "--data", str(scenes), "--size", "160"]) == code
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_rows_have_the_names_of_their_detectors(scenes, tmp_path):
    words = [str(NANO_MODEL), "nano", "nano:refiner=none", "--data", str(scenes), "--size", "160"]
    assert evaluate.main([*words, "--out", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "report.json").read_text())
    assert list(figures) == ["nano.onnx 160", "nano 160", "nano:refiner=none 160"]
    first, second, _ = ({k: v for k, v in f.items() if k != "ms"} for f in figures.values())
    assert first == second
