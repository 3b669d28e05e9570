"""``cv2.FaceDetectorYN`` behind the detector protocol, to compare with."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors import CropCalibration, Detections
from fastfer.detectors.resize import as_bgr, detection_input_size, shrink, to_frame
from fastfer.errors import ModelError


class OpenCVYuNet:
    """OpenCV's own YuNet on a frame reduced as for fastfer's detectors."""

    name = "cv2"
    crop_calibration = CropCalibration()

    def __init__(self, file: str, detect_size: int, score: float) -> None:
        """``file`` is YuNet's ONNX file; the rest is as in fastfer's own YuNetDetector.

        Raises:
            ModelError: OpenCV cannot read the file.
        """
        self._size = detect_size
        try:
            self._network: Any = cv2.FaceDetectorYN.create(file, "", (320, 320), score, 0.3, 5000)
        except cv2.error as e:
            raise ModelError(f"{file}: not a YuNet file that OpenCV can read ({e.err})") from None

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        size = detection_input_size(frame, self._size)
        self._network.setInputSize(size)
        rows = self._network.detect(shrink(as_bgr(frame), size))[1]
        if rows is None:
            return Detections.none()
        found = Detections(rows[:, :4], rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))
        return to_frame(found, size, frame)
