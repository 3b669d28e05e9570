"""Measured crop calibrations: of a detector whose boxes are known."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from fastfer.classifiers.native import EmotionClassifier
from fastfer.detections import CropCalibration, Detections
from tests.helpers.drawn_faces import draw_faces
from tests.helpers.drawn_scenes import LANDMARKS
from tests.helpers.onnx_models import write_model
from training.expression import calibrate_crops
from training.expression.face_sources import SIDE

ENLARGE = 4


class Inset:
    """Finds the padded picture as a box inset by an eighth on all sides but the top."""

    name, crop_calibration = "inset", CropCalibration()

    def detect(self, frame):
        side, margin = SIDE * ENLARGE, SIDE * ENLARGE // 2
        box = [margin + side / 8, margin, side * 3 / 4, side * 7 / 8]
        marks = np.full((1, 5, 2), margin + side / 2, np.float32)
        return Detections(np.array([box], np.float32), np.ones(1, np.float32), marks)


def test_the_calibration_maps_boxes_back_to_the_picture(capsys):
    calibrate_crops.report_calibration(Inset(), draw_faces(5)[0], ENLARGE)
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line.strip() for line in lines if "CropCalibration(" in line]
    call = ast.parse(line, mode="eval").body
    values = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    box = Inset().detect(None).boxes
    crop = CropCalibration(**values).crops(box)[0] / ENLARGE - np.array([24, 24, 0, 0])
    np.testing.assert_allclose(crop, [0, 0, SIDE, SIDE], atol=0.05)
    assert any("(24.0, 24.0)" in line for line in lines), "the landmarks, in the picture"


def test_padding_repeats_the_edges():
    face = np.zeros((SIDE, SIDE), np.uint8)
    face[:, -1] = 200
    framed, offset = calibrate_crops.pad(face, 2)
    assert framed.shape == (4 * SIDE, 4 * SIDE)
    assert offset == SIDE
    assert framed[2 * SIDE, -1] > 150
    assert framed[2 * SIDE, 0] == 0


@pytest.mark.parametrize("tilt", [0.0, 40.0])
def test_a_pasted_face_is_in_its_box(tilt):
    face = np.full((SIDE, SIDE), 255, np.uint8)
    scene = calibrate_crops.paste(face, 2, tilt, np.random.default_rng(0))
    x, y, w, h = scene.box.astype(int)
    assert scene.frame.shape == (480, 640)
    assert scene.frame[y + h // 2, x + w // 2] == 255
    assert scene.frame[y + h // 4 : y + 3 * h // 4, x + w // 4 : x + 3 * w // 4].min() > 250
    assert scene.frame.mean() < 200


def test_a_detector_that_finds_nothing_has_no_calibration(faces_csv, tmp_path: Path, capsys):
    model = write_model(tmp_path / "random.onnx")
    # Whole frames overlap too little with the face in their middle.
    words = ["--data", str(faces_csv), "--detector", "none", "--model", str(model)]
    assert calibrate_crops.main([*words, "--faces", "6", "--tilt", "0", "--tilt", "20"]) == 0
    output = capsys.readouterr().out
    assert "CropCalibration(" not in output
    assert output.count("tilt") == 2


def test_the_gain_is_the_accuracy_of_each_kind_of_crop(tmp_path: Path, capsys):
    classifier = EmotionClassifier(write_model(tmp_path / "random.onnx"))
    rng = np.random.default_rng(0)
    scenes = [calibrate_crops.paste(face, ENLARGE, 20, rng) for face in draw_faces(3)[0]]
    boxes = iter([scene.box for scene in scenes])

    class Exact(Inset):
        def detect(self, frame):
            box = next(boxes)
            marks = LANDMARKS * box[2] + box[:2]
            return Detections(box[None].astype(np.float32), np.ones(1, np.float32), marks[None])

    labels = np.zeros(3, np.int64)
    calibrate_crops.report_gain(Exact(), classifier, scenes, labels, 20)
    first, *rows = capsys.readouterr().out.splitlines()
    assert "100.0 %" in first
    assert [row.rsplit(maxsplit=2)[0].strip() for row in rows] == [
        "raw box", "calibrated", "turned", "true box"
    ]  # fmt: skip
