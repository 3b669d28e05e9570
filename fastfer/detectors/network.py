"""What the detectors that run a neural network share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from fastfer.detections import Detections
from fastfer.detectors.resize import Frame
from fastfer.errors import ModelError
from fastfer.inference.onnx_session import Session, describe
from fastfer.validation import check_integer, check_range, check_unit_interval

LOW_CONFIDENCE: Final = 0.6
"""Lowest score of :meth:`NetworkDetector.detect_low_confidence` / ``score_threshold``."""
ADVICE: Final = (
    "Export it in float32 (not float16 or int8) with batch size 1, and height and width both fixed "
    "or both free."
)


class NetworkDetector(ABC):
    """A detector with scores from 0 to 1 and a threshold that can be lowered."""

    def __init__(self, min_face: float, detect_size: int, score: float, nms: float) -> None:
        """Check and keep the common options.

        Args:
            min_face: side in frame pixels of the smallest face to report, 0 for no limit. Where
                ``detect_size`` would make such a face too small to detect, a larger frame is
                searched.
            detect_size: long side in pixels of the frame that is searched; larger frames are
                reduced to it, smaller ones are searched as they are.
            score: lowest score of a reported face, 0 to 1.
            nms: intersection over union above which two boxes are one face, 0 to 1.

        Raises:
            UsageError: an option out of range.
        """
        check_range(min_face=(min_face, 0))
        check_integer(detect_size=(detect_size, 32))
        check_unit_interval(score=score, nms=nms)
        self._min_face = min_face
        self._detect_size = detect_size
        self._nms = nms
        self.score_threshold = score
        self.detection_size = 0 if min_face else detect_size

    def detect(self, frame: Frame) -> Detections:
        """The faces in ``frame``, uint8 (H, W, 3) BGR or (H, W) gray, from left to right."""
        return self._find(frame, self.score_threshold)

    def detect_low_confidence(self, frame: Frame) -> Detections:
        """As :meth:`detect`, plus faces with a score of 0.6 ``score_threshold`` or more."""
        return self._find(frame, self.score_threshold * LOW_CONFIDENCE)

    @abstractmethod
    def _find(self, frame: Frame, min_score: float) -> Detections:
        """The faces with a score of ``min_score`` or more."""


def planes_input(session: Session, source: str) -> tuple[str, tuple[int, int] | None]:
    """Name of the only input, float32 (1, 3, H, W); and (H, W), or ``None`` if they are free.

    Raises:
        ModelError: another number, type or shape of inputs.
    """
    nodes = session.inputs
    shape = nodes[0].shape if len(nodes) == 1 and nodes[0].type == "tensor(float)" else []
    sides = [side for side in shape[2:] if isinstance(side, int)]
    if len(shape) != 4 or not one_or_free(shape[0]) or shape[1] != 3 or len(sides) == 1:
        raise ModelError(
            f"{source}: inputs are {describe(nodes)}; a detector needs one, float32 (1, 3, H, W). "
            f"{ADVICE}"
        )
    return str(nodes[0].name), (sides[0], sides[1]) if sides else None


def one_or_free(side: int | str | None) -> bool:
    """Whether a declared dimension admits a batch of one; free dimensions are text or ``None``."""
    return side == 1 or not isinstance(side, int)
