"""No detection: the whole frame is one face, for pictures that are already face crops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.detectors.registry import register_detector


class WholeFrame:
    """Returns one face with score 1 whose box is the frame."""

    name = "none"
    crop_calibration = CropCalibration()
    detection_size = 0

    def __init__(self, *, min_face: float = 0.0, detect_size: int | None = None) -> None:
        """``min_face`` drops frames whose shorter side in pixels is below it; ``detect_size`` has
        no effect."""
        self._min_face = min_face

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """The frame as one face."""
        height, width = frame.shape[:2]
        if min(height, width) < self._min_face:
            return Detections.none()
        return Detections(np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32))


register_detector("none", WholeFrame, help="no detection: the whole frame is one face")
