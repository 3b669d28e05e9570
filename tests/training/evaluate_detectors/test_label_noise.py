"""Noise of landmark labels."""

from __future__ import annotations

import numpy as np

from fastfer.detectors import Detections
from training.evaluate_detectors import label_noise


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
