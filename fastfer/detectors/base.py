"""What every face detector takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

DOUBT: Final = 0.6
"""Share of a network's own threshold from which it may believe in a face that is known already."""
_BEYOND: Final = 1e9
"""Pixels from a picture where nothing can be; far below what float32 loses when it is scaled."""


@dataclass(frozen=True, slots=True)
class CropCalibration:
    """How a detector's box maps to the crop_calibration of FER-2013's pictures.

    The network was trained on those, so each crop should show as much forehead and chin as they do.
    A detector with other habits states here, in units of its own box, what its crop is.
    """

    width: float = 1.0
    """Width of the crop over the width of the box."""
    height: float = 1.0
    """Height of the crop over the height of the box."""
    shift_x: float = 0.0
    """From the centre of the box to that of the crop, in box widths, to the right."""
    shift_y: float = 0.0
    """The same in box heights, downwards."""
    square: bool = False
    """Make the crop a square, as large as the mean of its width and height."""

    def crops(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """The crops for ``boxes``; both (N, 4) float32: x, y, width, height in frame pixels."""
        if self == CropCalibration():
            return boxes
        size = boxes[:, 2:] * np.array([self.width, self.height], np.float32)
        if self.square:
            size = np.repeat(size.mean(axis=1, keepdims=True), 2, axis=1)
        shift = np.array([self.shift_x, self.shift_y], np.float32) * boxes[:, 2:]
        centre = boxes[:, :2] + boxes[:, 2:] / 2 + shift
        return np.concatenate([centre - size / 2, size], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Detections:
    """The faces of one frame as a detector saw them."""

    boxes: NDArray[np.float32]
    """(N, 4): x, y, width, height in pixels of the frame given to the detector."""
    scores: NDArray[np.float32]
    """(N,): the detector's confidence, on its own scale; higher is surer."""
    landmarks: NDArray[np.float32] | None = None
    """(N, 5, 2): right eye, left eye, nose, right and left mouth corner; or None."""

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def none(cls) -> Detections:
        """No face."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32))

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Detections:
        """The faces at these indices, or where this mask is true."""
        marks = None if self.landmarks is None else self.landmarks[which]
        return Detections(self.boxes[which], self.scores[which], marks)

    def valid(self) -> Detections:
        """Those with an area and numbers all of which are finite and within reach of a picture.

        For a network's candidates before the best of them are kept: one that overflowed must
        neither stop the search nor win over the good ones beside it.
        """
        if self._all_valid():
            return self
        good = (np.abs(self.boxes) < _BEYOND).all(axis=1)  # False of what is not a number.
        good &= (self.boxes[:, 2:] > 0).all(axis=1) & np.isfinite(self.scores)
        if self.landmarks is not None:
            good &= (np.abs(self.landmarks) < _BEYOND).all(axis=(1, 2))
        return self.take(good)

    def _all_valid(self) -> bool:
        """By few numbers: a maximum over what is not a number is none either."""
        if not len(self):
            return True
        parts = [self.boxes] if self.landmarks is None else [self.boxes, self.landmarks]
        near = all(np.abs(part).max() < _BEYOND for part in parts)
        return near and self.boxes[:, 2:].min() > 0 and bool(np.isfinite(self.scores).all())

    def scaled(self, x: float, y: float) -> Detections:
        """The same faces in a picture ``x`` times as wide and ``y`` times as high."""
        ratio = np.array([x, y, x, y], np.float32)
        marks = None if self.landmarks is None else self.landmarks * ratio[:2]
        return Detections(self.boxes * ratio, self.scores, marks)

    def left_to_right(self) -> Detections:
        """The same faces in an order that does not depend on threads: by x, then y, then size."""
        if len(self) < 2:
            return self
        x, y, w, h = self.boxes.T
        return self.take(np.lexsort((h, w, y, x)))


@runtime_checkable
class Detector(Protocol):
    """Finds faces. :meth:`detect` may be called from any thread, and from many at a time; what it
    finds must depend on the frame alone. Of a recording, the next frame to be searched is searched
    in another thread while others are followed, and now and then in vain.

    A detector that finds the same faces in a reduced copy of the frame may say so by an attribute
    ``enough``: the long side of such a copy in pixels. See also
    :class:`LowConfidenceDetector`.
    """

    @property
    def name(self) -> str:
        """As the registry and the outputs call it."""

    @property
    def crop_calibration(self) -> CropCalibration:
        """From this detector's boxes to the crops that the network wants."""

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """The faces in ``frame``: (H, W, 3) BGR or (H, W) gray, uint8, any row stride."""


@runtime_checkable
class LowConfidenceDetector(Detector, Protocol):
    """A detector that can also tell what may be a face, by which a video keeps those it knows."""

    @property
    def score_threshold(self) -> float:
        """The score from which faces are those of :meth:`detect`."""

    def detect_low_confidence(self, frame: NDArray[np.uint8]) -> Detections:
        """As :meth:`detect`, with faces of a lower score as well."""
