"""The interface of face detectors."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections


@runtime_checkable
class Detector(Protocol):
    """Finds faces.

    :meth:`detect` must be thread-safe, and its result must depend on the frame alone: for videos,
    a detection frame is searched in another thread while the frames before it are tracked, and
    some of these results are discarded.

    Optional attribute ``detection_size``: long side in pixels of a reduced copy of a larger frame
    that leads to the same detections, 0 if there is none. Large JPEG files are then searched in a
    copy decoded at reduced size. See also :class:`LowConfidenceDetector`.
    """

    @property
    def name(self) -> str:
        """Name in results and outputs."""

    @property
    def crop_calibration(self) -> CropCalibration:
        """Map from this detector's boxes to crops for the expression network."""

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """The faces in ``frame``: uint8, (H, W, 3) BGR or (H, W) gray, any row stride."""


@runtime_checkable
class LowConfidenceDetector(Detector, Protocol):
    """A detector that also returns low-confidence faces, used to keep existing tracks alive."""

    @property
    def score_threshold(self) -> float:
        """Lowest score of the faces that :meth:`detect` returns."""

    def detect_low_confidence(self, frame: NDArray[np.uint8]) -> Detections:
        """As :meth:`detect`, plus faces whose score is below :attr:`score_threshold`."""
