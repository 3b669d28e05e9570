"""What the detectors with a network share: how they are asked, and the check of a file's input
before its first frame is searched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from fastfer.detectors.base import DOUBT, Detections
from fastfer.detectors.resize import Frame
from fastfer.errors import ModelError
from fastfer.inference.onnx_session import describe

if TYPE_CHECKING:
    import onnxruntime

ADVICE: Final = (
    "Export it in float32 (not half or int8), for one picture at a time, with both sides fixed or "
    "both free."
)


class NetworkDetector(ABC):
    """A detector whose scores are 0 to 1, with a threshold that may be lowered."""

    score_threshold: float
    """The score from which faces are those of :meth:`detect`."""

    def detect(self, frame: Frame) -> Detections:
        """The faces in ``frame``, (H, W, 3) BGR or (H, W) gray uint8, from left to right.

        Scores are 0 to 1.
        """
        return self._find(frame, self.score_threshold)

    def detect_low_confidence(self, frame: Frame) -> Detections:
        """Also faces of less than the score ``sure``."""
        return self._find(frame, self.score_threshold * DOUBT)

    @abstractmethod
    def _find(self, frame: Frame, least: float) -> Detections:
        """Those of a score of ``least`` or more."""


def planes_input(
    session: onnxruntime.InferenceSession, source: str
) -> tuple[str, tuple[int, int] | None]:
    """Name of the one input, float32 (1, 3, H, W); and H and W, or ``None`` where they are free.

    Raises:
        ModelError: there is another input, or one more.
    """
    nodes = session.get_inputs()
    shape = nodes[0].shape if len(nodes) == 1 and nodes[0].type == "tensor(float)" else []
    sides = [side for side in shape[2:] if isinstance(side, int)]
    if len(shape) != 4 or not one_or_free(shape[0]) or shape[1] != 3 or len(sides) == 1:
        raise ModelError(
            f"{source}: inputs {describe(nodes)}; a detector has one, float32 (1, 3, H, W). "
            f"{ADVICE}"
        )
    return str(nodes[0].name), (sides[0], sides[1]) if sides else None


def one_or_free(side: int | str | None) -> bool:
    """Whether a batch of one fits a graph's declared ``side``; a free one is a text or nothing."""
    return side == 1 or not isinstance(side, int)
