"""Boxes of the caller in place of a detector's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.kernels.boxes import as_boxes


class GivenBoxes:
    """A detector that returns the boxes of its caller, to be cropped as they are."""

    name = "boxes"
    crop_calibration = CropCalibration()

    def __init__(self, boxes: ArrayLike) -> None:
        """Keep ``boxes``, (N, 4) x, y, width, height.

        Raises:
            BoxError: they are not such an array, or not finite.
        """
        rows = as_boxes(boxes).astype(np.float32)
        self._found = Detections(rows, np.ones(len(rows), np.float32))

    def detect(self, frame: NDArray[Any]) -> Detections:
        """The boxes, with a score of 1."""
        return self._found
