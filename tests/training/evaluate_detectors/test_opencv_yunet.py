"""OpenCV's YuNet finds what fastfer's finds."""

from __future__ import annotations

import cv2
import numpy as np

from fastfer.errors import ModelError
from tests.helpers.errors import raises
from training.evaluate_detectors import __main__ as evaluate


def test_opencv_yunet_matches_the_detector_of_fastfer(shared, tmp_path):
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
    with raises(ModelError, "invalid_model", "bad.onnx"):
        evaluate.open_detector(f"cv2:{bad}", 320)
