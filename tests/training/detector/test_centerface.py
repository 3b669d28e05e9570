"""CenterFace as a detector, on a network of one convolution with its inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastfer.detectors import create_detector
from fastfer.errors import ModelError
from tests.helpers.errors import raises
from tests.helpers.onnx_models import CENTERFACE_POINTS, write_centerface

# Not imported: that would register it for the other tests.
FILE = Path(__file__).parents[3] / "training/detector/centerface.py"


def test_boxes_and_landmarks_of_cells(tmp_path):
    write_centerface(tmp_path / "centerface.onnx")
    spec = f"{FILE}:file={tmp_path / 'centerface.onnx'},score=0.3"
    frame = np.zeros((50, 70, 3), np.uint8)  # Not a multiple of 32.
    frame[20:24, 40:44] = 200
    frame[20:24, 44:48] = 100  # Overlaps the better one.
    frame[40:44, 8:12] = 50  # Below the score.
    found = create_detector(spec).detect(frame)
    np.testing.assert_allclose(found.boxes, [[42 - 8, 22 - 12, 16, 24]], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [200 / 255], rtol=1e-5)
    y, x = np.reshape(CENTERFACE_POINTS, (5, 2)).T
    np.testing.assert_allclose(found.landmarks, [np.c_[34 + 16 * x, 10 + 24 * y]], rtol=1e-5)
    gray = create_detector(spec).detect(frame[..., 0])
    np.testing.assert_array_equal(gray.boxes, found.boxes)


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "other.onnx"
    write_centerface(file, ("a", "b", "c", "d"))
    with raises(ModelError, "invalid_model", "a, b, c, d"):
        create_detector(f"{FILE}:file={file}")
    file.write_bytes(b"text")
    with raises(ModelError, "invalid_model", str(file)):
        create_detector(f"{FILE}:file={file}")
    with raises(ModelError, "not_found", str(tmp_path / "none.onnx")):
        create_detector(f"{FILE}:file={tmp_path / 'none.onnx'}")
