"""The interface of face detectors."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.errors import UsageError


@runtime_checkable
class Detector(Protocol):
    """Finds faces.

    :meth:`detect` must be thread-safe, and its result must depend on the frame alone: for videos,
    a detection frame is searched in another thread while the frames before it are tracked, and
    some of these results are discarded.

    Optional attribute ``detection_size``: long side in pixels of a reduced copy of a larger frame
    that leads to the same detections, 0 if there is none. Large JPEG files are then searched in a
    copy decoded at reduced size. Optional attribute ``detects_in_gray``: whether gray frames lead
    to the same detections, so that this copy is decoded in gray. See also
    :class:`LowConfidenceDetector` and :class:`CoarseToFineDetector`.
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


@runtime_checkable
class CoarseToFineDetector(Detector, Protocol):
    """A detector that searches a frame at several scales, the finer ones only where needed.

    Its search can begin in a reduced copy while the picture is being decoded.
    """

    def begin(self, reduced: NDArray[np.uint8], long_side: int) -> Any:
        """Search a reduced copy of a picture whose long side is ``long_side`` pixels.

        Returns:
            The state of the search, for :meth:`finish`.
        """

    def finish(self, frame: NDArray[np.uint8], state: Any) -> Detections:
        """The faces in the picture itself, at scales that its reduced copy lacked."""

    def for_video(self, finest: int) -> Detector:
        """This detector with its finest scale limited to a long side of ``finest`` pixels.

        It shares the networks. A detector with a fixed scale returns itself.
        """


@runtime_checkable
class RefiningDetector(Detector, Protocol):
    """A detector that can also adjust faces whose place is roughly known, at a small part of the
    cost of a search. Tracking uses it between detections."""

    @property
    def can_refine(self) -> bool:
        """Whether :meth:`refine` does anything."""

    def refine(
        self, frame: NDArray[np.uint8], found: Detections, scale: float = 1.0, bias: float = 0.0
    ) -> Detections:
        """``found`` with the boxes, landmarks and scores that the detector gives these faces in a
        frame, in the same order; faces that cannot be cropped are dropped.

        Args:
            frame: uint8 (H, W, 3) BGR or (H, W) gray.
            found: faces near their place in the frame.
            scale: gray levels are those of ``frame`` times ``scale`` plus ``bias``.
            bias: see ``scale``.
        """


def check_detector(detector: object, subject: str) -> None:
    """Require a detector; ``subject`` begins the message.

    Raises:
        UsageError: code ``not_a_detector``.
    """
    name = getattr(detector, "name", None)
    calibration = getattr(detector, "crop_calibration", None)
    if isinstance(detector, type):
        fault = f"{detector.__name__} is a class; pass an instance, {detector.__name__}()"
    elif not isinstance(detector, Detector):
        fault = f"{detector!r} lacks name, crop_calibration or detect()"
    elif not isinstance(name, str):
        fault = f"name of {detector!r} must be a string; got {name!r}"
    elif not isinstance(calibration, CropCalibration):
        fault = f"crop_calibration of {detector!r} must be a CropCalibration; got {calibration!r}"
    else:
        return
    raise UsageError(f"{subject}: {fault}", code="not_a_detector")
